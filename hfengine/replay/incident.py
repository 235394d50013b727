"""A session as a bundle that can be given away: its journal, what it ran on, how to look at it.

The journal was redacted when it was written. The bundle is refused where a secret stands in it all
the same: taking it out would break the chain that makes the journal evidence.
"""

import gzip
import io
import platform
import sys
import tarfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from hfengine import __version__
from hfengine.errors import HfengineError
from hfengine.heard import Session
from hfengine.journal import manifest
from hfengine.journal.reader import Scan, Verdict, verify
from hfengine.journal.redact import SECRET_CHARACTERS_MIN, is_secret_name, secrets
from hfengine.replay.records import decoder

PACKAGES: Final = ("ccxt", "Cython", "msgspec", "numpy", "picows", "pykka", "uvloop")
README: Final = """\
hfengine session {session}, {version}

The journal of one session, as it was written: checksummed, chained, without secrets.
Needs hfengine {version} (other versions say where they decide otherwise).

BUNDLE is this file, DIRECTORY the directory in it once unpacked.

  hfengine replay BUNDLE --verify               run it again, compare every output
  hfengine why SYMBOL --session BUNDLE          what happened with a symbol, and why not
  hfengine journal verify DIRECTORY             every byte against its checksums
  hfengine journal show DIRECTORY --type Halt   single messages

Symbols: {symbols}
Journal: {verdict}
environment.json says what it ran on, profile.json with which settings.
"""


class SecretFound(HfengineError):
    """A secret stands in what was to be given away: says where, never what."""


class Bundle(Struct, frozen=True):
    """A bundle that was written."""

    path: Path
    session: str
    files: int
    size_bytes: int
    verdict: Verdict


def bundle(directory: Path, out: Path, environment: Mapping[str, str]) -> Bundle:
    """Write a session's bundle; the same session and machine give the same bytes.

    Raises NotAJournal, SecretFound, OSError. The journal may be damaged, or still be written.
    """
    verdict = verify(directory)
    page = directory / manifest.NAME
    files = {manifest.NAME: _manifest(page)}
    for segment in sorted(directory.glob("*.journal")):
        files[segment.name] = segment.read_bytes()
    session = _session(directory)
    settings: dict[str, Any] = session.settings if session is not None else {}
    files["profile.json"] = _json(
        {
            "profile": session.profile if session is not None else "",
            "config_hash": session.config_hash if session is not None else "",
            "settings": settings,
        }
    )
    files["environment.json"] = _json(environment_facts())
    files["verdict.json"] = _json(msgspec.to_builtins(verdict))
    files["README.txt"] = README.format(
        session=directory.name,
        version=session.version if session is not None else __version__,
        symbols=", ".join(settings.get("symbols", ())) or "unknown",
        verdict=f"{verdict.status}, {verdict.detail}",
    ).encode()
    refuse_secrets(files, known_secrets(environment))
    content = _packed(directory.name, files)
    out.write_bytes(content)
    return Bundle(out, directory.name, len(files), len(content), verdict)


def known_secrets(environment: Mapping[str, str]) -> dict[str, bytes]:
    """Return what must not leave: registered secrets, and variables with the name of one."""
    found = {
        name: text.encode()
        for name, text in environment.items()
        if is_secret_name(name) and len(text) >= SECRET_CHARACTERS_MIN
    }
    return found | {f"registered secret {n}": one for n, one in enumerate(secrets(), 1)}


def refuse_secrets(files: Mapping[str, bytes], known: Mapping[str, bytes]) -> None:
    """Raise SecretFound for the first file that holds one of the known secrets."""
    for file, content in files.items():
        for name, secret in known.items():
            at = content.find(secret)
            if at >= 0:
                raise SecretFound(
                    f"{file}, byte {at}, holds the content of {name}: no bundle was written."
                    " Replace that key at its exchange, it stands in the journal; a bundle can be"
                    " made of sessions that began after it was set in the environment"
                )


def environment_facts() -> dict[str, Any]:
    """Return what a session ran on, without names of hosts, users or directories."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "hfengine": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "byte_order": sys.byteorder,
        "packages": versions,
    }


def _manifest(page: Path) -> bytes:
    """Return a manifest whose fault names no directory."""
    content = page.read_bytes()
    try:
        loaded = manifest.load(page.parent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content
    if loaded.fault is None:
        return content
    for place in (str(page.parent.absolute()), str(page.parent), str(Path.home())):
        loaded.fault = loaded.fault.replace(place, "[directory]")
    return _json(msgspec.to_builtins(loaded))


def _session(directory: Path) -> Session | None:
    """Return a session's first record; None for an older journal or a damaged one."""
    first = next(Scan(directory).frames(), None)
    if first is None:
        return None
    try:
        message = decoder().decode(first.payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message if isinstance(message, Session) else None


def _packed(name: str, files: Mapping[str, bytes]) -> bytes:
    """Return a .tar.gz of the files below one directory: no times, no owners, sorted."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files):
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size = len(files[file])
            entry.mode = 0o600
            archive.addfile(entry, io.BytesIO(files[file]))
    return gzip.compress(packed.getvalue(), mtime=0)


def _json(content: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2) + b"\n"
