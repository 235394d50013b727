"""The reports of a detailed exchange, and the reads that give them."""

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import FillReport, OrderReport, PositionReport
from hfengine.messages import BalanceChanged, Fill, OrderUpdate, PositionChanged
from tests.exchange_desk import BTC, ETH, HOUR_NS, D, Desk, instrument


def detailed() -> Desk:
    desk = Desk(instrument(), instrument(ETH), detailed=True)
    desk.quote(1_000)
    desk.quote(2_000, ETH)
    desk.drain()
    return desk


def test_a_plain_exchange_tells_no_reports_and_a_detailed_one_only_reports() -> None:
    plain = Desk()
    plain.quote(1_000)
    desk = detailed()
    for one in (plain, desk):
        one.place(1, "0.1", stop=D(990), client_id="e")
    kinds = [type(one) for one in plain.drain()]
    assert kinds == [OrderUpdate, Fill, OrderUpdate, OrderUpdate, PositionChanged, BalanceChanged]
    told = [type(one) for one in desk.drain()]
    names = {OrderUpdate: OrderReport, Fill: FillReport, PositionChanged: PositionReport}
    assert told == [names.get(kind, kind) for kind in kinds]


def test_an_order_report_sums_its_fills() -> None:
    desk = detailed()
    desk.book([(999, 50)], [("1001", "0.1"), ("1003", "0.3")])
    desk.place(1, "0.4", price=1_010, tif="ioc", stop=D(980), target=D(1_050), client_id="e")
    report = desk.exchange.find_order("a", client_id="e")
    assert report is not None
    assert report.filled_usdt == D("401")
    assert report.average == D("1002.5")
    assert report.fee_usdt == D("401") * D("0.0005")
    assert (report.stop, report.target, report.protect_by) == (980, 1_050, "mark")
    assert (report.tif, report.slot, report.created_ns) == ("ioc", "net", desk.now_ns)
    child = desk.exchange.find_order("a", venue_id="2")
    assert child is not None
    assert (child.update.client_id, child.parent_id, child.attached) == ("e-sl", "e", True)
    assert (child.stop, child.average) == (0, 0)


def test_a_fill_report_knows_its_order_and_the_market() -> None:
    desk = detailed()
    desk.place(1, "0.3", price=1_000, client_id="rest")
    desk.trade(1_000, "0.1", -1)
    desk.mark(1_004)
    desk.place(-1, "0.2", client_id="turn")
    first, second = desk.exchange.fill_reports("a", BTC)
    assert (first.venue_id, first.kind, first.order_price) == ("1", "limit", 1_000)
    assert (first.order_quantity, first.remaining) == (D("0.3"), D("0.2"))
    assert (first.notional_usdt, first.fee_rate, first.closed) == (100, D("0.0002"), 0)
    assert first.mark == 1_000
    assert (second.notional_usdt, second.fee_rate) == (D("199.8"), D("0.0005"))
    assert (second.closed, second.fill.quantity) == (D("0.1"), D("0.2"))
    assert (second.mark, second.index, second.remaining) == (1_004, 1_004, 0)
    assert desk.exchange.fill_reports("a", after=1) == [second]
    assert desk.exchange.fill_reports("a", ETH) == []
    assert desk.exchange.fills("a", after=1) == [second.fill]


def test_a_position_report_counts_what_it_realised() -> None:
    desk = detailed()
    desk.exchange.set_margin_mode("a", BTC, "isolated", desk.tick())
    opened_ns = desk.now_ns + 1_000_000
    desk.place(1, "0.2")
    desk.mark(1_010)
    (report,) = desk.exchange.position_reports("a")
    assert report.opened_ns == opened_ns
    assert (report.mark, report.unrealised_usdt) == (1_010, D("1.8"))
    assert report.maintenance_usdt == D("202") * D("0.004")
    assert report.initial_usdt == D("10.1")
    assert report.bankruptcy == D("1001") * D("0.95")
    fee = D("200.2") * D("0.0005")
    assert report.realised_usdt == report.realised_total_usdt == -fee
    desk.place(-1, "0.1")
    closing = D("99.9") * D("0.0005") + D("0.2")
    (report,) = desk.exchange.position_reports("a")
    assert report.realised_usdt == -fee - closing
    desk.place(-1, "0.3")
    turned = D("299.7") * D("0.0005")
    (report,) = desk.exchange.position_reports("a")
    assert report.opened_ns == desk.now_ns
    assert report.realised_usdt == -turned * 2 / 3
    assert report.realised_total_usdt == -fee - closing - turned - D("0.2")


def test_funding_is_realised_too() -> None:
    desk = detailed()
    desk.next_funding_ns = 8 * HOUR_NS
    desk.funding_rate = D("0.001")
    desk.mark(1_000)
    desk.place(1, "0.2")
    before = desk.exchange.position_reports("a")[0].realised_usdt
    desk.now_ns = 8 * HOUR_NS
    desk.mark(1_000)
    report = desk.exchange.position_reports("a")[0]
    assert report.realised_usdt == before - D("0.2")
    assert report.realised_total_usdt == report.realised_usdt


def test_positions_of_a_symbol_are_read_flat_too() -> None:
    desk = detailed()
    assert desk.exchange.position_reports("a") == []
    (flat,) = desk.exchange.position_reports("a", BTC)
    assert (flat.changed.side, flat.opened_ns, flat.bankruptcy, flat.slot) == (0, 0, 0, "net")


def test_orders_are_listed_oldest_first_and_found_by_either_id() -> None:
    desk = detailed()
    desk.place(1, "0.1", price=950)
    desk.place(1, "0.1", price=1_950, symbol=ETH)
    desk.place(1, "0.1", price=960)
    desk.exchange.cancel("a", BTC, "o1", desk.tick())

    def ids(*arguments: object) -> list[str]:
        return [one.update.client_id for one in desk.exchange.order_reports("a", *arguments)]

    assert ids() == ["o1", "o2", "o3"]
    assert ids(BTC) == ["o1", "o3"]
    assert ids(None, True) == ["o2", "o3"]
    assert ids(ETH, True) == ["o2"]
    found = desk.exchange.find_order("a", venue_id="2")
    assert found is not None
    assert found.update.client_id == "o2"
    assert desk.exchange.find_order("b", venue_id="2") is None
    assert desk.exchange.find_order("a", client_id="o9") is None
    with pytest.raises(VenueRejected, match="unknown_symbol"):
        desk.exchange.order_reports("a", "NONE")


def test_protection_says_what_it_watches() -> None:
    desk = detailed()
    desk.trade(1_000, 1, 1)
    desk.place(1, "0.1")
    desk.exchange.set_protection("a", BTC, D(990), D(1_020), "last", desk.tick(), target_by="mark")
    (report,) = desk.exchange.position_reports("a")
    assert (report.changed.stop, report.stop_by) == (990, "last")
    assert (report.changed.target, report.target_by) == (1_020, "mark")


def test_fill_reports_want_a_detailed_exchange() -> None:
    with pytest.raises(RuntimeError, match="detailed=True"):
        Desk().exchange.fill_reports("a")


def test_the_market_in_one_view() -> None:
    desk = detailed()
    assert desk.exchange.market(BTC).next_funding_ns == 0
    desk.next_funding_ns, desk.funding_rate = 8 * HOUR_NS, D("0.0003")
    desk.exchange.on_mark(BTC, D(1_002), D(1_003), D("0.0003"), 8 * HOUR_NS, desk.tick())
    desk.trade(999, 1, 1)
    view = desk.exchange.market(BTC)
    assert (view.mark, view.index, view.last) == (1_002, 1_003, 999)
    assert (view.funding_rate, view.next_funding_ns) == (D("0.0003"), 8 * HOUR_NS)


def test_the_public_book_is_the_outside_less_what_was_taken_and_who_rests() -> None:
    desk = detailed()
    desk.book([(999, 5), (998, 7), (997, 9)], [(1_001, 5), (1_002, 7)])
    assert desk.exchange.publish_levels(BTC, 1, 2) == [(9_990, 5_000), (9_980, 7_000)]
    desk.place(-1, 6)
    desk.place(1, 2, price=998, account="b")
    desk.place(1, 1, price="997.5", account="b")
    assert desk.exchange.publish_levels(BTC, 1, 3) == [
        (9_980, 8_000),
        (9_975, 1_000),
        (9_970, 9_000),
    ]
    assert desk.exchange.publish_levels(BTC, 1, 1) == [(9_980, 8_000)]
    desk.place(-1, 3, price=1_002, account="b")
    assert desk.exchange.publish_levels(BTC, -1, 9) == [(10_010, 5_000), (10_020, 10_000)]
    assert desk.exchange.publish_levels(ETH, -1, 9) == [(20_010, 50_000)]
