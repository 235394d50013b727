"""A venue and an engine as processes that can be killed and started again in the same place."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PROFILES: Final = Path(__file__).parent
PYTHON: Final = (sys.executable, "-m")
MAIN: Final = "hfengine.cli.main"
SLOW: Final = "tests.chaos.slow_engine"
SYMBOLS: Final = "BTCUSDT,ETHUSDT"
WALLET_USDT: Final = "100000"
ANSWER_MAX_S: Final = 5.0
READY_MAX_S: Final = 40.0


class Broken(Exception):
    """Something did not come up, or did not answer: the story cannot go on."""


def base_environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return what a child needs to know, its files all in `folder`."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        "HFENGINE_JOURNAL__DIRECTORY": str(folder / "journals"),
        "HFENGINE_STATE__DIRECTORY": str(folder / "state"),
        **settings,
    }


class Child:
    """One process, its output in files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.starts = 0
        self.began_s = 0.0
        """When it was last started, monotonic."""
        self.began_ns = 0
        """The same by the wall clock, as journals have it."""
        self._process: subprocess.Popen[bytes] | None = None

    def launch(
        self, words: Sequence[str], settings: Mapping[str, str], *, file_bytes_max: int = 0
    ) -> None:
        """Start it; `file_bytes_max` is how large a file it may write, 0 is unlimited."""
        self.starts += 1
        self.began_s, self.began_ns = time.monotonic(), time.time_ns()

        with self.output("out").open("wb") as out, self.output("err").open("wb") as err:
            self._process = subprocess.Popen(
                [*PYTHON, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=base_environment(self.folder, settings),
                cwd=self.folder,
                start_new_session=True,
            )
        if file_bytes_max:
            limits = (file_bytes_max, file_bytes_max)
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, limits)

    def output(self, stream: str) -> Path:
        """Return the file of the newest start's standard output ("out") or error ("err")."""
        return self.folder / f"{self.name}-{self.starts:03d}.{stream}"

    @property
    def pid(self) -> int:
        """The process's id, 0 before the first start."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it still runs."""
        if self.is_alive and self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with SIGKILL and wait until it is gone; safe to call at any time."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; return the exit code, None when it still runs."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self, chars: int = 400) -> str:
        """Return the end of what it wrote to standard error."""
        path = self.output("err")
        return path.read_text(errors="replace").strip()[-chars:] if path.exists() else ""


class Venue(Child):
    """`hfengine venue` with a state file: started again on the same port it is the same venue."""

    def __init__(self, folder: Path, dialect: str, seed: int) -> None:
        super().__init__(folder, "venue")
        self.dialect = dialect
        self.seed = seed
        self.port = 0

    @property
    def http(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it serves; raises Broken."""
        self.launch(
            [
                *(MAIN, "venue", "--dialect", self.dialect, "--port", str(self.port)),
                *("--feed", "synthetic", "--seed", str(self.seed), "--symbols", SYMBOLS),
                *("--wallet-usdt", WALLET_USDT, "--state", str(self.folder / "venue.db")),
                "--json",
            ],
            {},
        )
        deadline_s = self.began_s + READY_MAX_S
        while not (line := self.output("out").read_bytes()).endswith(b"\n"):
            if not self.is_alive or time.monotonic() > deadline_s:
                raise Broken(f"the venue did not start: {self.last_words()}")
            time.sleep(0.02)
        self.port = int(json.loads(line)["http"].rpartition(":")[2])

    def get(self, path: str) -> Any:
        """Return the answer of the operator's door; raises Broken when there is none."""
        try:
            address = f"{self.http}/admin/{path}"
            with urllib.request.urlopen(address, timeout=ANSWER_MAX_S) as answer:
                return json.loads(answer.read(), parse_float=Decimal)
        except OSError as error:
            raise Broken(f"the venue does not answer: {error}") from None

    def used_weight(self) -> int:
        """Return the request weight this address has used in the minute; asking costs 1 more.

        0 where the dialect counts none. Raises Broken.
        """
        if self.dialect != "binance":
            return 0
        try:
            with urllib.request.urlopen(
                f"{self.http}/fapi/v1/time", timeout=ANSWER_MAX_S
            ) as answer:
                return int(answer.headers["X-MBX-USED-WEIGHT-1M"])
        except OSError as error:
            raise Broken(f"the venue does not answer: {error}") from None

    def held(self) -> list[dict[str, Any]]:
        """Return the positions that are not flat."""
        listed = self.get("positions")["main"]
        return [one["changed"] for one in listed if Decimal(one["changed"]["quantity"])]

    def open_orders(self) -> list[dict[str, Any]]:
        """Return the open orders, conditional ones too."""
        found: list[dict[str, Any]] = self.get("orders?open_only=1")["main"]
        return found

    def orders(self) -> list[dict[str, Any]]:
        """Return every order there ever was."""
        found: list[dict[str, Any]] = self.get("orders")["main"]
        return found

    def fills(self) -> list[dict[str, Any]]:
        """Return every fill, oldest first."""
        found: list[dict[str, Any]] = self.get("fills")["main"]
        return found

    def ledger(self) -> list[dict[str, Any]]:
        """Return the entries of the account's ledger."""
        found: list[dict[str, Any]] = self.get("ledger")["main"]["entries"]
        return found


class EngineRun(Child):
    """`hfengine run --json` of a chaos profile against one address, again and again."""

    def __init__(self, folder: Path, dialect: str, url: str) -> None:
        super().__init__(folder, "engine")
        self.profile = PROFILES / f"chaos-{dialect}.toml"
        self.url = url
        self.settings: dict[str, str] = {}
        self.module = MAIN
        self.file_bytes_max = 0

    def start(self) -> None:
        """Start it; what becomes of it is to be watched."""
        words = [self.module, "run", "--profile", str(self.profile), "--venue-url", self.url]
        self.launch([*words, "--json"], self.settings, file_bytes_max=self.file_bytes_max)

    def summary(self) -> dict[str, Any]:
        """Return the summary it printed at its end, {} without one."""
        lines = self.output("out").read_text(errors="replace").splitlines()
        if not lines or not lines[-1].startswith("{"):
            return {}
        found: dict[str, Any] = json.loads(lines[-1], parse_float=Decimal)
        return found
