"""The control socket: who gets in, what is said, and that no client can hold the engine up."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvloop

from hfengine.clock import VirtualClock
from hfengine.control import place, server
from hfengine.control.place import bound
from hfengine.control.server import ControlServer, control_server
from hfengine.errors import VenueUnavailable
from hfengine.limits import CONTROL_CLIENTS_MAX, CONTROL_IDLE_MAX_NS, CONTROL_REQUEST_BYTES_MAX
from hfengine.messages import EngineState, FlattenDone, Halt, MarkTick, Message, Resume
from hfengine.oversight import Command
from hfengine.runtime.virtual_loop import VirtualLoop
from tests import rig
from tests.control_desk import FakeEngine


@pytest.fixture(params=["virtual", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made: asyncio.AbstractEventLoop = (
        VirtualLoop(VirtualClock(rig.T0_NS))
        if request.param == "virtual"
        else uvloop.new_event_loop()
    )
    yield made
    made.run_until_complete(hang_up())
    made.close()


async def hang_up() -> None:
    """Close the test's own ends of what it connected."""
    while TALKS:
        writer = TALKS.pop().writer
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


TURNS_MAX = 20_000


async def until(holds: Callable[[], object]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(TURNS_MAX):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError(f"not within {TURNS_MAX} turns of the loop")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control" / "here.sock"


class Talk:
    """One connection that sends lines and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, command: str, argument: str = "") -> dict[str, Any]:
        self.writer.write(json.dumps({"command": command, "argument": argument}).encode() + b"\n")
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        try:
            line = await self.reader.readline()
        except ConnectionError:
            line = b""
        said: dict[str, Any] = json.loads(line) if line else {"ended": True}
        return said


TALKS: list[Talk] = []


async def connect(path: Path) -> Talk:
    talk = Talk(*await asyncio.open_unix_connection(str(path), limit=2**24))
    TALKS.append(talk)
    return talk


def served(loop: asyncio.AbstractEventLoop, path: Path, engine: FakeEngine, work: Any) -> Any:
    """Run `work(server)` while an engine is served."""

    async def main() -> Any:
        with control_server(path) as door:
            await door.begin(engine)
            try:
                return await work(door)
            finally:
                await door.end()

    return loop.run_until_complete(main())


def test_a_halt_is_journaled_before_it_is_published_and_answered(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()

    async def work(_door: ControlServer) -> dict[str, Any]:
        return await (await connect(path)).ask("halt", "news at 14:00")

    said = served(loop, path, engine, work)
    command, halt = engine.published
    assert isinstance(command, Command)
    assert (command.name, command.argument) == ("halt", "news at 14:00")
    assert f"user {os.getuid()} (process {os.getpid()})" in command.by
    assert isinstance(halt, Halt)
    assert halt.source == "operator"
    assert halt.reason.endswith("news at 14:00")
    assert said["ok"]
    assert said["body"]["halts"] == {"operator": halt.reason}


def test_resume_clears_one_source_and_says_what_still_holds(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine(halts={"operator": "lunch", "drawdown": "10 %"})

    async def work(_door: ControlServer) -> list[dict[str, Any]]:
        talk = await connect(path)
        return [await talk.ask("resume", "operator"), await talk.ask("resume")]

    one, all_ = served(loop, path, engine, work)
    assert one["body"]["cleared"] == {"operator": "lunch"}
    assert one["body"]["halts"] == {"drawdown": "10 %"}
    assert all_["body"]["cleared"] == {"drawdown": "10 %"}
    assert all_["body"]["halts"] == {}
    sources = [m.source for m in engine.published if isinstance(m, Resume)]
    assert sources == ["operator", "all"]


def test_an_unknown_source_is_refused_and_nothing_is_published(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine(halts={"drawdown": "10 %"})

    async def work(_door: ControlServer) -> dict[str, Any]:
        return await (await connect(path)).ask("resume", "drawdwon")

    said = served(loop, path, engine, work)
    assert not said["ok"]
    assert said["exit_code"] == 2
    assert "in force is drawdown" in said["error"]
    assert engine.published == []


def test_a_tripped_breaker_can_be_resumed_by_its_name(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()
    engine.breakers = [{"breaker": "losing_streak", "state": "tripped"}]

    async def work(_door: ControlServer) -> dict[str, Any]:
        return await (await connect(path)).ask("resume", "losing_streak")

    said = served(loop, path, engine, work)
    assert said["body"]["cleared_breakers"] == ["losing_streak"]


def test_flatten_answers_when_the_venue_has_and_status_goes_on_meanwhile(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()

    async def work(_door: ControlServer) -> tuple[dict[str, Any], dict[str, Any], bool]:
        first, second = await connect(path), await connect(path)
        flattening = asyncio.ensure_future(first.ask("flatten", "going home"))
        status = await second.ask("status")
        was_over = flattening.done()
        engine.flattened.set_result(FlattenDone(1, flat=False, rounds=60, detail="BTCUSDT 0.1"))
        return await flattening, status, was_over

    said, status, was_over = served(loop, path, engine, work)
    assert not was_over
    assert status["body"]["state"] == "trading"
    assert said["body"] == {
        "profile": "paper",
        "session": "0123456789",
        "flat": False,
        "rounds": 60,
        "detail": "BTCUSDT 0.1",
        "unwritten": "",
    }
    assert [m.name for m in engine.published if isinstance(m, Command)] == ["flatten"]


@pytest.mark.parametrize(("state", "flat"), [("flat", True), ("ended", True), ("not_flat", False)])
def test_stop_is_answered_at_the_end_of_the_run_with_how_it_ended(
    loop: asyncio.AbstractEventLoop, path: Path, state: Any, flat: bool
) -> None:
    engine = FakeEngine()

    async def main() -> dict[str, Any]:
        with control_server(path) as door:
            await door.begin(engine)
            talk = await connect(path)
            stopping = asyncio.ensure_future(talk.ask("stop", "enough"))
            await until(lambda: engine.stopped)
            assert not stopping.done()
            engine.state = EngineState(2, state, "how it went")
            engine.unwritten.append(loop.create_future())
            engine.unwritten[0].set_result("the disk is slow")
            await door.end()
            return await stopping

    said = loop.run_until_complete(main())
    assert said["body"]["flat"] is flat
    assert said["body"]["detail"] == "how it went"
    assert said["body"]["unwritten"] == "the disk is slow"
    assert engine.stopped[0].endswith("enough")
    assert not path.exists()


def test_a_dead_engine_at_the_end_is_not_called_flat(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()

    async def main() -> dict[str, Any]:
        with control_server(path) as door:
            await door.begin(engine)
            talk = await connect(path)
            stopping = asyncio.ensure_future(talk.ask("stop"))
            await until(lambda: engine.stopped)
            engine.fails = True
            await door.end()
            return await stopping

    assert loop.run_until_complete(main())["body"]["flat"] is False


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"what?\n", "not a request"),
        (b'{"command": "sell everything"}\n', "no command 'sell everything'"),
        (b'{"command": "status", "more": 1}\n', "not a request"),
        (b'{"command": "halt", "argument": "a\\nb"}\n', "printable"),
        (b'{"command": "halt", "argument": "' + b"x" * 401 + b'"}\n', "at most 400"),
        (b"\xff\xfe\n", "not a request"),
    ],
)
def test_nonsense_gets_a_sentence_and_the_connection_stays(
    loop: asyncio.AbstractEventLoop, path: Path, line: bytes, sentence: str
) -> None:
    engine = FakeEngine()

    async def work(_door: ControlServer) -> tuple[dict[str, Any], dict[str, Any]]:
        talk = await connect(path)
        talk.writer.write(line)
        return await talk.answer(), await talk.ask("status")

    said, status = served(loop, path, engine, work)
    assert sentence in said["error"]
    assert said["exit_code"] == 2
    assert status["ok"]
    assert engine.published == []


@pytest.mark.parametrize("ended_by", [b"", b"\n"])
def test_a_flood_is_cut_off(loop: asyncio.AbstractEventLoop, path: Path, ended_by: bytes) -> None:
    async def work(door: ControlServer) -> list[dict[str, Any]]:
        talk = await connect(path)
        talk.writer.write(b"x" * (CONTROL_REQUEST_BYTES_MAX + 1) + ended_by)
        said = [await talk.answer(), await talk.answer()]
        assert not door.clients
        return said

    said, then = served(loop, path, FakeEngine(), work)
    assert "at most 4096 bytes" in said["error"]
    assert then == {"ended": True}


def test_requests_that_come_at_once_are_answered_in_their_order(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()

    async def work(_door: ControlServer) -> list[dict[str, Any]]:
        talk = await connect(path)
        lines = [json.dumps({"command": "halt", "argument": str(n)}) for n in range(200)]
        talk.writer.write("".join(line + "\n" for line in lines).encode())
        return [await talk.answer() for _ in lines]

    answers = served(loop, path, engine, work)
    reasons = [said["body"]["halts"]["operator"].rsplit(" ", 1)[1] for said in answers]
    assert reasons == [str(n) for n in range(200)]


def test_a_client_that_reads_nothing_is_not_waited_for(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine(padding=1_000_000)

    async def main() -> int:
        with control_server(path) as door:
            await door.begin(engine)
            mute = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            mute.setblocking(False)
            await asyncio.get_running_loop().sock_connect(mute, str(path))
            for _ in range(40):
                mute.send(b'{"command": "status"}\n')
            await until(lambda: engine.views)
            status = await (await connect(path)).ask("status")
            assert status["ok"]
            await door.end()
            mute.close()
            return engine.views

    # far from the forty that were asked: an unread answer holds back the next
    assert loop.run_until_complete(main()) < 10


def test_more_clients_than_there_may_be_are_turned_away_and_the_idle_make_room(
    loop: asyncio.AbstractEventLoop, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1]
    monkeypatch.setattr(server, "mono_ns", lambda: clock[0])

    async def work(door: ControlServer) -> tuple[dict[str, Any], dict[str, Any], int]:
        talks = [await connect(path) for _ in range(CONTROL_CLIENTS_MAX)]
        assert all([(await talk.ask("status"))["ok"] for talk in talks])
        refused = await (await connect(path)).answer()
        clock[0] += CONTROL_IDLE_MAX_NS
        await talks[0].ask("status")
        clock[0] += 1
        welcome = await (await connect(path)).ask("status")
        return refused, welcome, len(door.clients)

    refused, welcome, left = served(loop, path, FakeEngine(), work)
    assert "operators already" in refused["error"]
    assert welcome["ok"]
    # the one that asked lately, and the new one
    assert left == 2


def a_stranger(_descriptor: int) -> tuple[int, int]:
    return os.getuid() + 4711, 99


def nobody_can_tell(_descriptor: int) -> tuple[int, int]:
    raise OSError(107, "Transport endpoint is not connected")


@pytest.mark.parametrize("peer_of", [a_stranger, nobody_can_tell])
def test_another_user_is_turned_away(
    loop: asyncio.AbstractEventLoop, path: Path, monkeypatch: pytest.MonkeyPatch, peer_of: Any
) -> None:
    monkeypatch.setattr(server, "peer_of", peer_of)

    async def work(door: ControlServer) -> tuple[dict[str, Any], int, int]:
        said = await (await connect(path)).ask("halt")
        return said, door.refused, len(door.clients)

    engine = FakeEngine()
    said, refused, left = served(loop, path, engine, work)
    assert "another user" in said["error"]
    assert (refused, left) == (1, 0)
    assert engine.published == []


def test_what_the_venue_does_not_tell_is_said_with_its_reason(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()
    engine.venue.fault = VenueUnavailable("HTTP 503")

    async def work(_door: ControlServer) -> list[dict[str, Any]]:
        talk = await connect(path)
        return [await talk.ask("positions"), await talk.ask("orders")]

    for said in served(loop, path, engine, work):
        assert not said["ok"]
        assert said["exit_code"] == 1
        assert "HTTP 503" in said["error"]


def test_positions_are_the_venues_and_tell_how_far_stop_and_liquidation_are(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()
    engine.venue.held = [
        rig.position(side=-1, entry="60000", liquidation="61200", stop=Decimal("60240"))
    ]
    engine.marks = {"BTCUSDT": MarkTick("BTCUSDT", 1, 60_000.0, 60_000.0, 0.0, 0)}

    async def work(_door: ControlServer) -> dict[str, Any]:
        return await (await connect(path)).ask("positions")

    (row,) = served(loop, path, engine, work)["body"]["rows"]
    assert row["side"] == "short"
    assert row["stop"] == "60240"
    assert row["stop_distance"] == pytest.approx(0.004)
    assert row["liquidation_distance"] == pytest.approx(0.02)
    assert row["uncovered"] == "0.000"


def test_the_status_holds_score_and_parts(loop: asyncio.AbstractEventLoop, path: Path) -> None:
    engine = FakeEngine({"drawdown": "10 %"})

    async def work(_door: ControlServer) -> dict[str, Any]:
        return await (await connect(path)).ask("status")

    body = served(loop, path, engine, work)["body"]
    assert body["risk"] == {
        "state": "halted",
        "reasons": ["drawdown"],
        "score": 61.5,
        "parts": {"margin": 60.0, "spread": 1.5},
    }
    assert body["pid"] == os.getpid()


def test_a_failing_report_is_told_and_the_door_stays_open(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()
    engine.fails = True

    async def work(_door: ControlServer) -> tuple[dict[str, Any], dict[str, Any]]:
        talk = await connect(path)
        failed = await talk.ask("status")
        engine.fails = False
        return failed, await talk.ask("status")

    failed, good = served(loop, path, engine, work)
    assert failed["exit_code"] == 1
    assert good["ok"]


def test_the_end_does_not_take_away_another_engines_socket(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    async def main() -> None:
        door = ControlServer(path)
        await door.begin(FakeEngine())
        path.unlink()  # noqa: ASYNC240 - what another engine does
        with bound(path):
            await door.end()
            assert place.answers(path)

    loop.run_until_complete(main())


def test_nothing_of_what_is_published_is_lost_to_a_client_that_goes(
    loop: asyncio.AbstractEventLoop, path: Path
) -> None:
    engine = FakeEngine()

    async def work(_door: ControlServer) -> None:
        talk = await connect(path)
        talk.writer.write(b'{"command": "flatten"}\n')
        await until(lambda: engine.flattens)
        talk.writer.close()
        await talk.writer.wait_closed()
        engine.flattened.set_result(FlattenDone(1, flat=True, rounds=2, detail=""))
        assert (await (await connect(path)).ask("status"))["ok"]

    served(loop, path, engine, work)
    published: list[Message] = engine.published
    assert [type(m) for m in published] == [Command]
    assert engine.flattens == ["no reason given"]
