"""Price-time matching against the outside book and the accounts' own resting orders.

At one price the outside queue comes first. Queue ahead of a resting order shrinks only by public
prints at its price; a print through the price fills it whole, an outside book that crosses the
price fills it up to what the crossing levels hold.
"""

from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple

from hfengine.exchange import rejects
from hfengine.exchange.clearing import Clearing
from hfengine.exchange.market import Market
from hfengine.exchange.orders import Order

Piece = tuple[int, int]


class Offer(NamedTuple):
    """Something a taker can trade with; `maker` None is outside liquidity."""

    ticks: int
    steps: int
    maker: Order | None


def offers(market: Market, taker_side: int, limit_ticks: int) -> Iterator[Offer]:
    """Yield what a taker meets, best first, up to its limit (0: none)."""
    outside = (Offer(ticks, steps, None) for ticks, steps in market.outside(-taker_side))
    makers = market.resting(-taker_side)
    everything: Iterator[Offer] = outside
    if makers.best and not (limit_ticks and (makers.best - limit_ticks) * taker_side > 0):
        resting = (
            Offer(order.limit_ticks, order.remaining_steps, order) for order in makers.in_priority()
        )
        everything = merge(outside, resting, key=lambda one: one.ticks * taker_side)
    for offer in everything:
        if limit_ticks and (offer.ticks - limit_ticks) * taker_side > 0:
            return
        yield offer


def preview(order: Order, steps: int) -> list[Piece]:
    """Return the (steps, ticks) an order would take now, leaving out its own account's orders."""
    pieces: list[Piece] = []
    for offer in offers(order.market, order.side, order.limit_ticks):
        if steps <= 0:
            break
        if offer.maker is None or offer.maker.account is not order.account:
            taken = min(offer.steps, steps)
            pieces.append((taken, offer.ticks))
            steps -= taken
    return pieces


class Matching:
    """Executes orders; what they do to accounts is the clearing's."""

    __slots__ = ("_clearing",)

    def __init__(self, clearing: Clearing) -> None:
        self._clearing = clearing

    def execute(self, order: Order, at_ns: int) -> None:
        """Run an order that is live now: take what it may, rest or end the remainder."""
        if order.tif == "post_only" and self._would_take(order):
            self._clearing.cancel(order, rejects.POST_ONLY_WOULD_TAKE, at_ns)
            return
        if order.tif == "fok":
            fillable = sum(steps for steps, _ in preview(order, order.remaining_steps))
            if fillable < order.remaining_steps:
                self._clearing.cancel(order, rejects.FOK_NOT_FILLABLE, at_ns)
                return
        self.take(order, at_ns)
        if not order.is_open:
            return
        if not order.limit_ticks:
            self._clearing.cancel(order, rejects.NO_LIQUIDITY, at_ns)
        elif order.tif in {"ioc", "fok"}:
            self._clearing.cancel(order, rejects.IOC_REMAINDER, at_ns)
        else:
            self._clearing.rest(order)
            if order.state == "triggered":
                self._clearing.set_state(order, "new", at_ns)

    def take(self, order: Order, at_ns: int) -> None:
        """Walk the offers level by level; an own resting order in the way is cancelled."""
        market, clearing = order.market, self._clearing
        for offer in offers(market, order.side, order.limit_ticks):
            if not order.is_open or order.remaining_steps == 0:
                return
            maker = offer.maker
            steps = min(offer.steps, order.remaining_steps)
            if maker is None:
                market.take_outside(-order.side, offer.ticks, steps)
            elif not maker.is_open:
                continue
            elif maker.account is order.account:
                clearing.cancel(maker, rejects.SELF_TRADE, at_ns)
                continue
            else:
                steps = min(steps, maker.remaining_steps)
                clearing.fill(maker, offer.ticks, steps, at_ns, maker=True, cause=maker.cause)
            market.last_ticks = offer.ticks
            clearing.fill(order, offer.ticks, steps, at_ns, maker=False, cause=order.cause)

    def on_print(self, market: Market, ticks: int, steps: int, side: int, at_ns: int) -> None:
        """Let a public trade of taker side `side` reach the resting orders it would have met."""
        for order in tuple(market.resting(-side).in_priority()):
            through = (ticks - order.limit_ticks) * side
            if through < 0:
                return
            if not order.is_open:
                continue
            filled_steps = order.remaining_steps
            if through == 0:
                passed_steps = max(steps - order.ahead_steps, 0)
                order.ahead_steps = max(order.ahead_steps - steps, 0)
                filled_steps = min(filled_steps, passed_steps)
                # what this order took is gone for those behind it, and no longer ahead of them
                steps -= filled_steps
            if filled_steps:
                self._fill_maker(order, order.limit_ticks, filled_steps, at_ns)

    def on_crossing(self, market: Market, side: int, at_ns: int) -> None:
        """Fill resting orders of a side that the outside book has come to cross."""
        for order in tuple(market.resting(side).in_priority()):
            for ticks, available in market.outside(-side):
                if (ticks - order.limit_ticks) * side > 0 or not order.is_open:
                    break
                steps = min(available, order.remaining_steps)
                if steps:
                    market.take_outside(-side, ticks, steps)
                    market.last_ticks = order.limit_ticks
                    self._fill_maker(order, order.limit_ticks, steps, at_ns)

    def _fill_maker(self, order: Order, ticks: int, steps: int, at_ns: int) -> None:
        self._clearing.fill(order, ticks, steps, at_ns, maker=True, cause=order.cause)

    def _would_take(self, order: Order) -> bool:
        return next(offers(order.market, order.side, order.limit_ticks), None) is not None
