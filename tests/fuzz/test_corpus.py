"""What the fuzzer found, and what it starts from, stays right without the fuzzer."""

import json
from pathlib import Path

import pytest

from tests.fuzz.cases import CORPUS, SEPARATOR, nesting, replay, seeds, tokens, written

SAVED = sorted(CORPUS.glob("*.case"))
SEEDS = seeds()
RESULTS = {
    "usdm_raw": "snapshot depth depth quote trade mark",
    "usdm_wrapped": "snapshot depth depth quote trade",
    "usdm_late_snapshot": "buffered buffered snapshot stale",
    "usdm_gap": "snapshot gap buffered snapshot stale",
    "usdm_others": "trade ignored ignored mark",
    "spot_raw": "snapshot depth depth quote",
    "spot_wrapped": "snapshot depth depth gap",
    "spot_late_snapshot": "buffered snapshot depth",
    "bybit_book": "snapshot depth depth snapshot",
    "bybit_gap": "snapshot gap unsynced",
    "bybit_touch": "snapshot snapshot quote",
    "bybit_trades": "trade ignored",
    "bybit_ticker": "mark mark ignored ignored",
    "bybit_depths": "snapshot snapshot foreign",
}


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_reach_what_they_are_meant_to(name: str) -> None:
    assert " ".join(replay(SEEDS[name])) == RESULTS[name]


@pytest.mark.parametrize("path", SAVED, ids=lambda path: path.stem)
def test_saved_cases_are_judged_as_the_reference_judges(path: Path) -> None:
    case = path.read_bytes()
    wanted = case.partition(b"\n")[0].decode().split()[1:]
    assert wanted
    assert replay(case) == wanted


def test_cases_are_saved() -> None:
    assert SAVED
    assert all(path.stat().st_size < 4096 for path in SAVED)


def test_a_difference_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.reference.book.ReferenceCodec.depth_frame", lambda *_: "quote")
    with pytest.raises(AssertionError):
        replay(SEEDS["usdm_raw"])


def test_what_nests_deeper_than_the_codec_reads_ends_a_case() -> None:
    deep = b'{"x":' + b"[" * 70 + b"]" * 70 + b"}"
    assert nesting(deep) == 71
    assert replay(written(b"u", [deep, b"{}"])) == []
    assert replay(written(b"u", [b"{}", deep])) == ["foreign"]


def test_the_dictionary_holds_the_words_of_the_dialects() -> None:
    assert {b'"depthUpdate"', b'"pu"', b'"orderbook.50.BTCUSDT"', b'"nextFundingTime"'} < set(
        tokens()
    )
    for case in SEEDS.values():
        assert all(json.loads(frame) for frame in case.split(SEPARATOR)[1:])
