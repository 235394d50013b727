"""Protection that is attached to a position: of the whole of it, or of a part."""

from decimal import Decimal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.admission import on_tick, protection_ticks, trigger_price
from hfengine.exchange.base import ExchangeBase
from hfengine.exchange.clearing import protection_suffix
from hfengine.exchange.market import ZERO
from hfengine.exchange.orders import CONDITIONAL_KINDS, Attachment, Order, PriceSource
from hfengine.exchange.positions import Position
from hfengine.exchange.reports import OrderReport, order_report, position_changed
from hfengine.messages import OrderKind, PositionChanged
from hfengine.requests import Slot

PARTIALS_MAX = 20
"""Attached orders of a part that one position may have, as on Bybit."""


class Protecting(ExchangeBase):
    """Requests about attached protection."""

    def set_protection(
        self,
        account: str,
        symbol: str,
        stop: Decimal,
        target: Decimal,
        by: PriceSource,
        now_ns: int,
        slot: Slot = "net",
        target_by: PriceSource | None = None,
    ) -> PositionChanged:
        """Amend the attached protection of a whole position in place; 0 removes one.

        Both watch `by` unless the target has its own `target_by`.
        """
        position = self._position(account, symbol, slot)
        market = position.market
        self._begin(market, now_ns)
        _check_protectable(position)
        base = trigger_price(market, by)
        target_by = target_by or by
        target_base = base if target_by == by else trigger_price(market, target_by)
        stop_ticks, target_ticks = protection_ticks(
            market, position.side, stop, target, base, target_base
        )
        if self._amend_attached(position.stop, stop_ticks, by, now_ns):
            stop_ticks = 0
        if self._amend_attached(position.target, target_ticks, target_by, now_ns):
            target_ticks = 0
        if stop_ticks or target_ticks:
            base_id = self._next_protection_id()
            self._clearing.attach(position, base_id, Attachment(stop_ticks, 0, by), now_ns)
            wanted = Attachment(0, target_ticks, target_by)
            self._clearing.attach(position, base_id, wanted, now_ns)
        self._clearing.touch(position)
        self._clearing.flush(now_ns)
        return position_changed(position, now_ns)

    def add_protection(
        self,
        account: str,
        symbol: str,
        kind: OrderKind,
        trigger: Decimal,
        by: PriceSource,
        quantity: Decimal,
        now_ns: int,
        slot: Slot = "net",
        price: Decimal = ZERO,
        parent_id: str = "",
    ) -> OrderReport:
        """Attach a stop or target of part of a position; with a price it fires as a limit order.

        It never grows, shrinks to what the position has left and ends with it. A quantity beyond
        the position is cut to it.
        """
        position = self._position(account, symbol, slot)
        market = position.market
        self._begin(market, now_ns)
        _check_protectable(position)
        if kind not in CONDITIONAL_KINDS:
            raise VenueRejected(rejects.TRIGGER_MISSING, f"{kind} is not a conditional kind")
        steps = market.steps_of(quantity)
        if steps is None:
            step = market.instrument.quantity_step
            raise VenueRejected(rejects.OFF_STEP, f"{quantity} is not a multiple of {step}")
        if steps <= 0:
            raise VenueRejected(rejects.BELOW_MIN_QUANTITY, f"{quantity}, want more than 0")
        if not trigger:
            raise VenueRejected(rejects.TRIGGER_MISSING, "protection needs a trigger")
        if sum(1 for one in position.conditionals.values() if one.partial) >= PARTIALS_MAX:
            detail = f"{PARTIALS_MAX} partial stops and targets on {symbol} already"
            raise VenueRejected(rejects.TOO_MANY_CONDITIONAL, detail)
        wanted = (trigger, ZERO) if kind == "stop_market" else (ZERO, trigger)
        base = trigger_price(market, by)
        ticks = protection_ticks(market, position.side, *wanted, base, base)
        order = Order(
            position,
            self._next_protection_id() + protection_suffix(kind),
            kind,
            -position.side,
            min(steps, position.size_steps),
            at_ns=now_ns,
            limit_ticks=on_tick(market, price, "price"),
            reduce_only=True,
            trigger_ticks=max(ticks),
            trigger_by=by,
            attached=True,
            partial=True,
            parent_id=parent_id,
        )
        self._clearing.accept(order)
        self._clearing.touch(position)
        self._clearing.flush(now_ns)
        return order_report(order)

    def _next_protection_id(self) -> str:
        self._protection_count += 1
        return f"position#{self._protection_count}"

    def _amend_attached(
        self, order: Order | None, ticks: int, by: PriceSource, now_ns: int
    ) -> bool:
        """Move or remove an attached order; tell whether there was one."""
        if order is None:
            return False
        if not ticks:
            self._clearing.cancel(order, rejects.CANCELLED_BY_USER, now_ns)
        elif ticks != order.trigger_ticks or by != order.trigger_by:
            order.set_trigger(ticks)
            order.trigger_by, order.at_ns = by, now_ns
            self._clearing.tell(order)
        return True


def _check_protectable(position: Position) -> None:
    symbol = position.market.instrument.symbol
    if not position.steps:
        raise VenueRejected(rejects.NO_POSITION, symbol)
    if position.market.regime == "closed":
        raise VenueRejected(rejects.MARKET_CLOSED, symbol)
