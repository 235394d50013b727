"""What a session and a day add up to: sums that outlive the actors that write them."""

from decimal import Decimal


class Tally:
    """Counts by message and gate, and the exact money of the fills heard."""

    __slots__ = (
        "counts",
        "fee_warnings",
        "fees_usdt",
        "fill_causes",
        "funding_usdt",
        "gross_usdt",
        "refusals",
    )

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.fill_causes: dict[str, int] = {}
        self.fee_warnings: dict[str, int] = {}
        self.gross_usdt = Decimal(0)
        self.fees_usdt = Decimal(0)
        self.funding_usdt = Decimal(0)


class DayResult:
    """Realised profit less fees and funding of the current UTC day, in USDT."""

    __slots__ = ("_day", "_net_usdt")

    DAY_NS = 86_400_000_000_000

    def __init__(self) -> None:
        self._day = 0
        self._net_usdt = 0.0

    def add(self, at_ns: int, change_usdt: float) -> None:
        """Take a gain (> 0) or loss of the day that `at_ns` lies in."""
        self._turn(at_ns)
        self._net_usdt += change_usdt

    def loss_usdt(self, at_ns: int) -> float:
        """Return what the day has lost so far; negative when it has gained."""
        self._turn(at_ns)
        return -self._net_usdt

    def _turn(self, at_ns: int) -> None:
        day = at_ns // self.DAY_NS
        if day != self._day:
            self._day = day
            self._net_usdt = 0.0
