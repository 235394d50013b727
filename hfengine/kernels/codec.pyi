"""Binance market frames, of the futures or of spot, decoded straight into a book."""

from typing import Final

from hfengine.kernels.book import Book

IGNORED: Final[int]
DEPTH: Final[int]
QUOTE: Final[int]
TRADE: Final[int]
MARK: Final[int]
SNAPSHOT: Final[int]
BUFFERED: Final[int]
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
KEPT_MAX: Final[int]
MARKETS: Final[tuple[str, ...]]

class BinanceCodec:
    """Keep one symbol's book, last quote, trade and mark from its frames.

    Reads depthUpdate, bookTicker, trade, aggTrade and markPriceUpdate events, raw or wrapped in
    ``{"stream": .., "data": ..}``, and the REST depth snapshot. While not ``synced`` the book is
    empty. Quantities and prices are also given in whole steps and ticks of the book's grid; as
    floats they are the doubles nearest to the decimals, nan before the first one.

    The market names the rules: "usdm" (USDⓈ-M), "coinm" (COIN-M, whose frames have the same form
    and whose quantities are contracts) or "spot". Spot has no ``pu``: there ``U`` must be the last
    ``u`` + 1, and a diff with ``u`` up to the snapshot's id is STALE; its quotes have no event name
    and no times, its diffs no matching time, and there are no marks.
    """

    def __init__(self, symbol: str, book: Book, market: str = "usdm") -> None:
        """Take over a book: what it holds is cleared.

        Its grid must be as fine as what the venue writes, not only as its tick and step of today:
        orders older than a change of tick or step rest between them, and a frame that holds one
        is refused as OFF_GRID.

        Raises ValueError when the symbol is empty or not plain ASCII, or the market unknown.
        """

    def decode(self, payload: bytes) -> int:
        """Take one frame and return what it was: a kind (0 and above) or a fault (below 0).

        IGNORED: a reply to a request, or a trade off the market (insurance fund, liquidation
        against it). DEPTH: a diff applied. BUFFERED: a diff kept until the snapshot; at most
        ``KEPT_MAX``. STALE: a diff, snapshot or quote older than what is known, dropped.
        MALFORMED: not one conforming JSON value, or a known key twice. FOREIGN: another dialect, an
        unknown event, a required key missing or of the wrong type. BAD_NUMBER: negative, zero where
        nothing can be zero, 10**18 units of the last decimal or more, no number at all, or ids that
        run backwards. OFF_GRID: between two ticks or steps. GAP: ``pu`` is not the last ``u`` (of
        spot: ``U`` is not the last ``u`` + 1), or the first diff after the snapshot does not span
        it. CROSSED: the book or quote has its bid at or above its ask. OVERFLOW: too many diffs
        kept, the oldest went.

        After a fault of a diff or snapshot, or a MALFORMED frame that may have been one, the codec
        is not synced and keeps diffs for the next snapshot; any other fault leaves the book alone.
        A refused frame is never applied in part. Raises TypeError unless the payload is bytes.
        """

    def finish_checks(self) -> None:
        """Compare the books still waiting for a quote, at the end of a stream."""

    def resync(self) -> None:
        """Forget book, quote, kept diffs and open checks: a new connection starts."""

    def desync(self) -> None:
        """Mark not synced and clear the book; keep diffs from now on until a snapshot comes."""

    @property
    def symbol(self) -> str: ...
    @property
    def market(self) -> str: ...
    @property
    def book(self) -> Book: ...
    @property
    def synced(self) -> bool:
        """Tell whether a snapshot was applied and the chain of diffs since is whole."""

    @property
    def buffered(self) -> int:
        """Return how many diffs are kept for the next snapshot."""

    @property
    def counts(self) -> dict[str, int]:
        """Count results by name of kind or fault, and off_market trades and replayed diffs."""

    @property
    def fault_detail(self) -> str:
        """Say what was wrong with the last frame and at which byte, '' when nothing was."""

    @property
    def event_ms(self) -> int:
        """Return the venue's send time of the last frame understood, 0 when it had none."""

    @property
    def match_ms(self) -> int:
        """Return its matching time; a mark has none and gives its send time."""

    @property
    def quote_update_id(self) -> int: ...
    @property
    def quote_bid(self) -> float:
        """Return the last quote's bid price, 0 when the venue says that side is empty."""

    @property
    def quote_bid_quantity(self) -> float: ...
    @property
    def quote_ask(self) -> float: ...
    @property
    def quote_ask_quantity(self) -> float: ...
    @property
    def quote_bid_ticks(self) -> int: ...
    @property
    def quote_bid_steps(self) -> int: ...
    @property
    def quote_ask_ticks(self) -> int: ...
    @property
    def quote_ask_steps(self) -> int: ...
    @property
    def trade_id(self) -> int: ...
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
    def canonical(self) -> int:
        """Count the diffs read in the venue's own layout, without the tolerant scan.

        Verdicts and books are the same either way; only the time it takes differs.
        """

    def top(self, levels: int) -> tuple[int, int, float, float, float, float, float] | None:
        """Return what a book tick says of the newer of book and quote.

        That is (event_ms, top_update_id, bid, bid quantity, ask, ask quantity, the book's imbalance
        over `levels` a side); None when not synced or a side is empty. Raises ValueError when
        `levels` is below 1.
        """

    @property
    def top_valid(self) -> bool:
        """Tell whether the newer of book and quote has both sides."""

    @property
    def top_update_id(self) -> int: ...
    @property
    def top_bid(self) -> float:
        """Return the best bid of the newer of book and quote by update id, nan when empty."""

    @property
    def top_bid_quantity(self) -> float: ...
    @property
    def top_ask(self) -> float: ...
    @property
    def top_ask_quantity(self) -> float: ...
    @property
    def checks_matched(self) -> int:
        """Count live diffs after which best prices and sizes equal the last quote by update id.

        A diff with final id u is decided when the first quote with a greater id has come; one older
        than every quote is not counted, nor one replayed after a snapshot.
        """

    @property
    def checks_mismatched(self) -> int: ...
