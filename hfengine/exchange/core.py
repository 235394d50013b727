"""The simulated exchange's front: market data and requests in, events out, on virtual time.

One-way positions, linear USDT contracts. Every call takes `now_ns`; nothing here reads a clock,
draws a number or waits. Executions, like public prints, move the last price; liquidations do not.
Conditional orders that a user places survive their position, as on Binance; protection attached
to a position lives and dies with it, as on Bybit.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.account import Account
from hfengine.exchange.admission import admit, check_leverage, protection_ticks, trigger_price
from hfengine.exchange.clearing import Clearing
from hfengine.exchange.ledger import Ledger, Unit
from hfengine.exchange.liquidation import Liquidator
from hfengine.exchange.margin import free_margin_units, position_maintenance_units
from hfengine.exchange.market import NEVER_NS, Market, OutsideBook
from hfengine.exchange.matching import Matching
from hfengine.exchange.orders import Attachment, Order, PriceSource
from hfengine.exchange.positions import Position
from hfengine.exchange.reports import balance_changed, position_changed
from hfengine.exchange.triggers import Triggers
from hfengine.instruments import Instrument
from hfengine.messages import (
    BalanceChanged,
    Fill,
    LeverageChanged,
    Message,
    OrderUpdate,
    PositionChanged,
)
from hfengine.requests import LeverageSetting, OrderRequest


class Exchange:
    """Accounts trading instruments against outside books and each other.

    Requests raise VenueRejected with a reason of rejects.py. What an accepted order does is told
    by the events of `drain`, in order.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._unit = Unit(instruments)
        self._markets = {one.symbol: Market(one, self._unit) for one in instruments}
        self._accounts: dict[str, Account] = {}
        self._clearing = Clearing()
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

    # Market side

    def attach_book(self, symbol: str, book: OutsideBook) -> None:
        """Give a symbol its outside book, kept up to date by the feed."""
        self._market(symbol).book = book

    def on_book(self, symbol: str, now_ns: int) -> None:
        """Look at the outside book after a change; nearly free when nothing depends on it."""
        market = self._markets[symbol]
        bids, asks = market.resting_bids, market.resting_asks
        if not (bids.best or asks.best or market.taken or market.conditionals or market.holders):
            return
        self._begin(market, now_ns)
        if market.taken:
            market.forget_changed()
        book = market.book
        if book is None:
            return
        crossed_bids = bids.best > 0 and 0 < book.ask_ticks <= bids.best
        crossed_asks = asks.best > 0 and book.bid_ticks >= asks.best
        if crossed_bids:
            self._matching.on_crossing(market, 1, now_ns)
        if crossed_asks:
            self._matching.on_crossing(market, -1, now_ns)
        if crossed_bids or crossed_asks or market.starved:
            self._settle(market, now_ns)

    def on_trade(self, symbol: str, ticks: int, steps: int, side: int, now_ns: int) -> None:
        """Take a public print of taker side `side`: last price, queues, last-price triggers."""
        market = self._markets[symbol]
        market.last_ticks = ticks
        if market.holders:
            self._begin(market, now_ns)
        best = market.resting(-side).best
        if best and (ticks - best) * side >= 0:
            self._matching.on_print(market, ticks, steps, side, now_ns)
            market.last_ticks = ticks
            self._settle(market, now_ns)
        elif market.conditionals:
            self._settle(market, now_ns)

    def on_mark(
        self,
        symbol: str,
        mark: Decimal,
        index: Decimal,
        funding_rate: Decimal,
        next_funding_ns: int,
        now_ns: int,
    ) -> None:
        """Take mark and index: funding that is due, mark triggers, then liquidation."""
        market = self._markets[symbol]
        market.set_mark(mark)
        market.index = index
        if next_funding_ns == market.funding_due_ns:
            market.funding_rate = funding_rate
        self._begin(market, now_ns)
        market.funding_rate = funding_rate
        if next_funding_ns > now_ns:
            market.funding_due_ns = next_funding_ns
        elif next_funding_ns > 0 and market.funding_due_ns == NEVER_NS:
            market.funding_due_ns = _next_due(next_funding_ns, market.interval_ns, now_ns)
        if market.conditionals:
            self._triggers.fire(market, now_ns)
        if market.holders:
            self._liquidator.check(market, now_ns)
        self._clearing.flush(now_ns)

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price, 0 before the first."""
        return self._market(symbol).mark

    def index(self, symbol: str) -> Decimal:
        """Return the index price, 0 before the first."""
        return self._market(symbol).index

    def last(self, symbol: str) -> Decimal:
        """Return the last traded price, 0 before the first."""
        return self._market(symbol).last()

    # Account side

    def set_leverage(
        self, account: str, symbol: str, leverage: int, now_ns: int
    ) -> LeverageSetting:
        """Set a symbol's leverage; the same value again succeeds."""
        position = self._position(account, symbol)
        self._begin(position.market, now_ns)
        check_leverage(position, leverage)
        if leverage != position.leverage:
            self._change_leverage(position, leverage)
            message = LeverageChanged(symbol, now_ns, leverage)
            self._clearing.emit(position.account, message)
            self._clearing.touch_held(position)
            self._clearing.flush(now_ns)
        return self.leverage(account, symbol)

    def set_margin_mode(
        self, account: str, symbol: str, mode: Literal["isolated", "cross"], now_ns: int
    ) -> LeverageSetting:
        """Set a symbol's margin mode; only while flat and without open orders."""
        position = self._position(account, symbol)
        self._begin(position.market, now_ns)
        if mode not in {"isolated", "cross"}:
            raise VenueRejected(rejects.BAD_MARGIN_MODE, f"{mode!r}: isolated or cross")
        if mode == position.margin_mode:
            raise VenueRejected(rejects.MARGIN_MODE_NOT_MODIFIED, f"{symbol} is {mode}")
        if position.steps or position.resting or position.conditionals:
            raise VenueRejected(rejects.MARGIN_MODE_LOCKED, f"{symbol} has a position or orders")
        position.margin_mode = mode
        return self.leverage(account, symbol)

    def leverage(self, account: str, symbol: str) -> LeverageSetting:
        """Return a symbol's leverage and margin mode."""
        position = self._position(account, symbol)
        return LeverageSetting(symbol, position.leverage, position.margin_mode)

    def place(self, account: str, request: OrderRequest, now_ns: int) -> OrderUpdate:
        """Place an order and return how it stands after matching.

        A refused request leaves no trace and its client id stays free. Post-only that would take,
        fill-or-kill that cannot fill and what a market order finds no liquidity for end cancelled
        with that reason.
        """
        owner = self._account(account)
        market = self._market(request.symbol)
        self._begin(market, now_ns)
        order = admit(owner, market, request, now_ns)
        self._clearing.accept(order)
        if not order.is_conditional:
            self._matching.execute(order, now_ns)
        self._settle(market, now_ns)
        return order.update()

    def cancel(self, account: str, symbol: str, client_id: str, now_ns: int) -> OrderUpdate:
        """Cancel one open order, resting, conditional or attached."""
        owner = self._account(account)
        market = self._market(symbol)
        self._begin(market, now_ns)
        order = owner.open.get(client_id)
        if order is None or order.market is not market:
            raise VenueRejected(rejects.UNKNOWN_ORDER, f"no open {client_id!r} on {symbol}")
        self._cancel(order, now_ns)
        self._clearing.flush(now_ns)
        return order.update()

    def cancel_all(self, account: str, symbol: str, now_ns: int) -> list[OrderUpdate]:
        """Cancel a symbol's open orders except attached protection, which is the position's."""
        position = self._position(account, symbol)
        self._begin(position.market, now_ns)
        open_orders = list(position.account.open.values())
        orders = [one for one in open_orders if one.position is position and not one.attached]
        for order in orders:
            self._cancel(order, now_ns)
        self._clearing.flush(now_ns)
        return [order.update() for order in orders]

    def set_protection(
        self,
        account: str,
        symbol: str,
        stop: Decimal,
        target: Decimal,
        by: PriceSource,
        now_ns: int,
    ) -> PositionChanged:
        """Amend the attached protection of a position in place; 0 removes one."""
        position = self._position(account, symbol)
        market = position.market
        self._begin(market, now_ns)
        if not position.steps:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        base = trigger_price(market, by)
        stop_ticks, target_ticks = protection_ticks(market, position.side, stop, target, base)
        missing = Attachment(
            0 if self._amend(position.stop, stop_ticks, by, now_ns) else stop_ticks,
            0 if self._amend(position.target, target_ticks, by, now_ns) else target_ticks,
            by,
        )
        if missing.stop_ticks or missing.target_ticks:
            self._protection_count += 1
            base_id = f"position#{self._protection_count}"
            self._clearing.attach(position, base_id, missing, now_ns)
        self._clearing.touch(position)
        self._clearing.flush(now_ns)
        return position_changed(position, now_ns)

    def order(self, account: str, symbol: str, client_id: str) -> OrderUpdate | None:
        """Return any order the account ever had accepted, None when there was none."""
        order = self._account(account).orders.get(client_id)
        if order is None or order.market is not self._market(symbol):
            return None
        return order.update()

    def open_orders(self, account: str, symbol: str | None = None) -> list[OrderUpdate]:
        """Return open orders, oldest first: resting, conditional and attached."""
        orders = self._account(account).open.values()
        market = None if symbol is None else self._market(symbol)
        return [one.update() for one in orders if market is None or one.market is market]

    def positions(self, account: str) -> list[PositionChanged]:
        """Return the positions that are not flat."""
        held = self._account(account).held()
        return [position_changed(position, self._now_ns) for position in held]

    def position(self, account: str, symbol: str) -> PositionChanged:
        """Return a position, also when flat."""
        return position_changed(self._position(account, symbol), self._now_ns)

    def balance(self, account: str) -> BalanceChanged:
        """Return wallet, equity, free and maintenance margin at the current marks."""
        return balance_changed(self._account(account), self._now_ns)

    def fills(self, account: str, after: int = 0) -> list[Fill]:
        """Return fills in order, those whose `fill_id` is above the cursor `after`."""
        return [fill for fill in self._account(account).fills if int(fill.fill_id) > after]

    def ledger(self, account: str) -> Ledger:
        """Return the account's ledger; read it, do not post to it."""
        return self._account(account).ledger

    def drain(self) -> list[tuple[str, Message]]:
        """Return (account, event) in order since the last drain, and forget them."""
        events, self._clearing.events = self._clearing.events, []
        return events

    # Inside

    def _begin(self, market: Market, now_ns: int) -> None:
        """Note the time and settle the funding that came due before this call."""
        self._now_ns = max(self._now_ns, now_ns)
        while now_ns >= market.funding_due_ns:
            if market.holders:
                self._liquidator.settle_funding(market, now_ns)
                market.funding_due_ns += market.interval_ns
            else:
                due_ns = market.funding_due_ns
                market.funding_due_ns = _next_due(due_ns, market.interval_ns, now_ns)
        self._clearing.flush(now_ns)

    def _settle(self, market: Market, now_ns: int) -> None:
        """Fire what the call made due and report what it changed."""
        if market.conditionals:
            self._triggers.fire(market, now_ns)
        self._clearing.flush(now_ns)

    def _cancel(self, order: Order, now_ns: int) -> None:
        self._clearing.cancel(order, rejects.CANCELLED_BY_USER, now_ns)

    def _amend(self, order: Order | None, ticks: int, by: PriceSource, now_ns: int) -> bool:
        """Move or remove an attached order; tell whether there was one."""
        if order is None:
            return False
        if not ticks:
            self._cancel(order, now_ns)
        elif ticks != order.trigger_ticks or by != order.trigger_by:
            order.set_trigger(ticks)
            order.trigger_by, order.at_ns = by, now_ns
            self._clearing.emit(order.account, order.update())
        return True

    def _change_leverage(self, position: Position, leverage: int) -> None:
        """Apply a leverage, or put the old one back and refuse when margin would not bear it."""
        before = position.leverage, position.margin_units
        free_before_units = free_margin_units(position.account)
        position.set_leverage(leverage)
        free_units = free_margin_units(position.account)
        is_short = free_units < 0 and free_units < free_before_units
        if position.is_isolated and position.steps:
            balance_units = position.margin_units + position.unrealised_units
            is_short |= balance_units <= position_maintenance_units(position)
        if is_short:
            position.leverage, position.margin_units = before
            detail = f"{leverage}x would leave {self._unit.usdt(free_units)} USDT free"
            raise VenueRejected(rejects.INSUFFICIENT_MARGIN, detail)

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

    def _position(self, account: str, symbol: str) -> Position:
        return self._account(account).position(self._market(symbol))


def _next_due(due_ns: int, interval_ns: int, now_ns: int) -> int:
    """Return the first funding time after `now_ns` on the grid of `due_ns`."""
    return due_ns + ((now_ns - due_ns) // interval_ns + 1) * interval_ns
