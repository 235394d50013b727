"""One symbol of the synthetic market: its book, and the frames of everything that happens to it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappush
from random import Random
from typing import Final

from hfengine.feeds import profile as p
from hfengine.feeds.ladder import Side, Texts
from hfengine.instruments import Instrument

Action = Callable[[int, float], None]
"""What happens at a time (ns), with a size where it has one."""

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_HOUR: Final = 3600 * _SECOND
_POOL: Final = 8192
_RESIDUES: Final = 64
_SNAPSHOT_AFTER_DIFFS: Final = 4
_SNAPSHOT_TAKEN_NS: Final = 25 * _MS
_SNAPSHOT_DELAY_NS: Final = 70 * _MS
_PRUNE_S: Final = 8
_REFRESH: Final = 0.06
"""Share of the changes at the touch that redraw the whole queue."""
_PARTIAL: Final = 0.35
"""Chance that the book closes a gap in two steps."""


@dataclass(slots=True)
class Schedule:
    """What is to come, what came of it, and the ids all symbols share."""

    queue: list[tuple[int, int, Action, float]]
    out: list[tuple[str, bytes]]
    order: Iterator[int]
    last_id: int


class Market:
    """A symbol's book and its frames. Prices are in ticks and quantities in steps throughout."""

    def __init__(
        self,
        instrument: Instrument,
        profile: p.Profile,
        rng: Random,
        schedule: Schedule,
        start_ns: int,
    ) -> None:
        self.profile = profile
        self.common_trend = 0
        self._own_trend = 0
        self._activity = 1.0
        self._rng = rng
        self._random = rng.random
        self._schedule = schedule
        self._symbol = instrument.symbol
        self._funding_ns = instrument.funding_interval_h * _HOUR
        tick, step = instrument.price_tick, instrument.quantity_step
        price_decimals = max(2, p.decimals_of(tick))
        price = (int(tick * 10**price_decimals), price_decimals)
        step_decimals = p.decimals_of(step)
        quantity = (int(step * 10**step_decimals), step_decimals)
        self._price_text, self._quantity_text = Texts(*price), Texts(*quantity)
        # a level of a diff is one of each: joining is cheaper than formatting
        self._price_part = Texts(*price, before=b'["', after=b'","')
        self._quantity_part = Texts(*quantity, after=b'"]')
        self._tick = float(tick)
        self._frames(instrument.symbol)
        self._pools(float(step))
        self._latent = profile.price / self._tick
        self._floor = self._latent / 2
        self._depth = p.depth_ticks(int(self._latent))
        self._stock()
        self._rates()
        self._trade_id = 10**9 + int(self._random() * 10**9)
        self._previous_id = self._first_id = 0
        self._diffs = 0
        self._premium_bps = 4.0 * (2 * self._random() - 1)
        self._mark_bps = 0.0
        self._funding_rate = 1e-5 + 9e-5 * self._random()
        self._filling = False
        self._seconds = 0
        self._snapshot = b""
        self._regime(start_ns, 0.0)
        self._at(start_ns + int(self._random() * 50 * _MS), self._diff)
        self._at(
            start_ns + _SECOND - start_ns % _SECOND + int(self._random() * 5 * _MS), self._mark
        )
        self._at(start_ns, self._tick_over)

    def _frames(self, symbol: str) -> None:
        lower, upper = symbol.lower().encode(), symbol.encode()
        self._best_form = (
            b'{"stream":"%b@bookTicker","data":{"e":"bookTicker","u":%%d,"s":"%b",'
            b'"b":"%%b","B":"%%b","a":"%%b","A":"%%b","T":%%d,"E":%%d}}' % (lower, upper)
        )
        self._trade_form = (
            b'{"stream":"%b@trade","data":{"e":"trade","E":%%d,"T":%%d,"s":"%b","t":%%d,'
            b'"p":"%%b","q":"%%b","X":"MARKET","m":%%b}}' % (lower, upper)
        )
        self._diff_form = (
            b'{"stream":"%b@depth@0ms","data":{"e":"depthUpdate","E":%%d,"T":%%d,"s":"%b",'
            b'"U":%%d,"u":%%d,"pu":%%d,"b":[%%b],"a":[%%b]}}' % (lower, upper)
        )
        self._mark_form = (
            b'{"stream":"%b@markPrice@1s","data":{"e":"markPriceUpdate","E":%%d,"s":"%b",'
            b'"p":"%%.8f","P":"%%.8f","i":"%%.8f","r":"%%.8f","T":%%d}}' % (lower, upper)
        )

    def _pools(self, step: float) -> None:
        """Draw what is used often once; a run of it from a random place costs next to nothing."""
        rng, profile = self._rng, self.profile
        per_bp = profile.price / self._tick / 1e4
        depth = p.depth_ticks(int(profile.price / self._tick))

        def steps(median: float, sigma: float) -> int:
            return max(1, round(median / step * math.exp(rng.gauss(0.0, sigma))))

        def distance() -> int:
            median_bps, sigma = p.DISTANCE_BPS
            ticks = 1 + int(median_bps * per_bp * math.exp(rng.gauss(0.0, sigma)))
            return ticks if ticks < depth else 1 + int(rng.random() * (depth - 1))

        def level() -> int:
            if rng.random() < profile.removed:
                return 0
            return steps(profile.level_median, profile.level_sigma)

        trade = (profile.trade_median, profile.trade_sigma)
        self._trades = [steps(*trade) for _ in range(_POOL)]
        self._levels = [level() for _ in range(_POOL)]
        self._distances = [distance() for _ in range(_POOL)]
        self._best_steps = profile.best_mean / step
        residues = sorted(rng.sample(range(_RESIDUES), profile.allowed))
        # from each price the nearest one levels stand on, further from the touch
        self._down = [min((r - a) % _RESIDUES for a in residues) for r in range(_RESIDUES)]
        self._up = [min((a - r) % _RESIDUES for a in residues) for r in range(_RESIDUES)]

    def _stock(self) -> None:
        """Fill the book around the first price."""
        best = int(self._latent)
        self._bids = Side(1, best)
        self._asks = Side(-1, best + self.profile.spread_ticks)
        for side in (self._bids, self._asks):
            for distance in range(1, self._depth):
                price = side.best - side.sign * distance
                if self._down[price % _RESIDUES] == 0 and (q := self._level()):
                    side.levels[price] = q
            side.levels[side.best] = self._queue(0)

    def _rates(self) -> None:
        profile = self.profile
        own = (1.0 - p.COMMON_SHARE) * profile.volatility_bps**2 / p.OWN_MOVES_PER_S
        common = p.COMMON_SHARE * profile.volatility_bps**2 / p.COMMON_MOVES_PER_S
        self._own_bps, self._common_bps = math.sqrt(own), math.sqrt(common)
        self._until_best = profile.best_changes_per_s
        self._until_order = self._until_best + profile.orders_per_s
        self._until_move = self._until_order + p.OWN_MOVES_PER_S
        self._rate = self._until_move + p.FLICKERS_PER_S

    # time

    def _at(self, at_ns: int, act: Action, size: float = 0.0) -> None:
        heappush(self._schedule.queue, (at_ns, next(self._schedule.order), act, size))

    def _regime(self, now_ns: int, _: float) -> None:
        rng = self._rng
        self._own_trend = rng.choice((-1, 1)) if rng.random() < p.TREND_SHARE else 0
        sigma = p.ACTIVITY_SIGMA
        self._activity = math.exp(rng.gauss(-sigma * sigma / 2, sigma))
        self._at(now_ns + int(rng.expovariate(1 / p.REGIME_S) * _SECOND), self._regime)

    def _tick_over(self, now_ns: int, _: float) -> None:
        """Let one of the things that happen at random times happen."""
        random = self._random
        which = random() * self._rate
        if which < self._until_best:
            self._work_touch(now_ns)
        elif which < self._until_order:
            self._market_order(now_ns)
        elif which < self._until_move:
            up = random() < 0.5 + 0.5 * p.OWN_LEAN * self._own_trend
            size = self._rng.expovariate(math.sqrt(2.0)) * self._own_bps
            self._move(now_ns, size if up else -size)
        else:
            self._flicker(now_ns)
        pause_s = -math.log(1.0 - random()) / (self._rate * self._activity)
        heappush(
            self._schedule.queue,
            (now_ns + int(pause_s * _SECOND), next(self._schedule.order), self._tick_over, 0.0),
        )

    # draws

    def _level(self) -> int:
        return self._levels[int(self._random() * _POOL)]

    def _queue(self, side_sign: int) -> int:
        """Draw a size at the touch; it leans with the trend."""
        lean = p.QUEUE_LEAN * side_sign * (self.common_trend + self._own_trend) / 2
        mean = self._best_steps * (1.0 + lean)
        return 1 + int(-math.log(1.0 - self._random()) * mean)

    # the touch

    def _best_changed(self, now_ns: int) -> None:
        schedule = self._schedule
        schedule.last_id += 1 + int(self._random() * 40.0)
        update_id = schedule.last_id
        if not self._first_id:
            self._first_id = update_id
        bids, asks = self._bids, self._asks
        bid, ask = bids.best, asks.best
        now_ms = now_ns // _MS
        quantity, price = self._quantity_text, self._price_text
        schedule.out.append(
            (
                self._symbol,
                self._best_form
                % (
                    update_id,
                    price[bid],
                    quantity[bids.levels[bid]],
                    price[ask],
                    quantity[asks.levels[ask]],
                    now_ms,
                    now_ms,
                ),
            )
        )

    def _work_touch(self, now_ns: int) -> None:
        """Add to or take from the queue at the touch; it never empties this way."""
        random = self._random
        draw = random()
        side = self._bids if draw < 0.5 else self._asks
        price = side.best
        before = side.levels[price]
        if random() < _REFRESH:
            after = self._queue(side.sign)
        else:
            change = self._trades[int(random() * _POOL)]
            after = before + change if draw % 0.5 < 0.25 else before - change
            if after < 1:
                after = 1 + int(before * random())
        if after == before:
            after += 1
        side.levels[price] = side.changed[price] = after
        self._best_changed(now_ns)

    def _market_order(self, now_ns: int) -> None:
        """Take from the queue at the touch, in one or more prints; at least a step stays."""
        random = self._random
        lean = p.FLOW_LEAN * (self.common_trend + self._own_trend)
        side = self._asks if random() < 0.5 + 0.5 * lean else self._bids
        price = side.best
        left = side.levels[price]
        more = 1.0 - 1.0 / self.profile.order_prints
        while left > 1:
            quantity = min(self._trades[int(random() * _POOL)], left - 1)
            left -= quantity
            self._print(now_ns, price, quantity, side)
            if random() >= more:
                break
        if left != side.levels[price]:
            side.levels[price] = side.changed[price] = left
            self._best_changed(now_ns)

    def _print(self, now_ns: int, price: int, quantity: int, side: Side) -> None:
        """Report a trade that took from `side`."""
        self._trade_id += 1
        now_ms = now_ns // _MS
        self._schedule.out.append(
            (
                self._symbol,
                self._trade_form
                % (
                    now_ms,
                    now_ms,
                    self._trade_id,
                    self._price_text[price],
                    self._quantity_text[quantity],
                    b"true" if side.sign > 0 else b"false",
                ),
            )
        )

    # moves

    def common_move(self, now_ns: int, size: float) -> None:
        """Make a move that all symbols make; `size` in standard deviations."""
        self._move(now_ns, size * self._common_bps)

    def _move(self, now_ns: int, bps: float) -> None:
        """Move the price: the side in the way is swept, the other follows."""
        latent = self._latent * (1.0 + bps * 1e-4)
        # half the first price is a floor that prices bounce off: quantities of ticks stay sound
        self._latent = latent if latent > self._floor else 2 * self._floor - latent
        bid = int(self._latent)
        ask = bid + self.profile.spread_ticks
        if ask > self._asks.best:
            self._sweep(now_ns, self._asks, ask)
        elif bid < self._bids.best:
            self._sweep(now_ns, self._bids, bid)
        self._soon_fill(now_ns)

    def _sweep(self, now_ns: int, side: Side, best: int) -> None:
        quantity = side.levels.get(best) or self._queue(side.sign) // 2 + 1
        gone = side.retreat(best, quantity)
        random = self._random
        prints = 1 + int(-math.log(1.0 - random()) * (self.profile.sweep_prints - 1.0))
        for number in range(prints):
            price, held = gone[number * len(gone) // prints]
            # part of the queue at the touch is taken at once, the rest of it was cancelled
            some = int(held * p.SWEPT * random()) if number == 0 else 0
            quantity = max(1, some, min(self._trades[int(random() * _POOL)], held))
            self._print(now_ns, price, quantity, side)
        self._best_changed(now_ns)

    def _flicker(self, now_ns: int) -> None:
        """Empty the touch of one side for a moment."""
        side = self._bids if self._random() < 0.5 else self._asks
        best = side.best - side.sign * (1 + int(self._random() * 4))
        side.retreat(best, side.levels.get(best) or self._queue(side.sign) // 2 + 1)
        self._best_changed(now_ns)
        self._soon_fill(now_ns)

    def _soon_fill(self, now_ns: int) -> None:
        if not self._filling:
            self._filling = True
            pause_ns = -math.log(1.0 - self._random()) * self.profile.gap_ms * _MS
            self._at(now_ns + int(pause_ns), self._fill)

    def _fill(self, now_ns: int, _: float) -> None:
        """Bring the touch back to its resting spread, in one step or two."""
        self._filling = False
        random = self._random
        bid = int(self._latent)
        for side, target in ((self._bids, bid), (self._asks, bid + self.profile.spread_ticks)):
            missing = (target - side.best) * side.sign
            if missing <= 0:
                continue
            later = int(missing * random()) if missing > 2 and random() < _PARTIAL else 0
            self._advance(side, target - side.sign * later)
            self._best_changed(now_ns)
            if later:
                self._soon_fill(now_ns)

    def _advance(self, side: Side, best: int) -> None:
        """Improve the touch of a side and strew levels on the way."""
        for price in range(side.best + side.sign, best, side.sign):
            if self._down[price % _RESIDUES] == 0 and (q := self._level()):
                side.put(price, q)
        side.best = best
        side.put(best, self._queue(side.sign) // 2 + 1)

    # the streams with a pace of their own

    def _diff(self, now_ns: int, _: float) -> None:
        """Change levels behind the touch and report every level changed since the last diff."""
        rng, profile, schedule = self._rng, self.profile, self._schedule
        random = self._random
        for side, steps in ((self._bids, self._down), (self._asks, self._up)):
            wanted = profile.levels_median / 2 * math.exp(rng.gauss(0.0, p.LEVELS_SIGMA))
            size = min(int(wanted) + 1, p.LEVELS_MAX)
            at = int(random() * (_POOL - size))
            of = int(random() * (_POOL - size))
            side.work(self._distances[at : at + size], self._levels[of : of + size], steps)
            schedule.last_id += size * 60
        update_id = schedule.last_id
        now_ms = now_ns // _MS
        payload = self._diff_form % (
            now_ms,
            now_ms,
            self._first_id or update_id,
            update_id,
            self._previous_id or update_id - 1,
            self._listed(sorted(self._bids.changed.items())),
            self._listed(sorted(self._asks.changed.items())),
        )
        schedule.out.append((self._symbol, payload))
        self._previous_id, self._first_id = update_id, 0
        self._bids.changed.clear()
        self._asks.changed.clear()
        self._diffs += 1
        if self._diffs == _SNAPSHOT_AFTER_DIFFS:
            self._at(now_ns + _SNAPSHOT_TAKEN_NS, self._take_snapshot)
        shortest_ms, more_ms = p.DIFF_MS
        pause_ms = shortest_ms - more_ms * math.log(1.0 - random())
        self._at(now_ns + int(pause_ms * _MS), self._diff)

    def _listed(self, levels: list[tuple[int, int]]) -> bytes:
        price, quantity = self._price_part, self._quantity_part
        return b",".join([price[at] + quantity[size] for at, size in levels])

    def _take_snapshot(self, now_ns: int, _: float) -> None:
        """Answer a request for the book as it is now; the answer arrives some diffs later."""
        self._work_touch(now_ns)
        bids, asks = (side.nearest(p.SNAPSHOT_LEVELS) for side in (self._bids, self._asks))
        self._snapshot = b'{"lastUpdateId":%d,"E":%d,"T":%d,"bids":[%b],"asks":[%b]}' % (
            self._schedule.last_id,
            now_ns // _MS,
            now_ns // _MS,
            self._listed(bids),
            self._listed(asks),
        )
        self._at(now_ns + _SNAPSHOT_DELAY_NS, self._give_snapshot)

    def _give_snapshot(self, _now_ns: int, _: float) -> None:
        self._schedule.out.append((self._symbol, self._snapshot))
        self._snapshot = b""

    def _mark(self, now_ns: int, _: float) -> None:
        """Report mark, index and the funding to come, each second."""
        rng = self._rng
        self._mark_bps = 0.9 * self._mark_bps + 0.25 * rng.gauss(0.0, 1.0)
        self._premium_bps = 0.999 * self._premium_bps + 0.05 * rng.gauss(0.0, 1.0)
        self._funding_rate += rng.gauss(0.0, 2e-8)
        price = self._latent * self._tick
        mark = price * (1.0 + self._mark_bps * 1e-4)
        index = price * (1.0 - self._premium_bps * 1e-4)
        payload = self._mark_form % (
            now_ns // _MS,
            mark,
            (mark + index) / 2,
            index,
            self._funding_rate,
            (now_ns // self._funding_ns + 1) * self._funding_ns // _MS,
        )
        self._schedule.out.append((self._symbol, payload))
        self._seconds += 1
        if self._seconds % _PRUNE_S == 0:
            depth = self._depth + self._depth // 4
            self._bids.prune(depth)
            self._asks.prune(depth)
        due_ns = now_ns - now_ns % _SECOND + _SECOND
        self._at(due_ns + int(self._random() * 5 * _MS), self._mark)
