"""What an account's fills add up to: by order, and by position from its opening to its end."""

from decimal import Decimal

from hfengine.exchange.core import Exchange
from hfengine.exchange.reports import FillReport
from hfengine.localvenue.bitget.figures import ZERO, per
from hfengine.requests import Slot


class Round:
    """One position from its opening to its end; fees are positive where paid."""

    def __init__(self, first: FillReport) -> None:
        self.first_fill_id = int(first.fill.fill_id)
        self.symbol = first.fill.symbol
        self.slot: Slot = first.slot
        self.side = first.fill.side
        self.opened_ns = self.ended_ns = first.fill.at_ns
        self.held = self.opened = self.closed = ZERO
        self.opened_usdt = self.closed_usdt = ZERO
        self.open_fee_usdt = self.close_fee_usdt = self.achieved_usdt = ZERO

    def take(self, report: FillReport) -> Decimal:
        """Add a fill; return how much of it is left for a position on the other side."""
        fill = report.fill
        self.ended_ns = fill.at_ns
        if fill.side == self.side:
            self._open(report, fill.quantity)
            return ZERO
        closed = min(fill.quantity, self.held)
        self.held -= closed
        self.closed += closed
        self.closed_usdt += closed * fill.price
        self.close_fee_usdt += fill.fee_usdt * per(closed, fill.quantity)
        self.achieved_usdt += fill.realised_usdt
        return fill.quantity - closed

    def turn(self, report: FillReport, quantity: Decimal) -> None:
        """Begin with what a fill left after it closed the position before."""
        self._open(report, quantity)

    def _open(self, report: FillReport, quantity: Decimal) -> None:
        fill = report.fill
        self.held += quantity
        self.opened += quantity
        self.opened_usdt += quantity * fill.price
        self.open_fee_usdt += fill.fee_usdt * per(quantity, fill.quantity)


class Tally:
    """One account's fills, counted once each; every read first counts those that are new."""

    def __init__(self, exchange: Exchange, account: str) -> None:
        self._exchange = exchange
        self._account = account
        self._last = 0
        self._by_order: dict[str, Decimal] = {}
        self._running: dict[tuple[str, Slot], Round] = {}
        self._ended: list[Round] = []

    def realised(self, venue_id: str) -> Decimal:
        """Return what the fills of an order realised, before fees."""
        self._catch_up()
        return self._by_order.get(venue_id, ZERO)

    def running(self, symbol: str, slot: Slot) -> Round | None:
        """Return the open position of a slot, None when it is flat."""
        self._catch_up()
        return self._running.get((symbol, slot))

    def ended(self) -> list[Round]:
        """Return the positions that are over, oldest end first."""
        self._catch_up()
        return self._ended

    def _catch_up(self) -> None:
        for report in self._exchange.fill_reports(self._account, after=self._last):
            self._last = int(report.fill.fill_id)
            self._take(report)

    def _take(self, report: FillReport) -> None:
        realised = self._by_order.get(report.venue_id, ZERO)
        self._by_order[report.venue_id] = realised + report.fill.realised_usdt
        key = (report.fill.symbol, report.slot)
        current = self._running.get(key)
        if current is None:
            current = self._running[key] = Round(report)
        left = current.take(report)
        if current.held:
            return
        self._ended.append(current)
        del self._running[key]
        if left:
            self._running[key] = Round(report)
            self._running[key].side = report.fill.side
            self._running[key].turn(report, left)
