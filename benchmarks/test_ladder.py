"""Ten of 200 levels changed: the kernel, and sets of levels."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.kernels.ladder import changes

OLD = [(20_000 - distance, 10 + distance % 7) for distance in range(200)]
NEW = [(ticks, steps + 1 if ticks % 20 == 0 else steps) for ticks, steps in OLD]


def by_sets(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the same by what is in one set and not in the other."""
    before, after = set(old), set(new)
    fresh = after - before
    stays = {ticks for ticks, _ in fresh}
    gone = [(ticks, 0) for ticks, _ in before - after if ticks not in stays]
    return sorted([*fresh, *gone], reverse=True)


@pytest.mark.benchmark(group="ladder")
def test_kernel(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(changes, OLD, NEW, 1)) == 10


@pytest.mark.benchmark(group="ladder")
def test_python(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(by_sets, OLD, NEW)) == 10
