"""What the exchange tests share: plain instruments, a plain outside book, and a desk."""

from decimal import Decimal

from hfengine.exchange import Exchange
from hfengine.instruments import Instrument, RiskTier, VenueName
from hfengine.messages import Message, OrderUpdate
from hfengine.requests import OrderRequest

BTC = "BTCUSDT"
ETH = "ETHUSDT"
HOUR_NS = 3_600_000_000_000


def D(text: str | int) -> Decimal:
    return Decimal(text)


def instrument(
    symbol: str = BTC,
    venue: VenueName = "binance",
    *,
    tick: str = "0.1",
    step: str = "0.001",
    maker: str = "0.0002",
    taker: str = "0.0005",
    band: str = "0.05",
    liquidation: str = "0.01",
    least_usdt: int = 50,
    tiers: tuple[RiskTier, ...] | None = None,
) -> Instrument:
    """Return an instrument; the default tiers are Binance's BTCUSDT of 2024-10-24 (VENUES 4.3)."""
    if tiers is None:
        tiers = (
            RiskTier(D(50_000), D("0.004"), D(125), D(0)),
            RiskTier(D(600_000), D("0.005"), D(100), D(50)),
            RiskTier(D(3_000_000), D("0.0065"), D(75), D(950)),
            RiskTier(D(12_000_000), D("0.01"), D(50), D(11_450)),
            RiskTier(D(70_000_000), D("0.02"), D(25), D(131_450)),
        )
    return Instrument(
        symbol=symbol,
        venue=venue,
        base=symbol.removesuffix("USDT"),
        price_tick=D(tick),
        quantity_step=D(step),
        quantity_min=D(step),
        quantity_max=D(1000) if step != "1" else D(10_000_000),
        market_quantity_max=D(120) if step != "1" else D(5_000_000),
        notional_min_usdt=D(least_usdt),
        price_band=D(band),
        maker_fee=D(maker),
        taker_fee=D(taker),
        liquidation_fee=D(liquidation),
        funding_interval_h=8,
        tiers=tiers,
        as_of="2024-10-24",
        sources=("test",),
    )


class FakeBook:
    """An outside book as a pair of dicts."""

    def __init__(self) -> None:
        self.sides: dict[int, dict[int, int]] = {1: {}, -1: {}}

    def set(self, bids: dict[int, int], asks: dict[int, int]) -> None:
        self.sides = {1: dict(bids), -1: dict(asks)}

    def _best(self, side: int) -> tuple[int, int]:
        best = self.levels(side, 1)
        return best[0] if best else (0, 0)

    @property
    def bid_ticks(self) -> int:
        return self._best(1)[0]

    @property
    def ask_ticks(self) -> int:
        return self._best(-1)[0]

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        return sorted(self.sides[side].items(), reverse=side > 0)[:count]

    def quantity_at(self, side: int, ticks: int) -> int:
        return self.sides[side].get(ticks, 0)


class Desk:
    """One exchange, one outside book per symbol, a clock that ticks with every call."""

    def __init__(
        self, *instruments: Instrument, wallet: str = "10000", detailed: bool = False
    ) -> None:
        listed = instruments or (instrument(),)
        self.exchange = Exchange(listed, detailed=detailed)
        self.by_symbol = {one.symbol: one for one in listed}
        self.books = {one.symbol: FakeBook() for one in listed}
        for symbol, book in self.books.items():
            self.exchange.attach_book(symbol, book)
        self.now_ns = 0
        self.next_funding_ns = 0
        self.funding_rate = D(0)
        self.orders = 0
        self.exchange.open_account("a", D(wallet))
        self.exchange.open_account("b", D(wallet))

    def tick(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns

    def ticks(self, price: str | int, symbol: str = BTC) -> int:
        return int(D(price) / self.by_symbol[symbol].price_tick)

    def steps(self, quantity: str | int, symbol: str = BTC) -> int:
        return int(D(quantity) / self.by_symbol[symbol].quantity_step)

    def book(
        self,
        bids: list[tuple[str | int, str | int]],
        asks: list[tuple[str | int, str | int]],
        symbol: str = BTC,
    ) -> None:
        """Set the outside book from (price, quantity) levels."""
        self.books[symbol].set(
            {self.ticks(p, symbol): self.steps(q, symbol) for p, q in bids},
            {self.ticks(p, symbol): self.steps(q, symbol) for p, q in asks},
        )
        self.exchange.on_book(symbol, self.tick())

    def mark(self, price: str | int, symbol: str = BTC) -> None:
        mark = D(price)
        self.exchange.on_mark(
            symbol, mark, mark, self.funding_rate, self.next_funding_ns, self.tick()
        )

    def trade(self, price: str | int, quantity: str | int, side: int, symbol: str = BTC) -> None:
        ticks, steps = self.ticks(price, symbol), self.steps(quantity, symbol)
        self.exchange.on_trade(symbol, ticks, steps, side, self.tick())

    def quote(self, price: int, symbol: str = BTC, quantity: str | int = 50) -> None:
        """Set the mark at a price and a book of one unit either side of it."""
        self.mark(price, symbol)
        self.book([(price - 1, quantity)], [(price + 1, quantity)], symbol)

    def place(
        self,
        side: int,
        quantity: str | int,
        price: str | int | None = None,
        account: str = "a",
        symbol: str = BTC,
        **more: object,
    ) -> OrderUpdate:
        """Place a market order, or a limit order when a price is given; ids are o1, o2, ..."""
        self.orders += 1
        fields: dict[str, object] = {
            "client_id": f"o{self.orders}",
            "kind": "market" if price is None else "limit",
            "price": D(price or 0),
        }
        fields.update(more)
        request = OrderRequest(symbol=symbol, side=side, quantity=D(quantity), **fields)
        return self.exchange.place(account, request, self.tick())

    def drain(self, account: str = "a") -> list[Message]:
        return [message for owner, message in self.exchange.drain() if owner == account]
