from typing import Final, final

KELLY_FRACTION: Final[int]
RISK_PER_TRADE: Final[int]
FIXED_MARGIN: Final[int]
BINDINGS: Final[tuple[str, ...]]

@final
class Sizer:
    def __init__(
        self,
        mode: int,
        fraction: float,
        fixed_margin_usdt: float,
        leverage: float,
        share_of_equity_max: float,
        trade_notional_max_usdt: float,
        exposure_max_usdt: float,
        capital_usdt: float,
        free_margin_reserve: float,
    ) -> None: ...
    @property
    def mode(self) -> int: ...
    @property
    def fraction(self) -> float: ...
    @property
    def fixed_margin_usdt(self) -> float: ...
    @property
    def leverage(self) -> float: ...
    @property
    def share_of_equity_max(self) -> float: ...
    @property
    def trade_notional_max_usdt(self) -> float: ...
    @property
    def exposure_max_usdt(self) -> float: ...
    @property
    def capital_usdt(self) -> float: ...
    @property
    def free_margin_reserve(self) -> float: ...
    @property
    def quantity_steps(self) -> int: ...
    @property
    def quantity(self) -> float: ...
    @property
    def notional_usdt(self) -> float: ...
    @property
    def margin_usdt(self) -> float: ...
    @property
    def uncapped_notional_usdt(self) -> float: ...
    @property
    def binding(self) -> int: ...
    @property
    def limiting(self) -> int: ...
    def size(
        self,
        price_usdt: float,
        balance_usdt: float,
        free_margin_usdt: float,
        exposure_usdt: float,
        stop_distance_usdt: float,
        fee_round_trip: float,
        tier_notional_max_usdt: float,
        buffer_notional_max_usdt: float,
        quantity_step: float,
        quantity_min: float,
        quantity_max: float,
        notional_min_usdt: float,
    ) -> int: ...

def floor_steps(quantity: float, step: float) -> int: ...
def break_even_win_rate(take_profit: float, stop_loss: float, round_trip_fee: float) -> float: ...
def expected_edge(
    forecast_move: float,
    round_trip_fee: float,
    half_spread: float,
    slippage: float,
    funding: float,
) -> float: ...
