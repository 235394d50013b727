"""Keep the hot path warm: walk it while nothing else happens, on a market and account of its own.

An order is rare, so by the time one is wanted its code has left the caches: on a sleeping virtual
machine the same frame costs twice as much after 2 ms of silence as after 1 ms, and ten times as
much after 10 ms. A rehearsal is a second system of the same actors with a book, positions and an
order entry that belong to nobody. It is fed one frame a millisecond, which becomes an order that
is handed to a sink: the code is the same to the last byte, and nothing of it reaches the venue,
the journal or the real actors.
"""

from collections.abc import Callable
from dataclasses import replace as with_changes
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import replace

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.instruments import Instrument
from hfengine.kernels.histogram import now_ns
from hfengine.messages import Frame, Start
from hfengine.runtime.hosts import ActorHost, another_host
from hfengine.runtime.stages import Stages
from hfengine.runtime.ticks import Ticks
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Entries, Recovery, Settings
from hfengine.state.port import NullStore
from hfengine.symbols import plain_symbol
from hfengine.topology import ACTORS, HEARERS
from hfengine.venues.rehearsed import RehearsedVenue

CAST: Final = ("risk", "execution", "signals", "market_data")
"""The actors between a frame and its order."""

LEVELS: Final = 7
BUSY_NS: Final = 100_000
"""A real frame so recent keeps the path warm itself, and another may be on its way: one that comes
during a walk waits for its end, some 20 us."""

QUIET_S: Final = 86_400.0
"""Nothing is there to be reconciled."""

MakeVenue = Callable[[], RehearsedVenue]


def rehearsed_settings(settings: Settings) -> Settings:
    """Return a profile of one symbol in which every frame is a signal that pays its fees."""
    signals = replace(
        settings.signals,
        cooldown_s=1e-9,
        confidence_min=0.0,
        drift_min=1e-9,
        disagreement_max=1.0,
        flow_move_bps=200.0,
        warmup=2,
        drift_file="",
        cross_with="",
    )
    return replace(
        settings,
        symbols=settings.symbols[:1],
        signals=signals,
        entries=Entries(),
        recovery=Recovery(reconcile_s=QUIET_S),
    )


class PressingFrames:
    """Bybit `orderbook.50` frames in which the best bid grows: a snapshot, then deltas."""

    def __init__(self, instrument: Instrument) -> None:
        tick, step = instrument.price_tick, instrument.quantity_step
        symbol = plain_symbol(instrument.symbol)
        least = 10 * instrument.notional_min_usdt / instrument.quantity_min
        self._best = best = least // tick * tick
        self._update_id = 1_000
        quantity = 1_000 * step
        bids = [f'["{best - n * tick}","{quantity}"]' for n in range(LEVELS)]
        asks = [f'["{best + (n + 1) * tick}","{quantity}"]' for n in range(LEVELS)]
        self._step = step
        head = f'{{"topic":"orderbook.50.{symbol}","type":"%s","ts":%d,"data":{{'
        rest = f'"s":"{symbol}","b":[["{best}","%s"],{",".join(bids[1:])}],"a":['
        tail = f'{",".join(asks)}],"u":%d,"seq":%d}},"cts":%d}}'
        self._form = head + rest + tail

    def next(self, now_ms: int) -> bytes:
        """Return the next frame of the chain; the first one is the snapshot."""
        self._update_id += 1
        number = self._update_id
        kind = "snapshot" if number == 1_001 else "delta"
        grown: Decimal = self._step * number
        return (self._form % (kind, now_ms, grown, number, number, now_ms)).encode()


class Rehearsal:
    """A second system of the hot actors on the same loop. Made on the loop's thread."""

    def __init__(
        self,
        wiring: Wiring,
        host: ActorHost,
        make_venue: MakeVenue,
    ) -> None:
        settings = rehearsed_settings(wiring.settings)
        symbol = settings.symbols[0]
        self._symbol = symbol
        self._clock = host.clock
        self._real = wiring.stages
        self._ticks = Ticks(
            host.loop, wiring.settings.runtime.warm_every_ms / 1e3, self._walk_when_idle
        )
        self._frames = PressingFrames(wiring.instruments[symbol])
        self._venue = make_venue()
        self.stages = Stages()
        self._fault = ""
        shadow = with_changes(
            wiring,
            settings=settings,
            venue=self._venue,
            stages=self.stages,
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds("rehearsal"),
            journal_ok=_always,
            tally=Tally(),
            day=DayResult(),
            heard_fills=set(),
            dialect="bybit",
            dialects={},
            asks_for_books=False,
            account="",
            recalled={},
            store=NullStore(),
        )
        with another_host(host.loop, host.clock, system="rehearsal") as mine:
            self._host = mine
            refs = {name: ACTORS[name].start(shadow) for name in ACTORS if name in CAST}
        for message, hearers in HEARERS.items():
            mine.routes.wire(message, *(refs[name] for name in hearers if name in refs))
        mine.supervisor.restarts = False
        mine.supervisor.on_death(self._died)
        self._market = refs["market_data"].actor_inbox
        self._venue.connect(_unheard, refs["execution"].actor_inbox.deliver, _unheard)

    @property
    def walks(self) -> int:
        """Return how many orders were rehearsed."""
        return self._venue.sink.frames

    @property
    def fault(self) -> str:
        """Return why the path, or its end in the system's network code, grows cold; "" if not."""
        loopback = self._venue.sink.loopback
        return self._fault or ("" if loopback is None else loopback.fault)

    def begin(self) -> None:
        """Walk the path at its interval until `end`."""
        self._host.routes.publish(Start(self._clock.now_ns()))
        self._ticks.begin()

    async def end(self) -> None:
        """Stop walking, stop the actors, close what their orders went through."""
        self._ticks.end()
        await self._host.shutdown()
        self._venue.stop()

    def _walk_when_idle(self) -> None:
        if now_ns() - self._real.frame_at_ns > BUSY_NS:
            self.walk()

    def walk(self) -> None:
        """Feed one frame; its order goes into the sink and is answered."""
        at_ns = self._clock.now_ns()
        payload = self._frames.next(at_ns // 1_000_000)
        self._market.deliver(Frame(self._symbol, at_ns, payload, "rehearsal"))
        self._venue.answer()

    def _died(self, name: str, error: BaseException, _at_ns: int) -> None:
        """Rehearse no more: the path grows cold, nothing else changes (class: degraded)."""
        self._fault = f"{name} died: {error!r}"
        self._ticks.end()


def _always() -> bool:
    return True


def _unheard(_anything: Any) -> None:
    """Take what nobody needs to hear."""
