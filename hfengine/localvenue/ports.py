"""What a dialect gives the local venue's server, and what it is given: no sockets in sight."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct, field


class ApiKey(Struct, frozen=True, kw_only=True):
    """One API key: whose account it opens and what it signs with."""

    key: str
    secret: bytes
    account: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return f"<ApiKey of {self.account}>"


class HttpRequest(Struct, frozen=True, kw_only=True):
    """One REST request as it came; what is signed is `raw_query` and `body`, byte for byte."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    query: Mapping[str, str]
    """Decoded `raw_query`; of a repeated name the last."""
    remote: str = "127.0.0.1"


class HttpAnswer(Struct, frozen=True, kw_only=True):
    """One REST answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


Handler = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class Socket(Protocol):
    """The server's end of one websocket."""

    @property
    def path(self) -> str:
        """The path it was opened on, without the query."""

    @property
    def query(self) -> Mapping[str, str]:
        """Its decoded query."""

    def send(self, payload: bytes) -> None:
        """Send one text frame; after the end of the connection it does nothing."""

    def close(self, code: int = 1000) -> None:
        """End the connection with a close frame."""


class Session(Protocol):
    """A dialect's side of one websocket."""

    def heard(self, payload: bytes) -> None:
        """Take one text frame."""

    def closed(self) -> None:
        """Forget the connection; called once."""


class Dialect(Protocol):
    """One exchange's protocol over a `World`."""

    @property
    def name(self) -> str:
        """`bybit`, `binance` or `bitget`."""

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the handlers by (method, path)."""

    def session(self, socket: Socket) -> Session | None:
        """Return the session of a new websocket; None for a path that is not served (404)."""

    def failure(self, code: int, message: str, status: int = 200) -> HttpAnswer:
        """Return an error answer in the dialect's envelope, for injected faults."""

    def not_found(self, request: HttpRequest) -> HttpAnswer:
        """Return the answer to a path that does not exist."""

    def stop(self) -> None:
        """End the dialect's timers."""

    def describe(self) -> Mapping[str, Any]:
        """Return the addresses and ccxt options a client needs, for the ready line."""

    def command(self, name: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do something only this dialect knows (a fault of its own); raises KeyError if unknown."""


Dialects = Sequence[str]
