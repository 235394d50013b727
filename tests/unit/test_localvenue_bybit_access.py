"""Who is let in: signatures over raw bytes, the receive window, rate limits, IP bans, sockets."""

import json
from decimal import Decimal

import pytest

from hfengine.localvenue.bybit.auth import signature
from hfengine.localvenue.bybit.errors import Refused
from hfengine.localvenue.bybit.rates import IP_BAN_MS, IP_REQUESTS_MAX, Rates
from hfengine.localvenue.faults import Rule
from hfengine.localvenue.ports import ApiKey
from tests.bybit_venue import BTC, KEY, SECRET, run, sign

WALLET = "/v5/account/wallet-balance"


async def raw_get(venue, query, headers):
    answer = await venue.request("GET", WALLET, query, headers=headers)
    return json.loads(answer.body)


def test_a_known_signature():
    # RFC 4231, test case 2
    assert signature(b"Jefe", b"what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_the_signature_is_over_the_raw_query():
    async def scenario(venue):
        query = "accountType=UNIFIED&coin=USDT%2CBTC"
        assert (await raw_get(venue, query, venue.signed(query)))["retCode"] == 0
        decoded = "accountType=UNIFIED&coin=USDT,BTC"
        answer = await raw_get(venue, query, venue.signed(decoded))
        assert answer["retCode"] == 10004
        assert query in answer["retMsg"]

    run(scenario)


def test_the_signature_is_over_the_raw_body():
    async def scenario(venue):
        body = '{ "category":"linear","symbol":"BTCUSDT","buyLeverage":"7","sellLeverage":"7"}'
        path = "/v5/position/set-leverage"
        signed = venue.signed(body)
        tight = json.dumps(json.loads(body)).encode()
        answer = await venue.request("POST", path, body=tight, headers=signed)
        assert json.loads(answer.body)["retCode"] == 10004
        answer = await venue.request("POST", path, body=body.encode(), headers=signed)
        assert json.loads(answer.body)["retCode"] == 0

    run(scenario)


@pytest.mark.parametrize(
    ("offset_ms", "code"),
    [(-4_900, 0), (-5_100, 10002), (900, 0), (1_100, 10002)],
)
def test_the_receive_window_is_by_the_venues_clock(offset_ms, code):
    async def scenario(venue):
        venue.world.clock_skew_ns = 3_600_000_000_000
        query = "accountType=UNIFIED"
        timestamp = str(venue.world.now_ms() + offset_ms)
        headers = {
            "x-bapi-api-key": KEY,
            "x-bapi-timestamp": timestamp,
            "x-bapi-recv-window": "5000",
            "x-bapi-sign": sign(SECRET, f"{timestamp}{KEY}5000{query}"),
        }
        assert (await raw_get(venue, query, headers))["retCode"] == code

    run(scenario)


def test_keys_and_missing_headers():
    async def scenario(venue):
        query = "accountType=UNIFIED"
        assert (await raw_get(venue, query, {}))["retCode"] == 10001
        unknown = await raw_get(venue, query, venue.signed(query, key="nobody"))
        assert unknown["retCode"] == 10003
        wrong = await raw_get(venue, query, venue.signed(query, secret=b"guess"))
        assert wrong["retCode"] == 10004
        assert SECRET.decode() not in json.dumps([unknown, wrong])

    run(scenario)


def test_two_keys_are_two_accounts():
    async def scenario(venue):
        venue.world.add_key(ApiKey(key="two", secret=SECRET, account="other"), Decimal(500))
        await venue.order(orderLinkId="mine")
        rich = await venue.get("account/wallet-balance", accountType="UNIFIED")
        poor = await venue.get("account/wallet-balance", key="two", accountType="UNIFIED")
        assert poor["result"]["list"][0]["totalWalletBalance"] == "500"
        assert rich["result"]["list"][0]["totalWalletBalance"] > "90000"
        found = await venue.get(
            "order/realtime", key="two", category="linear", symbol=BTC, orderLinkId="mine"
        )
        assert found["result"]["list"] == []

    run(scenario)


def test_ten_orders_a_second_and_then_10006():
    async def scenario(venue):
        left = []
        for _ in range(10):
            answer = await venue.order(qty="0.001")
            assert answer["retCode"] == 0
            left.append(int(venue.headers["X-Bapi-Limit-Status"]))
        assert left == list(range(9, -1, -1))
        answer = await venue.order(qty="0.001")
        assert (answer["retCode"], venue.status) == (10006, 200)
        assert venue.headers["X-Bapi-Limit"] == "10"
        assert int(venue.headers["X-Bapi-Limit-Reset-Timestamp"]) > answer["time"]
        cancel = await venue.post("order/cancel-all", category="linear", symbol=BTC)
        assert cancel["retCode"] == 0
        venue.world.clock_skew_ns += 1_001_000_000
        assert (await venue.order(qty="0.001"))["retCode"] == 0

    run(scenario)


def test_a_batch_costs_as_many_as_it_holds():
    async def scenario(venue):
        one = {"symbol": BTC, "side": "Buy", "orderType": "Market", "qty": "0.001"}
        six = {"category": "linear", "request": [one] * 6}
        assert (await venue.post("order/create-batch", **six))["retCode"] == 0
        assert venue.headers["X-Bapi-Limit-Status"] == "4"
        assert (await venue.post("order/create-batch", **six))["retCode"] == 10006

    run(scenario)


def test_a_higher_tier_and_the_fault_of_rates():
    async def scenario(venue):
        venue.dialect.command("order_rate", {"per_second": 200})
        for _ in range(30):
            assert (await venue.order(qty="0.001"))["retCode"] == 0
        venue.world.faults.add(Rule(kind="rate_limited", path="/v5/order/create"))
        assert (await venue.order())["retCode"] == 10006
        assert venue.headers["X-Bapi-Limit-Status"] == "0"
        assert (await venue.order())["retCode"] == 0
        with pytest.raises(KeyError):
            venue.dialect.command("dance", {})

    run(scenario)


def test_the_second_rolls():
    rates = Rates()
    for at_ms in (0, 500):
        rates.spend("a", "order/create", at_ms, count=5)
    with pytest.raises(Refused) as refused:
        rates.spend("a", "order/create", 999)
    assert refused.value.headers["X-Bapi-Limit-Reset-Timestamp"] == "1000"
    assert rates.spend("a", "order/create", 1000)["X-Bapi-Limit-Status"] == "4"
    assert rates.spend("b", "order/create", 1000)["X-Bapi-Limit-Status"] == "9"
    assert rates.spend("a", "position/list", 1000)["X-Bapi-Limit-Status"] == "49"


def test_an_address_may_be_given_more():
    async def scenario(venue):
        venue.dialect.command("ip_limit", {"requests": 3})
        statuses = [(await venue.request("GET", "/v5/market/time")).status for _ in range(4)]
        assert statuses == [200, 200, 200, 403]

    run(scenario)


def test_an_address_is_banned_for_ten_minutes():
    rates = Rates()
    assert not any(rates.is_banned("a", 5_000) for _ in range(IP_REQUESTS_MAX))
    assert rates.is_banned("a", 5_001)
    assert rates.is_banned("a", 5_000 + IP_BAN_MS)
    assert not rates.is_banned("b", 5_001)
    assert not rates.is_banned("a", 5_001 + IP_BAN_MS)
    slow = Rates()
    assert not any(slow.is_banned("a", at_ms * 9) for at_ms in range(5 * IP_REQUESTS_MAX))


def test_a_ban_is_403_without_json():
    async def scenario(venue):
        venue.world.faults.add(Rule(kind="banned"))
        answer = await venue.request("GET", "/v5/market/time")
        assert (answer.status, answer.content_type) == (403, "text/html")
        assert answer.body.startswith(b"<html>")
        assert (await venue.request("GET", "/v5/market/time")).status == 200

    run(scenario)


def test_what_does_not_exist():
    async def scenario(venue):
        answer = await venue.request("GET", "/v5/spot/nothing")
        assert (answer.status, json.loads(answer.body)["retCode"]) == (404, 10017)
        assert venue.open("/v5/public/spot")[1] is None
        failure = venue.dialect.failure(10016, "Server error")
        assert json.loads(failure.body)["retCode"] == 10016
        assert venue.dialect.failure(10000, "x", 503).status == 503

    run(scenario)


def test_private_sockets_want_a_signature():
    async def scenario(venue):
        socket, session = venue.open("/v5/private")
        session.heard(b'{"op":"subscribe","args":["order"]}')
        key, expires, signed = venue.auth_arguments()
        for bad in (
            [key, expires, "0" * 64],
            [key, venue.world.now_ms() - 1, signed],
            ["nobody", expires, signed],
            [key, expires],
        ):
            session.heard(json.dumps({"op": "auth", "args": bad}).encode())
        assert [frame["success"] for frame in socket.take()] == [False] * 5
        session.heard(json.dumps({"op": "auth", "args": [key, str(expires), signed]}).encode())
        session.heard(b'{"op":"subscribe","args":["order","nothing"]}')
        session.heard(b'{"op":"subscribe","req_id":7,"args":["order","position.linear"]}')
        assert [frame["success"] for frame in socket.frames] == [True, False, True]
        assert socket.take()[-1]["req_id"] == "7"

    run(scenario)


def test_pings_differ_by_socket():
    async def scenario(venue):
        pongs = {}
        for path in ("/v5/public/linear", "/v5/private", "/v5/trade"):
            socket, session = venue.open(path)
            session.heard(b'{"op":"ping","req_id":"p1"}')
            [pongs[path]] = socket.take()
        public, private = pongs["/v5/public/linear"], pongs["/v5/private"]
        assert (public["op"], public["ret_msg"], public["success"]) == ("ping", "pong", True)
        assert (private["op"], private["req_id"]) == ("pong", "p1")
        assert int(private["args"][0]) > 0
        assert pongs["/v5/trade"]["op"] == "pong"
        assert len({pong.get("conn_id", pong.get("connId")) for pong in pongs.values()}) == 3

    run(scenario)


def test_an_idle_socket_is_cut():
    async def scenario(venue):
        short, _ = venue.open("/v5/public/linear", max_active_time="1m")
        long, _ = venue.open("/v5/public/linear")
        spoken, session = venue.open("/v5/private", max_active_time="30s")
        venue.world.clock_skew_ns += 61_000_000_000
        session.heard(b'{"op":"ping"}')
        venue.dialect._end_idle()
        assert (short.closed_with, long.closed_with, spoken.closed_with) == (1000, None, None)
        venue.world.clock_skew_ns += 600_000_000_000
        venue.dialect._end_idle()
        assert long.closed_with == spoken.closed_with == 1000

    run(scenario)


def test_what_is_no_frame():
    async def scenario(venue):
        for path in ("/v5/public/linear", "/v5/private", "/v5/trade"):
            socket, session = venue.open(path)
            for payload in (b"nonsense", b"[1]", b'{"op":"fly"}'):
                session.heard(payload)
            assert len(socket.frames) == 3
            for frame in socket.take():
                assert frame.get("success") is False or frame["retCode"] != 0

    run(scenario)
