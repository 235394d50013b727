"""Keys, signatures, receive windows, weights and order counts of the Binance venue."""

import hashlib
import hmac

import pytest

from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.rates import Rates
from hfengine.localvenue.faults import Rule
from tests.binance_desk import BTC, START_NS, Desk

NOW_MS = START_NS // 1_000_000


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


def signature(text):
    return hmac.new(b"s-test", text.encode(), hashlib.sha256).hexdigest()


def test_the_published_signature_example():
    # from the exchange's documentation: key, parameters and signature
    text = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
        "&recvWindow=5000&timestamp=1499827319559"
    )
    secret = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    wanted = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    assert hmac.new(secret, text.encode(), hashlib.sha256).hexdigest() == wanted


@pytest.mark.parametrize("in_body", [False, True])
def test_a_signature_counts_in_the_query_and_in_the_form(desk, in_body):
    answer = desk.signed("POST", "/v1/leverage", in_body=in_body, symbol=BTC, leverage=7)
    assert (answer.status, answer.row["leverage"]) == (200, 7)


def test_query_and_form_are_signed_together_with_nothing_between(desk):
    query, body = f"symbol={BTC}", f"leverage=9&timestamp={NOW_MS}"
    signed = body + "&signature=" + signature(query + body)
    answer = desk.send("POST", "/fapi/v1/leverage", query, signed, "k-test")
    assert (answer.status, answer.row["leverage"]) == (200, 9)
    joined = body + "&signature=" + signature(query + "&" + body)
    assert desk.send("POST", "/fapi/v1/leverage", query, joined, "k-test").code == -1022


def test_what_stands_in_both_is_the_querys(desk):
    query, body = f"symbol={BTC}&leverage=9", f"leverage=11&timestamp={NOW_MS}"
    signed = body + "&signature=" + signature(query + body)
    answer = desk.send("POST", "/fapi/v1/leverage", query, signed, "k-test")
    assert answer.row["leverage"] == 9


def test_the_signature_may_stand_anywhere_and_is_taken_off_the_raw_text(desk):
    rest = f"timestamp={NOW_MS}&symbol=BTCUSDT&x=%20y"
    query = f"timestamp={NOW_MS}&signature={signature(rest)}&symbol=BTCUSDT&x=%20y"
    assert desk.send("GET", "/fapi/v1/symbolConfig", query, key="k-test").status == 200
    decoded = rest.replace("%20", " ")
    query = f"{rest}&signature={signature(decoded)}"
    answer = desk.send("GET", "/fapi/v1/symbolConfig", query, key="k-test")
    assert (answer.status, answer.code) == (400, -1022)


@pytest.mark.parametrize(
    ("query", "key", "status", "code"),
    [
        ("", "", 401, -2014),
        ("", "k-unknown", 401, -2015),
        ("signature=0", "k-test", 400, -1102),
        (f"timestamp={NOW_MS}", "k-test", 400, -1102),
        ("timestamp=yesterday&signature=0", "k-test", 400, -1100),
        (f"timestamp={NOW_MS}&signature=00", "k-test", 400, -1022),
        (f"timestamp={NOW_MS}&recvWindow=60001&signature=0", "k-test", 400, -1131),
    ],
)
def test_what_is_wrong_with_a_request(desk, query, key, status, code):
    answer = desk.send("GET", "/fapi/v3/account", query, key=key)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("offset_ms", "window_ms", "good"),
    [
        (0, 5000, True),
        (-5000, 5000, True),
        (-5001, 5000, False),
        (-5001, 10_000, True),
        (999, 5000, True),
        (1000, 60_000, False),
    ],
)
def test_the_receive_window(desk, offset_ms, window_ms, good):
    answer = desk.signed("GET", "/v3/balance", timestamp=NOW_MS + offset_ms, recvWindow=window_ms)
    assert answer.status == (200 if good else 400)
    assert good or answer.code == -1021


def test_the_window_is_by_the_venues_clock(desk):
    desk.world.clock_skew_ns = 7_000_000_000
    answer = desk.signed("GET", "/v3/balance", timestamp=NOW_MS)
    assert answer.code == -1021
    assert desk.public("/v1/time") == {"serverTime": NOW_MS + 7000}


def test_weight_is_counted_by_the_minute_and_told(desk):
    desk.public("/v1/depth", symbol=BTC, limit=50)
    answer = desk.send("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "22"
    assert "X-MBX-ORDER-COUNT-10S" not in answer.headers
    desk.run(60)
    answer = desk.send("GET", "/fapi/v1/time", "")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "1"


def test_orders_are_counted_by_account_and_cost_no_weight(desk):
    before = desk.send("GET", "/fapi/v1/time", "").headers["X-MBX-USED-WEIGHT-1M"]
    desk.order("BUY", "0.01", "61000")
    answer = desk.algo("STOP_MARKET", "SELL", "60000", quantity="0.01")
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "2"
    assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "2"
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == before
    desk.run(10)
    answer = desk.order("BUY", "0.01", "61000")
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "1"
    assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "3"


def test_too_many_orders_in_ten_seconds():
    rates = Rates(lambda: NOW_MS)
    rates.spend_orders("a", 300)
    with pytest.raises(BinanceError) as refused:
        rates.spend_orders("a", 1)
    assert (refused.value.code, refused.value.status) == (-1015, 429)
    assert refused.value.retry_after_s == 10
    assert "300 orders per 10 SECOND" in refused.value.message
    rates.spend_orders("b", 1)


def test_too_much_weight_is_429_and_stubbornness_a_ban():
    now_ms = NOW_MS // 60_000 * 60_000 + 18_000
    rates = Rates(lambda: now_ms)
    rates.spend("ip", 2400)
    with pytest.raises(BinanceError) as refused:
        rates.spend("ip", 1)
    error = refused.value
    assert (error.code, error.status, error.retry_after_s) == (-1003, 429, 42)
    rates.spend("ip", 0)
    for _ in range(19):
        with pytest.raises(BinanceError):
            rates.spend("ip", 1)
    with pytest.raises(BinanceError) as refused:
        rates.spend("ip", 1)
    assert (refused.value.code, refused.value.status) == (-1003, 418)
    with pytest.raises(BinanceError) as refused:
        rates.spend("ip", 0)
    assert (refused.value.status, refused.value.retry_after_s) == (418, 120)
    rates.spend("other ip", 1)


def test_injected_limits_have_the_real_headers(desk):
    desk.world.faults.add(Rule(kind="rate_limited", path="/fapi/v1/order"))
    assert desk.public("/v1/time")
    answer = desk.order("BUY", "0.01", "61000")
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (429, -1003, "30")
    assert desk.order("BUY", "0.01", "61000").status == 200
    desk.world.faults.add(Rule(kind="banned", delay_ms=5000))
    for _ in range(2):
        answer = desk.send("GET", "/fapi/v1/time", "")
        assert (answer.status, answer.code) == (418, -1003)
        assert answer.headers["Retry-After"] == "5"
    desk.run(5)
    assert desk.public("/v1/time")


def test_other_limits_on_command(desk):
    told = desk.dialect.command("limits", {"orders_10s": 2})["rateLimits"]
    assert told == desk.public("/v1/exchangeInfo")["rateLimits"]
    assert [row["limit"] for row in told] == [2400, 1200, 2]
    codes = [desk.order("BUY", "0.01", "61000").status for _ in range(3)]
    assert codes == [200, 200, 429]


def test_injected_failures_and_unknown_paths(desk):
    answer = desk.dialect.failure(-1007, "Timeout waiting", 408)
    assert (answer.status, answer.body) == (408, b'{"code":-1007,"msg":"Timeout waiting"}')
    assert desk.dialect.failure(-1000, "x").status == 400


def test_no_secret_is_shown(desk):
    assert "s-test" not in repr(desk.world.keys["k-test"])
