"""The evaluation as a picture: information coefficients and gains, with their intervals."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hfengine.errors import ConfigError, HfengineError
from hfengine.evaluation.judging import NONE, Interval, Row
from hfengine.evaluation.report import Evaluation, ahead
from hfengine.evaluation.sampling import LAYERS


def check_plot(path: Path) -> None:
    """Raise HfengineError without matplotlib, ConfigError where `path` cannot be the picture."""
    folder = path.absolute().parent
    if path.suffix.lower() != ".png":
        raise ConfigError([f"--plot {path} must end in .png"])
    if not folder.is_dir():
        raise ConfigError([f"--plot {path}: there is no folder {folder}"])
    if path.is_dir():
        raise ConfigError([f"--plot {path} is a folder: name a file in it"])
    if find_spec("matplotlib") is None:
        raise HfengineError(
            "--plot needs matplotlib, which is not installed: install hfengine[plot], or leave "
            "--plot out"
        )


def draw(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG; the same evaluation gives the same bytes. Raises OSError."""
    # imported here: it takes longer than the command, and is an optional extra
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    horizons = list(dict.fromkeys(row.horizon_s for row in evaluation.rows))
    figure = Figure(figsize=(11.0, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for place, horizon_s in enumerate(horizons):
        rows = [row for row in evaluation.rows if row.horizon_s == horizon_s]
        shift = (place - 0.5 * (len(horizons) - 1)) * 0.8 / len(horizons)
        colour = f"C{place}"
        _bars(upper, rows, [row.ic for row in rows], shift, colour, ahead(horizon_s))
        _bars(lower, rows, [row.gross_bps for row in rows], shift, colour, ahead(horizon_s))
    for axes in (upper, lower):
        axes.axhline(0.0, color="0.5", linewidth=0.8)
    costs = [row.cost_bps for row in evaluation.rows if row.cost_bps is not None]
    if costs:
        lower.axhline(max(costs), color="C3", linestyle="--", linewidth=1.0, label="break-even")
    upper.set_ylabel("information coefficient")
    lower.set_ylabel("gain when followed, bps")
    lower.set_xticks(range(len(LAYERS)), LAYERS)
    upper.set_title(
        f"{' and '.join(evaluation.symbols)}, 95 % intervals; filled: evidence after correction"
    )
    for axes in (upper, lower):
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize="small", ncols=len(horizons) + 1)
    figure.savefig(path, format="png", metadata={"Software": None})


def _bars(
    axes: Any,
    rows: list[Row],
    intervals: list[Interval | None],
    shift: float,
    colour: str,
    label: str,
) -> None:
    """Draw one horizon's estimates with their intervals, one a layer."""
    for row, found in zip(rows, intervals, strict=True):
        if found is None:
            continue
        axes.errorbar(
            [LAYERS.index(row.layer) + shift],
            [found.mean],
            yerr=[[found.mean - found.low], [found.high - found.mean]],
            fmt="o",
            color=colour,
            capsize=3,
            markersize=6,
            markerfacecolor=colour if row.verdict != NONE else "white",
            label=label,
        )
        label = "_nolegend_"
