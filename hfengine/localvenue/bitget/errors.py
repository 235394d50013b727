"""Every refusal as Bitget words it: code, message and HTTP status.

Codes and texts are those of the public error table of the classic futures API; texts marked
[seen] were recorded from its demo environment or quoted by ccxt 4.5.90. Where Bitget has no code
of its own for a cause, the nearest one stands in [assumed].
"""

from typing import Final

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.localvenue.ports import HttpAnswer

BAD_REQUEST: Final = 400
TOO_MANY_REQUESTS: Final = "429"
NOT_FOUND: Final = "40404"
ORDER_MISSING: Final = "40768"
PLAN_MISSING: Final = "43025"
MODE_MISMATCH: Final = "40774"
PARAMETER: Final = "40020"
EMPTY: Final = "40019"
OFF_SPECIFICATION: Final = "43011"
UNSUPPORTED: Final = "40805"
NOTHING_TO_CANCEL: Final = "22001"
NOTHING_TO_CLOSE: Final = "22002"
MODE_MISMATCH_TEXT: Final = (
    "The order type for unilateral position must also be the unilateral position type."  # [seen]
)

_FIXED: Final[dict[str, tuple[str, str]]] = {
    rejects.UNKNOWN_ACCOUNT: ("40710", "Abnormal account status"),
    rejects.UNKNOWN_ORDER: (ORDER_MISSING, "Order does not exist"),
    rejects.BAD_CLIENT_ID: (
        "40305",
        "client_oid length is not greater than 40, and cannot be Martian characters",
    ),
    rejects.DUPLICATE_CLIENT_ID: ("40786", "Duplicate clientOid"),
    rejects.BAD_SIDE: (PARAMETER, "Parameter side error"),
    rejects.PRICE_MISSING: (EMPTY, "Parameter price cannot be empty"),
    rejects.TRIGGER_MISSING: (EMPTY, "Parameter triggerPrice cannot be empty"),
    rejects.BELOW_MIN_QUANTITY: ("45111", "less than the minimum order quantity"),
    rejects.ABOVE_MAX_QUANTITY: ("45112", "more than the maximum order quantity"),
    rejects.ABOVE_MAX_MARKET_QUANTITY: ("45112", "more than the maximum order quantity"),
    rejects.CLOSE_POSITION_WITH_QUANTITY: (PARAMETER, "Parameter size error"),
    rejects.CLOSE_POSITION_WITH_LIMIT: (PARAMETER, "Parameter orderType error"),
    rejects.PROTECTION_ON_REDUCE_ONLY: (
        OFF_SPECIFICATION,
        "The parameter does not meet the specification presetStopLossPrice",  # [assumed]
    ),
    rejects.NO_MARK_PRICE: ("40823", "The transaction or reasonable marked price does not exist"),
    rejects.NO_LAST_PRICE: ("40823", "The transaction or reasonable marked price does not exist"),
    rejects.INSUFFICIENT_MARGIN: ("40762", "The order amount exceeds the balance"),  # [seen]
    rejects.TIER_EXCEEDED: ("40763", "Exceeds position tier limit"),
    rejects.REDUCE_ONLY_REJECTED: (NOTHING_TO_CLOSE, "No position to close"),
    rejects.TOO_MANY_CONDITIONAL: (
        "40889",
        "The plan order of this contract has reached the upper limit",
    ),
    rejects.NO_POSITION: (
        "43023",
        "Insufficient position, can not set profit or stop loss",  # [seen]
    ),
    rejects.LEVERAGE_ABOVE_MAXIMUM: ("40797", "Exceeded the maximum settable leverage"),  # [seen]
    rejects.LEVERAGE_BELOW_ONE: (PARAMETER, "Parameter leverage error"),
    rejects.POSITION_EXCEEDS_TIER: (
        "45044",
        "Leverage is not within the suitable range after adjustment",
    ),
    rejects.BAD_MARGIN_MODE: (PARAMETER, "Parameter marginMode error"),
    rejects.MARGIN_MODE_LOCKED: (
        "45117",
        "Currently holding positions or orders, the margin mode cannot be adjusted",  # [seen]
    ),
    "position_mode_locked": (
        "40920",
        "Position or order exists, the position mode cannot be switched",  # [seen]
    ),
    "position_slot_mismatch": (MODE_MISMATCH, MODE_MISMATCH_TEXT),
    "nothing_to_change": ("40923", "Order size and price have not changed"),
    "reduce_only_regime": ("45119", "This symbol does not support position opening operation"),
    "market_closed": (
        "41114",
        "The current trading pair is under maintenance, please refer to the official "
        "announcement for the opening time",
    ),
}

_WRONG_SIDE: Final[dict[tuple[str, int], tuple[str, str]]] = {
    ("stop", 1): ("40917", "Stop price for long positions please < mark price {0}"),  # [seen]
    ("stop", -1): ("45122", "Short position stop loss price please > mark price {0}"),  # [seen]
    ("target", 1): ("40915", "Long position take profit price please > mark price {0}"),
    ("target", -1): (
        "45135",
        "The take-profit price for short positions must be less than the mark price: {0}.",
    ),
}
"""By leg and the position's side."""


class Refused(Exception):
    """A request Bitget refuses."""

    def __init__(self, code: str, message: str, status: int = BAD_REQUEST) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


def failure(refused: Refused, now_ms: int) -> HttpAnswer:
    """Return a refusal in Bitget's envelope."""
    message = refused.message.replace("\\", "\\\\").replace('"', '\\"')
    body = (
        f'{{"code":"{refused.code}","msg":"{message}","requestTime":{now_ms},"data":null}}'
    ).encode()
    return HttpAnswer(body=body, status=refused.status)


def refused_by(rejected: VenueRejected, side: int = 0) -> Refused:
    """Return what Bitget calls a refusal of the exchange.

    `side` is that of the position which a stop or target is for, 0 where there is none.
    """
    reason, detail = rejected.reason, rejected.detail
    price = detail.rpartition("price ")[2]
    if reason in {rejects.STOP_WRONG_SIDE, rejects.TARGET_WRONG_SIDE}:
        return wrong_side("stop" if reason == rejects.STOP_WRONG_SIDE else "target", side, price)
    if reason == rejects.WOULD_TRIGGER_IMMEDIATELY:
        return wrong_side("stop", side, price)
    if reason == rejects.UNKNOWN_SYMBOL:
        return Refused("40034", f"Parameter {detail.partition(';')[0]} does not exist")
    if reason == rejects.OFF_TICK:
        return Refused("45115", f"The price you enter should be a multiple of the tick: {detail}")
    if reason == rejects.OFF_STEP:
        text = f"Parameter verification exception size checkBDScale error {detail}"
        return Refused("40808", text)
    if reason == rejects.BELOW_MIN_NOTIONAL:
        return Refused("45110", "less than the minimum amount 5 USDT")
    if reason == rejects.PRICE_BAND:
        if side < 0:
            return Refused("22046", f"The order price exceeds the minimum price limit: {detail}")
        return Refused("22047", f"The order price exceeds the maximum price limit: {detail}")
    known = _FIXED.get(reason)
    if known is None:
        return Refused("45001", f"Unknown error {rejected}")
    return Refused(*known)


def wrong_side(leg: str, side: int, price: str) -> Refused:
    """Return the refusal of a stop or target on the wrong side of the price."""
    code, text = _WRONG_SIDE[leg, side or 1]
    return Refused(code, text.format(price))


def parameter(name: str) -> Refused:
    """Return the refusal of a parameter that means nothing."""
    return Refused(PARAMETER, f"Parameter {name} error")


def empty(name: str) -> Refused:
    """Return the refusal of a parameter that is missing."""
    return Refused(EMPTY, f"Parameter {name} cannot be empty")


def order_missing() -> Refused:
    """Return the refusal of an order that does not exist."""
    return Refused(ORDER_MISSING, "Order does not exist")


def plan_missing() -> Refused:
    """Return the refusal of a plan order that does not exist."""
    return Refused(PLAN_MISSING, "Plan order does not exist")
