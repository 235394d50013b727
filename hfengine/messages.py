"""The whole vocabulary: every message that crosses between two actors, or to the venue.

Side is +1 (long, buy) or -1 (short, sell). Times end in _ns (nanoseconds since the Unix epoch).
Hot market messages carry floats; what reaches or leaves the venue carries exact Decimals on the
instrument's grid. Fractions are plain (0.0012 is 0.12 %).
"""

from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

LONG: Final = 1
SHORT: Final = -1

OrderKind = Literal["market", "limit", "stop_market", "take_profit_market"]
OrderState = Literal[
    "new", "partially_filled", "filled", "cancelled", "rejected", "untriggered", "triggered"
]
ExitReason = Literal[
    "drift_flip",
    "max_hold",
    "drift_decay",
    "confidence_drop",
    "uncovered",
    "near_liquidation",
    "margin",
    "target_passed",
    "aged",
    "bad_stop",
    "drawdown",
    "unknown_position",
    "flatten",
]
"""Why a position was reduced or closed by the engine's own decision."""


class Message(Struct, frozen=True, gc=False, tag=True):
    """The base of every message: immutable, tagged with its class name on the wire."""


# Market data


class Frame(Message, frozen=True, gc=False, tag=True):
    """One venue frame as received. `origin` and `line` say where a replayed one was recorded."""

    symbol: str
    received_ns: int
    payload: bytes
    origin: str = ""
    line: int = 0


class FeedFault(Message, frozen=True, gc=False, tag=True):
    """Something wrong with the market data: what, where, and what it did to the book."""

    symbol: str
    at_ns: int
    fault: str
    origin: str
    line: int
    detail: str


class SnapshotFailed(Message, frozen=True, gc=False, tag=True):
    """The venue gave no snapshot; the book stays out of sync."""

    symbol: str
    at_ns: int
    reason: str


class BookSync(Message, frozen=True, gc=False, tag=True):
    """A book went in or out of sync; entries of the symbol are blocked while it is out."""

    symbol: str
    at_ns: int
    synced: bool
    reason: str


class BookTick(Message, frozen=True, gc=False, tag=True):
    """The newest top of one book. `imbalance` is over the top five levels, in -1..1."""

    symbol: str
    at_ns: int
    exchange_ms: int
    update_id: int
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    imbalance: float


class TradeTick(Message, frozen=True, gc=False, tag=True):
    """One public trade; `side` is the taker's."""

    symbol: str
    at_ns: int
    exchange_ms: int
    trade_id: int
    price: float
    quantity: float
    side: int


class MarkTick(Message, frozen=True, gc=False, tag=True):
    """Mark and index price and the funding to come."""

    symbol: str
    at_ns: int
    mark: float
    index: float
    funding_rate: float
    next_funding_ns: int


# Signals


class Forecast(Message, frozen=True, gc=False, tag=True):
    """What the layers expect: price after one half-life, its drift, and how sure they are."""

    symbol: str
    at_ns: int
    price: float
    forecast: float
    drift: float
    confidence: float
    half_life_s: float


class Entry(Message, frozen=True, gc=False, tag=True):
    """A wish to open a position: a signal that passed the signal gates, not yet the risk gates."""

    signal_id: int
    symbol: str
    at_ns: int
    tick_ns: int
    side: int
    bid: float
    ask: float
    forecast: float
    drift: float
    confidence: float
    half_life_s: float
    volatility: float
    atr: float


class Refusal(Message, frozen=True, gc=False, tag=True):
    """A signal that became no order: which gate, the value it saw, the threshold it wants."""

    signal_id: int
    symbol: str
    at_ns: int
    gate: str
    measured: float
    threshold: float
    detail: str = ""


class FeeWarning(Message, frozen=True, gc=False, tag=True):
    """An entry that the strict fee gate would have refused; only under fee_gate = "report"."""

    signal_id: int
    symbol: str
    at_ns: int
    gate: str
    measured: float
    threshold: float


# Orders to execution


class OpenBracket(Message, frozen=True, gc=False, tag=True):
    """Open a position with its protection. Prices and quantity are exact, on the grid."""

    intent: int
    signal_id: int
    symbol: str
    at_ns: int
    tick_ns: int
    side: int
    quantity: Decimal
    price: Decimal
    stop: Decimal
    target: Decimal
    leverage: int
    liquidation: float
    proof_at_ns: int
    entry_drift: float
    entry_confidence: float
    half_life_s: float
    binding: str


class Reduce(Message, frozen=True, gc=False, tag=True):
    """A wish to close part of a position (rebalancer, guardian); risk checks it reduces."""

    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    reason: ExitReason


class Close(Message, frozen=True, gc=False, tag=True):
    """A wish to close a whole position."""

    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    reason: ExitReason


class ReducePosition(Message, frozen=True, gc=False, tag=True):
    """Send a reduce-only market order; `side` is the position's side."""

    intent: int
    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    reason: ExitReason


class MoveProtection(Message, frozen=True, gc=False, tag=True):
    """Amend stop and target of a position in place."""

    symbol: str
    at_ns: int
    stop: Decimal
    target: Decimal
    reason: str


# From execution


class LeverageProof(Message, frozen=True, gc=False, tag=True):
    """Leverage set and read back: `source` says how it was read."""

    symbol: str
    at_ns: int
    wanted: int
    got: int
    margin_mode: str
    source: str


class OrderSent(Message, frozen=True, gc=False, tag=True):
    """An order left for the venue."""

    intent: int
    client_id: str
    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    reduce_only: bool


class OrderUnknown(Message, frozen=True, gc=False, tag=True):
    """The answer to an order was lost; the symbol is frozen until the venue says what it is."""

    intent: int
    client_id: str
    symbol: str
    at_ns: int
    detail: str


class OrderEnded(Message, frozen=True, gc=False, tag=True):
    """An intent is over: how, and with how much done."""

    intent: int
    client_id: str
    symbol: str
    at_ns: int
    outcome: Literal["filled", "cancelled", "rejected", "not_placed"]
    filled: Decimal
    reason: str


# From the venue


class OrderUpdate(Message, frozen=True, gc=False, tag=True):
    """One order as the venue has it."""

    client_id: str
    venue_id: str
    symbol: str
    at_ns: int
    kind: OrderKind
    side: int
    quantity: Decimal
    filled: Decimal
    price: Decimal
    trigger: Decimal
    reduce_only: bool
    state: OrderState
    reason: str = ""


class Fill(Message, frozen=True, gc=False, tag=True):
    """One execution. `fee_usdt` > 0 is paid; `realised_usdt` is before fees."""

    fill_id: str
    client_id: str
    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    price: Decimal
    fee_usdt: Decimal
    realised_usdt: Decimal
    maker: bool
    cause: Literal["order", "stop", "target", "liquidation", "adl"]


class ProtectionRefused(Message, frozen=True, gc=False, tag=True):
    """The venue refused a stop or target that was to follow its entry."""

    symbol: str
    at_ns: int
    client_id: str
    leg: Literal["stop", "target"]
    reason: str


class FundingPaid(Message, frozen=True, gc=False, tag=True):
    """Funding of one position; > 0 is paid by us."""

    symbol: str
    at_ns: int
    rate: Decimal
    funding_usdt: Decimal


class PositionChanged(Message, frozen=True, gc=False, tag=True):
    """A position as the venue has it; flat is quantity and side 0. `stop`/`target` 0 is none."""

    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    entry: Decimal
    leverage: int
    margin_mode: str
    margin_usdt: Decimal
    liquidation: Decimal
    stop: Decimal
    target: Decimal
    covered: Decimal


class BalanceChanged(Message, frozen=True, gc=False, tag=True):
    """The account: wallet, equity and what is free as margin."""

    at_ns: int
    wallet_usdt: Decimal
    equity_usdt: Decimal
    free_margin_usdt: Decimal
    maintenance_usdt: Decimal
    venue: str = ""
    """Whose account, where the engine trades at several venues."""


class LeverageChanged(Message, frozen=True, gc=False, tag=True):
    """The venue says a symbol's leverage changed, by whomever."""

    symbol: str
    at_ns: int
    leverage: int


# Position life


class PositionOpened(Message, frozen=True, gc=False, tag=True):
    """A bracket became a position: what was expected of it when it was entered."""

    intent: int
    symbol: str
    at_ns: int
    side: int
    quantity: Decimal
    entry: Decimal
    entry_drift: float
    entry_confidence: float
    half_life_s: float


class CoverGap(Message, frozen=True, gc=False, tag=True):
    """A position lacked exchange-side stop cover for `uncovered_ms` after a fill."""

    symbol: str
    at_ns: int
    uncovered_ms: float


class Rebalanced(Message, frozen=True, gc=False, tag=True):
    """One look of the rebalancer: what it saw and did."""

    symbol: str
    at_ns: int
    action: Literal["hold", "reduce", "close"]
    reason: str
    baseline_drift: float
    drift: float
    confidence: float
    age_s: float
    forecast: float = 0.0
    price: float = 0.0
    baseline_confidence: float = 0.0
    half_life_s: float = 0.0
    quantity: Decimal = Decimal(0)
    reduces: int = 0
    """How often this position was halved before."""


# Life of the system


class Start(Message, frozen=True, gc=False, tag=True):
    """Begin, or begin `again` after a restart: read the venue's truth and tell the others."""

    at_ns: int
    again: bool = False


class Timer(Message, frozen=True, gc=False, tag=True):
    """A timer that an actor set for itself."""

    name: str


class Report(Message, frozen=True, gc=False, tag=True):
    """Ask an actor for its figures; the reply is a mapping."""


class EngineState(Message, frozen=True, gc=False, tag=True):
    """The engine's state changed."""

    at_ns: int
    state: Literal["starting", "trading", "halted", "draining", "flat", "not_flat", "ended"]
    reason: str


class Halt(Message, frozen=True, gc=False, tag=True):
    """No entries from now on; protection and exits go on."""

    at_ns: int
    source: str
    reason: str


class Resume(Message, frozen=True, gc=False, tag=True):
    """Entries may go on; clears the halts of `source`."""

    at_ns: int
    source: str


class Flatten(Message, frozen=True, gc=False, tag=True):
    """Cancel everything, close reduce-only, read back zero."""

    at_ns: int
    reason: str


class FlattenDone(Message, frozen=True, gc=False, tag=True):
    """The venue's answer to a flatten: flat, or what is left."""

    at_ns: int
    flat: bool
    rounds: int
    detail: str


class ActorDied(Message, frozen=True, gc=False, tag=True):
    """An actor died of an error; entries are halted."""

    at_ns: int
    name: str
    error: str
