"""Settings, balances, positions and income of the Binance venue's accounts."""

from decimal import Decimal

import pytest

from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, Desk


@pytest.fixture
def desk():
    made = Desk(("BTCUSDT", "ETHUSDT"))
    yield made
    made.close()


def config(desk):
    return desk.get("/v1/symbolConfig", symbol=BTC)[0]


def test_leverage_is_set_told_and_set_again(desk):
    stream = desk.listen()
    for _ in range(2):
        answer = desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=50)
        # 50x holds up to the cap of the fourth tier
        assert answer.row == {"leverage": 50, "maxNotionalValue": "12000000", "symbol": BTC}
    assert (config(desk)["leverage"], config(desk)["maxNotionalValue"]) == (50, "12000000")
    desk.turn()
    assert [one["ac"] for one in stream.events("ACCOUNT_CONFIG_UPDATE")] == [{"s": BTC, "l": 50}]


@pytest.mark.parametrize(
    ("leverage", "code"), [(0, -4028), (126, -4028), ("", -1102), ("1.5", -1100)]
)
def test_leverage_that_cannot_be(desk, leverage, code):
    answer = desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=leverage)
    assert (answer.code, answer.status) == (code, 400)
    assert code != -4028 or answer.row["msg"] == f"Leverage {leverage} is not valid"


def test_leverage_too_high_or_too_low_for_a_position(desk):
    desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=100)
    desk.order("BUY", "1")
    assert desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=125).code == -2027
    assert desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=2).code == -2028


def test_a_fault_keeps_the_old_leverage_and_says_ok(desk):
    desk.world.faults.add(Rule(kind="leverage_kept", symbol=BTC))
    before = config(desk)["leverage"]
    answer = desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=50)
    assert (answer.status, answer.row["leverage"]) == (200, 50)
    assert config(desk)["leverage"] == before
    desk.signed("POST", "/v1/leverage", symbol=BTC, leverage=50)
    assert config(desk)["leverage"] == 50


def test_margin_type(desk):
    def change(name):
        return desk.signed("POST", "/v1/marginType", symbol=BTC, marginType=name)

    assert config(desk)["marginType"] == "CROSSED"
    assert change("CROSSED").code == -4046
    assert change("BOTH").code == -1130
    assert change("ISOLATED").row == {"code": 200, "msg": "success"}
    assert config(desk)["marginType"] == "ISOLATED"
    desk.order("BUY", "0.01", "61000")
    assert change("CROSSED").code == -4047
    desk.order("BUY", "0.01")
    assert change("CROSSED").code == -4048


def test_position_mode(desk):
    def change(dual):
        return desk.signed("POST", "/v1/positionSide/dual", dualSidePosition=dual)

    assert desk.get("/v1/positionSide/dual") == {"dualSidePosition": False}
    assert change("false").code == -4059
    assert change("true").row["code"] == 200
    assert desk.get("/v1/positionSide/dual") == {"dualSidePosition": True}
    assert desk.get("/v1/accountConfig")["dualSidePosition"] is True
    desk.order("BUY", "0.01", "61000", positionSide="LONG")
    assert change("false").code == -4067
    desk.order("BUY", "0.01", positionSide="LONG")
    assert change("false").code == -4068


def test_multi_assets_mode_stays_off(desk):
    path = "/v1/multiAssetsMargin"
    assert desk.get(path) == {"multiAssetsMargin": False}
    assert desk.signed("POST", path, multiAssetsMargin="false").code == -4171
    assert desk.signed("POST", path, multiAssetsMargin="true").code == -1020


def test_brackets_and_fees_are_the_catalogues(desk):
    row = desk.get("/v1/leverageBracket", symbol=BTC)[0]
    assert row["brackets"][1] == {
        "bracket": 2,
        "initialLeverage": 100,
        "notionalCap": 600000,
        "notionalFloor": 50000,
        "maintMarginRatio": 0.005,
        "cum": 50,
    }
    assert len(desk.get("/v1/leverageBracket")) == 2
    assert desk.get("/v1/commissionRate", symbol=BTC) == {
        "symbol": BTC,
        "makerCommissionRate": "0.0002",
        "takerCommissionRate": "0.0005",
    }


def test_versions_2_and_3_of_position_risk(desk):
    assert desk.get("/v3/positionRisk") == []
    assert [row["symbol"] for row in desk.get("/v2/positionRisk")] == ["BTCUSDT", "ETHUSDT"]
    desk.order("SELL", "0.02")
    (row,) = desk.get("/v3/positionRisk")
    assert (row["positionAmt"], row["entryPrice"]) == ("-0.020", "61800.10")
    assert row["markPrice"] == "61800.20000000"
    assert (row["notional"], row["unRealizedProfit"]) == ("-1236.004", "-0.00200000")
    # 20x, 0.4 %
    assert (row["initialMargin"], row["maintMargin"]) == ("61.80020000", "4.94401600")
    assert "leverage" not in row
    old = desk.get("/v2/positionRisk", symbol=BTC)[0]
    assert (old["leverage"], old["marginType"], old["maxNotionalValue"]) == (
        "20",
        "cross",
        "100000000",
    )


def test_a_resting_order_lists_its_symbol_and_reserves_margin(desk):
    desk.order("BUY", "0.02", "61000")
    (row,) = desk.get("/v3/positionRisk")
    assert (row["positionAmt"], row["bidNotional"], row["askNotional"]) == ("0.000", "1220", "0")
    assert row["openOrderInitialMargin"] == "61.00000000"
    account = desk.get("/v3/account")
    # the venue reserves the taker's fee too
    reserved = Decimal(account["totalOpenOrderInitialMargin"])
    assert reserved == Decimal("61.61")
    assert Decimal(account["availableBalance"]) == Decimal(account["totalWalletBalance"]) - reserved


def test_an_isolated_position_keeps_its_margin_apart(desk):
    desk.signed("POST", "/v1/marginType", symbol=BTC, marginType="ISOLATED")
    stream = desk.listen()
    desk.order("BUY", "0.02")
    desk.move("61900.2")
    (row,) = desk.get("/v3/positionRisk")
    apart = Decimal("61800.3") * Decimal("0.02") / 20
    assert Decimal(row["isolatedWallet"]) == apart
    assert Decimal(row["isolatedMargin"]) == apart + Decimal(row["unRealizedProfit"])
    (asset,) = desk.get("/v3/account")["assets"]
    assert Decimal(asset["crossWalletBalance"]) == Decimal(asset["walletBalance"]) - apart
    update = stream.events("ACCOUNT_UPDATE")[0]["a"]
    assert Decimal(update["P"][0]["iw"]) == apart
    assert Decimal(update["B"][0]["cw"]) == Decimal(update["B"][0]["wb"]) - apart
    assert update["P"][0]["mt"] == "isolated"


def test_break_even_gives_back_the_fees_paid(desk):
    desk.order("BUY", "0.02")
    (row,) = desk.get("/v3/positionRisk")
    assert Decimal(row["breakEvenPrice"]) == Decimal("61800.3") * Decimal("1.0005")


def test_the_wallet_is_the_sum_of_the_income(desk):
    desk.order("BUY", "0.02")
    desk.move("61900.2")
    desk.order("SELL", "0.01", reduceOnly="true")
    desk.world.pay_funding(BTC, Decimal("0.0001"))
    desk.order("SELL", "0.01", reduceOnly="true")
    rows = desk.get("/v1/income")
    assert [(row["incomeType"], row["tradeId"]) for row in rows] == [
        ("TRANSFER", ""),
        ("COMMISSION", 1),
        ("REALIZED_PNL", 2),
        ("COMMISSION", 2),
        ("FUNDING_FEE", ""),
        ("REALIZED_PNL", 3),
        ("COMMISSION", 3),
    ]
    wallet = sum(Decimal(row["income"]) for row in rows)
    assert wallet == Decimal(desk.get("/v3/balance")[0]["balance"])
    funding = desk.get("/v1/income", incomeType="FUNDING_FEE")
    assert [Decimal(row["income"]) for row in funding] == [Decimal("-0.0619002")]
    assert desk.get("/v1/income", symbol="ETHUSDT") == []
    assert len(desk.get("/v1/income", limit=2)) == 2
