"""The least a program can do between a Bybit book frame and an order: the floor of benchmarks."""

from hfengine.kernels.bybit_codec import BybitCodec

class FloorPath:
    """Decode a book frame, look at the touch, write an order: no actors, no gates, no journal.

    What an engine adds is its distance from this. The order is an immediate-or-cancel limit order
    on the heavier side of the touch, at the opposite best price. Not for trading.
    """

    def __init__(self, codec: BybitCodec, quantity: str) -> None:
        """Write orders for the codec's symbol, each of `quantity` in base currency.

        Raises ValueError when that is not plain decimals or the symbol is too long.
        """

    @property
    def orders(self) -> int:
        """Count the orders written."""

    def order(self, payload: bytes) -> bytes | None:
        """Apply a frame and return an `order.create` request, None unless it was a book delta.

        Raises TypeError unless the payload is bytes.
        """

    def serve(self, feed_fd: int, order_fd: int, spin: bool) -> int:
        """Answer every delta of one websocket on another until either closes; return `orders`.

        Both are connected sockets after the handshake. `spin` polls the feed without sleeping.
        Pings are answered, acknowledgements dropped unread. Raises OSError when a socket fails and
        ValueError for a frame over 256 KiB; a signal's handler may raise out of it.
        """
