"""Who is asking: API key, receive window by the venue's clock, signature over the raw bytes."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from hfengine.localvenue.bybit.errors import BAD_KEY, BAD_SIGNATURE, EXPIRED, PARAMETERS, Refused
from hfengine.localvenue.ports import ApiKey, HttpRequest

WINDOW_MS: Final = 5000
AHEAD_MS: Final = 1000
"""A timestamp may lie this much ahead of the venue's clock, exclusive."""


def signature(secret: bytes, payload: bytes) -> str:
    """Return the hex HMAC-SHA256 that Bybit wants."""
    return hmac.new(secret, payload, hashlib.sha256).hexdigest()


def check_window(timestamp: str, window: str, now_ms: int) -> None:
    """Check server - window <= timestamp < server + 1000 ms; raises Refused 10002."""
    try:
        at_ms, window_ms = int(timestamp), int(window or WINDOW_MS)
    except ValueError:
        raise Refused(PARAMETERS, "params error: timestamp or recv_window invalid") from None
    if not now_ms - window_ms <= at_ms < now_ms + AHEAD_MS:
        raise Refused(
            EXPIRED,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{at_ms}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
        )


def authenticate(request: HttpRequest, keys: Mapping[str, ApiKey], now_ms: int) -> ApiKey:
    """Return the key that signed a REST request; raises Refused 10001, 10002, 10003 or 10004.

    Signed are timestamp, key, receive window and the raw query (GET) or the raw body (POST).
    """
    headers = request.headers
    name = headers.get("x-bapi-api-key", "")
    timestamp = headers.get("x-bapi-timestamp", "")
    window = headers.get("x-bapi-recv-window", "")
    signed = headers.get("x-bapi-sign", "")
    if not (name and timestamp and signed):
        raise Refused(
            PARAMETERS,
            f"empty value: apiTimestamp[{timestamp}] apiKey[{name}] apiSignature[{signed}]",
        )
    key = keys.get(name)
    if key is None:
        raise Refused(BAD_KEY, "API key is invalid.")
    check_window(timestamp, window, now_ms)
    payload = request.raw_query.encode() if request.method == "GET" else request.body
    origin = f"{timestamp}{name}{window}".encode() + payload
    if not hmac.compare_digest(signature(key.secret, origin), signed):
        shown = origin.decode(errors="replace")
        raise Refused(
            BAD_SIGNATURE,
            f"error sign! please check your signature generation algorithm. origin_string[{shown}]",
        )
    return key


def authenticate_socket(arguments: object, keys: Mapping[str, ApiKey], now_ms: int) -> ApiKey:
    """Return the key of an `auth` frame [key, expires, signature]; raises Refused.

    The signature is over "GET/realtime" and the expiry, which must lie ahead.
    """
    if not isinstance(arguments, list) or len(arguments) != 3:
        raise Refused(PARAMETERS, "Params Error")
    name, expires, signed = (str(one) for one in arguments)
    key = keys.get(name)
    if key is None:
        raise Refused(BAD_KEY, "Invalid apikey")
    if not expires.isdigit() or int(expires) <= now_ms:
        raise Refused(BAD_SIGNATURE, "Request expired")
    if not hmac.compare_digest(signature(key.secret, f"GET/realtime{expires}".encode()), signed):
        raise Refused(BAD_SIGNATURE, "error sign")
    return key
