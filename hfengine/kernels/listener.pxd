"""Declarations for cimport: whoever takes a link's messages."""


cdef class Hearer:
    cdef object to
    cdef int hear(self, bytes payload, received_ns, read_at_ns) except -1
