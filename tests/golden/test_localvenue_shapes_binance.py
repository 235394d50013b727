"""Every answer and push of the local Binance has the samples' fields, of the samples' types.

The samples are the recorded and documented messages of the shared protocol data. What differs
stands in `tests/binance_samples.py` with its reason, and nothing stands there that does not differ.
"""

import pytest

from tests.binance_desk import Desk
from tests.binance_samples import BINANCE
from tests.binance_speech import SOCKET, everything
from tests.protocol_samples import samples
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared

API = "jkorf/Endpoints/UsdFutures"


@pytest.fixture(scope="module")
def spoken():
    """Return what the venue says in the course of a varied day."""
    return everything()


def pairs():
    """Return the comparisons; none where there is nothing to compare with."""
    return BINANCE.pairs() if SHARED.exists() else []


@pytest.mark.parametrize(("said", "sample"), pairs())
def test_what_is_said_has_the_samples_shape(spoken, said, sample):
    assert BINANCE.faults(sample, spoken[said]) == (set(), set())


def test_every_sample_has_a_counterpart_or_a_reason_to_have_none():
    assert BINANCE.without_counterpart() == set()


def test_everything_said_has_a_case(spoken):
    pushed = {said for said in spoken if said.startswith(("user ", "combined user "))}
    assert spoken.keys() - pushed == {
        said for said in BINANCE.cases if not said.startswith(("user ", "combined user "))
    }
    told = {said.removeprefix("combined ").split()[1] for said in pushed}
    assert told == {
        "ACCOUNT_CONFIG_UPDATE",
        "ACCOUNT_UPDATE",
        "ALGO_UPDATE",
        "MARGIN_CALL",
        "ORDER_TRADE_UPDATE",
        "TRADE_LITE",
        "listenKeyExpired",
    }


def test_every_endpoint_and_method_is_asked(spoken):
    desk = Desk()
    routes = {f"{method} {path}" for method, path in desk.routes}
    methods = {f"ws {method}" for method in desk.dialect._socket_methods()}
    desk.close()
    asked = {" ".join(said.split()[:2]) for said in spoken}
    assert routes <= asked
    assert {f"ws {method}" for method in SOCKET} <= methods
    assert methods <= asked


def test_fields_of_other_samples_are_in_other_samples():
    assert BINANCE.wrongly_explained() == []


def test_words_are_of_the_documented_ones(spoken):
    assert BINANCE.unknown_words(spoken.values()) == set()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("DELETE /fapi/v1/allOpenOrders", "Trading/CancelAllOrders"),
        ("DELETE /fapi/v1/algoOpenOrders", "Trading/CancelAllConditionalOrders"),
        ("POST /fapi/v1/countdownCancelAll", "Trading/CancelAllOrdersAfterTimeout"),
        ("POST /fapi/v1/marginType", "Account/ChangeMarginType"),
        ("POST /fapi/v1/positionSide/dual", "Account/ModifyPositionMode"),
        ("DELETE /fapi/v1/listenKey", "Account/StopUserStream"),
    ],
)
def test_what_is_always_the_same_is_the_sample(spoken, said, name):
    assert spoken[said] == samples("binance")[f"{API}/{name}"]
