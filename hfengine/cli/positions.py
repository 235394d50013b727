"""`hfengine positions` and `hfengine orders`: what the venue itself says is open."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from hfengine.cli.status import (
    WIDTH_WITHOUT_TERMINAL,
    JsonOption,
    ProfileOption,
    position_table,
)
from hfengine.cli.streams import is_terminal
from hfengine.control.calling import call, engine_of, named

DOTENV: Final = Path(".env")
ORDER_COLUMNS: Final = (
    "symbol",
    "side",
    "kind",
    "quantity",
    "filled",
    "price",
    "trigger",
    "reduce_only",
    "state",
    "client_id",
    "venue_id",
)


def positions(profile: ProfileOption = "", json_: JsonOption = False) -> None:
    """List the open positions as the venue tells them now, with stop, liquidation and cover.

    Example: hfengine positions
    Example: hfengine positions --profile bybit-demo --json

    Exit codes: 0 listed; 1 engine or venue does not answer; 2 a problem in profile or options, or
    several run and none is named; 6 no engine runs.
    """
    told = _asked("positions", profile)
    if json_:
        typer.echo(msgspec.json.encode(told).decode())
    elif told["rows"]:
        _show(position_table(told["rows"]))
    else:
        typer.echo("flat: the venue has no position open")


def orders(profile: ProfileOption = "", json_: JsonOption = False) -> None:
    """List the open orders as the venue has them: resting, conditional and attached ones.

    Example: hfengine orders
    Example: hfengine orders --profile binance-demo --json

    Exit codes: 0 listed; 1 engine or venue does not answer; 2 a problem in profile or options, or
    several run and none is named; 6 no engine runs.
    """
    told = _asked("orders", profile)
    if json_:
        typer.echo(msgspec.json.encode(told).decode())
        return
    if not told["rows"]:
        typer.echo("the venue has no order open")
        return
    table = Table(*(name.replace("_", " ") for name in ORDER_COLUMNS))
    for row in told["rows"]:
        cells = (_cell(row[name]) for name in ORDER_COLUMNS)
        table.add_row(*cells, style=None if row["ours"] or not row["client_id"] else "yellow")
    _show(table)


def _asked(command: str, profile: str) -> Mapping[str, Any]:
    engine = engine_of(named(profile, os.environ, DOTENV), os.environ, DOTENV)
    return call(engine, command)


def _cell(entry: Any) -> str:
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    return "-" if entry in (None, "") else str(entry)


def _show(table: Table) -> None:
    width = None if is_terminal(sys.stdout) else WIDTH_WITHOUT_TERMINAL
    Console(width=width, markup=False, highlight=False).print(table)
