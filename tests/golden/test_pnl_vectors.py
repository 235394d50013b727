"""PnL, fees, funding and liquidation prices against published vectors (numbers in ../shared)."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hfengine.exchange.margin import binance_liquidation_price, bybit_liquidation_price
from hfengine.instruments import RiskTier
from tests.exchange_desk import BTC, HOUR_NS, D, Desk, instrument
from tests.shared import VECTORS, needs_shared

pytestmark = needs_shared
FLAT_TIER = (RiskTier(D(10**12), D("0.01"), D(125), D(0)),)
NO_END = D(10**12)


def cases(name: str) -> list[dict[str, Any]]:
    """Return the cases of a vector file, none where ../shared is absent."""
    path = VECTORS / name
    return json.loads(path.read_bytes(), parse_float=Decimal)["cases"] if path.exists() else []


def side_of(case: dict[str, Any]) -> int:
    return -1 if case.get("is_short", case.get("side") == "short") else 1


def desk_at(price: Decimal, fee: Decimal) -> Desk:
    """Return a desk whose book holds plenty at one price, everything on a fine grid."""
    listed = instrument(tick="0.001", step="0.0001", taker=str(fee), tiers=FLAT_TIER, band="0.9")
    desk = Desk(listed, wallet="10000000")
    show(desk, price)
    return desk


def show(desk: Desk, price: Decimal) -> None:
    desk.mark(price)
    ticks = int(price * 1000)
    desk.books[BTC].set({ticks: 10**9}, {ticks: 10**9})
    desk.exchange.on_book(BTC, desk.tick())


@pytest.mark.parametrize(
    "case", [one for one in cases("pnl_positions.json") if one["kind"] == "linear"]
)
def test_position_pnl(case: dict[str, Any]) -> None:
    side = side_of(case)
    desk = desk_at(D(case["entry"]), D(case["fee"]))
    desk.place(side, D(case["qty"]))
    fill = desk.exchange.fills("a")[0]
    assert fill.fee_usdt == case["commission"]
    ledger = desk.exchange.ledger("a")
    assert ledger.total_usdt("fee") + ledger.total_usdt("pnl") == case["realized"]
    show(desk, D(case["mark"]))
    balance = desk.exchange.balance("a")
    assert balance.equity_usdt - balance.wallet_usdt == case["unrealized"]
    if "total" in case:
        assert balance.equity_usdt - 10_000_000 == case["total"]
    show(desk, D(case["mark"]))
    desk.place(-side, 0, close_position=True)
    assert ledger.total_usdt("pnl") == case["unrealized"]


@pytest.mark.parametrize(
    "case",
    [one for one in cases("pnl_with_fees_and_funding.json") if one["trading_mode"] == "futures"],
)
def test_round_trip_with_fees_and_funding(case: dict[str, Any]) -> None:
    side = side_of(case)
    amount, opened = D(30), D(2)
    desk = desk_at(opened, D("0.0025"))
    desk.exchange.set_leverage("a", BTC, int(case["lev"]), desk.tick())
    # funding of so much in all: the rate that charges it on this notional
    received = D(case["funding_fees"])
    desk.funding_rate = -side * received / (amount * opened)
    desk.next_funding_ns = 8 * HOUR_NS
    desk.place(side, 30)
    desk.mark(opened)
    desk.now_ns = 8 * HOUR_NS - 1_000_000
    desk.next_funding_ns = 16 * HOUR_NS
    desk.mark(opened)
    show(desk, D(case["close_rate"]))
    assert case["fee_close"] == D("0.0025")
    desk.place(-side, 0, close_position=True)
    profit = desk.exchange.ledger("a").wallet_usdt - 10_000_000
    assert abs(profit - D(case["profit"])) < D("0.00001")


@pytest.mark.parametrize("case", cases("funding_fees.json"))
def test_funding(case: dict[str, Any]) -> None:
    """Feed rates and hourly marks; the vectors count a position opened seconds after the hour."""
    document = json.loads((VECTORS / "funding_fees.json").read_bytes(), parse_float=Decimal)
    rates = document["funding_rates_8h"][case["rate_start"] : case["rate_end"]]
    by_ns = {rate["timestamp"] * 1_000_000: D(rate["fundingRate"]) for rate in rates}
    opened, closed = _ns(case["d1"]), _ns(case["d2"])
    if opened % HOUR_NS < 15_000_000_000:
        opened -= opened % HOUR_NS
    desk = desk_at(D(document["mark_ohlcv_1h"][0][1]), D(0))
    desk.exchange.on_mark(BTC, D(2), D(2), D(0), opened + 1, opened - 1)
    desk.place(-1, D(case["amount"]), client_id="short")
    for row in document["mark_ohlcv_1h"]:
        at_ns = row[0] * 1_000_000
        if opened <= at_ns <= closed and at_ns in by_ns:
            mark = D(row[1])
            desk.exchange.on_mark(BTC, mark, mark, by_ns[at_ns], at_ns, at_ns - 1)
            desk.exchange.on_mark(BTC, mark, mark, by_ns[at_ns], at_ns, at_ns)
    received = desk.exchange.ledger("a").total_usdt("funding")
    # the vectors are sums of doubles: ...409999 for ...41
    assert abs(received - D(case["expected_fees"])) < D("1e-9")


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


@pytest.mark.parametrize("case", cases("liquidation_price_binance_cross.json"))
def test_binance_liquidation_price(case: dict[str, Any]) -> None:
    """Binance's worked example; "open_trades" holds the others and, in cross, the position too."""
    tier = (RiskTier(NO_END, case["mm_ratio"], D(125), case["maintenance_amt"]),)
    others = [one for one in case["open_trades"] if one["pair"] != case["pair"]]
    maintenance = sum(
        one["amount"] * one["mark_price"] * one["mm_ratio"] - one["maintenance_amt"]
        for one in others
    )
    unrealised = sum(one["amount"] * (one["mark_price"] - one["open_rate"]) for one in others)
    price = binance_liquidation_price(
        side_of(case),
        case["amount"],
        case["open_rate"],
        case["wallet_balance"],
        tier,
        other_maintenance_usdt=D(maintenance),
        other_unrealised_usdt=D(unrealised),
    )
    assert abs(price - case["expected"]) <= D("0.005")


@pytest.mark.parametrize(
    "case",
    [
        one
        for one in cases("liquidation_price_isolated.json")
        if one["exchange_name"] == "binance"
        and one["margin_mode"] == "isolated"
        and one["trading_mode"] == "futures"
    ],
)
def test_isolated_liquidation_price(case: dict[str, Any]) -> None:
    amount, entry = D(case["amount"]), D(case["open_rate"])
    tier = (RiskTier(NO_END, D("0.01"), D(125), D("0.01")),)
    margin = amount * entry / D(case["leverage"])
    price = binance_liquidation_price(side_of(case), amount, entry, margin, tier)
    assert abs(price / D(case["expected_liq"]) - 1) < D("1e-6")


def test_btc_in_binances_worked_example() -> None:
    """VENUES 4.1: BTC isolated 18 778.73 and, beside the ETH position, cross 26 316.89."""
    wallet = D("1535443.01")
    tier = (RiskTier(NO_END, D("0.025"), D(125), D(16_300)),)
    quantity, entry = D("109.488"), D("32481.98")
    price = binance_liquidation_price(1, quantity, entry, wallet, tier)
    assert price.quantize(D("0.01")) == D("18778.73")
    eth, eth_mark = D("3683.979"), D("1335.18")
    price = binance_liquidation_price(
        1,
        quantity,
        entry,
        wallet,
        tier,
        other_maintenance_usdt=eth * eth_mark * D("0.1") - 135_365,
        other_unrealised_usdt=eth * (eth_mark - D("1456.84")),
    )
    assert price.quantize(D("0.01")) == D("26316.89")


def test_bybits_worked_example() -> None:
    """VENUES 4.2: long 1 BTC at 40 000, 50x, 3 000 of extra margin: 36 380.25."""
    tier = RiskTier(NO_END, D("0.005"), D(100), D(0))
    price = bybit_liquidation_price(
        1, D(1), D(40_000), 50, tier, taker_fee=D("0.00055"), extra_margin_usdt=D(3_000)
    )
    assert price.quantize(D("0.01")) == D("36380.25")
    mirrored = bybit_liquidation_price(
        -1, D(1), D(40_000), 50, tier, taker_fee=D("0.00055"), extra_margin_usdt=D(3_000)
    )
    expected = (40_000 + 800 + 3_000 / D("1.00055")) / D("1.005")
    assert abs(mirrored - expected) < D("1e-9")


def test_bybits_bankruptcy_price() -> None:
    """VENUES 4.2: long at 60 000, 50x, is bankrupt at 58 800; a liquidation closes there."""
    desk = Desk(instrument(venue="bybit"))
    desk.mark(60_000)
    desk.book([(59_999, 9)], [(60_000, 9)])
    desk.exchange.set_leverage("a", BTC, 50, desk.tick())
    desk.exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    desk.place(1, 1)
    desk.mark(59_000)
    fill = desk.exchange.fills("a")[-1]
    assert (fill.cause, fill.price) == ("liquidation", D(58_800))
