# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Log-linear latency histogram: 1 ns to 60 s, at most 1 % relative error, fixed memory.

Durations below 128 ns have a bucket each; above, every power of two is divided into 128 buckets,
so a bucket is at most 1/128 of its lower bound wide. The layout is that of Gil Tene's HdrHistogram.
"""

from libc.math cimport ceil
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset


def now_ns() -> int:
    """Return CLOCK_MONOTONIC in nanoseconds: the engine's stage clock, never journalled."""
    return mono_ns()


cdef inline uint64_t lower_ns(int bucket) noexcept nogil:
    cdef int shift = (bucket >> SUB_BITS) - 1
    if shift < 0:
        return bucket
    return <uint64_t>(SUB_COUNT + (bucket & (SUB_COUNT - 1))) << shift


cdef inline uint64_t middle_ns(int bucket) noexcept nogil:
    cdef int shift = (bucket >> SUB_BITS) - 1
    if shift < 1:
        return lower_ns(bucket)
    return lower_ns(bucket) + (<uint64_t>1 << (shift - 1))


cdef class Histogram:
    def __cinit__(self):
        self.clear()

    cdef void clear(self) noexcept nogil:
        memset(self._counts, 0, sizeof(self._counts))
        self._count = 0
        self._clamped = 0
        self._total_ns = 0
        self._max_ns = 0
        self._min_ns = <uint64_t>-1

    def reset(self) -> None:
        """Forget everything; the histogram is then as new."""
        self.clear()

    def record(self, int64_t ns) -> None:
        """Count one duration in ns, clamped to 1..60e9; a clamped one is also counted apart."""
        self.record_ns(ns)

    def record_since(self, int64_t started_ns) -> int:
        """Count the time from started_ns (now_ns) to now in ns, and return now."""
        cdef int64_t ended_ns = mono_ns()
        self.record_ns(ended_ns - started_ns)
        return ended_ns

    def quantile(self, double q) -> int:
        """Return the duration in ns that a share q (0..1) of the stamps does not exceed.

        Nearest rank; within 0.4 % of the exact order statistic. 0 when empty. Raise ValueError for
        q outside 0..1.
        """
        cdef uint64_t rank, seen = 0
        cdef uint64_t found = 0
        cdef int bucket
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"quantile {q} is not in 0..1")
        if self._count == 0:
            return 0
        rank = <uint64_t>ceil(q * <double>self._count)
        if rank <= 1:
            return self._min_ns
        if rank >= self._count:
            return self._max_ns
        with nogil:
            for bucket in range(BUCKET_COUNT):
                seen += self._counts[bucket]
                if seen >= rank:
                    found = middle_ns(bucket)
                    break
        return min(max(found, self._min_ns), self._max_ns)

    @property
    def count(self) -> int:
        """Return how many durations were recorded, clamped ones included."""
        return self._count

    @property
    def clamped(self) -> int:
        """Return how many durations lay outside 1..60e9 ns."""
        return self._clamped

    @property
    def min_ns(self) -> int:
        """Return the shortest duration after clamping, exact; 0 when empty."""
        return self._min_ns if self._count else 0

    @property
    def max_ns(self) -> int:
        """Return the longest duration after clamping, exact; 0 when empty."""
        return self._max_ns

    @property
    def mean_ns(self) -> float:
        """Return the mean of the durations after clamping, exact; 0.0 when empty."""
        return self._total_ns / <double>self._count if self._count else 0.0

    def merge(self, Histogram other not None) -> None:
        """Add another histogram's stamps to this one, as if they had been recorded here."""
        cdef int bucket
        for bucket in range(BUCKET_COUNT):
            self._counts[bucket] += other._counts[bucket]
        self._count += other._count
        self._clamped += other._clamped
        self._total_ns += other._total_ns
        self._min_ns = min(self._min_ns, other._min_ns)
        self._max_ns = max(self._max_ns, other._max_ns)

    def buckets(self) -> list[tuple[int, int]]:
        """Return (lower bound in ns, count) of every non-empty bucket, ascending."""
        cdef int bucket
        return [
            (lower_ns(bucket), self._counts[bucket])
            for bucket in range(BUCKET_COUNT)
            if self._counts[bucket]
        ]
