"""What the guardian knows of one position, and how that survives a restart.

Kept as JSON under `bot:cover:{symbol}`. A position that is found again is known by its side and
average entry; the stop that stands at the venue is then judged against what was expected.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.actors.held import is_same_entry
from hfengine.messages import MoveProtection, PositionChanged

KEY: Final = "bot:cover:"
NOTHING: Final = Decimal(0)


class CoverMemory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One position as kept; prices of 0 are none, `best` 0 is the entry."""

    side: int
    opened_ns: int
    entry: Decimal
    stop: Decimal = NOTHING
    target: Decimal = NOTHING
    best: float = 0.0
    break_even: bool = False
    relaxed: bool = False
    reduce_to: Decimal = NOTHING
    adopted: bool = False


@dataclass(slots=True)
class Guarded:
    """A position with what is expected to protect it."""

    position: PositionChanged
    opened_ns: int
    stop: Decimal = NOTHING
    """Where its stop is expected; 0 until one is known."""
    target: Decimal = NOTHING
    """0 until one is known, or where there is none."""
    best: float = 0.0
    """The best mark since the entry."""
    break_even: bool = False
    """Whether the stop has been moved to where nothing is lost."""
    relaxed: bool = False
    """Whether its age has moved the target."""
    reduce_to: Decimal = NOTHING
    """What its age leaves of it; 0 before that."""
    reduce_asked_ns: int = 0
    adopted: bool = False
    """No order of this run brought it: what it lacks is computed from its entry."""
    move: MoveProtection | None = None
    """What was asked of the venue and does not stand yet."""
    moved_ns: int = 0
    tries: int = 0
    """Repairs in a row that mended nothing."""
    given_up: bool = False
    """Whether it was said that the position is closed for a fault."""
    wrong_side_ns: int = 0
    """Since when the mark is beyond the stop; 0: it is not."""
    target_wrong_ns: int = 0
    target_tries: int = 0
    kept: bytes = b""
    kept_ns: int = 0

    @property
    def side(self) -> int:
        """+1 long, -1 short."""
        return self.position.side

    def body(self) -> bytes:
        """Return what is kept of it."""
        memory = CoverMemory(
            side=self.position.side,
            opened_ns=self.opened_ns,
            entry=self.position.entry,
            stop=self.stop,
            target=self.target,
            best=self.best,
            break_even=self.break_even,
            relaxed=self.relaxed,
            reduce_to=self.reduce_to,
            adopted=self.adopted,
        )
        return msgspec.json.encode(memory)


def memory_of(body: bytes) -> CoverMemory | None:
    """Return what a body holds, None for an empty one; raises ValueError for an unreadable one."""
    return msgspec.json.decode(body, type=CoverMemory) if body else None


def remembered(memory: CoverMemory | None, position: PositionChanged) -> Guarded | None:
    """Return the position as kept, None where what is kept is of another one."""
    if memory is None or memory.side != position.side:
        return None
    if not is_same_entry(memory.entry, position.entry):
        return None
    return Guarded(
        position,
        memory.opened_ns,
        stop=memory.stop,
        target=memory.target,
        best=memory.best,
        break_even=memory.break_even,
        relaxed=memory.relaxed,
        reduce_to=memory.reduce_to,
        adopted=memory.adopted,
    )
