"""What outlives the engine: the exchange, its markets, the wire's events, and what is wrong now.

Everything happens on one heap of timed calls, outside any event loop, so that a request which was
on the wire when an engine died still reaches the exchange.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from heapq import heappop, heappush
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct

from hfengine.clock import VirtualClock
from hfengine.exchange.core import Exchange
from hfengine.instruments import Instrument
from hfengine.messages import FundingPaid, Message
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Seed
from hfengine.simulation.faults import Kind
from hfengine.simulation.market import STEP_NS, Top, TrendingMarket

if TYPE_CHECKING:
    from hfengine.simulation.line import Line

Style = Literal["bybit", "binance"]
STYLES: Final[tuple[Style, ...]] = ("bybit", "binance")
ACCOUNT: Final = "main"
START_NS: Final = 1_700_000_000_000_000_000
WALLET_USDT: Final = Decimal(10_000)
NS_A_MS: Final = 1_000_000
FUNDING_FAR_NS: Final = 8 * 3_600 * 1_000_000_000
BATCH: Final = 512
PATHS: Final = ("orders", "private", "feed")


class Witness(Protocol):
    """Who looks at the exchange's truth after every event."""

    def truth(self, event: Message, now_ns: int) -> None:
        """Take what just happened at the exchange."""

    def step(self, now_ns: int) -> None:
        """Look once more: time has passed."""


class Armed(Struct):
    """A fault that waits for a request to strike."""

    kind: Kind
    symbol: str
    left: int
    until_ns: int


class World:
    """One seed's exchange and network; engines come and go on it."""

    def __init__(self, seed: int, style: Style, instruments: Mapping[str, Instrument]) -> None:
        self.seed = Seed(seed)
        self.style = style
        self.instruments = instruments
        self.clock = VirtualClock(START_NS)
        self.exchange = Exchange(list(instruments.values()))
        self.exchange.open_account(ACCOUNT, WALLET_USDT)
        self.draw: Random = self.seed.stream("simulation/chance")
        self.counts: Counter[str] = Counter()
        """Fault kind -> how often it really took effect."""
        self.slow_ns = dict.fromkeys(PATHS, 0)
        self.down: dict[str, int] = {}
        """Path -> until when its connection cannot be made."""
        self.offset_ns = 0
        """How far the venue's clock is ahead of ours."""
        self.banned_until_ns = 0
        self.maintenance = False
        self.stale: set[str] = set()
        self.gaps: set[str] = set()
        self.armed: list[Armed] = []
        self.forced: set[str] = set()
        """Symbols whose position the exchange itself ended, so that it is no surprise."""
        self.by_hand = False
        """Whether another client is at work right now."""
        self.fundings: list[FundingPaid] = []
        self.funding_due_ns: dict[str, int] = defaultdict(lambda: START_NS + FUNDING_FAR_NS)
        self.funding_rate: dict[str, Decimal] = defaultdict(lambda: Decimal("0.0001"))
        self.line: Line | None = None
        self.witness: Witness | None = None
        self.steps = 0
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._loop: VirtualLoop | None = None
        self._armed_ns = -1
        self._pumping = False
        self.markets: dict[str, TrendingMarket] = {}
        for number, (symbol, instrument) in enumerate(instruments.items()):
            market = TrendingMarket(instrument, self.seed.stream(f"simulation/market/{symbol}"))
            self.markets[symbol] = market
            self.exchange.attach_book(symbol, market.book)
            self.at(START_NS + number * STEP_NS // 2, self._step_market, symbol)

    @property
    def now_ns(self) -> int:
        """The true time, ns since the epoch."""
        return self.clock.now_ns()

    @property
    def now_ms(self) -> int:
        """The time since the run began, ms."""
        return (self.now_ns - START_NS) // NS_A_MS

    # time

    def at(self, due_ns: int, call: Callable[..., None], *arguments: Any) -> None:
        """Call at a time; what is due together happens in the order it was asked for."""
        self._order += 1
        heappush(self._heap, (due_ns, self._order, call, arguments))
        if self._loop is not None and not self._pumping and not 0 <= self._armed_ns <= due_ns:
            self._arm()

    def after_ms(self, wait_ms: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call so many ms from now."""
        self.at(self.now_ns + int(wait_ms * NS_A_MS), call, *arguments)

    def attach(self, loop: VirtualLoop | None) -> None:
        """Let events happen on a loop from now on; None takes them off it."""
        self._loop = loop
        self._armed_ns = -1
        if loop is not None:
            self._arm()

    def run_alone(self, until_ns: int) -> None:
        """Let time pass without an engine."""
        while self._heap and self._heap[0][0] <= until_ns:
            due_ns, _, call, arguments = heappop(self._heap)
            self.clock.advance_to(max(due_ns, self.now_ns))
            call(*arguments)
        self.clock.advance_to(max(until_ns, self.now_ns))

    def _arm(self) -> None:
        loop = self._loop
        if loop is None or not self._heap:
            return
        self._armed_ns = max(self._heap[0][0], self.now_ns)
        loop.call_at_ns(self._armed_ns, self._pump, loop, self._armed_ns)

    def _pump(self, loop: VirtualLoop, armed_ns: int) -> None:
        """Let events happen until the loop has something of its own to do."""
        if loop is not self._loop or armed_ns != self._armed_ns:
            return
        heap, clock = self._heap, self.clock
        self._pumping = True
        try:
            for _ in range(BATCH):
                if not heap or loop is not self._loop:
                    break
                due_ns = heap[0][0]
                if due_ns > clock.now_ns():
                    timer_ns = loop.next_timer_ns()
                    if loop.has_ready() or (timer_ns is not None and timer_ns <= due_ns):
                        break
                    clock.advance_to(due_ns)
                _, _, call, arguments = heappop(heap)
                call(*arguments)
        finally:
            self._pumping = False
            self._arm()

    # the market

    def _step_market(self, symbol: str) -> None:
        market, exchange, now_ns = self.markets[symbol], self.exchange, self.now_ns
        self.steps += 1
        top = market.step()
        exchange.on_book(symbol, now_ns)
        exchange.on_trade(symbol, top.trade_ticks, top.trade_steps, top.trade_side, now_ns)
        if top.mark is not None:
            self._mark(symbol, top.mark, now_ns)
        self.flush()
        self._show(symbol, top)
        if self.witness is not None:
            self.witness.step(now_ns)
        self.at(now_ns + STEP_NS, self._step_market, symbol)

    def _mark(self, symbol: str, mark: Decimal, now_ns: int) -> None:
        due_ns, rate = self.funding_due_ns[symbol], self.funding_rate[symbol]
        self.exchange.on_mark(symbol, mark, mark, rate, due_ns, now_ns)
        if due_ns <= now_ns:
            self.funding_due_ns[symbol] = due_ns + FUNDING_FAR_NS

    def _show(self, symbol: str, top: Top) -> None:
        line = self.line
        if line is None:
            return
        if symbol in self.stale:
            self.counts["feed_stale"] += 1
            return
        line.show(symbol, top, self.funding_due_ns[symbol], float(self.funding_rate[symbol]))

    # the exchange's events

    def flush(self) -> None:
        """Hand out what the exchange has to tell: to the witness at once, to the engine later."""
        now_ns = self.now_ns
        for _, event in self.exchange.drain():
            if isinstance(event, FundingPaid):
                self.fundings.append(event)
                self.counts["funding"] += 1
            if self.witness is not None:
                self.witness.truth(event, now_ns)
            if self.line is not None:
                self.line.event(event)

    # faults that wait

    def take(self, kind: Kind, symbol: str = "") -> bool:
        """Tell whether an armed fault of this kind strikes now; it is used up and counted."""
        now_ns = self.now_ns
        for armed in self.armed:
            fits = armed.kind == kind and armed.until_ns > now_ns
            if fits and (not symbol or not armed.symbol or armed.symbol == symbol):
                armed.left -= 1
                if armed.left <= 0:
                    self.armed.remove(armed)
                self.counts[kind] += 1
                return True
        return False

    def is_down(self, path: str) -> bool:
        """Tell whether a connection is lost at present."""
        return self.down.get(path, 0) > self.now_ns

    def calm(self) -> None:
        """End every fault that lasts."""
        self.armed.clear()
        self.slow_ns = dict.fromkeys(PATHS, 0)
        self.stale.clear()
        self.banned_until_ns = 0
        self.maintenance = False
        self.offset_ns = 0
        for symbol, market in self.markets.items():
            market.depth, market.shift = 1.0, 0.0
            self.exchange.set_regime(symbol, "open")
