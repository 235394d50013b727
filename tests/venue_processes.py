"""Local venues and engines as a user runs them: processes over sockets, watched from outside."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from hfengine.journal.reader import Scan, decode

COMMAND = [sys.executable, "-m", "hfengine.cli.main"]
ROOT = Path(__file__).parents[1]
POLL_S = 0.1


def environment(folder: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment with these settings, its journals in `folder`."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HFENGINE_JOURNAL__DIRECTORY": str(folder / "journals"),
        # two cores for several processes: what is asked here is not how fast they are
        "HFENGINE_JOURNAL__MARKET_DATA": "none",
        "HFENGINE_RUNTIME__WARM_EVERY_MS": "0",
        **(settings or {}),
    }


def until(holds: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Return the first true answer of `holds`; fails with `what` after some seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(POLL_S)
    return answer


class VenueProcess:
    """A running `hfengine venue`, and its operator's door."""

    def __init__(self, process: "subprocess.Popen[bytes]", ready: Mapping[str, Any]) -> None:
        self.process = process
        self.http = str(ready["http"])
        self.ws = str(ready["ws"])

    def get(self, path: str) -> Any:
        """Return the answer of an admin call; of one account where it is told by account."""
        return call(f"{self.http}/admin/{path}")

    def do(self, name: str, **arguments: object) -> None:
        """Have something done at once."""
        call(f"{self.http}/admin/do", {"do": name, **arguments})

    def fault(self, kind: str, **match: object) -> None:
        """Add a fault."""
        call(f"{self.http}/admin/faults", {"kind": kind, **match})

    def positions(self, symbol: str = "") -> list[dict[str, Any]]:
        """Return the main account's positions; with a symbol also flat ones."""
        found: list[dict[str, Any]] = self.get(f"positions?symbol={symbol}")["main"]
        return found

    def held(self) -> list[dict[str, Any]]:
        """Return the positions that are not flat."""
        return [one for one in self.positions() if Decimal(one["changed"]["quantity"])]

    def orders(self, *, open_only: bool = False, symbol: str = "") -> list[dict[str, Any]]:
        """Return the main account's orders, oldest first."""
        query = f"orders?open_only={int(open_only)}&symbol={symbol}"
        found: list[dict[str, Any]] = self.get(query)["main"]
        return found

    def fills(self) -> list[dict[str, Any]]:
        """Return the main account's fills, oldest first."""
        found: list[dict[str, Any]] = self.get("fills")["main"]
        return found

    def earned_usdt(self) -> Decimal:
        """Return what the main account's own ledger adds up to, its deposits left out."""
        entries = self.get("ledger")["main"]["entries"]
        changes = [Decimal(one["change_usdt"]) for one in entries if one["kind"] != "deposit"]
        return sum(changes, Decimal(0))


def call(url: str, body: object = None) -> Any:
    """Return the JSON a local venue answers."""
    encoded = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data=encoded), timeout=5) as answer:
        return json.loads(answer.read())


@contextmanager
def venue_process(dialect: str, *options: str) -> Iterator[VenueProcess]:
    """Run a venue on a free port."""
    command = [*COMMAND, "venue", "--dialect", dialect, "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the venue did not start"
            yield VenueProcess(process, json.loads(line))
        finally:
            process.kill()


class EngineProcess:
    """A running `hfengine run --json`."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process = process
        self.folder = folder

    def until(self, holds: Callable[[], Any], what: str, seconds: float = 45.0) -> Any:
        """Return the first true answer of `holds`; fails when the engine ends before it."""

        def alive_and_holds() -> Any:
            answer = holds()
            assert answer or self.process.poll() is None, (what, self.ended())
            return answer

        try:
            return until(alive_and_holds, what, seconds)
        except AssertionError as error:
            error.add_note(f"so far: {self.said()}")
            raise

    def said(self) -> dict[str, int]:
        """Return how often the session log holds each kind of message, and each refusal."""
        rows = self.logged()
        gates = (f"{row['symbol']} refused by {row['gate']}" for row in rows if "gate" in row)
        return dict(Counter([*(row["type"] for row in rows), *gates]))

    def journals(self) -> list[Path]:
        """Return the session logs begun so far."""
        return [path.parent for path in (self.folder / "journals").glob("*/manifest.json")]

    def logged(self) -> list[dict[str, Any]]:
        """Return what the one session log holds so far; written about once a second."""
        journals = self.journals()
        return [decode(frame.payload) for frame in Scan(journals[0]).frames()] if journals else []

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Hold the process still: whatever happens now, the engine did not do it."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def ended(self, seconds: float = 60.0) -> tuple[int, dict[str, Any], str]:
        """Wait for the end; return exit code, summary ({} without one) and standard error."""
        out, err = self.process.communicate(timeout=seconds)
        assert "Traceback" not in err, err
        lines = out.splitlines()
        return (
            self.process.returncode,
            json.loads(lines[-1], parse_float=Decimal) if lines else {},
            err,
        )


@contextmanager
def engine_process(
    folder: Path, words: Sequence[str], settings: Mapping[str, str] | None = None
) -> Iterator[EngineProcess]:
    """Run `hfengine run WORDS --json`, its journals in `folder`; killed when left early."""
    with subprocess.Popen(
        [*COMMAND, "run", *words, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(folder, settings),
        cwd=folder,
    ) as process:
        try:
            yield EngineProcess(process, folder)
        finally:
            process.kill()
