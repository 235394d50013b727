"""Ids as Bybit has them, derived from the exchange's numbers: nothing to remember or restore.

An order's UUID carries the exchange's number, scrambled, in its last 48 bits, so that it can be
read back; the rest is a digest that tells a made-up UUID from a real one.
"""

import hashlib
import re
from functools import lru_cache
from random import Random
from typing import Final

LINK_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}")
MADE_UP: Final = ":"
"""Begins a client id that the venue made up; no client can send it, so it is never shown."""

PROTECTED_LINK_MAX: Final = 33
"""The exchange derives ids of 36 characters from that of an order with stop or target."""

_BITS: Final = 48
_MASK: Final = (1 << _BITS) - 1
_FACTOR: Final = 0x9E3779B97F4B
"""Odd, so that multiplying by it modulo 2**48 can be undone."""
_INVERSE: Final = pow(_FACTOR, -1, 1 << _BITS)


def _uuid(kind: str, number: int) -> str:
    digest = hashlib.sha256(f"{kind}/{number}".encode()).hexdigest()
    tail = f"{number * _FACTOR & _MASK:012x}"
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{tail}"


@lru_cache(maxsize=4096)
def order_id(venue_id: str) -> str:
    """Return the UUID of an order by the exchange's number of it."""
    return _uuid("order", int(venue_id))


def venue_id(order_uuid: str) -> str | None:
    """Return the exchange's number of an order by its UUID; None when it is not one of ours."""
    tail = order_uuid.rpartition("-")[2]
    try:
        number = int(tail, 16) * _INVERSE & _MASK
    except ValueError:
        return None
    return str(number) if _uuid("order", number) == order_uuid else None


def execution_id(fill_id: str) -> str:
    """Return the UUID of an execution."""
    return _uuid("execution", int(fill_id))


def funding_id(account: str, symbol: str, at_ns: int) -> str:
    """Return the UUID of one account's funding of one symbol at one time."""
    digest = hashlib.sha256(f"funding/{account}/{symbol}/{at_ns}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"


def trade_uuid(symbol: str, trade_id: int) -> str:
    """Return the UUID of a public trade."""
    return _uuid(f"trade/{symbol}", trade_id)


def user_id(account: str) -> int:
    """Return the number of an account's user."""
    return int.from_bytes(hashlib.sha256(account.encode()).digest()[:3], "big") + 10_000_000


def made_up_id(random: Random) -> str:
    """Return a client id for an order whose client sent none."""
    return f"{MADE_UP}{random.getrandbits(96):024x}"


def link_id(client_id: str) -> str:
    """Return the `orderLinkId` of an order: what its client chose, "" when that was nothing."""
    return client_id if LINK_ID.fullmatch(client_id) else ""


def alias_of(link: str) -> str:
    """Return a short client id that stands for an `orderLinkId`."""
    return MADE_UP + hashlib.sha256(link.encode()).hexdigest()[:24]
