"""State in an SQLite file, one an account, written by a thread that does nothing else.

The thread takes ready-made bytes and leaves them to SQLite, which writes without the interpreter
lock. What cannot be written waits, newest body a key, and is tried again; the engine never waits.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, get_args

from hfengine.clock import mono_ns
from hfengine.errors import ExitCode, HfengineError
from hfengine.limits import (
    SERIES_AGE_MAX_NS,
    SERIES_ROWS_MAX,
    STORE_RETRY_MAX_S,
    STORE_STALL_NS,
)
from hfengine.runtime.threads import allow_thread
from hfengine.state.keys import is_memory
from hfengine.state.port import Series
from hfengine.state.waiting import Batch, Row, Waiting

THREAD_NAME: Final = "hfengine-state-writer"
APPLICATION: Final = 0x68666531
FORMAT: Final = 1
PRIVATE: Final = 0o600
SERIES: Final[tuple[Series, ...]] = get_args(Series)
PRUNED: Final[tuple[Series, ...]] = ("equity", "orders")
PRUNE_EVERY: Final = 10_000
RETRY_FIRST_S: Final = 0.1
BREATH_S: Final = 0.02
"""Between two batches: each costs the loop a turn of the interpreter lock."""
CLOSE_WAIT_S: Final = 5.0

Connect = Callable[[Path], sqlite3.Connection]


class StoreDamaged(HfengineError):
    """The file is no state of ours, or not whole."""

    exit_code = ExitCode.FAILURE


def connect(path: Path) -> sqlite3.Connection:
    """Open or make a state file, private to its owner. Raise sqlite3.Error or OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))
    run = sqlite3.connect(path, isolation_level=None, timeout=0.5, check_same_thread=False)
    try:
        run.execute("PRAGMA journal_mode = WAL")
        run.execute("PRAGMA synchronous = NORMAL")
        prepare(run)
    except BaseException:
        run.close()
        raise
    return run


def prepare(run: sqlite3.Connection) -> None:
    """Make the tables of a new file; raise StoreDamaged for a file of another kind."""
    application = run.execute("PRAGMA application_id").fetchone()[0]
    written = run.execute("PRAGMA user_version").fetchone()[0]
    count = run.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if count and (application, written) != (APPLICATION, FORMAT):
        raise StoreDamaged(f"it is no state of format {FORMAT} (format {written})")
    run.execute("BEGIN IMMEDIATE")
    run.execute(
        "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID"
    )
    for series in SERIES:
        # the key is the index by time, and drops a row that is told twice
        run.execute(
            f"CREATE TABLE IF NOT EXISTS {series} "
            "(at_ns INTEGER NOT NULL, row BLOB NOT NULL, PRIMARY KEY (at_ns, row)) WITHOUT ROWID"
        )
    run.execute(f"PRAGMA application_id = {APPLICATION}")
    run.execute(f"PRAGMA user_version = {FORMAT}")
    run.execute("COMMIT")


def check(run: sqlite3.Connection) -> None:
    """Raise StoreDamaged where a file is not whole."""
    found = run.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise StoreDamaged(str(found))


def read_state(run: sqlite3.Connection) -> dict[str, bytes]:
    """Return every key and body of a file."""
    return {key: bytes(body) for key, body in run.execute("SELECT key, body FROM state")}


def forget_current(run: sqlite3.Connection) -> None:
    """Remove what an earlier run left as current; memory and history stay."""
    keys = [(key,) for (key,) in run.execute("SELECT key FROM state") if not is_memory(key)]
    run.execute("BEGIN")
    run.executemany("DELETE FROM state WHERE key = ?", keys)
    run.execute("COMMIT")


def read_series(
    path: Path, series: Series, *, since_ns: int = 0, last: int = 0
) -> list[tuple[int, bytes]]:
    """Return (at_ns, row) of a series from a time on, the oldest first; `last` 0 is all.

    Raise sqlite3.Error. Safe while an engine writes.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as run:
        limit = f" LIMIT {int(last)}" if last else ""
        query = f"SELECT at_ns, row FROM {series} WHERE at_ns >= ? ORDER BY at_ns DESC, row DESC"  # noqa: S608 - our names
        found = run.execute(query + limit, (since_ns,)).fetchall()
    return [(at_ns, bytes(row)) for at_ns, row in reversed(found)]


class SqliteStore:
    """Keeps state and series of one account; begins writing at once, ends with close()."""

    def __init__(
        self,
        path: Path,
        run: sqlite3.Connection | None,
        *,
        fault: str = "",
        connecting: Connect = connect,
        rows_max: int = SERIES_ROWS_MAX,
        waiting: Waiting | None = None,
    ) -> None:
        """Write through an open connection; without one, open the file as soon as it can be."""
        self.path = path
        self._waiting = Waiting() if waiting is None else waiting
        self._run = run
        self._connect = connecting
        self._rows_max = rows_max
        self._reason = fault
        self._busy_since_ns = 0
        self._added = PRUNE_EVERY
        self._wake = threading.Event()
        self._ending = threading.Event()
        allow_thread(THREAD_NAME)
        self._thread = threading.Thread(target=self._write_all, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def put(self, key: str, body: bytes) -> None:
        """Keep a body under a key, in place of the one before; an empty one removes the key."""
        if self._waiting.put(key, body):
            self._wake.set()

    def add(self, series: Series, at_ns: int, row: bytes) -> None:
        """Append one row, JSON, to a series."""
        if self._waiting.add(Row(series, at_ns, row)):
            self._wake.set()

    @property
    def fault(self) -> str:
        """Return what is wrong with the store, "" while it keeps what it is given."""
        since_ns = self._busy_since_ns
        if not self._reason and since_ns and mono_ns() - since_ns > STORE_STALL_NS:
            return f"{self.path}: the disk has not taken a write for over 5 s"
        return self._reason

    @property
    def dropped(self) -> int:
        """Return how much was given up while the store was away."""
        return self._waiting.dropped

    def close(self) -> None:
        """Write what waits and let the file go; safe to call twice. Waits 5 s at most."""
        self._ending.set()
        self._wake.set()
        self._thread.join(CLOSE_WAIT_S)

    # On the thread

    def _write_all(self) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            self._wake.wait()
            self._wake.clear()
            ending = self._ending.is_set()
            batch = self._waiting.take()
            while batch.bodies or batch.rows:
                if self._try(batch):
                    retry_s = RETRY_FIRST_S
                    batch = self._waiting.take()
                    continue
                self._waiting.give_back(batch)
                if ending:
                    break
                self._ending.wait(retry_s)
                retry_s = min(retry_s * 2, STORE_RETRY_MAX_S)
                ending = self._ending.is_set()
                batch = self._waiting.take()
            if ending:
                break
            self._ending.wait(BREATH_S)
        self._let_go()

    def _try(self, batch: Batch) -> bool:
        self._busy_since_ns = mono_ns()
        try:
            if self._run is None:
                self._run = self._connect(self.path)
                # the file may be another one now: what stands is written whole
                self._waiting.renew()
            self._write(self._run, batch)
        except (sqlite3.Error, OSError, HfengineError) as error:
            self._reason = f"{self.path}: {error}"
            self._let_go()
            return False
        finally:
            self._busy_since_ns = 0
        self._reason = ""
        return True

    def _write(self, run: sqlite3.Connection, batch: Batch) -> None:
        run.execute("BEGIN IMMEDIATE")
        kept = [(key, body) for key, body in batch.bodies.items() if body]
        gone = [(key,) for key, body in batch.bodies.items() if not body]
        run.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
        run.executemany("DELETE FROM state WHERE key = ?", gone)
        for series in SERIES:
            rows = [(row.at_ns, row.row) for row in batch.rows if row.series == series]
            if rows:
                run.executemany(f"INSERT OR IGNORE INTO {series} VALUES (?, ?)", rows)  # noqa: S608 - our names
        self._added += len(batch.rows)
        if self._added >= PRUNE_EVERY:
            self._added = 0
            prune(run, PRUNED, self._rows_max)
        run.execute("COMMIT")

    def _let_go(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.close()
        except sqlite3.Error as error:
            self._reason = f"{self.path}: {error}"


def prune(run: sqlite3.Connection, pruned: Iterable[Series], rows_max: int) -> None:
    """Remove the oldest rows beyond `rows_max`, and those too old beside the newest."""
    for series in pruned:
        newest = run.execute(f"SELECT max(at_ns) FROM {series}").fetchone()[0]  # noqa: S608
        if newest is None:
            continue
        oldest = run.execute(
            f"SELECT at_ns FROM {series} ORDER BY at_ns DESC LIMIT 1 OFFSET ?",  # noqa: S608
            (rows_max - 1,),
        ).fetchone()
        since_ns = max(newest - SERIES_AGE_MAX_NS, 0 if oldest is None else oldest[0])
        run.execute(f"DELETE FROM {series} WHERE at_ns < ?", (since_ns,))  # noqa: S608
