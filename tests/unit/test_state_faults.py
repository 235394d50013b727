"""A full, stalled or locked disk is a fault that is told and retried; nothing kept is lost."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from hfengine.runtime.threads import unexpected_threads
from hfengine.state import sqlite
from hfengine.state.port import NullStore
from hfengine.state.sqlite import SqliteStore, connect, prune, read_series, read_state
from hfengine.state.waiting import Row, Waiting

WAIT_S = 5.0


def until(holds: Callable[[], bool]) -> None:
    """Wait for another thread; fail when it takes WAIT_S."""
    pause = Event()
    for _ in range(int(WAIT_S / 0.01)):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError("waited in vain")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path, connect(path))
    yield made
    made.close()


def state_of(path: Path) -> dict[str, bytes]:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as run:
            return read_state(run)
    except sqlite3.OperationalError:
        # not there yet, or just being made
        return {}


def test_the_file_is_private_and_its_writer_an_allowed_thread(
    path: Path, store: SqliteStore
) -> None:
    store.put("bot:risk:memory", b"m")
    assert unexpected_threads() == []
    until(lambda: state_of(path) == {"bot:risk:memory": b"m"})
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_told_and_written_when_there_is_room(path: Path) -> None:
    full = Event()
    full.set()

    def connecting(path: Path) -> sqlite3.Connection:
        run = connect(path)
        if full.is_set():
            pages = run.execute("PRAGMA page_count").fetchone()[0]
            run.execute(f"PRAGMA max_page_count = {pages}")
        return run

    store = SqliteStore(path, connecting(path), connecting=connecting)
    store.put("bot:held:BTCUSDT", b"first")
    store.put("bot:risk:memory", b"x" * 100_000)
    until(lambda: "full" in store.fault)
    store.put("bot:risk:memory", b"y" * 100_000)
    store.add("trades", 7, b"{}")
    full.clear()
    store.put("bot:cover:BTCUSDT", b"c")
    until(lambda: store.fault == "")
    store.close()
    assert state_of(path) == {
        "bot:held:BTCUSDT": b"first",
        "bot:risk:memory": b"y" * 100_000,
        "bot:cover:BTCUSDT": b"c",
    }
    assert read_series(path, "trades") == [(7, b"{}")]


def test_a_locked_file_is_waited_for(path: Path, store: SqliteStore) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store.put("bot:risk:memory", b"m")
        until(lambda: "locked" in store.fault)
        other.execute("ROLLBACK")
    until(lambda: store.fault == "")
    assert state_of(path) == {"bot:risk:memory": b"m"}


def test_a_file_that_vanished_is_made_again_with_all_that_stands(path: Path) -> None:
    broken = Event()

    class Breaking(sqlite3.Connection):
        def executemany(self, *args, **named):  # type: ignore[no-untyped-def]
            if broken.is_set():
                broken.clear()
                raise sqlite3.OperationalError("disk I/O error")
            return super().executemany(*args, **named)

    path.touch()
    run = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Breaking)
    sqlite.prepare(run)
    store = SqliteStore(path, run)
    store.put("bot:risk:memory", b"m")
    until(lambda: state_of(path) != {})
    path.unlink()
    broken.set()
    store.put("bot:held:A", b"a")
    until(lambda: path.exists() and state_of(path) == {"bot:risk:memory": b"m", "bot:held:A": b"a"})
    store.close()


def test_a_write_that_does_not_end_counts_as_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, began = Event(), Event()

    class Stalling(sqlite3.Connection):
        def executemany(self, *args, **named):  # type: ignore[no-untyped-def]
            began.set()
            go_on.wait(WAIT_S)
            return super().executemany(*args, **named)

    path.touch()
    run = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Stalling)
    sqlite.prepare(run)
    store = SqliteStore(path, run)
    store.put("bot:risk:memory", b"m")
    began.wait(WAIT_S)
    assert store.fault == ""
    monkeypatch.setattr(sqlite, "STORE_STALL_NS", 0)
    assert "the disk has not taken a write" in store.fault
    go_on.set()
    until(lambda: store.fault == "")
    store.close()


def test_closing_does_not_wait_for_a_disk_that_stays_full(path: Path) -> None:
    def connecting(path: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    store = SqliteStore(path, None, connecting=connecting)
    store.put("bot:risk:memory", b"m")
    until(lambda: "unable to open" in store.fault)
    store.close()
    store.close()
    assert not store._thread.is_alive()


def test_old_rows_of_equity_go_and_trades_stay(path: Path) -> None:
    with closing(connect(path)) as run:
        for series in ("equity", "orders", "trades"):
            rows = [(n, b"{}") for n in range(100)]
            run.executemany(f"INSERT INTO {series} VALUES (?, ?)", rows)
        prune(run, sqlite.PRUNED, 10)
    assert [at_ns for at_ns, _ in read_series(path, "equity")] == list(range(90, 100))
    assert len(read_series(path, "orders")) == 10
    assert len(read_series(path, "trades")) == 100


def test_rows_far_older_than_the_newest_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "SERIES_AGE_MAX_NS", 50)
    with closing(connect(path)) as run:
        run.executemany("INSERT INTO equity VALUES (?, ?)", [(n, b"{}") for n in range(100)])
        prune(run, sqlite.PRUNED, 1_000)
    assert [at_ns for at_ns, _ in read_series(path, "equity")] == list(range(49, 100))


# what waits


def test_the_newest_body_of_a_key_waits_also_after_a_failed_write() -> None:
    waiting = Waiting()
    assert waiting.put("a", b"1")
    assert not waiting.put("b", b"1")
    waiting.add(Row("trades", 1, b"r1"))
    failed = waiting.take()
    assert waiting.add(Row("trades", 2, b"r2"))
    waiting.put("b", b"2")
    waiting.give_back(failed)
    batch = waiting.take()
    assert dict(batch.bodies) == {"a": b"1", "b": b"2"}
    assert [row.row for row in batch.rows] == [b"r1", b"r2"]
    assert waiting.take().bodies == {}


def test_all_that_stands_is_renewed_and_nothing_that_was_forgotten() -> None:
    waiting = Waiting()
    for key, body in (("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", b"")):
        waiting.put(key, body)
    waiting.take()
    waiting.renew()
    assert waiting.take().bodies == {"a": b"2"}


def test_the_oldest_rows_and_current_state_give_way_memory_does_not() -> None:
    waiting = Waiting(keys_max=1, rows_max=2)
    for number in range(5):
        waiting.add(Row("equity", number, b""))
    waiting.put("bot:orders:1", b"o")
    waiting.put("bot:orders:2", b"o")
    waiting.put("bot:risk:memory", b"m")
    batch = waiting.take()
    assert [row.at_ns for row in batch.rows] == [3, 4]
    assert set(batch.bodies) == {"bot:orders:1", "bot:risk:memory"}
    assert waiting.dropped == 4


def test_no_store_keeps_nothing_and_has_no_fault() -> None:
    store = NullStore()
    store.put("bot:risk:memory", b"m")
    store.add("trades", 1, b"{}")
    assert store.fault == ""


# a process that is killed

WRITING = """
import sys
from pathlib import Path
from hfengine.state.sqlite import SqliteStore, connect
path = Path(sys.argv[1])
store = SqliteStore(path, connect(path))
number = 0
while True:
    number += 1
    store.put("bot:risk:memory", b"%d" % number * 1000)
    store.add("trades", number, b"{}")
    if number % 500 == 0:
        print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file(path: Path) -> None:
    for lines in (1, 3, 9):
        # a file of its own: a slow writer may be killed before it is where the one before was
        file = path.with_name(f"{lines}.db")
        command = [sys.executable, "-c", WRITING, str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                writer.stdout.readline()
            writer.kill()
        with closing(connect(file)) as run:
            sqlite.check(run)
            body = read_state(run).get("bot:risk:memory", b"")
            newest = run.execute("SELECT max(at_ns) FROM trades").fetchone()[0] or 0
        # a body and its row are given one after the other: a batch may end between them
        number = int(body[: len(body) // 1000] or b"0")
        assert body == (b"%d" % number * 1000 if number else b"")
        assert number in (newest, newest + 1)
