"""Binance's private stream: every event of it told at once, what it leaves out read by REST.

The venue pushes wallets without free margin, positions without leverage or liquidation price, and
is silent when its listen key has died. So after each change the rest is read, a little later and
not more often than need be, and the key is proved alive from time to time.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import BalanceChanged, LeverageChanged
from hfengine.venues.binance_calls import WEIGHT
from hfengine.venues.binance_positions import PositionBook, algo_of_push, held_of_event
from hfengine.venues.binance_protection import BinanceProtection
from hfengine.venues.binance_rows import (
    FEE_ELSEWHERE,
    MS_NS,
    Row,
    algo_of_event,
    fee_elsewhere,
    fill_of_event,
    has_fill,
    number,
    order_of_event,
    wallet_of_event,
)
from hfengine.venues.quirks import Desk

REFRESH_AFTER_MS: Final = 250
"""Changes within so long are one; then positions and balance are read."""

REFRESH_EVERY_MS: Final = 2_000
"""A symbol's position is read at most this often."""

KEY_CHECK_S: Final = 60.0
EXPECT_S: Final = 5.0
"""An order that was answered shows up on the stream within this, or the stream is dead."""

MARGIN_CALL: Final = "margin_call"
BUCKET: Final = "linear"
"""Where ccxt keeps the listen key in its options."""

UNUSED: Final = frozenset({"TRADE_LITE", "STRATEGY_UPDATE", "GRID_UPDATE"})
REMEMBERED_MAX: Final = 4096


class BinanceStream:
    """Hears the events of one account."""

    def __init__(
        self,
        desk: Desk,
        book: PositionBook,
        protection: BinanceProtection,
        *,
        learn: Callable[[str, str, str, str], None],
        read_position: Callable[[str], Any],
        read_balance: Callable[[], Any],
        read_funding: Callable[[int], Any],
    ) -> None:
        """Take what it works with; `learn` hears whose orders are, the rest are readings."""
        self._desk = desk
        self._book = book
        self._protection = protection
        self._learn = learn
        self._read_position = read_position
        self._read_balance = read_balance
        self._read_funding = read_funding
        self._balance: BalanceChanged | None = None
        self._refreshing: set[str] = set()
        self._read_ms: dict[str, int] = {}
        self._balance_due = False
        self._expected: dict[str, Any] = {}
        self._told: dict[str, None] = {}
        """Client ids of the orders that the stream told of: often before their answer."""
        self._by_last: dict[str, None] = {}
        """Ids of the stops that were named for being triggered by the last price."""
        self._called: set[str] = set()
        self._spawned: dict[str, str] = {}
        """Order the venue made when a conditional one triggered -> that one's client id."""
        self._handlers: dict[str, Callable[[Row], None]] = {
            "ORDER_TRADE_UPDATE": self._on_order,
            "ALGO_UPDATE": self._on_algo,
            "ACCOUNT_UPDATE": self._on_account,
            "ACCOUNT_CONFIG_UPDATE": self._on_config,
            "MARGIN_CALL": self._on_margin_call,
            "CONDITIONAL_ORDER_TRIGGER_REJECT": self._on_trigger_refused,
            "listenKeyExpired": self._on_key_expired,
        }

    # life

    async def watch(self) -> None:
        """Keep the stream open; what ccxt makes of it is not looked at."""
        await self._desk.exchange.watch_orders()

    def start(self) -> None:
        """Begin to prove the listen key."""

        def check() -> None:
            self._desk.run(self._check_key(), "listen key")

        self._desk.timers.every(round(KEY_CHECK_S * 1e9), check)

    async def _check_key(self) -> None:
        """Extend the listen key; where the venue knows none, make another."""
        if not self._bucket().get("listenKey"):
            return
        try:
            await self._desk.call(
                "fapiPrivatePutListenKey", {}, group=WEIGHT, purpose="setting", weight=1
            )
        except VenueRejected as error:
            self._renew(f"the listen key is not known: {error}")
        except (VenueUnknown, VenueUnavailable) as error:
            self._desk.note("listen_key", str(error))

    def _bucket(self) -> dict[str, Any]:
        bucket: dict[str, Any] = self._desk.exchange.options.setdefault(BUCKET, {})
        return bucket

    def _renew(self, why: str) -> None:
        self._bucket().update(listenKey=None, lastAuthenticatedTime=0)
        self._desk.restart_streams(why)
        self._desk.reconcile_soon(why)

    def expect(self, client_id: str) -> None:
        """Restart the stream unless it tells of an order soon."""
        if client_id in self._expected or client_id in self._told:
            return

        def late() -> None:
            if self._expected.pop(client_id, None) is not None:
                self._renew(f"the private stream is silent about {client_id}")

        self._expected[client_id] = self._desk.timers.after(round(EXPECT_S * 1e9), late)

    # events

    def heard(self, message: Mapping[str, Any]) -> bool:
        """Take one raw message; True when it was an event of the account."""
        event = message.get("data", message) if "stream" in message else message
        if not isinstance(event, Mapping):
            return False
        name = str(event.get("e", ""))
        handler = self._handlers.get(name)
        if handler is not None:
            handler(event)
            return True
        return name in UNUSED

    def _is_ours(self, symbol: str) -> bool:
        """Tell whether a symbol is of the profile; others are not ours."""
        if symbol in self._desk.symbols:
            return True
        self._desk.note("other_symbol", symbol)
        return False

    def _on_order(self, event: Row) -> None:
        if not self._is_ours(event["o"]["s"]):
            return
        update = order_of_event(event)
        self._told[update.client_id] = None
        _shorten(self._told)
        expected = self._expected.pop(update.client_id, None)
        if expected is not None:
            expected.cancel()
        raw_id = update.client_id
        client_id = self._spawned.get(update.venue_id, raw_id)
        self._learn(update.venue_id, client_id, raw_id, event["o"].get("ot", ""))
        if has_fill(event):
            self._desk.tell(fill_of_event(event, client_id))
            elsewhere = fee_elsewhere(event["o"].get("n"), event["o"].get("N"))
            if elsewhere:
                self._desk.note(FEE_ELSEWHERE, f"{update.symbol}: {elsewhere}, counted as 0 USDT")
        self._desk.tell(update)
        self._protection.order_told(update)
        if not has_fill(event):
            return
        symbol = update.symbol
        held = self._book.held(symbol)
        if held is not None and held.at_ns >= update.at_ns:
            # the position was told before its fill: whoever waits for both hears it again
            self.tell_position(symbol, update.at_ns)
        self.refresh_soon(symbol)

    def _on_algo(self, event: Row) -> None:
        if not self._is_ours(event["o"]["s"]):
            return
        update, order = algo_of_event(event), algo_of_push(event)
        spawned = str(event["o"].get("ai") or "")
        if spawned:
            self._spawned[spawned] = order.client_id
            _shorten(self._spawned)
        self._book.hear_algo(order, event["o"]["X"])
        self._desk.tell(update)
        held = self._book.held(order.symbol)
        if held is None or not held.quantity:
            if order.reduces:
                self._protection.sweep_later(order.symbol)
            return
        self.tell_position(order.symbol, update.at_ns)

    def _on_account(self, event: Row) -> None:
        at_ns = int(event["T"]) * MS_NS
        account = event["a"]
        wallet_usdt = wallet_of_event(event)
        for asset in account.get("B", ()):
            if asset["a"] == "USDT":
                self._book.cross_wallet_usdt = number(asset["cw"])
        symbols = dict.fromkeys(row["s"] for row in account.get("P", ()))
        for row in account.get("P", ()):
            held = held_of_event(row, at_ns)
            went_flat = self._book.hear_position(held)
            if went_flat and held.symbol in self._desk.symbols:
                self._protection.clear(held)
            if not held.quantity:
                self._uncall(held.symbol)
        for symbol in filter(self._is_ours, symbols):
            self.tell_position(symbol, at_ns)
            self.refresh_soon(symbol)
        if wallet_usdt is not None and self._balance is not None:
            gained_usdt = wallet_usdt - self._balance.wallet_usdt
            equity_usdt = self._balance.equity_usdt + gained_usdt
            changed = replace(
                self._balance, at_ns=at_ns, wallet_usdt=wallet_usdt, equity_usdt=equity_usdt
            )
            self.take_balance(changed)
        self.read_balance_soon()
        if account.get("m") == "FUNDING_FEE":
            self._desk.run(self._read_funding(int(event["T"]) - 1_000), "funding")

    def _on_config(self, event: Row) -> None:
        told = event.get("ac")
        if told is None:
            # the multi-assets switch: margin of one symbol is then no longer its own
            self._desk.reconcile_soon("account configuration changed")
            return
        symbol, leverage = told["s"], int(told["l"])
        self._book.take_leverage(symbol, leverage)
        if not self._is_ours(symbol):
            return
        self._desk.tell(LeverageChanged(symbol, int(event["T"]) * MS_NS, leverage))
        held = self._book.held(symbol)
        if held is not None and held.quantity:
            self.tell_position(symbol, int(event["T"]) * MS_NS)
            self.refresh_soon(symbol)

    def _on_margin_call(self, event: Row) -> None:
        symbols = [row["s"] for row in event.get("p", ())]
        self._called.update(symbols)
        self._desk.halt(MARGIN_CALL, f"the venue calls for margin: {', '.join(symbols)}")
        for symbol in filter(self._is_ours, symbols):
            self.refresh_soon(symbol)
        self.read_balance_soon()

    def _on_trigger_refused(self, event: Row) -> None:
        told = event["or"]
        self._desk.note("trigger_refused", f"{told['s']} {told.get('i')}: {told.get('r')}")
        self.refresh_soon(told["s"])

    def _on_key_expired(self, _event: Row) -> None:
        self._renew("the listen key has expired")

    # telling and reading

    def tell_position(self, symbol: str, at_ns: int = 0) -> None:
        """Tell a symbol's position as it is now known."""
        if self._book.is_two_sided(symbol):
            sentence = f"{symbol} is long and short at once; hfengine holds one position a symbol"
            self._desk.halt(f"two_sided {symbol}", sentence)
        else:
            self._desk.resume(f"two_sided {symbol}")
        position = self._book.changed(symbol, at_ns)
        if not position.quantity:
            self._uncall(symbol)
        self._name_last_triggers(symbol)
        self._desk.tell(position)

    def _uncall(self, symbol: str) -> None:
        """Take that a position the venue called for margin for is gone."""
        if symbol in self._called:
            self._called.discard(symbol)
            if not self._called:
                self._desk.resume(MARGIN_CALL)

    def _name_last_triggers(self, symbol: str) -> None:
        """Note stops that the last price triggers: liquidation goes by the mark price."""
        for order in self._book.reducing(symbol):
            is_news = order.algo_id not in self._by_last
            if order.kind == "stop_market" and not order.by_mark and is_news:
                self._by_last[order.algo_id] = None
                _shorten(self._by_last)
                self._desk.note("stop_by_last", f"{symbol} {order.client_id or order.algo_id}")

    def take_balance(self, balance: BalanceChanged) -> None:
        """Tell the account."""
        self._balance = balance
        self._desk.tell(balance)

    def know_balance(self, balance: BalanceChanged) -> None:
        """Take a balance that somebody else tells."""
        self._balance = balance

    def refresh_soon(self, symbol: str) -> None:
        """Read a symbol's position soon: its liquidation price, and what the stream lost."""
        if symbol in self._refreshing:
            return
        self._refreshing.add(symbol)
        since_ms = self._desk.now_ms() - self._read_ms.get(symbol, 0)
        delay_ms = max(REFRESH_AFTER_MS, REFRESH_EVERY_MS - since_ms)

        def fire() -> None:
            self._refreshing.discard(symbol)
            self._read_ms[symbol] = self._desk.now_ms()
            self._desk.run(self._refresh(symbol), f"position of {symbol}")

        self._desk.timers.after(delay_ms * MS_NS, fire)

    async def _refresh(self, symbol: str) -> None:
        before = self._book.changed(symbol)
        await self._read_position(symbol)
        after = self._book.changed(symbol)
        if replace(after, at_ns=0) != replace(before, at_ns=0):
            self.tell_position(symbol, self._desk.now_ms() * MS_NS)

    def read_balance_soon(self) -> None:
        """Read the account soon."""
        if self._balance_due:
            return
        self._balance_due = True

        def fire() -> None:
            self._balance_due = False
            self._desk.run(self._reread_balance(), "balance")

        self._desk.timers.after(REFRESH_AFTER_MS * MS_NS, fire)

    async def _reread_balance(self) -> None:
        self.take_balance(await self._read_balance())


def _shorten(remembered: dict[str, Any]) -> None:
    while len(remembered) > REMEMBERED_MAX:
        del remembered[next(iter(remembered))]
