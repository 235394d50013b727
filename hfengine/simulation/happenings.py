"""Makes the faults of a plan happen, and sees that each is counted when it took effect."""

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hfengine.errors import VenueRejected
from hfengine.messages import Halt, Message, PositionChanged, Resume
from hfengine.requests import OrderRequest
from hfengine.simulation.faults import Fault, Kind
from hfengine.simulation.world import ACCOUNT, NS_A_MS, START_NS, Armed, World

RETRY_MS: Final = 50
SLOWED: Final[dict[Kind, str]] = {
    "slow_orders": "orders",
    "slow_private": "private",
    "slow_feed": "feed",
}
WAITING: Final[frozenset[Kind]] = frozenset(
    {
        "answer_lost_before",
        "answer_lost_after",
        "rate_429",
        "ban_418",
        "ban_403",
        "rate_10006",
        "error_5xx",
        "unknown_outcome",
        "stop_refused",
        "leverage_not_applied",
    }
)
FOREIGN: Final = "web-"
"""How the ids of another client's orders begin."""

Publish = Callable[[Message], None]


class Happenings:
    """What goes wrong in one run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._number = 0
        self.publish: Publish | None = None
        """Says something as the operator of the engine that runs; None while there is none."""
        self.crash_in: int | None = None
        """Messages until the engine dies; None when it is not to."""
        self.downtime_ms = 0
        self.store_lost_until_ns = 0
        self._acts: dict[Kind, Callable[[Fault], bool]] = {
            "thin_book": self._thin,
            "leverage_changed": self._change_leverage,
            "position_mode_changed": self._change_mode,
            "flash_move": self._flash,
            "funding": self._fund,
            "liquidation": self._liquidate,
            "adl": self._deleverage,
            "foreign_order": self._place_foreign,
            "foreign_position": self._trade_foreign,
            "stop_removed": self._remove_stop,
            "operator_halt": self._halt,
            "listen_key_expired": self._expire_key,
            "clock_jump": self._jump,
            "feed_gap": self._lose_update,
            "reduce_only": self._restrict,
            "maintenance": self._maintain,
            "store_lost": self._lose_store,
            "crash": self._crash,
            "orders_lost": self._cut_orders,
            "private_lost": self._cut_private,
            "feed_lost": self._cut_feed,
            "feed_stale": self._silence,
            "duplicates": self._repeat,
        }

    def schedule(self, plan: list[Fault]) -> None:
        """Put a plan on the world's clock."""
        for fault in plan:
            self._world.at(START_NS + fault.at_ms * NS_A_MS, self._begin, fault)

    def _begin(self, fault: Fault) -> None:
        world, kind = self._world, fault.kind
        if kind in SLOWED:
            path, extra_ns = SLOWED[kind], int(fault.size * NS_A_MS)
            world.slow_ns[path] += extra_ns
            world.after_ms(fault.lasts_ms, self._faster, path, extra_ns)
        elif kind in WAITING:
            until_ns = world.now_ns + fault.lasts_ms * NS_A_MS
            symbol = "" if kind.startswith(("rate", "ban")) else fault.symbol
            times = max(1, round(fault.size))
            world.armed.append(Armed(kind, symbol, times, until_ns))
        else:
            self._try(fault, world.now_ns + fault.lasts_ms * NS_A_MS)

    def _try(self, fault: Fault, until_ns: int) -> None:
        """Let it happen as soon as there is something for it to happen to."""
        world = self._world
        if not self._acts[fault.kind](fault) and world.now_ns < until_ns:
            world.after_ms(RETRY_MS, self._try, fault, until_ns)

    def _faster(self, path: str, extra_ns: int) -> None:
        self._world.slow_ns[path] = max(0, self._world.slow_ns[path] - extra_ns)

    def _count(self, kind: Kind) -> bool:
        self._world.counts[kind] += 1
        return True

    def _held(self, symbol: str) -> PositionChanged | None:
        for position in self._world.exchange.positions(ACCOUNT):
            if position.symbol == symbol:
                return position
        return None

    # the network

    def _cut(self, path: str, fault: Fault) -> None:
        self._world.down[path] = self._world.now_ns + fault.lasts_ms * NS_A_MS

    def _cut_orders(self, fault: Fault) -> bool:
        self._cut("orders", fault)
        if self._world.line is not None:
            self._world.line.break_orders()
        return True

    def _cut_private(self, fault: Fault) -> bool:
        self._cut("private", fault)
        if self._world.line is not None:
            self._world.line.break_private()
        return True

    def _cut_feed(self, fault: Fault) -> bool:
        self._cut("feed", fault)
        return True

    def _repeat(self, fault: Fault) -> bool:
        until_ns = self._world.now_ns + 20_000 * NS_A_MS
        self._world.armed.append(Armed("duplicates", "", 1, until_ns))
        return self._cut_private(fault)

    def _expire_key(self, fault: Fault) -> bool:
        if self._world.line is None:
            return False
        self._cut_private(fault)
        return self._count("listen_key_expired")

    def _silence(self, fault: Fault) -> bool:
        self._world.stale.add(fault.symbol)
        self._world.after_ms(fault.lasts_ms, self._world.stale.discard, fault.symbol)
        return True

    def _lose_update(self, fault: Fault) -> bool:
        self._world.gaps.add(fault.symbol)
        return True

    def _jump(self, fault: Fault) -> bool:
        world = self._world
        world.offset_ns += int(fault.size * NS_A_MS)
        world.after_ms(fault.lasts_ms, self._jump_back, int(fault.size * NS_A_MS))
        return self._count("clock_jump")

    def _jump_back(self, offset_ns: int) -> None:
        if self._world.offset_ns:
            self._world.offset_ns -= offset_ns

    # the market

    def _thin(self, fault: Fault) -> bool:
        market = self._world.markets[fault.symbol]
        market.depth = fault.size
        self._world.after_ms(fault.lasts_ms, self._thick, fault.symbol)
        return self._count("thin_book")

    def _thick(self, symbol: str) -> None:
        self._world.markets[symbol].depth = 1.0

    def _flash(self, fault: Fault) -> bool:
        held = self._held(fault.symbol)
        if held is None:
            return False
        self._world.markets[fault.symbol].shift = -held.side * fault.size / 100.0
        self._world.forced.add(fault.symbol)
        self._world.after_ms(500 + fault.lasts_ms % 1_000, self._unflash, fault.symbol)
        return self._count("flash_move")

    def _unflash(self, symbol: str) -> None:
        self._world.markets[symbol].shift = 0.0

    def _fund(self, fault: Fault) -> bool:
        if self._held(fault.symbol) is None:
            return False
        # counted when it was paid
        world = self._world
        world.funding_rate[fault.symbol] = Decimal(str(fault.size)).quantize(Decimal("1e-6"))
        world.funding_due_ns[fault.symbol] = world.now_ns + 150 * NS_A_MS
        return True

    def _restrict(self, fault: Fault) -> bool:
        self._world.exchange.set_regime(fault.symbol, "reduce_only")
        self._world.after_ms(fault.lasts_ms, self._open, fault.symbol)
        return self._count("reduce_only")

    def _open(self, symbol: str) -> None:
        self._world.exchange.set_regime(symbol, "open")

    def _maintain(self, fault: Fault) -> bool:
        world = self._world
        world.maintenance = True
        for symbol in world.instruments:
            world.exchange.set_regime(symbol, "closed")
        self._cut_private(fault)
        world.after_ms(fault.lasts_ms, self._maintained)
        return self._count("maintenance")

    def _maintained(self) -> None:
        self._world.maintenance = False
        for symbol in self._world.instruments:
            self._open(symbol)

    # the account

    def _liquidate(self, fault: Fault) -> bool:
        return self._forced(fault, "liquidation")

    def _deleverage(self, fault: Fault) -> bool:
        return self._forced(fault, "adl")

    def _forced(self, fault: Fault, kind: Kind) -> bool:
        world, held = self._world, self._held(fault.symbol)
        if held is None:
            return False
        world.forced.add(fault.symbol)
        if kind == "liquidation":
            world.exchange.force_liquidation(ACCOUNT, fault.symbol, world.now_ns)
        else:
            step = world.instruments[fault.symbol].quantity_step
            quantity = held.quantity * Decimal(str(fault.size)) // step * step
            world.exchange.force_adl(ACCOUNT, fault.symbol, quantity, world.now_ns)
        world.flush()
        return self._count(kind)

    def _change_leverage(self, fault: Fault) -> bool:
        world = self._world
        try:
            world.exchange.set_leverage(ACCOUNT, fault.symbol, int(fault.size), world.now_ns)
        except VenueRejected:
            return False
        world.flush()
        return self._count("leverage_changed")

    def _change_mode(self, fault: Fault) -> bool:
        world = self._world
        try:
            world.exchange.set_position_mode(ACCOUNT, "hedge", world.now_ns)
        except VenueRejected:
            return False
        world.after_ms(fault.lasts_ms, self._change_mode_back)
        return self._count("position_mode_changed")

    def _change_mode_back(self) -> None:
        world = self._world
        try:
            world.exchange.set_position_mode(ACCOUNT, "one_way", world.now_ns)
        except VenueRejected:
            world.after_ms(RETRY_MS, self._change_mode_back)

    def _foreign_id(self) -> str:
        self._number += 1
        return f"{FOREIGN}{self._number}"

    def _place(self, request: OrderRequest) -> bool:
        world = self._world
        try:
            world.exchange.place(ACCOUNT, request, world.now_ns)
        except VenueRejected:
            return False
        finally:
            world.flush()
        return True

    def _place_foreign(self, fault: Fault) -> bool:
        world = self._world
        instrument, market = world.instruments[fault.symbol], world.markets[fault.symbol]
        client_id = self._foreign_id()
        price = instrument.price_down(market.price * 0.97)
        quantity = instrument.quantity_of(
            max(1, int(300 / market.price / instrument.step_quantity))
        )
        request = OrderRequest(client_id, fault.symbol, 1, "limit", quantity, price)
        if not self._place(request):
            return False
        world.after_ms(fault.lasts_ms, self._withdraw_foreign, fault.symbol, client_id)
        return self._count("foreign_order")

    def _withdraw_foreign(self, symbol: str, client_id: str) -> None:
        world = self._world
        try:
            world.exchange.cancel(ACCOUNT, symbol, client_id, world.now_ns)
        except VenueRejected:
            return
        world.flush()

    def _trade_foreign(self, fault: Fault) -> bool:
        """Open or enlarge a position as another client would, without any stop."""
        world = self._world
        instrument, market = world.instruments[fault.symbol], world.markets[fault.symbol]
        held = self._held(fault.symbol)
        side = held.side if held is not None else 1
        usdt = 400 + 600 * fault.size
        steps = max(1, int(usdt / market.price / instrument.step_quantity))
        quantity = instrument.quantity_of(steps)
        request = OrderRequest(self._foreign_id(), fault.symbol, side, "market", quantity)
        return self._place(request) and self._count("foreign_position")

    def _remove_stop(self, fault: Fault) -> bool:
        """Take away a position's stop, as its owner could by hand."""
        world, held = self._world, self._held(fault.symbol)
        if held is None or not held.stop:
            return False
        for order in world.exchange.open_orders(ACCOUNT, fault.symbol):
            if order.kind == "stop_market" and order.reduce_only:
                world.exchange.cancel(ACCOUNT, fault.symbol, order.client_id, world.now_ns)
        world.by_hand = True
        world.flush()
        world.by_hand = False
        return self._count("stop_removed")

    # the engine

    def _halt(self, fault: Fault) -> bool:
        if self.publish is None:
            return False
        self.publish(Halt(self._world.now_ns, "operator", "the simulated operator"))
        self._world.after_ms(fault.lasts_ms, self._resume)
        return self._count("operator_halt")

    def _resume(self) -> None:
        if self.publish is None:
            self._world.after_ms(RETRY_MS, self._resume)
        else:
            self.publish(Resume(self._world.now_ns, "operator"))

    def _lose_store(self, fault: Fault) -> bool:
        self.store_lost_until_ns = self._world.now_ns + fault.lasts_ms * NS_A_MS
        return self._count("store_lost")

    def _crash(self, fault: Fault) -> bool:
        # counted when the engine is dead
        self.crash_in = int(fault.size)
        self.downtime_ms = max(fault.lasts_ms, 200)
        return True
