"""How a run over sockets ends: by Ctrl-C, by a kill, by the death of its venue."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.test_local_profiles import LIVELY
from tests.invariants import of
from tests.venue_processes import EngineProcess, engine_process, until, venue_process

LOCAL = ["--profile", "bybit-local"]


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def trading(engine: EngineProcess) -> list[int]:
    """Wait for a fill; return the processes the engine has started."""
    engine.until(lambda: of(engine.logged(), "Fill"), "a fill")
    return children(engine.process.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_flat_and_takes_the_venue_along(tmp_path: Path, number: int) -> None:
    with engine_process(tmp_path, LOCAL, LIVELY) as engine:
        (venue,) = trading(engine)
        engine.process.send_signal(number)
        code, summary, errors = engine.ended()
    assert code == 0, errors
    assert (summary["flat"], summary["reason"]) == (True, "interrupted")
    assert summary["ledger_difference_usdt"] == 0
    assert not is_alive(venue)
    state = tmp_path / "state"
    assert [path for path in state.rglob("*") if not path.is_dir()] == [], "its account is no more"


def test_a_killed_run_leaves_no_venue_behind(tmp_path: Path) -> None:
    with engine_process(tmp_path, LOCAL, LIVELY) as engine:
        (venue,) = trading(engine)
        assert is_alive(venue)
        engine.process.kill()
        engine.process.wait()
        until(lambda: not is_alive(venue), "the venue to end", 10.0)


def end_without_its_venue(folder: Path) -> tuple[int, dict[str, object], str]:
    with (
        venue_process("bybit", "--symbols", "BTCUSDT,ETHUSDT") as venue,
        engine_process(folder, [*LOCAL, "--venue-url", venue.http], LIVELY) as engine,
    ):
        engine.until(venue.held, "a position")
        venue.process.kill()
        return engine.ended(120.0)


def end_without_its_own_venue(folder: Path) -> tuple[int, dict[str, object], str]:
    with engine_process(folder, LOCAL, LIVELY) as engine:
        (venue,) = trading(engine)
        os.kill(venue, signal.SIGKILL)
        return engine.ended(120.0)


def test_a_venue_that_dies_ends_the_run_with_exit_code_3_and_says_why(tmp_path: Path) -> None:
    runs = (end_without_its_venue, end_without_its_own_venue)
    with ThreadPoolExecutor(len(runs)) as threads:
        folders = [tmp_path / run.__name__ for run in runs]
        for folder in folders:
            folder.mkdir()
        ended = [threads.submit(run, folder) for run, folder in zip(runs, folders, strict=True)]
        for one in ended:
            code, summary, _ = one.result()
            assert code == 3
            assert summary["flat"] is False
            assert summary["state"] == "not_flat"
            reason = str(summary["reason"])
            assert reason.startswith("the local venue has not answered for 10 s")
            assert "the account was not read at the end" in reason
