# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The C side of the book: other kernels read the ladders and apply levels without Python."""

from libc.stdint cimport int64_t

cdef enum:
    DEPTH_CAPACITY = 8192

cdef struct Level:
    int64_t ticks
    int64_t steps

# The best level is the last one, so that a change near the touch moves only a few levels.
cdef struct Ladder:
    int count
    Level levels[DEPTH_CAPACITY]


cdef class Book:
    cdef Ladder bids
    cdef Ladder asks
    cdef public int64_t update_id
    cdef readonly int64_t dropped
    cdef readonly double tick
    cdef readonly double step
    # tick = tick_units / 10**tick_decimals, exactly; the same for step
    cdef int64_t tick_units
    cdef int64_t step_units
    cdef int tick_decimals
    cdef int step_decimals
    cdef double tick_scale
    cdef double step_scale

    cdef void apply_level(self, int side, int64_t ticks, int64_t steps) noexcept nogil
    cdef void load_side(self, int side, const Level* levels, int64_t count) noexcept nogil
    cdef void reset(self) noexcept nogil
    cdef bint is_crossed(self) noexcept nogil
    cdef int64_t steps_at(self, int side, int64_t ticks) noexcept nogil
    cdef double price_of(self, int64_t ticks) noexcept nogil
    cdef double quantity_of(self, int64_t steps) noexcept nogil
    cdef void apply_side(self, int side, const Level* levels, int64_t count) noexcept nogil
    cdef double imbalance_of(self, int levels) noexcept nogil
