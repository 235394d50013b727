"""The way from an order to its bytes in one call: checked, read, counted, framed, handed over."""

from typing import Any, Protocol

from hfengine.kernels.grid import Grid
from hfengine.kernels.histogram import Histogram

class _Clock(Protocol):
    def now_ns(self) -> int: ...

class OrderFrames:
    """A symbol's template; each dialect's writes its frames."""

    @property
    def price(self) -> Grid: ...
    @property
    def quantity(self) -> Grid: ...
    def of_request(self, request: object, request_id: int, now_ms: int) -> bytes | None:
        """Return the frame of an OrderRequest, whose symbol is taken to be this one's.

        None when it needs care: a kind or flag the dialect does not send, a number off its grid, a
        field of another type than the request declares. ValueError as the frame's own method.
        """

class OrderLine:
    """What lies between an order and its bytes, for one account; an `OrderEntry` is its other half.

    `place`, typed there, sends a request in the caller's turn: it reads the clock, numbers the
    request, frames it with its symbol's template and hands it to the sender. It calls
    `_refuse_unready()` without a connection, `_bound(request)` with `entries_max` unanswered,
    `_careful(request, request_id, now_ms)` for the frame its template leaves to Python, and then
    `_sent(request, now_ms)`, or `_refused(error)` for anything raised before.
    """

    build_ns: Histogram
    """Times from the call to the finished frame."""
    write_ns: Histogram
    """Times spent in the sender."""
    clock_offset_ms: int
    """Added to our clock for the venue's time stamps: the venue's time minus ours."""
    is_ready: bool
    """Whether orders can be sent."""
    _last_id: int
    _waiting: dict[int, Any]
    _templates: dict[str, Any]
    _sender: Any

    def __init__(
        self, clock: _Clock, build_ns: Histogram, write_ns: Histogram, entries_max: int
    ) -> None: ...
