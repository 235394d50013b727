"""One venue of a profile under examination: reached, timed, its account compared, nothing set."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from msgspec.structs import replace

from hfengine.clock import WallClock
from hfengine.doctor import permissions
from hfengine.doctor.figures import check_figures
from hfengine.doctor.finding import Finding, fail, ok, warn
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import Instrument
from hfengine.messages import FeedFault, Message
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.seeds import Seed
from hfengine.settings import Settings
from hfengine.symbols import at_venue
from hfengine.venues.keys import ApiKeys
from hfengine.venues.open_venue import quirks_of
from hfengine.venues.quirks import Place, Quirks
from hfengine.venues.venue_desk import VenueDesk

VENUE_ERRORS: Final = (VenueRejected, VenueUnavailable, VenueUnknown)
STREAM_MAX_S: Final = 8.0
REACH_IT: Final = "check the network, the address, and the exchange's status page"
IN_FLIGHT_MAX: Final = 8


class Examined:
    """The open desk of one venue, and what was found out about it."""

    def __init__(self, settings: Settings, name: str, quirks: Quirks, desk: VenueDesk) -> None:
        self._settings = settings
        self._name = name
        self._quirks = quirks
        self._desk = desk
        self._instruments: dict[str, Instrument] = {}

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield every check of the venue; where it cannot be reached, the rest has no sense."""
        reached = await self._reach()
        yield reached
        if reached.status == "fail":
            return
        yield self._clock()
        accepted, equity_usdt = await self._keys()
        yield accepted
        if accepted.status != "fail" or self._name != "bybit":
            # Bybit tells the fees of an account only: without a key the instruments are not whole
            yield await self._symbols()
        if accepted.status != "fail":
            for found in await self._permissions():
                yield found
            yield await self._modes()
            for found in await self._leverages():
                yield found
            yield await self._private_stream()
        for symbol, instrument in self._instruments.items():
            for found in check_figures(
                self._settings, self._listed(symbol), instrument, equity_usdt
            ):
                yield found
        yield await self._public_stream()

    def _listed(self, symbol: str) -> str:
        """Return a symbol as the profile lists it."""
        return at_venue(symbol, self._name) if self._settings.venue.also else symbol

    def _named(self, what: str) -> str:
        return f"{what} {self._name}"

    async def _reach(self) -> Finding:
        name, offset = self._named("venue"), self._desk.offset
        try:
            await offset.refresh()
        except VENUE_ERRORS as error:
            return fail(name, f"cannot be reached: {error}", REACH_IT)
        place = self._desk.place.http or f"mode {self._desk.place.mode}"
        return ok(name, f"answers in {offset.round_trip_ms:.1f} ms ({place})")

    def _clock(self) -> Finding:
        name, offset_ms = self._named("clock"), self._desk.offset.offset_ms
        limit_ms = self._settings.venue.clock_offset_max_ms
        found = f"{offset_ms:+d} ms from the venue's, allowed are {limit_ms:g} ms"
        if abs(offset_ms) > limit_ms:
            return fail(name, found, "set this machine's clock (chrony or systemd-timesyncd)")
        if abs(offset_ms) > limit_ms / 2.0:
            return warn(name, found, "keep this machine's clock by NTP")
        return ok(name, found)

    async def _symbols(self) -> Finding:
        name = self._named("symbols")
        try:
            self._instruments |= await self._quirks.read_instruments(self._desk.symbols)
        except VENUE_ERRORS as error:
            return fail(name, f"cannot be read: {error}", "try again, or look at the status page")
        self._desk.instruments.update(self._instruments)
        missing = [one for one in self._desk.symbols if one not in self._instruments]
        if missing:
            found = f"not listed as linear USDT perpetuals: {', '.join(missing)}"
            return fail(name, found, "take them out of symbols, or correct their names")
        return ok(name, f"{len(self._instruments)} listed, with grid, limits, fees and tiers")

    async def _keys(self) -> tuple[Finding, float]:
        name = self._named("keys")
        try:
            balance = await self._quirks.balance()
        except VenueRejected as error:
            advice = "make a key of this mode and account at the exchange, and set its variables"
            return fail(name, f"not accepted: {error}", advice), 0.0
        except (VenueUnavailable, VenueUnknown) as error:
            return fail(name, f"the account cannot be read: {error}", REACH_IT), 0.0
        equity_usdt = float(balance.equity_usdt)
        found = f"accepted; equity {equity_usdt:,.2f} USDT"
        if equity_usdt <= 0.0:
            return warn(name, found, "deposit USDT: nothing can be traded"), equity_usdt
        return ok(name, found), equity_usdt

    async def _permissions(self) -> list[Finding]:
        mode = self._desk.place.mode
        try:
            if self._name == "bybit":
                told = await self._desk.call("privateGetV5UserQueryApi", {}, group="query")
                return permissions.of_bybit(told["result"])
            if self._name == "binance" and mode == "live":
                told = await self._desk.call("sapiGetAccountApiRestrictions", {}, group="weight")
                return permissions.of_binance(told)
        except VENUE_ERRORS as error:
            return [permissions.not_told(str(error))]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return [permissions.not_told(f"the answer has a form nobody has seen: {error!r}")]
        return [permissions.not_told(f"{self._name} in mode {mode} has no call that tells it")]

    async def _modes(self) -> Finding:
        name, wanted = self._named("modes"), self._settings
        try:
            await self._quirks.prepare_account()
        except VenueRejected as error:
            if error.reason == "position_mode_mismatch" and wanted.venue.set_modes:
                return warn(
                    name, f"differ: {error.detail}", "a run sets it while the account is flat"
                )
            return fail(name, f"differ: {error}", "change the account or the profile")
        except (VenueUnavailable, VenueUnknown) as error:
            return fail(name, f"cannot be read: {error}", REACH_IT)
        return ok(name, f"position mode {wanted.venue.position_mode}, as wanted")

    async def _leverages(self) -> list[Finding]:
        gate = asyncio.Semaphore(IN_FLIGHT_MAX)

        async def one(symbol: str) -> Finding:
            async with gate:
                return await self._leverage(symbol)

        return list(await asyncio.gather(*map(one, self._instruments)))

    async def _leverage(self, symbol: str) -> Finding:
        listed = self._listed(symbol)
        name, leverage = f"leverage {listed}", self._settings.leverage
        try:
            setting = await self._quirks.leverage_of(symbol)
        except VENUE_ERRORS as error:
            return fail(name, f"cannot be read: {error}", "no entry is made without it")
        wanted = leverage.of(listed)
        found = f"{setting.leverage}x {setting.margin_mode}"
        if (setting.leverage, setting.margin_mode) == (wanted, leverage.margin_mode):
            return ok(name, f"{found}, as wanted")
        found = f"{found}, wanted {wanted}x {leverage.margin_mode}"
        if leverage.auto_set:
            return warn(name, found, "a run sets it while flat and reads it back")
        return fail(name, found, "hfengine leverage set, or leverage.auto_set = true")

    async def _public_stream(self) -> Finding:
        """Wait for the first frame of the market."""
        name, host = self._named("market stream"), self._desk.host
        heard = asyncio.Event()
        faults: list[str] = []

        def hear(message: Message) -> None:
            if isinstance(message, FeedFault):
                faults.append(f"{message.fault}: {message.detail}")
            else:
                heard.set()

        feed, _ = self._quirks.open_feed(
            self._desk.symbols,
            self._desk.place,
            host=host,
            random=Seed(self._settings.seed).stream("doctor"),
            stages=Stages(),
        )
        feed.connect_market(hear)
        try:
            return await _within(name, heard, lambda: faults[-1] if faults else "no frame came")
        finally:
            feed.stop()

    async def _private_stream(self) -> Finding:
        """Wait until the account's stream is subscribed."""
        name, desk = self._named("account stream"), self._desk
        if not self._quirks.tells_ready:
            return ok(name, "not tried: this venue's stream does not say when it is subscribed")
        ready = asyncio.Event()
        desk.on_private_ready = ready.set
        for stream in self._quirks.streams():
            desk.streams.keep(stream)
        try:
            return await _within(
                name, ready, lambda: desk.newest_note.get("stream_breaks", "not subscribed")
            )
        finally:
            desk.streams.stop()


async def _within(name: str, event: asyncio.Event, why: Callable[[], str]) -> Finding:
    try:
        async with asyncio.timeout(STREAM_MAX_S):
            await event.wait()
    except TimeoutError:
        advice = "websockets may be blocked on the way: entries stop without them"
        return fail(name, f"nothing within {STREAM_MAX_S:g} s: {why()}", advice)
    return ok(name, "live")


@asynccontextmanager
async def examined(
    settings: Settings, name: str, keys: ApiKeys, url: str
) -> AsyncIterator[Examined]:
    """Open one venue for looking only: modes are compared, never set; close it at the end."""
    host = ActorHost(asyncio.get_running_loop(), WallClock(), system="doctor")
    http = url.rstrip("/") if settings.mode == "local" else ""
    assert settings.mode != "paper"
    quirks = quirks_of(name)
    desk = VenueDesk(
        name,
        quirks,
        place=Place(settings.mode, http, "ws" + http.removeprefix("http") if http else ""),
        settings=replace(settings.venue, set_modes=False),
        margin_mode=settings.leverage.margin_mode,
        keys=keys,
        symbols=settings.symbols_at(name),
        host=host,
        clock=WallClock(),
        random=Seed(settings.seed).stream(f"doctor {name}"),
    )
    quirks.desk = desk
    try:
        yield Examined(settings, name, quirks, desk)
    finally:
        quirks.stop()
        await desk.close()
        await host.shutdown()
