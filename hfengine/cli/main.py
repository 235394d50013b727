"""The command line: `hfengine COMMAND --help` explains each with an example."""

import os
import sys

import typer

from hfengine import __version__
from hfengine.cli.bench import bench
from hfengine.cli.config import config_app
from hfengine.cli.doctor import doctor
from hfengine.cli.incident import incident
from hfengine.cli.journal import journal_app
from hfengine.cli.leverage import leverage_app
from hfengine.cli.operate import flatten, halt, resume, stop
from hfengine.cli.positions import orders, positions
from hfengine.cli.replay import replay
from hfengine.cli.run import run
from hfengine.cli.signals import signals_app
from hfengine.cli.sim import sim
from hfengine.cli.state import history
from hfengine.cli.status import status
from hfengine.cli.venue import venue
from hfengine.cli.watch import watch
from hfengine.cli.why import why
from hfengine.errors import ExitCode, HfengineError

app = typer.Typer(
    name="hfengine",
    help=(
        "Leveraged perpetual futures with a native hot path. It never opens a position whose "
        "leverage, liquidation distance and exchange-side stop it has not proved. It promises "
        "safety, truth and speed, never profit."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(status)
app.command()(positions)
app.command()(orders)
app.command()(halt)
app.command()(resume)
app.command()(flatten)
app.command()(stop)
app.command()(history)
app.command()(doctor)
app.command()(bench)
app.command()(watch)
app.command()(sim)
app.command()(replay)
app.command()(why)
app.command()(incident)
app.command()(venue)
app.add_typer(config_app, name="config")
app.add_typer(journal_app, name="journal")
app.add_typer(leverage_app, name="leverage")
app.add_typer(signals_app, name="signals")


@app.command()
def version() -> None:
    """Print the version. Example: hfengine version"""
    typer.echo(f"hfengine {__version__}")


def main() -> None:
    """Run the command line; a known error ends in one sentence and its exit code."""
    try:
        try:
            app()
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
