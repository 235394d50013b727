"""Every answer and push of the local Bybit has the samples' fields, of the samples' types.

The samples are the recorded and documented messages of the shared protocol data. What differs
stands in `tests/bybit_samples.py` with its reason, and nothing stands there that does not differ.
"""

import pytest

from tests.bybit_samples import BYBIT
from tests.bybit_speech import everything
from tests.bybit_venue import BTC, run
from tests.protocol_samples import samples
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared


@pytest.fixture(scope="module")
def heard():
    """Return what the venue says in the course of a varied day, and its endpoints."""
    found = {}
    routes = set()

    async def scenario(venue):
        found.update(await everything(venue))
        routes.update(f"{method} {path}" for method, path in venue.routes)

    run(scenario)
    return found, routes


@pytest.fixture(scope="module")
def spoken(heard):
    return heard[0]


def pairs():
    """Return the comparisons; none where there is nothing to compare with."""
    return BYBIT.pairs() if SHARED.exists() else []


@pytest.mark.parametrize(("said", "sample"), pairs())
def test_what_is_said_has_the_samples_shape(spoken, said, sample):
    assert BYBIT.faults(sample, spoken[said]) == (set(), set())


def test_every_sample_has_a_counterpart_or_a_reason_to_have_none():
    assert BYBIT.without_counterpart() == set()


def test_everything_said_has_a_case(spoken):
    unsampled = {said for said in spoken if not said.startswith("push ")} - BYBIT.cases.keys()
    assert unsampled == {"GET /v5/order/realtime StopLoss"}
    topics = {name.split()[1] for name in spoken if name.startswith("push ")}
    assert topics == {"order", "execution", "execution.fast", "position", "wallet"}


def test_every_endpoint_is_asked(heard):
    spoken, routes = heard
    assert routes <= {" ".join(said.split()[:2]) for said in spoken}


def test_fields_of_other_samples_are_in_other_samples():
    assert BYBIT.wrongly_explained() == []


def test_words_are_of_the_documented_ones(spoken):
    assert BYBIT.unknown_words(spoken.values()) == set()


@pytest.mark.parametrize("kind", ["StopLoss", "TakeProfit"])
def test_children_say_what_the_samples_say(spoken, kind):
    name = {"StopLoss": "stop_loss", "TakeProfit": "take_profit"}[kind]
    sample = samples("bybit")[f"nautilus/ws_account_order_{name}.json"]["data"][0]
    child = spoken[f"push order Untriggered {kind}"]["data"][0]
    same = (
        "side",
        "orderStatus",
        "orderType",
        "stopOrderType",
        "triggerDirection",
        "triggerBy",
        "tpslMode",
        "reduceOnly",
        "closeOnTrigger",
    )
    assert {one: child[one] for one in same} == {one: sample[one] for one in same}
    assert child["symbol"] == BTC
