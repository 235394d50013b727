"""Which orders are on their way, over restarts of the actor and of the process.

An order whose answer a crash took is known to nobody else: it may still come to the venue. Kept
when it is handed over, in the same turn; that it is over is kept within a second, for to ask once
too often costs nothing.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hfengine.actors.orders import Intent
from hfengine.actors.wiring import WiredActor
from hfengine.messages import OpenBracket, ReducePosition, Timer
from hfengine.oversight import Difference, Keep

SENT_KEY: Final = "bot:sent:orders"
KEEP_SENT: Final = "keep_sent"
KEEP_EVERY_NS: Final = 1_000_000_000

Source = OpenBracket | ReducePosition


class Sent(Struct, frozen=True):
    """The body of SENT_KEY, in JSON: client id -> what the order is for."""

    session: str
    orders: dict[str, Source]


class SentMemory:
    """Keeps the orders that are not over; returns those of the actor or process before."""

    def __init__(self, actor: WiredActor, live: Mapping[str, Intent]) -> None:
        self._actor = actor
        self._live = live
        self._session = actor.wiring.order_ids.session
        self._keep_due = False
        self._fault = ""
        self._left = self._recall(actor.wiring.recalled.get(SENT_KEY, b""))

    def _recall(self, body: bytes) -> dict[str, Source]:
        if not body:
            return {}
        try:
            sent = msgspec.json.decode(body, type=Sent)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._fault = str(error)
            return {}
        if sent.session == self._session:
            return sent.orders
        # another session numbered its intents as this one does: below zero they never meet
        return {
            client_id: replace(source, intent=-abs(source.intent))
            for client_id, source in sent.orders.items()
        }

    def take(self) -> dict[str, Source]:
        """Return once what was on its way when the actor before this one ended."""
        if self._fault:
            found, policy = f"{SENT_KEY} unreadable: {self._fault}", "treated as absent"
            at_ns, self._fault = self._actor.clock.now_ns(), ""
            self._actor.publish(Difference(at_ns, "", "order", found, "unknown", policy))
        left, self._left = self._left, {}
        return left

    def sent(self) -> None:
        """Keep at once that an order is on its way."""
        self.keep()

    def ended(self) -> None:
        """Keep soon that one is over."""
        if not self._keep_due:
            self._keep_due = True
            self._actor.tell_after_ns(KEEP_EVERY_NS, Timer(KEEP_SENT))

    def on_timer(self) -> None:
        """Keep what is still on its way."""
        self._keep_due = False
        self.keep()

    def keep(self) -> None:
        """Publish what is on its way, and what was not taken up yet."""
        orders = self._left | {client_id: one.source for client_id, one in self._live.items()}
        body = msgspec.json.encode(Sent(self._session, orders)) if orders else b""
        self._actor.publish(Keep(SENT_KEY, self._actor.clock.now_ns(), body))
