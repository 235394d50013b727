"""Regressions of a review of Binance's trading part: what is an order, and what is not."""

from contextlib import contextmanager
from decimal import Decimal

from tests.binance_desk import BTC, Desk


@contextmanager
def a_desk(**options):
    desk = Desk(**options)
    try:
        yield desk
    finally:
        desk.close()


def test_a_partly_filled_order_amended_into_the_book_stays_in_the_history():
    with a_desk() as desk:
        ticker = desk.world.ticker(BTC)
        price = ticker.bid - 1
        placed = desk.signed(
            "POST",
            "/v1/order",
            symbol=BTC,
            side="BUY",
            type="LIMIT",
            timeInForce="GTX",
            quantity="0.02",
            price=str(price),
            newClientOrderId="g",
        )
        assert placed.status == 200
        desk.run(1)
        instrument = desk.world.instruments[BTC]
        ticks = int(price / instrument.price_tick)
        ahead = dict(desk.world.levels(BTC, 1, 50))[ticks] - 20
        desk.world.market.on_trade(BTC, ticks, ahead + 5, -1)
        desk.turn()
        amended = desk.signed(
            "PUT",
            "/v1/order",
            symbol=BTC,
            side="BUY",
            quantity="0.02",
            price=str(ticker.ask + 5),
            origClientOrderId="g",
        )
        assert amended.status == 200
        assert amended.row["status"] == "EXPIRED"
        found = desk.signed("GET", "/v1/order", symbol=BTC, origClientOrderId="g")
        assert found.status == 200, found.row
        assert Decimal(found.row["executedQty"]) == Decimal("0.005")
        assert found.row["status"] == "EXPIRED"
        listed = desk.signed("GET", "/v1/allOrders", symbol=BTC).row
        assert [row["clientOrderId"] for row in listed] == ["g"]


def test_an_order_refused_as_a_maker_at_once_is_no_order():
    with a_desk() as desk:
        price = str(desk.world.ticker(BTC).ask + 5)
        more = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTX", "quantity": "0.02"}
        refused = desk.signed(
            "POST", "/v1/order", symbol=BTC, price=price, newClientOrderId="g", **more
        )
        assert refused.code == -5022
        found = desk.signed("GET", "/v1/order", symbol=BTC, origClientOrderId="g")
        assert found.code == -2013
        assert desk.signed("GET", "/v1/allOrders", symbol=BTC).row == []


def test_the_two_hundred_and_first_resting_order_is_refused_with_its_code():
    with a_desk(wallet_usdt=Decimal(1_000_000)) as desk:
        bid = desk.world.ticker(BTC).bid
        more = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
        for number in range(200):
            desk.run(0.1)
            placed = desk.signed(
                "POST", "/v1/order", symbol=BTC, price=str(bid - 100 - number), **more
            )
            assert placed.status == 200, placed.row
        refused = desk.signed("POST", "/v1/order", symbol=BTC, price=str(bid - 50), **more)
        assert (refused.status, refused.code) == (400, -2025)


def resting(desk):
    return [row["clientOrderId"] for row in desk.signed("GET", "/v1/openOrders", symbol=BTC).row]


def test_a_countdown_goes_on_after_a_restart(tmp_path):
    state = tmp_path / "venue.db"
    with a_desk(state=state) as desk:
        price = str(desk.world.ticker(BTC).bid - 100)
        more = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
        desk.signed("POST", "/v1/order", symbol=BTC, price=price, newClientOrderId="g", **more)
        desk.signed("POST", "/v1/countdownCancelAll", symbol=BTC, countdownTime=2000)
        desk.run(1)
        assert resting(desk) == ["g"]
    with a_desk(state=state) as desk:
        # the test's clock began anew: two seconds are left again
        assert resting(desk) == ["g"]
        desk.run(1.9)
        assert resting(desk) == ["g"]
        desk.run(0.2)
        assert resting(desk) == []
    with a_desk(state=state) as desk:
        desk.signed("POST", "/v1/order", symbol=BTC, price=price, newClientOrderId="h", **more)
        desk.run(5)
        assert resting(desk) == ["h"]
