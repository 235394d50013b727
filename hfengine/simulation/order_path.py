"""The order path of one engine: requests on the wire, and everything that may stop them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, cast

from msgspec import Struct

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange.latency import FifoDelay, Latency
from hfengine.messages import Halt, Message, Resume
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.simulation.world import NS_A_MS, World
from hfengine.venues.port import Tell

ANSWER_MAX_MS: Final = 3_000
RESET_MS: Final = 20
"""How long until a broken connection is noticed."""

T = TypeVar("T")
What = Literal["place", "protect", "cancel", "set", "read"]


class Sent(Struct, eq=False):
    """One request under way."""

    what: What
    symbol: str
    client_id: str
    call: Callable[[int], object]
    answer: "asyncio.Future[Any]"
    sent_ns: int
    arrived: bool = False

    @property
    def acts(self) -> bool:
        """Tell whether it changes something, so that its loss leaves a doubt."""
        return self.what != "read"


class OrderPath:
    """Puts requests on the wire and brings their answers, or does not."""

    def __init__(self, world: World, loop: VirtualLoop, number: int) -> None:
        self.world = world
        self.loop = loop
        self.number = number
        self.dead = False
        """Whether the engine behind it has been killed: nothing leaves it any more."""
        self.began_ns = world.now_ns
        self.trip_max_ns = 0
        """The longest round trip of an order so far."""
        self._out = self._delay("orders", 2_000, 1_500)
        self._back = self._delay("answers", 2_000, 1_500)
        self._account: Tell = unconnected
        self._connected = False
        self._private_up = False
        self._flying: dict[Sent, None] = {}
        self._halts: set[str] = set()

    def _delay(self, name: str, base_us: int, jitter_us: int) -> FifoDelay:
        stream = self.world.seed.stream(f"simulation/delay/{name}/{self.number}")
        return FifoDelay(Latency(stream, base_us, jitter_us))

    def _venue_ns(self) -> int:
        return self.world.now_ns + self.world.offset_ns

    def kill(self) -> None:
        """Cut it off: the engine behind it is dead."""
        self.dead = True
        self._connected = False

    def _halt(self, source: str, reason: str) -> None:
        if source not in self._halts and self._connected:
            self._halts.add(source)
            self._account(Halt(self.world.now_ns, source, reason))

    def _resume(self, source: str) -> None:
        if source in self._halts:
            self._halts.discard(source)
            if self._connected:
                self._account(Resume(self.world.now_ns, source))

    async def _ask(
        self, what: What, symbol: str, call: Callable[[int], T], client_id: str = ""
    ) -> T:
        return cast("T", await self._send(what, symbol, call, client_id))

    def _send(
        self, what: What, symbol: str, call: Callable[[int], object], client_id: str = ""
    ) -> "asyncio.Future[Any]":
        """Put a request on the wire; its answer is the future's."""
        world = self.world
        answer: asyncio.Future[Any] = self.loop.create_future()
        sent = Sent(what, symbol, client_id, call, answer, world.now_ns)
        if self.dead:
            return answer
        why = self._unsendable()
        if why:
            answer.set_exception(VenueUnavailable(why))
            return answer
        self._flying[sent] = None
        slow_ns = world.slow_ns["orders"]
        if slow_ns:
            world.counts["slow_orders"] += 1
        world.at(self._out.due_ns(world.now_ns + slow_ns), self._arrive, sent)
        world.after_ms(ANSWER_MAX_MS, self._give_up, sent)
        return answer

    def _unsendable(self) -> str:
        world = self.world
        if world.banned_until_ns > world.now_ns:
            return "banned"
        self._resume("ip_ban")
        if world.is_down("orders"):
            world.counts["orders_lost"] += 1
            return "no connection"
        return ""

    def is_able(self) -> bool:
        """Tell whether the engine can act and see at present."""
        world = self.world
        cut = world.is_down("orders") or world.banned_until_ns > world.now_ns or world.maintenance
        return self._connected and not cut and self._private_up and not world.is_down("private")

    def break_orders(self) -> None:
        """Lose the order connection: what is under way becomes unknown, and may still arrive."""
        for sent in list(self._flying):
            del self._flying[sent]
            if not sent.arrived and self.world.draw.random() < 0.5:
                sent.arrived = True
            self.world.counts["orders_lost"] += 1
            self.world.after_ms(RESET_MS, self._fail, sent, _lost(sent, "the connection broke"))

    def _give_up(self, sent: Sent) -> None:
        if sent in self._flying:
            del self._flying[sent]
            self._fail(sent, _lost(sent, f"no answer within {ANSWER_MAX_MS} ms"))

    def _arrive(self, sent: Sent) -> None:
        """Let a request reach the exchange, or what stands before it."""
        world = self.world
        if sent.arrived:
            # it was on a connection that broke before it got through
            return
        sent.arrived = True
        refusal = self._before(sent)
        if refusal is not None:
            self._answer(sent, refusal)
            return
        if sent.acts and world.take("answer_lost_before", sent.symbol):
            return
        is_lost = sent.acts and world.take("answer_lost_after", sent.symbol)
        is_unknown = sent.acts and world.take("unknown_outcome", sent.symbol)
        outcome: object
        if is_unknown and world.draw.random() < 0.5:
            outcome = None
        else:
            try:
                outcome = sent.call(world.now_ns)
            except VenueRejected as rejected:
                outcome = rejected
            world.flush()
        if is_unknown:
            outcome = VenueUnknown("the venue does not know what became of it (-1007, 10016)")
        if not is_lost:
            self._answer(sent, outcome)

    def _before(self, sent: Sent) -> Exception | None:
        """Return what stops a request before the matching, None where nothing does."""
        world = self.world
        if world.maintenance:
            return VenueUnavailable("503: under maintenance")
        for kind in ("rate_429", "rate_10006"):
            if world.take(kind, sent.symbol):
                return VenueRejected("rate_limit", kind)
        for ban in ("ban_418", "ban_403"):
            if any(armed.kind == ban for armed in world.armed) and world.take(ban):
                world.banned_until_ns = world.now_ns + 2_000 * NS_A_MS
                self._halt("ip_ban", ban)
                return VenueRejected("ip_ban", ban)
        if sent.acts and world.take("error_5xx", sent.symbol):
            return VenueUnknown("502: bad gateway")
        return None

    def _answer(self, sent: Sent, outcome: object) -> None:
        if sent not in self._flying:
            return
        due_ns = self._back.due_ns(self.world.now_ns + self.world.slow_ns["orders"])
        self.world.at(due_ns, self._settle, sent, outcome)

    def _settle(self, sent: Sent, outcome: object) -> None:
        if self._flying.pop(sent, self) is self:
            return
        if sent.acts:
            self.trip_max_ns = max(self.trip_max_ns, self.world.now_ns - sent.sent_ns)
        if isinstance(outcome, Exception):
            self._fail(sent, outcome)
        elif not self.dead and not sent.answer.done():
            sent.answer.set_result(outcome)

    def _fail(self, sent: Sent, error: Exception) -> None:
        if not self.dead and not sent.answer.done():
            sent.answer.set_exception(error)


def _lost(sent: Sent, why: str) -> Exception:
    return VenueUnknown(why) if sent.acts else VenueUnavailable(why)


def unconnected(message: Message) -> None:
    msg = f"a venue event before connect(): {type(message).__name__}"
    raise RuntimeError(msg)
