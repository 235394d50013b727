"""Reading what a client sent: text, numbers, choices; what does not fit is Bybit's 10001."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from hfengine.exchange.market import DIGITS_MAX
from hfengine.localvenue.bybit.errors import PARAMETERS, Refused
from hfengine.localvenue.bybit.figures import ZERO
from hfengine.requests import Slot

Parameters = Mapping[str, Any]

FIGURE_LENGTH_MAX: Final = 64

SLOTS: Final[tuple[Slot, ...]] = ("net", "long", "short")
"""The slot of each `positionIdx`."""

_BODY: Final = msgspec.json.Decoder(float_hook=Decimal)


def read_body(body: bytes) -> Parameters:
    """Return the parameters of a POST; raises Refused."""
    if not body:
        return {}
    try:
        parameters = _BODY.decode(body)
    except msgspec.DecodeError as error:
        raise Refused(PARAMETERS, f"params error: {error}") from None
    if not isinstance(parameters, dict):
        raise Refused(PARAMETERS, "params error: an object is expected")
    return parameters


def text(parameters: Parameters, name: str) -> str:
    """Return a parameter as text, "" when it is absent."""
    given = parameters.get(name)
    if type(given) is str:
        return given
    if given is None:
        return ""
    if isinstance(given, dict | list):
        raise Refused(PARAMETERS, f"params error: {name} invalid")
    return str(given)


def required(parameters: Parameters, name: str) -> str:
    """Return a parameter that must be there."""
    given = text(parameters, name)
    if not given:
        raise Refused(PARAMETERS, f"params error: {name} is required")
    return given


def number(parameters: Parameters, name: str) -> Decimal:
    """Return a figure, 0 when it is absent or empty."""
    return given_number(parameters, name) or ZERO


def given_number(parameters: Parameters, name: str) -> Decimal | None:
    """Return a figure, None when it is absent or empty."""
    given = text(parameters, name)
    if not given:
        return None
    try:
        figure = Decimal(given) if len(given) <= FIGURE_LENGTH_MAX else Decimal("NaN")
    except InvalidOperation:
        raise Refused(PARAMETERS, f"params error: {name} invalid") from None
    if not figure.is_finite() or figure < 0 or abs(figure.adjusted()) > DIGITS_MAX:
        raise Refused(PARAMETERS, f"params error: {name} invalid")
    return figure


def whole(parameters: Parameters, name: str, default: int, *, least: int, most: int) -> int:
    """Return a whole number within bounds."""
    given = text(parameters, name)
    if not given:
        return default
    if not given.isdigit():
        raise Refused(PARAMETERS, f"params error: {name} invalid")
    return min(max(int(given), least), most)


def flag(parameters: Parameters, name: str) -> bool:
    """Return a switch: true as JSON or as text."""
    return text(parameters, name).lower() in {"true", "1"}


def choice(parameters: Parameters, name: str, *choices: str, default: str = "") -> str:
    """Return one of the choices; the default where it is absent, refused without one."""
    given = text(parameters, name) or default
    if given not in choices:
        raise Refused(PARAMETERS, f"params error: {name} invalid")
    return given


def slot_of(parameters: Parameters) -> Slot:
    """Return the slot that `positionIdx` names."""
    return SLOTS[int(choice(parameters, "positionIdx", "0", "1", "2", default="0"))]
