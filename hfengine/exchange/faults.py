"""What an exchange does to an account that did not ask for it."""

from decimal import Decimal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.base import ExchangeBase
from hfengine.exchange.positions import Position
from hfengine.exchange.reports import OrderReport, order_report
from hfengine.requests import Slot


class Faults(ExchangeBase):
    """Auto-deleveraging and liquidation on demand, for rehearsals."""

    def force_adl(
        self, account: str, symbol: str, quantity: Decimal, now_ns: int, slot: Slot = "net"
    ) -> OrderReport:
        """Close `quantity` of a position (0 or too much: all) at the mark, free of fee."""
        position = self._held(account, symbol, slot, now_ns)
        steps = position.market.steps_of(quantity)
        if steps is None or steps < 0:
            step = position.market.instrument.quantity_step
            raise VenueRejected(rejects.OFF_STEP, f"{quantity} is not a multiple of {step}")
        size = position.size_steps
        order = self._liquidator.deleverage(position, min(steps or size, size), now_ns)
        self._settle(position.market, now_ns)
        return order_report(order)

    def force_liquidation(
        self, account: str, symbol: str, now_ns: int, slot: Slot = "net"
    ) -> OrderReport:
        """Liquidate a position now: isolated at its bankruptcy price, cross at the mark."""
        position = self._held(account, symbol, slot, now_ns)
        order = self._liquidator.liquidate(position, now_ns)
        self._settle(position.market, now_ns)
        return order_report(order)

    def _held(self, account: str, symbol: str, slot: Slot, now_ns: int) -> Position:
        position = self._position(account, symbol, slot)
        self._begin(position.market, now_ns)
        if not position.steps:
            raise VenueRejected(rejects.NO_POSITION, symbol)
        return position
