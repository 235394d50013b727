"""Binance USDⓈ-M order entry on /ws-fapi/v1: each frame signed, a bracket is three of them.

The stop leaves in the same turn as the entry it protects, the take-profit once the entry is known
to live; a stop whose entry came to nothing is cancelled (DESIGN 7.11). An entry whose answer was
lost keeps its stop: too much protection is the lesser harm. When that answer comes after all, on
the same connection, its target leaves or its stop is taken back as if it had been in time; but no
target leaves once a newer protected entry of the symbol was sent, whose position it would close:
then `on_protection` hears that it is missing.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Final, Unpack

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import Instrument
from hfengine.kernels.binance_orders import BinanceOrders
from hfengine.limits import ORDER_REQUESTS_MAX
from hfengine.messages import OrderKind, OrderState, OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.venues.answer_codes import DETAIL_CHARS_MAX, refusal
from hfengine.venues.order_entry import (
    BAD_ORDER,
    TIF,
    UNSUPPORTED,
    Credentials,
    LegOutcome,
    OrderEntry,
    Waiting,
    Wires,
)

PING: Final = None
"""The venue pings; the link answers."""

STOP_LEG: Final = "s"
TARGET_LEG: Final = "t"

CLIENT_ID_CHARS_MAX: Final = 36

REQUEST_ID_CHARS_MAX: Final = 36
NOTHING: Final = Decimal(0)

STATES: Final[dict[str, OrderState]] = {
    "NEW": "new",
    "PARTIALLY_FILLED": "partially_filled",
    "FILLED": "filled",
    "CANCELED": "cancelled",
    "EXPIRED": "cancelled",
    "EXPIRED_IN_MATCH": "cancelled",
    "REJECTED": "rejected",
}
"""Order states; those of a conditional order follow its own life (`ALGO_STATES`)."""

ALGO_STATES: Final[dict[str, OrderState]] = {
    "NEW": "untriggered",
    "TRIGGERING": "triggered",
    "TRIGGERED": "triggered",
    "FINISHED": "triggered",
    "CANCELED": "cancelled",
    "EXPIRED": "cancelled",
    "REJECTED": "rejected",
}


# longer ones are none of ours, and Python refuses to read or write numbers of thousands of digits
_RequestId = Annotated[str, msgspec.Meta(max_length=REQUEST_ID_CHARS_MAX)]
_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Placed(Struct):
    order_id: _Number = msgspec.field(name="orderId", default=0)
    status: str = ""
    filled: Decimal = msgspec.field(name="executedQty", default=NOTHING)
    algo_id: _Number = msgspec.field(name="algoId", default=0)
    algo_status: str = msgspec.field(name="algoStatus", default="")


class _Failure(Struct):
    code: int
    text: str = msgspec.field(name="msg", default="")


class _Reply(Struct):
    request_id: _RequestId | _Number | None = msgspec.field(name="id", default=None)
    status: int = 0
    placed: _Placed = msgspec.field(name="result", default_factory=_Placed)
    failure: _Failure | None = msgspec.field(name="error", default=None)


class BinanceOrderEntry(OrderEntry):
    """Limit, market and conditional market orders in one-way mode.

    The acknowledgement of a limit or market order carries its state and what was filled at once.
    """

    venue = "binance"
    _templates: dict[str, BinanceOrders]

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        credentials: Credentials,
        **wires: Unpack[Wires],
    ) -> None:
        super().__init__(**wires)
        self._templates = {
            name: BinanceOrders(
                each.symbol,
                f"{each.price_tick:f}",
                f"{each.quantity_step:f}",
                credentials.api_key,
                credentials.signer,
                self.settings.recv_window_ms,
            )
            for name, each in instruments.items()
        }
        self._protected_ids: dict[str, int] = {}
        """Request ids of each symbol's newest protected entry."""
        self._api_key = credentials.api_key
        self._replies = msgspec.json.Decoder(_Reply)
        self.on_taken: Callable[[str], None] | None = None
        """Hears the client ids of the awaited orders that the venue took."""
        self._forgone: set[str] = set()
        self._expired: dict[int, Waiting] = {}
        """Entries with legs whose answer did not come in time, by request id, oldest first."""

    def _frame(self, request: OrderRequest, request_id: int, now_ms: int) -> bytes:
        orders = self._templates.get(request.symbol)
        if orders is None:
            raise VenueRejected(rejects.UNKNOWN_SYMBOL, request.symbol)
        frame = orders.of_request(request, request_id, now_ms)
        return self._with_care(orders, request, request_id, now_ms) if frame is None else frame

    def _with_care(
        self, orders: BinanceOrders, request: OrderRequest, request_id: int, now_ms: int
    ) -> bytes:
        """Frame what the template leaves to us, or name the reason why not."""
        kind = request.kind
        conditional = kind in ("stop_market", "take_profit_market")
        if request.close_position and not conditional:
            raise VenueRejected(UNSUPPORTED, f"{kind} orders cannot ask to close the position")
        if request.stop or request.target:
            _check_protected(request)
        ticks = steps = 0
        price = request.trigger if conditional else request.price
        try:
            ticks = orders.price.count(price) if kind != "market" else 0
            for trigger in (request.stop, request.target):
                orders.price.count(trigger)
        except ValueError as error:
            raise VenueRejected(rejects.OFF_TICK, f"{request.symbol}: {error}") from None
        try:
            steps = orders.quantity.count(request.quantity) if not request.close_position else 0
        except ValueError as error:
            raise VenueRejected(rejects.OFF_STEP, f"{request.symbol}: {error}") from None
        side, client_id = request.side, request.client_id
        if kind == "limit":
            tif = TIF[request.tif]
            reduce_only = request.reduce_only
            return orders.limit(request_id, now_ms, client_id, side, steps, ticks, tif, reduce_only)
        if kind == "market":
            return orders.market(request_id, now_ms, client_id, side, steps, request.reduce_only)
        if not steps and not request.close_position:
            raise VenueRejected(rejects.OFF_STEP, f"{request.symbol}: a quantity of 0")
        target, by_mark = kind == "take_profit_market", request.trigger_by == "mark"
        return orders.conditional(
            request_id, now_ms, client_id, side, target, ticks, steps, by_mark
        )

    # legs

    def _protect(self, request: OrderRequest, now_ms: int) -> None:
        self._protected_ids[request.symbol] = self._last_id
        self._place_leg(stop_of(request), now_ms)

    def _place_leg(self, leg: OrderRequest, now_ms: int) -> None:
        request_id = self._last_id = self._last_id + 1
        try:
            frame = self._frame(leg, request_id, now_ms)
        except (VenueRejected, ValueError) as error:
            # the entry has left: whatever is wrong with its leg must not look like its refusal
            self._tell_leg(leg, VenueRejected(BAD_ORDER, f"{leg.client_id}: {error}"))
            return
        self._send_leg(request_id, frame, leg)

    def _answered(self, waiting: Waiting, outcome: LegOutcome) -> None:
        """Send the take-profit of an entry that lives; cancel the stop of one that does not."""
        request = waiting.request
        if isinstance(outcome, OrderUpdate) and self.on_taken is not None:
            self.on_taken(request.client_id)
        if not (request.stop or request.target):
            return
        lives = _lives(outcome)
        if lives is None:
            return
        now_ms = self._clock.now_ns() // 1_000_000 + self.clock_offset_ms
        if lives and request.target:
            self._place_leg(target_of(request), now_ms)
        elif not lives and request.stop:
            stop = stop_of(request)
            self._forgo(stop.client_id)
            request_id = self._last_id = self._last_id + 1
            orders = self._templates[request.symbol]
            frame = orders.cancel_conditional(request_id, now_ms, stop.client_id)
            self._send_leg(request_id, frame, stop, cancels=True)

    def _forgo(self, stop_id: str) -> None:
        """Remember a stop under way that nothing needs any more."""
        for waiting in self._waiting.values():
            if waiting.answer is None and waiting.request.client_id == stop_id:
                self._forgone.add(stop_id)

    def _is_news(self, waiting: Waiting, outcome: LegOutcome) -> bool:
        """Keep to itself that a stop was refused whose entry came to nothing."""
        stop_id = waiting.request.client_id
        if not waiting.cancels and stop_id in self._forgone:
            self._forgone.discard(stop_id)
            return not isinstance(outcome, VenueRejected)
        return super()._is_news(waiting, outcome)

    # late answers

    def _expire(self) -> None:
        """Give up on what is due; remember the entries among it for a late answer."""
        before = self._waiting.copy()
        super()._expire()
        for request_id, waiting in before.items():
            request = waiting.request
            awaited = waiting.answer is not None and (request.stop or request.target)
            if awaited and request_id not in self._waiting:
                self._expired[request_id] = waiting
        while len(self._expired) > ORDER_REQUESTS_MAX:
            del self._expired[next(iter(self._expired))]

    def _answered_late(self, request_id: int, waiting: Waiting, outcome: LegOutcome) -> None:
        """Do for an entry's legs what its answer in time would have set off."""
        request = waiting.request
        newer = self._protected_ids.get(request.symbol, 0) > request_id
        if newer and request.target and _lives(outcome):
            text = f"{request.client_id}: answered late, after a newer entry: no target was sent"
            self._tell_leg(target_of(request), VenueUnavailable(text))
            return
        self._answered(waiting, outcome)

    def closed(self, reason: str) -> None:
        """Forget the connection: no answer comes late on another one."""
        self._expired.clear()
        super().closed(reason)

    # answers

    def heard(self, payload: bytes, received_ns: int) -> None:
        """Take one answer."""
        try:
            reply = self._replies.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unread_answers += 1
            return
        request_id = str(reply.request_id)
        if self._expired and request_id.isdecimal():
            late = self._expired.pop(int(request_id), None)
            if late is not None:
                outcome = self._outcome(late, reply, received_ns)
                self._answered_late(int(request_id), late, outcome)
                return
        self._resolve(request_id, lambda sent: self._outcome(sent, reply, received_ns))

    def _outcome(self, sent: Waiting, reply: _Reply, received_ns: int) -> LegOutcome:
        request, placed = sent.request, reply.placed
        failure = reply.failure
        if failure is not None:
            return refusal("binance", failure.code, self._clean(failure.text))
        states, status = STATES, placed.status
        if placed.algo_id:
            states, status = ALGO_STATES, placed.algo_status
        if sent.cancels:
            states, status = ALGO_STATES, "CANCELED"
        state = states.get(status)
        if reply.status != 200 or state is None or not placed.filled.is_finite():
            said = f"status {reply.status} {self._clean(status)}".strip()
            return VenueUnknown(f"{request.client_id}: binance answered with {said}")
        return OrderUpdate(
            request.client_id,
            str(placed.algo_id or placed.order_id),
            request.symbol,
            received_ns,
            request.kind,
            request.side,
            request.quantity,
            placed.filled,
            request.price,
            request.trigger,
            request.reduce_only,
            state,
        )

    def _clean(self, text: str) -> str:
        """Shorten a venue's words, and take the key out of them."""
        return text.replace(self._api_key, "***")[:DETAIL_CHARS_MAX]


def _lives(outcome: LegOutcome) -> bool | None:
    """Tell whether an entry may have, or get, a position; None where that is open."""
    if isinstance(outcome, OrderUpdate):
        return outcome.filled > 0 or outcome.state in ("new", "partially_filled")
    return False if isinstance(outcome, VenueRejected) else None


def _check_protected(request: OrderRequest) -> None:
    """Refuse protection where the venue has none, before anything was sent."""
    if request.reduce_only:
        raise VenueRejected(rejects.PROTECTION_ON_REDUCE_ONLY, request.client_id)
    if len(request.client_id) >= CLIENT_ID_CHARS_MAX:
        text = f"{request.client_id}: no room for the suffix of its stop and target"
        raise VenueRejected(rejects.BAD_CLIENT_ID, text)


def stop_of(entry: OrderRequest) -> OrderRequest:
    """Return the order that is an entry's stop."""
    return _leg_of(entry, "stop_market", entry.stop, STOP_LEG)


def target_of(entry: OrderRequest) -> OrderRequest:
    """Return the order that is an entry's take-profit."""
    return _leg_of(entry, "take_profit_market", entry.target, TARGET_LEG)


def _leg_of(entry: OrderRequest, kind: OrderKind, trigger: Decimal, suffix: str) -> OrderRequest:
    """Return the conditional order that closes what `entry` opens."""
    return OrderRequest(
        entry.client_id + suffix,
        entry.symbol,
        -entry.side,
        kind,
        NOTHING,
        NOTHING,
        "gtc",
        True,
        trigger,
        entry.protect_by,
        True,
        NOTHING,
        NOTHING,
        "mark",
        entry.slot,
    )
