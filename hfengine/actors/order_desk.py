"""Every order on its way: sends it, moves it through its states, asks after it, ends it once."""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from hfengine.actors.held import KEY
from hfengine.actors.order_states import ENDS, UNSETTLED, Event, event_of, next_state
from hfengine.actors.orders import OUTCOMES, Intent, reducing_request
from hfengine.actors.refused_exits import is_worth_repeating
from hfengine.actors.sending_gates import SendingGates
from hfengine.actors.sent_memory import SentMemory
from hfengine.actors.wiring import WiredActor
from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.limits import EXIT_QUERY_RETRIES_MAX, ORDERS_REMEMBERED, QUERY_RETRIES_MAX
from hfengine.messages import (
    Fill,
    OpenBracket,
    OrderEnded,
    OrderSent,
    OrderUnknown,
    OrderUpdate,
    PositionChanged,
    PositionOpened,
    ReducePosition,
    Timer,
)
from hfengine.oversight import Difference, OrderMoved
from hfengine.requests import OrderRequest
from hfengine.runtime.actor import Outcome
from hfengine.venues.port import Answer

QUERY_FIRST_NS: Final = 100_000_000
QUERY_DOUBLINGS_MAX: Final = 8
EXIT_QUERY_DOUBLINGS_MAX: Final = 3
"""An exit is asked for every 0.8 s at least: while its fate is open, so may be a position's."""

RETRY_NS: Final = 1_000_000_000
OPEN_ORDER_NS: Final = 5_000_000_000
"""How long an acknowledged order may stay without an end before the venue is asked."""

QUERY: Final = "query"
AGAIN: Final = "again"
PLACE: Final = "place"
RECALLED: Final = "on its way when the engine before ended"
FLATTENING: Final = "flatten"
"""Reason of the closes of a flatten, which tries again by itself."""


class OrderDesk:
    """The live orders of one account, and what is remembered of those that ended."""

    def __init__(
        self,
        actor: WiredActor,
        gates: SendingGates,
        read_account: Callable[[], None],
        finished: Callable[[Intent, str], None],
    ) -> None:
        self._actor = actor
        self._gates = gates
        self._venue = actor.wiring.venue
        self._order_ids = actor.wiring.order_ids
        self._window_ns = actor.settings.venue.recv_window_ms * 1_000_000
        self._read_account = read_account
        self._finished = finished
        self.live: dict[str, Intent] = {}
        self._ended: dict[str, Intent] = {}
        self.memory = SentMemory(actor, self.live)
        self.sent = 0
        self.anomalies = 0

    # out

    def follow(self, intent: Intent, request: OrderRequest, answer: Answer) -> None:
        """Remember an order that was handed over, and wait for its answer.

        All within the turn in which it left: the journal is written after the turn, and no answer
        is heard before.
        """
        source, client_id = intent.source, intent.client_id
        self.live[client_id] = intent
        if intent.is_entry:
            self._gates.enter(source.symbol, client_id)
        self.sent += 1
        actor = self._actor
        # first of all: whatever is told of it after a crash, it must be asked for
        self.memory.sent()
        actor.publish(
            OrderSent(
                source.intent,
                client_id,
                request.symbol,
                actor.clock.now_ns(),
                request.side,
                request.quantity,
                request.reduce_only,
            )
        )
        self.move(intent, "sent")
        actor.run(answer, tag=(PLACE, client_id))

    def recall(self) -> None:
        """Take up what was on its way when an actor or process before this one ended.

        Whether the venue has it is not known: each is asked for by its id, and its symbol takes no
        entry meanwhile. Nothing of it is sent again, and what rests of an entry is cancelled.
        """
        for client_id, source in self.memory.take().items():
            symbol = source.symbol
            if client_id in self.live or symbol not in self._actor.wiring.instruments:
                continue
            intent = self.live[client_id] = Intent(client_id, source)
            intent.recalled = intent.is_overdue = True
            intent.refused = RECALLED
            # the rebalancer remembers a position that it was told of
            held = self._actor.wiring.recalled.get(f"{KEY}{symbol}", b"")
            intent.opened = bool(held)
            if intent.is_entry:
                self._gates.enter(symbol, client_id)
            self.move(intent, "sent")
            self.move(intent, "answer_lost")
            self._tell_unknown(intent, RECALLED)
            self._ask_after(intent, QUERY_FIRST_NS)

    def read_through(self, began_ns: int) -> None:
        """End the recalled orders that a reading from `began_ns` on shows all fills of."""
        for intent in list(self.live.values()):
            order = intent.order
            if intent.recalled and order is not None and intent.has_ended:
                if intent.ended_ns > began_ns:
                    self._read_account()
                    continue
                intent.heard, intent.position_due = order.filled, False
                self._end_if_over(intent)

    def refuse(self, intent: Intent, reason: str) -> None:
        """End an entry that is not handed over at all."""
        self.live[intent.client_id] = intent
        self.move(intent, "gated")
        self._finish(intent, reason)

    def reduce(self, reduce: ReducePosition) -> str:
        """Send a reduce-only market order; return its client id."""
        client_id = self._order_ids.client_id(reduce.intent, "x")
        request = reducing_request(client_id, reduce.symbol, reduce.side, reduce.quantity)
        self.follow(Intent(client_id, reduce), request, self._venue.place(request))
        return client_id

    def reduce_again(self, client_id: str, held: PositionChanged | None) -> None:
        """Send what is left to reduce once more, under the intent's second id.

        Only after the venue has refused the first: it is certainly not there.
        """
        intent = self.live[client_id]
        source = intent.source
        if isinstance(source, OpenBracket):
            return
        if held is None or not held.quantity or held.side != source.side:
            self._finish(intent, intent.refused)
            return
        del self.live[client_id]
        self._remember(intent)
        again = Intent(self._order_ids.client_id(source.intent, "x", 1), source)
        again.refused = intent.refused
        quantity = min(source.quantity, held.quantity)
        request = reducing_request(again.client_id, source.symbol, source.side, quantity)
        self.follow(again, request, self._venue.place(request))

    # states

    def move(self, intent: Intent, event: Event) -> bool:
        """Take an event by the table; False where the table does not hold it, which is told."""
        before = intent.state
        after = next_state(before, event)
        source = intent.source
        if after is None:
            self._odd(intent, event)
            return False
        if after == before:
            return True
        intent.state = after
        at_ns = self._actor.clock.now_ns()
        if after == "unknown":
            self._gates.freeze(source.symbol, intent.client_id)
        elif before == "unknown":
            self._gates.thaw(source.symbol, intent.client_id)
        self._actor.publish(
            OrderMoved(source.intent, intent.client_id, source.symbol, at_ns, before, event, after)
        )
        return True

    def _odd(self, intent: Intent, event: Event) -> None:
        """Count and tell what should not be; the account is read, for the venue is right."""
        self.anomalies += 1
        if event in intent.odd:
            return
        intent.odd |= {event}
        at_ns, ours = self._actor.clock.now_ns(), f"{intent.client_id} {intent.state}"
        policy = "the order stays as it is, the account is read"
        self._actor.publish(Difference(at_ns, intent.source.symbol, "order", ours, event, policy))
        self._read_account()

    # what the venue says

    def placed(self, client_id: str, outcome: Outcome) -> None:
        """Take the answer to an order."""
        intent = self.live.get(client_id)
        if intent is None or intent.waits:
            return
        error = outcome.error
        if error is None:
            self._hear(intent, outcome.result)
            self._look_again(intent)
        elif intent.state == "sent" and isinstance(error, VenueRejected):
            self._end(intent, "rejected", str(error))
        elif intent.state == "sent" and isinstance(error, VenueUnavailable):
            self._end(intent, "unavailable", str(error))
        else:
            # a lost answer and an error of our own alike: the order may exist. So it does where
            # the stream spoke of it before it was refused: the venue is asked which is true.
            self.move(intent, "answer_lost")
            self._tell_unknown(intent, repr(error))
            self._ask_after(intent, QUERY_FIRST_NS)

    def _tell_unknown(self, intent: Intent, detail: str) -> None:
        source, at_ns = intent.source, self._actor.clock.now_ns()
        self._actor.publish(
            OrderUnknown(source.intent, intent.client_id, source.symbol, at_ns, detail)
        )

    def _look_again(self, intent: Intent) -> None:
        """Ask the venue later for an order whose end is still to come: the stream may lose it."""
        if intent.client_id in self.live:
            self._ask_after(intent, OPEN_ORDER_NS)

    def _ask_after(self, intent: Intent, delay_ns: int) -> None:
        if intent.timer is not None:
            intent.timer.cancel()
        intent.timer = self._actor.tell_after_ns(delay_ns, Timer(f"{QUERY} {intent.client_id}"))

    def query(self, client_id: str) -> None:
        """Ask the venue for an order by its id."""
        intent = self.live.get(client_id)
        if intent is not None and not intent.waits:
            intent.asked_ns = self._actor.clock.now_ns()
            answer = self._venue.order_by_id(intent.source.symbol, client_id)
            self._actor.run(answer, tag=(QUERY, client_id))

    def queried(self, client_id: str, outcome: Outcome) -> None:
        """Take what the venue knows of an order; only repeated ignorance proves it is not there."""
        intent = self.live.get(client_id)
        if intent is None:
            return
        if outcome.error is None and outcome.result is not None:
            self._hear(intent, outcome.result)
            if intent.has_ended and client_id in self.live:
                # the stream may have lost what the query shows: read fills and positions
                self._read_account()
            self._look_again(intent)
            return
        intent.queries += 1
        doublings_max, queries_max = QUERY_DOUBLINGS_MAX, QUERY_RETRIES_MAX
        if intent.recalled or not intent.is_entry:
            doublings_max, queries_max = EXIT_QUERY_DOUBLINGS_MAX, EXIT_QUERY_RETRIES_MAX
        is_asked = intent.queries >= queries_max or self._comes_no_more(intent)
        is_certain = is_asked and outcome.error is None
        if is_certain and intent.order is None and not intent.heard:
            self._end(intent, "not_found", "unknown to the venue after repeated queries")
            return
        if is_certain and intent.order is not None and not intent.has_ended:
            self._vanish(intent, intent.order)
            return
        self.move(intent, "undecided")
        delay_ns = QUERY_FIRST_NS << min(intent.queries, doublings_max)
        self._ask_after(intent, delay_ns)

    def _comes_no_more(self, intent: Intent) -> bool:
        """Tell whether an order of a process before was too old to be taken when it was asked for.

        That process is gone, and a venue refuses what reaches it later than its window after it
        was made; until then bytes of the dead may still be on their way.
        """
        age_ns = intent.asked_ns - intent.source.at_ns
        return intent.recalled and intent.queries > 1 and age_ns > self._window_ns

    def _vanish(self, intent: Intent, known: OrderUpdate) -> None:
        """End an order that the venue had and knows no more: its fills are read, then it is over.

        The reading that is asked for now brings what filled; nothing else can come of it.
        """
        filled = max(known.filled, intent.heard)
        reason = "acknowledged, then unknown to the venue after repeated queries"
        intent.order = replace(known, state="cancelled", filled=filled, reason=reason)
        self.move(intent, "vanished")
        self._read_account()
        self._end_if_over(intent)
        self._look_again(intent)

    def hear(self, update: OrderUpdate) -> Intent | None:
        """Take the state of an order; return it if it is one of ours still under way."""
        intent = self.live.get(update.client_id)
        if intent is not None:
            self._hear(intent, update)
            return intent
        ended = self._ended.get(update.client_id)
        if ended is not None:
            self.move(ended, event_of(update, has_fills=bool(ended.heard)))
        return None

    def _hear(self, intent: Intent, update: OrderUpdate) -> None:
        if intent.waits:
            # told by answer and stream alike that it was refused
            return
        intent.hear_order(update, self._actor.clock.now_ns())
        event = event_of(update, has_fills=bool(intent.heard))
        if event == "rejected":
            self._end(intent, event, update.reason)
            return
        self.move(intent, event)
        self._end_if_over(intent)

    def answered(self, intent: Intent, event: Event) -> None:
        """Take how a cancel or an amendment of a resting order ended."""
        if self.move(intent, event) and intent.state == "open" and intent.heard:
            self.move(intent, "partially_filled")

    def hear_fill(self, fill: Fill) -> None:
        """Take a fill told for the first time; the first of an entry opens the position's life.

        A fill of an order that has ended is counted all the same.
        """
        intent = self.live.get(fill.client_id) or self._ended.get(fill.client_id)
        if intent is None:
            return
        intent.hear_fill(fill)
        self.move(intent, "fill")
        bracket = intent.source
        if isinstance(bracket, OpenBracket) and not intent.opened:
            intent.opened = True
            self._actor.publish(
                PositionOpened(
                    bracket.intent,
                    bracket.symbol,
                    fill.at_ns,
                    bracket.side,
                    fill.quantity,
                    fill.price,
                    bracket.entry_drift,
                    bracket.entry_confidence,
                    bracket.half_life_s,
                )
            )

    def hear_position(self, position: PositionChanged) -> None:
        """Take a position; end the orders that waited for it."""
        for intent in list(self.live.values()):
            if intent.source.symbol == position.symbol and intent.position_due:
                intent.position_due = False
                self._end_if_over(intent)

    def flying(self) -> set[str]:
        """Return the symbols with an order on its way: what is read of them is old news."""
        return {
            intent.source.symbol
            for intent in self.live.values()
            if not (intent.has_ended or intent.is_quiet)
        }

    def laid_bare(self, symbol: str) -> bool:
        """Take that the stop of a symbol's entry was refused; False where none is on its way."""
        bare = [one for one in self.live.values() if one.source.symbol == symbol and one.is_entry]
        for intent in bare:
            intent.is_bare = True
        return bool(bare)

    def awaited(self) -> set[str]:
        """Return the symbols with a fill whose position is still to be told."""
        return {intent.source.symbol for intent in self.live.values() if intent.position_due}

    def moving(self) -> set[str]:
        """Return those of `flying` of which no reading is taken.

        Nobody tells when a lost order arrives, and an entry without a stop cannot wait for the
        stream: what is read meanwhile is the best there is.
        """
        return {
            intent.source.symbol
            for intent in self.live.values()
            if not (intent.has_ended or intent.is_quiet or intent.is_lost or intent.is_bare)
        }

    # ends

    def _end_if_over(self, intent: Intent) -> None:
        if intent.is_over and intent.state in UNSETTLED:
            order = intent.order
            self.move(intent, "settled")
            self._finish(intent, order.reason if order is not None else "")

    def _end(self, intent: Intent, event: Event, reason: str) -> None:
        """Finish an order, unless it is a reduction that is sent once more."""
        if not self.move(intent, event) or intent.state not in ENDS:
            return
        source = intent.source
        is_new = isinstance(source, ReducePosition) and not intent.refused
        repeats = is_new and event == "rejected" and is_worth_repeating(reason)
        if repeats and getattr(source, "reason", "") != FLATTENING:
            intent.refused, intent.waits = reason, True
            self._actor.tell_after_ns(RETRY_NS, Timer(f"{AGAIN} {intent.client_id}"))
        elif not intent.waits:
            self._finish(intent, reason)

    def _finish(self, intent: Intent, reason: str) -> None:
        del self.live[intent.client_id]
        self._remember(intent)
        self.memory.ended()
        if intent.timer is not None:
            intent.timer.cancel()
        source = intent.source
        self._gates.leave(source.symbol, intent.client_id)
        self._actor.publish(
            OrderEnded(
                source.intent,
                intent.client_id,
                source.symbol,
                self._actor.clock.now_ns(),
                OUTCOMES[intent.state],
                intent.heard,
                reason,
            )
        )
        self._finished(intent, reason)

    def _remember(self, intent: Intent) -> None:
        self._ended[intent.client_id] = intent
        if len(self._ended) > ORDERS_REMEMBERED:
            del self._ended[next(iter(self._ended))]
