"""Recording what reaches the actors from outside, so that a session can be run again exactly.

Market data is an input by the class of its messages; besides it actors hear events told to them,
the outcomes of their I/O, their timers, and what the engine publishes itself. Each of those is
noted before it is delivered. One turn, from the first handler to the last waiting one, sees one
time: on a wall clock that is the first reading in it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from hfengine.clock import Clock, VirtualClock
from hfengine.heard import (
    MARKET,
    Died,
    Ended,
    Fired,
    Published,
    Session,
    Told,
    Turn,
    plain,
    plain_error,
    split_rows,
)
from hfengine.kernels.turn_clock import TurnClock
from hfengine.messages import Message
from hfengine.runtime.outcome import Outcome

UNRECORDED: Final = frozenset({"MarketData"})
"""Actors whose own inputs are not noted: what they publish is."""


class Log(Protocol):
    """What a recorder needs of a journal."""

    note: Callable[[Any], None]

    @property
    def noted(self) -> list[Any]:
        """Return what waits to be written, always the same list."""

    def settle(self) -> None:
        """Write what was noted, in order."""


class _Recorded(Protocol):
    """What a recorder sees of a host."""

    clock: Clock
    depth: int
    loop: Any


class Recorder:
    """Notes in a journal what the actors of a host hear; made before they are started."""

    def __init__(self, log: Log, host: Any) -> None:
        self._noted = log.noted
        self._note = log.note
        self._settle = log.settle
        self._host: _Recorded = host
        self._now_ns: Callable[[], int] = host.clock.now_ns
        self._turn: TurnClock | None = None
        self._kept = False
        """Whether the turn that ends has others of the same message after it."""
        if not isinstance(host.clock, VirtualClock):
            host.clock = self._turn = TurnClock(host.clock, host)

    def hears(self, actor_class: str) -> bool:
        """Tell whether an actor's outcomes and timers are noted."""
        return actor_class not in UNRECORDED

    def begin(self, session: Session, records: Sequence[Message]) -> None:
        """Note how the session begins; its time stands still until the actors have started."""
        if self._turn is not None:
            self._turn.turn_ns, self._turn.held = session.at_ns, True
        for record in (session, *records):
            self._note(record)

    def now_ns(self) -> int:
        """Return the time of the turn that begins, or goes on."""
        turn = self._turn
        if turn is None:
            return self._now_ns()
        if not self._host.depth and not turn.held:
            turn.turn_ns = self._now_ns()
            return turn.turn_ns
        return turn.now_ns()

    def told(self, actor: str, message: Message) -> None:
        """Note an event that is delivered to an actor next."""
        how: Any = "alone"
        if self._host.depth:
            # a batch begins a turn; within one, a handler is at work
            begins = all(type(one) is Told and one.how == "batch" for one in self._noted)
            how = "batch" if begins and not self._kept else "handler"
        self._note(Told(actor, self.now_ns(), how, plain(message)))
        self._forget_soon()

    def ended(self, actor: str, number: int, outcome: Outcome) -> None:
        """Note the outcome of an actor's I/O."""
        result = plain(outcome.result)
        if not isinstance(result, Message):
            ahead, result = split_rows(result)
            for more in ahead:
                self._note(more)
        error = plain_error(outcome.error)
        self._note(Ended(actor, number, self.now_ns(), result, error))

    def fired(self, actor: str, number: int) -> None:
        """Note that a timer of an actor is due."""
        self._note(Fired(actor, number, self.now_ns()))

    def published(self, message: Message) -> None:
        """Note that the engine itself publishes a message next."""
        del message
        self._note(Published(self.now_ns(), bool(self._host.depth)))
        self._kept |= not self._host.depth
        self._forget_soon()

    def died(self, actor: str, handled: int, error: BaseException) -> None:
        """Note that an actor raised while it handled a message."""
        self._note(Died(actor, self.now_ns(), handled, raised_in(error), repr(error)))

    def settle(self) -> None:
        """Close a turn, and write what was noted in it."""
        noted, turn = self._noted, self._turn
        if turn is None:
            records = len(noted)
            if records == 1:
                # the usual case, a lone tick at its own time, has nothing to be said of
                first = noted[0]
                if type(first) in MARKET and first.at_ns != self._now_ns():
                    self._mark(noted, self._now_ns())
            elif records:
                self._mark(noted, self._now_ns())
        else:
            if noted and (turn.turn_ns or len(noted) > 1):
                self._mark(noted, turn.turn_ns)
            if not self._kept:
                turn.turn_ns = 0
            turn.held = False
        self._settle()

    def _mark(self, noted: list[Any], turn_ns: int) -> None:
        """Say of a turn of market data what its messages do not."""
        first, inputs = -1, 0
        for place, message in enumerate(noted):
            if type(message) in MARKET:
                if first < 0:
                    first = place
                inputs += 1
        if first >= 0:
            at_ns = noted[first].at_ns
            if inputs > 1 or (turn_ns and turn_ns != at_ns):
                noted.insert(first, Turn(turn_ns or at_ns, inputs))

    def _forget_soon(self) -> None:
        """Let the turn's time go even where nobody heard, so that no turn began."""
        if not self._host.depth and (self._kept or self._turn is not None):
            self._host.loop.call_soon(self._forget)

    def _forget(self) -> None:
        self._kept = False
        if self._turn is not None and not self._host.depth and not self._turn.held:
            self._turn.turn_ns = 0


class Player(Protocol):
    """What stands in for the world while a session is run again."""

    def ran(self, actor: str, number: int, tag: Any) -> None:
        """Take note of I/O that an actor starts: its outcome is in the record."""

    def armed(self, actor: str, number: int, message: Any) -> None:
        """Take note of a timer that an actor sets: its firings are in the record."""

    def guarded(
        self, actor: str, handlers: dict[type[Any], Callable[[Any], Any]]
    ) -> dict[type[Any], Callable[[Any], Any]]:
        """Return an actor's handlers, made to raise where the recorded actor did."""


def raised_in(error: BaseException) -> str:
    """Return the module in which an exception was raised; "" where only compiled code ran."""
    trace, module = error.__traceback__, ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return module
