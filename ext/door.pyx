# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The door of an actor for what comes from outside: delivered, and the turn it causes timed."""

from hfengine.kernels.histogram cimport Histogram, mono_ns
from hfengine.kernels.mailbox cimport Mailbox

from libc.stdint cimport int64_t


cdef class Door:
    """Deliver to a mailbox, timing into a histogram. See the stub."""

    cdef public Mailbox box
    cdef Histogram took

    def __init__(self, Mailbox box not None, Histogram took not None):
        self.box = box
        self.took = took

    def __call__(self, message):
        cdef int64_t started_ns = mono_ns()
        self.box.deliver(message)
        self.took.record_ns(mono_ns() - started_ns)
