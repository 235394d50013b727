"""Hedge mode: two positions a symbol, each with its own size, protection and leverage."""

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange.margin import hedged_liquidation_price
from hfengine.messages import FundingPaid, LeverageChanged
from tests.exchange_desk import BTC, ETH, HOUR_NS, D, Desk, instrument


@pytest.fixture
def desk() -> Desk:
    desk = Desk(instrument(), instrument(ETH), detailed=True)
    desk.quote(1_000)
    desk.quote(1_000, ETH)
    desk.exchange.set_position_mode("a", "hedge", desk.tick())
    return desk


def sizes(desk: Desk, symbol: str = BTC) -> list[object]:
    return [
        one.changed.side * one.changed.quantity
        for one in desk.exchange.position_reports("a", symbol)
    ]


def test_long_and_short_stand_side_by_side(desk: Desk) -> None:
    desk.place(1, 2, slot="long")
    desk.place(-1, 3, slot="short")
    assert sizes(desk) == [2, -3]
    desk.place(-1, "0.5", slot="long")
    desk.place(1, 1, slot="short")
    assert sizes(desk) == [D("1.5"), -2]
    realised = [one.fill.realised_usdt for one in desk.exchange.fill_reports("a")]
    assert realised == [0, 0, -1, -2]
    held = desk.exchange.position_reports("a")
    assert [one.slot for one in held] == ["long", "short"]


def test_the_other_side_of_a_slot_only_closes(desk: Desk) -> None:
    desk.place(1, 2, slot="long")
    update = desk.place(-1, 5, slot="long")
    assert (update.quantity, update.reduce_only) == (2, True)
    assert sizes(desk) == [0, 0]
    with pytest.raises(VenueRejected, match="reduce_only_rejected"):
        desk.place(-1, 1, slot="long")


def test_resting_closes_shrink_with_their_slot_only(desk: Desk) -> None:
    desk.place(1, 2, slot="long")
    desk.place(-1, 2, slot="short")
    desk.place(-1, 2, price=1_010, slot="long")
    desk.place(1, 2, price=990, slot="short")
    desk.place(-1, "1.5", slot="long")
    quantities = {
        one.slot: one.update.quantity for one in desk.exchange.order_reports("a", BTC, True)
    }
    assert quantities == {"long": D("0.5"), "short": 2}


@pytest.mark.parametrize(("account", "slot"), [("a", "net"), ("b", "long"), ("b", "short")])
def test_an_order_names_a_slot_of_the_mode(desk: Desk, account: str, slot: str) -> None:
    with pytest.raises(VenueRejected, match="position_slot_mismatch"):
        desk.place(1, 1, account=account, slot=slot)
    with pytest.raises(VenueRejected, match="position_slot_mismatch"):
        desk.exchange.set_protection(account, BTC, D(0), D(0), "mark", desk.tick(), slot)


@pytest.mark.parametrize("kind", ["market", "stop_market"])
def test_reduce_only_cannot_open_a_slot(desk: Desk, kind: str) -> None:
    trigger = D(1_010) if kind == "stop_market" else D(0)
    with pytest.raises(VenueRejected, match="reduce_only_rejected"):
        desk.place(1, 1, slot="long", reduce_only=True, kind=kind, trigger=trigger)


def test_protection_belongs_to_its_slot(desk: Desk) -> None:
    desk.place(1, 2, slot="long", stop=D(990), target=D(1_020))
    desk.place(-1, 3, slot="short", stop=D(1_030), target=D(980))
    shown = [
        (one.changed.stop, one.changed.target, one.changed.covered)
        for one in desk.exchange.position_reports("a", BTC)
    ]
    assert shown == [(990, 1_020, 2), (1_030, 980, 3)]
    desk.exchange.set_protection("a", BTC, D(1_040), D(0), "mark", desk.tick(), "short")
    desk.mark(989)
    assert sizes(desk) == [0, -3]
    left = desk.exchange.order_reports("a", BTC, True)
    assert [(one.slot, one.update.trigger) for one in left] == [("short", 1_040)]


def test_protection_cannot_ride_on_a_close(desk: Desk) -> None:
    desk.place(1, 2, slot="long")
    with pytest.raises(VenueRejected, match="protection_on_reduce_only"):
        desk.place(-1, 1, slot="long", stop=D(1_010))


def test_leverage_by_slot_and_of_both(desk: Desk) -> None:
    exchange = desk.exchange
    desk.drain()
    exchange.set_leverage("a", BTC, 10, desk.tick(), "short")
    assert exchange.leverage("a", BTC, "long").leverage == 20
    assert exchange.leverage("a", BTC, "short").leverage == 10
    exchange.set_leverage("a", BTC, 10, desk.tick())
    assert exchange.leverage("a", BTC, "long").leverage == 10
    told = [one for one in desk.drain() if isinstance(one, LeverageChanged)]
    assert [one.leverage for one in told] == [10, 10]
    exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    assert exchange.leverage("a", BTC, "short").margin_mode == "isolated"


def test_a_leverage_that_one_slot_cannot_bear_changes_neither(desk: Desk) -> None:
    desk.place(1, 50, slot="long")
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.exchange.set_leverage("a", BTC, 2, desk.tick())
    assert desk.exchange.leverage("a", BTC, "long").leverage == 20
    assert desk.exchange.leverage("a", BTC, "short").leverage == 20


def test_each_slot_needs_its_own_margin(desk: Desk) -> None:
    desk.place(1, 100, slot="long")
    used = 10_000 - desk.exchange.balance("a").free_margin_usdt
    desk.place(-1, 50, slot="short")
    more = 10_000 - desk.exchange.balance("a").free_margin_usdt - used
    assert more == 2_500 + 50 + D("24.975")
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.place(-1, 100, price=1_000, slot="short")


def test_each_slot_pays_its_own_funding(desk: Desk) -> None:
    desk.next_funding_ns, desk.funding_rate = 8 * HOUR_NS, D("0.001")
    desk.mark(1_000)
    desk.place(1, 2, slot="long")
    desk.place(-1, 3, slot="short")
    desk.drain()
    before = [one.realised_usdt for one in desk.exchange.position_reports("a")]
    desk.now_ns = 8 * HOUR_NS
    desk.mark(1_000)
    paid = [one.funding_usdt for one in desk.drain() if isinstance(one, FundingPaid)]
    assert paid == [2, -3]
    after = [one.realised_usdt for one in desk.exchange.position_reports("a")]
    assert [late - early for late, early in zip(after, before, strict=True)] == [-2, 3]


def test_isolated_slots_are_liquidated_alone(desk: Desk) -> None:
    desk.exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    desk.place(1, 2, slot="long")
    desk.place(-1, 2, slot="short")
    desk.mark(1_060)
    assert sizes(desk) == [2, 0]
    desk.mark(940)
    assert sizes(desk) == [0, 0]
    causes = [one.fill.cause for one in desk.exchange.fill_reports("a")]
    assert causes == ["order", "order", "liquidation", "liquidation"]


def test_cross_slots_share_a_liquidation_price() -> None:
    """Checked by the definition: there, and not before, the balance is the maintenance."""
    flat = instrument(maker="0", taker="0", liquidation="0")
    desk = Desk(flat, wallet="1000", detailed=True)
    desk.quote(1_000)
    desk.exchange.set_position_mode("a", "hedge", desk.tick())
    desk.place(1, 15, slot="long")
    desk.place(-1, 3, slot="short")
    long, short = desk.exchange.position_reports("a")
    price = long.changed.liquidation
    assert price == short.changed.liquidation
    pnl = 15 * (price - 1_001) - 3 * (price - 999)
    assert abs(1_000 + pnl - D("0.004") * 18 * price) < D("1e-5")
    above = (price * 10).to_integral_value() / 10 + 1
    desk.mark(str(above))
    assert sizes(desk) == [15, -3]
    desk.mark(str(above - 2))
    assert sizes(desk) != [15, -3]


def test_a_hedged_liquidation_price_takes_the_tiers_at_the_price() -> None:
    """100 long at 1 000 with 60 000 USDT frozen: at 403.9 it is 40 390 USDT, in the first tier."""
    one = instrument()
    legs = [(1, D(100), D(1_000)), (-1, D("0.001"), D(1_000))]
    price = hedged_liquidation_price(legs, D(60_000), D(1_000), one)
    balance = D(60_000) + (D(100) - D("0.001")) * (price - 1_000)
    assert abs(balance - D("0.004") * (D(100) + D("0.001")) * price) < D("1e-6")


def test_a_perfect_hedge_has_no_price_below() -> None:
    legs = [(1, D(1), D(1_000)), (-1, D(1), D(1_000))]
    assert hedged_liquidation_price(legs, D(-1), D(1_000), instrument()) == 0


def test_the_mode_changes_only_with_nothing_open(desk: Desk) -> None:
    exchange = desk.exchange
    assert (exchange.position_mode("a"), exchange.position_mode("b")) == ("hedge", "one_way")
    with pytest.raises(VenueRejected, match="position_mode_not_modified"):
        exchange.set_position_mode("a", "hedge", desk.tick())
    with pytest.raises(VenueRejected, match="bad_position_mode"):
        exchange.set_position_mode("a", "both", desk.tick())
    desk.place(1, 1, price=990, slot="long", symbol=ETH)
    with pytest.raises(VenueRejected, match="position_mode_locked"):
        exchange.set_position_mode("a", "one_way", desk.tick())
    exchange.cancel_all("a", ETH, desk.tick())
    desk.place(1, 1, slot="long")
    with pytest.raises(VenueRejected, match="position_mode_locked"):
        exchange.set_position_mode("a", "one_way", desk.tick())
    desk.place(-1, 1, slot="long")
    exchange.set_leverage("a", BTC, 7, desk.tick())
    exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    exchange.set_position_mode("a", "one_way", desk.tick())
    setting = exchange.leverage("a", BTC)
    assert (setting.leverage, setting.margin_mode) == (7, "isolated")
    desk.place(1, 1)
    assert sizes(desk) == [1]
