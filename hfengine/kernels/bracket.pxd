cimport cython

from hfengine.kernels.grid cimport Grid as WrittenGrid
from hfengine.kernels.liquidation cimport RiskTiers
from hfengine.kernels.sizing cimport Grid, Sizer


@cython.final
cdef class Bracket:
    cdef int rule
    cdef RiskTiers tiers
    cdef Grid price_grid
    cdef Grid quantity_grid
    cdef double taker_fee
    cdef double slippage
    cdef double quantity_min
    cdef double quantity_max
    cdef double notional_min_usdt
    cdef int distance
    cdef double stop_share
    cdef double target_share
    cdef double buffer_fraction
    cdef double sigmas
    cdef bint strict
    cdef double break_even_max
    cdef tuple sizing
    cdef Sizer sizer
    # what `open` needs besides
    cdef double exposure_cap_usdt
    cdef double chase
    cdef bint grid_is_exact
    cdef object entry_class
    cdef object proof_class
    cdef object mark_class
    cdef object bracket_class
    cdef object tick
    cdef object step
    cdef WrittenGrid written_ticks
    cdef WrittenGrid written_steps
    cdef tuple bindings
    cdef unsigned short entry_at[13]
    cdef unsigned short proof_at[3]
    cdef unsigned short mark_at[2]
    # one plan's terms
    cdef double price
    cdef double stop_usdt
    cdef double half_spread
    cdef double k_sigma
    cdef double stop_ticks_exact
    # one plan's result
    cdef readonly int gate
    cdef readonly double measured
    cdef readonly double threshold
    cdef readonly long long quantity_steps
    cdef readonly long long price_ticks
    cdef readonly long long stop_ticks
    cdef readonly long long target_ticks
    cdef readonly double liquidation
    cdef readonly int binding
    cdef readonly int limiting
    cdef readonly bint edge_failed
    cdef readonly double edge
    cdef readonly bint rate_failed
    cdef readonly double break_even
    cpdef object open(self, entry, proof, account, mark, intents)
    cdef object build(self, object entry, object proof, object intents)
    cdef double exposure_at_limit(self, double exposure_usdt, double ask) except? -1.0
    cdef double funding(self, int side, object entry, object mark) except? -1.0
    cdef int prove_chase(self, int side) except -1
    cdef int decide(
        self, int side, double bid, double ask, double forecast, double drift,
        double volatility, double atr, int leverage, bint cross, double equity_usdt,
        double wallet_usdt, double free_margin_usdt, double maintenance_usdt,
        double exposure_usdt, double funding) except -1
    cdef int refuse(self, int gate, double measured, double threshold) noexcept nogil
    cdef double down(self, double price_usdt) noexcept nogil
    cdef double up(self, double price_usdt) noexcept nogil
    cdef int fees(
        self, double drift, double stop_distance, double target_distance,
        double funding) except -1
    cdef int solve(
        self, int side, int leverage, double equity, double free_margin,
        double exposure) except -1
    cdef int prove(
        self, int side, int leverage, bint cross, double wallet, double maintenance) except -1
