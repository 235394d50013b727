"""Where the millisecond tails of sleeping loops come from: `python -m hfengine.bench.wire.tails`.

The system counts how long a process was ready to run but had no core (/proc/PID/schedstat, second
figure). If the late orders of a turn add up to that, the tail is the queue for the core, not the
loop; and it must go when the client is scheduled before all others (SCHED_FIFO).
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.bench.rounds import ROUNDS_MIN, Quantiles
from hfengine.bench.wire.compare import PER_S, SAMPLES
from hfengine.bench.wire.kinds import KINDS, Kind
from hfengine.bench.wire.pairs import Pair, quantiles

LATE_NS = 500_000

VARIANTS: Final[dict[str, tuple[str, ...]]] = {
    "as it is": (),
    "timer slack 1 ns": ("--timer-slack-ns", "1"),
    "SCHED_FIFO": ("--fifo",),
}


class Tail(Struct, frozen=True):
    """One variant's quantiles, its late orders (over 0.5 ms) and what the scheduler counted."""

    took_ns: Quantiles
    late: int
    late_total_ns: int
    client_waited_ns: int
    """How long the client was ready to run but had no core, in the same turns."""
    venue_waited_ns: int
    """The same of the venue, which no variant favours: its waits look like late orders too."""


def tails(
    kind: Kind = "engine", rounds: int = ROUNDS_MIN, *, samples: int = SAMPLES, per_s: float = PER_S
) -> dict[str, Tail]:
    """Measure a sleeping client under each variant, in turns.

    Raises PairFailed where the process may not change its scheduling class.
    """
    took: dict[str, list[int]] = {name: [] for name in VARIANTS}
    waited: dict[str, list[tuple[int, int]]] = {name: [] for name in VARIANTS}
    with ExitStack() as open_pairs:
        pairs = {
            name: open_pairs.enter_context(Pair(kind, "sleep", favour=options))
            for name, options in VARIANTS.items()
        }
        for number in range(rounds):
            for name in list(pairs)[:: -1 if number % 2 else 1]:
                before = pairs[name].waited_for_core_ns()
                took[name] += pairs[name].orders(samples, per_s, seed=number).took_ns
                after = pairs[name].waited_for_core_ns()
                waited[name].append((after[0] - before[0], after[1] - before[1]))
    return {name: _tail(took[name], waited[name]) for name in VARIANTS}


def _tail(took_ns: list[int], waited_ns: list[tuple[int, int]]) -> Tail:
    late = [figure for figure in took_ns if figure > LATE_NS]
    client_ns, venue_ns = (sum(side) for side in zip(*waited_ns, strict=True))
    return Tail(quantiles(took_ns), len(late), sum(late), client_ns, venue_ns)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default="engine")
    parser.add_argument("--rounds", type=int, default=ROUNDS_MIN)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="triggers a turn")
    parser.add_argument("--per-s", type=float, default=PER_S, help="pace of the triggers")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    found = tails(options.kind, options.rounds, samples=options.samples, per_s=options.per_s)
    if options.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0
    for name, tail in found.items():
        took = tail.took_ns
        sys.stdout.write(
            f"{options.kind}, {name:16s} p50 {took.p50 / 1e3:7.1f} us  p99 {took.p99 / 1e3:7.1f}  "
            f"p99.9 {took.p999 / 1e3:8.1f}  late {tail.late} of {took.count}, together "
            f"{tail.late_total_ns / 1e6:.1f} ms; waited for a core: client "
            f"{tail.client_waited_ns / 1e6:.1f} ms, venue {tail.venue_waited_ns / 1e6:.1f} ms\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
