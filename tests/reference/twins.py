"""A compiled codec and its plain reference, fed the same bytes and compared in all they know."""

import math

from hfengine.kernels import bybit_codec, codec
from tests.reference import bybit_frames
from tests.reference.binance_frames import EMPTY
from tests.reference.binance_frames import fresh as fresh_binance
from tests.reference.binance_frames import state as state_of
from tests.reference.book import ReferenceBook, ReferenceCodec
from tests.reference.bybit_frames import ReferenceBybit

TICK, STEP = "0.10", "0.001"
BINANCE_NAMES = {**codec.KINDS, **codec.FAULTS}
BYBIT_NAMES = {**bybit_codec.KINDS, **bybit_codec.FAULTS}
FAULTS = frozenset(codec.FAULTS.values())


def numbers(marks: tuple[float, ...]) -> list[float | None]:
    """Return marks with nan as None, which equals itself."""
    return [None if math.isnan(mark) else mark for mark in marks]


class BinanceTwins:
    """The Binance codec and its reference, of one market."""

    def __init__(self, market: str = "usdm") -> None:
        self.codec = fresh_binance(market)
        self.reference = ReferenceCodec("BTCUSDT", ReferenceBook(TICK, STEP), market)

    def state(self) -> tuple[object, ...]:
        return state_of(self.codec)

    def quote(self) -> tuple[int, ...]:
        ours = self.codec
        bid = (ours.quote_bid_ticks, ours.quote_bid_steps)
        return (ours.quote_update_id, *bid, ours.quote_ask_ticks, ours.quote_ask_steps)

    def trade(self) -> tuple[int, ...]:
        ours = self.codec
        return ours.trade_id, ours.trade_ticks, ours.trade_steps, ours.trade_side

    def feed(self, payload: bytes) -> str:
        """Decode with both and compare everything they know."""
        ours, theirs = self.codec, self.reference
        before = self.state()
        result = BINANCE_NAMES[ours.decode(payload)]
        assert result == theirs.decode(payload), (payload, ours.fault_detail)
        assert ours.fault_detail.startswith(result if result in FAULTS else "")
        assert bool(ours.fault_detail) is (result in FAULTS)
        if result == "malformed" and ours.synced:
            # a broken quote, trade or mark: the reference cannot tell, the codec may
            assert self.state() == before
            names = [b"bookTicker", b"rade", b"markPrice", b"\\u00"]  # or written with escapes
            if ours.market == "spot":
                names.append(b'"B"')  # its quotes are known by their keys
            assert any(name in payload for name in names), payload
            theirs.synced = theirs.chained = False
            ours.desync()
        book = theirs.book
        assert self.state() == (theirs.synced, book.update_id, book.levels(1), book.levels(-1))
        assert self.state() == EMPTY or ours.synced
        assert ours.buffered == len(theirs.kept)
        assert self.quote() == theirs.quote
        assert self.trade() == theirs.trade
        marks = (ours.mark_price, ours.index_price, ours.funding_rate, ours.next_funding_ms)
        assert numbers(marks) == numbers(theirs.marks)
        return result


class BybitTwins:
    """The Bybit codec and its reference."""

    def __init__(self) -> None:
        self.codec = bybit_frames.fresh()
        self.reference = ReferenceBybit("BTCUSDT", ReferenceBook(TICK, STEP))

    def state(self) -> tuple[object, ...]:
        return bybit_frames.state(self.codec)

    def feed(self, payload: bytes) -> str:
        """Decode with both and compare everything they know."""
        ours, theirs = self.codec, self.reference
        before = self.state()
        result = BYBIT_NAMES[ours.decode(payload)]
        assert result == theirs.decode(payload), (payload, ours.fault_detail)
        assert ours.fault_detail.startswith(result if result in FAULTS else "")
        assert bool(ours.fault_detail) is (result in FAULTS)
        if result == "malformed" and ours.synced:
            # a broken trade or ticker: the reference cannot tell, the codec may
            assert self.state() == before
            assert any(topic in payload for topic in (b"publicTrade.", b"tickers.", b"\\u00"))
            ours.desync()
        book = theirs.book
        assert self.state() == (theirs.synced, book.update_id, book.levels(1), book.levels(-1))
        assert self.state() == EMPTY or ours.synced
        self.compare()
        return result

    def compare(self) -> None:
        ours, theirs = self.codec, self.reference
        assert ours.depth == theirs.depth
        bid, bid_steps, ask, ask_steps = theirs.top()
        assert ours.top_valid is (bid > 0 and ask > 0)
        pairs = ((ours.top_bid, bid, 10), (ours.top_bid_quantity, bid_steps, 1000))
        pairs += ((ours.top_ask, ask, 10), (ours.top_ask_quantity, ask_steps, 1000))
        for read, units, scale in pairs:
            assert read == units / scale if units else math.isnan(read)
        fills = [ours.trade(index) for index in range(ours.trade_count)]
        assert [(row[0], *row[3:]) for row in fills] == theirs.trades
        assert [row[1:3] for row in fills] == [(t[3] / 10, t[4] / 1000) for t in theirs.trades]
        assert ours.counts["off_market"] == theirs.off_market
        marks = (ours.mark_price, ours.index_price, ours.funding_rate, ours.next_funding_ms)
        assert numbers(marks) == numbers(tuple(theirs.marks))
        control = (ours.control_success, ours.control_op)
        control += (ours.control_request_id, ours.control_message)
        assert control == theirs.control
