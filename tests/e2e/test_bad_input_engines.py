"""What a person gets wrong beside a running engine: one sentence, an exit code, no harm done."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hfengine.control.client import ask
from hfengine.control.place import socket_path
from hfengine.credentials import LOCAL_KEYS
from hfengine.state.lock import running
from tests.recovery_desk import Desk, Typed, no_sockets, typed
from tests.venue_processes import COMMAND, VenueProcess, environment, until, venue_process

VENUE = ("--symbols", "BTCUSDT,ETHUSDT", "--feed", "synthetic", "--seed", "3")
PASSWORD = "hunter2-of-redis"


@pytest.fixture(scope="module")
def venue() -> Iterator[VenueProcess]:
    with venue_process("bybit", *VENUE) as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, venue: VenueProcess) -> Iterator[Desk]:
    """Yield the desk of an engine that trades while others do wrong; it must end well."""
    one = Desk(tmp_path_factory.mktemp("engine"), venue)
    with one.engine({"HFENGINE_STATE__URL": f"redis://:{PASSWORD}@127.0.0.1:1/0"}) as engine:
        engine.until(lambda: one.said("PositionOpened"), "a position in the journal")
        yield one
        assert one.status()["halts"] == {}
        engine.interrupt()
        code, summary, err = engine.ended()
        assert (code, summary["flat"]) == (0, True), err
        assert "redis://127.0.0.1:1/0 cannot be reached" in err
        left = one.everything() + err
        for secret in (LOCAL_KEYS.secret, LOCAL_KEYS.passphrase, PASSWORD):
            assert secret not in left
    assert no_sockets(one.folder)


def run(folder: Path, *words: str, **settings: str) -> Typed:
    """Run an engine that is expected to end by itself."""
    ended = subprocess.run(
        [*COMMAND, "run", *words, "--json"],
        cwd=folder,
        env=environment(folder, settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return Typed(ended.returncode, ended.stdout, ended.stderr)


def test_a_second_engine_on_the_account_is_told_off(desk: Desk) -> None:
    words = ("--profile", "bybit-local", "--venue-url", desk.venue.http)
    sent = len(desk.sessions())
    code, out, err = run(desk.folder, *words)
    engine = desk.alive()
    assert engine is not None
    assert (code, out) == (2, "")
    for part in (f"process {engine.facts.pid}", "bybit-local", "hfengine status", "hfengine stop"):
        assert part in err.splitlines()[-1]
    assert len(desk.sessions()) == sent, "a run that was told off leaves nothing"
    assert desk.status()["state"] == "trading"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("why", "NOPEUSDT"), 2, "BTCUSDT"),
        (("why", "BTCUSDT", "--session", "nope"), 2, "no session 'nope'"),
        (("why", "BTCUSDT", "--last", "soon"), 2, "soon"),
        (("why", "BTCUSDT", "--at", "noon"), 2, "13:05"),
        (("resume", "drawdwon"), 2, "nothing is halted by 'drawdwon'"),
        (("resume", "x" * 500), 2, "at most 400 printable"),
        (("halt", "--reason", "a\nb"), 2, "printable"),
        (("halt", "--reason", "x" * 9000), 2, "at most 4096 bytes"),
        (("status", "--profile", "bybit-lokal"), 2, 'no profile "bybit-lokal"'),
        (("positions", "--profile", "paper"), 6, "there is bybit-local"),
        (("positions", "NOPEUSDT"), 2, "NOPEUSDT"),
        (("orders", "--profile", "nope.toml"), 2, "nope.toml"),
        (("history", "trades", "--account", "../x"), 2, "no account"),
        (("history", "equity", "--duration", "soon"), 2, "soon"),
        (("doctor", "--profile", "bybit-lokal"), 2, 'no profile "bybit-lokal"'),
        (("flatten", "--profile", "binance-local"), 2, "--venue-url"),
        (("leverage", "audit", "--profile", "nope"), 2, 'no profile "nope"'),
        (("replay", "nope", "--verify"), 2, "no session 'nope'"),
        (("incident", "--session", "nope"), 2, "no session 'nope'"),
    ],
)
def test_a_wrong_word_gets_a_sentence_and_a_code(
    desk: Desk, words: tuple[str, ...], code: int, says: str
) -> None:
    told = desk.typed(*words)
    assert (told.code, told.out) == (code, "")
    assert says in told.err
    assert len(told.err) < 2_000


def test_symbols_nobody_lists_are_named(tmp_path: Path, venue: VenueProcess) -> None:
    words = ("--profile", "bybit-local", "--venue-url", venue.http)
    code, out, err = run(tmp_path, *words, HFENGINE_SYMBOLS="BTCUSDT,NOPEUSDT")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "hfengine: unknown_symbol: bybit does not list NOPEUSDT"


def test_an_engine_without_a_door_is_said_to_be_one(tmp_path: Path) -> None:
    with paper(tmp_path, HFENGINE_CONTROL__ENABLED="false") as process:
        until(lambda: [one for one in running(tmp_path / "state") if one.alive], "an engine")
        for words in (("status",), ("halt",), ("flatten", "--profile", "paper")):
            told = typed(tmp_path, *words)
            assert (told.code, told.out) == (6, "")
            assert f"process {process.pid}) runs with control.enabled = false" in told.err
            assert "Ctrl-C or SIGTERM" in told.err
        process.kill()
        process.wait()
    told = typed(tmp_path, "status")
    assert told.code == 6
    # what it held was in its own process: there is nothing left to be closed
    assert "no engine runs here: start one" in told.err


def test_of_two_engines_one_has_to_be_named(tmp_path: Path) -> None:
    with paper(tmp_path) as first, paper(tmp_path) as second:
        both = [first.pid, second.pid]
        until(lambda: sorted(trading(tmp_path)) == sorted(both), "two engines")
        for words, advice in (
            (("status",), "name one with --profile"),
            (("stop", "--profile", "paper"), "stop all but one of them"),
        ):
            told = typed(tmp_path, *words)
            assert (told.code, told.out) == (2, "")
            assert f"2 engines run {'here' if len(words) == 1 else 'with profile paper here'}" in (
                told.err
            )
            assert advice in told.err
            assert all(f"process {pid}" in told.err for pid in both)
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=30)
        assert first.returncode in (0, 5), err
        told = typed(tmp_path, "stop")
        assert (told.code, told.out) == (0, "flat: read back from the venue\n")
        # 5 where one was stopped before its first book
        assert second.wait(20) in (0, 5)
    state = tmp_path / "state"
    assert running(state) == []
    assert list(state.glob("*.lock")) == []
    names = ("paper-paper", "paper-paper-2")
    assert not any(socket_path(str(state), name).exists() for name in names)


def trading(folder: Path) -> list[int]:
    """Return the processes of the engines whose books are whole."""
    doors = [one.facts for one in running(folder / "state") if one.alive and one.facts.socket]
    return [one.pid for one in doors if all(ask(one.socket, "status")["books_synced"].values())]


@contextmanager
def paper(folder: Path, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a paper engine; killed when left early."""
    with subprocess.Popen(
        [*COMMAND, "run", "--profile", "paper", "--json"],
        cwd=folder,
        env=environment(folder, settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_without_a_place_for_its_lock_a_real_venue_is_not_traded(
    tmp_path: Path, venue: VenueProcess
) -> None:
    words = ("--profile", "bybit-local", "--venue-url", venue.http)
    code, out, err = run(tmp_path, *words, HFENGINE_STATE__DIRECTORY="/proc/state")
    assert (code, out) == (2, "")
    assert "the instance lock" in err.splitlines()[-1]
    assert "writable state.directory" in err.splitlines()[-1]


def test_a_store_of_no_known_kind_is_named(tmp_path: Path, venue: VenueProcess) -> None:
    words = ("--profile", "bybit-local", "--venue-url", venue.http)
    code, out, err = run(tmp_path, *words, HFENGINE_STATE__URL="mysql://me:geheim99@db/0")
    assert (code, out) == (2, "")
    assert "state.url" in err
    assert "redis://HOST:PORT/DB" in err
    assert "geheim99" not in err


def test_commands_without_any_engine_or_session(tmp_path: Path) -> None:
    for verb in ("status", "halt", "resume", "positions", "orders", "stop"):
        told = typed(tmp_path, verb)
        assert (told.code, told.out) == (6, "")
        assert "no engine runs here: start one with hfengine run" in told.err
    for words in (("why", "BTCUSDT"), ("replay", "newest"), ("incident",)):
        told = typed(tmp_path, *words)
        assert (told.code, told.out) == (2, "")
        assert "there is no session in journals" in told.err
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"
