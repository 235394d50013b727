"""Where Binance's USDⓈ-M futures take orders, and how their ccxt client is set up."""

from typing import Any, Final

from hfengine.venues.quirks import Place

ORDERS_LIVE: Final = "wss://ws-fapi.binance.com/ws-fapi/v1"
ORDERS_DEMO: Final = "wss://testnet.binancefuture.com/ws-fapi/v1"
ORDERS_PATH: Final = "/ws-fapi/v1"

KEEP_ALIVE_MS: Final = 15_000
"""ccxt's own 180 s leave a half-open connection unnoticed for six minutes (VENUES 1.4)."""


def client_configuration(place: Place) -> dict[str, Any]:
    """Return ccxt's arguments; see VENUES 1.2 for the addresses of a local venue."""
    options: dict[str, Any] = {
        "fetchCurrencies": False,
        "fetchMargins": False,
        "fetchOpenOrders": {"warnWithoutSymbol": False},
    }
    configuration: dict[str, Any] = {
        "options": options,
        "streaming": {"keepAlive": KEEP_ALIVE_MS},
    }
    if place.http:
        base = f"{place.http}/fapi/v"
        addresses = {
            f"fapi{side}{suffix}": f"{base}{version}"
            for side in ("Public", "Private")
            for suffix, version in (("", 1), ("V2", 2), ("V3", 3))
        }
        sockets = {
            "linear": f"{place.ws}/ws",
            "ws-api": {"linear": place.ws + ORDERS_PATH},
        }
        configuration["urls"] = {"api": {**addresses, "ws": sockets}}
    return configuration
