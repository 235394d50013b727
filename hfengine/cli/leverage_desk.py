"""Reading and setting leverage at the venues of a profile, several symbols at a time."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from hfengine.clock import WallClock
from hfengine.config import Profile
from hfengine.credentials import read_keys
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import Instrument
from hfengine.leverage_audit import AuditRow, SetRow, audit_row, change_of
from hfengine.requests import LeverageSetting
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed
from hfengine.settings import Settings
from hfengine.symbols import at_venue, plain_symbol

if TYPE_CHECKING:
    from hfengine.venues.live_venue import LiveVenue

IN_FLIGHT_MAX: Final = 16
"""Requests at a time to one venue; the venue's own limiter paces them."""
LOOKED_AT_ALL_THE_SAME: Final = frozenset(
    {"unknown_symbol", "position_mode_mismatch", "multi_assets"}
)
"""Reasons for which a venue cannot be traded but its leverage can be read."""
VENUE_ERRORS: Final = (VenueRejected, VenueUnavailable, VenueUnknown)
T = TypeVar("T")


class Target(Struct, frozen=True):
    """One symbol at one venue, and the leverage wanted for it."""

    symbol: str
    exchange: str
    wanted: int


class Progress:
    """Hears how far the work is; this one shows nothing."""

    def total(self, count: int) -> None:
        """Say how many symbols there are."""

    def advance(self) -> None:
        """Say that one more is done."""

    def trouble(self, exchange: str, symbol: str, reason: str) -> None:
        """Say why a symbol could not be read or set."""


class Desk:
    """The open venues of a profile."""

    def __init__(
        self, settings: Settings, venues: "Mapping[str, LiveVenue]", progress: Progress
    ) -> None:
        self._settings = settings
        self._venues = venues
        self._progress = progress
        self._known: dict[str, Mapping[str, Instrument]] = {}
        self._gates = {name: asyncio.Semaphore(IN_FLIGHT_MAX) for name in venues}

    async def prepare(self) -> None:
        """Read what the venues list and how their accounts are set up.

        An account that cannot be traded as the profile wants it can still be looked at: that is
        told as a trouble. Raises VenueRejected, VenueUnknown or VenueUnavailable otherwise.
        """
        outcomes = await asyncio.gather(*map(self._prepare, self._venues), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _prepare(self, name: str) -> None:
        venue = self._venues[name]
        try:
            await venue.prepare()
        except VenueRejected as error:
            if error.reason not in LOOKED_AT_ALL_THE_SAME:
                raise
            said = str(error)
            if error.reason == "position_mode_mismatch":
                # the venue's sentence advises on a run; here nothing was to be set
                said = f"is not in {self._settings.venue.position_mode} mode, as the profile wants"
            self._progress.trouble(name, "the account", said)
            self._known[name] = await venue.all_instruments()
        else:
            self._known[name] = venue.instruments

    def targets(self, listed: Sequence[str] = ()) -> list[Target]:
        """Return the profile's symbols, or those of them that are listed."""
        settings = self._settings
        return [
            Target(plain_symbol(name), settings.venue_of(name), settings.leverage.of(name))
            for name in listed or settings.symbols
        ]

    async def instruments(self) -> dict[str, dict[str, Instrument]]:
        """Read every linear perpetual of every venue."""
        tables = await asyncio.gather(*(venue.all_instruments() for venue in self._venues.values()))
        return dict(zip(self._venues, tables, strict=True))

    async def audit(self, *, all_symbols: bool) -> list[AuditRow]:
        """Read the leverage of the profile's symbols, or of all; sets nothing."""
        known: Mapping[str, Mapping[str, Instrument]]
        if all_symbols:
            known = await self.instruments()
            wanted_of = self._settings.leverage.of
            targets = [
                Target(symbol, name, wanted_of(at_venue(symbol, name)))
                for name, table in known.items()
                for symbol in table
            ]
        else:
            known = self._known
            targets = self.targets()

        async def read(target: Target) -> AuditRow:
            setting = await self._setting(target)
            return audit_row(
                target.symbol,
                target.exchange,
                self._settings.leverage,
                target.wanted,
                known[target.exchange].get(target.symbol),
                setting,
            )

        return await self._each(targets, read)

    async def set(self, listed: Sequence[str], *, dry_run: bool) -> list[SetRow]:
        """Set margin mode and leverage where they differ, and read both back."""

        async def change(target: Target) -> SetRow:
            instrument = self._known[target.exchange].get(target.symbol)
            return await self._set_one(target, instrument, dry_run=dry_run)

        return await self._each(self.targets(listed), change)

    async def _set_one(
        self, target: Target, instrument: Instrument | None, *, dry_run: bool
    ) -> SetRow:
        venue, mode = self._venues[target.exchange], self._settings.leverage.margin_mode
        before = after = await self._setting(target)
        reason, refused = "" if before else "its leverage cannot be read", False
        offered = instrument is not None and target.wanted <= instrument.max_leverage
        if instrument is None:
            reason = "the venue does not list it"
        elif before and offered and not dry_run and not _matches(before, target.wanted, mode):
            try:
                if before.margin_mode != mode:
                    await venue.set_margin_mode(target.symbol, mode)
                # a change of margin mode may bring another leverage with it
                await venue.set_leverage(target.symbol, target.wanted)
            except VENUE_ERRORS as error:
                reason, refused = str(error), True
            after = await self._setting(target)
        return SetRow(
            symbol=target.symbol,
            exchange=target.exchange,
            wanted=target.wanted,
            before=before.leverage if before else None,
            after=after.leverage if after else None,
            margin_mode=after.margin_mode if after else None,
            status=change_of(
                mode, target.wanted, instrument, before, after, dry_run=dry_run, refused=refused
            ),
            reason=reason,
        )

    async def _setting(self, target: Target) -> LeverageSetting | None:
        """Read one symbol; None, with the reason told, when that fails."""
        try:
            return await self._venues[target.exchange].leverage_of(target.symbol)
        except VENUE_ERRORS as error:
            self._progress.trouble(target.exchange, target.symbol, str(error))
            return None

    async def _each(
        self, targets: Sequence[Target], work: Callable[[Target], Awaitable[T]]
    ) -> list[T]:
        self._progress.total(len(targets))

        async def one(target: Target) -> T:
            async with self._gates[target.exchange]:
                done = await work(target)
            self._progress.advance()
            return done

        return list(await asyncio.gather(*map(one, targets)))


def _matches(setting: LeverageSetting, wanted: int, margin_mode: str) -> bool:
    return setting.leverage == wanted and setting.margin_mode == margin_mode


@asynccontextmanager
async def open_desk(
    profile: Profile,
    urls: Mapping[str, str],
    progress: Progress,
    *,
    set_modes: bool,
) -> AsyncIterator[Desk]:
    """Open the venues of a profile without starting their streams; close them at the end.

    Unless `set_modes`, nothing is changed at the venue. Raises ConfigError for missing keys,
    VenueUnavailable or VenueRejected when a venue cannot be asked.
    """
    settings = profile.settings
    keys = read_keys(settings, os.environ, Path(".env"))
    clock = WallClock()
    host = ActorHost(asyncio.get_running_loop(), clock, system="leverage")
    venues = {
        name: opened(
            name,
            mode=settings.mode,
            settings=replace(settings.venue, set_modes=set_modes and settings.venue.set_modes),
            margin_mode=settings.leverage.margin_mode,
            keys=keys.get(name),
            url=urls.get(name, ""),
            symbols=settings.symbols_at(name),
            host=host,
            clock=clock,
            random=Seed(settings.seed).stream(f"leverage/{name}"),
            stages=Stages(),
        )
        for name in settings.venue.names
    }
    desk = Desk(settings, venues, progress)
    try:
        await desk.prepare()
        yield desk
    finally:
        for venue in venues.values():
            await venue.close()
        await host.shutdown()


def opened(name: str, **options: Any) -> "LiveVenue":
    """Return a venue that is not connected yet; ccxt is imported here and no earlier."""
    from hfengine.venues.open_venue import open_venue  # noqa: PLC0415

    return open_venue(name, **options)


def listed_of(settings: Settings, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return (the profile's symbols that are meant, names that mean none).

    A symbol without its venue means it at every venue of the profile.
    """
    found: list[str] = []
    strangers: list[str] = []
    for name in dict.fromkeys(wanted):
        meant = [one for one in settings.symbols if name in (one, plain_symbol(one))]
        found += [one for one in meant if one not in found]
        strangers += [] if meant else [name]
    return found, strangers
