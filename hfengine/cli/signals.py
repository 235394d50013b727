"""`hfengine signals eval|train-drift`: what the layers are worth on recordings."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec.structs import replace
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hfengine.actors.layering import layers_of
from hfengine.cli.durations import parse_duration_s
from hfengine.cli.streams import is_terminal
from hfengine.config import Profile, load
from hfengine.drift_model import DriftModel, encode_drift_model
from hfengine.errors import ConfigError, FeedError
from hfengine.feeds.replay import Replay
from hfengine.instruments import load_catalogue

if TYPE_CHECKING:
    from hfengine.evaluation.judging import Interval, Row
    from hfengine.evaluation.report import Asked, Evaluation
    from hfengine.evaluation.sampling import Collected, Grid

WIDTH = 100
"""Columns of the table where no terminal says how wide it is."""

HORIZONS = "1s,5s,15s,60s"

signals_app = typer.Typer(
    name="signals",
    help="Say what the layers are worth on recordings, and train the drift layer.",
    no_args_is_help=True,
)

ReplayOption = Annotated[
    list[Path], typer.Option("--replay", help="Recording; several are merged by time.")
]
ProfileOption = Annotated[
    str, typer.Option("--profile", "-p", help="A profile's name, or the path of a TOML file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@signals_app.command("eval")
def eval_command(
    replay: ReplayOption,
    profile: ProfileOption = "paper",
    horizons: Annotated[
        str, typer.Option(help="How far ahead to look, separated by commas.")
    ] = HORIZONS,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the estimates with their intervals: a PNG.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge each layer and all fused at several horizons: evidence, or none, and what fees leave.

    Example: hfengine signals eval --replay btcusdt.gz --replay ethusdt.gz

    Exit codes: 0 judged, whatever came out; 1 no matplotlib for --plot; 2 a problem in profile or
    options; 5 no usable market data. docs/evaluation.md says how to read the table.
    """
    # numpy is imported by what judges, so that no other command loads it
    from hfengine.evaluation.plot import check_plot, draw  # noqa: PLC0415
    from hfengine.evaluation.report import evaluate  # noqa: PLC0415

    wanted_s = _horizons(horizons)
    if plot is not None:
        check_plot(plot)
    loaded = _load(profile, {})
    collected, grid = _collect(loaded, replay)
    longest_s = (collected.until_ns - collected.from_ns) / 1e9
    if longest_s <= min(wanted_s):
        raise FeedError(
            f"the recordings span {longest_s:.3g} s, no longer than the shortest horizon of "
            f"{min(wanted_s):g} s: give longer ones or shorter --horizons"
        )
    found = evaluate(collected, _asked(loaded, replay, wanted_s), grid)
    if not any(row.samples for row in found.rows):
        raise FeedError(
            "no sample has a whole horizon of unbroken book ahead of it: give longer recordings or "
            "shorter --horizons"
        )
    if plot is not None:
        draw(found, plot)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    _print(found)


@signals_app.command("train-drift")
def train_drift(
    replay: ReplayOption,
    profile: ProfileOption = "paper",
    out: Annotated[Path, typer.Option(help="File the coefficients are saved in.")] = Path(
        "drift.json"
    ),
    horizon: Annotated[
        str, typer.Option(help="Horizon to train for, instead of the profile's.")
    ] = "",
    ridge: Annotated[
        str, typer.Option(help="Penalties to choose among, separated by commas.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Fit the drift layer's coefficients on the first part, score them on the last, save them.

    Example: hfengine signals train-drift --replay btcusdt.gz --horizon 5s --out drift.json

    A profile uses the file with signals.drift_file; its signals.horizon_s must be the same. What
    the profile names there now is not read.
    Exit codes: 0 saved, whatever the score; 2 a problem in profile or options; 5 no usable data.
    """
    from hfengine.evaluation import training  # noqa: PLC0415 - numpy, see above

    # what is to be made: the profile's own may be absent, or of another horizon
    overrides: dict[str, object] = {"signals.drift_file": ""}
    if horizon:
        overrides["signals.horizon_s"] = _seconds(horizon, "--horizon")
    ridges = _ridges(ridge) if ridge else training.RIDGES
    if not out.absolute().parent.is_dir():
        raise ConfigError([f"--out {out}: there is no folder {out.absolute().parent}"])
    if out.is_dir():
        raise ConfigError([f"--out {out} is a folder: name a file in it"])
    loaded = _load(profile, overrides)
    collected, _ = _collect(loaded, replay)
    names = [_readable(path.name) for path in replay]
    model = training.train(collected, loaded.settings.signals.horizon_s, names, ridges)
    try:
        out.write_bytes(encode_drift_model(model))
    except OSError as error:
        raise ConfigError([f"--out {out}: cannot be written: {error.strerror}"]) from None
    if as_json:
        typer.echo(msgspec.json.encode(model).decode())
        return
    _print_model(model, out, training.sentences(model))


def _horizons(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ConfigError([f"--horizons {text!r} names none: use for example {HORIZONS}"])
    return tuple(sorted({_seconds(part, "--horizons") for part in parts}))


def _seconds(text: str, option: str) -> float:
    try:
        return parse_duration_s(text)
    except ConfigError as error:
        renamed = [problem.replace("--duration", option) for problem in error.problems]
        raise ConfigError(renamed) from None


def _ridges(text: str) -> tuple[float, ...]:
    try:
        found = tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError:
        found = (-1.0,)
    if not all(0.0 < ridge < float("inf") for ridge in found):
        raise ConfigError([f"--ridge {text!r} must be numbers above 0, for example 0.1,1,10"])
    return found


def _readable(name: str) -> str:
    """Return a file name as text that can be printed: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(name).decode(errors="replace")


def _load(profile: str, overrides: dict[str, object]) -> Profile:
    overrides = {"venue.feed": "replay", **overrides}
    return load(profile, environment=os.environ, dotenv=Path(".env"), overrides=overrides)


def _collect(loaded: Profile, replay: list[Path]) -> "tuple[Collected, Grid]":
    """Drive the recordings through the profile's layers."""
    from hfengine.evaluation.sampling import Grid, collect  # noqa: PLC0415 - numpy, see above

    settings = loaded.settings
    feed = Replay(replay)
    signals = settings.signals
    if signals.cross_with not in feed.symbols:
        # recordings need not hold the symbol the profile pairs the others with
        signals = replace(signals, cross_with="")
    layers = layers_of(signals, settings.protection, feed.symbols)
    grid = Grid(
        age_max_ns=round(settings.risk.data_age_max_ms * 1e6),
        gap_max_ns=round(settings.signals.gap_max_s * 1e9),
    )
    catalogue = load_catalogue(settings.venue.catalogue)
    with _progress() as on_progress:
        return collect(feed, layers, catalogue, grid, on_progress), grid


@contextmanager
def _progress() -> Iterator[Callable[[int], None] | None]:
    """Show the number of frames read on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not is_terminal(sys.stderr):
        yield None
        return
    with console.status("reading recordings") as status:

        def show(frames: int) -> None:
            status.update(f"reading recordings: {frames:,} frames")

        yield show


def _asked(loaded: Profile, replay: list[Path], horizons_s: tuple[float, ...]) -> "Asked":
    from hfengine.evaluation.judging import Costs  # noqa: PLC0415 - numpy, see above
    from hfengine.evaluation.report import Asked  # noqa: PLC0415

    settings = loaded.settings
    catalogue = load_catalogue(settings.venue.catalogue)
    symbols = Replay(replay).symbols
    return Asked(
        profile=_readable(loaded.name),
        recordings=tuple(_readable(path.name) for path in replay),
        horizons_s=horizons_s,
        forecast_horizon_s=settings.signals.horizon_s,
        confidence_min=settings.signals.confidence_min,
        costs=Costs(
            fee={symbol: float(catalogue.find(symbol).taker_fee) for symbol in symbols},
            slippage=settings.fees.slippage_bps / 1e4,
        ),
    )


def _print(found: "Evaluation") -> None:
    from hfengine.evaluation.report import CAUTION  # noqa: PLC0415 - numpy, see above

    console = Console(highlight=False, width=None if is_terminal(sys.stdout) else WIDTH)
    fees = ", ".join(f"{symbol} {fee:g}" for symbol, fee in found.taker_fee_bps.items())
    faults = ", ".join(f"{name} {count}" for name, count in found.faults.items()) or "none"
    console.print(
        f"{', '.join(found.recordings)}: {found.frames:,} frames, "
        f"{(found.until_ns - found.from_ns) / 1e9:.0f} s, faults: {faults}\n"
        f"sampled every {found.grid_ms:g} ms; forecasts are of {found.forecast_horizon_s:g} s; "
        f"± is half the 95 % interval, overlap respected\n"
        f"costs: taker fees in bps, twice ({fees}), slippage twice {found.slippage_bps:g} bps, "
        "spread as recorded\n"
        f"followed and covered: ready and confidence {found.confidence_min:g} or more"
    )
    table = Table(box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("layer", no_wrap=True)
    headers = ("ahead", "indep", "IC", "hit %", "cover %", "gain bps", "costs", "net")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("prediction", no_wrap=True)
    last = ""
    for row in found.rows:
        if last and row.layer != last:
            table.add_section()
        last = row.layer
        table.add_row(*_cells(row))
    console.print(table)
    for sentence in (*found.sentences, CAUTION):
        console.print(sentence, markup=False)


def _cells(row: "Row") -> list[str]:
    from hfengine.evaluation.report import ahead  # noqa: PLC0415 - numpy, see above

    return [
        row.layer,
        ahead(row.horizon_s),
        str(row.independent_horizons),
        _shown(row.ic, 1.0, "+.3f"),
        _shown(row.hit_rate, 100.0, ".1f"),
        _shown(row.coverage, 100.0, ".0f"),
        _shown(row.gross_bps, 1.0, "+.2f"),
        "-" if row.cost_bps is None else f"{row.cost_bps:.2f}",
        "-" if row.net_bps is None else f"{row.net_bps.mean:+.2f}",
        row.verdict.removeprefix("evidence ") or row.verdict,
    ]


def _shown(found: "Interval | None", scale: float, form: str) -> str:
    if found is None:
        return "-"
    return f"{found.mean * scale:{form}} ±{found.reach * scale:{form.lstrip('+')}}"


def _print_model(model: DriftModel, out: Path, said: list[str]) -> None:
    from hfengine.kernels.drift import FACTORS  # noqa: PLC0415 - only named here

    trained = model.trained_on
    span_s = (trained.until_ns - trained.from_ns) / 1e9
    typer.echo(
        f"fitted on {trained.samples} samples of {', '.join(model.symbols)} over {span_s:.0f} s, "
        f"horizon {model.horizon_s:g} s, ridge {model.ridge:g}"
    )
    for name, coefficient in zip(("intercept", *FACTORS), model.coefficients, strict=True):
        typer.echo(f"  {name:<20} {coefficient * 1e4:+.4f} bps per standard deviation")
    for sentence in said:
        typer.echo(sentence)
    typer.echo(f"saved in {_readable(str(out))}; a profile uses it with signals.drift_file")
