"""The ccxt.pro adapter against a scripted exchange object: copies, errors by class, silence."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import ccxt
import ccxt.pro
import msgspec
import pytest
from msgspec.structs import replace

from hfengine.errors import ConfigError, VenueUnavailable
from hfengine.messages import BookSync, BookTick, FeedFault, MarkTick, TradeTick
from hfengine.runtime.hosts import ActorHost
from hfengine.venues.ccxt_market import CcxtMarket, CcxtSettings, open_exchange
from tests.scripted_server import until
from tests.scripted_venues import BybitVenue, LiveRig

QUICK = CcxtSettings(stale_after_s=5.0, backoff_first_s=0.002, backoff_max_s=0.01)
MARKETS = {
    "BTC/USDT": {"id": "BTCUSDT", "swap": False},
    "BTC/USDT:USDT": {"id": "BTCUSDT", "swap": True, "linear": True, "contractSize": 0.01},
}


class FakeExchange:
    """Gives out what a test queues, one item a call; exceptions are raised."""

    id = "fake"

    def __init__(self, **has: bool) -> None:
        self.has = has
        self.markets: dict[str, Any] = {}
        self.loads: list[Exception] = []
        self.closes = 0
        self.queues = {name: asyncio.Queue() for name in ("book", "trades", "ticker", "mark_price")}
        self.asked: list[tuple] = []

    async def load_markets(self) -> None:
        if self.loads:
            raise self.loads.pop(0)
        self.markets = MARKETS

    async def _next(self, name: str, *asked: Any) -> Any:
        self.asked.append((name, *asked))
        item = await self.queues[name].get()
        if isinstance(item, BaseException):
            raise item
        return item

    async def watch_order_book(self, unified: str, limit: int | None) -> Any:
        return await self._next("book", unified, limit)

    async def watch_trades(self, unified: str) -> Any:
        return await self._next("trades", unified)

    async def watch_ticker(self, unified: str) -> Any:
        return await self._next("ticker", unified)

    async def watch_mark_price(self, unified: str) -> Any:
        return await self._next("mark_price", unified)

    async def close(self) -> None:
        self.closes += 1


def book(bid: float = 60000.0, ask: float = 60000.1, at_ms: int | None = 5) -> dict[str, Any]:
    return {
        "bids": [[bid, 100.0], [bid - 1, 200.0]],
        "asks": [[ask, 50.0]],
        "timestamp": at_ms,
        "nonce": None,
    }


def trade(number: Any = "77", at_ms: int = 5, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "timestamp": at_ms,
        "price": 60000.1,
        "amount": 20.0,
        "side": "sell",
        **changes,
    }


@asynccontextmanager
async def ccxt_rig(
    exchange: Any, settings: CcxtSettings = QUICK, symbol: str = "BTCUSDT"
) -> AsyncIterator[LiveRig]:
    host = ActorHost(asyncio.get_running_loop(), system="test")
    market = CcxtMarket(exchange, [symbol], host=host, random=random.Random(1), settings=settings)
    rig = LiveRig(market, "ticks", [symbol])
    try:
        yield rig
    finally:
        await rig.close()
        assert not market._tasks


def run(test):
    with asyncio.Runner() as runner:
        runner.run(test())


def test_a_book_is_copied_out_in_base_units():
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            live = book()
            exchange.queues["book"].put_nowait(live)
            await rig.until_synced("BTCUSDT")
            live["bids"][0][0] = 1.0
            (tick,) = rig.all(BookTick)
            assert (tick.symbol, tick.bid, tick.bid_quantity) == ("BTCUSDT", 60000.0, 1.0)
            assert (tick.ask, tick.ask_quantity, tick.exchange_ms) == (60000.1, 0.5, 5)
            assert tick.imbalance == pytest.approx((300.0 - 50.0) / 350.0)
            assert ("book", "BTC/USDT:USDT", None) in exchange.asked

    run(test)


def test_every_trade_of_a_call_comes_out():
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            exchange.queues["trades"].put_nowait([trade(), trade("a-b", side="buy")])
            await until(lambda: len(rig.all(TradeTick)) == 2)
            first, second = rig.all(TradeTick)
            assert (first.trade_id, first.side, first.quantity) == (77, -1, 0.2)
            assert (second.trade_id, second.side) == (int.from_bytes(b"a-b", "big"), 1)

    run(test)


@pytest.mark.parametrize(
    ("has", "queue"),
    [
        ({"watchMarkPrice": True, "watchTicker": True}, "mark_price"),
        ({"watchTicker": True}, "ticker"),
    ],
)
def test_marks_come_from_what_the_exchange_offers(has, queue):
    async def test() -> None:
        exchange = FakeExchange(**has)
        async with ccxt_rig(exchange) as rig:
            funding = {"fundingRate": "0.0001", "nextFundingTime": "1700006400000"}
            exchange.queues[queue].put_nowait({"markPrice": None, "info": {}})
            exchange.queues[queue].put_nowait(
                {"markPrice": 60001.5, "indexPrice": 60002.5, "info": funding}
            )
            await until(lambda: rig.all(MarkTick))
            (mark,) = rig.all(MarkTick)
            assert (mark.mark, mark.index, mark.funding_rate) == (60001.5, 60002.5, 0.0001)
            assert mark.next_funding_ns == 1_700_006_400_000_000_000

    run(test)


@pytest.mark.parametrize(
    ("raised", "fault"),
    [
        (ccxt.NetworkError("reset"), "disconnected"),
        (ccxt.RequestTimeout("late"), "disconnected"),
        (ccxt.ExchangeClosedByUser("closed"), "disconnected"),
        (ccxt.ChecksumError("pu"), "gap"),
        (ccxt.BadSymbol("none such"), "refused_topic"),
        (ccxt.NotSupported("no"), "refused_topic"),
        (asyncio.CancelledError(), "disconnected"),
    ],
)
def test_errors_are_told_by_class_and_the_watch_goes_on(raised, fault):
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            exchange.queues["book"].put_nowait(book())
            await rig.until_synced("BTCUSDT")
            exchange.queues["book"].put_nowait(raised)
            await until(lambda: rig.all(FeedFault))
            (told,) = rig.all(FeedFault)
            assert (told.fault, told.origin) == (fault, "ccxt fake")
            assert not rig.synced("BTCUSDT")
            exchange.queues["book"].put_nowait(book())
            await rig.until_synced("BTCUSDT")

    run(test)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (book(bid=60001.0), "crossed"),
        (book(bid=-1.0), "bad_number"),
        (book(bid=float("nan")), "bad_number"),
        ({"bids": [], "asks": [], "timestamp": 9}, "bad_number"),
        ({"bids": [[1.0, None]], "asks": [[2.0, 1.0]], "timestamp": 9}, "bad_number"),
        (book(at_ms=4), "stale"),
    ],
)
def test_a_top_that_cannot_be_true_takes_the_book_out(bad, fault):
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            exchange.queues["book"].put_nowait(book())
            exchange.queues["book"].put_nowait(bad)
            await until(lambda: rig.all(FeedFault))
            assert rig.all(FeedFault)[0].fault == fault
            assert [s.synced for s in rig.all(BookSync)][-2:] == [True, False]
            assert len(rig.all(BookTick)) == 1
            exchange.queues["book"].put_nowait(book(at_ms=10))
            await rig.until_synced("BTCUSDT")

    run(test)


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (trade(price=0.0), "bad_number"),
        (trade(amount=None), "bad_number"),
        (trade(side=None), "bad_number"),
        (trade(at_ms=4), "stale"),
    ],
)
def test_a_bad_trade_is_a_fault_and_leaves_the_book(bad, fault):
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            exchange.queues["book"].put_nowait(book())
            exchange.queues["trades"].put_nowait([trade(), bad])
            await until(lambda: rig.all(FeedFault) and rig.all(BookTick))
            assert rig.all(FeedFault)[0].fault == fault
            assert len(rig.all(TradeTick)) == 1
            assert rig.synced("BTCUSDT")

    run(test)


def test_a_bad_mark_is_a_fault():
    async def test() -> None:
        exchange = FakeExchange(watchTicker=True)
        async with ccxt_rig(exchange) as rig:
            exchange.queues["ticker"].put_nowait({"markPrice": -5.0, "info": {}})
            await until(lambda: rig.all(FeedFault))
            assert not rig.all(MarkTick)

    run(test)


def test_silence_is_told_and_then_acted_upon():
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange, replace(QUICK, stale_after_s=0.02)) as rig:
            exchange.queues["book"].put_nowait(book())
            await until(lambda: exchange.closes)
            assert {f.fault for f in rig.all(FeedFault)} == {"silent"}
            assert not rig.synced("BTCUSDT")

    run(test)


def test_a_list_of_markets_that_does_not_come_is_asked_for_again():
    async def test() -> None:
        exchange = FakeExchange()
        exchange.loads += [ccxt.NetworkError("away"), ccxt.ExchangeError("odd")]
        exchange.queues["book"].put_nowait(book())
        async with ccxt_rig(exchange) as rig:
            await rig.until_synced("BTCUSDT")
            assert [f.fault for f in rig.all(FeedFault)] == ["disconnected"] * 2

    run(test)


def test_a_symbol_the_exchange_does_not_have_is_named():
    async def test() -> None:
        async with ccxt_rig(FakeExchange(), symbol="NOUSDT") as rig:
            await until(lambda: rig.all(FeedFault))
            assert rig.all(FeedFault)[0].fault == "refused_topic"
            assert "fake has no linear swap NOUSDT" in rig.all(FeedFault)[0].detail
            with pytest.raises(VenueUnavailable):
                await rig.market.snapshot("XRPUSDT")

    run(test)


@pytest.mark.parametrize(
    "broken", [KeyError("planted"), {"bids": 5}, book(at_ms=2**63), OverflowError("planted")]
)
def test_a_bug_of_the_exchange_class_is_told_and_the_book_comes_again(broken):
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            exchange.queues["book"].put_nowait(broken)
            exchange.queues["book"].put_nowait(book())
            await rig.until_synced("BTCUSDT")
            (told,) = rig.all(FeedFault)
            assert (told.fault, told.detail.partition(":")[0]) == ("unreadable", "book")

    run(test)


def test_bugs_do_not_end_the_trades_and_are_answered_with_growing_pauses():
    async def test() -> None:
        exchange = FakeExchange()
        exchange.loads += [KeyError("markets")]
        async with ccxt_rig(exchange) as rig:
            pauses: list[int] = []
            pause = rig.market._pause

            async def noted(failures: int) -> None:
                pauses.append(failures)
                await pause(failures)

            rig.market._pause = noted
            for _ in range(3):
                exchange.queues["trades"].put_nowait(KeyError("planted"))
            exchange.queues["trades"].put_nowait([trade("78")])
            await until(lambda: rig.all(TradeTick))
            assert pauses == [1, 1, 2, 3], "one for the markets, then growing ones"
            assert rig.all(TradeTick)[0].trade_id == 78
            faults = [fault.fault for fault in rig.all(FeedFault)]
            assert faults == ["disconnected"] + ["unreadable"] * 3
            assert "KeyError: 'planted'" in rig.all(FeedFault)[-1].detail

    run(test)


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("9" * 5000, 10**18 - 1),
        (2**80, 2**80 % 10**18),
        ("1244558612345678901", 244558612345678901),
        ("f" * 5000, int.from_bytes(b"f" * 7, "big")),
        ("\ud800", ord("?")),
        (None, 0),
    ],
)
def test_numbers_of_any_length_fit_the_journal(told, number):
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            exchange.queues["trades"].put_nowait([trade(told)])
            exchange.queues["book"].put_nowait(book() | {"nonce": 2**90 + 5})
            await until(lambda: rig.all(TradeTick) and rig.all(BookTick))
            (tick,) = rig.all(TradeTick)
            assert tick.trade_id == number < 2**60
            for heard in (tick, rig.all(BookTick)[0]):
                assert msgspec.msgpack.decode(msgspec.msgpack.encode(heard), type=type(heard))

    run(test)


def test_stop_closes_the_exchange_once():
    async def test() -> None:
        exchange = FakeExchange()
        async with ccxt_rig(exchange) as rig:
            rig.market.stop()
        assert exchange.closes == 1

    run(test)


def test_an_unknown_exchange_is_named():
    with pytest.raises(ConfigError, match="has no exchange 'bybitt': did you mean bybit"):
        open_exchange("bybitt")


def test_the_real_bybit_client_against_a_scripted_venue():
    async def test() -> None:
        venue = BybitVenue()
        async with venue.serving():
            public = {"linear": venue.url + "/v5/public/linear"}
            exchange = open_exchange("bybit", {"urls": {"api": {"ws": {"public": public}}}})
            exchange.set_markets([_bybit_market(exchange)])
            async with ccxt_rig(exchange) as rig:
                await rig.until_synced("BTCUSDT")
                assert rig.all(BookTick)[-1].bid == 60000.0
                venue.peer.send(venue.delta("BTCUSDT", bid="60000.0"))
                await until(lambda: rig.all(BookTick)[-1].bid_quantity == 3.0)
                venue.peer.cut()
                await until(lambda: any(f.fault == "disconnected" for f in rig.all(FeedFault)))
                await until(lambda: rig.synced("BTCUSDT"))

    run(test)


def _bybit_market(exchange: Any) -> dict[str, Any]:
    return exchange.safe_market_structure(
        {
            "id": "BTCUSDT",
            "symbol": "BTC/USDT:USDT",
            "base": "BTC",
            "quote": "USDT",
            "settle": "USDT",
            "baseId": "BTC",
            "quoteId": "USDT",
            "settleId": "USDT",
            "type": "swap",
            "spot": False,
            "swap": True,
            "future": False,
            "option": False,
            "contract": True,
            "linear": True,
            "inverse": False,
            "contractSize": 1.0,
            "active": True,
        }
    )


def test_subscriptions_go_out_one_after_the_other_again_after_a_break():
    class Timed(FakeExchange):
        def __init__(self) -> None:
            super().__init__(watchTicker=True)
            self.subscribed_s: list[float] = []

        async def _next(self, name: str, *asked: Any) -> Any:
            self.subscribed_s.append(asyncio.get_running_loop().time())
            return await super()._next(name, *asked)

    async def test() -> None:
        exchange = Timed()
        async with ccxt_rig(exchange, replace(QUICK, subscribe_every_s=0.02)) as rig:
            await until(lambda: len(exchange.subscribed_s) == 3)
            told = {"book": book(), "trades": [trade()], "ticker": {"markPrice": 1.0}}
            for queue, one in told.items():
                exchange.queues[queue].put_nowait(one)
            await until(lambda: len(exchange.subscribed_s) == 6)
            for queue in told:
                exchange.queues[queue].put_nowait(ccxt.NetworkError("gone"))
            await until(lambda: len(exchange.subscribed_s) == 9)
            assert len(rig.all(FeedFault)) == 3
        told_s = exchange.subscribed_s
        # a timer may fire a moment early, never by half of its time
        assert all(later - one > 0.01 for one, later in pairwise(told_s[:3]))
        assert all(later - one > 0.01 for one, later in pairwise(told_s[6:]))

    run(test)
