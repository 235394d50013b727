"""The parameters of one request, read with Binance's complaints about them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from hfengine.localvenue.binance.errors import BinanceError, missing

NUMBER: Final = re.compile(r"([0-9]{1,20})(\.[0-9]{1,20})?")
WHOLE: Final = re.compile(r"[0-9]{1,20}")


class Call:
    """Who asks what: an account ("" for public calls), the place, and the parameters."""

    __slots__ = ("account", "params", "place")

    def __init__(self, account: str, place: str, params: Mapping[str, str]) -> None:
        self.account = account
        self.place = place
        self.params = params

    def has(self, name: str) -> bool:
        """Tell whether a parameter was sent."""
        return name in self.params

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter that may be left out."""
        given = self.params.get(name)
        if given is None:
            return default
        if not given:
            raise BinanceError(-1105, f"Parameter '{name}' was empty.")
        return given

    def need(self, name: str) -> str:
        """Return a parameter that must be there."""
        given = self.params.get(name)
        if not given:
            raise missing(name)
        return given

    def number(self, name: str) -> Decimal:
        """Return a decimal number; 0 when it was not sent."""
        given = self.text(name)
        if not given:
            return Decimal(0)
        if not NUMBER.fullmatch(given):
            message = (
                f"Illegal characters found in parameter '{name}'; legal range is "
                "'^([0-9]{1,20})(\\.[0-9]{1,20})?$'."
            )
            raise BinanceError(-1100, message)
        return Decimal(given)

    def whole(self, name: str, default: int, most: int | None = None) -> int:
        """Return a whole number, at most `most`."""
        given = self.text(name)
        if not given:
            return default
        if not WHOLE.fullmatch(given):
            raise malformed(name)
        number = int(given)
        return number if most is None else min(number, most)

    def flag(self, name: str) -> bool:
        """Return a truth value, false when it was not sent."""
        given = self.text(name, "false").lower()
        if given not in {"true", "false"}:
            raise malformed(name)
        return given == "true"


def malformed(name: str) -> BinanceError:
    """Return the error of a parameter that cannot be read."""
    message = f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
    return BinanceError(-1100, message)
