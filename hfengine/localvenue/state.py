"""The state file of a local venue: SQLite, one row for every row of the exchange's dump.

What changed is written before any client hears of it, so that a killed venue comes back with all
that it ever answered. A crash of the whole machine may lose the last moments, never the rest.
"""

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hfengine.errors import ConfigError, ExitCode, HfengineError
from hfengine.exchange.snapshot import KEYS
from hfengine.localvenue.ports import ApiKey

if TYPE_CHECKING:
    from hfengine.localvenue.world import World

FORMAT: Final = 1
PRIVATE: Final = 0o600
"""The file holds the secrets of API keys."""

_TABLES: Final = ("venue", "keys", "notes", *KEYS)
_SEPARATOR: Final = "\x1f"

Dumped = Mapping[str, Any]


class StateLost(HfengineError):
    """The state cannot be written: the venue must end, for it would forget what it answers."""

    exit_code = ExitCode.FAILURE


class StateFile:
    """One venue's state on disk; only one venue may have it open."""

    def __init__(self, path: Path, dialect: str) -> None:
        """Open or make the file; raises ConfigError when it is in use or of something else."""
        self.path = path
        try:
            # private from the first byte on: SQLite gives its log the same mode
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE))
        except OSError as error:
            problem = f"--state {path}: unable to open it ({error.strerror}): name another file"
            raise ConfigError([problem]) from error
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
            try:
                self._prepare()
            except sqlite3.Error:
                self.close()
                raise
        except sqlite3.Error as error:
            reason = "another venue uses it" if "locked" in str(error) else str(error)
            raise ConfigError([f"--state {path}: {reason}: name another file"]) from error
        self._written: dict[str, bytes] = {}
        self._in_step = True
        self.starts = int(self._meta("starts", 0)) + 1
        """Which start of the venue this is, from 1."""
        written_by = self._meta("dialect", dialect)
        if written_by != dialect or self._meta("format", FORMAT) != FORMAT:
            self.close()
            problem = f"--state {path}: it is the state of a {written_by} venue"
            raise ConfigError([problem])
        self._write_meta({"dialect": dialect, "format": FORMAT, "starts": self.starts})

    def close(self) -> None:
        """Let the file go; safe to call twice."""
        self._connection.close()

    # Reading

    def dumped(self) -> Dumped | None:
        """Return the exchange's dump, None in a new file."""
        head = self._meta("exchange", None)
        if head is None:
            return None
        return {**head, **{table: self._rows(table) for table in KEYS}}

    def keys(self) -> list[ApiKey]:
        """Return the API keys the venue had."""
        return [
            ApiKey(
                key=row["key"],
                secret=row["secret"].encode(),
                account=row["account"],
                passphrase=row["passphrase"],
            )
            for row in self._rows("keys")
        ]

    def notes(self) -> dict[str, Any]:
        """Return the notes of the dialect."""
        return {row["name"]: row["note"] for row in self._rows("notes")}

    def market(self) -> Mapping[str, Any]:
        """Return how an operator had moved and held prices and the clock."""
        found: Mapping[str, Any] = self._meta("market", {})
        return found

    # Writing

    def write(self, world: "World") -> None:
        """Write what changed since the last time, all or nothing; after a failure everything.

        Raises StateLost, whatever the cause: what is not kept must not be served.
        """
        changes, notes = world.exchange.changes(), world.notes.changes()
        if not self._in_step:
            changes, notes = world.exchange.dump(), world.notes.all()
            self._written.clear()
        self._in_step = False
        run = self._connection
        try:
            run.execute("BEGIN")
            self._put_changes(changes, notes)
            self._put_world(world, changes)
            run.execute("COMMIT")
        except Exception as error:
            # SQLite may have rolled back by itself
            if run.in_transaction:
                run.execute("ROLLBACK")
            detail = f"{type(error).__name__}: {error}"
            raise StateLost(
                f"--state {self.path}: it cannot be written ({detail}): the venue ends, what it "
                "answered is kept; make room and start it with the same file again"
            ) from error
        self._in_step = True

    # Inside

    def _put_changes(self, changes: Dumped, notes: Mapping[str, Any]) -> None:
        for table, fields in KEYS.items():
            for row in changes[table]:
                self._put(table, _SEPARATOR.join(str(row[field]) for field in fields), row)
        for name, note in notes.items():
            self._put("notes", name, {"name": name, "note": note})

    def _put_world(self, world: "World", changes: Dumped) -> None:
        for key in world.keys.values():
            row = {
                "key": key.key,
                "secret": key.secret.decode(),
                "account": key.account,
                "passphrase": key.passphrase,
            }
            self._put_once("keys", key.key, row)
        exchange = {"version": changes["version"], "head": changes["head"]}
        self._put("venue", "exchange", exchange)
        self._put_once("venue", "market", world.market_state())

    def _prepare(self) -> None:
        run = self._connection
        run.execute("PRAGMA locking_mode = EXCLUSIVE")
        run.execute("PRAGMA journal_mode = WAL")
        run.execute("PRAGMA synchronous = NORMAL")
        run.execute("BEGIN EXCLUSIVE")
        for table in _TABLES:
            run.execute(
                f'CREATE TABLE IF NOT EXISTS "{table}" '
                "(name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID"
            )
        run.execute("COMMIT")

    def _rows(self, table: str) -> list[Any]:
        found = self._connection.execute(f'SELECT body FROM "{table}"')  # noqa: S608 - our names
        return [msgspec.json.decode(body) for (body,) in found]

    def _put(self, table: str, name: str, row: Any) -> None:
        self._connection.execute(
            f'INSERT OR REPLACE INTO "{table}" VALUES (?, ?)',  # noqa: S608 - our names
            (name, msgspec.json.encode(row)),
        )

    def _put_once(self, table: str, name: str, row: Any) -> None:
        """Write a row unless it stands there already."""
        body = msgspec.json.encode(row)
        place = f"{table}/{name}"
        if self._written.get(place) != body:
            self._written[place] = body
            self._put(table, name, row)

    def _meta(self, name: str, default: Any) -> Any:
        query = "SELECT body FROM venue WHERE name = ?"
        found = self._connection.execute(query, (name,)).fetchone()
        return default if found is None else msgspec.json.decode(found[0])

    def _write_meta(self, entries: Mapping[str, Any]) -> None:
        self._connection.execute("BEGIN")
        for name, entry in entries.items():
            self._put("venue", name, entry)
        self._connection.execute("COMMIT")
