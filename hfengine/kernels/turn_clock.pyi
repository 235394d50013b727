"""A clock in compiled code that stands still for one turn of the actors."""

from typing import Protocol

from hfengine.kernels.mailbox import Host

class _Clock(Protocol):
    def now_ns(self) -> int:
        """Return the current time in nanoseconds since the epoch."""

class TurnClock:
    """A clock read once a turn, from its first handler to its last."""

    turn_ns: int
    """The time of this turn; 0 while nobody has asked for it."""
    held: bool
    """Whether the time stands still outside of handlers, too."""

    def __init__(self, clock: _Clock, host: Host) -> None: ...
    def now_ns(self) -> int:
        """Return the turn's time; outside of one, the time."""
