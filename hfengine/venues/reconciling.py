"""Reads an account by REST and tells what its stream lost."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hfengine.messages import Message, OrderUpdate, PositionChanged
from hfengine.venues.account_view import AccountView, flat, key_of
from hfengine.venues.quirks import Quirks

DOUBTED_MS: Final = 2_000
"""A list may lag behind the stream: what contradicts news so fresh must be read twice."""

NS_A_MS: Final = 1_000_000
DOUBTLESS: Final = (0, Decimal(-1))

Size = tuple[int, Decimal] | None
"""Side and quantity of a position, None where there is none."""

OVERLAP_MS: Final = 60_000
"""Executions may be listed late: each reading begins so long before the last one."""


class Reconciler:
    """Compares what the venue says with what was told, for one account."""

    def __init__(
        self,
        quirks: Quirks,
        view: AccountView,
        *,
        tell: Callable[[Message], None],
        now_ms: Callable[[], int],
    ) -> None:
        self.since_ms = 0
        """Executions before this are not of this session."""
        self.rounds = 0
        self.found = 0
        """Events the stream had not told when they were read."""
        self._cursor_ms = 0
        self._doubted: dict[str, Size] = {}
        """Symbol -> what the last reading said against fresh news."""
        self._quirks = quirks
        self._view = view
        self._tell = tell
        self._now_ms = now_ms

    async def read_fills(self) -> None:
        """Tell every execution and funding since the cursor that was not told."""
        asked_ms = self._now_ms()
        start_ms = max(self.since_ms, self._cursor_ms - OVERLAP_MS)
        for event in await self._quirks.fills_since(start_ms):
            self._found(event)
        self._cursor_ms = asked_ms

    async def reconcile(self) -> bool:
        """Read all and tell what differs; False when a symbol moved or is in doubt: look again."""
        await self.read_fills()
        before = self._view.told.copy()
        orders = await self._quirks.open_orders()
        positions = await self._quirks.positions()
        balance = await self._quirks.balance()
        moved = {s for s, count in self._view.told.items() if count != before[s]}
        await self._take_orders(orders, moved)
        moved |= self._take_positions(positions, moved)
        if not moved:
            told = self._view.balance
            self.found += told is not None and told.wallet_usdt != balance.wallet_usdt
            self._tell(balance)
        self.rounds += 1
        return not moved

    async def _take_orders(self, orders: list[OrderUpdate], moved: set[str]) -> None:
        view = self._view
        for update in orders:
            if update.symbol not in moved and view.order_differs(update):
                self._found(update)
        listed = {key_of(update) for update in orders}
        for key, told in list(view.open_orders.items()):
            if key in listed or told.symbol in moved:
                continue
            ended = None
            if told.client_id:
                ended = await self._quirks.order_by_id(told.symbol, told.client_id)
            if view.open_orders.get(key) is not told:
                continue
            if ended is not None:
                self._found(ended)
            else:
                # an order without an id of ours that is not listed any more has ended somehow
                view.open_orders.pop(key)

    def _take_positions(self, positions: list[PositionChanged], moved: set[str]) -> set[str]:
        """Tell what differs; return the symbols that are in doubt."""
        view = self._view
        doubted: dict[str, Size] = {}
        for position in positions:
            if position.symbol not in moved and view.differs(position):
                self._believe(position.symbol, position, doubted)
        held = {position.symbol for position in positions}
        for symbol, told in list(view.positions.items()):
            if told.quantity and symbol not in held and symbol not in moved:
                self._believe(symbol, None, doubted)
        self._doubted = doubted
        return set(doubted)

    def _believe(self, symbol: str, read: PositionChanged | None, doubted: dict[str, Size]) -> None:
        """Tell what was read, unless it contradicts fresh news for the first time."""
        told = self._view.positions.get(symbol)
        now_ms = self._now_ms()
        size = None if read is None else (read.side, read.quantity)
        is_fresh = told is not None and now_ms - told.at_ns // NS_A_MS < DOUBTED_MS
        differs = told is not None and (told.side, told.quantity) != size
        if is_fresh and differs and self._doubted.get(symbol, DOUBTLESS) != size:
            doubted[symbol] = size
        elif read is not None:
            self._found(read)
        elif told is not None:
            self._found(flat(told, now_ms * NS_A_MS))

    def _found(self, event: Message) -> None:
        before = self._view.repeats
        self._tell(event)
        self.found += self._view.repeats == before
