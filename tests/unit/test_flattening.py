"""Flatten: two readings of zero in a row, every position closed, no fault of the venue fatal."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hfengine.actors.flattening import flatten
from hfengine.actors.orders import reducing_request
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.limits import FLATTEN_PAUSE_S, FLATTEN_ROUNDS_MAX
from hfengine.messages import PositionChanged
from hfengine.requests import OrderRequest
from tests.rig import ScriptedVenue, order, position

PAUSES: list[float] = []
SYMBOLS = ("BTCUSDT", "ETHUSDT")
LOST: list[PositionChanged] = [position("LOST")]


def go(venue: ScriptedVenue, known: Sequence[PositionChanged] = ()) -> tuple[bool, int, str]:
    made: list[int] = []

    def closing(held: PositionChanged) -> OrderRequest:
        made.append(1)
        return reducing_request(f"x{len(made)}", held.symbol, held.side, held.quantity)

    async def pause(seconds: float) -> None:
        PAUSES.append(seconds)

    PAUSES.clear()
    return asyncio.run(flatten(venue, SYMBOLS, closing, pause, known))


def held(*readings: list[PositionChanged], answers: Any = ()) -> ScriptedVenue:
    venue = ScriptedVenue()
    venue.position_list = list(readings)
    venue.answers = list(answers)
    return venue


def test_a_closing_order_mirrors_its_position_and_only_reduces() -> None:
    for side in (1, -1):
        request = reducing_request("x", "BTCUSDT", side, Decimal("0.2"))
        assert (request.side, request.quantity) == (-side, Decimal("0.2"))
        assert (request.kind, request.reduce_only) == ("market", True)


def test_flat_from_the_start_is_still_read_twice() -> None:
    venue = held([], [])
    assert go(venue) == (True, 2, "")
    assert not venue.position_list
    assert venue.cancelled == list(SYMBOLS) * 2


def test_an_entry_that_arrives_between_two_zeros_is_found_and_closed() -> None:
    venue = held([], [position()], [], [], answers=[order("x1")])
    assert go(venue) == (True, 4, "")
    assert [request.client_id for request in venue.placed] == ["x1"]


def test_every_position_is_closed_in_each_round() -> None:
    both = [position(), position("ETHUSDT", side=-1, quantity="2")]
    venue = held(both, [], [], answers=[order("x1"), order("x2")])
    assert go(venue) == (True, 3, "")
    assert [(r.symbol, r.side, r.quantity) for r in venue.placed] == [
        ("BTCUSDT", -1, Decimal("0.010")),
        ("ETHUSDT", 1, Decimal(2)),
    ]


def test_a_lost_or_refused_close_is_tried_again_under_a_new_id() -> None:
    faults = [VenueUnknown("timeout"), VenueRejected("no_liquidity"), VenueUnavailable("down")]
    venue = held(*[[position()]] * 4, [], answers=[*faults, order("x4")])
    assert go(venue) == (True, 6, "")
    assert [request.client_id for request in venue.placed] == ["x1", "x2", "x3", "x4"]


def test_one_zero_after_the_last_close_is_not_enough() -> None:
    late = position("ETHUSDT", quantity="1")
    closes = FLATTEN_ROUNDS_MAX - 1
    answers = [order(f"x{n}") for n in range(closes)]
    venue = held(*[[position()]] * closes, [], [late], answers=answers)
    flat, _, left = go(venue)
    assert not flat
    assert "BTCUSDT" in left or "ETHUSDT" in left


def test_positions_that_cannot_be_read_are_read_again() -> None:
    class Deaf(ScriptedVenue):
        async def positions(self) -> list[PositionChanged]:
            answer = self.position_list.pop(0) if self.position_list else []
            if answer == LOST:
                raise VenueUnknown("timeout")
            return answer

    venue = Deaf()
    venue.position_list = [[], LOST, [position()], [], []]
    venue.answers = [order("x1")]
    assert go(venue) == (True, 5, "")


def test_a_cancel_that_fails_does_not_keep_the_position_open() -> None:
    class Deaf(ScriptedVenue):
        faults: tuple[Exception, ...] = (
            VenueUnavailable("down"),
            VenueUnknown("timeout"),
            VenueRejected("no"),
        )

        async def cancel_all(self, symbol: str) -> int:
            self.cancelled.append(symbol)
            raise self.faults[len(self.cancelled) % 3]

    venue = Deaf()
    venue.position_list = [[position()], [], []]
    venue.answers = [order("x1")]
    assert go(venue) == (True, 3, "")


def test_what_is_left_is_told_with_its_side_and_the_last_fault() -> None:
    short = position("ETHUSDT", side=-1, quantity="2")
    both = [position(), short]
    refusals = [VenueRejected("no_liquidity"), order("x")] * FLATTEN_ROUNDS_MAX
    venue = held(*[both] * (FLATTEN_ROUNDS_MAX + 1), answers=refusals)
    flat, rounds, detail = go(venue)
    assert (flat, rounds) == (False, FLATTEN_ROUNDS_MAX)
    assert detail == "BTCUSDT 0.010, ETHUSDT -2; no_liquidity"


def test_a_thin_book_is_waited_for_but_a_good_one_is_not() -> None:
    go(held([position()], [], [], answers=[order("x1")]))
    assert PAUSES == []
    venue = held(*[[position()]] * 3, [], [], answers=[VenueRejected("no_liquidity")] * 3)
    assert go(venue) == (True, 5, "")
    assert PAUSES == [FLATTEN_PAUSE_S] * 2


def test_what_is_known_to_be_open_is_closed_before_anything_is_cancelled() -> None:
    venue = held([], [], answers=[order("x1")])
    order_of_calls: list[str] = []
    place, cancel = venue.place, venue.cancel_all

    async def placed(request: OrderRequest) -> Any:
        order_of_calls.append("close")
        return await place(request)

    async def cancelled(symbol: str) -> int:
        order_of_calls.append("cancel")
        return await cancel(symbol)

    venue.place, venue.cancel_all = placed, cancelled  # type: ignore[method-assign]
    assert go(venue, known=[position()])[0]
    assert order_of_calls[:2] == ["close", "cancel"]
    assert order_of_calls.count("close") == 1


def test_a_venue_that_is_away_is_given_time_to_come_back() -> None:
    venue = ScriptedVenue()

    async def unreachable() -> list[PositionChanged]:
        raise VenueUnavailable("down")

    venue.positions = unreachable  # type: ignore[method-assign]
    assert not go(venue)[0]
    assert PAUSES == [FLATTEN_PAUSE_S] * (FLATTEN_ROUNDS_MAX - 1)
