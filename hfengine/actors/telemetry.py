"""Hears everything but ticks, answers nobody: counts, money, and what the live view shows."""

from collections import deque
from typing import Any

from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.halts import ended_by
from hfengine.limits import DECISIONS_KEPT, FAULTS_SHOWN_A_KIND
from hfengine.messages import (
    ActorDied,
    BalanceChanged,
    BookSync,
    CoverGap,
    EngineState,
    FeedFault,
    FeeWarning,
    Fill,
    FlattenDone,
    FundingPaid,
    Halt,
    LeverageProof,
    MarkTick,
    Message,
    MoveProtection,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    PositionChanged,
    ProtectionRefused,
    Rebalanced,
    Refusal,
    Report,
    Resume,
    SnapshotFailed,
)
from hfengine.oversight import (
    Adopted,
    BreakerChanged,
    CancelOrder,
    Command,
    Difference,
    Recovered,
    Repair,
    RiskState,
    StoreFault,
    VenueHealth,
)
from hfengine.runtime.actor import handles


class Telemetry(WiredActor):
    """The session in figures. Money is exact: the sums must equal the venue's ledger."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._tally = tally = wiring.tally
        self._counts = tally.counts
        self._refusals = tally.refusals
        self._fee_warnings = tally.fee_warnings
        self._positions: dict[str, PositionChanged] = {}
        self._proofs: dict[str, LeverageProof] = {}
        self._mismatches: dict[str, str] = {}
        """Symbol -> what its leverage is instead of what is wanted, and what that means."""
        self._marks: dict[str, MarkTick] = {}
        self._synced: dict[str, bool] = {}
        self._balance: BalanceChanged | None = None
        self._state = EngineState(0, "starting", "")
        self._halts: dict[str, str] = {}
        self._risk: RiskState | None = None
        self._health: dict[str, VenueHealth] = {}
        self._noted = 0
        self._recent: deque[tuple[int, int, str]] = deque(maxlen=DECISIONS_KEPT)
        self._faults: dict[str, int] = {}

    def _count(self, message: Message) -> None:
        name = type(message).__name__
        self._counts[name] = self._counts.get(name, 0) + 1

    def _note(self, at_ns: int, text: str) -> None:
        self._noted += 1
        self._recent.append((self._noted, at_ns, text))

    @handles(Refusal)
    def on_refusal(self, refusal: Refusal) -> None:
        """Count a refusal by gate."""
        self._refusals[refusal.gate] = self._refusals.get(refusal.gate, 0) + 1
        self._note(
            refusal.at_ns,
            f"{refusal.symbol} refused by {refusal.gate}: {refusal.measured:.6g}"
            f" against {refusal.threshold:.6g} {refusal.detail}",
        )

    @handles(FeeWarning)
    def on_fee_warning(self, warning: FeeWarning) -> None:
        """Count an entry the strict fee gate would have refused."""
        self._fee_warnings[warning.gate] = self._fee_warnings.get(warning.gate, 0) + 1

    @handles(OpenBracket)
    def on_bracket(self, bracket: OpenBracket) -> None:
        """Note a bracket."""
        self._count(bracket)
        word = "long" if bracket.side > 0 else "short"
        self._note(
            bracket.at_ns,
            f"{bracket.symbol} {word} {bracket.quantity} at {bracket.price}, stop {bracket.stop},"
            f" target {bracket.target}, {bracket.leverage}x, size bound by {bracket.binding}",
        )

    @handles(Fill)
    def on_fill(self, fill: Fill) -> None:
        """Add up the money of a fill."""
        self._count(fill)
        causes = self._tally.fill_causes
        causes[fill.cause] = causes.get(fill.cause, 0) + 1
        self._tally.gross_usdt += fill.realised_usdt
        self._tally.fees_usdt += fill.fee_usdt
        word = "buy" if fill.side > 0 else "sell"
        self._note(
            fill.at_ns, f"{fill.symbol} {fill.cause} fill: {word} {fill.quantity} at {fill.price}"
        )

    @handles(FundingPaid)
    def on_funding(self, funding: FundingPaid) -> None:
        """Add up funding."""
        self._count(funding)
        self._tally.funding_usdt += funding.funding_usdt

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Keep the position."""
        self._positions[position.symbol] = position

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Keep the account."""
        self._balance = balance

    @handles(LeverageProof)
    def on_proof(self, proof: LeverageProof) -> None:
        """Count and keep a proof; say loudly what is not as wanted."""
        self._count(proof)
        symbol, leverage = proof.symbol, self.settings.leverage
        known = self._proofs.get(symbol)
        self._proofs[symbol] = proof
        known_leverage = f"{proof.got}x" if proof.got else "not the same long and short,"
        got = f"{known_leverage} {proof.margin_mode}"
        text = f"{symbol} leverage {got} ({proof.source})"
        if proof.got == proof.wanted and proof.margin_mode == leverage.margin_mode:
            self._mismatches.pop(symbol, None)
        else:
            is_traded = leverage.on_failure == "warn" and proof.got > 0
            goes_on = "TRADED AT THAT" if is_traded else "no entries"
            wanted = f"wanted {proof.wanted}x {leverage.margin_mode}: {goes_on}"
            self._mismatches[symbol] = f"{got}, {wanted}"
            text = f"{text}, {wanted}"
        is_new = known is None or known.got != proof.got or known.margin_mode != proof.margin_mode
        if is_new:
            self._note(proof.at_ns, text)

    @handles(MarkTick)
    def on_mark(self, mark: MarkTick) -> None:
        """Keep the mark."""
        self._marks[mark.symbol] = mark

    @handles(BookSync)
    def on_sync(self, sync: BookSync) -> None:
        """Keep whether the book is true."""
        self._count(sync)
        self._synced[sync.symbol] = sync.synced
        self._note(
            sync.at_ns,
            f"{sync.symbol} book {'in' if sync.synced else 'OUT OF'} sync: {sync.reason}",
        )

    @handles(FeedFault)
    def on_fault(self, fault: FeedFault) -> None:
        """Count a feed fault; note the first few of each kind."""
        self._count(fault)
        seen = self._faults[fault.fault] = self._faults.get(fault.fault, 0) + 1
        if seen <= FAULTS_SHOWN_A_KIND:
            self._note(fault.at_ns, f"{fault.origin}:{fault.line}: {fault.fault}: {fault.detail}")

    @handles(Rebalanced)
    def on_rebalanced(self, look: Rebalanced) -> None:
        """Note what the rebalancer did."""
        self._count(look)
        if look.action != "hold":
            self._note(look.at_ns, f"{look.symbol} rebalance: {look.action}, {look.reason}")

    @handles(EngineState)
    def on_state(self, state: EngineState) -> None:
        """Keep the engine's state."""
        self._state = state
        self._note(state.at_ns, f"engine {state.state}: {state.reason}")

    @handles(Halt)
    def on_halt(self, halt: Halt) -> None:
        """Keep a halt."""
        self._halts[halt.source] = halt.reason
        self._note(halt.at_ns, f"HALT by {halt.source}: {halt.reason}")

    @handles(Resume)
    def on_resume(self, resume: Resume) -> None:
        """Forget a halt, or all of them."""
        for halt in ended_by(resume.source, self._halts):
            del self._halts[halt]

    @handles(ActorDied)
    def on_death(self, death: ActorDied) -> None:
        """Note an actor's death."""
        self._count(death)
        self._note(death.at_ns, f"ACTOR DIED: {death.name}: {death.error}")

    @handles(OrderEnded)
    def on_order_ended(self, ended: OrderEnded) -> None:
        """Count how intents end."""
        key = f"orders_{ended.outcome}"
        self._counts[key] = self._counts.get(key, 0) + 1
        if ended.outcome in ("rejected", "not_placed"):
            self._note(
                ended.at_ns,
                f"{ended.symbol} order {ended.client_id} {ended.outcome}: {ended.reason}",
            )

    @handles(OrderUnknown)
    def on_unknown(self, unknown: OrderUnknown) -> None:
        """Note an order whose answer was lost."""
        self._count(unknown)
        self._note(unknown.at_ns, f"{unknown.symbol} order {unknown.client_id} UNKNOWN")

    @handles(MoveProtection)
    def on_move(self, move: MoveProtection) -> None:
        """Note a stop that moved."""
        self._count(move)
        self._note(move.at_ns, f"{move.symbol} stop moved to {move.stop}: {move.reason}")

    @handles(ProtectionRefused)
    def on_protection_refused(self, refused: ProtectionRefused) -> None:
        """Note a stop or target the venue refused."""
        self._count(refused)
        self._note(refused.at_ns, f"{refused.symbol} {refused.leg} REFUSED: {refused.reason}")

    @handles(CoverGap)
    def on_gap(self, gap: CoverGap) -> None:
        """Count a gap in cover."""
        self._count(gap)

    @handles(SnapshotFailed)
    def on_snapshot_failed(self, failed: SnapshotFailed) -> None:
        """Count a snapshot that could not be had."""
        self._count(failed)

    @handles(FlattenDone)
    def on_flattened(self, done: FlattenDone) -> None:
        """Note the end of a flatten."""
        self._note(done.at_ns, f"flatten: {'flat' if done.flat else 'NOT FLAT: ' + done.detail}")

    @handles(BreakerChanged)
    def on_breaker(self, change: BreakerChanged) -> None:
        """Count a breaker that trips; note whatever it does."""
        if change.state == "tripped":
            self._add(self._tally.breakers, change.breaker)
        where = f"{change.symbol} " if change.symbol else ""
        self._note(
            change.at_ns,
            f"{where}breaker {change.breaker} {change.state}: {change.measured:.6g}"
            f" against {change.threshold:.6g} {change.detail}",
        )

    @handles(RiskState)
    def on_risk(self, risk: RiskState) -> None:
        """Keep whether entries are taken; note a change."""
        before, self._risk = self._risk, risk
        if before is None or before.state != risk.state:
            self._note(risk.at_ns, f"risk {risk.state}: {'; '.join(risk.reasons) or 'all is well'}")

    @handles(VenueHealth)
    def on_health(self, health: VenueHealth) -> None:
        """Keep a venue's clock and answers."""
        self._health[health.venue] = health

    @handles(Repair)
    def on_repair(self, repair: Repair) -> None:
        """Count and note a repair."""
        self._add(self._tally.repairs, repair.fault)
        text = f"{repair.symbol} protection {repair.fault}: {repair.found}: {repair.action}"
        self._note(repair.at_ns, text)

    @handles(CancelOrder)
    def on_cancel(self, cancel: CancelOrder) -> None:
        """Note an order that is taken away."""
        named = cancel.client_id or cancel.venue_id
        self._note(cancel.at_ns, f"{cancel.symbol} order {named} cancelled: {cancel.reason}")

    @handles(Difference)
    def on_difference(self, found: Difference) -> None:
        """Count and note what the venue told otherwise."""
        self._add(self._tally.differences, found.subject)
        self._note(
            found.at_ns,
            f"{found.symbol} {found.subject} DIFFERS: {found.ours}, the venue: {found.venues}",
        )

    @handles(Adopted)
    def on_adopted(self, adopted: Adopted) -> None:
        """Note a position that was found."""
        self._count(adopted)
        whose = "ours" if adopted.ours else "unknown"
        held = adopted.side * adopted.quantity
        self._note(adopted.at_ns, f"{adopted.symbol} {held} found, {whose}: {adopted.policy}")

    @handles(Recovered)
    def on_recovered(self, recovered: Recovered) -> None:
        """Note what a start remembered."""
        found = f"{recovered.keys} things from {recovered.source}"
        self._note(recovered.at_ns, f"recovered {found}: {recovered.detail}")

    @handles(StoreFault)
    def on_store_fault(self, fault: StoreFault) -> None:
        """Note that the store was lost or came back."""
        self._count(fault)
        self._note(fault.at_ns, f"state store {'LOST' if fault.lost else 'back'}: {fault.detail}")

    @handles(Command)
    def on_command(self, command: Command) -> None:
        """Note what an operator asked for."""
        self._note(command.at_ns, f"{command.by}: {command.name} {command.argument}".rstrip())

    @staticmethod
    def _add(counts: dict[str, int], name: str) -> None:
        counts[name] = counts.get(name, 0) + 1

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with everything counted and kept."""
        return {
            "counts": dict(self._counts),
            "refusals": dict(self._refusals),
            "fill_causes": dict(self._tally.fill_causes),
            "fee_warnings": dict(self._fee_warnings),
            "gross_usdt": self._tally.gross_usdt,
            "fees_usdt": self._tally.fees_usdt,
            "funding_usdt": self._tally.funding_usdt,
            "positions": dict(self._positions),
            "proofs": dict(self._proofs),
            "leverage_mismatches": dict(self._mismatches),
            "marks": dict(self._marks),
            "synced": dict(self._synced),
            "balance": self._balance,
            "state": self._state,
            "halts": dict(self._halts),
            "risk": self._risk,
            "health": dict(self._health),
            "breakers": dict(self._tally.breakers),
            "repairs": dict(self._tally.repairs),
            "differences": dict(self._tally.differences),
            "recent": list(self._recent),
        }
