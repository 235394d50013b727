"""Actors with symbols of several venues: accounts apart, names qualified, books by dialect."""

import json
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.execution import Execution
from hfengine.actors.market_data import MarketData
from hfengine.actors.risk import Risk
from hfengine.actors.symbol_feed import written_grain
from hfengine.messages import (
    BookSync,
    BookTick,
    Entry,
    Frame,
    Halt,
    LeverageProof,
    Message,
    OpenBracket,
    ProtectionRefused,
    Refusal,
    Resume,
)
from hfengine.settings import Settings, Venue
from tests.rig import T0_NS, Rig, balance

BYBIT, BINANCE = "BTCUSDT@bybit", "BTCUSDT@binance"
BOTH = Settings(
    symbols=(BYBIT, BINANCE), mode="local", venue=Venue(name="bybit", also=("binance",))
)


def entry(symbol: str) -> Entry:
    return Entry(
        7, symbol, T0_NS, T0_NS, 1, 60000.0, 60000.1, 60120.0, 0.002, 0.9, 60.0, 5e-5, 20.0
    )


@pytest.fixture
def both() -> Any:
    rig = Rig(BOTH)
    yield rig
    rig.close()


def test_an_entry_is_sized_by_its_own_venues_account(both: Rig) -> None:
    ref = both.start(Risk)
    for symbol in (BYBIT, BINANCE):
        proof = LeverageProof(symbol, T0_NS, 50, 50, "isolated", "read")
        both.tell(ref, proof, BookSync(symbol, T0_NS, True, "test"))
    both.tell(ref, replace(balance("10000"), venue="bybit"))
    both.tell(ref, entry(BINANCE))
    assert both.one(Refusal).gate == "balance"
    both.tell(ref, replace(balance("1000"), venue="binance"))
    both.tell(ref, entry(BINANCE))
    small = both.one(OpenBracket)
    both.tell(ref, entry(BYBIT))
    large = both.all(OpenBracket)[1]
    assert (small.symbol, large.symbol) == (BINANCE, BYBIT)
    # a tenth of the equity sizes a tenth of the position, to the step
    assert 9.5 < large.quantity / small.quantity < 10.5


def test_a_venue_without_margin_stops_only_its_own_entries(both: Rig) -> None:
    ref = both.start(Risk)
    for symbol in (BYBIT, BINANCE):
        proof = LeverageProof(symbol, T0_NS, 50, 50, "isolated", "read")
        both.tell(ref, proof, BookSync(symbol, T0_NS, True, "test"))
    both.tell(ref, replace(balance("10000"), venue="bybit"))
    both.tell(ref, replace(balance("10000", free="100"), venue="binance"))
    both.tell(ref, entry(BINANCE), entry(BYBIT))
    assert both.one(Refusal).gate == "margin_utilisation"
    assert both.one(OpenBracket).symbol == BYBIT


def test_what_the_adapter_finds_wrong_reaches_everybody(rig: Rig) -> None:
    ref = rig.start(Execution)
    told: list[Message] = [
        Halt(T0_NS, "clock", "600 ms off"),
        Resume(T0_NS, "clock"),
        ProtectionRefused("BTCUSDT", T0_NS, "e1s", "stop", "would_trigger_immediately"),
    ]
    rig.tell(ref, *told)
    assert rig.heard == told


def test_frames_of_two_dialects_make_the_books_of_their_symbols(both: Rig) -> None:
    both.wiring.dialects.update({BYBIT: "bybit", BINANCE: "binance"})  # type: ignore[attr-defined]
    ref = both.start(MarketData)
    snapshot = {
        "topic": "orderbook.50.BTCUSDT",
        "type": "snapshot",
        "ts": 5,
        "data": {
            "s": "BTCUSDT",
            "b": [["60000.0", "1"]],
            "a": [["60000.1", "2"]],
            "u": 1,
            "seq": 1,
        },
    }
    quote = {
        "e": "bookTicker",
        "u": 9,
        "s": "BTCUSDT",
        "b": "59000.0",
        "B": "1",
        "a": "59000.1",
        "A": "1",
        "T": 5,
        "E": 5,
    }
    both.tell(ref, Frame(BYBIT, T0_NS, json.dumps(snapshot).encode()))
    both.tell(
        ref,
        Frame(
            BINANCE,
            T0_NS,
            json.dumps(
                {
                    "lastUpdateId": 8,
                    "E": 4,
                    "T": 4,
                    "bids": [["58990.0", "1"]],
                    "asks": [["59010.0", "1"]],
                }
            ).encode(),
        ),
    )
    both.tell(ref, Frame(BINANCE, T0_NS, json.dumps(quote).encode()))
    bids = {tick.symbol: tick.bid for tick in both.all(BookTick)}
    assert bids == {BYBIT: 60000.0, BINANCE: 59000.0}


@pytest.mark.parametrize(
    ("step", "grain"),
    [
        ("0.10", "0.01"),
        ("0.1", "0.1"),
        ("0.5", "0.1"),
        ("5", "1"),
        ("1E+1", "1"),
        ("0.001", "0.001"),
    ],
)
def test_a_book_keeps_every_price_the_venue_can_write(step: str, grain: str) -> None:
    assert written_grain(Decimal(step)) == grain
