"""The sums of resting orders' margin against walking all the orders, after every step."""

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.errors import VenueRejected
from hfengine.exchange.admission import _opening_steps
from hfengine.exchange.margin import order_margin_units, requirement
from hfengine.exchange.positions import Position
from tests.exchange_desk import BTC, D, Desk
from tests.reference.order_margin import requirement as walked

PRICES = st.integers(-40, 40)
QUANTITIES = st.integers(1, 30)
SIDES = st.sampled_from([1, -1])
PIECES = st.lists(st.tuples(st.integers(0, 40), st.integers(9_000, 11_000)), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("rest"), SIDES, QUANTITIES, PRICES, st.booleans()),
    st.tuples(st.just("take"), SIDES, QUANTITIES),
    st.tuples(st.just("amend"), st.integers(0, 40), QUANTITIES, PRICES),
    st.tuples(st.just("cancel"), st.integers(0, 40)),
    st.tuples(st.just("mark"), PRICES),
    st.tuples(st.just("trade"), SIDES, QUANTITIES, PRICES),
    st.tuples(st.just("leverage"), st.integers(1, 60)),
)


def quantity(count: int) -> str:
    return f"{count / 100:.2f}"


def do(desk: Desk, step: tuple) -> None:
    name, *more = step
    ids = [update.client_id for update in desk.exchange.open_orders("a")]
    if name == "rest":
        side, count, price, reduces = more
        desk.place(side, quantity(count), 1000 + price, reduce_only=reduces, tif="post_only")
    elif name == "take":
        desk.place(more[0], quantity(more[1]))
    elif name == "mark":
        desk.mark(1000 + more[0])
    elif name == "trade":
        side, count, price = more
        desk.trade(1000 + price, quantity(count), side)
    elif name == "leverage":
        desk.exchange.set_leverage("a", BTC, more[0], desk.tick())
    elif ids and name == "cancel":
        desk.exchange.cancel("a", BTC, ids[more[0] % len(ids)], desk.tick())
    elif ids:
        number, count, price = more
        client_id = ids[number % len(ids)]
        wanted = D(quantity(count)), D(1000 + price) if price % 3 else None
        desk.exchange.amend("a", BTC, client_id, desk.tick(), quantity=wanted[0], price=wanted[1])


def check(position: Position, pieces: list[tuple[int, int]]) -> None:
    for side in (1, -1):
        assert tuple(requirement(position, side)) == walked(position, side)
        assert tuple(requirement(position, side, pieces)) == walked(position, side, pieces)
        resting = walked_steps(position, side)
        assert _opening_steps(position, side, 0) == resting - max(-side * position.steps, 0)
    dearer = max(walked(position, side)[0] for side in (1, -1))
    assert order_margin_units(position) == dearer


def walked_steps(position: Position, side: int) -> int:
    return sum(
        one.remaining_steps
        for one in position.resting.values()
        if one.side == side and not one.reduce_only
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40), PIECES)
def test_sums_of_resting_orders_are_those_of_walking_them(steps, pieces):
    desk = Desk(wallet="1000")
    desk.mark(1000)
    desk.book([(999, 5), (960, 5)], [(1001, 5), (1040, 5)])
    position = desk.exchange._accounts["a"].position(desk.exchange._markets[BTC])
    for step in steps:
        with suppress(VenueRejected):
            do(desk, step)
        check(position, pieces)
        reducing = [one.client_id for one in position.resting.values() if one.reduce_only]
        assert list(position.resting.reducing) == reducing


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=30), PIECES)
def test_sums_are_the_same_after_a_restore(steps, pieces):
    desk = Desk(wallet="1000", detailed=True)
    desk.mark(1000)
    desk.book([(999, 5)], [(1001, 5)])
    for step in steps:
        with suppress(VenueRejected):
            do(desk, step)
    listed = list(desk.by_symbol.values())
    restored = type(desk.exchange).restore(listed, desk.exchange.dump(), detailed=True)
    before = desk.exchange._accounts["a"].position(desk.exchange._markets[BTC])
    after = restored._accounts["a"].position(restored._markets[BTC])
    check(after, pieces)
    assert list(after.resting) == list(before.resting)


def test_an_order_counted_at_another_mark_is_counted_anew_at_the_old_one():
    desk = Desk(wallet="100000")
    desk.mark(1000)
    desk.place(1, "0.3", 990)
    account = desk.exchange._accounts["a"]
    position = account.position(desk.exchange._markets[BTC])
    order = account.orders["o1"]
    check(position, [])
    position.market.set_mark(D(950))
    order.quantity_steps = 100
    position.resting.refresh(order)
    position.market.set_mark(D(1000))
    check(position, [])
