"""`hfengine halt`, `resume`, `flatten` and `stop`: what a person may tell a running engine."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from hfengine.cli.status import JsonOption, ProfileOption, breaker_text, held_text
from hfengine.config import Profile
from hfengine.control.calling import call, engine_of, named
from hfengine.control.client import EngineRefused, EngineSilent
from hfengine.control.finding import Found, NotRunning
from hfengine.credentials import read_keys
from hfengine.errors import ConfigError, ExitCode, VenueRejected, VenueUnavailable, VenueUnknown

DOTENV: Final = Path(".env")
ReasonOption = Annotated[
    str, typer.Option(help="Why; it goes into the journal.", show_default=False)
]
VENUE_ERRORS: Final = (VenueRejected, VenueUnavailable, VenueUnknown)


def halt(profile: ProfileOption = "", reason: ReasonOption = "", json_: JsonOption = False) -> None:
    """Take no entries from now on; positions stay, protected, and exits go on.

    It holds until `hfengine resume`, also over a restart.

    Example: hfengine halt --reason "news at 14:00"

    Exit codes: 0 halted; 1 the engine does not answer; 2 a problem in profile or options, or
    several run and none is named; 6 no engine runs.
    """
    told = call(_engine(profile), "halt", reason)
    if json_:
        _print_json(told)
        return
    typer.echo("halted: no entries until hfengine resume; positions stay protected")
    _print_standing(told)


def resume(
    source: Annotated[
        str, typer.Argument(help="Whose halt, or which breaker: as status shows it.")
    ] = "all",
    profile: ProfileOption = "",
    json_: JsonOption = False,
) -> None:
    """Clear one halt, or all of them, and say what was cleared and what still holds.

    Example: hfengine resume
    Example: hfengine resume drawdown --profile bybit-demo

    Exit codes: 0 nothing holds any more; 4 something still holds; 1 the engine does not answer;
    2 a problem in profile or options, an unknown source, or several run and none is named; 6 no
    engine runs.
    """
    told = call(_engine(profile), "resume", source)
    if json_:
        _print_json(told)
    else:
        cleared = [f"{name} ({why})" for name, why in told["cleared"].items()]
        cleared += told["cleared_breakers"]
        typer.echo(f"cleared: {', '.join(cleared) or 'nothing: none of it was in force'}")
        _print_standing(told)
    if told["halts"] or _tripped(told):
        raise typer.Exit(ExitCode.HALTED)


def flatten(
    profile: ProfileOption = "",
    reason: ReasonOption = "",
    venue_url: Annotated[
        str,
        typer.Option(help="The local venue a dead engine of mode local traded at.", metavar="URL"),
    ] = "",
    json_: JsonOption = False,
) -> None:
    """Cancel everything, close every position, and return when the venue says flat.

    The engine stays up, halted until `hfengine resume`. Where none runs, the venue of the profile
    is worked with directly, under the account's lock: so what a dead engine left open is closed.

    Example: hfengine flatten --reason "going home"
    Example: hfengine flatten --profile bybit-demo

    Exit codes: 0 flat, read back from the venue; 3 not flat, or not known to be; 2 a problem in
    profile, options or keys, or several run and none is named; 6 no engine runs and none is named.
    """
    wanted = named(profile, os.environ, DOTENV, venue_url)
    try:
        engine = engine_of(wanted, os.environ, DOTENV)
    except NotRunning as nobody:
        if wanted is None or nobody.alive:
            raise
        told = _unattended(wanted, nobody)
    else:
        told = _attended(engine, "flatten", reason)
    _end_flat(told, json_=json_)


def stop(profile: ProfileOption = "", reason: ReasonOption = "", json_: JsonOption = False) -> None:
    """End the run: close everything, read back flat, and let the engine exit.

    Example: hfengine stop
    Example: hfengine stop --profile bybit-demo --reason "end of the test"

    Exit codes: 0 flat and ended; 3 not flat, or not known to be; 2 a problem in profile or
    options, or several run and none is named; 6 no engine runs.
    """
    _end_flat(_attended(_engine(profile), "stop", reason), json_=json_)


def _engine(profile: str) -> Found:
    return engine_of(named(profile, os.environ, DOTENV), os.environ, DOTENV)


def _attended(engine: Found, command: str, reason: str) -> Mapping[str, Any]:
    """Return what the engine says once it is flat or gave up.

    An engine that ends or goes silent meanwhile leaves open whether it is flat: that is said, and
    counts as not flat.
    """

    def waiting(seconds: float) -> None:
        typer.echo(f"{seconds:.0f} s: {_progress(engine)}", err=True)

    try:
        return call(engine, command, reason, patient=True, waiting=waiting)
    except NotRunning as gone:
        detail = f"whether it is flat is not known: {gone}"
    except EngineSilent as silent:
        detail = f"whether it is flat is not known: {silent}"
    return {"profile": engine.profile, "session": engine.session, "flat": False, "detail": detail}


def _progress(engine: Found) -> str:
    """Return what is still open, asked over a connection of its own."""
    try:
        told = call(engine, "status")
    except (NotRunning, EngineSilent, EngineRefused) as error:
        return str(error)
    held = ", ".join(map(held_text, told["positions"]))
    return f"{told['state']}, open: {held or 'nothing heard of'}"


def _unattended(profile: Profile, nobody: NotRunning) -> Mapping[str, Any]:
    """Flatten at the venue itself; raises ConfigError where there is no venue to go to."""
    if profile.settings.mode == "paper":
        sentence = (
            f"{nobody}. There is nothing to flatten: mode paper holds its positions in the "
            f"engine's own process, and they ended with it"
        )
        raise NotRunning(sentence, dead=nobody.dead)
    from hfengine.control.unattended import flatten_unattended, guarded  # noqa: PLC0415
    from hfengine.recovery import account_id  # noqa: PLC0415

    urls = _local_urls(profile)
    keys = read_keys(profile.settings, os.environ, DOTENV)
    typer.echo(f"{nobody}", err=True)
    typer.echo(f"closing directly at {', '.join(profile.settings.venue.names)}", err=True)
    account = account_id(profile.settings, keys, url=" ".join(urls.values()))
    with guarded(profile, account):
        try:
            return flatten_unattended(profile, urls=urls, keys=keys, tell=_tell)
        except VENUE_ERRORS as error:
            detail = f"the venue cannot be worked with: {error}; use the exchange's own site"
    return {"profile": profile.name, "session": "", "flat": False, "detail": detail}


def _local_urls(profile: Profile) -> dict[str, str]:
    """Return the addresses of local venues; raises ConfigError where one is not told."""
    settings = profile.settings
    if settings.mode != "local":
        return {}
    urls = {name: settings.venue.url_of(name).rstrip("/") for name in settings.venue.names}
    missing = [name for name, url in urls.items() if not url]
    if missing:
        problem = (
            f"mode local, and no address of {', '.join(missing)}: a venue that the engine started "
            f"itself ended with it; of one that still runs give --venue-url http://HOST:PORT"
        )
        raise ConfigError([problem])
    return urls


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def _end_flat(told: Mapping[str, Any], *, json_: bool) -> None:
    """Say whether the account is flat, and exit accordingly."""
    if json_:
        _print_json(told)
    elif told["flat"]:
        typer.echo("flat: read back from the venue")
    else:
        typer.echo(f"NOT FLAT: {told['detail']}", err=True)
    if not json_:
        _print_unwritten(told)
    raise typer.Exit(ExitCode.OK if told["flat"] else ExitCode.NOT_FLAT)


def _print_standing(told: Mapping[str, Any]) -> None:
    halts: Iterable[str] = [f"{source}: {why}" for source, why in told["halts"].items()]
    for line in halts:
        typer.echo(f"holds: {line}")
    for breaker in _tripped(told):
        typer.echo(f"holds: breaker {breaker_text(breaker)}")
    typer.echo(f"risk {told['risk']['state']}")
    _print_unwritten(told)


def _print_unwritten(told: Mapping[str, Any]) -> None:
    """Say why what is in force could be lost by a crash, if it could."""
    if why := told.get("unwritten"):
        typer.echo(f"in force, but not yet on disk: {why}", err=True)


def _tripped(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in told["breakers"] if one["state"] == "tripped"]


def _print_json(told: Mapping[str, Any]) -> None:
    typer.echo(msgspec.json.encode(told).decode())
