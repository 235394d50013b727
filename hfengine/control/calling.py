"""From a command's `--profile` to the engine it means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hfengine.config import Profile, examine, load
from hfengine.control import client
from hfengine.control.client import EngineGone, Waiting, ask
from hfengine.control.finding import Found, NotRunning, find
from hfengine.settings import State
from hfengine.state.lock import running

DIRECTORY_VARIABLE = "HFENGINE_STATE__DIRECTORY"
ANY_PROFILE = "paper"
"""Looked at for where engines leave their locks when none is named."""


def named(
    profile: str, environment: Mapping[str, str], dotenv: Path, venue_url: str = ""
) -> Profile | None:
    """Return the profile a command names, None for ""; raises ConfigError for an unknown one."""
    if not profile:
        return None
    overrides = {"venue.url": venue_url or None}
    return load(profile, environment=environment, dotenv=dotenv, overrides=overrides)


def engine_of(profile: Profile | None, environment: Mapping[str, str], dotenv: Path) -> Found:
    """Return the running engine of a profile, or the only one; raises NotRunning or others."""
    if profile is not None:
        return find(running(Path(profile.settings.state.directory)), profile.name)
    any_ = examine(ANY_PROFILE, environment=environment, dotenv=dotenv).profile
    fallback = environment.get(DIRECTORY_VARIABLE, "") or State().directory
    return find(running(Path(any_.settings.state.directory if any_ else fallback)))


def call(
    engine: Found,
    command: str,
    argument: str = "",
    *,
    patient: bool = False,
    waiting: Waiting | None = None,
) -> Mapping[str, Any]:
    """Return what an engine answers; a `patient` call waits as long as the engine lives.

    Raises NotRunning when it has ended meanwhile, EngineSilent or EngineRefused.
    """
    try:
        if patient:
            return ask(engine.socket, command, argument, answer_max_s=None, waiting=waiting)
        return ask(engine.socket, command, argument, answer_max_s=client.ANSWER_MAX_S)
    except EngineGone as gone:
        sentence = (
            f"the engine of profile {engine.profile} (process {engine.pid}) is gone: {gone}; what "
            f"it left open is closed by hfengine flatten --profile {engine.profile}"
        )
        raise NotRunning(sentence, dead=True) from gone
