"""`hfengine bench`: the hot path of this machine in figures, alone or beside its peers."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from hfengine.cli.durations import parse_duration_s
from hfengine.cli.entry import INTERRUPTED
from hfengine.cli.streams import occupy_missing
from hfengine.config import Profile, load
from hfengine.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from hfengine.bench.hot_path import Bench, Until
    from hfengine.bench.report import BenchReport
    from hfengine.bench.rounds import PeerReport

SECONDS = 10.0
WARM_UP_S = 2.0
QUICK_SECONDS = 1.0
TICKS = 5_000
QUICK_TICKS = 200
STARTUP_ROUNDS = 5
JSON_FILE = "bench.json"
MARKDOWN_FILE = "bench.md"
PICTURE_FILE = "bench.png"
QUICK_NOTE = "measured with --quick: too short for any claim"


class _Asked(Struct, frozen=True, kw_only=True):
    """What the user wants beside the stage table."""

    peers: bool
    rounds: int | None
    sockets: bool
    startup: bool
    quick: bool


def bench(
    profile: Annotated[str, typer.Option(help="Profile to run.")] = "paper",
    replay: Annotated[
        list[Path] | None,
        typer.Option(help="Recording to measure on, instead of the synthetic market."),
    ] = None,
    seconds: Annotated[
        str, typer.Option(help="Real time to measure for, after the warm-up; default 10s.")
    ] = "",
    duration: Annotated[str, typer.Option(help="Engine time to measure for, instead.")] = "",
    frames: Annotated[
        int | None, typer.Option(help="Frames to measure for, instead: 10000000 is a soak.", min=1)
    ] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="Compare with ccxt.pro, orjson, Pykka and numpy.")
    ] = False,
    rounds: Annotated[
        int | None, typer.Option(help="Rounds of each comparison; default 7.", min=1)
    ] = None,
    sockets: Annotated[
        bool, typer.Option(help="With --peers: compare over loopback sockets, too.")
    ] = True,
    startup: Annotated[
        bool, typer.Option("--startup", help="Time the start of a process until it trades.")
    ] = False,
    venue: Annotated[
        bool,
        typer.Option("--venue", help="Measure the local venue instead: round trips, and a load."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="A look at whether all runs; too short for a claim.")
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(help=f"Folder for {JSON_FILE}, {MARKDOWN_FILE}, {PICTURE_FILE}."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure frames per second and the latency of each stage, all actors and the journal on.

    Example: hfengine bench --seconds 30s --save measured

    Example: hfengine bench --peers, or hfengine bench --venue --seconds 30s

    Figures depend on the machine and on what else it does: compare ratios of one run.

    Exit codes: 0 measured; 1 --venue broke off or fell behind; 2 a problem in profile or options;
    130 interrupted: nothing is shown or saved.
    """
    if venue:
        asked_too = (peers, startup, replay, duration, frames, save)
        _bench_venue(seconds, rounds, asked_too, quick=quick, json_=json_)
        return
    overrides: dict[str, object] = {"venue.feed": "replay"} if replay else {}
    loaded = load(profile, environment=os.environ, dotenv=Path(".env"), overrides=overrides)
    until = _until(seconds, duration, frames, ends_itself=bool(replay), quick=quick)
    asked = _Asked(peers=peers, rounds=rounds, sockets=sockets, startup=startup, quick=quick)
    if save is not None:
        _make_folder(save)
    occupy_missing()
    with _interruptible():
        report, measured = _measure(loaded, replay or [], until, asked)
    if save is not None:
        _save(report, measured, save)
    if json_:
        typer.echo(report.json())
        return
    _show(report.headline(), report.tables())
    _show(report.notes, ())


def _bench_venue(
    seconds: str, rounds: int | None, others: Iterable[object], *, quick: bool, json_: bool
) -> None:
    """Measure the local venue; exit with 1 when a measurement breaks off or it does not keep up."""
    if any(other not in (None, "", False) for other in others):
        problem = "--venue goes with --rounds, --seconds, --quick and --json only"
        raise ConfigError([problem])
    from hfengine.bench.venue.kinds import MeasureFailed  # noqa: PLC0415 - only this option
    from hfengine.bench.venue.report import measure_venue  # noqa: PLC0415

    seconds_s = parse_duration_s(seconds) if seconds else None
    occupy_missing()
    try:
        with _interruptible():
            report = measure_venue(
                rounds=rounds, seconds=seconds_s, quick=quick, progress=_progress
            )
    except MeasureFailed as error:
        typer.echo(f"hfengine: {error}", err=True)
        raise typer.Exit(ExitCode.FAILURE) from None
    if json_:
        typer.echo(report.json())
    else:
        _show([*report.headline(), *([QUICK_NOTE] if quick else [])], report.tables())
    if not all(load.keeps_up for load in report.loads.values()):
        raise typer.Exit(ExitCode.FAILURE)


def _show(lines: Iterable[str], tables: "Iterable[Table]") -> None:
    console = Console()
    for line in lines:
        console.print(line, highlight=False)
    for table in tables:
        console.print(table)


def _make_folder(save: Path) -> None:
    try:
        save.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"--save {save}: cannot be made a folder: {error.strerror}"]) from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """End with 130 and a sentence when a signal ends what is measured."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("hfengine: interrupted: what was measured so far is not shown", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _until(
    seconds: str, duration: str, frames: int | None, *, ends_itself: bool, quick: bool
) -> "Until":
    from hfengine.bench.hot_path import Until  # noqa: PLC0415 - only this command needs it

    given = [bool(seconds), bool(duration), frames is not None]
    if sum(given) > 1:
        problem = "--seconds, --duration and --frames each say when to end: give one of them"
        raise ConfigError([problem])
    if any(given) or ends_itself:
        return Until(
            engine_s=parse_duration_s(duration) if duration else None,
            wall_s=parse_duration_s(seconds) if seconds else None,
            frames=frames,
        )
    return Until(wall_s=QUICK_SECONDS if quick else SECONDS)


def _measure(
    profile: Profile,
    recordings: list[Path],
    until: "Until",
    asked: _Asked,
) -> "tuple[BenchReport, Bench]":
    """Warm up, counting allocations; measure the market, frame to order, and what was asked for."""
    from hfengine.bench.hot_path import Until, measure  # noqa: PLC0415 - only this command
    from hfengine.bench.report import build_report, machine  # noqa: PLC0415
    from hfengine.bench.startup import measure_startup  # noqa: PLC0415
    from hfengine.bench.tick_to_order import TickToOrder  # noqa: PLC0415

    where = machine()
    _progress("warming up")
    short = QUICK_SECONDS if asked.quick else WARM_UP_S
    warmed = measure(profile, recordings, Until(wall_s=short), count_allocations=True)
    _progress("measuring the market")
    measured = measure(profile, recordings, until)
    _progress("measuring frame to order")
    ticks = QUICK_TICKS if asked.quick else TICKS
    hot = TickToOrder(count=2 * ticks).hot(ticks)
    report = build_report(
        where,
        measured,
        replace(
            measured.memory,
            allocations_per_frame=warmed.memory.allocations_per_frame,
            blocks_kept_per_frame=warmed.memory.blocks_kept_per_frame,
        ),
        hot,
        _peers(profile, asked) if asked.peers else None,
        measure_startup(profile.name, STARTUP_ROUNDS) if asked.startup else None,
        [QUICK_NOTE] if asked.quick else [],
    )
    return report, measured


def _peers(profile: Profile, asked: _Asked) -> "PeerReport":
    # ccxt takes a second to import and belongs to nothing else here
    from hfengine.bench.peers.compare import QUICK, Effort, compare  # noqa: PLC0415

    effort = QUICK if asked.quick else Effort()
    effort = replace(effort, rounds=asked.rounds or effort.rounds, sockets=asked.sockets)
    return compare(profile, effort, _progress)


def _save(report: "BenchReport", measured: "Bench", folder: Path) -> None:
    from hfengine.bench.picture import NOT_INSTALLED, can_draw, draw  # noqa: PLC0415

    (folder / JSON_FILE).write_text(report.json() + "\n")
    (folder / MARKDOWN_FILE).write_text(report.markdown())
    if not can_draw():
        typer.echo(NOT_INSTALLED, err=True)
        return
    title = f"{report.market}, {report.frames:,} frames; {report.headline()[0]}"
    draw(measured.buckets, folder / PICTURE_FILE, title)
    typer.echo(f"saved {JSON_FILE}, {MARKDOWN_FILE} and {PICTURE_FILE} in {folder}", err=True)


def _progress(text: str) -> None:
    # a closed uvloop leaves its handler behind, which would swallow Ctrl-C from then on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    typer.echo(f"{text} ...", err=True)
