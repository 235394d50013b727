"""A wish into its bracket, and a bracket into its order, as risk and execution turn them."""

from typing import Any

from tests.unit.test_entry_turn import ACCOUNT, WISH, Desk, bracket, bracket_turn


def test_wish(benchmark: Any) -> None:
    desk = Desk()

    def again() -> None:
        desk.cleared["BTCUSDT"] = ACCOUNT
        desk.turn.handle(WISH)
        desk.seen.clear()

    benchmark(again)
    assert desk.turn.entries > 0


def test_bracket(benchmark: Any) -> None:
    one = bracket()
    turn, venue, stages, _ = bracket_turn({"BTCUSDT": one.proof_at_ns})
    benchmark(turn.handle, one)
    assert len(venue.placed) == stages.order.count
