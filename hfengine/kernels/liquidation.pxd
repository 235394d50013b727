cimport cython

ctypedef struct Tier:
    double floor_usdt
    double cap_usdt
    double rate
    double max_leverage
    double deduction_usdt

ctypedef struct Terms:
    int formula
    int side
    double quantity
    double entry_usdt
    double leverage
    double wallet_usdt
    double extra_usdt
    double taker_fee

@cython.final
cdef class RiskTiers:
    cdef Tier* rows
    cdef Py_ssize_t count
    cdef Py_ssize_t index_at(self, double notional_usdt) noexcept nogil
    cdef double leverage_at(self, double notional_usdt) noexcept nogil
    cpdef double maintenance_rate(self, double notional_usdt) except? -1
    cpdef double deduction_usdt(self, double notional_usdt) except? -1
    cpdef double maintenance_usdt(self, double notional_usdt) except? -1
    cpdef double max_leverage(self, double notional_usdt) except? -1
    cpdef double max_notional_usdt(self, double leverage) except? -1
    cpdef double max_leverage_for_margin(self, double margin_usdt) except? -1

cpdef double isolated_price_at(
    int formula, int side, double quantity, double entry_usdt, double leverage,
    double wallet_usdt, double maintenance_rate, double deduction_usdt,
    double taker_fee=*, double extra_margin_usdt=*) except? -1
cpdef double isolated_price(
    int formula, int side, double quantity, double entry_usdt, double leverage,
    RiskTiers tiers, double extra_margin_usdt=*, double taker_fee=*) except? -1
cpdef double cross_price(
    int side, double quantity, double entry_usdt, double wallet_usdt, double maintenance_rate,
    double deduction_usdt, double maintenance_other_usdt=*,
    double unrealised_other_usdt=*) except? -1
cpdef double bankruptcy_price(int side, double entry_usdt, double leverage) except? -1
cpdef double pnl_usdt(
    int side, double quantity, double entry_usdt, double exit_usdt) noexcept nogil
cpdef double margin_ratio(double maintenance_usdt, double margin_balance_usdt) noexcept nogil
cpdef double distance_left(
    double entry_usdt, double liquidation_usdt, double mark_usdt) except? -1
cpdef double buffer_usdt(
    double entry_usdt, double liquidation_usdt, double buffer_fraction, double exit_fee,
    double half_spread_usdt, double slippage, double k_sigma_usdt) except? -1
cpdef bint stop_is_safe(
    int side, double stop_usdt, double liquidation_usdt, double buffer_usdt) noexcept nogil
cpdef double largest_notional(
    int formula, int side, double entry_usdt, double stop_usdt, double leverage,
    RiskTiers tiers, double buffer_fraction, double exit_fee, double half_spread_usdt,
    double slippage, double k_sigma_usdt, double taker_fee, double limit_usdt) except? -1
cpdef int utilisation_action(double utilisation, double warn=*, double force_close=*) except? -1
cpdef int distance_action(double distance_left, double force_close=*) except? -1
