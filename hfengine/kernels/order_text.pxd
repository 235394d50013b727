# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Write and check the texts of order frames; nothing here needs escaping.

A function that writes takes the place of its first byte and returns the place after its last.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, strlen

ctypedef unsigned char* Place

cdef enum:
    FRAME_BYTES = 1024  # the longest texts together stay below 900
    ID_BYTES_MAX = 36
    SYMBOL_BYTES_MAX = 32
    KEY_BYTES_MAX = 128
    RECV_WINDOW_MAX_MS = 60_000

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from *:
    """
    static const char hf_pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    /* 1 where a byte means itself in JSON, in a query and in every venue's client ids */
    static const unsigned char hf_harmless[256] = {
        ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['_'] = 1,
    };
    """
    const char* PAIRS "hf_pairs"
    const unsigned char[256] HARMLESS "hf_harmless"


cdef inline Place put(Place place, const char* text) noexcept nogil:
    cdef size_t size = strlen(text)
    memcpy(place, text, size)
    return place + size


cdef inline Place put_span(Place place, const char* text, Py_ssize_t size) noexcept nogil:
    memcpy(place, text, size)
    return place + size


cdef inline Place put_bytes(Place place, bytes text) noexcept:
    return put_span(place, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef inline Place put_digits(Place place, uint64_t number) noexcept nogil:
    """Write a number in decimal without leading zeros."""
    cdef unsigned char digits[20]
    cdef int at = 20
    while number >= 100:
        at -= 2
        memcpy(digits + at, PAIRS + 2 * (number % 100), 2)
        number //= 100
    if number >= 10:
        at -= 2
        memcpy(digits + at, PAIRS + 2 * number, 2)
    else:
        at -= 1
        digits[at] = c"0" + number
    memcpy(place, digits + at, 20 - at)
    return place + (20 - at)


cdef inline bint is_harmless(const char* text, Py_ssize_t size, Py_ssize_t most) noexcept nogil:
    """Tell whether a text is 1 to `most` letters, digits, '-' or '_'."""
    cdef Py_ssize_t index
    if size < 1 or size > most:
        return False
    for index in range(size):
        if not HARMLESS[<unsigned char>text[index]]:
            return False
    return True


cdef inline int read_id(object client_id, const char** text, Py_ssize_t* size) except -1:
    """Find the bytes of a client id that every venue takes; raises ValueError for another."""
    text[0] = PyUnicode_AsUTF8AndSize(client_id, size)
    if not is_harmless(text[0], size[0], ID_BYTES_MAX):
        raise ValueError(
            f"client id {client_id!r} is not 1 to {ID_BYTES_MAX} letters, digits, '-' or '_'"
        )
    return 0


cdef inline bytes harmless(object text, Py_ssize_t most, object what):
    """Return a text that may go into a frame as it is; the error's message never shows it."""
    cdef Py_ssize_t size = 0
    cdef const char* start = PyUnicode_AsUTF8AndSize(text, &size)
    if not is_harmless(start, size, most):
        raise ValueError(f"the {what} is not 1 to {most} letters, digits, '-' or '_'")
    return start[:size]


cdef inline int check_stamp(int64_t request_id, int64_t now_ms) except -1:
    if request_id < 1 or now_ms < 1:
        raise ValueError(f"request id {request_id} and time {now_ms} ms must be positive")
    return 0


cdef inline int check_side(int side) except -1:
    if side != 1 and side != -1:
        raise ValueError(f"side {side} is neither 1 (buy) nor -1 (sell)")
    return 0


cdef inline int check_tif(int tif) except -1:
    if not 0 <= tif <= 3:
        raise ValueError(f"time in force {tif} is not one of 0..3")
    return 0


cdef inline int check_window(int recv_window_ms) except -1:
    if not 1 <= recv_window_ms <= RECV_WINDOW_MAX_MS:
        raise ValueError(f"recv window {recv_window_ms} ms is not in 1..{RECV_WINDOW_MAX_MS}")
    return 0
