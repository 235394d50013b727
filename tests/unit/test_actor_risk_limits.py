"""CB4 to CB6, exposure, re-entry and states through the actor: what stops entries, what not."""

from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.risk import Risk
from hfengine.messages import (
    BalanceChanged,
    BookSync,
    Close,
    EngineState,
    Flatten,
    Halt,
    MarkTick,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    ReducePosition,
    Resume,
)
from hfengine.oversight import BreakerChanged, MarketQuality, RiskState, VenueHealth
from hfengine.settings import Rebalance, Settings, Signals, Sizing
from hfengine.settings import Risk as RiskSettings
from tests.rig import T0_NS, Rig, balance, fill, position
from tests.risk_desk import account, gate_of, limits, lost, ready, states, wish

# CB4


def told_market(rig: Rig, **changes: Any) -> MarketQuality:
    return replace(MarketQuality("BTCUSDT", rig.clock.now_ns(), 0.1, 3.0, 1e-5), **changes)


def test_cb4_needs_two_bad_readings_and_clears_after_good_ones() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, told_market(rig), told_market(rig, spread_bps=9.0), told_market(rig))
    rig.tell(ref, told_market(rig, spread_bps=nan), told_market(rig, age_ms=nan))
    assert states(rig, "market_quality") == [], "a single bad tick, and what is no number"
    rig.tell(ref, told_market(rig, spread_bps=9.0), told_market(rig, spread_bps=8.0))
    tripped = rig.all(BreakerChanged)[-1]
    assert (tripped.state, tripped.measured, tripped.threshold) == ("tripped", 8.0, 5.0)
    assert (tripped.symbol, tripped.detail) == ("BTCUSDT", "spread_bps")
    assert gate_of(rig, ref) == "market_quality"
    for _ in range(4):
        rig.run(1.0)
        rig.tell(ref, told_market(rig))
    assert gate_of(rig, ref) == "market_quality"
    rig.run(3.0)
    assert states(rig, "market_quality") == ["cleared"]
    assert gate_of(rig, ref) == ""
    rig.close()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"answer_ms": 2_001.0}, "answer_ms"),
        ({"clock_offset_ms": -501.0}, "clock_offset_ms"),
        ({"clock_offset_ms": 501.0}, "clock_offset_ms"),
        ({"connected": False}, "disconnected"),
    ],
)
def test_cb4_looks_at_the_venue(changes: dict[str, Any], fault: str) -> None:
    rig, ref = ready(limits())
    good = VenueHealth("sim", T0_NS, 3.0, 20.0, True)
    rig.tell(ref, good, replace(good, venue="other", **changes), replace(good, venue="other"))
    assert gate_of(rig, ref) == ""
    rig.tell(ref, replace(good, **changes), replace(good, **changes))
    assert {(one.symbol, one.detail) for one in rig.all(BreakerChanged)} == {
        ("BTCUSDT", fault),
        ("ETHUSDT", fault),
    }
    assert gate_of(rig, ref) == "market_quality"
    rig.tell(ref, good)
    rig.run(7.0)
    assert gate_of(rig, ref) == ""
    rig.close()


def mark(rig: Rig, price: float, symbol: str = "BTCUSDT") -> MarkTick:
    return MarkTick(symbol, rig.clock.now_ns(), price, price, 0.0, 0)


def test_cb4_a_silent_mark_grows_stale_and_a_gap_is_no_burst() -> None:
    rig, ref = ready(limits())
    for number in range(60):
        rig.tell(ref, mark(rig, 60000.0 + number % 3))
        rig.run(1.0)
    assert states(rig, "market_quality") == []
    rig.run(11.0)
    assert rig.one(BreakerChanged).detail == "mark_age_s"
    assert gate_of(rig, ref) == "market_quality"
    rig.tell(ref, mark(rig, 61000.0))
    rig.run(1.0)
    rig.tell(ref, mark(rig, 61001.0))
    rig.run(6.0)
    assert gate_of(rig, ref) == ""
    rig.close()


def test_cb4_a_burst_trips_when_the_next_mark_confirms_it() -> None:
    rig, ref = ready(limits())
    for number in range(60):
        rig.tell(ref, mark(rig, 60000.0 + number % 3))
        rig.run(1.0)
    rig.tell(ref, mark(rig, 61000.0))
    rig.run(1.0)
    rig.tell(ref, mark(rig, 60001.0), mark(rig, nan), mark(rig, 0.0))
    assert states(rig, "market_quality") == [], "one bad tick, and what is no price"
    rig.run(1.0)
    rig.tell(ref, mark(rig, 60100.0), mark(rig, 60101.0))
    assert rig.one(BreakerChanged).detail == "volatility"
    assert rig.one(BreakerChanged).measured > 6.0
    rig.close()


def test_cb4_a_lost_book_trips_and_the_first_one_does_not() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, BookSync("ETHUSDT", T0_NS, False, "gap"))
    assert rig.one(BreakerChanged).symbol == "ETHUSDT"
    assert gate_of(rig, ref) == ""
    rig.tell(ref, BookSync("ETHUSDT", T0_NS, True, "snapshot"))
    eth = wish(rig, symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)
    assert gate_of(rig, ref, eth) == "market_quality"
    rig.run(7.0)
    now_ns = rig.clock.now_ns()
    assert gate_of(rig, ref, replace(eth, at_ns=now_ns, tick_ns=now_ns)) == ""
    rig.close()
    rig = Rig(Settings())
    ref = rig.start(Risk)
    rig.tell(ref, BookSync("BTCUSDT", T0_NS, False, "start"))
    assert states(rig, "market_quality") == []
    rig.close()


# CB5 and CB6


def used(share: float) -> BalanceChanged:
    return balance("10000", free=str(10000 - share * 10000))


def test_cb5_warns_trips_and_clears_with_hysteresis() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, used(0.899))
    assert states(rig, "margin_utilisation") == []
    rig.tell(ref, used(0.90))
    assert states(rig, "margin_utilisation") == ["warned"]
    assert gate_of(rig, ref) == "margin_utilisation"
    rig.tell(ref, used(0.95))
    assert rig.one(BreakerChanged).state == "tripped"
    assert rig.report(ref)["state"] == "reducing"
    rig.tell(ref, used(0.94))
    assert states(rig, "margin_utilisation") == ["tripped"], "too near the threshold"
    rig.tell(ref, used(0.92))
    assert states(rig, "margin_utilisation")[-1] == "warned"
    rig.tell(ref, used(0.885))
    assert states(rig, "margin_utilisation")[-1] == "warned"
    rig.tell(ref, used(0.88))
    assert states(rig, "margin_utilisation")[-1] == "cleared"
    assert not rig.all(ReducePosition), "the guardian closes, not risk"
    rig.tell(ref, balance())
    assert gate_of(rig, ref) == ""
    rig.close()


@pytest.mark.parametrize("field", ["equity_usdt", "free_margin_usdt", "wallet_usdt"])
def test_an_account_of_no_numbers_is_refused_and_kills_nobody(field: str) -> None:
    rig, ref = ready(limits())
    rig.tell(ref, replace(balance(), **{field: Decimal("NaN")}))
    assert gate_of(rig, ref) == "balance"
    rig.tell(ref, balance())
    assert gate_of(rig, ref) == ""
    rig.close()


@pytest.mark.parametrize("side", [1, -1])
def test_cb6_warns_trips_and_clears_with_the_distance_left(side: int) -> None:
    rig, ref = ready(limits())
    liquidation = str(60000 - side * 1000)
    rig.tell(ref, position(side=side, liquidation=liquidation))

    def at(left: float) -> MarkTick:
        return mark(rig, 60000 - side * 1000 * (1 - left))

    rig.tell(ref, at(0.5), at(0.21))
    assert states(rig, "liquidation_distance") == []
    rig.tell(ref, at(0.19))
    assert states(rig, "liquidation_distance") == ["warned"]
    rig.tell(ref, at(0.049))
    last = rig.all(BreakerChanged)[-1]
    assert (last.state, last.threshold) == ("tripped", 0.05)
    assert last.measured == pytest.approx(0.049)
    eth = wish(rig, symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)
    assert gate_of(rig, ref, eth) == "liquidation_distance"
    assert rig.report(ref)["state"] == "reducing"
    rig.tell(ref, position(quantity="0"))
    assert states(rig, "liquidation_distance") == ["cleared"]
    assert gate_of(rig, ref, eth) == ""
    rig.close()


@pytest.mark.parametrize("liquidation", ["0", "60000"])
def test_cb6_judges_nothing_where_there_is_no_distance(liquidation: str) -> None:
    rig, ref = ready(limits())
    rig.tell(ref, position(liquidation=liquidation), mark(rig, 60000.0), mark(rig, nan))
    rig.tell(ref, mark(rig, inf), position("SOLUSDT"))
    assert states(rig, "liquidation_distance") == []
    assert rig.report(ref)["parts"]["liquidation_distance"] == 0.0
    rig.close()


# limits of exposure


def test_exposure_of_a_symbol_a_venue_and_all_shrinks_or_refuses_by_name() -> None:
    names = ("BTCUSDT@bybit", "ETHUSDT@bybit", "BTCUSDT@binance")
    cases: tuple[tuple[dict[str, Any], dict[str, Any], str], ...] = (
        ({"symbol_exposure_max_usdt": 6000.0}, {}, "symbol_exposure_usdt"),
        ({"venue_exposure_max_usdt": 6000.0}, {}, ""),
        ({}, {"exposure_max_usdt": 6000.0}, "exposure_usdt"),
    )
    for changes, sizing, gate in cases:
        settings = Settings(
            symbols=names, risk=RiskSettings(**changes), sizing=Sizing(**sizing, positions_max=9)
        )
        rig, ref = ready(settings)
        rig.tell(ref, account("10000", venue="bybit"), account("10000", venue="binance"))
        rig.tell(ref, position("BTCUSDT@binance", quantity="0.05"))
        entry = wish(rig, symbol="BTCUSDT@bybit")
        rig.tell(ref, entry)
        bracket = rig.one(OpenBracket)
        assert bracket.binding == "exposure"
        room = 3000 if gate else 6000
        assert room - 120 < bracket.quantity * bracket.price <= room
        ended = OrderEnded(bracket.intent, "c", "BTCUSDT@bybit", T0_NS, "filled", Decimal(1), "")
        rig.tell(ref, position("BTCUSDT@binance", quantity="0.1"), ended)
        assert gate_of(rig, ref, entry) == gate
        rig.close()


# re-entry


def test_the_rebalancers_exit_starts_a_cooldown_and_asks_for_more_drift_on_that_side() -> None:
    settings = Settings(
        rebalance=Rebalance(cooldown_s=10.0, reentry_drift=20.0), signals=Signals(drift_min=0.0002)
    )
    rig, ref = ready(settings)
    rig.tell(ref, position(), Close("BTCUSDT", T0_NS, 1, Decimal("0.01"), "drift_flip"))
    exit_ = rig.one(ReducePosition)
    ended = OrderEnded(exit_.intent, "c", "BTCUSDT", T0_NS, "filled", Decimal("0.01"), "")
    rig.tell(ref, position(quantity="0"), ended)
    assert gate_of(rig, ref) == "rebalance_cooldown"
    rig.run(10.0)
    assert gate_of(rig, ref) == "reentry_drift"
    assert gate_of(rig, ref, wish(rig, drift=0.004)) == ""
    assert gate_of(rig, ref, wish(rig, side=-1, drift=-0.002, forecast=59880.0)) == ""
    rig.run(90.0)
    assert gate_of(rig, ref) == ""
    rig.close()


@pytest.mark.parametrize("reason", ["margin", "aged", "uncovered", "drawdown"])
def test_other_exits_start_no_cooldown(reason: Any) -> None:
    rig, ref = ready(Settings(rebalance=Rebalance(cooldown_s=10.0)))
    rig.tell(ref, position(), Close("BTCUSDT", T0_NS, 1, Decimal("0.01"), reason))
    exit_ = rig.one(ReducePosition)
    ended = OrderEnded(exit_.intent, "c", "BTCUSDT", T0_NS, "filled", Decimal("0.01"), "")
    rig.tell(ref, position(quantity="0"), ended)
    assert gate_of(rig, ref) == ""
    rig.close()


# states, halts, entries of no figures


def test_each_state_and_its_reasons() -> None:
    rig = Rig(Settings(symbols=("BTCUSDT",)))
    ref = rig.start(Risk)
    first = rig.one(RiskState)
    assert (first.state, first.reasons) == (
        "not_in_sync",
        ("account not read", "book not in sync BTCUSDT"),
    )

    def state(*told: Any) -> str:
        rig.tell(ref, *told)
        newest = rig.all(RiskState)[-1]
        assert newest.state == rig.report(ref)["state"]
        assert newest.reasons == rig.report(ref)["reasons"]
        return newest.state

    assert state(balance(), BookSync("BTCUSDT", T0_NS, True, "x")) == "active"
    assert state(OrderUnknown(5, "c", "BTCUSDT", T0_NS, "lost")) == "not_in_sync"
    ended = OrderEnded(5, "c", "BTCUSDT", T0_NS, "cancelled", Decimal(0), "")
    assert state(ended) == "active"
    assert state(used(0.92)) == "reducing"
    assert state(VenueHealth("sim", T0_NS, 0.0, 1.0, False)) == "not_in_sync"
    assert state(Halt(T0_NS, "operator", "lunch")) == "halted"
    assert "operator: lunch" in rig.all(RiskState)[-1].reasons
    assert len(rig.all(RiskState)[-1].reasons) == 4
    back = (Resume(T0_NS, "operator"), VenueHealth("sim", T0_NS, 0.0, 1.0, True), balance())
    assert state(*back) == "active"
    told = len(rig.all(RiskState))
    rig.tell(ref, balance(), BookSync("BTCUSDT", T0_NS, True, "x"))
    rig.run(3.0)
    assert len(rig.all(RiskState)) <= told + 1, "nothing changed but the market's cool-down"
    rig.close()


def test_resume_all_clears_every_halt_but_not_while_the_engine_closes_down() -> None:
    rig, ref = ready(limits())
    rig.tell(ref, Halt(T0_NS, "a", "x"), Halt(T0_NS, "b", "y"), Flatten(T0_NS, "asked for"))
    rig.tell(ref, Resume(T0_NS, "all"))
    assert gate_of(rig, ref) == ""
    rig.tell(ref, Halt(T0_NS, "operator", "x"), Flatten(T0_NS, "asked for"))
    rig.tell(ref, Resume(T0_NS, "operator"))
    assert gate_of(rig, ref) == "", "an operator's flatten goes with the operator's halt"
    rig.tell(ref, EngineState(T0_NS, "draining", "the end"), Flatten(T0_NS, "the end"))
    rig.tell(ref, Resume(T0_NS, "all"), Resume(T0_NS, "operator"), Resume(T0_NS, "flatten"))
    assert gate_of(rig, ref) == "halted"
    rig.close()


@pytest.mark.parametrize(
    "changes",
    [{"bid": 0.0}, {"bid": nan}, {"ask": nan}, {"bid": 60001.0}, {"side": 0}, {"ask": inf}],
)
def test_an_entry_whose_figures_are_none_is_refused_not_died_of(changes: dict[str, Any]) -> None:
    rig, ref = ready(limits())
    assert gate_of(rig, ref, wish(rig, **changes)) in ("entry_figures", "spread_bps")
    assert gate_of(rig, ref) == ""
    rig.close()


def test_the_score_rises_with_the_strain_and_is_told_at_whole_points() -> None:
    rig, ref = ready(limits(drawdown_max=0.5))
    before = rig.report(ref)["score"]
    rig.heard.clear()
    rig.tell(ref, account("10000", "9990"))
    rig.run(1.5)
    assert not rig.all(RiskState), "less than a point"
    rig.tell(ref, account("10000", "9000"))
    rig.run(1.5)
    told = rig.one(RiskState)
    # a fall of a tenth of the half that is allowed, of 20 points
    assert dict(told.parts)["drawdown"] == pytest.approx(4.0)
    assert told.score == pytest.approx(before + 4.0)
    rig.close()


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"daily_loss_max_usdt": 5.0}, "halted"),
        ({"symbol_loss_max_usdt": 5.0}, "active"),
        ({"losing_streak_max": 1}, "halted"),
        ({"daily_loss_max_usdt": 6.0}, "active"),
    ],
    ids=["CB1", "CB1 of a symbol", "CB3", "CB1 warns"],
)
def test_what_stops_every_symbol_is_a_halt_and_what_stops_one_is_a_reason(
    changes: dict[str, Any], state: str
) -> None:
    rig, ref = ready(limits(**changes))
    rig.tell(ref, fill("e", 1), position(), lost(2, "-5"), position(quantity="0"))
    newest = rig.all(RiskState)[-1]
    assert newest.state == state
    assert len(newest.reasons) == 1
    assert newest.reasons[0].split()[0] == rig.all(BreakerChanged)[-1].breaker
    rig.close()
