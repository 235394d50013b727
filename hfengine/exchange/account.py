"""One account: its ledger, positions, orders and fills."""

from typing import TYPE_CHECKING, Final

from hfengine.exchange.ledger import Ledger, Unit
from hfengine.exchange.positions import Position

if TYPE_CHECKING:
    from hfengine.exchange.market import Market
    from hfengine.exchange.orders import Order
    from hfengine.messages import Fill

LEVERAGE_DEFAULT: Final = 20
"""What a new account trades at, as on Binance; less where the symbol offers less."""


class Account:
    """An account. `orders` holds every order ever accepted, `open` those that can still fill."""

    __slots__ = ("fills", "ledger", "name", "open", "orders", "positions", "reserved_ids")

    def __init__(self, name: str, unit: Unit) -> None:
        self.name = name
        self.ledger = Ledger(unit)
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.reserved_ids: set[str] = set()
        self.fills: list[Fill] = []

    def position(self, market: "Market") -> Position:
        """Return the position in a market, a flat one at default settings if there is none."""
        symbol = market.instrument.symbol
        position = self.positions.get(symbol)
        if position is None:
            leverage = min(LEVERAGE_DEFAULT, int(market.instrument.max_leverage))
            position = self.positions[symbol] = Position(self, market, leverage)
        return position

    def held(self) -> list[Position]:
        """Return the positions that are not flat."""
        return [position for position in self.positions.values() if position.steps]

    def has_used(self, client_id: str) -> bool:
        """Tell whether an id was ever used, or is kept for the protection of an entry."""
        return client_id in self.orders or client_id in self.reserved_ids
