"""What the parts of the exchange's front share: its state, look-ups, and the frame of a call."""

from collections.abc import Sequence
from decimal import Decimal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.account import Account
from hfengine.exchange.admission import check_slot
from hfengine.exchange.clearing import Clearing
from hfengine.exchange.ledger import Unit
from hfengine.exchange.liquidation import Liquidator
from hfengine.exchange.market import Market
from hfengine.exchange.matching import Matching
from hfengine.exchange.positions import Position
from hfengine.exchange.triggers import Triggers
from hfengine.instruments import Instrument
from hfengine.messages import Message
from hfengine.requests import Slot


class ExchangeBase:
    """Markets, accounts, and what works on them."""

    def __init__(self, instruments: Sequence[Instrument], *, detailed: bool = False) -> None:
        self._unit = Unit(instruments)
        self._markets = {one.symbol: Market(one, self._unit) for one in instruments}
        self._accounts: dict[str, Account] = {}
        self._clearing = Clearing(detailed=detailed)
        self._matching = Matching(self._clearing)
        self._triggers = Triggers(self._clearing, self._matching)
        self._liquidator = Liquidator(self._clearing)
        self._now_ns = 0
        self._protection_count = 0

    def open_account(self, account: str, wallet_usdt: Decimal, now_ns: int = 0) -> None:
        """Open an account with a deposit; raises ValueError when it exists or the sum is off."""
        if account in self._accounts:
            msg = f"account {account!r} is open already"
            raise ValueError(msg)
        if wallet_usdt < 0:
            msg = f"a deposit must not be negative, got {wallet_usdt}"
            raise ValueError(msg)
        opened = Account(account, self._unit)
        opened.ledger.post(now_ns, "deposit", "", self._unit.of(wallet_usdt))
        self._accounts[account] = opened

    def drain(self) -> list[tuple[str, Message]]:
        """Return (account, event) in order since the last drain, and forget them."""
        events, self._clearing.events = self._clearing.events, []
        return events

    def _begin(self, market: Market, now_ns: int) -> None:
        """Note the time and settle the funding that came due before this call."""
        self._now_ns = max(self._now_ns, now_ns)
        while now_ns >= market.funding_due_ns:
            if market.holders:
                self._liquidator.settle_funding(market, now_ns)
                market.funding_due_ns += market.interval_ns
            else:
                due_ns = market.funding_due_ns
                market.funding_due_ns = next_due(due_ns, market.interval_ns, now_ns)
        self._clearing.flush(now_ns)

    def _settle(self, market: Market, now_ns: int) -> None:
        """Fire what the call made due and report what it changed."""
        if market.conditionals:
            self._triggers.fire(market, now_ns)
        self._clearing.flush(now_ns)

    def _account(self, account: str) -> Account:
        found = self._accounts.get(account)
        if found is None:
            raise VenueRejected(rejects.UNKNOWN_ACCOUNT, repr(account))
        return found

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            known = ", ".join(self._markets)
            raise VenueRejected(rejects.UNKNOWN_SYMBOL, f"{symbol!r}; there are {known}")
        return market

    def _position(self, account: str, symbol: str, slot: Slot = "net") -> Position:
        owner = self._account(account)
        market = self._market(symbol)
        check_slot(owner, slot)
        return owner.position(market, slot)

    def _positions(self, account: str, symbol: str, slot: Slot) -> list[Position]:
        """Return the position of a slot; `net` is both of them in hedge mode."""
        if slot == "net":
            return self._account(account).positions_in(self._market(symbol))
        return [self._position(account, symbol, slot)]


def next_due(due_ns: int, interval_ns: int, now_ns: int) -> int:
    """Return the first funding time after `now_ns` on the grid of `due_ns`."""
    return due_ns + ((now_ns - due_ns) // interval_ns + 1) * interval_ns
