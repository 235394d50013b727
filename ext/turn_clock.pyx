# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A clock that stands still for one turn of the actors, so that a turn can be run again exactly.

Every handler asks it, several times a frame, which is why it is compiled.
"""

from libc.stdint cimport int64_t

from hfengine.kernels.mailbox cimport Host


cdef class TurnClock:
    """A clock read once a turn, from its first handler to its last."""

    cdef Host _host
    cdef object _read
    cdef public int64_t turn_ns
    cdef public bint held

    def __init__(self, clock, Host host):
        self._read = clock.now_ns
        self._host = host
        self.turn_ns = 0
        self.held = False

    def now_ns(self):
        if not (self._host.depth or self.held):
            return self._read()
        if self.turn_ns == 0:
            self.turn_ns = self._read()
        return self.turn_ns
