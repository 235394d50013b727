"""Public market data over REST."""

from collections import deque
from decimal import Decimal
from typing import Final

from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.errors import PARAMETERS, Refused
from hfengine.localvenue.bybit.gate import Public
from hfengine.localvenue.bybit.market_rows import (
    candle_row,
    instrument_row,
    level_rows,
    ticker_row,
    tier_rows,
    trade_row,
)
from hfengine.localvenue.bybit.order_desk import Answer
from hfengine.localvenue.bybit.order_rows import Row
from hfengine.localvenue.bybit.pages import forward_page, within
from hfengine.localvenue.bybit.parameters import Parameters, required, text, whole
from hfengine.localvenue.bybit.trade_rest import is_linear, listing
from hfengine.localvenue.figures import plain
from hfengine.localvenue.world import World
from hfengine.messages import FundingPaid

HOUR_S: Final = 3600
TIER_SYMBOLS: Final = 15
"""Symbols on one page of the risk tiers."""
FUNDINGS_KEPT: Final = 200
SAME_FUNDING_MS: Final = 60_000
"""A payment so shortly after a funding time belongs to it."""
INTERVALS_S: Final[dict[str, int]] = {
    **{minutes: int(minutes) * 60 for minutes in ("1", "3", "5", "15", "30", "60", "120")},
    **{minutes: int(minutes) * 60 for minutes in ("240", "360", "720")},
    "D": 86_400,
    "W": 604_800,
}
"""Seconds of each candle interval; a month is not to be had here."""


def hour_open(world: World, symbol: str, last: Decimal) -> Decimal:
    """Return the price an hour ago, the last one where that is not known."""
    candles = world.candles(symbol, HOUR_S, 1)
    return candles[0].open if candles else last


class MarketRest:
    """Endpoints under /v5/market."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next_funding: dict[str, tuple[int, Decimal]] = {}
        self._fundings: dict[str, deque[tuple[int, Decimal]]] = {}
        world.on_mark(self._note_funding)
        world.on_account(self._note_payment)

    def routes(self) -> dict[tuple[str, str], Public]:
        """Return what answers each public path."""
        return {
            ("GET", "/v5/market/time"): self._time,
            ("GET", "/v5/market/instruments-info"): self._instruments,
            ("GET", "/v5/market/orderbook"): self._book,
            ("GET", "/v5/market/tickers"): self._tickers,
            ("GET", "/v5/market/risk-limit"): self._tiers,
            ("GET", "/v5/market/recent-trade"): self._trades,
            ("GET", "/v5/market/kline"): self._candles,
            ("GET", "/v5/market/funding/history"): self._funding_history,
        }

    def _time(self, _parameters: Parameters) -> Answer:
        now_ns = self._world.now_ns()
        return Answer(result={"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)})

    def _instruments(self, parameters: Parameters) -> Answer:
        if not is_linear(parameters) or text(parameters, "status") not in {"", "Trading"}:
            return listing(parameters, [])
        symbol = text(parameters, "symbol")
        base = text(parameters, "baseCoin")
        found = [
            one
            for one in self._world.instruments.values()
            if symbol in {"", one.symbol} and base in {"", one.base}
        ]
        if symbol and not found:
            raise Refused(PARAMETERS, "params error: symbol invalid")
        shown, cursor = forward_page(found, parameters, default=500, most=1000)
        return listing(parameters, [instrument_row(one) for one in shown], cursor)

    def _book(self, parameters: Parameters) -> Answer:
        instrument = self._instrument(parameters)
        symbol, world = instrument.symbol, self._world
        count = whole(parameters, "limit", 25, least=1, most=1000)
        version = world.version(symbol)
        now_ms = world.now_ms()
        result: Row = {
            "s": symbol,
            "b": level_rows(world.levels(symbol, 1, count), instrument),
            "a": level_rows(world.levels(symbol, -1, count), instrument),
            "ts": now_ms,
            "u": version + 1,
            "seq": version,
            "cts": now_ms,
        }
        return Answer(result=result)

    def _tickers(self, parameters: Parameters) -> Answer:
        if not is_linear(parameters):
            return self._plain_listing(parameters, [])
        wanted = text(parameters, "symbol")
        if wanted:
            self._instrument(parameters)
        rows = []
        for symbol, instrument in self._world.instruments.items():
            if wanted in {"", symbol}:
                ticker = self._world.ticker(symbol)
                opened = hour_open(self._world, symbol, ticker.last)
                rows.append(ticker_row(ticker, instrument, opened))
        return self._plain_listing(parameters, rows)

    def _tiers(self, parameters: Parameters) -> Answer:
        if not is_linear(parameters):
            return listing(parameters, [])
        if text(parameters, "symbol"):
            return listing(parameters, tier_rows(self._instrument(parameters)))
        every = list(self._world.instruments.values())
        sized = {**parameters, "limit": str(TIER_SYMBOLS)}
        shown, cursor = forward_page(every, sized, default=TIER_SYMBOLS, most=TIER_SYMBOLS)
        rows = [row for one in shown for row in tier_rows(one)]
        return listing(parameters, rows, cursor)

    def _trades(self, parameters: Parameters) -> Answer:
        symbol = self._instrument(parameters).symbol
        count = whole(parameters, "limit", 500, least=1, most=1000)
        trades = reversed(self._world.recent_trades(symbol, count))
        return self._plain_listing(parameters, [trade_row(one) for one in trades])

    def _candles(self, parameters: Parameters) -> Answer:
        symbol = self._instrument(parameters).symbol
        interval_s = INTERVALS_S.get(required(parameters, "interval"))
        if interval_s is None:
            raise Refused(PARAMETERS, "params error: interval invalid")
        count = whole(parameters, "limit", 200, least=1, most=1000)
        rows = [
            candle_row(one)
            for one in reversed(self._world.candles(symbol, interval_s, count))
            if _between(parameters, one.start_ns)
        ]
        return Answer(
            result={"symbol": symbol, "category": required(parameters, "category"), "list": rows}
        )

    def _funding_history(self, parameters: Parameters) -> Answer:
        symbol = self._instrument(parameters).symbol
        count = whole(parameters, "limit", 200, least=1, most=200)
        rows: list[Row] = [
            {
                "symbol": symbol,
                "fundingRate": plain(rate),
                "fundingRateTimestamp": str(at_ms),
            }
            for at_ms, rate in reversed(self._fundings.get(symbol, ()))
            if within(parameters, at_ms * 1_000_000)
        ]
        return self._plain_listing(parameters, rows[:count])

    def _instrument(self, parameters: Parameters) -> Instrument:
        instrument = self._world.instruments.get(required(parameters, "symbol"))
        if instrument is None:
            raise Refused(PARAMETERS, "params error: symbol invalid")
        return instrument

    def _plain_listing(self, parameters: Parameters, rows: list[Row]) -> Answer:
        return Answer(result={"category": required(parameters, "category"), "list": rows})

    def _note_funding(self, symbol: str) -> None:
        """Keep the rate of every funding time that passes."""
        view = self._world.exchange.market(symbol)
        due_ms = view.next_funding_ns // 1_000_000
        before = self._next_funding.get(symbol)
        if before is not None and due_ms > before[0]:
            self._kept(symbol).append(before)
        self._next_funding[symbol] = due_ms, view.funding_rate

    def _note_payment(self, _account: str, report: object) -> None:
        """Keep a funding that was paid outside those times."""
        if isinstance(report, FundingPaid):
            kept, at_ms = self._kept(report.symbol), report.at_ns // 1_000_000
            if not kept or at_ms - kept[-1][0] > SAME_FUNDING_MS:
                kept.append((at_ms, report.rate))

    def _kept(self, symbol: str) -> deque[tuple[int, Decimal]]:
        return self._fundings.setdefault(symbol, deque(maxlen=FUNDINGS_KEPT))


def _between(parameters: Parameters, at_ns: int) -> bool:
    renamed = {"startTime": text(parameters, "start"), "endTime": text(parameters, "end")}
    return within(renamed, at_ns)
