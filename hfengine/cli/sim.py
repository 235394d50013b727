"""`hfengine sim`: the whole engine under faults on virtual time, seed after seed."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

import typer

from hfengine.errors import ConfigError, ExitCode
from hfengine.simulation.hunting import hunt
from hfengine.simulation.planted import PLANTED
from hfengine.simulation.report import Tally, describe
from hfengine.simulation.running import Outcome, run_seed
from hfengine.simulation.shrinking import shrink_seed
from hfengine.simulation.tracing import trace_lines
from hfengine.simulation.world import STYLES, Style

CHUNK = 8
PARTS = 20
LONG_RUNS = 100
SHRUNK_MAX = 5
"""Failing seeds whose plans are minimised; the others are only named."""

Job = tuple[int, Style]


def sim(
    seeds: Annotated[int, typer.Option(help="How many seeds to run.")] = 100,
    first_seed: Annotated[int, typer.Option(help="The first of them.")] = 1,
    style: Annotated[
        str, typer.Option(help="bybit, binance, or both: every seed in each.")
    ] = "both",
    jobs: Annotated[int, typer.Option(help="Processes that share the work.")] = 2,
    plant: Annotated[
        str, typer.Option(help="Run with one planted bug until it is found.", show_default=False)
    ] = "",
    planted: Annotated[
        bool, typer.Option("--planted", help="Plant every bug in turn; each must be found.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Print what happened in the first seed, line by line.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prove the invariants of DESIGN 8 over many seeds of faults, crashes and restarts.

    Example: hfengine sim --seeds 2000 --first-seed 1
    Example: hfengine sim --seeds 1 --first-seed 77 --style binance --trace
    Example: hfengine sim --planted --seeds 200

    Ends with 1 when an invariant did not hold, and prints how to see it again; with 2 for a wrong
    option.
    """
    logging.disable(logging.CRITICAL)
    styles = _styles(style)
    if seeds < 1 or jobs < 1 or first_seed < 0:
        raise ConfigError(["--seeds and --jobs must be at least 1, --first-seed at least 0"])
    if trace:
        _say_trace(first_seed, styles)
        return
    if plant and plant not in PLANTED:
        raise ConfigError([f"--plant {plant}: there are {', '.join(PLANTED)}"])
    if planted or plant:
        _hunt([plant] if plant else list(PLANTED), first_seed, seeds, json_=json_)
        return
    todo: list[Job] = [
        (seed, one) for seed in range(first_seed, first_seed + seeds) for one in styles
    ]
    tally, failed = Tally(), []
    for outcome in _outcomes(todo, jobs):
        tally.add(outcome)
        _say_progress(tally, len(todo))
        if outcome.violations:
            failed.append(outcome)
            tally.fail(outcome, outcome.plan)
    # not while the pool's threads live: no engine starts beside another thread
    for number, outcome in enumerate(failed[:SHRUNK_MAX]):
        invariant = outcome.violations[0].invariant
        tally.needs(number, shrink_seed(outcome.seed, outcome.style, outcome.plan, invariant))
    typer.echo(json.dumps(tally.plain()) if json_ else "\n".join(tally.lines()))
    if not tally.is_good:
        raise typer.Exit(ExitCode.FAILURE)


def _say_progress(tally: Tally, total: int) -> None:
    """Say how far a long work is, every twentieth of it, on the error stream."""
    part = max(1, total // PARTS)
    if total >= LONG_RUNS and tally.runs % part == 0:
        typer.echo(f"{tally.runs} of {total} runs, {len(tally.failures)} failed", err=True)


def _styles(named: str) -> tuple[Style, ...]:
    if named == "both":
        return STYLES
    chosen = tuple(style for style in STYLES if style == named)
    if not chosen:
        raise ConfigError([f"--style {named}: want bybit, binance or both"])
    return chosen


def _one(job: Job) -> Outcome:
    logging.disable(logging.CRITICAL)
    return run_seed(*job)


def _outcomes(todo: list[Job], jobs: int) -> Iterator[Outcome]:
    """Yield what every job came to, in their order whatever the processes do."""
    if jobs == 1:
        yield from map(_one, todo)
        return
    with ProcessPoolExecutor(max_workers=jobs) as pool:
        yield from pool.map(_one, todo, chunksize=CHUNK)


def _say_trace(seed: int, styles: tuple[Style, ...]) -> None:
    for style in styles:
        for line in trace_lines(seed, style):
            typer.echo(line)


def _hunt(names: list[str], first_seed: int, seeds: int, *, json_: bool) -> None:
    """Run with each bug until an invariant breaks."""
    found = []
    for name in names:
        hunted = hunt(name, first_seed, seeds)
        found.append(hunted)
        if not json_:
            if hunted.violation is None:
                typer.echo(f"{name:28} NOT FOUND in {hunted.runs} runs")
            else:
                first = hunted.violation
                typer.echo(
                    f"{name:28} found after {hunted.seeds} seeds by {first.invariant}: "
                    f"{first.detail}"
                )
                for fault in hunted.needed:
                    typer.echo(f"{'':30}needs {describe(fault)}")
    if json_:
        rows = [
            {
                "plant": one.name,
                "seeds": one.seeds,
                "runs": one.runs,
                "found": one.violation is not None,
                "invariant": one.violation.invariant if one.violation is not None else "",
            }
            for one in found
        ]
        typer.echo(json.dumps({"planted": rows}))
    if any(one.violation is None for one in found):
        raise typer.Exit(ExitCode.FAILURE)
