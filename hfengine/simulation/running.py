"""Runs one seed: engines one after the other on one world, faults, calm, flatten, judgement."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final

from msgspec import Struct

from hfengine.config import Profile, load
from hfengine.engine import Engine, Memory
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import Instrument
from hfengine.messages import Message, Resume
from hfengine.oversight import Keep
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.simulation.faults import CALM_MS, Fault, plan_of
from hfengine.simulation.happenings import Happenings
from hfengine.simulation.invariants import Checker, Violation
from hfengine.simulation.legs import LegLine
from hfengine.simulation.line import Line
from hfengine.simulation.profiles import VARIANTS, overrides_of
from hfengine.simulation.world import NS_A_MS, START_NS, Armed, Style, World
from hfengine.state.port import NullStore
from hfengine.surroundings import Surroundings, instruments_of

RESUME_MS: Final = CALM_MS + 3_000
END_MS: Final = RESUME_MS + 27_000
"""An order that the venue never got counts as such after 25 s of asking for it."""

STUCK_MS: Final = END_MS + 90_000
"""An engine that has not come to its end by then never will."""

KILLED_AGAIN_S: Final = 30.0
ENGINES_MAX: Final = 40
START_AGAIN_MS: Final = 500
LOST_KEEPS_MAX: Final = 3


class Killed(KeyboardInterrupt):
    """Ends an engine as a kill does; a loop lets nothing else out of a callback."""


class Outcome(Struct, frozen=True):
    """What one seed came to."""

    seed: int
    style: Style
    violations: list[Violation]
    counts: dict[str, int]
    trace: str
    engines: int
    entries: int
    signals: int
    refusals: dict[str, int]
    ours_ms: list[float]
    others_ms: list[float]
    raw_ms: list[float]
    plan: list[Fault]

    @property
    def repro(self) -> str:
        """The command that runs it again."""
        return f"hfengine sim --seeds 1 --first-seed {self.seed} --style {self.style}"


@lru_cache(maxsize=32)
def _profile(style: Style, variant: int) -> tuple[Profile, dict[str, Instrument]]:
    # the package's own, whatever the working directory calls by that name
    path = str(files("hfengine").joinpath("configs/paper.toml"))
    profile = load(path, environment={}, overrides=overrides_of(style, variant))
    return profile, instruments_of(profile)


class Run:
    """One seed under way."""

    def __init__(self, seed: int, style: Style, plan: Sequence[Fault] | None = None) -> None:
        self.seed = seed
        self.style: Style = style
        self._profile, instruments = _profile(style, seed % len(VARIANTS))
        symbols = self._profile.settings.symbols
        self.plan = plan_of(seed, symbols) if plan is None else list(plan)
        self.world = world = World(seed, style, instruments)
        self.checker = Checker(world, self._profile.settings)
        world.witness = self.checker
        self._happenings = Happenings(world)
        self._happenings.schedule(self.plan)
        self._memory: list[tuple[Keep, int]] = []
        """What is in the store, and since when its key had been lost before."""
        """Every body that was kept, oldest first: a crash may lose the newest few."""
        self._lost: dict[str, int] = {}
        """Key -> when the first body was lost that no later one of its key has made up for."""
        self._host: ActorHost | None = None
        self._engine: Engine | None = None
        self._is_over = False
        self._engines = 0
        world.at(START_NS + CALM_MS * NS_A_MS, world.calm)
        world.at(START_NS + RESUME_MS * NS_A_MS, self._resume)
        world.at(START_NS + END_MS * NS_A_MS, self._finish)
        world.at(START_NS + STUCK_MS * NS_A_MS, self._stuck)

    def run(self) -> Outcome:
        """Run engines until the end, then judge."""
        while not self._is_over and self._engines < ENGINES_MAX and not self.checker.violations:
            self._run_engine()
        if not self.checker.violations:
            if not self._is_over:
                self.checker.fail("I9", "the engine ended before it was told to")
            self.checker.check_end()
        checker = self.checker
        return Outcome(
            self.seed,
            self.style,
            checker.violations,
            dict(self.world.counts),
            checker.trace,
            self._engines,
            checker.published["OpenBracket"],
            checker.published["Entry"] + sum(checker.gates.values()),
            dict(checker.gates),
            checker.cover.ours_ms,
            checker.cover.others_ms,
            checker.cover.raw_ms,
            self.plan,
        )

    def _run_engine(self) -> None:
        world = self.world
        loop = VirtualLoop(world.clock)
        host = self._host = ActorHost(loop, world.clock)
        line_class = LegLine if self.style == "binance" else Line
        self._engines += 1
        line = world.line = line_class(world, loop, self._engines)
        self.checker.engine_begins(line)
        host.routes.tap(self._hear)
        recalled = {keep.key: keep.body for keep, _ in self._memory}
        surroundings = Surroundings(
            loop,
            world.clock,
            line,
            world.instruments,
            dialect="ticks",
            host=host,
            close=line.close,
            vitals=line.vitals,
        )
        memory = Memory(account="simulated", store=NullStore(), recalled=recalled)
        engine = self._engine = Engine(self._profile, surroundings, memory=memory)
        self._happenings.publish = engine.publish
        world.attach(loop)
        try:
            summary = engine.run()
        except Killed:
            self._died()
        except (VenueRejected, VenueUnavailable, VenueUnknown):
            # the venue was away when it came up: whoever watches the process starts it again
            self.checker.engine_ended()
            world.attach(None)
            world.line = None
            world.run_alone(world.now_ns + START_AGAIN_MS * NS_A_MS)
        except Exception as error:  # noqa: BLE001 - whatever it is, an engine must not raise it
            self.checker.fail("engine", f"the engine raised {error!r}")
        else:
            if not summary.flat:
                self.checker.fail("I4", f"flatten did not end flat: {summary.reason}")
            elif not self._is_over:
                self.checker.fail("engine", f"the engine ended by itself: {summary.reason}")
        finally:
            world.attach(None)
            world.line = self._engine = None
            self._happenings.publish = None

    def _died(self) -> None:
        """Let the time pass in which there is no engine; what was kept last may be lost."""
        world, happenings = self.world, self._happenings
        if self.checker.violations:
            return
        world.counts["crash"] += 1
        if world.draw.random() < 0.3:
            for _ in range(min(world.draw.randint(1, LOST_KEEPS_MAX), len(self._memory))):
                keep, since_ns = self._memory.pop()
                self._lost[keep.key] = min(since_ns, self._lost.get(keep.key, since_ns))
        self.checker.engine_died(self._lost)
        world.attach(None)
        world.line = None
        world.run_alone(world.now_ns + happenings.downtime_ms * NS_A_MS)

    def _hear(self, message: Message) -> None:
        line = self.world.line
        if line is None or line.dead:
            return
        self.checker.hear(message)
        happenings = self._happenings
        if isinstance(message, Keep):
            if self.world.now_ns >= happenings.store_lost_until_ns:
                since_ns = self._lost.pop(message.key, message.at_ns)
                self._memory.append((message, since_ns))
            else:
                self._lost.setdefault(message.key, message.at_ns)
        if self.checker.violations:
            self._kill(line)
        elif happenings.crash_in is not None:
            happenings.crash_in -= 1
            if happenings.crash_in < 0:
                happenings.crash_in = None
                self._kill(line)

    def _kill(self, line: Line) -> None:
        """Kill the engine at this message: nothing it does from now on reaches anybody."""
        line.kill()
        line.loop.call_soon(_kill_now)
        # where even the end of what was under way does not end
        line.loop.call_later(KILLED_AGAIN_S, _kill_now)

    def _resume(self) -> None:
        if self._engine is not None:
            self._engine.publish(Resume(self.world.now_ns, "all"))

    def _stuck(self) -> None:
        if self.world.line is not None and self._engine is not None:
            self.checker.fail("I9", "the engine did not end when it was told to")
            self._kill(self.world.line)

    def _finish(self) -> None:
        self.checker.check_alive(START_NS + RESUME_MS * NS_A_MS)
        self._is_over = True
        if self.seed % 2:
            # the first of its orders is refused: only the venue's word tells
            until_ns = self.world.now_ns + 5_000 * NS_A_MS
            self.world.armed.append(Armed("rate_429", "", 1, until_ns))
        if self._engine is not None:
            self._engine.stop("the simulation is over")


def _kill_now() -> None:
    raise Killed


def run_seed(seed: int, style: Style, plan: Sequence[Fault] | None = None) -> Outcome:
    """Run one seed in one style, with its own plan or with another one."""
    return Run(seed, style, plan).run()
