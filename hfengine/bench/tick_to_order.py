"""Frame in, order bytes out, through the engine as it trades: every actor, journal, histograms.

Frames are handed over as a link hands them over, orders leave through the native order entry into
a sink that notes the moment. Between two frames, outside what is timed, the order is acknowledged
and cancelled unfilled, so that the next frame may enter again.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hfengine.bench.hot_path import INTERRUPTED
from hfengine.bench.pressing import SYMBOL, pressing_book
from hfengine.bench.rounds import Quantiles, quantiles_of
from hfengine.clock import WallClock
from hfengine.config import Profile, load
from hfengine.engine import Engine
from hfengine.kernels.histogram import Histogram, now_ns
from hfengine.messages import Frame
from hfengine.runtime.cores import waiting
from hfengine.runtime.loops import new_live_loop
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed
from hfengine.summary import Summary
from hfengine.surroundings import Surroundings, instruments_of
from hfengine.venues.bybit_order_entry import BybitOrderEntry
from hfengine.venues.order_entry import Credentials, OrderEntrySettings
from hfengine.venues.port import Ended, Tell
from hfengine.venues.rehearsed import (
    BYBIT_WELCOME,
    RehearsedVenue,
    bybit_acknowledgement,
    rehearsed_bybit,
)

PROFILE: Final[dict[str, object]] = {
    "symbols": [SYMBOL],
    "venue.catalogue": "bybit",
    # every frame shall end in an order: no rest between two, and a push that pays its fees
    "signals.cooldown_s": 1e-9,
    "signals.confidence_min": 0.0,
    "signals.drift_min": 1e-9,
    "signals.flow_move_bps": 200.0,
    "signals.warmup": 2,
    "fees.gate": "strict",
    # frames are made beforehand, so their own times say nothing about their age
    "risk.data_age_max_ms": 1e12,
    "risk.spread_max_bps": 1e4,
    "leverage.wanted": 50,
}
"""How the measured profile differs from paper; every gate stands, none is skipped."""

WARM_UP = 2_000
QUIET_TURNS = 3
"""Turns of the loop after an order, for its answer to be heard."""


class SinkVenue(RehearsedVenue):
    """Market data from a list, orders into a sink."""

    def __init__(
        self,
        profile: Profile,
        loop: asyncio.AbstractEventLoop,
        clock: WallClock,
        stages: Stages,
        driving: Callable[["SinkVenue"], Coroutine[Any, Any, None]],
    ) -> None:
        orders = BybitOrderEntry(
            instruments_of(profile),
            Credentials("benchmark", b"not a secret"),
            clock=clock,
            loop=loop,
            settings=OrderEntrySettings(),
            write_ns=stages.write,
        )
        super().__init__(clock, orders, BYBIT_WELCOME, bybit_acknowledgement)
        self._driving = driving
        self._loop = loop
        self._ended: Ended | None = None
        self._task: asyncio.Task[None] | None = None

    def connect(self, market: Tell, account: Tell, ended: Ended) -> None:
        """Let the measurement drive."""
        super().connect(market, account, ended)
        self._ended = ended
        self._task = self._loop.create_task(self._driving(self))
        self._task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        assert self._ended is not None
        error = None if task.cancelled() else task.exception()
        self._ended("measured" if error is None else f"the measurement failed: {error!r}")

    def tell_market(self, payload: bytes) -> None:
        """Hand one frame over, as a link does."""
        self._market(Frame(SYMBOL, self._clock.now_ns(), payload, "bench"))

    async def settle(self) -> None:
        """Answer what was sent, and let the engine hear it."""
        self.answer()
        for _ in range(QUIET_TURNS):
            turned = self._loop.create_future()
            self._loop.call_soon(turned.set_result, None)
            await turned

    async def pause(self, seconds: float) -> None:
        """Let the loop sleep."""
        woken = self._loop.create_future()
        self._loop.call_later(seconds, woken.set_result, None)
        await woken


class TickToOrder:
    """Measures the path on frames that each end in an order.

    `frames` is the stream both sides of a comparison are given: a snapshot and deltas of one
    unbroken chain.
    """

    def __init__(self, count: int = 20_000, seed: int = 1) -> None:
        self.stream = pressing_book(Seed(seed), count)
        self.orders = 0
        self.stages: dict[str, dict[str, int]] = {}
        self.last_frame = b""

    def hot(self, count: int) -> Quantiles:
        """Return the time from frame to order bytes in ns, frames back to back."""

        async def between(_venue: SinkVenue) -> None:
            return

        return self._measure(count, between)

    def paced(self, count: int, per_s: float, *, spin: bool = False) -> Quantiles:
        """Return the same with a wait between two frames, `per_s` of them a second.

        The loop sleeps meanwhile, or spins.
        """

        async def between(venue: SinkVenue) -> None:
            await venue.pause(1.0 / per_s)

        return self._measure(count, between, spin=spin)

    def _measure(
        self,
        count: int,
        between: Callable[[SinkVenue], Coroutine[Any, Any, None]],
        *,
        spin: bool = False,
    ) -> Quantiles:
        took = Histogram()
        frames = self.stream.frames
        warm_up = min(WARM_UP, len(frames) // 4)
        count = min(count, len(frames) - warm_up)

        async def drive(venue: SinkVenue) -> None:
            for _ in range(QUIET_TURNS):
                await venue.pause(0.0)
            venue.tell_market(self.stream.snapshot)
            for payload in frames[:warm_up]:
                venue.tell_market(payload)
                await venue.settle()
            sink = venue.sink
            self.orders = -sink.frames
            for payload in frames[warm_up : warm_up + count]:
                await between(venue)
                before = sink.frames
                started_ns = now_ns()
                venue.tell_market(payload)
                if sink.frames > before:
                    took.record(sink.sent_ns - started_ns)
                await venue.settle()
            self.orders += sink.frames
            self.last_frame = sink.last_frame

        self._run(drive, spin=spin)
        return quantiles_of(took)

    def _run(
        self, drive: Callable[[SinkVenue], Coroutine[Any, Any, None]], *, spin: bool
    ) -> Summary:
        with tempfile.TemporaryDirectory(prefix="hfengine-bench-") as folder:
            changes = {**PROFILE, "journal.directory": folder}
            profile = load("paper", environment={}, dotenv=None, overrides=changes)
            loop, clock = new_live_loop(spin=spin), WallClock()
            stages, instruments = Stages(), instruments_of(profile)
            venue = SinkVenue(profile, loop, clock, stages, drive)
            surroundings = Surroundings(
                loop,
                clock,
                venue,
                instruments,
                dialect="bybit",
                rehearse=lambda: rehearsed_bybit(instruments, clock, loop),
                cores=waiting(spins=spin, latency_max_us=profile.settings.runtime.wake_latency_us),
                stages=stages,
            )
            summary = Engine(profile, surroundings).run()
        if summary.reason.startswith(INTERRUPTED):
            raise KeyboardInterrupt
        if not summary.reason.startswith("measured"):
            raise RuntimeError(summary.reason)
        self.stages = summary.latency_ns
        self.summary = summary
        return summary
