"""Every refusal, under its own name, and without a trace."""

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.requests import OrderRequest
from tests.exchange_desk import BTC, D, Desk, instrument


@pytest.fixture
def desk() -> Desk:
    desk = Desk(instrument(step="0.0001"), wallet="10000000")
    desk.quote(60_000, quantity=2_000)
    return desk


CASES = {
    "bad_client_id": [
        {"client_id": ""},
        {"client_id": "x" * 37},
        {"client_id": "a b"},
        {"client_id": "é"},
        {"client_id": "x" * 34, "stop": 59_000},
    ],
    "bad_side": [{"side": 0}, {"side": 2}],
    "off_step": [{"quantity": "1.00005"}, {"quantity": "NaN"}],
    "below_min_quantity": [{"quantity": 0}, {"quantity": -1}],
    "above_max_quantity": [{"quantity": "1000.001", "price": 60_000}],
    "above_max_market_quantity": [
        {"quantity": "120.001"},
        {"quantity": "120.001", "kind": "stop_market", "trigger": 61_000},
    ],
    "below_min_notional": [{"quantity": "0.0008"}, {"quantity": "0.0008", "price": "62499.9"}],
    "off_tick": [
        {"price": "60000.05"},
        {"price": -1},
        {"kind": "stop_market", "trigger": "61000.05"},
        {"stop": "59000.01"},
        {"target": "61000.01"},
    ],
    "price_missing": [{"kind": "limit"}],
    "trigger_missing": [{"kind": "stop_market"}],
    "price_band": [{"price": "63000.1"}, {"price": "56999.9"}],
    "tier_exceeded": [
        {"quantity": "50.001", "leverage": 75},
        {"quantity": 1000, "price": 59_000, "leverage": 50},
    ],
    "insufficient_margin": [{"quantity": 100, "leverage": 1, "account": "poor"}],
    "reduce_only_rejected": [{"reduce_only": True}, {"quantity": 0, "close_position": True}],
    "would_trigger_immediately": [
        {"kind": "stop_market", "side": 1, "trigger": 60_000},
        {"kind": "stop_market", "side": -1, "trigger": 60_000},
        {"kind": "take_profit_market", "side": 1, "trigger": 60_000},
        {"kind": "take_profit_market", "side": -1, "trigger": 59_999},
    ],
    "stop_wrong_side": [
        {"stop": 60_000},
        {"side": -1, "stop": 60_000},
        {"price": 58_000, "stop": 59_000},
    ],
    "target_wrong_side": [{"target": 60_000}, {"side": -1, "target": 60_001}],
    "protection_on_reduce_only": [{"reduce_only": True, "stop": 59_000}],
    "no_last_price": [
        {"kind": "stop_market", "trigger": 61_000, "trigger_by": "last"},
        {"stop": 59_000, "protect_by": "last"},
    ],
    "close_position_with_quantity": [{"close_position": True}],
    "close_position_with_limit": [{"quantity": 0, "price": 60_000, "close_position": True}],
    "unknown_symbol": [{"symbol": "DOGEUSDT"}],
    "unknown_account": [{"account": "nobody"}],
}
DECIMALS = ("quantity", "price", "trigger", "stop", "target")


@pytest.mark.parametrize(
    ("reason", "case"), [(reason, case) for reason, cases in CASES.items() for case in cases]
)
def test_refusal(desk: Desk, reason: str, case: dict[str, object]) -> None:
    desk.exchange.open_account("poor", D(100))
    fields: dict[str, object] = {"client_id": "x", "symbol": BTC, "side": 1, "quantity": 1}
    fields |= case
    account = str(fields.pop("account", "a"))
    leverage = int(str(fields.pop("leverage", 20)))
    if account != "nobody" and fields["symbol"] == BTC:
        desk.exchange.set_leverage(account, BTC, leverage, desk.tick())
    fields.setdefault("kind", "limit" if "price" in fields else "market")
    for name in DECIMALS:
        if name in fields:
            fields[name] = D(str(fields[name]))
    desk.exchange.drain()
    with pytest.raises(VenueRejected) as refused:
        desk.exchange.place(account, OrderRequest(**fields), desk.tick())
    assert refused.value.reason == reason
    assert desk.exchange.drain() == []
    if account != "nobody":
        assert desk.exchange.open_orders(account) == []


def test_every_refusal_of_an_order_is_covered_here() -> None:
    elsewhere = {
        rejects.UNKNOWN_ORDER,
        rejects.DUPLICATE_CLIENT_ID,
        rejects.NO_MARK_PRICE,
        rejects.TOO_MANY_CONDITIONAL,
        rejects.TOO_MANY_ORDERS,
        rejects.NO_POSITION,
        rejects.LEVERAGE_ABOVE_MAXIMUM,
        rejects.LEVERAGE_BELOW_ONE,
        rejects.POSITION_EXCEEDS_TIER,
        rejects.BAD_MARGIN_MODE,
        rejects.MARGIN_MODE_LOCKED,
        rejects.MARGIN_MODE_NOT_MODIFIED,
        rejects.NOTHING_TO_CHANGE,
        rejects.BAD_POSITION_MODE,
        rejects.POSITION_MODE_LOCKED,
        rejects.POSITION_MODE_NOT_MODIFIED,
        rejects.POSITION_SLOT_MISMATCH,
        rejects.REDUCE_ONLY_REGIME,
        rejects.MARKET_CLOSED,
    }
    endings = {
        rejects.POST_ONLY_WOULD_TAKE,
        rejects.FOK_NOT_FILLABLE,
        rejects.NO_LIQUIDITY,
        rejects.IOC_REMAINDER,
        rejects.SELF_TRADE,
        rejects.CANCELLED_BY_USER,
        rejects.POSITION_CLOSED,
        rejects.SIBLING_EXECUTED,
        rejects.REPLACED,
        rejects.LIQUIDATION,
        rejects.ADL,
    }
    names = {getattr(rejects, name) for name in dir(rejects) if name.isupper()}
    assert names == set(CASES) | elsewhere | endings


def test_no_mark_price() -> None:
    desk = Desk()
    with pytest.raises(VenueRejected, match="no_mark_price"):
        desk.place(1, 1)


def test_duplicate_client_id_for_ever_and_of_reserved_ids(desk: Desk) -> None:
    desk.place(1, 1, client_id="e", stop=D(59_000))
    desk.place(-1, 0, client_id="x", close_position=True)
    for used in ("e", "x", "e-sl", "e-tp"):
        with pytest.raises(VenueRejected, match="duplicate_client_id"):
            desk.place(1, 1, client_id=used)
    assert desk.place(1, 1, client_id="e", account="b").state == "filled"
    desk.place(1, 1, client_id="n-sl")
    with pytest.raises(VenueRejected, match="duplicate_client_id"):
        desk.place(1, 1, client_id="n", stop=D(59_000))


def test_a_refused_id_stays_free(desk: Desk) -> None:
    with pytest.raises(VenueRejected, match="price_band"):
        desk.place(1, 1, 1, client_id="again")
    assert desk.exchange.order("a", BTC, "again") is None
    assert desk.place(1, 1, client_id="again").state == "filled"


def test_too_many_conditional(desk: Desk) -> None:
    for number in range(10):
        desk.place(-1, 1, kind="stop_market", trigger=D(59_000 - number))
    with pytest.raises(VenueRejected, match="too_many_conditional"):
        desk.place(-1, 1, kind="stop_market", trigger=D(58_000))
    assert desk.place(1, 1, account="b", kind="stop_market", trigger=D(61_000)).state


def test_reduce_only_may_be_below_the_least_notional(desk: Desk) -> None:
    desk.place(1, 1)
    assert desk.place(-1, "0.0001", reduce_only=True).state == "filled"


def test_leverage_limits(desk: Desk) -> None:
    exchange = desk.exchange
    assert exchange.leverage("a", BTC).leverage == 20
    assert exchange.leverage("a", BTC).margin_mode == "cross"
    for leverage, reason in ((126, "leverage_above_maximum"), (0, "leverage_below_one")):
        with pytest.raises(VenueRejected, match=reason):
            exchange.set_leverage("a", BTC, leverage, desk.tick())
    assert exchange.set_leverage("a", BTC, 50, desk.tick()).leverage == 50
    assert [type(one).__name__ for one in desk.drain()] == ["LeverageChanged"]
    assert exchange.set_leverage("a", BTC, 50, desk.tick()).leverage == 50
    assert desk.drain() == []


def test_position_exceeds_tier(desk: Desk) -> None:
    desk.place(1, 10, 59_000)
    with pytest.raises(VenueRejected, match="position_exceeds_tier"):
        desk.exchange.set_leverage("a", BTC, 101, desk.tick())
    desk.place(1, 10)
    with pytest.raises(VenueRejected, match="position_exceeds_tier"):
        desk.exchange.set_leverage("a", BTC, 76, desk.tick())
    assert desk.exchange.set_leverage("a", BTC, 75, desk.tick()).leverage == 75


def test_tier_cap_is_inclusive_and_counts_position_and_orders(desk: Desk) -> None:
    desk.exchange.set_leverage("a", BTC, 125, desk.tick())
    desk.place(1, "0.4")
    desk.place(1, "0.4", 60_000)
    with pytest.raises(VenueRejected, match="tier_exceeded"):
        desk.place(1, "0.034", 60_000)
    assert desk.place(1, "0.033", 60_000).state == "new"
    assert desk.place(-1, "0.4").state == "filled", "closing is not limited"


def test_margin_mode(desk: Desk) -> None:
    exchange = desk.exchange
    with pytest.raises(VenueRejected, match="margin_mode_not_modified"):
        exchange.set_margin_mode("a", BTC, "cross", desk.tick())
    with pytest.raises(VenueRejected, match="bad_margin_mode"):
        exchange.set_margin_mode("a", BTC, "portfolio", desk.tick())
    desk.place(1, 1, 59_000, client_id="rest")
    with pytest.raises(VenueRejected, match="margin_mode_locked"):
        exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    exchange.cancel("a", BTC, "rest", desk.tick())
    assert exchange.set_margin_mode("a", BTC, "isolated", desk.tick()).margin_mode == "isolated"
    desk.place(1, 1)
    with pytest.raises(VenueRejected, match="margin_mode_locked"):
        exchange.set_margin_mode("a", BTC, "cross", desk.tick())


def test_unknown_symbol_everywhere(desk: Desk) -> None:
    exchange = desk.exchange
    for call in (
        lambda: exchange.leverage("a", "X"),
        lambda: exchange.position("a", "X"),
        lambda: exchange.cancel("a", "X", "o", 1),
        lambda: exchange.mark("X"),
    ):
        with pytest.raises(VenueRejected, match="unknown_symbol"):
            call()


def test_accounts_are_opened_once_with_a_sane_deposit() -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="open already"):
        desk.exchange.open_account("a", D(1))
    with pytest.raises(ValueError, match="negative"):
        desk.exchange.open_account("c", D(-1))
    with pytest.raises(ValueError, match="finer than the unit"):
        desk.exchange.open_account("c", D("0.000000001"))
