"""Which engine a command finds, and what it makes of the answers, or of none."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hfengine.control.calling import call, engine_of
from hfengine.control.client import EngineGone, EngineRefused, EngineSilent, ask
from hfengine.control.finding import Found, NotRunning, SeveralRunning, find
from hfengine.control.place import ControlPlaceError, bound
from hfengine.errors import ExitCode
from hfengine.state.lock import Facts, Instance, InstanceLock


def instance(
    profile: str, *, alive: bool, session: str = "s", address: str = "/x.sock", started_ns: int = 0
) -> Instance:
    facts = Facts(pid=7, profile=profile, session=session, socket=address, started_ns=started_ns)
    return Instance(account=profile, alive=alive, facts=facts)


def test_the_only_engine_alive_is_meant_where_none_is_named() -> None:
    found = find([instance("a", alive=False), instance("b", alive=True)])
    assert found == Found(7, "b", "s", "/x.sock")


def test_a_profile_names_its_own_engine() -> None:
    standing = [instance("a", alive=True), instance("b", alive=True)]
    assert find(standing, "a").profile == "a"


def test_several_are_listed_and_refused() -> None:
    standing = [instance("a", alive=True), instance("b", alive=True)]
    with pytest.raises(SeveralRunning) as refused:
        find(standing)
    assert refused.value.exit_code == ExitCode.USAGE
    assert [one.profile for one in refused.value.engines] == ["a", "b"]
    assert all(f"  {name}  process 7" in str(refused.value) for name in ("a", "b"))


def test_two_engines_of_one_profile_are_told_apart_by_nobody() -> None:
    standing = [instance("a", alive=True, session="1"), instance("a", alive=True, session="2")]
    with pytest.raises(SeveralRunning, match="stop all but one"):
        find(standing, "a")


def test_a_dead_engine_is_named_by_its_newest_session() -> None:
    standing = [
        instance("a", alive=False, session="old", started_ns=1),
        instance("a", alive=False, session="newest", started_ns=3),
        instance("a", alive=False, session="older", started_ns=2),
    ]
    with pytest.raises(NotRunning, match=r"session newest .* ended without going flat") as nobody:
        find(standing, "a")
    assert nobody.value.dead
    assert not nobody.value.alive
    assert nobody.value.exit_code == ExitCode.NOT_RUNNING


def test_nothing_at_all_is_told_as_such() -> None:
    with pytest.raises(NotRunning, match="start one with hfengine run") as nobody:
        find([])
    assert not nobody.value.dead


def test_an_engine_without_a_socket_is_alive_all_the_same() -> None:
    with pytest.raises(NotRunning) as nobody:
        find([instance("a", alive=True, address="")])
    assert nobody.value.alive


def test_engines_are_looked_for_where_the_environment_says(tmp_path: Path) -> None:
    facts = Facts(pid=os.getpid(), profile="paper", session="s", socket="/x.sock")
    lock = InstanceLock.take(tmp_path / "elsewhere", "paper", facts)
    named = {"HFENGINE_STATE__DIRECTORY": str(tmp_path / "elsewhere")}
    try:
        assert engine_of(None, named, tmp_path / ".env").session == "s"
        # what else is wrong in the environment does not keep an operator from the engine
        broken = {**named, "HFENGINE_LEVERAGE__WANTED": "no number"}
        assert engine_of(None, broken, tmp_path / ".env").session == "s"
        with pytest.raises(NotRunning):
            engine_of(None, {"HFENGINE_STATE__DIRECTORY": str(tmp_path)}, tmp_path / ".env")
    finally:
        lock.release()


@contextmanager
def answering(path: Path, *pieces: bytes, closes: bool = True) -> Iterator[list[bytes]]:
    """Let a thread take one request and send these pieces."""
    heard: list[bytes] = []
    over = threading.Event()
    with bound(path) as listening:
        listening.setblocking(True)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                heard.append(connection.recv(65_536))
                for piece in pieces:
                    connection.sendall(piece)
                if not closes:
                    over.wait(10)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield heard
        finally:
            over.set()
            serving.join()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control" / "x.sock"


def test_an_answer_may_come_in_pieces(path: Path) -> None:
    with answering(path, b'{"ok": true, "bo', b'dy": {"flat": tr', b"ue}}\n") as heard:
        assert ask(str(path), "flatten", "home") == {"flat": True}
    assert json.loads(heard[0]) == {"command": "flatten", "argument": "home"}
    assert heard[0].endswith(b"\n")


def test_an_engines_refusal_keeps_its_sentence_and_code(path: Path) -> None:
    line = b'{"ok": false, "error": "nothing is halted by x", "exit_code": 2}\n'
    with answering(path, line), pytest.raises(EngineRefused, match="nothing is halted") as refused:
        ask(str(path), "resume", "x")
    assert refused.value.exit_code == ExitCode.USAGE


def test_a_code_nobody_knows_is_a_failure(path: Path) -> None:
    line = b'{"ok": false, "error": "new", "exit_code": 99}\n'
    with answering(path, line), pytest.raises(EngineRefused) as refused:
        ask(str(path), "status")
    assert refused.value.exit_code == ExitCode.FAILURE


def test_an_engine_that_ends_while_it_is_asked_is_gone(path: Path) -> None:
    with answering(path, b'{"ok": tr'), pytest.raises(EngineGone, match="before it answered"):
        ask(str(path), "status")


def test_the_socket_of_a_dead_engine_is_gone_with_its_own_code(path: Path) -> None:
    bound(path).close()
    with pytest.raises(EngineGone) as gone:
        ask(str(path), "status")
    assert gone.value.exit_code == ExitCode.NOT_RUNNING
    with pytest.raises(EngineGone):
        ask("/no/such/place.sock", "status")


def test_a_silent_engine_is_told_from_a_dead_one(path: Path) -> None:
    with (
        answering(path, closes=False),
        pytest.raises(EngineSilent, match=r"did not answer within 0\.1 s"),
    ):
        ask(str(path), "status", answer_max_s=0.1)


def test_a_full_backlog_is_silence_not_death(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    full = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with full:
        full.bind(str(path))
        full.listen(0)
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(str(path))
        try:
            with pytest.raises(EngineSilent):
                ask(str(path), "status", answer_max_s=0.1)
            with pytest.raises(ControlPlaceError, match="another engine listens"):
                bound(path)
        finally:
            for one in waiting:
                one.close()


def test_nonsense_is_not_taken_for_an_answer(path: Path) -> None:
    with answering(path, b"HTTP/1.1 200 OK\n"), pytest.raises(EngineSilent, match="does not speak"):
        ask(str(path), "status")


def test_a_patient_wait_is_told_of_as_it_lasts(path: Path) -> None:
    waited: list[float] = []
    over = threading.Event()
    with bound(path) as listening:
        listening.setblocking(True)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                over.wait(10)
                connection.sendall(b'{"ok": true}\n')

        def waiting(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:
                over.set()

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            body = ask(str(path), "flatten", answer_max_s=None, waiting=waiting, every_s=0.02)
            assert body == {}
        finally:
            over.set()
            serving.join()
    assert waited == sorted(waited)
    assert len(waited) >= 3


def test_an_engine_gone_meanwhile_says_what_to_do_about_what_it_left(path: Path) -> None:
    with pytest.raises(NotRunning, match="hfengine flatten --profile p") as gone:
        call(Found(7, "p", "s", str(path)), "status")
    assert gone.value.dead
