"""The kinds of chaos: what is done to whom, and what must be true afterwards."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.chaos.processes import ROOT, SLOW, Broken
from tests.chaos.story import FLAT_CODES, Story
from tests.redis_server import RedisServer, executable

EARLY_SHARE: Final = 0.2
AT_ORDER_SHARE: Final = 0.4
ORDER_MAX_S: Final = 8.0
START_WEIGHT: Final = 230
"""What a start on Binance and the readings after it cost of the address's minute."""

USED_MAX: Final = 1680 - 4 * START_WEIGHT
"""A kill needs room for four starts below what an engine uses of the 2400 a minute (rate_reserve):
without it the next start has to wait for the next minute, however good it is."""

ROOM_LOOK_S: Final = 1.0

SETTLE_S: Final = 20.0
WRITTEN_AGAIN_S: Final = 4.0
"""A Redis that is back is found and given everything current within so long."""

JOURNAL_LAG_S: Final = 1.5
"""What a journal says may be so old."""

RECOVERED_MAX_S: Final = 15.0
"""After the venue came back: CB4 wants five seconds of good market, a silent stream is noticed
after some more."""

SILENCE_MAX_S: Final = 45.0
"""A silent feed is noticed after 15 s and made anew 5 s later; CB4 and a signal come on top."""

GONE_END_MAX_S: Final = 75.0
"""Ten seconds until a local venue counts as gone (venues/absence.py), then the tries to go flat."""

FILE_BYTES_MAX: Final = 96 * 1024


def engine_kills(
    story: Story, kills: int, wait_max_s: float = 6.0, *, is_spaced: bool = True
) -> None:
    """Kill the engine again and again; each restart is judged, the books at the end."""
    story.open()
    story.engine.start()
    comes_up = story.watch_restart() and story.watch(20.0, lambda: bool(story.venue.held()))
    for _ in range(kills):
        if not comes_up:
            break
        # the last restart before the end is always judged
        wait_and_kill(story, wait_max_s, is_spaced=is_spaced)
        story.engine.start()
        if story.random.random() < EARLY_SHARE:
            time.sleep(story.random.uniform(0.05, 2.0))
            story.engine.kill()
            story.tally.counts["killed while starting"] += 1
            story.tally.counts["kills"] += 1
            story.engine.start()
        comes_up = story.watch_restart()
    story.flatten(FLAT_CODES if not comes_up else (0,))
    story.check_books()


def wait_and_kill(story: Story, wait_max_s: float, *, is_spaced: bool = True) -> None:
    """Kill at a random instant, or in the moment after an order has reached the venue."""
    is_at_order = story.random.random() < AT_ORDER_SHARE
    if not is_at_order:
        story.watch(story.random.uniform(0.2, wait_max_s))
    while is_spaced and story.venue.used_weight() > USED_MAX and story.watch(ROOM_LOOK_S):
        pass
    if is_at_order:
        known = len(story.venue.orders())
        deadline_s = time.monotonic() + min(ORDER_MAX_S, 2 * wait_max_s)
        while len(story.venue.orders()) == known and time.monotonic() < deadline_s:
            time.sleep(0.005)
        time.sleep(story.random.uniform(0.0, 0.05))
        story.tally.counts["killed at an order"] += 1
    story.engine.kill()
    story.tally.counts["kills"] += 1


def recovers(story: Story, what: str, order_max_s: float = SETTLE_S) -> None:
    """Wait until entries are taken again and an order comes, and judge how long it took."""
    began_s, began_ns, known = time.monotonic(), time.time_ns(), len(story.venue.orders())
    time.sleep(JOURNAL_LAG_S)
    if not story.watch(SETTLE_S, lambda: story.active_ns() != 0):
        return
    active_ns = story.active_ns()
    if not active_ns:
        story.say(f"no entries within {SETTLE_S:g} s after {what}")
    else:
        took_s = max(active_ns - began_ns, 0) / 1e9
        story.tally.times_s["recovered"].append(took_s)
        if took_s > RECOVERED_MAX_S:
            story.say(f"entries only {took_s:.2f} s after {what}")
    story.watch(order_max_s, lambda: len(story.venue.orders()) > known)
    if len(story.venue.orders()) == known:
        story.say(f"no order within {time.monotonic() - began_s:.0f} s after {what}")


def venue_killed(story: Story) -> None:
    """Kill the venue and start it again in time: the engine finds what it had."""
    story.open()
    if story.start_trading():
        story.venue.kill()
        story.tally.counts["kills"] += 1
        time.sleep(story.random.uniform(0.3, 4.0))
        story.venue.start()
        recovers(story, "the venue's restart")
    story.flatten()
    story.check_books()


def venue_gone(story: Story) -> None:
    """Kill the venue for good: the engine ends by itself and says why."""
    story.open()
    if story.start_trading():
        story.venue.kill()
        story.tally.counts["kills"] += 1
        began_s = time.monotonic()
        code = story.engine.wait(GONE_END_MAX_S)
        story.tally.times_s["ended after"].append(time.monotonic() - began_s)
        reason = str(story.engine.summary().get("reason", ""))
        words = reason + story.engine.last_words(100_000)
        if code != 3:
            story.say(f"the venue is gone and the engine ended with {code}: {words[-300:]}")
        elif "has not answered" not in words or "Traceback" in words:
            story.say(f"the venue is gone and the engine says: {words[-300:]}")


def venue_frozen(story: Story) -> None:
    """Hold the venue still: connections stand and nothing is answered."""
    story.open()
    if story.start_trading():
        story.venue.send(signal.SIGSTOP)
        try:
            time.sleep(story.random.uniform(2.0, 7.0))
        finally:
            story.venue.send(signal.SIGCONT)
        story.tally.counts["freezes"] += 1
        recovers(story, "the venue went on")
    story.flatten()
    story.check_books()


def half_open(story: Story) -> None:
    """Let every connection die silently; new ones are served."""
    story.venue.start()
    with proxy(story.venue.port) as (process, port):
        story.engine.url = f"http://127.0.0.1:{port}"
        if story.start_trading():
            for _ in range(2):
                process.send_signal(signal.SIGUSR1)
                story.tally.counts["freezes"] += 1
                story.watch(story.random.uniform(1.0, 4.0))
                recovers(story, "its connections died silently", SILENCE_MAX_S)
        story.flatten()
    story.check_books()


@contextmanager
def proxy(port: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Run the proxy in front of a port; yield it and where it listens."""
    command = [sys.executable, "-m", "tests.chaos.proxy", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise Broken("the proxy did not start")
            yield process, int(line)
        finally:
            process.kill()


def full_disk(story: Story) -> None:
    """Let no file grow beyond a size: entries stop, what is open stays protected and is closed."""
    story.open()
    story.engine.file_bytes_max = FILE_BYTES_MAX
    if story.start_trading():
        story.watch(90.0, lambda: largest(story.folder) >= FILE_BYTES_MAX)
        if largest(story.folder) < FILE_BYTES_MAX:
            story.say("the journal did not reach the limit: nothing was tried")
        story.watch(JOURNAL_LAG_S)
        known = {one["update"]["client_id"] for one in story.venue.orders()}
        story.watch(6.0)
        for report in story.venue.orders():
            update = report["update"]
            if update["client_id"] not in known and not update["reduce_only"]:
                story.say(f"an entry after the disk was full: {update['client_id']}")
    # flat after a halt; what could not be written is missing from the books by design
    story.flatten(FLAT_CODES)


def largest(folder: Path) -> int:
    """Return the size of the largest file of the journals, in bytes."""
    found = (path for path in (folder / "journals").rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in found]
    return max(sizes, default=0)


def slow_disk(story: Story) -> None:
    """Make every write to a file take up to half a second."""
    story.open({"CHAOS_SLOW_MS": "500", "CHAOS_SLOW_SEED": str(story.random.randrange(1000))})
    story.engine.module = SLOW
    if story.start_trading():
        story.watch(10.0)
        story.engine.kill()
        story.tally.counts["kills"] += 1
        story.engine.start()
        story.watch_restart()
    story.flatten(FLAT_CODES)
    story.check_books()


def redis_killed(story: Story) -> None:
    """Kill the Redis that keeps the state, start it again empty, then kill the engine too."""
    if executable() is None:
        story.tally.counts["skipped, no Redis here"] += 1
        return
    redis = RedisServer(story.folder)
    redis.begin()
    try:
        story.open({"HFENGINE_STATE__URL": redis.url})
        if story.start_trading():
            redis.kill()
            story.tally.counts["kills"] += 1
            story.watch(story.random.uniform(1.0, 5.0))
            redis.begin()
            story.watch(WRITTEN_AGAIN_S)
            wait_and_kill(story, WRITTEN_AGAIN_S)
            story.engine.start()
            story.watch_restart()
        story.flatten()
        story.check_books()
    finally:
        redis.kill()


KINDS: Final[dict[str, Callable[[Story], None]]] = {
    "venue-killed": venue_killed,
    "venue-gone": venue_gone,
    "venue-frozen": venue_frozen,
    "half-open": half_open,
    "full-disk": full_disk,
    "slow-disk": slow_disk,
    "redis-killed": redis_killed,
}
"""Besides `engine`, whose stories have many kills each."""
