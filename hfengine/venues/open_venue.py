"""Opens an account at a venue by name; ccxt is imported only then."""

from collections.abc import Sequence
from random import Random

from hfengine import settings
from hfengine.clock import Clock
from hfengine.errors import ConfigError
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.keys import ApiKeys
from hfengine.venues.live_venue import LiveVenue
from hfengine.venues.quirks import MarginMode, Mode, Place, Quirks


def open_venue(
    name: str,
    *,
    mode: Mode,
    settings: settings.Venue,
    margin_mode: MarginMode,
    keys: ApiKeys | None,
    url: str,
    symbols: Sequence[str],
    host: ActorHost,
    clock: Clock,
    random: Random,
    stages: Stages,
) -> LiveVenue:
    """Return the account, nothing sent yet; call `prepare`, then `connect`, at the end `close`.

    `url` is a local venue's http://HOST:PORT, "" for the exchange itself. Symbols are the venue's
    own. Raises ConfigError when keys are missing or the name or mode makes no sense.
    """
    problems = []
    if mode == "paper":
        problems.append("mode paper has no venue to connect to: choose local, demo or another")
    if mode == "local" and not url.startswith("http"):
        problems.append(f"mode local needs a local venue's address http://HOST:PORT, not {url!r}")
    if keys is None:
        problems.append(f"{name}: no API key")
    if problems or keys is None:
        raise ConfigError(problems)
    http = url.rstrip("/") if mode == "local" else ""
    place = Place(mode, http, "ws" + http.removeprefix("http") if http else "")
    return LiveVenue(
        name,
        quirks_of(name),
        place=place,
        settings=settings,
        margin_mode=margin_mode,
        keys=keys,
        symbols=symbols,
        host=host,
        clock=clock,
        random=random,
        stages=stages,
    )


def quirks_of(name: str) -> Quirks:
    """Return what is particular about an exchange; any other name is looked up at ccxt."""
    # each brings its own feed and order frames: only the ones in use are loaded
    if name == "bybit":
        from hfengine.venues.bybit_venue import BybitQuirks  # noqa: PLC0415

        return BybitQuirks()
    if name == "binance":
        from hfengine.venues.binance_venue import BinanceQuirks  # noqa: PLC0415

        return BinanceQuirks()
    if name == "bitget":
        from hfengine.venues.bitget_venue import BitgetQuirks  # noqa: PLC0415

        return BitgetQuirks()
    from hfengine.venues.ccxt_venue import CcxtQuirks  # noqa: PLC0415

    return CcxtQuirks(name)
