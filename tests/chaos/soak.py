"""A long run, sampled: memory and open files must not grow."""

import os
import time
from pathlib import Path
from typing import Final

from tests.chaos.story import Story

SAMPLE_S: Final = 2.0
WARM_SHARE: Final = 0.3
"""The first part of a soak is warming up and is not judged."""

FILES_MAX_GROWTH: Final = 3.0
RSS_MAX_GROWTH: Final = 0.05
"""Of the first judged third's mean, by the last third's."""

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def rss_mb(pid: int) -> float:
    """Return a process's resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * PAGE_BYTES / 1e6


def files(pid: int) -> float:
    """Return how many descriptors a process has open."""
    return float(len(list(Path(f"/proc/{pid}/fd").iterdir())))


def slope(samples: list[tuple[float, float]]) -> float:
    """Return the least-squares slope of (seconds, figure), per hour."""
    count = len(samples)
    if count < 2:
        return 0.0
    mean_s = sum(at_s for at_s, _ in samples) / count
    mean = sum(figure for _, figure in samples) / count
    spread = sum((at_s - mean_s) ** 2 for at_s, _ in samples)
    joint = sum((at_s - mean_s) * (figure - mean) for at_s, figure in samples)
    return joint / spread * 3600 if spread else 0.0


def grown(samples: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the means of the first and the last third."""
    third = max(len(samples) // 3, 1)
    first, last = samples[:third], samples[-third:]
    return sum(f for _, f in first) / len(first), sum(f for _, f in last) / len(last)


def soak(story: Story, seconds: float) -> None:
    """Let an engine trade for a while and judge what it holds on to."""
    story.open()
    if not story.start_trading():
        return
    memory: list[tuple[float, float]] = []
    descriptors: list[tuple[float, float]] = []
    began_s = time.monotonic()
    pid = story.engine.pid
    while (at_s := time.monotonic() - began_s) < seconds:
        if not story.watch(SAMPLE_S):
            return
        if at_s >= seconds * WARM_SHARE:
            memory.append((at_s, rss_mb(pid)))
            descriptors.append((at_s, files(pid)))
    story.flatten()
    story.check_books()
    if not memory:
        story.say(f"a soak of {seconds:g} s is too short to judge")
        return
    first_mb, last_mb = grown(memory)
    first, last = grown(descriptors)
    figures = story.tally.times_s
    figures["rss_mb_end"].append(last_mb)
    figures["rss_mb_per_hour"].append(slope(memory))
    figures["files_per_hour"].append(slope(descriptors))
    if last_mb > first_mb * (1 + RSS_MAX_GROWTH):
        story.say(f"memory grew from {first_mb:.1f} to {last_mb:.1f} MB")
    if last > first + FILES_MAX_GROWTH:
        story.say(f"open files grew from {first:.1f} to {last:.1f}")
