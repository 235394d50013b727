# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Declarations for cimport: the gate of an entry's moment."""

from libc.stdint cimport int64_t


cdef class EntryGate:
    cdef dict cleared
    cdef dict trusted
    cdef double data_age_max_ms
    cdef double spread_max_bps
    cdef int64_t proof_age_max_ns

    cpdef object opens(self, entry, int64_t now_ns)
