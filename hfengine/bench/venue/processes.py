"""The processes of a measurement: the venue as users start it, the echo, and the clients."""

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.request import Request, urlopen

import msgspec

from hfengine.bench.venue.kinds import MeasureFailed

READY_MAX_S: Final = 30.0
END_MAX_S: Final = 5.0
ANSWER_MAX_S: Final = 5.0
LAST_WORDS: Final = 800
SERVER_CPU: Final = 1
CLIENT_CPU: Final = 0


class Child:
    """A process of ours: what it prints, what it used, and its end."""

    def __init__(self, module: str, options: Sequence[str]) -> None:
        self.module = module
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(  # noqa: S603 - our own modules, by this interpreter
            [sys.executable, "-m", module, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
        )

    def line(self, patience_s: float = READY_MAX_S) -> bytes:
        """Return its next line; raises MeasureFailed when none comes."""
        output = self.process.stdout
        assert output is not None
        said = b""
        while not said.endswith(b"\n"):
            readable, _, _ = select.select([output], [], [], patience_s)
            piece = os.read(output.fileno(), 1 << 20) if readable else b""
            if not piece:
                raise MeasureFailed(f"{self.module}: {self._last_words()}")
            said += piece
        return said

    def tell(self, line: str) -> None:
        """Write a line to its input; raises MeasureFailed when it has ended."""
        asking = self.process.stdin
        assert asking is not None
        try:
            asking.write(line.encode() + b"\n")
            asking.flush()
        except BrokenPipeError:
            raise MeasureFailed(f"{self.module}: {self._last_words()}") from None

    def wait(self, seconds: float) -> None:
        """Wait while it works; raises MeasureFailed when it ends meanwhile."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise MeasureFailed(f"{self.module}: {self._last_words()}")

    def pin(self, cpu: int) -> None:
        """Keep it on one core, where there are two."""
        if (os.cpu_count() or 1) > 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {cpu})

    def cpu_s(self) -> float | None:
        """Return the processor time it used so far, None where the system does not say."""
        status = Path(f"/proc/{self.process.pid}/stat")
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_MAX_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._words.close()

    def _last_words(self) -> str:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._words.seek(0)
        words = self._words.read().decode(errors="replace").strip()[-LAST_WORDS:]
        return words or f"ended with {self.process.returncode} and said nothing"


class Venue:
    """A local venue in a process of its own."""

    def __init__(self, child: Child, http: str) -> None:
        self.child = child
        self.http = http
        self.ws = "ws" + http.removeprefix("http")

    def status(self) -> Any:
        """Return what the operator is told."""
        return self._ask(Request(f"{self.http}/admin/status"))  # noqa: S310 - our own venue

    def do(self, command: Mapping[str, str | int]) -> Any:
        """Have something done at once."""
        body = msgspec.json.encode(command)
        return self._ask(
            Request(f"{self.http}/admin/do", data=body, method="POST")  # noqa: S310 - our own venue
        )

    def _ask(self, request: Request) -> Any:
        with urlopen(request, timeout=ANSWER_MAX_S) as answer:  # noqa: S310 - our own venue
            return msgspec.json.decode(answer.read())


@contextlib.contextmanager
def child(module: str, options: Sequence[str] = ()) -> Iterator[Child]:
    """Run `python -m module`; end it afterwards."""
    started = Child(module, options)
    try:
        yield started
    finally:
        started.close()


@contextlib.contextmanager
def venue(options: Sequence[str]) -> Iterator[Venue]:
    """Run `hfengine venue --json` with these options; raises MeasureFailed if it does not serve."""
    # it ends with us, however we end
    command = [str(os.getpid()), "venue", "--port", "0", *options, "--json"]
    with child("hfengine.cli.local_child", command) as process:
        ready = msgspec.json.decode(process.line().splitlines()[-1])
        yield Venue(process, ready["http"])
