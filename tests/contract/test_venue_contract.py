"""The numbered list of docs/venue-contract.md, run for every adapter over loopback sockets."""

import re
from pathlib import Path

import pytest

from tests.contract import (
    cases_faults,
    cases_market,
    cases_orders,
    cases_positions,
    cases_settings,
    cases_single,
)
from tests.contract.cases_registry import CASES, VENUES, Opening
from tests.localvenue_desk import run_live

ROOMS = (
    cases_settings,
    cases_market,
    cases_orders,
    cases_positions,
    cases_faults,
    cases_single,
)
DOCUMENT = Path(__file__).parents[2] / "docs" / "venue-contract.md"
TIMEOUT_S = 20.0

NUMBERED = re.compile(r"^(\d+)\. (.*)$")
EXCEPTED = re.compile(r"Not for ((?:\w+(?:, | and )?)+):")

RUNS = [
    pytest.param(venue, number, id=f"{venue}-{number}")
    for number, one in sorted(CASES.items())
    for venue in one.venues()
]


@pytest.mark.parametrize(("venue", "number"), RUNS)
def test_case(venue: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = Opening(venue, monkeypatch)
    run_live(lambda: CASES[number].run(opening), TIMEOUT_S)


def written() -> dict[int, str]:
    """Return the numbered paragraphs of the document."""
    found: dict[int, str] = {}
    number = 0
    for line in DOCUMENT.read_text().splitlines():
        if begins := NUMBERED.match(line):
            number = int(begins[1])
            assert number not in found, f"two paragraphs {number}"
            found[number] = begins[2]
        elif line.startswith("   ") and number:
            found[number] += " " + line.strip()
        else:
            number = 0
    return found


def test_the_document_and_the_cases_are_the_same_list() -> None:
    document = written()
    assert list(document) == list(range(1, len(document) + 1))
    assert set(document) == set(CASES)
    assert {one.run.__module__ for one in CASES.values()} == {room.__name__ for room in ROOMS}


@pytest.mark.parametrize("number", sorted(CASES))
def test_an_exception_is_stated_in_the_document(number: int) -> None:
    stated = EXCEPTED.search(written()[number])
    names = set(re.findall(r"bybit|binance|bitget", stated[1].lower())) if stated else set()
    assert names == set(CASES[number].excepted)
    assert set(CASES[number].venues()) | names == set(VENUES)
    assert CASES[number].venues()
