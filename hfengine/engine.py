"""From a profile to a running, then flat, engine: makes the actors, wires them, ends them."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.clock import Clock, mono_ns
from hfengine.closing import Ended, flatten_alone, opening_balance, settle, summary_of
from hfengine.config import Profile
from hfengine.errors import VenueUnavailable, VenueUnknown
from hfengine.halts import ended_by
from hfengine.kernels.door import Door
from hfengine.limits import START_PAUSE_S, START_TRIES_MAX
from hfengine.messages import (
    ActorDied,
    BalanceChanged,
    BookTick,
    EngineState,
    Flatten,
    FlattenDone,
    Halt,
    Message,
    Report,
    Resume,
    Start,
)
from hfengine.oversight import Keep, Recovered
from hfengine.rehearsal import Rehearsal
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.ids import short_name
from hfengine.runtime.loops import collect_when_idle, quiet_collector
from hfengine.runtime.ref import LoopRef
from hfengine.runtime.stages import Stages
from hfengine.runtime.threads import assert_no_compute_threads
from hfengine.runtime.waiting import wait_s
from hfengine.seeds import Numbers, OrderIds, session_id
from hfengine.session_log import SessionLog
from hfengine.state.port import NullStore, Store
from hfengine.summary import Summary
from hfengine.surroundings import Surroundings
from hfengine.topology import ACTORS, HEARERS
from hfengine.venues.port import Venue

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RESTING = ("gtc", "post_only")
OPERATOR = "operator"
"""A Resume of this source clears every halt."""
COLLECT_ALL_S = 60

Observer = Callable[[Mapping[str, Any]], None]


class Memory(NamedTuple):
    """What an account remembers from earlier runs, and where this one's state is kept."""

    account: str = ""
    store: Store = NullStore()
    recalled: Mapping[str, bytes] = MappingProxyType({})
    recovered: Recovered | None = None


NO_MEMORY: Final = Memory()


class Attachment(Protocol):
    """Something that runs beside the actors on the engine's loop: the control server."""

    async def begin(self, engine: "Engine") -> None:
        """Start; the actors run already, the venue's truth is not read yet."""

    async def end(self) -> None:
        """Stop; the actors still run."""


class Engine:
    """One run of one profile in its surroundings."""

    def __init__(
        self,
        profile: Profile,
        surroundings: Surroundings,
        *,
        duration_s: float | None = None,
        observer: Observer | None = None,
        observe_every_s: float = 0.5,
        attachments: Sequence["Attachment"] = (),
        memory: Memory = NO_MEMORY,
    ) -> None:
        self._profile = profile
        self._settings = settings = profile.settings
        self._duration_s = duration_s
        self._observer = observer
        self._observe_every_s = observe_every_s
        self._clock = surroundings.clock
        self._loop = surroundings.loop
        self._venue = surroundings.venue
        self._instruments = surroundings.instruments
        self._outruns_disk = surroundings.outruns_disk
        self._make_rehearsed = surroundings.rehearse
        self._cores = surroundings.cores
        self._waiting = ""
        self._rehearsal: Rehearsal | None = None
        self._dialect = surroundings.dialect
        self._dialects = surroundings.dialects
        self._close_venue = surroundings.close
        self._health = surroundings.health
        self._vitals = surroundings.vitals
        self._asks_for_books = surroundings.asks_for_books
        self._start_ns = self._clock.now_ns()
        self._session = session_id(profile.config_hash, settings.seed, self._start_ns)
        self._stages = surroundings.stages
        self._host = surroundings.host or ActorHost(self._loop, self._clock)
        self._routes = self._host.routes
        self._log = SessionLog(profile, self._host)
        self._refs: dict[str, LoopRef[Any]] = {}
        self._halts: dict[str, str] = {}
        self._down: set[str] = set()
        self._reports: dict[str, dict[str, Any]] = {}
        self._ending: asyncio.Future[str] = self._loop.create_future()
        self._begun = False
        """Whether the actors were told to start."""
        self._draining = ""
        self._flattening: list[asyncio.Future[FlattenDone | None]] = []
        self._attachments = attachments
        self._memory = memory
        self._recovered = memory.recovered
        self._recalled = dict(memory.recalled)

    @property
    def session(self) -> str:
        """The name of this run, which its client order ids carry."""
        return self._session

    @property
    def profile(self) -> Profile:
        """What it runs."""
        return self._profile

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop everything runs on."""
        return self._loop

    @property
    def clock(self) -> Clock:
        """The engine's time."""
        return self._clock

    @property
    def venue(self) -> Venue:
        """Where it trades; for reading."""
        return self._venue

    @property
    def stages(self) -> Stages:
        """The latencies of this run, stage by stage."""
        return self._stages

    def stop(self, reason: str) -> None:
        """Begin the end: cancel, close reduce-only, read back flat. Safe to call twice."""
        if not self._ending.done():
            self._ending.set_result(reason)

    def run(self) -> Summary:
        """Run until the feed, the duration or an interrupt ends it; return the summary."""
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            with quiet_collector(), self._cores as self._waiting:
                return loop.run_until_complete(self._main())
        except BaseException:
            self._abandon()
            raise
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    def _abandon(self) -> None:
        """Let what was under way end: actors stop, the journal closes as crashed."""
        loop = self._loop
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    async def _main(self) -> Summary:
        loop, venue = self._loop, self._venue
        for number in SIGNALS:
            loop.add_signal_handler(number, self._interrupt, number)
        self._log.open(
            self._session,
            self._clock.now_ns(),
            instruments=self._instruments,
            account=self._memory.account,
            recalled=self._recalled,
            on_fault=self._journal_failed,
            outruns_disk=self._outruns_disk,
        )
        self._start_actors()
        assert_no_compute_threads()
        self._keep_house(1)
        watching = loop.create_task(self._watch())
        watching.add_done_callback(self._watched)
        try:
            await self.view()
            venue.connect(self._market, self._deliver_account, self.stop)
            self._rehearse()
            for attachment in self._attachments:
                await attachment.begin(self)
            before = await self._first_reading()
            earlier_usdt = self._wiring.tally.net_usdt
            started_ns = mono_ns()
            if self._recovered is not None:
                self.publish(self._recovered)
            self._begun = True
            self.publish(Start(self._clock.now_ns()))
            if self._duration_s is not None:
                loop.call_later(self._duration_s, self.stop, "the duration is over")
            reason = await self._ending
            wall_s = (mono_ns() - started_ns) / 1e9
            done = await self._drain(reason)
            after, unread = await settle(venue, self._fills_heard, self._pause)
            if after is None:
                reason, after = f"{reason}; the account was not read at the end: {unread}", before
            frames = self._stages.decode.count - venue.derived_marks
            engine_s = (self._clock.now_ns() - self._start_ns) / 1e9
            deaths = self._host.supervisor.died_count
            summary = await self._summarise(
                Ended(reason, done, earlier_usdt, before, after, frames, wall_s, engine_s, deaths)
            )
        except Exception:
            # fail closed: whatever broke, no position stays open behind it; what an earlier run
            # left is not touched before it was even read, it has its stops at the venue
            if self._begun:
                await flatten_alone(self._wiring, self._clock)
            raise
        finally:
            watching.cancel()
            for number in SIGNALS:
                # a loop that is closed would leave them deaf for whatever comes after
                loop.remove_signal_handler(number)
            try:
                venue.stop()
                for attachment in reversed(self._attachments):
                    await attachment.end()
                await self._end_actors()
                if self._close_venue is not None:
                    await self._close_venue()
            finally:
                self._log.abandon()
        return summary

    async def _first_reading(self) -> BalanceChanged:
        """Hear what happened while no engine ran; return the account that the run starts from.

        A venue that is away is waited for: nothing is begun, what is open has its stops there.
        """
        tries = 1
        while True:
            try:
                return await opening_balance(self._venue)
            except (VenueUnknown, VenueUnavailable):
                if tries == START_TRIES_MAX or self._ending.done():
                    raise
            tries += 1
            await self._pause(START_PAUSE_S)

    async def _end_actors(self) -> None:
        try:
            if self._rehearsal is not None:
                await self._rehearsal.end()
        finally:
            await self._host.shutdown()

    def _rehearse(self) -> None:
        """Begin to keep the path warm, where the surroundings say how and the profile wants it."""
        if self._make_rehearsed is None or not self._settings.runtime.warm_every_ms:
            return
        self._rehearsal = Rehearsal(self._wiring, self._host, self._make_rehearsed)
        self._rehearsal.begin()

    def publish(self, message: Message) -> None:
        """Publish what comes from outside the actors: the engine's own and an operator's."""
        recorder = self._host.recorder
        if recorder is not None:
            recorder.published(message)
        self._routes.publish(message)

    def _interrupt(self, number: int) -> None:
        self._loop.remove_signal_handler(number)
        self.stop("interrupted")

    def _keep_house(self, second: int) -> None:
        """Every second: see that the journal is being written; collect cycles while idle."""
        self._log.look()
        if self._vitals is not None and self._begun:
            for health in self._vitals():
                self.publish(health)
        collect_when_idle(self._host.idle, generation=0 if second % COLLECT_ALL_S else 2)
        self._loop.call_later(1.0, self._keep_house, second + 1)

    def _journal_failed(self, reason: str) -> None:
        # called on whichever thread found it; the risk gate already refuses by itself
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._halt, "journal", reason)

    def _halt(self, source: str, reason: str) -> None:
        self.publish(Halt(self._clock.now_ns(), source, reason))

    def _start_actors(self) -> None:
        self._wiring = wiring = Wiring(
            settings=self._settings,
            instruments=self._instruments,
            venue=self._venue,
            stages=self._stages,
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds(self._session),
            journal_ok=self._log.probe,
            tally=Tally(),
            pause=self._pause,
            day=DayResult(),
            heard_fills=set(),
            dialect=self._dialect,
            dialects=self._dialects,
            asks_for_books=self._asks_for_books,
            account=self._memory.account,
            recalled=self._recalled,
            store=self._memory.store,
        )
        for name, actor in ACTORS.items():
            self._refs[name] = ref = actor.start(wiring)
            self._host.supervisor.restart_with(ref, partial(self._restart, name, wiring))
        rests = self._settings.entries.kind in RESTING
        for message, hearers in HEARERS.items():
            # the newest quote is what a resting entry is moved after; others pay nothing for it
            more = ("execution",) if rests and message is BookTick else ()
            self._routes.wire(message, *(self._refs[name] for name in (*hearers, *more)))
        self._routes.tap(self._hear, Keep, Halt, Resume, FlattenDone)

        self._market = Door(self._refs["market_data"].actor_inbox, self._stages.frame)
        self._host.supervisor.on_death(self._died)

    def _restart(self, name: str, wiring: Wiring) -> LoopRef[Any]:
        alive = self._refs[name] = ACTORS[name].start(wiring)
        self._market.box = self._refs["market_data"].actor_inbox
        self._down.discard(name)
        self._loop.call_soon(self._restarted)
        return alive

    def _restarted(self) -> None:
        # a new risk actor knows neither the halts in force nor the account
        for source, reason in self._halts.items():
            self.publish(Halt(self._clock.now_ns(), source, reason))
        self.publish(Start(self._clock.now_ns(), again=True))
        if self._draining:
            self.publish(Flatten(self._clock.now_ns(), self._draining))

    def _died(self, name: str, error: BaseException, at_ns: int) -> None:
        """Halt entries at any actor's death; end the run if it cannot be restarted."""
        self.publish(ActorDied(at_ns, name, repr(error)))
        self._halt("supervisor", f"{name} died: {error!r}")
        room = next(n for n, ref in self._refs.items() if short_name(ref.actor_urn) == name)
        self._down.add(room)
        self._loop.call_soon(self._check_down)

    def _check_down(self) -> None:
        if self._down:
            self.stop(f"fatal: {', '.join(sorted(self._down))} stays down")
        if "execution" in self._down:
            self._flattened(None)

    def _hear(self, message: Message) -> None:
        match message:
            case Keep():
                self._recalled[message.key] = message.body
            case Halt():
                self._halts[message.source] = message.reason
            case Resume(source=source):
                for halt in ended_by(source, self._halts):
                    del self._halts[halt]
            case FlattenDone():
                self._flattened(message)

    def _deliver_account(self, message: Message) -> None:
        # what a dead execution misses it reads again when it is restarted
        recorder = self._host.recorder
        if recorder is not None:
            recorder.told("execution", message)
        self._refs["execution"].actor_inbox.deliver(message)

    async def _watch(self) -> None:
        """Show the run to an observer, at a steady pace of engine time."""
        observer = self._observer
        while observer is not None:
            await self._pause(self._observe_every_s)
            observer(await self.view())

    def _watched(self, watching: asyncio.Task[None]) -> None:
        if not watching.cancelled() and watching.exception() is not None:
            self._observer = None
            self.stop(f"the live view failed: {watching.exception()!r}")

    async def _pause(self, seconds: float) -> None:
        await wait_s(self._loop, seconds)

    async def _ask(self, name: str) -> dict[str, Any]:
        if name not in self._down:
            self._reports[name] = await self._refs[name].ask(Report(), block=False)
        return self._reports[name]

    async def view(self) -> dict[str, Any]:
        """Return what there is to see now: every actor's report and the stage latencies."""
        seen = {name: await self._ask(name) for name in ACTORS}
        return seen | {
            "now_ns": self._clock.now_ns(),
            "stages": self._stages.quantiles(),
            "session": self._session,
            "waiting": self._waiting,
            "rehearsals": self._rehearsal.walks if self._rehearsal is not None else 0,
            "rehearsal_fault": self._rehearsal.fault if self._rehearsal is not None else "",
            "venues": self._health() if self._health is not None else {},
        }

    async def written(self) -> str:
        """Wait until a kill cannot take what was published; return "", or why it still could."""
        return await self._log.written()

    async def flatten_now(self, reason: str, by: str) -> FlattenDone:
        """Close everything and stay up, halted as `operator`; return what the venue says."""
        self.publish(Halt(self._clock.now_ns(), OPERATOR, f"{by}: {reason}"))
        done = await self._flat(reason) or await flatten_alone(self._wiring, self._clock)
        if not self._draining:
            # the halt of the flatten ends with it; the operator's stays until resumed
            self.publish(Resume(self._clock.now_ns(), "flatten"))
        return done

    async def _flat(self, reason: str) -> FlattenDone | None:
        """Ask execution to flatten; None where it cannot."""
        if "execution" in self._down:
            return None
        waiting: asyncio.Future[FlattenDone | None] = self._loop.create_future()
        self._flattening.append(waiting)
        self.publish(Flatten(self._clock.now_ns(), reason))
        return await waiting

    def _flattened(self, done: FlattenDone | None) -> None:
        for waiting in self._flattening:
            if not waiting.done():
                waiting.set_result(done)
        self._flattening.clear()

    async def _drain(self, reason: str) -> FlattenDone:
        self.publish(EngineState(self._clock.now_ns(), "draining", reason))
        self._draining = reason
        done = await self._flat(reason) or await flatten_alone(self._wiring, self._clock)
        state: Any = "flat" if done.flat else "not_flat"
        self.publish(EngineState(self._clock.now_ns(), state, done.detail))
        return done

    async def _fills_heard(self) -> int:
        fills: int = (await self._ask("execution"))["fills"]
        return fills

    async def _summarise(self, ended: Ended) -> Summary:
        seen = await self.view()
        if self._observer is not None:
            self._observer(seen)
        self.publish(EngineState(self._clock.now_ns(), "ended", ended.reason))
        return summary_of(self._profile, seen, ended, self._log.end())
