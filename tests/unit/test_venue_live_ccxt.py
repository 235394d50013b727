"""The fallback over ccxt's unified methods: what it does, and what it says it cannot prove."""

import asyncio
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from hfengine import settings
from hfengine.errors import VenueRejected
from hfengine.messages import Fill, Message, OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.venues.ccxt_venue import CcxtQuirks
from hfengine.venues.quirks import Place

SYMBOL, UNIFIED = "BTC-USDT-SWAP", "BTC/USDT:USDT"
MARKET = {
    "id": SYMBOL, "symbol": UNIFIED, "swap": True, "linear": True, "active": True, "base": "BTC",
    "settle": "USDT", "contractSize": 0.01, "taker": 0.0005, "maker": 0.0002,
    "precision": {"amount": 0.1, "price": 0.5},
    "limits": {"amount": {"min": 0.1, "max": 1000}, "cost": {"min": None}},
}  # fmt: skip
ALL = (
    "fetchTime", "fetchLeverage", "fetchMarketLeverageTiers", "fetchMyTrades", "fetchOpenOrders",
    "fetchClosedOrders", "fetchPositions", "fetchBalance", "setLeverage", "setMarginMode",
    "setPositionMode", "cancelAllOrders", "cancelOrder", "watchOrders",
)  # fmt: skip


class Exchange:
    """A ccxt exchange object: what it has, and what it was asked."""

    def __init__(self, *missing: str, attaches: bool = True) -> None:
        self.has = {name: name not in missing for name in ALL}
        self.attaches = attaches
        self.markets = {UNIFIED: MARKET}
        self.urls: dict[str, Any] = {}
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: dict[str, Any] = {"load_markets": self.markets}

    def feature_value(self, _symbol: str, _method: str) -> dict[str, Any]:
        return {"attachedStopLossTakeProfit": {"price": True} if self.attaches else None}


class Desk:
    """A desk that hands calls to the exchange object."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.settings = settings.Venue(name="okx")
        self.symbols = [SYMBOL]
        self.notes: Counter[str] = Counter()
        self.purposes: list[str] = []
        self.told: list[Message] = []

    async def call(self, method: str, params: Any, *, group: str, purpose: str = "read") -> Any:
        self.exchange.asked.append((method, params["arguments"]))
        self.purposes.append(purpose)
        answer = self.exchange.answers.get(method, [])
        return answer(*params["arguments"]) if callable(answer) else answer

    def now_ms(self) -> int:
        return 1_700_000_000_000

    def note(self, what: str, detail: str) -> None:
        self.notes[detail] += 1


def quirks(exchange: Exchange) -> CcxtQuirks:
    made = CcxtQuirks("okx")
    made.desk = Desk(exchange)  # type: ignore[assignment]
    asyncio.run(made.read_instruments([SYMBOL]))
    exchange.asked.clear()
    return made


def entry(**changes: Any) -> OrderRequest:
    asked: dict[str, Any] = {
        "client_id": "c1", "symbol": SYMBOL, "side": 1, "kind": "limit", "tif": "ioc",
        "quantity": Decimal("0.05"), "price": Decimal("100.5"), "stop": Decimal("99"),
        "target": Decimal("103"),
    }  # fmt: skip
    return OrderRequest(**asked | changes)


def test_quantities_are_contracts_there_and_base_here() -> None:
    exchange = Exchange()
    tier = {"maxNotional": 1000, "maintenanceMarginRate": 0.01, "maxLeverage": 50}
    wider = {"maxNotional": 5000, "maintenanceMarginRate": 0.02, "maxLeverage": 20}
    exchange.answers["fetch_market_leverage_tiers"] = [tier, wider]
    made = quirks(exchange)
    instrument = asyncio.run(made.read_instruments([SYMBOL]))[SYMBOL]
    assert (instrument.quantity_step, instrument.quantity_min) == (
        Decimal("0.001"),
        Decimal("0.001"),
    )
    assert instrument.quantity_max == 10
    assert [each.deduction_usdt for each in instrument.tiers] == [0, 10]


def test_without_tiers_only_leverage_one_is_certain() -> None:
    exchange = Exchange("fetchMarketLeverageTiers")
    instrument = asyncio.run(quirks(exchange).read_instruments([SYMBOL]))[SYMBOL]
    assert instrument.max_leverage == 1


def test_an_entry_goes_out_with_its_protection_attached() -> None:
    exchange = Exchange()
    exchange.answers["create_order"] = {"id": "v1", "status": None}
    made = quirks(exchange)
    acknowledged = asyncio.run(made.place(entry()))
    ((method, arguments),) = exchange.asked
    assert method == "create_order"
    assert arguments[:5] == (UNIFIED, "limit", "buy", 5.0, 100.5)
    assert arguments[5] == {
        "clientOrderId": "c1",
        "timeInForce": "IOC",
        "stopLoss": {"triggerPrice": "99"},
        "takeProfit": {"triggerPrice": "103"},
    }
    assert (acknowledged.venue_id, acknowledged.state, acknowledged.filled) == ("v1", "new", 0)
    assert made.desk.purposes[-1] == "order"


def test_an_entry_that_cannot_carry_its_stop_is_not_made() -> None:
    exchange = Exchange(attaches=False)
    made = quirks(exchange)
    with pytest.raises(VenueRejected) as refused:
        asyncio.run(made.place(entry()))
    assert refused.value.reason == "protection_not_supported"
    assert exchange.asked == []
    exchange.answers["create_order"] = {"id": "v1"}
    exit_order = entry(side=-1, kind="market", stop=Decimal(0), target=Decimal(0), reduce_only=True)
    asyncio.run(made.place(exit_order))
    assert exchange.asked[0][1][5]["reduceOnly"] is True
    assert made.desk.purposes[-1] == "protect"


@pytest.mark.parametrize(
    ("told", "leverage"),
    [
        ({"longLeverage": 20, "shortLeverage": 20, "marginMode": "isolated"}, 20),
        ({"longLeverage": 20, "shortLeverage": 10, "marginMode": "isolated"}, 0),
        ({"longLeverage": 12.5, "shortLeverage": 12.5, "marginMode": "cross"}, 0),
        ({"longLeverage": None, "shortLeverage": None, "marginMode": "cross"}, 0),
    ],
)
def test_leverage_that_is_not_one_whole_number_proves_nothing(told: Any, leverage: int) -> None:
    exchange = Exchange()
    exchange.answers["fetch_leverage"] = told
    setting = asyncio.run(quirks(exchange).leverage_of(SYMBOL))
    assert (setting.leverage, setting.margin_mode) == (leverage, told["marginMode"])


def test_what_cannot_be_read_is_refused_by_name() -> None:
    made = quirks(Exchange("fetchLeverage"))
    with pytest.raises(VenueRejected, match="fetchLeverage") as refused:
        asyncio.run(made.leverage_of(SYMBOL))
    assert refused.value.reason == "unprovable"
    exchange = Exchange()
    exchange.answers["fetch_leverage"] = {"longLeverage": 5, "shortLeverage": 5, "marginMode": None}
    with pytest.raises(VenueRejected, match="margin mode"):
        asyncio.run(quirks(exchange).leverage_of(SYMBOL))


def test_preparing_says_what_cannot_be_proved() -> None:
    made = quirks(Exchange("fetchLeverage", "watchOrders"))
    asyncio.run(made.prepare_account())
    assert set(made.desk.notes) == {"okx has no fetchLeverage", "okx has no watchOrders"}


def test_hedge_mode_is_refused() -> None:
    made = quirks(Exchange())
    made.desk.settings = settings.Venue(name="okx", position_mode="hedge")
    with pytest.raises(VenueRejected, match="one_way"):
        asyncio.run(made.prepare_account())


def test_a_stop_is_never_moved_by_taking_it_away() -> None:
    with pytest.raises(VenueRejected) as refused:
        asyncio.run(quirks(Exchange()).protect(SYMBOL, Decimal(1), Decimal(2)))
    assert refused.value.reason == "not_supported"


@pytest.mark.parametrize("mode", ["testnet", "demo", "local"])
def test_a_practice_ground_that_does_not_exist_is_said(mode: Any) -> None:
    with pytest.raises(VenueRejected, match="okx"):
        CcxtQuirks("okx").adjust(Exchange(), Place(mode))


def test_orders_are_looked_for_among_open_and_closed() -> None:
    exchange = Exchange()
    told = {
        "clientOrderId": "c1", "id": "v1", "status": "closed", "side": "sell", "type": "limit",
        "amount": 5, "filled": 5, "price": 100.5, "timestamp": 7,
    }  # fmt: skip
    exchange.answers["fetch_closed_orders"] = [told]
    made = quirks(exchange)
    found = asyncio.run(made.order_by_id(SYMBOL, "c1"))
    assert found == OrderUpdate(
        "c1", "v1", SYMBOL, 7_000_000, "limit", -1, Decimal("0.05"), Decimal("0.05"),
        Decimal("100.5"), Decimal(0), False, "filled",
    )  # fmt: skip
    assert asyncio.run(made.order_by_id(SYMBOL, "c2")) is None


def test_positions_are_covered_by_the_stops_that_are_listed() -> None:
    exchange = Exchange()
    stop = {
        "id": "v2", "status": "open", "side": "sell", "type": "market", "amount": 3, "filled": 0,
        "triggerPrice": 95.0, "reduceOnly": True, "timestamp": 7,
    }  # fmt: skip
    exchange.answers["fetch_open_orders"] = lambda *arguments: [stop] if arguments[3] else []
    exchange.answers["fetch_positions"] = [
        {"symbol": UNIFIED, "side": "long", "contracts": 5, "entryPrice": 100.5, "leverage": 20,
         "marginMode": "isolated", "timestamp": 7}
    ]  # fmt: skip
    made = quirks(exchange)
    (listed,) = asyncio.run(made.open_orders())
    assert (listed.kind, listed.state, listed.trigger) == ("stop_market", "untriggered", 95)
    (held,) = asyncio.run(made.positions())
    assert (held.quantity, held.covered, held.stop) == (Decimal("0.05"), Decimal("0.03"), 95)


def test_fills_count_base_currency_and_their_fee() -> None:
    exchange = Exchange()
    exchange.answers["fetch_my_trades"] = [
        {"id": "t1", "side": "buy", "amount": 2, "price": 101.5, "timestamp": 9,
         "fee": {"cost": 0.001}, "takerOrMaker": "maker"}
    ]  # fmt: skip
    (fill,) = asyncio.run(quirks(exchange).fills_since(5))
    assert isinstance(fill, Fill)
    assert (fill.quantity, fill.price, fill.fee_usdt) == (
        Decimal("0.02"), Decimal("101.5"), Decimal("0.001"),
    )  # fmt: skip
    assert (fill.maker, fill.at_ns) == (True, 9_000_000)
    assert exchange.asked == [("fetch_my_trades", (UNIFIED, 5))]


def test_raw_messages_are_left_to_ccxt() -> None:
    assert CcxtQuirks("okx").heard(SimpleNamespace()) is None  # type: ignore[arg-type]


def test_a_single_order_is_looked_up_and_cancelled_by_its_kind() -> None:
    exchange = Exchange()
    resting = {"id": "7", "clientOrderId": "hf-e"}
    stop = {"id": "9", "clientOrderId": None}
    exchange.answers["fetch_open_orders"] = lambda *asked: [stop] if asked[3] else [resting]
    made = quirks(exchange)
    asyncio.run(made.cancel(SYMBOL, "hf-e", ""))
    asyncio.run(made.cancel(SYMBOL, "", "9"))
    cancelled = [given for method, given in exchange.asked if method == "cancel_order"]
    assert cancelled == [("7", UNIFIED, {}), ("9", UNIFIED, {"trigger": True})]
    with pytest.raises(VenueRejected, match="unknown_order"):
        asyncio.run(made.cancel(SYMBOL, "hf-other", ""))
    with pytest.raises(VenueRejected, match="not_supported"):
        asyncio.run(made.amend(SYMBOL, "hf-e", Decimal(100)))
