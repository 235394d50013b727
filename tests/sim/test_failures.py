"""What breaks inside the engine halts entries, is reported, and still ends flat."""

import errno
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hfengine import session_log
from hfengine.actors.execution import Execution
from hfengine.actors.rebalancer import Rebalancer
from hfengine.actors.risk import Risk
from hfengine.actors.signals import Signals
from hfengine.actors.telemetry import Telemetry
from hfengine.config import load
from hfengine.engine import Engine
from hfengine.feeds.build import build_feed
from hfengine.journal import Journal
from hfengine.summary import Summary
from hfengine.surroundings import paper
from tests.invariants import of, records

pytestmark = pytest.mark.filterwarnings("error")


def run(tmp_path: Path, duration_s: float = 90.0) -> Summary:
    overrides = {"journal.directory": str(tmp_path)}
    profile = load("paper", environment={}, dotenv=None, overrides=overrides)
    surroundings = paper(profile, build_feed(profile.settings, []))
    return Engine(profile, surroundings, duration_s=duration_s).run()


class Planted(Exception):
    """The failure planted by a test."""


def break_after(monkeypatch: pytest.MonkeyPatch, actor: type, method: str, calls: int) -> list[int]:
    """Let a handler raise at its calls-th call, once; return the list of its calls."""
    original = getattr(actor, method)
    made: list[int] = []

    def failing(self: Any, message: Any) -> Any:
        made.append(1)
        if len(made) == calls:
            raise Planted(method)
        return original(self, message)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(actor, method, failing)
    return made


@pytest.mark.parametrize(
    ("actor", "method", "calls"),
    [(Signals, "on_book", 15_000), (Risk, "on_mark", 60), (Execution, "on_fill", 3)],
)
def test_an_actors_death_halts_entries_and_the_run_ends_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: type, method: str, calls: int
) -> None:
    made = break_after(monkeypatch, actor, method, calls)
    summary = run(tmp_path)
    assert summary.journal is not None
    rows = records(Path(summary.journal.path))
    (death,) = of(rows, "ActorDied")
    assert death["name"] == f"{actor.__name__}-1"
    assert "Planted" in death["error"]
    at = rows.index(death)
    assert any(row["type"] == "Halt" for row in rows[at:])
    assert not [row for row in rows[at:] if row["type"] == "OpenBracket"]
    assert summary.actor_deaths == 1
    assert summary.flat
    assert summary.state == "halted"
    assert len(made) > calls, "the restarted actor works"


def test_an_actor_that_keeps_dying_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Signals.on_book
    seen: list[int] = []

    def failing(self: Signals, tick: Any) -> None:
        seen.append(1)
        if len(seen) > 15_000:
            raise Planted
        original(self, tick)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(Signals, "on_book", failing)
    summary = run(tmp_path)
    assert summary.actor_deaths == 4
    assert summary.reason == "fatal: signals stays down"
    assert summary.flat


def test_without_execution_the_engine_itself_goes_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Execution.on_balance
    seen: list[int] = []

    def failing(self: Execution, balance: Any) -> None:
        seen.append(1)
        if len(seen) > 2:
            raise Planted
        original(self, balance)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(Execution, "on_balance", failing)
    summary = run(tmp_path)
    assert summary.flat
    assert summary.actor_deaths >= 1
    assert summary.state == "halted"


@pytest.mark.parametrize(("failures", "deaths"), [(1, 1), (99, 4)])
def test_a_death_while_flattening_still_ends_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, deaths: int
) -> None:
    original = Execution.on_flatten
    seen: list[int] = []

    def failing(self: Execution, message: Any) -> None:
        seen.append(1)
        if len(seen) <= failures:
            raise Planted
        original(self, message)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(Execution, "on_flatten", failing)
    # at 20 s positions are open, so there is something to close
    summary = run(tmp_path, duration_s=20.0)
    assert summary.flat
    assert summary.fills >= 2
    assert summary.actor_deaths == deaths
    assert summary.ledger_difference_usdt == 0 or failures > 1


@pytest.mark.parametrize(("actor", "method"), [(Rebalancer, "on_forecast"), (Telemetry, "on_fill")])
def test_what_a_restarted_actor_must_know_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: type, method: str
) -> None:
    break_after(monkeypatch, actor, method, 2)
    summary = run(tmp_path, duration_s=120.0)
    assert summary.journal is not None
    rows = records(Path(summary.journal.path))
    at = next(n for n, row in enumerate(rows) if row["type"] == "ActorDied")
    held = {row["symbol"] for row in of(rows[:at], "PositionOpened")}
    assert held, "the death came while positions were open"
    assert summary.actor_deaths == 1
    assert summary.brackets == len(of(rows, "OpenBracket"))
    if actor is Rebalancer:
        assert {row["symbol"] for row in of(rows[at:], "Rebalanced")} >= held
        assert summary.ledger_difference_usdt == 0
    else:
        lost = of(rows, "Fill")[1]
        money = Decimal(lost["realised_usdt"]) - Decimal(lost["fee_usdt"])
        assert summary.ledger_difference_usdt == -money, "only the fill that killed it is missing"


class FullDisk:
    """A segment on a disk that is full after a megabyte."""

    def __init__(self, path: Path) -> None:
        self._left = 1_000_000
        self._file = path.open("xb")

    def write(self, parts: list[Any]) -> None:
        for part in parts:
            self._left -= len(part)
            if self._left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            self._file.write(part)

    def close(self) -> None:
        self._file.close()


def test_a_full_disk_halts_entries_and_the_run_still_ends_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnFullDisk(Journal):
        @classmethod
        def create(cls, *arguments: Any, **named: Any) -> Any:
            return Journal.create(*arguments, open_segment=FullDisk, **named)

    monkeypatch.setattr(session_log, "Journal", OnFullDisk)
    summary = run(tmp_path)
    assert summary.flat
    assert summary.state == "halted"
    refused = set(summary.refusals)
    assert refused & {"halted", "journal"}, refused
