"""Market data over the venues' own sockets: topics in, frames per symbol out, faults told.

`bybit_market.py` and `binance_market.py` say what the topics are called and how to ask for them.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.kernels.routing import FrameHearer, Stream
from hfengine.messages import FeedFault, Frame
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.runtime.timers import Timers
from hfengine.venues.feed_faults import DISCONNECTED, REFUSED_TOPIC, SILENT, UNROUTABLE
from hfengine.venues.link import Link, LinkSettings
from hfengine.venues.port import Tell
from hfengine.venues.subscriptions import Answer, Operation, Subscriptions

LOOK_MAX_S = 0.25
"""Longest time between two looks at what is overdue."""


class FeedSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How native feeds subscribe and how they are watched over."""

    link: LinkSettings = LinkSettings()
    stale_after_s: float = 15.0
    """A symbol whose book stream says nothing for so long is subscribed anew; when that does not
    help within the same time, the connection is made anew. Longer for thin markets."""
    answer_max_s: float = 5.0
    """How long a subscription may stay unanswered, and a snapshot take."""
    topics_a_link: int = 400
    topics_a_request: int = 100
    characters_a_request: int = 20_000
    requests_a_second: int = 5


class Dialect(Protocol):
    """How one venue's requests and answers are written."""

    @property
    def name(self) -> str:
        """The venue's name: `bybit`, `binance`."""

    def request(self, operation: Operation, request_id: int, topics: list[str]) -> bytes:
        """Write a request."""

    def answer(self, message: Mapping[str, Any]) -> Answer | None:
        """Read an answer (id 0 for a pong); None when it is none."""


class Topic(Struct, frozen=True):
    """One thing to subscribe to. `path` is the socket's, `is_book` marks the depth stream."""

    path: str
    name: str
    symbol: str
    is_book: bool = False


class Connection:
    """One socket's topics: the session of a link."""

    def __init__(
        self,
        name: str,
        url: str,
        topics: Sequence[Topic],
        dialect: Dialect,
        settings: FeedSettings,
        *,
        host: ActorHost,
        random: Random,
        market: "NativeMarket",
    ) -> None:
        self.name = name
        self.topics_of: dict[str, list[str]] = {}
        self.unroutable = 0
        self._dialect = dialect
        self._stale_ns = round(settings.stale_after_s * 1e9)
        self._host = host
        self._tell = market.tell
        self._changed = market.changed
        self._watched: dict[str, list[Stream]] = {}
        """Symbol -> the streams whose silence counts: its book where that is here, else all."""
        self._renewed_ns: dict[str, int] = {}
        self._told_closed = False
        self._routes: Mapping[str, Stream] = self._plan(topics)
        self.heard: FrameHearer[Frame] = FrameHearer(
            self._routes, Frame, market.tell, market.stages, name, self._heard_other
        )
        """Passes a frame on to its symbol; anything else is an answer or a fault."""
        self.link = Link(url, self, host=host, random=random, settings=settings.link, name=name)
        self.subscriptions = Subscriptions(
            [topic.name for topic in topics],
            encode=dialect.request,
            send=self.link.send,
            topics_a_request=settings.topics_a_request,
            characters_a_request=settings.characters_a_request,
            requests_a_second=settings.requests_a_second,
            answer_max_s=settings.answer_max_s,
        )

    def _plan(self, topics: Sequence[Topic]) -> dict[str, Stream]:
        streams = {topic.name: Stream(topic.name, topic.symbol) for topic in topics}
        routes = dict(streams)
        for topic in topics:
            self.topics_of.setdefault(topic.symbol, []).append(topic.name)
            # Events without a wrapper name only their symbol.
            if topic.is_book or topic.symbol not in routes:
                routes[topic.symbol] = streams[topic.name]
        for symbol, names in self.topics_of.items():
            books = [t.name for t in topics if t.symbol == symbol and t.is_book]
            self._watched[symbol] = [streams[name] for name in books or names]
        return routes

    def opened(self, _link: Link) -> None:
        """Subscribe to everything."""
        self._told_closed = False
        self._renewed_ns.clear()
        now_ns = self._host.clock.now_ns()
        for stream in self._routes.values():
            stream.heard_ns = now_ns
        self.subscriptions.begin(self._host.loop.time())

    def closed(self, reason: str) -> None:
        """Tell, once, that no book fed from here can be believed any more."""
        self.subscriptions.end()
        self._changed()
        if self._told_closed:
            return
        self._told_closed = True
        for symbol in self.topics_of:
            self._fault(symbol, DISCONNECTED, reason)

    def streams(self, symbol: str) -> bool:
        """Tell whether all of a symbol's topics here flow, those refused for good left out."""
        subscriptions = self.subscriptions
        return all(
            topic in subscriptions.active or topic in subscriptions.refused
            for topic in self.topics_of.get(symbol, ())
        )

    def renew(self, topics: Sequence[str]) -> None:
        """Subscribe to topics anew, if there is a connection to do it on."""
        if self.link.is_open:
            self.subscriptions.renew(topics, self._host.loop.time())
            self._changed()

    def look(self) -> None:
        """Act on what is overdue: answers, and symbols that say nothing."""
        if not self.link.is_open:
            return
        unanswered = self.subscriptions.overdue(self._host.loop.time())
        if unanswered:
            self.link.drop(unanswered)
            return
        now_ns = self._host.clock.now_ns()
        for symbol, streams in self._watched.items():
            heard_ns = max(stream.heard_ns for stream in streams)
            renewed_ns = self._renewed_ns.get(symbol, 0)
            if heard_ns > renewed_ns:
                self._renewed_ns.pop(symbol, None)
                if now_ns - heard_ns >= self._stale_ns:
                    self._revive(symbol, now_ns)
            elif now_ns - renewed_ns >= self._stale_ns:
                self.link.drop(f"{symbol} stayed silent after a new subscription")
                return

    def _revive(self, symbol: str, now_ns: int) -> None:
        topics = self.topics_of[symbol]
        if all(topic in self.subscriptions.refused for topic in topics):
            return
        self._renewed_ns[symbol] = now_ns
        self.renew(topics)
        self._fault(symbol, SILENT, f"nothing for {self._stale_ns / 1e9:g} s: subscribed anew")

    def _heard_other(self, payload: bytes, received_ns: int) -> None:
        try:
            message = msgspec.json.decode(payload)
        except msgspec.DecodeError as error:
            # It may have been any symbol's diff.
            self.link.drop(f"a message that is not JSON: {error}")
            return
        if not isinstance(message, dict):
            message = {}
        stream = self._stream_of(message)
        if stream is not None:
            stream.heard_ns = received_ns
            self._tell(Frame(stream.symbol, received_ns, payload, self.name))
            return
        answer = self._dialect.answer(message)
        if answer is None:
            self.unroutable += 1
            self._fault("", UNROUTABLE, payload[:80].decode(errors="replace"))
            return
        for topic in self.subscriptions.answered(answer, self._host.loop.time()):
            symbol = self._routes[topic].symbol
            refusal = self.subscriptions.refused[topic]
            self._fault(symbol, REFUSED_TOPIC, f"{topic}: {refusal}")
        self._changed()

    def _stream_of(self, message: Mapping[str, Any]) -> Stream | None:
        """Find the stream of a frame whose keys are in an unusual order."""
        inner = message.get("data")
        names = [message.get(key) for key in ("topic", "stream", "s")]
        names.append(inner.get("s") if isinstance(inner, dict) else None)
        for name in names:
            if isinstance(name, str) and name in self._routes:
                return self._routes[name]
        return None

    def _fault(self, symbol: str, fault: str, detail: str) -> None:
        at_ns = self._host.clock.now_ns()
        self._tell(FeedFault(symbol, at_ns, fault, self.name, 0, detail))


class NativeMarket(ABC):
    """The market half of a venue: connections, and what only this venue knows about its books."""

    def __init__(
        self,
        dialect: Dialect,
        topics: Sequence[Topic],
        *,
        url: str,
        settings: FeedSettings,
        host: ActorHost,
        random: Random,
        stages: Stages | None = None,
    ) -> None:
        self.settings = settings
        self.stages = stages if stages is not None else Stages()
        self.host = host
        self.symbols = list(dict.fromkeys(topic.symbol for topic in topics))
        self.book_topics = {topic.symbol: topic.name for topic in topics if topic.is_book}
        self.connections: list[Connection] = []
        self._market: Tell | None = None
        self._stopped = False
        self._timers = Timers(host.loop)
        self._woken = asyncio.Event()
        for path in dict.fromkeys(topic.path for topic in topics):
            of_path = [topic for topic in topics if topic.path == path]
            for number, piece in enumerate(_pieces(of_path, settings.topics_a_link), start=1):
                name = f"{dialect.name}{path}#{number}"
                made = Connection(
                    name,
                    url.rstrip("/") + path,
                    piece,
                    dialect,
                    settings,
                    host=host,
                    random=random,
                    market=self,
                )
                self.connections.append(made)

    def connect_market(self, market: Tell) -> None:
        """Start the connections: frames and faults go to `market`."""
        self._market = market
        for connection in self.connections:
            connection.heard.tell = market
            connection.link.start()
        look_s = min(LOOK_MAX_S, self.settings.stale_after_s / 4, self.settings.answer_max_s / 4)
        self._timers.every(round(look_s * 1e9), self._look)

    def stop(self) -> None:
        """Close the connections for good."""
        self._stopped = True
        self._timers.cancel_all()
        for connection in self.connections:
            connection.heard.tell = self.tell
            connection.link.stop()

    @abstractmethod
    async def snapshot(self, symbol: str) -> bytes | None:
        """Make sure that a book snapshot comes: from here, or None when from the stream.

        Raises VenueRejected when the venue does not serve the book, VenueUnavailable when it
        cannot be had now.
        """

    def report(self) -> list[dict[str, Any]]:
        """Return each connection's state and counters."""
        return [
            {
                "name": connection.name,
                "url": connection.link.url,
                "open": connection.link.is_open,
                "frames": connection.link.frames,
                "reconnects": connection.link.reconnects,
                "attempts_failed": connection.link.attempts_failed,
                "silences": connection.link.silences,
                "unroutable": connection.unroutable,
                "last_reason": connection.link.last_reason,
            }
            for connection in self.connections
        ]

    def tell(self, message: Frame | FeedFault) -> None:
        """Hand a message to whoever connected; after `stop` nobody listens."""
        if self._stopped:
            return
        if self._market is None:
            msg = f"a market message before connect_market(): {type(message).__name__}"
            raise RuntimeError(msg)
        self._market(message)

    def changed(self) -> None:
        """Wake whoever waits for a subscription."""
        self._woken.set()
        self._woken.clear()

    def book_connection(self, symbol: str) -> Connection:
        """Return the connection of a symbol's book.

        Raises VenueRejected when the venue refused the topic or it was never asked for.
        """
        topic = self.book_topics.get(symbol, "")
        for connection in self.connections:
            if topic in connection.topics_of.get(symbol, ()):
                if topic in connection.subscriptions.refused:
                    detail = f"{topic}: {connection.subscriptions.refused[topic]}"
                    raise VenueRejected(REFUSED_TOPIC, detail)
                return connection
        unknown = f"no book of {symbol} in this feed"
        raise VenueRejected(REFUSED_TOPIC, unknown)

    async def until_streaming(self, symbol: str) -> None:
        """Wait until everything of a symbol flows; VenueUnavailable after `answer_max_s`."""
        try:
            async with asyncio.timeout(self.settings.answer_max_s):
                while not all(connection.streams(symbol) for connection in self.connections):
                    await self._woken.wait()
        except TimeoutError:
            reasons = {c.link.last_reason for c in self.connections if not c.link.is_open}
            reason = "; ".join(sorted(reasons - {""})) or "its subscription is not answered"
            msg = f"{symbol} does not stream: {reason}"
            raise VenueUnavailable(msg) from None

    def _look(self) -> None:
        for connection in self.connections:
            connection.look()


def _pieces(topics: list[Topic], size_max: int) -> list[list[Topic]]:
    """Divide topics over connections, a symbol's own kept together."""
    pieces: list[list[Topic]] = [[]]
    by_symbol: dict[str, list[Topic]] = {}
    for topic in topics:
        by_symbol.setdefault(topic.symbol, []).append(topic)
    for own in by_symbol.values():
        if pieces[-1] and len(pieces[-1]) + len(own) > size_max:
            pieces.append([])
        pieces[-1] += own
    return pieces
