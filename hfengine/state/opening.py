"""Opens the state of an account: the store, and what it and the journals remember.

A store that is damaged is moved aside and begun anew, one that is away is waited for; in both
cases memory comes from the account's journals, so that nothing is lost with the store.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from hfengine.errors import ConfigError
from hfengine.settings import Settings
from hfengine.state import sqlite
from hfengine.state.folding import CURSOR, Folded, fold, sessions_of
from hfengine.state.keys import SESSION, is_memory, shown
from hfengine.state.lock import AccountBusy
from hfengine.state.port import NullStore, Store
from hfengine.state.redis_lock import RedisLock
from hfengine.state.sqlite import SqliteStore, StoreDamaged

Source = Literal["nothing", "store", "journal"]
REDIS: Final = ("redis://", "rediss://", "unix://")


class Marker(Struct, frozen=True):
    """Under `bot:session`: which session wrote last, and when its newest memory was kept."""

    session: str
    at_ns: int


class OpenedState(NamedTuple):
    """A store that takes what it is given, and what an earlier run left."""

    store: Store
    recalled: dict[str, bytes]
    source: Source
    detail: str
    close: Callable[[], None]
    """Let the store go once the run is over."""
    trouble: str = ""
    """What of `detail` its user must know: the store was damaged or is away."""


class Found(NamedTuple):
    """What a store held when it was opened."""

    store: Any
    bodies: dict[str, bytes]
    trouble: str
    """Why it could not be used as it was, "" where it could."""
    may_be_old: bool = False
    """Whether it may have been set back, as a server without a log is by a crash."""


def open_state(
    settings: Settings,
    account: str,
    *,
    holder: str = "",
    connecting: sqlite.Connect = sqlite.connect,
) -> OpenedState:
    """Open the account's state; never fails for a store that is damaged or away.

    `detail` says in words what was found and done. With a `holder` (redis_lock.py) the account is
    locked in a Redis too. Raises ConfigError for a url of no known kind, AccountBusy where another
    machine's engine holds the account.
    """
    url = settings.state.url
    if url == "none":
        found = Found(NullStore(), {}, "")
    elif url == "sqlite":
        found = _open_sqlite(_file_of(settings, account), connecting)
    elif url.startswith(REDIS):
        found = _open_redis(url, account, holder)
    else:
        raise ConfigError([f"state.url {shown(url)!r}: give sqlite, none or redis://HOST:PORT/DB"])
    recalled, source, detail = _recall(settings, account, found)
    for key, body in recalled.items():
        found.store.put(key, body)
    close = getattr(found.store, "close", _done)
    return OpenedState(found.store, recalled, source, detail, close, found.trouble)


def remove_state(settings: Settings, account: str) -> None:
    """Take away the file of an account that is no more; its store is closed."""
    if settings.state.url == "sqlite":
        path = _file_of(settings, account)
        for suffix in ("", "-wal", "-shm"):
            # one that cannot be taken away holds nothing that anybody needs
            with suppress(OSError):
                path.with_name(path.name + suffix).unlink(missing_ok=True)


def _file_of(settings: Settings, account: str) -> Path:
    return Path(settings.state.directory) / f"{account}.db"


def _recall(settings: Settings, account: str, found: Found) -> tuple[dict[str, bytes], Source, str]:
    memory = {key: body for key, body in found.bodies.items() if is_memory(key)}
    marker = _marker(found.bodies.get(SESSION, b""))
    sentences = [found.trouble] if found.trouble else []
    source: Source = "store" if memory else "nothing"
    directory = Path(settings.journal.directory)
    if _is_journal_wanted(directory, account, marker, found):
        # only of a store that is whole and was not set back is it known what it stands for
        is_whole = marker is not None and not found.trouble and not found.may_be_old
        since_ns = marker.at_ns if marker is not None and is_whole else -1
        folded = fold(directory, account, since_ns=since_ns, cursor=memory.get(CURSOR, b""))
        newer = _newer(folded, memory, marker, directory, account)
        for key, body in newer.items():
            memory.pop(key, None)
            if body:
                memory[key] = body
        if newer or (found.trouble and folded.sessions):
            source = "journal" if memory else "nothing"
            sentences.append(f"{len(newer)} keys read back from {folded.sessions} journals")
        elif found.trouble:
            sentences.append(f"no journal of {account} in {directory}: nothing is remembered")
        sentences += folded.damaged
        if folded.unread_bytes and not is_whole:
            sentences.append(
                f"{folded.unread_bytes / 1e6:.0f} MB of older journal left unread: what was kept"
                " only there is not remembered"
            )
    if not sentences:
        sentences = [f"{len(memory)} keys" if memory else f"nothing kept of {account} yet"]
    return memory, source, "; ".join(sentences)


def _is_journal_wanted(directory: Path, account: str, marker: Marker | None, found: Found) -> bool:
    """Tell whether the journals may know more than the store."""
    newest = next(sessions_of(directory, account), None) if directory.is_dir() else None
    if newest is None:
        return bool(found.trouble)
    if marker is None or found.trouble or found.may_be_old or newest.name != marker.session:
        return True
    return newest.crashed


def _newer(
    folded: Folded, memory: dict[str, bytes], marker: Marker | None, directory: Path, account: str
) -> dict[str, bytes]:
    """Return what the journals know and the store does not, or knows an older state of.

    The cursor of fills is the journal's even where the store's is newer: a journal is written once
    a second, and a fill that is in no journal has to be told again.
    """
    since_ns = -1 if marker is None else marker.at_ns
    newer = {
        key: kept.body
        for key, kept in folded.kept.items()
        if memory.get(key, b"") != kept.body and kept.at_ns >= since_ns
    }
    cursor = folded.kept.get(CURSOR)
    if cursor is not None and marker is not None and memory.get(CURSOR, b"") != cursor.body:
        newest = next(sessions_of(directory, account), None)
        if newest is not None and newest.name == marker.session:
            newer[CURSOR] = cursor.body
    return newer


def _marker(body: bytes) -> Marker | None:
    try:
        return msgspec.json.decode(body, type=Marker) if body else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _open_sqlite(path: Path, connecting: sqlite.Connect) -> Found:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            run, bodies = _opened(path, connecting)
        except (sqlite3.DatabaseError, StoreDamaged, IsADirectoryError) as error:
            if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
                raise
            kept_as = move_aside(path)
            run, bodies = _opened(path, connecting)
            trouble = f"the state {path} is damaged ({error}): moved to {kept_as.name}, begun anew"
            return Found(SqliteStore(path, run, connecting=connecting), bodies, trouble)
    except (sqlite3.Error, OSError, StoreDamaged) as error:
        fault = f"the state {path} cannot be opened ({error}): the run goes on without, it is tried"
        store = SqliteStore(path, None, fault=f"{path}: {error}", connecting=connecting)
        return Found(store, {}, f"{fault} again every few seconds")
    return Found(SqliteStore(path, run, connecting=connecting), bodies, "")


def _opened(path: Path, connecting: sqlite.Connect) -> tuple[sqlite3.Connection, dict[str, bytes]]:
    run = connecting(path)
    try:
        sqlite.check(run)
        bodies = sqlite.read_state(run)
        sqlite.forget_current(run)
    except BaseException:
        run.close()
        raise
    return run, bodies


def _is_damage(error: sqlite3.OperationalError) -> bool:
    """Tell an error that says the file is broken from one that says it is out of reach."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def move_aside(path: Path) -> Path:
    """Rename a file and its log to NAME.corrupt-N; return the new name. Raise OSError."""
    number = 1
    while (kept_as := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    path.rename(kept_as)
    for suffix in ("-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(kept_as.with_name(kept_as.name + suffix))
    return kept_as


def _open_redis(url: str, account: str, holder: str) -> Found:
    # loaded only here: runs without Redis need neither its library nor its 0.1 s
    library: Any = import_module("hfengine.state.redis_store")
    lock = RedisLock(account, holder) if holder else None
    address = shown(url)
    client = library.blocking_client(url)
    try:
        if lock is not None and (other := lock.take(client)):
            raise AccountBusy(
                f"account {account} is traded by the engine {other}, which holds {lock.key} at"
                f" {address}: two engines on one account would undo each other's orders; end that"
                " one first"
            )
        bodies = library.read_state(client, account)
        library.forget_current(client, account, bodies)
    except library.FAILURES as error:
        trouble = (
            f"the state {address} cannot be reached ({error}): the run goes on without, entries"
            " too; it is tried again every few seconds and written whole when it is back"
        )
        store = library.RedisStore(url, account, fault=f"{address}: {error}", lock=lock)
        return Found(store, {}, trouble)
    finally:
        client.close()
    return Found(library.RedisStore(url, account, lock=lock), bodies, "", may_be_old=True)


def _done() -> None:
    """Nothing is open."""
