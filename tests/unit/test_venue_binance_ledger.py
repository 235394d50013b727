"""What Binance's stream and history tell of money: fees, funding, margin, and when."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.messages import FundingPaid
from hfengine.venues.binance_rows import fee_elsewhere
from tests.binance_bench import ALGOS, RISK, SYMBOL, Bench, run
from tests.scripted_desk import BEGAN_MS

D = Decimal
TRADES, INCOME = "fapiPrivateGetUserTrades", "fapiPrivateGetIncome"


def test_fees_in_another_coin_are_named() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.order("hf-a-000001e0", "FILLED", S="BUY", n="0.0005", N="BNB")
        assert bench.desk.notes == [
            ("fee_in_another_coin", f"{SYMBOL}: 0.0005 BNB, counted as 0 USDT")
        ]
        row = {"id": 1, "symbol": SYMBOL, "orderId": 77, "side": "BUY", "qty": "1", "price": "1"}
        row |= {"commission": "0.1", "commissionAsset": "BNB", "time": BEGAN_MS, "maker": False}
        bench.desk.answer("fapiPrivateGetUserTrades", [row])
        bench.desk.answer("fapiPrivateGetIncome", [])
        for _ in range(2):
            (fill,) = await bench.quirks.fills_since(BEGAN_MS)
            assert fill.fee_usdt == 0
        assert len(bench.desk.notes) == 2

    run(scenario)


@pytest.mark.parametrize(
    ("fee", "asset", "named"),
    [("0.3", "USDT", ""), ("0.3", None, ""), ("0", "BNB", ""), ("0.001", "BNB", "0.001 BNB")],
)
def test_only_a_fee_in_another_coin_is_elsewhere(fee: str, asset: Any, named: str) -> None:
    assert fee_elsewhere(fee, asset) == named


def test_funding_of_both_slots_is_one_and_of_other_symbols_none() -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="hedge")
        row = {"symbol": SYMBOL, "incomeType": "FUNDING_FEE", "asset": "USDT", "time": BEGAN_MS}
        income = [
            row | {"income": "-0.6"},
            row | {"income": "0.2"},
            row | {"income": "-9", "symbol": "DOGEUSDT"},
            row | {"income": "-8", "asset": "BNB"},
            row | {"income": "-0.1", "time": BEGAN_MS + 1},
        ]
        bench.desk.answer("fapiPrivateGetIncome", income)
        bench.desk.answer("fapiPrivateGetUserTrades", [])
        bench.desk.answer("fapiPublicGetFundingRate", [])
        at_ns = BEGAN_MS * 10**6
        assert await bench.quirks.fills_since(BEGAN_MS) == [
            FundingPaid(SYMBOL, at_ns, D(0), D("0.4")),
            FundingPaid(SYMBOL, at_ns + 10**6, D(0), D("0.1")),
        ]

    run(scenario)


def test_a_margin_call_for_a_symbol_that_is_not_ours_ends_with_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.hear("MARGIN_CALL", 1, p=[{"s": "DOGEUSDT"}])
        assert "DOGEUSDT" in bench.desk.halts["margin_call"]
        row = {"s": "DOGEUSDT", "ep": "1", "iw": "1", "mt": "isolated", "ps": "BOTH"}
        bench.account("0", at_ms=5, P=[row | {"pa": "3"}])
        assert bench.desk.halts
        bench.account("0", at_ms=6, P=[row | {"pa": "0"}])
        assert bench.desk.halts == {}

    run(scenario)


def test_of_two_positions_of_the_same_ms_the_later_counts() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.004", at_ms=10)
        bench.account("0.010", at_ms=10)
        assert bench.position().quantity == D("0.010")

    run(scenario)


def test_the_first_change_is_read_soon_and_the_next_not_before_its_time() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(RISK, [])
        bench.desk.answer(ALGOS, [])
        bench.desk.answer("fapiPrivateV3GetAccount", {"assets": []})
        bench.account("0.010", at_ms=10)
        delays = [ns // 10**6 for ns, _, _ in bench.desk.timers.waiting]
        assert delays == [250, 250]
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        bench.desk.pass_ms(500)
        bench.account("0.020", at_ms=600)
        delays = [ns // 10**6 for ns, _, _ in bench.desk.timers.waiting]
        assert delays == [1500, 250]

    run(scenario)


def test_a_margin_call_ends_with_the_last_of_its_symbols() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.hear("MARGIN_CALL", 11, p=[{"s": "DOGEUSDT"}, {"s": SYMBOL}])
        bench.account("0", at_ms=20)
        assert "margin_call" in bench.desk.halts

    run(scenario)


def test_funding_is_read_from_before_the_wallets_news() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer("fapiPrivateGetIncome", [])
        bench.account("0.010", at_ms=50, m="FUNDING_FEE", P=[])
        await bench.desk.settle()
        (asked,) = bench.desk.called("fapiPrivateGetIncome")
        assert asked["startTime"] == BEGAN_MS + 50 - 1000
        assert asked["incomeType"] == "FUNDING_FEE"

    run(scenario)


def test_the_cross_wallet_of_the_stream_moves_the_liquidation() -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"s": SYMBOL, "pa": "0.010", "ep": "60000", "iw": "0", "mt": "cross", "ps": "BOTH"}
        prices = []
        for wallet in ("50", "100"):
            coin = {"a": "USDT", "wb": wallet, "cw": wallet}
            bench.account("", P=[row], B=[coin])
            prices.append(bench.position().liquidation)
        # 50 USDT more on 0.01 carry it 5000 further, and a little for the maintenance rate
        assert 5000 < prices[0] - prices[1] < 5050

    run(scenario)


# history


def trade(number: int, **changes: Any) -> dict[str, Any]:
    row = {"id": number, "symbol": SYMBOL, "orderId": 7, "side": "BUY", "qty": "1", "price": "1"}
    row |= {"commission": "0", "commissionAsset": "USDT", "time": BEGAN_MS, "maker": False}
    return row | changes


def knows_order(bench: Bench) -> None:
    bench.desk.answer("fapiPrivateGetAllOrders", [{"orderId": 7, "clientOrderId": "hf-1"}])


def test_no_trade_is_lost_between_two_pages_of_one_ms() -> None:
    async def scenario() -> None:
        bench = Bench()
        knows_order(bench)
        bench.desk.answer(INCOME, [])
        every = [trade(n) for n in range(1, 2502)]

        def page(params: Any) -> list[dict[str, Any]]:
            assert ("fromId" in params) != ("startTime" in params)
            first = params.get("fromId", 1)
            return [row for row in every if row["id"] >= first][: params["limit"]]

        bench.desk.answer(TRADES, page)
        fills = await bench.quirks.fills_since(BEGAN_MS)
        assert [fill.fill_id for fill in fills] == [f"{SYMBOL}:{n}" for n in range(1, 2502)]

    run(scenario)


def test_trades_are_never_asked_for_from_more_than_a_week_ago() -> None:
    async def scenario() -> None:
        bench = Bench()
        week_ms = 7 * 24 * 3600 * 1000
        bench.desk.answer(INCOME, [])
        bench.desk.answer(TRADES, [])
        await bench.quirks.fills_since(BEGAN_MS - 2 * week_ms)
        assert bench.desk.called(TRADES)[0]["startTime"] == BEGAN_MS - week_ms

    run(scenario)


def test_income_is_read_page_by_page() -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"symbol": SYMBOL, "incomeType": "FUNDING_FEE", "asset": "USDT", "income": "-1"}

        def page(params: Any) -> list[dict[str, Any]]:
            first, count = (params["page"] - 1) * 1000, 1000 if params["page"] < 3 else 5
            return [row | {"time": BEGAN_MS + first + n} for n in range(count)]

        bench.desk.answer(INCOME, page)
        bench.desk.answer(TRADES, [])
        bench.desk.answer("fapiPublicGetFundingRate", [])
        assert len(await bench.quirks.fills_since(BEGAN_MS)) == 2005

    run(scenario)


HOUR_MS = 3_600_000
QUIET_MS = BEGAN_MS - BEGAN_MS % HOUR_MS + HOUR_MS // 2


def test_income_is_read_once_a_minute_at_full_hours_and_when_in_doubt() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(INCOME, [])
        bench.desk.answer(TRADES, [])

        async def read_at(at_ms: int, since_ms: int = QUIET_MS) -> int:
            bench.desk.clock.advance_to(at_ms * 10**6)
            known = len(bench.desk.called(INCOME))
            await bench.quirks.fills_since(since_ms)
            return len(bench.desk.called(INCOME)) - known

        assert await read_at(QUIET_MS) == 1
        assert await read_at(QUIET_MS + 59_999) == 0
        assert await read_at(QUIET_MS + 60_000) == 1
        assert await read_at(QUIET_MS + 70_000) == 0
        assert await read_at(QUIET_MS + 70_000, QUIET_MS - 1_000_000) == 1
        assert await read_at(QUIET_MS + 71_000, QUIET_MS - 1_000_000) == 0
        bench.quirks._at_work.history.doubt_income()
        assert await read_at(QUIET_MS + 72_000) == 1
        at_the_hour = [await read_at(QUIET_MS + HOUR_MS // 2 + ms) for ms in (-1, 0, 1, 59_999)]
        assert at_the_hour == [1, 1, 1, 1]
        assert await read_at(QUIET_MS + HOUR_MS // 2 + 60_000) == 0

    run(scenario)


def test_each_reading_of_income_begins_long_before_the_last_one() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.answer(INCOME, [])
        bench.desk.answer(TRADES, [])
        for at_ms in (QUIET_MS, QUIET_MS + 60_000):
            bench.desk.clock.advance_to(at_ms * 10**6)
            await bench.quirks.fills_since(at_ms)
        first, second = bench.desk.called(INCOME)
        assert (first["startTime"], first["incomeType"]) == (QUIET_MS, "FUNDING_FEE")
        assert second["startTime"] == QUIET_MS - 600_000

    run(scenario)


def test_of_many_symbols_only_those_that_traded_are_read() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.symbols = (SYMBOL, *(f"X{n}USDT" for n in range(25)))
        knows_order(bench)
        row = {"symbol": SYMBOL, "incomeType": "COMMISSION", "asset": "USDT", "time": BEGAN_MS}
        transfer = row | {"symbol": "X3USDT", "incomeType": "TRANSFER"}
        bench.desk.answer(INCOME, [row | {"income": "-1"}, transfer | {"income": "5"}])
        bench.desk.answer(TRADES, [trade(1)])
        (fill,) = await bench.quirks.fills_since(BEGAN_MS)
        assert fill.client_id == "hf-1"
        assert [params["symbol"] for params in bench.desk.called(TRADES)] == [SYMBOL]

    run(scenario)


@pytest.mark.parametrize(("late_ms", "rate"), [(60_000, "0.0001"), (60_001, "0")])
def test_a_funding_has_the_rate_of_its_own_time(late_ms: int, rate: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"symbol": SYMBOL, "incomeType": "FUNDING_FEE", "asset": "USDT", "income": "-1"}
        bench.desk.answer(INCOME, [row | {"time": BEGAN_MS}])
        bench.desk.answer(TRADES, [])
        told = {"fundingRate": "0.0001", "fundingTime": BEGAN_MS + late_ms}
        bench.desk.answer("fapiPublicGetFundingRate", [told])
        (paid,) = await bench.quirks.fills_since(BEGAN_MS)
        assert isinstance(paid, FundingPaid)
        assert paid.rate == D(rate)

    run(scenario)
