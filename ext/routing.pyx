# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Which of a connection's streams a frame is of, read from its first keys alone.

Venues write the topic, stream or symbol near the front, behind a few plain members. The scanner
walks over those and looks the name up; whatever is not that simple it leaves to a full parser.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.ref cimport PyObject
from libc.string cimport memcmp

from hfengine.kernels.listener cimport Hearer

cdef enum:
    MEMBERS_MAX = 12  # a raw Binance event has at most 8 members before "s"


cdef inline const char* past_space(const char* at, const char* end) noexcept nogil:
    while at < end and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    return at


cdef inline const char* string_end(const char* at, const char* end) noexcept nogil:
    """Return the closing quote of the string whose first byte is at `at`, NULL for an unusual one."""
    while at < end:
        if at[0] == b'"':
            return at
        if at[0] == b"\\" or <unsigned char>at[0] < 32:
            return NULL
        at += 1
    return NULL


cdef inline const char* past_plain(const char* at, const char* end) noexcept nogil:
    """Return the byte after a string, number, true, false or null; NULL for anything else."""
    cdef const char* first = at
    if at < end and at[0] == b'"':
        at = string_end(at + 1, end)
        if at != NULL:
            at += 1
        return at
    while at < end and (
        48 <= at[0] <= 57 or 97 <= at[0] <= 122 or 65 <= at[0] <= 90
        or at[0] == b"-" or at[0] == b"+" or at[0] == b"."
    ):
        at += 1
    if at == first:
        return NULL
    return at


cdef inline bint names_route(const char* key, Py_ssize_t size) noexcept nogil:
    if size == 1:
        return key[0] == b"s"
    if size == 5:
        return memcmp(key, b"topic", 5) == 0
    return size == 6 and memcmp(key, b"stream", 6) == 0


cdef bint find_route(
    const char* at, const char* end, const char** route, Py_ssize_t* size
) noexcept nogil:
    """Set the bytes of the first topic, stream or s member; False when it cannot be told."""
    cdef int member
    cdef const char* key
    cdef const char* closing
    cdef bint wanted
    at = past_space(at, end)
    if at >= end or at[0] != b"{":
        return False
    for member in range(MEMBERS_MAX):
        at = past_space(at + 1, end)  # over the brace or the comma
        if at >= end or at[0] != b'"':
            return False
        key = at + 1
        closing = string_end(key, end)
        if closing == NULL:
            return False
        wanted = names_route(key, closing - key)
        at = past_space(closing + 1, end)
        if at >= end or at[0] != b":":
            return False
        at = past_space(at + 1, end)
        if wanted:
            if at >= end or at[0] != b'"':
                return False
            closing = string_end(at + 1, end)
            if closing == NULL:
                return False
            route[0] = at + 1
            size[0] = closing - at - 1
            return True
        at = past_plain(at, end)
        if at == NULL:
            return False
        at = past_space(at, end)
        if at >= end or at[0] != b",":
            return False
    return False


cdef class Router:
    cdef dict _routes

    def __init__(self, routes):
        self._routes = {name.encode(): target for name, target in routes.items()}

    def route(self, bytes payload not None):
        cdef PyObject* target = find_target(payload, self._routes)
        return None if target == NULL else <object>target


cdef PyObject* find_target(bytes payload, dict routes) except? NULL:
    cdef const char* start = PyBytes_AS_STRING(payload)
    cdef const char* name = NULL
    cdef Py_ssize_t size = 0
    if not find_route(start, start + PyBytes_GET_SIZE(payload), &name, &size):
        return NULL
    return PyDict_GetItem(routes, PyBytes_FromStringAndSize(name, size))


cdef class Stream:
    """One topic as it lives: when it was last heard."""

    cdef readonly str topic
    cdef readonly str symbol
    cdef public object heard_ns

    def __init__(self, str topic not None, str symbol not None):
        self.topic = topic
        self.symbol = symbol
        self.heard_ns = 0


cdef class FrameHearer(Hearer):
    """Makes a frame message of what is known, leaves the rest. See the stub."""

    cdef dict _routes
    cdef object _frame
    cdef object _stages
    cdef str _origin
    cdef public object tell

    def __init__(self, routes, frame, tell, stages, str origin not None, other):
        Hearer.__init__(self, other)
        self._routes = {}
        for name, stream in routes.items():
            if not isinstance(stream, Stream):
                raise TypeError(f"{name}: a route leads to a Stream, not {type(stream).__name__}")
            self._routes[name.encode()] = stream
        self._frame = frame
        self._stages = stages
        self._origin = origin
        self.tell = tell

    cdef int hear(self, bytes payload, received_ns, read_at_ns) except -1:
        cdef PyObject* found = find_target(payload, self._routes)
        cdef Stream stream
        self._stages.read_at_ns = read_at_ns
        if found == NULL:
            self.to(payload, received_ns)
            return 0
        stream = <Stream>found
        stream.heard_ns = received_ns
        self.tell(self._frame(stream.symbol, received_ns, payload, self._origin))
        return 0
