"""Drawdown against a plain reference: the peak of what is in the window, transfers taken out."""

from hypothesis import given
from hypothesis import strategies as st

from hfengine.actors.equity_window import EquityWindow

S = 1_000_000_000
STEPS = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.floats(-40.0, 40.0),
        st.floats(-20.0, 20.0),
        st.sampled_from([0.0, 0.0, 0.0, 300.0, -300.0]),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_drawdown_is_that_of_the_window_without_transfers(
    steps: list[tuple[int, float, float, float]],
) -> None:
    window = EquityWindow(60.0)
    now_ns, wallet, moved = 1_000 * S, 10_000.0, 0.0
    window.sample("", now_ns, wallet, wallet)
    seen = [(now_ns, wallet)]
    for wait_s, realised, unrealised, transfer in steps:
        now_ns += (6 + wait_s) * S
        wallet += realised + transfer
        moved += transfer
        window.explain("", now_ns, realised)
        window.sample("", now_ns, wallet, wallet + unrealised)
        seen.append((now_ns, wallet + unrealised - moved))
        if transfer:
            now_ns += 5 * S
        window.look(now_ns)
        # a reading holds until the next one
        ends = [*(at_ns for at_ns, _ in seen[1:]), now_ns]
        inside = [
            equity
            for (_, equity), end_ns in zip(seen, ends, strict=True)
            if end_ns >= now_ns - 60 * S
        ]
        peak = max(inside) + moved
        expected = max(0.0, (max(inside) - inside[-1]) / peak)
        assert abs(window.drawdown - expected) < 1e-9


@given(STEPS)
def test_no_transfer_alone_is_ever_a_drawdown(
    steps: list[tuple[int, float, float, float]],
) -> None:
    window = EquityWindow(60.0)
    now_ns, wallet = 1_000 * S, 10_000.0
    window.sample("", now_ns, wallet, wallet)
    for wait_s, _, _, transfer in steps:
        now_ns += wait_s * S // 4
        wallet += transfer
        window.sample("", now_ns, wallet, wallet)
        assert window.drawdown < 1e-12
        window.look(now_ns)
        assert window.drawdown < 1e-12


def test_the_samples_kept_are_bounded() -> None:
    window = EquityWindow(1.0)
    for number in range(100_000):
        window.sample("", number * 10_000, 1_000_000.0, 1_000_000.0 - number)
    assert len(window._samples) <= 1026
