"""Open orders that nothing needs: protection without a position, and orders of somebody else.

An order is this system's by its prefix, whichever session sent it. Protection that the venue made
itself has no id of ours: what can only close is protection, whoever placed it, and never foreign.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

from hfengine.messages import Halt, Message, OrderUpdate, PositionChanged, Resume
from hfengine.oversight import CancelOrder, OpenOrders, Repair

PREFIX: Final = "hf-"
SOURCE: Final = "foreign_order"
"""Of the halt under `foreign_orders = "halt"`."""

CONDITIONAL: Final = ("stop_market", "take_profit_market")


class Orphans:
    """Judges each reading of the open orders; remembers what it has seen and told."""

    def __init__(
        self, policy: Literal["leave", "cancel", "halt"], publish: Callable[[Message], None]
    ) -> None:
        self._policy = policy
        self._publish = publish
        self._suspects: dict[str, int] = {}
        """Order -> the reading that showed it first, for what seems to protect nothing."""
        self._told: set[str] = set()
        """Foreign orders told of, until they are gone."""
        self._halted = False

    def judge(
        self,
        read: OpenOrders,
        positions: Mapping[str, PositionChanged],
        busy: Callable[[str], bool],
        now_ns: int,
    ) -> None:
        """Cancel protection of nothing when two readings show it; treat foreign ones by policy.

        `positions` has the symbols traded here, flat ones too, and no other symbol is looked at;
        of a `busy` one nothing can be said: an entry is on its way.
        """
        suspects, foreign = {}, set()
        for order in read.orders:
            position = positions.get(order.symbol)
            if position is None:
                continue
            key = f"{order.symbol} {order.venue_id or order.client_id}"
            if _only_closes(order):
                if busy(order.symbol) or _protects(order, position):
                    continue
                suspects[key] = self._suspects.get(key, read.at_ns)
                if suspects[key] < read.at_ns:
                    self._bury(order, now_ns)
            elif not order.client_id.startswith(PREFIX):
                foreign.add(key)
                self._meet(order, key, now_ns)
        self._suspects = suspects
        self._told &= foreign
        if self._halted and not foreign:
            self._halted = False
            self._publish(Resume(now_ns, SOURCE))

    def _bury(self, order: OrderUpdate, now_ns: int) -> None:
        found = f"{shown(order)} protects no position"
        self._publish(Repair(order.symbol, now_ns, "zombie", found, "cancel"))
        self._publish(_cancelling(order, now_ns, "protects no position"))

    def _meet(self, order: OrderUpdate, key: str, now_ns: int) -> None:
        is_new = key not in self._told
        self._told.add(key)
        if is_new:
            found = f"{shown(order)} would open; this system did not place it"
            self._publish(Repair(order.symbol, now_ns, "foreign", found, self._policy))
        if self._policy == "cancel":
            # again with every reading that shows it: a cancel may be lost
            self._publish(_cancelling(order, now_ns, "not placed by this system"))
        elif self._policy == "halt" and is_new:
            self._halted = True
            self._publish(Halt(now_ns, SOURCE, f"{order.symbol}: {shown(order)} is foreign"))


def _only_closes(order: OrderUpdate) -> bool:
    """Tell whether an order can only take a position off.

    A conditional order with our prefix is a stop or target even where its row does not say so.
    """
    is_ours = order.client_id.startswith(PREFIX)
    return order.reduce_only or (is_ours and order.kind in CONDITIONAL)


def _protects(order: OrderUpdate, position: PositionChanged) -> bool:
    return bool(position.quantity) and order.side == -position.side


def _cancelling(order: OrderUpdate, now_ns: int, reason: str) -> CancelOrder:
    return CancelOrder(order.symbol, now_ns, order.client_id, order.venue_id, reason)


def shown(order: OrderUpdate) -> str:
    """Return an order in words."""
    word = "buy" if order.side > 0 else "sell"
    at = f"from {order.trigger}" if order.trigger else f"at {order.price}"
    named = order.client_id or order.venue_id
    return f"{order.kind} {named}: {word} {order.quantity} {at}"
