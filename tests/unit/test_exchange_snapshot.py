"""Dump, changes and restore: plain JSON, exact, and refused where it does not fit."""

import json
from typing import Any

import pytest

from hfengine.errors import VenueRejected
from hfengine.exchange import Exchange
from hfengine.exchange.snapshot import merged
from tests.exchange_desk import BTC, ETH, HOUR_NS, D, Desk, instrument


def busy() -> Desk:
    desk = Desk(instrument(), instrument(ETH), detailed=True)
    desk.quote(1_000)
    desk.quote(1_000, ETH)
    desk.place(1, "0.3", stop=D(900), target=D(1_100))
    desk.place(1, 1, price=990)
    desk.place(1, 2, price=990, account="b")
    desk.place(1, 1, kind="stop_market", trigger=D(1_050), symbol=ETH)
    return desk


def restored(desk: Desk, dumped: dict[str, Any], **more: bool) -> Exchange:
    exchange = Exchange.restore(tuple(desk.by_symbol.values()), dumped, **more)
    for symbol, book in desk.books.items():
        exchange.attach_book(symbol, book)
    return exchange


def test_a_restored_exchange_says_and_does_the_same() -> None:
    desk = busy()
    dumped = json.loads(json.dumps(desk.exchange.dump()))
    other = restored(desk, dumped, detailed=True)
    first = desk.exchange
    assert other.drain() == first.drain() != []
    for account in ("a", "b"):
        assert other.balance(account) == first.balance(account)
        assert other.order_reports(account) == first.order_reports(account)
        assert other.fill_reports(account) == first.fill_reports(account)
        assert other.position_reports(account) == first.position_reports(account)
        assert other.ledger(account).entries == first.ledger(account).entries
    at = desk.tick()
    for exchange in (first, other):
        exchange.on_trade(BTC, 9_899, 1, -1, at)
        exchange.on_mark(BTC, D(890), D(890), D(0), 0, at)
    assert other.drain() == first.drain()
    assert other.dump() == first.dump()
    assert first.position("a", BTC).quantity == 0


def test_what_does_not_change_is_not_written_again() -> None:
    desk = busy()
    kept = desk.exchange.changes()
    assert kept == {**desk.exchange.dump(), "orders": kept["orders"]}
    tables = ("accounts", "markets", "positions", "orders", "fills", "ledger")
    assert [len(desk.exchange.changes()[table]) for table in tables] == [0] * 6
    desk.exchange.cancel("a", BTC, "o2", desk.tick())
    changes = desk.exchange.changes()
    assert [len(changes[table]) for table in tables] == [0, 1, 1, 1, 0, 0]
    assert changes["orders"][0]["state"] == "cancelled"
    desk.place(-1, "0.1", account="b")
    changes = merged(changes, desk.exchange.changes())
    assert [len(changes[table]) for table in tables] == [0, 1, 2, 2, 1, 1]
    whole = merged(kept, changes)
    assert restored(desk, whole, detailed=True).dump() == desk.exchange.dump()


def test_a_restored_exchange_writes_on_where_the_store_is() -> None:
    desk = busy()
    kept = desk.exchange.changes()
    other = restored(desk, json.loads(json.dumps(kept)), detailed=True)
    assert other.changes()["orders"] == other.changes()["ledger"] == []
    other.cancel("a", BTC, "o2", desk.tick())
    assert merged(kept, other.changes())["head"] == other.dump()["head"]


def test_ids_go_on_where_they_were() -> None:
    desk = busy()
    other = restored(desk, desk.exchange.dump(), detailed=True)
    desk.exchange = other
    assert desk.place(-1, "0.1", account="b").venue_id == "7"
    assert int(other.fills("b")[-1].fill_id) == 2
    assert other.find_order("a", client_id="o1-sl") is not None


def test_an_exchange_without_detail_can_be_dumped_too() -> None:
    desk = Desk()
    desk.quote(1_000)
    desk.place(1, 1)
    other = restored(desk, json.loads(json.dumps(desk.exchange.dump())))
    assert other.drain() == desk.exchange.drain()
    assert other.fills("a") == desk.exchange.fills("a")
    with pytest.raises(RuntimeError, match="detailed=True"):
        other.changes()


def test_detail_can_be_dropped_but_not_made_up() -> None:
    desk = busy()
    desk.drain()
    plain = restored(desk, desk.exchange.dump())
    assert plain.fills("a") == desk.exchange.fills("a")
    with pytest.raises(ValueError, match="without detail"):
        restored(desk, plain.dump(), detailed=True)


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ((instrument(),), "ETHUSDT, which is not listed"),
        ((instrument(), instrument(ETH, tick="0.01")), "tick and step"),
        ((instrument(), instrument(ETH, step="0.01")), "tick and step"),
    ],
)
def test_another_listing_is_refused(listed: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Exchange.restore(listed, busy().exchange.dump(), True)


def test_another_version_is_refused() -> None:
    desk = busy()
    with pytest.raises(ValueError, match="version 9"):
        restored(desk, {**desk.exchange.dump(), "version": 9})


def test_more_symbols_may_be_listed_than_were_dumped() -> None:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    desk.place(1, 1)
    wider = (instrument(), instrument(ETH, tick="0.0000001"))
    other = Exchange.restore(wider, desk.exchange.dump(), True)
    assert other.balance("a") == desk.exchange.balance("a")


def test_the_queue_ahead_is_kept() -> None:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    desk.place(1, 1, price=999)
    other = restored(desk, desk.exchange.dump(), detailed=True)
    other.on_trade(BTC, 9_990, 50_000, -1, desk.tick())
    assert other.fills("a") == []
    other.on_trade(BTC, 9_990, 400, -1, desk.tick())
    assert other.fills("a")[0].quantity == D("0.4")


def test_a_stop_that_found_no_liquidity_is_tried_again() -> None:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    desk.place(1, 1, stop=D(990))
    desk.book([], [(1_001, 50)])
    desk.mark(980)
    other = restored(desk, desk.exchange.dump(), detailed=True)
    desk.books[BTC].set({9_800: 50_000}, {10_010: 50_000})
    other.on_book(BTC, desk.tick())
    assert other.position("a", BTC).quantity == 0


def test_counters_and_reserved_ids_are_kept() -> None:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    desk.place(1, 1, price=990, client_id="e", stop=D(980))
    desk.place(1, 2)
    desk.exchange.set_protection("a", BTC, D(950), D(0), "mark", desk.tick())
    desk.exchange.force_adl("a", BTC, D(1), desk.tick())
    desk.exchange = restored(desk, desk.exchange.dump(), detailed=True)
    with pytest.raises(VenueRejected, match="duplicate_client_id"):
        desk.place(1, 1, client_id="e-tp")
    assert desk.exchange.force_adl("a", BTC, D(1), desk.tick()).update.client_id == "adl#2"
    desk.place(1, 1)
    desk.exchange.set_protection("a", BTC, D(950), D(0), "mark", desk.tick())
    assert desk.exchange.find_order("a", client_id="position#2-sl") is not None


def test_resting_orders_are_closed_in_the_order_they_came_to_rest() -> None:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    desk.place(1, 1)
    for price in (1_010, 1_020):
        desk.place(-1, 1, price=price, reduce_only=True)
    desk.exchange.amend("a", BTC, "o2", desk.tick(), price=D(1_015))
    other = restored(desk, desk.exchange.dump(), detailed=True)
    at = desk.tick()
    for exchange in (desk.exchange, other):
        exchange.drain()
        exchange.force_adl("a", BTC, D("0.4"), at)
    assert other.drain() == desk.exchange.drain() != []


def test_funding_falls_due_after_a_restart() -> None:
    desk = Desk(detailed=True)
    desk.quote(1_000)
    desk.exchange.on_mark(BTC, D(1_000), D(1_000), D("0.001"), HOUR_NS, desk.tick())
    desk.place(1, 1)
    other = restored(desk, desk.exchange.dump(), detailed=True)
    other.on_book(BTC, HOUR_NS)
    assert other.ledger("a").total_usdt("funding") == -1
