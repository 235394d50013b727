"""Bybit's rows as messages: recorded samples, and rows made up where the samples have none."""

import asyncio
import gzip
import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfengine.messages import Fill, FundingPaid
from hfengine.requests import OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues import bybit_rows as rows
from hfengine.venues.bybit_venue import TRADE_SOCKETS, BybitQuirks
from hfengine.venues.ccxt_client import make_exchange
from hfengine.venues.quirks import Place
from hfengine.venues.realised import CostBasis, Execution, Mark, RealisedPnl
from tests.scripted_desk import BEGAN_MS, ScriptedDesk
from tests.shared import SHARED, needs_shared

SAMPLES = SHARED / "data" / "protocol" / "nautilus_bybit_v5.json.gz"


def sample(name: str) -> Any:
    with gzip.open(SAMPLES, "rt") as samples:
        return json.load(samples)[f"{name}.json"]


@needs_shared
def test_positions_of_the_sample() -> None:
    listed = sample("http_get_positions")["result"]["list"]
    long, short, flat = (rows.position(row, "isolated", ()) for row in listed)
    assert (long.symbol, long.side, long.quantity, long.entry) == (
        "BTCUSDT",
        1,
        Decimal("0.5"),
        50000,
    )
    assert (long.stop, long.target, long.covered) == (48000, 55000, Decimal("0.5"))
    assert (long.leverage, long.margin_usdt, long.liquidation) == (10, 2500, 45000)
    assert long.at_ns == 1697673600012 * 1_000_000
    assert (short.side, short.stop, short.covered) == (-1, 3100, 5)
    assert (flat.side, flat.quantity, flat.covered, flat.entry) == (0, 0, 0, 0)
    assert flat.leverage == 10


@needs_shared
def test_a_pushed_position_without_a_stop_is_not_covered() -> None:
    row = sample("ws_account_position")["data"][0]
    pushed = rows.position(row, "cross", ())
    assert (pushed.side, pushed.quantity, pushed.entry) == (
        -1,
        Decimal("0.01"),
        Decimal("3641.075"),
    )
    assert (pushed.leverage, pushed.stop, pushed.covered) == (30, 0, 0)


@needs_shared
@pytest.mark.parametrize(
    ("name", "kind", "state", "trigger"),
    [
        ("ws_account_order_stop_loss", "stop_market", "untriggered", 48000),
        ("ws_account_order_take_profit", "take_profit_market", "untriggered", 55000),
        ("ws_account_order_filled", "stop_market", "filled", 29500),
        ("ws_account_order", "stop_market", "cancelled", 0),
        ("ws_account_order_partially_filled_rejected", "limit", "rejected", 0),
        ("ws_account_order_buy_stop_market", "stop_market", None, None),
        ("ws_account_order_sell_market_if_touched", "take_profit_market", None, None),
        ("ws_account_order_market_if_touched", "take_profit_market", None, None),
        ("ws_account_order_stop_market", "stop_market", None, None),
    ],
)
def test_orders_of_the_samples(
    name: str, kind: str, state: str | None, trigger: int | None
) -> None:
    row = sample(name)["data"][0]
    told = rows.order(row)
    assert told.kind == kind
    assert told.venue_id == row["orderId"]
    assert told.client_id == row["orderLinkId"]
    assert told.side == (1 if row["side"] == "Buy" else -1)
    assert told.quantity == Decimal(row["qty"])
    if state is not None:
        assert told.state == state
    if trigger is not None:
        assert told.trigger == trigger


@needs_shared
def test_executions_of_the_samples() -> None:
    trade = rows.fill(sample("ws_account_execution")["data"][0], Decimal("7.5"))
    assert (trade.client_id, trade.side, trade.quantity) == (
        "test-order-link-001",
        -1,
        Decimal("0.5"),
    )
    assert (trade.price, trade.fee_usdt) == (Decimal("95900.1"), Decimal("26.3725275"))
    assert (trade.realised_usdt, trade.maker, trade.cause) == (Decimal("7.5"), False, "order")
    adl = rows.fill(sample("ws_account_execution_adl")["data"][0], rows.NOTHING)
    assert adl.cause == "adl"


@needs_shared
def test_the_wallet_of_the_sample_counts_usdt_alone() -> None:
    account = sample("ws_account_wallet")["data"][0]
    isolated = rows.balance(account, 5, "isolated")
    assert isolated.wallet_usdt == Decimal("9647.75537647")
    assert isolated.equity_usdt == Decimal("10226.20575506")
    assert isolated.free_margin_usdt == Decimal("9647.75537647") - Decimal("127.8573161")
    assert isolated.maintenance_usdt == Decimal("12.78573161")
    assert rows.balance(account, 5, "cross").free_margin_usdt == Decimal("9556.6056555")


@needs_shared
def test_the_instruments_of_the_sample() -> None:
    row = sample("http_get_instruments_linear")["result"]["list"][0]
    risk = [
        {"riskLimitValue": "4000000", "maintenanceMargin": "0.01", "maxLeverage": "50"},
        {"riskLimitValue": "2000000", "maintenanceMargin": "0.005", "maxLeverage": "100"},
        {
            "riskLimitValue": "9000000",
            "maintenanceMargin": "0.02",
            "maxLeverage": "25",
            "mmDeduction": "50001",
        },
    ]
    made = rows.instrument(row, risk, (Decimal("0.0001"), Decimal("0.0006")), "2026-01-01")
    assert (made.price_tick, made.quantity_step) == (Decimal("0.5"), Decimal("0.001"))
    assert (made.quantity_max, made.market_quantity_max) == (100, 50)
    assert made.notional_min_usdt == 5
    assert [tier.deduction_usdt for tier in made.tiers] == [0, 10_000, 50_001]
    assert made.max_leverage == 100


@pytest.mark.parametrize(
    ("text", "leverage"), [("50", 50), ("12.5", 0), ("50.00", 50), ("", 0), ("33.33", 0)]
)
def test_a_leverage_that_is_no_whole_number_never_reads_as_one(text: str, leverage: int) -> None:
    assert rows.leverage_of({"leverage": text}) == leverage


def stop_row(quantity: str, trigger: str, side: str = "Sell", done: str = "0") -> dict[str, Any]:
    return {"qty": quantity, "cumExecQty": done, "triggerPrice": trigger, "side": side}


@pytest.mark.parametrize(
    ("side", "stops", "covered", "stop"),
    [
        ("Buy", [], 0, 0),
        ("Buy", [stop_row("2", "90")], 2, 90),
        ("Buy", [stop_row("2", "90"), stop_row("1", "95")], 3, 95),
        ("Buy", [stop_row("9", "90", done="5")], 3, 90),
        ("Buy", [stop_row("3", "110", side="Buy")], 0, 0),
        ("Sell", [stop_row("1", "110", side="Buy"), stop_row("1", "105", side="Buy")], 2, 105),
    ],
)
def test_partial_stops_cover_as_much_as_they_close(side, stops, covered, stop) -> None:
    row = {"symbol": "X", "side": side, "size": "3", "stopLoss": "0", "leverage": "5"}
    told = rows.position(row, "isolated", stops)
    assert (told.covered, told.stop) == (covered, stop)


def test_funding_keeps_its_sign() -> None:
    row = {
        "symbol": "X",
        "execType": "Funding",
        "execFee": "-0.5",
        "feeRate": "0.0001",
        "execTime": "12",
    }
    assert rows.funding(row) == FundingPaid("X", 12_000_000, Decimal("0.0001"), Decimal("-0.5"))


def entry(**changes: Any) -> OrderRequest:
    asked: dict[str, Any] = {
        "client_id": "c1",
        "symbol": "X",
        "side": 1,
        "kind": "limit",
        "quantity": Decimal("0.00001"),
        "price": Decimal("100"),
        "tif": "ioc",
    }
    return OrderRequest(**asked | changes)


def test_an_entry_carries_its_protection_by_mark_price() -> None:
    body = rows.create_request(entry(stop=Decimal("99.5"), target=Decimal(101)), 0)
    assert body == {
        "category": "linear", "symbol": "X", "side": "Buy", "orderType": "Limit", "qty": "0.00001",
        "positionIdx": 0, "orderLinkId": "c1", "timeInForce": "IOC", "price": "100",
        "stopLoss": "99.5", "slTriggerBy": "MarkPrice", "takeProfit": "101",
        "tpTriggerBy": "MarkPrice", "tpslMode": "Full",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("side", "kind", "direction"),
    [
        (1, "stop_market", 1),
        (-1, "stop_market", 2),
        (1, "take_profit_market", 2),
        (-1, "take_profit_market", 1),
    ],
)
def test_a_trigger_waits_for_the_right_direction(side: int, kind: str, direction: int) -> None:
    asked = entry(side=side, kind=kind, price=Decimal(0), trigger=Decimal(90), reduce_only=True)
    body = rows.create_request(asked, 2)
    assert (body["triggerDirection"], body["triggerBy"]) == (direction, "MarkPrice")
    assert (body["orderType"], body["reduceOnly"], body["positionIdx"]) == ("Market", True, 2)
    row = {
        "side": body["side"],
        "triggerDirection": direction,
        "triggerPrice": "90",
        "orderType": "Market",
        "orderId": "1",
        "symbol": "X",
        "orderStatus": "Untriggered",
    }
    assert rows.order(row).kind == kind


# realised PnL


def execution(n: int, side: int, quantity: str, price: str, told: str | None = None) -> Execution:
    told_usdt = None if told is None else Decimal(told)
    return Execution((n, n), f"e{n}", side, Decimal(quantity), Decimal(price), told_usdt)


def test_realised_pnl_is_that_of_average_cost() -> None:
    book = RealisedPnl()
    executions = [
        execution(1, 1, "1", "100"),
        execution(2, 1, "3", "104"),
        execution(3, -1, "2", "110"),
        execution(4, -1, "4", "100"),
        execution(5, 1, "2", "90"),
    ]
    realised = book.take(reversed(executions))
    # average 103; two closed at 110, two at 100 and a short of two opened there, closed at 90
    assert [realised[f"e{n}"] for n in range(1, 6)] == [0, 0, 14, -6, 20]


def test_what_the_venue_told_outweighs_what_is_computed() -> None:
    book = RealisedPnl(Decimal(1), Decimal(100))
    assert book.take([execution(2, -1, "1", "110", "9.99")]) == {"e2": Decimal("9.99")}
    # an older one that the stream lost comes in between and is computed from where it stood
    late = book.take([execution(1, 1, "1", "120"), execution(2, -1, "1", "110")])
    assert late == {"e1": 0, "e2": Decimal("9.99")}


def test_executions_that_a_position_read_contains_are_not_added_to_it() -> None:
    # short 0.788 opened and half of it bought back before the reading, the rest after it
    opened, half = execution(1, -1, "0.8", "100"), execution(2, 1, "0.4", "90")
    rest = execution(3, 1, "0.4", "80")
    book = RealisedPnl(Decimal("-0.4"), Decimal(100), Mark(2, 2))
    assert book.take([opened, half, rest]) == {"e1": 0, "e2": 4, "e3": 8}
    # without the entry the half's cost is that of what was left
    book = RealisedPnl(Decimal("-0.4"), Decimal(100), Mark(2, 2))
    assert book.start()[1]
    assert book.take([half, rest]) == {"e2": 4, "e3": 8}


def test_a_position_closed_before_the_reading_has_a_cost_once_its_entry_is_known() -> None:
    book = RealisedPnl(mark=Mark(5))
    closing = execution(5, -1, "2", "110")
    assert book.take([closing]) == {"e5": 0}
    basis, is_sure = book.start()
    assert not is_sure
    assert basis.quantity == 2
    book.know([execution(4, 1, "2", "100")])
    assert book.start()[1]
    assert book.take([closing]) == {"e5": 20}


def test_a_number_of_the_venue_says_more_than_a_time() -> None:
    one = execution(7, 1, "1", "100")
    assert [Mark(6, n).contains(one) for n in (6, 7)] == [False, True]
    assert [Mark(at_ms).contains(one) for at_ms in (6, 7)] == [False, True]


TRADES = st.lists(
    st.tuples(st.sampled_from([1, -1]), st.integers(1, 9), st.integers(1, 500)),
    min_size=1,
    max_size=30,
)


@given(TRADES, st.data())
def test_whenever_the_position_is_read_the_same_is_realised(
    trades: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    executions = [execution(n, s, str(q), str(p)) for n, (s, q, p) in enumerate(trades, 1)]
    expected = RealisedPnl().take(executions)
    read = data.draw(st.integers(0, len(trades)))
    held = CostBasis()
    for one in executions[:read]:
        held.apply(one.side, one.quantity, one.price)
    # the venue rounds it; what is traced back to flat does not depend on it
    entry = round(held.cost_usdt / abs(held.quantity), 4) if held.quantity else Decimal(0)
    assert RealisedPnl(held.quantity, entry, Mark(read, read)).take(executions) == expected


@given(TRADES)
def test_realised_and_cost_add_up_to_the_cash_paid(trades: list[tuple[int, int, int]]) -> None:
    basis = CostBasis()
    cash = realised = Decimal(0)
    for side, quantity, price in trades:
        realised += basis.apply(side, Decimal(quantity), Decimal(price))
        cash -= side * quantity * price
    held = 1 if basis.quantity > 0 else -1
    assert realised == cash + held * basis.cost_usdt
    assert basis.quantity == sum(side * quantity for side, quantity, _ in trades)
    assert basis.cost_usdt >= 0


# where it is


@pytest.mark.parametrize(
    ("place", "rest", "private", "public"),
    [
        (
            Place("local", "http://127.0.0.1:7", "ws://127.0.0.1:7"),
            "http://127.0.0.1:7",
            "ws://127.0.0.1:7/v5/private",
            "ws://127.0.0.1:7/v5/public/linear",
        ),
        (
            Place("testnet"),
            "https://api-testnet.bybit.com",
            "wss://stream-testnet.bybit.com/v5/private",
            "wss://stream-testnet.bybit.com/v5/public/linear",
        ),
        (
            Place("demo"),
            "https://api-demo.bybit.com",
            "wss://stream-demo.bybit.com/v5/private",
            "wss://stream.bybit.com/v5/public/linear",
        ),
        (
            Place("live"),
            "https://api.bybit.com",
            "wss://stream.bybit.com/v5/private",
            "wss://stream.bybit.com/v5/public/linear",
        ),
    ],
)
def test_each_mode_has_its_own_addresses(
    place: Place, rest: str, private: str, public: str
) -> None:
    quirks = BybitQuirks()
    exchange = make_exchange(quirks.ccxt_id, quirks.configuration(place), lambda _message: False)
    quirks.adjust(exchange, place)
    signed = exchange.sign("v5/market/time", ["public"], "GET", {})
    assert signed["url"] == f"{rest}/v5/market/time"
    address = exchange.urls["api"]["ws"]["private"]["contract"]
    assert exchange.implode_hostname(address) == private
    assert exchange.enableRateLimit is False

    async def feed_url() -> str:
        host = ActorHost(asyncio.get_running_loop(), system="test")
        feed, dialect = quirks.open_feed(
            ["BTCUSDT"], place, host=host, random=Random(1), stages=Stages()
        )
        assert dialect == "bybit"
        return str(feed.report()[0]["url"])

    assert asyncio.run(feed_url()) == public


def test_the_demo_has_no_trading_socket() -> None:
    assert set(TRADE_SOCKETS) == {"live", "testnet"}


# what happened before a start


LIST, HELD = "privateGetV5ExecutionList", "privateGetV5PositionList"


def row(at_ms: int, side: str, quantity: str, price: str) -> dict[str, Any]:
    trade: dict[str, Any] = {
        "execType": "Trade",
        "symbol": "BTCUSDT",
        "execId": f"e{at_ms}",
        "execFee": "0",
    }
    trade |= {"orderLinkId": "", "orderId": "1", "isMaker": False, "seq": at_ms}
    return trade | {"execTime": str(at_ms), "side": side, "execQty": quantity, "execPrice": price}


def found(desk: ScriptedDesk, *made: dict[str, Any]) -> None:
    """Let the venue list what was made, the newest first, as it is asked for."""

    def listed(params: Any) -> Any:
        span = range(params["startTime"], params["endTime"] + 1)
        return {"result": {"list": [r for r in reversed(made) if int(r["execTime"]) in span]}}

    desk.answer(LIST, listed)


@pytest.mark.parametrize(("hours", "readings"), [(0, 1), (0.5, 2), (5, 3), (50, 4)])
def test_the_entry_of_a_position_closed_while_no_engine_ran_is_looked_for(
    hours: float, readings: int
) -> None:
    async def scenario() -> None:
        desk = ScriptedDesk("bybit", ("BTCUSDT",))
        quirks = BybitQuirks()
        quirks.desk = desk  # type: ignore[assignment]
        desk.answer(HELD, {"result": {"list": []}})
        since_ms = BEGAN_MS - 60_000
        opened_ms = since_ms - round(hours * 3_600_000)
        opened = row(opened_ms, "Sell", "0.2", "100")
        found(desk, opened, row(BEGAN_MS - 5_000, "Buy", "0.2", "90"))
        await quirks.positions()
        closing = (await quirks.fills_since(since_ms))[-1]
        assert isinstance(closing, Fill)
        assert closing.realised_usdt == 2
        assert len(desk.called(LIST)) == readings
        await quirks.fills_since(since_ms)
        assert len(desk.called(LIST)) == readings + 1

    asyncio.run(scenario())


def test_executions_before_a_start_are_not_added_to_the_position_it_found() -> None:
    async def scenario() -> None:
        desk = ScriptedDesk("bybit", ("BTCUSDT",))
        quirks = BybitQuirks()
        quirks.desk = desk  # type: ignore[assignment]
        half_ms = BEGAN_MS - 3_000
        held = {"symbol": "BTCUSDT", "side": "Sell", "size": "0.1", "avgPrice": "100"}
        desk.answer(HELD, {"result": {"list": [held | {"seq": half_ms}]}})
        opened = row(BEGAN_MS - 5_000, "Sell", "0.2", "100")
        half, more = row(half_ms, "Buy", "0.1", "90"), row(BEGAN_MS - 1, "Sell", "0.1", "130")
        # what came after it bears an older time: the clocks differ, the numbers decide
        found(desk, opened, half, more, row(BEGAN_MS, "Buy", "0.2", "80"))
        await quirks.positions()
        fills = await quirks.fills_since(BEGAN_MS - 60_000)
        assert [getattr(fill, "realised_usdt", None) for fill in fills] == [0, 1, 0, 7]

    asyncio.run(scenario())
