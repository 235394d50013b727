"""From a profile to a running, then flat, engine: makes the actors, wires them, ends them."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hfengine import __version__
from hfengine.actors.flattening import flatten
from hfengine.actors.orders import reducing_request
from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.clock import mono_ns
from hfengine.config import Profile
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.journal import Journal, JournalLimits
from hfengine.kernels.histogram import now_ns
from hfengine.messages import (
    ActorDied,
    BalanceChanged,
    BookTick,
    EngineState,
    Flatten,
    FlattenDone,
    Halt,
    MarkTick,
    Message,
    PositionChanged,
    Report,
    Start,
    TradeTick,
)
from hfengine.rehearsal import Rehearsal
from hfengine.requests import OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.ids import short_name
from hfengine.runtime.loops import collect_when_idle, quiet_collector
from hfengine.runtime.ref import LoopRef
from hfengine.runtime.stages import Stages
from hfengine.runtime.threads import assert_no_compute_threads
from hfengine.seeds import Numbers, OrderIds, session_id
from hfengine.summary import BookChecks, JournalSummary, Summary, plain
from hfengine.surroundings import Surroundings
from hfengine.topology import ACTORS, HEARERS

TICKS = (BookTick, TradeTick, MarkTick)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SETTLE_ROUNDS = 50
SETTLE_PAUSE_S = 0.02
COLLECT_ALL_S = 60
REPLAY_WAIT_S = 10.0
"""How long a run at full speed waits for the disk it outruns."""

Observer = Callable[[Mapping[str, Any]], None]


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
        self._spins = surroundings.spins
        self._rehearsal: Rehearsal | None = None
        self._dialect = surroundings.dialect
        self._dialects = surroundings.dialects
        self._close_venue = surroundings.close
        self._health = surroundings.health
        self._asks_for_books = surroundings.asks_for_books
        self._start_ns = self._clock.now_ns()
        self._session = session_id(profile.config_hash, settings.seed, self._start_ns)
        self._stages = surroundings.stages
        self._journal: Journal | None = None
        self._host = surroundings.host or ActorHost(self._loop, self._clock)
        self._routes = self._host.routes
        self._refs: dict[str, LoopRef[Any]] = {}
        self._halts: dict[str, str] = {}
        self._down: set[str] = set()
        self._reports: dict[str, dict[str, Any]] = {}
        self._ending: asyncio.Future[str] = self._loop.create_future()
        self._draining = ""
        self._flattened: asyncio.Future[FlattenDone | None] = self._loop.create_future()

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
            with quiet_collector():
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
        self._open_journal()
        self._start_actors()
        assert_no_compute_threads()
        self._keep_house(1)
        watching = loop.create_task(self._watch())
        watching.add_done_callback(self._watched)
        try:
            await self.view()
            venue.connect(self._deliver_market, self._deliver_account, self.stop)
            self._rehearse()
            before = await venue.balance()
            started_ns = mono_ns()
            self._routes.publish(Start(self._clock.now_ns()))
            if self._duration_s is not None:
                loop.call_later(self._duration_s, self.stop, "the duration is over")
            reason = await self._ending
            wall_s = (mono_ns() - started_ns) / 1e9
            done = await self._drain(reason)
            after, unread = await self._settle()
            if after is None:
                reason, after = f"{reason}; the account was not read at the end: {unread}", before
            summary = await self._summarise(reason, done, before, after, wall_s)
        except Exception:
            # fail closed: whatever broke, no position stays open behind it
            await self._flatten_alone()
            raise
        finally:
            watching.cancel()
            for number in SIGNALS:
                # a loop that is closed would leave them deaf for whatever comes after
                loop.remove_signal_handler(number)
            try:
                venue.stop()
                await self._end_actors()
                if self._close_venue is not None:
                    await self._close_venue()
            finally:
                if self._journal is not None:
                    self._journal.close("crashed")
        return summary

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
        self._rehearsal = Rehearsal(
            self._wiring, self._host, self._make_rehearsed, spins=self._spins
        )
        self._rehearsal.begin()

    def _interrupt(self, number: int) -> None:
        self._loop.remove_signal_handler(number)
        self.stop("interrupted")

    def _open_journal(self) -> None:
        settings = self._settings.journal
        if not settings.enabled:
            return
        journal = Journal.create(
            Path(settings.directory),
            session=self._session,
            config_hash=self._profile.config_hash,
            version=__version__,
            started_ns=self._clock.now_ns(),
            on_fault=self._journal_failed,
            limits=JournalLimits(stall_wait_s=REPLAY_WAIT_S if self._outruns_disk else 0.0),
        )
        self._journal = journal
        self._routes.tap(journal.note if settings.market_data == "ticks" else self._record_no_ticks)
        self._host.settled = journal.settle

    def _keep_house(self, second: int) -> None:
        """Every second: see that the journal is being written; collect cycles while idle."""
        if self._journal is not None:
            self._journal.flush()
            self._journal.check(now_ns())
        collect_when_idle(self._host.idle, generation=0 if second % COLLECT_ALL_S else 2)
        self._loop.call_later(1.0, self._keep_house, second + 1)

    def _record_no_ticks(self, message: Message) -> None:
        if self._journal is not None and type(message) not in TICKS:
            self._journal.note(message)

    def _journal_failed(self, reason: str) -> None:
        # called on whichever thread found it; the risk gate already refuses by itself
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._halt, "journal", reason)

    def _halt(self, source: str, reason: str) -> None:
        self._halts[source] = reason
        self._routes.publish(Halt(self._clock.now_ns(), source, reason))

    def _start_actors(self) -> None:
        self._wiring = wiring = Wiring(
            settings=self._settings,
            instruments=self._instruments,
            venue=self._venue,
            stages=self._stages,
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds(self._session),
            journal_ok=_unlogged if self._journal is None else self._journal.is_ok,
            tally=Tally(),
            pause=self._pause,
            day=DayResult(),
            heard_fills=set(),
            dialect=self._dialect,
            dialects=self._dialects,
            asks_for_books=self._asks_for_books,
        )
        for name, actor in ACTORS.items():
            self._refs[name] = ref = actor.start(wiring)
            self._host.supervisor.restart_with(ref, partial(self._restart, name, wiring))
        for message, hearers in HEARERS.items():
            self._routes.wire(message, *(self._refs[name] for name in hearers))
        self._routes.tap(self._hear)

        self._market = self._refs["market_data"].actor_inbox
        self._host.supervisor.on_death(self._died)

    def _restart(self, name: str, wiring: Wiring) -> LoopRef[Any]:
        alive = self._refs[name] = ACTORS[name].start(wiring)
        self._market = self._refs["market_data"].actor_inbox
        self._down.discard(name)
        self._loop.call_soon(self._restarted)
        return alive

    def _restarted(self) -> None:
        # a new risk actor knows neither the halts in force nor the account
        for source, reason in self._halts.items():
            self._routes.publish(Halt(self._clock.now_ns(), source, reason))
        self._routes.publish(Start(self._clock.now_ns(), again=True))
        if self._draining:
            self._routes.publish(Flatten(self._clock.now_ns(), self._draining))

    def _died(self, name: str, error: BaseException, at_ns: int) -> None:
        """Halt entries at any actor's death; end the run if it cannot be restarted."""
        self._routes.publish(ActorDied(at_ns, name, repr(error)))
        self._halt("supervisor", f"{name} died: {error!r}")
        room = next(n for n, ref in self._refs.items() if short_name(ref.actor_urn) == name)
        self._down.add(room)
        self._loop.call_soon(self._check_down)

    def _check_down(self) -> None:
        if self._down:
            self.stop(f"fatal: {', '.join(sorted(self._down))} stays down")
        if "execution" in self._down and not self._flattened.done():
            self._flattened.set_result(None)

    def _hear(self, message: Message) -> None:
        if type(message) is FlattenDone and not self._flattened.done():
            self._flattened.set_result(message)

    def _deliver_market(self, message: Message) -> None:
        started_ns = now_ns()
        self._market.deliver(message)
        self._stages.frame.record(now_ns() - started_ns)

    def _deliver_account(self, message: Message) -> None:
        # what a dead execution misses it reads again when it is restarted
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
        woken = self._loop.create_future()
        timer = self._loop.call_later(seconds, woken.set_result, None)
        try:
            await woken
        finally:
            # a wait that was cancelled has nobody to wake
            timer.cancel()

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
            "rehearsals": self._rehearsal.walks if self._rehearsal is not None else 0,
            "rehearsal_fault": self._rehearsal.fault if self._rehearsal is not None else "",
            "venues": self._health() if self._health is not None else {},
        }

    async def _drain(self, reason: str) -> FlattenDone:
        publish = self._routes.publish
        publish(EngineState(self._clock.now_ns(), "draining", reason))
        self._draining = reason
        publish(Flatten(self._clock.now_ns(), reason))
        done = await self._flattened or await self._flatten_alone()
        state: Any = "flat" if done.flat else "not_flat"
        publish(EngineState(self._clock.now_ns(), state, done.detail))
        return done

    async def _flatten_alone(self) -> FlattenDone:
        """Flatten without the execution actor; its ids go on from that actor's."""
        ids, numbers = self._wiring.order_ids, self._wiring.intents

        def closing_order(position: PositionChanged) -> OrderRequest:
            client_id = ids.client_id(numbers.draw(), "f")
            return reducing_request(client_id, position.symbol, position.side, position.quantity)

        flat, rounds, detail = await flatten(
            self._venue, self._settings.symbols, closing_order, self._pause
        )
        return FlattenDone(self._clock.now_ns(), flat, rounds, detail)

    async def _settle(self) -> tuple[BalanceChanged | None, str]:
        """Wait until every fill the venue has is counted here; return the account.

        None, and why, where the venue does not say: what was open has been dealt with by then.
        """
        try:
            for _ in range(SETTLE_ROUNDS):
                known = await self._venue.fills()
                heard = (await self._ask("execution"))["fills"]
                if heard == len(known):
                    break
                await self._pause(SETTLE_PAUSE_S)
            return await self._venue.balance(), ""
        except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
            return None, str(error)

    async def _summarise(
        self,
        reason: str,
        done: FlattenDone,
        before: BalanceChanged,
        after: BalanceChanged,
        wall_s: float,
    ) -> Summary:
        seen = await self.view()
        if self._observer is not None:
            self._observer(seen)
        market, told = seen["market_data"], seen["telemetry"]
        counts = told["counts"]
        frames = self._stages.decode.count - self._venue.derived_marks
        net = told["gross_usdt"] - told["fees_usdt"] - told["funding_usdt"]
        engine_s = (self._clock.now_ns() - self._start_ns) / 1e9
        state = "ended" if done.flat else "not_flat"
        self._routes.publish(EngineState(self._clock.now_ns(), "ended", reason))
        return Summary(
            state="halted" if done.flat and told["halts"] else state,
            flat=done.flat,
            reason=reason if done.flat else f"{reason}; not flat: {done.detail}",
            session=self._session,
            profile=self._profile.name,
            fee_gate=self._settings.fees.gate,
            seed=self._settings.seed,
            frames=frames,
            frames_per_s=frames / wall_s if wall_s > 0.0 else 0.0,
            engine_s=engine_s,
            wall_s=wall_s,
            book_checks=BookChecks(market["matched"], market["mismatched"]),
            ever_synced=market["ever_synced"],
            feed_faults=market["faults"],
            fault_lines=market["fault_lines"],
            signals=seen["signals"]["signals"],
            entries=seen["risk"]["entries"],
            refusals=told["refusals"],
            fee_warnings=told["fee_warnings"],
            leverage_proofs=counts.get("LeverageProof", 0),
            leverage={symbol: proof.got for symbol, proof in told["proofs"].items()},
            leverage_mismatches=told["leverage_mismatches"],
            brackets=counts.get("OpenBracket", 0),
            fills=counts.get("Fill", 0),
            fill_causes=told["fill_causes"],
            orders_rejected=counts.get("orders_rejected", 0),
            rebalances=seen["rebalancer"]["rebalances"],
            uncovered_max_ms=seen["guardian"]["uncovered_max_ms"],
            gross_usdt=plain(told["gross_usdt"]),
            fees_usdt=plain(told["fees_usdt"]),
            funding_usdt=plain(told["funding_usdt"]),
            net_usdt=plain(net),
            wallet_usdt=plain(after.wallet_usdt),
            ledger_difference_usdt=plain(net - (after.wallet_usdt - before.wallet_usdt)),
            actor_deaths=self._host.supervisor.died_count,
            rehearsals=seen["rehearsals"],
            rehearsal_fault=seen["rehearsal_fault"],
            venues=seen["venues"],
            journal=self._close_journal(),
            latency_ns=seen["stages"],
        )

    def _close_journal(self) -> JournalSummary | None:
        journal = self._journal
        if journal is None:
            return None
        journal.close("ended")
        return JournalSummary(str(journal.path), journal.hash, journal.records)


def _unlogged() -> bool:
    return True
