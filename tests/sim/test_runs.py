"""The whole engine on the synthetic market: invariants over seeds; same seed, same bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hfengine.config import load
from hfengine.engine import Engine
from hfengine.feeds.build import build_feed
from hfengine.journal.reader import Scan
from hfengine.runtime.threads import unexpected_threads
from hfengine.summary import Summary
from hfengine.surroundings import paper
from tests.invariants import check_all, every_signal_is_accounted_for, money_adds_up, of, records

Run = Callable[..., tuple[Summary, Path]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs the paper profile with changes; journals go to tmp_path."""

    def go(
        duration_s: float = 90.0, speed: float | None = None, **overrides: Any
    ) -> tuple[Summary, Path]:
        keys = {name.replace("__", "."): setting for name, setting in overrides.items()}
        keys["journal.directory"] = str(tmp_path)
        profile = load("paper", environment={}, dotenv=None, overrides=keys)
        feed = build_feed(profile.settings, [])
        summary = Engine(profile, paper(profile, feed, speed=speed), duration_s=duration_s).run()
        assert summary.journal is not None
        return summary, Path(summary.journal.path)

    return go


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_invariants_hold_on_every_seed(run: Run, seed: int) -> None:
    summary, journal = run(seed=seed)
    profile = load("paper", environment={}, dotenv=None, overrides={"seed": seed})
    rows = records(journal)
    check_all(rows, profile.settings)
    assert summary.flat
    assert summary.actor_deaths == 0
    assert summary.ledger_difference_usdt == 0
    assert summary.book_checks.mismatched == 0
    assert summary.book_checks.matched > 1000
    assert summary.signals == summary.brackets + sum(summary.refusals.values())
    assert summary.fills == len(of(rows, "Fill"))


def test_brackets_are_opened_and_closed_at_fifty_times(run: Run) -> None:
    summary, journal = run(duration_s=120.0)
    rows = records(journal)
    assert summary.brackets >= 1
    assert {row["leverage"] for row in of(rows, "OpenBracket")} == {50}
    assert of(rows, "Fill")[-1]["type"] == "Fill"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run: Run) -> None:
    first, one = run(duration_s=40.0)
    second, two = run(duration_s=40.0)
    third, _ = run(duration_s=40.0, seed=2)
    assert first.journal is not None
    assert second.journal is not None
    assert third.journal is not None
    assert first.journal.hash == second.journal.hash
    assert first.journal.hash != third.journal.hash
    assert [f.payload for f in Scan(one).frames()] == [f.payload for f in Scan(two).frames()]


def test_a_paced_run_logs_the_same_bytes_as_one_at_full_speed(run: Run) -> None:
    fast, one = run(duration_s=20.0)
    paced, two = run(duration_s=20.0, speed=40.0)
    assert [f.payload for f in Scan(one).frames()] == [f.payload for f in Scan(two).frames()]
    assert fast.journal is not None
    assert paced.journal is not None
    assert fast.journal.hash == paced.journal.hash


def test_latency_alone_changes_the_journal(run: Run) -> None:
    slow, _ = run(duration_s=20.0, venue__feed_latency_us=5000)
    quick, _ = run(duration_s=20.0)
    assert slow.journal is not None
    assert quick.journal is not None
    assert slow.journal.hash != quick.journal.hash


def test_the_strict_gate_refuses_by_name(run: Run) -> None:
    summary, _ = run(fees__gate="strict")
    assert summary.brackets == 0
    assert summary.refusals["fee_edge"] > 0
    assert summary.fills == 0
    assert summary.net_usdt == 0


@pytest.mark.parametrize("distance", ["atr", "forecast"])
def test_other_stop_distances_hold_the_invariants_too(run: Run, distance: str) -> None:
    _, journal = run(
        protection__distance=distance, protection__stop_forecast=4.0, signals__drift_min=0.0004
    )
    profile = load("paper", environment={}, dotenv=None, overrides={})
    check_all(records(journal), profile.settings)


@pytest.mark.parametrize("mode", ["kelly_fraction", "fixed_margin", "risk_per_trade"])
def test_every_sizing_mode_holds_the_invariants(run: Run, mode: str) -> None:
    summary, journal = run(sizing__mode=mode, sizing__fraction=0.01)
    profile = load("paper", environment={}, dotenv=None, overrides={})
    check_all(records(journal), profile.settings)
    assert summary.brackets >= 1


def test_bybit_rules_and_cross_margin_hold_the_invariants(run: Run) -> None:
    for changes in ({"venue__catalogue": "bybit"}, {"leverage__margin_mode": "cross"}):
        summary, journal = run(**changes)
        profile = load("paper", environment={}, dotenv=None, overrides={})
        check_all(records(journal), profile.settings)
        assert summary.flat


def test_a_trailing_stop_moves_at_the_venue_and_holds_the_invariants(run: Run) -> None:
    changes = {
        "protection__trailing_activation_percent": 0.01,
        "protection__trailing_callback_percent": 0.02,
    }
    summary, journal = run(duration_s=120.0, **changes)
    rows = records(journal)
    moves = of(rows, "MoveProtection")
    assert moves
    stops = {(row["symbol"], row["stop"]) for row in of(rows, "PositionChanged")}
    assert {(move["symbol"], move["stop"]) for move in moves} & stops
    every_signal_is_accounted_for(rows)
    money_adds_up(rows)
    assert summary.flat


def test_no_thread_computes_beside_the_loop(tmp_path: Path) -> None:
    overrides = {"journal.directory": str(tmp_path)}
    profile = load("paper", environment={}, dotenv=None, overrides=overrides)
    found: list[list[str]] = []
    Engine(
        profile,
        paper(profile, build_feed(profile.settings, [])),
        duration_s=5.0,
        observer=lambda _seen: found.append(unexpected_threads()),
    ).run()
    assert found
    assert not any(found)
