"""Which dialects are measured, on which market, and what is asked for."""

from collections.abc import Callable
from typing import Final, Literal, get_args

from msgspec import Struct

from hfengine.instruments import Instrument
from hfengine.localvenue.listings import invented

Dialect = Literal["bybit", "binance"]
DIALECTS: Final[tuple[Dialect, ...]] = get_args(Dialect)

Progress = Callable[[str], None]


class MeasureFailed(Exception):
    """A process of a measurement ended early or was refused; the message has its last words."""


class Key(Struct, frozen=True):
    """An API key of an account of its own; the venue holds no money."""

    name: str
    secret: bytes

    @property
    def option(self) -> str:
        """The value of `hfengine venue --account`."""
        return f"{self.name}:{self.name}:{self.secret.decode()}"


UNLIMITED: Final = 10**9

LIFT: Final[dict[Dialect, dict[str, str | int]]] = {
    "bybit": {"do": "order_rate", "per_second": UNLIMITED},
    "binance": {
        "do": "limits",
        "weight": UNLIMITED,
        "orders_10s": UNLIMITED,
        "orders_1m": UNLIMITED,
    },
}
"""What lifts a venue's limits: the venue is measured, not its tariff."""


def make_keys(owner: str, count: int) -> list[Key]:
    """Return `count` keys of one client."""
    return [Key(f"{owner}{number}", b"open") for number in range(count)]


def listed(dialect: Dialect, count: int) -> list[Instrument]:
    """Return the invented instruments a measured venue lists."""
    return invented(dialect, count)
