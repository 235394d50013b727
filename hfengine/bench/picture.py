"""The stage histograms as a picture."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

Buckets = Sequence[tuple[int, int]]

NOT_INSTALLED = "no picture: matplotlib is not installed (python -m pip install 'hfengine[plot]')"
BINS_A_DECADE = 24


def can_draw() -> bool:
    """Tell whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(stages: Mapping[str, Buckets], path: Path, title: str) -> None:
    """Write a PNG with one panel a stage: share of the stamps over latency, both in log bins.

    `stages` gives (lower bound in ns, count) of each bucket; empty stages are left out. Raises
    ImportError without matplotlib, ValueError when every stage is empty.
    """
    # hundreds of milliseconds to import, and only here
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = {name: buckets for name, buckets in stages.items() if buckets}
    if not shown:
        raise ValueError("nothing was measured, so there is nothing to draw")
    figure = Figure(figsize=(9.0, 1.5 * len(shown) + 1.0), layout="constrained")
    FigureCanvasAgg(figure)
    low_ns = min(buckets[0][0] for buckets in shown.values())
    high_ns = max(buckets[-1][0] for buckets in shown.values())
    edges = log_edges(max(low_ns, 1), max(high_ns, 2))
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, buckets) in zip(axes, shown.items(), strict=True):
        counts = [count for _, count in buckets]
        axis.hist(
            [max(lower, 1) / 1000 for lower, _ in buckets],
            bins=[edge / 1000 for edge in edges],
            weights=[count / sum(counts) for count in counts],
        )
        axis.set_xscale("log")
        axis.set_ylabel(f"{name}\nshare")
    axes[-1].set_xlabel("latency, µs")
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, format="png", dpi=120)


def log_edges(low_ns: int, high_ns: int) -> list[float]:
    """Return bin edges from below `low_ns` to above `high_ns`, evenly apart in the logarithm."""
    factor = 10.0 ** (1.0 / BINS_A_DECADE)
    edges = [low_ns / factor]
    while edges[-1] <= high_ns:
        edges.append(edges[-1] * factor)
    return edges
