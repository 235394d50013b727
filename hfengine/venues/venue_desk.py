"""The desk a quirks object works at: calls out, events in, and who hears of what is wrong.

Every call waits for its budget, is judged by the venue's code, and is repeated at most once, with
the very same parameters: after a refused time stamp or a refusal for rate (VENUES 2).
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Final

from hfengine import settings
from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import Instrument, VenueName
from hfengine.limits import ANSWERS_KEPT
from hfengine.messages import Fill, Halt, Message, OrderUpdate, Resume
from hfengine.oversight import VenueHealth
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.timers import Timers
from hfengine.venues.account_view import AccountView
from hfengine.venues.answer_codes import BY_CODE
from hfengine.venues.call_errors import (
    BAD_KEY,
    BY_REASON,
    CLOCK_SKEW,
    IP_BAN,
    OK,
    RATE_LIMIT,
    Verdict,
    is_sent_once,
    judge,
    never_left,
)
from hfengine.venues.ccxt_client import (
    PACED,
    REPLY,
    Reply,
    StreamKeeper,
    drop_idle,
    make_exchange,
)
from hfengine.venues.clock_offset import ClockOffset
from hfengine.venues.keys import ApiKeys
from hfengine.venues.port import Tell
from hfengine.venues.quirks import MarginMode, Place, Purpose, Quirks
from hfengine.venues.rate_limiter import RateLimiter
from hfengine.venues.splitting import Splitter

PATIENCE_S: Final = {"read": 120.0, "setting": 600.0, "order": 2.0, "protect": 10.0}
"""How long a call may wait for its budget: an entry is stale soon, a stop never."""

BLIND: Final = "private_stream"
BLIND_S: Final = 3.0
"""A private stream may be away so long before entries stop; the account is then read as often."""

RECONCILE_SOON_S: Final = 0.2
REGIME_S: Final = 60.0
"""After so long a refusal that may have passed no longer stops entries; the next one does again."""

HALTING: Final = {
    BAD_KEY: 0.0,
    "leverage_not_allowed": 0.0,
    "leverage_mode": 0.0,
    "position_mode_mismatch": 0.0,
    "reduce_only_regime": REGIME_S,
    "too_many_orders": REGIME_S,
}
"""Reasons that stop entries, and for how long; 0 is until a person resumes them."""

STALE: Final = (rejects.INSUFFICIENT_MARGIN,)
"""Refusals after which the account is read as after an open question: it is not as we thought."""

OUTDATED: Final = (rejects.LEVERAGE_ABOVE_MAXIMUM,)
"""Refusals after which the instruments, with their tiers, are read anew besides those to fix."""

LOOK_PAUSE_S: Final = 5.0
"""Refusals make the account be read at most this often: it costs much of the budgets."""

UNIFIED: Final = "arguments"
"""The one parameter of a call by ccxt's unified method: its positional arguments."""

KNOWN_VENUES: Final = tuple(BY_CODE)


class VenueDesk:
    """What `quirks.Desk` promises, over one ccxt.pro exchange object."""

    def __init__(
        self,
        name: str,
        quirks: Quirks,
        *,
        place: Place,
        settings: settings.Venue,
        margin_mode: MarginMode,
        keys: ApiKeys,
        symbols: Sequence[str],
        host: ActorHost,
        clock: Clock,
        random: Random,
    ) -> None:
        self.name = name
        self.venue: VenueName | None = next((v for v in KNOWN_VENUES if v == name), None)
        self.place = place
        self.settings = settings
        self.margin_mode = margin_mode
        self.symbols = symbols
        self.instruments: dict[str, Instrument] = {}
        self.clock = clock
        self.host = host
        self.loop = host.loop
        self.timers = Timers(host.loop)
        self.view = AccountView()
        self.splitter = Splitter(self.instruments)
        self.notes: Counter[str] = Counter()
        self.newest_note: dict[str, str] = {}
        self.rejected: Counter[str] = Counter()
        self.halts: dict[str, str] = {}
        self.on_fix: Callable[[], None] = _nothing
        self.on_private_ready: Callable[[], None] = _nothing
        self.on_reconcile: Callable[[str], None] = _nothing
        self.on_offset: Callable[[int], None] = _ignored
        self._keys = keys
        self._quirks = quirks
        self._account: Tell | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._look_waits = False
        self._look_again = False
        self._sees = False
        """Whether the private stream is subscribed."""
        self._answer_ms: deque[float] = deque(maxlen=ANSWERS_KEPT)
        self.exchange = self._make_exchange()
        self.limiter = RateLimiter(
            quirks.budgets,
            reserve=settings.rate_reserve,
            loop=host.loop,
            clock=clock,
            banned=self._banned,
        )
        self.offset = ClockOffset(
            quirks.time_ms,
            clock=clock,
            offset_max_ms=settings.clock_offset_max_ms,
            changed=self._clock_set,
            halt=self.halt,
            resume=self.resume,
        )
        self.streams = StreamKeeper(
            self.exchange, loop=host.loop, random=random, start=self.run, broken=self._broken
        )

    def _make_exchange(self) -> Any:
        quirks, place, settings = self._quirks, self.place, self.settings
        configuration = quirks.configuration(place) | {
            "timeout": round(settings.answer_max_s * 1e3),
            **quirks.credentials(self._keys),
        }
        exchange = make_exchange(quirks.ccxt_id, configuration, self._hear)
        exchange.options["recvWindow"] = settings.recv_window_ms
        if place.http:
            # the quarter of a second it waits at its end is for TLS
            exchange.timeout_on_exit = 0
        quirks.adjust(exchange, place)
        return exchange

    # calls

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        group: str,
        purpose: Purpose = "read",
        weight: int = 1,
    ) -> Any:
        """Make one raw call; see `quirks.Desk.call`."""
        repeated: set[str] = set()
        while True:
            await self._wait(group, weight, purpose)
            settle = self.limiter.done
            try:
                answer, verdict = await self._try(method, params, group, purpose)
                if verdict is not None and never_left(verdict.error):
                    # an outage costs no budget
                    settle = self.limiter.never_sent
            finally:
                settle(group, weight)
            if verdict is None:
                return answer
            reason = verdict.meaning.reason
            if verdict.meaning.action != "ok":
                self._count(verdict)
            if reason in (CLOCK_SKEW, RATE_LIMIT) and reason not in repeated:
                repeated.add(reason)
                if reason == CLOCK_SKEW:
                    await self.offset.refresh()
                else:
                    self.limiter.refused(group)
                continue
            if verdict.error is None:
                return {}
            if purpose != "read" or reason in HALTING:
                self.heed(reason, str(verdict.error))
            raise verdict.error

    async def _wait(self, group: str, weight: int, purpose: Purpose) -> None:
        began_s = self.loop.time()
        await self.limiter.take(
            group, weight, urgent=purpose == "protect", patience_s=PATIENCE_S[purpose]
        )
        paced = PACED.get()
        if paced is not None:
            paced.waited_s += self.loop.time() - began_s

    async def _try(
        self, method: str, params: Mapping[str, Any], group: str, purpose: Purpose
    ) -> tuple[Any, Verdict | None]:
        """Send once; return the answer, or what its failure means."""
        reply = Reply()
        token = REPLY.set(reply)
        failure: Exception | None = None
        answer: Any = None
        sent_s = self.loop.time()
        try:
            answer = await self._send(method, params)
        except Exception as error:  # noqa: BLE001 - judged below, and what is no venue's raised
            failure = error
        finally:
            REPLY.reset(token)
        if reply.status:
            self._answer_ms.append((self.loop.time() - sent_s) * 1e3)
            self.limiter.heard(group, reply.status, reply.headers)
        if failure is None:
            return answer, None
        if not _is_ccxt(failure):
            raise failure
        if not reply.status:
            drop_idle(self.exchange)
        verdict = judge(
            failure,
            venue=self.venue,
            purpose=purpose,
            status=reply.status,
            never_sent=never_left(failure) and is_sent_once(method),
            hide=self._keys.hide_in,
        )
        if verdict.error is not None:
            verdict.error.__cause__ = failure
        return None, verdict

    def _send(self, method: str, params: Mapping[str, Any]) -> Any:
        send = getattr(self.exchange, method)
        # a unified method takes arguments, a raw one a mapping
        return send(*params[UNIFIED]) if UNIFIED in params else send(dict(params))

    def _count(self, verdict: Verdict) -> None:
        meaning = verdict.meaning
        self.rejected[f"{verdict.code} {meaning.reason}" if verdict.code else meaning.reason] += 1

    def heed(self, reason: str, detail: str) -> None:
        """Do what the table says about a refusal, wherever it came from, besides telling it."""
        meaning = BY_REASON.get(reason, OK)
        if (meaning.action == "fix" and reason != CLOCK_SKEW) or reason in OUTDATED:
            self.on_fix()
        if meaning.action == "query" or reason in STALE:
            # what it was refused for may be news: no position, no such order
            self._look(f"refused: {reason}")
        if reason in HALTING:
            if not HALTING[reason]:
                # a person may have resumed what has not passed: it is told again
                self.halts.pop(reason, None)
            self.halt(reason, detail)
            if HALTING[reason]:
                self._resume_after(reason, HALTING[reason])
        elif meaning.action == "escalate":
            self.note(reason, detail)

    def _look(self, why: str) -> None:
        """Read the account after a refusal that asks for it: now, or when the pause is over."""
        if self._look_waits:
            self._look_again = True
            return
        self._look_waits = True
        self.reconcile_soon(why)
        self.timers.after(round(LOOK_PAUSE_S * 1e9), self._look_pause_over)

    def _look_pause_over(self) -> None:
        self._look_waits = False
        if self._look_again and not self._closing:
            self._look_again = False
            self._look("refused again meanwhile")

    def _banned(self, reason: str, seconds: float) -> None:
        self.halt(IP_BAN, reason)
        self._resume_after(IP_BAN, seconds)

    def _resume_after(self, source: str, seconds: float) -> None:
        if not self._closing:
            self.timers.after(round(seconds * 1e9), lambda: self.resume(source))

    # time

    def now_ms(self) -> int:
        """Return the venue's time as far as known."""
        return self.clock.now_ns() // 1_000_000 + self.offset.offset_ms

    def _clock_set(self, offset_ms: int) -> None:
        self.exchange.clock_offset_ms = offset_ms
        self.limiter.clock_offset_ms = offset_ms
        self.on_offset(offset_ms)

    # events

    @property
    def vitals(self) -> VenueHealth:
        """Clock and answers in short; `answer_ms` is the median of the last ANSWERS_KEPT."""
        answers = sorted(self._answer_ms)
        median_ms = answers[len(answers) // 2] if answers else 0.0
        connected = self._sees or not self._quirks.tells_ready
        at_ns = self.clock.now_ns()
        return VenueHealth(self.name, at_ns, float(self.offset.offset_ms), median_ms, connected)

    def connect(self, account: Tell | None) -> None:
        """Take who is to hear of the account; None: nobody any more."""
        self._account = account
        if account is not None and self._quirks.tells_ready and not self._sees:
            self.timers.after(round(BLIND_S * 1e9), self._still_blind)

    def tell(self, message: Message) -> None:
        """Tell the engine what it was not told before."""
        if self._closing or not self.view.take(message) or self._account is None:
            return
        if isinstance(message, OrderUpdate):
            told = self.splitter.order(message)
            if told is None:
                return
            message = told
        elif isinstance(message, Fill):
            message = self.splitter.fill(message)
        self._account(message)

    def _hear(self, message: Mapping[str, Any]) -> bool:
        try:
            return bool(self._quirks.heard(message))
        except Exception as error:  # noqa: BLE001 - a row of a form nobody has seen
            # what it said is read by REST instead; ccxt's receive loop must not die of it
            self.note("unreadable_event", f"{error!r}: {str(message)[:200]}")
            self.reconcile_soon("an event could not be read")
            return False

    def private_ready(self) -> None:
        """Read the account: the private stream is subscribed (again)."""
        self._sees = True
        self.resume(BLIND)
        self.on_private_ready()

    def reconcile_soon(self, why: str) -> None:
        """Read the account soon."""
        self.on_reconcile(why)

    def restart_streams(self, why: str) -> None:
        """Cut the private connections; they are made again at once."""
        self.note("stream_restarts", why)
        self.run(self.streams.cut(why), "cut streams")

    def _broken(self, name: str, reason: str) -> None:
        self.note("stream_breaks", f"{name}: {self._keys.hide_in(reason)[:200]}")
        # only of a stream that says when it is back
        if self._sees and not self._closing:
            self._sees = False
            self.timers.after(round(BLIND_S * 1e9), self._still_blind)

    def _still_blind(self) -> None:
        """Stop entries while nothing is heard of orders, and read the account instead."""
        if self._sees or self._closing or self.streams.stopping:
            return
        why = self.newest_note.get("stream_breaks", "not subscribed yet")
        self.halt(BLIND, f"no private stream: {why}")
        self.reconcile_soon("the private stream is away")
        self.timers.after(round(BLIND_S * 1e9), self._still_blind)

    def halt(self, source: str, reason: str) -> None:
        """Stop entries; told once per source until `resume`."""
        reason = self._keys.hide_in(reason)
        was_halted = source in self.halts
        self.halts[source] = reason
        if not was_halted:
            self.tell(Halt(self.clock.now_ns(), source, reason))

    def resume(self, source: str) -> None:
        """Allow entries again as far as `source` is concerned."""
        if self.halts.pop(source, None) is not None:
            self.tell(Resume(self.clock.now_ns(), source))

    def tell_halts(self) -> None:
        """Tell what was wrong before anybody listened."""
        for source, reason in self.halts.items():
            self.tell(Halt(self.clock.now_ns(), source, reason))

    def note(self, what: str, detail: str) -> None:
        """Count something odd, and keep its newest detail."""
        self.notes[what] += 1
        self.newest_note[what] = self._keys.hide_in(detail)[:300]

    # background

    def run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something in the background until `close`."""
        if self._closing:
            work.close()
            return
        task = self.loop.create_task(work, name=f"{self.name} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, VenueRejected | VenueUnknown | VenueUnavailable):
            self.note("background", f"{task.get_name()}: {error}")
        elif error is not None:
            self.note("background", f"{task.get_name()}: {error!r}")
            self.loop.call_exception_handler(
                {"message": f"{task.get_name()} ended", "exception": error, "task": task}
            )

    async def close(self) -> None:
        """End everything and close the exchange object; safe to call twice."""
        self._closing = True
        self.streams.stop()
        self.timers.cancel_all()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.offset.stop()
        await self.exchange.close()


def _is_ccxt(error: Exception) -> bool:
    return any(base.__module__ == "ccxt.base.errors" for base in type(error).__mro__)


def _nothing(*_: str) -> None:
    return None


def _ignored(_offset_ms: int) -> None:
    return None
