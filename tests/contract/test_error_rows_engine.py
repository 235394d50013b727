"""Rows of VENUES section 2 in which the engine acts: risk, execution and guardian over a venue.

The venue gives the error over loopback sockets; what is asserted is what the actors publish, what
the venue holds at the end, and what risk says to the next entry.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import Wiring
from hfengine.messages import (
    BalanceChanged,
    BookSync,
    Entry,
    Fill,
    Halt,
    LeverageProof,
    Message,
    OpenBracket,
    OrderEnded,
    OrderSent,
    OrderUnknown,
    PositionChanged,
    ProtectionRefused,
    ReducePosition,
    Refusal,
    Resume,
    Start,
)
from hfengine.runtime.stages import Stages
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Fees, Settings
from hfengine.topology import ACTORS, HEARERS
from hfengine.venues import venue_desk
from tests.error_desk import PATHS, ErrorDesk, erring
from tests.live_desk import SYMBOL
from tests.localvenue_desk import run_live

TWO = ("bybit", "binance")
ROOMS = ("guardian", "risk", "execution")
ENTRY_ID = "hf-rows-000001e0"
M = TypeVar("M", bound=Message)


class Trading:
    """Risk, execution and guardian at a live account; everything they publish is heard."""

    def __init__(self, at: ErrorDesk) -> None:
        self.at = at
        self.desk = desk = at.desk
        self.clock = desk.venue._clock
        self.heard: list[Message] = []
        self._signals = Numbers()
        host = desk.venue._host
        wiring = Wiring(
            settings=Settings(symbols=(SYMBOL,), fees=Fees(gate="report")),
            instruments=desk.venue.instruments,
            venue=desk.venue,
            stages=Stages(),
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds("rows"),
            journal_ok=lambda: True,
            pause=self._pause,
            tally=Tally(),
            day=DayResult(),
            heard_fills=set(),
        )
        refs = {name: ACTORS[name].start(wiring) for name in ROOMS}
        self.publish = host.routes.publish
        for message, hearers in HEARERS.items():
            host.routes.wire(message, *(refs[name] for name in hearers if name in refs))
        host.routes.tap(self.heard.append)
        self._execution = refs["execution"].actor_inbox
        desk.venue._desk.connect(self._tell)

    def _tell(self, message: Message) -> None:
        self.desk.events.append(message)
        self._execution.deliver(message)

    async def _pause(self, seconds: float) -> None:
        woken = self.desk.world.loop.create_future()
        self.desk.world.loop.call_later(seconds, woken.set_result, None)
        await woken

    def all(self, kind: type[M]) -> list[M]:
        return [message for message in self.heard if type(message) is kind]

    async def start(self) -> None:
        """Read the account and prove the leverage; the book is in order."""
        now_ns = self.clock.now_ns()
        self.publish(Start(now_ns))
        self.publish(BookSync(SYMBOL, now_ns, True, "test"))
        await self.until(LeverageProof)
        await self.until(BalanceChanged)

    async def until(self, kind: type[M], count: int = 1) -> M:
        """Wait for messages of a kind; return the newest."""
        await self.desk.until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[-1]

    def wish(self) -> None:
        """Wish for a long position now."""
        ticker, now_ns = self.desk.world.ticker(SYMBOL), self.clock.now_ns()
        bid, ask = float(ticker.bid), float(ticker.ask)
        figures = (bid, ask, ask * 1.004, 0.002, 0.9, 60.0, 5e-5, 20.0)
        self.publish(Entry(self._signals.draw(), SYMBOL, now_ns, now_ns, 1, *figures))

    async def refused(self) -> Refusal:
        """Wish again; return risk's refusal."""
        count = len(self.all(Refusal))
        self.wish()
        return await self.until(Refusal, count + 1)

    async def ended(self, outcome: str, count: int = 1) -> OrderEnded:
        ended = await self.until(OrderEnded, count)
        assert ended.outcome == outcome, ended
        return ended

    def fault(self, kind: str, call: str = "place", **answer: Any) -> None:
        self.desk.fault(kind, path=PATHS[self.at.name][call], topic="POST", **answer)

    def fills(self) -> list[Any]:
        return self.desk.world.exchange.fills("main")

    def held(self) -> Decimal:
        return sum((p.quantity for p in self.desk.world.exchange.positions("main")), Decimal(0))


@asynccontextmanager
async def trading(name: str, **changes: Any) -> AsyncIterator[Trading]:
    async with erring(name, **changes) as at:
        bench = Trading(at)
        await bench.start()
        yield bench


CODES = {"bybit": (10000, 200), "binance": (-1007, 408)}


@pytest.mark.parametrize("name", TWO)
def test_an_unknown_status_is_queried_and_the_order_that_is_there_is_adopted(name: str) -> None:
    async def scenario() -> None:
        async with trading(name) as bench:
            code, status = CODES[name]
            # done, and answered as if nobody knew
            bench.fault("error_after", code=code, message="timeout", status=status)
            bench.wish()
            unknown = await bench.until(OrderUnknown)
            assert unknown.client_id == ENTRY_ID
            refusal = await bench.refused()
            assert refusal.gate in ("order_unknown", "order_in_flight", "position_open")
            ended = await bench.ended("filled")
            assert ended.client_id == ENTRY_ID
            assert ended.filled == bench.held() > 0
            assert len(bench.all(OrderSent)) == len(bench.all(OpenBracket)) == 1
            assert bench.at.count("place", ENTRY_ID) == 1
            assert [fill.client_id for fill in bench.all(Fill)] == [ENTRY_ID]

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_an_unknown_status_of_an_order_that_is_nowhere_ends_as_not_placed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfengine.actors.order_desk.QUERY_FIRST_NS", 1_000_000)

    async def scenario() -> None:
        async with trading(name) as bench:
            code, status = CODES[name]
            bench.fault("error_before", code=code, message="timeout", status=status)
            bench.wish()
            await bench.until(OrderUnknown)
            ended = await bench.ended("not_placed")
            assert ended.filled == 0
            assert bench.fills() == []
            # the symbol is free again
            bench.wish()
            await bench.ended("filled", 2)
            assert bench.at.count("place") == 2

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_duplicate_client_id_is_our_own_order_and_is_adopted(name: str) -> None:
    async def scenario() -> None:
        async with trading(name) as bench:
            # the answer of the first is lost at a repetition: the venue knows the id already
            request = bench.desk.bracket(ENTRY_ID, stop=Decimal(0), target=Decimal(0))
            before = bench.desk.world.exchange
            bench.desk.world.act(lambda now: before.place("main", request, now))
            bench.wish()
            unknown = await bench.until(OrderUnknown)
            assert "duplicate_client_id" in unknown.detail
            ended = await bench.ended("filled")
            assert (ended.client_id, ended.filled) == (ENTRY_ID, request.quantity)
            assert len(bench.fills()) >= 1
            assert bench.fills()[0].quantity == request.quantity

    run_live(scenario)


MARGIN = {"bybit": (110007, 200), "binance": (-2019, 400)}


@pytest.mark.parametrize("name", TWO)
def test_missing_margin_ends_the_entry_and_the_balance_is_read(name: str) -> None:
    async def scenario() -> None:
        async with trading(name) as bench:
            code, status = MARGIN[name]
            rounds = bench.desk.venue.health["reconciliations"]
            bench.fault("error_before", code=code, message="no margin", status=status)
            bench.wish()
            ended = await bench.ended("rejected")
            assert "insufficient_margin" in ended.reason
            assert bench.at.count("place") == 1
            assert bench.all(OrderUnknown) == bench.all(Halt) == []
            await bench.desk.until(lambda: bench.desk.venue.health["reconciliations"] > rounds)
            assert bench.fills() == []

    run_live(scenario)


BAN = {"bybit": 403, "binance": 418}


@pytest.mark.parametrize("name", TWO)
def test_a_ban_halts_and_risk_refuses_until_it_is_over(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfengine.venues.rate_limiter.BAN_S", 0.6)

    async def scenario() -> None:
        async with trading(name) as bench:
            bench.fault("http_status", status=BAN[name])
            bench.wish()
            assert (await bench.until(Halt)).source == "ip_ban"
            refusal = await bench.refused()
            assert refusal.gate == "halted"
            assert refusal.detail.startswith("ip_ban")
            assert bench.fills() == []
            assert (await bench.until(Resume)).source == "ip_ban"
            await bench.until(OrderEnded)
            bench.wish()
            await bench.ended("filled", 2)

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_bad_key_halts_until_a_person_resumes(name: str) -> None:
    async def scenario() -> None:
        async with trading(name) as bench:
            code, status = {"bybit": (10003, 200), "binance": (-2015, 401)}[name]
            bench.fault("error_before", code=code, message="Invalid key", status=status)
            bench.wish()
            ended = await bench.ended("rejected")
            assert "bad_key" in ended.reason
            assert (await bench.until(Halt)).source == "bad_key"
            assert (await bench.refused()).detail.startswith("bad_key")
            bench.publish(Resume(bench.clock.now_ns(), "bad_key"))
            bench.wish()
            await bench.ended("filled", 2)

    run_live(scenario)


def test_an_account_that_may_not_have_the_leverage_takes_no_entries() -> None:
    async def scenario() -> None:
        async with erring("binance") as at:
            bench = Trading(at)
            bench.fault("error_before", "set_leverage", code=-4202, message="KYC", status=400)
            await bench.start()
            assert (await bench.until(Halt)).source == "leverage_not_allowed"
            assert (await bench.refused()).gate == "halted"

    run_live(scenario)


def test_a_stop_that_would_fire_at_once_flattens_the_entry() -> None:
    async def scenario() -> None:
        async with trading("binance") as bench:
            bench.desk.fault("stop_refused")
            bench.wish()
            refused = await bench.until(ProtectionRefused)
            assert (refused.leg, refused.reason) == ("stop", "would_trigger_immediately")
            closing = await bench.until(ReducePosition)
            assert closing.reason == "uncovered"
            await bench.desk.until(lambda: len(bench.fills()) == 2 and not bench.held())
            await bench.ended("filled", 2)
            assert bench.all(PositionChanged)[-1].quantity == 0

    run_live(scenario)


def test_an_entry_whose_attached_stop_would_fire_at_once_is_dropped() -> None:
    async def scenario() -> None:
        async with trading("bybit") as bench:
            bench.desk.fault("stop_refused")
            bench.wish()
            ended = await bench.ended("rejected")
            assert "would_trigger_immediately" in ended.reason
            assert bench.fills() == []
            assert bench.all(Halt) == []
            bench.wish()
            await bench.ended("filled", 2)

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_reduction_refused_because_the_position_is_gone_ends_flat(name: str) -> None:
    async def scenario() -> None:
        async with trading(name) as bench:
            bench.wish()
            await bench.ended("filled")
            await bench.desk.until(lambda: bench.desk.position() and bench.desk.position().covered)
            held = bench.all(PositionChanged)[-1]
            # its end is lost: nothing of the private stream gets through
            bench.desk.fault("drop_frame", path="/private", count=None)
            exchange = bench.desk.world.exchange
            bench.desk.world.act(lambda now: exchange.force_liquidation("main", SYMBOL, now, "net"))
            quantity, now_ns = held.quantity, bench.clock.now_ns()
            bench.publish(ReducePosition(90, SYMBOL, now_ns, 1, quantity, "near_liquidation"))
            ended = await bench.ended("rejected", 2)
            assert "reduce_only_rejected" in ended.reason
            await bench.desk.until(lambda: bench.all(PositionChanged)[-1].quantity == 0)
            assert {fill.cause for fill in bench.all(Fill)} == {"order", "liquidation"}
            bench.desk.world.faults.clear()

    run_live(scenario)


NOT_REDUCED = {"bybit": (110017, 200), "binance": (-2022, 400)}


async def closing(bench: Trading, refusal: tuple[int, int]) -> None:
    """Open a position, and wish to close it; the venue refuses that with a code and status."""
    bench.wish()
    await bench.ended("filled")
    await bench.desk.until(lambda: bench.desk.position() and bench.desk.position().covered)
    code, status = refusal
    bench.fault("error_before", "reduce", code=code, message="x", status=status)
    quantity, now_ns = bench.all(PositionChanged)[-1].quantity, bench.clock.now_ns()
    bench.publish(ReducePosition(90, SYMBOL, now_ns, 1, quantity, "near_liquidation"))


@pytest.mark.parametrize("name", TWO)
def test_a_position_that_the_venue_does_not_let_us_reduce_stops_entries(name: str) -> None:
    async def scenario() -> None:
        async with trading(name) as bench:
            await closing(bench, NOT_REDUCED[name])
            await bench.ended("rejected", 2)
            halt = await bench.until(Halt)
            assert halt.source == f"exit {SYMBOL}"
            assert str(bench.held().normalize()) in halt.reason
            assert (await bench.refused()).detail.startswith(halt.source)
            quantity, now_ns = bench.held(), bench.clock.now_ns()
            bench.publish(ReducePosition(91, SYMBOL, now_ns, 1, quantity, "near_liquidation"))
            assert (await bench.until(Resume)).source == halt.source
            assert bench.held() == 0

    run_live(scenario)


BAND = {"bybit": (110003, 200), "binance": (-4131, 400)}


@pytest.mark.parametrize("name", TWO)
def test_a_reduction_outside_the_price_band_is_sent_once_more(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfengine.actors.order_desk.RETRY_NS", 10_000_000)

    async def scenario() -> None:
        async with trading(name) as bench:
            await closing(bench, BAND[name])
            ended = await bench.ended("filled", 2)
            assert ended.client_id == "hf-rows-000090x1"
            assert [sent.client_id for sent in bench.all(OrderSent)][1:] == [
                "hf-rows-000090x0",
                "hf-rows-000090x1",
            ]
            assert bench.held() == 0
            assert bench.all(Halt) == []

    run_live(scenario)


def test_a_target_that_would_fire_at_once_closes_the_position() -> None:
    async def scenario() -> None:
        async with trading("binance") as bench:
            path = "/fapi/v1/algoOrder"
            # the stop goes first
            refusal: dict[str, Any] = {"code": -2021, "message": "x", "status": 400}
            bench.desk.fault("error_before", path=path, topic="POST", after=1, **refusal)
            bench.wish()
            refused = await bench.until(ProtectionRefused)
            assert (refused.leg, refused.reason) == ("target", "would_trigger_immediately")
            assert (await bench.until(ReducePosition)).reason == "target_passed"
            await bench.ended("filled", 2)
            await bench.desk.until(lambda: bench.all(PositionChanged)[-1].quantity == 0)
            assert bench.held() == 0

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_regime_that_allows_only_exits_stops_entries_for_a_while(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(venue_desk.HALTING, "reduce_only_regime", 0.5)

    async def scenario() -> None:
        async with trading(name) as bench:
            bench.desk.world.exchange.set_regime(SYMBOL, "reduce_only")
            bench.wish()
            await bench.ended("rejected")
            assert (await bench.until(Halt)).source == "reduce_only_regime"
            assert (await bench.refused()).detail.startswith("reduce_only_regime")
            bench.desk.world.exchange.set_regime(SYMBOL, "open")
            await bench.until(Resume)
            bench.wish()
            await bench.ended("filled", 2)

    run_live(scenario)
