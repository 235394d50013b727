"""What the Binance codec does otherwise on spot: ids without holes, quotes without names."""

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
    spot_diff,
    spot_quote,
    spot_snapshot,
    state,
    trade,
    wrap,
)

WHOLE = encode(spot_snapshot(1000, BIDS, ASKS))


@pytest.fixture
def codec() -> BinanceCodec:
    """Return a spot codec in sync at update 1010."""
    codec = fresh("spot")
    assert codec.decode(WHOLE) == kinds.SNAPSHOT
    assert codec.decode(wrap(spot_diff(995, 1010, [("99.9", "0")]))) == kinds.DEPTH
    return codec


def test_the_market_is_one_of_three() -> None:
    assert kinds.MARKETS == ("usdm", "coinm", "spot")
    assert [fresh(market).market for market in kinds.MARKETS] == list(kinds.MARKETS)
    assert fresh().market == "usdm"
    with pytest.raises(ValueError, match="market must be one of usdm, coinm, spot, got 'Spot'"):
        BinanceCodec("BTCUSDT", Book("1", "1"), "Spot")
    with pytest.raises(TypeError):
        BinanceCodec("BTCUSDT", Book("1", "1"), None)  # type: ignore[arg-type]


def test_a_snapshot_without_times_fills_the_book() -> None:
    codec = fresh("spot")
    assert codec.decode(WHOLE) == kinds.SNAPSHOT
    assert codec.book.levels(1, 9) == [(1000, 1000), (999, 2500), (990, 4000)]
    assert (codec.event_ms, codec.match_ms) == (0, 0)


@pytest.mark.parametrize(
    ("first", "last", "result"),
    [
        (990, 999, kinds.STALE),
        (990, 1000, kinds.STALE),  # u == lastUpdateId is old on spot
        (990, 1001, kinds.DEPTH),
        (1000, 1001, kinds.DEPTH),
        (1001, 1001, kinds.DEPTH),
        (1001, 1005, kinds.DEPTH),  # U == lastUpdateId + 1
        (1002, 1005, kinds.GAP),
    ],
)
def test_the_first_diff_must_hold_the_update_after_the_snapshot(
    first: int, last: int, result: int
) -> None:
    codec = fresh("spot")
    codec.decode(WHOLE)
    assert codec.decode(encode(spot_diff(first, last, [("98.0", "1")]))) == result
    assert codec.book.quantity_at(1, 980) == (1000 if result == kinds.DEPTH else 0)
    assert codec.synced is (result != kinds.GAP)


def test_each_diff_begins_where_the_last_ended(codec: BinanceCodec) -> None:
    assert codec.decode(encode(spot_diff(1011, 1020, [("98.0", "1")]))) == kinds.DEPTH
    assert codec.book.quantity_at(1, 980) == 1000
    assert (codec.event_ms, codec.match_ms) == (1723161256352, 1723161256352)
    before = state(codec)
    for first, last in ((1011, 1020), (1001, 1009), (1020, 1020)):
        assert codec.decode(encode(spot_diff(first, last, [("97.0", "1")]))) == kinds.STALE
    assert state(codec) == before
    assert codec.decode(encode(spot_diff(1022, 1030))) == kinds.GAP
    assert codec.fault_detail == "gap: U - 1 is not the last u, 1021 against 1020 at byte 0"
    assert state(codec) == EMPTY
    assert codec.buffered == 1


def test_a_diff_that_overlaps_the_last_is_a_gap(codec: BinanceCodec) -> None:
    assert codec.decode(encode(spot_diff(1010, 1020))) == kinds.GAP
    assert state(codec) == EMPTY


def test_kept_diffs_are_applied_to_the_snapshot() -> None:
    codec = fresh("spot")
    for first, last, bids in ((980, 1000, ["1.0"]), (1001, 1002, ["98.0"]), (1003, 1008, ["97.0"])):
        frame = spot_diff(first, last, [(price, "1") for price in bids])
        assert codec.decode(encode(frame)) == kinds.BUFFERED
    assert codec.decode(WHOLE) == kinds.SNAPSHOT
    assert [codec.book.quantity_at(1, ticks) for ticks in (10, 980, 970)] == [0, 1000, 1000]
    assert (codec.book.update_id, codec.counts["replayed"]) == (1008, 2)


@pytest.mark.parametrize("form", [encode, wrap])
def test_quotes_have_neither_name_nor_times(codec: BinanceCodec, form) -> None:
    assert codec.decode(form(spot_quote(1011, "99.9", "1.5", "100.3", "0.25"))) == kinds.QUOTE
    assert (codec.top_bid, codec.top_bid_quantity) == (99.9, 1.5)
    assert (codec.top_ask, codec.top_ask_quantity, codec.top_update_id) == (100.3, 0.25, 1011)
    assert (codec.event_ms, codec.match_ms) == (0, 0)
    assert codec.decode(form(spot_quote(1010, "50.0"))) == kinds.STALE
    assert codec.decode(form(spot_quote(1012) | {"s": "ETHUSDT"})) == kinds.WRONG_SYMBOL
    assert codec.decode(form(spot_quote(1012, "-1"))) == kinds.BAD_NUMBER
    assert codec.decode(form(spot_quote(1012, "101.0"))) == kinds.CROSSED
    assert codec.synced


def test_trades_name_no_market(codec: BinanceCodec) -> None:
    frame = trade(77, "61800.30", "0.006", m=True, M=True)
    del frame["X"]
    assert codec.decode(wrap(frame)) == kinds.TRADE
    assert (codec.trade_id, codec.trade_ticks, codec.trade_side) == (77, 618003, -1)


@pytest.mark.parametrize(
    "frame", [diff(1011, 1020, 1010), spot_diff(1011, 1020) | {"pu": 1010}], ids=["whole", "pu"]
)
def test_a_diff_of_futures_is_foreign(codec: BinanceCodec, frame: dict) -> None:
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert codec.fault_detail.startswith("foreign: a diff of futures (pu) at byte ")
    assert state(codec) == EMPTY


@pytest.mark.parametrize("frame", [quote(1011), mark("1", "1", "0")], ids=["quote", "mark"])
def test_other_frames_of_futures_are_foreign(codec: BinanceCodec, frame: dict) -> None:
    before = state(codec)
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert state(codec) == before


@pytest.mark.parametrize("key", ["u", "s", "b", "B", "a", "A"])
def test_a_quote_without_a_key_is_foreign(codec: BinanceCodec, key: str) -> None:
    frame = spot_quote(1011)
    del frame[key]
    assert codec.decode(encode(frame)) == kinds.FOREIGN
    assert codec.synced


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_frames_of_spot_are_foreign_to_futures(market: str) -> None:
    codec = fresh(market)
    codec.decode(SNAPSHOT)
    assert codec.decode(encode(spot_quote(1011))) == kinds.FOREIGN
    assert codec.synced
    assert codec.decode(encode(spot_diff(1001, 1011))) == kinds.FOREIGN
    assert state(codec) == EMPTY


@pytest.mark.parametrize(
    "payload",
    [wrap(spot_diff(1011, 1020, [("99.7", "1")])), encode(spot_snapshot(2000, BIDS, ASKS))],
    ids=["diff", "snapshot"],
)
def test_every_truncation_is_malformed_and_ends_sync(payload: bytes) -> None:
    for length in range(len(payload)):
        codec = fresh("spot")
        codec.decode(WHOLE)
        assert codec.decode(payload[:length]) == kinds.MALFORMED, length
        assert state(codec) == EMPTY
