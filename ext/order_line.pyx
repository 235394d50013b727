# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The way from an order to its bytes in one call: checked, read, counted, framed, handed over.

Only what needs no care is framed here. Whatever does not fit - a symbol without a template, a kind
the venue does not take, a number off its grid, a broken rule - is left to the dialect's Python,
which frames it or names the reason.
"""

cimport cython
from cpython.dict cimport PyDict_GetItem, PyDict_Size
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_Compare
from libc.stdint cimport int64_t

from hfengine.kernels.grid cimport Grid
from hfengine.kernels.histogram cimport Histogram, mono_ns
from hfengine.kernels.slots cimport field_at, place_of_field

from decimal import Decimal

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        pass

    PyTypeObject* Py_TYPE(PyObject* of)
    bint PyUnicode_CheckExact(PyObject* text)
    bint PyLong_CheckExact(PyObject* number)
    PyObject* Py_True
    PyObject* Py_False

cdef tuple KINDS = ("limit", "market", "stop_market", "take_profit_market")
cdef tuple TIFS = ("gtc", "ioc", "fok", "post_only")
cdef tuple BY = ("last", "mark")
cdef object DECIMAL = Decimal

# To ask for fourteen attributes by name takes longer than to write the frame.
cdef tuple FIELDS = (
    "client_id", "symbol", "quantity", "price", "trigger", "stop", "target",
    "side", "kind", "tif", "reduce_only", "close_position", "trigger_by", "protect_by",
)  # fmt: skip

cdef enum:
    FIELD_COUNT = 14
    TEXTS_END = 2
    NUMBERS_END = 7

cdef object layout_of = None
cdef Py_ssize_t offsets[FIELD_COUNT]


cdef bint learn(object request) except -1:
    """Find where a class of requests keeps its fields; tell whether it does."""
    global layout_of
    cdef int at
    layout_of = None
    kind = type(request)
    for at in range(FIELD_COUNT):
        offsets[at] = place_of_field(kind, FIELDS[at])
        if offsets[at] == 0:
            return False
    layout_of = kind
    return True


cdef inline int place_of(PyObject* text, tuple names) noexcept:
    """Return which of a few texts this is; -1 when it is none."""
    cdef int at
    for at in range(len(names)):
        if text == <PyObject*>names[at]:
            return at
    if PyUnicode_CheckExact(text):
        for at in range(len(names)):
            if PyUnicode_Compare(<object>text, names[at]) == 0:
                return at
    return -1


cdef inline int truth_of(PyObject* flag) noexcept:
    return 1 if flag == Py_True else 0 if flag == Py_False else -1


cdef bint read_order(object request, Asked* asked) except -1:
    """Read an OrderRequest; tell whether every field is of the plain kind."""
    cdef PyObject* fields[FIELD_COUNT]
    cdef int at
    cdef int flags[4]
    if type(request) is not layout_of and not learn(request):
        return False
    for at in range(FIELD_COUNT):
        fields[at] = field_at(request, offsets[at])
        if fields[at] == NULL:
            return False
    for at in range(TEXTS_END):
        if not PyUnicode_CheckExact(fields[at]):
            return False
    for at in range(TEXTS_END, NUMBERS_END):
        if Py_TYPE(fields[at]) != <PyTypeObject*>DECIMAL:
            return False
    if not PyLong_CheckExact(fields[7]):
        return False
    side = <object>fields[7]
    asked.side = 1 if side == 1 else -1 if side == -1 else 0
    asked.kind = place_of(fields[8], KINDS)
    asked.tif = place_of(fields[9], TIFS)
    for at in range(2):
        flags[at] = truth_of(fields[10 + at])
        flags[2 + at] = place_of(fields[12 + at], BY)
    if (
        asked.side == 0 or asked.kind < 0 or asked.tif < 0
        or flags[0] < 0 or flags[1] < 0 or flags[2] < 0 or flags[3] < 0
    ):
        return False
    asked.client_id, asked.symbol = fields[0], fields[1]
    asked.quantity, asked.price, asked.trigger = fields[2], fields[3], fields[4]
    asked.stop, asked.target = fields[5], fields[6]
    asked.reduce_only, asked.close_position = flags[0], flags[1]
    asked.trigger_by_mark, asked.protect_by_mark = flags[2], flags[3]
    return True


@cython.auto_pickle(False)
cdef class OrderFrames:
    @property
    def price(self) -> Grid:
        return self._price

    @property
    def quantity(self) -> Grid:
        return self._quantity

    cdef object frame(self, Asked* asked, int64_t request_id, int64_t now_ms):
        """Return an order's frame, or None where it takes the dialect's care."""
        return None

    def of_request(self, request, int64_t request_id, int64_t now_ms):
        """Return an OrderRequest's frame, or None where it takes the dialect's care."""
        cdef Asked asked
        if not read_order(request, &asked):
            return None
        return self.frame(&asked, request_id, now_ms)


@cython.auto_pickle(False)
cdef class OrderLine:
    def __init__(
        self,
        clock,
        Histogram build_ns not None,
        Histogram write_ns not None,
        Py_ssize_t entries_max,
    ):
        self.build_ns = build_ns
        self.write_ns = write_ns
        self.clock_offset_ms = 0
        self.is_ready = False
        self._waiting = {}
        self._templates = {}
        self._link = self._send = None
        self._now = clock.now_ns
        self._entries_max = entries_max
        # a venue may remember the numbers of an earlier session: microseconds are ahead of those
        self._last_id = self._now() // 1000

    @property
    def _sender(self):
        return self._link

    @_sender.setter
    def _sender(self, link):
        self._send = None if link is None else link.send
        self._link = link

    def place(self, request):
        """Send one order before returning; the future holds the venue's acknowledgement."""
        cdef int64_t now_ms
        try:
            now_ms = self.submit(request)
        except Exception as error:
            return self._refused(error)
        # only now: no answer can come within this turn, and the bytes shall not wait for this
        return self._sent(request, now_ms)

    cdef int64_t submit(self, object request) except? -1:
        """Build and send the order's frame; return its time in ms."""
        cdef int64_t started_ns = mono_ns()
        cdef int64_t now_ms, request_id, built_ns, written_ns
        cdef object send = self._send
        cdef object frame
        if send is None or not self.is_ready:
            self._refuse_unready()
        if PyDict_Size(self._waiting) >= self._entries_max:
            self._bound(request)
        now_ms = <int64_t>self._now() // 1_000_000 + self.clock_offset_ms
        request_id = self._last_id = self._last_id + 1
        frame = self.plain(request, request_id, now_ms)
        if frame is None:
            frame = self._careful(request, request_id, now_ms)
        built_ns = mono_ns()
        try:
            send(frame)
            written_ns = mono_ns()
        finally:
            self.build_ns.record_ns(built_ns - started_ns)
        self.write_ns.record_ns(written_ns - built_ns)
        return now_ms

    cdef object plain(self, object request, int64_t request_id, int64_t now_ms):
        """Return the frame of an order that needs no care, else None."""
        cdef Asked asked
        cdef PyObject* template
        if not read_order(request, &asked):
            return None
        template = PyDict_GetItem(self._templates, <object>asked.symbol)
        if template == NULL:
            return None
        try:
            return (<OrderFrames>template).frame(&asked, request_id, now_ms)
        except ValueError:
            return None
