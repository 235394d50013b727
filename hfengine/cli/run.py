"""`hfengine run`: a profile from start to flat, with a live view or plain lines."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hfengine.cli.around import Around, Options, surrounded
from hfengine.cli.durations import parse_duration_s
from hfengine.cli.live import LiveView, PlainLines
from hfengine.config import Profile, load
from hfengine.engine import Engine
from hfengine.errors import ExitCode
from hfengine.summary import Summary


def run(
    profile: Annotated[
        str, typer.Option(help="Profile: a name in configs/ or a path to a TOML file.")
    ] = "paper",
    replay: Annotated[
        list[Path] | None,
        typer.Option(help="Recording to play; several are merged by time.", show_default=False),
    ] = None,
    speed: Annotated[
        str, typer.Option(help="max, 1x, 10x, ...; default 1x, or max with --replay.")
    ] = "",
    duration: Annotated[
        str, typer.Option(help="Engine time after which to end, for example 30s, 2m.")
    ] = "",
    seed: Annotated[
        int | None, typer.Option(help="Seed of latencies and of the synthetic market.")
    ] = None,
    feed: Annotated[
        str,
        typer.Option(
            help="Market of a paper or local venue: synthetic, still, live:bybit, live:binance; "
            "a venue that plays the exchange: live:bybit@http://HOST:PORT."
        ),
    ] = "",
    venue_url: Annotated[
        str,
        typer.Option(help="A local venue that runs already, http://HOST:PORT; else one starts."),
    ] = "",
    confirm: Annotated[
        str, typer.Option(help="What a live run above 5x asks to be repeated.")
    ] = "",
    json_: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object, last line.")
    ] = False,
) -> None:
    """Run a profile until its feed ends, the duration is over or Ctrl-C; then go flat.

    Example: hfengine run --profile paper --duration 30s
    Example: hfengine run --profile bybit-local --duration 60s --json
    Example: hfengine run --profile paper --feed live:bybit

    Exit codes: 0 flat; 2 a problem in profile or options; 3 not flat; 4 flat after a halt; 5 no
    market data.
    """
    overrides: dict[str, object] = {} if seed is None else {"seed": seed}
    if replay:
        overrides["venue.feed"] = "replay"
    if venue_url:
        overrides["venue.url"] = venue_url
    loaded = load(profile, environment=os.environ, dotenv=Path(".env"), overrides=overrides)
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    options = Options(
        recordings=replay or [],
        feed=feed,
        speed=speed,
        duration_s=parse_duration_s(duration) if duration else None,
        json=json_,
        confirm=confirm,
    )
    with surrounded(loaded, options) as around:
        summary = _run(loaded, around, options)
    _print_summary(summary, json_=json_)
    raise typer.Exit(_exit_code(summary))


def _run(loaded: Profile, around: Around, options: Options) -> Summary:
    watched = around.pace is not None and not options.json
    view = LiveView(loaded) if watched and _can_draw() else PlainLines(quiet=options.json)
    engine = Engine(
        loaded,
        around.surroundings,
        duration_s=options.duration_s,
        observer=_observing(view, json_=options.json),
        observe_every_s=view.every_s(around.pace),
        attachments=around.attachments,
        memory=around.memory,
    )
    try:
        with view.opened():
            return engine.run()
    except KeyboardInterrupt:
        typer.echo("hfengine: interrupted twice: what was open was not read back", err=True)
        raise typer.Exit(ExitCode.NOT_FLAT) from None


def _can_draw() -> bool:
    """Tell whether standard output is a terminal that shows the view's lines."""
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _observing(view: "LiveView | PlainLines", *, json_: bool) -> Any:
    if json_:
        return None

    def observe(seen: Mapping[str, Any]) -> None:
        view.show(seen)

    return observe


def _print_summary(summary: Summary, *, json_: bool) -> None:
    if json_:
        typer.echo(summary.json())
        return
    for line in summary.lines():
        typer.echo(line)


def _exit_code(summary: Summary) -> ExitCode:
    if not summary.flat:
        return ExitCode.NOT_FLAT
    if not summary.ever_synced and summary.frames:
        typer.echo("hfengine: no book was ever whole: is this market data?", err=True)
        return ExitCode.FEED
    if summary.ledger_difference_usdt and summary.state != "halted":
        typer.echo("hfengine: the ledger differs from the venue's", err=True)
        return ExitCode.FAILURE
    return ExitCode.HALTED if summary.state == "halted" else ExitCode.OK
