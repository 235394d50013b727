"""What `hfengine bench` found, as one object and as tables a person reads."""

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import UNSET, Struct, UnsetType
from rich.table import Table

from hfengine.bench.allocations import MemoryUse
from hfengine.bench.hot_path import Bench
from hfengine.bench.rounds import PeerReport, Quantiles, Ratio, Spread
from hfengine.bench.startup import Startup
from hfengine.clock import WallClock

QUANTILES = ("p50", "p99", "p999")
CPU = Path("/proc/cpuinfo")


class Machine(Struct, frozen=True):
    """Where and when: without them a figure means nothing."""

    system: str
    cpu: str
    cores: int
    python: str
    measured_at: str
    load: float
    """Load average over the last minute, at the start."""


class BenchReport(Struct, frozen=True, kw_only=True):
    """One object; times in nanoseconds of real time, ratios as median, min and max of the rounds.

    `frame_to_order` among the stages is of the run on the market; `tick_to_order_ns` is of frames
    back to back of which each raises an order.
    """

    machine: Machine
    market: str
    frames: int
    wall_s: float
    frames_per_s: float
    journal_records: int
    flat: bool
    tick_to_order_ns: dict[str, int]
    stages_ns: dict[str, dict[str, int]]
    memory: MemoryUse
    rounds: int | UnsetType = UNSET
    ratios: dict[str, Ratio] | UnsetType = UNSET
    quantiles_ns: dict[str, Quantiles] | UnsetType = UNSET
    rates_per_s: dict[str, Spread] | UnsetType = UNSET
    startup: Startup | UnsetType = UNSET
    notes: list[str]

    def json(self) -> str:
        """Return the report as one line of JSON."""
        return msgspec.json.encode(self).decode()

    def headline(self) -> list[str]:
        """Return what was measured where, as lines."""
        where, memory = self.machine, self.memory
        hot = "  ".join(f"{name} {took / 1e3:.1f}" for name, took in self.tick_to_order_ns.items())
        lines = [
            f"{where.measured_at}  {where.cpu}, {where.cores} cores, {where.system},"
            f" Python {where.python}, load {where.load:.1f}",
            f"{self.frames:,} frames ({self.market}) in {self.wall_s:.1f} s:"
            f" {self.frames_per_s:,.0f} frames/s, all actors,"
            f" {self.journal_records:,} journal records",
            f"frame in to order bytes out, every frame an order, back to back, µs: {hot}",
        ]
        if memory.resident_slope is not None and memory.resident_bytes is not None:
            lines.append(
                f"resident {memory.resident_bytes / 2**20:.0f} MiB, slope"
                f" {memory.resident_slope / 2**20:+.2f} MiB per million frames"
            )
        if memory.allocations_per_frame is not None and memory.blocks_kept_per_frame is not None:
            lines.append(
                f"{memory.allocations_per_frame:.1f} allocations per frame in the whole process,"
                f" {memory.blocks_kept_per_frame:+.3f} kept"
            )
        if self.startup is not UNSET:
            lines.append(
                f"trading {spread_text(self.startup.trading_after_s)} s after the process began,"
                f" {self.startup.peak_resident_mib:.0f} MiB at most"
            )
        return lines

    def markdown(self) -> str:
        """Return the report as the section "Measured" of docs/performance.md."""
        lines = [f"- {line}" for line in [*self.headline(), *self.notes]]
        lines += _markdown_quantiles("stage", self.stages_ns)
        if self.ratios is not UNSET:
            lines += [
                "",
                f"| ratio, {self.rounds} rounds | median | min | max |",
                "|---|---|---|---|",
            ]
            for name, ratio in self.ratios.items():
                lines += [
                    f"| {label} | {at.median:.2f} | {at.min:.2f} | {at.max:.2f} |"
                    for label, at in flattened(name, ratio)
                ]
        if self.quantiles_ns is not UNSET and self.quantiles_ns:
            sides = {name: msgspec.structs.asdict(q) for name, q in self.quantiles_ns.items()}
            lines += _markdown_quantiles("side", sides)
        return "\n".join(lines) + "\n"

    def tables(self) -> Iterator[Table]:
        """Yield the stage table and, with peers, the tables of ratios and of single sides."""
        yield quantile_table("stage", self.stages_ns)
        if self.ratios is not UNSET:
            yield ratio_table(self.ratios)
        if self.quantiles_ns is not UNSET and self.quantiles_ns:
            sides = {name: msgspec.structs.asdict(q) for name, q in self.quantiles_ns.items()}
            yield quantile_table("side", sides)


def machine() -> Machine:
    """Return where this runs, and when."""
    now = datetime.fromtimestamp(WallClock().now_ns() / 1e9, UTC)
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        cpu=cpu_name(),
        cores=os.cpu_count() or 0,
        python=platform.python_version(),
        measured_at=now.isoformat(timespec="seconds"),
        load=os.getloadavg()[0],
    )


def cpu_name(listing: Path = CPU) -> str:
    """Return the processor's name as the system tells it."""
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def build_report(
    where: Machine,
    measured: Bench,
    memory: MemoryUse,
    tick_to_order: Quantiles,
    peers: PeerReport | None,
    startup: Startup | None,
    notes: list[str],
) -> BenchReport:
    """Put the parts together."""
    hot = msgspec.structs.asdict(tick_to_order)
    return BenchReport(
        machine=where,
        market=measured.market,
        frames=measured.frames,
        wall_s=measured.wall_s,
        frames_per_s=measured.frames_per_s,
        journal_records=measured.journal_records,
        flat=measured.flat,
        tick_to_order_ns={name: hot[name] for name in QUANTILES},
        stages_ns=measured.latency_ns,
        memory=memory,
        rounds=UNSET if peers is None else peers.rounds,
        ratios=UNSET if peers is None else peers.ratios,
        quantiles_ns=UNSET if peers is None else peers.quantiles_ns,
        rates_per_s=UNSET if peers is None else peers.rates_per_s,
        startup=UNSET if startup is None else startup,
        notes=notes + ([] if peers is None else peers.notes),
    )


def quantile_table(first: str, rows: dict[str, dict[str, int]]) -> Table:
    """Return a table of quantiles in ns, one row a stage or side."""
    table = Table(first, "p50 ns", "p99 ns", "p99.9 ns", "max ns", "count")
    for name, quantiles in rows.items():
        table.add_row(name, *(f"{quantiles[q]:,}" for q in (*QUANTILES, "max", "count")))
    return table


def _markdown_quantiles(first: str, rows: dict[str, dict[str, int]]) -> list[str]:
    head = ["", f"| {first}, µs | p50 | p99 | p99.9 | max | count |", "|---|---|---|---|---|---|"]
    return head + [
        f"| {name} | "
        + " | ".join(f"{q[column] / 1e3:,.2f}" for column in (*QUANTILES, "max"))
        + f" | {q['count']:,} |"
        for name, q in rows.items()
    ]


def ratio_table(ratios: dict[str, Ratio]) -> Table:
    """Return a table of ratios: the median of the rounds, and the least and greatest."""
    table = Table("ratio", "median", "min", "max")
    for name, ratio in ratios.items():
        for label, spread in flattened(name, ratio):
            table.add_row(label, *(f"{x:.2f}" for x in (spread.median, spread.min, spread.max)))
    return table


def flattened(name: str, ratio: Ratio) -> list[tuple[str, Spread]]:
    """Return (label, spread): one for a single ratio, one a way of waiting for a wire figure."""
    if isinstance(ratio, Spread):
        return [(name, ratio)]
    return [(f"{name} ({waiting})", spread) for waiting, spread in ratio.items()]


def spread_text(spread: Spread) -> str:
    """Return a spread for a line of text: 0.26 (0.24 to 0.28)."""
    return f"{spread.median:.2f} ({spread.min:.2f} to {spread.max:.2f})"
