"""One engine's line to the simulated exchange: every trouble has its own answer."""

from collections.abc import Coroutine, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import load_catalogue
from hfengine.messages import Fill, Halt, Message, OrderUpdate, PositionChanged, ProtectionRefused
from hfengine.requests import OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.simulation.faults import Fault, Kind
from hfengine.simulation.happenings import Happenings
from hfengine.simulation.legs import LegLine
from hfengine.simulation.line import Line
from hfengine.simulation.order_path import ANSWER_MAX_MS
from hfengine.simulation.world import ACCOUNT, Armed, Style, World

T = TypeVar("T")
BTC = "BTCUSDT"


class Bench:
    """A world, a loop and a line without an engine; all that is told is kept."""

    def __init__(self, style: Style) -> None:
        catalogue = load_catalogue(style)
        self.world = World(7, style, {BTC: catalogue.find(BTC)})
        self.loop = VirtualLoop(self.world.clock)
        line_class = LegLine if style == "binance" else Line
        self.line = self.world.line = line_class(self.world, self.loop, 1)
        self.market: list[Message] = []
        self.told: list[Message] = []
        self.line.connect(self.market.append, self.told.append, lambda _: None)
        self.world.attach(self.loop)
        self.pass_ms(500)

    def pass_ms(self, wait_ms: float) -> None:
        async def wait() -> None:
            woken = self.loop.create_future()
            self.loop.call_later(wait_ms / 1e3, woken.set_result, None)
            await woken

        self.loop.run_until_complete(wait())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def order(self, client_id: str, *, stop: str = "", reduce_only: bool = False) -> OrderRequest:
        side = -1 if reduce_only else 1
        price = self.world.exchange.mark(BTC)
        return OrderRequest(
            client_id,
            BTC,
            side,
            "market",
            Decimal("0.010"),
            reduce_only=reduce_only,
            stop=(price * Decimal("0.99")).quantize(Decimal("0.1")) if stop else Decimal(0),
        )

    def place(self, request: OrderRequest) -> OrderUpdate:
        async def answered() -> OrderUpdate:
            return await self.line.place(request)

        return self.do(answered())

    def arm(self, kind: Kind) -> None:
        self.world.armed.append(Armed(kind, "", 1, self.world.now_ns + 10**12))

    def of(self, kind: type[T]) -> list[T]:
        return [message for message in self.told if isinstance(message, kind)]

    @property
    def fills(self) -> list[Fill]:
        return self.world.exchange.fills(ACCOUNT)

    def close(self) -> None:
        self.line.stop()
        self.do(self.line.close())
        self.world.attach(None)
        self.loop.close()


@pytest.fixture(name="bybit")
def bybit_bench() -> Iterator[Bench]:
    bench = Bench("bybit")
    yield bench
    bench.close()


@pytest.fixture(name="binance")
def binance_bench() -> Iterator[Bench]:
    bench = Bench("binance")
    yield bench
    bench.close()


def test_an_order_is_answered_and_its_fill_told(bybit: Bench) -> None:
    assert bybit.place(bybit.order("hf-1")).state == "filled"
    bybit.pass_ms(100)
    assert [fill.client_id for fill in bybit.of(Fill)] == ["hf-1"]
    assert bybit.of(PositionChanged)[-1].quantity == Decimal("0.010")
    assert bybit.market


@pytest.mark.parametrize(
    ("kind", "error", "happens"),
    [
        ("answer_lost_before", VenueUnknown, False),
        ("answer_lost_after", VenueUnknown, True),
        ("error_5xx", VenueUnknown, False),
        ("rate_429", VenueRejected, False),
        ("rate_10006", VenueRejected, False),
        ("ban_418", VenueRejected, False),
        ("ban_403", VenueRejected, False),
    ],
)
def test_each_trouble_has_its_error_and_its_effect(
    bybit: Bench, kind: Kind, error: type[Exception], happens: bool
) -> None:
    bybit.arm(kind)
    with pytest.raises(error):
        bybit.place(bybit.order("hf-1"))
    assert bool(bybit.fills) is happens
    assert bybit.world.counts[kind] == 1


def test_a_lost_answer_is_given_up_after_its_time(bybit: Bench) -> None:
    bybit.arm("answer_lost_after")
    began_ms = bybit.world.now_ms
    with pytest.raises(VenueUnknown):
        bybit.place(bybit.order("hf-1"))
    assert bybit.world.now_ms - began_ms == ANSWER_MAX_MS


def test_a_ban_keeps_everything_from_being_sent_and_halts(bybit: Bench) -> None:
    bybit.arm("ban_418")
    with pytest.raises(VenueRejected):
        bybit.place(bybit.order("hf-1"))
    with pytest.raises(VenueUnavailable):
        bybit.do(bybit.line.positions())
    assert [halt.source for halt in bybit.of(Halt)] == ["ip_ban"]
    bybit.pass_ms(2_100)
    assert bybit.do(bybit.line.positions()) == []


def test_a_read_that_is_lost_is_unavailable_and_leaves_no_doubt(bybit: Bench) -> None:
    async def cut() -> None:
        reading = bybit.loop.create_task(bybit.line.positions())
        bybit.loop.call_soon(bybit.line.break_orders)
        await reading

    with pytest.raises(VenueUnavailable):
        bybit.do(cut())


def test_nothing_of_a_killed_engine_leaves_any_more_but_what_was_on_the_wire_arrives(
    bybit: Bench,
) -> None:
    on_the_wire = bybit.line.place(bybit.order("hf-1"))
    bybit.line.kill()
    too_late = bybit.line.place(bybit.order("hf-2"))
    bybit.pass_ms(5_000)
    assert [fill.client_id for fill in bybit.fills] == ["hf-1"]
    assert not on_the_wire.done()
    assert not too_late.done()
    assert bybit.of(Fill) == []


def test_what_a_lost_private_stream_missed_is_read_and_told_once(bybit: Bench) -> None:
    happenings = Happenings(bybit.world)
    happenings.schedule([Fault(bybit.world.now_ms + 1, "private_lost", BTC, 700, 0.0)])
    bybit.pass_ms(10)
    bybit.place(bybit.order("hf-1"))
    bybit.pass_ms(300)
    assert bybit.of(Fill) == []
    bybit.pass_ms(2_000)
    assert [fill.client_id for fill in bybit.of(Fill)] == ["hf-1"]
    assert bybit.of(PositionChanged)[-1].quantity == Decimal("0.010")


def test_leverage_may_be_acknowledged_and_not_applied(bybit: Bench) -> None:
    before = bybit.do(bybit.line.leverage_of(BTC)).leverage
    bybit.arm("leverage_not_applied")
    bybit.do(bybit.line.set_leverage(BTC, before + 7))
    assert bybit.do(bybit.line.leverage_of(BTC)).leverage == before
    bybit.do(bybit.line.set_leverage(BTC, before + 7))
    assert bybit.do(bybit.line.leverage_of(BTC)).leverage == before + 7


# legs


def test_a_stop_follows_its_entry_and_goes_with_its_position(binance: Bench) -> None:
    binance.place(binance.order("hf-1", stop="yes"))
    binance.pass_ms(50)
    (held,) = binance.do(binance.line.positions())
    assert held.covered == held.quantity
    binance.place(binance.order("hf-2", reduce_only=True))
    binance.pass_ms(100)
    assert binance.do(binance.line.open_orders()) == []


def test_a_refused_stop_is_told(binance: Bench) -> None:
    binance.arm("stop_refused")
    binance.place(binance.order("hf-1", stop="yes"))
    binance.pass_ms(100)
    (refused,) = binance.of(ProtectionRefused)
    assert refused.leg == "stop"
    (held,) = binance.do(binance.line.positions())
    assert not held.covered


def test_a_stop_whose_entry_was_refused_is_taken_back(binance: Bench) -> None:
    binance.world.exchange.set_regime(BTC, "reduce_only")
    with pytest.raises(VenueRejected):
        binance.place(binance.order("hf-1", stop="yes"))
    binance.pass_ms(200)
    assert binance.do(binance.line.open_orders()) == []


def test_a_move_never_leaves_the_position_uncovered(binance: Bench) -> None:
    binance.place(binance.order("hf-1", stop="yes"))
    binance.pass_ms(50)
    covered = []

    class Watching:
        def truth(self, event: Message, _now_ns: int) -> None:
            if isinstance(event, PositionChanged):
                covered.append(event.covered == event.quantity)

        def step(self, now_ns: int) -> None:
            pass

    binance.world.witness = Watching()
    (held,) = binance.do(binance.line.positions())
    stop = held.stop + Decimal("12.0")
    binance.do(binance.line.protect(BTC, stop, Decimal(0)))
    binance.pass_ms(50)
    (after,) = binance.do(binance.line.positions())
    assert after.stop == stop
    assert covered
    assert all(covered)
