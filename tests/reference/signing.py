"""The standard library's HMAC: what the prepared one must equal."""

import hashlib
import hmac


def sign_hex(secret: bytes, message: bytes) -> bytes:
    return hmac.new(secret, message, hashlib.sha256).hexdigest().encode()
