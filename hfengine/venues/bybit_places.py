"""Where Bybit is, how its ccxt client is set up, and how often it may be called."""

from typing import Any, Final

from hfengine.venues.quirks import Budget, Mode, Place

KEEP_ALIVE_MS: Final = 6_000

TRADE_SOCKETS: Final[dict[Mode, str]] = {
    "live": "wss://stream.bybit.com/v5/trade",
    "testnet": "wss://stream-testnet.bybit.com/v5/trade",
}
"""The demo has none (VENUES 6)."""

GROUP_POSITION: Final = "position"
BUDGETS: Final = (
    Budget("order", 10, 1.0),
    Budget("trading_stop", 10, 1.0),
    Budget("leverage", 10, 1.0, reserves=False),
    Budget("margin_mode", 5, 1.0, reserves=False),
    Budget(GROUP_POSITION, 50, 1.0, reserves=False),
    Budget("query", 50, 1.0, reserves=False),
    Budget("wallet", 50, 1.0, reserves=False),
    Budget("public", 50, 1.0, reserves=False),
    Budget("*", 600, 5.0),
)
"""Per account and second, but for the address's 600 in 5 s (VENUES 3.1)."""


def client_configuration(place: Place) -> dict[str, Any]:
    """Return ccxt's arguments: only linear markets, the account's type not asked for."""
    configuration: dict[str, Any] = {
        # a half-open connection is noticed within three of these, not after a minute
        "streaming": {"keepAlive": KEEP_ALIVE_MS},
        "options": {
            "fetchMarkets": {"types": ["linear"]},
            "enableUnifiedMargin": False,
            "enableUnifiedAccount": True,
            "unifiedMarginStatus": 6,
        },
    }
    if place.http:
        trade, private = f"{place.ws}/v5/trade", f"{place.ws}/v5/private"
        configuration["urls"] = {
            "api": {
                "public": place.http,
                "private": place.http,
                "ws": {
                    "public": {"linear": f"{place.ws}/v5/public/linear"},
                    "private": {"contract": private, "trade": trade},
                },
            }
        }
    return configuration
