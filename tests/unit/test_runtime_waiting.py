"""A wait ends when its time has come, and one that is cancelled wakes nobody."""

import asyncio
from typing import Any

from hfengine.clock import VirtualClock
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.runtime.waiting import wait_s


def test_it_takes_as_long_as_asked() -> None:
    loop = VirtualLoop(VirtualClock(0))
    loop.run_until_complete(wait_s(loop, 0.25))
    assert loop.clock.now_ns() == 250_000_000
    loop.close()


def test_one_cancelled_in_the_turn_in_which_it_is_due_wakes_nobody() -> None:
    loop = VirtualLoop(VirtualClock(0))
    lost: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: lost.append(context))

    async def scenario() -> bool:
        waiting = loop.create_task(wait_s(loop, 0.1))
        # set before the task has begun: of two timers due at once the first one set fires first
        loop.call_later(0.1, waiting.cancel)
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert loop.run_until_complete(scenario())
    loop.close()
    assert lost == []
