# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The turn of an entry wish that every gate lets through, and of the bracket it becomes.

Neither decides anything of its own: a gate that does not hold, and whatever is not plain, goes to
the Python beside it, which asks again and names the reason.
"""

from cpython.dict cimport PyDict_Clear, PyDict_GetItem, PyDict_Size
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from hfengine.kernels.bracket cimport Bracket
from hfengine.kernels.entry_gate cimport EntryGate
from hfengine.kernels.histogram cimport Histogram, mono_ns


cdef class EntryTurn:
    """Turn wishes into brackets. See the stub."""

    cdef public int64_t entries
    cdef EntryGate gate
    cdef dict kernels
    cdef dict trusted
    cdef dict marks
    cdef dict cleared
    cdef dict entering
    cdef dict rests
    cdef object journal_ok
    cdef object now_ns
    cdef object intents
    cdef Histogram took
    cdef object publish
    cdef object warn
    cdef object care

    def __init__(
        self,
        EntryGate gate not None,
        dict kernels not None,
        *,
        dict trusted not None,
        dict marks not None,
        dict cleared not None,
        dict entering not None,
        dict rests not None,
        journal_ok,
        now_ns,
        intents,
        Histogram took not None,
        publish,
        warn,
        care,
    ):
        for kernel in kernels.values():
            if not isinstance(kernel, Bracket):
                raise TypeError(f"a bracket is planned by a Bracket, not {type(kernel).__name__}")
        self.gate = gate
        self.kernels = kernels
        self.trusted = trusted
        self.marks = marks
        self.cleared = cleared
        self.entering = entering
        self.rests = rests
        self.journal_ok = journal_ok
        self.now_ns = now_ns
        self.intents = intents
        self.took = took
        self.publish = publish
        self.warn = warn
        self.care = care

    def handle(self, entry):
        cdef int64_t started_ns = mono_ns()
        planned = self.plan(entry)
        if planned is None:
            self.care(entry)
            return
        bracket, warnings = planned
        self.entering[entry.symbol] = bracket
        PyDict_Clear(self.cleared)
        self.entries += 1
        self.took.record_ns(mono_ns() - started_ns)
        self.publish(bracket)
        if warnings is None:
            self.warn(entry)

    cdef tuple plan(self, object entry):
        """Return (bracket, warnings or None for some), None where any gate may not hold."""
        cdef PyObject* kernel
        cdef PyObject* mark
        if PyDict_Size(self.rests) or not self.journal_ok():
            return None
        account = self.gate.opens(entry, self.now_ns())
        if account is None:
            return None
        symbol = entry.symbol
        kernel = PyDict_GetItem(self.kernels, symbol)
        if kernel is NULL:
            return None
        mark = PyDict_GetItem(self.marks, symbol)
        try:
            return (<Bracket>kernel).open(
                entry,
                self.trusted[symbol],
                account,
                None if mark is NULL else <object>mark,
                self.intents,
            )
        except (ValueError, ZeroDivisionError):
            return None


cdef class BracketTurn:
    """Turn brackets into orders sent. See the stub."""

    cdef dict clear
    cdef object venue
    cdef object order_ids
    cdef object request_class
    cdef str tif
    cdef str protect_by
    cdef object nothing
    cdef object stages
    cdef Histogram took
    cdef Histogram whole
    cdef object sent
    cdef object care

    def __init__(
        self,
        dict clear not None,
        venue,
        order_ids,
        *,
        request_class,
        str tif not None,
        str protect_by not None,
        nothing,
        stages,
        sent,
        care,
    ):
        self.clear = clear
        self.venue = venue
        self.order_ids = order_ids
        self.request_class = request_class
        self.tif = tif
        self.protect_by = protect_by
        self.nothing = nothing
        self.stages = stages
        self.took = stages.order
        self.whole = stages.frame_to_order
        self.sent = sent
        self.care = care

    def handle(self, bracket):
        cdef int64_t started_ns = mono_ns()
        cdef int64_t left_ns, frame_at_ns
        symbol = bracket.symbol
        cdef PyObject* proved_ns = PyDict_GetItem(self.clear, symbol)
        if proved_ns is NULL or <object>proved_ns != bracket.proof_at_ns:
            self.care(bracket)
            return
        client_id = self.order_ids.client_id(bracket.intent, "e")
        request = self.request_class(
            client_id,
            symbol,
            bracket.side,
            "limit",
            bracket.quantity,
            bracket.price,
            self.tif,
            False,
            self.nothing,
            "mark",
            False,
            bracket.stop,
            bracket.target,
            self.protect_by,
        )
        answer = self.venue.place(request)
        left_ns = mono_ns()
        frame_at_ns = self.stages.frame_at_ns
        self.took.record_ns(left_ns - started_ns)
        self.whole.record_ns(left_ns - frame_at_ns)
        self.sent(bracket, client_id, request, answer)
