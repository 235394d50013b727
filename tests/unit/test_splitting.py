"""Orders above the market maximum: parts that add up, and one order heard of them."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.instruments import load_catalogue
from hfengine.messages import Fill, OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.venues.splitting import MISSES_MAX, Splitter, split_quantity

BTC = replace(
    load_catalogue("binance").find("BTCUSDT"),
    quantity_step=Decimal("0.001"),
    market_quantity_max=Decimal(120),
    quantity_max=Decimal(1000),
)


def closing(quantity: str = "300", **changes: object) -> OrderRequest:
    asked = OrderRequest("hf-a-000007x0", "BTCUSDT", -1, "market", Decimal(quantity))
    return replace(asked, reduce_only=True, **changes)


def update(client_id: str, quantity: Decimal, filled: str, state: str) -> OrderUpdate:
    nothing = Decimal(0)
    return OrderUpdate(
        client_id, f"v{client_id}", "BTCUSDT", 7, "market", -1, quantity, Decimal(filled),
        nothing, nothing, True, state,
    )  # fmt: skip


@given(st.integers(1, 10**7))
def test_parts_add_up_and_none_is_too_large(steps):
    quantity = BTC.quantity_of(steps)
    parts = split_quantity(quantity, BTC)
    assert sum(parts) == quantity
    assert max(parts) <= 120
    assert max(parts) - min(parts) <= BTC.quantity_step
    assert len(parts) == -(-steps // 120_000)


def test_the_smaller_of_both_maxima_counts():
    tight = replace(BTC, quantity_max=Decimal(50))
    assert split_quantity(Decimal(100), tight) == [Decimal(50), Decimal(50)]


@pytest.mark.parametrize("quantity", ["0", "-1", "0.0005", "12001"])
def test_what_cannot_be_split_is_refused(quantity):
    with pytest.raises(ValueError, match="BTCUSDT"):
        split_quantity(Decimal(quantity), BTC)


def test_only_large_reducing_market_orders_are_split():
    splitter = Splitter({"BTCUSDT": BTC})
    assert splitter.must_split(closing("120.001"))
    assert not splitter.must_split(closing("120"))
    assert not splitter.must_split(closing(kind="limit"))
    assert not splitter.must_split(replace(closing(), reduce_only=False))
    assert not splitter.must_split(closing(symbol="ETHUSDT"))


def place(splitter, request, outcomes):
    sent = []

    async def send(part):
        sent.append(part)
        outcome = outcomes[len(sent) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return update(part.client_id, part.quantity, *outcome)

    return asyncio.run(splitter.place(request, send)), sent


def test_three_parts_are_one_filled_order():
    splitter = Splitter({"BTCUSDT": BTC})
    whole, sent = place(splitter, closing(), [("100", "filled")] * 3)
    assert [part.client_id for part in sent] == [f"hf-a-000007x0{n}" for n in (1, 2, 3)]
    assert all(part.reduce_only and part.kind == "market" for part in sent)
    assert (whole.client_id, whole.quantity, whole.filled) == ("hf-a-000007x0", 300, 300)
    assert whole.state == "filled"


def test_the_whole_ends_with_its_last_part():
    splitter = Splitter({"BTCUSDT": BTC})
    whole, _ = place(splitter, closing(), [("100", "filled"), ("0", "new"), ("0", "new")])
    assert (whole.state, whole.filled) == ("partially_filled", 100)
    second = splitter.order(update("hf-a-000007x02", Decimal(100), "100", "filled"))
    assert (second.state, second.filled) == ("partially_filled", 100)
    third = splitter.order(update("hf-a-000007x03", Decimal(100), "40", "cancelled"))
    assert (third.state, third.filled) == ("partially_filled", 140)
    assert splitter.find("hf-a-000007x0").whole().state == "cancelled", "all parts as known"
    last = splitter.order(update("hf-a-000007x01", Decimal(100), "100", "filled"))
    assert (last.state, last.filled, last.quantity) == ("cancelled", 240, 300)


def test_the_end_is_told_once_though_the_answers_knew_it_before():
    splitter = Splitter({"BTCUSDT": BTC})
    place(splitter, closing("240"), [("120", "filled")] * 2)
    news = [("1", "0", "new"), ("1", "120", "filled"), ("2", "0", "new"), ("2", "120", "filled")]
    told = [
        splitter.order(update(f"hf-a-000007x0{n}", Decimal(120), filled, state))
        for n, filled, state in news
    ]
    assert [(one.state, one.filled) for one in told] == [
        ("new", 0),
        ("partially_filled", 120),
        ("partially_filled", 120),
        ("filled", 240),
    ]
    # neither again nor taken back
    for filled, state in (("120", "filled"), ("0", "new")):
        assert splitter.order(update("hf-a-000007x02", Decimal(120), filled, state)) is None


def test_an_end_that_knows_of_more_fills_is_told_again():
    splitter = Splitter({"BTCUSDT": BTC})
    place(splitter, closing("240"), [("0", "new")] * 2)
    ends = [("1", "120", "filled"), ("2", "30", "cancelled"), ("2", "120", "filled")]
    told = [
        splitter.order(update(f"hf-a-000007x0{n}", Decimal(120), filled, state))
        for n, filled, state in ends
    ]
    assert [(one.state, one.filled) for one in told[1:]] == [("cancelled", 150), ("filled", 240)]


def test_a_part_the_venue_refuses_counts_as_ended():
    splitter = Splitter({"BTCUSDT": BTC})
    refused = VenueRejected("reduce_only_rejected", "flat")
    whole, _ = place(splitter, closing(), [("100", "filled"), ("100", "filled"), refused])
    assert (whole.state, whole.filled) == ("cancelled", 200)
    assert "reduce_only_rejected" in whole.reason


def test_all_refused_is_a_refusal_and_one_lost_leaves_it_open():
    splitter = Splitter({"BTCUSDT": BTC})
    refused = VenueRejected("reduce_only_rejected")
    with pytest.raises(VenueRejected, match="reduce_only"):
        place(splitter, closing(), [refused] * 3)
    with pytest.raises(VenueUnknown, match="lost"):
        place(splitter, closing(), [("100", "filled"), VenueUnknown("lost"), refused])


def test_looking_up_asks_for_every_part():
    splitter = Splitter({"BTCUSDT": BTC})
    with pytest.raises(VenueUnknown):
        place(splitter, closing(), [VenueUnknown("lost")] * 3)
    known = {"hf-a-000007x01": "100", "hf-a-000007x03": "100"}

    async def look(symbol, client_id):
        assert symbol == "BTCUSDT"
        filled = known.get(client_id)
        return update(client_id, Decimal(100), filled, "filled") if filled else None

    split = splitter.find("hf-a-000007x0")
    for _ in range(MISSES_MAX - 1):
        assert asyncio.run(splitter.look_up(split, look)).state == "partially_filled"
    ended = asyncio.run(splitter.look_up(split, look))
    assert (ended.state, ended.filled) == ("cancelled", 200)


def test_nothing_known_of_any_part_is_none():
    splitter = Splitter({"BTCUSDT": BTC})
    with pytest.raises(VenueUnknown):
        place(splitter, closing(), [VenueUnknown("lost")] * 3)

    async def look(_symbol, _client_id):
        return None

    assert asyncio.run(splitter.look_up(splitter.find("hf-a-000007x0"), look)) is None


def test_fills_of_parts_are_fills_of_the_whole():
    splitter = Splitter({"BTCUSDT": BTC})
    place(splitter, closing(), [("100", "filled")] * 3)
    none = Decimal(0)
    fill = Fill("1", "hf-a-000007x02", "BTCUSDT", 1, -1, none, none, none, none, False, "order")
    assert splitter.fill(fill).client_id == "hf-a-000007x0"
    other = replace(fill, client_id="hf-a-000008x0")
    assert splitter.fill(other) is other


def test_one_open_part_leaves_the_whole_open_though_the_others_are_filled():
    splitter = Splitter({"BTCUSDT": BTC})
    with pytest.raises(VenueUnknown, match="cut"):
        place(splitter, closing(), [("100", "filled"), VenueUnknown("cut"), ("100", "filled")])
    whole = splitter.find("hf-a-000007x0")
    assert (whole.whole().state, whole.whole().filled) == ("partially_filled", 200)


def test_open_parts_are_listed_as_the_one_order_they_are_of():
    splitter = Splitter({"BTCUSDT": BTC})
    place(splitter, closing(), [("0", "new"), ("40", "partially_filled"), ("0", "new")])
    first, second, _ = splitter.find("hf-a-000007x0").parts
    listed = splitter.listed(
        [
            update(first.client_id, first.quantity, "0", "new"),
            update("hf-a-000009x0", Decimal(5), "0", "new"),
            update(second.client_id, second.quantity, "60", "partially_filled"),
        ]
    )
    assert [(one.client_id, one.filled) for one in listed] == [
        ("hf-a-000007x0", 60),
        ("hf-a-000009x0", 0),
    ]
    assert listed[0].quantity == 300
