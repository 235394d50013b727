"""What a start does before the actors: lock the account, open its state, recall what was kept.

The venue is the truth of positions and orders; what only this engine knows (halts, breakers, what
a position was entered for) comes from the store, or from the journals where the store has lost it.
"""

import hashlib
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from hfengine.actors.fill_memory import CURSOR_KEY, cursor_of
from hfengine.clock import Clock
from hfengine.config import Profile
from hfengine.engine import Engine, Memory
from hfengine.messages import Halt
from hfengine.oversight import Recovered
from hfengine.settings import Settings
from hfengine.state.lock import AccountBusy, Facts, InstanceLock, LockUnavailable
from hfengine.state.opening import OpenedState, open_state, remove_state
from hfengine.state.port import NullStore
from hfengine.venues.keys import ApiKeys

PAPER_RUNS_MAX: Final = 64
"""Paper runs of one profile at once, each with an account of its own."""

LISTED_LATE_NS: Final = 60_000_000_000
"""A venue may list a fill so long after a newer one."""

LOCK: Final = "lock"
"""The source of the halt when another machine has taken the account."""


def account_id(
    settings: Settings, keys: Mapping[str, ApiKeys], profile_name: str = "", url: str = ""
) -> str:
    """Return the name of the account: venues, and a digest of API keys and mode.

    A local venue's is told by its address too: `url`, else `settings.venue.url`. Paper has an
    account a profile. No key can be told from it.
    """
    if settings.mode == "paper":
        return f"paper-{profile_name}".rstrip("-")
    parts = [settings.mode, *(f"{name}={keys[name].key}" for name in settings.venue.names)]
    if settings.mode == "local":
        parts.append(url or settings.venue.url)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
    return f"{'+'.join(settings.venue.names)}-{digest}"


class Close(Protocol):
    """Lets an account go."""

    def __call__(self, *, clean: bool = False) -> None:
        """Close its state and its lock.

        After a `clean` end nothing is left of an account that was in this process, or at venues
        that end with it.
        """


class Recovery(NamedTuple):
    """A locked account with its state open. `close` it when the run is over, whatever happened."""

    memory: Memory
    attachments: tuple["StateAttachment", ...]
    sentences: tuple[str, ...]
    """What the user should know of the start; empty where all was as usual."""
    lock: InstanceLock | None
    close: "Close"


def recover(profile: Profile, account: str, clock: Clock, *, leaves: bool = True) -> Recovery:
    """Lock the account and open its state; for a paper profile nothing is recalled.

    `leaves` tells whether what is open stands on at the venue when this process dies.
    Raises AccountBusy where another engine holds the account, LockUnavailable where the lock
    cannot be made, ConfigError for a state.url of no known kind.
    """
    settings = profile.settings
    is_paper = settings.mode == "paper"
    facts = Facts(
        pid=os.getpid(),
        profile=profile.name,
        started_ns=clock.now_ns(),
        leaves=leaves and not is_paper,
    )
    if is_paper:
        return _paper(settings, account, facts)
    directory = Path(settings.state.directory)
    lock = InstanceLock.take(directory, account, facts)
    try:
        opened = open_state(settings, account, holder=holder_of(directory, facts))
    except BaseException:
        lock.release()
        raise
    told = recovered(opened, clock.now_ns())
    memory = Memory(account, opened.store, opened.recalled, told)

    def close(*, clean: bool = False) -> None:
        is_over = clean and settings.mode == "local" and not leaves
        try:
            opened.close()
            if is_over:
                remove_state(settings, account)
        finally:
            lock.release(remove=is_over)

    unusual = opened.trouble or opened.source == "journal"
    sentences = (f"state: {opened.detail}",) if unusual else ()
    return Recovery(memory, (StateAttachment(opened.store, lock),), sentences, lock, close)


def _paper(settings: Settings, account: str, facts: Facts) -> Recovery:
    """Lock an account of the run's own; a paper account is new in each run and keeps nothing."""
    sentences: tuple[str, ...] = ()
    lock = None
    for number in range(1, PAPER_RUNS_MAX + 1):
        name = account if number == 1 else f"{account}-{number}"
        try:
            lock = InstanceLock.take(Path(settings.state.directory), name, facts)
            break
        except AccountBusy:
            # another run of the profile: paper accounts have nothing to do with each other
            continue
        except LockUnavailable as error:
            sentences = (f"operator commands will not find this run: {error}",)
            break
    attachment = StateAttachment(NullStore(), lock)

    def close(*, clean: bool = False) -> None:
        if lock is not None:
            lock.release(remove=clean)

    return Recovery(Memory(), (attachment,), sentences, lock, close)


def told_until_ns(recalled: Mapping[str, bytes]) -> int:
    """Return since when the venue's fills may be news: a little before the newest one told.

    0 where nothing is remembered: then only fills of this run count.
    """
    cursor = cursor_of(recalled.get(CURSOR_KEY, b""))
    if cursor is None:
        return 0
    return max(cursor.floor_ns, cursor.newest_ns - LISTED_LATE_NS, 0)


def recovered(opened: OpenedState, at_ns: int) -> Recovered:
    """Return what the journal shall say of what a start remembered."""
    return Recovered(at_ns, opened.source, len(opened.recalled), opened.detail)


def holder_of(directory: Path, facts: Facts) -> str:
    """Return MACHINE#PROCESS: the part before # is of all who share the directory's locks."""
    place = directory.resolve().stat()
    machine = f"{os.uname().nodename}/{place.st_dev:x}.{place.st_ino:x}"
    return f"{machine}#{facts.pid}-{facts.started_ns}"


class StateAttachment:
    """Starts and ends the part of a store that lives on the engine's loop; tells the lock's file
    which session runs."""

    def __init__(self, store: Any, lock: InstanceLock | None) -> None:
        self._begin: Callable[..., Awaitable[None]] | None = getattr(store, "begin", None)
        self._end: Callable[[], Awaitable[None]] | None = getattr(store, "end", None)
        self._lock = lock

    async def begin(self, engine: Engine) -> None:
        """Begin to write."""
        if self._lock is not None:
            self._lock.tell(session=engine.session)
        if self._begin is None:
            return

        def lost(reason: str) -> None:
            engine.publish(Halt(engine.clock.now_ns(), LOCK, reason))

        await self._begin(lost)

    async def end(self) -> None:
        """Write what waits and disconnect."""
        if self._end is not None:
            await self._end()
