"""A venue process and a client process, started once and measured in turns."""

import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from hfengine.bench.rounds import Quantiles
from hfengine.bench.wire.kinds import Kind, Waiting
from hfengine.bench.wire.venue_process import Command, Flooded, Measured

CLIENT_CPU = 0
VENUE_CPU = 1
ENDING_S = 5.0
BY_ITSELF_S = 2.0
"""The engine ends when its venue does, and says what it did; a bot has to be told to end."""
LOOK_S = 0.2
SYMBOL = "BTCUSDT"


class PairFailed(Exception):
    """A venue or a client of a measurement ended early; the message has its last words."""


class Pair:
    """One client and the venue it talks to, each on a core of its own where there are two.

    Both wait asleep between turns, but for a client that spins: that one has to go before another
    is measured. `fifo` puts both before everything else on their cores, for a machine that is not
    quiet; `favour` holds more options of the client.
    """

    def __init__(
        self,
        kind: Kind,
        waiting: Waiting,
        *,
        seed: int = 1,
        fifo: bool = False,
        favour: tuple[str, ...] = (),
    ) -> None:
        self.name = f"{kind}/{waiting}"
        pinned = (os.cpu_count() or 1) > 1
        module = "hfengine.bench.wire"
        first = ["--fifo"] if fifo else []
        self._venue = _start(
            f"{module}.venue_process",
            ["--symbol", SYMBOL, "--seed", str(seed), *_cpu(VENUE_CPU, pinned=pinned), *first],
        )
        port = _pipe(self._venue.stdout).readline().strip()
        if not port:
            raise PairFailed(f"{self.name}: {self._last_words(self._venue)}")
        who = ["--kind", str(kind), "--loop", str(waiting)]
        where = ["--port", port.decode(), "--symbol", SYMBOL]
        core = _cpu(CLIENT_CPU, pinned=pinned)
        self._client = _start(f"{module}.client", [*who, *where, *core, *first, *favour])
        self.client_said = b""
        """What the client printed, known once it has ended."""
        try:
            self._turn(Command("wait"))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Pair":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def orders(self, count: int, per_s: float, seed: int) -> Measured:
        """Measure `count` triggers; raises PairFailed when the client is not up to it."""
        return msgspec.json.decode(
            self._turn(Command("measure", count, per_s, seed)), type=Measured
        )

    def flood(self, count: int, seed: int) -> Flooded:
        """Let the client take `count` frames as fast as it can."""
        return msgspec.json.decode(self._turn(Command("flood", count, seed=seed)), type=Flooded)

    def waited_for_core_ns(self) -> tuple[int, int]:
        """Return how long client and venue were ready to run but had no core, so far."""
        client_ns, venue_ns = (
            int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1])
            for process in (self._client, self._venue)
        )
        return client_ns, venue_ns

    def close(self) -> None:
        """End both processes: the venue when its input ends, then the client by SIGTERM."""
        _pipe(self._venue.stdin).close()
        for process in (self._venue, self._client):
            try:
                if process is self._client and not _ended_by_itself(process):
                    process.terminate()
                process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process is self._client:
                self.client_said = _pipe(process.stdout).read()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _turn(self, command: Command) -> bytes:
        try:
            asking = _pipe(self._venue.stdin)
            asking.write(msgspec.json.encode(command) + b"\n")
            asking.flush()
            answer = self._answer()
        except BrokenPipeError:
            answer = b""
        if not answer:
            words = [self._last_words(p) for p in (self._venue, self._client)]
            raise PairFailed(f"{self.name}: {'; '.join(word for word in words if word)}")
        return answer

    def _answer(self) -> bytes:
        """Return the venue's next line, b"" when it or its client has ended."""
        answers = _pipe(self._venue.stdout)
        while not select.select([answers], [], [], LOOK_S)[0]:
            if self._client.poll() is not None:
                return b""
        return answers.readline()

    def _last_words(self, process: subprocess.Popen[bytes]) -> str:
        if process.poll() is None:
            process.kill()
            process.wait()
        return _pipe(process.stderr).read().decode(errors="replace").strip()[-800:]


def quantiles(took_ns: list[int]) -> Quantiles:
    """Return exact quantiles; raises ValueError without a figure."""
    if not took_ns:
        raise ValueError("no order arrived: nothing to measure")
    ordered = sorted(took_ns)

    def at(share: float) -> int:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    return Quantiles(p50=at(0.5), p99=at(0.99), p999=at(0.999), max=ordered[-1], count=len(ordered))


def _start(module: str, options: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own modules, by this interpreter
        [sys.executable, "-m", module, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _cpu(core: int, *, pinned: bool) -> list[str]:
    return ["--cpu", str(core)] if pinned else []


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("a child process without pipes")
    return pipe


def _ended_by_itself(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(BY_ITSELF_S)
    except subprocess.TimeoutExpired:
        return False
    return True
