"""hfengine why: what happened with a symbol, and why nothing did, from the journal."""

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hfengine.cli.durations import parse_duration_s
from hfengine.errors import ConfigError
from hfengine.replay.sessions import NEWEST, opened
from hfengine.replay.why import Story, clock, tell

LINES_SHOWN = 200


def why(
    symbol: Annotated[str, typer.Argument(help="As the profile lists it: BTCUSDT.")],
    last: Annotated[
        str, typer.Option(help="Only so long before the end, or before --at: 10m, 1h.")
    ] = "",
    at: Annotated[
        str, typer.Option(help="How it was then, UTC: 2026-01-31T13:05:10, or 13:05 of that day.")
    ] = "",
    session: Annotated[
        str, typer.Option(help="Name or directory of a session, a bundle, or newest.")
    ] = NEWEST,
    journals: Annotated[Path, typer.Option(help="Where sessions lie.")] = Path("journals"),
    limit: Annotated[int, typer.Option(min=1, help="Most lines shown, the newest.")] = LINES_SHOWN,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say why a symbol was traded or was not: signals, refusals, orders, exits, and what stops it.

    Example: hfengine why BTCUSDT --last 1h
    Example: hfengine why ETHUSDT --session f59b87569b --at 13:05

    Exit codes: 0; 2 no such session or symbol.
    """
    last_s = parse_duration_s(last) if last else None
    with opened(session, journals) as directory:
        story = tell(directory, symbol, last_s=last_s)
        if at:
            at_ns = parse_time_ns(at, story.until_ns)
            story = tell(directory, symbol, last_s=last_s, at_ns=at_ns)
    if json_:
        typer.echo(msgspec.json.encode(story, enc_hook=str).decode())
        return
    for line in lines(story, limit):
        typer.echo(line)


def parse_time_ns(text: str, day_ns: int) -> int:
    """Read a time of day, of the day of `day_ns`, or a date and time, UTC; raises ConfigError."""
    day = datetime.fromtimestamp(day_ns / 1e9, UTC).date()
    try:
        try:
            moment = datetime.combine(day, time.fromisoformat(text), UTC)
        except ValueError:
            moment = datetime.fromisoformat(text)
    except ValueError:
        example = "13:05, 13:05:10 or 2026-01-31T13:05:10"
        raise ConfigError([f"--at {text!r} is no time: write {example}"]) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000) * 1_000_000


def lines(story: Story, limit: int) -> list[str]:
    """Return what a person reads: what happened, then the answer."""
    shown = story.lines[-limit:]
    told = [f"session {story.session}"]
    if len(shown) < len(story.lines):
        told.append(f"  ({len(story.lines) - len(shown)} lines before these: --limit shows more)")
    for line in shown:
        often = f" (x{line.times})" if line.times > 1 else ""
        told.append(f"  {clock(line.at_ns)} {line.sequence:>8}  {line.text}{often}")
    return [*told, "", story.answer]
