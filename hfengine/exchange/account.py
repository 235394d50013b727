"""One account: its ledger, positions, orders and fills."""

from typing import TYPE_CHECKING, Final, Literal

from hfengine.exchange.ledger import Ledger, Unit
from hfengine.exchange.positions import Position

if TYPE_CHECKING:
    from hfengine.exchange.market import Market
    from hfengine.exchange.orders import Order
    from hfengine.exchange.reports import FillReport
    from hfengine.messages import Fill
    from hfengine.requests import Slot

PositionMode = Literal["one_way", "hedge"]

LEVERAGE_DEFAULT: Final = 20
"""What a new account trades at, as on Binance; less where the symbol offers less."""

ONE_WAY_SLOTS: Final[tuple["Slot", ...]] = ("net",)
HEDGE_SLOTS: Final[tuple["Slot", ...]] = ("long", "short")


class Account:
    """An account. `orders` holds every order ever accepted, `open` those that can still fill."""

    __slots__ = (
        "by_venue_id",
        "fill_reports",
        "fills",
        "ledger",
        "name",
        "open",
        "orders",
        "position_mode",
        "positions",
        "reserved_ids",
        "slots",
    )

    def __init__(self, name: str, unit: Unit) -> None:
        self.name = name
        self.position_mode: PositionMode = "one_way"
        self.slots = ONE_WAY_SLOTS
        self.ledger = Ledger(unit)
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, Order] = {}
        self.by_venue_id: dict[str, Order] = {}
        self.open: dict[str, Order] = {}
        self.reserved_ids: set[str] = set()
        self.fills: list[Fill] = []
        self.fill_reports: list[FillReport] = []
        """Kept in a detailed exchange only."""

    def set_position_mode(self, mode: PositionMode) -> None:
        """Change which positions a symbol has, its `slots`; nothing may be open."""
        self.position_mode = mode
        self.slots = ONE_WAY_SLOTS if mode == "one_way" else HEDGE_SLOTS

    def position(self, market: "Market", slot: "Slot" = "net") -> Position:
        """Return the position in a market, a flat one at default settings if there is none."""
        symbol = market.instrument.symbol
        key = symbol if slot == "net" else f"{symbol}#{slot}"
        position = self.positions.get(key)
        if position is None:
            leverage = min(LEVERAGE_DEFAULT, int(market.instrument.max_leverage))
            position = self.positions[key] = Position(self, market, leverage, slot)
        return position

    def positions_in(self, market: "Market") -> list[Position]:
        """Return a market's positions, one for each slot of the mode."""
        return [self.position(market, slot) for slot in self.slots]

    def held_in(self, market: "Market") -> list[Position]:
        """Return a market's positions that are not flat."""
        return [position for position in self.positions_in(market) if position.steps]

    def held(self) -> list[Position]:
        """Return the positions that are not flat."""
        return [position for position in self.positions.values() if position.steps]

    def has_used(self, client_id: str) -> bool:
        """Tell whether an id was ever used, or is kept for the protection of an entry."""
        return client_id in self.orders or client_id in self.reserved_ids
