"""The market side of the exchange: books, prints and marks in, prices and public levels out."""

from decimal import Decimal

from hfengine.exchange.base import ExchangeBase, next_due
from hfengine.exchange.market import NEVER_NS, MarketView, OutsideBook, Regime


class Feeding(ExchangeBase):
    """What the feed tells the exchange, and what the exchange shows of a market."""

    def attach_book(self, symbol: str, book: OutsideBook) -> None:
        """Give a symbol its outside book, kept up to date by the feed."""
        self._market(symbol).book = book

    def on_book(self, symbol: str, now_ns: int) -> None:
        """Look at the outside book after a change; nearly free when nothing depends on it."""
        market = self._markets[symbol]
        bids, asks = market.resting_bids, market.resting_asks
        if not (bids.best or asks.best or market.taken or market.conditionals or market.holders):
            return
        self._begin(market, now_ns)
        if market.taken:
            market.forget_changed()
        book = market.book
        if book is None:
            return
        crossed_bids = bids.best > 0 and 0 < book.ask_ticks <= bids.best
        crossed_asks = asks.best > 0 and book.bid_ticks >= asks.best
        if crossed_bids:
            self._matching.on_crossing(market, 1, now_ns)
        if crossed_asks:
            self._matching.on_crossing(market, -1, now_ns)
        if crossed_bids or crossed_asks or market.starved:
            self._settle(market, now_ns)

    def on_trade(self, symbol: str, ticks: int, steps: int, side: int, now_ns: int) -> None:
        """Take a public print of taker side `side`: last price, queues, last-price triggers."""
        market = self._markets[symbol]
        market.last_ticks = ticks
        if market.holders:
            self._begin(market, now_ns)
        best = market.resting(-side).best
        if best and (ticks - best) * side >= 0:
            self._matching.on_print(market, ticks, steps, side, now_ns)
            market.last_ticks = ticks
            self._settle(market, now_ns)
        elif market.conditionals:
            self._settle(market, now_ns)

    def on_mark(
        self,
        symbol: str,
        mark: Decimal,
        index: Decimal,
        funding_rate: Decimal,
        next_funding_ns: int,
        now_ns: int,
    ) -> None:
        """Take mark and index: funding that is due, mark triggers, then liquidation."""
        market = self._markets[symbol]
        market.set_mark(mark)
        market.index = index
        if next_funding_ns == market.funding_due_ns:
            market.funding_rate = funding_rate
        self._begin(market, now_ns)
        market.funding_rate = funding_rate
        if next_funding_ns > now_ns:
            market.funding_due_ns = next_funding_ns
        elif next_funding_ns > 0 and market.funding_due_ns == NEVER_NS:
            market.funding_due_ns = next_due(next_funding_ns, market.interval_ns, now_ns)
        if market.conditionals:
            self._triggers.fire(market, now_ns)
        if market.holders:
            self._liquidator.check(market, now_ns)
        self._clearing.flush(now_ns)

    def set_regime(self, symbol: str, regime: Regime) -> None:
        """Say which requests a symbol takes from now on; what rests goes on resting."""
        self._market(symbol).regime = regime

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price, 0 before the first."""
        return self._market(symbol).mark

    def index(self, symbol: str) -> Decimal:
        """Return the index price, 0 before the first."""
        return self._market(symbol).index

    def last(self, symbol: str) -> Decimal:
        """Return the last traded price, 0 before the first."""
        return self._market(symbol).last()

    def market(self, symbol: str) -> MarketView:
        """Return prices and funding of a symbol."""
        return self._market(symbol).view()

    def publish_levels(self, symbol: str, side: int, count: int) -> list[tuple[int, int]]:
        """Return up to `count` (ticks, steps) of the public book, best first.

        The outside book less what accounts took of it, and the accounts' resting orders.
        """
        return self._market(symbol).public_levels(side, count)
