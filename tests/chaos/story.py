"""One venue, one engine and what happens to them: watching, judging, counting."""

import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hfengine.control.client import EngineGone, EngineRefused, EngineSilent, ask
from hfengine.state.lock import running
from tests.chaos.processes import Broken, EngineRun, Venue
from tests.chaos.truth import audit, standing, uncovered

LIMIT_S: Final = 5.0
"""The promise: in sync and protected within so long after a restart."""

GIVE_UP_S: Final = 25.0
"""So long a restart is watched, to know how late it was."""

POLL_S: Final = 0.05
LOOK_S: Final = 0.25
"""How often sync is asked for: it costs the engine something."""

END_MAX_S: Final = 60.0
FLAT_CODES: Final = (0, 4)
"""Exit codes of an end that is flat: 4 is flat after a halt."""


@dataclass
class Tally:
    """What stories of one kind came to."""

    counts: Counter[str] = field(default_factory=Counter)
    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Directories of the stories in which something was wrong."""

    def add(self, other: "Tally") -> None:
        """Take another's figures as well."""
        self.counts += other.counts
        for name, times in other.times_s.items():
            self.times_s[name] += times
        self.wrong += other.wrong
        self.kept += other.kept


class Story:
    """One account's life: everything random in it comes from its seed."""

    def __init__(self, folder: Path, dialect: str, seed: int, url: str = "") -> None:
        self.folder = folder
        self.dialect = dialect
        self.random = random.Random(seed)
        self.tally = Tally()
        self.venue = Venue(folder, dialect, seed)
        self._url = url
        self.engine = EngineRun(folder, dialect, url)

    def open(self, settings: Mapping[str, str] | None = None) -> None:
        """Start the venue; the engine's address is known then."""
        self.venue.start()
        self.engine.url = self._url or self.venue.http
        self.engine.settings = dict(settings or {})

    def close(self) -> None:
        """End what still runs."""
        self.engine.kill()
        self.venue.kill()

    def say(self, what: str) -> None:
        """Note something wrong."""
        wrong = f"{self.folder.name} start {self.engine.starts}: {what}"
        self.tally.wrong.append(wrong)
        with (self.folder / "violations.txt").open("a") as page:
            page.write(f"{wrong}\n")

    # watching

    def synced_s(self) -> float | None:
        """Return how long after its start the engine was in sync; None while it is not."""
        state = control_state(self.folder)
        if state is not None:
            ready = state["state"] == "trading" and state["risk"]["state"] != "not_in_sync"
            return time.monotonic() - self.engine.began_s if ready else None
        synced_ns = standing(self.folder, self.engine.began_ns).synced_ns
        return (synced_ns - self.engine.began_ns) / 1e9 if synced_ns else None

    def active_ns(self) -> int:
        """Return since when entries are taken, by the wall clock; 0 while they are not."""
        state = control_state(self.folder)
        if state is not None:
            return time.time_ns() if state["risk"]["state"] == "active" else 0
        return standing(self.folder, self.engine.began_ns).active_ns

    def watch_restart(self) -> bool:
        """Watch until the engine is in sync and every position is covered, and judge the time.

        False when it ended by itself or never came up.
        """
        began_s, synced, covered, look_s = self.engine.began_s, None, None, 0.0
        bare: list[str] = []
        while time.monotonic() - began_s < GIVE_UP_S:
            now_s = time.monotonic()
            if not self.engine.is_alive:
                self.ended_by_itself()
                return False
            if synced is None and now_s >= look_s:
                synced = self.synced_s()
                look_s = now_s + LOOK_S
            bare = uncovered(self.venue)
            covered = None if bare else covered or time.monotonic() - began_s
            if synced is not None and covered is not None:
                break
            time.sleep(POLL_S)
        for name, took_s in (("sync", synced), ("protected", covered)):
            if took_s is None:
                detail = f": {'; '.join(bare)}" if name == "protected" else ""
                self.say(f"not {name} within {GIVE_UP_S:g} s of the restart{detail}")
                continue
            self.tally.times_s[name].append(took_s)
            if took_s > LIMIT_S and self.engine.starts > 1:
                self.say(f"{name} only {took_s:.2f} s after the restart")
        return synced is not None

    def watch(self, seconds: float, until: Callable[[], bool] | None = None) -> bool:
        """Let time pass, or until something holds; note the longest time without cover.

        False when the engine ended by itself meanwhile.
        """
        began_s = bare_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            if not self.engine.is_alive:
                self.ended_by_itself()
                return False
            if not uncovered(self.venue):
                bare_s = time.monotonic()
            self.tally.times_s["uncovered"].append(time.monotonic() - bare_s)
            if time.monotonic() - bare_s > LIMIT_S:
                self.say(f"uncovered for {LIMIT_S:g} s while it ran: {uncovered(self.venue)}")
                bare_s = time.monotonic()
            if until is not None and until():
                return True
            time.sleep(POLL_S)
        return True

    def ended_by_itself(self) -> None:
        """Note that the engine ended though nobody asked it to."""
        code = self.engine.wait(0)
        reason = self.engine.summary().get("reason", "")
        self.say(f"ended by itself, code {code}: {reason or self.engine.last_words()}")

    # acts

    def start_trading(self, seconds: float = 20.0) -> bool:
        """Start the engine and wait until it has a position."""
        self.engine.start()
        return self.watch_restart() and self.watch(seconds, lambda: bool(self.venue.held()))

    def flatten(self, codes: tuple[int, ...] = (0,)) -> None:
        """End the engine as Ctrl-C does; nothing may be left and the code must say so."""
        if not self.engine.is_alive:
            return
        began_s = time.monotonic()
        self.engine.send(signal.SIGINT)
        code = self.engine.wait(END_MAX_S)
        self.tally.times_s["flatten"].append(time.monotonic() - began_s)
        summary = self.engine.summary()
        if code not in codes:
            reason = summary.get("reason", "") or self.engine.last_words()
            gap = summary.get("ledger_difference_usdt", 0)
            self.say(f"flatten ended with code {code} (ledger difference {gap}): {reason}")
        if "Traceback" in self.engine.last_words(100_000):
            self.say(f"traceback in {self.engine.output('err').name}")
        left = [f"{one['symbol']} {one['quantity']}" for one in self.venue.held()]
        left += [one["update"]["client_id"] or "order" for one in self.venue.open_orders()]
        if left:
            self.say(f"left behind after the flatten: {', '.join(left)}")

    def check_books(self) -> None:
        """Compare the venue's books with all journals."""
        counts, wrong = audit(self.venue, self.folder)
        self.tally.counts.update(counts)
        for one in wrong:
            self.say(one)


def control_state(folder: Path) -> dict[str, Any] | None:
    """Return what `status` says over the control socket; None where there is none that answers."""
    for instance in running(folder / "state"):
        if not (instance.alive and instance.facts.socket):
            continue
        try:
            return dict(ask(instance.facts.socket, "status", answer_max_s=1.0))
        except (EngineGone, EngineSilent, EngineRefused):
            return None
    return None


def told(folder: Path, act: Callable[[Story], None], story: Story) -> Tally:
    """Run one story to its end, whatever happens in it; its directory is kept if it went wrong."""
    try:
        act(story)
    except Broken as broken:
        story.say(str(broken))
    finally:
        story.close()
    story.tally.counts["stories"] += 1
    if story.tally.wrong:
        story.tally.kept.append(str(folder))
    return story.tally
