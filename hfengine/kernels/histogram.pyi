def now_ns() -> int:
    """Return CLOCK_MONOTONIC in nanoseconds: the engine's stage clock, never journalled."""

class Histogram:
    """Count durations of 1 ns to 60 s in fixed memory (30 KiB), at most 1 % relative error."""

    def record(self, ns: int) -> None:
        """Count one duration in ns, clamped to 1..60e9; a clamped one is also counted apart."""

    def record_since(self, started_ns: int) -> int:
        """Count the time from started_ns (a reading of now_ns) to now; return now, in ns."""

    def quantile(self, q: float) -> int:
        """Return the duration in ns that a share q (0..1) of the stamps does not exceed.

        Nearest rank; within 0.4 % of the exact order statistic. 0 when empty. Raise ValueError for
        q outside 0..1.
        """

    @property
    def count(self) -> int:
        """Return how many durations were recorded, clamped ones included."""

    @property
    def clamped(self) -> int:
        """Return how many durations lay outside 1..60e9 ns."""

    @property
    def min_ns(self) -> int:
        """Return the shortest duration after clamping, exact; 0 when empty."""

    @property
    def max_ns(self) -> int:
        """Return the longest duration after clamping, exact; 0 when empty."""

    @property
    def mean_ns(self) -> float:
        """Return the mean of the durations after clamping, exact; 0.0 when empty."""

    def merge(self, other: Histogram) -> None:
        """Add another histogram's stamps to this one, as if they had been recorded here."""

    def reset(self) -> None:
        """Forget everything; the histogram is then as new."""

    def buckets(self) -> list[tuple[int, int]]:
        """Return (lower bound in ns, count) of every non-empty bucket, ascending."""
