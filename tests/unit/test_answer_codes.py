"""The table of error codes: complete, without contradictions, and careful where it is silent."""

from collections import Counter

import pytest

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.exchange import rejects
from hfengine.venues.answer_codes import MEANINGS, meaning_of, refusal


def test_no_code_means_two_things():
    for codes in (
        [code for meaning in MEANINGS for code in meaning.bybit],
        [code for meaning in MEANINGS for code in meaning.binance],
        [meaning.reason for meaning in MEANINGS],
    ):
        assert [code for code, count in Counter(codes).items() if count > 1] == []


@pytest.mark.parametrize(
    ("venue", "code", "reason"),
    [
        ("bybit", 110007, rejects.INSUFFICIENT_MARGIN),
        ("binance", -2019, rejects.INSUFFICIENT_MARGIN),
        ("binance", -2021, rejects.WOULD_TRIGGER_IMMEDIATELY),
        ("bybit", 110093, rejects.WOULD_TRIGGER_IMMEDIATELY),
        ("binance", -2022, rejects.REDUCE_ONLY_REJECTED),
        ("binance", -4120, "wrong_endpoint"),
        ("bybit", 10003, "bad_key"),
        ("binance", -2015, "bad_key"),
        ("bybit", 119999, "code_119999"),
        ("binance", -4999, "code_-4999"),
        ("binance", -1102, "code_-1102"),
    ],
)
def test_a_refusal_is_certain_and_named(venue, code, reason):
    refused = refusal(venue, code, "text")
    assert isinstance(refused, VenueRejected)
    assert refused.reason == reason
    assert refused.detail == f"{venue} {code} text"


@pytest.mark.parametrize(
    ("venue", "code"),
    [
        ("bybit", 10016),
        ("bybit", 10000),
        ("bybit", 10019),
        ("bybit", 110072),
        ("bybit", 502),
        ("bybit", 10777),
        ("binance", -1007),
        ("binance", -1006),
        ("binance", -1000),
        ("binance", -1008),
        ("binance", -4116),
        ("binance", -1050),
        ("binance", 0),
        ("binance", -9999),
    ],
)
def test_what_leaves_the_outcome_open_never_counts_as_refused(venue, code):
    assert isinstance(refusal(venue, code, "text"), VenueUnknown)
    assert meaning_of(venue, code).action == "query"


def test_a_venues_long_words_are_cut():
    assert len(str(refusal("bybit", 110007, "x" * 5000))) < 300
