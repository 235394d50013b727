from collections.abc import Sequence
from typing import Final, final

BINANCE: Final[int]
BYBIT: Final[int]
BYBIT_LEGACY: Final[int]
FEE_INCLUSIVE: Final[int]
NONE: Final[int]
WARN: Final[int]
FORCE_CLOSE: Final[int]

@final
class RiskTiers:
    def __init__(self, tiers: Sequence[tuple[float, float, float]]) -> None: ...
    def maintenance_rate(self, notional_usdt: float) -> float: ...
    def deduction_usdt(self, notional_usdt: float) -> float: ...
    def maintenance_usdt(self, notional_usdt: float) -> float: ...
    def max_leverage(self, notional_usdt: float) -> float: ...
    def max_notional_usdt(self, leverage: float) -> float: ...
    def max_leverage_for_margin(self, margin_usdt: float) -> float: ...

def isolated_price_at(
    formula: int,
    side: int,
    quantity: float,
    entry_usdt: float,
    leverage: float,
    wallet_usdt: float,
    maintenance_rate: float,
    deduction_usdt: float,
    taker_fee: float = 0.0,
    extra_margin_usdt: float = 0.0,
) -> float: ...
def isolated_price(
    formula: int,
    side: int,
    quantity: float,
    entry_usdt: float,
    leverage: float,
    tiers: RiskTiers,
    extra_margin_usdt: float = 0.0,
    taker_fee: float = 0.0,
) -> float: ...
def cross_price(
    side: int,
    quantity: float,
    entry_usdt: float,
    wallet_usdt: float,
    maintenance_rate: float,
    deduction_usdt: float,
    maintenance_other_usdt: float = 0.0,
    unrealised_other_usdt: float = 0.0,
) -> float: ...
def bankruptcy_price(side: int, entry_usdt: float, leverage: float) -> float: ...
def pnl_usdt(side: int, quantity: float, entry_usdt: float, exit_usdt: float) -> float: ...
def margin_ratio(maintenance_usdt: float, margin_balance_usdt: float) -> float: ...
def distance_left(entry_usdt: float, liquidation_usdt: float, mark_usdt: float) -> float: ...
def buffer_usdt(
    entry_usdt: float,
    liquidation_usdt: float,
    buffer_fraction: float,
    exit_fee: float,
    half_spread_usdt: float,
    slippage: float,
    k_sigma_usdt: float,
) -> float: ...
def stop_is_safe(
    side: int, stop_usdt: float, liquidation_usdt: float, buffer_usdt: float
) -> bool: ...
def largest_notional(
    formula: int,
    side: int,
    entry_usdt: float,
    stop_usdt: float,
    leverage: float,
    tiers: RiskTiers,
    buffer_fraction: float,
    exit_fee: float,
    half_spread_usdt: float,
    slippage: float,
    k_sigma_usdt: float,
    taker_fee: float,
    limit_usdt: float,
) -> float: ...
def utilisation_action(
    utilisation: float, warn: float = 0.90, force_close: float = 0.95
) -> int: ...
def distance_action(distance_left: float, force_close: float = 0.05) -> int: ...
