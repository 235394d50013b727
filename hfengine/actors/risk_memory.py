"""What risk remembers over a restart, as the body of `Keep` under `bot:risk:memory`."""

from typing import Final

import msgspec
from msgspec import Struct, field

KEY: Final = "bot:risk:memory"
UNREADABLE: Final = "risk_memory"
"""Source of the halt when the memory cannot be read: what it held must be looked at."""
SURVIVING: Final = frozenset({"operator", "supervisor", "drawdown", "total_loss", UNREADABLE})
"""Sources of halts that outlive the process, until they are resumed."""


class KeptBreaker(Struct, frozen=True):
    """A breaker that had tripped until a time or until resumed."""

    name: str
    symbol: str
    measured: float
    until_ns: int


class Rest(Struct):
    """A symbol that the rebalancer has taken out: when it may be entered again."""

    until_ns: int
    drift_until_ns: int = 0
    """Until then an entry on `side` needs more drift; 0: never."""
    side: int = 0


class Memory(Struct, frozen=True):
    """Everything of it; sums in USDT."""

    halts: dict[str, str] = field(default_factory=dict)
    draining: bool = False
    unknown: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Symbol -> intents; of the same process only, for another numbers its intents anew."""
    breakers: tuple[KeptBreaker, ...] = ()
    streak: int = 0
    day: int = 0
    """Days since the epoch that `day_usdt` belongs to."""
    day_usdt: dict[str, float] = field(default_factory=dict)
    total_usdt: dict[str, float] = field(default_factory=dict)
    forgiven_usdt: float = 0.0
    """Total loss at the last resume of its limit."""
    peak_usdt: float = 0.0
    peak_ns: int = 0
    wallets: dict[str, float] = field(default_factory=dict)
    """Venue -> the wallet that what was heard explains."""
    trades: dict[str, float] = field(default_factory=dict)
    """Symbol -> what its open position has come to so far."""
    rests: dict[str, Rest] = field(default_factory=dict)
    fills: tuple[str, ...] = ()
    """Ids of the newest fills counted."""


def encoded(memory: Memory) -> bytes:
    """Return the body."""
    return msgspec.json.encode(memory)


def decoded(body: bytes | None) -> tuple[Memory | None, str]:
    """Return the memory, None where there is none, and why it cannot be read, "" where it can."""
    if not body:
        return None, ""
    try:
        return msgspec.json.decode(body, type=Memory), ""
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return None, str(error)
