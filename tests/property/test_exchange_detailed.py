"""Hedge mode, amendments, partial protection, faults and restarts: what holds after every call."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hfengine.errors import VenueRejected
from hfengine.exchange import Exchange
from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.exchange.snapshot import merged
from hfengine.requests import OrderRequest, Slot
from tests.exchange_desk import BTC, ETH, HOUR_NS, D, Desk, instrument
from tests.exchange_twins import Twins, by_key

ACCOUNTS = ("a", "b")
SIDES = st.sampled_from([1, -1])
OWNERS = st.sampled_from(ACCOUNTS)
SYMBOLS = st.sampled_from([BTC, ETH])
STEPS = st.integers(1, 400)
OFFSETS = st.integers(-30, 30)
HEDGE: tuple[Slot, ...] = ("long", "short")
WALLET = 3_000


class Hedging(RuleBasedStateMachine):
    """Random requests, faults and restarts; account a begins in hedge mode, b in one-way mode."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = [
            instrument(symbol, venue, tick="1", step="0.01", band="0.5", least_usdt=5)
            for symbol, venue in ((BTC, "binance"), (ETH, "bybit"))
        ]
        self.desk = Desk(*self.listed, wallet=str(WALLET), detailed=True)
        self.desk.next_funding_ns = 8 * HOUR_NS
        self.mid = {BTC: 1_000, ETH: 1_000}
        self.kept = self.exchange.changes()
        self.orders = 0
        for symbol in (BTC, ETH):
            self.desk.mark(1_000, symbol)
            self.show(symbol, 200)

    @property
    def exchange(self) -> Exchange:
        return self.desk.exchange

    @property
    def running(self) -> Exchange:
        """The exchange that was restored last."""
        exchange: Any = self.exchange
        return exchange.second if isinstance(exchange, Twins) else exchange

    @initialize(mode=st.sampled_from(["isolated", "cross"]), leverage=st.sampled_from([5, 50]))
    def hedge(self, mode: str, leverage: int) -> None:
        for owner in ACCOUNTS:
            for symbol in (BTC, ETH):
                if mode == "isolated":
                    self.exchange.set_margin_mode(owner, symbol, mode, self.desk.tick())
                self.exchange.set_leverage(owner, symbol, leverage, self.desk.tick())
        self.exchange.set_position_mode("a", "hedge", self.desk.tick())
        for owner in ACCOUNTS:
            setting = self.exchange.leverage(owner, BTC)
            assert (setting.leverage, setting.margin_mode) == (leverage, mode)
            for symbol in (BTC, ETH):
                for side in (1, -1):
                    self.bracket(owner, symbol, side, 40 + side * 20, 8)
                    self.partial(owner, symbol, 15, 5, side > 0, False, 0)
                    self.limit_order(owner, symbol, side, 50, -5 * side, "gtc")

    def show(self, symbol: str, quantity: int) -> None:
        mid = self.mid[symbol]
        bids = {mid - 1 - depth: quantity + depth for depth in range(5)}
        asks = {mid + 1 + depth: quantity + depth for depth in range(5)}
        self.desk.books[symbol].set(bids, asks)
        self.exchange.on_book(symbol, self.desk.tick())

    def slots(self, owner: str) -> tuple[Slot, ...]:
        return HEDGE if self.exchange.position_mode(owner) == "hedge" else ("net",)

    def request(self, call: Callable[[int], object], *reasons: str) -> None:
        """Make a request; only the reasons given, or without any all, may refuse it."""
        try:
            call(self.desk.tick())
        except VenueRejected as refused:
            if reasons and refused.reason not in reasons:
                raise

    def place(self, owner: str, symbol: str, side: int, steps: int, **more: Any) -> None:
        self.orders += 1
        closes = self.orders % 4 == 0 or more.get("reduce_only")
        opens_long = side > 0 if not closes else side < 0
        slot: Slot = "long" if opens_long else "short"
        if self.slots(owner) != HEDGE:
            slot = "net"
        elif closes:
            more.update(reduce_only=False, stop=D(0), target=D(0))
        more.setdefault("kind", "limit" if "price" in more else "market")
        request = OrderRequest(
            f"o{self.orders}", symbol, side, quantity=D(steps) / 100, slot=slot, **more
        )
        self.request(lambda at: self.exchange.place(owner, request, at))

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
        tif=st.sampled_from(["gtc", "gtc", "post_only", "ioc"]),
    )
    def limit_order(
        self, owner: str, symbol: str, side: int, steps: int, offset: int, tif: str
    ) -> None:
        price = D(self.mid[symbol] + offset)
        self.place(owner, symbol, side, steps, price=price, tif=tif)

    @rule(owner=OWNERS, symbol=SYMBOLS, side=SIDES, steps=STEPS, stop=st.integers(1, 15))
    def bracket(self, owner: str, symbol: str, side: int, steps: int, stop: int) -> None:
        mid = self.mid[symbol]
        levels = {"stop": D(mid - side * stop), "target": D(mid + side * stop)}
        self.place(owner, symbol, side, steps, protect_by="mark", **levels)

    @rule(
        owner=OWNERS,
        symbol=SYMBOLS,
        side=SIDES,
        steps=STEPS,
        offset=st.integers(-3, 30),
        kind=st.sampled_from(["stop_market", "take_profit_market"]),
        limit=st.sampled_from([None, -3, 0, 3]),
        expires=st.booleans(),
        reduce_only=st.booleans(),
    )
    def conditional(
        self,
        owner: str,
        symbol: str,
        side: int,
        steps: int,
        offset: int,
        kind: str,
        limit: int | None,
        expires: bool,
        reduce_only: bool,
    ) -> None:
        rising = (side > 0) == (kind == "stop_market")
        trigger = self.mid[symbol] + (offset if rising else -offset)
        self.place(
            owner,
            symbol,
            side,
            steps,
            kind=kind,
            trigger=D(trigger),
            price=D(0) if limit is None else D(trigger + limit),
            expires_with_position=expires,
            reduce_only=reduce_only,
        )

    @rule(
        owner=OWNERS,
        pick=st.integers(0, 30),
        steps=st.none() | STEPS,
        offset=st.none() | OFFSETS,
        shift=st.none() | OFFSETS,
    )
    def amend(
        self, owner: str, pick: int, steps: int | None, offset: int | None, shift: int | None
    ) -> None:
        listed = self.exchange.order_reports(owner, open_only=True)
        if not listed:
            return
        order = listed[pick % len(listed)]
        symbol = order.update.symbol
        before = self.exchange.find_order(owner, client_id=order.update.client_id)
        mid = self.mid[symbol]
        try:
            after = self.exchange.amend(
                owner,
                symbol,
                order.update.client_id,
                self.desk.tick(),
                quantity=None if steps is None else D(steps) / 100,
                price=None if offset is None else D(mid + offset),
                trigger=None if shift is None else D(mid + shift),
            )
        except VenueRejected:
            assert before == self.exchange.find_order(owner, client_id=order.update.client_id)
            return
        assert after == self.exchange.find_order(owner, venue_id=order.update.venue_id)

    @rule(
        owner=OWNERS,
        symbol=SYMBOLS,
        steps=STEPS,
        distance=st.integers(-3, 15),
        is_stop=st.booleans(),
        limit=st.booleans(),
        pick=st.integers(0, 1),
    )
    def partial(
        self,
        owner: str,
        symbol: str,
        steps: int,
        distance: int,
        is_stop: bool,
        limit: bool,
        pick: int,
    ) -> None:
        slots = self.slots(owner)
        slot = slots[pick % len(slots)]
        side = self.exchange.position(owner, symbol, slot).side
        trigger = D(self.mid[symbol] - side * distance * (1 if is_stop else -1))
        kind = "stop_market" if is_stop else "take_profit_market"
        price = trigger if limit else D(0)
        self.request(
            lambda at: self.exchange.add_protection(
                owner, symbol, kind, trigger, "mark", D(steps) / 100, at, slot, price
            ),
            "no_position",
            "stop_wrong_side",
            "target_wrong_side",
            "too_many_conditional",
            "market_closed",
        )

    @rule(owner=OWNERS, symbol=SYMBOLS, stop=st.integers(-2, 15), gain=st.integers(-2, 15))
    def protection(self, owner: str, symbol: str, stop: int, gain: int) -> None:
        for slot in self.slots(owner):
            side = self.exchange.position(owner, symbol, slot).side
            stop_price = D(self.mid[symbol] - side * stop) if stop else D(0)
            target = D(self.mid[symbol] + side * gain) if gain else D(0)
            self.request(
                lambda at, slot=slot, stop=stop_price, target=target: self.exchange.set_protection(
                    owner, symbol, stop, target, "mark", at, slot, "last"
                ),
                "no_position",
                "stop_wrong_side",
                "target_wrong_side",
                "no_last_price",
                "market_closed",
            )

    @rule(owner=OWNERS, symbol=SYMBOLS, which=st.sampled_from(["all", "resting", "conditional"]))
    def cancel_all(self, owner: str, symbol: str, which: str) -> None:
        self.exchange.cancel_all(owner, symbol, self.desk.tick(), which)
        left = [
            "conditional" if one.update.state == "untriggered" else "resting"
            for one in self.exchange.order_reports(owner, symbol, True)
            if not one.attached
        ]
        assert which not in left
        assert which != "all" or not left

    @rule(owner=OWNERS, symbol=SYMBOLS, leverage=st.sampled_from([1, 10, 100]), pick=SIDES)
    def leverage(self, owner: str, symbol: str, leverage: int, pick: int) -> None:
        slot = self.slots(owner)[0] if pick > 0 else "net"
        reasons = ("insufficient_margin", "position_exceeds_tier")
        self.request(
            lambda at: self.exchange.set_leverage(owner, symbol, leverage, at, slot), *reasons
        )

    @rule(owner=OWNERS, mode=st.sampled_from(["one_way", "hedge"]))
    def position_mode(self, owner: str, mode: str) -> None:
        is_busy = self.exchange.order_reports(owner, open_only=True) or self.exchange.positions(
            owner
        )
        expected = ["position_mode_not_modified"] + (["position_mode_locked"] if is_busy else [])
        self.request(lambda at: self.exchange.set_position_mode(owner, mode, at), *expected)
        if not is_busy:
            assert self.exchange.position_mode(owner) == mode

    @rule(symbol=SYMBOLS, move=st.integers(-8, 8), quantity=st.integers(1, 500))
    def book_moves(self, symbol: str, move: int, quantity: int) -> None:
        self.mid[symbol] = min(max(self.mid[symbol] + move, 900), 1_100)
        self.show(symbol, quantity)

    @rule(symbol=SYMBOLS, offset=st.integers(-6, 6), steps=STEPS, side=SIDES)
    def public_trade(self, symbol: str, offset: int, steps: int, side: int) -> None:
        ticks = self.mid[symbol] + offset
        self.exchange.on_trade(symbol, ticks, steps, side, self.desk.tick())

    @rule(symbol=SYMBOLS, offset=st.integers(-20, 20))
    def mark_moves(self, symbol: str, offset: int) -> None:
        self.desk.mark(self.mid[symbol] + offset, symbol)

    @rule(symbol=SYMBOLS, percent=st.sampled_from([70, 96, 104, 130]))
    def mark_jumps(self, symbol: str, percent: int) -> None:
        self.desk.mark(self.mid[symbol] * percent // 100, symbol)
        self.desk.mark(self.mid[symbol], symbol)

    @rule(symbol=SYMBOLS, rate=st.sampled_from(["0.0001", "-0.00037", "0.001"]))
    def funding(self, symbol: str, rate: str) -> None:
        desk = self.desk
        desk.now_ns = max(desk.now_ns, desk.next_funding_ns)
        desk.funding_rate = D(rate)
        desk.next_funding_ns = desk.now_ns + 8 * HOUR_NS
        desk.mark(self.mid[symbol], symbol)

    @rule(owner=OWNERS, symbol=SYMBOLS, steps=st.integers(0, 200), liquidates=st.booleans())
    def forced(self, owner: str, symbol: str, steps: int, liquidates: bool) -> None:
        for slot in self.slots(owner):
            held = self.exchange.position(owner, symbol, slot).quantity
            quantity = D(steps) / 100
            force: Callable[[int], object] = (
                (lambda at, slot=slot: self.exchange.force_liquidation(owner, symbol, at, slot))
                if liquidates
                else (
                    lambda at, slot=slot, quantity=quantity: self.exchange.force_adl(
                        owner, symbol, quantity, at, slot
                    )
                )
            )
            self.request(force, *([] if held else ["no_position"]))
            left = self.exchange.position(owner, symbol, slot).quantity
            expected = 0 if liquidates or not steps else max(held - quantity, 0)
            assert left == expected

    @rule(symbol=SYMBOLS, regime=st.sampled_from([*["open"] * 6, "reduce_only", "closed"]))
    def regime(self, symbol: str, regime: str) -> None:
        self.exchange.set_regime(symbol, regime)

    @rule()
    def restart(self) -> None:
        """Go on with a restored exchange; the one it was restored from follows along."""
        running = self.running
        text = json.dumps(running.dump())
        restored = Exchange.restore(self.listed, json.loads(text), True)
        for symbol, book in self.desk.books.items():
            restored.attach_book(symbol, book)
        assert restored.dump() == json.loads(text)
        self.check_kept()
        twins: Any = Twins(running, restored)
        self.desk.exchange = twins

    def keep(self) -> None:
        """Take the changes as a store would, through JSON."""
        self.kept = merged(self.kept, json.loads(json.dumps(self.running.changes())))

    def check_kept(self) -> None:
        """What a store has after taking every change is the dump."""
        self.keep()
        assert by_key(self.kept) == by_key(self.running.dump())

    def teardown(self) -> None:
        self.check_kept()

    @invariant()
    def everything_adds_up(self) -> None:
        exchange = self.exchange
        fresh = exchange.drain()
        self.keep()
        for owner in ACCOUNTS:
            ledger = exchange.ledger(owner)
            assert ledger.wallet_units == sum(one.change_units for one in ledger.entries)
            reports = exchange.fill_reports(owner)
            assert [one.fill for one in reports] == exchange.fills(owner)
            fees = ledger.total_usdt("fee") + ledger.total_usdt("liquidation_fee")
            assert -fees == sum(one.fill.fee_usdt for one in reports)
            assert ledger.total_usdt("pnl") == sum(one.fill.realised_usdt for one in reports)
            self.check_orders(owner, reports)
            self.check_positions(owner, reports)
        self.check_told(fresh)
        self.check_public_books()

    def check_orders(self, owner: str, fills: list[FillReport]) -> None:
        """An order's sums are its fills'; closing orders never exceed what there is to close."""
        sums: dict[str, list[Decimal]] = {}
        for one in fills:
            total = sums.setdefault(one.venue_id, [D(0)] * 3)
            total[0] += one.fill.quantity
            total[1] += one.notional_usdt
            total[2] += one.fill.fee_usdt
            assert one.notional_usdt == one.fill.price * one.fill.quantity
        for order in self.exchange.order_reports(owner):
            update = order.update
            expected = sums.get(update.venue_id, [D(0)] * 3)
            assert [update.filled, order.filled_usdt, order.fee_usdt] == expected
            assert update.filled <= update.quantity
        for order in self.exchange.order_reports(owner, open_only=True):
            position = self.exchange.position(owner, order.update.symbol, order.slot)
            left = order.update.quantity - order.update.filled
            if order.attached:
                assert order.update.side == -position.side
                assert left <= position.quantity
                assert order.partial or left == position.quantity
            elif order.update.reduce_only and order.update.state in {"new", "partially_filled"}:
                assert order.update.side == -position.side
                assert left <= position.quantity
            if order.slot != "net":
                closes = order.update.side == (-1 if order.slot == "long" else 1)
                assert order.update.reduce_only == closes

    def check_positions(self, owner: str, fills: list[FillReport]) -> None:
        """Sizes are the sums of the fills of their slot; realised sums to the wallet's change."""
        for symbol in (BTC, ETH):
            listed = self.exchange.position_reports(owner, symbol)
            assert tuple(one.slot for one in listed) == self.slots(owner)
            for report in listed:
                changed = report.changed
                mine = [
                    one.fill
                    for one in fills
                    if one.fill.symbol == symbol and one.slot == report.slot
                ]
                held = changed.side * changed.quantity
                assert held == sum(one.side * one.quantity for one in mine)
                assert {"long": held >= 0, "short": held <= 0}.get(report.slot, True)
                assert changed.covered <= changed.quantity
                assert changed.margin_usdt >= 0
        realised = D(0)
        for position in self.running._accounts[owner].positions.values():
            realised += position.market.unit.usdt(position.realised_total_units)
        assert self.exchange.balance(owner).wallet_usdt == WALLET + realised

    def check_told(self, fresh: list[tuple[str, object]]) -> None:
        """The last report about an order or a position says what the exchange says."""
        orders: dict[tuple[str, str], OrderReport] = {}
        positions: dict[tuple[str, str, str], PositionReport] = {}
        for owner, event in fresh:
            if isinstance(event, OrderReport):
                orders[owner, event.update.venue_id] = event
            elif isinstance(event, PositionReport):
                positions[owner, event.changed.symbol, event.slot] = event
            elif isinstance(event, FillReport):
                positions.pop((owner, event.fill.symbol, event.slot), None)
        for (owner, venue_id), order in orders.items():
            assert order == self.exchange.find_order(owner, venue_id=venue_id)
        for (owner, symbol, slot), told in positions.items():
            now = self.exchange.position(owner, symbol, slot)
            assert (told.changed.side, told.changed.quantity) == (now.side, now.quantity)
            assert (told.changed.stop, told.changed.target) == (now.stop, now.target)
        filled = [(owner, one) for owner, one in fresh if isinstance(one, FillReport)]
        for owner, one in filled:
            assert (owner, one.fill.symbol, one.slot) in positions

    def check_public_books(self) -> None:
        """Every resting order is in the public book, and what was taken is not."""
        for symbol in (BTC, ETH):
            for side in (1, -1):
                levels = dict(self.exchange.publish_levels(symbol, side, 200))
                ours: dict[int, int] = {}
                for owner in ACCOUNTS:
                    for order in self.exchange.order_reports(owner, symbol, True):
                        update = order.update
                        is_live = update.state in {"new", "partially_filled"} and update.price
                        if update.side == side and is_live:
                            left = int((update.quantity - update.filled) * 100)
                            ours[int(update.price)] = ours.get(int(update.price), 0) + left
                outside = self.desk.books[symbol].sides[side]
                for ticks in {*outside, *ours, *levels}:
                    mine = ours.get(ticks, 0)
                    assert mine <= levels.get(ticks, 0) <= mine + outside.get(ticks, 0)


Hedging.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHedging = Hedging.TestCase
