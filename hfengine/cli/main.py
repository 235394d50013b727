"""The command line: `hfengine COMMAND --help` explains each with an example."""

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

import typer

from hfengine import __version__
from hfengine.errors import ExitCode, HfengineError

PROMISE: Final = (
    "Leveraged perpetual futures with a native hot path. It never opens a position whose "
    "leverage, liquidation distance and exchange-side stop it has not proved. It promises "
    "safety, truth and speed, never profit."
)

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "run": ("run", "run"),
    "status": ("status", "status"),
    "positions": ("positions", "positions"),
    "orders": ("positions", "orders"),
    "halt": ("operate", "halt"),
    "resume": ("operate", "resume"),
    "flatten": ("operate", "flatten"),
    "stop": ("operate", "stop"),
    "why": ("why", "why"),
    "history": ("state", "history"),
    "doctor": ("doctor", "doctor"),
    "replay": ("replay", "replay"),
    "incident": ("incident", "incident"),
    "sim": ("sim", "sim"),
    "bench": ("bench", "bench"),
    "watch": ("watch", "watch"),
    "venue": ("venue", "venue"),
    "config": ("config", "config_app"),
    "journal": ("journal", "journal_app"),
    "leverage": ("leverage", "leverage_app"),
    "signals": ("signals", "signals_app"),
}
"""Command -> its module here and its name there, in the order in which help lists them."""


def make_app(names: Iterable[str]) -> typer.Typer:
    """Return the command line with these commands; only their modules are imported."""
    made = typer.Typer(
        name="hfengine", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    # with a callback a single command stays a command of a group
    made.callback(help=PROMISE)(_group)
    for name in names:
        module, attribute = COMMANDS[name]
        command = getattr(import_module(f"hfengine.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            made.add_typer(command, name=name)
        else:
            made.command(name)(command)
    made.command()(version)
    return made


def _group() -> None:
    """Do nothing before the command."""


def version() -> None:
    """Print the version. Example: hfengine version"""
    typer.echo(f"hfengine {__version__}")


def __getattr__(name: str) -> Any:
    if name == "app":
        return make_app(COMMANDS)
    raise AttributeError(name)


def main() -> None:
    """Run the command line; a known error ends in one sentence and its exit code."""
    try:
        try:
            # a run must not wait for what other commands import
            asked = sys.argv[1] if len(sys.argv) > 1 else ""
            make_app((asked,) if asked in COMMANDS else COMMANDS)()
        finally:
            _flush()
    except HfengineError as error:
        typer.echo(f"hfengine: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        typer.echo(f"hfengine: {error.strerror or error}", err=True)
        sys.exit(ExitCode.FAILURE)


def _flush() -> None:
    """Write out what was printed; raises OSError when it cannot be written."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        # or the interpreter would fail again at its end, with a traceback of its own
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


if __name__ == "__main__":
    main()
