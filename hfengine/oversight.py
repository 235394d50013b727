"""Messages of what watches over trading: risk states, repairs, reconciliation, recovery, commands.

The conventions are those of `messages.py`; the two files together are the vocabulary.
"""

from decimal import Decimal
from typing import Literal

from hfengine.messages import Message, OrderUpdate

BreakerName = Literal[
    "daily_loss",
    "drawdown",
    "losing_streak",
    "market_quality",
    "margin_utilisation",
    "liquidation_distance",
]
"""CB1 to CB6, in this order."""

RiskStateName = Literal["active", "reducing", "halted", "not_in_sync"]


# Risk


class BreakerChanged(Message, frozen=True, gc=False, tag=True):
    """A circuit breaker warned, tripped or cleared. `symbol` "" is the whole account."""

    breaker: BreakerName
    symbol: str
    at_ns: int
    state: Literal["warned", "tripped", "cleared"]
    measured: float
    threshold: float
    until_ns: int
    """When it may clear by itself; 0: when the measure is good again, -1: when resumed."""
    detail: str = ""


class RiskState(Message, frozen=True, gc=False, tag=True):
    """Whether entries are taken, why not, and the risk score 0 (calm) to 100 with its parts."""

    at_ns: int
    state: RiskStateName
    reasons: tuple[str, ...]
    score: float
    parts: tuple[tuple[str, float], ...]
    """(name, its share of the score); they add up to it."""


class MarketQuality(Message, frozen=True, gc=False, tag=True):
    """How good one symbol's market is, at most once a second: what CB4 looks at."""

    symbol: str
    at_ns: int
    spread_bps: float
    age_ms: float
    volatility: float


class VenueHealth(Message, frozen=True, gc=False, tag=True):
    """One venue's clock and answers, about once a second. `answer_ms` is the median of late."""

    venue: str
    at_ns: int
    clock_offset_ms: float
    answer_ms: float
    connected: bool


# Orders


class OrderMoved(Message, frozen=True, gc=False, tag=True):
    """One transition of the order state machine (docs/order-states.md)."""

    intent: int
    client_id: str
    symbol: str
    at_ns: int
    before: str
    event: str
    after: str


class OpenOrders(Message, frozen=True, gc=False, tag=True):
    """Every open order as read from the venue, conditional and attached ones too."""

    at_ns: int
    """When the reading began: what the stream told later outweighs it."""
    orders: tuple[OrderUpdate, ...]


class CancelOrder(Message, frozen=True, gc=False, tag=True):
    """Cancel one order of whomever; `client_id` may be "" where it has none of ours."""

    symbol: str
    at_ns: int
    client_id: str
    venue_id: str
    reason: str


# Protection


class Repair(Message, frozen=True, gc=False, tag=True):
    """Something wrong with what protects a position, or with an order, and what is done about it.

    `found` says in words what was seen; the outcome shows in the next PositionChanged.
    """

    symbol: str
    at_ns: int
    fault: Literal[
        "missing",
        "wrong_size",
        "wrong_side",
        "wrong_trigger",
        "beyond_liquidation",
        "refused",
        "zombie",
        "foreign",
    ]
    found: str
    action: Literal["protect", "close", "cancel", "leave", "halt"]


# Recovery and reconciliation


class Difference(Message, frozen=True, gc=False, tag=True):
    """What the venue says differs from what was believed; the venue is right."""

    at_ns: int
    symbol: str
    subject: Literal["position", "order", "fill", "balance", "leverage"]
    ours: str
    venues: str
    policy: str


class Adopted(Message, frozen=True, gc=False, tag=True):
    """A position that stood when the engine came up, or appeared without an order of ours.

    `ours` where the memory or the journal knows its entry; the entry figures are 0 otherwise.
    """

    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    entry: Decimal
    ours: bool
    policy: Literal["adopt", "flatten", "halt"]
    opened_ns: int
    entry_drift: float
    entry_confidence: float
    half_life_s: float


class Keep(Message, frozen=True, gc=False, tag=True):
    """Keep this under a documented key (docs/state.md) over a restart; an empty body forgets it.

    One actor writes a key. It finds the newest body again in `Wiring.recalled`, after its own
    restart and after that of the process.
    """

    key: str
    at_ns: int
    body: bytes


class Recovered(Message, frozen=True, gc=False, tag=True):
    """What a start found: from where memory came, and what it holds."""

    at_ns: int
    source: Literal["nothing", "store", "journal"]
    keys: int
    detail: str


class StoreFault(Message, frozen=True, gc=False, tag=True):
    """The state store was lost or came back; protection and exits go on without it."""

    at_ns: int
    lost: bool
    detail: str


class Command(Message, frozen=True, gc=False, tag=True):
    """What an operator asked for over the control socket."""

    at_ns: int
    name: str
    argument: str
    by: str
