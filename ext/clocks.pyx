# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The two clocks: real time made monotone, and time that moves only when told to.

Both count nanoseconds since the Unix epoch and are asked several times a frame, which is why they
are compiled.
"""

from libc.stdint cimport int64_t
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec


cdef class WallClock:
    """Real time; steps of the system clock backwards are not followed."""

    cdef int64_t last_ns

    cpdef int64_t now_ns(self) noexcept:
        cdef timespec at
        cdef int64_t now
        clock_gettime(CLOCK_REALTIME, &at)
        now = <int64_t>at.tv_sec * 1000000000 + at.tv_nsec
        if now > self.last_ns:
            self.last_ns = now
        return self.last_ns


cdef class VirtualClock:
    """Time that moves only when told to: replay, simulation and tests."""

    cdef readonly int64_t start_ns
    cdef int64_t at_ns

    def __init__(self, int64_t start_ns):
        self.start_ns = start_ns
        self.at_ns = start_ns

    cpdef int64_t now_ns(self) noexcept:
        return self.at_ns

    cpdef int advance_to(self, int64_t now_ns) except -1:
        if now_ns < self.at_ns:
            raise ValueError(f"virtual time cannot go back from {self.at_ns} to {now_ns} ns")
        self.at_ns = now_ns
        return 0
