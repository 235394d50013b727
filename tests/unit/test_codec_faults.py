"""What the Binance USDⓈ-M codec refuses, and what odd but conforming text it must accept."""

import json

import pytest

from hfengine.kernels import codec as kinds
from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec
from tests.reference.binance_frames import (
    ASKS,
    BIDS,
    EMPTY,
    SNAPSHOT,
    diff,
    encode,
    fresh,
    mark,
    quote,
    snapshot,
    state,
    synced,
    trade,
    wrap,
)


@pytest.fixture
def codec() -> BinanceCodec:
    """Return a codec in sync at update 1010."""
    return synced()


@pytest.mark.parametrize(
    "text",
    [
        "0.1",
        "1e-5",
        "123456789012345678.25",
        "28147.273734130000000000000",
        "1E+22",
        "9e-310",
        "9007199254740993",
        "9007199254740993.0000000000000000001",  # past halfway between two doubles
        "0.0000000000000000000000000000012345678901234567890123456789",
        "123456789012345678901234567890e-10",
        "4.9406564584124654e-324",
    ],
)
def test_floats_are_the_nearest_doubles(codec: BinanceCodec, text: str) -> None:
    assert codec.decode(encode(mark(text, "0", "0"))) == kinds.MARK
    assert codec.mark_price == float(text)


@pytest.mark.parametrize(
    ("price", "ticks"),
    [
        ("100.1", 1001),
        ("100.10000000000000000000000000000000", 1001),
        ("1001e-1", 1001),
        ("0.1001E+3", 1001),
        ("10010000000000000000000000000000e-29", 1001),
        ("100000000000000.1", 1000000000000001),
        ("1e2", 1000),
        ("7", 70),
    ],
)
@pytest.mark.parametrize("quoted", [True, False])
def test_numbers_in_every_notation(
    codec: BinanceCodec, price: str, ticks: int, quoted: bool
) -> None:
    frame = encode(diff(1011, 1020, 1010, [], [("@", "1.5")]))
    frame = frame.replace(b'"@"', f'"{price}"'.encode() if quoted else price.encode())
    codec.decode(encode(diff(1005, 1010, 1005)))
    codec.book.apply(1, 1000, 0)
    codec.book.apply(1, 990, 0)
    assert codec.decode(frame) == kinds.DEPTH, codec.fault_detail
    assert codec.book.quantity_at(-1, ticks) == 1500


BAD_NUMBERS = [
    "-1",
    "-0",
    "",
    "abc",
    ".5",
    "5.",
    "01",
    "+1",
    "1e",
    "0x10",
    " 1",
    "1_0",
    "NaN",
    "1e18",
]


@pytest.mark.parametrize("text", [*BAD_NUMBERS, "9" * 400, "1e999999999999999999999"])
@pytest.mark.parametrize("place", [0, 1])
def test_bad_numbers_are_refused(codec: BinanceCodec, text: str, place: int) -> None:
    level = ("99.0", text) if place else (text, "1.0")
    assert codec.decode(encode(diff(1011, 1020, 1010, [("98.0", "1"), level]))) == kinds.BAD_NUMBER
    assert state(codec) == EMPTY
    codec.decode(encode(quote(5)))
    assert codec.decode(encode(quote(6, "99.0", text))) == kinds.BAD_NUMBER
    assert codec.quote_update_id == 5


@pytest.mark.parametrize("text", ["100.05", "1e-2", "100.1000000000000000000000000000001"])
def test_numbers_off_the_grid_are_refused(codec: BinanceCodec, text: str) -> None:
    frame = encode(diff(1011, 1020, 1010, [("98.0", "1")], [(text, "1")]))
    assert codec.decode(frame) == kinds.OFF_GRID
    assert codec.fault_detail == f"off_grid: off the grid (a) at byte {frame.index(text.encode())}"
    assert state(codec) == EMPTY
    assert codec.decode(encode(trade(1, text, "1"))) == kinds.OFF_GRID
    assert codec.decode(encode(trade(1, "100", "1.0001"))) == kinds.OFF_GRID
    assert codec.counts["off_grid"] == 3


@pytest.mark.parametrize(
    ("tick", "fits", "between"),
    [("0.5", "10.5", "10.1"), ("0.25", "7.75", "7.8"), ("20", "120", "130")],
)
def test_a_tick_need_not_be_a_power_of_ten(tick: str, fits: str, between: str) -> None:
    codec = BinanceCodec("BTCUSDT", Book(tick, "1"))
    assert codec.decode(encode(trade(1, fits, "3"))) == kinds.TRADE
    assert codec.trade_ticks == float(fits) / float(tick)
    assert codec.trade_price == float(fits)
    assert codec.decode(encode(trade(1, between, "3"))) == kinds.OFF_GRID


def test_price_zero_is_no_level(codec: BinanceCodec) -> None:
    assert codec.decode(encode(diff(1011, 1020, 1010, [("0.0", "1")]))) == kinds.BAD_NUMBER
    assert codec.decode(encode(trade(1, "0", "1"))) == kinds.BAD_NUMBER
    assert codec.decode(encode(trade(1, "1", "0"))) == kinds.BAD_NUMBER
    assert codec.decode(encode(quote(1, "0", "1"))) == kinds.BAD_NUMBER
    assert codec.decode(encode(mark("0", "1", "0"))) == kinds.BAD_NUMBER


@pytest.mark.parametrize("key", ["U", "u", "pu", "E", "T"])
@pytest.mark.parametrize("wrong", [-1, 1.5, "x", None, True, [], {}, 10**18])
def test_ids_and_times_are_whole_numbers(codec: BinanceCodec, key: str, wrong: object) -> None:
    assert codec.decode(encode(diff(1011, 1020, 1010) | {key: wrong})) == kinds.BAD_NUMBER
    assert f"({key})" in codec.fault_detail
    assert state(codec) == EMPTY


def test_ids_that_run_backwards_are_refused(codec: BinanceCodec) -> None:
    assert codec.decode(encode(diff(1021, 1020, 1010))) == kinds.BAD_NUMBER
    assert codec.decode(encode(diff(1011, 1020, 1030))) == kinds.BAD_NUMBER


@pytest.mark.parametrize("make", [diff, snapshot])
def test_a_crossed_book_is_dropped(codec: BinanceCodec, make) -> None:
    ids = (1011, 1020, 1010) if make is diff else (1020,)
    assert codec.decode(encode(make(*ids, [("100.1", "1")], [("100.1", "1")]))) == kinds.CROSSED
    assert state(codec) == EMPTY
    assert codec.decode(encode(quote(1030, "100.1", "1", "100.1", "1"))) == kinds.CROSSED
    assert codec.quote_update_id == 0


@pytest.mark.parametrize("make", [quote, trade, mark])
def test_faults_of_other_frames_leave_the_book(codec: BinanceCodec, make) -> None:
    frame = {quote: quote(9), trade: trade(9, "1", "1"), mark: mark("1", "1", "0")}[make]
    before = state(codec)
    assert codec.decode(encode(frame | {"s": "ETHUSDT"})) == kinds.WRONG_SYMBOL
    del frame["E"]
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert codec.fault_detail == "foreign: a required key is missing (E) at byte 0"
    assert codec.decode(encode(frame | {"E": -1})) == kinds.BAD_NUMBER
    assert codec.decode(encode(frame)[:-1]) == kinds.MALFORMED
    assert codec.decode(wrap(frame)[:-1]) == kinds.MALFORMED
    assert state(codec) == before


@pytest.mark.parametrize("key", ["E", "T", "s", "U", "u", "pu", "b", "a"])
def test_a_diff_without_a_key_is_foreign(codec: BinanceCodec, key: str) -> None:
    frame = diff(1011, 1020, 1010)
    del frame[key]  # without pu it is a spot diff
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert state(codec) == EMPTY


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"1",
        b'"text"',
        b"null",
        b"{}",
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{"s":"BTCUSDT","b":[],"a":[],"u":2}}',
        b'{"e":"kline","E":1,"s":"BTCUSDT","k":{}}',
        b'{"e":5}',
        b'{"u":1,"s":"BTCUSDT","b":"100.0","B":"1","a":"100.1","A":"1"}',  # a spot quote
        b'{"error":{"code":2,"msg":"unknown"},"id":1}',
        b'{"stream":"x","data":[{"e":"trade"}]}',
    ],
)
def test_other_dialects_are_foreign(codec: BinanceCodec, payload: bytes) -> None:
    before = state(codec)
    assert codec.decode(payload) == kinds.FOREIGN
    assert codec.fault_detail.startswith("foreign: ")
    assert state(codec) == before


def test_a_frame_of_two_minds_is_foreign(codec: BinanceCodec) -> None:
    two = diff(1011, 1020, 1010) | {"data": diff(1011, 1020, 1010)}
    assert codec.decode(encode(two)) == kinds.FOREIGN
    assert state(codec) == EMPTY


@pytest.mark.parametrize("levels", ["x", {}, [["1"]], [[]], [5], [["1", "1"], {}], None])
def test_levels_of_another_shape_are_foreign(codec: BinanceCodec, levels: object) -> None:
    assert codec.decode(encode(diff(1011, 1020, 1010) | {"b": levels})) == kinds.FOREIGN
    assert state(codec) == EMPTY


@pytest.mark.parametrize("make", [diff, snapshot])
def test_a_book_of_another_symbol_is_refused(codec: BinanceCodec, make) -> None:
    frame = diff(1011, 1020, 1010) if make is diff else snapshot(2000, BIDS, ASKS)
    assert codec.decode(encode(frame | {"s": "BTCUSD"})) == kinds.WRONG_SYMBOL
    assert state(codec) == EMPTY
    assert codec.decode(encode(snapshot(9, BIDS) | {"symbol": "X"})) == kinds.WRONG_SYMBOL


def test_replies_to_requests_are_ignored(codec: BinanceCodec) -> None:
    before = state(codec)
    assert codec.decode(b'{"result":null,"id":1}') == kinds.IGNORED
    assert state(codec) == before


def test_keys_in_any_order_blanks_anywhere_and_unknown_keys(codec: BinanceCodec) -> None:
    unknown = {
        "x1": {"b": [["1", {"a": []}]], "e": "trade"},
        "st": [1, [2, {}]],
        "ps": 'q"\\é\u2028',
    }
    frame = diff(1011, 1020, 1010, [("99.7", "1")]) | unknown
    backwards = dict(reversed(frame.items()))
    text = json.dumps({"data": backwards, "stream": "s", "more": [True, None, -1.5e-7]}, indent=2)
    assert codec.decode(b" \r\n\t" + text.encode() + b"\n ") == kinds.DEPTH, codec.fault_detail
    assert codec.book.quantity_at(1, 997) == 1000


def test_levels_may_carry_more_elements(codec: BinanceCodec) -> None:
    frame = encode(diff(1011, 1020, 1010) | {"b": [["99.7", "1", [], {"x": "]"}, 5]]})
    assert codec.decode(frame) == kinds.DEPTH
    assert codec.book.quantity_at(1, 997) == 1000


BROKEN = [
    b"",
    b" ",
    b"{",
    b'{"x":1,}',
    b'{"x":1}}',
    b'{"x":1} {}',
    b'{"x" 1}',
    b"{x:1}",
    b"{'x':1}",
    b'{"x":[1,]}',
    b'{"x":[1 2]}',
    b'{"x":[1}',
    b'{"x":{"y":1]}',
    b'{"x":01}',
    b'{"x":1.}',
    b'{"x":.5}',
    b'{"x":+1}',
    b'{"x":NaN}',
    b'{"x":Infinity}',
    b'{"x":tru}',
    b'{"x":nulll}',
    b'{"x":"\n"}',
    b'{"x":"\\x"}',
    b'{"x":"\\u12g4"}',
    b'{"x":"\\',
    b'{"x":"\xff"}',
    b'{"x":"\xc0\x80"}',
    b'{"x":"\xed\xa0\x80"}',
    b'{"x":"\xf4\x90\x80\x80"}',
    b'{"x":"\xe2\x82"}',
    b"\xef\xbb\xbf{}",
    b'{"x":1}\x00',
    b'{"x":' + b"[" * 65 + b"]" * 65 + b"}",
    b'{"lastUpdateId":2000,"bids":[["1","1"],],"asks":[]}',
    b'{"lastUpdateId":2000,"bids":[["1","1",]],"asks":[]}',
    b'{"lastUpdateId":2000,"bids":[["1" "1"]],"asks":[]}',
    b'{"lastUpdateId":2000,"bids":[["1","1"] ["2","1"]],"asks":[]}',
    b'{"lastUpdateId":2000,"bids":[[,"1"]],"asks":[]}',
    b'{"lastUpdateId":2000,"lastUpdateId":2000,"bids":[],"asks":[]}',
]


@pytest.mark.parametrize("payload", BROKEN)
def test_what_is_not_json_is_malformed_and_ends_sync(codec: BinanceCodec, payload: bytes) -> None:
    assert codec.decode(payload) == kinds.MALFORMED
    assert codec.fault_detail.startswith("malformed: ")
    assert int(codec.fault_detail.rsplit(" ", 1)[1]) <= len(payload)
    assert state(codec) == EMPTY


@pytest.mark.parametrize(
    "text", ["\\u00e9\\ud83d\\n\\/", "é", "€", "😀", "\u07ff\u0800\ud7ff\ue000\U0010ffff", "\x7f"]
)
def test_any_conforming_text_is_accepted(codec: BinanceCodec, text: str) -> None:
    payload = encode(trade(5, "1", "1"))[:-1] + f',"note":"{text}"}}'.encode()
    assert json.loads(payload)["note"] is not None
    assert codec.decode(payload) == kinds.TRADE, codec.fault_detail


def test_nesting_of_sixty_levels_is_accepted(codec: BinanceCodec) -> None:
    payload = encode(trade(5, "1", "1"))[:-1] + b',"x":' + b"[" * 60 + b"]" * 60 + b"}"
    assert codec.decode(payload) == kinds.TRADE


@pytest.mark.parametrize("key", [b"p\\u0075", b"\\u0070\\u0075"])
def test_an_escaped_key_is_the_key(codec: BinanceCodec, key: bytes) -> None:
    plain = encode(diff(1011, 1020, 1010))
    assert codec.decode(plain.replace(b'"pu"', b'"' + key + b'"')) == kinds.DEPTH
    twice = encode(diff(1021, 1030, 1020))[:-1] + b',"' + key + b'":1}'
    assert codec.decode(twice) == kinds.MALFORMED


@pytest.mark.parametrize("key", [b"\\u0470u", b"p\\n", b"\\u0070\\u0075\\u0075", b"\\u0061" * 40])
def test_an_escaped_key_may_be_unknown(codec: BinanceCodec, key: bytes) -> None:
    payload = encode(diff(1011, 1020, 1010))[:-1] + b',"' + key + b'":1}'
    assert codec.decode(payload) == kinds.DEPTH


def test_escapes_inside_words_and_numbers_are_read(codec: BinanceCodec) -> None:
    def escaped(payload: bytes, *words: bytes) -> bytes:
        for word in words:
            assert word in payload
            payload = payload.replace(word, b"\\u%04X" % word[0] + word[1:])
        return payload

    frame = wrap(diff(1011, 1020, 1010, [("99.7", "7.125")]))
    words = (b"data", b"depthUpdate", b"BTCUSDT", b"99.7", b"7.125")
    assert codec.decode(escaped(frame, *words)) == kinds.DEPTH, codec.fault_detail
    assert codec.book.quantity_at(1, 997) == 7125
    frame = escaped(encode(quote(1021, "99.7")), b"bookTicker", b"99.7", b"BTC")
    assert codec.decode(frame) == kinds.QUOTE, codec.fault_detail
    assert codec.quote_bid_ticks == 997
    frame = escaped(encode(trade(5, "100.1", "2")), b"trade", b"MARKET", b"100.1")
    assert codec.decode(frame) == kinds.TRADE, codec.fault_detail
    assert (codec.trade_ticks, codec.counts["off_market"]) == (1001, 0)
    frame = escaped(encode(mark("28147.25", "28159.5", "-0.25")), b"markPrice", b"28147.", b"-0.25")
    assert codec.decode(frame) == kinds.MARK, codec.fault_detail
    assert (codec.mark_price, codec.funding_rate) == (28147.25, -0.25)
    for wrong in (b"BTCUSDT", b"depthUpdate"):
        other = encode(diff(1021, 1030, 1020)).replace(wrong, b"\\u0058" + wrong[1:])
        assert codec.decode(other) in (kinds.WRONG_SYMBOL, kinds.FOREIGN)


@pytest.mark.parametrize("text", ["1\\u002", "1\\n", "\\u0041", "\\u00e9", "1\\/2", "\\u0131"])
def test_escapes_that_make_no_number_are_refused(codec: BinanceCodec, text: str) -> None:
    payload = encode(diff(1011, 1020, 1010, [("@", "1")])).replace(b"@", text.encode())
    unfinished = text == "1\\u002"
    assert codec.decode(payload) == (kinds.MALFORMED if unfinished else kinds.BAD_NUMBER)
    assert state(codec) == EMPTY


FRAMES = {
    "diff": wrap(diff(1011, 1020, 1010, [("99.7", "1"), ("99.6", "2")], [("100.1", "0")])),
    "snapshot": encode(snapshot(2000, BIDS, ASKS)),
    "quote": wrap(quote(1011)),
    "trade": wrap(trade(5, "100.0", "1")),
    "mark": encode(mark("100.0", "100.0", "0.0001")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_truncation_is_malformed_and_changes_nothing_in_part(name: str) -> None:
    payload = FRAMES[name]
    for length in range(len(payload)):
        codec = fresh()
        codec.decode(SNAPSHOT)
        codec.decode(encode(diff(995, 1010, 990)))
        before = state(codec)
        assert codec.decode(payload[:length]) == kinds.MALFORMED, length
        assert state(codec) in (before, EMPTY)
        if name in ("diff", "snapshot"):
            assert state(codec) == EMPTY
        assert (codec.quote_update_id, codec.trade_id) == (0, 0)
    assert codec.decode(payload) > 0
