"""Where an engine's control socket stands: a directory only its owner may enter."""

import hashlib
import os
import socket
import stat
import struct
import tempfile
from pathlib import Path
from typing import Final

from hfengine.errors import ExitCode, HfengineError

FOLDER: Final = "control"
PATH_BYTES_MAX: Final = 100
"""Of a socket's path: Linux takes 107, BSD 103."""
OWNER_ONLY: Final = 0o700
OTHERS: Final = 0o077
CONNECT_MAX_S: Final = 1.0
CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of a peer, as the kernel tells them."""


class ControlPlaceError(HfengineError):
    """No socket can stand there, or one stands that answers."""

    exit_code = ExitCode.USAGE


def socket_path(directory: str, name: str) -> Path:
    """Return where the socket of an account's engine stands; nothing is made or looked up.

    Below the state directory where that is short enough for a socket's address, else under a
    hashed name in `$XDG_RUNTIME_DIR` or the directory of temporary files.
    """
    near = Path(directory).absolute() / FOLDER / f"{name}.sock"
    if len(os.fsencode(near)) <= PATH_BYTES_MAX:
        return near
    short = hashlib.sha256(os.fsencode(near)).hexdigest()[:16]
    return _runtime_folder() / f"{short}.sock"


def _runtime_folder() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = f"hfengine-{os.getuid()}"
    if given.startswith("/") and len(os.fsencode(f"{given}/{folder}")) <= PATH_BYTES_MAX - 22:
        return Path(given) / folder
    return Path(tempfile.gettempdir()) / folder


def make_folder(path: Path) -> None:
    """Make the directory of a socket, for its owner alone; raises ControlPlaceError."""
    folder = path.parent
    try:
        folder.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from None
    if not stat.S_ISDIR(found.st_mode):
        raise _unusable(folder, "is no directory")
    if found.st_uid != os.getuid():
        raise _unusable(folder, "belongs to another user")
    if found.st_mode & OTHERS:
        try:
            folder.chmod(OWNER_ONLY)
        except OSError as error:
            raise _unusable(folder, error.strerror or str(error)) from None


def _unusable(folder: Path, why: str) -> ControlPlaceError:
    return ControlPlaceError(
        f"the control socket cannot stand in {folder}: {why}; set state.directory to a directory "
        f"of your own, or control.enabled = false to run without operator commands"
    )


def bound(path: Path) -> socket.socket:
    """Return a listening socket at `path`, mode 0600; one that a dead engine left is replaced.

    Raises ControlPlaceError when something alive listens there or the place cannot be used.
    """
    make_folder(path)
    if path.exists() or path.is_symlink():
        if answers(path):
            sentence = f"another engine listens at {path}: end it first (hfengine status shows it)"
            raise ControlPlaceError(sentence)
        path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen()
    except OSError as error:
        listening.close()
        raise _unusable(path.parent, error.strerror or str(error)) from None
    listening.setblocking(False)
    return listening


def answers(path: Path) -> bool:
    """Tell whether somebody listens at a socket: a dead engine's is there, but nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.settimeout(CONNECT_MAX_S)
        try:
            trial.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # no time, no room in its queue, no permission: all of it is somebody
            return True
        return True


def peer_of(descriptor: int) -> tuple[int, int]:
    """Return (user id, process id) of whoever is at the other end of a connected socket.

    The own user and process 0 where the system cannot tell: there the file's mode must do.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid(), 0
    with socket.socket(fileno=os.dup(descriptor)) as same:
        told = same.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process, user, _group = CREDENTIALS.unpack(told)
    return user, process
