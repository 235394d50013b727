# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""How a live loop reads its sockets: acknowledged late, and polled between its turns.

A TCP socket that only receives acknowledges what it was sent within the very call that reads it,
and the way back through the network code is a long one. Nor does every look at the sockets need a
turn of the loop around it. No order waits for either.
"""

cimport cython
from libc.stdint cimport int64_t

from hfengine.kernels.histogram cimport mono_ns

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <poll.h>
    #include <sys/socket.h>

    /* Linux only: elsewhere the system acknowledges as it likes. */
    #ifdef TCP_QUICKACK
    #define HF_QUICKACK TCP_QUICKACK
    #else
    #define HF_QUICKACK -1
    #endif
    """
    int HF_QUICKACK

cdef extern from * nogil:
    struct pollfd:
        int fd
        short events
        short revents

    int IPPROTO_TCP, POLLIN, POLLNVAL, SOL_SOCKET, SO_ACCEPTCONN
    int poll(pollfd* sockets, unsigned long count, int timeout_ms)
    int setsockopt(int fd, int level, int option, const void* given, unsigned int size)
    int getsockopt(int fd, int level, int option, void* found, unsigned int* size)

cdef enum:
    SOCKETS_MAX = 64


cdef inline int acknowledge(int fd, int at_once) noexcept nogil:
    return setsockopt(fd, IPPROTO_TCP, HF_QUICKACK, &at_once, sizeof(at_once))


@cython.auto_pickle(False)
@cython.final
cdef class LateReader:
    """Reads a connection and acknowledges afterwards. See the stub."""

    cdef readonly int fd
    cdef object read

    def __init__(self, int fd, read):
        self.fd = fd
        self.read = read

    def __call__(self):
        try:
            self.read()
        finally:
            # What waits is sent with the first call, the second puts off what comes next. Never
            # longer than this turn: a sender may hold its next frame until it is acknowledged.
            acknowledge(self.fd, 1)
            acknowledge(self.fd, 0)


def late_reader(int fd, read):
    """Return what reads a socket in the place of `read`. See the stub."""
    cdef int listens = 0
    cdef unsigned int size = sizeof(listens)
    if (
        HF_QUICKACK < 0
        or getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0
        or listens
        or acknowledge(fd, 0) != 0
    ):
        return read
    return LateReader(fd, read)


@cython.auto_pickle(False)
@cython.final
cdef class Spinner:
    """Polls sockets between two turns of a loop. See the stub."""

    cdef readonly int64_t looks
    cdef object call_soon
    cdef object context
    cdef int64_t for_ns
    cdef list readers
    cdef pollfd polled[SOCKETS_MAX]
    cdef int count

    def __init__(self, call_soon, context, int64_t for_ns):
        self.call_soon = call_soon
        self.context = context
        self.for_ns = for_ns
        self.readers = []

    def add(self, int fd, read):
        self.remove(fd)
        if self.count == SOCKETS_MAX:
            return False
        self.polled[self.count].fd = fd
        self.polled[self.count].events = <short>POLLIN
        self.polled[self.count].revents = 0
        self.readers.append(read)
        self.count += 1
        return True

    def remove(self, int fd):
        cdef int at
        for at in range(self.count):
            if self.polled[at].fd == fd:
                self.count -= 1
                self.polled[at] = self.polled[self.count]
                last = self.readers.pop()
                if at < self.count:
                    self.readers[at] = last
                return

    def __call__(self):
        # First of all: whatever happens below, the loop must not fall asleep.
        self.call_soon(self, context=self.context)
        if self.count and self.wait():
            self.read()

    cdef bint wait(self) noexcept:
        """Look until something can be read or the time is over; tell whether something can."""
        cdef int64_t until_ns = mono_ns() + self.for_ns
        cdef int ready
        with nogil:
            while True:
                ready = poll(self.polled, self.count, 0)
                self.looks += 1
                if ready != 0 or mono_ns() >= until_ns:
                    return ready > 0

    cdef int read(self) except -1:
        """Call the reader of the first socket that can be read; the loop finds the others."""
        cdef int at
        for at in range(self.count):
            if self.polled[at].revents & POLLNVAL:
                # closed without a word: as epoll does, forget it
                self.remove(self.polled[at].fd)
                return 0
            if self.polled[at].revents:
                self.readers[at]()
                return 0
        return 0
