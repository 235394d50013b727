"""A rehearsal walks the path to the last byte and leaves no trace in the real system."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.clock import VirtualClock
from hfengine.instruments import load_catalogue
from hfengine.kernels.histogram import now_ns
from hfengine.messages import BookTick, Frame
from hfengine.rehearsal import Rehearsal, rehearsed_settings
from hfengine.runtime.hosts import ActorHost, current_host
from hfengine.runtime.stages import Stages
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Runtime, Settings
from hfengine.settings import Venue as VenueSettings
from hfengine.venues.rehearsed import RehearsedVenue, rehearsed_bybit
from tests.rig import T0_NS


class Stage:
    """A real host with nothing on it, and a rehearsal beside it."""

    def __init__(self, **runtime: Any) -> None:
        self.clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(self.clock)
        asyncio.set_event_loop(self.loop)
        self.host = ActorHost(self.loop, self.clock)
        self.published: list[object] = []
        self.host.routes.wire(BookTick)
        self.host.routes.tap(self.published.append)
        instrument = load_catalogue("bybit").find("BTCUSDT")
        self.instruments = {"BTCUSDT": instrument}
        self.wiring = Wiring(
            settings=Settings(
                symbols=("BTCUSDT", "ETHUSDT"),
                venue=VenueSettings(catalogue="bybit"),
                runtime=Runtime(**runtime),
            ),
            instruments=self.instruments,
            venue=self.venue(),
            stages=Stages(),
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds("real"),
            journal_ok=lambda: True,
            pause=self.pause,
            tally=Tally(),
            day=DayResult(),
            heard_fills=set(),
        )
        self.wiring.stages.frame_at_ns = 0

    def venue(self) -> RehearsedVenue:
        return rehearsed_bybit(self.instruments, self.clock, self.loop)

    async def pause(self, seconds: float) -> None:
        woken = self.loop.create_future()
        self.loop.call_later(seconds, woken.set_result, None)
        await woken

    def rehearse(self) -> Rehearsal:
        return Rehearsal(self.wiring, self.host, self.venue)

    def run(self, seconds: float) -> None:
        self.loop.run_until_complete(self.pause(seconds))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    asyncio.set_event_loop(None)
    made.loop.close()


def test_every_walk_ends_in_an_order_frame(stage: Stage) -> None:
    rehearsal = stage.rehearse()
    rehearsal.begin()
    stage.run(0.1)
    # a millisecond apart; the first few only fill the layers
    assert 80 <= rehearsal.walks <= 100
    frame = json.loads(rehearsal._venue.sink.last_frame)
    order = frame["args"][0]
    assert (frame["op"], order["symbol"], order["timeInForce"]) == (
        "order.create",
        "BTCUSDT",
        "IOC",
    )
    assert order["orderLinkId"].startswith("hf-rehearsal-")
    assert float(order["stopLoss"]) < float(order["price"]) < float(order["takeProfit"])
    assert rehearsal.fault == ""
    stage.loop.run_until_complete(rehearsal.end())


def test_nothing_of_it_reaches_the_real_system(stage: Stage) -> None:
    rehearsal = stage.rehearse()
    assert current_host() is stage.host
    rehearsal.begin()
    stage.run(0.05)
    assert rehearsal.walks > 0
    assert stage.published == []
    assert not stage.host.actors
    assert stage.wiring.intents.last == stage.wiring.signals.last == 0
    assert stage.wiring.stages.quantiles() == {}
    assert not stage.wiring.heard_fills
    stage.loop.run_until_complete(rehearsal.end())


def test_it_stops_when_told(stage: Stage) -> None:
    rehearsal = stage.rehearse()
    rehearsal.begin()
    stage.run(0.02)
    stage.loop.run_until_complete(rehearsal.end())
    walked = rehearsal.walks
    stage.run(0.02)
    assert rehearsal.walks == walked > 0


def test_a_real_frame_just_now_is_not_held_up(stage: Stage) -> None:
    rehearsal = stage.rehearse()
    # in the future, so that however slow this machine is, the frame counts as recent
    stage.wiring.stages.frame_at_ns = now_ns() + 3_600_000_000_000
    rehearsal.begin()
    stage.run(0.02)
    assert rehearsal.walks == 0
    stage.loop.run_until_complete(rehearsal.end())


def test_a_death_ends_the_rehearsal_and_nothing_else(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = stage.rehearse()
    rehearsal.begin()
    stage.run(0.02)
    walked = rehearsal.walks

    def fail(_frame: Frame) -> None:
        raise ArithmeticError("planted")

    next(a for a in rehearsal._host.actors.values() if "MarketData" in a.name)._handlers[Frame] = (
        fail
    )
    stage.run(0.02)
    assert "planted" in rehearsal.fault
    assert rehearsal.walks == walked
    assert stage.published == []
    stage.loop.run_until_complete(rehearsal.end())


def test_its_profile_keeps_what_the_path_depends_on() -> None:
    settings = Settings(symbols=("ETHUSDT", "BTCUSDT"))
    rehearsed = rehearsed_settings(settings)
    assert rehearsed.symbols == ("ETHUSDT",)
    assert rehearsed.risk == settings.risk
    assert rehearsed.protection == settings.protection
    assert rehearsed.signals.cooldown_s < settings.signals.cooldown_s
    assert rehearsed.entries.kind == "ioc"
    assert rehearsed.recovery.reconcile_s >= 86_400
    same = replace(
        rehearsed,
        symbols=settings.symbols,
        signals=settings.signals,
        recovery=settings.recovery,
    )
    assert same == settings
