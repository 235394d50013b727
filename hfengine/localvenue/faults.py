"""Faults a venue commits on request: scripted by count, or drawn by seed."""

from random import Random
from typing import Final, Literal, get_args

from msgspec import Struct

TransportFault = Literal[
    "delay_answer",
    "cut_before",
    "cut_after",
    "error_before",
    "error_after",
    "http_status",
    "drop_socket",
    "stall_socket",
    "close_socket",
    "drop_frame",
    "duplicate_frame",
    "reorder_frame",
    "delay_frame",
]
DialectFault = Literal[
    "leverage_kept",
    "stop_refused",
    "book_restart",
    "listen_key_expired",
    "order_refused",
    "partial_fill",
    "rate_limited",
    "banned",
]
FaultKind = TransportFault | DialectFault
TRANSPORT_KINDS: Final[tuple[str, ...]] = get_args(TransportFault)
DIALECT_KINDS: Final[tuple[str, ...]] = get_args(DialectFault)
SOCKET_KINDS: Final = TRANSPORT_KINDS[TRANSPORT_KINDS.index("drop_socket") :]


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One fault: what, when it matches, how often, and what the failure looks like.

    Empty match fields match everything; `path` and `topic` match as parts of the text, the others
    whole. `side` is +1 or -1.
    """

    kind: FaultKind
    count: int | None = 1
    """How often it happens; None is until it is removed."""
    after: int = 0
    """Matches that pass unharmed first."""
    probability: float = 1.0
    """Chance of each match after those, drawn by the venue's seed."""
    path: str = ""
    symbol: str = ""
    account: str = ""
    topic: str = ""
    side: int = 0
    code: int = 0
    message: str = ""
    status: int = 0
    delay_ms: float = 0.0
    event: bool = True

    def __post_init__(self) -> None:
        """Refuse figures that mean nothing; raises ValueError."""
        if self.count is not None and self.count < 1:
            raise ValueError(f"count must be at least 1 (or null: for ever), not {self.count}")
        if self.after < 0 or self.delay_ms < 0:
            raise ValueError("after and delay_ms must not be negative")
        if not 0.0 < self.probability <= 1.0:
            raise ValueError(f"probability must be in (0, 1], not {self.probability}")


class _Armed:
    """A rule with what it has done so far."""

    __slots__ = ("matches", "rule", "uses")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.matches = 0
        self.uses = 0


class Faults:
    """The rules in force, asked at every place where a fault may happen."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._armed: dict[str, list[_Armed]] = {}
        self.any_armed = False
        """Whether there is any rule at all."""
        self.sockets_at_risk = False
        """Whether any rule concerns outgoing frames: lets sockets skip the question."""
        self.done: dict[str, int] = {}
        """How often each kind has happened."""

    def add(self, rule: Rule) -> None:
        """Put a rule in force, behind the earlier ones of its kind."""
        self._armed.setdefault(rule.kind, []).append(_Armed(rule))
        self._look()

    def clear(self, kind: str = "") -> int:
        """Remove the rules of a kind, or all of them; return how many there were."""
        kinds = [kind] if kind else list(self._armed)
        count = sum(len(self._armed.pop(one, ())) for one in kinds)
        self._look()
        return count

    def rules(self) -> list[Rule]:
        """Return the rules in force."""
        return [armed.rule for rules in self._armed.values() for armed in rules]

    def take(
        self,
        kind: FaultKind,
        *,
        path: str = "",
        symbol: str = "",
        account: str = "",
        topic: str = "",
        side: int = 0,
    ) -> Rule | None:
        """Return the first rule that strikes here, and use it up by one; None for no fault."""
        armed_rules = self._armed.get(kind)
        if not armed_rules:
            return None
        for armed in armed_rules:
            rule = armed.rule
            if (
                (rule.path and rule.path not in path)
                or (rule.topic and rule.topic not in topic)
                or (rule.symbol and rule.symbol != symbol)
                or (rule.account and rule.account != account)
                or (rule.side and rule.side != side)
            ):
                continue
            armed.matches += 1
            if armed.matches <= rule.after:
                continue
            if rule.probability < 1.0 and self._random.random() >= rule.probability:
                continue
            armed.uses += 1
            self.done[kind] = self.done.get(kind, 0) + 1
            if rule.count is not None and armed.uses >= rule.count:
                armed_rules.remove(armed)
                self._look()
            return rule
        return None

    def _look(self) -> None:
        self.any_armed = any(self._armed.values())
        self.sockets_at_risk = any(self._armed.get(kind) for kind in SOCKET_KINDS)
