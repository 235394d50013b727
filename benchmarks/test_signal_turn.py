"""The turn of a book tick through all layers: nothing due, and with the wish it makes."""

from itertools import count
from typing import Any

from hfengine.actors.layering import layers_of
from hfengine.kernels.histogram import Histogram
from hfengine.kernels.signal_turn import Seat, SignalTurn
from hfengine.messages import BookTick, Entry
from hfengine.seeds import Numbers
from hfengine.settings import Protection, Signals

SYMBOL = "BTCUSDT"
STEP_NS = 100_000_000


def turns() -> tuple[Seat, SignalTurn, list[BookTick]]:
    seat = Seat(layers_of(Signals(drift_min=0.09), Protection(), [SYMBOL])[SYMBOL])
    seat.forecast_ns = 1 << 62
    ticks = [
        BookTick(SYMBOL, at * STEP_NS, at * 100, at, 6e4 + at % 7, 1.0, 6e4 + 10, 2.0, 0.0)
        for at in range(1, 60_000)
    ]
    return (
        seat,
        SignalTurn(
            {SYMBOL: seat},
            Histogram(),
            entry_class=Entry,
            numbers=Numbers(),
            cooldown_ns=1,
            publish=print,
            tell=print,
        ),
        ticks,
    )


def test_quiet_tick(benchmark: Any) -> None:
    _, turn, ticks = turns()
    places = count()

    def hundred() -> int:
        return sum(turn.take(ticks[next(places)]) for _ in range(100))

    assert benchmark.pedantic(hundred, rounds=len(ticks) // 100) == 0


def test_entry(benchmark: Any) -> None:
    seat, turn, ticks = turns()
    turn.take(ticks[0])
    assert benchmark(seat.entry, Entry, 1, ticks[0]).symbol == SYMBOL
