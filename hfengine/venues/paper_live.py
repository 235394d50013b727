"""Paper trading on live prices: a real exchange's public stream, our orders in this process.

No keys and no orders leave. Requests take the profile's latencies, in real time.
"""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from hfengine.clock import Clock
from hfengine.exchange.core import Exchange
from hfengine.instruments import Instrument
from hfengine.runtime.hosts import ActorHost
from hfengine.seeds import Seed
from hfengine.settings import Venue as VenueSettings
from hfengine.venues.market import Dialect
from hfengine.venues.port import Ended, Tell
from hfengine.venues.relayed import Relay
from hfengine.venues.simulated_account import SimulatedAccount


class PaperLive(SimulatedAccount):
    """One account at the exchange core, matched on the live book of Bybit or Binance."""

    derived_marks = 0

    def __init__(
        self,
        exchange_name: str,
        exchange: Exchange,
        instruments: Mapping[str, Instrument],
        settings: VenueSettings,
        *,
        seed: Seed,
        host: ActorHost,
        random: Random,
        url: str = "",
    ) -> None:
        super().__init__(exchange, settings, seed=seed, loop=host.loop, clock=host.clock)
        self._clock: Clock = host.clock
        self._loop: asyncio.AbstractEventLoop = host.loop
        self._relay = Relay(exchange_name, instruments, self, host=host, random=random, url=url)
        for symbol, held in self._relay.symbols.items():
            exchange.attach_book(symbol, held.book)

    @property
    def dialect(self) -> Dialect:
        """What the relayed frames are of."""
        return self._relay.dialect

    def connect(self, market: Tell, account: Tell, _ended: Ended) -> None:
        """Start the stream; every frame is taken in here before the engine hears it."""
        self._account = account
        self._relay.connect(market)

    def stop(self) -> None:
        """End the stream; requests are still answered."""
        self._relay.stop()

    async def snapshot(self, symbol: str) -> bytes | None:
        """Ask the real exchange for a book."""
        return await self._relay.snapshot(symbol)

    def health(self) -> Mapping[str, Any]:
        """Say how the live connections are."""
        return {"connections": len(self._relay.report()), "problem": self._relay.last_problem}

    # what the relay tells

    def on_book(self, symbol: str) -> None:
        """Match resting orders against the new book."""
        at_ns = self._clock.now_ns()
        self._exchange.on_book(symbol, at_ns)
        self._send_account_events(at_ns)

    def on_trade(self, symbol: str, ticks: int, steps: int, side: int) -> None:
        """Take a public trade."""
        at_ns = self._clock.now_ns()
        self._exchange.on_trade(symbol, ticks, steps, side, at_ns)
        self._send_account_events(at_ns)

    def on_mark(
        self, symbol: str, mark: Decimal, index: Decimal, funding_rate: Decimal, next_ns: int
    ) -> None:
        """Take mark and funding: triggers and liquidation follow it."""
        at_ns = self._clock.now_ns()
        self._exchange.on_mark(symbol, mark, index, funding_rate, next_ns, at_ns)
        self._send_account_events(at_ns)

    def _at(self, due_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        wait_s = max(0, due_ns - self._clock.now_ns()) / 1e9
        self._loop.call_later(wait_s, call, *arguments)
