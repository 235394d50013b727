"""A timer that is a file: a loop waiting for it and for a socket need not set one up to wait."""

class Ticker:
    """A file that becomes readable every `every_ns` ns of monotonic time (timerfd_create(2)).

    Raises OSError where the system has none (ENOSYS) or gives none, ValueError for an interval
    below 1 ns. Closed when nobody has it any more.
    """

    def __init__(self, every_ns: int) -> None: ...
    def fileno(self) -> int:
        """Return its number; -1 once closed."""

    def take(self) -> int:
        """Return how many intervals have passed since the last call; makes it unreadable again.

        Raises ValueError once closed.
        """

    def close(self) -> None:
        """Close it; safe to call twice."""
