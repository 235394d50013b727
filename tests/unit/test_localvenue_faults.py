"""Faults are taken as often, as late and as narrowly as their rules say."""

from random import Random

import pytest

from hfengine.localvenue.faults import DIALECT_KINDS, SOCKET_KINDS, TRANSPORT_KINDS, Faults, Rule


def faults(*rules, seed=1):
    made = Faults(Random(seed))
    for rule in rules:
        made.add(rule)
    return made


def test_a_rule_strikes_count_times_after_so_many_matches():
    made = faults(Rule(kind="order_refused", count=2, after=1, code=5))
    struck = [made.take("order_refused") for _ in range(5)]
    assert [bool(one) for one in struck] == [False, True, True, False, False]
    assert struck[1].code == 5
    assert made.done == {"order_refused": 2}
    assert made.rules() == []
    assert not made.any_armed


def test_a_rule_without_count_goes_on_until_it_is_cleared():
    made = faults(Rule(kind="rate_limited", count=None), Rule(kind="banned"))
    assert all(made.take("rate_limited") for _ in range(50))
    assert made.clear("rate_limited") == 1
    assert made.take("rate_limited") is None
    assert made.any_armed
    assert made.clear() == 1
    assert not made.any_armed


@pytest.mark.parametrize(
    ("rule", "hit", "miss"),
    [
        ({"path": "/order"}, {"path": "/v5/order/create"}, {"path": "/v5/position"}),
        ({"topic": "book"}, {"topic": '{"topic":"orderbook.1"}'}, {"topic": "trade"}),
        ({"symbol": "BTCUSDT"}, {"symbol": "BTCUSDT"}, {"symbol": "BTCUSDTX"}),
        ({"account": "main"}, {"account": "main"}, {"account": "second"}),
        ({"side": -1}, {"side": -1}, {"side": 1}),
    ],
)
def test_a_rule_matches_only_what_it_names(rule, hit, miss):
    made = faults(Rule(kind="partial_fill", **rule))
    assert made.take("partial_fill", **miss) is None
    assert made.take("partial_fill") is None
    assert made.take("stop_refused", **hit) is None
    assert made.take("partial_fill", **hit) is not None


def test_rules_of_one_kind_strike_in_the_order_they_came():
    made = faults(*(Rule(kind="order_refused", code=code) for code in (1, 2)))
    assert [made.take("order_refused").code for _ in range(2)] == [1, 2]


def test_chance_is_drawn_by_the_seed():
    def draws(seed):
        made = faults(Rule(kind="drop_frame", count=None, probability=0.3), seed=seed)
        return [made.take("drop_frame") is not None for _ in range(1000)]

    assert draws(1) == draws(1) != draws(2)
    assert 240 < sum(draws(1)) < 360


def test_sockets_are_at_risk_only_from_socket_faults():
    assert not faults(Rule(kind="cut_before")).sockets_at_risk
    for kind in SOCKET_KINDS:
        made = faults(Rule(kind=kind))
        assert made.sockets_at_risk
        made.take(kind)
        assert not made.sockets_at_risk
    assert set(SOCKET_KINDS) < set(TRANSPORT_KINDS)
    assert not set(TRANSPORT_KINDS) & set(DIALECT_KINDS)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"after": -1}, {"probability": 0.0}, {"probability": 2.0}]
)
def test_figures_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Rule(kind="banned", **wrong)
