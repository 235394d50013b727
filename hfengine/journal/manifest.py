"""The page beside the segments: what the session was, its state, and where its chain ended."""

import fcntl
import os
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

NAME: Final = "manifest.json"

State = Literal["running", "ended", "crashed"]


class Segment(Struct, kw_only=True):
    """One file of frames; its size is known once it is complete."""

    name: str
    size_bytes: int | None = None


class Manifest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The state of a session's journal.

    records and hash are None until the session ended and everything was written. started_ns is the
    engine's clock, nanoseconds since the Unix epoch.
    """

    format: int
    session: str
    version: str
    config_hash: str
    started_ns: int
    state: State
    segments: list[Segment]
    records: int | None = None
    hash: str | None = None
    fault: str | None = None


def segment_name(number: int) -> str:
    """Return the file name of a segment, counted from 1."""
    return f"{number:06}.journal"


def save(directory: Path, manifest: Manifest) -> None:
    """Write the manifest whole or not at all: a new file, flushed to disk, renamed over the old.

    Raise OSError.
    """
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    fresh = directory / f"{NAME}.new"
    with fresh.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(directory / NAME)


def load(directory: Path) -> Manifest:
    """Read the manifest. Raise OSError, or msgspec.DecodeError where it is not one."""
    return msgspec.json.decode((directory / NAME).read_bytes(), type=Manifest)


class WriterLock:
    """Show others that the journal is being written; the system lets go of it when we die."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raise OSError (BlockingIOError where another process writes there)."""
        self._handle = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise

    def release(self) -> None:
        """Let go of the lock; only once."""
        os.close(self._handle)


def has_writer(directory: Path) -> bool:
    """Return whether a process holds the directory's lock. Raise OSError."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
