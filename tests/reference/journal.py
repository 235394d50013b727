"""A small vocabulary and a written journal for the journal's tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from hfengine.journal import Journal, JournalLimits

SMALL = JournalLimits(block_bytes=256, segment_bytes=1024, close_wait_s=5.0)


class Note(Struct, frozen=True, tag=True):
    at_ns: int
    text: str
    ratio: float = 0.5


class Order(Struct, frozen=True, tag=True):
    symbol: str
    side: int
    quantity: str


def no_fault(reason: str) -> None:
    raise AssertionError(reason)


def start(
    directory: Path,
    *,
    session: str = "session",
    limits: JournalLimits = SMALL,
    started_ns: int = 1,
    on_fault: Callable[[str], None] = no_fault,
    **more: Any,
) -> Journal:
    return Journal.create(
        directory,
        session=session,
        config_hash="c0ffee",
        version="0.1.0",
        started_ns=started_ns,
        on_fault=on_fault,
        limits=limits,
        **more,
    )


def messages(count: int) -> list[Struct]:
    return [
        Order("BTCUSDT", 1 if i % 2 else -1, f"0.{i:03}")
        if i % 3 == 0
        else Note(1_700_000_000_000_000_000 + i, "note " + "x" * (i % 7), i / 8)
        for i in range(count)
    ]


def written(directory: Path, count: int = 40, **more: Any) -> Path:
    """Write a journal of `count` messages and return its path."""
    journal = start(directory, **more)
    for message in messages(count):
        journal.append(message)
    journal.close()
    return journal.path


def crashed(directory: Path, count: int = 40, **more: Any) -> Path:
    """Leave a journal as a killed process does: everything written, nothing ended."""
    journal = start(directory, **more)
    for message in messages(count):
        journal.append(message)
    assert journal.flush(5.0)
    left = directory / "left"
    left.mkdir()
    for path in journal.path.iterdir():
        (left / path.name).write_bytes(path.read_bytes())
    journal.close()
    return left
