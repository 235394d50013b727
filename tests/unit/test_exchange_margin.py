"""Margin, liquidation, funding, fees and the ledger."""

from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange.ledger import Unit, half_even, ratio
from hfengine.messages import BalanceChanged, FundingPaid, OrderUpdate
from tests.exchange_desk import BTC, ETH, HOUR_NS, D, Desk, instrument


def isolated(desk: Desk, leverage: int, symbol: str = BTC, account: str = "a") -> None:
    desk.exchange.set_leverage(account, symbol, leverage, desk.tick())
    desk.exchange.set_margin_mode(account, symbol, "isolated", desk.tick())


def wallet(desk: Desk, account: str = "a") -> Decimal:
    ledger = desk.exchange.ledger(account)
    assert ledger.wallet_usdt == sum(one.change_usdt for one in ledger.entries)
    return ledger.wallet_usdt


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.mark(60_000)
    desk.book([(59_999, 50)], [(60_000, 50)])
    return desk


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [(5, 2, 2), (7, 2, 4), (-5, 2, -2), (-7, 2, -4), (8, 3, 3), (-8, 3, -3), (6, 3, 2), (0, 7, 0)],
)
def test_half_even(numerator: int, denominator: int, rounded: int) -> None:
    assert half_even(numerator, denominator) == rounded


def test_unit_makes_one_tick_of_one_step_whole() -> None:
    fine = instrument("X", tick="0.0000001", step="0.00001")
    unit = Unit([instrument(), fine])
    assert unit.decimals == 12
    assert Unit([instrument(), instrument("S", tick="0.000001", step="1")]).decimals == 8
    assert unit.usdt(unit.of(D("1.000000000001"))) == D("1.000000000001")
    # 0.05 % of 0.00001 is half of 1e-8: to even, at 1e-8 although the unit is finer
    assert unit.usdt(unit.fee(unit.of(D("0.00001")), ratio(D("0.0005")))) == 0
    assert unit.usdt(unit.fee(unit.of(D("0.00003")), ratio(D("0.0005")))) == D("0.00000002")


def test_fee_and_pnl_go_through_the_wallet_exactly(desk: Desk) -> None:
    desk.place(1, "0.123")
    fee_in = D("0.123") * 60_000 * D("0.0005")
    assert wallet(desk) == 10_000 - fee_in
    desk.book([(60_100, 50)], [(60_101, 50)])
    desk.place(-1, "0.123")
    fee_out = D("0.123") * 60_100 * D("0.0005")
    assert wallet(desk) == 10_000 - fee_in - fee_out + D("0.123") * 100
    ledger = desk.exchange.ledger("a")
    assert [one.kind for one in ledger.entries] == ["deposit", "fee", "pnl", "fee"]
    assert ledger.total_usdt("fee") == -fee_in - fee_out
    assert ledger.total_usdt("pnl") == D("12.3")


def test_thirds_lose_nothing(desk: Desk) -> None:
    """An average entry that no decimal holds still adds up when closed in parts."""
    desk.book([(59_999, 50)], [(60_000, "0.001"), ("60000.1", "0.002")])
    desk.place(1, "0.003")
    desk.book([(60_001, 50)], [(60_002, 50)])
    for _ in range(3):
        desk.place(-1, "0.001", reduce_only=True)
    # a third of 180.0002 is 60.00006666...67: half-even, the last close takes what is left
    realised = [one.realised_usdt for one in desk.exchange.fills("a") if one.side < 0]
    assert realised == [D("0.00093333"), D("0.00093334"), D("0.00093333")]
    bought = D("0.001") * 60_000 + D("0.002") * D("60000.1")
    assert desk.exchange.ledger("a").total_usdt("pnl") == D("0.003") * 60_001 - bought


def test_maker_rebate_is_received() -> None:
    desk = Desk(instrument(maker="-0.0001"))
    desk.mark(60_000)
    desk.book([(59_999, 1)], [(60_001, 1)])
    desk.place(1, "0.1", 60_000)
    desk.trade("59999.9", 1, -1)
    assert wallet(desk) == 10_000 + D("0.6")


def test_balance_of_cross_and_isolated(desk: Desk) -> None:
    isolated(desk, 50)
    desk.place(1, 1)
    balance = desk.exchange.balance("a")
    assert balance.wallet_usdt == 9_970
    assert balance.free_margin_usdt == 9_970 - 1_200
    assert balance.maintenance_usdt == 60_000 * D("0.005") - 50
    desk.mark(60_300)
    balance = desk.exchange.balance("a")
    assert (balance.equity_usdt, balance.free_margin_usdt) == (10_270, 9_970 - 1_200)
    desk.place(1, 1, account="b")
    balance = desk.exchange.balance("b")
    assert balance.equity_usdt == 10_270
    assert balance.free_margin_usdt == 10_270 - D(60_300) / 20


def test_resting_orders_reserve_margin_and_release_it(desk: Desk) -> None:
    desk.exchange.set_leverage("a", BTC, 10, desk.tick())
    desk.place(1, 1, 59_000, client_id="one")
    reserved = 5_900 + D("29.5")
    assert desk.exchange.balance("a").free_margin_usdt == 10_000 - reserved
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.place(1, 1, 59_000)
    # the other side is the cheaper one and reserves nothing more
    desk.place(-1, "0.5", 61_000)
    assert desk.exchange.balance("a").free_margin_usdt == 10_000 - reserved
    desk.exchange.cancel("a", BTC, "one", desk.tick())
    assert desk.exchange.balance("a").free_margin_usdt == 10_000 - 3_050 - D("15.25")


def test_orders_that_would_close_reserve_nothing(desk: Desk) -> None:
    desk.place(1, 1)
    free = desk.exchange.balance("a").free_margin_usdt
    desk.place(-1, "0.6", 61_000)
    desk.place(-1, "0.4", 61_000)
    assert desk.exchange.balance("a").free_margin_usdt == free
    desk.place(-1, "0.5", 61_000)
    reserved = D(30_500) / 20 + D("15.25")
    assert desk.exchange.balance("a").free_margin_usdt == free - reserved


def test_a_partial_close_releases_isolated_margin_in_proportion(desk: Desk) -> None:
    isolated(desk, 50)
    desk.place(1, 1)
    desk.place(-1, "0.25", reduce_only=True)
    assert desk.exchange.position("a", BTC).margin_usdt == 900
    desk.place(-1, 0, close_position=True)
    assert desk.exchange.position("a", BTC).margin_usdt == 0


def test_margin_check_is_exact_to_the_fee(desk: Desk) -> None:
    """1 BTC at 60 000 and 10x: 6 000 of margin and 30 of fee."""
    for cash, state in (("6029.99999999", None), ("6030", "filled")):
        desk.exchange.open_account(cash, D(cash))
        desk.exchange.set_leverage(cash, BTC, 10, desk.tick())
        if state is None:
            with pytest.raises(VenueRejected, match="insufficient_margin"):
                desk.place(1, 1, account=cash)
        else:
            assert desk.place(1, 1, account=cash).state == state
            assert desk.exchange.balance(cash).free_margin_usdt == 0


def test_margin_check_counts_the_depth_it_would_walk(desk: Desk) -> None:
    desk.book([(59_999, 50)], [(60_000, "0.5"), (61_000, 50)])
    desk.exchange.open_account("c", D(6_300))
    desk.exchange.set_leverage("c", BTC, 10, desk.tick())
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.place(1, 1, account="c")


def test_closing_needs_no_margin(desk: Desk) -> None:
    desk.exchange.open_account("c", D(6_030))
    desk.exchange.set_leverage("c", BTC, 10, desk.tick())
    desk.place(1, 1, account="c")
    desk.mark(59_000)
    assert desk.exchange.balance("c").free_margin_usdt < 0
    assert desk.place(-1, 1, account="c").state == "filled"


def test_lower_leverage_needs_margin_and_is_undone_when_there_is_none(desk: Desk) -> None:
    isolated(desk, 20)
    desk.place(1, 3)
    margin = desk.exchange.position("a", BTC).margin_usdt
    assert margin == 9_000
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.exchange.set_leverage("a", BTC, 10, desk.tick())
    assert desk.exchange.position("a", BTC).margin_usdt == margin
    assert desk.exchange.leverage("a", BTC).leverage == 20
    desk.exchange.set_leverage("a", BTC, 50, desk.tick())
    assert desk.exchange.position("a", BTC).margin_usdt == 3_600


def test_leverage_that_would_liquidate_is_refused(desk: Desk) -> None:
    isolated(desk, 20)
    desk.place(1, 1)
    desk.mark(59_000)
    with pytest.raises(VenueRejected, match="insufficient_margin"):
        desk.exchange.set_leverage("a", BTC, 75, desk.tick())
    desk.mark(59_000)
    assert desk.exchange.position("a", BTC).quantity == 1


@pytest.mark.parametrize("venue", ["binance", "bybit"])
@pytest.mark.parametrize("side", [1, -1])
def test_isolated_liquidation_is_where_it_says_and_loses_the_margin_only(
    venue: str, side: int
) -> None:
    desk = Desk(instrument(venue=venue))
    desk.mark(60_000)
    desk.book([(60_000, 50)], [("60000.1", 50)])
    isolated(desk, 50)
    desk.place(side, 1)
    entry = desk.exchange.position("a", BTC).entry
    margin = entry / 50
    price = desk.exchange.position("a", BTC).liquidation
    # margin + uPnL = 0.5 % of the mark notional - 50, solved for the mark
    expected = (entry - side * (margin + 50)) / (1 - side * D("0.005"))
    assert abs(price - expected) < D("0.00000001")
    before = wallet(desk)
    desk.place(-side, "0.5", 60_000 + side * 600, client_id="rest", reduce_only=True)
    desk.mark((price + side).quantize(D("0.01")))
    assert desk.exchange.position("a", BTC).quantity == 1
    desk.mark((price - side).quantize(D("0.01")))
    assert desk.exchange.position("a", BTC).quantity == 0
    assert wallet(desk) == before - margin
    fill = desk.exchange.fills("a")[-1]
    assert fill.cause == "liquidation"
    assert abs(fill.price - entry * (1 - side * D("0.02"))) < D("0.1")
    assert -fill.realised_usdt <= margin
    assert desk.exchange.order("a", BTC, "rest").reason == "liquidation"


def test_a_gap_beyond_bankruptcy_loses_no_more_than_the_margin(desk: Desk) -> None:
    isolated(desk, 50)
    desk.place(1, 1)
    before = wallet(desk)
    desk.mark(30_000)
    assert wallet(desk) == before - 1_200


def test_a_stop_inside_liquidation_goes_first(desk: Desk) -> None:
    isolated(desk, 50)
    desk.place(1, 1, client_id="e", stop=D(59_400))
    desk.book([(59_390, 50)], [(59_391, 50)])
    desk.mark(58_000)
    assert [one.cause for one in desk.exchange.fills("a")] == ["order", "stop"]


def test_cross_liquidation_closes_the_worst_first_and_only_what_it_must() -> None:
    desk = Desk(instrument(liquidation="0.001"), instrument(ETH, tick="0.01"))
    desk.quote(60_000)
    desk.quote(3_000, ETH, 9_000)
    for symbol in (BTC, ETH):
        desk.exchange.set_leverage("a", symbol, 50, desk.tick())
    desk.place(1, 7)
    desk.place(1, 10, symbol=ETH)
    desk.place(1, "0.1", 59_000, client_id="rest")
    balance = desk.exchange.balance("a")
    price = desk.exchange.position("a", BTC).liquidation
    # 420 000 and 30 000 of notional: tiers 0.5 % - 50 and 0.4 %
    others = balance.equity_usdt - (7 * D(60_000) - 7 * D(60_001)) - D("0.004") * 30_000
    expected = (7 * D(60_001) - others - 50) / (7 * (1 - D("0.005")))
    assert abs(price - expected) < D("0.0001")
    desk.mark(int(price) + 2)
    assert desk.exchange.position("a", BTC).quantity == 7
    desk.exchange.drain()
    desk.mark(int(price))
    assert desk.exchange.position("a", BTC).quantity == 0
    fill = desk.exchange.fills("a")[-1]
    assert (fill.symbol, fill.cause, fill.price) == (BTC, "liquidation", D(int(price)))
    assert desk.exchange.order("a", BTC, "rest").reason == "liquidation"
    assert desk.exchange.position("a", ETH).quantity == 10
    balance = desk.exchange.balance("a")
    assert balance.equity_usdt > balance.maintenance_usdt


def test_cross_gap_leaves_an_empty_wallet_not_a_debt() -> None:
    desk = Desk(instrument(), instrument(ETH, tick="0.01"))
    desk.quote(60_000)
    desk.quote(3_000, ETH, 9_000)
    desk.place(1, 2)
    desk.place(-1, 10, symbol=ETH)
    desk.mark(40_000)
    assert desk.exchange.positions("a") == []
    # the ETH short is closed at most a tick in the account's favour
    assert 0 <= wallet(desk) <= D("0.2")


def test_cross_liquidation_leaves_isolated_positions_and_their_margin() -> None:
    desk = Desk(instrument(), instrument(ETH, tick="0.01"))
    desk.quote(60_000)
    desk.quote(3_000, ETH, 9_000)
    isolated(desk, 10, ETH)
    desk.place(1, 10, symbol=ETH)
    desk.place(1, 2)
    desk.mark(40_000)
    position = desk.exchange.position("a", ETH)
    assert position.quantity == 10
    assert wallet(desk) >= position.margin_usdt


def fund(desk: Desk, at_ns: int, rate: str, mark: int, due_ns: int) -> None:
    desk.now_ns = at_ns
    desk.exchange.on_mark(BTC, D(mark), D(mark), D(rate), due_ns, at_ns)


def test_funding_is_paid_once_by_longs_at_the_rate_announced() -> None:
    desk = Desk()
    due = 8 * HOUR_NS
    fund(desk, HOUR_NS, "0.0001", 60_000, due)
    desk.book([(59_999, 50)], [(60_000, 50)])
    desk.place(1, 1)
    desk.place(-1, 1, account="b")
    fund(desk, due - 1, "0.0002", 60_000, due)
    before = {name: wallet(desk, name) for name in "ab"}
    desk.exchange.drain()
    fund(desk, due, "0.0003", 60_100, due + 8 * HOUR_NS)
    paid = D("60100") * D("0.0002")
    assert wallet(desk) == before["a"] - paid
    assert wallet(desk, "b") == before["b"] + paid
    events = desk.drain()
    assert [one.funding_usdt for one in events if isinstance(one, FundingPaid)] == [paid]
    assert [one.wallet_usdt for one in events if isinstance(one, BalanceChanged)] == [wallet(desk)]
    fund(desk, due + 1, "0.0003", 60_100, due + 8 * HOUR_NS)
    assert wallet(desk) == before["a"] - paid


def test_funding_falls_due_before_an_order_that_comes_later() -> None:
    desk = Desk()
    due = 8 * HOUR_NS
    fund(desk, HOUR_NS, "0.0001", 60_000, due)
    desk.book([(59_999, 50)], [(60_000, 50)])
    desk.place(1, 1)
    desk.now_ns = due
    desk.place(-1, 1, reduce_only=True)
    kinds = [one.kind for one in desk.exchange.ledger("a").entries]
    assert kinds == ["deposit", "fee", "funding", "pnl", "fee"]
    # opened after the time: nothing to pay when the next mark arrives
    desk.place(1, 1, account="b")
    fund(desk, due + HOUR_NS, "0.0001", 60_000, due + 8 * HOUR_NS)
    assert desk.exchange.ledger("b").total_usdt("funding") == 0


def test_a_stale_funding_time_charges_nothing_at_once() -> None:
    desk = Desk()
    fund(desk, 20 * HOUR_NS, "0.0001", 60_000, 8 * HOUR_NS)
    desk.book([(59_999, 50)], [(60_000, 50)])
    desk.place(1, 1)
    fund(desk, 24 * HOUR_NS - 1, "0.0001", 60_000, 8 * HOUR_NS)
    assert desk.exchange.ledger("a").total_usdt("funding") == 0
    fund(desk, 24 * HOUR_NS, "0.0001", 60_000, 8 * HOUR_NS)
    assert desk.exchange.ledger("a").total_usdt("funding") == -6


def test_funding_beyond_the_wallet_comes_from_the_isolated_margin() -> None:
    desk = Desk(wallet="1230")
    due = 8 * HOUR_NS
    fund(desk, HOUR_NS, "0.001", 60_000, due)
    desk.book([(59_999, 50)], [(60_000, 50)])
    isolated(desk, 50)
    desk.place(1, 1)
    assert wallet(desk) == 1_200
    fund(desk, due, "0.001", 60_000, due + 8 * HOUR_NS)
    assert desk.exchange.position("a", BTC).margin_usdt == 1_140
    assert wallet(desk) == 1_140


def test_mark_index_and_last_are_kept_apart(desk: Desk) -> None:
    desk.exchange.on_mark(BTC, D("60001.23456789"), D("60002.5"), D(0), 0, desk.tick())
    desk.trade(59_990, 1, -1)
    exchange = desk.exchange
    assert exchange.mark(BTC) == D("60001.23456789")
    assert exchange.index(BTC) == D("60002.5")
    assert exchange.last(BTC) == 59_990


def test_idle_symbols_are_not_looked_at(desk: Desk) -> None:
    desk.exchange.on_book(BTC, desk.tick())
    desk.trade(60_000, 1, 1)
    desk.mark(60_000)
    assert desk.exchange.drain() == []


def test_liquidation_order_is_reported(desk: Desk) -> None:
    isolated(desk, 50)
    desk.place(1, 1)
    desk.exchange.drain()
    desk.mark(50_000)
    updates = [one for one in desk.drain() if isinstance(one, OrderUpdate)]
    assert [one.state for one in updates] == ["new", "filled"]
    assert updates[0].reason == "liquidation"
