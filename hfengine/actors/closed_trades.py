"""What each position came to, fees and funding included, once it is closed: for CB3."""

from decimal import Decimal
from typing import Final

from hfengine.messages import Fill, PositionChanged

LATE_NS: Final = 1_000_000_000
"""How long a position said to be flat waits for fills told late."""
ZERO: Final = Decimal(0)


class Trade:
    """One position from its first fill on."""

    __slots__ = ("flat_ns", "net_usdt", "quantity")

    def __init__(self, net_usdt: float = 0.0) -> None:
        self.net_usdt = net_usdt
        self.quantity = ZERO
        """Bought less sold, of the fills heard."""
        self.flat_ns = 0
        """Since when the venue says flat; 0 while it is open."""


class ClosedTrades:
    """Follows open positions; each closed one is one result however many fills closed it."""

    def __init__(self) -> None:
        self.open: dict[str, Trade] = {}

    def fill(self, fill: Fill) -> float | None:
        """Take in a fill; return the result of a position it completes, in USDT."""
        trade = self.open.get(fill.symbol)
        opens = fill.cause == "order" and not fill.realised_usdt
        done = None
        if trade is not None and trade.flat_ns and opens:
            # a new position: what was waiting for late fills is over
            done, trade = self._end(fill.symbol), None
        if trade is None:
            if not opens:
                return done
            trade = self.open[fill.symbol] = Trade()
        trade.net_usdt += float(fill.realised_usdt - fill.fee_usdt)
        trade.quantity += fill.side * fill.quantity
        if trade.flat_ns and not trade.quantity:
            return self._end(fill.symbol)
        return done

    def funding(self, symbol: str, funding_usdt: float) -> None:
        """Take in funding, > 0 is paid."""
        trade = self.open.get(symbol)
        if trade is not None:
            trade.net_usdt -= funding_usdt

    def position(self, position: PositionChanged, at_ns: int) -> float | None:
        """Take in what the venue says; return the result of a position that is complete."""
        trade = self.open.get(position.symbol)
        if position.quantity:
            if trade is None:
                trade = self.open[position.symbol] = Trade()
                trade.quantity = position.side * position.quantity
            trade.flat_ns = 0
            return None
        if trade is None:
            return None
        trade.flat_ns = trade.flat_ns or at_ns
        return self._end(position.symbol) if not trade.quantity else None

    def look(self, at_ns: int) -> list[float]:
        """Return the results of positions that have waited long enough for late fills."""
        late = [
            symbol
            for symbol, trade in self.open.items()
            if trade.flat_ns and at_ns - trade.flat_ns >= LATE_NS
        ]
        return [self._end(symbol) for symbol in late]

    def _end(self, symbol: str) -> float:
        return self.open.pop(symbol).net_usdt
