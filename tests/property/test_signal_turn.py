"""The compiled turn of a tick against the same turn in plain Python: same dues, same wishes."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.actors.layering import layers_of
from hfengine.kernels.histogram import Histogram
from hfengine.kernels.layers import ENTRY, NO_SIGNAL, Layers
from hfengine.kernels.signal_turn import ENTERED, FORECAST_DUE, REFUSED, Seat, SignalTurn
from hfengine.messages import LONG, SHORT, BookTick, Entry
from hfengine.seeds import Numbers
from hfengine.settings import Protection, Signals

T0_NS = 1_700_000_000_000_000_000
MS = 1_000_000
SYMBOLS = ("BTCUSDT", "ETHUSDT")
PROTECTION = Protection(atr_bar_s=1.0, atr_bars=2)

STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from((0, 1, 250, 500, 1_000, 3_000)),
        st.integers(-20, 20),
        st.integers(0, 4),
    ),
    max_size=60,
)
GATES = st.sampled_from([(1e-9, 0.0), (1e-9, 0.9), (1e-4, 0.0), (0.05, 0.0)])


def ticks(steps: list[tuple[int, int, int, int]]) -> list[BookTick]:
    at_ns, bid, made = T0_NS, 60_000.0, []
    for number, (place, wait_ms, move, quantity) in enumerate(steps, start=1):
        at_ns += wait_ms * MS
        bid += move
        made.append(
            BookTick(
                SYMBOLS[place],
                at_ns,
                at_ns // MS - 3,
                number,
                bid,
                1.0 + quantity,
                bid + 0.5,
                5.0 - quantity,
                0.0,
            )
        )
    return made


def layers(gates: tuple[float, float]) -> dict[str, Layers]:
    drift_min, confidence_min = gates
    quick = Signals(warmup=2, drift_min=drift_min, confidence_min=confidence_min)
    return layers_of(quick, PROTECTION, SYMBOLS)


def wish(side: Layers, number: int, tick: BookTick) -> Entry:
    """Make the wish from what the layers show, field by field."""
    return Entry(
        number,
        tick.symbol,
        tick.at_ns,
        tick.exchange_ms * MS,
        LONG if side.drift > 0.0 else SHORT,
        tick.bid,
        tick.ask,
        side.forecast,
        side.drift,
        side.confidence,
        side.half_life_s,
        side.sigma,
        side.atr,
    )


def unpublished(_entry: Any) -> None:
    raise AssertionError("nothing is to be entered here")


def unheard(_tick: Any, _due: int) -> None:
    raise AssertionError("`take` tells its caller and nobody else")


def turn_of(
    seats: dict[str, Seat],
    took: Histogram | None = None,
    tell: Callable[[Any, int], Any] = unheard,
    publish: Callable[[Any], None] = unpublished,
) -> SignalTurn:
    return SignalTurn(
        seats,
        took or Histogram(),
        entry_class=Entry,
        numbers=Numbers(),
        cooldown_ns=3_000 * MS,
        publish=publish,
        tell=tell,
    )


@settings(max_examples=150, deadline=None)
@given(STEPS, GATES)
def test_ticks_have_the_dues_of_the_reference(
    steps: list[tuple[int, int, int, int]], gates: tuple[float, float]
) -> None:
    seats = {symbol: Seat(one) for symbol, one in layers(gates).items()}
    mirror, forecast_ns = layers(gates), dict.fromkeys(SYMBOLS, 0)
    rearm_ns = dict.fromkeys(SYMBOLS, 0)
    took = Histogram()
    turn = turn_of(seats, took)
    untimed = 0
    for number, tick in enumerate(ticks(steps)):
        side, symbol, at_ns = mirror[tick.symbol], tick.symbol, tick.at_ns
        expected = 0
        if side.update_book(at_ns, tick.bid, tick.bid_quantity, tick.ask, tick.ask_quantity):
            expected = FORECAST_DUE if at_ns >= forecast_ns[symbol] else 0
            verdict = side.gate() if at_ns >= rearm_ns[symbol] else NO_SIGNAL
            if verdict != NO_SIGNAL:
                expected |= ENTERED if verdict == ENTRY else REFUSED
        due = turn.take(tick)
        assert due == expected
        seat = seats[symbol]
        if due & FORECAST_DUE:
            seat.forecast_ns = forecast_ns[symbol] = at_ns + 500 * MS
            untimed += 1
        if due & (ENTERED | REFUSED):
            seat.rearm_ns = rearm_ns[symbol] = at_ns + 3_000 * MS
            assert seat.layers.refused_gate == side.refused_gate
        assert seat.entry(Entry, number, tick) == wish(side, number, tick)
    assert took.count == len(steps) - untimed


def test_whoever_is_to_tell_hears_what_is_due_and_nothing_else() -> None:
    seat = Seat(layers((0.05, 0.0))["BTCUSDT"])
    said: list[tuple[BookTick, int]] = []
    turn = turn_of({"BTCUSDT": seat}, tell=lambda *due: said.append(due))
    quiet = ticks([(0, 100, 1, 1)] * 8)
    for tick in quiet:
        turn.handle(tick)
    assert [due for _, due in said] == [FORECAST_DUE] * len(said)
    assert 0 < len(said) < len(quiet), "the first ones only warm up"
    heard = len(said)
    seat.forecast_ns = 1 << 62
    turn.handle(ticks([(0, 5_000, 1, 1)])[0])
    assert len(said) == heard


def test_what_is_to_be_entered_is_told_once_and_rests() -> None:
    seat, told = Seat(layers((1e-9, 0.0))["BTCUSDT"]), []
    seat.forecast_ns = 1 << 62
    turn = turn_of({"BTCUSDT": seat}, publish=told.append)
    climbing = ticks([(0, 1_000, 5, 1)] * 9)
    for tick in climbing:
        turn.handle(tick)
    assert [entry.signal_id for entry in told] == list(range(1, len(told) + 1))
    assert len(told) >= 2
    times_ns = [entry.at_ns for entry in told]
    assert all(b - a == 3_000 * MS for a, b in pairwise(times_ns)), "at the first tick it may"
    assert seat.rearm_ns == times_ns[-1] + 3_000 * MS


@pytest.mark.parametrize("exchange_ms", [10**15, -(10**15), 2**63 - 1])
def test_a_venue_time_beyond_all_clocks_stays_so_and_can_be_journaled(exchange_ms: int) -> None:
    seat = Seat(layers((1e-9, 0.0))["BTCUSDT"])
    tick = BookTick("BTCUSDT", T0_NS, exchange_ms, 1, 1.0, 1.0, 2.0, 1.0, 0.0)
    made = seat.entry(Entry, 1, tick)
    assert abs(made.tick_ns - T0_NS) > 10**18
    assert (made.tick_ns > 0) == (exchange_ms > 0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Entry) == made


def test_a_symbol_without_a_seat_is_a_fault() -> None:
    (tick,) = ticks([(1, 5, 0, 1)])
    turn = turn_of({"BTCUSDT": Seat(layers((1e-9, 0.0))["BTCUSDT"])})
    with pytest.raises(KeyError, match="ETHUSDT"):
        turn.take(tick)


def test_only_seats_are_seated() -> None:
    nobody: dict[str, Seat] = {"BTCUSDT": object()}  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="a seat must be a Seat, not object"):
        turn_of(nobody)


def test_a_quote_that_is_none_is_refused() -> None:
    seats = {symbol: Seat(one) for symbol, one in layers((1e-9, 0.0)).items()}
    tick = BookTick("BTCUSDT", T0_NS, T0_NS // MS, 1, -1.0, 1.0, 2.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="prices must be positive"):
        turn_of(seats).take(tick)
