"""Wire to wire and flood, engine against peers and floors: `python -m hfengine.bench.wire.compare`.

The ratio of a round is taken between turns of the same round: the same frames at the same pace,
the order of the turns reversed from round to round.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.bench.rounds import ROUNDS_MIN, Quantiles, Spread, spread_of
from hfengine.bench.wire.kinds import WAITING, Kind, Waiting
from hfengine.bench.wire.pairs import Pair, PairFailed, quantiles
from hfengine.runtime.cores import AWAKE_US, woken_within

SAMPLES = 300
PER_S = 500.0
FLOOD_FRAMES = 40_000
QUICK_SAMPLES = 60
QUICK_FLOOD_FRAMES = 4_000

PEERS: Final[dict[str, Kind]] = {
    "wire_to_wire_vs_ccxt_ws": "ccxt_ws",
    "wire_to_wire_vs_ccxt_rest": "ccxt_rest",
}
"""Bots as their users run them: their loop sleeps and their cores too, whatever ours do."""


class WireToWire(Struct, frozen=True):
    """How long from a frame's send to its order's last byte, and how that compares."""

    ratios: dict[str, dict[Waiting, Spread]]
    """Figure -> how the engine waits: peer over engine, engine over floor, by a round's p50."""
    took_ns: dict[str, Quantiles]
    """Client and way of waiting -> quantiles over all rounds."""
    missed: dict[str, int]
    """Triggers that no order answered within the venue's patience."""
    per_s: float
    rounds: int
    samples: int
    """Triggers a turn."""
    cores: str
    """What came of the request for cores that stay awake, in words."""


class Flood(Struct, frozen=True):
    """Mixed frames as fast as the socket takes them."""

    engine_frames_per_s: Spread
    ccxt_frames_per_s: Spread
    ratio: Spread
    rounds: int
    frames: int
    """Frames a turn."""


class _Taken(Struct):
    frames: int
    actor_deaths: int


def clients() -> list[tuple[Kind, Waiting]]:
    """Return every client of the comparison with its way of waiting."""
    ours: tuple[Kind, ...] = ("engine", "bare", "picows", "ccxt_ws", "ccxt_rest")
    return [(kind, waiting) for waiting in WAITING for kind in ours]


def wire_to_wire(
    rounds: int = ROUNDS_MIN, *, samples: int = SAMPLES, per_s: float = PER_S, fifo: bool = False
) -> WireToWire:
    """Measure all clients in turns; raises PairFailed when one cannot be measured.

    `fifo`: all of them and the venue in a real-time class, for a machine that is not quiet.
    """
    took: dict[str, list[int]] = {}
    p50: dict[str, list[int]] = {}
    missed: dict[str, int] = {}
    with woken_within(AWAKE_US) as cores:
        pass
    with ExitStack() as open_pairs:
        kept = {
            client: open_pairs.enter_context(Pair(*client, fifo=fifo))
            for client in clients()
            # an engine rehearses while it sleeps, on the core that others are measured on, and
            # cores that stay awake do so for everybody
            if client[1] == "system" and client[0] != "engine"
        }
        for number in range(rounds):
            for client in clients()[:: -1 if number % 2 else 1]:
                with ExitStack() as turn:
                    pair = kept.get(client) or turn.enter_context(Pair(*client, fifo=fifo))
                    measured = pair.orders(samples, per_s, seed=number)
                took.setdefault(pair.name, []).extend(measured.took_ns)
                p50.setdefault(pair.name, []).append(quantiles(measured.took_ns).p50)
                missed[pair.name] = missed.get(pair.name, 0) + measured.missed
    return WireToWire(
        ratios=ratios_of(p50),
        took_ns={name: quantiles(figures) for name, figures in took.items()},
        missed=missed,
        per_s=per_s,
        rounds=rounds,
        samples=samples,
        cores=cores,
    )


def ratios_of(p50: dict[str, list[int]]) -> dict[str, dict[Waiting, Spread]]:
    """Return the ratios of the rounds' medians: client and way of waiting -> p50 a round."""

    def over(upper: str, lower: str) -> Spread:
        return spread_of([a / b for a, b in zip(p50[upper], p50[lower], strict=True)])

    ratios = {
        figure: {waiting: over(f"{peer}/system", f"engine/{waiting}") for waiting in WAITING}
        for figure, peer in PEERS.items()
    }
    for figure, peer in PEERS.items():
        ratios[f"{figure}_same_loop"] = {
            waiting: over(f"{peer}/{waiting}", f"engine/{waiting}") for waiting in WAITING
        }
    for figure, floor in (("", "bare"), ("_picows", "picows")):
        ratios[f"wire_to_wire_vs_floor{figure}"] = {
            waiting: over(f"engine/{waiting}", f"{floor}/{waiting}") for waiting in WAITING
        }
    return ratios


def flood(rounds: int = ROUNDS_MIN, *, frames: int = FLOOD_FRAMES) -> Flood:
    """Let engine and ccxt.pro take the same flood in turns.

    Raises PairFailed when the engine did not do its part of the work.
    """
    ours: list[float] = []
    theirs: list[float] = []
    with Pair("engine_watch", "system") as engine, Pair("ccxt_watch", "system") as ccxt:
        sides = ((engine, ours), (ccxt, theirs))
        for pair, _ in sides:
            pair.flood(max(1, frames // 10), seed=0)
        for number in range(rounds):
            for pair, rates in sides[:: -1 if number % 2 else 1]:
                took_ns = pair.flood(frames, seed=number + 1).took_ns
                rates.append(frames / took_ns * 1e9)
    _check_all_taken(engine, max(1, frames // 10) + rounds * frames)
    return Flood(
        engine_frames_per_s=spread_of(ours),
        ccxt_frames_per_s=spread_of(theirs),
        ratio=spread_of([a / b for a, b in zip(ours, theirs, strict=True)]),
        rounds=rounds,
        frames=frames,
    )


def _check_all_taken(engine: Pair, frames: int) -> None:
    """Raise PairFailed unless the engine decoded every frame with every actor alive."""
    summary = msgspec.json.decode(engine.client_said, type=_Taken)
    if summary.frames < frames or summary.actor_deaths:
        raise PairFailed(
            f"{engine.name}: no measurement: {summary.frames} of {frames} frames were decoded, "
            f"{summary.actor_deaths} actors died"
        )


def flood_vs_ccxt(rounds: int = ROUNDS_MIN, *, frames: int = FLOOD_FRAMES) -> Spread:
    """Return how many times more frames a second the engine takes than ccxt.pro."""
    return flood(rounds, frames=frames).ratio


def lines(wire: WireToWire | None, flooded: Flood | None) -> list[str]:
    """Return what was measured as lines for a person."""
    out: list[str] = []
    if wire is not None:
        out.append(
            f"wire to wire, {wire.rounds} rounds of {wire.samples} at {wire.per_s:.0f}/s, us; "
            f"sleep: {wire.cores}"
        )
        for name, took in wire.took_ns.items():
            out.append(
                f"  {name:16s} p50 {took.p50 / 1e3:8.1f}  p99 {took.p99 / 1e3:8.1f}  "
                f"p99.9 {took.p999 / 1e3:8.1f}  max {took.max / 1e3:8.1f}  "
                f"missed {wire.missed[name]}"
            )
        for figure, by_loop in wire.ratios.items():
            out.extend(
                f"  {figure:36s} {waiting:6s} {_spread(ratio)}"
                for waiting, ratio in by_loop.items()
            )
    if flooded is not None:
        out.append(f"flood, {flooded.rounds} rounds of {flooded.frames} mixed frames")
        out.append(f"  engine, frames/s    {_spread(flooded.engine_frames_per_s, 0)}")
        out.append(f"  ccxt.pro, frames/s  {_spread(flooded.ccxt_frames_per_s, 0)}")
        out.append(f"  ratio               {_spread(flooded.ratio)}")
    return out


def _spread(spread: Spread, decimals: int = 2) -> str:
    least, most = f"{spread.min:,.{decimals}f}", f"{spread.max:,.{decimals}f}"
    return f"{spread.median:,.{decimals}f} ({least} to {most})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS_MIN)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="triggers a turn")
    parser.add_argument("--per-s", type=float, default=PER_S, help="pace of the triggers")
    parser.add_argument("--frames", type=int, default=FLOOD_FRAMES, help="frames of one flood")
    parser.add_argument("--only", choices=("wire", "flood"), help="measure one of the two")
    parser.add_argument("--fifo", action="store_true", help="real-time class, wire to wire only")
    parser.add_argument("--quick", action="store_true", help="a look, too short for a claim")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    samples = QUICK_SAMPLES if options.quick else options.samples
    frames = QUICK_FLOOD_FRAMES if options.quick else options.frames
    rounds = min(2, options.rounds) if options.quick else options.rounds
    wire = flooded = None
    if options.only != "flood":
        wire = wire_to_wire(rounds, samples=samples, per_s=options.per_s, fifo=options.fifo)
    if options.only != "wire":
        flooded = flood(rounds, frames=frames)
    if options.json:
        text = msgspec.json.encode({"wire_to_wire": wire, "flood": flooded}).decode()
    else:
        text = "\n".join(lines(wire, flooded))
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
