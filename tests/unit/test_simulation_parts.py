"""The parts of the simulation: plans, the heap, the market, shrinking, figures, cover."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from hfengine.instruments import load_catalogue
from hfengine.messages import PositionChanged
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Seed
from hfengine.simulation.cover import CoverWatch
from hfengine.simulation.faults import CALM_MS, FIRST_MS, KINDS, SHAPES, Fault, plan_of
from hfengine.simulation.market import TrendingMarket
from hfengine.simulation.report import BIG_RUN, Tally, histogram, spread
from hfengine.simulation.shrinking import shrunk
from hfengine.simulation.world import NS_A_MS, START_NS, Armed, World

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def world(style: str = "bybit") -> World:
    catalogue = load_catalogue("bybit")
    return World(1, style, {symbol: catalogue.find(symbol) for symbol in SYMBOLS})  # type: ignore[arg-type]


def fault(number: int) -> Fault:
    return Fault(FIRST_MS + number, "crash", "BTCUSDT", 1, 0.0)


# plans


def test_a_plan_is_the_seeds_own_and_in_time() -> None:
    assert plan_of(5, SYMBOLS) == plan_of(5, SYMBOLS) != plan_of(6, SYMBOLS)
    for seed in range(40):
        plan = plan_of(seed, SYMBOLS)
        assert [one.at_ms for one in plan] == sorted(one.at_ms for one in plan)
        for one in plan:
            assert FIRST_MS <= one.at_ms < CALM_MS
            assert one.at_ms + one.lasts_ms <= CALM_MS
            assert SHAPES[one.kind].size[0] <= one.size <= SHAPES[one.kind].size[1]


def test_every_kind_is_drawn_sooner_or_later() -> None:
    drawn = {one.kind for seed in range(400) for one in plan_of(seed, SYMBOLS)}
    assert drawn == set(KINDS)


# shrinking


@pytest.mark.parametrize("needed", [{3}, {0, 9}, {2, 3, 7}, {1, 4, 5, 8}])
def test_a_plan_is_cut_to_what_fails(needed: set[int]) -> None:
    plan = [fault(number) for number in range(10)]
    wanted = [plan[number] for number in sorted(needed)]

    def fails(part: Sequence[Fault]) -> bool:
        return all(one in part for one in wanted)

    assert shrunk(plan, fails, runs_max=500) == wanted


def test_what_fails_without_faults_needs_none() -> None:
    assert shrunk([fault(1), fault(2)], lambda _: True) == []


def test_shrinking_stops_after_its_trials() -> None:
    tried = []

    def fails(part: Sequence[Fault]) -> bool:
        tried.append(part)
        return len(part) >= 30

    left = shrunk([fault(number) for number in range(64)], fails, runs_max=3)
    assert len(left) >= 30
    assert len(tried) < 12


# the heap


def test_events_happen_in_order_with_and_without_a_loop() -> None:
    apart, heard = world(), []
    for wait_ms in (30, 10, 10, 20):
        apart.after_ms(wait_ms, lambda at=wait_ms: heard.append((at, apart.now_ms)))
    apart.run_alone(START_NS + 15 * NS_A_MS)
    assert heard == [(10, 10), (10, 10)]
    assert apart.now_ms == 15
    loop = VirtualLoop(apart.clock)
    apart.attach(loop)
    loop.call_later(0.010, loop.stop)
    loop.run_forever()
    loop.close()
    assert heard == [(10, 10), (10, 10), (20, 20)]
    apart.attach(None)
    apart.run_alone(START_NS + 40 * NS_A_MS)
    assert heard[-1] == (30, 30)


def test_a_timer_of_the_loop_comes_before_a_later_event() -> None:
    apart, heard = world(), []
    loop = VirtualLoop(apart.clock)
    apart.attach(loop)
    apart.after_ms(8, heard.append, "event")
    loop.call_later(0.004, heard.append, "timer")
    loop.call_later(0.012, loop.stop)
    loop.run_forever()
    loop.close()
    assert heard == ["timer", "event"]


def test_an_armed_fault_strikes_as_often_as_it_may_and_not_too_late() -> None:
    apart = world()
    until_ns = apart.now_ns + 5 * NS_A_MS
    apart.armed.append(Armed("rate_429", "BTCUSDT", 2, until_ns))
    assert not apart.take("rate_429", "ETHUSDT")
    assert apart.take("rate_429", "BTCUSDT")
    assert apart.take("rate_429", "BTCUSDT")
    assert not apart.take("rate_429", "BTCUSDT")
    assert apart.counts["rate_429"] == 2
    apart.armed.append(Armed("rate_429", "", 1, until_ns))
    apart.run_alone(until_ns)
    assert not apart.take("rate_429", "BTCUSDT")


# the market


def test_the_market_trends_both_ways_on_its_grid() -> None:
    instrument = load_catalogue("binance").find("ETHUSDT")
    market = TrendingMarket(instrument, Seed(3).stream("market"))
    middles = []
    for _ in range(600):
        top = market.step()
        assert 0 < top.bid < top.ask
        assert market.book.bid_ticks < market.book.ask_ticks
        assert [ticks for ticks, _ in market.book.levels(1, 9)] == sorted(
            (ticks for ticks, _ in market.book.levels(1, 9)), reverse=True
        )
        assert top.mark is None or top.mark % instrument.price_tick == 0
        middles.append(market.price)
    moves = [later / sooner - 1 for sooner, later in zip(middles, middles[50:], strict=False)]
    assert min(moves) < -0.001
    assert max(moves) > 0.001


# cover


def position(quantity: str, covered: str, stop: str = "59000") -> PositionChanged:
    held, none = Decimal(quantity), Decimal(0)
    return PositionChanged(
        "BTCUSDT",
        START_NS,
        1 if held else 0,
        held,
        Decimal(60000),
        50,
        "isolated",
        none,
        none,
        Decimal(stop),
        none,
        Decimal(covered),
    )


class StandingLine:
    """A line on which everything works."""

    def __init__(self) -> None:
        self.dead = False
        self.began_ns = START_NS - 60_000 * NS_A_MS
        self.trip_max_ns = 0
        self.closed_ns: dict[str, int] = {}
        self.closing: dict[str, int] = {}

    def is_able(self) -> bool:
        return True


class CoverBench:
    """A watch and what it says."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.line = StandingLine()
        self.watch = CoverWatch(world(), lambda name, _: self.told.append(name))

    def at(self, ms: int, quantity: str, covered: str, *, is_ending: bool = False) -> None:
        now_ns = START_NS + ms * NS_A_MS
        held = position(quantity, covered)
        self.watch.position(held, now_ns, self.line, is_ending=is_ending)  # type: ignore[arg-type]

    def step(self, ms: int) -> list[str]:
        self.watch.step(START_NS + ms * NS_A_MS, self.line)  # type: ignore[arg-type]
        return self.told


def test_a_gap_of_half_a_second_is_allowed_and_a_longer_one_not() -> None:
    bench = CoverBench()
    bench.at(0, "0.010", "0")
    assert bench.step(500) == []
    assert bench.step(501) == ["I2"]


def test_part_of_a_quantity_counts_like_all_of_it() -> None:
    bench = CoverBench()
    bench.at(0, "0.010", "0.010")
    bench.at(100, "0.012", "0.010")
    assert bench.step(590) == []
    assert bench.step(610) == ["I2"]


def test_a_gap_that_ends_in_time_is_measured() -> None:
    bench = CoverBench()
    bench.at(0, "0.010", "0")
    bench.at(40, "0.010", "0.010")
    assert bench.step(900) == []
    assert bench.watch.ours_ms == [40.0]


def test_a_position_being_closed_may_be_uncovered() -> None:
    bench = CoverBench()
    bench.at(0, "0.010", "0")
    bench.line.closing["BTCUSDT"] = 1
    assert bench.step(3_000) == []
    bench.line.closing["BTCUSDT"] = 0
    assert bench.step(3_001) == ["I2"]


def test_a_stop_that_is_taken_away_is_told_unless_all_is_being_closed() -> None:
    for is_ending, told in ((False, ["I2"]), (True, [])):
        bench = CoverBench()
        bench.watch._world.exchange.on_mark(
            "BTCUSDT", Decimal(60000), Decimal(60000), Decimal(0), 0, START_NS
        )
        bench.at(0, "0.010", "0.010")
        bench.at(10, "0.010", "0", is_ending=is_ending)
        assert bench.told == told


# figures


def test_a_spread_and_its_histogram() -> None:
    lengths = [0.5, 3.0, 3.0, 700.0, 9_000.0]
    assert spread(lengths) == {"count": 5, "p50": 3.0, "p99": 700.0, "max": 9000.0}
    lines = histogram("gaps", lengths)
    assert lines[0].startswith("gaps: 5 gaps, p50 3")
    assert sum(int(line.split()[-1]) for line in lines[1:]) == len(lengths)
    assert histogram("gaps", []) == ["gaps: none"]


def test_a_big_run_that_missed_a_fault_is_not_good() -> None:
    tally = Tally(runs=BIG_RUN - 1)
    assert tally.is_good
    tally.runs = BIG_RUN
    assert not tally.is_good
    tally.counts.update(KINDS)
    assert tally.is_good
    tally.counts["adl"] = 0
    assert tally.unexercised == ["adl"]
    assert "never exercised: adl" in tally.lines()
