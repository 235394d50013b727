"""What is said to hold is with the operating system: waited for, beside everything else."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hfengine import session_log
from hfengine.clock import WallClock
from hfengine.config import load
from hfengine.journal.reader import Scan, decode
from hfengine.journal.writer import DiskSegment
from hfengine.messages import Halt
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.waiting import wait_s
from hfengine.session_log import NOT_JOURNALED, SessionLog

HALT = Halt(1, "operator", "news")


class Disk:
    """Takes writes once it is let, and fails those it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.lets = threading.Event()
        self.fault: OSError | None = None
        write = DiskSegment.write

        def slow(segment: DiskSegment, parts: list[bytes | bytearray]) -> None:
            assert self.lets.wait(10.0)
            if self.fault is not None:
                raise self.fault
            write(segment, parts)

        self.lets.set()
        patch.setattr(DiskSegment, "write", slow)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def opened(loop: asyncio.AbstractEventLoop, folder: Path, **overrides: Any) -> Any:
    """Return a log and the host whose messages it hears."""
    keys = {"journal.directory": str(folder), **overrides}
    profile = load("paper", environment={}, dotenv=None, overrides=keys)
    host = ActorHost(loop, WallClock())
    host.routes.wire(Halt)
    log = SessionLog(profile, host)
    log.open(
        "s1",
        1,
        instruments={},
        account="",
        recalled={},
        on_fault=lambda _reason: None,
        outruns_disk=False,
    )
    return log, host


def halts_in(folder: Path) -> list[str]:
    """Return the reasons of the halts that a kill at this moment would leave."""
    rows = [decode(frame.payload) for frame in Scan(folder / "s1").frames()]
    return [row["reason"] for row in rows if row["type"] == "Halt"]


def test_what_was_published_is_readable_once_it_counts_as_written(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, disk: Disk
) -> None:
    log, host = opened(loop, tmp_path)
    host.routes.publish(HALT)
    assert halts_in(tmp_path) == []
    assert loop.run_until_complete(log.written()) == ""
    assert halts_in(tmp_path) == ["news"]
    log.abandon()


def test_a_slow_disk_is_waited_for_and_the_loop_runs_on(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, disk: Disk
) -> None:
    log, host = opened(loop, tmp_path)

    async def scenario() -> str:
        assert await log.written() == ""
        disk.lets.clear()
        host.routes.publish(HALT)
        waiting = loop.create_task(log.written())
        for _ in range(20):
            await wait_s(loop, 0.001)
        assert not waiting.done()
        assert halts_in(tmp_path) == []
        disk.lets.set()
        said: str = await waiting
        return said

    assert loop.run_until_complete(scenario()) == ""
    assert halts_in(tmp_path) == ["news"]
    log.abandon()


def test_past_its_limit_it_says_what_is_not_on_disk(
    loop: asyncio.AbstractEventLoop,
    tmp_path: Path,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_log, "CONTROL_WRITTEN_MAX_NS", 10_000_000)
    log, host = opened(loop, tmp_path)
    disk.lets.clear()
    host.routes.publish(HALT)
    assert loop.run_until_complete(log.written()) == "the disk has not taken it within 0.01 s"
    assert log.is_ok(), "late is no fault: the journal's own watch judges that"
    disk.lets.set()
    log.abandon()


def test_what_a_full_disk_refused_is_never_said_to_be_written(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, disk: Disk
) -> None:
    log, host = opened(loop, tmp_path)
    disk.fault = OSError(28, "No space left on device")
    host.routes.publish(HALT)
    assert "No space left on device" in loop.run_until_complete(log.written())
    assert "No space left on device" in loop.run_until_complete(log.written()), "for good"
    log.abandon()


def test_a_log_that_is_closed_has_written_everything(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, disk: Disk
) -> None:
    log, host = opened(loop, tmp_path)
    host.routes.publish(HALT)
    summary = log.end()
    host.routes.publish(HALT)
    assert loop.run_until_complete(log.written()) == ""
    assert summary is not None
    assert halts_in(tmp_path) == ["news"]


def test_without_a_journal_it_is_said_that_there_is_none(
    loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    log, _ = opened(loop, tmp_path, **{"journal.enabled": False})
    assert loop.run_until_complete(log.written()) == NOT_JOURNALED
