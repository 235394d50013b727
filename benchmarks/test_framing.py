"""A journal frame: chained and appended by the kernel, and by zlib and struct as before it."""

from zlib import crc32

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.journal.frames import FRAME
from hfengine.kernels.framing import Framer

PAYLOAD = bytes(range(130))
"""As long as a book tick."""

FRAMES = 400


@pytest.mark.benchmark(group="framing")
def test_kernel(benchmark: BenchmarkFixture) -> None:
    framer = Framer(128 * 1024)

    def block() -> int:
        for _ in range(FRAMES):
            framer.add(PAYLOAD)
        return len(framer.take())

    assert benchmark(block) == FRAMES * (len(PAYLOAD) + FRAME.size)


@pytest.mark.benchmark(group="framing")
def test_zlib(benchmark: BenchmarkFixture) -> None:
    def block() -> int:
        content, crc = bytearray(), 0
        for _ in range(FRAMES):
            crc = crc32(PAYLOAD, crc32(FRAME.pack(crc, len(PAYLOAD))))
            content += FRAME.pack(len(PAYLOAD), crc)
            content += PAYLOAD
        return len(content)

    assert benchmark(block) == FRAMES * (len(PAYLOAD) + FRAME.size)
