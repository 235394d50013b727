"""What failed REST calls mean: codes before statuses before ccxt's classes."""

import aiohttp
import ccxt
import pytest
from aiohttp.client_reqrep import ConnectionKey

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.venues.call_errors import code_in, is_sent_once, judge, never_left


def bybit(code: int, message: str = "x") -> str:
    return f'bybit {{"retCode":{code},"retMsg":"{message}","result":{{}},"time":1795227953345}}'


def binance(code: int) -> str:
    return f'binanceusdm {{"code":{code},"msg":"x"}}'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (bybit(110007), 110007),
        ('bybit {"reqId":"7","retCode": 110072,"op":"order.create"}', 110072),
        (binance(-2019), -2019),
        ('bitget {"code":"40768","msg":"Order does not exist"}', 40768),
        ('bitget {"code":"00000","msg":"success"}', 0),
        ("bybit POST https://api.bybit.com/v5/order/create 502 Bad Gateway", 0),
        ("", 0),
    ],
)
def test_the_code_is_read_out_of_the_text(text: str, code: int) -> None:
    assert code_in(text) == code


@pytest.mark.parametrize(
    ("venue", "failure", "reason", "action"),
    [
        ("bybit", ccxt.BadRequest(bybit(110013)), "leverage_above_maximum", "give_up"),
        ("bybit", ccxt.ExchangeError(bybit(110087)), "leverage_not_allowed", "escalate"),
        ("bybit", ccxt.InvalidOrder(bybit(110017)), "reduce_only_rejected", "query"),
        ("bybit", ccxt.InvalidNonce(bybit(10002)), "clock_skew", "fix"),
        ("bybit", ccxt.RateLimitExceeded(bybit(10006)), "rate_limit", "backoff"),
        ("bybit", ccxt.BadRequest(bybit(10001, "StopLoss:1 set")), "would_trigger_immediately", ""),
        # on a loopback address ccxt degrades Binance's classes: the code counts
        ("binance", ccxt.ExchangeError(binance(-2019)), "insufficient_margin", "give_up"),
        ("binance", ccxt.ExchangeError(binance(-2021)), "would_trigger_immediately", "give_up"),
        ("binance", ccxt.ExchangeError(binance(-4005)), "above_max_quantity", "fix"),
    ],
)
def test_a_known_code_is_a_refusal_by_its_name(venue, failure, reason, action) -> None:
    verdict = judge(failure, venue=venue, purpose="order", status=200)
    assert isinstance(verdict.error, VenueRejected)
    assert verdict.error.reason == verdict.meaning.reason == reason
    assert not action or verdict.meaning.action == action


@pytest.mark.parametrize(
    ("venue", "failure"),
    [
        ("bybit", ccxt.BadRequest(bybit(110043))),
        ("bybit", ccxt.NoChange(bybit(110025))),
        ("bybit", ccxt.ExchangeError(bybit(34040))),
        ("binance", ccxt.MarginModeAlreadySet(binance(-4046))),
        (None, ccxt.NoChange("okx nothing to change")),
    ],
)
def test_already_so_is_a_success(venue, failure) -> None:
    verdict = judge(failure, venue=venue, purpose="setting", status=200)
    assert verdict.error is None
    assert verdict.meaning.action == "ok"


LOST = [
    ("bybit", ccxt.ExchangeNotAvailable("bybit POST http://x/v5/order/create"), 0),
    ("bybit", ccxt.RequestTimeout("bybit POST http://x"), 0),
    ("bybit", ccxt.ExchangeNotAvailable("bybit POST http://x 502 Bad Gateway"), 502),
    ("bybit", ccxt.ExchangeError(bybit(10016)), 200),
    ("bybit", ccxt.ExchangeError(bybit(10000)), 200),
    ("bybit", ccxt.ExchangeError(bybit(424242)), 200),
    ("bybit", ccxt.InvalidOrder(bybit(110072)), 200),
    ("binance", ccxt.RequestTimeout(binance(-1007)), 408),
    ("binance", ccxt.OperationFailed(binance(-1008)), 503),
    ("binance", ccxt.InvalidOrder(binance(-4116)), 400),
    (None, ccxt.NetworkError("okx closed"), 0),
    (None, ccxt.ExchangeError("okx said something"), 200),
]


@pytest.mark.parametrize(("venue", "failure", "status"), LOST)
@pytest.mark.parametrize("purpose", ["order", "protect", "setting"])
def test_what_leaves_it_open_is_unknown_where_a_call_acts(venue, failure, status, purpose) -> None:
    verdict = judge(failure, venue=venue, purpose=purpose, status=status)
    assert isinstance(verdict.error, VenueUnknown)


@pytest.mark.parametrize(("venue", "failure", "status"), LOST)
def test_a_reading_that_was_lost_is_only_unavailable(venue, failure, status) -> None:
    verdict = judge(failure, venue=venue, purpose="read", status=status)
    assert isinstance(verdict.error, VenueUnavailable)


@pytest.mark.parametrize("purpose", ["order", "protect", "setting", "read"])
def test_what_certainly_never_left_is_unavailable_and_nothing_else_of_it_matters(purpose) -> None:
    refused = ccxt.ExchangeNotAvailable("binanceusdm POST http://x/fapi/v1/order")
    verdict = judge(refused, venue="binance", purpose=purpose, never_sent=True)
    assert isinstance(verdict.error, VenueUnavailable)
    assert verdict.meaning.reason == "unreachable"


def test_an_answer_beats_the_belief_that_nothing_was_sent() -> None:
    failure = ccxt.ExchangeNotAvailable("bybit POST http://x 502 Bad Gateway")
    verdict = judge(failure, venue="bybit", purpose="order", status=502, never_sent=True)
    assert isinstance(verdict.error, VenueUnknown)


def test_only_a_connection_that_could_not_be_made_never_left() -> None:
    key = ConnectionKey("x", 443, True, True, None, None, None)
    refused = ccxt.ExchangeNotAvailable("x")
    refused.__cause__ = aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "refused"))
    assert never_left(refused)
    for broken in (aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError(104, "reset")):
        cut = ccxt.ExchangeNotAvailable("x")
        cut.__cause__ = broken
        assert not never_left(cut)


@pytest.mark.parametrize(
    ("method", "once"),
    [
        ("fapiPrivatePostOrder", True),
        ("privatePostV5OrderCreate", True),
        ("fapiPrivateDeleteOrder", False),
        ("fapiPrivatePutOrder", False),
        ("create_order", False),
    ],
)
def test_only_a_post_is_never_repeated_by_the_http_client(method: str, once: bool) -> None:
    assert is_sent_once(method) is once


def test_no_answer_and_an_answer_that_leaves_it_open_have_different_names() -> None:
    silent = judge(ccxt.InvalidNonce("x POST"), venue="bybit", purpose="order")
    assert silent.meaning.reason == "unreachable"
    failed = judge(ccxt.ExchangeNotAvailable("x 502"), venue="bybit", purpose="order", status=502)
    assert failed.meaning.reason == "outcome_unknown"


@pytest.mark.parametrize("venue", ["bybit", "binance", None])
@pytest.mark.parametrize(
    ("status", "reason", "action"),
    [(403, "ip_ban", "escalate"), (418, "ip_ban", "escalate"), (429, "rate_limit", "backoff")],
)
def test_a_status_without_a_code_that_explains_it(venue, status, reason, action) -> None:
    failure = ccxt.DDoSProtection(f"x POST http://x {status} body")
    verdict = judge(failure, venue=venue, purpose="order", status=status)
    assert isinstance(verdict.error, VenueRejected)
    assert (verdict.meaning.reason, verdict.meaning.action) == (reason, action)


def test_a_ban_with_a_code_for_rate_is_a_ban() -> None:
    failure = ccxt.RateLimitExceeded(binance(-1003))
    assert judge(failure, venue="binance", purpose="order", status=418).meaning.reason == "ip_ban"
    assert (
        judge(failure, venue="binance", purpose="order", status=429).meaning.reason == "rate_limit"
    )


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (ccxt.InsufficientFunds("okx"), "insufficient_margin"),
        (ccxt.OrderNotFound("okx"), "unknown_order"),
        (ccxt.AuthenticationError("okx"), "bad_key"),
        (ccxt.BadSymbol("okx"), "unknown_symbol"),
        (ccxt.OrderImmediatelyFillable("okx"), "would_trigger_immediately"),
    ],
)
def test_without_a_table_of_codes_the_class_names_it(failure, reason) -> None:
    verdict = judge(failure, venue=None, purpose="order", status=200)
    assert isinstance(verdict.error, VenueRejected)
    assert verdict.error.reason == reason


def test_secrets_are_taken_out_of_what_is_said() -> None:
    failure = ccxt.AuthenticationError(bybit(10003, "key k-secret"))
    verdict = judge(
        failure,
        venue="bybit",
        purpose="read",
        status=200,
        hide=lambda text: text.replace("k-secret", "***"),
    )
    assert "k-secret" not in str(verdict.error)
    assert "***" in str(verdict.error)
