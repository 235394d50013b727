"""hfengine history: trades, orders and the equity curve of an account, from its state."""

import os
import re
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from hfengine.cli.durations import parse_duration_s
from hfengine.clock import WallClock
from hfengine.config import load
from hfengine.errors import ExitCode, HfengineError
from hfengine.settings import Settings
from hfengine.state import sqlite
from hfengine.state.keys import shown

SHOWN: Final = 50
NS_A_S: Final = 1_000_000_000
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9+._-]+")


class Of(StrEnum):
    """What there is a history of."""

    TRADES = "trades"
    EQUITY = "equity"
    ORDERS = "orders"


class NoHistory(HfengineError):
    """There is no state to read, or more than one to choose from."""

    exit_code = ExitCode.USAGE


def history(
    series: Annotated[Of, typer.Argument(help="trades (fills and funding), equity, or orders.")],
    profile: Annotated[str, typer.Option(help="Whose state.* settings say where it is.")] = "paper",
    account: Annotated[str, typer.Option(help="One account, where several were traded.")] = "",
    last: Annotated[int, typer.Option(min=1, help="How many rows, the newest.")] = SHOWN,
    duration: Annotated[str, typer.Option(help="Only so far back: 90s, 15m, 24h.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a row.")] = False,
) -> None:
    """Show what was traded, and how equity went. Safe while an engine runs.

    Example: hfengine history trades --profile bybit-testnet --duration 24h
    """
    settings = load(profile, environment=os.environ, dotenv=Path(".env")).settings
    since_ns = 0
    if duration:
        since_ns = WallClock().now_ns() - int(parse_duration_s(duration) * NS_A_S)
    rows = read(settings, series, account, since_ns=since_ns, last=last)
    for _, row in rows:
        typer.echo(row.decode() if json_ else line_of(msgspec.json.decode(row)))
    if not rows and not json_:
        typer.echo(f"no {series} kept")


def read(
    settings: Settings, series: Of, account: str, *, since_ns: int, last: int
) -> list[tuple[int, bytes]]:
    """Return the rows of an account's series; raise NoHistory where they cannot be read."""
    url = settings.state.url
    if account and not _ACCOUNT.fullmatch(account):
        raise NoHistory(f"account {account!r} is no account: see the files in state.directory")
    if url == "sqlite":
        path = _database(Path(settings.state.directory), account)
        try:
            return sqlite.read_series(path, series.value, since_ns=since_ns, last=last)
        except sqlite3.Error as error:
            raise NoHistory(f"{path} cannot be read: {error}") from error
    if url == "none":
        raise NoHistory("state.url is none: no history is kept; set it to sqlite or redis://…")
    from hfengine.state import redis_store  # noqa: PLC0415 - not needed with SQLite

    if not account:
        raise NoHistory("a Redis may hold many accounts: name one with --account")
    try:
        return redis_store.read_series(url, account, series.value, since_ns=since_ns, last=last)
    except redis_store.FAILURES as error:
        raise NoHistory(f"{shown(url)} cannot be reached: {error}") from error


def _database(directory: Path, account: str) -> Path:
    found = sorted(directory.glob("*.db"))
    if account:
        found = [path for path in found if path.stem == account]
    if len(found) == 1:
        return found[0]
    named = f" of account {account}" if account else ""
    if not found:
        raise NoHistory(f"no history{named} in {directory}: a paper run keeps none")
    names = ", ".join(path.stem for path in found)
    raise NoHistory(f"several accounts in {directory}: give --account, one of {names}")


def line_of(row: Mapping[str, Any]) -> str:
    """Return one row as a line of text: time first, then what it says."""
    at = datetime.fromtimestamp(row["at_ns"] / NS_A_S, UTC).isoformat(timespec="seconds")
    kind = row.get("type", "Equity")
    return "  ".join([at.replace("+00:00", "Z"), *_words(kind, row)])


def _words(kind: str, row: Mapping[str, Any]) -> Iterable[str]:
    if kind == "Fill":
        word = "buy" if row["side"] > 0 else "sell"
        yield f"{row['symbol']} {word} {row['quantity']} at {row['price']}"
        yield f"fee {row['fee_usdt']}, realised {row['realised_usdt']} USDT ({row['cause']})"
    elif kind == "FundingPaid":
        yield f"{row['symbol']} funding {row['funding_usdt']} USDT at {row['rate']}"
    elif kind == "OrderEnded":
        yield f"{row['symbol']} {row['client_id']} {row['outcome']}, {row['filled']} filled"
        yield row["reason"]
    elif kind == "OrderUpdate":
        word = "buy" if row["side"] > 0 else "sell"
        yield f"{row['symbol']} {row['client_id'] or row['venue_id']} {word} {row['quantity']}"
        yield f"{row['kind']} {row['state']}, {row['filled']} filled {row['reason']}".rstrip()
    else:
        yield f"equity {row['equity_usdt']}, wallet {row['wallet_usdt']}"
        yield f"free margin {row['free_margin_usdt']} USDT"
