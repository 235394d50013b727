"""`hfengine doctor`: everything a profile needs to trade, checked one by one."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from hfengine.cli.local_process import STILL, local_venues
from hfengine.cli.streams import is_terminal
from hfengine.config import Profile, load
from hfengine.credentials import read_keys
from hfengine.errors import ConfigError, ExitCode, VenueUnavailable
from hfengine.instruments import load_catalogue
from hfengine.symbols import plain_symbol

if TYPE_CHECKING:
    from hfengine.doctor.finding import Finding
    from hfengine.venues.keys import ApiKeys

DOTENV: Final = Path(".env")
STYLES: Final = {"ok": "green", "warn": "bold yellow", "fail": "bold red"}
NAME_WIDTH: Final = 22


def doctor(
    profile: Annotated[
        str, typer.Option("--profile", "-p", help="A profile's name, or the path of a TOML file.")
    ],
    venue_url: Annotated[
        str,
        typer.Option(help="A local venue that runs already, http://HOST:PORT; else one starts."),
    ] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check build, machine, keys, account, symbols and venue of a profile; changes nothing.

    Example: hfengine doctor --profile bybit-local
    Example: hfengine doctor --profile bybit-demo --json

    Exit codes: 0 nothing failed; 1 a check failed; 2 a problem in profile or options.
    """
    loaded = load(
        profile,
        environment=os.environ,
        dotenv=DOTENV,
        overrides={"venue.url": venue_url or None},
    )
    findings: list[Finding] = []
    show = not json_
    for found in _examine(loaded, findings):
        if show:
            _print(found)
    counts = {
        status: sum(one.status == status for one in findings) for status in ("ok", "warn", "fail")
    }
    if json_:
        rows = [msgspec.to_builtins(one) for one in findings]
        report = {"profile": loaded.name, "findings": rows, **counts}
        typer.echo(msgspec.json.encode(report).decode())
    else:
        typer.echo(f"{counts['ok']} ok, {counts['warn']} to know about, {counts['fail']} failed")
    raise typer.Exit(ExitCode.FAILURE if counts["fail"] else ExitCode.OK)


def _examine(profile: Profile, findings: "list[Finding]") -> "Iterator[Finding]":
    """Yield each finding as it is made, and keep it."""
    for found in _all(profile):
        findings.append(found)
        yield found


def _all(profile: Profile) -> "Iterator[Finding]":
    from hfengine.doctor import machine  # noqa: PLC0415 - only this command needs it
    from hfengine.doctor.finding import fail, ok, warn  # noqa: PLC0415
    from hfengine.recovery import account_id  # noqa: PLC0415
    from hfengine.state.lock import running  # noqa: PLC0415

    settings = profile.settings
    yield machine.check_python()
    yield machine.check_build()
    for warning in profile.warnings:
        yield warn("profile", warning, "hfengine config check says more")
    if settings.journal.enabled:
        yield machine.check_disk("journal disk", Path(settings.journal.directory))
    yield machine.check_disk("state disk", Path(settings.state.directory))
    if settings.mode == "paper":
        yield from _on_paper(profile)
        return
    yield machine.check_cores(settings)
    try:
        keys = read_keys(settings, os.environ, DOTENV)
    except ConfigError as error:
        for problem in error.problems:
            yield fail("keys", problem, "then run the doctor again")
        return
    yield ok("keys", f"set for {', '.join(keys)}")
    try:
        with local_venues(settings, feed=STILL) as urls:
            account = account_id(settings, keys, url=" ".join(urls.values()))
            yield machine.check_store(settings, account)
            yield machine.check_lock(account, running(Path(settings.state.directory)))
            yield from _venues(profile, keys, urls)
    except VenueUnavailable as error:
        yield fail("venue", str(error), "see what it says, and try again")


def _on_paper(profile: Profile) -> "Iterator[Finding]":
    from hfengine.doctor.figures import check_figures  # noqa: PLC0415
    from hfengine.doctor.finding import ok  # noqa: PLC0415

    settings = profile.settings
    catalogue = load_catalogue(settings.venue.catalogue)
    yield ok("venue", f"in this process, by the {catalogue.venue} catalogue of {catalogue.as_of}")
    yield ok("keys", "none needed on paper")
    for listed in settings.symbols:
        instrument = catalogue.find(plain_symbol(listed))
        yield from check_figures(settings, listed, instrument, settings.venue.wallet_usdt)


def _venues(
    profile: Profile, keys: "Mapping[str, ApiKeys]", urls: Mapping[str, str]
) -> "Iterator[Finding]":
    """Yield the findings of each venue as they come in."""
    from hfengine.doctor.account import examined  # noqa: PLC0415 - brings ccxt

    async def of_venue(name: str) -> "AsyncIterator[Finding]":
        async with examined(profile.settings, name, keys[name], urls.get(name, "")) as venue:
            async for found in venue.findings():
                yield found

    with asyncio.Runner() as runner:
        for name in profile.settings.venue.names:
            coming = of_venue(name)
            try:
                while (found := runner.run(_next(coming))) is not None:
                    yield found
            finally:
                runner.run(_close(coming))


async def _next(coming: "AsyncIterator[Finding]") -> "Finding | None":
    return await anext(coming, None)


async def _close(coming: "AsyncIterator[Finding]") -> None:
    if hasattr(coming, "aclose"):
        await coming.aclose()


def _print(found: "Finding") -> None:
    text = Text()
    text.append(f"{found.status:<6}", style=STYLES[found.status])
    text.append(f"{found.name:<{NAME_WIDTH}} {found.found}")
    if found.advice:
        text.append(f": {found.advice}")
    width = None if is_terminal(sys.stdout) else 10_000
    Console(width=width, highlight=False).print(text)
