"""The compiled way out of an order entry: what is checked, counted and recorded, and when."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable
from tests.order_entry_desk import T0_NS, Desk, entry_request, exit_request


@pytest.fixture(params=["bybit", "binance"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(request.param)
    made.entry.opened(made.link)
    if request.param == "bybit":
        made.hear(op="auth", retCode=0)
    made.link.sent.clear()
    yield made
    made.loop.close()


def test_a_frame_that_could_not_be_sent_was_still_built(desk: Desk) -> None:
    desk.link.shut = True
    assert isinstance(desk.ended(desk.entry.place(exit_request())), VenueUnavailable)
    assert (desk.entry.build_ns.count, desk.entry.write_ns.count) == (1, 0)


def test_an_order_that_cannot_be_framed_is_not_built_but_numbered(desk: Desk) -> None:
    first = desk.entry.last_request_id
    refused = desk.ended(desk.entry.place(exit_request(quantity=Decimal("0.0001"))))
    assert isinstance(refused, VenueRejected)
    assert (desk.entry.build_ns.count, desk.entry.write_ns.count) == (0, 0)
    assert desk.entry.last_request_id == first + 1 == T0_NS // 1000 + 1


def test_nothing_is_numbered_without_a_connection(desk: Desk) -> None:
    first = desk.entry.last_request_id
    desk.entry.closed("cut")
    refused = desk.ended(desk.entry.place(entry_request(symbol="NOUSDT")))
    assert isinstance(refused, VenueUnavailable)
    assert desk.entry.last_request_id == first


def test_a_fault_of_the_sender_reaches_the_caller(desk: Desk) -> None:
    class Broken:
        def send(self, _payload: bytes) -> None:
            raise ValueError("planted")

    desk.entry._sender = Broken()
    with pytest.raises(ValueError, match="planted"):
        desk.entry.place(entry_request())
    assert desk.entry.in_flight == 0


def test_the_sender_is_the_newest(desk: Desk) -> None:
    other = Desk("binance")
    desk.entry._sender = other.link
    assert desk.entry._sender is other.link
    desk.entry.place(exit_request())
    assert (len(desk.link.sent), len(other.link.sent)) == (0, 1)
    desk.entry._sender = None
    assert isinstance(desk.ended(desk.entry.place(exit_request())), VenueUnavailable)
    other.loop.close()


def test_an_order_is_awaited_only_after_its_bytes_left(desk: Desk) -> None:
    seen = []

    class Watching:
        def send(self, _payload: bytes) -> None:
            seen.append((desk.entry.in_flight, desk.entry.last_request_id))

    desk.entry._sender = Watching()
    first = desk.entry.last_request_id
    desk.entry.place(exit_request(1))
    desk.entry.place(exit_request(2))
    assert seen == [(0, first + 1), (1, first + 2)]


def test_a_refused_order_leaves_the_next_one_whole(desk: Desk) -> None:
    desk.entry.place(exit_request(1))
    whole = desk.link.sent[0]
    desk.ended(desk.entry.place(exit_request(1, client_id="no id")))
    desk.ended(desk.entry.place(exit_request(1, side=5)))
    desk.entry.place(exit_request(1))
    assert len(desk.link.sent) == 2
    assert len(desk.link.sent[1]) == len(whole)


def test_a_time_stamp_is_the_clock_with_the_offset(desk: Desk) -> None:
    desk.entry.clock_offset_ms = 250
    desk.pass_s(1.0)
    desk.entry.place(exit_request())
    assert str(T0_NS // 1_000_000 + 1250).encode() in desk.link.sent[0]
