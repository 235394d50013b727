"""What the machine must offer: the build, the interpreter, disk, store and lock."""

import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Final

from hfengine import __version__
from hfengine.clock import mono_ns
from hfengine.doctor.finding import Finding, fail, ok, warn
from hfengine.runtime.cores import AS_THE_SYSTEM, waiting
from hfengine.settings import Settings
from hfengine.state.lock import Instance

PACKAGES: Final = ("msgspec", "uvloop", "pykka", "picows", "ccxt")
PYTHON_MIN: Final = (3, 11)
FREE_FAIL_BYTES: Final = 100 * 1024 * 1024
FREE_WARN_BYTES: Final = 1024 * 1024 * 1024
SYNCS: Final = 8
SYNC_BYTES: Final = 64 * 1024
"""What the journal seals at once."""
SYNC_SLOW_MS: Final = 25.0
"""Above this a crash may lose noticeably more of the journal's end, for it syncs less often."""
NS_PER_MS: Final = 1e6
REDIS: Final = ("redis://", "rediss://", "unix://")
REDIS_MAX_S: Final = 2.0


def check_build() -> Finding:
    """Import every compiled kernel; name the versions that are in use."""
    folder = files("hfengine.kernels")
    names = sorted(
        one.name.removesuffix(".pyi") for one in folder.iterdir() if one.name.endswith(".pyi")
    )
    broken = []
    for name in names:
        try:
            import_module(f"hfengine.kernels.{name}")
        except ImportError as error:
            broken.append(f"{name} ({error})")
    if broken:
        advice = "build them: python setup.py build_ext --inplace, or make run"
        return fail("build", f"kernels that cannot be imported: {', '.join(broken)}", advice)
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return ok("build", f"hfengine {__version__}, {len(names)} kernels; {versions}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def check_python() -> Finding:
    """Compare the interpreter with what the package needs."""
    found = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < PYTHON_MIN:
        wanted = ".".join(map(str, PYTHON_MIN))
        return fail("python", found, f"use Python {wanted} or newer")
    return ok("python", found)


def check_disk(name: str, directory: Path) -> Finding:
    """Measure the free space of a directory and how long a write takes until it is safe.

    A file of 64 KiB is written there, or in the nearest directory above that exists, and removed.
    """
    place = next((one for one in (directory, *directory.absolute().parents) if one.is_dir()), None)
    if place is None:
        return fail(name, f"{directory} is in no directory", "name another one in the profile")
    try:
        free = os.statvfs(place)
        free_bytes = free.f_bavail * free.f_frsize
        sync_ms = median(_syncs_ms(place))
    except OSError as error:
        found = f"{place} cannot be written: {error.strerror or error}"
        return fail(name, found, "make it writable, or name another directory in the profile")
    found = f"{place}: {free_bytes / 1e9:.1f} GB free, safe on disk after {sync_ms:.1f} ms"
    if free_bytes < FREE_FAIL_BYTES:
        return fail(name, found, "make room: a full disk halts entries")
    if free_bytes < FREE_WARN_BYTES:
        return warn(name, found, "make room: a day of ticks may take gigabytes")
    if sync_ms > SYNC_SLOW_MS:
        return warn(name, found, "a slow disk: a crash may cost the last second of the journal")
    return ok(name, found)


def check_cores(settings: Settings) -> Finding:
    """Ask for what the profile says of idle cores, as a run does, and take it back at once."""
    runtime = settings.runtime
    held = waiting(spins=runtime.loop == "spin", latency_max_us=runtime.wake_latency_us)
    with held as found:
        pass
    if runtime.loop == "sleep" and AS_THE_SYSTEM in found and runtime.wake_latency_us >= 0:
        return warn(
            "cores",
            found,
            "a frame then waits some 20 us longer for a core to wake up: let this user write it"
            " (a udev rule), or set runtime.wake_latency_us to -1",
        )
    return ok("cores", found)


def _syncs_ms(place: Path) -> list[float]:
    block, taken = b"\0" * SYNC_BYTES, []
    with tempfile.NamedTemporaryFile(dir=place, prefix=".hfengine-doctor-") as trial:
        for _ in range(SYNCS):
            started_ns = mono_ns()
            trial.write(block)
            trial.flush()
            os.fsync(trial.fileno())
            taken.append((mono_ns() - started_ns) / NS_PER_MS)
    return taken


def check_store(settings: Settings, account: str) -> Finding:
    """Look at the state store without changing it: a file's soundness, a server's answer."""
    name, url = "state store", settings.state.url
    if url == "none":
        advice = 'state.url = "sqlite" keeps them'
        return warn(name, "none: halts and peaks do not outlive a restart", advice)
    if url.startswith(REDIS):
        return _check_redis(name, url)
    path = Path(settings.state.directory) / f"{account}.db"
    if not account or not path.exists():
        return ok(name, f"SQLite below {settings.state.directory}, made at the first start")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            (said,) = opened.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        said = str(error)
    if said == "ok":
        return ok(name, f"SQLite, {path}: sound")
    advice = "the next start moves it aside and reads the journals instead; nothing is to be done"
    return warn(name, f"{path} is damaged: {said}", advice)


def _check_redis(name: str, url: str) -> Finding:
    shown = url.rpartition("@")[2] if "@" in url else url
    if find_spec("redis") is None:
        return fail(name, f"{shown}: the package redis is missing", "pip install redis")
    redis = import_module("redis")
    try:
        with redis.Redis.from_url(
            url, socket_timeout=REDIS_MAX_S, socket_connect_timeout=REDIS_MAX_S
        ) as server:
            server.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        advice = "start the server or correct state.url; a run goes on without it, and says so"
        return warn(name, f"{shown} does not answer: {type(error).__name__}", advice)
    return ok(name, f"Redis at {shown} answers")


def check_lock(account: str, instances: Sequence[Instance]) -> Finding:
    """Say whether another engine holds the account, or one died with it."""
    name = "instance lock"
    for one in instances:
        facts = one.facts
        if one.account != account:
            continue
        who = f"process {facts.pid}, profile {facts.profile}, session {facts.session or 'unknown'}"
        if one.alive:
            return warn(name, f"held: {who}", "hfengine status shows it; a second is refused")
        advice = "the next start recovers it, or close it with hfengine flatten --profile"
        return warn(name, f"left by an engine that did not end flat: {who}", advice)
    return ok(name, "free")
