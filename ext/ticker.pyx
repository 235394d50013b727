# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A timer that is a file: a loop waiting for it and for a socket need not set one up to wait.

A loop's own timer is armed when it falls asleep and disarmed when a frame wakes it, before the
frame is read: on a virtual machine that is a call of the hypervisor.
"""

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport close, read

cdef extern from *:
    """
    #include <errno.h>
    #include <unistd.h>
    #ifdef __linux__
    #include <sys/timerfd.h>
    static int hf_timer(long long every_ns) {
        struct itimerspec when;
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (fd < 0)
            return -1;
        when.it_interval.tv_sec = every_ns / 1000000000;
        when.it_interval.tv_nsec = every_ns % 1000000000;
        when.it_value = when.it_interval;
        if (timerfd_settime(fd, 0, &when, 0) != 0) {
            int kept = errno;
            close(fd);
            errno = kept;
            return -1;
        }
        return fd;
    }
    #else
    static int hf_timer(long long every_ns) {
        errno = ENOSYS;
        return -1;
    }
    #endif
    """
    int hf_timer(long long every_ns)


cdef class Ticker:
    """Becomes readable at an interval. See the stub."""

    cdef int fd

    def __cinit__(self, int64_t every_ns):
        self.fd = -1
        if every_ns < 1:
            raise ValueError(f"an interval is at least 1 ns, not {every_ns}")
        self.fd = hf_timer(every_ns)
        if self.fd < 0:
            PyErr_SetFromErrno(OSError)

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    def fileno(self):
        return self.fd

    def take(self):
        cdef uint64_t count = 0
        if self.fd < 0:
            raise ValueError("a closed ticker")
        if read(self.fd, &count, sizeof(count)) < 0 and errno != EAGAIN:
            PyErr_SetFromErrno(OSError)
        return count

    def close(self):
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
