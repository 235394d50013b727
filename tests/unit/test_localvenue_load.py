"""The load feed: as many updates as were asked for, evenly, the same for the same seed."""

import asyncio
from contextlib import contextmanager

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import ConfigError
from hfengine.localvenue.load import LEVELS
from hfengine.localvenue.timers import PART, in_parts
from hfengine.localvenue.world import make_world
from hfengine.runtime.virtual_loop import VirtualLoop

START_NS = 1_750_000_000_000_000_000
SYMBOLS = [f"X{number:03d}USDT" for number in range(1, 6)]


@contextmanager
def a_world(rate=20, seed=1):
    clock = VirtualClock(START_NS)
    loop = VirtualLoop(clock)
    try:
        world = make_world(
            "bybit",
            loop=loop,
            clock=clock,
            symbols=SYMBOLS[:1],
            listings=5,
            feed=f"load:{rate}",
            seed=seed,
        )
        try:
            yield world
        finally:
            world.close()
    finally:
        loop.close()


def run(world, seconds):
    world.loop.run_until_complete(asyncio.sleep(seconds))


def books(world):
    return {symbol: [world.levels(symbol, side, LEVELS) for side in (1, -1)] for symbol in SYMBOLS}


def test_every_symbol_has_its_updates_trades_and_marks():
    marks = []
    with a_world(rate=20) as world:
        world.on_mark(marks.append)
        before = {symbol: world.version(symbol) for symbol in SYMBOLS}
        run(world, 3.005)
        assert world.source.frames == 3 * 20 * len(SYMBOLS)
        for symbol in SYMBOLS:
            assert world.version(symbol) - before[symbol] == 60
            # one at the start, then every tenth update
            assert len(world.recent_trades(symbol, 100)) == 7
            assert marks.count(symbol) == 3
        assert world.source.late_ms < 15


def test_books_stay_whole_while_the_price_wanders():
    with a_world(rate=200) as world:
        tops = set()
        for _ in range(40):
            run(world, 0.25)
            for symbol in SYMBOLS:
                bids, asks = world.levels(symbol, 1, LEVELS), world.levels(symbol, -1, LEVELS)
                assert asks[0][0] - bids[0][0] == 2
                assert len(bids) > LEVELS // 2
                assert len(asks) > LEVELS // 2
                assert all(steps > 0 for _, steps in bids + asks)
                ticker = world.ticker(symbol)
                assert abs(ticker.mark - ticker.bid) < ticker.bid / 100
                tops.add((symbol, bids[0][0]))
        assert len(tops) > 3 * len(SYMBOLS)


def test_an_update_changes_a_best_level_and_some_behind_it():
    with a_world(rate=1) as world:
        before = books(world)
        run(world, 1.01)
        after = books(world)
        for symbol in SYMBOLS:
            changed = sum(
                len(set(old) ^ set(new))
                for old, new in zip(before[symbol], after[symbol], strict=True)
            )
            assert 5 <= changed <= 30
            assert [side[0] for side in before[symbol]] != [side[0] for side in after[symbol]]


def test_the_same_seed_makes_the_same_market_and_another_seed_another():
    made = []
    for seed in (1, 1, 2):
        with a_world(seed=seed) as world:
            run(world, 1.0)
            made.append(books(world))
    assert made[0] == made[1] != made[2]


def test_a_market_that_was_held_up_makes_what_it_owes():
    with a_world(rate=20) as world:
        run(world, 1.005)
        world.clock.advance_to(world.clock.now_ns() + 2_000_000_000)
        run(world, 0.5)
        assert world.source.frames >= 3 * 20 * len(SYMBOLS)
        assert world.source.late_ms > 1900


@pytest.mark.parametrize("feed", ["load:0", "load:1001", "load:", "load:fast", "load:1.5"])
def test_a_rate_that_is_none_is_refused(feed):
    with pytest.raises(ConfigError, match="--feed"), a_world(rate=feed.partition(":")[2]):
        pass


def test_a_long_round_lets_others_work_between_its_parts():
    told = []
    loop = VirtualLoop(VirtualClock(START_NS))
    try:

        async def scenario():
            loop.call_soon(told.append, "other")
            in_parts(loop, range(2 * PART + 1), told.append)
            assert told == list(range(PART))
            await asyncio.sleep(0.001)

        loop.run_until_complete(scenario())
    finally:
        loop.close()
    assert [one for one in told if one != "other"] == list(range(2 * PART + 1))
    assert told.index("other") == PART
