"""How Binance writes things: numbers as exact text, ids, and its words for ours."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from hfengine.exchange.reports import OrderReport
from hfengine.instruments import Instrument
from hfengine.messages import OrderKind
from hfengine.requests import Slot, TimeInForce

ORDER_BASE: Final = 8_000_000_000
ALGO_BASE: Final = 1_000_000_000_000_000
"""What is added to the exchange's order numbers: algo orders and what they spawn differ by it."""

PRICE_PLACES: Final[Mapping[str, int]] = {"BTCUSDT": 2, "SOLUSDT": 4, "ADAUSDT": 5}
"""`pricePrecision` where it is finer than the tick (exchangeInfo as recorded on 2023-12-16)."""

CONDITIONAL_TYPES: Final[Mapping[str, tuple[OrderKind, bool]]] = {
    "STOP_MARKET": ("stop_market", False),
    "STOP": ("stop_market", True),
    "TAKE_PROFIT_MARKET": ("take_profit_market", False),
    "TAKE_PROFIT": ("take_profit_market", True),
}
"""Kind, and whether it becomes a limit order."""

TIFS: Final[Mapping[str, TimeInForce]] = {
    "GTC": "gtc",
    "IOC": "ioc",
    "FOK": "fok",
    "GTX": "post_only",
}
TIF_NAMES: Final = {ours: name for name, ours in TIFS.items()}
SLOTS: Final[Mapping[str, Slot]] = {"BOTH": "net", "LONG": "long", "SHORT": "short"}
SLOT_NAMES: Final = {ours: name for name, ours in SLOTS.items()}
SIDES: Final = {"BUY": 1, "SELL": -1}
LIQUIDATION_PREFIX: Final = "liquidation#"
ADL_PREFIX: Final = "adl#"

Row = dict[str, Any]
encode: Final = msgspec.json.Encoder().encode


def plain(number: Decimal, least: int = 0) -> str:
    """Return a number exactly, without exponent and with at least so many decimals."""
    if not number:
        return "0." + "0" * least if least else "0"
    whole, _, decimals = f"{number:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(least, "0")
    return f"{whole}.{decimals}" if decimals else whole


def usdt(number: Decimal) -> str:
    """Return a sum of USDT with Binance's eight decimals, more where it has more."""
    return plain(number, 8)


def bare(number: Decimal) -> msgspec.Raw:
    """Return a number as a JSON number, exactly."""
    return msgspec.Raw(plain(number).encode())


def ms(at_ns: int) -> int:
    """Return nanoseconds as whole milliseconds."""
    return at_ns // 1_000_000


def side_name(side: int) -> str:
    """Return `BUY` or `SELL`."""
    return "BUY" if side > 0 else "SELL"


def working_type(trigger_by: str) -> str:
    """Return what triggers watch, in Binance's words."""
    return "MARK_PRICE" if trigger_by == "mark" else "CONTRACT_PRICE"


def margin_type(margin_mode: str) -> str:
    """Return `isolated` or `cross`."""
    return "isolated" if margin_mode == "isolated" else "cross"


def order_id(venue_id: str) -> int:
    """Return the orderId of an order of the exchange."""
    return ORDER_BASE + int(venue_id)


def algo_id(venue_id: str) -> int:
    """Return the algoId of a conditional order of the exchange."""
    return ALGO_BASE + int(venue_id)


def is_conditional(report: OrderReport) -> bool:
    """Tell whether an order waits, or waited, for a trigger."""
    return report.update.kind in {"stop_market", "take_profit_market"}


def is_forced(client_id: str) -> bool:
    """Tell whether an order is a liquidation or an auto-deleveraging."""
    return client_id.startswith((LIQUIDATION_PREFIX, ADL_PREFIX))


def shown_client_id(client_id: str) -> str:
    """Return an order's client id as clients see it."""
    if client_id.startswith(LIQUIDATION_PREFIX):
        return "autoclose-" + client_id.removeprefix(LIQUIDATION_PREFIX)
    return "adl_autoclose" if client_id.startswith(ADL_PREFIX) else client_id


def conditional_type(report: OrderReport) -> str:
    """Return the type of a conditional order, `STOP_MARKET` and so on."""
    name = "STOP" if report.update.kind == "stop_market" else "TAKE_PROFIT"
    return name if report.update.price else name + "_MARKET"


def live_type(report: OrderReport) -> str:
    """Return the type of an order in the matching engine: `MARKET` or `LIMIT`."""
    if is_forced(report.update.client_id):
        return "LIMIT"
    return "LIMIT" if report.update.price else "MARKET"


class Grid:
    """Text of one instrument's prices and quantities; what frames repeat is kept."""

    __slots__ = (
        "_price_texts",
        "_quantity_texts",
        "_step",
        "_tick",
        "instrument",
        "price_places",
        "quantity_places",
    )

    KEPT_MAX: Final = 20_000

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        natural = _places(instrument.price_tick)
        self.price_places = max(natural, PRICE_PLACES.get(instrument.symbol, natural))
        self.quantity_places = _places(instrument.quantity_step)
        self._tick = int(instrument.price_tick.scaleb(self.price_places))
        self._step = int(instrument.quantity_step.scaleb(self.quantity_places))
        self._price_texts: dict[int, str] = {}
        self._quantity_texts: dict[int, str] = {}

    def price(self, price: Decimal) -> str:
        """Return a price, as fine as it is and at least with the symbol's decimals."""
        return plain(price, self.price_places)

    def quantity(self, quantity: Decimal) -> str:
        """Return a quantity with the symbol's decimals."""
        return plain(quantity, self.quantity_places)

    def ticks(self, ticks: int) -> str:
        """Return the price of ticks."""
        text = self._price_texts.get(ticks)
        if text is None:
            if len(self._price_texts) >= self.KEPT_MAX:
                self._price_texts.clear()
            text = _fixed(ticks * self._tick, self.price_places)
            self._price_texts[ticks] = text
        return text

    def steps(self, steps: int) -> str:
        """Return the quantity of steps."""
        text = self._quantity_texts.get(steps)
        if text is None:
            if len(self._quantity_texts) >= self.KEPT_MAX:
                self._quantity_texts.clear()
            text = _fixed(steps * self._step, self.quantity_places)
            self._quantity_texts[steps] = text
        return text


def _places(grain: Decimal) -> int:
    exponent = grain.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def _fixed(number: int, places: int) -> str:
    if not places:
        return str(number)
    text = str(number).rjust(places + 1, "0")
    return f"{text[:-places]}.{text[-places:]}"
