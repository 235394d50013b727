"""Bitget's doors: signatures, clocks, limits, envelopes, faults that strike before any handler."""

import msgspec
import pytest

from hfengine.localvenue.bitget import rates
from hfengine.localvenue.faults import Rule
from hfengine.localvenue.ports import HttpRequest
from tests.bitget_venue import ACCOUNT, COMMON, MARKET, PRODUCT, SECRET, on_still_venue, sign

ASK = HttpRequest(
    method="GET",
    path=f"{ACCOUNT}accounts",
    raw_query="productType=USDT-FUTURES",
    headers={},
    body=b"",
    query=PRODUCT,
)


def asked(query: str, decoded: str = "") -> HttpRequest:
    return msgspec.structs.replace(ASK, raw_query=query, query={"productType": decoded or "x"})


def test_a_signed_request_is_answered_in_the_envelope():
    async def scenario(venue):
        answer = await venue.send(venue.signed(ASK))
        assert (answer["code"], answer["msg"]) == ("00000", "success")
        assert answer["requestTime"] == venue.world.now_ms()
        assert venue.status == 200
        assert answer["data"][0]["accountEquity"] == "10000"

    on_still_venue(scenario)


@pytest.mark.parametrize(
    ("header", "given", "code"),
    [
        ("access-key", "", "40006"),
        ("access-key", "nobody", "40037"),
        ("access-passphrase", "wrong", "40012"),
        ("access-sign", "", "40003"),
        ("access-sign", "d3Jvbmc=", "40009"),
        ("access-timestamp", "soon", "40005"),
        ("access-timestamp", "1", "40008"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_own_code(header, given, code):
    async def scenario(venue):
        answer = await venue.send(venue.signed(ASK, **{header: given}))
        assert (answer["code"], venue.status, answer["data"]) == (code, 400, None)

    on_still_venue(scenario)


@pytest.mark.parametrize(("off_ms", "code"), [(29_000, "00000"), (-29_000, "00000")])
def test_thirty_seconds_either_way_are_let_in(off_ms, code):
    async def scenario(venue):
        timestamp = str(venue.world.now_ms() + off_ms)
        text = f"{timestamp}GET{ASK.path}?{ASK.raw_query}"
        request = venue.signed(
            ASK, **{"access-timestamp": timestamp, "access-sign": sign(SECRET, text)}
        )
        assert (await venue.send(request))["code"] == code

    on_still_venue(scenario)


def test_the_query_may_be_signed_decoded_as_ccxt_does():
    async def scenario(venue):
        encoded, plain = "coin=a%20b&productType=USDT-FUTURES", "coin=a b&productType=USDT-FUTURES"
        timestamp = str(venue.world.now_ms())
        signature = sign(SECRET, f"{timestamp}GET{ASK.path}?{plain}")
        request = venue.signed(asked(encoded, "USDT-FUTURES"), **{"access-sign": signature})
        assert (await venue.send(request))["code"] == "00000"

    on_still_venue(scenario)


def test_a_body_is_signed_byte_for_byte():
    async def scenario(venue):
        request = msgspec.structs.replace(
            ASK, method="POST", path=f"{ACCOUNT}set-leverage", raw_query="", body=b'{"a":1}'
        )
        signed = venue.signed(request)
        spoiled = msgspec.structs.replace(signed, body=b'{"a": 1}')
        assert (await venue.send(spoiled))["code"] == "40009"

    on_still_venue(scenario)


def test_an_endpoint_has_so_many_calls_a_second_and_says_what_is_left():
    async def scenario(venue):
        left = []
        for _ in range(6):
            await venue.get("/api/v2/mix/position/all-position", **PRODUCT)
            left.append(venue.headers.get(rates.HEADER))
        assert left == ["4", "3", "2", "1", "0", None]
        assert venue.status == 429
        other = await venue.get(f"{ACCOUNT}accounts", **PRODUCT)
        assert isinstance(other, list)
        venue.world.clock.advance_to(venue.world.clock.now_ns() + 1_000_000_000)
        assert await venue.get("/api/v2/mix/position/all-position", **PRODUCT) == []

    on_still_venue(scenario)


def test_an_address_has_six_thousand_calls_a_minute_and_then_five_minutes_of_nothing():
    limits = rates.Rates()
    for _ in range(rates.ADDRESS_PER_MINUTE):
        limits.admit("a", 0)
    with pytest.raises(Exception, match="429"):
        limits.admit("a", 10)
    limits.admit("b", 10)
    with pytest.raises(Exception, match="429"):
        limits.admit("a", rates.ADDRESS_PAUSE_MS)
    limits.admit("a", rates.ADDRESS_PAUSE_MS + 10)


def test_faults_that_refuse_whatever_is_asked():
    async def scenario(venue):
        venue.world.faults.add(Rule(kind="rate_limited"))
        venue.world.faults.add(Rule(kind="banned", path="accounts"))
        assert await venue.get(f"{ACCOUNT}accounts", **PRODUCT) == ("429", "Too Many Requests")
        assert venue.status == 429
        assert await venue.get(f"{ACCOUNT}accounts", **PRODUCT) == ("40018", "Invalid IP")
        assert venue.status == 403
        assert isinstance(await venue.get(f"{ACCOUNT}accounts", **PRODUCT), list)

    on_still_venue(scenario)


def test_an_injected_failure_and_an_unknown_path_speak_the_envelope():
    async def scenario(venue):
        answer = venue.dialect.failure(40200, 'Server "upgrade"', 503)
        told = msgspec.json.decode(answer.body)
        assert (told["code"], told["msg"], answer.status) == ("40200", 'Server "upgrade"', 503)
        assert msgspec.json.decode(venue.dialect.not_found(ASK).body)["code"] == "40404"

    on_still_venue(scenario)


def test_what_is_asked_wrongly_is_refused():
    async def scenario(venue):
        assert (await venue.get(f"{ACCOUNT}account", **PRODUCT))[0] == "40019"
        assert (await venue.get(f"{ACCOUNT}account", **{**COMMON, "symbol": "NOUSDT"}))[
            0
        ] == "40034"
        assert (await venue.get(f"{MARKET}contracts", productType="SPOT"))[0] == "40020"
        assert await venue.get(f"{MARKET}contracts", productType="COIN-FUTURES") == []
        assert (await venue.get("/api/v3/account/settings"))[0] == "40084"

    on_still_venue(scenario)
