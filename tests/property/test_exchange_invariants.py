"""Whatever two accounts do to the exchange, these hold after every call."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hfengine.errors import VenueRejected
from hfengine.exchange.margin import cross_state, notional_cap_units, position_maintenance_units
from hfengine.messages import Fill, OrderUpdate, PositionChanged
from tests.exchange_desk import BTC, ETH, HOUR_NS, D, Desk, instrument

ACCOUNTS = ("a", "b")
SIDES = st.sampled_from([1, -1])
OWNERS = st.sampled_from(ACCOUNTS)
SYMBOLS = st.sampled_from([BTC, ETH])
STEPS = st.integers(1, 400)
OFFSETS = st.integers(-30, 30)
CALM = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@contextmanager
def refusing(reasons: set[str]) -> Iterator[None]:
    """Let a request through or be refused, but only for one of these reasons."""
    try:
        yield
    except VenueRejected as refused:
        if refused.reason not in reasons:
            raise


class Trading(RuleBasedStateMachine):
    """Random requests and market data on two coarse symbols near 1 000 USDT."""

    def __init__(self) -> None:
        super().__init__()
        # ticks of 1 USDT and 0.5 %-wide books make triggers, crossings and liquidations common
        listed = [
            instrument(symbol, venue, tick="1", step="0.01", band="0.5", least_usdt=5)
            for symbol, venue in ((BTC, "binance"), (ETH, "bybit"))
        ]
        self.desk = Desk(*listed, wallet="3000")
        self.desk.next_funding_ns = 8 * HOUR_NS
        self.mid = {BTC: 1_000, ETH: 1_000}
        self.filled: dict[tuple[str, str], Decimal] = {}
        for symbol in (BTC, ETH):
            self.desk.mark(1_000, symbol)
            self.show(symbol, 200)

    def show(self, symbol: str, quantity: int) -> None:
        mid = self.mid[symbol]
        bids = {mid - 1 - depth: quantity + depth for depth in range(5)}
        asks = {mid + 1 + depth: quantity + depth for depth in range(5)}
        self.desk.books[symbol].set(bids, asks)
        self.desk.exchange.on_book(symbol, self.desk.tick())

    def place(self, owner: str, symbol: str, side: int, steps: int, **more: object) -> None:
        before = self.desk.exchange.position(owner, symbol)
        held = before.side * before.quantity
        try:
            update = self.desk.place(side, D(steps) / 100, account=owner, symbol=symbol, **more)
        except VenueRejected:
            return
        after = self.desk.exchange.position(owner, symbol)
        now = after.side * after.quantity
        if more.get("reduce_only") and update.kind != "stop_market":
            assert abs(now) <= abs(held)
            assert now * held >= 0
        self.check_limits(owner, symbol, held, now)

    def check_limits(self, owner: str, symbol: str, held: Decimal, now: Decimal) -> None:
        """A position that an accepted order made bigger is within the tier of its leverage."""
        exchange = self.desk.exchange
        if abs(now) > abs(held):
            market = exchange._market(symbol)
            leverage = exchange.leverage(owner, symbol).leverage
            cap_usdt = market.unit.usdt(notional_cap_units(market, leverage))
            assert abs(now) * exchange.mark(symbol) <= cap_usdt
            assert leverage <= market.instrument.max_leverage

    @rule(owner=OWNERS, symbol=SYMBOLS, side=SIDES, steps=STEPS, reduce_only=st.booleans())
    def market_order(
        self, owner: str, symbol: str, side: int, steps: int, reduce_only: bool
    ) -> None:
        self.place(owner, symbol, side, steps, reduce_only=reduce_only)

    @rule(
        owner=OWNERS,
        symbol=SYMBOLS,
        side=SIDES,
        steps=STEPS,
        offset=OFFSETS,
        tif=st.sampled_from(["gtc", "ioc", "fok", "post_only"]),
        reduce_only=st.booleans(),
    )
    def limit_order(
        self,
        owner: str,
        symbol: str,
        side: int,
        steps: int,
        offset: int,
        tif: str,
        reduce_only: bool,
    ) -> None:
        price = self.mid[symbol] + offset
        self.place(owner, symbol, side, steps, price=price, tif=tif, reduce_only=reduce_only)

    @rule(
        owner=OWNERS,
        symbol=SYMBOLS,
        side=SIDES,
        steps=STEPS,
        stop=st.integers(1, 15),
        gain=st.integers(0, 15),
        by=st.sampled_from(["mark", "last"]),
    )
    def bracket(
        self, owner: str, symbol: str, side: int, steps: int, stop: int, gain: int, by: str
    ) -> None:
        mid = self.mid[symbol]
        self.place(
            owner,
            symbol,
            side,
            steps,
            stop=D(mid - side * stop),
            target=D(mid + side * gain) if gain else D(0),
            protect_by=by,
        )

    @rule(
        owner=OWNERS, symbol=SYMBOLS, side=SIDES, steps=STEPS, offset=OFFSETS, exits=st.booleans()
    )
    def conditional(
        self, owner: str, symbol: str, side: int, steps: int, offset: int, exits: bool
    ) -> None:
        trigger = D(self.mid[symbol] + offset)
        self.place(
            owner, symbol, side, steps, kind="stop_market", trigger=trigger, reduce_only=exits
        )

    @rule(owner=OWNERS, symbol=SYMBOLS, leverage=st.sampled_from([1, 10, 50, 100, 125]))
    def leverage(self, owner: str, symbol: str, leverage: int) -> None:
        expected = {"insufficient_margin", "position_exceeds_tier"}
        with refusing(expected):
            self.desk.exchange.set_leverage(owner, symbol, leverage, self.desk.tick())

    @rule(owner=OWNERS, symbol=SYMBOLS, mode=st.sampled_from(["isolated", "cross"]))
    def margin_mode(self, owner: str, symbol: str, mode: str) -> None:
        expected = {"margin_mode_locked", "margin_mode_not_modified"}
        with refusing(expected):
            self.desk.exchange.set_margin_mode(owner, symbol, mode, self.desk.tick())

    @rule(owner=OWNERS, symbol=SYMBOLS, stop=st.integers(-5, 15), gain=st.integers(-5, 15))
    def protection(self, owner: str, symbol: str, stop: int, gain: int) -> None:
        mid = self.mid[symbol]
        side = self.desk.exchange.position(owner, symbol).side
        stop_price = D(mid - side * stop) if stop else D(0)
        target_price = D(mid + side * gain) if gain else D(0)
        with refusing({"no_position", "stop_wrong_side", "target_wrong_side"}):
            self.desk.exchange.set_protection(
                owner, symbol, stop_price, target_price, "mark", self.desk.tick()
            )

    @rule(owner=OWNERS, symbol=SYMBOLS)
    def cancel_all(self, owner: str, symbol: str) -> None:
        self.desk.exchange.cancel_all(owner, symbol, self.desk.tick())

    @rule(symbol=SYMBOLS, move=st.integers(-8, 8), quantity=st.integers(1, 500))
    def book_moves(self, symbol: str, move: int, quantity: int) -> None:
        self.mid[symbol] = min(max(self.mid[symbol] + move, 900), 1_100)
        self.show(symbol, quantity)

    @rule(symbol=SYMBOLS, offset=st.integers(-6, 6), steps=STEPS, side=SIDES)
    def public_trade(self, symbol: str, offset: int, steps: int, side: int) -> None:
        ticks = self.mid[symbol] + offset
        self.desk.exchange.on_trade(symbol, ticks, steps, side, self.desk.tick())

    @rule(symbol=SYMBOLS, offset=st.integers(-12, 12))
    def mark_moves(self, symbol: str, offset: int) -> None:
        self.desk.mark(self.mid[symbol] + offset, symbol)
        self.check_solvent(symbol)

    @rule(symbol=SYMBOLS, percent=st.sampled_from([70, 90, 96, 104, 110, 130]))
    def mark_jumps(self, symbol: str, percent: int) -> None:
        """Off and back again, so that whoever could not bear it is liquidated."""
        self.desk.mark(self.mid[symbol] * percent // 100, symbol)
        self.check_solvent(symbol)
        self.desk.mark(self.mid[symbol], symbol)

    def check_solvent(self, symbol: str) -> None:
        """After a mark nobody in that symbol is at or below maintenance: they are liquidated."""
        for owner in ACCOUNTS:
            position = self.desk.exchange._position(owner, symbol)
            if position.steps and position.is_isolated:
                held_units = position.margin_units + position.unrealised_units
                assert held_units > position_maintenance_units(position)
            elif position.steps:
                state = cross_state(position.account)
                assert state.balance_units > state.maintenance_units

    @rule(symbol=SYMBOLS, rate=st.sampled_from(["0.0001", "-0.00037", "0.001"]))
    def funding(self, symbol: str, rate: str) -> None:
        desk = self.desk
        desk.now_ns = max(desk.now_ns, desk.next_funding_ns)
        desk.funding_rate = D(rate)
        desk.next_funding_ns = desk.now_ns + 8 * HOUR_NS
        desk.mark(self.mid[symbol], symbol)

    @invariant()
    def everything_adds_up(self) -> None:
        exchange = self.desk.exchange
        fresh = exchange.drain()
        for owner, event in fresh:
            if isinstance(event, Fill):
                key = owner, event.client_id
                self.filled[key] = self.filled.get(key, D(0)) + event.quantity
        for owner in ACCOUNTS:
            ledger = exchange.ledger(owner)
            assert ledger.wallet_units == sum(one.change_units for one in ledger.entries)
            fills = exchange.fills(owner)
            fees = ledger.total_usdt("fee") + ledger.total_usdt("liquidation_fee")
            assert -fees == sum(one.fee_usdt for one in fills)
            assert ledger.total_usdt("pnl") == sum(one.realised_usdt for one in fills)
            self.check_orders(owner)
            self.check_positions(owner)
        self.check_reported(fresh)

    def check_orders(self, owner: str) -> None:
        """No order fills beyond its quantity; the fills of an order add up to what it says."""
        exchange = self.desk.exchange
        for (who, client_id), filled in self.filled.items():
            if who == owner:
                orders = [exchange.order(owner, symbol, client_id) for symbol in (BTC, ETH)]
                (order,) = [one for one in orders if one is not None]
                assert order.filled == filled
                assert order.filled <= order.quantity
        for symbol in (BTC, ETH):
            position = exchange.position(owner, symbol)
            for order in exchange.open_orders(owner, symbol):
                assert order.filled < order.quantity
                if order.kind == "limit" and order.reduce_only:
                    assert order.side == -position.side
                    assert order.quantity - order.filled <= position.quantity

    def check_positions(self, owner: str) -> None:
        """Size is the sum of the fills; attached protection is as big as the position."""
        exchange = self.desk.exchange
        for symbol in (BTC, ETH):
            position = exchange.position(owner, symbol)
            fills = [one for one in exchange.fills(owner) if one.symbol == symbol]
            assert position.side * position.quantity == sum(
                one.side * one.quantity for one in fills
            )
            assert position.margin_usdt >= 0
            attached = [
                one
                for one in exchange.open_orders(owner, symbol)
                if one.client_id.endswith(("-sl", "-tp"))
            ]
            assert len(attached) <= 2
            for order in attached:
                assert order.quantity - order.filled == position.quantity
                assert order.side == -position.side
            stops = [one for one in attached if one.kind == "stop_market"]
            assert position.covered <= position.quantity
            if stops:
                assert position.covered == position.quantity

    def check_reported(self, fresh: list[tuple[str, object]]) -> None:
        """The last event about a position or an order says what the exchange says."""
        exchange = self.desk.exchange
        positions: dict[tuple[str, str], PositionChanged] = {}
        orders: dict[tuple[str, str, str], OrderUpdate] = {}
        for owner, event in fresh:
            if isinstance(event, PositionChanged):
                positions[owner, event.symbol] = event
            elif isinstance(event, OrderUpdate):
                orders[owner, event.symbol, event.client_id] = event
            elif isinstance(event, Fill):
                positions.pop((owner, event.symbol), None)
        for (owner, symbol), event in positions.items():
            now = exchange.position(owner, symbol)
            assert (event.side, event.quantity, event.covered) == (
                now.side,
                now.quantity,
                now.covered,
            )
            assert (event.stop, event.target) == (now.stop, now.target)
        for key, event in orders.items():
            assert event == exchange.order(*key)
        told = {(owner, event.symbol) for owner, event in fresh if isinstance(event, Fill)}
        assert told <= set(positions), "every fill is followed by its position"


Trading.TestCase.settings = CALM
TestTrading = Trading.TestCase


def alone(wallet: str = "100000000") -> Desk:
    free = instrument(tick="1", step="0.01", band="0.9", maker="0", taker="0", least_usdt=1)
    desk = Desk(free, wallet=wallet)
    desk.mark(1_000)
    return desk


REQUESTS = st.lists(
    st.tuples(OWNERS, SIDES, STEPS, st.integers(990, 1_010)), min_size=1, max_size=25
)


@given(REQUESTS)
@settings(max_examples=60, deadline=None)
def test_without_an_outside_book_positions_and_money_sum_to_zero(
    requests: list[tuple[str, int, int, int]],
) -> None:
    desk = alone()
    for owner, side, steps, price in requests:
        desk.place(side, D(steps) / 100, price, account=owner)
    held = [desk.exchange.position(one, BTC) for one in ACCOUNTS]
    assert sum(one.side * one.quantity for one in held) == 0
    equity = sum(desk.exchange.balance(one).equity_usdt for one in ACCOUNTS)
    assert equity == 200_000_000


@given(
    st.lists(st.tuples(STEPS, st.integers(1_001, 1_006)), min_size=1, max_size=8),
    st.dictionaries(st.integers(1_001, 1_006), st.integers(1, 300), max_size=6),
    st.integers(1, 3_000),
    st.integers(1_000, 1_007),
)
@settings(max_examples=150, deadline=None)
def test_price_time_priority_and_depth(
    resting: list[tuple[int, int]], outside: dict[int, int], steps: int, limit: int
) -> None:
    """A taker meets best price first, the outside queue before ours, ours oldest first."""
    desk = alone()
    for own_steps, ticks in resting:
        desk.place(-1, D(own_steps) / 100, ticks, account="b")
    desk.books[BTC].set({}, outside)
    desk.place(1, D(steps) / 100, limit, tif="ioc")
    queue = [(ticks, 0, 0, quantity) for ticks, quantity in outside.items()]
    queue += [(ticks, 1, order, own) for order, (own, ticks) in enumerate(resting)]
    expected: list[tuple[int, int]] = []
    left = steps
    for ticks, _, _, quantity in sorted(queue):
        if ticks <= limit and left:
            expected.append((ticks, min(left, quantity)))
            left -= expected[-1][1]
    got = [(int(one.price), int(one.quantity * 100)) for one in desk.exchange.fills("a")]
    assert got == expected
    makers = [one.client_id for one in desk.exchange.fills("b")]
    by_price = sorted(range(len(resting)), key=lambda order: resting[order][1])
    assert makers == [f"o{order + 1}" for order in by_price][: len(makers)]


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=6),
    st.integers(0, 60),
    st.lists(st.integers(1, 80), max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_prints_fill_the_queue_as_a_single_file(
    sizes: list[int], outside: int, prints: list[int]
) -> None:
    """With a constant outside queue, prints pass it first and then the orders by age."""
    desk = alone()
    desk.books[BTC].set({999: outside} if outside else {}, {1_001: 1})
    for size in sizes:
        desk.place(1, D(size) / 100, 999)
    for steps in prints:
        desk.exchange.on_trade(BTC, 999, steps, -1, desk.tick())
    passed = max(sum(prints) - outside, 0)
    for number, size in enumerate(sizes, start=1):
        order = desk.exchange.order("a", BTC, f"o{number}")
        assert order is not None
        assert int(order.filled * 100) == min(passed, size)
        passed -= min(passed, size)


@given(st.integers(0, 2**32), REQUESTS, st.lists(OFFSETS, max_size=10))
@settings(max_examples=30, deadline=None)
def test_same_inputs_same_events(
    seed: int, requests: list[tuple[str, int, int, int]], moves: list[int]
) -> None:
    def run() -> list[tuple[str, object]]:
        desk = alone("5000")
        desk.books[BTC].set({999: seed % 100 + 1}, {1_001: seed % 77 + 1})
        for index, (owner, side, steps, price) in enumerate(requests):
            with suppress(VenueRejected):
                desk.place(side, D(steps) / 100, price, account=owner, stop=D(price - side * 3))
            if index < len(moves):
                desk.mark(1_000 + moves[index])
        return list(desk.exchange.drain())

    assert run() == run()
