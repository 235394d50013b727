"""The score: bounded, the sum of its parts, and never lower for more of anything."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from hfengine.actors.risk_score import WEIGHTS, Strains, ramp, scored, share_of

SHARES = st.floats(allow_nan=True, allow_infinity=True)
STRAINS = st.builds(Strains, *[SHARES] * len(Strains._fields))


@given(STRAINS)
def test_the_score_is_the_sum_of_bounded_parts(strains: Strains) -> None:
    score, parts = scored(strains)
    assert 0.0 <= score <= 100.0
    assert [name for name, _ in parts] == list(Strains._fields)
    assert abs(sum(points for _, points in parts) - score) < 0.005
    for name, points in parts:
        assert 0.0 <= points <= WEIGHTS[name]


@given(
    STRAINS,
    st.sampled_from(Strains._fields),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False),
)
def test_more_strain_is_never_a_lower_score(
    strains: Strains, name: str, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    below, above = strains._replace(**{name: low}), strains._replace(**{name: high})
    assert scored(below)[0] <= scored(above)[0]


def test_calm_is_nothing_and_everything_full_is_a_hundred() -> None:
    assert scored(Strains())[0] == 0.0
    assert scored(Strains(*[1.0] * 7))[0] == 100.0
    assert scored(Strains(*[0.5] * 7))[0] == 50.0
    assert sum(WEIGHTS.values()) == 100.0
    assert ramp(nan) == 1.0, "what cannot be measured counts as full"
    assert (share_of(5.0, 10.0), share_of(5.0, inf), share_of(5.0, 0.0)) == (0.5, 0.0, 0.0)
