"""The hot half of a websocket link: frames into whole messages, reads into batches, frames out."""

from collections.abc import Callable
from typing import Final, Protocol

from picows import WSFrame, WSListener, WSTransport

from hfengine.kernels.mailbox import Host

PICOWS_VERSION: Final[str]
"""The release this is compiled against; importing with another raises ImportError."""

class Wire(Protocol):
    """The rare cases of one connection, in Python."""

    def connected(self, transport: WSTransport) -> None:
        """Take a new connection."""

    def take(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame that is not a whole message by itself."""

    def failed(self, error: BaseException) -> None:
        """Learn what a session or `take` raised, before the library does."""

    def disconnected(self, transport: WSTransport) -> None:
        """Learn of the connection's end."""

class Hearer:
    """Whoever takes a connection's messages: this one hands them to a Python callable.

    Compiled subclasses take them without one.
    """

    def __init__(self, to: Callable[[bytes, int], None]) -> None: ...
    def __call__(self, payload: bytes, received_ns: int, read_at_ns: int = 0) -> None:
        """Take one message: the clock's time and the monotonic time of reading it, in ns."""

class Listener(WSListener):
    """The frames of one connection: whole messages to `heard`, everything else to the wire.

    All messages of one socket read reach `heard` in one batch of `host`, or in several when they
    are more than `batch_frames_max` or hold more than `batch_bytes_max` bytes; raises ValueError
    unless both are positive. `now_ns` is the clock, read once a socket read. After an exception
    nothing more is heard.
    """

    in_parts: bool
    """A message in several frames has begun: the wire sets and clears it."""
    broken: bool
    def __init__(
        self,
        wire: Wire,
        host: Host,
        now_ns: Callable[[], int],
        heard: Hearer | Callable[[bytes, int], None],
        batch_frames_max: int,
        batch_bytes_max: int,
    ) -> None: ...
    @property
    def transport(self) -> WSTransport | None:
        """The connection; None before it was made."""

    @property
    def frames(self) -> int:
        """How many frames came in, pings and pongs included."""

    @property
    def congested(self) -> bool:
        """Whether the peer does not read what is sent to it."""

    @property
    def received_ns(self) -> int:
        """The clock's time when the newest bytes were read."""

    @property
    def read_at_ns(self) -> int:
        """Monotonic time (`kernels.histogram.now_ns`) when the newest bytes were read."""

    def hear(self, payload: bytes) -> None:
        """Hand on a message that the wire put together."""

class Line:
    """Where the frames of a link go out: the current connection's listener, while it is open."""

    is_open: bool
    listener: Listener | None
    def send(self, payload: bytes) -> None:
        """Hand one text frame to the socket; raises what `unsendable` returns if nothing was sent.

        Raises TypeError unless the payload is bytes.
        """

    def unsendable(self) -> Exception:
        """Return the error that says why nothing can be sent: for subclasses."""
