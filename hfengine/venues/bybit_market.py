"""Bybit V5 linear market data: one public socket, books from the stream itself."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.link import LinkSettings
from hfengine.venues.native_market import FeedSettings, NativeMarket, Topic
from hfengine.venues.subscriptions import Answer, Operation

MAINNET: Final = "wss://stream.bybit.com"
TESTNET: Final = "wss://stream-testnet.bybit.com"
PATH: Final = "/v5/public/linear"

PING: Final = b'{"op":"ping"}'
"""Wanted every 20 s; a connection without one for 10 minutes is cut (bybit-docs, connect)."""

ALREADY: Final = "already subscribed"

FEED: Final = FeedSettings(link=LinkSettings(ping=PING, ping_every_s=20.0, silence_max_s=45.0))
"""The venue bounds the characters of one connection's topics (21 000), not their number."""


class _Request(Struct):
    req_id: str
    op: str
    args: list[str]


class BybitDialect:
    """Requests and answers of the public linear socket."""

    name = "bybit"

    def request(self, operation: Operation, request_id: int, topics: list[str]) -> bytes:
        """Write {"req_id", "op", "args"}."""
        return msgspec.json.encode(_Request(str(request_id), operation, topics))

    def answer(self, message: Mapping[str, Any]) -> Answer | None:
        """Read {"success", "ret_msg", "req_id", "op"}, and the pongs of both kinds."""
        operation = message.get("op")
        if operation in ("ping", "pong"):
            return Answer(0, accepted=True)
        if operation not in ("subscribe", "unsubscribe"):
            return None
        number = str(message.get("req_id", ""))
        said = str(message.get("ret_msg", ""))
        accepted = message.get("success") is True or ALREADY in said
        return Answer(int(number) if number.isdecimal() else 0, accepted, said)


class BybitMarket(NativeMarket):
    """Books, trades and tickers of linear perpetuals.

    A book is asked for by subscribing anew: the stream then begins with a snapshot.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        *,
        host: ActorHost,
        random: Random,
        url: str = MAINNET,
        depth: Literal[1, 50, 200, 500, 1000] = 50,
        settings: FeedSettings = FEED,
        stages: Stages | None = None,
    ) -> None:
        topics = [
            Topic(PATH, name, symbol, is_book=name.startswith("orderbook"))
            for symbol in symbols
            for name in (
                f"orderbook.{depth}.{symbol}",
                f"publicTrade.{symbol}",
                f"tickers.{symbol}",
            )
        ]
        super().__init__(
            BybitDialect(),
            topics,
            url=url,
            settings=settings,
            host=host,
            random=random,
            stages=stages,
        )

    async def snapshot(self, symbol: str) -> bytes | None:
        """Subscribe to the book anew; None, because the stream brings it.

        On a connection that is not made yet, or a subscription under way, it comes anyway. Raises
        VenueRejected when the venue refused the topic.
        """
        connection = self.book_connection(symbol)
        connection.renew([self.book_topics[symbol]])
        return None
