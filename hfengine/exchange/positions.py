"""One account's position in one symbol: size, exact entry cost, margin apart, protection."""

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from hfengine.exchange.ledger import EXACT, half_even
from hfengine.exchange.order_margin import RestingOrders

if TYPE_CHECKING:
    from hfengine.exchange.account import Account
    from hfengine.exchange.market import Market
    from hfengine.exchange.orders import Order
    from hfengine.requests import Slot

MarginMode = Literal["isolated", "cross"]


class Position:
    """A position with its settings. `steps` is signed, `cost_units` the entry notional.

    `realised_units` is PnL less fees and funding since the position was opened; it keeps its last
    figure while flat. `realised_total_units` is the same since the beginning.
    """

    __slots__ = (
        "account",
        "conditionals",
        "cost_units",
        "leverage",
        "margin_mode",
        "margin_units",
        "market",
        "opened_ns",
        "realised_total_units",
        "realised_units",
        "resting",
        "slot",
        "steps",
        "stop",
        "target",
    )

    def __init__(
        self, account: "Account", market: "Market", leverage: int, slot: "Slot" = "net"
    ) -> None:
        self.account = account
        self.market = market
        self.slot: Slot = slot
        self.leverage = leverage
        self.margin_mode: MarginMode = "cross"
        self.steps = 0
        self.cost_units = 0
        self.margin_units = 0
        self.opened_ns = 0
        self.realised_units = 0
        self.realised_total_units = 0
        self.stop: Order | None = None
        self.target: Order | None = None
        self.resting = RestingOrders()
        self.conditionals: dict[str, Order] = {}

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.steps > 0) - (self.steps < 0)

    @property
    def size_steps(self) -> int:
        """The size without its sign."""
        return abs(self.steps)

    @property
    def is_isolated(self) -> bool:
        """Whether its margin is kept apart."""
        return self.margin_mode == "isolated"

    @property
    def mark_notional_units(self) -> int:
        """Notional at the mark price."""
        return self.market.mark_notional_units(abs(self.steps))

    @property
    def unrealised_units(self) -> int:
        """Unrealised PnL at the mark price."""
        return self.side * (self.mark_notional_units - self.cost_units)

    @property
    def entry(self) -> Decimal:
        """Average entry price, 0 when flat; at most 28 digits."""
        if not self.steps:
            return Decimal(0)
        market = self.market
        cost_usdt = market.unit.usdt(self.cost_units)
        return cost_usdt / market.quantity_of(self.size_steps)

    @property
    def initial_units(self) -> int:
        """Initial margin: notional at the mark price over leverage, rounded up."""
        return -(-self.mark_notional_units // self.leverage)

    @property
    def bankruptcy(self) -> Decimal:
        """The price that loses the margin apart (cross: entry notional / leverage), 0 when flat."""
        if not self.steps:
            return Decimal(0)
        apart = self.margin_units if self.is_isolated else half_even(self.cost_units, self.leverage)
        usdt = self.market.unit.usdt(self.cost_units - self.side * apart)
        return max(usdt / self.market.quantity_of(self.size_steps), Decimal(0))

    @property
    def bankruptcy_ticks(self) -> int:
        """The price that loses the margin apart, rounded to a tick so that it loses no more."""
        units = self.cost_units - self.side * self.margin_units
        return self.ticks_in_favour(units)

    def ticks_in_favour(self, notional_units: int) -> int:
        """Return the tick at or just better than closing the whole size for this notional."""
        per_tick = self.size_steps * self.market.tick_units
        if self.steps > 0:
            return max(-(-notional_units // per_tick), 1)
        return max(notional_units // per_tick, 1)

    def closing_units(self, ticks: int) -> int:
        """Return the PnL of closing the whole size at a price."""
        return self.side * (ticks * self.size_steps * self.market.tick_units - self.cost_units)

    def apply(self, side: int, steps: int, ticks: int) -> int:
        """Take a fill and return the realised PnL before fees, units.

        A close releases cost and margin in proportion; what is beyond the size opens anew.
        """
        step_units = ticks * self.market.tick_units
        if self.steps * side >= 0:
            self._open(side, steps, step_units)
            return 0
        held_side, size = self.side, self.size_steps
        closed = min(steps, size)
        released = half_even(self.cost_units * closed, size)
        self.cost_units -= released
        self.margin_units -= half_even(self.margin_units * closed, size)
        self.steps += side * closed
        if closed < steps:
            self._open(side, steps - closed, step_units)
        return held_side * (closed * step_units - released)

    def book(
        self, side_before: int, realised_units: int, fee_units: int, steps: int, at_ns: int
    ) -> None:
        """Count a fill of `steps` that was just applied into what the position realised.

        The fee of a fill that turns the position round is split by quantity.
        """
        self.realised_total_units += realised_units - fee_units
        if self.side == side_before or not self.steps:
            self.realised_units += realised_units - fee_units
            return
        self.opened_ns = at_ns
        self.realised_units = -half_even(fee_units * self.size_steps, steps)

    def charge(self, units: int) -> None:
        """Count a charge, funding for one, into what the position realised."""
        self.realised_units -= units
        self.realised_total_units -= units

    def set_leverage(self, leverage: int) -> None:
        """Change leverage; the margin apart of an isolated position follows it."""
        self.leverage = leverage
        if self.is_isolated:
            self.margin_units = half_even(self.cost_units, leverage)

    def protections(self) -> list["Order"]:
        """Return the protection attached to the position, stop first."""
        return [order for order in (self.stop, self.target) if order is not None]

    def dependants(self) -> list["Order"]:
        """Return the conditional orders beyond `protections` that end with the position."""
        return [
            order
            for order in self.conditionals.values()
            if order.partial or order.expires_with_position
        ]

    def closing_conditional(self, kind: str) -> list["Order"]:
        """Return the active conditional orders of a kind that would reduce the position."""
        return [
            order
            for order in self.conditionals.values()
            if order.kind == kind and order.reduce_only and order.side == -self.side
        ]

    def covered_steps(self) -> int:
        """Return how much of the size active stops would close."""
        covered = 0
        for order in self.closing_conditional("stop_market"):
            covered += self.size_steps if order.close_position else order.remaining_steps
        return min(covered, self.size_steps)

    def _open(self, side: int, steps: int, step_units: int) -> None:
        notional_units = steps * step_units
        self.steps += side * steps
        self.cost_units += notional_units
        if self.is_isolated:
            self.margin_units += half_even(notional_units, self.leverage)


def extra_margin_usdt(position: Position) -> Decimal:
    """Return the margin apart beyond entry notional / leverage (negative when drawn down)."""
    usdt = position.market.unit.usdt
    plain_usdt = EXACT.divide(usdt(position.cost_units), Decimal(position.leverage))
    return usdt(position.margin_units) - plain_usdt
