"""hfengine incident: a session as a bundle without secrets that can be run again elsewhere."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hfengine.errors import ConfigError
from hfengine.replay.incident import bundle
from hfengine.replay.sessions import BUNDLE_ENDS, NEWEST, find


def incident(
    session: Annotated[
        str, typer.Option(help="Name or directory of a session, or newest.")
    ] = NEWEST,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; incident-SESSION.tar.gz here.")
    ] = None,
    journals: Annotated[Path, typer.Option(help="Where sessions lie.")] = Path("journals"),
) -> None:
    """Pack a session's journal, settings and versions into one file to give away.

    Example: hfengine incident --session f59b87569b --out incident.tar.gz

    It holds no secrets: one that is found in it is named, and nothing is written. Exit codes: 0;
    1 a secret was found; 2 no such session.
    """
    directory = find(session, journals)
    path = out if out is not None else Path(f"incident-{directory.name}{BUNDLE_ENDS[0]}")
    if not path.name.endswith(BUNDLE_ENDS):
        raise ConfigError([f"--out {path}: end the name in {' or '.join(BUNDLE_ENDS)}"])
    made = bundle(directory, path, os.environ)
    typer.echo(
        f"{made.path}: session {made.session}, {made.files} files, {made.size_bytes} bytes; its"
        f" journal is {made.verdict.status} ({made.verdict.detail})"
    )
    typer.echo(f"look at it with: hfengine replay {made.path} --verify")
