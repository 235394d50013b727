"""Names of symbols where several venues trade side by side: BTCUSDT@bybit."""

from typing import Final

AT: Final = "@"


def venue_of(symbol: str) -> str:
    """Return the venue a symbol names, "" when it names none."""
    return symbol.partition(AT)[2]


def plain_symbol(symbol: str) -> str:
    """Return the symbol as its venue writes it."""
    return symbol.partition(AT)[0]


def at_venue(symbol: str, venue: str) -> str:
    """Return a venue's own symbol with the venue's name."""
    return f"{symbol}{AT}{venue}"
