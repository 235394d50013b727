"""Which session is meant: a directory, a bundle, a name, or the newest one."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from hfengine.journal import manifest
from hfengine.replay.errors import NoSession

NEWEST = "newest"
BUNDLE_ENDS = (".tar.gz", ".tgz")
SHOWN = 5


def find(session: str, directory: Path) -> Path:
    """Return the journal directory of a session: a path, a name in `directory`, or NEWEST.

    Raises NoSession.
    """
    path = Path(session)
    if session != NEWEST and (path / manifest.NAME).is_file():
        return path
    known = _by_age(directory)
    if session == NEWEST:
        if not known:
            raise NoSession(
                f"there is no session in {directory}: run one, or name the directory of journals"
                " with --journals"
            )
        return known[-1]
    named = directory / session
    if "/" not in session and (named / manifest.NAME).is_file():
        return named
    near = get_close_matches(session, [one.name for one in known], SHOWN, 0.5)
    names = near or [one.name for one in known[-SHOWN:]]
    there = f"; there are {', '.join(names)}" if names else ""
    raise NoSession(f"there is no session {session!r} in {directory}{there}")


def _by_age(directory: Path) -> list[Path]:
    """Return the sessions of a directory, the newest last."""
    found: list[tuple[int, str, Path]] = []
    for page in directory.glob(f"*/{manifest.NAME}"):
        try:
            started_ns = manifest.load(page.parent).started_ns
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            started_ns = 0
        modified_ns = page.stat().st_mtime_ns
        # the clock of a paper session is that of its market: when it was written says more
        found.append((modified_ns, f"{started_ns:020}", page.parent))
    return [path for _, _, path in sorted(found)]


@contextmanager
def opened(session: str, directory: Path) -> Iterator[Path]:
    """Give the journal directory of a session, or of a bundle, unpacked for as long as it is used.

    Raises NoSession.
    """
    path = Path(session)
    if not (path.is_file() and path.name.endswith(BUNDLE_ENDS)):
        yield find(session, directory)
        return
    with TemporaryDirectory(prefix="hfengine-bundle-") as place:
        try:
            with tarfile.open(path, "r:gz") as bundle:
                bundle.extractall(place, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise NoSession(f"{path} is no bundle that can be read: {error}") from error
        inside = sorted(Path(place).glob(f"*/{manifest.NAME}"))
        if len(inside) != 1:
            raise NoSession(f"{path} holds {len(inside)} journals instead of one")
        yield inside[0].parent
