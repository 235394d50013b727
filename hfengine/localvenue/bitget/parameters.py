"""What a request asks: its parameters read, checked and turned into the exchange's types."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec
from msgspec import Struct

from hfengine.instruments import Instrument
from hfengine.localvenue.bitget.errors import Refused, empty, parameter
from hfengine.localvenue.bitget.figures import ZERO
from hfengine.localvenue.ports import HttpRequest

PRODUCT: Final = "USDT-FUTURES"
OTHER_PRODUCTS: Final = frozenset(
    {"COIN-FUTURES", "USDC-FUTURES", "SUSDT-FUTURES", "SCOIN-FUTURES", "SUSDC-FUTURES"}
)
"""Products that exist and of which this venue lists nothing."""

LIMIT_MAX: Final = 100


class Call(Struct, frozen=True):
    """One request after its sender is known; `account` is "" on public endpoints."""

    account: str
    parameters: Mapping[str, Any]
    path: str
    now_ms: int

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as text, `default` when it is missing or empty."""
        given = self.parameters.get(name)
        if given is None or given == "":
            return default
        if isinstance(given, dict | list):
            raise parameter(name)
        return str(given)

    def required(self, name: str) -> str:
        """Return a parameter as text; raises Refused when it is missing."""
        given = self.text(name)
        if not given:
            raise empty(name)
        return given

    def decimal(self, name: str) -> Decimal:
        """Return a parameter as a figure of at least 0, 0 when it is missing; raises Refused."""
        given = self.text(name)
        if not given:
            return ZERO
        try:
            figure = Decimal(given)
        except InvalidOperation:
            raise parameter(name) from None
        if not figure.is_finite() or figure < 0:
            raise parameter(name)
        return figure

    def whole(self, name: str, default: int) -> int:
        """Return a parameter as a whole number; raises Refused."""
        given = self.text(name)
        if not given:
            return default
        if not given.isdecimal():
            raise parameter(name)
        return int(given)

    def choice(self, name: str, allowed: Sequence[str], default: str = "") -> str:
        """Return a parameter in lower case, one of `allowed`; raises Refused."""
        given = self.text(name, default).lower()
        if not given:
            raise empty(name)
        if given not in allowed:
            raise parameter(name)
        return given

    def objects(self, name: str) -> list[Mapping[str, Any]]:
        """Return a list of objects, empty when it is missing; raises Refused."""
        given = self.parameters.get(name)
        if given is None:
            return []
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise parameter(name)
        return given

    def limit(self, default: int = LIMIT_MAX) -> int:
        """Return how many rows are wanted, at most 100."""
        return max(1, min(self.whole("limit", default), LIMIT_MAX))

    def within(self, at_ms: int) -> bool:
        """Tell whether a time lies between `startTime` and `endTime`."""
        start, end = self.text("startTime"), self.text("endTime")
        return (not start or at_ms >= int(start)) and (not end or at_ms <= int(end))

    def lists_nothing(self) -> bool:
        """Tell whether the product is one that this venue has nothing of; raises Refused."""
        product = self.required("productType").upper()
        if product == PRODUCT:
            return False
        if product in OTHER_PRODUCTS:
            return True
        raise Refused("40020", "Parameter productType error")

    def symbol(self, instruments: Mapping[str, Instrument], *, needs_product: bool = True) -> str:
        """Return the symbol asked for; raises Refused."""
        given = self.required("symbol")
        found = given.upper()
        if (needs_product and self.lists_nothing()) or found not in instruments:
            raise Refused("40034", f"Parameter {given} does not exist")
        return found


def read(request: HttpRequest) -> Mapping[str, Any]:
    """Return the parameters of a request: of its query, or of its JSON body; raises Refused."""
    if request.method == "GET":
        return request.query
    if not request.body:
        return {}
    try:
        parameters = msgspec.json.decode(request.body)
    except msgspec.DecodeError:
        raise Refused("40017", "Parameter verification failed") from None
    if not isinstance(parameters, dict):
        raise Refused("40017", "Parameter verification failed")
    return parameters
