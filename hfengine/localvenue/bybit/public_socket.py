"""The socket of market data: subscriptions, and a ping that is answered as a ping."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from hfengine.localvenue.bybit.book_stream import CADENCE_S, BookStream
from hfengine.localvenue.bybit.market_rest import INTERVALS_S
from hfengine.localvenue.bybit.market_stream import CandleStream, TickerStream, TradeStream
from hfengine.localvenue.bybit.session import BybitSession, Frame, request_id, topics_of
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import World


class Topic(Protocol):
    """What a socket can hear."""

    def add(self, socket: Socket) -> None:
        """Let a socket hear it."""

    def remove(self, socket: Socket) -> None:
        """Let a socket hear it no more."""


class _Named(Struct, frozen=True):
    """A topic of a stream that knows its topics by name."""

    stream: TickerStream | TradeStream | CandleStream
    name: str

    def add(self, socket: Socket) -> None:
        """Let a socket hear it."""
        self.stream.add(self.name, socket)

    def remove(self, socket: Socket) -> None:
        """Let a socket hear it no more."""
        self.stream.remove(self.name, socket)


class _Silent:
    """A topic that exists and has nothing to say: liquidations of others."""

    def add(self, socket: Socket) -> None:
        """Hear nothing."""

    def remove(self, socket: Socket) -> None:
        """Hear no more nothing."""


class PublicTopics:
    """Every topic of the market, by its name."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.books = BookStream(world)
        self.tickers = TickerStream(world)
        self.trades = TradeStream(world)
        self.candles = CandleStream(world)
        self._silent = _Silent()

    def find(self, topic: str) -> Topic | None:
        """Return a topic, None when there is no such one."""
        kind, _, rest = topic.partition(".")
        middle, _, symbol = rest.rpartition(".")
        if symbol not in self._world.instruments:
            return None
        if kind == "orderbook" and middle.isdigit() and int(middle) in CADENCE_S:
            return self.books.topic(symbol, int(middle))
        if kind == "kline" and middle in INTERVALS_S:
            return _Named(self.candles, rest)
        if middle:
            return None
        if kind == "tickers":
            return _Named(self.tickers, symbol)
        if kind == "publicTrade":
            return _Named(self.trades, symbol)
        return self._silent if kind in {"allLiquidation", "liquidation"} else None

    def stop(self) -> None:
        """End the timers."""
        self.books.stop()
        self.tickers.stop()
        self.candles.stop()


class PublicSession(BybitSession):
    """One connection to /v5/public/linear."""

    def __init__(
        self,
        world: World,
        socket: Socket,
        ended: Callable[[BybitSession], None],
        topics: PublicTopics,
    ) -> None:
        super().__init__(world, socket, ended)
        self._topics = topics
        self._heard: dict[str, Topic] = {}

    def take(self, op: str, frame: Frame) -> None:
        """Subscribe, unsubscribe or answer a ping."""
        if op == "ping":
            self.tell(
                {
                    "success": True,
                    "ret_msg": "pong",
                    "conn_id": self.connection_id,
                    "req_id": request_id(frame, "req_id"),
                    "op": "ping",
                }
            )
        elif op == "subscribe":
            self._subscribe(frame)
        elif op == "unsubscribe":
            for name in topics_of(frame):
                topic = self._heard.pop(name, None)
                if topic is not None:
                    topic.remove(self.socket)
            self.acknowledge(op, frame)
        else:
            self.acknowledge(op, frame, "error:invalid op")

    def closed(self) -> None:
        """Hear nothing any more."""
        for topic in self._heard.values():
            topic.remove(self.socket)
        self._heard.clear()
        super().closed()

    def _subscribe(self, frame: Frame) -> None:
        """Hear all the topics of a frame, or none when one does not exist."""
        found: dict[str, Topic] = {}
        for name in topics_of(frame):
            topic = self._topics.find(name)
            if topic is None:
                self.acknowledge("subscribe", frame, f"Invalid topic: {name}")
                return
            found[name] = topic
        if not found:
            self.acknowledge("subscribe", frame, "error:args is empty")
            return
        self.acknowledge("subscribe", frame)
        for name, topic in found.items():
            self._heard[name] = topic
            topic.add(self.socket)
