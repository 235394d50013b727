"""How a live loop reads its sockets: acknowledged late, and polled between its turns."""

from collections.abc import Callable
from contextvars import Context
from typing import Protocol, final

class _CallSoon(Protocol):
    def __call__(self, callback: Callable[[], object], *, context: Context) -> object: ...

@final
class LateReader:
    """Reads a TCP connection and acknowledges what came once that has been acted upon.

    Linux sends the acknowledgement of what a socket receives from within the call that empties it,
    unless data went the other way lately (tcp(7), TCP_QUICKACK). It is sent after the reader has
    returned instead, before anything else is waited for.
    """

    fd: int

    def __init__(self, fd: int, read: Callable[[], object]) -> None: ...
    def __call__(self) -> None:
        """Read, then acknowledge; what the reader raises goes on."""

def late_reader(fd: int, read: Callable[[], object]) -> Callable[[], object]:
    """Return a `LateReader` of a TCP connection, `read` itself for any other descriptor."""

@final
class Spinner:
    """Polls sockets between two turns of a loop, and keeps the loop from falling asleep.

    As a callback of the loop it asks for its next turn and then looks at its sockets for `for_ns`
    or until one can be read, which its reader does at once. The interpreter is free meanwhile.
    """

    looks: int
    """How often it has looked."""

    def __init__(self, call_soon: _CallSoon, context: Context, for_ns: int) -> None: ...
    def add(self, fd: int, read: Callable[[], object]) -> bool:
        """Look at a socket from now on; False when there are too many (64) to look at."""

    def remove(self, fd: int) -> None:
        """Look at a socket no more; nothing happens where it was not looked at."""

    def __call__(self) -> None:
        """Take a turn."""
