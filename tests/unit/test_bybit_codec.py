"""The Bybit V5 codec, rule by rule, and what it refuses."""

import json
import math

import pytest

from hfengine.kernels import bybit_codec as kinds
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from tests.reference.bybit_frames import (
    ASKS,
    BIDS,
    EMPTY,
    MARKED,
    TS,
    delta,
    encode,
    fill,
    fresh,
    snapshot,
    state,
    synced,
    ticker,
    touch,
    trades,
)


@pytest.fixture
def codec() -> BybitCodec:
    """Return a codec in sync at update 101."""
    return synced()


def test_nothing_is_valid_before_the_first_frame() -> None:
    codec = fresh()
    assert not codec.top_valid
    prices = (codec.top_bid, codec.top_ask, codec.trade_price, codec.mark_price, codec.funding_rate)
    assert all(math.isnan(price) for price in prices)
    assert (codec.trade_side, codec.trade_id, codec.trade_count, codec.depth) == (0, "", 0, 0)
    assert (codec.fault_detail, codec.event_ms, codec.control_op) == ("", 0, "")
    assert set(codec.counts.values()) == {0}


@pytest.mark.parametrize("depth", [1, 50, 200, 500, 1000])
def test_a_snapshot_fills_the_book(depth: int) -> None:
    codec = fresh()
    assert codec.decode(encode(snapshot(100, BIDS[:1], ASKS[:1], depth, 7))) == kinds.SNAPSHOT
    assert state(codec) == (True, 100, [(1000, 1000)], [(1001, 2000)])
    assert (codec.depth, codec.sequence) == (depth, 7)
    assert (codec.event_ms, codec.match_ms) == (TS, TS - 2)
    assert (codec.top_bid, codec.top_bid_quantity) == (100.0, 1.0)
    assert (codec.top_ask, codec.top_ask_quantity, codec.top_update_id) == (100.1, 2.0, 100)


def test_without_a_matching_time_the_send_time_stands(codec: BybitCodec) -> None:
    frame = delta(102)
    del frame["cts"]
    assert codec.decode(encode(frame)) == kinds.DEPTH
    assert (codec.event_ms, codec.match_ms) == (TS, TS)


def test_a_delta_sets_and_deletes_levels(codec: BybitCodec) -> None:
    frame = delta(102, [("100.0", "0"), ("99.5", "7.125")], [("100.1", "3")])
    assert codec.decode(encode(frame)) == kinds.DEPTH
    assert codec.book.levels(1, 9) == [(995, 7125), (990, 4000)]
    assert codec.book.levels(-1, 9) == [(1001, 3000), (1004, 500)]
    assert (codec.book.update_id, codec.sequence) == (102, 1020)


@pytest.mark.parametrize("update_id", [2, 100, 101])
def test_a_known_delta_is_stale(codec: BybitCodec, update_id: int) -> None:
    before = state(codec)
    assert codec.decode(encode(delta(update_id, [("98.0", "1")]))) == kinds.STALE
    assert state(codec) == before


def test_a_gap_ends_sync_until_a_snapshot(codec: BybitCodec) -> None:
    payload = encode(delta(103, [("98.0", "1")]))
    assert codec.decode(payload) == kinds.GAP
    at = payload.index(b'"u":') + 4
    assert codec.fault_detail == f"gap: not the next update (u), 103 against 102 at byte {at}"
    assert state(codec) == EMPTY
    assert codec.decode(encode(delta(104))) == kinds.UNSYNCED
    assert codec.decode(encode(delta(1, [("98.0", "1")], [("99.0", "1")]))) == kinds.SNAPSHOT
    assert state(codec) == (True, 1, [(980, 1000)], [(990, 1000)])


@pytest.mark.parametrize("update_id", [1, 50, 101, 900])
def test_a_snapshot_replaces_at_any_time(codec: BybitCodec, update_id: int) -> None:
    assert codec.decode(encode(snapshot(update_id, [("50.0", "1")], ASKS))) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(500, 1000)]
    assert codec.decode(encode(delta(update_id + 1))) == kinds.DEPTH


def test_update_one_is_a_snapshot_whatever_its_type(codec: BybitCodec) -> None:
    assert codec.decode(encode(delta(1, [("50.0", "1"), ("49.0", "0")]))) == kinds.SNAPSHOT
    assert state(codec) == (True, 1, [(500, 1000)], [])


def test_a_sequence_that_runs_backwards_is_counted(codec: BybitCodec) -> None:
    assert codec.decode(encode(delta(102, seq=1009))) == kinds.DEPTH
    assert codec.counts["sequence_backwards"] == 1
    assert codec.decode(encode(delta(103, seq=1009))) == kinds.DEPTH
    assert codec.counts["sequence_backwards"] == 1


def test_depth_one_alone_is_the_book() -> None:
    codec = fresh()
    assert codec.decode(encode(touch(5))) == kinds.SNAPSHOT
    assert codec.decode(encode(touch(5))) == kinds.STALE
    assert codec.decode(encode(touch(4, "99.0"))) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(990, 3000)]
    codec.desync()
    assert codec.decode(encode(touch(4, "99.0"))) == kinds.SNAPSHOT
    assert codec.decode(encode(delta(5, depth=1))) == kinds.FOREIGN
    assert state(codec) == EMPTY
    assert codec.decode(encode(snapshot(100))) == kinds.SNAPSHOT
    assert codec.depth == 50


def test_depth_one_beside_a_book_is_its_touch(codec: BybitCodec) -> None:
    before = state(codec)
    assert codec.decode(encode(touch(7, "99.9", "100.3", seq=1009))) == kinds.QUOTE
    assert (codec.top_bid, codec.top_update_id) == (100.0, 101)  # the book is of sequence 1010
    assert codec.decode(encode(touch(7, "99.9", "100.3", seq=1010))) == kinds.QUOTE
    assert codec.top_bid == 100.0
    assert codec.decode(encode(touch(8, "99.9", "100.3", seq=1011))) == kinds.QUOTE
    assert (codec.top_bid, codec.top_ask, codec.top_update_id) == (99.9, 100.3, 8)
    assert (codec.top_bid_quantity, codec.top_ask_quantity) == (3.0, 4.0)
    assert codec.decode(encode(touch(8, "99.9", "100.3", seq=1011))) == kinds.STALE
    assert state(codec) == before
    assert codec.decode(encode(delta(102))) == kinds.DEPTH
    assert codec.top_bid == 100.0
    codec.desync()
    assert codec.top_bid == 99.9
    empty = snapshot(9, [], [("100.3", "1")], 1, 1100)
    assert codec.decode(encode(empty)) == kinds.QUOTE
    assert not codec.top_valid
    assert math.isnan(codec.top_bid)
    codec.resync()
    assert (codec.depth, codec.top_update_id) == (0, 0)


def test_a_restart_forgets_the_touch(codec: BybitCodec) -> None:
    codec.decode(encode(touch(8, "99.9", "100.3", seq=99_999)))
    codec.decode(encode(snapshot(1, seq=5)))
    assert codec.top_update_id == 1


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (touch(8, "100.1", "100.1"), kinds.CROSSED),
        (snapshot(8, BIDS, ASKS, 1), kinds.FOREIGN),
        (delta(102, depth=200), kinds.FOREIGN),
        (delta(102, depth=1), kinds.FOREIGN),
        (snapshot(8, [("-1", "1")], ASKS, 200), kinds.BAD_NUMBER),
        (snapshot(8, depth=25), kinds.FOREIGN),
        (snapshot(8) | {"topic": "orderbook.050.BTCUSDT"}, kinds.FOREIGN),
        (snapshot(8) | {"topic": "orderbook.rpi.BTCUSDT"}, kinds.FOREIGN),
        (snapshot(8) | {"topic": 5}, kinds.FOREIGN),
    ],
)
def test_faults_in_other_streams_leave_the_book(codec: BybitCodec, frame: dict, fault: int) -> None:
    before = state(codec)
    assert codec.decode(encode(frame)) == fault
    assert state(codec) == before
    assert codec.decode(encode(delta(102))) == kinds.DEPTH


@pytest.mark.parametrize("make", [delta, snapshot])
def test_a_crossed_book_is_dropped(codec: BybitCodec, make) -> None:
    frame = make(102, [("100.1", "1")], [("100.1", "1")])
    assert codec.decode(encode(frame)) == kinds.CROSSED
    assert state(codec) == EMPTY


def test_a_frame_may_hold_several_trades(codec: BybitCodec) -> None:
    frame = trades(
        fill("a-1", "61800.30", "0.006"),
        fill("a-2", "61800.2", "1", "Sell", T=TS - 4),
        fill('\\u00e9"', "61800.1", "2", RPI=True, seq=2007, T=TS - 3),
    )
    before = state(codec)
    assert codec.decode(encode(frame)) == kinds.TRADE
    assert codec.trade_count == 3
    assert codec.trade(0) == ("a-1", 61800.3, 0.006, 1, TS - 5, 618003, 6)
    assert codec.trade(1) == ("a-2", 61800.2, 1.0, -1, TS - 4, 618002, 1000)
    assert codec.trade(2)[0] == codec.trade_id == '\\u00e9"'
    assert (codec.trade_price, codec.trade_quantity, codec.trade_side) == (61800.1, 2.0, 1)
    assert (codec.trade_ticks, codec.trade_steps) == (618001, 2000)
    assert (codec.event_ms, codec.match_ms, codec.sequence) == (TS, TS - 3, 2007)
    assert state(codec) == before
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"no trade {index}"):
            codec.trade(index)


def test_trade_ids_may_be_numbers_and_sequences_missing(codec: BybitCodec) -> None:
    plain = fill(2290000000000000001 // 10, "1", "1")
    del plain["seq"], plain["BT"]
    payload = encode(trades(plain, fill("@", "1", "1", seq=0))).replace(b'"@"', b"1.20e3")
    assert codec.decode(payload) == kinds.TRADE
    assert [codec.trade(index)[0] for index in range(2)] == [229000000000000000, 1200]
    assert codec.sequence == 1010


def test_block_trades_are_left_out(codec: BybitCodec) -> None:
    block = fill("x", "0.01234", "-1", BT=True)
    assert codec.decode(encode(trades(block, fill("y", "1", "1"), block))) == kinds.TRADE
    assert (codec.trade_count, codec.trade_id) == (1, "y")
    assert codec.decode(encode(trades(block))) == kinds.IGNORED
    assert codec.decode(encode(trades())) == kinds.IGNORED
    assert (codec.trade_count, codec.counts["off_market"]) == (1, 3)


def test_a_frame_with_one_bad_trade_is_refused_whole(codec: BybitCodec) -> None:
    before = state(codec)
    good = fill("y", "1", "1")
    codec.decode(encode(trades(fill("x", "5", "1"))))
    for bad, fault in (
        (fill("z", "1.05", "1"), kinds.OFF_GRID),
        (fill("z", "1", "0.0001"), kinds.OFF_GRID),
        (fill("z", "-1", "1"), kinds.BAD_NUMBER),
        (fill("z", "0", "1"), kinds.BAD_NUMBER),
        (fill("z", "1", "0"), kinds.BAD_NUMBER),
        (fill("z", "1", "1", T="x"), kinds.BAD_NUMBER),
        (fill("z", "1", "1", seq=-1), kinds.BAD_NUMBER),
        (fill(1.5, "1", "1"), kinds.BAD_NUMBER),
        (fill("", "1", "1"), kinds.FOREIGN),
        (fill(None, "1", "1"), kinds.FOREIGN),
        (fill("z", "1", "1", "buy"), kinds.FOREIGN),
        (fill("z", "1", "1", BT=None), kinds.FOREIGN),
        (fill("z", "1", "1", s="ETHUSDT"), kinds.WRONG_SYMBOL),
        ([], kinds.FOREIGN),
        ({"p": "1"}, kinds.FOREIGN),
    ):
        for frame in (trades(good, bad, good), trades(bad, fill("z", "x", "x"))):
            assert codec.decode(encode(frame)) == fault, codec.fault_detail
            assert codec.fault_detail.startswith(kinds.FAULTS[fault])
    assert (codec.trade_count, codec.trade_id, codec.trade_price) == (1, "x", 5.0)
    assert codec.decode(encode(trades(good) | {"ts": -1})) == kinds.BAD_NUMBER
    assert codec.decode(encode(trades(good) | {"data": good})) == kinds.FOREIGN
    assert codec.decode(encode(trades(good) | {"topic": "publicTrade.X"})) == kinds.WRONG_SYMBOL
    assert codec.trade(0)[0] == "x"
    assert state(codec) == before


def test_the_fault_is_found_where_it_stands(codec: BybitCodec) -> None:
    payload = encode(trades(fill("y", "1", "1"), fill("z", "1.05", "1")))
    codec.decode(payload)
    assert codec.fault_detail == f"off_grid: off the grid (p) at byte {payload.index(b'1.05')}"
    payload = encode(delta(102, [("98.0", "1")], [("100.05", "1")]))
    assert codec.decode(payload) == kinds.OFF_GRID
    assert codec.fault_detail == f"off_grid: off the grid (a) at byte {payload.index(b'100.05')}"
    assert state(codec) == EMPTY


def test_trades_of_a_frame_are_bounded(codec: BybitCodec) -> None:
    full = [fill(str(index), "1", "1") for index in range(kinds.TRADES_MAX)]
    assert codec.decode(encode(trades(*full))) == kinds.TRADE
    assert codec.trade_id == str(kinds.TRADES_MAX - 1)
    assert codec.decode(encode(trades(*full, fill("z", "1", "1", BT=True)))) == kinds.TRADE
    assert codec.decode(encode(trades(*full, fill("z", "1", "1")))) == kinds.OVERFLOW
    assert codec.trade_count == kinds.TRADES_MAX


def test_a_ticker_delta_keeps_what_it_leaves_out(codec: BybitCodec) -> None:
    assert codec.decode(encode(ticker("snapshot", **MARKED))) == kinds.MARK
    assert (codec.mark_price, codec.index_price) == (100.03, 100.07)
    assert (codec.funding_rate, codec.next_funding_ms) == (-0.000012, 1733040000000)
    assert (codec.event_ms, codec.match_ms) == (TS, TS)
    for key, name, read in (
        ("markPrice", "mark_price", 101.5),
        ("indexPrice", "index_price", 101.25),
        ("fundingRate", "funding_rate", 0.0001),
        ("nextFundingTime", "next_funding_ms", 1733068800000),
    ):
        before = [codec.mark_price, codec.index_price, codec.funding_rate, codec.next_funding_ms]
        assert codec.decode(encode(ticker("delta", **{key: str(read)}))) == kinds.MARK
        after = [codec.mark_price, codec.index_price, codec.funding_rate, codec.next_funding_ms]
        assert getattr(codec, name) == read
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1
    assert codec.decode(encode(ticker("delta", bid1Price="1"))) == kinds.IGNORED
    assert codec.mark_price == 101.5


@pytest.mark.parametrize("key", MARKED)
def test_a_bad_ticker_changes_nothing(codec: BybitCodec, key: str) -> None:
    before = state(codec)
    codec.decode(encode(ticker("snapshot", **MARKED)))
    rest = {name: "7" for name in MARKED if name != key}
    assert codec.decode(encode(ticker("snapshot", **rest))) == kinds.FOREIGN
    assert f"({key})" in codec.fault_detail
    for wrong in ("", "x", None, [], "1e400", "--1"):
        frame = ticker("delta", **rest, **{key: wrong})
        assert codec.decode(encode(frame)) == kinds.BAD_NUMBER
    if key != "fundingRate":
        assert codec.decode(encode(ticker("delta", **rest, **{key: "-1"}))) == kinds.BAD_NUMBER
    assert codec.decode(encode(ticker("delta", markPrice="0"))) == kinds.BAD_NUMBER
    assert codec.decode(encode(ticker("final", **MARKED))) == kinds.FOREIGN
    assert codec.decode(encode(ticker("delta", symbol="X", **MARKED))) == kinds.WRONG_SYMBOL
    marks = (codec.mark_price, codec.index_price, codec.funding_rate, codec.next_funding_ms)
    assert marks == (100.03, 100.07, -0.000012, 1733040000000)
    assert state(codec) == before


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"r-1","op":"subscribe"}',
            (True, "subscribe", "r-1", "", False),
        ),
        (
            b'{"success":false,"ret_msg":"Invalid \\u0074opic","conn_id":"c","op":"subscribe"}',
            (False, "subscribe", "", "Invalid topic", False),
        ),
        (
            b'{"success":true,"ret_msg":"pong","conn_id":"c","req_id":7,"op":"ping"}',
            (True, "ping", "7", "pong", True),
        ),
        (
            b'{"req_id":null,"op":"pong","args":["1675418560633"],"conn_id":"c"}',
            (True, "pong", "", "", True),
        ),
    ],
)
def test_replies_are_ignored_and_told(codec: BybitCodec, payload: bytes, expected: tuple) -> None:
    before = state(codec)
    assert codec.decode(payload) == kinds.IGNORED
    reply = (codec.control_success, codec.control_op, codec.control_request_id)
    assert (*reply, codec.control_message, codec.control_is_pong) == expected
    assert (state(codec), codec.fault_detail) == (before, "")


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b'"text"',
        b"{}",
        b'{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}',
        b'{"op":5,"success":true}',
        b'{"op":"ping","success":1}',
        b'{"retCode":0,"retMsg":"OK","op":"auth","connId":"x"}',
        b'{"topic":"kline.1.BTCUSDT","data":[{"T":1}],"ts":1,"type":"snapshot"}',
        b'{"topic":"tickers.BTCUSDT","op":"ping","success":true}',
        b'{"stream":"x","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":102,"b":[]}}',
        b'{"e":"aggTrade","E":1,"s":"BTCUSDT","a":1,"p":"1","q":"1","T":1,"m":true}',
        b'{"lastUpdateId":160,"bids":[["99","1"]],"asks":[]}',
    ],
)
def test_other_dialects_are_foreign(codec: BybitCodec, payload: bytes) -> None:
    before = state(codec)
    assert codec.decode(payload) == kinds.FOREIGN
    assert codec.fault_detail.startswith("foreign: ")
    assert (state(codec), codec.control_op) == (before, "")


def test_a_book_that_is_also_a_reply_is_foreign(codec: BybitCodec) -> None:
    assert codec.decode(encode(delta(102) | {"success": True})) == kinds.FOREIGN
    assert state(codec) == EMPTY


@pytest.mark.parametrize("part", ["topic", "type", "ts", "data", "s", "b", "a", "u", "seq"])
@pytest.mark.parametrize("make", [delta, snapshot])
def test_a_book_without_a_key_is_foreign(codec: BybitCodec, make, part: str) -> None:
    frame = make(102)
    del (frame if part in frame else frame["data"])[part]
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert state(codec) == (EMPTY if part != "topic" else state(synced()))


@pytest.mark.parametrize("make", [delta, snapshot])
def test_a_book_of_another_symbol_is_refused(make) -> None:
    for frame in (make(102) | {"topic": "orderbook.50.BTCUSD"}, make(102)):
        codec = synced()
        if "BTCUSDT" in frame["topic"]:
            frame["data"]["s"] = "BTCUSD"
        assert codec.decode(encode(frame)) == kinds.WRONG_SYMBOL
        assert state(codec) == EMPTY


@pytest.mark.parametrize("key", ["u", "seq", "ts", "cts"])
@pytest.mark.parametrize("wrong", [-1, 1.5, "x", None, True, [], {}, 10**18])
def test_ids_and_times_are_whole_numbers(codec: BybitCodec, key: str, wrong: object) -> None:
    frame = delta(102, [("98.0", "1")])
    (frame if key in frame else frame["data"])[key] = wrong
    assert codec.decode(encode(frame)) == kinds.BAD_NUMBER
    assert f"({key})" in codec.fault_detail
    assert state(codec) == EMPTY


@pytest.mark.parametrize("text", ["-1", "", "abc", ".5", "01", "1e", "NaN", "1e18", "9" * 400])
@pytest.mark.parametrize("place", [0, 1])
def test_bad_numbers_are_refused(codec: BybitCodec, text: str, place: int) -> None:
    level = ("99.0", text) if place else (text, "1.0")
    assert codec.decode(encode(delta(102, [("98.0", "1"), level]))) == kinds.BAD_NUMBER
    assert state(codec) == EMPTY


@pytest.mark.parametrize("levels", ["x", {}, [["1"]], [[]], [5], [["1", "1"], {}], None])
def test_levels_of_another_shape_are_foreign(codec: BybitCodec, levels: object) -> None:
    frame = delta(102)
    frame["data"]["b"] = levels
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert state(codec) == EMPTY


def test_any_notation_of_the_same_frame_is_understood(codec: BybitCodec) -> None:
    frame = delta(102, [("99.7", "1")]) | {"x": {"data": [{"b": 1}]}, "y": 'q"\\é\u2028'}
    frame["data"] |= {"L": 1, "n": [[], {"u": 9}], "cts": {}}
    backwards = {key: frame[key] for key in reversed(frame)}
    backwards["data"] = dict(reversed(frame["data"].items()))
    text = json.dumps(backwards, indent=2)
    for word in ("orderbook", "delta", "BTC", "topic", "seq"):
        text = text.replace(word, f"\\u{ord(word[0]):04X}" + word[1:])
    text = text.replace('"99.7"', "997000000000000000000000000000e-28")
    assert codec.decode(b" \r\n\t" + text.encode() + b"\n ") == kinds.DEPTH, codec.fault_detail
    assert codec.book.quantity_at(1, 997) == 1000


BROKEN = [
    b"",
    encode(delta(102)) + b"}",
    encode(delta(102))[:-1],
    encode(delta(102)).replace(b'"u":102', b'"u":102,"u":102'),
    encode(delta(102)).replace(b'"ts"', b'"type":"delta","ts"'),
    encode(delta(102)).replace(b'"ts"', b'"t\\u0079pe":"delta","ts"'),
    encode(snapshot(102)).replace(b'"],["', b'"] ["', 1),
    encode(snapshot(102)).replace(b'"b":[[', b'"b":[,['),
    b'{"data":[{"p":1,"p":1}]}',
    b'{"data":[{}',
    b'{"data":[{},]}',
    b'{"data":[1 2]}',
    b'{"topic":"orderbook.50.BTCUSDT","data":' + b"[" * 70 + b"]" * 70 + b"}",
]


@pytest.mark.parametrize("payload", BROKEN)
def test_what_is_not_json_is_malformed_and_ends_sync(codec: BybitCodec, payload: bytes) -> None:
    assert codec.decode(payload) == kinds.MALFORMED
    assert codec.fault_detail.startswith("malformed: ")
    assert int(codec.fault_detail.rsplit(" ", 1)[1]) <= len(payload)
    assert state(codec) == EMPTY


def test_a_broken_trade_or_ticker_leaves_the_book(codec: BybitCodec) -> None:
    before = state(codec)
    for frame in (trades(fill("x", "1", "1")), ticker("snapshot", **MARKED)):
        assert codec.decode(encode(frame)[:-1]) == kinds.MALFORMED
    assert (state(codec), codec.trade_count) == (before, 0)


@pytest.mark.parametrize("bad", [None, "text", bytearray(b"{}"), memoryview(b"{}"), 5])
def test_only_bytes_are_decoded(codec: BybitCodec, bad: object) -> None:
    with pytest.raises(TypeError):
        codec.decode(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("symbol", ["", "BTC\\USDT", 'BTC"', "BTCÜ"])
def test_symbols_are_plain(symbol: str) -> None:
    with pytest.raises(ValueError, match="symbol"):
        BybitCodec(symbol, Book("1", "1"))


def test_counts_name_every_result(codec: BybitCodec) -> None:
    codec.decode(encode(trades(fill("x", "1", "1"))))
    codec.decode(b"{")
    counts = {name: count for name, count in codec.counts.items() if count}
    assert counts == {"snapshot": 1, "depth": 1, "trade": 1, "malformed": 1}
    assert {*kinds.FAULTS.values(), *kinds.KINDS.values()} < set(codec.counts)
