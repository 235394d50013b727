# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What of an entry depends on its moment, asked without a step of the interpreter.

It says yes or nothing: whoever hears nothing asks the gates by name.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.math cimport fabs
from libc.stdint cimport int64_t


# differences of two times under this many nanoseconds stay in 64 bits
cdef int64_t TIME_MAX = 1LL << 62


cdef class EntryGate:
    """Judge the age of an entry's data, its spread and the age of its proof. See the stub."""

    def __init__(
        self,
        dict cleared not None,
        dict trusted not None,
        double data_age_max_ms,
        double spread_max_bps,
        int64_t proof_age_max_ns,
    ):
        self.cleared = cleared
        self.trusted = trusted
        self.data_age_max_ms = data_age_max_ms
        self.spread_max_bps = spread_max_bps
        self.proof_age_max_ns = proof_age_max_ns

    cpdef object opens(self, entry, int64_t now_ns):
        cdef object symbol = entry.symbol
        cdef PyObject* account = PyDict_GetItem(self.cleared, symbol)
        cdef PyObject* proof = PyDict_GetItem(self.trusted, symbol)
        cdef double bid, ask
        cdef int64_t tick_ns
        if account is NULL or proof is NULL:
            return None
        try:
            tick_ns = entry.tick_ns
        except OverflowError:
            return None
        if not -TIME_MAX < tick_ns < TIME_MAX:
            return None
        # data from the future is as untrue as old data: a clock is wrong
        if not fabs((now_ns - tick_ns) / 1e6) <= self.data_age_max_ms:
            return None
        bid = entry.bid
        ask = entry.ask
        if not (bid > 0.0 and (ask - bid) / bid * 1e4 <= self.spread_max_bps):
            return None
        if <int64_t>entry.at_ns - <int64_t>(<object>proof).at_ns > self.proof_age_max_ns:
            return None
        return <object>account
