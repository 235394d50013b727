"""Bybit V5 linear market frames decoded straight into a book."""

from typing import Final

from hfengine.kernels.book import Book

IGNORED: Final[int]
DEPTH: Final[int]
QUOTE: Final[int]
TRADE: Final[int]
MARK: Final[int]
SNAPSHOT: Final[int]
UNSYNCED: Final[int]
STALE: Final[int]
MALFORMED: Final[int]
FOREIGN: Final[int]
WRONG_SYMBOL: Final[int]
BAD_NUMBER: Final[int]
OFF_GRID: Final[int]
GAP: Final[int]
CROSSED: Final[int]
OVERFLOW: Final[int]

FAULTS: Final[dict[int, str]]
KINDS: Final[dict[int, str]]
NAMES: Final[tuple[str, ...]]
TRADES_MAX: Final[int]

class BybitCodec:
    """Keep one symbol's book, touch, last trades and mark from its frames.

    Reads the public linear topics ``orderbook.{1,50,200,500,1000}``, ``publicTrade`` and
    ``tickers``, and the replies to requests. The book has the depth of the last snapshot deeper
    than 1; depth 1 is the touch beside it, and the book itself only while no deeper one came.
    While not ``synced`` the book is empty. Quantities and prices are also given in whole steps and
    ticks of the book's grid; as floats they are the doubles nearest to the decimals, nan before the
    first one. Times are ms since the epoch, by the venue's clock.
    """

    def __init__(self, symbol: str, book: Book) -> None:
        """Take over a book: what it holds is cleared.

        Raises ValueError when the symbol is empty or not plain ASCII.
        """

    def decode(self, payload: bytes) -> int:
        """Take one frame and return what it was: a kind (0 and above) or a fault (below 0).

        IGNORED: a reply to a request, only trades off the market (block trades), or a ticker delta
        without mark, index or funding. SNAPSHOT: the book replaced, by a snapshot at any time or by
        a delta whose ``u`` is 1 (the service restarted). DEPTH: a delta applied. QUOTE: the touch
        of depth 1, beside a deeper book. TRADE: at least one trade. MARK: mark, index or funding
        were in a ticker. UNSYNCED: a delta dropped because there is no book: only a snapshot helps,
        which comes on subscribing anew. STALE: a delta already known, or a touch repeated.
        MALFORMED: not one conforming JSON value, or a known key twice. FOREIGN: another dialect or
        topic, a required key missing or of the wrong type, a delta of depth 1 or of another depth
        than the book's. WRONG_SYMBOL: in the topic or beside the levels, trades or prices.
        BAD_NUMBER: negative, zero where nothing can be zero, 10**18 units of the last decimal or
        more, or no number at all. OFF_GRID: between two ticks or steps. GAP: ``u`` skips one or
        more. CROSSED: the bid at or above the ask. OVERFLOW: over ``TRADES_MAX`` trades in a frame.

        After a fault in a frame of the book's depth, or a MALFORMED frame that may have been one,
        the codec is not synced; any other fault leaves the book alone. A refused frame is never
        applied in part. Raises TypeError unless the payload is bytes.
        """

    def trade(self, index: int) -> tuple[str | int, float, float, int, int, int, int]:
        """Return one trade of the last trade frame: id, price, quantity, side, ms, ticks, steps.

        The oldest is 0; the side is +1 when the taker bought and -1 when the taker sold. The id is
        text as the venue writes it, a number when it wrote one. Raises IndexError for an index
        below 0 or not below ``trade_count``.
        """

    def resync(self) -> None:
        """Forget book, depth and touch: a new connection starts."""

    def desync(self) -> None:
        """Mark not synced and clear the book until a snapshot comes."""

    @property
    def symbol(self) -> str: ...
    @property
    def book(self) -> Book: ...
    @property
    def synced(self) -> bool:
        """Tell whether a snapshot was applied and the chain of deltas since is whole."""

    @property
    def depth(self) -> int:
        """Return how many levels a side the book's topic has, 0 before the first snapshot."""

    @property
    def counts(self) -> dict[str, int]:
        """Count results by name of kind or fault, off_market trades and sequence_backwards.

        The latter are deltas in the chain of ``u`` whose ``seq`` is below the last one's: applied,
        because the venue promises only the chain.
        """

    @property
    def fault_detail(self) -> str:
        """Say what was wrong with the last frame and at which byte, '' when nothing was."""

    @property
    def event_ms(self) -> int:
        """Return the venue's send time ``ts`` of the last frame understood, 0 before the first."""

    @property
    def match_ms(self) -> int:
        """Return its matching time: ``cts`` of a book, ``T`` of the last trade, else ``ts``."""

    @property
    def sequence(self) -> int:
        """Return ``seq`` of the last book or trade frame that had one; it orders across topics."""

    @property
    def trade_count(self) -> int:
        """Return how many trades the last trade frame held, those off the market left out."""

    @property
    def trade_id(self) -> str | int:
        """Return the last trade's id, '' before any; so for the other fields of a trade."""

    @property
    def trade_price(self) -> float: ...
    @property
    def trade_quantity(self) -> float: ...
    @property
    def trade_ticks(self) -> int: ...
    @property
    def trade_steps(self) -> int: ...
    @property
    def trade_side(self) -> int:
        """Return +1 when the taker bought, -1 when the taker sold, 0 before any trade."""

    @property
    def mark_price(self) -> float: ...
    @property
    def index_price(self) -> float: ...
    @property
    def funding_rate(self) -> float:
        """Return the rate of the next funding as a fraction: 0.0001 is 1 bp."""

    @property
    def next_funding_ms(self) -> int: ...
    @property
    def control_success(self) -> bool:
        """Tell whether the last reply to a request, or pong, reported success."""

    @property
    def control_op(self) -> str:
        """Return the operation that reply names, '' before any."""

    @property
    def control_request_id(self) -> str:
        """Return the request id it repeats, '' when it has none."""

    @property
    def control_message(self) -> str:
        """Return its message: why a request failed, or 'pong'."""

    @property
    def control_is_pong(self) -> bool:
        """Tell whether it answers a ping, in the public or the private form."""

    @property
    def canonical(self) -> int:
        """Count the deltas read in the venue's own layout, without the tolerant scan.

        Verdicts and books are the same either way; only the time it takes differs.
        """

    def top(self, levels: int) -> tuple[int, int, float, float, float, float, float] | None:
        """Return what a book tick says of the newer of book and touch.

        That is (event_ms, top_update_id, bid, bid quantity, ask, ask quantity, the book's imbalance
        over `levels` a side); None when not synced or a side is empty. Raises ValueError when
        `levels` is below 1.
        """

    @property
    def top_valid(self) -> bool:
        """Tell whether the newer of book and touch has both sides."""

    @property
    def top_update_id(self) -> int:
        """Return ``u`` of the newer of book and touch, each in the chain of its own depth."""

    @property
    def top_bid(self) -> float:
        """Return the best bid of the newer of book and touch by sequence, nan when empty."""

    @property
    def top_bid_quantity(self) -> float: ...
    @property
    def top_ask(self) -> float: ...
    @property
    def top_ask_quantity(self) -> float: ...
