"""A ccxt.pro bot's way from a frame to an order, without its sockets.

Hot: the frame handled, then `create_order_request` and `sign`, back to back. Paced: the websocket
message handed to ccxt.pro's client until `await watch_order_book` returns in the bot's own task; no
decision and no order are in it. With a bracket the order is the one the engine sends, limit and
immediate or cancel with stop and target attached; without, the smallest there is: a market order.
"""

import asyncio
from typing import Any

from aiohttp import WSMessage, WSMsgType

from hfengine.bench.peers.ccxt_feed import UNIFIED, CcxtFeed
from hfengine.bench.peers.frames import Stream
from hfengine.bench.rounds import Quantiles, quantiles_of
from hfengine.clock import mono_ns
from hfengine.kernels.histogram import Histogram
from hfengine.runtime.loops import new_live_loop

QUANTITY = 0.01
PRICE = 67_412.4
BRACKET = {
    "timeInForce": "IOC",
    "stopLoss": {"triggerPrice": 67_100.1},
    "takeProfit": {"triggerPrice": 67_900.1},
}
ORDER_PATH = "v5/order/create"


class CcxtBot:
    """Bybit through ccxt.pro: frames in, signed requests out.

    The stream's frames are handed round and round; ccxt.pro does not look at their chain.
    """

    def __init__(self, stream: Stream, *, bracket: bool = False) -> None:
        self._snapshot = stream.snapshot
        self._frames = stream.frames
        self._order: tuple[str, float | None, dict[str, Any]] = ("market", None, {})
        if bracket:
            self._order = ("limit", PRICE, BRACKET)
        self.sent = 0
        self.last_request: dict[str, Any] = {}

    def hot(self, count: int) -> Quantiles:
        """Return the time from frame to signed request in ns over `count` frames back to back."""
        return asyncio.run(self._hot(count))

    def paced(self, count: int, per_s: float) -> Quantiles:
        """Return the time from message to `watch_order_book`'s return in ns at a steady pace."""
        loop = new_live_loop()
        try:
            return loop.run_until_complete(self._paced(loop, count, per_s))
        finally:
            loop.close()

    async def _hot(self, count: int) -> Quantiles:
        feed = CcxtFeed("bybit")
        feed.decode(self._snapshot)
        took = Histogram()
        frames = self._frames
        exchange = feed.exchange
        kind, price, options = self._order
        for number in range(count):
            started_ns = mono_ns()
            feed.decode(frames[number % len(frames)])
            request = exchange.create_order_request(
                UNIFIED, kind, "buy", QUANTITY, price, {"clientOrderId": f"b-{number}", **options}
            )
            self.last_request = exchange.sign(ORDER_PATH, ["private"], "POST", request)
            took.record(mono_ns() - started_ns)
            self.sent += 1
        return quantiles_of(took)

    async def _paced(self, loop: asyncio.AbstractEventLoop, count: int, per_s: float) -> Quantiles:
        feed = CcxtFeed("bybit")
        exchange, client = feed.exchange, feed.client
        exchange.clients[client.url] = client
        client.connected.resolve(client.url)
        client.subscriptions[f"orderbook:{UNIFIED}"] = True
        messages = [
            WSMessage(WSMsgType.TEXT, payload.decode(), None)
            for payload in [self._snapshot, *self._frames]
        ]
        took = Histogram()
        handed_ns = 0
        returned = asyncio.Event()

        async def watch() -> None:
            for _ in range(count + 1):
                await exchange.watch_order_book(UNIFIED)
                took.record(mono_ns() - handed_ns)
                returned.set()

        watching = loop.create_task(watch())
        try:
            began_s = loop.time()
            for number in range(count + 1):
                await _until(loop, began_s + number / per_s)
                returned.clear()
                message = messages[number % len(messages)]
                handed_ns = mono_ns()
                client.handle_message(message)
                await returned.wait()
                if number == 0:
                    took.reset()  # the snapshot, and whatever the first call sets up
            await watching
        finally:
            watching.cancel()
            await exchange.close()
        return quantiles_of(took)


async def _until(loop: asyncio.AbstractEventLoop, at_s: float) -> None:
    """Sleep until the loop's time is `at_s`, at least for one turn of the loop."""
    woken = loop.create_future()
    loop.call_later(max(at_s - loop.time(), 0.0), woken.set_result, None)
    await woken
