"""What seeds once showed, each as the plan that shows it and under its own name."""

import logging

import pytest

from hfengine.simulation.faults import Fault
from hfengine.simulation.running import run_seed
from hfengine.simulation.world import Style

BTC, ETH = "BTCUSDT", "ETHUSDT"
BOTH = (BTC, ETH)

Plan = tuple[int, Style, list[Fault]]

HOLD: dict[str, Plan] = {
    "an order the venue never got is asked for 25 s, then entries go on": (
        11,
        "bybit",
        [Fault(24_000, "answer_lost_before", "", 6_000, 2.0)],
    ),
    "the venue is away when the engine comes up": (
        87,
        "binance",
        [
            Fault(10_000, "crash", BTC, 300, 0.0),
            Fault(10_100, "maintenance", BTC, 2_500, 0.0),
        ],
    ),
    "a repair and the closing order after it are both lost": (
        14,
        "bybit",
        [
            *(Fault(6_000, "stop_removed", symbol, 15_000, 0.0) for symbol in BOTH),
            *(Fault(6_000, "answer_lost_before", symbol, 20_000, 2.0) for symbol in BOTH),
        ],
    ),
    "a stop is removed where legs are orders, and the next one is refused": (
        79,
        "binance",
        [
            *(Fault(6_000, "stop_removed", symbol, 15_000, 0.0) for symbol in BOTH),
            *(Fault(6_000, "stop_refused", symbol, 20_000, 2.0) for symbol in BOTH),
        ],
    ),
    "the store is away before a crash": (
        65,
        "binance",
        [Fault(9_000, "store_lost", BTC, 5_000, 0.0), Fault(12_000, "crash", BTC, 500, 20.0)],
    ),
    "a crash at the first message, and another one while coming up": (
        6,
        "bybit",
        [Fault(5_000, "crash", BTC, 200, 0.0), Fault(5_400, "crash", BTC, 200, 1.0)],
    ),
    "a stop is refused while answers are slow": (
        7,
        "binance",
        [
            Fault(3_000, "slow_orders", BTC, 20_000, 600.0),
            *(Fault(3_000, "stop_refused", symbol, 20_000, 2.0) for symbol in BOTH),
        ],
    ),
    "an operator's halt outlives the process": (
        8,
        "bybit",
        [
            Fault(5_000, "operator_halt", BTC, 20_000, 0.0),
            Fault(9_000, "crash", BTC, 500, 2.0),
        ],
    ),
    # the cursor was kept before the fill itself was published: a kill between the two lost it
    "a kill between the cursor and the fill it names": (
        215,
        "bybit",
        [
            Fault(13_711, "rate_10006", ETH, 8_656, 1.0408),
            Fault(15_877, "crash", ETH, 769, 18.4115),
        ],
    ),
}


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("name", HOLD)
def test_what_was_found_holds(name: str) -> None:
    seed, style, plan = HOLD[name]
    outcome = run_seed(seed, style, plan)
    assert outcome.violations == [], outcome.violations
    assert set(outcome.counts) & {fault.kind for fault in plan}
