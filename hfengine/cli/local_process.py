"""Local venues as child processes of a command: started, waited for, ended with it.

A child has a session of its own, so that Ctrl-C reaches the engine first and the venue is there
until the engine is flat; on Linux it also ends when its parent is killed.
"""

import contextlib
import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Final

import msgspec

from hfengine.errors import ConfigError, VenueUnavailable
from hfengine.instruments import load_catalogue
from hfengine.settings import Settings

READY_MAX_S: Final = 30.0
END_MAX_S: Final = 5.0
LAST_WORDS: Final = 400
STILL: Final = "still"
"""The feed of a venue whose prices do not move by themselves."""
INVENTED: Final = re.compile(r"X(\d{3})USDT")
"""What `hfengine venue --listings` calls the symbols it invents."""
CHILD: Final = "hfengine.cli.local_child"


class Ready(msgspec.Struct, frozen=True):
    """What `hfengine venue --json` says once it serves; more keys are left alone."""

    ready: bool
    http: str


@contextlib.contextmanager
def local_venues(settings: Settings, *, feed: str = "") -> Iterator[dict[str, str]]:
    """Yield venue -> address of its local venue, starting those the profile has no URL of.

    What was started is ended at the end, also after an error. Outside mode local nothing is
    started. `feed` replaces the profile's (`still`, `replay:FILE`, ...). Raises VenueUnavailable,
    with the child's last words, when one does not come up.
    """
    with contextlib.ExitStack() as stack:
        urls = {}
        for name in settings.venue.names if settings.mode == "local" else ():
            urls[name] = settings.venue.url_of(name).rstrip("/")
            if not urls[name]:
                urls[name] = stack.enter_context(local_venue(venue_options(settings, name, feed)))
        yield urls


def venue_options(settings: Settings, name: str, feed: str = "") -> list[str]:
    """Return the options of `hfengine venue` that serve one venue of a profile.

    Raises ConfigError where the profile's feed plays a recording and none is named.
    """
    if not feed and settings.venue.feed == "replay":
        problem = 'venue.feed is "replay" but no recording was named: add --replay FILE'
        raise ConfigError([problem])
    chosen = feed or settings.venue.feed
    symbols, listings = _served(settings, name)
    return [
        *("--dialect", name),
        *("--port", "0"),
        *("--seed", str(settings.seed)),
        *("--wallet-usdt", f"{settings.venue.wallet_usdt:.8f}"),
        *("--feed", f"live:{name}" if chosen == "live" else chosen),
        # a market that stands still costs nothing: then all symbols are there to be looked at
        *(("--symbols", ",".join(symbols)) if symbols and chosen != STILL else ()),
        *(("--listings", str(listings)) if listings else ()),
        "--json",
    ]


def _served(settings: Settings, name: str) -> tuple[list[str], int]:
    """Return a profile's symbols of the venue's catalogue, and how many to invent beside them."""
    catalogue = settings.venue.catalogue_of(name)
    known = load_catalogue(catalogue).instruments if catalogue else ()
    listed = {instrument.symbol for instrument in known}
    symbols = settings.symbols_at(name)
    invented = [int(match[1]) for one in symbols if (match := INVENTED.fullmatch(one))]
    return [one for one in symbols if one in listed], max(invented, default=0)


@contextlib.contextmanager
def local_venue(options: Sequence[str]) -> Iterator[str]:
    """Run `hfengine venue` with these options; yield its http address, end it afterwards."""
    command = [sys.executable, "-m", CHILD, str(os.getpid()), "venue", *options]
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(  # noqa: S603 - this interpreter, this module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,
        ) as child,
    ):
        try:
            yield _address(child, words)
        finally:
            _end(child)


def _address(child: "subprocess.Popen[bytes]", words: IO[bytes]) -> str:
    """Wait for the ready line; raises VenueUnavailable when none comes."""
    assert child.stdout is not None
    said = b""
    while not said.endswith(b"\n"):
        readable, _, _ = select.select([child.stdout], [], [], READY_MAX_S)
        piece = os.read(child.stdout.fileno(), 65_536) if readable else b""
        if not piece:
            _end(child)
            words.seek(0)
            reason = words.read().decode(errors="replace").strip()[-LAST_WORDS:]
            msg = f"the local venue did not start: {reason or 'it said nothing'}"
            raise VenueUnavailable(msg)
        said += piece
    try:
        return msgspec.json.decode(said.splitlines()[-1], type=Ready).http.rstrip("/")
    except msgspec.DecodeError as error:
        msg = f"the local venue did not say where it serves: {error}"
        raise VenueUnavailable(msg) from error


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(END_MAX_S)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()
