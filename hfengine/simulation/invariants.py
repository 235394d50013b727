"""The invariants of DESIGN §8, checked at every step against the exchange's own truth."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from hfengine.halts import ended_by
from hfengine.messages import (
    ActorDied,
    BookSync,
    Entry,
    Fill,
    Flatten,
    FundingPaid,
    Halt,
    LeverageChanged,
    LeverageProof,
    Message,
    OpenBracket,
    OrderEnded,
    OrderUpdate,
    PositionChanged,
    Refusal,
    Resume,
    Start,
)
from hfengine.settings import Settings
from hfengine.simulation.cover import CoverWatch
from hfengine.simulation.line import Line
from hfengine.simulation.world import ACCOUNT, NS_A_MS, WALLET_USDT, World

ORDER_ID: Final = re.compile(r"hf-([0-9a-f]{10})-(\d+)([a-z])(\d+)")
KEPT_LATE_NS: Final = 1_500_000_000
"""Memory is written at most once a second: what is younger may be gone after a crash."""

FILLS_KEY: Final = "bot:fills:cursor"
RISK_KEY: Final = "bot:risk:memory"

STALE_LEVERAGE_NS: Final = 10_000_000_000
"""How long another client's leverage may go unnoticed: the interval of re-reading and a bit."""

RECENT_NS: Final = 3_000_000_000
"""What refuses at the end: an order may be unknown until shortly before."""

SURVIVING: Final = ("operator", "supervisor", "drawdown", "total_loss")
MARKET_GATES: Final = frozenset(
    {
        "spread_bps",
        "data_age_ms",
        "drift",
        "drift_min",
        "confidence",
        "disagreement",
        "position_open",
        "positions_max",
        "liquidation_buffer",
        "buffer",
        "size",
        "tier",
        "atr",
        "min_notional",
        "quantity_min",
        "volatility",
        "volatility_burst",
        "market_quality",
        "losing_streak",
        "daily_loss_usdt",
        "symbol_loss_usdt",
        "total_loss_usdt",
        "rebalance_cooldown",
        "reentry_drift",
        "exposure",
        "margin_utilisation",
        "order_in_flight",
        "warmup",
    }
)


class Violation(Struct, frozen=True):
    """An invariant that did not hold: which, when (ms since the run began), and what was seen."""

    invariant: str
    at_ms: int
    detail: str


class Checker:
    """Hears every published message and every event of the exchange of one run."""

    def __init__(self, world: World, settings: Settings) -> None:
        self._world = world
        self._settings = settings
        self.cover = CoverWatch(world, self.fail)
        self.violations: list[Violation] = []
        self.published: Counter[str] = Counter()
        self.gates: Counter[str] = Counter()
        self._hash = hashlib.blake2b(digest_size=16)
        self._encoder = msgspec.msgpack.Encoder()
        self.line: Line | None = None
        self.halts: dict[str, int] = {}
        self.last_bracket_ns = 0
        self.refused_ns: dict[str, int] = {}
        """Gate -> when it last refused."""
        self._proofs: dict[str, LeverageProof | None] = {}
        self._signal = 0
        self._pending: dict[int, str] = {}
        self._fills: dict[str, Fill] = {}
        self._fills_now: set[str] = set()
        self._heard_ns: dict[str, int] = {}
        self._crashed_ns = 0
        self._fills_kept_ns = 0
        """Fills heard before this must be remembered."""
        self._has_started = False
        self._fundings: Counter[tuple[str, Decimal]] = Counter()
        self._synced: dict[str, bool] = {}
        self._entries: dict[tuple[str, str], str] = {}
        self._positions: dict[str, PositionChanged] = {}
        self._wrong_leverage_ns: dict[str, int] = {}
        self._ended: dict[str, OrderEnded] = {}
        self._gone: list[tuple[int, int]] = []
        """When no engine ran."""
        self._hearers: dict[type[Any], Callable[[Any], None]] = {
            Start: self._on_start,
            Entry: self._on_entry,
            Refusal: self._on_refusal,
            OpenBracket: self._on_bracket,
            LeverageProof: self._on_proof,
            LeverageChanged: self._on_leverage,
            Fill: self._on_fill,
            FundingPaid: self._on_funding,
            Halt: self._on_halt,
            Resume: self._on_resume,
            Flatten: self._on_flatten,
            OrderEnded: self._on_ended,
            ActorDied: self._on_death,
            BookSync: self._on_sync,
        }

    # life

    @property
    def trace(self) -> str:
        """The hash over everything published so far, by every engine of the run."""
        return self._hash.hexdigest()

    def fail(self, invariant: str, detail: str) -> None:
        """Note a violation, each invariant once."""
        if all(one.invariant != invariant for one in self.violations):
            self.violations.append(Violation(invariant, self._world.now_ms, detail))

    def engine_begins(self, line: Line) -> None:
        """Start with a new engine."""
        if self._crashed_ns:
            self._gone.append((self._crashed_ns, self._world.now_ns))
        self.line = line
        self._has_started = False
        self._fills_now.clear()
        self._proofs.clear()
        self._pending.clear()
        self._synced.clear()
        self._signal = 0

    def engine_died(self, lost: Mapping[str, int]) -> None:
        """Forget what a dead engine need not remember: all but what was kept in time.

        `lost` says of a key when the first of its bodies was lost.
        """
        now_ns = self._world.now_ns
        self._crashed_ns = now_ns
        late_ns = now_ns - KEPT_LATE_NS
        self._fills_kept_ns = min(late_ns, lost.get(FILLS_KEY, now_ns) - KEPT_LATE_NS)
        self._halts_before(min(late_ns, lost.get(RISK_KEY, now_ns) - KEPT_LATE_NS))

    def engine_ended(self) -> None:
        """Forget the halts that end with a process, also with one that could not come up."""
        self._halts_before(self._world.now_ns + 1)

    def _halts_before(self, kept_ns: int) -> None:
        self.halts = {
            source: at_ns
            for source, at_ns in self.halts.items()
            if source in SURVIVING and at_ns < kept_ns
        }

    # messages

    def hear(self, message: Message) -> None:
        """Take one published message."""
        if self.line is None or self.line.dead:
            return
        self._hash.update(self._encoder.encode(message))
        kind = type(message)
        self.published[kind.__name__] += 1
        hearer = self._hearers.get(kind)
        if hearer is not None:
            hearer(message)

    def _on_start(self, _start: Start) -> None:
        self._has_started = True

    def _on_entry(self, entry: Entry) -> None:
        self._signalled(entry.signal_id)
        self._pending[entry.signal_id] = entry.symbol

    def _signalled(self, number: int) -> None:
        if number > self._signal + 1:
            self.fail("I8", f"signal {self._signal + 1} came to nothing, {number} is the next")
        self._signal = max(self._signal, number)

    def _on_refusal(self, refusal: Refusal) -> None:
        if self._pending.pop(refusal.signal_id, None) is None:
            self._signalled(refusal.signal_id)
        if not refusal.gate:
            self.fail("I8", f"the refusal of signal {refusal.signal_id} names no gate")
        self.gates[refusal.gate] += 1
        self.refused_ns[refusal.gate] = self._world.now_ns

    def _on_bracket(self, bracket: OpenBracket) -> None:
        now_ns, symbol = self._world.now_ns, bracket.symbol
        self._pending.pop(bracket.signal_id, None)
        self.last_bracket_ns = now_ns
        wanted = self._settings.leverage.of(symbol)
        proof = self._proofs.get(symbol)
        if proof is None or proof.got != wanted or bracket.leverage != wanted:
            self.fail("I1", f"{symbol} entered at {bracket.leverage}x on {proof}")
        elif now_ns - proof.at_ns > self._settings.leverage.proof_age_max_s * 1e9:
            self.fail("I1", f"{symbol} entered on a proof {(now_ns - proof.at_ns) / 1e9:.1f} s old")
        for source, at_ns in self.halts.items():
            if at_ns < now_ns:
                age_ms = (now_ns - at_ns) / NS_A_MS
                self.fail("I4", f"{symbol} entered {age_ms:.0f} ms after a halt by {source}")
        self._check_buffer(bracket)

    def _check_buffer(self, bracket: OpenBracket) -> None:
        way = bracket.side * (float(bracket.price) - bracket.liquidation)
        left = bracket.side * (float(bracket.stop) - bracket.liquidation)
        least = self._settings.protection.buffer_fraction * way
        if way <= 0 or left < least * 0.98:
            self.fail("I4", f"{bracket.symbol}: the stop is {left:g} from liquidation of {way:g}")

    def _on_proof(self, proof: LeverageProof) -> None:
        self._proofs[proof.symbol] = proof

    def _on_leverage(self, change: LeverageChanged) -> None:
        proof = self._proofs.get(change.symbol)
        if proof is not None and proof.got != change.leverage:
            self._proofs[change.symbol] = None

    def _on_fill(self, fill: Fill) -> None:
        known = self._fills.get(fill.fill_id)
        if fill.fill_id in self._fills_now:
            self.fail("I3", f"fill {fill.fill_id} of {fill.client_id} was counted twice")
        elif known is not None and self._heard_ns[fill.fill_id] < self._fills_kept_ns:
            self.fail("I3", f"fill {fill.fill_id} was counted again after a restart")
        self._fills_now.add(fill.fill_id)
        self._heard_ns[fill.fill_id] = self._world.now_ns
        self._fills.setdefault(fill.fill_id, fill)

    def _on_funding(self, paid: FundingPaid) -> None:
        self._fundings[paid.symbol, paid.funding_usdt] += 1

    def _on_halt(self, halt: Halt) -> None:
        self.halts.setdefault(halt.source, self._world.now_ns)

    def _on_flatten(self, _flatten: Flatten) -> None:
        self.halts.setdefault("flatten", self._world.now_ns)

    def _on_resume(self, resume: Resume) -> None:
        for halt in ended_by(resume.source, self.halts):
            del self.halts[halt]

    def _on_ended(self, ended: OrderEnded) -> None:
        self._ended[ended.client_id] = ended

    def _on_death(self, death: ActorDied) -> None:
        self.fail("actor", f"{death.name} died: {death.error}")

    def _on_sync(self, sync: BookSync) -> None:
        self._synced[sync.symbol] = sync.synced

    # the exchange's truth

    def truth(self, event: Message, now_ns: int) -> None:
        """Take what just happened at the exchange."""
        if isinstance(event, PositionChanged):
            self._positions[event.symbol] = event
            # one that could not come up closes what there is
            is_ending = "flatten" in self.halts or not self._has_started
            self.cover.position(event, now_ns, self.line, is_ending=is_ending)
            self._check_count()
        elif isinstance(event, OrderUpdate):
            self._accepted(event, now_ns)
        elif isinstance(event, Fill):
            self.cover.fill(event)
            self._check_liquidation(event)
        elif isinstance(event, LeverageChanged):
            if event.leverage == self._settings.leverage.of(event.symbol):
                self._wrong_leverage_ns.pop(event.symbol, None)
            else:
                self._wrong_leverage_ns.setdefault(event.symbol, now_ns)

    def _accepted(self, order: OrderUpdate, now_ns: int) -> None:
        """Look at every order of ours when it is first seen at the exchange."""
        found = ORDER_ID.fullmatch(order.client_id)
        if found is None or order.reduce_only or found[3] != "e":
            return
        intent = found[1], found[2]
        if intent in self._entries:
            if self._entries[intent] != order.client_id:
                self.fail("I3", f"{order.client_id} and {self._entries[intent]} are one intent")
            return
        self._entries[intent] = order.client_id
        position = self._positions.get(order.symbol)
        if position is not None and position.quantity and self.cover.is_ours(order.symbol):
            held = position.side * position.quantity
            self.fail("I3", f"{order.client_id} entered {order.symbol} where {held} is held")
        wrong_ns = self._wrong_leverage_ns.get(order.symbol)
        if wrong_ns is not None and now_ns - wrong_ns > STALE_LEVERAGE_NS:
            self.fail("I1", f"{order.client_id} entered at a leverage that another client set")

    def _check_count(self) -> None:
        held = [p for p in self._positions.values() if p.quantity]
        ours = [p for p in held if self.cover.is_ours(p.symbol)]
        most = self._settings.sizing.positions_max
        if len(held) == len(ours) > most:
            self.fail("I4", f"{len(ours)} positions are held, allowed are {most}")

    def _check_liquidation(self, fill: Fill) -> None:
        if fill.cause == "liquidation" and fill.symbol not in self._world.forced:
            before = self._positions.get(fill.symbol)
            if before is not None and before.covered:
                self.fail("I5", f"{fill.symbol} was liquidated although its stop stood")

    def step(self, now_ns: int) -> None:
        """Look once more: time has passed and every actor is idle."""
        self.cover.step(now_ns, self.line)
        if self._pending and self.line is not None and not self.line.dead:
            number, symbol = next(iter(self._pending.items()))
            self.fail("I8", f"signal {number} of {symbol} became neither order nor refusal")

    # the end

    def check_alive(self, since_ns: int) -> None:
        """Check that after the faults everything came back (I9)."""
        world, now_ns = self._world, self._world.now_ns
        for symbol in world.instruments:
            if not self._synced.get(symbol, False):
                self.fail("I9", f"the book of {symbol} did not come back")
            position = self._positions.get(symbol)
            if position is not None and position.covered < position.quantity:
                self.fail("I9", f"{symbol}: {position.covered} of {position.quantity} is covered")
        if self.halts:
            self.fail("I9", f"still halted: {', '.join(self.halts)}")
        if self.last_bracket_ns < since_ns:
            gates = {gate for gate, at in self.refused_ns.items() if at > now_ns - RECENT_NS}
            closed = gates - MARKET_GATES
            if closed:
                self.fail("I9", f"no entry was taken again: {', '.join(sorted(closed))}")

    def check_end(self) -> None:
        """Compare fills, funding and wallet with the exchange's ledger, to the last unit."""
        exchange = self._world.exchange
        held = exchange.positions(ACCOUNT)
        if held:
            left = ", ".join(f"{p.symbol} {p.side * p.quantity}" for p in held)
            self.fail("I4", f"not flat after a flatten: {left}")
        lost = [one for one in exchange.fills(ACCOUNT) if one.fill_id not in self._fills]
        if lost:
            self.fail("I3", f"{len(lost)} fills were never heard of, the first is {lost[0]}")
        for ended in self._ended.values():
            order = exchange.order(ACCOUNT, ended.symbol, ended.client_id)
            filled = Decimal(0) if order is None else order.filled
            if filled != ended.filled:
                told = f"{ended.client_id} was told as {ended.outcome} with {ended.filled} filled"
                self.fail("I3", f"{told}, the venue filled {filled}")
        wallet = WALLET_USDT
        for fill in self._fills.values():
            wallet += fill.realised_usdt - fill.fee_usdt
        for paid in self._world.fundings:
            heard = self._fundings[paid.symbol, paid.funding_usdt]
            self._fundings[paid.symbol, paid.funding_usdt] -= 1
            wallet -= paid.funding_usdt
            if heard <= 0 and not self._was_gone(paid.at_ns):
                self.fail("I5", f"funding of {paid.symbol} at {paid.at_ns} was not heard of")
        for (symbol, _), more in self._fundings.items():
            if more > 0:
                self.fail("I5", f"a funding of {symbol} was counted twice")
        truth = exchange.ledger(ACCOUNT).wallet_usdt
        if wallet != truth and not lost:
            self.fail("I5", f"the wallet is {truth}, what was heard adds up to {wallet}")

    def _was_gone(self, at_ns: int) -> bool:
        near_ns = 1_000_000_000
        return any(began - near_ns <= at_ns <= end + near_ns for began, end in self._gone)
