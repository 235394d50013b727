"""Letting time pass on a loop: the only waiting there is besides timers of actors."""

import asyncio


async def wait_s(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Let so many seconds of the loop's time pass; cancelling it wakes nobody later."""
    woken: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _wake, woken)
    try:
        await woken
    finally:
        timer.cancel()


def _wake(woken: asyncio.Future[None]) -> None:
    # a wait cancelled in the very turn in which its time has come has nobody to wake
    if not woken.done():
        woken.set_result(None)
