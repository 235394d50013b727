"""Names of actors: counted, never random, so that the same run has the same names."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class ActorIds:
    """Hands out `CLASS-1`, `CLASS-2`, … within one system, or a dead actor's name again."""

    def __init__(self, system: str) -> None:
        self.system = system
        self._made: Counter[str] = Counter()
        self._reused: str | None = None

    def next_urn(self, class_name: str) -> str:
        """Return the name of the next actor of a class, as `urn:SYSTEM:CLASS-N`."""
        if self._reused is not None:
            urn, self._reused = self._reused, None
            return urn
        self._made[class_name] += 1
        return f"urn:{self.system}:{class_name}-{self._made[class_name]}"

    @contextmanager
    def reusing(self, urn: str) -> Iterator[None]:
        """Give the first actor made within the context this name: it replaces a dead one."""
        self._reused = urn
        try:
            yield
        finally:
            self._reused = None


def short_name(urn: str) -> str:
    """Return the part of a name that people read: `Risk-1` of `urn:hfengine:Risk-1`."""
    return urn.rpartition(":")[2]
