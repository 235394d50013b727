"""Cost of logging one message on the hot thread: 1 us is what it may take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from hfengine.journal import Journal, JournalLimits
from hfengine.journal.redact import RedactingEncoder


class Tick(Struct, frozen=True, gc=False, tag=True):
    symbol: str
    at_ns: int
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    sequence: int
    received_ns: int


TICK = Tick("BTCUSDT", 1_723_075_200_000_000_000, 60_000.1, 1.5, 60_000.2, 2.5, 123_456, 1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    def failed(reason: str) -> None:
        raise AssertionError(reason)

    journal = Journal.create(
        tmp_path,
        session="benchmark",
        config_hash="",
        version="",
        started_ns=0,
        on_fault=failed,
        limits=JournalLimits(stall_wait_s=30.0),
    )
    yield journal
    journal.close()


def test_append(benchmark: Any, journal: Journal) -> None:
    benchmark(journal.append, TICK)
    assert journal.ok
    assert journal.dropped == 0


def test_encode_alone(benchmark: Any) -> None:
    assert b"BTCUSDT" in benchmark(RedactingEncoder().encode, TICK)
