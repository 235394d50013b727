"""The two clocks in compiled code: nanoseconds since the Unix epoch, never backwards."""

class WallClock:
    """Real time, made monotone: steps of the system clock backwards are not followed."""

    def now_ns(self) -> int:
        """Return the system's time in ns since the epoch, at least the last one returned."""

class VirtualClock:
    """Time that moves only when told to: replay, simulation and tests."""

    def __init__(self, start_ns: int) -> None: ...
    @property
    def start_ns(self) -> int: ...
    def now_ns(self) -> int:
        """Return the virtual time in ns since the epoch."""

    def advance_to(self, now_ns: int) -> int:
        """Move to `now_ns`; raises ValueError when that lies in the past."""
