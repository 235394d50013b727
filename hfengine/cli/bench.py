"""`hfengine bench`: the stage table of the hot path on this machine."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from hfengine.bench.hot_path import Bench, measure
from hfengine.cli.durations import parse_duration_s
from hfengine.config import load


def bench(
    profile: Annotated[str, typer.Option(help="Profile to run.")] = "paper",
    replay: Annotated[
        list[Path] | None,
        typer.Option(help="Recording to measure on, instead of the synthetic market."),
    ] = None,
    duration: Annotated[
        str, typer.Option(help="Engine time to run; a replay runs to its end by default.")
    ] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure frames per second and the latency of each stage, all actors and the journal on.

    Example: hfengine bench --duration 60s

    Figures depend on the machine and on what else it does: compare runs made side by side.
    """
    overrides: dict[str, object] = {"venue.feed": "replay"} if replay else {}
    loaded = load(profile, environment=os.environ, dotenv=Path(".env"), overrides=overrides)
    ends_s = parse_duration_s(duration) if duration else (None if replay else 60.0)
    measured = measure(loaded, replay or [], ends_s)
    if json_:
        typer.echo(msgspec.json.encode(measured).decode())
        return
    _print(measured)


def _print(measured: Bench) -> None:
    console = Console()
    console.print(
        f"{measured.frames:,} frames ({measured.market}) at {measured.frames_per_s:,.0f} frames/s, "
        f"all actors, {measured.journal_records:,} journal records",
        highlight=False,
    )
    console.print(f"{measured.machine}, {measured.cores} cores, Python {measured.python}")
    table = Table("stage", "p50 ns", "p99 ns", "p99.9 ns", "max ns", "count")
    for stage, quantiles in measured.latency_ns.items():
        row = [f"{quantiles[name]:,}" for name in ("p50", "p99", "p999", "max", "count")]
        table.add_row(stage, *row)
    console.print(table)
