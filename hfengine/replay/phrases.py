"""What each message means for one symbol, in words: the lines of `why`."""

from collections.abc import Callable
from typing import Any, Final

from hfengine import messages as m
from hfengine import oversight as o

SIDES: Final = {1: "long", -1: "short", 0: "flat"}
WORDS: Final = {1: "buy", -1: "sell"}


def measured(gate: str, measured: float, threshold: float, detail: str) -> str:
    """Return a gate with what it saw and what it wants."""
    more = f" ({detail})" if detail else ""
    return f"{gate}: {measured:.6g} against {threshold:.6g}{more}"


def _entry(said: m.Entry) -> str:
    return (
        f"signal {said.signal_id}: {SIDES[said.side]}, drift {said.drift:.6f},"
        f" confidence {said.confidence:.2f}, bid {said.bid:g}, ask {said.ask:g}"
    )


def _refusal(said: m.Refusal) -> str:
    reason = measured(said.gate, said.measured, said.threshold, said.detail)
    return f"signal {said.signal_id} refused by {reason}"


def _fee_warning(said: m.FeeWarning) -> str:
    reason = measured(said.gate, said.measured, said.threshold, "")
    return f"signal {said.signal_id}: a strict fee gate would refuse it by {reason}"


def _bracket(said: m.OpenBracket) -> str:
    return (
        f"signal {said.signal_id} becomes intent {said.intent}: {SIDES[said.side]}"
        f" {said.quantity} at {said.price}, stop {said.stop}, target {said.target},"
        f" {said.leverage}x, liquidation {said.liquidation:.6g}, size bound by {said.binding}"
    )


def _sent(said: m.OrderSent) -> str:
    kind = "reduce-only " if said.reduce_only else ""
    return f"order {said.client_id} sent: {kind}{WORDS[said.side]} {said.quantity}"


def _ended(said: m.OrderEnded) -> str:
    why = f": {said.reason}" if said.reason else ""
    return f"order {said.client_id} ended {said.outcome}, {said.filled} filled{why}"


def _moved(said: o.OrderMoved) -> str:
    return f"order {said.client_id}: {said.before} -> {said.after} ({said.event})"


def _fill(said: m.Fill) -> str:
    return (
        f"{said.cause} fill: {WORDS[said.side]} {said.quantity} at {said.price},"
        f" realised {said.realised_usdt} USDT, fee {said.fee_usdt}"
    )


def _position(said: m.PositionChanged) -> str:
    if not said.quantity:
        return "position flat"
    return (
        f"position {SIDES[said.side]} {said.quantity} at {said.entry}, {said.leverage}x, stop"
        f" {said.stop}, target {said.target}, covered {said.covered}, liquidation"
        f" {said.liquidation}"
    )


def _proof(said: m.LeverageProof) -> str:
    fits = "" if said.got == said.wanted else f", wanted {said.wanted}x"
    return f"leverage proved {said.got}x {said.margin_mode}{fits} ({said.source})"


def _rebalanced(said: m.Rebalanced) -> str:
    return (
        f"rebalancer: {said.action}, {said.reason}: drift {said.baseline_drift:.6f} ->"
        f" {said.drift:.6f}, confidence {said.confidence:.2f}, age {said.age_s:.0f} s"
    )


def _exit(said: m.Reduce | m.Close) -> str:
    return f"{type(said).__name__.lower()} wished: {said.quantity}, reason {said.reason}"


def _breaker(said: o.BreakerChanged) -> str:
    reason = measured(said.breaker, said.measured, said.threshold, said.detail)
    return f"breaker {said.state}: {reason}"


def _risk(said: o.RiskState) -> str:
    why = f": {'; '.join(said.reasons)}" if said.reasons else ""
    return f"risk {said.state}, score {said.score:.0f}{why}"


def _difference(said: o.Difference) -> str:
    return f"{said.subject} differs: ours {said.ours}, the venue's {said.venues} ({said.policy})"


def _adopted(said: o.Adopted) -> str:
    whose = "ours" if said.ours else "not opened by us"
    held = f"{SIDES[said.side]} {said.quantity} at {said.entry}"
    return f"position found: {held}, {whose}: {said.policy}"


PHRASES: Final[dict[type[m.Message], Callable[[Any], str]]] = {
    m.Entry: _entry,
    m.Refusal: _refusal,
    m.FeeWarning: _fee_warning,
    m.OpenBracket: _bracket,
    m.OrderSent: _sent,
    m.OrderEnded: _ended,
    m.OrderUnknown: lambda said: f"order {said.client_id}: answer lost: {said.detail}",
    o.OrderMoved: _moved,
    m.Fill: _fill,
    m.FundingPaid: lambda said: f"funding {said.funding_usdt} USDT at rate {said.rate}",
    m.PositionChanged: _position,
    m.PositionOpened: lambda said: f"position of intent {said.intent} opened",
    m.LeverageProof: _proof,
    m.LeverageChanged: lambda said: f"the venue says leverage {said.leverage}x",
    m.ProtectionRefused: lambda said: f"{said.leg} refused by the venue: {said.reason}",
    m.MoveProtection: lambda said: (
        f"protection moves: stop {said.stop}, target {said.target} ({said.reason})"
    ),
    m.CoverGap: lambda said: f"was without cover for {said.uncovered_ms:.1f} ms",
    m.Rebalanced: _rebalanced,
    m.Reduce: _exit,
    m.Close: _exit,
    m.ReducePosition: lambda said: (
        f"intent {said.intent} reduces by {said.quantity}: {said.reason}"
    ),
    m.BookSync: lambda said: f"book {'in' if said.synced else 'out of'} sync ({said.reason})",
    m.FeedFault: lambda said: f"feed fault {said.fault}: {said.detail}",
    m.SnapshotFailed: lambda said: f"no snapshot of the book: {said.reason}",
    m.Halt: lambda said: f"halted by {said.source}: {said.reason}",
    m.Resume: lambda said: f"resumed: {said.source}",
    m.Flatten: lambda said: f"flatten: {said.reason}",
    m.FlattenDone: lambda said: (
        f"flatten done: {'flat' if said.flat else 'NOT flat'} {said.detail}"
    ),
    m.EngineState: lambda said: f"engine {said.state}: {said.reason}",
    m.ActorDied: lambda said: f"{said.name} died: {said.error}",
    o.BreakerChanged: _breaker,
    o.RiskState: _risk,
    o.Repair: lambda said: f"protection {said.fault}: {said.found}: {said.action}",
    o.CancelOrder: lambda said: (
        f"order {said.client_id or said.venue_id} to be cancelled: {said.reason}"
    ),
    o.Difference: _difference,
    o.Adopted: _adopted,
    o.StoreFault: lambda said: f"state store {'lost' if said.lost else 'back'}: {said.detail}",
    o.Recovered: lambda said: f"recovered from {said.source}: {said.detail}",
    o.Command: lambda said: f"operator {said.by}: {said.name} {said.argument}".rstrip(),
}
"""Message class -> the line it makes. What is not here makes none."""
