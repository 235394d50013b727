cimport cython

cdef struct Grid:
    # step = units / scale exactly as written in decimal; units 0 where it is no short decimal.
    double step
    double units
    double scale

@cython.final
cdef class Sizer:
    cdef readonly int mode
    cdef readonly double fraction
    cdef readonly double fixed_margin_usdt
    cdef readonly double leverage
    cdef readonly double share_of_equity_max
    cdef readonly double trade_notional_max_usdt
    cdef readonly double exposure_max_usdt
    cdef readonly double capital_usdt
    cdef readonly double free_margin_reserve
    cdef readonly long long quantity_steps
    cdef readonly double quantity
    cdef readonly double notional_usdt
    cdef readonly double margin_usdt
    cdef readonly double uncapped_notional_usdt
    cdef readonly int binding
    cdef readonly int limiting
    cdef void refuse(self) noexcept nogil
    cdef void fill_caps(
        self, double* caps, double price_usdt, double balance_usdt, double free_margin_usdt,
        double exposure_usdt, double stop_distance_usdt, double fee_round_trip) noexcept nogil
    cdef void settle(
        self, Grid* grid, double steps, double bound_usdt, double price_usdt,
        double quantity_min, double notional_min_usdt) noexcept nogil
    cpdef long long size(
        self, double price_usdt, double balance_usdt, double free_margin_usdt,
        double exposure_usdt, double stop_distance_usdt, double fee_round_trip,
        double tier_notional_max_usdt, double buffer_notional_max_usdt, double quantity_step,
        double quantity_min, double quantity_max, double notional_min_usdt) except? -1

cpdef long long floor_steps(double quantity, double step) except? -1
cpdef double break_even_win_rate(
    double take_profit, double stop_loss, double round_trip_fee) except? -1
cpdef double expected_edge(
    double forecast_move, double round_trip_fee, double half_spread, double slippage,
    double funding) noexcept nogil
cdef Grid grid_of(double step) noexcept nogil
cdef double on_grid(Grid* grid, double steps) noexcept nogil
cdef double whole_steps(Grid* grid, double quantity) noexcept nogil
