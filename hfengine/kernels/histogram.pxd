"""Declarations for cimport: the stage clock and the histogram with its C recorder."""

from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec


cdef enum:
    SUB_BITS = 7
    SUB_COUNT = 128
    BUCKET_COUNT = 3840


cdef inline int64_t mono_ns() noexcept nogil:
    """Read CLOCK_MONOTONIC in nanoseconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef inline int bucket_of(uint64_t ns) noexcept nogil:
    """Return the bucket of a duration in 1..60e9 ns: exact below 128 ns, 128 per octave above."""
    cdef int shift
    if ns < SUB_COUNT:
        return <int>ns
    shift = 63 - SUB_BITS - __builtin_clzll(ns)
    return (shift << SUB_BITS) + <int>(ns >> shift)


cdef extern from *:
    int __builtin_clzll(unsigned long long bits) noexcept nogil


cdef class Histogram:
    cdef uint64_t _counts[BUCKET_COUNT]
    cdef uint64_t _count
    cdef uint64_t _clamped
    cdef uint64_t _total_ns
    cdef uint64_t _min_ns
    cdef uint64_t _max_ns

    cdef void clear(self) noexcept nogil

    cdef inline void record_ns(self, int64_t ns) noexcept nogil:
        """Count one duration, clamped to 1..60e9 ns."""
        cdef uint64_t bounded
        if ns < 1:
            bounded = 1
            self._clamped += 1
        elif ns > 60_000_000_000LL:
            bounded = 60_000_000_000ULL
            self._clamped += 1
        else:
            bounded = <uint64_t>ns
        self._counts[bucket_of(bounded)] += 1
        self._count += 1
        self._total_ns += bounded
        if bounded < self._min_ns:
            self._min_ns = bounded
        if bounded > self._max_ns:
            self._max_ns = bounded
