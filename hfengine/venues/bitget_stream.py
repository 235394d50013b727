"""Bitget's private channels, and how fills get the names of their orders."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.messages import BalanceChanged, Fill, LeverageChanged
from hfengine.requests import OrderRequest
from hfengine.venues.bitget_positions import PositionBook, held_of
from hfengine.venues.bitget_rows import (
    MS_NS,
    Row,
    balance_of,
    cause_of_source,
    direction_of,
    fee_elsewhere,
    fill_of_row,
    forced_cause,
    order_of_row,
    plan_of_row,
)
from hfengine.venues.quirks import Desk, PrivateStream

CHANNELS: Final = ("orders", "orders-algo", "fill", "positions", "account")
REFRESH_AFTER_MS: Final = 500
"""So long after a change positions, plan orders and balance are read."""

ORDERS_MAX: Final = 8192

T = TypeVar("T")


class _Order(NamedTuple):
    """Whose an order is; `source` is what its details say of its making, "" for our own."""

    client_id: str
    side: int
    source: str


class BitgetStream:
    """Hears the events of one account."""

    def __init__(
        self,
        desk: Desk,
        book: PositionBook,
        *,
        plan: Callable[[Row], None],
        detail: Callable[[str, str], Any],
        read: Callable[[], Any],
    ) -> None:
        """Take what it works with.

        `plan` hears of plan orders, `detail` reads an order by id, `read` the whole account.
        """
        self._desk = desk
        self._book = book
        self._plan = plan
        self._detail = detail
        self._read = read
        self._sent: dict[str, int] = {}
        """Client id -> side of the orders that we placed."""
        self._orders: dict[str, _Order] = {}
        self._leverages: dict[str, int] = {}
        self._subscribed: set[str] = set()
        self._refresh_due = False
        self._handlers: dict[str, Callable[[Sequence[Row], int], None]] = {
            "orders": self._on_orders,
            "orders-algo": self._on_plans,
            "fill": self._on_fills,
            "positions": self._on_positions,
            "account": self._on_account,
        }

    def streams(self) -> Sequence[PrivateStream]:
        """Return a loop for each channel; they share one connection."""
        exchange = self._desk.exchange

        async def plans() -> None:
            await exchange.watch_orders(params={"trigger": True})

        return (
            PrivateStream("orders", exchange.watch_orders),
            PrivateStream("orders-algo", plans),
            PrivateStream("fill", exchange.watch_my_trades),
            PrivateStream("positions", exchange.watch_positions),
            PrivateStream("account", exchange.watch_balance),
        )

    # what we know of orders

    def sent(self, request: OrderRequest) -> None:
        """Remember an order that leaves: its fill may be heard before its answer."""
        _bounded(self._sent)[request.client_id] = request.side

    def took(self, request: OrderRequest, order_id: str) -> None:
        """Remember the venue's id of an order."""
        if order_id:
            known = _Order(request.client_id, request.side, "")
            _bounded(self._orders)[order_id] = known

    def know(self, row: Row) -> None:
        """Remember an order from its details."""
        update = order_of_row(row)
        known = _Order(update.client_id, update.side, str(row.get("orderSource") or ""))
        _bounded(self._orders)[update.venue_id] = known

    def know_leverage(self, symbol: str, leverage: int) -> None:
        """Take a leverage as read: whoever asked for it tells what has changed."""
        self._leverages[symbol] = leverage

    def _hear_leverage(self, symbol: str, leverage: int) -> None:
        before = self._leverages.get(symbol)
        self._leverages[symbol] = leverage
        if before is not None and before != leverage:
            at_ns = self._desk.now_ms() * MS_NS
            self._desk.tell(LeverageChanged(symbol, at_ns, leverage))

    # events

    def heard(self, message: Mapping[str, Any]) -> bool:
        """Take one raw message; True when it was an event of the account."""
        event = message.get("event")
        if event == "login":
            self._subscribed.clear()
            return False
        told = message.get("arg")
        if not isinstance(told, Mapping):
            return False
        channel = str(told.get("channel", ""))
        if event == "subscribe":
            self._subscribed.add(channel)
            if channel in CHANNELS and self._subscribed.issuperset(CHANNELS):
                self._subscribed.clear()
                self._desk.private_ready()
            return False
        handler = self._handlers.get(channel)
        if handler is None or "data" not in message:
            return False
        handler(message["data"], int(message.get("ts") or self._desk.now_ms()) * MS_NS)
        return True

    def _is_ours(self, symbol: str) -> bool:
        return symbol in self._desk.symbols

    def _on_orders(self, rows: Sequence[Row], _at_ns: int) -> None:
        for row in rows:
            if not self._is_ours(row["instId"]):
                continue
            update = order_of_row(row)
            if update.client_id in self._sent:
                known = _Order(update.client_id, update.side, "")
                _bounded(self._orders)[update.venue_id] = known
            self._desk.tell(update)

    def _on_plans(self, rows: Sequence[Row], at_ns: int) -> None:
        for row in rows:
            if not self._is_ours(row["instId"]):
                continue
            self._book.hear_plan(row)
            self._desk.tell(plan_of_row(row))
            self._plan(row)
            if self._book.held(row["instId"]) is not None:
                self.tell_position(row["instId"], at_ns)

    def _on_fills(self, rows: Sequence[Row], at_ns: int) -> None:
        for row in rows:
            if not self._is_ours(row["symbol"]):
                continue
            elsewhere = fee_elsewhere(row)
            if elsewhere:
                what = f"{row['symbol']}: {elsewhere}, counted as 0 USDT"
                self._desk.note("fee_in_another_coin", what)
            fill = self.named_fill(row)
            if fill is not None:
                self._desk.tell(fill)
            else:
                self._desk.run(self._tell_fill_later(row), f"order of fill {row['tradeId']}")
            if self._book.heard_ns >= at_ns:
                # the position was told before its fill: whoever waits for both hears it again
                self.tell_position(row["symbol"])
        self.refresh_soon()

    def named_fill(self, row: Row) -> Fill | None:
        """Return a fill with its order's name and cause; None when the order is not known."""
        client_id = str(row.get("clientOid") or "")
        if client_id in self._sent:
            side, source = self._sent[client_id], ""
        else:
            order = self._orders.get(str(row["orderId"]))
            if order is None:
                return None
            client_id, side, source = order
        cause = forced_cause(row) or cause_of_source(source)
        return fill_of_row(row, client_id=client_id, side=side, cause=cause)

    async def _tell_fill_later(self, row: Row) -> None:
        """Tell a fill once its order's details are read: the venue made the order, not we."""
        self._desk.tell(await self.looked_up_fill(row))

    async def looked_up_fill(self, row: Row) -> Fill:
        """Return a fill whose order is read first; without it only the row itself speaks."""
        try:
            self.know(await self._detail(row["symbol"], str(row["orderId"])))
        except (VenueRejected, VenueUnavailable) as error:
            self._desk.note("order_of_fill", f"{row['symbol']} {row['orderId']}: {error}")
        fill = self.named_fill(row)
        if fill is not None:
            return fill
        cause = forced_cause(row) or "order"
        return fill_of_row(row, client_id="", side=direction_of(row), cause=cause)

    def _on_positions(self, rows: Sequence[Row], at_ns: int) -> None:
        held = [held_of(row, at_ns) for row in rows]
        changed = self._book.take_positions(held, told_ns=at_ns)
        for one in held:
            if one.leverage and self._is_ours(one.symbol):
                self._hear_leverage(one.symbol, one.leverage)
        for symbol in filter(self._is_ours, changed):
            self.tell_position(symbol, at_ns)
        if changed:
            self.refresh_soon()

    def _on_account(self, rows: Sequence[Row], at_ns: int) -> None:
        for row in rows:
            if row.get("marginCoin") == "USDT" and "unrealizedPL" in row:
                self._desk.tell(self.balance(row, at_ns))
            elif row.get("marginCoin") == "USDT":
                # without what is unrealised the wallet cannot be told
                self.refresh_soon()

    def balance(self, row: Row, at_ns: int) -> BalanceChanged:
        """Return the account's balance from a row of it."""
        isolated = self._desk.margin_mode == "isolated"
        maintenance_usdt = self._book.maintenance_usdt()
        return balance_of(row, isolated=isolated, maintenance_usdt=maintenance_usdt, at_ns=at_ns)

    def tell_position(self, symbol: str, at_ns: int = 0) -> None:
        """Tell a symbol's position as it is now known."""
        if self._book.is_two_sided(symbol):
            sentence = f"{symbol} is long and short at once; hfengine holds one position a symbol"
            self._desk.halt(f"two_sided {symbol}", sentence)
        else:
            self._desk.resume(f"two_sided {symbol}")
        self._desk.tell(self._book.changed(symbol, at_ns))

    # reading

    def refresh_soon(self) -> None:
        """Read positions, plan orders and balance soon."""
        if self._refresh_due:
            return
        self._refresh_due = True

        def fire() -> None:
            self._refresh_due = False
            self._desk.run(self._refresh(), "account")

        self._desk.timers.after(REFRESH_AFTER_MS * MS_NS, fire)

    async def _refresh(self) -> None:
        symbols = list(self._desk.symbols)
        before = {symbol: self._book.changed(symbol) for symbol in symbols}
        balance: BalanceChanged = await self._read()
        for symbol in symbols:
            after = self._book.changed(symbol)
            if replace(after, at_ns=0) != replace(before[symbol], at_ns=0):
                self.tell_position(symbol, self._desk.now_ms() * MS_NS)
        self._desk.tell(balance)


def _bounded(remembered: dict[str, T]) -> dict[str, T]:
    while len(remembered) >= ORDERS_MAX:
        del remembered[next(iter(remembered))]
    return remembered
