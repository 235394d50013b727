# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Declarations for cimport: a decimal grid that writes its numbers into a frame."""

from libc.stdint cimport int64_t, uint64_t

from hfengine.kernels.order_text cimport Place, put_digits


cdef class Grid:
    cdef int64_t _units  # one unit of the grid, times 10**decimals
    cdef int64_t _scale  # 10**decimals
    cdef int64_t _most
    cdef int _decimals

    cdef inline int check(self, int64_t count, int64_t least) except -1:
        if count < least or count > self._most:
            raise ValueError(f"{count} units of the grid are not in {least}..{self._most}")
        return 0

    cdef inline Place put(self, Place place, int64_t count) noexcept nogil:
        """Write count x unit, with all decimals of the unit."""
        cdef uint64_t scaled = count * self._units
        cdef uint64_t rest
        cdef int at
        if self._decimals == 0:
            return put_digits(place, scaled)
        place = put_digits(place, scaled // <uint64_t>self._scale)
        place[0] = c"."
        rest = scaled % <uint64_t>self._scale
        for at in range(self._decimals, 0, -1):
            place[at] = c"0" + rest % 10
            rest //= 10
        return place + self._decimals + 1

    cdef int64_t read(self, const char* text, Py_ssize_t size) noexcept nogil
    cdef void know(self, object number, int64_t count) noexcept
    cdef int64_t counted(self, object number) except -2
