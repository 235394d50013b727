"""The instance lock: one engine an account on this machine, and which engines there are.

The lock is the system's (flock), so it ends with its holder, however that ends; the facts in the
file are for people and for the commands that look for a running engine.
"""

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hfengine.errors import ExitCode, HfengineError

SUFFIX: Final = ".lock"
PRIVATE: Final = 0o600
FACTS_BYTES_MAX: Final = 16_384
TRIES: Final = 10
TRY_AGAIN_S: Final = 0.02
"""Whoever asks `running` holds a lock for a moment."""


class AccountBusy(HfengineError):
    """Another engine trades the account."""

    exit_code = ExitCode.USAGE


class LockUnavailable(HfengineError):
    """The lock's file cannot be made or written: nothing could tell a second engine off."""

    exit_code = ExitCode.USAGE


class Facts(Struct, frozen=True, kw_only=True):
    """What a running engine says of itself; `socket` is the path of its control socket."""

    pid: int
    profile: str
    session: str = ""
    socket: str = ""
    started_ns: int = 0
    leaves: bool = True
    """Whether something may stand open once it is dead; paper, and a venue that the run started
    itself, end with it."""


class Instance(Struct, frozen=True, kw_only=True):
    """An engine of this machine, running, or dead without having said goodbye."""

    account: str
    alive: bool
    facts: Facts


class InstanceLock:
    """Held from before the state is opened until the engine is over."""

    @classmethod
    def take(cls, directory: Path, account: str, facts: Facts) -> Self:
        """Take the lock of an account; raise AccountBusy naming the holder, or LockUnavailable."""
        path = directory / f"{account}{SUFFIX}"
        while True:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
            except OSError as error:
                raise LockUnavailable(
                    f"the instance lock {path} cannot be made ({error.strerror}): without it a"
                    " second engine could trade the account; name a writable state.directory"
                ) from error
            if not _locked(handle, fcntl.LOCK_EX):
                held_by = _read(handle)
                os.close(handle)
                raise AccountBusy(_sentence(account, held_by))
            if _stands(path, handle):
                break
            # its holder took it away between our opening and our locking it
            os.close(handle)
        lock = cls(path, account, handle)
        lock.describe(facts)
        return lock

    def __init__(self, path: Path, account: str, handle: int) -> None:
        self.path = path
        self.account = account
        self._handle = handle
        self.facts = Facts(pid=0, profile="")

    def describe(self, facts: Facts) -> None:
        """Write what others shall read; raise LockUnavailable where the disk does not take it."""
        content = msgspec.json.encode(facts)
        try:
            os.pwrite(self._handle, content, 0)
            os.ftruncate(self._handle, len(content))
        except OSError as error:
            raise LockUnavailable(f"{self.path} cannot be written: {error.strerror}") from error
        self.facts = facts

    def tell(self, *, session: str | None = None, socket: str | None = None) -> None:
        """Add what is known only later: the session's name, the control socket's path."""
        known = self.facts
        self.describe(
            replace(
                known,
                session=known.session if session is None else session,
                socket=known.socket if socket is None else socket,
            )
        )

    def release(self, *, remove: bool = False) -> None:
        """Let the account go and leave no facts behind; safe to call twice.

        `remove` takes the file away too: of an account that is no more.
        """
        handle, self._handle = self._handle, -1
        if handle >= 0:
            try:
                os.ftruncate(handle, 0)
                if remove:
                    # while it is held: nobody else's file is taken away
                    with suppress(OSError):
                        self.path.unlink(missing_ok=True)
            finally:
                os.close(handle)


def running(directory: Path) -> list[Instance]:
    """Return the engines of a state directory, alive or dead as the lock says, by account.

    Of the dead only those that may have left something open.
    """
    found = []
    for path in sorted(directory.glob(f"*{SUFFIX}"), key=lambda path: path.stem):
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            # gone, or another user's: not ours to command
            continue
        try:
            facts = _read(handle)
            alive = not _locked(handle, fcntl.LOCK_SH, tries=1)
        finally:
            os.close(handle)
        if alive or (facts is not None and facts.leaves):
            blank = Facts(pid=0, profile="")
            account = path.name.removesuffix(SUFFIX)
            found.append(Instance(account=account, alive=alive, facts=facts or blank))
    return found


def _stands(path: Path, handle: int) -> bool:
    """Tell whether an open file still is the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _locked(handle: int, kind: int, *, tries: int = TRIES) -> bool:
    for attempt in range(tries):
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt + 1 < tries:
                threading.Event().wait(TRY_AGAIN_S)
        else:
            return True
    return False


def _read(handle: int) -> Facts | None:
    """Return the facts of a file; None where it holds none, or is just being written."""
    try:
        return msgspec.json.decode(os.pread(handle, FACTS_BYTES_MAX, 0), type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError):
        return None


def _sentence(account: str, facts: Facts | None) -> str:
    who = "another engine"
    if facts is not None:
        session = f", session {facts.session}" if facts.session else ""
        who = f"another engine (process {facts.pid}, profile {facts.profile}{session})"
    return (
        f"account {account} is traded by {who}: two engines on one account would undo each other's"
        " orders; look at it with `hfengine status`, end it with `hfengine stop`"
    )
