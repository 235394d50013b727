"""The resting orders of one position, and what those of a side need, summed as they come and go.

What an order that opens needs depends on no other order, so the sums change by one order at a
time; they are made anew when the mark price or the leverage is another. Orders that only reduce
need nothing.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hfengine.exchange.market import Market
    from hfengine.exchange.orders import Order
    from hfengine.exchange.positions import Position

Piece = tuple[int, int]
"""Steps at ticks: part of what an order is expected to fill at."""


class Share(NamedTuple):
    """What opening takes: margin with fee and open loss, notional it may lead to, steps."""

    margin_units: int
    exposure_units: int
    steps: int


NOTHING = Share(0, 0, 0)


def share(market: "Market", leverage: int, side: int, steps: int, ticks: int) -> Share:
    """Return what opening at a price takes.

    Notional / leverage, the taker fee, and the loss it would have against the mark on filling.
    """
    notional_units = steps * ticks * market.tick_units
    marked_units = market.mark_notional_units(steps)
    margin_units = -(-notional_units // leverage)
    margin_units += market.unit.fee(notional_units, market.taker_fee)
    margin_units += max(side * (notional_units - marked_units), 0)
    return Share(margin_units, max(notional_units, marked_units), steps)


class SideSum:
    """The opening orders of one side, oldest first, and the sum of their shares."""

    __slots__ = ("_shares", "_side", "_terms", "_total", "steps")

    def __init__(self, side: int) -> None:
        self._side = side
        self._shares: dict[Order, Share] = {}
        self._terms: tuple[int, tuple[int, int]] | None = None
        """Leverage and mark that the shares were reckoned with, None where they are no good."""
        self._total = NOTHING
        self.steps = 0
        """What all of them would still fill."""

    def put(self, order: "Order", steps: int) -> None:
        """Count an order with what it has left; a known one keeps its place."""
        old = self._shares.get(order, NOTHING)
        self.steps += steps - old.steps
        if self._terms is not None and self._terms[1] != order.market.mark_ratio:
            self._terms = None
        if self._terms is None or steps == 0:
            new = Share(0, 0, steps)
        else:
            leverage, _ = self._terms
            new = share(order.market, leverage, self._side, steps, order.limit_ticks)
        self._shares[order] = new
        self._add(new, old)

    def drop(self, order: "Order") -> None:
        """Count an order no more."""
        old = self._shares.pop(order)
        self.steps -= old.steps
        self._add(NOTHING, old)

    def needed(self, position: "Position", pieces: Sequence[Piece] = ()) -> Share:
        """Return what `pieces` and then the orders take, beyond closing the opposite position."""
        market, leverage = position.market, position.leverage
        if self._terms != (leverage, market.mark_ratio):
            self._reckon(market, leverage)
        offset = max(-self._side * position.steps, 0)
        margin_units = exposure_units = opening_steps = 0
        for steps, ticks in pieces:
            opening = steps - min(offset, steps)
            offset -= steps - opening
            if opening:
                one = share(market, leverage, self._side, opening, ticks)
                margin_units += one.margin_units
                exposure_units += one.exposure_units
                opening_steps += opening
        rest = self._behind(market, leverage, offset) if offset else self._total
        return Share(
            margin_units + rest.margin_units,
            exposure_units + rest.exposure_units,
            opening_steps + rest.steps,
        )

    def _behind(self, market: "Market", leverage: int, offset: int) -> Share:
        """Return what the orders take of which the first `offset` steps only close."""
        margin_units, exposure_units, steps = self._total
        for order, whole in self._shares.items():
            closing = min(offset, whole.steps)
            offset -= closing
            margin_units -= whole.margin_units
            exposure_units -= whole.exposure_units
            steps -= whole.steps
            if closing < whole.steps:
                opening = whole.steps - closing
                part = share(market, leverage, self._side, opening, order.limit_ticks)
                margin_units += part.margin_units
                exposure_units += part.exposure_units
                steps += part.steps
            if not offset:
                break
        return Share(margin_units, exposure_units, steps)

    def _reckon(self, market: "Market", leverage: int) -> None:
        self._terms = leverage, market.mark_ratio
        self._total = NOTHING
        for order, old in self._shares.items():
            new = old
            if old.steps:
                new = share(market, leverage, self._side, old.steps, order.limit_ticks)
            self._shares[order] = new
            self._add(new, NOTHING)

    def _add(self, new: Share, old: Share) -> None:
        total = self._total
        self._total = Share(
            total.margin_units + new.margin_units - old.margin_units,
            total.exposure_units + new.exposure_units - old.exposure_units,
            total.steps + new.steps - old.steps,
        )


class RestingOrders:
    """A position's resting orders by client id, oldest first."""

    __slots__ = ("_buys", "_orders", "_sells", "reducing")

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self.reducing: dict[str, Order] = {}
        """Those that only reduce."""
        self._buys = SideSum(1)
        self._sells = SideSum(-1)

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[str]:
        return iter(self._orders)

    def __contains__(self, client_id: str) -> bool:
        return client_id in self._orders

    def values(self) -> "Sequence[Order]":
        """Return the orders."""
        return tuple(self._orders.values())

    def opening(self, side: int) -> SideSum:
        """Return those of a side that may open."""
        return self._buys if side > 0 else self._sells

    def add(self, order: "Order") -> None:
        """Take an order in, as the youngest."""
        self._orders[order.client_id] = order
        if order.reduce_only:
            self.reducing[order.client_id] = order
        else:
            self.opening(order.side).put(order, order.remaining_steps)

    def remove(self, order: "Order") -> bool:
        """Let an order go; tell whether it rested."""
        if self._orders.pop(order.client_id, None) is None:
            return False
        if self.reducing.pop(order.client_id, None) is None:
            self.opening(order.side).drop(order)
        return True

    def refresh(self, order: "Order") -> None:
        """Note that what an order has left, or its price, is another; nothing for one not here."""
        if order.client_id in self._orders and not order.reduce_only:
            self.opening(order.side).put(order, order.remaining_steps)

    def hide(self, order: "Order") -> None:
        """Count an order as if it did not rest, until `refresh`; it keeps its place."""
        if order.client_id in self._orders and not order.reduce_only:
            self.opening(order.side).put(order, 0)
