"""All comparisons of `hfengine bench --peers`: one after the other, both sides of each in turn."""

from collections.abc import Callable

from msgspec import Struct

from hfengine.bench.decode import decode_ratios
from hfengine.bench.peers.ccxt_order import CcxtBot
from hfengine.bench.peers.hops import hop_ratios
from hfengine.bench.peers.layers import layers_ratio
from hfengine.bench.peers.nautilus import (
    PACKAGE,
    NautilusDesk,
    NautilusUnfit,
    installed,
    nautilus_note,
)
from hfengine.bench.rounds import ROUNDS_MIN, PeerReport, Quantiles, paired
from hfengine.config import Profile
from hfengine.seeds import Seed

PACE_PER_S = 500.0
WARM_UP_SHARE = 2
"""Frames made for each one measured: a part of them warms the engine up."""

Progress = Callable[[str], None]


class Effort(Struct, frozen=True):
    """How much is measured; every count is per side and round."""

    rounds: int = 7
    frames: int = 2_000
    hops: int = 400
    updates: int = 2_000
    paced_frames: int = 500
    wire_samples: int = 300
    flood_frames: int = 40_000
    sockets: bool = True


QUICK = Effort(
    rounds=2,
    frames=200,
    hops=40,
    updates=300,
    paced_frames=40,
    wire_samples=40,
    flood_frames=2_000,
)
"""A look at whether everything runs, too short for any claim."""


def compare(profile: Profile, effort: Effort, progress: Progress) -> PeerReport:
    """Run every comparison; `progress` hears what begins. Takes some three minutes in full."""
    seed = Seed(profile.settings.seed)
    report = PeerReport(
        rounds=effort.rounds,
        enough_rounds=effort.rounds >= ROUNDS_MIN,
        ratios={},
        quantiles_ns={},
        rates_per_s={},
        notes=[],
    )
    progress("decoding: ccxt.pro, orjson and two dicts")
    report.ratios |= decode_ratios(effort.rounds, effort.frames, seed)
    progress("hops between actors: Pykka's threads")
    report.ratios |= hop_ratios(effort.rounds, effort.hops)
    progress("layers: numpy")
    report.ratios["layers_vs_numpy"] = layers_ratio(profile, effort.rounds, effort.updates, seed)
    progress("frame to order: ccxt.pro, hot and paced")
    _tick_to_order(report, effort)
    if effort.sockets:
        progress("over sockets: wire to wire, flood")
        _sockets(report, effort)
    report.notes.append(nautilus_note())
    if installed():
        # last, because importing it leaves another process behind: hundreds of MiB more
        progress("order to client: nautilus_trader")
        _nautilus(report, effort)
    return report


def _tick_to_order(report: PeerReport, effort: Effort) -> None:
    # imported here: it brings the whole engine, which the other comparisons do not need
    from hfengine.bench.tick_to_order import TickToOrder  # noqa: PLC0415

    frames, paced = effort.frames, effort.paced_frames
    engine = TickToOrder(count=WARM_UP_SHARE * max(frames, paced))
    plain, bracket = CcxtBot(engine.stream), CcxtBot(engine.stream, bracket=True)
    ours_hot = _noted(report, "engine_hot", lambda: engine.hot(frames))
    report.ratios["tick_to_order_vs_ccxt_hot"] = paired(
        ours_hot, _noted(report, "ccxt_hot", lambda: bracket.hot(frames)), effort.rounds
    )
    report.ratios["tick_to_order_vs_ccxt_hot_plain"] = paired(
        ours_hot, _noted(report, "ccxt_hot_plain", lambda: plain.hot(frames)), effort.rounds
    )
    theirs_paced = _noted(report, "ccxt_paced", lambda: plain.paced(paced, PACE_PER_S))
    for figure, spin in (("", False), ("_spin", True)):

        def ours_paced(spin: bool = spin) -> Quantiles:
            return engine.paced(paced, PACE_PER_S, spin=spin)

        report.ratios[f"tick_to_order_vs_ccxt_paced{figure}"] = paired(
            _noted(report, f"engine_paced{figure}", ours_paced), theirs_paced, effort.rounds
        )


def _noted(report: PeerReport, name: str, measure: Callable[[], Quantiles]) -> Callable[[], float]:
    """Return `measure` as its median in ns; the report keeps the quantiles of its last round."""

    def run() -> float:
        report.quantiles_ns[name] = took = measure()
        return float(took.p50)

    return run


def _nautilus(report: PeerReport, effort: Effort) -> None:
    # imported here: it brings the whole engine, which the other comparisons do not need
    from hfengine.bench.tick_to_order import TickToOrder  # noqa: PLC0415

    frames = effort.frames
    engine = TickToOrder(count=WARM_UP_SHARE * frames)
    ours = _noted(report, "engine_beside_nautilus", lambda: engine.hot(frames))
    for figure, bracket in (("", False), ("_bracket", True)):

        def theirs(bracket: bool = bracket) -> Quantiles:
            return NautilusDesk(bracket=bracket).hot(frames)

        name = f"nautilus_submit{figure}"
        try:
            NautilusDesk(bracket=bracket)
            report.ratios[f"tick_to_order_vs_{name}"] = paired(
                ours, _noted(report, name, theirs), effort.rounds
            )
        except NautilusUnfit as unfit:
            report.notes.append(f"{PACKAGE}: {name} not compared: {unfit}")


def _sockets(report: PeerReport, effort: Effort) -> None:
    # imported here: only these comparisons start processes
    from hfengine.bench.wire.compare import flood, wire_to_wire  # noqa: PLC0415

    wire = wire_to_wire(effort.rounds, samples=effort.wire_samples)
    for name, by_loop in wire.ratios.items():
        report.ratios[name] = {str(waiting): spread for waiting, spread in by_loop.items()}
    report.quantiles_ns |= {f"wire {name}": took for name, took in wire.took_ns.items()}
    report.notes.append(f"wire to wire, sleep: {wire.cores}; system: cores as the system has them")
    missed = {name: count for name, count in wire.missed.items() if count}
    if missed:
        report.notes.append(f"triggers that no order answered in time: {missed}")
    flooded = flood(effort.rounds, frames=effort.flood_frames)
    report.ratios["flood_vs_ccxt"] = flooded.ratio
    report.rates_per_s["flood engine"] = flooded.engine_frames_per_s
    report.rates_per_s["flood ccxt.pro"] = flooded.ccxt_frames_per_s
