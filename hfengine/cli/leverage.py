"""`hfengine leverage audit|set|scan`: what the exchange holds against what the profile wants."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from hfengine.cli.leverage_desk import Progress, listed_of, open_desk
from hfengine.cli.local_process import STILL, local_venues
from hfengine.config import Profile, load
from hfengine.confirmation import check_confirmation
from hfengine.credentials import read_keys
from hfengine.errors import ConfigError, ExitCode
from hfengine.instruments import Instrument, load_catalogue
from hfengine.leverage_audit import (
    GOOD_CHANGES,
    AuditRow,
    SetRow,
    audit_report,
    scan_report,
    set_report,
)

DOTENV: Final = Path(".env")

leverage_app = typer.Typer(
    name="leverage",
    help="Audit, set and scan the leverage of an account.",
    no_args_is_help=True,
)

ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="A profile's name, or the path of a TOML file.")
]
UrlOption = Annotated[
    str,
    typer.Option(
        "--venue-url",
        help="A local venue that runs already, http://HOST:PORT; several as NAME=URL,NAME=URL.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@leverage_app.command()
def audit(
    profile: ProfileOption,
    all_symbols: Annotated[
        bool, typer.Option("--all-symbols", help="Every perpetual of the venue, not the profile's.")
    ] = False,
    venue_url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare every symbol's leverage and margin mode with the profile; changes nothing.

    Example: hfengine leverage audit --profile bybit-local

    Exit codes: 0 all match; 1 a mismatch or a symbol that cannot be read; 2 a problem in profile,
    options or keys.
    """
    loaded = _loaded(profile, venue_url, "audit")

    async def read(urls: Mapping[str, str], progress: Progress) -> list[AuditRow]:
        async with open_desk(loaded, urls, progress, set_modes=False) as desk:
            return await desk.audit(all_symbols=all_symbols)

    with _progress("reading leverage") as progress, local_venues(loaded.settings, feed=STILL) as u:
        report = audit_report(asyncio.run(read(u, progress)))
    if as_json:
        _print_json(report)
    else:
        _print_table(report["rows"], AUDIT_COLUMNS, faulty=lambda row: row["status"] != "ok")
        _print_audit_summary(report)
    raise typer.Exit(ExitCode.FAILURE if report["mismatches"] else ExitCode.OK)


@leverage_app.command(name="set")
def set_(
    profile: ProfileOption,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", "-s", help="Only this one; may be repeated.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be set, and set nothing.")
    ] = False,
    confirm: Annotated[
        str, typer.Option(help="ACCOUNT LEVERAGE LOSS, for more than 5x with real money.")
    ] = "",
    venue_url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set leverage and margin mode of the profile's symbols where they differ, and read them back.

    Example: hfengine leverage set --profile bybit-demo --symbol BTCUSDT --dry-run

    Exit codes: 0 all as wanted; 1 a symbol that is not; 2 a problem in profile, options or keys.
    """
    loaded = _loaded(profile, venue_url, "set")
    listed, strangers = listed_of(loaded.settings, symbol or [])
    if strangers:
        known = ", ".join(loaded.settings.symbols)
        problem = f"--symbol {', '.join(strangers)}: profile {loaded.name} trades {known}"
        raise ConfigError([problem])
    if not dry_run:
        keys = read_keys(loaded.settings, os.environ, DOTENV)
        check_confirmation(loaded.settings, keys, confirm)

    async def change(urls: Mapping[str, str], progress: Progress) -> list[SetRow]:
        async with open_desk(loaded, urls, progress, set_modes=not dry_run) as desk:
            return await desk.set(listed, dry_run=dry_run)

    with _progress("setting leverage") as progress, local_venues(loaded.settings, feed=STILL) as u:
        report = set_report(asyncio.run(change(u, progress)), dry_run=dry_run)
    if as_json:
        _print_json(report)
    else:
        rows = report["rows"]
        _print_table(rows, SET_COLUMNS, faulty=lambda row: row["status"] not in GOOD_CHANGES)
        counts = ", ".join(f"{count} {status}" for status, count in report["summary"].items())
        typer.echo(f"{len(rows)} symbols: {counts}")
    raise typer.Exit(ExitCode.FAILURE if report["failures"] else ExitCode.OK)


@leverage_app.command()
def scan(
    profile: ProfileOption = "paper",
    least: Annotated[
        int, typer.Option("--min", min=1, max=125, help="The leverage that must be offered.")
    ] = 50,
    venue_url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say which symbols offer a leverage, and up to what notional.

    On paper the dated catalogue is read, elsewhere the exchange's own tables.

    Example: hfengine leverage scan --profile bybit-demo --min 50
    """
    loaded = _loaded(profile, venue_url, "")

    async def read(urls: Mapping[str, str], progress: Progress) -> dict[str, dict[str, Instrument]]:
        async with open_desk(loaded, urls, progress, set_modes=False) as desk:
            return await desk.instruments()

    found: dict[str, dict[str, Instrument]]
    if loaded.settings.mode == "paper":
        catalogue = load_catalogue(loaded.settings.venue.catalogue)
        found = {catalogue.venue: {one.symbol: one for one in catalogue.instruments}}
        typer.echo(f"note: from the catalogue of {catalogue.as_of}", err=True)
    else:
        with local_venues(loaded.settings, feed=STILL) as urls:
            found = asyncio.run(read(urls, Progress()))
    report = scan_report(found, least)
    if as_json:
        _print_json(report)
        return
    _print_table(report["rows"], SCAN_COLUMNS)
    offering, symbols = report["summary"]["offering"], report["summary"]["symbols"]
    typer.echo(f"{offering} of {symbols} symbols offer {least}x")


def _loaded(profile: str, venue_url: str, verb: str) -> Profile:
    """Return the checked profile; raises ConfigError where there is nothing to do `verb` to."""
    overrides = {"venue.url": venue_url or None}
    loaded = load(profile, environment=os.environ, dotenv=DOTENV, overrides=overrides)
    if verb and loaded.settings.mode == "paper":
        problem = (
            f"there is no leverage to {verb} in profile {loaded.name}: it is mode paper, whose "
            f"exchange begins anew with every run; take one like bybit-local, bybit-demo or a "
            f"live one"
        )
        raise ConfigError([problem])
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return loaded


class _Shown(Progress):
    """Progress on standard error: a bar on a terminal, troubles as lines everywhere."""

    def __init__(self, what: str, bars: Bars | None) -> None:
        self._bars = bars
        self._task = bars.add_task(what, total=None) if bars else None

    def total(self, count: int) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, total=count)

    def advance(self) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.advance(self._task)

    def trouble(self, exchange: str, symbol: str, reason: str) -> None:
        said = f"warning: {symbol} on {exchange}: {reason}"
        if self._bars is None:
            typer.echo(said, err=True)
        else:
            self._bars.console.print(said, markup=False, highlight=False)


@contextmanager
def _progress(what: str) -> Iterator[_Shown]:
    if sys.stderr is None or not sys.stderr.isatty():
        yield _Shown(what, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Shown(what, bars)


# Printing

Column = tuple[str, str]
"""A key of a row and the heading above it."""

AUDIT_COLUMNS: Final[tuple[Column, ...]] = (
    ("symbol", "symbol"),
    ("exchange", "exchange"),
    ("wanted", "wanted"),
    ("actual", "actual"),
    ("margin_mode", "margin mode"),
    ("max_leverage", "max leverage"),
    ("max_notional_usdt", "max notional USDT"),
    ("liquidation_distance", "liquidation at"),
    ("status", "status"),
)
SET_COLUMNS: Final[tuple[Column, ...]] = (
    ("symbol", "symbol"),
    ("exchange", "exchange"),
    ("wanted", "wanted"),
    ("before", "before"),
    ("after", "after"),
    ("margin_mode", "margin mode"),
    ("status", "status"),
    ("reason", "reason"),
)
SCAN_COLUMNS: Final[tuple[Column, ...]] = (
    ("symbol", "symbol"),
    ("exchange", "exchange"),
    ("max_leverage", "max leverage"),
    ("max_notional_usdt", "max notional USDT"),
)
LEVERAGES: Final = frozenset({"wanted", "actual", "before", "after", "max_leverage"})


def _print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    faulty: Any = lambda _row: False,
) -> None:
    table = Table(*(heading for _, heading in columns))
    for row in rows:
        style = "bold red" if faulty(row) else None
        table.add_row(*(_cell(key, row[key]) for key, _ in columns), style=style)
    # without a terminal a table that is cut to a width would lose what a script looks for
    width = None if sys.stdout is not None and sys.stdout.isatty() else 200
    Console(width=width, markup=False, highlight=False).print(table)


def _cell(key: str, entry: Any) -> str:
    if entry is None:
        return "-"
    if key in LEVERAGES:
        return f"{entry:g}x"
    if key == "max_notional_usdt":
        return f"{entry:,}"
    if key == "liquidation_distance":
        return f"{entry:.3%}"
    return str(entry).replace("_", " ")


def _print_audit_summary(report: Mapping[str, Any]) -> None:
    count, mismatches, summary = len(report["rows"]), report["mismatches"], report["summary"]
    span = (
        "no leverage could be read"
        if summary["average"] is None
        else f"leverage {summary['min']}x to {summary['max']}x, average {summary['average']:.1f}x"
    )
    typer.echo(f"{count} symbols, {mismatches} mismatches; {span}")


def _print_json(report: Mapping[str, Any]) -> None:
    typer.echo(msgspec.json.encode(report).decode())
