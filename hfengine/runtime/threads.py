"""Which Python threads a trading process may have: none that computes beside the loop's own."""

import threading

from hfengine.errors import HfengineError

WRITER_THREAD = "hfengine-journal-writer"

_allowed = {threading.main_thread().name, WRITER_THREAD}


class ComputeThreadError(HfengineError):
    """A Python thread runs that may take the interpreter lock from the hot path."""


def allow_thread(name: str) -> None:
    """Allow a thread by its exact name: one that only waits or does I/O without the lock."""
    _allowed.add(name)


def allowed_threads() -> frozenset[str]:
    """Return the names of the threads a trading process may have."""
    return frozenset(_allowed)


def unexpected_threads() -> list[str]:
    """Return the names of living Python threads that are not allowed, sorted.

    With one other thread computing, a loop at 1000 messages/s fell half a second behind.
    """
    return sorted(t.name for t in threading.enumerate() if t.name not in _allowed)


def assert_no_compute_threads() -> None:
    """Raise ComputeThreadError when a thread runs that is not allowed."""
    names = unexpected_threads()
    if names:
        msg = (
            f"threads that may compute in this process: {', '.join(names)}; move their work to"
            f" another process, or allow_thread() one that never holds the interpreter lock"
        )
        raise ComputeThreadError(msg)
