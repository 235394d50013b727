"""Entries that stay in the book: priced at our side, moved after the quote, cancelled in time."""

from asyncio import CancelledError
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hfengine.actors.order_desk import RETRY_NS, OrderDesk
from hfengine.actors.order_states import RESTS
from hfengine.actors.orders import RESTING_KINDS, Intent
from hfengine.actors.wiring import WiredActor
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import BookTick, OpenBracket, Timer
from hfengine.oversight import CancelOrder, Difference
from hfengine.runtime.actor import Outcome

TIMEOUT: Final = "timeout"
CANCEL: Final = "cancel"
AMEND: Final = "amend"
BPS: Final = Decimal("1e-4")


class _Resting:
    """One entry in the book: where it lies, how far it may go, how often it went."""

    __slots__ = ("asked", "intent", "limit", "moves", "next_ns", "price", "side")

    def __init__(self, intent: Intent, side: int, price: Decimal, limit: Decimal) -> None:
        self.intent = intent
        self.side = side
        self.price = price
        self.asked = price
        self.limit = limit
        self.moves = 0
        self.next_ns = 0


class RestingEntries:
    """The resting entries of one account, and every cancel of one order."""

    def __init__(
        self, actor: WiredActor, orders: OrderDesk, read_account: Callable[[], None]
    ) -> None:
        self._actor = actor
        self._venue = actor.wiring.venue
        self._instruments = actor.wiring.instruments
        self._orders = orders
        self._read_account = read_account
        self._entries = entries = actor.settings.entries
        self.rests = entries.kind in RESTING_KINDS
        self._chase_every_ns = int(entries.chase_every_ms * 1e6)
        self._chase_share = Decimal(str(entries.chase_max_bps)) * BPS
        self._quotes: dict[str, BookTick] = {}
        self._resting: dict[str, _Resting] = {}

    # entering

    def price_of(self, bracket: OpenBracket) -> Decimal | None:
        """Return where an entry is to lie first; None where no quote says it yet.

        The bracket's price is the worst its protection and size were computed for: risk has put
        the whole chase into it. A post-only entry lies at our side of the quote.
        """
        instrument = self._instruments[bracket.symbol]
        if self._entries.kind != "post_only":
            return self._before_chase(bracket)
        quote = self._quotes.get(bracket.symbol)
        if quote is None:
            return None
        if bracket.side > 0:
            return min(bracket.price, instrument.price_down(quote.bid))
        return max(bracket.price, instrument.price_up(quote.ask))

    def _before_chase(self, bracket: OpenBracket) -> Decimal:
        """Return the price from which the chase reaches the bracket's at most."""
        instrument, side = self._instruments[bracket.symbol], bracket.side
        if not self._entries.chase_max:
            return bracket.price
        first = float(bracket.price / (1 + side * self._chase_share))
        return instrument.price_down(first) if side > 0 else instrument.price_up(first)

    def entered(self, intent: Intent, bracket: OpenBracket, price: Decimal) -> None:
        """Watch an entry that has just left; it never goes beyond the bracket's price."""
        side = bracket.side
        reach = price * (1 + side * self._chase_share)
        limit = min(reach, bracket.price) if side > 0 else max(reach, bracket.price)
        resting = _Resting(intent, side, price, limit)
        resting.next_ns = self._actor.clock.now_ns() + self._chase_every_ns
        self._resting[bracket.symbol] = resting
        delay_ns = int(self._entries.timeout_s * 1e9)
        self._actor.tell_after_ns(delay_ns, Timer(f"{TIMEOUT} {intent.client_id}"))

    def finished(self, intent: Intent) -> None:
        """Forget an entry that is over."""
        resting = self._resting.get(intent.source.symbol)
        if resting is not None and resting.intent is intent:
            del self._resting[intent.source.symbol]

    # chasing

    def hear_quote(self, tick: BookTick) -> None:
        """Move the entry of a symbol after the quote that has left it."""
        self._quotes[tick.symbol] = tick
        resting = self._resting.get(tick.symbol)
        if resting is None or resting.moves >= self._entries.chase_max:
            return
        at_ns = self._actor.clock.now_ns()
        if at_ns < resting.next_ns or resting.intent.state not in ("open", "partial"):
            return
        instrument = self._instruments[tick.symbol]
        if resting.side > 0:
            price = instrument.price_down(min(tick.bid, float(resting.limit)))
            has_left = price > resting.price
        else:
            price = instrument.price_up(max(tick.ask, float(resting.limit)))
            has_left = price < resting.price
        if not has_left or resting.intent.is_overdue:
            return
        resting.moves += 1
        resting.next_ns = at_ns + self._chase_every_ns
        resting.asked = price
        intent = resting.intent
        self._orders.move(intent, "amend_sent")
        moved = self._venue.amend(tick.symbol, intent.client_id, price)
        self._actor.run(moved, tag=(AMEND, intent.client_id))

    def amended(self, client_id: str, outcome: Outcome) -> None:
        """Take how an amendment ended; where it was refused the order's own updates say why."""
        intent = self._orders.live.get(client_id)
        if intent is None:
            return
        error = outcome.error
        if error is None:
            resting = self._resting.get(intent.source.symbol)
            if resting is not None and resting.intent is intent:
                resting.price = resting.asked
            self._orders.answered(intent, "amended")
            self._orders.hear(outcome.result)
        elif isinstance(error, VenueRejected | VenueUnavailable | VenueUnknown | CancelledError):
            not_done = isinstance(error, VenueRejected | VenueUnavailable)
            self._orders.answered(intent, "amend_refused" if not_done else "amend_lost")
            self._orders.query(client_id)
        else:
            raise error
        self.cancel_overdue(intent)

    def queried(self, client_id: str) -> None:
        """Cancel again what a query still finds in the book after a cancel."""
        intent = self._orders.live.get(client_id)
        if intent is None or intent.state != "cancelling":
            return
        if self._actor.clock.now_ns() - intent.cancel_ns >= RETRY_NS:
            self.again(client_id)

    # cancelling

    def timed_out(self, client_id: str) -> None:
        """Cancel an entry that has lain long enough; at once when it is known to lie there."""
        intent = self._orders.live.get(client_id)
        if intent is not None:
            intent.is_overdue = True
            self.cancel_overdue(intent)

    def cancel_overdue(self, intent: Intent) -> None:
        """Cancel an order whose time is over, if it is where a cancel can find it."""
        if intent.is_overdue and intent.state in ("open", "partial"):
            reason = f"open for {self._entries.timeout_s:g} s"
            self._cancel(intent.source.symbol, intent.client_id, "", reason)

    def again(self, client_id: str) -> None:
        """Cancel once more what could not be cancelled; a cancel can be repeated."""
        intent = self._orders.live.get(client_id)
        if intent is not None and intent.state in RESTS:
            self._cancel(intent.source.symbol, client_id, "", "asked for again")

    def cancel(self, wish: CancelOrder) -> None:
        """Cancel one order, of whomever."""
        self._cancel(wish.symbol, wish.client_id, wish.venue_id, wish.reason)

    def _cancel(self, symbol: str, client_id: str, venue_id: str, reason: str) -> None:
        intent = self._orders.live.get(client_id) if client_id else None
        if intent is not None and intent.state in RESTS:
            self._orders.move(intent, "cancel_sent")
            intent.cancel_ns = self._actor.clock.now_ns()
        wish = CancelOrder(symbol, self._actor.clock.now_ns(), client_id, venue_id, reason)
        self._actor.run(self._venue.cancel(symbol, client_id, venue_id), tag=(CANCEL, wish))

    def cancelled(self, wish: CancelOrder, outcome: Outcome) -> None:
        """Take how a cancel ended: done is told by the order's own update, a refusal from here."""
        error, intent = outcome.error, self._orders.live.get(wish.client_id)
        if error is None:
            return
        if isinstance(error, VenueRejected):
            at_ns, named = self._actor.clock.now_ns(), wish.client_id or wish.venue_id
            ours, policy = f"{named} to be cancelled: {wish.reason}", "asked for again"
            told = Difference(at_ns, wish.symbol, "order", ours, str(error), policy)
            self._actor.publish(told)
        elif not isinstance(error, VenueUnknown | VenueUnavailable | CancelledError):
            raise error
        else:
            self._read_account()
        if intent is None:
            return
        refused = isinstance(error, VenueRejected | VenueUnavailable)
        if intent.state == "cancelling":
            self._orders.answered(intent, "cancel_refused" if refused else "cancel_lost")
        self._actor.tell_after_ns(RETRY_NS, Timer(f"{CANCEL} {wish.client_id}"))
