"""What a run runs in: the exchange in this process, a local venue of its own, or a real one."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer
from msgspec import Struct

from hfengine.cli.durations import parse_speed
from hfengine.cli.local_process import local_venues
from hfengine.clock import WallClock
from hfengine.config import Profile
from hfengine.confirmation import check_confirmation
from hfengine.control.server import serving
from hfengine.credentials import read_keys
from hfengine.engine import Attachment, Memory
from hfengine.errors import ConfigError
from hfengine.feeds.build import build_feed
from hfengine.recovery import account_id, recover, told_until_ns
from hfengine.surroundings import Surroundings, paper

LIVE: Final = "live:"
PAPER_FEEDS: Final = ("", "synthetic")


class Options(Struct, frozen=True, kw_only=True):
    """How `run` was asked to run a profile."""

    recordings: Sequence[Path]
    feed: str
    speed: str
    duration_s: float | None
    json: bool
    confirm: str = ""


class Around(Struct, frozen=True):
    """The surroundings, and how many times faster than the wall they go; None is unpaced."""

    surroundings: Surroundings
    pace: float | None
    memory: Memory
    attachments: Sequence[Attachment]


@contextmanager
def surrounded(profile: Profile, options: Options) -> Iterator[Around]:
    """Yield the surroundings a profile asks for; local venues it started end afterwards.

    Raises ConfigError for options that do not fit the profile's mode.
    """
    settings = profile.settings
    if settings.mode == "paper":
        with _remembered(profile, account_id(settings, {}, profile.name)) as kept:
            surroundings, pace = _on_paper(profile, options)
            yield Around(surroundings, pace, *kept)
        return
    if options.speed:
        raise ConfigError([f"--speed: mode {settings.mode} runs in real time: leave it out"])
    if settings.mode != "local" and (options.recordings or options.feed):
        problem = f"--feed and --replay: the market of mode {settings.mode} is the exchange's own"
        raise ConfigError([problem])
    keys = read_keys(settings, os.environ, Path(".env"))
    check_confirmation(settings, keys, options.confirm)
    # sockets, ccxt and what they need: nothing that paper has to wait for
    from hfengine.live import live  # noqa: PLC0415

    played = "replay:" + ",".join(map(str, options.recordings)) if options.recordings else ""
    with local_venues(settings, feed=options.feed or played) as urls:
        account = account_id(settings, keys, url=" ".join(urls.values()))
        # a venue that was started here ends with this process, and what is open there with it
        leaves = not urls or any(
            url == settings.venue.url_of(name).rstrip("/") for name, url in urls.items()
        )
        with _remembered(profile, account, leaves=leaves) as kept:
            since_ns = told_until_ns(kept[0].recalled)
            yield Around(live(profile, urls=urls, keys=keys, since_ns=since_ns), 1.0, *kept)


@contextmanager
def _remembered(
    profile: Profile, account: str, *, leaves: bool = True
) -> Iterator[tuple[Memory, Sequence[Attachment]]]:
    """Hold an account: its lock, its state, its control socket."""
    recovery = recover(profile, account, WallClock(), leaves=leaves)
    for sentence in recovery.sentences:
        # said even if the venue is away: a store that was moved aside is not found again
        typer.echo(sentence, err=True)
    clean = False
    try:
        with serving(profile.settings, recovery.lock) as servers:
            yield recovery.memory, (*recovery.attachments, *servers)
        clean = True
    finally:
        recovery.close(clean=clean)


def _on_paper(profile: Profile, options: Options) -> tuple[Surroundings, float | None]:
    recordings = options.recordings
    name = options.feed or ("live" if profile.settings.venue.feed == "live" else "")
    if name == "live":
        name = LIVE + profile.settings.venue.catalogue
    if name.startswith(LIVE):
        if recordings or options.speed:
            raise ConfigError([f"--feed {name} runs in real time and without --replay or --speed"])
        from hfengine.paper_live import paper_live  # noqa: PLC0415 - as above
        from hfengine.venues.market import played_at  # noqa: PLC0415 - as above

        exchange, url = played_at(name.removeprefix(LIVE))
        return paper_live(profile, exchange, url=url), 1.0
    if name not in PAPER_FEEDS:
        known = "synthetic, live:bybit, live:binance, or --replay FILE"
        raise ConfigError([f"--feed {name}: on paper there are {known}"])
    pace = parse_speed(options.speed) if options.speed else (None if recordings else 1.0)
    if pace is None and options.duration_s is None and not recordings:
        problem = "--speed max on the endless synthetic market needs --duration, for example 60s"
        raise ConfigError([problem])
    feed = build_feed(profile.settings, recordings)
    return paper(profile, feed, speed=pace), pace
