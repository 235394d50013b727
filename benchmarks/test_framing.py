"""A journal frame: chained and appended by the kernel, and by zlib and struct as before it; and
plain messages, encoded and framed in one compiled call or one by one.
"""

from collections.abc import Callable
from zlib import crc32

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.journal.frames import FRAME
from hfengine.journal.redact import SCALARS, RedactingEncoder
from hfengine.kernels.framing import Framer
from hfengine.limits import JOURNAL_RECORD_BYTES_MAX
from hfengine.messages import BookTick

PAYLOAD = bytes(range(130))
"""As long as a book tick."""

FRAMES = 400
T0_NS = 1_700_000_000_000_000_000
Way = Callable[[Framer, RedactingEncoder], int]


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


TICKS = [
    BookTick("BTCUSDT", T0_NS + number, T0_NS // 10**6, number, 60000.0, 1.5, 60000.1, 2.5, 0.25)
    for number in range(FRAMES)
]


def plain_block(way: Way) -> tuple[int, int]:
    """Return the bytes and the chain of a block of ticks, as one way makes it."""
    framer, encoder = Framer(128 * 1024), RedactingEncoder()
    encoder.encode(TICKS[0])
    way(framer, encoder)
    return framer.block_bytes, framer.crc


def in_kernel(framer: Framer, encoder: RedactingEncoder) -> int:
    return framer.add_plain(
        TICKS, 0, encoder.pack, encoder.free, SCALARS, [], 1 << 20, JOURNAL_RECORD_BYTES_MAX
    )


def one_by_one(framer: Framer, encoder: RedactingEncoder) -> int:
    encode, add = encoder.encode, framer.add
    for tick in TICKS:
        payload = encode(tick)
        if len(payload) <= JOURNAL_RECORD_BYTES_MAX:
            add(payload)
    return len(TICKS)


@pytest.mark.benchmark(group="framing of messages")
@pytest.mark.parametrize("way", [in_kernel, one_by_one], ids=["kernel", "python"])
def test_messages(benchmark: BenchmarkFixture, way: Way) -> None:
    """Messages that need no care: encoded and framed in one compiled call, or one by one."""
    framer, encoder = Framer(128 * 1024), RedactingEncoder()
    encoder.encode(TICKS[0])

    def block() -> int:
        done = way(framer, encoder)
        framer.take()
        return done

    assert benchmark(block) == FRAMES
    assert plain_block(in_kernel) == plain_block(one_by_one)
