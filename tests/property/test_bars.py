"""Compiled ranges and volatility against the plain Python they replaced."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.kernels.bars import TrueRange, Volatility
from tests.reference.bars import TrueRange as ReferenceRange
from tests.reference.bars import Volatility as ReferenceVolatility

steps_ns = st.sampled_from([0, 1, 249_999_999, 250_000_000, 60_000_000_000]) | (
    st.integers(-1_000_000, 2_000_000_000)
)
prices = st.floats(1e-3, 1e6)


@settings(deadline=None)
@given(st.lists(st.tuples(steps_ns, prices), max_size=80))
def test_equal_bit_for_bit(walk: list[tuple[int, float]]) -> None:
    pairs = (
        (TrueRange(1.0, 5), ReferenceRange(1.0, 5)),
        (Volatility(30.0), ReferenceVolatility(30.0)),
    )
    at_ns = 1_723_075_200_000_000_000
    for step_ns, price in walk:
        at_ns += step_ns
        for kernel, reference in pairs:
            kernel.update(at_ns, price)
            reference.update(at_ns, price)
        (bars, plain_bars), (sampled, plain) = pairs
        assert (bars.count, bars.ready) == (plain_bars.count, plain_bars.ready)
        assert bars.atr == plain_bars.atr
        assert sampled.sigma == plain.sigma
