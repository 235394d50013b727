from libc.stdint cimport int64_t


cdef class Host:
    cdef readonly object loop
    cdef readonly unsigned long ident
    cdef readonly int depth
    cdef public object settled
    cdef Mailbox first
    cdef Mailbox last
    cdef void _push(self, Mailbox box)
    cdef Mailbox _take(self)
    cdef int _pump(self) except -1


cdef class Mailbox:
    cdef object actor
    cdef object receive
    cdef dict handlers
    cdef Host host_
    cdef Mailbox follower
    cdef list slots
    cdef int64_t mask, head, count, quota
    cdef readonly int64_t capacity
    cdef dict conflating
    cdef set droppable
    cdef int64_t indexed
    cdef bint head_unindexed
    cdef bint scheduled, started, busy, closed
    cdef public bint stopped
    cdef object overflow
    cdef readonly int64_t received, conflated, dropped, undelivered, high_water
    cpdef int deliver(self, message) except -1
    cdef int _tell(self, message) except -1
    cdef int _run_now(self, Host host, message) except -1
    cdef int _handle(self, message) except -1
    cdef int _schedule(self) except -1
    cdef int _drain(self) except -1
    cdef int _run_pykka_loop(self) except -1
    cdef int _close(self) except -1
    cdef int _enqueue(self, message) except -1
    cdef int _replace(self, int64_t place, message) except -1
    cdef int _index_head(self) except -1
    cdef int _append(self, message) except -1
    cdef object _pop(self)
    cdef int _unindex(self, message) except -1
    cdef bint _make_room(self, message) except -1
    cdef int _remove(self, int64_t position) except -1
