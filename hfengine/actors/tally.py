"""What a session and a day add up to: sums that outlive the actors that write them."""

from decimal import Decimal


class Tally:
    """Counts by message and gate, and the exact money of the fills heard."""

    __slots__ = (
        "breakers",
        "counts",
        "differences",
        "fee_warnings",
        "fees_usdt",
        "fill_causes",
        "funding_usdt",
        "gross_usdt",
        "refusals",
        "repairs",
    )

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.fill_causes: dict[str, int] = {}
        self.fee_warnings: dict[str, int] = {}
        self.breakers: dict[str, int] = {}
        self.repairs: dict[str, int] = {}
        self.differences: dict[str, int] = {}
        self.gross_usdt = Decimal(0)
        self.fees_usdt = Decimal(0)
        self.funding_usdt = Decimal(0)

    @property
    def net_usdt(self) -> Decimal:
        """Return what all of it came to."""
        return self.gross_usdt - self.fees_usdt - self.funding_usdt


class DayResult:
    """Realised profit less fees and funding: of the current UTC day and in all, in USDT.

    It outlives the risk actor that writes it.
    """

    __slots__ = ("_day", "_day_usdt", "_total_usdt", "begun")

    DAY_NS = 86_400_000_000_000

    def __init__(self) -> None:
        self._day = 0
        self._day_usdt: dict[str, float] = {}
        self._total_usdt: dict[str, float] = {}
        self.begun = False
        """A risk actor of this process has been here before."""

    def add(self, at_ns: int, change_usdt: float, symbol: str = "") -> None:
        """Take a gain (> 0) or loss of the day that `at_ns` lies in; an earlier day's only counts
        in all."""
        self._turn(at_ns)
        if at_ns // self.DAY_NS == self._day:
            self._day_usdt[symbol] = self._day_usdt.get(symbol, 0.0) + change_usdt
        self._total_usdt[symbol] = self._total_usdt.get(symbol, 0.0) + change_usdt

    def loss_usdt(self, at_ns: int, symbol: str | None = None) -> float:
        """Return what the day has lost so far, < 0 when it has gained; of one symbol or all."""
        self._turn(at_ns)
        return -_sum_of(self._day_usdt, symbol)

    def total_loss_usdt(self) -> float:
        """Return what has been lost since the account was first traded."""
        return -_sum_of(self._total_usdt, None)

    def by_symbol(self, at_ns: int) -> tuple[int, dict[str, float], dict[str, float]]:
        """Return the day since the epoch and the results of it and in all, symbol by symbol."""
        self._turn(at_ns)
        return self._day, dict(self._day_usdt), dict(self._total_usdt)

    def restore(self, day: int, day_usdt: dict[str, float], total_usdt: dict[str, float]) -> None:
        """Go on from what an earlier process remembered."""
        self._day, self._day_usdt, self._total_usdt = day, dict(day_usdt), dict(total_usdt)

    def _turn(self, at_ns: int) -> None:
        day = at_ns // self.DAY_NS
        if day > self._day:
            self._day = day
            self._day_usdt.clear()


def _sum_of(results_usdt: dict[str, float], symbol: str | None) -> float:
    if symbol is not None:
        return results_usdt.get(symbol, 0.0)
    return sum(results_usdt.values())
