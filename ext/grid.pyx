# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A venue's price or quantity grid: exact decimals to whole units and back, without floats."""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int64_t

from hfengine.kernels.order_text cimport PyUnicode_AsUTF8AndSize

import re
from decimal import Decimal

cdef enum:
    GRID_DECIMALS = 15

cdef int64_t GRID_MOST = 1_000_000_000_000_000_000

UNIT = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")

cdef object DECIMAL = Decimal

# The newest Decimals whose counts are known, by identity: reading a Decimal means printing it, and
# an order's zeros, its legs' triggers and whatever `know` was told about come round again. Each is
# kept, so no other can come to lie at its address, and a Decimal never changes.
cdef enum:
    KNOWN = 8

cdef struct Known:
    int64_t units
    int64_t scale
    int64_t count

cdef PyObject* known_numbers[KNOWN]
cdef Known knowns[KNOWN]
cdef int newest = 0


cdef class Grid:
    def __cinit__(self, str unit not None):
        match = UNIT.fullmatch(unit)
        if match is None:
            raise ValueError(f"grid {unit!r} is not a decimal of up to {GRID_DECIMALS} decimals")
        self._decimals = len(match[2] or "")
        self._scale = int("1" + "0" * self._decimals)
        units = int(match[1] + (match[2] or ""))
        if not 0 < units < GRID_MOST:
            raise ValueError(f"grid {unit!r} is not within 0 to 10**18 of its last decimal")
        self._units = units
        self._most = (GRID_MOST - 1) // self._units

    cdef int64_t read(self, const char* text, Py_ssize_t size) noexcept nogil:
        """Return text / unit; -1 when that is no whole number in 0..most."""
        cdef Py_ssize_t index
        cdef int64_t scaled = 0
        cdef int decimals = -1
        cdef int digit
        for index in range(size):
            if text[index] == c"." and decimals < 0:
                decimals = 0
                continue
            digit = text[index] - c"0"
            if digit < 0 or digit > 9:
                return -1
            if decimals >= 0:
                if decimals == self._decimals:
                    if digit:
                        return -1
                    continue
                decimals += 1
            if scaled >= GRID_MOST // 10:
                return -1
            scaled = scaled * 10 + digit
        for index in range(max(decimals, 0), self._decimals):
            if scaled >= GRID_MOST // 10:
                return -1
            scaled *= 10
        return -1 if size == 0 or scaled % self._units else scaled // self._units

    cdef void know(self, object number, int64_t count) noexcept:
        """Remember that a Decimal is count units; it must be."""
        global newest
        cdef PyObject* oldest
        newest = (newest + 1) % KNOWN
        oldest = known_numbers[newest]
        Py_INCREF(number)
        known_numbers[newest] = <PyObject*>number
        knowns[newest] = Known(self._units, self._scale, count)
        Py_XDECREF(oldest)

    cdef int64_t counted(self, object number) except -2:
        """Return how many units a number is; -1 when it is off the grid."""
        cdef Py_ssize_t size
        cdef int64_t units
        cdef int at
        for at in range(KNOWN):
            if (
                known_numbers[at] == <PyObject*>number
                and knowns[at].units == self._units
                and knowns[at].scale == self._scale
            ):
                return knowns[at].count
        text = str(number)
        units = self.read(PyUnicode_AsUTF8AndSize(text, &size), size)
        if units < 0 and "E" in text:
            text = f"{number:f}"
            units = self.read(PyUnicode_AsUTF8AndSize(text, &size), size)
        if units >= 0 and type(number) is DECIMAL:
            self.know(number, units)
        return units

    def count(self, number not None) -> int:
        """Return how many units of the grid a Decimal is; raises ValueError when it is off it."""
        cdef int64_t units = self.counted(number)
        if units < 0:
            raise ValueError(f"{number} is not on the grid of {self.text(1)}")
        return units

    def text(self, int64_t count) -> str:
        """Return count units as exact decimal text with all decimals of the unit."""
        cdef unsigned char digits[48]
        self.check(count, 0)
        return digits[: self.put(digits, count) - digits].decode("ascii")
