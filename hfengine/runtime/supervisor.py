"""What happens when an actor dies: everybody who must know hears it, then it may be restarted."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hfengine.clock import Clock
from hfengine.limits import RESTART_WINDOW_NS, RESTARTS_MAX
from hfengine.runtime.ids import ActorIds, short_name
from hfengine.runtime.outcome import Outcome
from hfengine.runtime.ref import LoopRef

logger = logging.getLogger(__name__)

DEATHS_KEPT = 64
"""Newest deaths, orphaned outcomes and listener failures kept for whoever asks."""

Restart = Callable[[], LoopRef[Any]]
DeathListener = Callable[[str, BaseException, int], None]
RestartListener = Callable[[LoopRef[Any], LoopRef[Any]], None]


class Death(msgspec.Struct, frozen=True):
    """One actor's end by an error. `backlog` counts messages it had not handled."""

    name: str
    error: BaseException
    at_ns: int
    backlog: int = 0


class Orphan(msgspec.Struct, frozen=True):
    """The outcome of I/O whose actor had stopped by the time it was done."""

    name: str
    outcome: Outcome
    at_ns: int


@dataclass(slots=True)
class _RestartPlan:
    """How one actor is restarted, and when it was."""

    restart: Restart
    restarts_max: int
    window_ns: int
    at_ns: deque[int] = field(default_factory=deque)

    def spent(self, now_ns: int) -> bool:
        """Return whether the limit within the window has been reached."""
        while self.at_ns and now_ns - self.at_ns[0] >= self.window_ns:
            self.at_ns.popleft()
        return len(self.at_ns) >= self.restarts_max


class Supervisor:
    """Hears every death of one system. A plain object: all calls come on the loop's thread.

    The newest deaths, orphaned outcomes and failures of its own listeners are kept for whoever
    asks; `died_count` and `orphaned_count` count all of them. `restarts` False ends all restarting.
    """

    def __init__(self, clock: Clock, ids: ActorIds) -> None:
        self._clock = clock
        self._ids = ids
        self._plans: dict[str, _RestartPlan] = {}
        self._death_listeners: list[DeathListener] = []
        self._restart_listeners: list[RestartListener] = []
        self.deaths: deque[Death] = deque(maxlen=DEATHS_KEPT)
        self.orphans: deque[Orphan] = deque(maxlen=DEATHS_KEPT)
        self.listener_errors: deque[Exception] = deque(maxlen=DEATHS_KEPT)
        self.died_count = 0
        self.orphaned_count = 0
        self.restarts = True

    def on_death(self, listener: DeathListener) -> None:
        """Call `listener(name, error, at_ns)` at every death, before any restart."""
        self._death_listeners.append(listener)

    def on_restart(self, listener: RestartListener) -> None:
        """Call `listener(dead, alive)` after every restart, before the new actor's first turn."""
        self._restart_listeners.append(listener)

    def restart_with(
        self,
        ref: LoopRef[Any],
        restart: Restart,
        *,
        restarts_max: int = RESTARTS_MAX,
        window_ns: int = RESTART_WINDOW_NS,
    ) -> None:
        """Restart this actor by calling `restart`, at most `restarts_max` times per window.

        The actor that `restart` starts first takes over the name. What `restart` raises is a death
        of the same name, after which there is no further restart.
        """
        self._plans[ref.actor_urn] = _RestartPlan(restart, restarts_max, window_ns)

    def died(self, ref: LoopRef[Any], error: BaseException, backlog: int = 0) -> None:
        """Record and tell a death, then restart the actor if its plan allows."""
        self._tell_death(ref, error, backlog)
        plan = self._plans.get(ref.actor_urn)
        if plan is None or not self.restarts or not isinstance(error, Exception):
            return
        now_ns = self._clock.now_ns()
        if plan.spent(now_ns):
            logger.error("%s stays down: restart limit reached", short_name(ref.actor_urn))
            return
        plan.at_ns.append(now_ns)
        try:
            with self._ids.reusing(ref.actor_urn):
                alive = plan.restart()
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is this actor's death
            del self._plans[ref.actor_urn]
            self._tell_death(ref, failure, 0)
            return
        for listener in self._restart_listeners:
            self._guard(listener, ref, alive)

    def orphaned(self, ref: LoopRef[Any], outcome: Outcome) -> None:
        """Record the outcome of I/O that no living actor waits for."""
        self.orphaned_count += 1
        name = short_name(ref.actor_urn)
        self.orphans.append(Orphan(name, outcome, self._clock.now_ns()))
        if outcome.error is not None and not outcome.cancelled:
            logger.error("I/O of stopped %s failed (%r)", name, outcome.tag, exc_info=outcome.error)

    def _tell_death(self, ref: LoopRef[Any], error: BaseException, backlog: int) -> None:
        name = short_name(ref.actor_urn)
        at_ns = self._clock.now_ns()
        self.died_count += 1
        self.deaths.append(Death(name, error, at_ns, backlog))
        logger.error("%s died with %d messages unhandled: %r", name, backlog, error)
        for listener in self._death_listeners:
            self._guard(listener, name, error, at_ns)

    def _guard(self, listener: Callable[..., None], *arguments: object) -> None:
        # One listener's failure must not keep a death from the others, nor end the loop.
        try:
            listener(*arguments)
        except Exception as error:
            self.listener_errors.append(error)
            logger.exception("a listener of the supervisor failed")
