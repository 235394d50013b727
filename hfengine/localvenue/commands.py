"""What an operator can have done at once, by name: `POST /admin/do {"do": NAME, …}`."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from hfengine.localvenue.world import World
from hfengine.requests import Slot


class Command(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command with its arguments; raises ValueError for a figure that is none."""

    def __post_init__(self) -> None:
        """Refuse NaN and the infinities: they would stay in every later sum."""
        for name in self.__struct_fields__:
            figure = getattr(self, name)
            if isinstance(figure, Decimal | float) and not isfinite(figure):
                raise ValueError(f"{name} must be a finite number, not {figure}")

    def run(self, world: World) -> None:
        """Do it; raises VenueRejected, KeyError or ValueError when it cannot be done."""
        raise NotImplementedError


class AccountCommand(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command that concerns one symbol of an account; the account opened first by default."""

    symbol: str
    account: str = ""
    slot: Slot = "net"

    def of(self, world: World) -> str:
        """Return the account's name."""
        return self.account or world.accounts()[0]


class SetLeverage(AccountCommand, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another client of the account sets a leverage."""

    leverage: int

    def run(self, world: World) -> None:
        """Set it."""
        name = self.of(world)
        world.act(
            lambda now_ns: world.exchange.set_leverage(
                name, self.symbol, self.leverage, now_ns, self.slot
            )
        )


class SetMarginMode(AccountCommand, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another client of the account sets a margin mode."""

    mode: Literal["isolated", "cross"]

    def run(self, world: World) -> None:
        """Set it."""
        name = self.of(world)
        world.act(
            lambda now_ns: world.exchange.set_margin_mode(name, self.symbol, self.mode, now_ns)
        )


class Deleverage(AccountCommand, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The exchange takes part of a position away (ADL)."""

    quantity: Decimal

    def run(self, world: World) -> None:
        """Do it."""
        name = self.of(world)
        world.act(
            lambda now_ns: world.exchange.force_adl(
                name, self.symbol, self.quantity, now_ns, self.slot
            )
        )


class Liquidate(AccountCommand, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The exchange liquidates a position."""

    def run(self, world: World) -> None:
        """Do it."""
        name = self.of(world)
        world.act(
            lambda now_ns: world.exchange.force_liquidation(name, self.symbol, now_ns, self.slot)
        )


class CancelOrder(AccountCommand, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody cancels an order."""

    client_id: str

    def run(self, world: World) -> None:
        """Cancel it."""
        name = self.of(world)
        world.act(lambda now_ns: world.exchange.cancel(name, self.symbol, self.client_id, now_ns))


class SetRegime(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A symbol trades freely, only reduces, or is closed."""

    symbol: str
    regime: Literal["open", "reduce_only", "closed"]

    def run(self, world: World) -> None:
        """Set it."""
        world.act(lambda _: world.exchange.set_regime(self.symbol, self.regime))


class SkewClock(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The venue's clock is ahead (or behind, below 0)."""

    ms: float

    def run(self, world: World) -> None:
        """Set it; 0 puts the clock right."""
        world.clock_skew_ns = int(self.ms * 1e6)
        world.acted = True


class Move(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Book, trades, mark and index move by `ticks`, or until the mark is at `to_price`."""

    symbol: str
    ticks: int = 0
    to_price: Decimal | None = None
    over_s: float = 0.0

    def run(self, world: World) -> None:
        """Move them."""
        world.move(self.symbol, self.ticks, to_price=self.to_price, over_s=self.over_s)


class HoldMark(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mark (and index) stand still at a price; null lets them go."""

    symbol: str
    mark: Decimal | None
    index: Decimal | None = None

    def run(self, world: World) -> None:
        """Hold them."""
        if self.mark is not None and min(self.mark, self.index or self.mark) <= 0:
            raise ValueError("mark and index must be above 0")
        world.set_mark(self.symbol, self.mark, self.index)


class PayFunding(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Funding is paid now."""

    symbol: str
    rate: Decimal

    def run(self, world: World) -> None:
        """Pay it."""
        world.pay_funding(self.symbol, self.rate)


class SetLevel(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One level of a still market's book changes."""

    symbol: str
    side: Literal[1, -1]
    ticks: int
    steps: int

    def run(self, world: World) -> None:
        """Set it."""
        world.set_level(self.symbol, self.side, self.ticks, self.steps)


COMMANDS: Final[Mapping[str, type[Command]]] = {
    "leverage": SetLeverage,
    "margin_mode": SetMarginMode,
    "adl": Deleverage,
    "liquidate": Liquidate,
    "cancel_order": CancelOrder,
    "regime": SetRegime,
    "clock_skew": SkewClock,
    "move": Move,
    "mark": HoldMark,
    "funding": PayFunding,
    "level": SetLevel,
}

DialectCommand = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


def run_command(
    world: World, name: str, arguments: Mapping[str, Any], of_dialect: DialectCommand
) -> Mapping[str, Any]:
    """Do what the name says, or let the dialect do it; return what there is to say.

    Raises KeyError for an unknown name or symbol, msgspec.ValidationError for wrong arguments,
    VenueRejected or ValueError when it cannot be done.
    """
    kind = COMMANDS.get(name)
    if kind is None:
        return of_dialect(name, arguments)
    # not strict: prices may come as numbers or as text
    msgspec.convert(arguments, kind, strict=False).run(world)
    return {}
