"""One sizing decision with every cap on, and the step arithmetic inside it."""

from hfengine.kernels.sizing import KELLY_FRACTION, Sizer, floor_steps


def test_size(benchmark):
    sizer = Sizer(KELLY_FRACTION, 0.5, 0.0, 50.0, 0.5, 5e4, 1e5, 1000.0, 0.1)
    steps = benchmark(
        sizer.size, 96000.0, 25.0, 25.0, 0.0, 200.0, 0.0011, 12e6, 5e5, 0.001, 0.001, 1000.0, 5.0
    )
    assert steps == 6


def test_floor_steps(benchmark):
    assert benchmark(floor_steps, 0.0065104, 0.001) == 6
