"""The faults of a simulated run: their kinds, and the plan of one seed as an explicit list.

A plan is data: cut in half it is still a plan, which is how a failing one is minimised.
"""

from random import Random
from typing import Final, Literal

from msgspec import Struct

from hfengine.seeds import Seed

FIRST_MS: Final = 3_000
"""No fault before the engine has had time to come up."""

CALM_MS: Final = 30_000
KILLED_AFTER_MS: Final = (1_800, 2_600)
"""Faults have ended by then."""

Kind = Literal[
    "slow_orders",
    "slow_private",
    "slow_feed",
    "orders_lost",
    "private_lost",
    "feed_lost",
    "duplicates",
    "answer_lost_before",
    "answer_lost_after",
    "rate_429",
    "ban_418",
    "ban_403",
    "rate_10006",
    "error_5xx",
    "unknown_outcome",
    "thin_book",
    "stop_refused",
    "leverage_not_applied",
    "leverage_changed",
    "position_mode_changed",
    "listen_key_expired",
    "clock_jump",
    "feed_gap",
    "feed_stale",
    "flash_move",
    "funding",
    "liquidation",
    "adl",
    "reduce_only",
    "maintenance",
    "foreign_order",
    "foreign_position",
    "stop_removed",
    "operator_halt",
    "store_lost",
    "crash",
]

REORDERED: Final = "reordered"
"""Counted, never planned: an account event that overtook the answer it belongs to, or was."""


class Fault(Struct, frozen=True):
    """One thing that goes wrong, at a time since the run began.

    `lasts_ms` is how long, or how long the fault waits for something to strike; `size` is what
    the kind makes of it: ms of delay, how many requests, messages until a crash, 0 to 1 else.
    """

    at_ms: int
    kind: Kind
    symbol: str
    lasts_ms: int
    size: float


class Shape(Struct, frozen=True):
    """How one kind is drawn: its weight, and the ranges of duration and size."""

    weight: float
    lasts_ms: tuple[int, int]
    size: tuple[float, float] = (0.0, 1.0)


SHAPES: Final[dict[Kind, Shape]] = {
    "slow_orders": Shape(2, (500, 4_000), (50, 700)),
    "slow_private": Shape(2, (500, 4_000), (50, 900)),
    "slow_feed": Shape(1, (500, 3_000), (50, 900)),
    "orders_lost": Shape(2, (200, 3_000)),
    "private_lost": Shape(2, (200, 4_000)),
    "feed_lost": Shape(1, (200, 3_000)),
    "duplicates": Shape(1, (200, 1_500), (3, 20)),
    "answer_lost_before": Shape(2, (8_000, 15_000), (1, 2)),
    "answer_lost_after": Shape(3, (8_000, 15_000), (1, 2)),
    "rate_429": Shape(1, (8_000, 15_000), (1, 3)),
    "ban_418": Shape(0.7, (1_000, 3_000)),
    "ban_403": Shape(0.7, (1_000, 3_000)),
    "rate_10006": Shape(1, (8_000, 15_000), (1, 3)),
    "error_5xx": Shape(1.5, (8_000, 15_000), (1, 2)),
    "unknown_outcome": Shape(1.5, (8_000, 15_000), (1, 2)),
    "thin_book": Shape(2, (2_000, 6_000), (0.1, 0.8)),
    "stop_refused": Shape(2, (8_000, 15_000), (1, 2)),
    "leverage_not_applied": Shape(2, (10_000, 20_000), (1, 2)),
    "leverage_changed": Shape(3, (0, 1), (5, 25)),
    "position_mode_changed": Shape(0.7, (2_000, 5_000)),
    "listen_key_expired": Shape(1, (200, 1_000)),
    "clock_jump": Shape(1, (1_000, 4_000), (-2_500, 2_500)),
    "feed_gap": Shape(1, (0, 1)),
    "feed_stale": Shape(1, (500, 4_000)),
    "flash_move": Shape(2, (800, 2_500), (0.3, 1.4)),
    "funding": Shape(1.5, (10_000, 20_000), (-0.002, 0.003)),
    "liquidation": Shape(0.6, (10_000, 20_000)),
    "adl": Shape(0.8, (10_000, 20_000), (0.2, 1.0)),
    "reduce_only": Shape(0.8, (1_500, 5_000)),
    "maintenance": Shape(0.6, (800, 2_500)),
    "foreign_order": Shape(1, (3_000, 10_000)),
    "foreign_position": Shape(0.8, (0, 1), (0.1, 1.0)),
    "stop_removed": Shape(1, (8_000, 15_000)),
    "operator_halt": Shape(2, (5_000, 12_000)),
    "store_lost": Shape(0.6, (1_000, 5_000)),
    "crash": Shape(2.5, (200, 1_500), (0, 60)),
}

KINDS: Final[tuple[Kind, ...]] = tuple(SHAPES)


def plan_of(
    seed: int, symbols: tuple[str, ...], *, count: tuple[int, int] = (3, 14)
) -> list[Fault]:
    """Return the faults of a seed, ordered by time: the same for the same seed."""
    draw = Seed(seed).stream("simulation/plan")
    weights = [SHAPES[kind].weight for kind in KINDS]
    drawn = draw.choices(KINDS, weights, k=draw.randint(*count))
    faults = [_drawn(draw, kind, symbols) for kind in drawn]
    for halt in [fault for fault in faults if fault.kind == "operator_halt"]:
        at_ms = halt.at_ms + draw.randrange(*KILLED_AFTER_MS)
        if draw.random() < 0.5 and at_ms < CALM_MS - 1_000:
            # halted, then killed: the halt has to be remembered
            faults.append(Fault(at_ms, "crash", halt.symbol, 300, 2.0))
    return sorted(faults, key=lambda fault: (fault.at_ms, fault.kind))


def _drawn(draw: Random, kind: Kind, symbols: tuple[str, ...]) -> Fault:
    shape = SHAPES[kind]
    at_ms = draw.randrange(FIRST_MS, CALM_MS - 4_000)
    lasts_ms = min(draw.randint(*shape.lasts_ms), CALM_MS - at_ms)
    return Fault(at_ms, kind, draw.choice(symbols), lasts_ms, round(draw.uniform(*shape.size), 4))
