"""An operator's command is answered once a kill cannot take what it did, or says that it could."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hfengine.control.server import ControlServer
from hfengine.messages import FlattenDone
from tests.control_desk import FakeEngine
from tests.unit.test_control_server import connect, hang_up, served, until


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(hang_up())
    made.close()


@pytest.mark.parametrize("command", ["halt", "resume", "flatten"])
def test_what_has_an_effect_is_answered_once_it_is_on_disk_or_says_that_it_is_not(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "control" / "here.sock"
    engine = FakeEngine(halts={"drawdown": "10 %"})

    async def work(_door: ControlServer) -> tuple[dict[str, Any], dict[str, Any], bool]:
        disk: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        engine.unwritten.append(disk)
        engine.flattened.set_result(FlattenDone(1, flat=True, rounds=1, detail=""))
        first, second = await connect(path), await connect(path)
        asking = asyncio.ensure_future(first.ask(command))
        try:
            await until(lambda: not engine.unwritten)
            status = await second.ask("status")
            was_answered = asking.done()
        finally:
            # the end of the server waits for it too
            disk.set_result("the disk is slow")
        return await asking, status, was_answered

    said, status, was_answered = served(loop, path, engine, work)
    assert not was_answered
    assert status["ok"], "the loop serves others meanwhile"
    assert said["ok"]
    assert said["body"]["unwritten"] == "the disk is slow"
    assert engine.published, "what is waited for is in force already"
