"""Orders over a venue's own websocket: the bytes leave before `place` returns.

What the dialects share: numbering, the answers waited for, time-outs, and what a lost connection
means. A frame is built from a per-symbol template and handed to the link in the caller's turn; the
answer settles a future. Nothing here, nor any error it raises, holds a secret.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Never, Protocol, Required, TypedDict, Unpack

from msgspec import Struct

from hfengine.clock import Clock
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import VenueName
from hfengine.kernels.histogram import Histogram
from hfengine.kernels.order_line import OrderLine
from hfengine.kernels.signing import HmacSha256
from hfengine.limits import ORDER_REQUESTS_MAX, ORDER_REQUESTS_RESERVED
from hfengine.messages import OrderUpdate
from hfengine.requests import OrderRequest

TIF: Final = {"gtc": 0, "ioc": 1, "fok": 2, "post_only": 3}
"""Times in force as the frame kernels number them."""

BAD_ORDER: Final = "bad_order"
UNSUPPORTED: Final = "unsupported_order"

ENTRIES_MAX: Final = ORDER_REQUESTS_MAX - ORDER_REQUESTS_RESERVED

NOT_CONNECTED: Final = "not connected yet"

LegOutcome = OrderUpdate | VenueRejected | VenueUnknown | VenueUnavailable


class Sender(Protocol):
    """What takes frames: a `Link`, or anything that stands in for one."""

    def send(self, payload: bytes) -> None:
        """Take one text frame; raises VenueUnavailable when nothing was sent."""


class Credentials:
    """An API key and the means to sign with its secret; the secret itself is not kept."""

    __slots__ = ("api_key", "signer")

    def __init__(self, api_key: str, secret: bytes) -> None:
        self.api_key = api_key
        self.signer = HmacSha256(secret)

    def __repr__(self) -> str:
        return "<Credentials>"


class OrderEntrySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long a venue may take."""

    answer_max_s: float = 3.0
    """After so long without an answer an order's outcome counts as unknown."""
    recv_window_ms: int = 5000
    """How old an order may be when the venue reads it, 1..60000."""


class Waiting(Struct):
    """A frame that left and has not been answered. `answer` is None for what nobody awaits."""

    request: OrderRequest
    answer: asyncio.Future[OrderUpdate] | None
    due_s: float
    cancels: bool = False


class Wires(TypedDict, total=False):
    """What an order entry is wired to: time, the loop, its settings and whoever listens."""

    clock: Required[Clock]
    loop: Required[asyncio.AbstractEventLoop]
    settings: Required[OrderEntrySettings]
    on_ready: Callable[[bool, str], None]
    """Hears whether orders can be sent, and if not, why."""
    on_protection: Callable[[OrderRequest, LegOutcome], None]
    """Hears what became of the stops and targets that a dialect sends after an entry; their client
    ids are the entry's with "s" or "t" appended."""
    build_ns: Histogram
    """Times from the call to the finished frame."""
    write_ns: Histogram
    """Times spent in the link's `send`."""


class OrderEntry(OrderLine, ABC):
    """The session of an order-entry link, for one account; a dialect says how frames look."""

    venue: VenueName
    place: Callable[[OrderRequest], asyncio.Future[OrderUpdate]]
    """Send one order before returning; the future holds the venue's acknowledgement.

    Or VenueRejected: certainly not done; VenueUnknown: the answer was lost or leaves it open;
    VenueUnavailable: nothing was sent. Compiled (`OrderLine`), as is all before the bytes left.
    """

    _waiting: dict[int, Waiting]
    _sender: Sender | None

    def __init__(self, **wires: Unpack[Wires]) -> None:
        super().__init__(
            wires["clock"],
            wires.get("build_ns") or Histogram(),
            wires.get("write_ns") or Histogram(),
            ENTRIES_MAX,
        )
        self.settings = wires["settings"]
        self.unread_answers = 0
        """Frames heard that could not be read or that answered nothing under way."""
        self._clock = wires["clock"]
        self._loop = wires["loop"]
        self._on_ready = wires.get("on_ready")
        self._on_protection = wires.get("on_protection")
        self._why_not = NOT_CONNECTED
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """Return how many frames have not been answered yet."""
        return len(self._waiting)

    @property
    def last_request_id(self) -> int:
        """Return the number of the newest frame sent."""
        return self._last_id

    # orders out

    def _sent(self, request: OrderRequest, now_ms: int) -> asyncio.Future[OrderUpdate]:
        """Return the answer to come to what has just left."""
        answer: asyncio.Future[OrderUpdate] = self._loop.create_future()
        self._await(self._last_id, request, answer)
        if request.stop:
            self._protect(request, now_ms)
        return answer

    def _refused(self, error: Exception) -> asyncio.Future[OrderUpdate]:
        """Return the answer to what did not leave."""
        if not isinstance(error, VenueRejected | VenueUnavailable):
            raise error
        refused: asyncio.Future[OrderUpdate] = self._loop.create_future()
        refused.set_exception(error)
        return refused

    def _refuse_unready(self) -> Never:
        msg = f"{self.venue} order entry: {self._why_not}"
        raise VenueUnavailable(msg)

    def _careful(self, request: OrderRequest, request_id: int, now_ms: int) -> bytes:
        """Frame what the line leaves to the dialect, or name the reason why not."""
        try:
            return self._frame(request, request_id, now_ms)
        except ValueError as error:
            # the frame kernel refused to build it
            raise VenueRejected(BAD_ORDER, f"{request.symbol}: {error}") from None

    def _bound(self, request: OrderRequest) -> None:
        """Keep entries out of the share reserved for what reduces or protects."""
        reduces = request.reduce_only or request.close_position
        if not reduces or len(self._waiting) >= ORDER_REQUESTS_MAX:
            msg = (
                f"{self.venue} order entry: {len(self._waiting)} requests are unanswered, "
                f"of at most {ORDER_REQUESTS_MAX} ({ORDER_REQUESTS_RESERVED} kept for exits)"
            )
            raise VenueUnavailable(msg)

    def _send_leg(
        self, request_id: int, frame: bytes, request: OrderRequest, *, cancels: bool = False
    ) -> None:
        """Send a frame nobody awaits; its outcome goes to `on_protection`."""
        self._await(request_id, request, None, cancels)
        sender = self._sender
        failure: VenueUnavailable | None = None
        if sender is None:
            failure = VenueUnavailable(f"{self.venue} order entry: {self._why_not}")
        else:
            try:
                sender.send(frame)
            except VenueUnavailable as error:
                failure = error
        waiting = self._waiting.pop(request_id, None) if failure else None
        if failure is not None and waiting is not None:
            self._settle(waiting, failure)

    def _await(
        self,
        request_id: int,
        request: OrderRequest,
        answer: asyncio.Future[OrderUpdate] | None,
        cancels: bool = False,
    ) -> None:
        loop = self._loop
        due_s = loop.time() + self.settings.answer_max_s
        self._waiting[request_id] = Waiting(request, answer, due_s, cancels)
        if self._timer is None:
            # one timer for all: they fall due in the order they were sent
            self._timer = loop.call_at(due_s, self._expire)

    @abstractmethod
    def _frame(self, request: OrderRequest, request_id: int, now_ms: int) -> bytes:
        """Return the order's frame; raises VenueRejected or ValueError when there is none."""

    @abstractmethod
    def _protect(self, request: OrderRequest, now_ms: int) -> None:
        """Send the stop right after its entry, where it does not ride on it; never raises."""

    @abstractmethod
    def _answered(self, waiting: Waiting, outcome: LegOutcome) -> None:
        """Learn how the venue answered an awaited order, before whoever awaits it does."""

    # answers

    def _resolve(self, request_id: str, outcome: Callable[[Waiting], LegOutcome]) -> None:
        """Settle what a request id was waiting for; count an answer to nothing."""
        waiting = self._waiting.pop(int(request_id), None) if request_id.isdecimal() else None
        if waiting is None:
            self.unread_answers += 1
            return
        self._settle(waiting, outcome(waiting))

    def _settle(self, waiting: Waiting, outcome: LegOutcome) -> None:
        answer = waiting.answer
        if answer is None:
            if self._is_news(waiting, outcome):
                self._tell_leg(waiting.request, outcome)
            return
        self._answered(waiting, outcome)
        if answer.done():
            return
        if isinstance(outcome, OrderUpdate):
            answer.set_result(outcome)
        else:
            answer.set_exception(outcome)

    def _tell_leg(self, request: OrderRequest, outcome: LegOutcome) -> None:
        if self._on_protection is not None:
            self._on_protection(request, outcome)

    def _is_news(self, waiting: Waiting, outcome: LegOutcome) -> bool:
        if not waiting.cancels:
            return True
        gone = isinstance(outcome, VenueRejected) and outcome.reason == rejects.UNKNOWN_ORDER
        return not gone and not isinstance(outcome, OrderUpdate)

    def _expire(self) -> None:
        self._timer = None
        loop = self._loop
        # a timer may come a clock tick early: what is due within that counts as due
        now_s = loop.time() + 1e-3
        due = []
        for request_id, waiting in self._waiting.items():
            if waiting.due_s > now_s:
                break
            due.append(request_id)
        for request_id in due:
            waiting = self._waiting.pop(request_id)
            client_id = waiting.request.client_id
            msg = f"{client_id}: no answer from {self.venue} in {self.settings.answer_max_s:g} s"
            self._settle(waiting, VenueUnknown(msg))
        first = next(iter(self._waiting.values()), None)
        if first is not None and self._timer is None:
            self._timer = loop.call_at(first.due_s, self._expire)

    # the connection

    def opened(self, link: Sender) -> None:
        """Take a new connection; orders can be sent once the dialect says so."""
        self._sender = link
        self._become_ready()

    @abstractmethod
    def heard(self, payload: bytes, received_ns: int) -> None:
        """Take one answer."""

    def closed(self, reason: str) -> None:
        """Forget the connection: what was not answered is unknown."""
        self._sender = None
        self._become_unready(reason)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lost = list(self._waiting.values())
        self._waiting.clear()
        for waiting in lost:
            msg = f"{waiting.request.client_id}: connection to {self.venue} lost: {reason}"
            self._settle(waiting, VenueUnknown(msg))

    def _become_ready(self) -> None:
        self.is_ready = True
        self._why_not = ""
        if self._on_ready is not None:
            self._on_ready(True, "")

    def _become_unready(self, reason: str) -> None:
        self._why_not = reason
        self.is_ready = False
        if self._on_ready is not None:
            self._on_ready(False, reason)
