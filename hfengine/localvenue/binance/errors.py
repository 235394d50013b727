"""Binance's errors: code, sentence and HTTP status, and which of them a refusal becomes."""

from decimal import Decimal
from typing import Final

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects


class BinanceError(Exception):
    """An answer {code, msg} with its HTTP status."""

    def __init__(
        self, code: int, message: str, status: int = 400, retry_after_s: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


BUSY: Final = (
    "Server is currently overloaded with other requests. Please try again in a few minutes."
)
POST_ONLY: Final = (
    "Due to the order could not be executed as maker, the Post Only order will be rejected. "
    "The order will not be recorded in the order history"
)
FILL_OR_KILL: Final = (
    "Due to the order could not be filled immediately, the FOK order has been rejected. "
    "The order will not be recorded in the order history"
)
CONDITIONAL_ELSEWHERE: Final = (
    "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
)
CLOSE_POSITION_TWICE: Final = (
    "An open stop or take profit order with GTE and closePosition in the direction is existing."
)
GTE_WITHOUT_POSITION: Final = (
    "Time in Force (TIF) GTE can only be used with open positions or open orders. "
    "Please ensure that open orders or positions are available."
)
REDUCE_ONLY_REGIME: Final = (
    "Futures Trading Quantitative Rules violated, only reduceOnly order is allowed, "
    "please try again later."
)

NOT_RECORDED: Final = frozenset({rejects.POST_ONLY_WOULD_TAKE, rejects.FOK_NOT_FILLABLE})
"""Reasons for which an order is refused and leaves no trace on Binance."""

TABLE: Final[dict[str, tuple[int, str]]] = {
    rejects.UNKNOWN_ACCOUNT: (-1109, "Invalid account."),
    rejects.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    rejects.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    rejects.BAD_CLIENT_ID: (-4015, "Client order id is not valid."),
    rejects.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    rejects.BAD_SIDE: (-1117, "Invalid side."),
    rejects.BELOW_MIN_QUANTITY: (-4004, "Quantity less than min quantity."),
    rejects.ABOVE_MAX_QUANTITY: (-4005, "Quantity greater than max quantity."),
    rejects.ABOVE_MAX_MARKET_QUANTITY: (-4005, "Quantity greater than max quantity."),
    rejects.CLOSE_POSITION_WITH_QUANTITY: (
        -4137,
        "Quantity must be zero with closePosition equals true",
    ),
    rejects.CLOSE_POSITION_WITH_LIMIT: (
        -4136,
        "Target strategy invalid for orderType 'LIMIT',closePosition 'true'",
    ),
    rejects.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
    rejects.TIER_EXCEEDED: (
        -2027,
        "Exceeded the maximum allowable position at current leverage.",
    ),
    rejects.POSITION_EXCEEDS_TIER: (
        -2027,
        "Exceeded the maximum allowable position at current leverage.",
    ),
    rejects.REDUCE_ONLY_REJECTED: (-2022, "ReduceOnly Order is rejected."),
    rejects.NO_POSITION: (-2022, "ReduceOnly Order is rejected."),
    rejects.WOULD_TRIGGER_IMMEDIATELY: (-2021, "Order would immediately trigger."),
    rejects.STOP_WRONG_SIDE: (-2021, "Order would immediately trigger."),
    rejects.TARGET_WRONG_SIDE: (-2021, "Order would immediately trigger."),
    rejects.TOO_MANY_CONDITIONAL: (-4045, "Reach max stop order limit."),
    rejects.BAD_MARGIN_MODE: (-1130, "Data sent for parameter 'marginType' is not valid."),
    rejects.MARGIN_MODE_NOT_MODIFIED: (-4046, "No need to change margin type."),
    rejects.POST_ONLY_WOULD_TAKE: (-5022, POST_ONLY),
    rejects.FOK_NOT_FILLABLE: (-5021, FILL_OR_KILL),
    rejects.TOO_MANY_ORDERS: (-2025, "Reach max open order limit."),
    rejects.POSITION_MODE_NOT_MODIFIED: (-4059, "No need to change position side."),
    rejects.POSITION_SLOT_MISMATCH: (
        -4061,
        "Order's position side does not match user's setting.",
    ),
    rejects.NOTHING_TO_CHANGE: (-5027, "No need to modify the order."),
    rejects.REDUCE_ONLY_REGIME: (-4400, REDUCE_ONLY_REGIME),
    rejects.MARKET_CLOSED: (
        -4108,
        "Symbol is on delivering or delivered or settling or closed or pre-trading.",
    ),
}


def missing(name: str) -> BinanceError:
    """Return the error of a parameter that was not sent."""
    message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return BinanceError(-1102, message)


def unneeded(name: str) -> BinanceError:
    """Return the error of a parameter that must not be sent."""
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def refusal(refused: VenueRejected) -> BinanceError:
    """Return the error of a refusal whose figures do not stand in Binance's sentence."""
    reason = refused.reason
    if reason in {rejects.NO_MARK_PRICE, rejects.NO_LAST_PRICE}:
        return BinanceError(-1008, BUSY, 503)
    if reason == rejects.PRICE_MISSING:
        return missing("price")
    if reason == rejects.TRIGGER_MISSING:
        return missing("triggerPrice")
    if reason in {rejects.LEVERAGE_ABOVE_MAXIMUM, rejects.LEVERAGE_BELOW_ONE}:
        return BinanceError(-4028, f"Leverage {refused.detail.split('x')[0]} is not valid")
    code, message = TABLE.get(reason, (-1000, f"An unknown error occurred: {refused}"))
    return BinanceError(code, message)


def margin_mode_locked(has_position: bool) -> BinanceError:
    """Return the error of a margin mode that a position or orders keep as it is."""
    if has_position:
        message = "Margin type cannot be changed if there exists position."
        return BinanceError(-4048, message)
    return BinanceError(-4047, "Margin type cannot be changed if there exists open orders.")


def position_mode_locked(has_position: bool) -> BinanceError:
    """Return the error of a position mode that a position or orders keep as it is."""
    if has_position:
        message = "Position side cannot be changed if there exists position."
        return BinanceError(-4068, message)
    return BinanceError(-4067, "Position side cannot be changed if there exists open orders.")


def off_grid(price: Decimal, places: int, *, is_quantity: bool) -> BinanceError:
    """Return the error of a number off the grid: too many decimals, or between two steps."""
    exponent = price.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        return BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    if is_quantity:
        return BinanceError(-4023, "Quantity not increased by step size.")
    return BinanceError(-4014, "Price not increased by tick size.")
