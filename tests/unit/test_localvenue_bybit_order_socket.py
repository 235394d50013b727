"""The order socket: requests as frames, their ids, their limits and what is refused."""

import json

from tests.bybit_venue import BTC, away, run


def trade_session(venue, authenticated=True):
    socket, session = venue.open("/v5/trade")
    if authenticated:
        frame = {"op": "auth", "reqId": "auth", "args": venue.auth_arguments()}
        session.heard(json.dumps(frame).encode())
        assert socket.take()[0]["retCode"] == 0
    return socket, session


def order_frame(venue, request_id, op="order.create", offset_ms=0, **fields):
    order = {"category": "linear", "symbol": BTC, "side": "Buy", "orderType": "Market"}
    return json.dumps(
        {
            "reqId": request_id,
            "op": op,
            "header": {"X-BAPI-TIMESTAMP": str(venue.world.now_ms() + offset_ms)},
            "args": [{**order, "qty": "0.01", **fields}],
        }
    ).encode()


def test_orders_as_frames():
    async def scenario(venue):
        socket, session = trade_session(venue)
        price = away(venue, -1)
        limit = {"orderType": "Limit", "price": price, "orderLinkId": "a"}
        session.heard(order_frame(venue, "1", **limit))
        session.heard(order_frame(venue, "1", orderLinkId="b"))
        session.heard(order_frame(venue, "2", op="order.amend", orderLinkId="a", qty="0.02"))
        session.heard(order_frame(venue, "3", op="order.cancel", orderLinkId="a"))
        session.heard(order_frame(venue, "4", op="order.cancel", orderLinkId="a"))
        session.heard(order_frame(venue, "5", op="order.fly"))
        session.heard(order_frame(venue, "6", category="spot"))
        session.heard(order_frame(venue, "7", offset_ms=-6000))
        session.heard(order_frame(venue, "8", offset_ms=1500))
        answers = socket.take()
        assert [one["retCode"] for one in answers] == [
            0,
            20006,
            0,
            0,
            110001,
            10404,
            10404,
            10002,
            10002,
        ]
        assert answers[0]["reqId"] == "1"
        assert answers[0]["data"]["orderLinkId"] == "a"
        assert answers[0]["header"]["X-Bapi-Limit-Status"] == "9"
        assert venue.world.exchange.find_order("main", client_id="b") is None
        frame = {"op": "auth", "args": venue.auth_arguments()}
        session.heard(json.dumps(frame).encode())
        [again] = socket.take()
        assert (again["retCode"], "reqId" in again) == (20001, False)

    run(scenario)


def test_an_order_socket_wants_to_be_authenticated():
    async def scenario(venue):
        socket, session = trade_session(venue, authenticated=False)
        session.heard(order_frame(venue, "1"))
        bad = {"op": "auth", "reqId": "x", "args": ["k-test", "99", "0"]}
        session.heard(json.dumps(bad).encode())
        unauthorised, failed = socket.take()
        assert unauthorised["retCode"] == 10007
        assert (failed["retCode"], failed["op"], failed["reqId"]) == (10004, "auth", "x")
        assert venue.world.exchange.order_reports("main") == []

    run(scenario)


def test_frames_and_rest_share_one_limit():
    async def scenario(venue):
        socket, session = trade_session(venue)
        for number in range(6):
            session.heard(order_frame(venue, str(number), qty="0.001"))
        for _ in range(4):
            assert (await venue.order(qty="0.001"))["retCode"] == 0
        session.heard(order_frame(venue, "over", qty="0.001"))
        answer = socket.take()[-1]
        assert answer["retCode"] == 10006
        assert answer["header"]["X-Bapi-Limit-Status"] == "0"

    run(scenario)


def test_a_batch_as_a_frame():
    async def scenario(venue):
        socket, session = trade_session(venue)
        order = {"symbol": BTC, "side": "Buy", "orderType": "Market", "qty": "0.01"}
        frame = {
            "reqId": "b",
            "op": "order.create-batch",
            "header": {"X-BAPI-TIMESTAMP": str(venue.world.now_ms())},
            "args": [{"category": "linear", "request": [order, {**order, "qty": "x"}]}],
        }
        session.heard(json.dumps(frame).encode())
        [answer] = socket.take()
        assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 10001]
        assert len(answer["data"]["list"]) == 2

    run(scenario)
