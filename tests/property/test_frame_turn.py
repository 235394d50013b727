"""The compiled turn of a frame against the same turn in plain Python: same ticks, same rest."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.bybit_codec import DEPTH, QUOTE, SNAPSHOT, BybitCodec
from hfengine.kernels.codec import BinanceCodec
from hfengine.kernels.frame_turn import (
    IMBALANCE_LEVELS,
    TOLD,
    UNSEATED,
    BinanceTopFeed,
    BybitTopFeed,
    FrameTurn,
)
from hfengine.messages import BookTick, Frame
from hfengine.runtime.stages import Stages
from tests.reference import binance_frames, bybit_frames

Codec = BybitCodec | BinanceCodec
KINDS = {BybitCodec: (DEPTH, QUOTE, SNAPSHOT), BinanceCodec: (DEPTH, QUOTE)}


def level(low: int, high: int) -> st.SearchStrategy[list[tuple[str, str]]]:
    price = st.integers(low, high).map(lambda ticks: f"{ticks / 10:.1f}")
    return st.lists(st.tuples(price, st.sampled_from(("0", "1", "2.5"))), max_size=3)


BIDS, ASKS = level(980, 999), level(1000, 1020)


@st.composite
def bybit_streams(draw: st.DrawFn) -> list[bytes]:
    frames, last = [bybit_frames.encode(bybit_frames.snapshot(100))], 100
    for _ in range(draw(st.integers(1, 15))):
        match draw(st.integers(0, 9)):
            case 0:
                frames.append(b'{"topic":"orderbook.50.BTCUSDT","type"')
            case 1:
                frames.append(bybit_frames.encode(bybit_frames.trades()))
            case 2:
                last = draw(st.sampled_from((1, last, last + 9)))
                frames.append(bybit_frames.encode(bybit_frames.snapshot(last)))
            case 3:
                seq = 10 * last + draw(st.integers(-20, 20))
                frames.append(
                    bybit_frames.encode(bybit_frames.touch(draw(st.integers(1, 4)), seq=seq))
                )
            case _:
                last += draw(st.sampled_from((0, 1, 1, 1, 1, 1, 1, 2)))
                frames.append(bybit_frames.encode(bybit_frames.delta(last, draw(BIDS), draw(ASKS))))
    return frames


@st.composite
def binance_streams(draw: st.DrawFn) -> list[bytes]:
    frames, last = [binance_frames.SNAPSHOT], 1000
    for _ in range(draw(st.integers(1, 15))):
        match draw(st.integers(0, 9)):
            case 0:
                frames.append(b"no frame")
            case 1:
                frames.append(binance_frames.wrap(binance_frames.trade(5, "100.0", "0.006")))
            case 2:
                frames.append(binance_frames.SNAPSHOT)
            case 3 | 4 | 5:
                at = last + draw(st.integers(-2, 3))
                quantity = draw(st.sampled_from(("1.000", "9")))
                quote = binance_frames.quote(at, "100.0", quantity, "100.1", "2.000")
                frames.append(binance_frames.wrap(quote))
            case _:
                before, last = last, last + draw(st.sampled_from((0, 5, 5, 5)))
                step = binance_frames.diff(before, last, before, draw(BIDS), draw(ASKS))
                frames.append(binance_frames.wrap(step))
    return frames


def unheard(_frame: Any, _kind: int) -> None:
    raise AssertionError("`take` tells its caller and nobody else")


class Reference:
    """The turn as it is written down in the actor: decode, judge, tell."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.told_synced = False
        self.told: list[BookTick] = []
        self._told_id = 0
        self._mismatched = 0

    def take(self, frame: Frame) -> int:
        codec = self.codec
        kind = codec.decode(frame.payload)
        if kind not in KINDS[type(codec)] or codec.synced != self.told_synced:
            return kind
        if isinstance(codec, BinanceCodec) and codec.checks_mismatched != self._mismatched:
            self._mismatched = codec.checks_mismatched
            return kind
        top = codec.top(IMBALANCE_LEVELS)
        if top is None:
            return TOLD
        is_new = (
            top[1] > self._told_id if isinstance(codec, BinanceCodec) else top[1] != self._told_id
        )
        if is_new:
            self._told_id = top[1]
            self.told.append(BookTick(frame.symbol, frame.received_ns, *top))
        return TOLD


def same_turns(feed: Any, reference: Reference, payloads: list[bytes]) -> None:
    told: list[BookTick] = []
    heard: dict[str, int] = {}
    stages = Stages()
    turn = FrameTurn({"BTCUSDT": feed}, heard, stages, told.append, unheard)
    for at_ns, payload in enumerate(payloads, start=1):
        frame = Frame("BTCUSDT", at_ns, payload)
        assert turn.take(frame) == reference.take(frame)
        assert heard == {"BTCUSDT": at_ns}
        # whoever drives it tells of a book that went in or out of sync, and drops a doubted one
        feed.told_synced = reference.told_synced = feed.codec.synced
        if feed.contradicted:
            feed.contradicted = False
            feed.codec.desync()
            reference.codec.desync()
        assert told == reference.told
    assert turn.frames == stages.decode.count == len(payloads)
    assert stages.book.count == len(told)


@settings(max_examples=150, deadline=None)
@given(bybit_streams())
def test_bybit_frames_are_told_as_the_reference_tells_them(payloads: list[bytes]) -> None:
    feed = BybitTopFeed("BTCUSDT", bybit_frames.fresh(), BookTick)
    same_turns(feed, Reference(bybit_frames.fresh()), payloads)


@settings(max_examples=150, deadline=None)
@given(binance_streams())
def test_binance_frames_are_told_as_the_reference_tells_them(payloads: list[bytes]) -> None:
    feed = BinanceTopFeed("BTCUSDT", binance_frames.fresh(), BookTick)
    same_turns(feed, Reference(binance_frames.fresh()), payloads)


def test_a_frame_of_no_feed_is_not_decoded() -> None:
    feed = BybitTopFeed("BTCUSDT", bybit_frames.fresh(), BookTick)
    heard: dict[str, int] = {}
    turn = FrameTurn({"BTCUSDT": feed, "TICKS": object()}, heard, Stages(), [].append, unheard)
    for symbol in ("TICKS", "XRPUSDT"):
        assert turn.take(Frame(symbol, 7, b"{}")) == UNSEATED
    assert (turn.frames, heard) == (2, {})


def test_the_time_a_frame_waited_is_taken_from_when_its_bytes_were_read() -> None:
    feed = BybitTopFeed("BTCUSDT", bybit_frames.fresh(), BookTick)
    stages = Stages()
    turn = FrameTurn({"BTCUSDT": feed}, {}, stages, [].append, unheard)
    before_ns = stages.frame_at_ns
    turn.take(Frame("BTCUSDT", 1, b"{}"))
    assert stages.socket.count == 0
    assert stages.frame_at_ns > before_ns
    stages.read_at_ns = before_ns
    turn.take(Frame("BTCUSDT", 1, b"{}"))
    assert stages.socket.count == 1
    assert stages.frame_at_ns == before_ns


def test_the_rest_is_told_of_what_was_not_said() -> None:
    feed = BybitTopFeed("BTCUSDT", bybit_frames.fresh(), BookTick)
    told: list[BookTick] = []
    rest: list[tuple[Frame, int]] = []
    turn = FrameTurn({"BTCUSDT": feed}, {}, Stages(), told.append, lambda *said: rest.append(said))
    first = Frame("BTCUSDT", 1, bybit_frames.encode(bybit_frames.snapshot(100)))
    turn.handle(first)
    assert (told, rest) == ([], [(first, SNAPSHOT)])
    feed.told_synced = True
    turn.handle(Frame("BTCUSDT", 2, bybit_frames.encode(bybit_frames.delta(101, [("99.0", "7")]))))
    assert len(told) == len(rest) == 1


def test_what_telling_raises_hits_whoever_drives_it() -> None:
    feed = BybitTopFeed("BTCUSDT", bybit_frames.fresh(), BookTick)

    def refuse(_tick: Any) -> None:
        raise LookupError("nobody is wired")

    turn = FrameTurn({"BTCUSDT": feed}, {}, Stages(), refuse, unheard)
    feed.told_synced = True
    with pytest.raises(LookupError, match="nobody is wired"):
        turn.take(Frame("BTCUSDT", 1, bybit_frames.encode(bybit_frames.snapshot(100))))
