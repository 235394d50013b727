"""`python -m tests.chaos.run --kills 200`: real kills, judged; exit code 1 on a violation."""

import argparse
import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.chaos.kinds import KINDS, engine_kills
from tests.chaos.soak import soak
from tests.chaos.story import Story, Tally, told

DIALECTS: Final = ("bybit", "binance")
ENGINE, SOAK = "engine", "soak"
KILLS_A_STORY: Final = 10
WRONG_SHOWN: Final = 20


class Plan(NamedTuple):
    """One story to come."""

    kind: str
    dialect: str
    seed: int
    act: Callable[[Story], None]


def plans(asked: argparse.Namespace) -> Iterator[Plan]:
    """Yield the stories of a run: engine kills by turns of the dialects, then each other kind."""
    seeds = itertools.count(asked.seed)
    dialects = itertools.cycle(asked.dialects)
    if ENGINE in asked.kinds:
        left = asked.kills
        while left > 0:
            kills = min(KILLS_A_STORY, left)
            left -= kills
            yield Plan(ENGINE, next(dialects), next(seeds), partial(engine_kills, kills=kills))
    for kind, act in KINDS.items():
        if kind in asked.kinds:
            for dialect in asked.dialects:
                yield Plan(kind, dialect, next(seeds), act)
    if asked.soak:
        for dialect in asked.dialects:
            yield Plan(SOAK, dialect, next(seeds), partial(soak, seconds=asked.soak))


def tell(plan: Plan, parent: Path, *, quiet: bool) -> tuple[str, Tally]:
    """Run one story in a directory of its own; one that went well is removed."""
    folder = parent / f"{plan.kind}-{plan.dialect}-seed{plan.seed}"
    folder.mkdir()
    tally = told(folder, plan.act, Story(folder, plan.dialect, plan.seed))
    if not tally.wrong:
        shutil.rmtree(folder)
    if not quiet:
        verdict = f"{len(tally.wrong)} violations" if tally.wrong else "ok"
        print(f"  {folder.name}: {verdict}", file=sys.stderr, flush=True)
    return plan.kind, tally


def percentile(times: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of some figures."""
    ordered = sorted(times)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def report(tallies: dict[str, Tally]) -> dict[str, Any]:
    """Return what there is to say of every kind."""
    return {
        kind: {
            "counts": dict(tally.counts),
            "figures": {
                name: {
                    "count": len(times),
                    "p50": round(percentile(times, 0.5), 3),
                    "p99": round(percentile(times, 0.99), 3),
                    "worst": round(max(times), 3),
                }
                for name, times in tally.times_s.items()
                if times
            },
            "violations": tally.wrong,
            "kept": tally.kept,
        }
        for kind, tally in tallies.items()
    }


def lines(said: dict[str, Any]) -> Iterator[str]:
    """Yield the report as text, one line a kind, then what went wrong."""
    for kind, one in said.items():
        counts = ", ".join(f"{count} {name}" for name, count in one["counts"].items())
        figures = "; ".join(
            f"{name} p50 {figure['p50']:g} p99 {figure['p99']:g} worst {figure['worst']:g}"
            for name, figure in one["figures"].items()
        )
        yield f"{kind}: {counts}; {figures}; {len(one['violations'])} violations"
    for kind, one in said.items():
        for wrong in one["violations"][:WRONG_SHOWN]:
            yield f"VIOLATION {kind}: {wrong}"
        if more := len(one["violations"]) - WRONG_SHOWN:
            yield from [f"VIOLATION {kind}: and {more} more"] if more > 0 else []
        for folder in one["kept"]:
            yield f"kept: {folder}"


def seconds(text: str) -> float:
    """Read 600, 600s or 10m."""
    unit = {"s": 1.0, "m": 60.0}.get(text[-1:], 0.0)
    return float(text[:-1]) * unit if unit else float(text)


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 when nothing went wrong."""
    known = (ENGINE, *KINDS)
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="kill -9 of the engine")
    parser.add_argument("--seed", type=int, default=1, help="first seed; a story takes one")
    parser.add_argument("--kinds", default=",".join(known), help="with commas between")
    parser.add_argument("--dialects", default=",".join(DIALECTS), help="with commas between")
    parser.add_argument("--lanes", type=int, default=2, help="stories side by side")
    parser.add_argument("--soak", type=seconds, default=0.0, help="also run so long: 600s")
    parser.add_argument("--keep", type=Path, help="directory of stories that went wrong")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args(words)
    asked.kinds = [one for one in asked.kinds.split(",") if one]
    asked.dialects = asked.dialects.split(",")
    if unknown := {*asked.kinds, *asked.dialects} - {*known, *DIALECTS}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    parent = asked.keep or Path(tempfile.mkdtemp(prefix="hfengine-chaos-"))
    parent.mkdir(parents=True, exist_ok=True)
    tallies: dict[str, Tally] = {}
    with ThreadPoolExecutor(asked.lanes) as lanes:
        for kind, tally in lanes.map(partial(tell, parent=parent, quiet=asked.json), plans(asked)):
            tallies.setdefault(kind, Tally()).add(tally)
    said = report(tallies)
    print(json.dumps(said) if asked.json else "\n".join(lines(said)))
    return int(any(one["violations"] for one in said.values()))


if __name__ == "__main__":
    sys.exit(main())
