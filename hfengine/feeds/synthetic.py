"""A seeded market that speaks the wire: the frames Binance USDⓈ-M would send, made up.

Prices follow a random walk of moves: some common to all symbols, which each makes after a delay
of its own (so BTCUSDT leads), some its own. A move sweeps one side of the book, the other side
follows a millisecond later. Between moves the touch is worked by limit orders and market orders.

Regimes of some seconds lean the signs of moves, of market orders and the sizes at the touch the
same way, so that order flow and drift foretell something. It is no free lunch: a regime is worth
about 2 bp over its life and is seen through 1.3 bp of noise a second, and what one symbol's lead
foretells of another is half a basis point; a round trip as taker costs 10 bp. There is no
arbitrage in the frames: the book never crosses, and the mark follows the mid.

Rates, sizes and correlations: `hfengine.feeds.profile`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Final

from hfengine.errors import FeedError
from hfengine.feeds.market import Action, Market, Schedule
from hfengine.feeds.profile import (
    COMMON_LEAN,
    COMMON_MOVES_PER_S,
    REGIME_S,
    TREND_SHARE,
    profile_of,
)
from hfengine.feeds.source import Recorded
from hfengine.instruments import Instrument, load_catalogue
from hfengine.seeds import Seed

ORIGIN: Final = "synthetic"
NETWORK_DELAY_NS: Final = 500_000
"""The shortest time from the exchange's stamp to the receipt of a frame."""

NETWORK_JITTER_NS: Final = 1_000_000
"""What comes on top of it at most; the recordings' median is 1 ms above their smallest."""

_FIRST_ID: Final = 5_123_107_832_006


class Synthetic:
    """A feed of made-up frames, without end unless `duration_ns` is given.

    The same seed, start, symbols and instruments give the same bytes. Instruments default to the
    catalogue of Binance; raises FeedError for a symbol without one, or none or one given twice.
    """

    def __init__(
        self,
        seed: int,
        start_ns: int,
        symbols: Sequence[str] = ("BTCUSDT", "ETHUSDT"),
        duration_ns: int | None = None,
        instruments: Mapping[str, Instrument] | None = None,
    ) -> None:
        if not symbols or len(set(symbols)) < len(symbols):
            raise FeedError(f"a synthetic market needs distinct symbols, not {list(symbols)}")
        self.seed = seed
        self.symbols: tuple[str, ...] = tuple(symbols)
        self.start_ns = start_ns
        self.duration_ns = duration_ns
        self._instruments = [_instrument(symbol, instruments) for symbol in symbols]

    def events(self) -> Iterator[Recorded]:
        """Yield the frames from the beginning, ordered by `at_ns`."""
        world = _World(self.seed, self.start_ns, self._instruments)
        queue, out = world.schedule.queue, world.schedule.out
        jitter = Seed(self.seed).stream("synthetic/network").random
        end_ns = math.inf if self.duration_ns is None else self.start_ns + self.duration_ns
        at_ns = self.start_ns
        line = 0
        while queue[0][0] < end_ns:
            now_ns, _, act, size = heappop(queue)
            act(now_ns, size)
            for symbol, payload in out:
                line += 1
                arrived_ns = now_ns + NETWORK_DELAY_NS + int(jitter() * NETWORK_JITTER_NS)
                at_ns = max(at_ns, arrived_ns)
                yield Recorded(at_ns, symbol, payload, ORIGIN, line)
            out.clear()


class _World:
    """All markets and what moves them together."""

    def __init__(self, seed: int, start_ns: int, instruments: Sequence[Instrument]) -> None:
        self.schedule = Schedule([], [], count(), _FIRST_ID)
        self._rng = Seed(seed).stream("synthetic/common")
        self._trend = 0
        self._markets = [
            Market(
                instrument,
                profile_of(instrument),
                Seed(seed).stream(f"synthetic/{instrument.symbol}"),
                self.schedule,
                start_ns,
            )
            for instrument in instruments
        ]
        self._regime(start_ns, 0.0)
        self._after(start_ns, 1 / COMMON_MOVES_PER_S, self._move)

    def _after(self, now_ns: int, mean_s: float, act: Action) -> None:
        pause_ns = int(self._rng.expovariate(1 / mean_s) * 1e9)
        heappush(self.schedule.queue, (now_ns + pause_ns, next(self.schedule.order), act, 0.0))

    def _regime(self, now_ns: int, _: float) -> None:
        rng = self._rng
        self._trend = rng.choice((-1, 1)) if rng.random() < TREND_SHARE else 0
        for market in self._markets:
            market.common_trend = self._trend
        self._after(now_ns, REGIME_S, self._regime)

    def _move(self, now_ns: int, _: float) -> None:
        """Make one move of all symbols, each after its delay; the size is in deviations."""
        rng = self._rng
        up = rng.random() < 0.5 + 0.5 * COMMON_LEAN * self._trend
        # a Laplace variable of variance 1
        size = rng.expovariate(math.sqrt(2.0)) * (1 if up else -1)
        for market in self._markets:
            delay_ns = int(rng.expovariate(1.0) * market.profile.reaction_ms * 1e6)
            heappush(
                self.schedule.queue,
                (now_ns + delay_ns, next(self.schedule.order), market.common_move, size),
            )
        self._after(now_ns, 1 / COMMON_MOVES_PER_S, self._move)


def _instrument(symbol: str, instruments: Mapping[str, Instrument] | None) -> Instrument:
    try:
        return (
            load_catalogue("binance").find(symbol) if instruments is None else instruments[symbol]
        )
    except KeyError as error:
        raise FeedError(
            f"no instrument {symbol} for the synthetic market ({error.args[0]})"
        ) from None
