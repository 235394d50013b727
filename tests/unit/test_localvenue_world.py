"""The world behind a local venue: market, accounts, reports and timers, on a virtual loop."""

import asyncio
from contextlib import contextmanager
from decimal import Decimal
from itertools import takewhile

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import ConfigError, FeedError, VenueRejected
from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.feeds.build import SYNTHETIC_START_NS
from hfengine.feeds.synthetic import Synthetic
from hfengine.localvenue.commands import run_command
from hfengine.localvenue.listings import invented
from hfengine.localvenue.ports import ApiKey
from hfengine.localvenue.tape import Tape
from hfengine.localvenue.world import make_world
from hfengine.messages import FundingPaid
from hfengine.requests import OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from tests import recordings

BTC = "BTCUSDT"
START_NS = 1_750_000_000_000_000_000
TICK = Decimal("0.1")


@contextmanager
def a_world(**options):
    clock = VirtualClock(START_NS)
    loop = VirtualLoop(clock)
    venue = options.pop("venue", "bybit")
    try:
        world = make_world(venue, loop=loop, clock=clock, **{"symbols": [BTC], **options})
        try:
            yield world
        finally:
            world.close()
    finally:
        loop.close()


def run(world, seconds):
    """Let the world's loop run for virtual seconds."""
    world.loop.run_until_complete(asyncio.sleep(seconds))


def order(client_id, side=1, kind="market", quantity="0.01", **more):
    return OrderRequest(client_id, BTC, side, kind, Decimal(quantity), **more)


def place(world, request, account="main"):
    return world.act(lambda now_ns: world.exchange.place(account, request, now_ns))


def test_a_still_market_has_book_mark_and_last_price_at_once():
    with a_world() as world:
        ticker = world.ticker(BTC)
        assert ticker.bid + TICK == ticker.mark == ticker.index == ticker.last == ticker.ask - TICK
        assert ticker.bid > 1000
        assert len(world.levels(BTC, 1, 500)) == len(world.levels(BTC, -1, 500)) == 200
        prices = [ticks for ticks, _ in world.levels(BTC, 1, 3)]
        assert prices == [prices[0], prices[0] - 1, prices[0] - 2]
        before = world.version(BTC)
        run(world, 5)
        assert world.version(BTC) == before
        assert world.ticker(BTC) == ticker


def test_a_move_takes_book_trades_mark_and_index_along():
    with a_world() as world:
        before, version = world.ticker(BTC), world.version(BTC)
        trades, marks = [], []
        world.on_trade(trades.append)
        world.on_mark(marks.append)
        world.move(BTC, 7)
        after = world.ticker(BTC)
        shift = 7 * TICK
        assert (after.bid, after.ask) == (before.bid + shift, before.ask + shift)
        assert (after.mark, after.index) == (before.mark + shift, before.index + shift)
        assert after.last == after.ask
        assert [trade.price for trade in trades] == [after.ask]
        assert marks == [BTC]
        assert world.version(BTC) > version
        world.move(BTC, to_price=before.mark)
        back = world.ticker(BTC)
        assert (back.bid, back.mark, back.last) == (before.bid, before.mark, before.bid)
        with pytest.raises(ValueError, match="cannot move"):
            world.move(BTC, -10_000_000)


def test_a_moved_book_is_the_same_book_elsewhere():
    with a_world() as world:
        book = world.market._books[BTC]
        for side in (1, -1):
            rows = book.book.levels(side, 5)
            book.offset_ticks = -40
            moved = [(ticks - 40, steps) for ticks, steps in rows]
            assert book.levels(side, 5) == moved
            assert [book.quantity_at(side, ticks) for ticks, _ in moved] == [n for _, n in rows]
            assert (book.bid_ticks if side > 0 else book.ask_ticks) == moved[0][0]
            book.offset_ticks = 0


def test_a_move_over_a_time_is_even_and_ends_where_it_should():
    with a_world() as world:
        start = world.ticker(BTC).mark
        world.move(BTC, 100, over_s=1.0)
        assert world.ticker(BTC).mark == start
        run(world, 0.52)
        assert world.ticker(BTC).mark == start + 50 * TICK
        run(world, 0.6)
        assert world.ticker(BTC).mark == start + 100 * TICK
        run(world, 2)
        assert world.ticker(BTC).mark == start + 100 * TICK


def test_a_move_through_the_target_closes_the_position():
    with a_world() as world:
        mark = world.ticker(BTC).mark
        place(world, order("entry", stop=mark - 100, target=mark + 50))
        assert world.exchange.position("main", BTC).side == 1
        world.move(BTC, to_price=mark + 49)
        assert world.exchange.position("main", BTC).side == 1
        world.move(BTC, to_price=mark + 50)
        assert world.exchange.position("main", BTC).side == 0
        assert world.exchange.fills("main")[-1].cause == "target"


def test_reports_come_on_the_next_turn_in_order():
    with a_world() as world:
        heard = []
        world.on_account(lambda account, report: heard.append((account, type(report))))
        place(world, order("a"))
        assert heard == []
        run(world, 0)
        kinds = [kind for account, kind in heard if account == "main"]
        assert kinds[0] is OrderReport
        assert kinds.index(FillReport) < kinds.index(PositionReport)
        count = len(heard)
        run(world, 1)
        assert len(heard) == count


def test_what_a_listener_causes_is_told_a_turn_later():
    with a_world() as world:
        heard = []

        def listen(_, report):
            heard.append(report)
            if len(heard) == 1:
                place(world, order("second"))
                assert len(heard) == 1

        world.on_account(listen)
        place(world, order("first"))
        first = len(world._reports)
        world._deliver()
        assert len(heard) == first
        run(world, 0)
        ids = [one.update.client_id for one in heard if isinstance(one, OrderReport)]
        assert ids == sorted(ids)
        assert "second" in ids


def test_a_refusal_passes_through():
    with a_world() as world, pytest.raises(VenueRejected, match="below_min_quantity"):
        place(world, order("a", quantity="0"))


def test_our_own_orders_are_part_of_the_public_book_and_tape():
    with a_world() as world:
        bid_ticks, bid_steps = world.levels(BTC, 1, 1)[0]
        price = bid_ticks * TICK
        version = world.version(BTC)
        place(world, order("rest", kind="limit", price=price, quantity="0.5"))
        assert world.levels(BTC, 1, 1) == [(bid_ticks, bid_steps + 500)]
        assert world.version(BTC) > version
        version = world.version(BTC)
        ask_ticks, ask_steps = world.levels(BTC, -1, 1)[0]
        place(world, order("take", quantity="0.1"))
        assert world.levels(BTC, -1, 1) == [(ask_ticks, ask_steps - 100)]
        assert world.version(BTC) > version
        run(world, 0)
        trade = world.recent_trades(BTC, 1)[0]
        assert (trade.ticks, trade.steps, trade.side) == (ask_ticks, 100, 1)


def test_two_accounts_trade_with_each_other_and_print_once():
    other = ApiKey(key="k2", secret=b"s2", account="second")
    with a_world(keys=[ApiKey(key="k1", secret=b"s1", account="main"), other]) as world:
        mark = world.ticker(BTC).mark
        place(world, order("make", kind="limit", price=mark, quantity="0.01"))
        count = len(world.recent_trades(BTC, 100))
        place(world, order("take", side=-1, quantity="0.01"), "second")
        run(world, 0)
        trades = world.recent_trades(BTC, 100)[count:]
        assert [(one.price, one.side) for one in trades] == [(mark, -1)]
        assert world.accounts() == ["main", "second"]
        with pytest.raises(ValueError, match="'k2' already"):
            world.add_key(other)


def test_a_held_mark_stays_until_it_is_let_go():
    with a_world() as world:
        mark = world.ticker(BTC).mark
        world.set_mark(BTC, mark + 10)
        run(world, 3)
        assert world.ticker(BTC).mark == mark + 10
        assert world.ticker(BTC).index == mark + 10
        world.move(BTC, 10)
        assert world.ticker(BTC).mark == mark + 11
        world.set_mark(BTC, None)
        assert world.ticker(BTC).mark == mark + 1


def test_a_level_of_a_still_book_can_be_set():
    with a_world() as world:
        world.move(BTC, 3)
        ticks, _ = world.levels(BTC, -1, 1)[0]
        world.set_level(BTC, -1, ticks, 1)
        assert world.levels(BTC, -1, 1) == [(ticks, 1)]
    with a_world(feed="synthetic") as world, pytest.raises(ValueError, match="synthetic"):
        world.set_level(BTC, 1, 5, 5)


def test_funding_is_paid_on_request_and_on_the_grid():
    with a_world() as world:
        heard = []
        world.on_account(lambda _, report: heard.append(report))
        place(world, order("a"))
        world.pay_funding(BTC, Decimal("0.001"))
        run(world, 0)
        paid = [one for one in heard if isinstance(one, FundingPaid)]
        assert [one.rate for one in paid] == [Decimal("0.001")]
        assert paid[0].funding_usdt == world.ticker(BTC).mark * Decimal("0.01") * Decimal("0.001")
        due_ns = world.next_funding_ns(BTC)
        assert due_ns % (8 * 3600 * 10**9) == 0
        run(world, (due_ns - world.now_ns()) / 1e9 + 2)
        paid = [one for one in heard if isinstance(one, FundingPaid)]
        assert [one.rate for one in paid] == [Decimal("0.001"), Decimal("0.0001")]
        assert world.next_funding_ns(BTC) == due_ns + 8 * 3600 * 10**9


def test_timers_repeat_stop_and_end_with_the_world():
    with a_world() as world:
        beats, once = [], []
        cancel = world.every(0.5, lambda: beats.append(world.now_ns()))
        world.later(0.7, lambda: once.append(1))
        world.later(0.7, lambda: once.append(2))()
        run(world, 1.6)
        assert [(at - START_NS) / 1e9 for at in beats] == [0.5, 1.0, 1.5]
        assert once == [1]
        cancel()
        run(world, 2)
        assert len(beats) == 3
        world.every(0.1, lambda: beats.append(0))
        world.later(0.1, lambda: beats.append(0))
        world.close()
        run(world, 1)
        assert len(beats) == 3


def test_the_clock_can_be_skewed():
    with a_world() as world:
        run_command(world, "clock_skew", {"ms": -2500}, dict.get)
        assert world.now_ns() == START_NS - 2_500_000_000
        assert world.now_ms() == START_NS // 1_000_000 - 2500


def test_ids_are_those_of_the_seed():
    ids = []
    for seed in (1, 1, 2):
        with a_world(seed=seed) as world:
            ids.append([world.venue_uuid() for _ in range(3)])
    assert ids[0] == ids[1] != ids[2]
    assert all(len(one) == 36 and one.count("-") == 4 for one in ids[0])


def frames_within(feed, seconds):
    first = next(iter(feed.events())).at_ns
    return sum(1 for _ in takewhile(lambda e: e.at_ns <= first + seconds * 1e9, feed.events()))


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_a_synthetic_market_is_paced_by_the_clock(speed):
    with a_world(feed="synthetic", speed=speed, venue="binance") as world:
        ticker = world.ticker(BTC)
        assert min(ticker.bid, ticker.ask, ticker.mark, ticker.index, ticker.last) > 0
        run(world, 1.0)
        feed = Synthetic(1, SYNTHETIC_START_NS, [BTC], instruments=world.instruments)
        played, before_s = world.source.frames, world.source.warm_up_ns / 1e9
        assert played >= frames_within(feed, before_s + 0.99 * speed)
        assert played <= frames_within(feed, before_s + 1.01 * speed)
        ticker = world.ticker(BTC)
        assert 0 < ticker.bid < ticker.ask
        assert abs(ticker.mark / ticker.bid - 1) < Decimal("0.01")
        assert world.version(BTC) > 50
        assert ticker.volume24h > 0


def test_a_late_market_catches_up_without_a_loss_and_lets_others_in_between():
    with a_world(feed="synthetic", venue="binance") as world:
        run(world, 0.01)
        turns = []

        def count():
            turns.append(world.source.frames)
            if world.source.late_ms:
                world.loop.call_soon(count)

        world.clock.advance_to(world.now_ns() + 5_000_000_000)
        world.loop.call_soon(world.source._pump)
        world.loop.call_soon(count)
        run(world, 0)
        while world.source.late_ms:
            run(world, 0)
        feed = Synthetic(1, SYNTHETIC_START_NS, [BTC], instruments=world.instruments)
        assert world.source.frames >= frames_within(feed, 5.0)
        assert len(set(turns)) > 2


def test_a_replay_goes_round_and_derives_marks(tmp_path):
    rows = [row for row in recordings.lines(seconds=3.0) if b"markPriceUpdate" not in row]
    path = recordings.write(tmp_path / "BTCUSDT-recording.jsonl.gz", rows)
    with a_world(feed=f"replay:{path}", symbols=[], venue="binance") as world:
        assert list(world.instruments) == [BTC]
        run(world, 4.0)
        assert world.source.rounds == 2
        assert world.source.frames > len(rows)
        first = world.ticker(BTC)
        assert first.mark > 0
        assert first.bid > 0
        run(world, 6.0)
        assert world.source.rounds == 4
        assert world.ticker(BTC).bid > 0


def test_unknown_feeds_symbols_and_files_are_named(tmp_path):
    for options, message in (
        ({"feed": "psychic"}, "psychic"),
        ({"feed": "replay:"}, "replay:"),
        ({"symbols": ["NOPEUSDT"]}, "NOPEUSDT"),
    ):
        with pytest.raises(ConfigError, match=message), a_world(**options):
            pass
    with pytest.raises(FeedError), a_world(feed=f"replay:{tmp_path / 'none.gz'}"):
        pass


def test_invented_listings_differ_and_can_be_traded():
    listed = invented("bybit", 250)
    assert len({one.symbol for one in listed}) == 250
    assert {int(one.max_leverage) for one in listed} == {100, 50, 75, 25, 20, 12}
    assert all("invented" in one.sources[0] for one in listed)
    for one in listed:
        for lower, upper in zip(one.tiers, one.tiers[1:], strict=False):
            cap = lower.notional_cap_usdt
            below = cap * lower.maintenance_rate - lower.deduction_usdt
            assert cap * upper.maintenance_rate - upper.deduction_usdt == below
            assert upper.maintenance_rate * 2 * upper.max_leverage < Decimal("1.1")
    with a_world(listings=3) as world:
        assert list(world.instruments) == [BTC, "X001USDT", "X002USDT", "X003USDT"]
        symbol = "X002USDT"
        request = OrderRequest("a", symbol, 1, "market", Decimal(100))
        assert place(world, request).state == "filled"


def test_commands_do_what_they_say_and_unknown_ones_reach_the_dialect():
    with a_world() as world:
        place(world, order("a", quantity="0.02"))

        def do(name, **arguments):
            return run_command(world, name, arguments, lambda n, a: {"dialect": [n, dict(a)]})

        do("leverage", symbol=BTC, leverage=7)
        assert world.exchange.leverage("main", BTC).leverage == 7
        do("adl", symbol=BTC, quantity="0.01")
        assert world.exchange.position("main", BTC).quantity == Decimal("0.01")
        assert world.exchange.fills("main")[-1].cause == "adl"
        do("liquidate", symbol=BTC)
        assert world.exchange.position("main", BTC).side == 0
        do("regime", symbol=BTC, regime="closed")
        with pytest.raises(VenueRejected, match="market_closed"):
            place(world, order("b"))
        do("regime", symbol=BTC, regime="open")
        do("margin_mode", symbol=BTC, mode="isolated")
        assert world.exchange.leverage("main", BTC).margin_mode == "isolated"
        price = world.ticker(BTC).bid - 10
        place(world, order("rest", kind="limit", price=price))
        do("cancel_order", symbol=BTC, client_id="rest")
        assert world.exchange.open_orders("main") == []
        do("move", symbol=BTC, to_price="61000.0")
        do("mark", symbol=BTC, mark=60_900)
        assert world.ticker(BTC).mark == 60_900
        do("funding", symbol=BTC, rate="-0.002")
        do("level", symbol=BTC, side=1, ticks=609_999, steps=5)
        assert (609_999, 5) in world.levels(BTC, 1, 5)
        assert do("sing", loud=True) == {"dialect": ["sing", {"loud": True}]}
        with pytest.raises(ValueError, match="quantity"):
            do("adl", symbol=BTC)
        with pytest.raises(KeyError):
            do("move", symbol="NOPE", ticks=1)


def test_candles_and_the_last_day_are_exact():
    with a_world() as world:
        tape = Tape(world.instruments[BTC])
    minute = 60 * 10**9
    start_ns = START_NS - START_NS % (5 * minute)
    for at, ticks, steps in ((0, 100, 1), (30, 110, 2), (60, 90, 3), (299, 95, 4), (300, 200, 5)):
        tape.add(ticks, steps, 1, start_ns + at * 10**9)
    ones = tape.candles(60, 10)
    assert [int(one.close / TICK) for one in ones] == [110, 90, 95, 200]
    fives = tape.candles(300, 10)
    first = fives[0]
    assert [int(p / TICK) for p in (first.open, first.high, first.low, first.close)] == [
        100,
        110,
        90,
        95,
    ]
    assert first.volume == Decimal("0.010")
    assert first.turnover == TICK * Decimal("0.001") * (100 + 220 + 270 + 380)
    assert [one.start_ns for one in fives] == [start_ns, start_ns + 5 * minute]
    assert tape.candles(300, 1) == fives[1:]
    day = tape.day(start_ns + 6 * minute)
    assert (day.open, day.high, day.volume) == (first.open, 200 * TICK, Decimal("0.015"))
    later = tape.day(start_ns + 1442 * minute)
    assert (later.open, later.volume) == (95 * TICK, Decimal("0.009"))
    assert tape.day(start_ns + 3000 * minute) is None
    with pytest.raises(ValueError, match="whole minutes"):
        tape.candles(90, 1)


def test_beyond_a_hundred_symbols_a_synthetic_market_stands_still():
    with a_world(feed="synthetic", symbols=[], listings=100) as world:
        lively, calm = "X095USDT", "X096USDT"
        before = world.version(calm)
        run(world, 2.0)
        assert world.version(lively) > 20
        assert world.version(calm) == before
        tickers = [world.ticker(symbol) for symbol in world.instruments]
        assert len(tickers) == 105
        assert all(min(one.bid, one.ask, one.mark, one.last) > 0 for one in tickers)
        assert world.source.frames > 1000
