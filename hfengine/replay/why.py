"""Why a symbol was traded, or was not: what a journal says of it, and one paragraph that answers.

The state of things, what is halted, open, proved, is followed from the beginning of the session,
the counts and lines are those of the time asked for.
"""

from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from hfengine import messages as m
from hfengine import oversight as o
from hfengine.errors import ExitCode, HfengineError
from hfengine.halts import ended_by
from hfengine.heard import Session
from hfengine.journal.reader import Scan
from hfengine.replay.phrases import PHRASES, SIDES, measured
from hfengine.replay.records import decoder

TICKS: Final = (b"BookTick", b"TradeTick", b"MarkTick")
TYPE_BYTES: Final = 32
"""A record's class stands within its first bytes."""
NS_PER_S: Final = 1_000_000_000


class UnknownSymbol(HfengineError):
    """The session does not trade this symbol: says which it does."""

    exit_code = ExitCode.USAGE


class Line(Struct, frozen=True):
    """One thing that happened. `times` of it in a row; `at_ns` is that of the first."""

    sequence: int
    at_ns: int
    kind: str
    text: str
    times: int = 1


class Gate(Struct):
    """How often one gate refused, and the worst it saw."""

    times: int = 0
    measured: float = 0.0
    threshold: float = 0.0


class Counts(Struct):
    """What became of the signals of a time. signals = entries + refused + undecided."""

    signals: int = 0
    entries: int = 0
    refused: int = 0
    undecided: int = 0
    gates: dict[str, Gate] = field(default_factory=dict)
    fills: int = 0
    realised_usdt: str = "0"
    fees_usdt: str = "0"
    exits: dict[str, int] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    forecasts: int = 0
    drift_most: float = 0.0
    confidence_most: float = 0.0


class Now(Struct):
    """How things stood at the end of the time asked for."""

    halts: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Source -> (since, reason)."""
    breakers: dict[str, str] = field(default_factory=dict)
    risk: o.RiskState | None = None
    position: m.PositionChanged | None = None
    proof: m.LeverageProof | None = None
    synced: bool | None = None
    unknown: dict[int, str] = field(default_factory=dict)
    state: str = ""


class Story(Struct):
    """What a journal says of one symbol between two times (ns since the epoch)."""

    session: str
    symbol: str
    since_ns: int
    until_ns: int
    counts: Counts
    now: Now
    lines: list[Line]
    answer: str = ""


class Teller:
    """Reads a session's messages one after the other and keeps what concerns one symbol."""

    def __init__(self, symbol: str, since_ns: int, until_ns: int) -> None:
        self.symbol = symbol
        self._since_ns = since_ns
        self._until_ns = until_ns
        self.counts = Counts()
        self.now = Now()
        self.lines: list[Line] = []
        self._raised: set[int] = set()
        self._decided: set[int] = set()
        self._last_risk: tuple[str, tuple[str, ...]] = ("", ())

    def hear(self, sequence: int, message: Any) -> None:
        """Take one message of the session."""
        at_ns = getattr(message, "at_ns", 0)
        if at_ns > self._until_ns or getattr(message, "symbol", self.symbol) not in (
            "",
            self.symbol,
        ):
            return
        self._follow(message)
        if at_ns < self._since_ns:
            return
        self._count(message)
        phrase = PHRASES.get(type(message))
        if phrase is None or self._is_repeated(message):
            return
        self._tell(Line(sequence, at_ns, type(message).__name__, phrase(message)), message)

    def _is_repeated(self, message: Any) -> bool:
        """Tell of a risk state or proof whether it says what the last one said."""
        if not isinstance(message, o.RiskState):
            return False
        said = (message.state, message.reasons)
        repeated = said == self._last_risk
        self._last_risk = said
        return repeated

    def _tell(self, line: Line, message: Any) -> None:
        """Add a line, or count it with the one before that says the same of the same gate."""
        last = self.lines[-1] if self.lines else None
        if last is not None and last.kind == line.kind == "Refusal":
            gate = f"refused by {message.gate}:"
            if gate in last.text:
                self.lines[-1] = msgspec.structs.replace(last, times=last.times + 1)
                return
        self.lines.append(line)

    def _follow(self, message: Any) -> None:
        """Keep how things stand."""
        now = self.now
        match message:
            case m.Halt():
                now.halts.setdefault(message.source, (message.at_ns, message.reason))
            case m.Resume(source=source):
                for halt in ended_by(source, now.halts):
                    del now.halts[halt]
            case o.BreakerChanged():
                key = f"{message.breaker} {message.symbol}".rstrip()
                if message.state == "cleared":
                    now.breakers.pop(key, None)
                else:
                    seen = measured(
                        message.state, message.measured, message.threshold, message.detail
                    )
                    now.breakers[key] = seen
            case o.RiskState():
                now.risk = message
            case m.EngineState():
                now.state = message.state
            case _:
                self._follow_symbol(message)

    def _follow_symbol(self, message: Any) -> None:
        now = self.now
        match message:
            case m.PositionChanged():
                now.position = message
            case m.LeverageProof():
                now.proof = message
            case m.BookSync():
                now.synced = message.synced
            case m.OrderUnknown():
                now.unknown[message.intent] = message.detail
            case m.OrderEnded():
                now.unknown.pop(message.intent, None)
            case _:
                pass

    def _count(self, message: Any) -> None:
        counts = self.counts
        match message:
            case m.Entry():
                self._raised.add(message.signal_id)
            case m.Refusal():
                self._raised.add(message.signal_id)
                self._decided.add(message.signal_id)
                counts.refused += 1
                _refused(counts.gates.setdefault(message.gate, Gate()), message)
            case m.OpenBracket():
                self._raised.add(message.signal_id)
                self._decided.add(message.signal_id)
                counts.entries += 1
            case m.Fill():
                counts.fills += 1
                counts.realised_usdt = _added(counts.realised_usdt, message.realised_usdt)
                counts.fees_usdt = _added(counts.fees_usdt, message.fee_usdt)
                if message.cause != "order":
                    counts.exits[message.cause] = counts.exits.get(message.cause, 0) + 1
            case m.ReducePosition():
                counts.exits[message.reason] = counts.exits.get(message.reason, 0) + 1
            case m.Rebalanced():
                counts.looks[message.action] = counts.looks.get(message.action, 0) + 1
            case m.Forecast():
                counts.forecasts += 1
                counts.drift_most = max(counts.drift_most, abs(message.drift))
                counts.confidence_most = max(counts.confidence_most, message.confidence)
            case _:
                pass

    def finish(self) -> None:
        """Add up what was raised and decided."""
        self.counts.signals = len(self._raised)
        self.counts.undecided = len(self._raised - self._decided)


def _added(sum_usdt: str, more_usdt: Decimal) -> str:
    return f"{(Decimal(sum_usdt) + more_usdt).normalize():f}"


def _refused(gate: Gate, refusal: m.Refusal) -> None:
    gate.times += 1
    further = abs(refusal.measured - refusal.threshold) > abs(gate.measured - gate.threshold)
    if gate.times == 1 or further:
        gate.measured, gate.threshold = refusal.measured, refusal.threshold


def tell(
    directory: Path, symbol: str, *, last_s: float | None = None, at_ns: int | None = None
) -> Story:
    """Return what a session's journal says of a symbol up to `at_ns`, the last `last_s` seconds.

    Without `at_ns` up to the end, without `last_s` from the beginning. Raises UnknownSymbol.
    """
    first_ns, end_ns, symbols, session = _survey(directory)
    if symbol not in symbols:
        raise _unknown(symbol, symbols, directory.name)
    until_ns = end_ns if at_ns is None else at_ns
    since_ns = first_ns if last_s is None else max(first_ns, until_ns - int(last_s * NS_PER_S))
    teller = Teller(symbol, since_ns, until_ns)
    decode = decoder().decode
    for frame in Scan(directory).frames():
        if any(tick in frame.payload[:TYPE_BYTES] for tick in TICKS):
            continue
        try:
            message = decode(frame.payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if not hasattr(message, "at_ns"):
            continue
        teller.hear(frame.sequence, message)
    teller.finish()
    story = Story(
        directory.name, symbol, since_ns, until_ns, teller.counts, teller.now, teller.lines
    )
    story.answer = answer(story, session)
    return story


def _survey(directory: Path) -> tuple[int, int, list[str], Session | None]:
    """Return when a session began and ended, its symbols, and its first record."""
    decode = decoder().decode
    first_ns = end_ns = 0
    symbols: set[str] = set()
    session: Session | None = None
    for frame in Scan(directory).frames():
        try:
            message = decode(frame.payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if isinstance(message, Session):
            session = message
            symbols |= set(message.settings.get("symbols", ()))
        at_ns = getattr(message, "at_ns", 0)
        first_ns = first_ns or at_ns
        end_ns = max(end_ns, at_ns)
        symbol = getattr(message, "symbol", "")
        if symbol:
            symbols.add(symbol)
    return first_ns, end_ns, sorted(symbols), session


def _unknown(symbol: str, symbols: list[str], session: str) -> UnknownSymbol:
    near = get_close_matches(symbol.upper(), symbols, 3, 0.6)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    known = ", ".join(symbols[:20]) or "none at all"
    return UnknownSymbol(f"session {session} does not trade {symbol!r}: {meant}it trades {known}")


def answer(story: Story, session: Session | None) -> str:
    """Return the one paragraph: what became of the signals, and how things stand."""
    counts = story.counts
    sentences = [
        f"{story.symbol}, {clock(story.since_ns)} to {clock(story.until_ns)} UTC:"
        f" {_plural(counts.signals, 'signal')} = {_plural(counts.entries, 'entry', 'entries')}"
        f" + {counts.refused} refused{_gates(counts)}"
        + (f" + {counts.undecided} not decided yet" if counts.undecided else "")
        + "."
    ]
    if not counts.signals:
        sentences.append(_silence(counts, session))
    if counts.fills:
        sentences.append(
            f"{_plural(counts.fills, 'fill')}, realised {counts.realised_usdt} USDT before"
            f" {counts.fees_usdt} USDT of fees."
        )
    if counts.exits:
        sentences.append(f"Exits: {_listed(counts.exits)}.")
    if counts.looks:
        sentences.append(f"The rebalancer looked: {_listed(counts.looks)}.")
    sentences.append(f"Then: {'; '.join(_standing(story.now))}.")
    return " ".join(sentences)


def _gates(counts: Counts) -> str:
    if not counts.gates:
        return ""
    ranked = sorted(counts.gates.items(), key=lambda pair: -pair[1].times)
    told = [
        f"{name} {gate.times} (worst {gate.measured:.6g} against {gate.threshold:.6g})"
        for name, gate in ranked
    ]
    return f": {', '.join(told)}"


def _silence(counts: Counts, session: Session | None) -> str:
    if not counts.forecasts:
        return "There was no forecast at all: no market data, or the layers were warming up."
    wanted = (session.settings if session is not None else {}).get("signals", {})
    least, sure = wanted.get("drift_min"), wanted.get("confidence_min")
    limits = f"; a signal needs {least:g} and {sure:g}" if least is not None else ""
    return (
        f"No signal was raised: of {_plural(counts.forecasts, 'forecast')} the largest drift was"
        f" {counts.drift_most:.6f} and the largest confidence {counts.confidence_most:.2f}{limits}."
    )


def _standing(now: Now) -> list[str]:
    """Return how things stood, what stops entries first."""
    told = [
        f"halted by {source} since {clock(since_ns)} ({reason})"
        for source, (since_ns, reason) in now.halts.items()
    ]
    told += [f"breaker {name} {seen}" for name, seen in now.breakers.items()]
    if now.risk is not None:
        reasons = f" ({'; '.join(now.risk.reasons)})" if now.risk.reasons and not told else ""
        told.append(f"risk {now.risk.state}{reasons}")
    if now.synced is False:
        told.append("book out of sync")
    if now.proof is None:
        told.append("leverage never proved")
    elif now.proof.got != now.proof.wanted:
        told.append(f"leverage {now.proof.got}x instead of {now.proof.wanted}x")
    told += [f"intent {intent} unknown: {detail}" for intent, detail in now.unknown.items()]
    position = now.position
    if position is not None and position.quantity:
        told.append(
            f"{SIDES[position.side]} {position.quantity} at {position.entry}, stop {position.stop}"
        )
    else:
        told.append("flat")
    return [*told, f"engine {now.state}"] if now.state else told


def clock(at_ns: int) -> str:
    """Return a time as date and time of day, UTC, to the millisecond."""
    moment = datetime.fromtimestamp(at_ns / NS_PER_S, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ns // 1_000_000 % 1000:03}"


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one}" if count == 1 else f"{count} {many or one + 's'}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counts.items())
