"""hfengine replay: run a recorded session again and compare every output byte."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from hfengine.errors import ConfigError, ExitCode
from hfengine.replay.again import Comparison, Difference, changed, run_again
from hfengine.replay.sessions import opened

WIDTH = 44


def replay(
    session: Annotated[
        str,
        typer.Argument(help="Name or directory of a session, a bundle of `incident`, or newest."),
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every output; exit 1 at a difference.")
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another setting; repeatable."),
    ] = None,
    journals: Annotated[Path, typer.Option(help="Where sessions lie.")] = Path("journals"),
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the inputs of a session through the actors again; show the first other output.

    Example: hfengine replay newest --verify
    Example: hfengine replay f59b87569b --set risk.spread_max_bps=0.1

    Exit codes: 0 identical (without --verify also at a difference); 1 a difference, or the journal
    is not whole; 2 no such session, or one that cannot be run again.
    """
    changes = _changes(change or [])
    with opened(session, journals) as directory:
        found = run_again(directory, partial(changed, changes=changes) if changes else None)
    if json_:
        typer.echo(msgspec.json.encode(found, enc_hook=str).decode())
    else:
        for line in lines(found):
            typer.echo(line)
    if verify and not (found.identical and found.whole):
        raise typer.Exit(ExitCode.FAILURE)


def _changes(given: list[str]) -> dict[str, str]:
    changes: dict[str, str] = {}
    for one in given:
        key, equals, text = one.partition("=")
        if not equals or not key:
            raise ConfigError([f"--set {one!r}: write KEY=VALUE, as risk.spread_max_bps=1"])
        changes[key.strip()] = text.strip()
    return changes


def lines(found: Comparison) -> list[str]:
    """Return what a person reads of a comparison."""
    counts = f"{found.inputs} inputs, {found.outputs} outputs"
    if found.difference is not None:
        head = f"session {found.session}: differs at record {found.difference.sequence}"
        return [f"{head} ({counts} before)", *_side_by_side(found.difference)]
    shown = ", ".join(f"{count} {name}" for name, count in found.by_type.items())
    told = [f"session {found.session}: identical: {counts}", f"  {shown}"]
    if not found.whole:
        told.append(f"  the journal ends early: {found.journal}")
    return told


def _side_by_side(difference: Difference) -> list[str]:
    recorded, replayed = _fields(difference.recorded), _fields(difference.replayed)
    told = [f"  {difference.note}"]
    if not recorded and not replayed:
        return told
    told.append(f"    {'':<18} {'recorded':<{WIDTH}} replayed")
    for name in {**recorded, **replayed}:
        left, right = recorded.get(name, "-"), replayed.get(name, "-")
        mark = " " if left == right else "*"
        told.append(f"  {mark} {name:<18} {left:<{WIDTH}} {right}")
    return told


def _fields(message: Any) -> dict[str, str]:
    """Return a message's fields as text, its class first."""
    if message is None:
        return {}
    plain = msgspec.to_builtins(message)
    return {str(name): str(under) for name, under in plain.items()}
