"""Talks to the venue: proves leverage, sends brackets and reductions, hears what became of them."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from hfengine.actors.flattening import flatten
from hfengine.actors.orders import Intent, entry_request, flat_position, reducing_request
from hfengine.actors.proving import Proving, prove
from hfengine.actors.refused_exits import RefusedExits, is_worth_repeating
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.kernels.histogram import now_ns
from hfengine.limits import QUERY_RETRIES_MAX
from hfengine.messages import (
    BalanceChanged,
    EngineState,
    Fill,
    Flatten,
    FlattenDone,
    FundingPaid,
    Halt,
    LeverageChanged,
    LeverageProof,
    Message,
    MoveProtection,
    OpenBracket,
    OrderEnded,
    OrderSent,
    OrderUnknown,
    OrderUpdate,
    PositionChanged,
    PositionOpened,
    ProtectionRefused,
    ReducePosition,
    Report,
    Resume,
    Start,
    Timer,
)
from hfengine.requests import OrderRequest
from hfengine.runtime.actor import Outcome, handles
from hfengine.venues.port import Answer

QUERY_FIRST_NS = 100_000_000
RETRY_NS = 1_000_000_000
OPEN_ORDER_NS = 5_000_000_000
"""How long an acknowledged order may stay without an end before the venue is asked."""
REREAD = "reread"
ACCOUNT = "account"
PROVE = "prove "
AGAIN = "again "


class Execution(WiredActor):
    """One account at one venue. Every request's outcome comes back as a message."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._venue = wiring.venue
        self._intents: dict[str, Intent] = {}
        self._heard = wiring.heard_fills
        self._leverage: dict[str, int] = {}
        self._outdated_ns: dict[str, int] = {}
        """Symbol -> readings of its leverage that began before are no proof any more."""
        self._retrying: set[str] = set()
        """Symbols whose leverage is asked for again soon: one chain of retries each."""
        self._reread = 0
        self._quantities: dict[str, PositionChanged] = {}
        self._spoken: Counter[str] = Counter()
        """Symbol -> positions the stream told: what was read meanwhile is old news."""
        self._starting: set[str] = set()
        self._stages = wiring.stages
        self._order_ids = wiring.order_ids
        self._protect_by = self.settings.protection.trigger_by
        self._refused_exits = RefusedExits(self.publish, self.clock)
        self._sent = 0

    # life

    def on_start(self) -> None:
        """Read leverage again at its interval, one symbol after the other."""
        interval_ns = self.settings.leverage.reread_s * 1e9
        self.tell_every_ns(int(interval_ns / len(self.settings.symbols)), Timer(REREAD))

    @handles(Start)
    def on_start_message(self, start: Start) -> None:
        """Read the account, then prove leverage: it is set only where there is no position."""
        symbols = self.settings.symbols
        self.publish(EngineState(start.at_ns, "starting", f"proving leverage of {len(symbols)}"))
        self._starting = {*symbols, ACCOUNT}
        self._ask_for_account()

    def _prove(self, symbol: str, *, may_set: bool) -> None:
        leverage = self.settings.leverage
        at_ns = self.clock.now_ns()
        asked = Proving(symbol, leverage.of(symbol), leverage.margin_mode, may_set, at_ns)
        self.run(prove(self._venue, asked), tag=asked)

    def _may_set(self, symbol: str) -> bool:
        position = self._quantities.get(symbol)
        flat = position is None or not position.quantity
        return flat and self.settings.leverage.auto_set

    def _ask_for_account(self) -> None:
        self.run(self._read_account(), tag=(ACCOUNT, self._spoken.copy(), self.clock.now_ns()))

    async def _read_account(self) -> tuple[list[Fill], list[PositionChanged], BalanceChanged]:
        venue = self._venue
        return await venue.fills(), await venue.positions(), await venue.balance()

    @handles(Timer)
    def on_timer(self, timer: Timer) -> None:
        """Read leverage or account again, query an order, or send a reduction once more."""
        if timer.name == REREAD:
            symbols = self.settings.symbols
            symbol = symbols[self._reread % len(symbols)]
            self._reread += 1
            if symbol not in self._retrying:
                self._prove(symbol, may_set=self._may_set(symbol))
        elif timer.name == ACCOUNT:
            self._ask_for_account()
        elif timer.name.startswith(PROVE):
            symbol = timer.name.removeprefix(PROVE)
            self._retrying.discard(symbol)
            self._prove(symbol, may_set=self._may_set(symbol))
        elif timer.name.startswith(AGAIN):
            self._reduce_again(timer.name.removeprefix(AGAIN))
        elif (intent := self._intents.get(timer.name)) is not None:
            self.run(
                self._venue.order_by_id(intent.source.symbol, intent.client_id),
                tag=("query", intent.client_id),
            )

    # orders out

    @handles(OpenBracket)
    def on_bracket(self, bracket: OpenBracket) -> None:
        """Send the entry with its stop and target attached to the position."""
        stages = self._stages
        started_ns = now_ns()
        client_id = self._order_ids.client_id(bracket.intent, "e")
        request = entry_request(client_id, bracket, self._protect_by)
        answer = self._venue.place(request)
        stages.order.record_since(started_ns)
        stages.frame_to_order.record_since(stages.frame_at_ns)
        self._follow(Intent(client_id, bracket), request, answer)
        self._order_ids.prepare(bracket.intent + 1, "e")

    @handles(ReducePosition)
    def on_reduce(self, reduce: ReducePosition) -> None:
        """Send a reduce-only market order."""
        client_id = self._order_ids.client_id(reduce.intent, "x")
        request = reducing_request(client_id, reduce.symbol, reduce.side, reduce.quantity)
        self._follow(Intent(client_id, reduce), request, self._venue.place(request))

    def _reduce_again(self, client_id: str) -> None:
        """Send what is left to reduce once more, under the intent's second id."""
        intent = self._intents[client_id]
        source = intent.source
        held = self._quantities.get(source.symbol)
        if held is None or not held.quantity or held.side != source.side:
            self._finish(intent, "rejected", intent.refused)
            return
        del self._intents[client_id]
        again = Intent(self._order_ids.client_id(source.intent, "x", 1), source)
        again.refused = intent.refused
        quantity = min(source.quantity, held.quantity)
        request = reducing_request(again.client_id, source.symbol, source.side, quantity)
        self._follow(again, request, self._venue.place(request))

    def _follow(self, intent: Intent, request: OrderRequest, answer: Answer) -> None:
        """Remember an order that was handed over, and wait for its answer.

        All within the turn in which it left: the journal is written after the turn, and no answer
        is heard before.
        """
        self._intents[intent.client_id] = intent
        self._announce(
            intent.source.intent,
            intent.client_id,
            request.symbol,
            request.side,
            request.quantity,
            reduce_only=request.reduce_only,
        )
        self.run(answer, tag=("place", intent.client_id))

    def _announce(
        self,
        intent: int,
        client_id: str,
        symbol: str,
        side: int,
        quantity: Decimal,
        *,
        reduce_only: bool,
    ) -> None:
        """Publish that an order leaves."""
        self._sent += 1
        at_ns = self.clock.now_ns()
        self.publish(OrderSent(intent, client_id, symbol, at_ns, side, quantity, reduce_only))

    @handles(MoveProtection)
    def on_move(self, move: MoveProtection) -> None:
        """Amend stop and target in place."""
        self.run(self._venue.protect(move.symbol, move.stop, move.target), tag=("move", move))

    # outcomes

    @handles(Outcome)
    def on_outcome(self, outcome: Outcome) -> None:
        """Sort an answer by the request it answers."""
        tag = outcome.tag
        if outcome.cancelled and not (isinstance(tag, tuple) and tag[0] in ("place", "query")):
            return
        if isinstance(tag, Proving):
            self._proved(tag, outcome)
        elif tag == "flatten":
            self._flattened(outcome)
        elif tag[0] == ACCOUNT:
            self._account_read(outcome, tag[1], tag[2])
        elif tag[0] == "place":
            self._placed(tag[1], outcome)
        elif tag[0] == "query":
            self._queried(tag[1], outcome)
        elif tag[0] == "move":
            self._moved(outcome)

    def _moved(self, outcome: Outcome) -> None:
        # a refused amendment leaves the old protection in force; the guardian looks again
        if not isinstance(outcome.error, VenueRejected | VenueUnknown | VenueUnavailable | None):
            raise outcome.error

    def _proved(self, asked: Proving, outcome: Outcome) -> None:
        error = outcome.error
        if asked.asked_ns < self._outdated_ns.get(asked.symbol, 0):
            self._prove(asked.symbol, may_set=False)
        elif error is None:
            at_ns = self.clock.now_ns()
            self._outdated_ns[asked.symbol] = asked.asked_ns
            setting, source = outcome.result
            self._leverage[asked.symbol] = setting.leverage
            self.publish(
                LeverageProof(
                    asked.symbol,
                    at_ns,
                    asked.leverage,
                    setting.leverage,
                    setting.margin_mode,
                    source,
                )
            )
            self._started(asked.symbol)
        elif isinstance(error, VenueRejected | VenueUnknown | VenueUnavailable):
            # not proved: the gate refuses; asked again soon
            if asked.symbol not in self._retrying:
                self._retrying.add(asked.symbol)
                self.tell_after_ns(RETRY_NS, Timer(f"{PROVE}{asked.symbol}"))
        else:
            raise error

    def _account_read(self, outcome: Outcome, spoken: Mapping[str, int], began_ns: int) -> None:
        error = outcome.error
        if isinstance(error, VenueRejected | VenueUnknown | VenueUnavailable):
            self.tell_after_ns(RETRY_NS, Timer(ACCOUNT))
            return
        if error is not None:
            raise error
        fills, positions, balance = outcome.result
        for fill in fills:
            self.on_fill(fill)
        held = {position.symbol for position in positions}
        at_ns = self.clock.now_ns()
        flat = [flat_position(s, at_ns) for s in self.settings.symbols if s not in held]
        flying = {i.source.symbol for i in self._intents.values() if not i.has_ended}
        for position in [*positions, *flat]:
            # an order on its way makes what was read old news; the stream tells the new
            symbol = position.symbol
            if symbol not in flying and self._spoken[symbol] == spoken.get(symbol, 0):
                self._take_position(position)
        self.publish(balance)
        if self._refused_exits.judge(self._quantities, began_ns, flying):
            self.tell_after_ns(RETRY_NS, Timer(ACCOUNT))
        if ACCOUNT in self._starting:
            for symbol in self.settings.symbols:
                self._prove(symbol, may_set=self._may_set(symbol))
        self._started(ACCOUNT)

    def _started(self, part: str) -> None:
        if part not in self._starting:
            return
        self._starting.discard(part)
        if not self._starting:
            self.publish(EngineState(self.clock.now_ns(), "trading", "leverage and account read"))

    def _placed(self, client_id: str, outcome: Outcome) -> None:
        intent = self._intents.get(client_id)
        if intent is None:
            return
        error = outcome.error
        if error is None:
            intent.hear_order(outcome.result)
            self._end_if_over(intent)
            self._look_again(client_id)
        elif isinstance(error, VenueRejected):
            self._end(intent, "rejected", str(error))
        elif isinstance(error, VenueUnavailable):
            self._end(intent, "not_placed", str(error))
        else:
            # a lost answer and an error of our own alike: the order may exist
            self._unknown(intent, repr(error))

    def _look_again(self, client_id: str) -> None:
        """Ask the venue later for an order whose end is still to come: the stream may lose it."""
        if client_id in self._intents:
            self.tell_after_ns(OPEN_ORDER_NS, Timer(client_id))

    def _unknown(self, intent: Intent, detail: str) -> None:
        source = intent.source
        self.publish(
            OrderUnknown(
                source.intent, intent.client_id, source.symbol, self.clock.now_ns(), detail
            )
        )
        self.tell_after_ns(QUERY_FIRST_NS, Timer(intent.client_id))

    def _queried(self, client_id: str, outcome: Outcome) -> None:
        intent = self._intents.get(client_id)
        if intent is None:
            return
        if outcome.error is None and outcome.result is not None:
            intent.hear_order(outcome.result)
            self._end_if_over(intent)
            if intent.has_ended and client_id in self._intents:
                # the stream may have lost what the query shows: read fills and positions
                self._ask_for_account()
            self._look_again(client_id)
            return
        intent.queries += 1
        if intent.queries >= QUERY_RETRIES_MAX and outcome.error is None and not intent.heard:
            self._end(intent, "not_placed", "unknown to the venue after repeated queries")
            return
        self.tell_after_ns(QUERY_FIRST_NS << min(intent.queries, 8), Timer(client_id))

    def _end_if_over(self, intent: Intent) -> None:
        order = intent.order
        if order is None or not intent.is_over:
            return
        outcome = "filled" if order.state == "filled" else "cancelled"
        if order.state == "rejected":
            outcome = "rejected"
        self._end(intent, outcome, order.reason)

    def _end(self, intent: Intent, outcome: Any, reason: str) -> None:
        """Finish an intent, unless it is a reduction that is sent once more."""
        is_new = not intent.refused and not intent.is_entry
        if is_new and outcome == "rejected" and is_worth_repeating(reason):
            intent.refused, intent.waits = reason, True
            self.tell_after_ns(RETRY_NS, Timer(f"{AGAIN}{intent.client_id}"))
        elif not intent.waits:
            self._finish(intent, outcome, reason)

    def _finish(self, intent: Intent, outcome: Any, reason: str) -> None:
        del self._intents[intent.client_id]
        source = intent.source
        self.publish(
            OrderEnded(
                source.intent,
                intent.client_id,
                source.symbol,
                self.clock.now_ns(),
                outcome,
                intent.heard,
                reason,
            )
        )
        if outcome == "filled" or not isinstance(source, ReducePosition):
            return
        if self._refused_exits.doubt(source, reason):
            self._ask_for_account()

    # what the venue says

    @handles(OrderUpdate)
    def on_order_update(self, update: OrderUpdate) -> None:
        """Take the state of an order."""
        self.publish(update)
        intent = self._intents.get(update.client_id)
        if intent is not None:
            intent.hear_order(update)
            self._end_if_over(intent)

    @handles(Fill)
    def on_fill(self, fill: Fill) -> None:
        """Take a fill once; the first of an entry opens the position's life."""
        if fill.fill_id in self._heard:
            return
        self._heard.add(fill.fill_id)
        self.publish(fill)
        intent = self._intents.get(fill.client_id)
        if intent is None:
            return
        intent.hear_fill(fill)
        bracket = intent.source
        if isinstance(bracket, OpenBracket) and not intent.opened:
            intent.opened = True
            self.publish(
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

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Take a position and end the intents that waited for it."""
        self._spoken[position.symbol] += 1
        self._take_position(position)

    def _take_position(self, position: PositionChanged) -> None:
        self._quantities[position.symbol] = position
        self.publish(position)
        self._refused_exits.hear(position)
        for intent in list(self._intents.values()):
            if intent.source.symbol == position.symbol and intent.position_due:
                intent.position_due = False
                self._end_if_over(intent)

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Pass the account on."""
        self.publish(balance)

    @handles(FundingPaid, ProtectionRefused, Halt, Resume)
    def on_news(self, news: Message) -> None:
        """Pass on what others act on: the guardian on a refused stop, risk on a halt."""
        self.publish(news)

    @handles(LeverageChanged)
    def on_leverage_changed(self, change: LeverageChanged) -> None:
        """Pass a change on; one that we did not make is proved anew.

        It is stamped with our clock: the venue's may be ahead of that of the proofs it outdates.
        """
        self.publish(replace(change, at_ns=self.clock.now_ns()))
        if change.leverage != self.settings.leverage.of(change.symbol):
            self._outdated_ns[change.symbol] = self.clock.now_ns()
            self._prove(change.symbol, may_set=False)

    # flatten

    @handles(Flatten)
    def on_flatten(self, _message: Flatten) -> None:
        """Cancel, close and read back, in rounds, until the venue says flat."""
        closing = flatten(
            self._venue,
            self.settings.symbols,
            self._closing_order,
            self.wiring.pause,
            [position for position in self._quantities.values() if position.quantity],
        )
        self.run(closing, tag="flatten")

    def _closing_order(self, position: PositionChanged) -> OrderRequest:
        intent = self.wiring.intents.draw()
        client_id = self._order_ids.client_id(intent, "x")
        self._announce(
            intent, client_id, position.symbol, -position.side, position.quantity, reduce_only=True
        )
        return reducing_request(client_id, position.symbol, position.side, position.quantity)

    def _flattened(self, outcome: Outcome) -> None:
        at_ns = self.clock.now_ns()
        error = outcome.error
        if error is None:
            flat, rounds, detail = outcome.result
            self.publish(FlattenDone(at_ns, flat, rounds, detail))
        elif isinstance(error, VenueRejected | VenueUnknown | VenueUnavailable):
            self.publish(FlattenDone(at_ns, False, 0, str(error)))
        else:
            raise error

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with orders sent and intents still open."""
        return {"sent": self._sent, "open": len(self._intents), "fills": len(self._heard)}
