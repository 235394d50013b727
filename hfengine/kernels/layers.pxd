"""Declarations for cimport: one symbol's layers and the C entry points."""

from libc.stdint cimport int64_t

from hfengine.kernels.bars cimport TrueRange, Volatility
from hfengine.kernels.calculus cimport Calculus
from hfengine.kernels.cross cimport Cross
from hfengine.kernels.drift cimport Drift
from hfengine.kernels.flow cimport Flow
from hfengine.kernels.fusion cimport LAYERS, Fusion
from hfengine.kernels.kalman cimport Kalman
from hfengine.kernels.ou cimport OrnsteinUhlenbeck


cdef class Layers:
    cdef readonly double horizon_s
    cdef readonly double trend_s
    cdef readonly double flow_move
    cdef readonly Calculus calculus
    cdef readonly Kalman kalman
    cdef readonly OrnsteinUhlenbeck ou
    cdef readonly Flow flow
    cdef readonly Drift drift_layer
    cdef readonly Cross cross
    cdef readonly Fusion fusion
    cdef readonly TrueRange true_range
    cdef readonly Volatility volatility
    cdef list _crosses
    cdef list _legs
    cdef int _leg
    cdef double _mid
    cdef double[LAYERS] _expectations
    cdef double[LAYERS] _confidences

    cdef int step_book(
        self, int64_t at_ns, double bid, double bid_quantity, double ask, double ask_quantity
    ) except -1
    cdef void clear(self) noexcept
    cdef void expect(self) noexcept nogil
    cdef double reverting(self) noexcept nogil
    cdef bint ready_now(self, int layer) noexcept nogil
