"""The frames the measuring venue sends: a seeded Bybit V5 linear market around one price."""

from random import Random

DEPTH = 50
CHANGES_MIN, CHANGES_MAX = 4, 9
"""Level changes a side and delta: about 440 bytes a frame, as on the real stream."""

GONE_MAX = 8
HEAVY_STEPS, LIGHT_STEPS = 20_000, 1_500
QUANTITIES = (1, 2, 15, 120, 500, 1234, 3508)
SEQUENCE_STEP = 7
FIRST_UPDATE_ID = 1_000_000


class BybitMarket:
    """One symbol's public frames: each call is the stream's next one.

    Prices stay on a grid of 0.1 around `mid`, in tenths. With every delta the best bid grows by one
    step, as under buyers that press: order-flow imbalance is then positive at each of them, and a
    bot that trades on it has a signal each time. With `swing` the sides' roles are exchanged after
    so many deltas. Times are the caller's wall clock in ms, so that gates on the age of data see a
    live stream.
    """

    def __init__(self, symbol: str, random: Random, *, mid: int = 674_123, swing: int = 0) -> None:
        self.symbol = symbol
        self.update_id = FIRST_UPDATE_ID
        self.deltas = 0
        self._random = random
        self._mid = mid
        self._swing = swing
        self._gone: tuple[set[int], set[int]] = (set(), set())

    def snapshot(self, at_ms: int) -> bytes:
        """Return a whole book: the state after it is the same as after the last delta or newer."""
        for gone in self._gone:
            gone.clear()
        self.update_id += 1
        bids = [(self._price(-level), self._quantity()) for level in range(DEPTH)]
        asks = [(self._price(1 + level), self._quantity()) for level in range(DEPTH)]
        return self._book("snapshot", bids, asks, at_ms)

    def delta(self, at_ms: int) -> bytes:
        """Return the next change of the book; both best levels are in it."""
        self.update_id += 1
        self.deltas += 1
        bid_heavy = not self._swing or (self.deltas // self._swing) % 2 == 0
        bids = self._changes(-1, 0, self._gone[0], heavy=bid_heavy)
        asks = self._changes(1, 1, self._gone[1], heavy=not bid_heavy)
        return self._book("delta", bids, asks, at_ms)

    def trade(self, at_ms: int) -> bytes:
        """Return one trade at the touch."""
        random = self._random
        side = random.choice(("Buy", "Sell"))
        trade_id = f"{random.getrandbits(32):08x}-d8dd-5b31-9112-{random.getrandbits(48):012x}"
        return (
            f'{{"topic":"publicTrade.{self.symbol}","type":"snapshot","ts":{at_ms},"data":[{{'
            f'"T":{at_ms},"s":"{self.symbol}","S":"{side}","v":"{self._quantity()}",'
            f'"p":"{self._price(side == "Buy")}","L":"PlusTick","i":"{trade_id}","BT":false,'
            f'"RPI":false,"seq":{self._sequence}}}]}}'
        ).encode()

    def ticker(self, at_ms: int, *, whole: bool = False) -> bytes:
        """Return mark and index price, with the funding when `whole`."""
        funding = (
            f',"nextFundingTime":"{at_ms + 3_600_000}","fundingRate":"0.0001"' if whole else ""
        )
        mark = self._price(self._random.randint(0, 1))
        return (
            f'{{"topic":"tickers.{self.symbol}","type":"{"snapshot" if whole else "delta"}",'
            f'"data":{{"symbol":"{self.symbol}","markPrice":"{mark}","indexPrice":"{mark}"'
            f'{funding}}},"cs":{self._sequence},"ts":{at_ms}}}'
        ).encode()

    def mixed(self, at_ms: int) -> bytes:
        """Return a delta (75 %), a trade (15 %) or a ticker (10 %), by lot."""
        lot = self._random.random()
        if lot < 0.75:
            return self.delta(at_ms)
        return self.trade(at_ms) if lot < 0.9 else self.ticker(at_ms)

    @property
    def _sequence(self) -> int:
        return 79_616_387_241 + SEQUENCE_STEP * self.update_id

    def _price(self, level: int) -> str:
        tenths = self._mid + level
        return f"{tenths // 10}.{tenths % 10}0"

    def _quantity(self) -> str:
        steps = self._random.choice(QUANTITIES) * self._random.randint(1, 9)
        return f"{steps // 1000}.{steps % 1000:03d}"

    def _changes(
        self, direction: int, best: int, gone: set[int], *, heavy: bool
    ) -> list[tuple[str, str]]:
        random = self._random
        touch = HEAVY_STEPS + self.deltas if heavy else LIGHT_STEPS
        changes = [(self._price(best), f"{touch // 1000}.{touch % 1000:03d}")]
        count = random.randint(CHANGES_MIN, CHANGES_MAX) - 1
        for level in random.sample(range(1, DEPTH), count):
            quantity = self._quantity()
            if level in gone:
                gone.discard(level)
            elif len(gone) < GONE_MAX and random.random() < 0.2:
                gone.add(level)
                quantity = "0"
            changes.append((self._price(best + direction * level), quantity))
        return changes

    def _book(
        self, kind: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]], at_ms: int
    ) -> bytes:
        return (
            f'{{"topic":"orderbook.{DEPTH}.{self.symbol}","type":"{kind}","ts":{at_ms},"data":{{'
            f'"s":"{self.symbol}","b":[{_levels(bids)}],"a":[{_levels(asks)}],'
            f'"u":{self.update_id},"seq":{self._sequence}}},"cts":{at_ms - 1}}}'
        ).encode()


def _levels(levels: list[tuple[str, str]]) -> str:
    return ",".join(f'["{price}","{quantity}"]' for price, quantity in levels)
