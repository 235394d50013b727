"""`hfengine status`: what the running engine does, holds and is worried about."""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from hfengine.cli.streams import is_terminal
from hfengine.control.calling import call, engine_of, named
from hfengine.control.finding import Found, NotRunning

DOTENV: Final = Path(".env")
WIDTH_WITHOUT_TERMINAL: Final = 200
NAME_WIDTH: Final = 14
NS_PER_S: Final = 1e9

ProfileOption = Annotated[
    str,
    typer.Option("--profile", "-p", help="Of the engine that is meant; needed where several run."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def status(
    profile: ProfileOption = "",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on showing it until Ctrl-C or its end.")
    ] = False,
    every_s: Annotated[
        float, typer.Option(help="Seconds between two looks of --watch.", min=0.1, max=3600.0)
    ] = 1.0,
    json_: JsonOption = False,
) -> None:
    """Show the running engine: state, risk, halts, positions, leverage proofs, venues, latency.

    Example: hfengine status
    Example: hfengine status --profile bybit-demo --watch
    Example: hfengine status --json

    Exit codes: 0 shown; 1 it does not answer; 2 a problem in profile or options, or several run
    and none is named; 6 no engine runs.
    """
    engine = engine_of(named(profile, os.environ, DOTENV), os.environ, DOTENV)
    if not watch:
        told = call(engine, "status")
        _print(told, json_=json_)
        return
    looks = _looks(engine, every_s)
    if json_ or not is_terminal(sys.stdout):
        for told in looks:
            typer.echo(msgspec.json.encode(told).decode() if json_ else brief(told))
            sys.stdout.flush()
        return
    with Live(auto_refresh=False, screen=False) as shown:
        for told in looks:
            shown.update(screen(told), refresh=True)


def _looks(engine: Found, every_s: float) -> Iterator[Mapping[str, Any]]:
    """Yield the status again and again; the engine's end, or Ctrl-C, ends it quietly."""
    yield call(engine, "status")
    never = threading.Event()
    try:
        while not never.wait(every_s):
            yield call(engine, "status")
    except NotRunning:
        typer.echo(f"the engine of profile {engine.profile} has ended", err=True)
    except KeyboardInterrupt:
        return


def _print(told: Mapping[str, Any], *, json_: bool) -> None:
    if json_:
        typer.echo(msgspec.json.encode(told).decode())
        return
    width = None if is_terminal(sys.stdout) else WIDTH_WITHOUT_TERMINAL
    Console(width=width, highlight=False).print(screen(told))


def brief(told: Mapping[str, Any]) -> str:
    """Return a status as one line."""
    at = datetime.fromtimestamp(told["now_ns"] / NS_PER_S, UTC).strftime("%H:%M:%S")
    held = ", ".join(
        f"{one['symbol']} {one['side']} {one['quantity']}" for one in told["positions"]
    )
    risk = told["risk"]
    halts = ", ".join(told["halts"]) or "none"
    return (
        f"{at} {told['state']} risk {risk['state']} score {_score(risk)} halts {halts} "
        f"positions {held or 'none'} uncovered {told['uncovered_max_ms']:.0f} ms at worst"
    )


def held_text(row: Mapping[str, Any]) -> str:
    """Return a position in three words."""
    return f"{row['symbol']} {row['side']} {row['quantity']}"


def breaker_text(row: Mapping[str, Any]) -> str:
    """Return a circuit breaker in words: what it measured, and until when it holds."""
    until_ns = row["until_ns"]
    until = {0: "until it is good again", -1: "until resumed"}.get(until_ns)
    if until is None:
        until = f"until {datetime.fromtimestamp(until_ns / NS_PER_S, UTC):%Y-%m-%d %H:%M:%S} UTC"
    where = f" {row['symbol']}" if row["symbol"] else ""
    measured = f"{row['measured']:.6g} against {row['threshold']:.6g}"
    detail = f" ({row['detail']})" if row["detail"] else ""
    return f"{row['breaker']}{where} {row['state']}: {measured}{detail}, {until}"


def screen(told: Mapping[str, Any]) -> Group:
    """Return a status as it is drawn."""
    parts: list[RenderableType] = [_lines(told)]
    if told["positions"]:
        parts.append(position_table(told["positions"]))
    return Group(*parts)


def _lines(told: Mapping[str, Any]) -> Text:
    text = Text()
    at = datetime.fromtimestamp(told["now_ns"] / NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S")
    text.append(f"hfengine {told['profile']}", style="bold")
    text.append(f" ({told['mode']})  {at} UTC  session {told['session']}  process {told['pid']}\n")
    for name, row, bad in _rows(told):
        text.append(f"{name:<{NAME_WIDTH}}")
        text.append(f"{row}\n", style="bold red" if bad else "")
    text.rstrip()
    return text


def _rows(told: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, what to show, whether it is bad)."""
    risk = told["risk"]
    yield "state", f"{told['state']} ({told['reason']})", told["state"] == "not_flat"
    parts = ", ".join(f"{name} {share:.1f}" for name, share in risk["parts"].items())
    score = f"score {_score(risk)} of 100{f' ({parts})' if parts else ''}"
    why = "".join(f"; {reason}" for reason in risk["reasons"])
    yield "risk", f"{risk['state']}, {score}{why}", risk["state"] != "active"
    for source, reason in told["halts"].items():
        yield "HALTED by", f"{source}: {reason}", True
    for breaker in told["breakers"]:
        yield "breaker", breaker_text(breaker), breaker["state"] == "tripped"
    account = told["account"]
    if account is not None:
        yield (
            "account",
            f"equity {account['equity_usdt']} USDT, free margin {account['free_margin_usdt']}, "
            f"net {account['net_usdt']} this session",
            False,
        )
    orders = told["orders"]
    under_way = "".join(f", {name} {state}" for name, state in orders["states"].items())
    yield "orders", f"{orders['sent']} sent, {orders['open']} under way{under_way}", False
    proofs = ", ".join(
        f"{one['symbol']} {one['got']}x {one['margin_mode']} {one['age_s']:.0f} s ago"
        for one in told["leverage"]
    )
    yield "leverage", proofs or "not proved yet", not proofs
    for symbol, mismatch in told["leverage_mismatches"].items():
        yield "LEVERAGE", f"{symbol} {mismatch}", True
    lost = [symbol for symbol, synced in told["books_synced"].items() if not synced]
    yield "books", f"out of sync: {', '.join(lost)}" if lost else "in sync", bool(lost)
    cover = told["cover"]
    spread = f", p50 {cover['p50_ms']:.1f} ms, p99 {cover['p99_ms']:.1f} ms" if cover else ""
    yield "uncovered", f"{told['uncovered_max_ms']:.1f} ms at worst{spread}", False
    yield from _kept(told)
    for name, health in told["venues"].items():
        yield f"venue {name}"[: NAME_WIDTH - 1], _spoken(health), bool(health.get("halts"))
    for stage, q in told["latency_ns"].items():
        p50, p99 = q["p50"] / 1e3, q["p99"] / 1e3
        yield f"{stage}"[: NAME_WIDTH - 1], f"p50 {p50:.1f} µs  p99 {p99:.1f} µs", False


def _kept(told: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    journal, store = told["journal"], told["store"]
    fine = "being written" if journal["enabled"] else "switched off"
    yield "journal", journal["fault"] or fine, bool(journal["fault"])
    yield "store", store["fault"] or "no fault", bool(store["fault"])
    for name, told_as in COUNTED.items():
        counts = told[told_as]
        if counts:
            shown = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
            yield name, shown, False


def _score(risk: Mapping[str, Any]) -> str:
    return f"{risk['score']:.0f}"


COUNTED: Final = {
    "tripped": "tripped_counts",
    "repairs": "repair_counts",
    "differences": "difference_counts",
}
"""What status calls it -> what the engine does."""

UNSHOWN: Final = frozenset({"feed", "newest_notes"})


def _spoken(entry: Any) -> str:
    """Return a nested structure as words; the JSON has all of it."""
    if isinstance(entry, Mapping):
        shown = (
            f"{str(key).replace('_', ' ')} {_spoken(one)}"
            for key, one in entry.items()
            if key not in UNSHOWN and one not in ("", None, {}, [])
        )
        return ", ".join(shown)
    if isinstance(entry, list):
        return "; ".join(map(_spoken, entry))
    return f"{entry:.6g}" if isinstance(entry, float) else str(entry)


def position_table(rows: list[Mapping[str, Any]]) -> Table:
    """Return positions as a table: what protects each, and how far away it is."""
    table = Table(
        "symbol", "side", "quantity", "entry", "mark", "stop", "target", "liquidation", "covered",
        "margin USDT", "unrealised",
    )  # fmt: skip
    for one in rows:
        bare = float(one["uncovered"]) > 0.0
        table.add_row(
            one["symbol"],
            one["side"],
            str(one["quantity"]),
            str(one["entry"]),
            str(one["mark"] or "-"),
            _level(one["stop"], one["stop_distance"]),
            str(one["target"] or "-"),
            _level(one["liquidation"], one["liquidation_distance"]),
            str(one["covered"]),
            f"{float(one['margin_usdt']):.4f} at {one['leverage']}x",
            "-" if one["unrealised_usdt"] is None else f"{float(one['unrealised_usdt']):+.4f}",
            style="bold red" if bare else None,
        )
    return table


def _level(price: Any, distance: float | None) -> str:
    if price is None:
        return "NONE"
    return f"{price}" if distance is None else f"{price} ({distance:.3%} away)"
