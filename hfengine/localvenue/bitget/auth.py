"""Who a request comes from: headers signed over its raw bytes, and the login frame of a socket."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from hfengine.localvenue.bitget.errors import Refused
from hfengine.localvenue.ports import ApiKey, HttpRequest

WINDOW_MS: Final = 30_000
"""How far a timestamp may lie from the venue's clock, either way."""


def sign(secret: bytes, text: str) -> str:
    """Return the base64 HMAC-SHA256 of a text."""
    return base64.b64encode(hmac.new(secret, text.encode(), hashlib.sha256).digest()).decode()


def authenticate(request: HttpRequest, keys: Mapping[str, ApiKey], now_ms: int) -> ApiKey:
    """Return the key of a signed request; raises Refused.

    The query is signed as sent or decoded: ccxt signs it decoded and sends it encoded.
    """
    headers = request.headers
    name = headers.get("access-key", "")
    if not name:
        raise Refused("40006", "Invalid ACCESS_KEY")
    key = keys.get(name)
    if key is None:
        raise Refused("40037", "Apikey does not exist")
    timestamp = headers.get("access-timestamp", "")
    if not timestamp.isdecimal():
        raise Refused("40005", "Invalid ACCESS_TIMESTAMP")
    if abs(int(timestamp) - now_ms) > WINDOW_MS:
        raise Refused("40008", "Request timestamp expired")
    given = headers.get("access-sign", "")
    if not given:
        raise Refused("40003", "Signature cannot be empty")
    if headers.get("access-passphrase", "") != key.passphrase:
        raise Refused("40012", "apikey/password is incorrect")
    before = f"{timestamp}{request.method}{request.path}"
    body = request.body.decode(errors="replace")
    queries = (request.raw_query, unquote(request.raw_query)) if request.raw_query else ("",)
    for query in queries:
        text = f"{before}?{query}{body}" if query else f"{before}{body}"
        if hmac.compare_digest(sign(key.secret, text), given):
            return key
    raise Refused("40009", "sign signature error")


def login(given: Any, keys: Mapping[str, ApiKey], now_ms: int) -> ApiKey | tuple[int, str]:
    """Return the key of a login frame's argument, or the code and message of its refusal.

    The timestamp is in seconds, as ccxt sends it, or in milliseconds.
    """
    if not isinstance(given, dict):
        return 30016, "Param error"
    key = keys.get(str(given.get("apiKey", "")))
    if key is None:
        return 30011, "Invalid ACCESS_KEY"
    if str(given.get("passphrase", "")) != key.passphrase:
        return 30012, "Invalid ACCESS_PASSPHRASE"
    timestamp = str(given.get("timestamp", ""))
    if not timestamp.isdecimal():
        return 30013, "Invalid ACCESS_TIMESTAMP"
    at_ms = int(timestamp) * (1 if len(timestamp) > 11 else 1000)
    if abs(at_ms - now_ms) > WINDOW_MS:
        return 30014, "Request timestamp expired"
    if not hmac.compare_digest(
        sign(key.secret, f"{timestamp}GET/user/verify"), str(given.get("sign", ""))
    ):
        return 30015, "Invalid sign"
    return key
