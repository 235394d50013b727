"""Bybit V5 order entry on /v5/trade: authenticated once a connection, stop and target attached."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Final, Unpack

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import Instrument
from hfengine.kernels.bybit_orders import BybitOrders
from hfengine.messages import OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.venues.answer_codes import DETAIL_CHARS_MAX, meaning_of, refusal
from hfengine.venues.order_entry import (
    TIF,
    UNSUPPORTED,
    Credentials,
    LegOutcome,
    OrderEntry,
    Sender,
    Waiting,
    Wires,
)

PING: Final = b'{"op":"ping"}'
PING_EVERY_S: Final = 20.0
"""What keeps the connection: the link sends it (`LinkSettings.ping`)."""

AUTH_LIFE_MS: Final = 10_000
AUTH_PAUSE_MAX_S: Final = 60.0
"""Pauses after refusals that may pass double from `answer_max_s` to this."""

AUTH_DOUBLINGS_MAX: Final = 20
REPEATED_AUTH: Final = 20001
MAY_PASS: Final = ("fix", "query", "backoff")
"""What `answer_codes` says to do about a refusal that need not stand; a bad key stands."""

REQUEST_ID_CHARS_MAX: Final = 36
NOTHING: Final = Decimal(0)


# longer ones are none of ours, and Python refuses to read numbers of thousands of digits
_RequestId = Annotated[str, msgspec.Meta(max_length=REQUEST_ID_CHARS_MAX)]


class _Placed(Struct):
    order_id: str = msgspec.field(name="orderId", default="")


class _Asked(Struct):
    op: str = ""


class _Reply(Struct):
    """An answer of either form: to orders and authentication, or to what was not understood."""

    op: str = ""
    code: int | None = msgspec.field(name="retCode", default=None)
    text: str = msgspec.field(name="retMsg", default="")
    success: bool | None = None
    other_text: str = msgspec.field(name="ret_msg", default="")
    request_id: _RequestId = msgspec.field(name="reqId", default="")
    placed: _Placed = msgspec.field(name="data", default_factory=_Placed)
    asked: _Asked = msgspec.field(name="request", default_factory=_Asked)


class BybitOrderEntry(OrderEntry):
    """Limit and market orders in one-way mode; an entry's stop and target ride on its frame.

    An acknowledgement says that the order was taken, not what became of it: state "new".
    """

    venue = "bybit"
    _templates: dict[str, BybitOrders]

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        credentials: Credentials,
        **wires: Unpack[Wires],
    ) -> None:
        super().__init__(**wires)
        self._templates = {
            name: BybitOrders(
                each.symbol,
                f"{each.price_tick:f}",
                f"{each.quantity_step:f}",
                self.settings.recv_window_ms,
            )
            for name, each in instruments.items()
        }
        self._credentials = credentials
        self._replies = msgspec.json.Decoder(_Reply)
        self._auth_timer: asyncio.TimerHandle | None = None
        self._auth_refusals = 0

    def _frame(self, request: OrderRequest, request_id: int, now_ms: int) -> bytes:
        orders = self._templates.get(request.symbol)
        if orders is None:
            raise VenueRejected(rejects.UNKNOWN_SYMBOL, request.symbol)
        frame = orders.of_request(request, request_id, now_ms)
        return self._with_care(orders, request, request_id, now_ms) if frame is None else frame

    def _with_care(
        self, orders: BybitOrders, request: OrderRequest, request_id: int, now_ms: int
    ) -> bytes:
        """Frame what the template leaves to us, or name the reason why not."""
        kind = request.kind
        if request.close_position or kind not in ("limit", "market"):
            raise VenueRejected(UNSUPPORTED, f"{kind} orders are not sent over this connection")
        count = orders.price.count
        try:
            stop = count(request.stop) if request.stop else 0
            target = count(request.target) if request.target else 0
            ticks = count(request.price) if kind == "limit" else 0
        except ValueError as error:
            raise VenueRejected(rejects.OFF_TICK, f"{request.symbol}: {error}") from None
        try:
            steps = orders.quantity.count(request.quantity)
        except ValueError as error:
            raise VenueRejected(rejects.OFF_STEP, f"{request.symbol}: {error}") from None
        by_mark = request.protect_by == "mark"
        if kind == "market":
            return orders.market(
                request_id,
                now_ms,
                request.client_id,
                request.side,
                steps,
                request.reduce_only,
                stop,
                target,
                by_mark,
            )
        return orders.limit(
            request_id,
            now_ms,
            request.client_id,
            request.side,
            steps,
            ticks,
            TIF[request.tif],
            request.reduce_only,
            stop,
            target,
            by_mark,
        )

    def _protect(self, request: OrderRequest, now_ms: int) -> None:
        """Send nothing: the stop rode on the entry's own frame."""

    def _answered(self, waiting: Waiting, outcome: LegOutcome) -> None:
        """Do nothing: no leg of its own waits for the entry's answer."""

    # the connection

    def opened(self, link: Sender) -> None:
        """Authenticate; orders can be sent once the venue agreed.

        A refusal that may pass (clock, rate, busy) is answered with another try after a growing
        pause, as long as the connection lives.
        """
        self._sender = link
        self._auth_refusals = 0
        self._why_not = "not authenticated yet"
        self._authenticate()

    def _authenticate(self) -> None:
        """Send the authentication frame, and again as long as no answer comes."""
        if self._sender is None:
            return
        delay_s = self.settings.answer_max_s
        self._auth_timer = self._loop.call_later(delay_s, self._authenticate)
        credentials = self._credentials
        now_ms = self._clock.now_ns() // 1_000_000 + self.clock_offset_ms
        expires = str(now_ms + AUTH_LIFE_MS)
        signature = credentials.signer.sign_hex(f"GET/realtime{expires}".encode()).decode()
        arguments = [credentials.api_key, expires, signature]
        try:
            self._sender.send(msgspec.json.encode({"op": "auth", "args": arguments}))
        except VenueUnavailable as error:
            # the link is closing: `closed` follows, then a new connection
            self._why_not = f"not authenticated: {error}"

    def closed(self, reason: str) -> None:
        """Forget the connection and its authentication."""
        self._stop_asking()
        super().closed(reason)

    def _stop_asking(self) -> None:
        if self._auth_timer is not None:
            self._auth_timer.cancel()
            self._auth_timer = None

    def heard(self, payload: bytes, received_ns: int) -> None:
        """Take one answer; pongs are the link's business."""
        try:
            reply = self._replies.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.unread_answers += 1
            return
        op = reply.op
        if op == "order.create":
            self._resolve(reply.request_id, lambda sent: self._outcome(sent, reply, received_ns))
        elif op == "auth" or reply.asked.op == "auth":
            self._authenticated(reply)
        elif op not in ("ping", "pong"):
            self.unread_answers += 1

    def _outcome(self, sent: Waiting, reply: _Reply, received_ns: int) -> LegOutcome:
        request = sent.request
        if reply.code is None:
            return VenueUnknown(f"{request.client_id}: bybit answered without a retCode")
        if reply.code:
            return refusal("bybit", reply.code, self._clean(reply.text))
        return OrderUpdate(
            request.client_id,
            reply.placed.order_id,
            request.symbol,
            received_ns,
            request.kind,
            request.side,
            request.quantity,
            NOTHING,
            request.price,
            request.trigger,
            request.reduce_only,
            "new",
        )

    def _authenticated(self, reply: _Reply) -> None:
        code, success = reply.code, reply.success
        if code is None and success is None:
            # says neither yes nor no: whoever waits for the answer goes on waiting
            self.unread_answers += 1
            return
        self._stop_asking()
        if code == REPEATED_AUTH or (not code and success is not False):
            self._auth_refusals = 0
            if not self.is_ready:
                self._become_ready()
            return
        text = self._clean(reply.text or reply.other_text)
        reason = "refused"
        if code:
            meaning = meaning_of("bybit", code)
            reason = meaning.reason
            if meaning.action in MAY_PASS:
                self._ask_again()
        self._become_unready(f"authentication refused: {reason}: bybit {code or 0} {text}")

    def _ask_again(self) -> None:
        doublings = min(self._auth_refusals, AUTH_DOUBLINGS_MAX)
        self._auth_refusals += 1
        pause_s = min(self.settings.answer_max_s * 2**doublings, AUTH_PAUSE_MAX_S)
        self._auth_timer = self._loop.call_later(pause_s, self._authenticate)

    def _clean(self, text: str) -> str:
        """Shorten a venue's words, and take the key out of them."""
        return text.replace(self._credentials.api_key, "***")[:DETAIL_CHARS_MAX]
