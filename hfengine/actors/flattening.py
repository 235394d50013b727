"""Flatten: cancel, close reduce-only, read back zero; only the venue's word counts.

One procedure, `rounds`, says what comes next; `flatten` walks it awaiting each step, `Flattening`
walks it inside an actor, by outcomes and timers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Final, NamedTuple

from hfengine.actors.sending_gates import SendingGates
from hfengine.actors.wiring import WiredActor
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.limits import FLATTEN_PAUSE_S, FLATTEN_ROUNDS_MAX
from hfengine.messages import FlattenDone, PositionChanged, Timer
from hfengine.requests import OrderRequest
from hfengine.runtime.actor import Outcome
from hfengine.venues.port import PartlyRead, Venue

FLATTEN: Final = "flatten"
VENUE_FAULTS: Final = (VenueRejected, VenueUnknown, VenueUnavailable)

Verdict = tuple[bool, int, str]
"""Flat, rounds used, what is left."""


class Close(NamedTuple):
    """Close positions; the answer is the last fault, "" for none."""

    positions: tuple[PositionChanged, ...]


class Cancel(NamedTuple):
    """Cancel every order of our symbols; the answer is the last fault."""


class Read(NamedTuple):
    """Read the positions; the answer is a `Reading`."""


class Pause(NamedTuple):
    """Let FLATTEN_PAUSE_S pass; there is no answer."""


class Reading(NamedTuple):
    """Positions as read; with a fault they are only those of the venues that answered."""

    positions: tuple[PositionChanged, ...]
    fault: str


Step = Close | Cancel | Read | Pause


def rounds(known: Sequence[PositionChanged] = ()) -> Generator[Step, Any, Verdict]:
    """Yield what to do next, take what came of it, return the verdict.

    Positions `known` to be open are closed before anything is cancelled: with many symbols that
    takes long, and cancelling takes their stops. Flat needs two readings of zero in a row, so that
    an entry which was on its way when the first was read is found and closed too. A refused or lost
    close is tried again with a new id: it is reduce-only, so a double can never open a position.
    Where a round left something, the book may have been too thin, or the venue was away: the next
    one waits FLATTEN_PAUSE_S.
    """
    zeros, left, faults = 0, "", ""
    if known:
        yield Close(tuple(known))
    for round_ in range(1, FLATTEN_ROUNDS_MAX + 2):
        # one round more than may close, so that a zero of the last can be read a second time
        faults = (yield Cancel()) or faults
        positions, fault = yield Read()
        faults = fault or faults
        zeros = 0 if positions or fault else zeros + 1
        if zeros == 2:
            return True, round_, ""
        left = ", ".join(f"{p.symbol} {p.side * p.quantity}" for p in positions)
        if round_ > FLATTEN_ROUNDS_MAX:
            break
        if not zeros and round_ > 1:
            yield Pause()
        if positions:
            faults = (yield Close(tuple(positions))) or faults
    return False, FLATTEN_ROUNDS_MAX, f"{left}; {faults}".strip("; ")


async def flatten(
    venue: Venue,
    symbols: tuple[str, ...],
    closing_order: Callable[[PositionChanged], OrderRequest],
    pause: Callable[[float], Awaitable[None]],
    known: Sequence[PositionChanged] = (),
) -> Verdict:
    """Walk the rounds to their end; return (flat, rounds used, what is left)."""
    walk = rounds(known)
    answer: Any = None
    while True:
        try:
            step = walk.send(answer)
        except StopIteration as end:
            verdict: Verdict = end.value
            return verdict
        match step:
            case Close(positions):
                closes = [_close(venue, closing_order(position)) for position in positions]
                answer = next(filter(None, reversed(await asyncio.gather(*closes))), "")
            case Cancel():
                answer = await cancel_orders(venue, symbols)
            case Read():
                answer = await _read(venue)
            case Pause():
                await pause(FLATTEN_PAUSE_S)
                answer = None


async def _close(venue: Venue, request: OrderRequest) -> str:
    try:
        await venue.place(request)
    except VENUE_FAULTS as error:
        return str(error)
    return ""


async def cancel_orders(venue: Venue, symbols: tuple[str, ...]) -> str:
    """Cancel every order of the symbols, of whomever; return the last fault, "" for none."""
    fault = ""
    for symbol in symbols:
        try:
            await venue.cancel_all(symbol)
        except VENUE_FAULTS as error:
            fault = str(error)
    return fault


async def _read(venue: Venue) -> Reading:
    try:
        return Reading(tuple(await venue.positions()), "")
    except VENUE_FAULTS as error:
        return _unread(error)


def _unread(error: BaseException) -> Reading:
    # of several venues, what the others hold is closed all the same
    found = tuple(error.found) if isinstance(error, PartlyRead) else ()
    return Reading(found, str(error) or type(error).__name__)


class Flattening:
    """The rounds inside an actor: each step is started by a handler and ended by a message."""

    def __init__(
        self, actor: WiredActor, gates: SendingGates, close: Callable[[PositionChanged], str]
    ) -> None:
        """Take the actor, the gates to close meanwhile, and what sends a close under which id."""
        self._actor = actor
        self._gates = gates
        self._venue = actor.wiring.venue
        self._symbols = actor.settings.symbols
        self._close = close
        self._walk: Generator[Step, Any, Verdict] | None = None
        self._awaited: set[str] = set()
        """Closes without an answer yet."""
        self._fault = ""

    def begin(self, known: Sequence[PositionChanged]) -> None:
        """Begin, unless it is under way."""
        if self._walk is None:
            self._walk = rounds(known)
            self._gates.flatten(runs=True)
            self._go(None)

    def _go(self, answer: Any) -> None:
        if self._walk is None:
            return
        try:
            step = self._walk.send(answer)
        except StopIteration as end:
            self._walk = None
            self._gates.flatten(runs=False)
            flat, used, detail = end.value
            self._actor.publish(FlattenDone(self._actor.clock.now_ns(), flat, used, detail))
            return
        match step:
            case Close(positions):
                self._fault = ""
                self._awaited = {self._close(position) for position in positions}
            case Cancel():
                io = cancel_orders(self._venue, self._symbols)
                self._actor.run(io, tag=(FLATTEN, step))
            case Read():
                self._actor.run(self._venue.positions(), tag=(FLATTEN, step))
            case Pause():
                self._actor.tell_after_ns(int(FLATTEN_PAUSE_S * 1e9), Timer(FLATTEN))

    def on_timer(self) -> None:
        """Go on after a pause."""
        self._go(None)

    def answered(self, client_id: str, error: BaseException | None) -> None:
        """Take the answer to an order; the step ends with that of its last close."""
        if client_id not in self._awaited:
            return
        self._awaited.discard(client_id)
        if error is not None:
            self._fault = str(error) or type(error).__name__
        if not self._awaited:
            self._go(self._fault)

    def on_outcome(self, step: Step, outcome: Outcome) -> None:
        """Take what came of a cancel or a reading; raises what is no fault of the venue."""
        error = outcome.error
        if error is not None and not isinstance(error, (*VENUE_FAULTS, asyncio.CancelledError)):
            raise error
        if isinstance(step, Read):
            self._go(_unread(error) if error else Reading(tuple(outcome.result), ""))
        else:
            self._go(str(error) if error else outcome.result)
