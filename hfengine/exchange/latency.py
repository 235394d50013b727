"""Simulated latency: how long a message takes, and that one connection never reorders."""

import math
from typing import Final, Protocol

NS_PER_US: Final = 1_000
_JITTER_MEANS_MAX: Final = 10.0


class RandomStream(Protocol):
    """What latency needs of a seeded generator (seeds.Seed.stream gives one)."""

    def random(self) -> float:
        """Return the next draw, uniform in [0, 1)."""
        ...


class Latency:
    """A fixed part plus a non-negative, seeded jitter.

    The jitter is exponential with mean `jitter_us`, cut at ten means: most messages are near the
    base and a few are late, as on a real line.
    """

    __slots__ = ("_base_ns", "_jitter_ns", "_stream")

    def __init__(self, stream: RandomStream, base_us: int, jitter_us: int) -> None:
        """Take microseconds; raises ValueError for a negative one."""
        if base_us < 0 or jitter_us < 0:
            msg = f"latency must not be negative: base {base_us} us, jitter {jitter_us} us"
            raise ValueError(msg)
        self._stream = stream
        self._base_ns = base_us * NS_PER_US
        self._jitter_ns = jitter_us * NS_PER_US

    def next_ns(self) -> int:
        """Return the delay of the next message, nanoseconds."""
        jitter_means = min(-math.log1p(-self._stream.random()), _JITTER_MEANS_MAX)
        return self._base_ns + int(jitter_means * self._jitter_ns)


class FifoDelay:
    """Arrival times of one connection: never earlier than the message before (TCP order)."""

    __slots__ = ("_last_due_ns", "_latency")

    def __init__(self, latency: Latency) -> None:
        self._latency = latency
        self._last_due_ns = 0

    def due_ns(self, now_ns: int) -> int:
        """Return when a message sent at `now_ns` arrives."""
        due_ns = now_ns + self._latency.next_ns()
        self._last_due_ns = max(self._last_due_ns, due_ns)
        return self._last_due_ns
