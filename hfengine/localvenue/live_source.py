"""A market relayed from a real exchange's public stream: live prices, orders that stay here."""

import asyncio
from decimal import Decimal
from functools import partial
from random import Random
from typing import Final

from hfengine.localvenue.source import Sink
from hfengine.runtime.hosts import current_host
from hfengine.runtime.waiting import wait_s
from hfengine.venues.relayed import Relay

LOOK_S: Final = 1.0
"""How often books that are not whole are asked for."""
SILENT_LOOKS: Final = 10
"""After so many looks without any whole book the operator is told."""


class LiveSource:
    """Books, trades and marks of Bybit or Binance, as they are now.

    Its own clock is that of the stream: the world's speed does not apply. A book that is not whole
    is empty until the exchange has sent it anew.
    """

    def __init__(self, exchange: str, random: Random, url: str = "") -> None:
        self.name = f"live:{exchange}"
        self._exchange = exchange
        self._random = random
        self._url = url
        self._relay: Relay | None = None
        self._looking: asyncio.Task[None] | None = None

    def start(self, sink: Sink) -> None:
        """Connect; the books come within seconds."""
        hearer = _Hearer(sink)
        relay = self._relay = Relay(
            self._exchange,
            sink.instruments,
            hearer,
            host=current_host(),
            random=self._random,
            url=self._url,
        )
        for symbol, held in relay.symbols.items():
            sink.attach(symbol, held.book)
        relay.connect()
        loop = asyncio.get_running_loop()
        self._looking = loop.create_task(self._look(relay, sink))
        self._looking.add_done_callback(partial(self._say_why, sink))

    def stop(self) -> None:
        """Disconnect; safe to call twice."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._relay is not None:
            self._relay.stop()
            self._relay = None

    def _say_why(self, sink: Sink, looking: asyncio.Task[None]) -> None:
        """Tell the operator when the looking ended by itself: no book is asked for any more."""
        error = None if looking.cancelled() else looking.exception()
        if error is not None:
            detail = f"{type(error).__name__}: {error}"
            sink.report(f"{self.name}: books are not asked for any more: {detail}")

    async def _look(self, relay: Relay, sink: Sink) -> None:
        """Ask for every book that is not whole, and say when none ever comes."""
        loop = asyncio.get_running_loop()
        silent = 0
        while True:
            await wait_s(loop, LOOK_S)
            missing = [one for one, held in relay.symbols.items() if not held.codec.synced]
            silent = silent + 1 if len(missing) == len(relay.symbols) else 0
            if silent == SILENT_LOOKS:
                detail = relay.last_problem or "nothing was heard"
                sink.report(
                    f"{self.name}: no book since {silent * LOOK_S:g} s: {detail}. Is there a "
                    "network that reaches the exchange?"
                )
            for symbol in missing:
                await relay.refresh(symbol)


class _Hearer:
    """Passes a relay's market on to a world, which has funding times of its own."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.on_book = sink.on_book
        self.on_trade = sink.on_trade

    def on_mark(
        self, symbol: str, mark: Decimal, index: Decimal, funding_rate: Decimal, _next_ns: int
    ) -> None:
        self._sink.on_mark(symbol, mark, index, funding_rate)
