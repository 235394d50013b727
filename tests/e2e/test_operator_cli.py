"""Operator commands against running engines, dead ones, and none, as a person types them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hfengine.cli import main as command_line
from hfengine.config import load
from hfengine.control.place import bound, socket_path
from hfengine.credentials import LOCAL_KEYS
from hfengine.recovery import account_id
from hfengine.state.lock import Facts, InstanceLock, running
from tests.venue_processes import COMMAND, VenueProcess, environment, until, venue_process

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Return what types a command in a directory of its own: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hfengine", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    return run


def command(profile: str, url: str = "") -> list[str]:
    """Return what runs an engine."""
    return [*COMMAND, "run", "--profile", profile, *(("--venue-url", url) if url else ()), "--json"]


@contextmanager
def engine(folder: Path, profile: str, url: str = "") -> Iterator["subprocess.Popen[bytes]"]:
    """Run an engine until it is reachable; killed when left early."""
    with (
        (folder / "summary.json").open("wb") as said,
        subprocess.Popen(
            command(profile, url),
            cwd=folder,
            env=environment(folder),
            stdout=said,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        try:
            until(lambda: has_begun(folder) or process.poll() is not None, "an engine")
            yield process
        finally:
            process.kill()


def has_begun(folder: Path) -> bool:
    return any(one.alive and one.facts.session for one in running(folder / "state"))


def asked(typed: Typed, *words: str) -> dict[str, Any]:
    """Return the one JSON object a command prints."""
    code, out, err = typed(*words, "--json")
    assert code == 0, err
    said: dict[str, Any] = json.loads(out)
    return said


def status_until(typed: Typed, holds: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
    """Ask for the status until it is as wanted."""
    found: list[dict[str, Any]] = []

    def look() -> Any:
        found.append(asked(typed, "status"))
        return holds(found[-1])

    until(look, what)
    return found[-1]


def test_a_paper_engine_is_seen_halted_resumed_flattened_and_stopped(
    tmp_path: Path, typed: Typed
) -> None:
    with engine(tmp_path, "paper") as process:
        told = status_until(typed, lambda s: s["positions"], "a position")
        assert told["state"] == "trading"
        assert told["pid"] == process.pid
        assert {one["got"] for one in told["leverage"]} == {50}
        assert told["positions"][0]["stop"]

        listed = asked(typed, "positions")["rows"]
        assert {one["symbol"] for one in listed} >= {one["symbol"] for one in told["positions"]}
        stops = [o for o in asked(typed, "orders")["rows"] if o["kind"] == "stop_market"]
        assert {o["symbol"] for o in stops} >= {one["symbol"] for one in listed}
        assert all(o["ours"] and o["reduce_only"] for o in stops)

        assert list(asked(typed, "halt", "--reason", "news")["halts"]) == ["operator"]
        code, out, err = typed("resume", "drawdwon")
        assert code == 2
        assert "in force is operator" in err
        code, out, _ = typed("resume")
        assert code == 0
        assert "cleared: operator" in out
        assert "news" in out

        code, out, _ = typed("flatten", "--reason", "home")
        assert (code, out) == (0, "flat: read back from the venue\n")
        code, out, _ = typed("positions")
        assert (code, out) == (0, "flat: the venue has no position open\n")
        code, out, _ = typed("orders")
        assert (code, out) == (0, "the venue has no order open\n")
        code, out, _ = typed("status")
        assert "HALTED by" in out
        assert "home" in out

        code, out, _ = typed("stop", "--reason", "enough")
        assert (code, out) == (0, "flat: read back from the venue\n")
        # flat, and the halt of the flatten was never resumed
        assert process.wait(20) == 4
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["flat"]
    assert "enough" in summary["reason"]
    assert not socket_path(str(tmp_path / "state"), "paper-paper").exists()


def test_a_watch_draws_lines_without_a_terminal_until_the_engine_ends(
    tmp_path: Path, typed: Typed
) -> None:
    with engine(tmp_path, "paper") as process:
        ending = threading.Timer(1.0, process.send_signal, (signal.SIGINT,))
        ending.start()
        code, out, err = typed("status", "--watch", "--every-s", "0.1")
        ending.join()
        assert code == 0
        assert "has ended" in err
        lines = out.splitlines()
        assert len(lines) > 2
        assert all("risk" in line and "uncovered" in line for line in lines)
        process.wait(20)


@pytest.fixture
def bybit() -> Iterator[VenueProcess]:
    options = ("--symbols", "BTCUSDT,ETHUSDT", "--feed", "synthetic", "--seed", "3")
    with venue_process("bybit", *options) as venue:
        yield venue


def test_what_a_dead_engine_left_is_told_and_flattened_at_the_venue(
    tmp_path: Path, typed: Typed, bybit: VenueProcess
) -> None:
    with engine(tmp_path, "bybit-local", bybit.http) as process:
        until(bybit.held, "a position")
        code, out, err = typed("flatten", "--profile", "paper")
        assert code == 6, "another profile's engine is not the one that is meant"
        process.kill()
        process.wait()

    code, out, err = typed("status")
    assert code == 6
    assert "ended without going flat" in err
    assert "hfengine flatten --profile bybit-local" in err
    for words in (("halt",), ("resume",), ("positions",), ("orders",), ("stop",)):
        assert typed(*words)[0] == 6

    code, out, err = typed("flatten", "--profile", "bybit-local")
    assert code == 2
    assert "--venue-url" in err

    assert bybit.held()
    code, out, err = typed("flatten", "--profile", "bybit-local", "--venue-url", bybit.http)
    assert (code, out) == (0, "flat: read back from the venue\n")
    assert "closing" in err
    assert bybit.held() == []
    assert bybit.orders(open_only=True) == []
    closers = [one for one in bybit.orders() if Decimal(one["update"]["filled"])]
    assert all(one["update"]["client_id"].startswith("hf-") for one in closers)


def test_no_second_engine_and_no_flatten_past_a_living_one(
    tmp_path: Path, typed: Typed, bybit: VenueProcess
) -> None:
    with engine(tmp_path, "bybit-local", bybit.http) as process:
        second = subprocess.run(
            command("bybit-local", bybit.http),
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert second.returncode == 2
        assert "Traceback" not in second.stderr
        assert f"process {process.pid}" in second.stderr
        # hung: it holds the account, so nobody else may close what it may be closing
        process.send_signal(signal.SIGSTOP)
        silent = "hfengine.control.client.ANSWER_MAX_S"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(silent, 0.3)
            code, _, err = typed("status", "--profile", "bybit-local")
        process.send_signal(signal.SIGCONT)
        assert code == 1
        assert "did not answer" in err


def lock_of(folder: Path, account: str, **facts: Any) -> InstanceLock:
    told = Facts(pid=os.getpid(), **facts)
    return InstanceLock.take(folder / "state", account, told)


def test_of_several_engines_one_must_be_named(tmp_path: Path, typed: Typed) -> None:
    locks = [
        lock_of(tmp_path, name, profile=profile, session=name, socket=str(tmp_path / "none"))
        for name, profile in (("a-1", "paper"), ("b-1", "bybit-local"))
    ]
    code, _, err = typed("status")
    assert code == 2
    assert "name one with --profile" in err
    assert "paper" in err
    assert "bybit-local" in err
    code, _, err = typed("halt", "--profile", "binance-local")
    assert code == 6
    assert "there is bybit-local, paper" in err
    for lock in locks:
        lock.release()


@pytest.mark.parametrize("verb", ["status", "halt", "resume", "positions", "orders", "stop"])
def test_without_an_engine_a_command_says_so(typed: Typed, verb: str) -> None:
    code, out, err = typed(verb)
    assert (code, out) == (6, "")
    assert "no engine runs here" in err
    assert "hfengine run" in err


def test_a_profile_nobody_has_is_named(typed: Typed) -> None:
    code, _, err = typed("status", "--profile", "bybit-lokal")
    assert code == 2
    assert "bybit-lokal" in err


def test_on_paper_there_is_nothing_to_flatten_without_an_engine(typed: Typed) -> None:
    code, _, err = typed("flatten", "--profile", "paper")
    assert code == 6
    assert "nothing to flatten" in err


def test_no_flatten_beside_another_profiles_engine_on_the_same_account(
    tmp_path: Path, typed: Typed
) -> None:
    url = "http://127.0.0.1:9"
    profile = load("bybit-local", environment={}, overrides={"venue.url": url})
    account = account_id(profile.settings, {"bybit": LOCAL_KEYS})
    lock = lock_of(tmp_path, account, profile="mine", session="x", socket="/x.sock")
    code, out, err = typed("flatten", "--profile", "bybit-local", "--venue-url", url)
    assert (code, out) == (2, "")
    assert f"process {os.getpid()}, profile mine" in err
    lock.release()
    code, out, err = typed("flatten", "--profile", "bybit-local", "--venue-url", url)
    assert code == 3, "a venue that is away proves nothing"
    assert "NOT FLAT" in err


def test_an_engine_without_a_door_is_left_to_its_own_terminal(tmp_path: Path, typed: Typed) -> None:
    lock = lock_of(tmp_path, "bybit-1", profile="bybit-local", session="x")
    there = ("--profile", "bybit-local")
    for words in (("status", *there), ("flatten", *there, "--venue-url", "http://127.0.0.1:9")):
        code, _, err = typed(*words)
        assert code == 6
        assert "control.enabled = false" in err
        assert "SIGTERM" in err
    lock.release()


def test_a_socket_that_a_dead_engine_left_is_no_engine(tmp_path: Path, typed: Typed) -> None:
    """The lock is free, but its file and its socket are still there."""
    path = tmp_path / "state" / "control" / "paper-paper.sock"
    bound(path).close()
    lock_of(tmp_path, "paper-paper", profile="paper", session="0123456789", socket=str(path))
    # the file's facts stay when a process dies: here its descriptor is closed alone
    (found,) = running(tmp_path / "state")
    assert found.alive
    code, _, err = typed("status")
    assert code == 6
    assert "is gone" in err


@pytest.mark.parametrize(
    "verb",
    ["status", "halt", "resume", "flatten", "stop", "positions", "orders", "doctor"],
)
def test_every_command_explains_itself_with_an_example_and_its_exit_codes(
    typed: Typed, verb: str
) -> None:
    code, out, _ = typed(verb, "--help")
    assert code == 0
    assert f"Example: hfengine {verb}" in out
    assert "Exit codes: 0" in out
    assert "--json" in out
