"""Binance USDⓈ-M market data: diffs and trades on one socket, marks on another, books by REST."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.limits import FRAME_BYTES_MAX
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.link import LinkSettings
from hfengine.venues.native_market import FeedSettings, NativeMarket, Topic
from hfengine.venues.subscriptions import Answer, Operation

if TYPE_CHECKING:
    import aiohttp

MAINNET: Final = "wss://fstream.binance.com"
MAINNET_REST: Final = "https://fapi.binance.com"
DEMO: Final = "wss://fstream.binancefuture.com"
DEMO_REST: Final = "https://demo-fapi.binance.com"

PUBLIC: Final = "/public"
"""Depth, best quotes and trades; everything else is on MARKET."""
MARKET: Final = "/market"

SNAPSHOT_LEVELS: Final = 1000
SNAPSHOTS_AT_ONCE: Final = 4
"""Each weighs 20 of the 2400 an address may use in a minute."""

LIMIT_PAUSE_S: Final = 60.0
"""Pause after a rate limit that names none."""

FEED: Final = FeedSettings(
    link=LinkSettings(ping_every_s=15.0, silence_max_s=45.0),
    topics_a_link=200,
    topics_a_request=100,
    requests_a_second=5,
)
"""The venue takes 10 messages a second, pings among them, and 1024 streams a connection."""


class _Request(Struct):
    method: str
    params: list[str]
    id: int


class BinanceDialect:
    """Requests and answers of the market sockets."""

    name = "binance"

    def request(self, operation: Operation, request_id: int, topics: list[str]) -> bytes:
        """Write {"method", "params", "id"}."""
        return msgspec.json.encode(_Request(operation.upper(), topics, request_id))

    def answer(self, message: Mapping[str, Any]) -> Answer | None:
        """Read {"result": null, "id"} or an error, flat or nested."""
        number = message.get("id")
        if not isinstance(number, int):
            return None
        error = message.get("error")
        said = error if isinstance(error, dict) else message
        if "msg" in said or "code" in said:
            return Answer(number, accepted=False, message=f"{said.get('code')}: {said.get('msg')}")
        return Answer(number, accepted="result" in message)


class BinanceMarket(NativeMarket):
    """Books, best quotes, trades and marks of USDⓈ-M perpetuals."""

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        host: ActorHost,
        random: Random,
        url: str = MAINNET,
        rest_url: str = MAINNET_REST,
        speed_ms: Literal[0, 100, 250, 500] = 100,
        trades: Literal["trade", "aggTrade"] = "trade",
        wrapped: bool = True,
        split: bool = True,
        settings: FeedSettings = FEED,
        stages: Stages | None = None,
    ) -> None:
        """Choose the streams.

        `wrapped` takes combined streams ({"stream", "data"}), else raw events; without `split` all
        streams share one socket, as older hosts have it.
        """
        kind = "/stream" if wrapped else "/ws"
        public = (PUBLIC if split else "") + kind
        market = (MARKET if split else "") + kind
        topics = []
        for symbol in symbols:
            lower = symbol.lower()
            topics += [
                Topic(public, f"{lower}@depth@{speed_ms}ms", symbol, is_book=True),
                Topic(public, f"{lower}@bookTicker", symbol),
                Topic(public if trades == "trade" else market, f"{lower}@{trades}", symbol),
                Topic(market, f"{lower}@markPrice@1s", symbol),
            ]
        super().__init__(
            BinanceDialect(),
            topics,
            url=url,
            settings=settings,
            host=host,
            random=random,
            stages=stages,
        )
        self._rest_url = rest_url.rstrip("/")
        self._http: aiohttp.ClientSession | None = None
        self._closing: asyncio.Task[None] | None = None
        self._at_once = asyncio.Semaphore(SNAPSHOTS_AT_ONCE)
        self._not_before_s = 0.0
        self.snapshots = 0

    async def snapshot(self, symbol: str) -> bytes | None:
        """Read a book by REST, once its diffs flow: they must be kept before it is taken.

        Raises VenueUnavailable when the stream or the answer does not come in time or the venue
        limits us, VenueRejected when it refuses.
        """
        self.book_connection(symbol)
        await self.until_streaming(symbol)
        async with self._at_once:
            wait_s = self._not_before_s - self.host.loop.time()
            if wait_s > 0:
                msg = f"snapshot of {symbol}: rate limited for another {wait_s:.0f} s"
                raise VenueUnavailable(msg)
            self.snapshots += 1
            return await self._read(symbol)

    def stop(self) -> None:
        """Close the connections for good, that to the REST interface included."""
        super().stop()
        if self._http is not None and self._closing is None:
            closing = self.host.loop.create_task(self._http.close(), name="binance http close")
            self._closing = closing
            self.host.tasks.add(closing)
            closing.add_done_callback(self.host.tasks.discard)

    async def _read(self, symbol: str) -> bytes:
        import aiohttp  # noqa: PLC0415 - costs memory and start-up; only this feed needs it

        if self._http is None:
            patience = aiohttp.ClientTimeout(total=self.settings.answer_max_s)
            self._http = aiohttp.ClientSession(timeout=patience)
        url = f"{self._rest_url}/fapi/v1/depth"
        query = {"symbol": symbol, "limit": str(SNAPSHOT_LEVELS)}
        try:
            async with self._http.get(url, params=query) as answer:
                body = await answer.content.read(FRAME_BYTES_MAX + 1)
                while len(body) <= FRAME_BYTES_MAX and not answer.content.at_eof():
                    body += await answer.content.read(FRAME_BYTES_MAX + 1 - len(body))
                status, headers = answer.status, answer.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            msg = f"snapshot of {symbol} from {url}: {error or type(error).__name__}"
            raise VenueUnavailable(msg) from error
        if status == 200 and len(body) <= FRAME_BYTES_MAX:
            return body
        raise self._refusal(symbol, status, headers.get("Retry-After", ""), body)

    def _refusal(
        self, symbol: str, status: int, retry_after: str, body: bytes
    ) -> VenueRejected | VenueUnavailable:
        said = body[:200].decode(errors="replace")
        if status in (418, 429):
            pause_s = float(retry_after) if retry_after.isdecimal() else LIMIT_PAUSE_S
            self._not_before_s = self.host.loop.time() + pause_s
            return VenueUnavailable(f"snapshot of {symbol}: rate limited for {pause_s:g} s: {said}")
        if 400 <= status < 500:
            return VenueRejected("snapshot_refused", f"{symbol}: HTTP {status}: {said}")
        return VenueUnavailable(f"snapshot of {symbol}: HTTP {status}: {said}")
