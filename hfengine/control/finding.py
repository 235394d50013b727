"""Which running engine a command means: the one of a profile, or the only one there is."""

from collections.abc import Sequence

from msgspec import Struct

from hfengine.errors import ExitCode, HfengineError
from hfengine.state.lock import Facts, Instance


class Found(Struct, frozen=True):
    """The engine a command is for."""

    pid: int
    profile: str
    session: str
    socket: str


class NotRunning(HfengineError):
    """There is no engine to speak to.

    `alive`: there is one all the same, but without a control socket. `dead`: one ended without
    going flat.
    """

    exit_code = ExitCode.NOT_RUNNING

    def __init__(self, sentence: str, *, dead: bool = False, alive: bool = False) -> None:
        super().__init__(sentence)
        self.dead = dead
        self.alive = alive


class SeveralRunning(HfengineError):
    """More than one engine runs and none was named."""

    exit_code = ExitCode.USAGE

    def __init__(self, engines: Sequence[Found], profile: str) -> None:
        rows = [f"  {one.profile}  process {one.pid}  session {one.session}" for one in engines]
        which = f"with profile {profile} " if profile else ""
        advice = "stop all but one of them" if profile else "name one with --profile"
        super().__init__("\n".join([f"{len(engines)} engines run {which}here; {advice}:", *rows]))
        self.engines = tuple(engines)


def find(standing: Sequence[Instance], profile: str = "") -> Found:
    """Return the engine of a profile, or the only one alive where none is named.

    Raises NotRunning or SeveralRunning.
    """
    meant = [one for one in standing if not profile or one.facts.profile == profile]
    alive = [_found(one.facts) for one in meant if one.alive]
    if len(alive) > 1:
        raise SeveralRunning(alive, profile)
    if not alive:
        raise _none([one.facts for one in meant if not one.alive], profile, standing)
    (engine,) = alive
    if not engine.socket:
        sentence = (
            f"the engine of profile {engine.profile} (process {engine.pid}) runs with "
            f"control.enabled = false: end it with Ctrl-C or SIGTERM, it then goes flat"
        )
        raise NotRunning(sentence, alive=True)
    return engine


def _found(one: Facts) -> Found:
    return Found(one.pid, one.profile, one.session, one.socket)


def _none(dead: Sequence[Facts], profile: str, standing: Sequence[Instance]) -> NotRunning:
    which = f" with profile {profile}" if profile else ""
    others = sorted({one.facts.profile for one in standing if one.alive})
    sentence = f"no engine runs{which} here"
    if others:
        sentence += f" (there is {', '.join(others)})"
    if dead:
        last = max(dead, key=lambda one: one.started_ns)
        sentence += (
            f": session {last.session} (process {last.pid}) ended without going flat; start it "
            f"again with hfengine run --profile {last.profile}, or close what it left with "
            f"hfengine flatten --profile {last.profile}"
        )
    else:
        sentence += ": start one with hfengine run"
    return NotRunning(sentence, dead=bool(dead))
