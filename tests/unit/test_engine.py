"""The engine around its actors: endings, restarts, the journal's scope, a summary that adds up."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from hfengine.actors.market_data import MarketData
from hfengine.actors.risk import Risk
from hfengine.actors.signals import Signals
from hfengine.actors.telemetry import Telemetry
from hfengine.config import load
from hfengine.engine import Engine
from hfengine.errors import VenueRejected
from hfengine.exchange.latency import FifoDelay, Latency
from hfengine.feeds.build import build_feed
from hfengine.feeds.source import Damage, Feed, Recorded
from hfengine.journal import Journal
from hfengine.requests import OrderRequest
from hfengine.seeds import Seed
from hfengine.summary import Summary
from hfengine.surroundings import paper
from hfengine.venues import sim
from hfengine.venues.sim import SimVenue
from tests.invariants import of, records

Make = Callable[..., Engine]


class Planted(Exception):
    """The failure planted by a test."""


class Part:
    """The first frames of a feed."""

    def __init__(self, feed: Feed, count: int) -> None:
        self.symbols = feed.symbols
        self.start_ns = feed.start_ns
        self._feed = feed
        self._count = count

    def events(self) -> Iterator[Recorded | Damage]:
        return islice(self._feed.events(), self._count)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes an engine on the synthetic market."""

    def engine(
        duration_s: float | None = 5.0,
        frames: int | None = None,
        observer: Callable[[Mapping[str, Any]], None] | None = None,
        feed: Feed | None = None,
        **overrides: Any,
    ) -> Engine:
        keys = {name.replace("__", "."): setting for name, setting in overrides.items()}
        keys["journal.directory"] = str(tmp_path)
        profile = load("paper", environment={}, dotenv=None, overrides=keys)
        feed = feed or build_feed(profile.settings, [])
        if frames is not None:
            feed = Part(feed, frames)
        return Engine(profile, paper(profile, feed), duration_s=duration_s, observer=observer)

    return engine


def rows_of(summary: Summary) -> list[dict[str, Any]]:
    assert summary.journal is not None
    return records(Path(summary.journal.path))


def fail(monkeypatch: pytest.MonkeyPatch, actor: type, method: str, calls: range) -> None:
    """Let a handler raise at the calls given, counted from 1."""
    original = getattr(actor, method)
    made: list[int] = []

    def failing(self: Any, message: Any) -> Any:
        made.append(1)
        if len(made) in calls:
            raise Planted(method)
        return original(self, message)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(actor, method, failing)


def test_a_feed_that_ends_ends_the_run_and_only_its_frames_count(make: Make) -> None:
    summary = make(None, frames=4_000).run()
    assert summary.reason == "the feed ended"
    assert summary.frames == 4_000, "derived marks are none"
    assert summary.flat


def test_the_first_reason_to_stop_is_the_one_told(make: Make) -> None:
    engine = make(1.0)
    engine.stop("first")
    engine.stop("second")
    assert engine.run().reason == "first"


def test_ticks_are_logged_only_where_the_profile_wants_them(make: Make) -> None:
    ticks = {"BookTick", "TradeTick", "MarkTick"}
    whole = {row["type"] for row in rows_of(make().run())}
    assert ticks <= whole
    short = {row["type"] for row in rows_of(make(seed=2, journal__market_data="none").run())}
    assert not ticks & short
    assert {"LeverageProof", "BookSync", "EngineState"} <= short


def test_without_a_journal_it_trades_and_names_none(make: Make) -> None:
    summary = make(20.0, journal__enabled=False).run()
    assert summary.journal is None
    assert summary.brackets >= 1
    assert "journal" not in summary.refusals


def test_a_journal_that_is_not_written_refuses_every_entry(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "is_ok", lambda _self: False)
    summary = make(20.0).run()
    assert summary.brackets == 0
    assert summary.refusals["journal"] >= 1


def test_a_fault_of_the_journal_halts_and_is_told(make: Make) -> None:
    engines: list[Engine] = []

    def observe(_seen: Mapping[str, Any]) -> None:
        engines[0]._journal_failed("disk full")

    engines.append(make(20.0, observer=observe))
    summary = engines[0].run()
    assert summary.state == "halted"
    assert summary.brackets == 0
    assert {(h["source"], h["reason"]) for h in of(rows_of(summary), "Halt")} == {
        ("journal", "disk full")
    }


def test_the_journal_is_looked_after_every_second(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    original = Journal.check

    def check(self: Journal, now_ns: int) -> Any:
        looks.append(now_ns)
        return original(self, now_ns)

    monkeypatch.setattr(Journal, "check", check)
    make(5.0).run()
    assert len(looks) in (5, 6)


def test_a_view_that_fails_ends_the_run_flat(make: Make) -> None:
    def observe(_seen: Mapping[str, Any]) -> None:
        raise Planted("no terminal")

    summary = make(60.0, observer=observe).run()
    assert summary.reason == "the live view failed: Planted('no terminal')"
    assert summary.engine_s < 2.0
    assert summary.flat


def test_an_observer_sees_every_actor_at_its_pace(make: Make) -> None:
    seen: list[Mapping[str, Any]] = []
    make(5.0, observer=seen.append).run()
    assert len(seen) in (10, 11)
    times = [view["now_ns"] for view in seen]
    *steady, last = [b - a for a, b in pairwise(times)]
    assert set(steady) == {500_000_000}
    assert 0 < last <= 500_000_000, "the last look is at the end, not at the pace"
    assert {"telemetry", "risk", "guardian", "signals", "stages"} <= set(seen[0])


def test_a_venue_that_will_not_close_is_told_as_not_flat(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = SimVenue.place

    async def stubborn(self: SimVenue, request: OrderRequest) -> Any:
        if request.reduce_only:
            raise VenueRejected("no_liquidity")
        return await original(self, request)

    monkeypatch.setattr(SimVenue, "place", stubborn)
    summary = make(20.0).run()
    assert (summary.flat, summary.state) == (False, "not_flat")
    assert "not flat: " in summary.reason
    assert "no_liquidity" in summary.reason
    states = [row["state"] for row in of(rows_of(summary), "EngineState")]
    assert "not_flat" in states
    assert "flat" not in states
    assert summary.ledger_difference_usdt == 0


def test_rejected_orders_are_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refusing(_self: SimVenue, _request: OrderRequest) -> Any:
        raise VenueRejected("insufficient_margin")

    monkeypatch.setattr(SimVenue, "place", refusing)
    summary = make(20.0).run()
    assert summary.orders_rejected == summary.brackets >= 1
    assert summary.fills == 0


def test_every_proof_is_counted_and_the_wallet_is_the_venues_last(make: Make) -> None:
    # of both symbols at the start, then of one or the other every 3.8 s
    summary = make(20.0, leverage__reread_s=7.6).run()
    assert summary.leverage_proofs == len(of(rows_of(summary), "LeverageProof")) == 7
    assert summary.fills >= 2
    assert summary.wallet_usdt == 10_000 + summary.net_usdt != 10_000
    assert summary.net_usdt == summary.gross_usdt - summary.fees_usdt - summary.funding_usdt


def test_money_the_engine_missed_shows_in_the_ledger(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Telemetry.on_fill
    missed: list[Any] = []

    def forgetful(self: Telemetry, fill: Any) -> None:
        if missed:
            original(self, fill)
        missed.append(fill)

    forgetful._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(Telemetry, "on_fill", forgetful)
    summary = make(20.0).run()
    assert summary.ledger_difference_usdt == missed[0].fee_usdt - missed[0].realised_usdt != 0


def test_a_restarted_actor_hears_the_halts_in_force(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, Risk, "on_mark", range(3, 4))
    summary = make(20.0).run()
    assert summary.reason == "the duration is over", "one death is not the end"
    rows = rows_of(summary)
    (death,) = of(rows, "ActorDied")
    after = [row["type"] for row in rows[rows.index(death) :]]
    assert after.count("Halt") == 2, "at the death, and again for the new one"
    assert "Start" in after
    assert "LeverageProof" in after
    assert "OpenBracket" not in after
    assert set(summary.refusals) <= {"halted", "confidence", "disagreement", "cross"}
    assert summary.refusals["halted"] >= 1


def test_frames_reach_the_market_data_that_was_restarted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, MarketData, "on_frame", range(500, 501))
    summary = make(20.0).run()
    rows = rows_of(summary)
    (death,) = of(rows, "ActorDied")
    after = rows[rows.index(death) :]
    assert len(of(after, "TradeTick")) > 100
    assert not of(after, "OpenBracket")
    assert summary.state == "halted"


def test_an_actor_down_from_the_first_moment_still_has_a_summary(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, Signals, "on_book", range(1, 1_000_000))
    summary = make(20.0).run()
    assert summary.reason == "fatal: signals stays down"
    assert (summary.flat, summary.signals, summary.actor_deaths) == (True, 0, 4)


class Markless(Part):
    """A feed without mark prices, as a recording may be."""

    def events(self) -> Iterator[Recorded | Damage]:
        for event in super().events():
            if isinstance(event, Damage) or b"markPriceUpdate" not in event.payload:
                yield event


def test_funding_is_paid_by_longs_and_counted_to_the_last_unit(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sim, "FUNDING_PERIOD_NS", 10_000_000_000)
    profile = load("paper", environment={}, dotenv=None, overrides={"journal.enabled": False})
    feed = Markless(build_feed(profile.settings, []), 1_000_000)
    engine = make(20.0, feed=feed)
    summary = engine.run()
    rows = rows_of(summary)
    paid = of(rows, "FundingPaid")
    assert paid
    for funding in paid:
        before = rows[: rows.index(funding)]
        held = [r for r in of(before, "PositionChanged") if r["symbol"] == funding["symbol"]][-1]
        assert held["side"] * float(funding["funding_usdt"]) > 0.0
    assert summary.funding_usdt != 0
    assert summary.net_usdt == summary.gross_usdt - summary.fees_usdt - summary.funding_usdt
    assert summary.ledger_difference_usdt == 0


def test_a_slow_account_stream_is_waited_for(make: Make) -> None:
    engine = make(20.0)
    # the last fill comes long after flat was read twice
    slow = FifoDelay(Latency(Seed(1).stream("slow"), 40_000, 0))
    engine._venue._account_delay = slow
    summary = engine.run()
    assert summary.fills >= 2
    assert summary.ledger_difference_usdt == 0


def test_a_wait_that_is_cancelled_wakes_nobody_later(make: Make) -> None:
    engine = make()
    loop = engine._loop
    lost: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: lost.append(context))

    async def scenario() -> None:
        waiting = loop.create_task(engine._pause(0.1))
        await engine._pause(0.01)
        waiting.cancel()
        await engine._pause(0.5)
        assert waiting.cancelled()

    loop.run_until_complete(scenario())
    loop.close()
    assert lost == []
