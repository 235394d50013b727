"""Per-symbol feeds: what each dialect's codec becomes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from hfengine.actors.market_data import MarketData
from hfengine.actors.symbol_feed import (
    BinanceFeed,
    BybitFeed,
    TickFeed,
    _trade_number,
    symbol_feed,
)
from hfengine.instruments import load_catalogue
from hfengine.kernels import bybit_codec, codec
from hfengine.messages import BookSync, BookTick, FeedFault, Frame, TradeTick
from tests.rig import T0_NS, Rig

BTC = load_catalogue("bybit").find("BTCUSDT")
SHARED_NAMES = (
    "IGNORED",
    "DEPTH",
    "QUOTE",
    "TRADE",
    "MARK",
    "SNAPSHOT",
    "STALE",
    "FOREIGN",
    "GAP",
)


def book(kind: str, update: int, bid: str = "60000.0", seq: int = 0) -> bytes:
    return json.dumps(
        {
            "topic": "orderbook.50.BTCUSDT",
            "type": kind,
            "ts": 5,
            "data": {
                "s": "BTCUSDT",
                "b": [[bid, "1"]],
                "a": [["60000.1", "2"]] if kind == "snapshot" else [],
                "u": update,
                "seq": seq or update,
            },
        }
    ).encode()


@pytest.mark.parametrize("name", SHARED_NAMES)
def test_both_codecs_call_the_same_thing_the_same(name: str) -> None:
    assert getattr(codec, name) == getattr(bybit_codec, name)
    assert codec.FAULTS == bybit_codec.FAULTS


def test_each_dialect_has_its_feed() -> None:
    assert isinstance(symbol_feed("binance", "BTCUSDT", BTC), BinanceFeed)
    assert isinstance(symbol_feed("bybit", "BTCUSDT", BTC), BybitFeed)
    assert isinstance(symbol_feed("ticks", "BTC/USDT:USDT", None), TickFeed)
    with pytest.raises(ValueError, match="no market data dialect 'okx'"):
        symbol_feed("okx", "BTCUSDT", BTC)
    with pytest.raises(ValueError, match="price tick and quantity step must be known"):
        symbol_feed("bybit", "BTCUSDT", None)


def test_update_ids_that_begin_again_are_news() -> None:
    feed = BybitFeed(BTC)
    feed.decode(book("snapshot", 500))
    first = feed.top(T0_NS)
    assert feed.top(T0_NS) is None
    feed.decode(book("snapshot", 1, bid="59000.0", seq=501))
    again = feed.top(T0_NS)
    assert first is not None
    assert again is not None
    assert (first.update_id, again.update_id, again.bid) == (500, 1, 59000.0)


@pytest.mark.parametrize(
    ("text", "number"),
    [("77", 77), ("00000000-0000-0000-0000-0000000000ff", 255), ("x!", 30753), (5, 5)],
)
def test_trade_ids_become_numbers(text: str | int, number: int) -> None:
    feed = BybitFeed(BTC)
    row = {"T": 5, "s": "BTCUSDT", "S": "Buy", "v": "0.1", "p": "60000.1", "i": text, "BT": False}
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 6, "data": [row]}
    feed.decode(json.dumps(frame).encode())
    (trade,) = feed.trades(T0_NS)
    assert trade.trade_id == number


@pytest.mark.parametrize("feed", [BinanceFeed(BTC), BybitFeed(BTC)])
def test_a_feed_of_frames_takes_no_ready_made_ticks(feed: Any) -> None:
    tick = TradeTick("BTCUSDT", T0_NS, 5, 1, 60000.0, 1.0, 1)
    assert feed.refusal(tick) == ("foreign", "a ready-made tick in a feed of frames")


def test_ready_made_ticks_in_a_feed_of_frames_are_a_fault(rig: Rig) -> None:
    ref = rig.start(MarketData)
    rig.tell(ref, BookTick("BTCUSDT", T0_NS, 5, 1, 1.0, 1.0, 2.0, 1.0, 0.0))
    assert rig.one(FeedFault).fault == "foreign"
    assert not rig.all(BookTick)
    assert not rig.all(BookSync)
    rig.tell(ref, TradeTick("XRPUSDT", T0_NS, 5, 1, 1.0, 1.0, 1))
    assert rig.all(FeedFault)[-1].fault == "unknown_symbol"


def test_frames_in_a_feed_of_ready_made_ticks_are_a_fault(rig: Rig) -> None:
    rig.wiring = replace(rig.wiring, dialect="ticks")
    ref = rig.start(MarketData)
    rig.tell(ref, BookTick("BTCUSDT", T0_NS, 5, 1, 1.0, 1.0, 2.0, 1.0, 0.0))
    rig.tell(ref, Frame("BTCUSDT", T0_NS, b"{}", "somewhere", 3))
    fault = rig.one(FeedFault)
    assert (fault.fault, fault.origin, fault.line) == ("foreign", "somewhere", 3)
    assert fault.detail == "a frame in a feed of ready-made ticks"
    assert [s.synced for s in rig.all(BookSync)] == [True]


@pytest.mark.parametrize(
    "number", ["9" * 40, "f" * 40, 10**39, "12345678", "d8dd5b31-9112-5b31-9112-000000000012"]
)
def test_a_trade_number_fits_the_journal_whatever_the_venue_writes(number: str | int) -> None:
    assert 0 <= _trade_number(number) < 2**60


def test_a_short_trade_number_is_the_venues_own() -> None:
    assert _trade_number("12345678") == _trade_number(12345678) == 12345678
