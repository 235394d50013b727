"""Talks to the venue: proves leverage, sends brackets and reductions, hears what became of them.

The parts stand beside it: `order_desk` (every order's states), `resting_entries` (chase, time-outs,
cancels), `leverage_desk` (proofs), `account_desk` (readings), `flattening`.
"""

from asyncio import CancelledError
from collections.abc import Callable
from typing import Any, Final

from hfengine.actors.account_desk import ACCOUNT, RECONCILE, AccountDesk
from hfengine.actors.fill_memory import KEEP, FillMemory
from hfengine.actors.flattening import FLATTEN, Flattening
from hfengine.actors.leverage_desk import EXPIRE, PROVE, REREAD, LeverageDesk
from hfengine.actors.order_desk import AGAIN, FLATTENING, PLACE, QUERY, OrderDesk
from hfengine.actors.orders import NO_TRIGGER, Intent, entry_request
from hfengine.actors.refused_exits import RefusedExits
from hfengine.actors.resting_entries import AMEND, CANCEL, TIMEOUT, RestingEntries
from hfengine.actors.sending_gates import SendingGates
from hfengine.actors.sent_memory import KEEP_SENT
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.kernels.entry_turn import BracketTurn
from hfengine.kernels.histogram import now_ns
from hfengine.messages import (
    BalanceChanged,
    BookTick,
    EngineState,
    Fill,
    Flatten,
    FundingPaid,
    Halt,
    LeverageChanged,
    Message,
    MoveProtection,
    OpenBracket,
    OrderUpdate,
    PositionChanged,
    ProtectionRefused,
    ReducePosition,
    Report,
    Resume,
    Start,
    Timer,
)
from hfengine.oversight import CancelOrder
from hfengine.requests import OrderRequest
from hfengine.runtime.actor import Outcome, compiled, handles
from hfengine.venues.port import Answer

MOVE: Final = "move"
PRIVATE_STREAM: Final = "private_stream"
"""In the source of the halt that a venue tells while its private stream is away."""

TARGETS_FAULT: Final = (rejects.TARGET_WRONG_SIDE,)
"""Refusals of an amendment that name the target; any other may be the stop's."""


class Execution(WiredActor):
    """One account at one venue. Every request's outcome comes back as a message."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._venue = wiring.venue
        self._stages = wiring.stages
        self._order_ids = wiring.order_ids
        self._protect_by = self.settings.protection.trigger_by
        self._kind = self.settings.entries.kind
        self._starting: set[str] = set()
        self._fills = FillMemory(self)
        self._gates = SendingGates()
        self._clear = self._gates.clear
        self._leverage = LeverageDesk(self, self._gates)
        self._refused_exits = RefusedExits(self.publish, self.clock)
        self._account = AccountDesk(
            self, self._fills, self._refused_exits, self.on_fill, self._take_position
        )
        self._orders = OrderDesk(self, self._gates, self._account.ask, self._finished)
        self._resting = RestingEntries(self, self._orders, self._account.ask)
        self._rests = self._resting.rests
        self._flattening = Flattening(self, self._gates, self._close)
        self._by_timer: dict[str, Callable[[str], None]] = {
            REREAD: lambda _: self._leverage.reread(),
            PROVE: self._leverage.retry,
            EXPIRE: self._leverage.expire,
            ACCOUNT: lambda _: self._account.on_timer(),
            RECONCILE: lambda _: self._account.ask(),
            KEEP: lambda _: self._fills.keep(),
            KEEP_SENT: lambda _: self._orders.memory.on_timer(),
            FLATTEN: lambda _: self._flattening.on_timer(),
            QUERY: self._orders.query,
            AGAIN: self._reduce_again,
            TIMEOUT: self._resting.timed_out,
            CANCEL: self._resting.again,
        }
        self._by_outcome: dict[str, Callable[[Any, Outcome], None]] = {
            PROVE: self._proved,
            ACCOUNT: self._account_read,
            PLACE: self._placed,
            QUERY: self._queried,
            MOVE: self._moved,
            AMEND: self._resting.amended,
            CANCEL: self._resting.cancelled,
            FLATTEN: self._flattening.on_outcome,
        }

        if not self._rests:
            self.handle_by(OpenBracket, self._compiled_turn().handle)

    def _compiled_turn(self) -> BracketTurn:
        return BracketTurn(
            self._clear,
            self._venue,
            self._order_ids,
            request_class=OrderRequest,
            tif=self._kind,
            protect_by=self._protect_by,
            nothing=NO_TRIGGER,
            stages=self._stages,
            sent=self._sent,
            care=self.on_bracket,
        )

    # life

    def on_start(self) -> None:
        """Begin to read leverage and account again at their intervals."""
        self._leverage.begin()
        self._account.begin()

    @handles(Start)
    def on_start_message(self, start: Start) -> None:
        """Read the account, then prove leverage: it is set only where there is no position."""
        symbols = self.settings.symbols
        self.publish(EngineState(start.at_ns, "starting", f"proving leverage of {len(symbols)}"))
        self._fills.tell_if_unreadable()
        self._orders.recall()
        self._starting = {*symbols, ACCOUNT}
        self._account.ask()

    @handles(Timer)
    def on_timer(self, timer: Timer) -> None:
        """Do what the first word of the timer's name says, with what stands behind it."""
        word, _, rest = timer.name.partition(" ")
        self._by_timer[word](rest)

    @handles(Outcome)
    def on_outcome(self, outcome: Outcome) -> None:
        """Sort an answer by the request it answers."""
        word, asked = outcome.tag
        self._by_outcome[word](asked, outcome)

    def _started(self, part: str) -> None:
        if part not in self._starting:
            return
        self._starting.discard(part)
        if not self._starting:
            self.publish(EngineState(self.clock.now_ns(), "trading", "leverage and account read"))

    def _proved(self, asked: Any, outcome: Outcome) -> None:
        if self._leverage.proved(asked, outcome):
            self._started(asked.symbol)

    def _account_read(self, asked: Any, outcome: Outcome) -> None:
        if not self._account.read(asked, outcome, self._orders):
            return
        if ACCOUNT in self._starting:
            self._leverage.prove_all()
        self._started(ACCOUNT)

    # orders out

    @compiled
    @handles(OpenBracket)
    def on_bracket(self, bracket: OpenBracket) -> None:
        """Send the entry with its stop and target attached to the position.

        What risk looked at may have changed while the bracket was on its way: the proof has to be
        the newest one still, and the symbol free. Else it ends not placed, with the gate's name.
        `BracketTurn` does the same for what may be sent and does not rest.
        """
        stages = self._stages
        started_ns = now_ns()
        if self._clear.get(bracket.symbol) != bracket.proof_at_ns:
            self._gate(bracket, self._gates.closed(bracket))
            return
        client_id = self._order_ids.client_id(bracket.intent, "e")
        if self._rests:
            price = self._resting.price_of(bracket)
            if price is None:
                self._gate(bracket, "quote: none heard, where to rest is not known")
                return
            request = entry_request(client_id, bracket, self._protect_by, self._kind, price)
        else:
            request = entry_request(client_id, bracket, self._protect_by, self._kind)
        answer = self._venue.place(request)
        stages.order.record_since(started_ns)
        stages.frame_to_order.record_since(stages.frame_at_ns)
        self._sent(bracket, client_id, request, answer)

    def _sent(
        self, bracket: OpenBracket, client_id: str, request: OrderRequest, answer: Answer
    ) -> None:
        intent = Intent(client_id, bracket, rests=self._rests)
        self._orders.follow(intent, request, answer)
        if self._rests:
            self._resting.entered(intent, bracket, request.price)
        self._order_ids.prepare(bracket.intent + 1, "e")

    def _gate(self, bracket: OpenBracket, gate: str) -> None:
        client_id = self._order_ids.client_id(bracket.intent, "e")
        self._orders.refuse(Intent(client_id, bracket), f"gate: {gate}")

    @handles(ReducePosition)
    def on_reduce(self, reduce: ReducePosition) -> None:
        """Send a reduce-only market order; no bound refuses one."""
        self._orders.reduce(reduce)

    def _reduce_again(self, client_id: str) -> None:
        intent = self._orders.live[client_id]
        self._orders.reduce_again(client_id, self._account.positions.get(intent.source.symbol))

    def _finished(self, intent: Intent, reason: str) -> None:
        """Do what the end of an order asks for: an exit without effect has to be explained."""
        self._resting.finished(intent)
        source = intent.source
        if intent.state == "filled" or not isinstance(source, ReducePosition):
            return
        if source.reason != FLATTENING and self._refused_exits.doubt(source, reason):
            self._account.ask()

    @handles(BookTick)
    def on_book(self, tick: BookTick) -> None:
        """Let a resting entry follow the quote; told only where entries rest."""
        self._resting.hear_quote(tick)

    @handles(CancelOrder)
    def on_cancel(self, wish: CancelOrder) -> None:
        """Cancel one order, of whomever."""
        self._resting.cancel(wish)

    @handles(MoveProtection)
    def on_move(self, move: MoveProtection) -> None:
        """Amend stop and target in place."""
        asked = (move, self._account.spoken_of(move.symbol))
        self.run(self._venue.protect(move.symbol, move.stop, move.target), tag=(MOVE, asked))

    # outcomes

    def _placed(self, client_id: str, outcome: Outcome) -> None:
        self._orders.placed(client_id, outcome)
        self._cancel_overdue(client_id)
        self._flattening.answered(client_id, outcome.error)

    def _queried(self, client_id: str, outcome: Outcome) -> None:
        self._orders.queried(client_id, outcome)
        self._cancel_overdue(client_id)
        if outcome.error is None and outcome.result is not None:
            self._resting.queried(client_id)

    def _cancel_overdue(self, client_id: str) -> None:
        intent = self._orders.live.get(client_id)
        if intent is not None:
            self._resting.cancel_overdue(intent)

    def _moved(self, asked: tuple[MoveProtection, int], outcome: Outcome) -> None:
        """Take what stands now; tell at once that an amendment was refused: the old one stands.

        Where the answer was lost, or nothing could be sent, only the account says what stands.
        """
        (move, spoken), error = asked, outcome.error
        if error is None:
            self._account.answered(outcome.result, spoken, self._orders)
        elif isinstance(error, VenueRejected):
            leg: Any = "target" if error.reason in TARGETS_FAULT else "stop"
            at_ns = self.clock.now_ns()
            self.publish(ProtectionRefused(move.symbol, at_ns, "", leg, str(error)))
        elif isinstance(error, VenueUnknown | VenueUnavailable | CancelledError):
            self._account.ask()
        else:
            raise error

    # what the venue says

    @handles(OrderUpdate)
    def on_order_update(self, update: OrderUpdate) -> None:
        """Take the state of an order."""
        self.publish(update)
        intent = self._orders.hear(update)
        if intent is not None:
            self._resting.cancel_overdue(intent)

    @handles(Fill)
    def on_fill(self, fill: Fill) -> None:
        """Take a fill once."""
        if self._fills.is_news(fill):
            self.publish(fill)
            self._fills.told()
            self._orders.hear_fill(fill)

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Take a position and end the orders that waited for it."""
        self._account.hear(position)

    def _take_position(self, position: PositionChanged) -> None:
        self._account.positions[position.symbol] = position
        self._leverage.hold(position)
        self.publish(position)
        self._refused_exits.hear(position)
        self._orders.hear_position(position)

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Pass the account on."""
        self.publish(balance)

    @handles(FundingPaid)
    def on_funding(self, funding: FundingPaid) -> None:
        """Take a payment once."""
        if self._fills.is_news_of(funding):
            self.publish(funding)
            # rare, and without an id that the journal could be asked for
            self._fills.keep()

    @handles(Halt)
    def on_news(self, news: Message) -> None:
        """Pass on what others act on: risk on a halt."""
        self.publish(news)

    @handles(ProtectionRefused)
    def on_protection_refused(self, refused: ProtectionRefused) -> None:
        """Pass it on; an entry without its stop whose fill the stream has not told is looked for.

        Nothing can be closed before the guardian has heard of the position.
        """
        self.publish(refused)
        if refused.leg == "stop" and self._orders.laid_bare(refused.symbol):
            self._account.ask()

    @handles(Resume)
    def on_resume(self, resume: Resume) -> None:
        """Pass on what is good again; after a private reconnect read what was missed."""
        self.publish(resume)
        if PRIVATE_STREAM in resume.source:
            self._account.ask()

    @handles(LeverageChanged)
    def on_leverage_changed(self, change: LeverageChanged) -> None:
        """Pass a change on; one that we did not make is proved anew."""
        self._leverage.changed(change)

    # flatten

    @handles(Flatten)
    def on_flatten(self, _message: Flatten) -> None:
        """Cancel, close and read back, in rounds, until the venue says flat."""
        held = [position for position in self._account.positions.values() if position.quantity]
        self._flattening.begin(held)

    def _close(self, position: PositionChanged) -> str:
        intent, at_ns = self.wiring.intents.draw(), self.clock.now_ns()
        symbol, side, quantity = position.symbol, position.side, position.quantity
        return self._orders.reduce(
            ReducePosition(intent, symbol, at_ns, side, quantity, FLATTENING)
        )

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with orders sent, intents still open, fills told and what was odd."""
        orders = self._orders
        return {
            "sent": orders.sent,
            "open": len(orders.live),
            "fills": self._fills.count,
            "anomalies": orders.anomalies,
            "readings": self._account.readings,
            "orders": {client_id: intent.state for client_id, intent in orders.live.items()},
        }
