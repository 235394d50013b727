"""hfengine journal: read a session's log, and check that nobody and nothing changed it."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from hfengine.journal.reader import (
    OK,
    WRONG_PATH,
    Frame,
    NotAJournal,
    Scan,
    Verdict,
    decode,
    type_of,
    verify,
)

_PLAIN = re.compile(r"[\w.:+/@-]+")

journal_app = typer.Typer(name="journal", help="Read and check session logs.", no_args_is_help=True)

PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="Directory of one session's journal.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@journal_app.command("show")
def show(
    path: PathArgument,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only messages of this type; repeatable."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Stop after N messages.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the messages of a journal, one a line: number, type, fields.

    Example: hfengine journal show journals/20260101-1 --type Fill --limit 20

    Stops at the first record that is not whole and genuine, with the exit code of `verify`.
    """
    scan = _scan(path)
    wanted = {name.lower() for name in types or ()}
    shown = 0
    try:
        for frame in scan.frames():
            content = decode(frame.payload)
            if wanted and (type_of(content) or "").lower() not in wanted:
                continue
            typer.echo(_json_line(frame, content) if as_json else _text_line(frame, content))
            shown += 1
            if shown == limit:
                return
    except OSError as error:
        raise _unreadable(path, error) from error
    verdict = scan.verdict()
    if verdict.code != OK:
        typer.echo(_sentence(verdict), err=True)
        raise typer.Exit(verdict.code)


@journal_app.command("verify")
def verify_command(path: PathArgument, as_json: JsonOption = False) -> None:
    """Check every byte of a journal against its checksums, chain and seals.

    Example: hfengine journal verify journals/20260101-1

    Exit codes: 0 intact, 10 truncated, 11 damaged, 12 edited, 13 a segment or the manifest is
    missing or out of place, 2 no journal at PATH.
    """
    try:
        verdict = verify(path)
    except NotAJournal as error:
        raise _usage(error) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if as_json:
        typer.echo(msgspec.json.encode(verdict).decode())
    else:
        typer.echo(_sentence(verdict))
    raise typer.Exit(verdict.code)


def _scan(path: Path) -> Scan:
    try:
        return Scan(path)
    except NotAJournal as error:
        raise _usage(error) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _usage(error: NotAJournal) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(WRONG_PATH)


def _unreadable(path: Path, error: OSError) -> typer.Exit:
    typer.echo(f"{error.filename or path} cannot be read: {error.strerror or error}", err=True)
    return typer.Exit(WRONG_PATH)


def _sentence(verdict: Verdict) -> str:
    kind = "" if verdict.message_type is None else f" [{_shown(verdict.message_type)}]"
    return (
        f"{verdict.status}: {verdict.detail}{kind} (session {verdict.state}, hash {verdict.hash})"
    )


def _json_line(frame: Frame, content: Any) -> str:
    line = {"sequence": frame.sequence, "type": type_of(content), "fields": _fields(content)}
    return msgspec.json.encode(line, enc_hook=str).decode()


def _text_line(frame: Frame, content: Any) -> str:
    fields = _fields(content)
    if isinstance(fields, dict):
        text = " ".join(f"{_shown(name)}={_shown(under)}" for name, under in fields.items())
    else:
        text = _shown(fields)
    return f"{frame.sequence:>8}  {_shown(type_of(content) or '?')}  {text}".rstrip()


def _fields(content: Any) -> Any:
    if isinstance(content, dict):
        return {str(name): under for name, under in content.items() if name != "type"}
    if isinstance(content, list) and type_of(content) is not None:
        return content[1:]
    return content


def _shown(content: Any) -> str:
    """Return content on one line; text with anything a terminal could obey in it as JSON."""
    if isinstance(content, str):
        return content if _PLAIN.fullmatch(content) else json.dumps(content)
    if isinstance(content, float):
        return repr(content)
    if isinstance(content, bytes):
        return f"<{len(content)} bytes>"
    return json.dumps(msgspec.to_builtins(content, str_keys=True, enc_hook=str))
