"""The Binance USDⓈ-M codec, rule by rule."""

import math

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


def test_snapshot_fills_the_book() -> None:
    codec = fresh()
    assert not codec.synced
    assert codec.decode(SNAPSHOT) == kinds.SNAPSHOT
    assert codec.synced
    assert codec.book.levels(1, 9) == [(1000, 1000), (999, 2500), (990, 4000)]
    assert codec.book.levels(-1, 9) == [(1001, 2000), (1004, 500)]
    assert codec.book.update_id == 1000
    assert (codec.event_ms, codec.match_ms) == (1723161256501, 1723161256493)


def test_snapshot_levels_may_come_in_any_order_and_empty() -> None:
    codec = fresh()
    levels = [BIDS[2], BIDS[0], ("50.0", "0"), BIDS[1]]
    assert codec.decode(encode(snapshot(1000, levels, ASKS[::-1]))) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(1000, 1000), (999, 2500), (990, 4000)]
    assert codec.book.levels(-1, 9) == [(1001, 2000), (1004, 500)]


def test_a_price_twice_in_a_snapshot_holds_its_last_quantity() -> None:
    codec = fresh()
    twice = [("100.0", "1"), ("100.0", "3"), ("99.0", "4")]
    assert codec.decode(encode(snapshot(1000, twice, ASKS))) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(1000, 3000), (990, 4000)]


@pytest.mark.parametrize("form", [encode, wrap])
def test_diff_sets_and_deletes_levels(codec: BinanceCodec, form) -> None:
    frame = diff(1011, 1020, 1010, [("100.0", "0.000"), ("99.5", "7.125")], [("100.1", "3")])
    assert codec.decode(form(frame)) == kinds.DEPTH
    assert codec.book.levels(1, 9) == [(995, 7125), (990, 4000)]
    assert codec.book.levels(-1, 9) == [(1001, 3000), (1004, 500)]
    assert codec.book.update_id == 1020
    assert (codec.event_ms, codec.match_ms) == (1723161256352, 1723161256351)


@pytest.mark.parametrize(
    ("first", "last", "previous", "result"),
    [
        (900, 999, 890, kinds.STALE),  # u < lastUpdateId
        (990, 1000, 980, kinds.DEPTH),  # u == lastUpdateId
        (1000, 1005, 990, kinds.DEPTH),
        (990, 1005, 980, kinds.DEPTH),
        (1003, 1005, 1000, kinds.DEPTH),  # pu == lastUpdateId
        (1001, 1005, 999, kinds.GAP),
    ],
)
def test_first_diff_must_span_the_snapshot(
    first: int, last: int, previous: int, result: int
) -> None:
    codec = fresh()
    codec.decode(SNAPSHOT)
    assert codec.decode(encode(diff(first, last, previous, [("98.0", "1")]))) == result
    assert codec.book.quantity_at(1, 980) == (1000 if result == kinds.DEPTH else 0)
    assert codec.synced is (result != kinds.GAP)


def test_later_diffs_must_name_their_predecessor(codec: BinanceCodec) -> None:
    assert codec.decode(encode(diff(1020, 1030, 1010))) == kinds.DEPTH
    before = state(codec)
    assert codec.decode(encode(diff(1011, 1020, 1010, [("98.0", "1")]))) == kinds.STALE
    assert codec.decode(encode(diff(1020, 1030, 1010, [("98.0", "1")]))) == kinds.STALE
    assert state(codec) == before
    assert codec.decode(encode(diff(1030, 1040, 1029, [("98.0", "1")]))) == kinds.GAP
    assert state(codec) == EMPTY
    assert codec.fault_detail == "gap: pu is not the last u, 1029 against 1030 at byte 0"
    assert codec.buffered == 1  # the diff itself is kept for the next snapshot


def test_kept_diffs_are_applied_to_the_snapshot() -> None:
    codec = fresh()
    for frame in (
        diff(980, 990, 970, [("1.0", "9")]),
        diff(991, 1002, 990, [("99.9", "0")]),
        diff(1003, 1008, 1002, [("99.8", "1")], [("100.1", "0")]),
    ):
        assert codec.decode(wrap(frame)) == kinds.BUFFERED
        assert state(codec) == EMPTY
    assert codec.decode(SNAPSHOT) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(1000, 1000), (998, 1000), (990, 4000)]
    assert codec.book.levels(-1, 9) == [(1004, 500)]
    assert codec.book.update_id == 1008
    assert codec.event_ms == 1723161256501
    assert (codec.buffered, codec.counts["replayed"]) == (0, 2)
    assert codec.decode(encode(diff(1009, 1010, 1008))) == kinds.DEPTH


def test_a_snapshot_older_than_the_kept_diffs_leaves_them_for_the_next() -> None:
    codec = fresh()
    codec.decode(encode(diff(1100, 1110, 1090, [("98.0", "1")])))
    codec.decode(encode(diff(1111, 1120, 1110, [("97.0", "1")])))
    assert codec.decode(SNAPSHOT) == kinds.GAP
    assert state(codec) == EMPTY
    assert codec.buffered == 2
    assert codec.decode(encode(snapshot(1105, BIDS, ASKS))) == kinds.SNAPSHOT
    assert codec.book.quantity_at(1, 980) == codec.book.quantity_at(1, 970) == 1000
    assert codec.book.update_id == 1120


def test_a_gap_between_kept_diffs_is_found() -> None:
    codec = fresh()
    codec.decode(encode(diff(995, 1005, 990)))
    codec.decode(encode(diff(1011, 1020, 1010)))
    assert codec.decode(SNAPSHOT) == kinds.GAP
    assert state(codec) == EMPTY


def test_kept_diffs_are_bounded() -> None:
    codec = fresh()
    for index in range(kinds.KEPT_MAX):
        assert codec.decode(encode(diff(index, index, index - 1 if index else 0))) == kinds.BUFFERED
    last = kinds.KEPT_MAX
    assert codec.decode(encode(diff(last, last, last - 1))) == kinds.OVERFLOW
    assert codec.fault_detail.startswith("overflow: ")
    assert codec.buffered == kinds.KEPT_MAX
    assert codec.decode(encode(snapshot(1, BIDS, ASKS))) == kinds.SNAPSHOT  # 1 is still kept
    assert codec.book.update_id == last


def test_a_newer_snapshot_replaces_the_book(codec: BinanceCodec) -> None:
    for last in (1009, 1010):
        assert codec.decode(encode(snapshot(last, [("1.0", "1")]))) == kinds.STALE
    assert codec.book.bid_ticks == 1000
    assert codec.decode(encode(snapshot(1200, [("50.0", "1")], ASKS))) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(500, 1000)]
    assert codec.decode(encode(diff(1100, 1150, 1010))) == kinds.STALE
    assert codec.decode(encode(diff(1151, 1210, 1150))) == kinds.DEPTH
    assert codec.synced


def test_quotes(codec: BinanceCodec) -> None:
    assert codec.decode(wrap(quote(1011, "99.9", "1.5", "100.3", "0.25"))) == kinds.QUOTE
    assert (codec.quote_bid, codec.quote_bid_quantity) == (99.9, 1.5)
    assert (codec.quote_ask, codec.quote_ask_quantity) == (100.3, 0.25)
    assert (codec.quote_bid_ticks, codec.quote_bid_steps) == (999, 1500)
    assert (codec.quote_ask_ticks, codec.quote_ask_steps) == (1003, 250)
    assert codec.quote_update_id == 1011
    assert (codec.event_ms, codec.match_ms) == (1723161256314, 1723161256313)
    assert codec.decode(encode(quote(1010, "50.0"))) == kinds.STALE
    assert codec.quote_bid == 99.9


def test_top_is_the_newer_of_book_and_quote(codec: BinanceCodec) -> None:
    codec.decode(encode(quote(1009, "99.0", "1", "100.9", "2")))
    assert (codec.top_bid, codec.top_ask, codec.top_update_id) == (100.0, 100.1, 1010)
    assert (codec.top_bid_quantity, codec.top_ask_quantity) == (1.0, 2.0)
    codec.decode(encode(quote(1011, "99.0", "3", "100.9", "4")))
    assert (codec.top_bid, codec.top_ask, codec.top_update_id) == (99.0, 100.9, 1011)
    assert (codec.top_bid_quantity, codec.top_ask_quantity) == (3.0, 4.0)
    codec.decode(encode(diff(1011, 1020, 1010)))
    assert (codec.top_bid, codec.top_update_id) == (100.0, 1020)
    codec.desync()
    assert (codec.top_bid, codec.top_update_id, codec.top_valid) == (99.0, 1011, True)
    codec.decode(encode(quote(1021, "0", "0", "100.9", "4")))
    assert not codec.top_valid
    assert math.isnan(codec.top_bid)


@pytest.mark.parametrize("sides", [("0", "0", "100.9", "4"), ("99.0", "3", "0", "0")])
def test_a_book_with_one_side_has_no_top_to_tell(codec: BinanceCodec, sides) -> None:
    assert codec.top(5) is not None
    codec.decode(encode(quote(1011, *sides)))
    assert codec.synced
    assert codec.top(5) is None


def test_nothing_is_valid_before_the_first_frame() -> None:
    codec = fresh()
    assert not codec.top_valid
    prices = (codec.top_bid, codec.top_ask, codec.quote_bid, codec.trade_price, codec.mark_price)
    assert all(math.isnan(price) for price in prices)
    assert (codec.trade_side, codec.fault_detail, codec.event_ms) == (0, "", 0)
    assert set(codec.counts.values()) == {0}


def test_trades(codec: BinanceCodec) -> None:
    assert codec.decode(wrap(trade(77, "61800.30", "0.006"))) == kinds.TRADE
    assert (codec.trade_id, codec.trade_price, codec.trade_quantity) == (77, 61800.3, 0.006)
    assert (codec.trade_ticks, codec.trade_steps, codec.trade_side) == (618003, 6, 1)
    assert (codec.event_ms, codec.match_ms) == (1723161256322, 1723161256321)
    assert codec.decode(encode(trade(78, "61800.20", "1", m=True))) == kinds.TRADE
    assert codec.trade_side == -1
    assert codec.decode(encode(trade(79, "61800.10", "1", X=""))) == kinds.TRADE
    aggregate = trade(0, "5.0", "2", e="aggTrade", a=5933014, f=100, l=105)
    del aggregate["X"], aggregate["t"]
    assert codec.decode(encode(aggregate)) == kinds.TRADE
    assert (codec.trade_id, codec.trade_price) == (5933014, 5.0)


@pytest.mark.parametrize("market", ["INSURANCE_FUND", "ADL", "NA", "LIQUIDATION", None, 5])
def test_trades_off_the_market_are_ignored(codec: BinanceCodec, market: object) -> None:
    codec.decode(encode(trade(77, "61800.3", "0.006")))
    assert codec.decode(encode(trade(78, "0.01234", "0", X=market))) == kinds.IGNORED
    assert codec.trade_id == 77
    assert (codec.counts["off_market"], codec.counts["ignored"]) == (1, 1)


def test_marks(codec: BinanceCodec) -> None:
    assert codec.decode(wrap(mark("28147.27373413", "28159.75642857", "-0.00002754"))) == kinds.MARK
    assert (codec.mark_price, codec.index_price) == (28147.27373413, 28159.75642857)
    assert (codec.funding_rate, codec.next_funding_ms) == (-0.00002754, 1680652800000)
    assert (codec.event_ms, codec.match_ms) == (1680652701000, 1680652701000)


def test_resync_forgets_and_desync_keeps_what_waits(codec: BinanceCodec) -> None:
    codec.decode(encode(quote(1011)))
    codec.desync()
    assert state(codec) == EMPTY
    assert codec.decode(encode(diff(1011, 1020, 1010))) == kinds.BUFFERED
    codec.desync()
    assert codec.buffered == 1
    assert codec.quote_update_id == 1011
    codec.resync()
    assert (codec.buffered, codec.quote_update_id) == (0, 0)
    assert not codec.top_valid
    assert codec.decode(SNAPSHOT) == kinds.SNAPSHOT


def test_counts_name_every_result(codec: BinanceCodec) -> None:
    codec.decode(encode(trade(1, "1", "1")))
    codec.decode(b"{")
    counts = codec.counts
    assert {name: count for name, count in counts.items() if count} == {
        "snapshot": 1,
        "depth": 1,
        "trade": 1,
        "malformed": 1,
    }
    assert set(kinds.FAULTS.values()) <= set(counts)
    assert codec.decode(encode(trade(2, "1", "1"))) == kinds.TRADE
    assert codec.fault_detail == ""


@pytest.mark.parametrize("bad", [None, "text", bytearray(b"{}"), memoryview(b"{}"), 5])
def test_only_bytes_are_decoded(codec: BinanceCodec, bad: object) -> None:
    with pytest.raises(TypeError):
        codec.decode(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("symbol", ["", "BTC\\USDT", 'BTC"', "BTCÜ"])
def test_symbols_are_plain(symbol: str) -> None:
    with pytest.raises(ValueError, match="symbol"):
        BinanceCodec(symbol, Book("1", "1"))


def touch(update_id: int, bid_qty: str) -> bytes:
    return encode(quote(update_id, "100.0", bid_qty, "100.1", "2"))


def step(codec: BinanceCodec, last: int, bid_qty: str) -> None:
    frame = diff(last - 4, last, codec.book.update_id, [("100.0", bid_qty)])
    assert codec.decode(encode(frame)) == kinds.DEPTH


def verdict(codec: BinanceCodec) -> tuple[int, int]:
    return codec.checks_matched, codec.checks_mismatched


def test_a_diff_is_compared_once_a_newer_quote_has_come(codec: BinanceCodec) -> None:
    step(codec, 1020, "1")  # before any quote: not counted
    codec.decode(touch(1022, "5"))
    step(codec, 1030, "7")
    codec.decode(touch(1028, "6"))
    codec.decode(touch(1030, "7"))  # of the same update, still not past it
    assert verdict(codec) == (0, 0)
    codec.decode(touch(1031, "9"))
    assert verdict(codec) == (1, 0)
    step(codec, 1035, "8")  # the quote says 9
    codec.decode(touch(1040, "8"))
    assert verdict(codec) == (1, 1)


def test_a_late_diff_is_compared_with_the_quote_of_its_time(codec: BinanceCodec) -> None:
    for update_id, bid_qty in ((1012, "3"), (1019, "4"), (1025, "5")):
        codec.decode(touch(update_id, bid_qty))
    step(codec, 1020, "4")
    assert verdict(codec) == (1, 0)
    step(codec, 1024, "5")
    assert verdict(codec) == (1, 1)
    for update_id, bid_qty in ((1030, "6"), (1031, "7")):
        codec.decode(touch(update_id, bid_qty))
    step(codec, 1030, "6")  # a quote of the same update is its answer
    assert verdict(codec) == (2, 1)


def test_the_end_of_the_stream_decides_what_waits(codec: BinanceCodec) -> None:
    codec.decode(touch(1012, "3"))
    step(codec, 1020, "3")
    step(codec, 1030, "4")
    assert verdict(codec) == (0, 0)
    codec.finish_checks()
    codec.finish_checks()
    assert verdict(codec) == (1, 1)


def test_checks_that_wait_are_bounded(codec: BinanceCodec) -> None:
    codec.decode(touch(1011, "3"))
    for index in range(1500):
        step(codec, 1020 + 10 * index, "3")
    assert verdict(codec) == (1500 - 1024, 0)
    codec.finish_checks()
    assert verdict(codec) == (1500, 0)


def test_a_diff_older_than_every_quote_held_is_not_counted(codec: BinanceCodec) -> None:
    for update_id in range(2000, 2000 + 3000):
        codec.decode(touch(update_id, "3"))
    step(codec, 1999, "3")
    step(codec, 2005, "3")  # its quote has left the ring
    assert verdict(codec) == (0, 0)
    step(codec, 4990, "3")
    assert verdict(codec) == (1, 0)
