"""The outcome of I/O that an actor started with `self.run(coroutine)`, as a message."""

import asyncio
from typing import Any

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """What a coroutine came to: its result, or the exception that ended it.

    `tag` is what the actor passed to `run`. `error` is None exactly when the coroutine returned;
    a cancelled one carries its `asyncio.CancelledError`.
    """

    tag: Any
    result: Any = None
    error: BaseException | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the coroutine was cancelled rather than failed."""
        return isinstance(self.error, asyncio.CancelledError)


def outcome_of(tag: object, task: asyncio.Future[Any]) -> Outcome:
    """Read a finished task; raises asyncio.InvalidStateError when it is still under way."""
    try:
        error = task.exception()
    except asyncio.CancelledError as cancelled:
        return Outcome(tag, None, cancelled)
    return Outcome(tag, None, error) if error is not None else Outcome(tag, task.result())
