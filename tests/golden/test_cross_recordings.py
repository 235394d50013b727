"""BTC and ETH perpetuals of 2024-08-08: lagged correlations as measured in STATS.json."""

import gzip
import heapq
import json
import re
from collections.abc import Iterator

import pytest

from hfengine.kernels.cross import Cross
from tests.reference.cross import Cross as Reference
from tests.shared import RECORDINGS, SHARED, needs_shared

QUOTE = re.compile(rb'^(\d{19}) .*"bookTicker".*"b":"([\d.]+)".*"a":"([\d.]+)"')
# So long that every return of the 345 s counts nearly alike, as in STATS.json.
FLAT_S = 1e5


def mids(symbol: str) -> Iterator[tuple[int, str, float]]:
    """Yield (time, symbol, mid) of every best quote."""
    with gzip.open(RECORDINGS / "binance-usdm" / f"{symbol}_20240808.gz") as lines:
        for line in lines:
            if match := QUOTE.match(line):
                yield int(match[1]), symbol, 0.5 * (float(match[2]) + float(match[3]))


@pytest.fixture(scope="module")
def quotes() -> list[tuple[int, str, float]]:
    return list(heapq.merge(mids("btcusdt"), mids("ethusdt")))


def fed(quotes: list[tuple[int, str, float]], first: str) -> Cross:
    cross = Cross(100.0, 5, FLAT_S, 100)
    for at_ns, symbol, mid in quotes:
        (cross.update_a if symbol == first else cross.update_b)(at_ns, mid)
    return cross


@needs_shared
def test_correlations_are_those_measured_with_numpy(quotes: list[tuple[int, str, float]]) -> None:
    """The grids start at different instants, so correlations of 3,400 returns differ a little."""
    stats = json.loads((SHARED / "data" / "STATS.json").read_bytes())["correlation"]
    measured = stats["usdm 2024-08-08"]["xcorr_100ms_first_leads_by_ms"]
    cross = fed(quotes, "btcusdt")
    for lag in range(-5, 6):
        expected = measured[str(100 * lag)]
        assert cross.correlation_at(lag) == pytest.approx(expected, abs=0.06), lag
    assert cross.steps == pytest.approx(3447, abs=3)


@needs_shared
def test_btc_comes_first_by_one_step_whichever_is_named_first(
    quotes: list[tuple[int, str, float]],
) -> None:
    named, turned = fed(quotes, "btcusdt"), fed(quotes, "ethusdt")
    assert (named.lead_lag_ms, turned.lead_lag_ms) == (100.0, -100.0)
    assert named.correlation > named.correlation_at(-1) > 0.0
    assert named.beta == turned.beta
    assert named.value == turned.value
    assert named.confidence == turned.confidence


@needs_shared
def test_six_minutes_are_not_enough_to_claim_a_leader(
    quotes: list[tuple[int, str, float]],
) -> None:
    """0.21 rests on few large moves: its robust score is 2.4, and ten lags were tried.

    0.21 * sqrt(3447) = 12 would hold for returns of constant variance only; these are not.
    """
    cross, reference = fed(quotes, "btcusdt"), Reference(100.0, 5, FLAT_S, 100)
    for at_ns, symbol, mid in quotes:
        (reference.update_a if symbol == "btcusdt" else reference.update_b)(at_ns, mid)
    reference.estimate()
    assert 2.0 < reference.scores[1] < 2.8
    assert cross.confidence == pytest.approx(reference.confidence, rel=1e-9)
    assert cross.correlation == pytest.approx(reference.correlation, rel=1e-9)
    assert cross.beta == pytest.approx(reference.beta, rel=1e-9)
    assert cross.divergence == pytest.approx(reference.divergence, rel=1e-9)
    assert cross.value == pytest.approx(reference.value, rel=1e-9)
    assert 0.5 < cross.confidence < 0.95
    assert cross.leader == 0
    assert not cross.confirms(1)
    assert not cross.confirms(-1)
