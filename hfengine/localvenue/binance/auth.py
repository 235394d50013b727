"""Who signed a request: the key, the signature over the raw bytes, and the receive window."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final

from hfengine.localvenue.binance.errors import BinanceError, missing
from hfengine.localvenue.binance.params import WHOLE, malformed
from hfengine.localvenue.ports import ApiKey, HttpRequest

WINDOW_MS: Final = 5000
WINDOW_MAX_MS: Final = 60_000
AHEAD_MS: Final = 1000
"""How far ahead of the venue a timestamp may be."""


class Auth:
    """Checks keys, signatures and timestamps by the venue's clock."""

    def __init__(self, keys: Mapping[str, ApiKey], now_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._now_ms = now_ms

    def key(self, key: str) -> ApiKey:
        """Return the key of a request that needs no signature; raises BinanceError."""
        if not key:
            raise BinanceError(-2014, "API-key format invalid.", 401)
        found = self._keys.get(key)
        if found is None:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return found

    def request(self, request: HttpRequest, params: Mapping[str, str]) -> ApiKey:
        """Return the key that signed a REST request; raises BinanceError.

        What is signed is the query and then the body as sent, without the signature wherever it
        stands; between them there is nothing.
        """
        key = self.key(request.headers.get("x-mbx-apikey", ""))
        query, in_query = _unsigned(request.raw_query)
        body, in_body = _unsigned(request.body.decode("utf-8", "replace"))
        self._check(key, (query + body).encode(), in_query or in_body, params)
        return key

    def message(self, params: Mapping[str, str]) -> ApiKey:
        """Return the key that signed a websocket request: over its parameters, sorted."""
        key = self.key(params.get("apiKey", ""))
        signed = "&".join(
            f"{name}={text}" for name, text in sorted(params.items()) if name != "signature"
        )
        self._check(key, signed.encode(), params.get("signature", ""), params)
        return key

    def _check(self, key: ApiKey, signed: bytes, signature: str, params: Mapping[str, str]) -> None:
        timestamp_ms = _milliseconds(params, "timestamp")
        if timestamp_ms is None:
            raise missing("timestamp")
        window_ms = _milliseconds(params, "recvWindow")
        if window_ms is None:
            window_ms = WINDOW_MS
        if window_ms > WINDOW_MAX_MS:
            raise BinanceError(-1131, "recvWindow must be less than 60000")
        if not signature:
            raise missing("signature")
        age_ms = self._now_ms() - timestamp_ms
        if age_ms <= -AHEAD_MS:
            message = "Timestamp for this request was 1000ms ahead of the server's time."
            raise BinanceError(-1021, message)
        if age_ms > window_ms:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
        wanted = hmac.new(key.secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted.encode(), signature.lower().encode()):
            raise BinanceError(-1022, "Signature for this request is not valid.")


def _unsigned(text: str) -> tuple[str, str]:
    """Return a query or form without its signature, and the signature."""
    if "signature=" not in text:
        return text, ""
    kept, signature = [], ""
    for part in text.split("&"):
        if part.startswith("signature="):
            signature = part.removeprefix("signature=")
        else:
            kept.append(part)
    return "&".join(kept), signature


def _milliseconds(params: Mapping[str, str], name: str) -> int | None:
    given = params.get(name)
    if not given:
        return None
    if not WHOLE.fullmatch(given):
        raise malformed(name)
    return int(given)
