"""Book frames in the venue's own layout, and the same respelled: one verdict, one book, one top."""

import json
import platform
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import BinanceCodec
from tests.reference import binance_frames as binance
from tests.reference import bybit_frames as bybit
from tests.reference.binance_frames import encode
from tests.reference.twins import BinanceTwins, BybitTwins

Codec = BinanceCodec | BybitCodec
Twins = BinanceTwins | BybitTwins
Levels = list[tuple[str, str]]
X86 = platform.machine().lower() in ("x86_64", "amd64")
"""Elsewhere the fast reader leaves every frame to the tolerant one."""

IMBALANCE_LEVELS = 3
TOP = ("event_ms", "top_update_id", "top_bid", "top_bid_quantity", "top_ask", "top_ask_quantity")
GRIDS = (
    *(("0.10", "0.001"), ("0.5", "0.01"), ("1", "1"), ("0.00000001", "1"), ("0.01", "0.00000001")),
    *(("0.000000001", "0.1"), ("0.25", "5"), ("10", "100")),
)
FORMS: dict[str, Callable[..., bytes]] = {
    "usdm": lambda at, *sides: encode(binance.diff(at, at, at - 1, *sides)),
    "wrapped": lambda at, *sides: binance.wrap(binance.diff(at, at, at - 1, *sides)),
    "coinm": lambda at, *sides: encode(paired(binance.diff(at, at, at - 1, *sides))),
    "spot": lambda at, *sides: binance.wrap(binance.spot_diff(at, at, *sides)),
    "bybit": lambda at, *sides: encode(bybit.delta(at, *sides)),
}
forms = st.sampled_from(sorted(FORMS))


def paired(frame: dict[str, Any]) -> dict[str, Any]:
    """Write the pair behind the symbol, as COIN-M does."""
    items = list(frame.items())
    return dict([*items[:4], ("ps", "BTCUSD"), *items[4:]])


def codec_of(form: str, tick: str = "0.10", step: str = "0.001", symbol: str = "BTCUSDT") -> Codec:
    if form == "bybit":
        return BybitCodec(symbol, Book(tick, step))
    return BinanceCodec(symbol, Book(tick, step), market_of(form))


def market_of(form: str) -> str:
    return form if form in ("spot", "coinm") else "usdm"


def snapshot_of(form: str, *sides: Levels) -> bytes:
    make: Callable[..., object] = bybit.snapshot if form == "bybit" else binance.snapshot
    return encode(make(1000, *sides))


def twins_of(form: str) -> Twins:
    return BybitTwins() if form == "bybit" else BinanceTwins(market_of(form))


def respelled(payload: bytes, how: int) -> bytes:
    """Write the same frame otherwise: reversed keys, blanks, an unknown key, an escape."""
    frame = json.loads(payload)
    if how == 0:
        return json.dumps(dict(reversed(frame.items())), separators=(",", ":")).encode()
    if how == 1:
        return json.dumps(frame).encode()
    if how == 2:
        return encode({"zz": [1, {"b": None}], **frame})
    if how == 3:
        return payload.replace(b"BTCUSDT", b"\\u0042TCUSDT")
    return b" " + payload + b"\n"


def known(codec: Codec) -> tuple[object, ...]:
    book = codec.book
    top = [getattr(codec, name) for name in TOP]
    levels = [book.levels(side, 9999) for side in (1, -1)]
    return codec.synced, codec.match_ms, book.update_id, repr(top), levels


def check_top(codec: Codec) -> None:
    """Compare the tick in one call with the properties it stands for."""
    told = codec.top(IMBALANCE_LEVELS)
    needed = codec.synced and codec.top_valid
    assert (told is not None) is needed
    if told is not None:
        read = [getattr(codec, name) for name in TOP]
        assert repr(told) == repr((*read, codec.book.imbalance(IMBALANCE_LEVELS)))


def decimal(units: int, decimals: int) -> str:
    whole, fraction = divmod(units, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}" if decimals else f"{whole}"


ODD = ("1.", ".5", "01.5", "1e1", "-1", "", "x", "1.0.0", "0." + "0" * 12, "9" * 9, "9" * 17)
odd_numbers = st.sampled_from(ODD) | st.from_regex(r"[0-9]{1,19}(\.[0-9]{0,12})?", fullmatch=True)


@st.composite
def sides(draw: st.DrawFn, low: int) -> Levels:
    """Draw up to 60 levels on the grid of 0.1 and 0.001: dense or with gaps, in some order."""
    rng = draw(st.randoms(use_true_random=False))
    gap = rng.choice((1, 1, 2, 3, 5, 40))
    ticks = [low + gap * n for n in rng.sample(range(100), rng.choice((0, 1, 2, 8, 30, 60)))]
    order = rng.randrange(3)
    if order:
        ticks.sort(reverse=order == 1)
    zeros = "0" * rng.choice((0, 0, 1, 5))
    return [
        (
            decimal(tick, 1) + zeros,
            rng.choice(("0", decimal(rng.randrange(10 ** rng.randint(1, 12)), 3), "0.015")),
        )
        for tick in ticks
    ]


bids, asks = sides(5000), sides(9100)


@settings(max_examples=80, deadline=None)
@given(forms, bids, asks, st.lists(st.tuples(bids, asks, st.integers(-9, 4)), max_size=8))
def test_both_ways_give_the_book_of_two_dicts(
    form: str, first_bids: Levels, first_asks: Levels, changes: list[tuple[Levels, Levels, int]]
) -> None:
    twins, other = twins_of(form), codec_of(form)
    snapshot = snapshot_of(form, first_bids, first_asks)
    assert twins.feed(snapshot) == "snapshot"
    other.decode(snapshot)
    wanted = 0
    for number, (bid_levels, ask_levels, how) in enumerate(changes, 1001):
        payload = FORMS[form](number, bid_levels, ask_levels)
        spelled = payload if how < 0 else respelled(payload, how)
        assert twins.feed(payload) == "depth"
        other.decode(spelled)
        wanted += how < 0
        assert known(other) == known(twins.codec)
        check_top(other)
    if X86:
        assert twins.codec.canonical == len(changes)
        assert other.canonical == wanted


@settings(max_examples=300, deadline=None)
@given(forms, st.sampled_from(GRIDS), st.lists(st.tuples(odd_numbers, odd_numbers), max_size=3))
@example("bybit", ("0.25", "5"), [("1.25", "15"), ("1.3", "10")])
@example("usdm", ("0.01", "0.00000001"), [("12345678.12", "1.23456789")])
@example("usdm", ("1", "1"), [("12345678", "123456789")])
@example("spot", ("0.10", "0.001"), [("0.1", "0.001"), ("0.10", "00.1")])
def test_a_level_is_judged_alike_in_any_place(
    form: str, grid: tuple[str, str], odd: Levels
) -> None:
    """A number at the head of a frame is read many digits at a step, at its end it is not."""
    verdicts = []
    for how in (None, 1):
        codec = codec_of(form, *grid)
        codec.decode(snapshot_of(form))
        payload = FORMS[form](1001, odd, [])
        result = codec.decode(payload if how is None else respelled(payload, how))
        verdicts.append((result, known(codec), codec.fault_detail.partition(" at byte")[0]))
    assert verdicts[0] == verdicts[1]


LEVELS = [("909.9", "0.000"), ("909.80", "7.125"), ("909.0", "0"), ("899.5", "1234.567")]
OTHERS = [("910.0", "30"), ("910.20", "0"), ("911.1", "0.001"), ("920.0", "10.5")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("new", [b"", b"]", b"}", b",", b'"', b"0", b".", b" "])
def test_damage_anywhere_is_judged_as_the_strict_reference_judges(form: str, new: bytes) -> None:
    """Every byte in turn is replaced, and something put before it; at the end, behind it."""
    sample = FORMS[form](1001, LEVELS[:3], OTHERS[:2])
    snapshot = snapshot_of(form, LEVELS, OTHERS)
    for place in range(len(sample) + 1):
        for after in (place, place + 1):
            twins = twins_of(form)
            twins.feed(snapshot)
            twins.feed(sample[:place] + new + sample[after:])


@pytest.mark.parametrize("form", FORMS)
def test_a_symbol_that_needs_an_escape_is_no_plain_text(form: str) -> None:
    symbol = "B\nC"
    odd, snapshot = codec_of(form, symbol=symbol), snapshot_of(form, LEVELS, OTHERS)
    diff = FORMS[form](1001, LEVELS, [])
    odd.decode(snapshot.replace(b"BTCUSDT", b"B\\u000aC"))
    assert odd.decode(diff.replace(b"BTCUSDT", b"B\\u000aC")) == 1
    assert odd.decode(diff.replace(b"BTCUSDT", symbol.encode())) == -1


@pytest.mark.parametrize("form", FORMS)
def test_a_long_symbol_is_read_all_the_same(form: str) -> None:
    symbol = "X" * 65
    codec, snapshot = codec_of(form, symbol=symbol), snapshot_of(form, LEVELS, OTHERS)
    codec.decode(snapshot.replace(b"BTCUSDT", symbol.encode()))
    payload = FORMS[form](1001, LEVELS, []).replace(b"BTCUSDT", symbol.encode())
    assert codec.decode(payload) == 1


@pytest.mark.parametrize("form", ["usdm", "bybit"])
def test_a_top_of_no_levels_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="levels must be at least 1, got 0"):
        codec_of(form).top(0)
