"""The compiled gate against the same questions in plain Python: it opens where all of them hold."""

from math import inf, nan
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hfengine.kernels.entry_gate import EntryGate

NOW_NS = 1_700_000_000_000_000_000
ACCOUNT = object()
AGE_MAX_MS, SPREAD_MAX_BPS, PROOF_AGE_MAX_NS = 250.0, 5.0, 3_600_000_000_000

AGES_NS = st.sampled_from((0, 1, 250_000_000, 250_000_001, -250_000_000, -250_000_001)) | (
    st.integers(-(10**9), 10**9) | st.sampled_from((10**22, -(10**22), 9 * 10**18, -(9 * 10**18)))
)
PRICES = st.sampled_from((0.0, -1.0, nan, inf)) | st.floats(99.9, 100.1)
PROOF_AGES_NS = st.sampled_from((PROOF_AGE_MAX_NS, PROOF_AGE_MAX_NS + 1, 0, -5))


def entry(
    age_ns: int = 0, bid: float = 100.0, ask: float = 100.01, proof_age_ns: int = 0
) -> object:
    return SimpleNamespace(
        symbol="BTCUSDT",
        tick_ns=NOW_NS - age_ns,
        at_ns=NOW_NS,
        bid=bid,
        ask=ask,
        proof_at_ns=NOW_NS - proof_age_ns,
    )


def gate(proof_age_ns: int = 0) -> EntryGate:
    trusted = {"BTCUSDT": SimpleNamespace(at_ns=NOW_NS - proof_age_ns)}
    return EntryGate({"BTCUSDT": ACCOUNT}, trusted, AGE_MAX_MS, SPREAD_MAX_BPS, PROOF_AGE_MAX_NS)


@given(AGES_NS, PRICES, PRICES, PROOF_AGES_NS)
@example(250_000_000, 100.0, 100.05, PROOF_AGE_MAX_NS)
@example(0, 100.0, 100.06, 0)
def test_it_opens_where_every_question_is_answered_well(
    age_ns: int, bid: float, ask: float, proof_age_ns: int
) -> None:
    fresh = abs(age_ns / 1e6) <= AGE_MAX_MS
    narrow = bid > 0.0 and (ask - bid) / bid * 1e4 <= SPREAD_MAX_BPS
    proved = proof_age_ns <= PROOF_AGE_MAX_NS
    found = gate(proof_age_ns).opens(entry(age_ns, bid, ask), NOW_NS)
    assert found is (ACCOUNT if fresh and narrow and proved else None)


@pytest.mark.parametrize("missing", ["cleared", "trusted"])
def test_it_looks_at_what_its_owner_knows_now(missing: str) -> None:
    cleared, trusted = {"BTCUSDT": ACCOUNT}, {"BTCUSDT": SimpleNamespace(at_ns=NOW_NS)}
    one = EntryGate(cleared, trusted, AGE_MAX_MS, SPREAD_MAX_BPS, PROOF_AGE_MAX_NS)
    assert one.opens(entry(), NOW_NS) is ACCOUNT
    {"cleared": cleared, "trusted": trusted}[missing].clear()
    assert one.opens(entry(), NOW_NS) is None
