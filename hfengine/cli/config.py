"""`hfengine config show|check`: what a profile sets, from where, and what is wrong with it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from hfengine.case import Case
from hfengine.checks import Figures, figures
from hfengine.config import Examination, Profile, dotted, examine
from hfengine.errors import ExitCode

DOTENV = Path(".env")

config_app = typer.Typer(
    name="config",
    help="Show a profile with the origin of each value, or check it.",
    no_args_is_help=True,
)

ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="A profile's name, or the path of a TOML file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@config_app.command()
def show(profile: ProfileOption = "paper", as_json: JsonOption = False) -> None:
    """Print every setting with where it comes from.

    Example: hfengine config show --profile paper
    """
    examination = _examine(profile)
    checked = _or_exit(examination, profile, as_json=as_json)
    if as_json:
        _print_json(
            {
                "profile": checked.name,
                "config_hash": checked.config_hash,
                "settings": {
                    key: {"setting": _plain(entry), "origin": origin}
                    for key, entry, origin in _rows(checked)
                },
                "symbols": [_figures_json(row) for row in _figures(checked)],
                "warnings": checked.warnings,
            }
        )
        return
    if sys.stdout.isatty():
        table = Table("setting", "is", "from", title=f"profile {checked.name}")
        for key, entry, origin in _rows(checked):
            table.add_row(key, _text(entry), origin)
        Console().print(table)
    else:
        for key, entry, origin in _rows(checked):
            typer.echo(f"{key} = {_text(entry)}  # {origin}")
    _print_figures(checked)
    typer.echo(f"config hash {checked.config_hash}")
    _print_warnings(examination.warnings)


@config_app.command()
def check(profile: ProfileOption = "paper", as_json: JsonOption = False) -> None:
    """Print every problem and warning of a profile; exit code 2 when it cannot be run.

    Example: hfengine config check --profile paper
    """
    examination = _examine(profile)
    checked = _or_exit(examination, profile, as_json=as_json)
    if as_json:
        _print_json(
            {
                "profile": checked.name,
                "problems": [],
                "warnings": checked.warnings,
                "symbols": [_figures_json(row) for row in _figures(checked)],
            }
        )
        return
    _print_figures(checked)
    _print_warnings(examination.warnings)
    typer.echo(f"profile {checked.name} can be run")


def _examine(profile: str) -> Examination:
    return examine(profile, environment=os.environ, dotenv=DOTENV)


def _or_exit(examination: Examination, profile: str, *, as_json: bool) -> Profile:
    """Return the profile, or print its problems and exit with ExitCode.USAGE."""
    if examination.profile is not None:
        return examination.profile
    problems, warnings = examination.problems, examination.warnings
    if as_json:
        _print_json({"profile": profile, "problems": problems, "warnings": warnings})
    else:
        _print_warnings(warnings)
        for problem in problems:
            typer.echo(f"problem: {problem}", err=True)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        typer.echo(f"profile {profile} cannot be run: {count}", err=True)
    raise typer.Exit(ExitCode.USAGE)


def _rows(profile: Profile) -> list[tuple[str, Any, str]]:
    """Return (key, value, origin) of every setting; a table's entries follow it one by one."""
    rows: list[tuple[str, Any, str]] = []
    for key, entry in dotted(profile.settings).items():
        parts = {key: entry}
        if entry and isinstance(entry, dict):
            parts = {f"{key}.{name}": part for name, part in entry.items()}
        rows += [(part, setting, profile.origins[part]) for part, setting in parts.items()]
    return rows


def _figures(profile: Profile) -> list[Figures]:
    return figures(Case.of(profile.settings, profile.origins))


def _print_figures(profile: Profile) -> None:
    cross = profile.settings.leverage.margin_mode == "cross"
    for row in _figures(profile):
        if cross:
            liquidation = "liquidation depends on the account (cross margin)"
        else:
            liquidation = (
                f"liquidation {row.liquidation_long:.3%} below a long's entry, "
                f"{row.liquidation_short:.3%} above a short's"
            )
        typer.echo(f"{row.symbol} at {row.leverage}x: {_win_rate(row)}; {liquidation}")


def _win_rate(row: Figures) -> str:
    if row.break_even_win_rate is None or row.stop is None or row.target is None:
        return "the break-even win rate depends on the market (stop and target are not per cent)"
    return (
        f"breaks even at {row.break_even_win_rate:.1%} wins, "
        f"(stop {row.stop:.3%} + taker fees {row.round_trip_fee:.3%}) / "
        f"(target {row.target:.3%} + stop {row.stop:.3%})"
    )


def _figures_json(row: Figures) -> dict[str, Any]:
    return dict(msgspec.to_builtins(row))


def _print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)


def _print_json(report: dict[str, Any]) -> None:
    typer.echo(msgspec.json.encode(report).decode())


def _plain(entry: object) -> object:
    """Return a setting as JSON has it; infinity, which JSON lacks, as the text "inf"."""
    return "inf" if entry == float("inf") else entry


def _text(entry: object) -> str:
    if isinstance(entry, str):
        return f'"{entry}"'
    if isinstance(entry, tuple):
        return "[" + ", ".join(map(_text, entry)) + "]"
    if isinstance(entry, bool):
        return str(entry).lower()
    return f"{entry:g}" if isinstance(entry, float) else str(entry)
