"""What counting allocations costs per object made: the reason it is off while times are taken."""

from hfengine.kernels.allocation import AllocationCounter


def make():
    return [object() for _ in range(1000)]


def test_make_objects(benchmark):
    benchmark.group = "1000 objects"
    assert len(benchmark(make)) == 1000


def test_make_objects_counted(benchmark):
    benchmark.group = "1000 objects"
    with AllocationCounter() as counter:
        benchmark(make)
    assert counter.allocated >= 1000
