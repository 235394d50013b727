"""Small recordings in the format of the real ones, written from the synthetic market."""

import gzip
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path

from hfengine.feeds.build import SYNTHETIC_START_NS
from hfengine.feeds.source import Recorded
from hfengine.feeds.synthetic import Synthetic


def lines(symbol: str = "BTCUSDT", seconds: float = 20.0, seed: int = 3) -> list[bytes]:
    """Return the lines of a recording, without line ends."""
    feed = Synthetic(seed, SYNTHETIC_START_NS, (symbol,))
    end_ns = SYNTHETIC_START_NS + int(seconds * 1e9)
    frames = takewhile(lambda frame: frame.at_ns < end_ns, feed.events())
    return [
        b"%d %s" % (frame.at_ns, frame.payload) for frame in frames if isinstance(frame, Recorded)
    ]


def write(path: Path, rows: Iterable[bytes]) -> Path:
    """Write lines as a gzip file, the same bytes for the same lines."""
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
        packed.write(b"".join(row + b"\n" for row in rows))
    return path


def nth(rows: list[bytes], holds: Callable[[bytes], bool], number: int) -> int:
    """Return the index of the number-th line for which something holds."""
    return [index for index, row in enumerate(rows) if holds(row)][number]


def is_diff(row: bytes) -> bool:
    """Tell whether a line is a depth diff."""
    return b'"depthUpdate"' in row


def is_trade(row: bytes) -> bool:
    """Tell whether a line is a trade."""
    return b'"e":"trade"' in row
