"""Every frame of the protocol captures: decoded, or refused by the name the reference gives too.

What the tables below do not list must be foreign or an ignored reply, whoever wrote it.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hfengine.kernels import bybit_codec, codec
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import BinanceCodec
from tests.reference.book import ReferenceBook, ReferenceCodec
from tests.reference.bybit_frames import ReferenceBybit
from tests.reference.recorded import PROTOCOL, capture, scripted, unpacked
from tests.shared import needs_shared

pytestmark = needs_shared

GRID = "0.00000001"
BINANCE_NAMES = {**codec.KINDS, **codec.FAULTS}
BYBIT_NAMES = {**bybit_codec.KINDS, **bybit_codec.FAULTS}

USDM = {
    "Subscriptions/UsdFutures/AggTrades": "trade",
    "Subscriptions/UsdFutures/Book": "buffered",
    "Subscriptions/UsdFutures/BookTicker": "quote",
    "Subscriptions/UsdFutures/MarkPrice": "mark",
    # a partial book says depthUpdate too: only its stream's name tells, and we subscribe to none
    "Subscriptions/UsdFutures/PartialBook": "buffered",
    "market_data_json/agg_trade_stream.json": "trade",
    "market_data_json/book_ticker_stream.json": "quote",
    "market_data_json/depth_update_stream.json": "buffered",
    "market_data_json/mark_price_stream.json": "mark",
    "market_data_json/trade_stream.json": "trade",
    "BNBBTC@trade": "trade",
    "http/fapi/v1/depth": "snapshot",
}
SPOT = {
    "Subscriptions/UsdFutures/AggTrades": "trade",  # nothing in it tells the markets apart
    "market_data_json/agg_trade_stream.json": "trade",
    "market_data_json/trade_stream.json": "trade",
    "BNBBTC@trade": "trade",
    "BNBBTC@depth": "buffered",
    "http/fapi/v1/depth": "snapshot",
}
BYBIT = {
    "Subscriptions/V5/Linear/Ticker": "mark",
    "Subscriptions/V5/Linear/Trades": "trade",
    "Subscriptions/V5/Spot/Trades": "trade",
    "Subscriptions/V5/Option/Ticker": "wrong_symbol",  # its topic names another than its fields
    "Subscriptions/V5/Option/Trades": "wrong_symbol",
    "ws_ticker_linear.json": "mark",
}


def symbol_of(frame: Any) -> str:
    """Return the symbol a frame itself names, so that no frame is refused for the symbol alone."""
    inner = frame.get("data", frame) if isinstance(frame, dict) else {}
    inner = inner[0] if isinstance(inner, list) and inner else inner
    named = (inner.get("s") or inner.get("symbol")) if isinstance(inner, dict) else None
    return named if isinstance(named, str) else "BTCUSDT"


def binance_frames() -> Iterator[tuple[str, bytes]]:
    for name, payloads in scripted("jkorf_binance_usdm.json.gz").items():
        yield from ((name, payload) for payload in payloads)
    for name, frame in unpacked("nautilus_binance_futures.json.gz").items():
        yield name, json.dumps(frame).encode()
    for line in (PROTOCOL / "gct_binance_wsHandleData.jsonl").read_bytes().splitlines():
        yield json.loads(line)["stream"], line
    for answer in unpacked("binance_usdm_recorded_http.json.gz"):
        yield "http" + answer["path"], json.dumps(answer["response"]).encode()


def bybit_frames() -> Iterator[tuple[str, bytes]]:
    for name, payloads in scripted("jkorf_bybit_v5.json.gz").items():
        yield from ((name, payload) for payload in payloads)
    for name, frame in unpacked("nautilus_bybit_v5.json.gz").items():
        yield name, json.dumps(frame).encode()
    for line in (PROTOCOL / "gct_bybit_wsAuth.jsonl").read_bytes().splitlines():
        yield "private", line
    for answer in unpacked("bybit_recorded_http.json.gz"):
        yield "http" + answer["path"], json.dumps(answer["response"]).encode()


@pytest.mark.parametrize(("market", "known"), [("usdm", USDM), ("coinm", USDM), ("spot", SPOT)])
def test_every_binance_frame_is_decoded_or_refused_by_name(market: str, known: dict) -> None:
    found: dict[str, set[str]] = {}
    frames = list(binance_frames())
    for name, payload in frames:
        symbol = symbol_of(json.loads(payload))
        ours = BinanceCodec(symbol, Book(GRID, GRID), market)
        theirs = ReferenceCodec(symbol, ReferenceBook(GRID, GRID), market)
        result = BINANCE_NAMES[ours.decode(payload)]
        assert result == theirs.decode(payload), (name, payload, ours.fault_detail)
        assert ours.book.levels(1, 9999) == theirs.book.levels(1), name
        assert ours.book.levels(-1, 9999) == theirs.book.levels(-1), name
        if result not in ("foreign", "ignored"):
            found.setdefault(name, set()).add(result)
    assert found == {name: {result} for name, result in known.items()}
    assert len(frames) > 100


def test_every_bybit_frame_is_decoded_or_refused_by_name() -> None:
    found: dict[str, set[str]] = {}
    frames = list(bybit_frames())
    for name, payload in frames:
        frame = json.loads(payload)
        symbol = str(frame.get("topic", "")).rpartition(".")[2] or symbol_of(frame)
        ours = BybitCodec(symbol, Book(GRID, GRID))
        theirs = ReferenceBybit(symbol, ReferenceBook(GRID, GRID))
        result = BYBIT_NAMES[ours.decode(payload)]
        assert result == theirs.decode(payload), (name, payload, ours.fault_detail)
        if result not in ("foreign", "ignored"):
            found.setdefault(name, set()).add(result)
    assert found == {name: {result} for name, result in BYBIT.items()}
    assert len(frames) > 100


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        # written by that library's authors: the venue sends depth 1 as snapshots of the touch only
        ("ws_orderbook_snapshot.json", "foreign: more than the touch (data)"),
        ("ws_orderbook_delta.json", "foreign: a delta of depth 1 (type)"),
        ("ws_public_trade.json", "foreign: no known topic (topic)"),
        ("ws_kline.json", "foreign: no known topic (topic)"),
        ("ws_order_response.json", "foreign: a reply without success (op)"),
        ("http_get_orderbook.json", "foreign: neither a topic nor a reply"),
    ],
)
def test_a_refused_sample_says_why(name: str, detail: str) -> None:
    ours = BybitCodec("BTCUSDT", Book(GRID, GRID))
    payload = json.dumps(unpacked("nautilus_bybit_v5.json.gz")[name]).encode()
    assert ours.decode(payload) == bybit_codec.FOREIGN
    assert ours.fault_detail.startswith(detail)


@pytest.mark.parametrize("name", ["BYBIT.ws.25.0.gz", "BYBIT.ws.26.0.gz"])
def test_the_protocol_before_v5_is_foreign(name: str) -> None:
    ours = BybitCodec("ETHUSDT", Book("0.05", "0.01"))
    payloads = capture(name)
    assert {ours.decode(payload) for payload in payloads} == {bybit_codec.FOREIGN}
    assert len(payloads) > 1000
    assert ours.book.is_empty


@pytest.mark.parametrize("name", ["OKX.ws.1.0.gz", "BITGET.ws.2.0.gz", "GATEIO_FUTURES.ws.1.0.gz"])
def test_frames_of_other_venues_are_foreign(name: str) -> None:
    payloads = [payload for payload in capture(name) if payload.startswith(b"{")]
    for ours in (
        *(BinanceCodec("BTCUSDT", Book(GRID, GRID), market) for market in codec.MARKETS),
        BybitCodec("BTCUSDT", Book(GRID, GRID)),
    ):
        results = {ours.decode(payload) for payload in payloads}
        assert results <= {codec.FOREIGN, codec.IGNORED}
        assert codec.FOREIGN in results
        assert ours.book.is_empty
    assert len(payloads) > 50
