"""What Bybit answers when it refuses: code, message, HTTP status, by the exchange's reason."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.instruments import Instrument

PARAMETERS: Final = 10001
EXPIRED: Final = 10002
BAD_KEY: Final = 10003
BAD_SIGNATURE: Final = 10004
TOO_MANY_VISITS: Final = 10006
SYSTEM: Final = 10016
NO_ROUTE: Final = 10017
UNKNOWN_ORDER: Final = 110001
LEVERAGE_RISK_LIMIT: Final = 110013
REDUCE_ONLY: Final = 110017
HAS_POSITION: Final = 110024
SAME_POSITION_MODE: Final = 110025
SAME_MARGIN_MODE: Final = 110026
HAS_ORDERS: Final = 110028
SAME_LEVERAGE: Final = 110043
DUPLICATE_LINK: Final = 110072
STOP_WOULD_TRIGGER: Final = 110093
SAME_TRADING_STOP: Final = 34040
MARGIN_MODE_FAILED: Final = 3400045


class Refused(Exception):
    """A request that Bybit answers with an error; `result` and `headers` go into the answer."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 200,
        result: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.result: dict[str, object] = result or {}
        self.headers: dict[str, str] = headers or {}


class Attempt(Struct, frozen=True, kw_only=True):
    """What an error message needs to know of the request that failed."""

    instrument: Instrument
    side: int = 0
    trigger: Decimal = Decimal(0)
    stop: Decimal = Decimal(0)
    target: Decimal = Decimal(0)
    rising: bool = False
    """Whether the trigger waits for a rise."""
    by: str = "LastPrice"
    market_price: Decimal = Decimal(0)
    """What triggers are compared with."""
    base_price: Decimal = Decimal(0)
    """What attached stop and target are compared with."""
    leverage: int = 0
    has_position: bool = False
    action: str = "cancel"


Message = Callable[[Attempt], str]


def scaled(price: Decimal) -> int:
    """Return a price as Bybit's messages write it: in ten-thousandths."""
    return int(price * 10_000)


def _side(attempt: Attempt) -> str:
    return "Buy" if attempt.side > 0 else "Sell"


def _stop_side(attempt: Attempt) -> str:
    wanted = "lower" if attempt.side > 0 else "higher"
    return (
        f"StopLoss:{scaled(attempt.stop)} set for {_side(attempt)} position should {wanted} than "
        f"base_price:{scaled(attempt.base_price)}??{attempt.by}"
    )


def _target_side(attempt: Attempt) -> str:
    wanted = "higher" if attempt.side > 0 else "lower"
    return (
        f"TakeProfit:{scaled(attempt.target)} set for {_side(attempt)} position should be {wanted} "
        f"than base_price:{scaled(attempt.base_price)}??{attempt.by}"
    )


def _leverage(attempt: Attempt) -> str:
    most = attempt.instrument.max_leverage * 100
    return (
        f"cannot set leverage [{attempt.leverage * 100}] gt maxLeverage [{int(most)}] by risk limit"
    )


def _text(message: str) -> Message:
    return lambda _: message


TABLE: Final[dict[str, tuple[int, Message]]] = {
    rejects.UNKNOWN_ACCOUNT: (BAD_KEY, _text("API key is invalid.")),
    rejects.UNKNOWN_SYMBOL: (PARAMETERS, _text("params error: symbol invalid")),
    rejects.UNKNOWN_ORDER: (
        UNKNOWN_ORDER,
        lambda attempt: f"order not exists or too late to {attempt.action}",
    ),
    rejects.BAD_CLIENT_ID: (PARAMETERS, _text("params error: OrderLinkId invalid")),
    rejects.DUPLICATE_CLIENT_ID: (DUPLICATE_LINK, _text("OrderLinkedID is duplicate")),
    rejects.BAD_SIDE: (PARAMETERS, _text("Side invalid")),
    rejects.PRICE_MISSING: (PARAMETERS, _text("Price invalid")),
    rejects.TRIGGER_MISSING: (PARAMETERS, _text("TriggerPrice invalid")),
    rejects.OFF_TICK: (PARAMETERS, _text("Price invalid")),
    rejects.OFF_STEP: (PARAMETERS, _text("Qty invalid")),
    rejects.BELOW_MIN_QUANTITY: (
        PARAMETERS,
        _text("The number of contracts exceeds minimum limit allowed"),
    ),
    rejects.ABOVE_MAX_QUANTITY: (
        PARAMETERS,
        _text("The number of contracts exceeds maximum limit allowed: too large"),
    ),
    rejects.ABOVE_MAX_MARKET_QUANTITY: (
        PARAMETERS,
        _text("The number of contracts exceeds maximum limit allowed: too large"),
    ),
    rejects.BELOW_MIN_NOTIONAL: (
        110094,
        lambda attempt: (
            f"Order does not meet minimum order value {attempt.instrument.notional_min_usdt}USDT"
        ),
    ),
    rejects.CLOSE_POSITION_WITH_QUANTITY: (PARAMETERS, _text("Qty invalid")),
    rejects.CLOSE_POSITION_WITH_LIMIT: (PARAMETERS, _text("Qty invalid")),
    rejects.PROTECTION_ON_REDUCE_ONLY: (
        PARAMETERS,
        _text("Reduce-only orders cannot have take profit or stop loss"),
    ),
    rejects.NO_MARK_PRICE: (SYSTEM, _text("System error. Please try again later.")),
    rejects.NO_LAST_PRICE: (SYSTEM, _text("System error. Please try again later.")),
    rejects.PRICE_BAND: (110003, _text("Order price exceeds the allowable range.")),
    rejects.INSUFFICIENT_MARGIN: (110007, _text("ab not enough for new order")),
    rejects.TIER_EXCEEDED: (
        110090,
        _text(
            "Order placement failed as your position may exceed the max. limit. "
            "Please adjust your leverage"
        ),
    ),
    rejects.REDUCE_ONLY_REJECTED: (
        REDUCE_ONLY,
        lambda attempt: (
            "orderQty will be truncated to zero."
            if attempt.has_position
            else "current position is zero, cannot fix reduce-only order qty"
        ),
    ),
    rejects.TOO_MANY_CONDITIONAL: (
        110009,
        _text("The number of stop orders exceeds maximum limit allowed"),
    ),
    rejects.TOO_MANY_ORDERS: (110020, _text("Not allowed to have more than 500 active orders")),
    rejects.STOP_WRONG_SIDE: (PARAMETERS, _stop_side),
    rejects.TARGET_WRONG_SIDE: (PARAMETERS, _target_side),
    rejects.NO_POSITION: (PARAMETERS, _text("can not set tp/sl/ts for zero position")),
    rejects.LEVERAGE_ABOVE_MAXIMUM: (LEVERAGE_RISK_LIMIT, _leverage),
    rejects.LEVERAGE_BELOW_ONE: (PARAMETERS, _text("leverage invalid")),
    rejects.POSITION_EXCEEDS_TIER: (LEVERAGE_RISK_LIMIT, _leverage),
    rejects.BAD_POSITION_MODE: (PARAMETERS, _text("mode invalid")),
    rejects.BAD_MARGIN_MODE: (PARAMETERS, _text("setMarginMode invalid")),
    rejects.MARGIN_MODE_LOCKED: (MARGIN_MODE_FAILED, _text("Set margin mode failed")),
    rejects.MARGIN_MODE_NOT_MODIFIED: (
        SAME_MARGIN_MODE,
        _text("Cross/isolated margin mode is not modified"),
    ),
    rejects.POSITION_MODE_NOT_MODIFIED: (
        SAME_POSITION_MODE,
        _text("Position mode is not modified"),
    ),
    rejects.POSITION_SLOT_MISMATCH: (PARAMETERS, _text("position idx not match position mode")),
    rejects.NOTHING_TO_CHANGE: (
        PARAMETERS,
        _text("The order remains unchanged as the parameters entered match the existing ones."),
    ),
    rejects.REDUCE_ONLY_REGIME: (
        110023,
        _text(
            "This contract only supports position closing via reduceOnly orders, "
            "please contact customer service for details"
        ),
    ),
    rejects.MARKET_CLOSED: (110066, _text("No trading is allowed at the current time")),
}
LEVERAGE_MARGIN: Final = (110044, "Insufficient available margin")


def refusal(rejected: VenueRejected, attempt: Attempt) -> Refused:
    """Return what Bybit answers to a request that the exchange refused."""
    if rejected.reason == rejects.WOULD_TRIGGER_IMMEDIATELY:
        return _would_trigger(attempt)
    if rejected.reason == rejects.INSUFFICIENT_MARGIN and attempt.leverage:
        return Refused(*LEVERAGE_MARGIN)
    if rejected.reason == rejects.POSITION_MODE_LOCKED:
        if attempt.has_position:
            return Refused(
                HAS_POSITION, "You have an existing position, so position mode cannot be switched"
            )
        return Refused(HAS_ORDERS, "Open orders exist, so you cannot change position mode")
    code, message = TABLE.get(rejected.reason, (PARAMETERS, _text(f"params error: {rejected}")))
    return Refused(code, message(attempt))


def _would_trigger(attempt: Attempt) -> Refused:
    trigger, current = scaled(attempt.trigger), scaled(attempt.market_price)
    if attempt.rising:
        text = f"expect Rising, but trigger_price[{trigger}] <= current[{current}]??{attempt.by}"
        return Refused(110092, text)
    text = f"expect Falling, but trigger_price[{trigger}] >= current[{current}]??{attempt.by}"
    return Refused(STOP_WOULD_TRIGGER, text)


REJECT_REASONS: Final[dict[str, str]] = {
    rejects.POST_ONLY_WOULD_TAKE: "EC_PostOnlyWillTakeLiquidity",
    rejects.FOK_NOT_FILLABLE: "EC_CancelForNoFullFill",
    rejects.NO_LIQUIDITY: "EC_NoImmediateQtyToFill",
    rejects.IOC_REMAINDER: "EC_NoImmediateQtyToFill",
    rejects.SELF_TRADE: "EC_BySelfMatch",
    rejects.CANCELLED_BY_USER: "EC_PerCancelRequest",
    rejects.REPLACED: "EC_PerCancelRequest",
    rejects.POSITION_CLOSED: "EC_PerCancelRequest",
    rejects.SIBLING_EXECUTED: "EC_PerCancelRequest",
    rejects.LIQUIDATION: "EC_PerCancelRequest",
    rejects.REDUCE_ONLY_REJECTED: "EC_PerCancelRequest",
}
"""`rejectReason` of an order that ended, by the exchange's reason; else EC_Others."""

CANCEL_TYPES: Final[dict[str, str]] = {
    rejects.CANCELLED_BY_USER: "CancelByUser",
    rejects.REPLACED: "CancelByUser",
    rejects.SELF_TRADE: "CancelBySmp",
    rejects.POSITION_CLOSED: "CancelByTpSlTsClear",
    rejects.LIQUIDATION: "CancelAllBeforeLiq",
    rejects.ADL: "CancelAllBeforeAdl",
    rejects.REDUCE_ONLY_REJECTED: "CancelByReduceOnly",
}
"""`cancelType` by the exchange's reason; else UNKNOWN."""
