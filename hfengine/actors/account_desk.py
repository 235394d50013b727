"""Reads the account, one reading at a time, and takes what is not older than the stream's word."""

from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from hfengine.actors.fill_memory import FillMemory
from hfengine.actors.order_desk import OrderDesk
from hfengine.actors.orders import flat_position
from hfengine.actors.reconciliation import AccountReading, Believed, Reconciliation
from hfengine.actors.refused_exits import RefusedExits
from hfengine.actors.wiring import WiredActor
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import BalanceChanged, Fill, OrderUpdate, PositionChanged, Timer
from hfengine.oversight import OpenOrders
from hfengine.runtime.actor import Outcome
from hfengine.venues.port import Venue

RETRY_NS: Final = 1_000_000_000
ACCOUNT: Final = "account"
RECONCILE: Final = "reconcile"

Read = tuple[list[Fill], list[PositionChanged], list[OrderUpdate], BalanceChanged]


class Asked(NamedTuple):
    """When a reading began, and how often the stream had spoken of each symbol by then."""

    began_ns: int
    spoken: Counter[str]


async def read_account(venue: Venue) -> Read:
    """Read fills, positions, open orders and balance, in this order."""
    return (
        await venue.fills(),
        await venue.positions(),
        await venue.open_orders(),
        await venue.balance(),
    )


class AccountDesk:
    """The account as last heard or read, and who has to hear of a reading."""

    def __init__(
        self,
        actor: WiredActor,
        fills: FillMemory,
        refused_exits: RefusedExits,
        take_fill: Callable[[Fill], None],
        take_position: Callable[[PositionChanged], None],
    ) -> None:
        self._actor = actor
        self._venue = actor.wiring.venue
        self._symbols = actor.settings.symbols
        self._fills = fills
        self._refused_exits = refused_exits
        self._take_fill = take_fill
        self._take_position = take_position
        self._reconciliation = Reconciliation(actor.wiring, actor.publish)
        self.positions: dict[str, PositionChanged] = {}
        self._spoken: Counter[str] = Counter()
        """Symbol -> positions the stream told: what was read meanwhile is old news."""
        self._is_reading = False
        self._ask_again = False
        self._retry_due = False
        self.readings = 0

    def begin(self) -> None:
        """Read again and again at the profile's interval."""
        interval_ns = int(self._actor.settings.recovery.reconcile_s * 1e9)
        self._actor.tell_every_ns(interval_ns, Timer(RECONCILE))

    def ask(self) -> None:
        """Read the account now; where a reading is under way, once more after it."""
        if self._is_reading:
            self._ask_again = True
            return
        self._is_reading, self._ask_again = True, False
        asked = Asked(self._actor.clock.now_ns(), self._spoken.copy())
        self._actor.run(read_account(self._venue), tag=(ACCOUNT, asked))

    def ask_later(self) -> None:
        """Read the account in a while, once however often it is wished for."""
        if not self._retry_due:
            self._retry_due = True
            self._actor.tell_after_ns(RETRY_NS, Timer(ACCOUNT))

    def on_timer(self) -> None:
        """Read what could not be read, or must be read again."""
        self._retry_due = False
        self.ask()

    def hear(self, position: PositionChanged) -> None:
        """Take a position that the stream told."""
        self._spoken[position.symbol] += 1
        self._take_position(position)

    def spoken_of(self, symbol: str) -> int:
        """Return how often a position of the symbol was told: what is asked now is newer."""
        return self._spoken[symbol]

    def answered(self, position: PositionChanged, spoken: int, orders: OrderDesk) -> None:
        """Take the position an amendment was answered with, unless one was told since.

        Where a fill waits for its position the answer may be the older of the two.
        """
        symbol = position.symbol
        if self._spoken[symbol] == spoken and symbol not in orders.awaited():
            self.hear(position)

    def read(self, asked: Asked, outcome: Outcome, orders: OrderDesk) -> bool:
        """Take a reading; False when there was none, which is tried again."""
        self._is_reading = False
        error = outcome.error
        if isinstance(error, VenueRejected | VenueUnknown | VenueUnavailable | CancelledError):
            self.ask_later()
            return False
        if error is not None:
            raise error
        self.readings += 1
        fills, positions, open_orders, balance = outcome.result
        began_ns, publish = asked.began_ns, self._actor.publish
        self._compare(asked, outcome.result, orders)
        for fill in fills:
            self._take_fill(fill)
        held = {position.symbol for position in positions}
        at_ns = self._actor.clock.now_ns()
        flat = [flat_position(s, at_ns) for s in self._symbols if s not in held]
        flying, moving = orders.flying(), orders.moving()
        for position in [*positions, *flat]:
            # an order on its way makes what was read old news; the stream tells the new
            if position.symbol not in moving and not self._is_old_news(position.symbol, asked):
                self._take_position(position)
        orders.read_through(began_ns)
        publish(balance)
        publish(OpenOrders(began_ns, tuple(open_orders)))
        self._fills.read_through(began_ns)
        if self._refused_exits.judge(self.positions, began_ns, flying):
            self.ask_later()
        if self._ask_again:
            self.ask()
        return True

    def _is_old_news(self, symbol: str, asked: Asked) -> bool:
        return self._spoken[symbol] != asked.spoken.get(symbol, 0)

    def _compare(self, asked: Asked, read: Read, orders: OrderDesk) -> None:
        fills, positions, open_orders, balance = read
        unsettled = orders.flying() | {s for s in self._spoken if self._is_old_news(s, asked)}
        believed = Believed(
            positions=self.positions,
            open_orders={id_: intent.source.symbol for id_, intent in orders.live.items()},
            heard_fills=self._fills.heard_of(fills),
            unsettled=unsettled,
        )
        reading = AccountReading(
            asked.began_ns, tuple(fills), tuple(positions), tuple(open_orders), balance
        )
        self._reconciliation.compare(reading, believed)
