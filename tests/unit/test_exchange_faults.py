"""What an exchange does unasked: auto-deleveraging, liquidation, regimes."""

import pytest

from hfengine.errors import VenueRejected
from tests.exchange_desk import BTC, D, Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    return desk


def test_adl_closes_at_the_mark_without_a_fee(desk: Desk) -> None:
    desk.place(1, 2, stop=D(900))
    desk.mark("1010.01")
    desk.drain()
    report = desk.exchange.force_adl("a", BTC, D("0.5"), desk.tick())
    assert (report.update.state, report.average, report.fee_usdt) == ("filled", D("1010.1"), 0)
    fill = desk.exchange.fill_reports("a")[-1]
    assert (fill.fill.cause, fill.fee_rate, fill.closed) == ("adl", 0, D("0.5"))
    assert fill.fill.realised_usdt == D("0.5") * D("9.1")
    position = desk.exchange.position("a", BTC)
    assert (position.quantity, position.covered) == (D("1.5"), D("1.5"))
    assert desk.exchange.last(BTC) == 1_001
    desk.exchange.force_adl("a", BTC, D(0), desk.tick())
    assert desk.exchange.position("a", BTC).quantity == 0
    assert desk.exchange.order_reports("a", BTC, True) == []


def test_adl_of_a_short_slot(desk: Desk) -> None:
    desk.exchange.set_position_mode("a", "hedge", desk.tick())
    desk.place(1, 2, slot="long")
    desk.place(-1, 2, slot="short")
    desk.exchange.force_adl("a", BTC, D(9), desk.tick(), "short")
    assert desk.exchange.position("a", BTC, "long").quantity == 2
    assert desk.exchange.position("a", BTC, "short").quantity == 0
    with pytest.raises(VenueRejected, match="position_slot_mismatch"):
        desk.exchange.force_adl("a", BTC, D(1), desk.tick())


def test_faults_want_a_position_and_a_quantity_on_the_step(desk: Desk) -> None:
    for force in (
        lambda: desk.exchange.force_adl("a", BTC, D(1), desk.tick()),
        lambda: desk.exchange.force_liquidation("a", BTC, desk.tick()),
    ):
        with pytest.raises(VenueRejected, match="no_position"):
            force()
    desk.place(1, 1)
    with pytest.raises(VenueRejected, match="off_step"):
        desk.exchange.force_adl("a", BTC, D("0.0001"), desk.tick())
    with pytest.raises(VenueRejected, match="off_step"):
        desk.exchange.force_adl("a", BTC, D(-1), desk.tick())


def test_a_forced_isolated_liquidation_takes_the_margin(desk: Desk) -> None:
    desk.exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    desk.place(1, 2, stop=D(990))
    before = desk.exchange.balance("a").wallet_usdt
    report = desk.exchange.force_liquidation("a", BTC, desk.tick())
    assert report.average == D("1001") * D("0.95") + D("0.05")
    assert before - desk.exchange.balance("a").wallet_usdt == D("100.1")
    assert desk.exchange.order_reports("a", BTC, True) == []
    assert desk.exchange.fills("a")[-1].cause == "liquidation"


def test_a_forced_cross_liquidation_is_at_the_mark_with_the_fee(desk: Desk) -> None:
    desk.place(-1, 2)
    desk.mark(1_010)
    report = desk.exchange.force_liquidation("a", BTC, desk.tick())
    assert report.average == 1_010
    assert report.fee_usdt == D("2020") * D("0.01")
    assert desk.exchange.fill_reports("a")[-1].fee_rate == D("0.01")


def test_reduce_only_regime_takes_what_reduces(desk: Desk) -> None:
    desk.place(1, 2)
    desk.place(-1, 1, kind="stop_market", trigger=D(990))
    desk.exchange.set_regime(BTC, "reduce_only")
    for side, quantity in ((1, 1), (-1, 3)):
        with pytest.raises(VenueRejected, match="reduce_only_regime"):
            desk.place(side, quantity)
    with pytest.raises(VenueRejected, match="reduce_only_regime"):
        desk.place(1, 1, kind="stop_market", trigger=D(1_010))
    desk.place(-1, 1)
    desk.place(-1, 5, reduce_only=True)
    desk.mark(990)
    ended = desk.exchange.find_order("a", client_id="o2")
    assert ended is not None
    assert (ended.update.state, ended.update.reason) == ("cancelled", "reduce_only_regime")
    desk.exchange.set_regime(BTC, "open")
    assert desk.place(1, 1).state == "filled"


def test_a_closed_market_takes_only_cancels(desk: Desk) -> None:
    desk.place(1, 2)
    desk.place(1, 1, price=990)
    desk.exchange.set_regime(BTC, "closed")
    with pytest.raises(VenueRejected, match="market_closed"):
        desk.place(-1, 1, reduce_only=True)
    with pytest.raises(VenueRejected, match="market_closed"):
        desk.exchange.set_protection("a", BTC, D(990), D(0), "mark", desk.tick())
    assert len(desk.exchange.cancel_all("a", BTC, desk.tick())) == 1
