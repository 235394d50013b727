"""Binance's private stream, history and start-up without a network."""

from decimal import Decimal
from typing import Any

import pytest
from ccxt import pro

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    LeverageChanged,
    OrderUpdate,
    PositionChanged,
)
from hfengine.venues.binance_venue import BinanceQuirks
from hfengine.venues.quirks import Place
from tests.binance_bench import REDUCE, SYMBOL, Algos, Bench, leg_params, run
from tests.protocol_samples import push
from tests.scripted_desk import BEGAN_MS, refused
from tests.shared import needs_shared

D = Decimal

# the private stream


def test_the_position_is_told_again_after_its_fill() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010", at_ms=10)
        bench.order("hf-a-000001e0", "FILLED", at_ms=10, S="BUY", rp="0")
        kinds = [type(one) for one in bench.desk.told]
        assert kinds.index(Fill) < len(kinds) - 1 - kinds[::-1].index(PositionChanged)
        assert bench.desk.of(OrderUpdate)[-1].state == "filled"

    run(scenario)


def test_the_wallet_is_told_at_once_and_the_rest_is_read() -> None:
    async def scenario() -> None:
        bench = Bench()
        known = {"asset": "USDT", "walletBalance": "10000", "marginBalance": "10001"}
        known |= {"availableBalance": "9000", "maintMargin": "1"}
        bench.desk.answer("fapiPrivateV3GetAccount", {"assets": [known]})
        bench.desk.answer("fapiPrivateV3GetPositionRisk", [])
        bench.desk.answer("fapiPrivateGetOpenAlgoOrders", [])
        await bench.quirks.balance()
        bench.account("0.010", wallet="9990")
        (told,) = bench.desk.of(BalanceChanged)
        assert (told.wallet_usdt, told.equity_usdt) == (9990, 9991)
        bench.desk.timers.fire_all()
        await bench.desk.settle()
        assert bench.desk.of(BalanceChanged)[-1].free_margin_usdt == 9000

    run(scenario)


@needs_shared
def test_leverage_changed_by_another_client_is_told_at_once() -> None:
    async def scenario() -> None:
        bench = Bench()
        assert bench.quirks.heard(push("jkorf_binance_usdm", "Leverage"))
        assert bench.desk.of(LeverageChanged) == [
            LeverageChanged(SYMBOL, 1611646737476 * 10**6, 25)
        ]

    run(scenario)


@needs_shared
def test_a_margin_call_stops_entries_until_the_position_is_gone() -> None:
    async def scenario() -> None:
        bench = Bench()
        call = push("jkorf_binance_usdm", "MarginUpdate")
        call["p"][0]["s"] = SYMBOL
        bench.account("0.010")
        assert bench.quirks.heard(call)
        assert SYMBOL in bench.desk.halts["margin_call"]
        bench.account("0", at_ms=30)
        assert bench.desk.halts == {}

    run(scenario)


def test_an_expired_listen_key_is_replaced() -> None:
    async def scenario() -> None:
        bench = Bench()
        options = bench.desk.exchange.options
        options["linear"] = {"listenKey": "old", "lastAuthenticatedTime": 5}
        bench.hear("listenKeyExpired", 1, listenKey="old")
        assert options["linear"] == {"listenKey": None, "lastAuthenticatedTime": 0}
        assert len(bench.desk.restarts) == len(bench.desk.reconciles) == 1

    run(scenario)


def test_a_dead_key_is_noticed_without_an_event() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.desk.exchange.options["linear"] = {"listenKey": "old"}
        bench.desk.answer("fapiPrivatePutListenKey", {}, refused("code_-1125"))
        bench.quirks.streams()
        (_, check, _) = bench.desk.timers.waiting[-1]
        check()
        await bench.desk.settle()
        assert bench.desk.restarts == []
        check()
        await bench.desk.settle()
        assert len(bench.desk.restarts) == 1
        assert bench.desk.exchange.options["linear"]["listenKey"] is None

    run(scenario)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_stream_that_is_silent_about_an_order_is_restarted(is_told: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.quirks.place(REDUCE)
        if is_told:
            bench.order("hf-a-000002x0", "FILLED")
        waiting = [one for one in bench.desk.timers.waiting if one[0] == 5 * 10**9]
        for _, fire, handle in waiting:
            if not handle.cancelled:
                fire()
        assert len(bench.desk.restarts) == (0 if is_told else 1)

    run(scenario)


def test_funding_is_read_when_the_wallet_says_so() -> None:
    async def scenario() -> None:
        bench = Bench()
        row = {"symbol": SYMBOL, "incomeType": "FUNDING_FEE", "income": "-0.6", "asset": "USDT"}
        bench.desk.answer("fapiPrivateGetIncome", [row | {"time": BEGAN_MS}])
        bench.desk.answer(
            "fapiPublicGetFundingRate", [{"fundingRate": "0.0001", "fundingTime": BEGAN_MS - 2}]
        )
        bench.account("0.010", m="FUNDING_FEE", P=[])
        await bench.desk.settle()
        assert bench.desk.of(FundingPaid) == [
            FundingPaid(SYMBOL, BEGAN_MS * 10**6, D("0.0001"), D("0.6"))
        ]

    run(scenario)


def test_other_symbols_and_public_messages_are_not_ours() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.order("x", "FILLED", s="DOGEUSDT")
        assert bench.desk.of(Fill) == []
        assert bench.desk.notes[0][0] == "other_symbol"
        assert bench.quirks.heard({"e": "depthUpdate", "s": SYMBOL}) is False
        assert bench.quirks.heard({"result": None, "id": 1}) is False
        wrapped = {"stream": "key", "data": {"e": "TRADE_LITE"}}
        assert bench.quirks.heard(wrapped) is True

    run(scenario)


# history


def test_trades_come_with_their_orders_names_page_by_page() -> None:
    async def scenario() -> None:
        bench = Bench()

        def trades(params: Any) -> list[dict[str, Any]]:
            first = params.get("fromId", 1)
            count = 1000 if first == 1 else 3
            return [
                {
                    "id": first + n,
                    "symbol": SYMBOL,
                    "orderId": 7,
                    "side": "BUY",
                    "qty": "0.001",
                    "price": "60000",
                    "commission": "0.03",
                    "commissionAsset": "USDT",
                    "realizedPnl": "0",
                    "maker": False,
                    "time": BEGAN_MS + first + n,
                }
                for n in range(count)
            ]

        bench.desk.answer("fapiPrivateGetUserTrades", trades)
        bench.desk.answer(
            "fapiPrivateGetAllOrders",
            [{"orderId": 7, "clientOrderId": "hf-1", "origType": "STOP_MARKET"}],
        )
        bench.desk.answer("fapiPrivateGetIncome", [])
        fills = await bench.quirks.fills_since(BEGAN_MS)
        assert len(fills) == len({fill.fill_id for fill in fills}) == 1003
        assert {(fill.client_id, fill.cause) for fill in fills} == {("hf-1", "stop")}
        assert len(bench.desk.called("fapiPrivateGetAllOrders")) == 1

    run(scenario)


# start


def test_a_local_venue_changes_addresses_only_and_errors_keep_their_classes() -> None:
    quirks = BinanceQuirks()
    place = Place("local", "http://127.0.0.1:1", "ws://127.0.0.1:1")
    exchange = pro.binanceusdm(quirks.configuration(place))
    quirks.adjust(exchange, place)
    assert exchange.urls["api"]["fapiPrivateV3"] == "http://127.0.0.1:1/fapi/v3"
    assert exchange.get_private_ws_url("linear", "k").startswith("ws://127.0.0.1:1/private/ws")
    table = exchange.get_exceptions_by_url("http://127.0.0.1:1/fapi/v1/order", "exact")
    assert table["-2021"].__name__ == "OrderImmediatelyFillable"
    assert exchange.streaming["keepAlive"] == 15_000


@pytest.mark.parametrize("set_modes", [True, False])
def test_the_position_mode_is_set_only_if_allowed(set_modes: bool) -> None:
    async def scenario() -> None:
        bench = Bench(position_mode="hedge", set_modes=set_modes)
        account = {"dualSidePosition": False, "multiAssetsMargin": False}
        bench.desk.answer("fapiPrivateGetAccountConfig", account)
        bench.desk.answer("fapiPrivatePostPositionSideDual", {})
        bench.desk.answer("fapiPrivateGetSymbolConfig", [])
        if set_modes:
            await bench.quirks.prepare_account()
            (params,) = bench.desk.called("fapiPrivatePostPositionSideDual")
            assert params == {"dualSidePosition": "true"}
            assert bench.desk.exchange.options["recvWindow"] == 3_000
        else:
            with pytest.raises(VenueRejected, match="set_modes"):
                await bench.quirks.prepare_account()

    run(scenario)


def test_multi_assets_mode_has_no_isolated_margin() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = {"dualSidePosition": False, "multiAssetsMargin": True}
        bench.desk.answer("fapiPrivateGetAccountConfig", account)
        with pytest.raises(VenueRejected, match="multi-assets"):
            await bench.quirks.prepare_account()

    run(scenario)


def test_an_order_is_looked_up_among_both_kinds() -> None:
    async def scenario() -> None:
        bench = Bench()
        unknown = refused(rejects.UNKNOWN_ORDER)
        bench.desk.answer("fapiPrivateGetOrder", unknown)
        bench.desk.answer("fapiPrivateGetAlgoOrder", Algos().place(leg_params("hf-s")), unknown)
        found = await bench.quirks.order_by_id(SYMBOL, "hf-s")
        assert found is not None
        assert (found.client_id, found.state) == ("hf-s", "untriggered")
        assert await bench.quirks.order_by_id(SYMBOL, "hf-x") is None

    run(scenario)


def test_cancel_all_empties_both_lists() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.account("0.010")
        bench.algo(101, "hf-a-000001e0s", "NEW")
        bench.desk.answer("fapiPrivateGetOpenOrders", [{}, {}])
        bench.desk.answer("fapiPrivateGetOpenAlgoOrders", [Algos().place(leg_params("hf-s"))])
        bench.desk.answer("fapiPrivateDeleteAllOpenOrders", refused(rejects.UNKNOWN_ORDER))
        bench.desk.answer("fapiPrivateDeleteAlgoOpenOrders", {})
        assert await bench.quirks.cancel_all(SYMBOL) == 3
        assert bench.quirks._at_work.book.changed(SYMBOL).covered == 0

    run(scenario)
