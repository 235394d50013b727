# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The turn of a book tick through the layers without a step of the interpreter.

Most ticks raise nothing: they end here. What is due else is told by the caller, who hears what.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from hfengine.kernels.histogram cimport Histogram, mono_ns
from hfengine.kernels.layers cimport Layers
from hfengine.kernels.layers import ENTRY, NO_SIGNAL

cdef enum:
    C_FORECAST = 1, C_ENTRY = 2, C_REFUSED = 4

FORECAST_DUE = C_FORECAST
ENTERED = C_ENTRY
REFUSED = C_REFUSED

cdef int JUDGED_NOTHING = NO_SIGNAL
cdef int JUDGED_ENTRY = ENTRY


# the latest and earliest milliseconds that have a nanosecond of 64 bits
cdef int64_t TIME_MAX_MS = 9_223_372_036_854


cdef inline int64_t in_ns(int64_t at_ms) noexcept nogil:
    """Return a time in ns; one beyond all clocks as the latest or earliest there is."""
    if at_ms > TIME_MAX_MS:
        at_ms = TIME_MAX_MS
    elif at_ms < -TIME_MAX_MS:
        at_ms = -TIME_MAX_MS
    return at_ms * 1_000_000


cdef class Seat:
    """One symbol's layers and when they may next speak. See the stub."""

    cdef readonly Layers layers
    cdef public int64_t forecast_ns
    cdef public int64_t quality_ns
    cdef public int64_t rearm_ns

    def __init__(self, Layers layers not None):
        self.layers = layers

    def entry(self, entry_class, int64_t number, tick):
        cdef Layers layers = self.layers
        cdef double drift = layers.fusion._drift
        return entry_class(
            number,
            tick.symbol,
            tick.at_ns,
            in_ns(tick.exchange_ms),
            1 if drift > 0.0 else -1,
            tick.bid,
            tick.ask,
            layers._mid * (1.0 + drift),
            drift,
            layers.fusion._confidence,
            layers.fusion._half_life_s,
            layers.volatility.sigma_now(),
            layers.atr,
        )


cdef class SignalTurn:
    """Take the ticks of many symbols. See the stub."""

    cdef readonly int64_t started_ns
    cdef dict seats
    cdef Histogram took
    cdef object tell
    cdef object entry_class
    cdef object numbers
    cdef object publish
    cdef int64_t cooldown_ns

    def __init__(
        self,
        dict seats not None,
        Histogram took not None,
        *,
        entry_class,
        numbers,
        int64_t cooldown_ns,
        publish,
        tell,
    ):
        for seat in seats.values():
            if not isinstance(seat, Seat):
                raise TypeError(f"a seat must be a Seat, not {type(seat).__name__}")
        self.seats = seats
        self.took = took
        self.entry_class = entry_class
        self.numbers = numbers
        self.cooldown_ns = cooldown_ns
        self.publish = publish
        self.tell = tell

    def handle(self, tick):
        cdef int due = self.take(tick)
        if due == C_ENTRY:
            self.enter(tick)
        elif due:
            self.tell(tick, due)

    cpdef int enter(self, tick) except -1:
        cdef Seat seat = self.seats[tick.symbol]
        seat.rearm_ns = <int64_t>tick.at_ns + self.cooldown_ns
        self.publish(seat.entry(self.entry_class, self.numbers.draw(), tick))
        return 0

    cpdef int take(self, tick) except -1:
        cdef PyObject* found
        cdef Seat seat
        cdef int64_t at_ns
        cdef int verdict
        cdef int due = 0
        self.started_ns = mono_ns()
        symbol = tick.symbol
        found = PyDict_GetItem(self.seats, symbol)
        if found is NULL:
            raise KeyError(symbol)
        seat = <Seat>found
        at_ns = tick.at_ns
        if seat.layers.step_book(at_ns, tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity):
            if at_ns >= seat.forecast_ns:
                due = C_FORECAST
            if at_ns >= seat.rearm_ns:
                verdict = seat.layers.fusion.judge()
                if verdict != JUDGED_NOTHING:
                    due |= C_ENTRY if verdict == JUDGED_ENTRY else C_REFUSED
        if not due & C_FORECAST:
            self.took.record_ns(mono_ns() - self.started_ns)
        return due
