"""Compares an account as read from the venue with what was believed of it; the venue is right.

What differs is told, each difference once until it changes, and so is every position whose entry
this run did not see. Execution takes what was read; the guardian acts on orders that protect, on
foreign ones and on adopted positions. Only a resting entry of an earlier run is cancelled from
here: nobody else knows that nobody waits for it.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from hfengine.actors.held import KEY, HeldMemory, memory_of
from hfengine.actors.wiring import Wiring
from hfengine.messages import BalanceChanged, Fill, Halt, Message, OrderUpdate, PositionChanged
from hfengine.oversight import Adopted, CancelOrder, Difference

PREFIX: Final = "hf-"
"""Every client id of this system begins so, of whichever session."""

FRESH_NS: Final = 2_000_000_000
"""A fill so young is on its way by the stream; only an older one counts as not heard."""

UNKNOWN_POSITION: Final = "unknown_position"
ENTRY_APART: Final = Decimal("0.005")
"""Relative: the fills of one entry lie closer together, another position's entry seldom does."""
TAKEN: Final = "the venue's is taken"
FLAT: Final = "flat"
NOTHING: Final = Decimal(0)

Subject = Literal["position", "order", "fill", "balance", "leverage"]


class AccountReading(Struct, frozen=True):
    """One reading of an account; `at_ns` is when it began, by the engine's clock."""

    at_ns: int
    fills: tuple[Fill, ...]
    positions: tuple[PositionChanged, ...]
    open_orders: tuple[OrderUpdate, ...]
    balance: BalanceChanged


class Believed(Struct, frozen=True):
    """What execution believes when a reading is in and nothing of it has been taken yet.

    `open_orders` are client id -> symbol of the orders known to be open or under way. `unsettled`
    are the symbols an order is under way for, or that the stream told of since the reading began:
    what was read of them is old news.
    """

    positions: Mapping[str, PositionChanged]
    open_orders: Mapping[str, str]
    heard_fills: AbstractSet[str]
    unsettled: AbstractSet[str] = frozenset()


class Reconciliation:
    """What was told of one account's differences, so that none is told twice."""

    def __init__(self, wiring: Wiring, publish: Callable[[Message], None]) -> None:
        self._wiring = wiring
        self._publish = publish
        self._recovery = wiring.settings.recovery
        self._told: dict[tuple[Subject, str], tuple[str, str]] = {}
        self._standing: set[tuple[Subject, str]] = set()
        """What differs by the reading being compared."""
        self._judged: dict[str, int] = {}
        """Symbol -> side of a position whose origin was looked for."""
        self._missing: set[str] = set()
        """Open orders the last reading did not list: a list may lag behind."""
        self._orphans: set[str] = set()
        self._counted: frozenset[str] = frozenset()
        self._earned_usdt = NOTHING
        self._wallet: dict[str, Decimal] = {}
        """Venue -> wallet less everything earned, as the last reading had it."""
        self._wallet_agreed: dict[str, Decimal] = {}
        """The same, as two readings in a row had it."""

    def compare(self, read: AccountReading, believed: Believed) -> None:
        """Publish a Difference for all that differs, and Adopted for what this run did not open.

        Call it before anything of the reading is taken. The same reading twice says nothing new.
        """
        self._standing = set()
        heard_all = self._fills(read, believed)
        self._positions(read, believed)
        self._orders(read, believed)
        self._balance(read, settled=heard_all and not believed.unsettled)
        kept = self._standing | {key for key in self._told if key[0] == "balance"}
        kept |= {key for key in self._told if key[1] in believed.unsettled}
        self._told = {key: text for key, text in self._told.items() if key in kept}

    def _tell(
        self, read: AccountReading, symbol: str, differs: tuple[Subject, str, str, str], policy: str
    ) -> None:
        subject, key, ours, venues = differs
        self._standing.add((subject, key))
        if self._told.get((subject, key)) != (ours, venues):
            self._told[subject, key] = (ours, venues)
            self._publish(Difference(read.at_ns, symbol, subject, ours, venues, policy))

    # fills

    def _fills(self, read: AccountReading, believed: Believed) -> bool:
        """Tell old fills that were not heard; return whether none is unheard, old or young."""
        missing = unheard(read.fills, believed.heard_fills)
        for fill in missing:
            if fill.at_ns <= read.at_ns - FRESH_NS and fill.symbol not in believed.unsettled:
                self._tell(
                    read, fill.symbol, ("fill", fill.fill_id, "not heard", shown_fill(fill)), TAKEN
                )
        return not missing

    # positions

    def _positions(self, read: AccountReading, believed: Believed) -> None:
        held = {position.symbol: position for position in read.positions if position.quantity}
        for symbol in self._wiring.instruments:
            known, found = believed.positions.get(symbol), held.get(symbol)
            if symbol in believed.unsettled or (known is not None and known.at_ns > read.at_ns):
                continue
            ours, venues = shown_position(known), shown_position(found)
            if known is not None and ours != venues:
                self._tell(read, symbol, ("position", symbol, ours, venues), TAKEN)
            if found is None:
                self._judged.pop(symbol, None)
            elif self._judged.get(symbol) != found.side:
                self._judged[symbol] = found.side
                self._judge(read, found)

    def _judge(self, read: AccountReading, found: PositionChanged) -> None:
        """Say whose a position is, unless an order of this run opened it."""
        opener = opener_of(found, read.fills)
        by = "" if opener is None else opener.client_id
        if self._wiring.order_ids.is_ours(by):
            return
        opening = remembered(self._wiring.recalled.get(f"{KEY}{found.symbol}", b""), found)
        if opener is not None and opening is not None:
            is_older = opening.opened_ns < opener.at_ns - FRESH_NS
            if is_older or not by.startswith(PREFIX):
                # what memory holds is of a position before this one
                opening = None
        policy = self._recovery.unknown_position
        if opening is not None or by.startswith(PREFIX):
            policy = "adopt"
        first_ns = read.at_ns if opener is None else opener.at_ns
        self._publish(
            Adopted(
                found.symbol,
                read.at_ns,
                found.side,
                found.quantity,
                found.entry,
                opening is not None,
                policy,
                first_ns if opening is None else opening.opened_ns,
                _known(opening, "entry_drift"),
                _known(opening, "entry_confidence"),
                _known(opening, "half_life_s"),
            )
        )
        if policy == "halt":
            reason = f"{found.symbol}: {shown_position(found)} was not opened by this engine"
            self._publish(Halt(read.at_ns, UNKNOWN_POSITION, reason))

    # orders

    def _orders(self, read: AccountReading, believed: Believed) -> None:
        listed = {order.client_id for order in read.open_orders}
        orphans = set()
        for order in read.open_orders:
            known = order.client_id in believed.open_orders
            if known or order.symbol in believed.unsettled or is_protective(order):
                continue
            if order.symbol not in self._wiring.instruments:
                continue
            key = order.client_id or order.venue_id
            if order.client_id.startswith(PREFIX):
                orphans.add(key)
                self._orphan(read, order, key)
            else:
                differs: tuple[Subject, str, str, str]
                differs = ("order", key, "not ours", shown_order(order))
                self._tell(read, order.symbol, differs, self._recovery.foreign_orders)
        self._orphans = orphans
        missing = {
            client_id
            for client_id, symbol in believed.open_orders.items()
            if client_id not in listed and symbol not in believed.unsettled
        }
        for client_id in sorted(missing & self._missing):
            symbol = believed.open_orders[client_id]
            self._tell(
                read, symbol, ("order", client_id, f"{client_id} open", "not listed"), "looked up"
            )
        self._missing = missing

    def _orphan(self, read: AccountReading, order: OrderUpdate, key: str) -> None:
        """Cancel an order of ours that nobody waits for; one of this run only when seen twice."""
        self._tell(read, order.symbol, ("order", key, "not known", shown_order(order)), "cancelled")
        if key in self._orphans or not self._wiring.order_ids.is_ours(order.client_id):
            reason = "an order of ours that nothing waits for"
            self._publish(
                CancelOrder(order.symbol, read.at_ns, order.client_id, order.venue_id, reason)
            )

    # the wallet

    def _balance(self, read: AccountReading, *, settled: bool) -> None:
        """Tell a change of the wallet that fills and funding do not explain, seen twice alike."""
        for fill in read.fills:
            if fill.fill_id not in self._counted:
                self._earned_usdt += fill.realised_usdt - fill.fee_usdt
        self._counted = frozenset(fill.fill_id for fill in read.fills)
        venue, wallet = read.balance.venue, read.balance.wallet_usdt
        rest = wallet - self._earned_usdt + self._wiring.tally.funding_usdt
        before, self._wallet[venue] = self._wallet.get(venue), rest
        if not settled or before != rest:
            return
        agreed = self._wallet_agreed.get(venue)
        self._wallet_agreed[venue] = rest
        if agreed is not None and agreed != rest:
            self._tell(
                read,
                "",
                (
                    "balance",
                    venue,
                    f"wallet {wallet - rest + agreed} by fills and funding",
                    f"wallet {wallet}",
                ),
                TAKEN,
            )


def unheard(fills: Iterable[Fill], heard: AbstractSet[str]) -> list[Fill]:
    """Return the fills not heard yet, each once, the oldest first."""
    found = {fill.fill_id: fill for fill in fills if fill.fill_id not in heard}
    return sorted(found.values(), key=lambda fill: fill.at_ns)


def opener_of(position: PositionChanged, fills: Iterable[Fill]) -> Fill | None:
    """Return the fill that opened a position; None where it is older than the fills.

    Followed back from the position as it is now: the fill before which there was none, or one of
    the other side.
    """
    left = position.side * position.quantity
    own = {fill.fill_id: fill for fill in fills if fill.symbol == position.symbol}
    for fill in sorted(own.values(), key=lambda fill: fill.at_ns, reverse=True):
        left -= fill.side * fill.quantity
        if left * position.side <= 0:
            return fill
    return None


def remembered(body: bytes, found: PositionChanged) -> HeldMemory | None:
    """Return what is kept of a position's entry; None where it is not this one, or not ours.

    The rebalancer, whose key it is, tells of a body that cannot be read.
    """
    try:
        memory = memory_of(body)
    except ValueError:
        return None
    if memory is None or memory.side != found.side or memory.entry_drift is None:
        return None
    apart = abs(memory.entry - found.entry) if memory.entry else NOTHING
    return memory if apart <= ENTRY_APART * found.entry else None


def _known(opening: HeldMemory | None, name: str) -> float:
    return getattr(opening, name, None) or 0.0


def is_protective(order: OrderUpdate) -> bool:
    """Tell whether an order only takes a position off when triggered: the guardian judges it."""
    return order.reduce_only and order.trigger > 0


def shown_position(position: PositionChanged | None) -> str:
    """Return side and quantity in words."""
    if position is None or not position.quantity:
        return FLAT
    return f"{'long' if position.side > 0 else 'short'} {position.quantity.normalize():f}"


def shown_order(order: OrderUpdate) -> str:
    """Return an open order in words."""
    word = "buy" if order.side > 0 else "sell"
    named = order.client_id or order.venue_id
    trigger = f" from {order.trigger}" if order.trigger else ""
    return f"{named}: {word} {order.quantity} {order.kind} at {order.price}{trigger}, {order.state}"


def shown_fill(fill: Fill) -> str:
    """Return a fill in words."""
    word = "buy" if fill.side > 0 else "sell"
    return (
        f"{fill.fill_id}: {word} {fill.quantity} at {fill.price} ({fill.client_id or 'not ours'})"
    )
