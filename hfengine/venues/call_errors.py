"""What a failed REST call means: the venue's own code first, ccxt's exception class last.

ccxt writes the venue's answer into the text of its exceptions and maps codes to classes unevenly
(VENUES 1.2, 2), so the code is read out of the text. An HTTP status that no code explains comes
next. Where a call acted on the account, whatever leaves open what happened is VenueUnknown.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import VenueName
from hfengine.venues.answer_codes import (
    BY_CODE,
    DETAIL_CHARS_MAX,
    Meaning,
    meaning_of,
)
from hfengine.venues.answer_codes import BY_REASON as ANSWERS
from hfengine.venues.quirks import Purpose

VenueError = VenueRejected | VenueUnknown | VenueUnavailable

CODE: Final = re.compile(r'"(?:retCode|ret_code|code)"\s*:\s*"?(-?\d{1,9})\b')
"""Bybit's retCode, Binance's and Bitget's code; the first one counts."""

OK: Final = Meaning("", "ok")
RATE_LIMIT: Final = "rate_limit"
IP_BAN: Final = "ip_ban"
CLOCK_SKEW: Final = "clock_skew"
BAD_KEY: Final = "bad_key"

BANNED: Final = Meaning(IP_BAN, "escalate")
LIMITED: Final = Meaning(RATE_LIMIT, "backoff")
OPEN: Final = Meaning("outcome_unknown", "query", unknown=True)
UNREACHED: Final = Meaning("unreachable", "backoff")

POST: Final = "Post"
"""In the name of a raw call: its HTTP method."""

BAN_STATUSES: Final = (403, 418)
LIMIT_STATUS: Final = 429

BY_REASON: Final = ANSWERS | {IP_BAN: BANNED, RATE_LIMIT: LIMITED}
"""What to do about a refusal of which only the reason is at hand."""

BY_CLASS: Final = {
    "InsufficientFunds": Meaning(rejects.INSUFFICIENT_MARGIN, "give_up"),
    "DuplicateOrderId": Meaning(rejects.DUPLICATE_CLIENT_ID, "query", unknown=True),
    "OrderNotFound": Meaning(rejects.UNKNOWN_ORDER, "query"),
    "OrderImmediatelyFillable": Meaning(rejects.WOULD_TRIGGER_IMMEDIATELY, "give_up"),
    "OrderNotFillable": Meaning(rejects.POST_ONLY_WOULD_TAKE, "give_up"),
    "InvalidOrder": Meaning("order_refused", "give_up"),
    "AuthenticationError": Meaning(BAD_KEY, "escalate"),
    "PermissionDenied": Meaning(BAD_KEY, "escalate"),
    "AccountSuspended": Meaning(BAD_KEY, "escalate"),
    "BadSymbol": Meaning(rejects.UNKNOWN_SYMBOL, "fix"),
    "ArgumentsRequired": Meaning("bad_request", "fix"),
    "BadRequest": Meaning("bad_request", "fix"),
    "NotSupported": Meaning("not_supported", "give_up"),
    "NoChange": Meaning("not_modified", "ok"),
    "MarginModeAlreadySet": Meaning(rejects.MARGIN_MODE_NOT_MODIFIED, "ok"),
    "InvalidNonce": Meaning(CLOCK_SKEW, "fix"),
}
"""The fallback, for exchanges whose codes hfengine does not know, by the nearest class."""


class Verdict(NamedTuple):
    """One failed call: what to raise (None: it counts as a success), what it means, its code."""

    error: VenueError | None
    meaning: Meaning
    code: int


def code_in(text: str) -> int:
    """Return the venue's error code in an exception's text, 0 when there is none."""
    for match in CODE.finditer(text):
        if code := int(match[1]):
            return code
    return 0


def judge(
    failure: Exception,
    *,
    venue: VenueName | None,
    purpose: Purpose,
    status: int = 0,
    never_sent: bool = False,
    hide: Callable[[str], str] = str,
) -> Verdict:
    """Return what a call's failure means.

    `venue` None is an exchange whose codes are not known. `status` is the HTTP status if there was
    an answer; `never_sent`: it is certain that nothing left. `hide` takes the credentials out of
    what people get to read.
    """
    text = str(failure)
    code = code_in(text) if venue is not None else 0
    meaning = _meaning(failure, venue, code, status)
    where = f"{venue} {code}" if code else f"HTTP {status}" if status else type(failure).__name__
    detail = f"{where} {hide(text)[:DETAIL_CHARS_MAX]}"
    if never_sent and meaning is UNREACHED:
        return Verdict(VenueUnavailable(f"{meaning.reason}: {detail}"), meaning, 0)
    return Verdict(_error(meaning, purpose, detail), meaning, code or status)


def never_left(error: BaseException | None) -> bool:
    """Tell whether a call failed because no connection could be made."""
    while error is not None:
        if any(base.__name__ == "ClientConnectorError" for base in type(error).__mro__):
            return True
        error = error.__cause__
    return False


def is_sent_once(method: str) -> bool:
    """Tell whether the HTTP client sends a raw call at most once.

    Of all methods but POST it makes another try by itself where a kept connection broke: that the
    second found no connection says nothing of the first.
    """
    return POST in method


def _meaning(failure: Exception, venue: VenueName | None, code: int, status: int) -> Meaning:
    if venue is not None and code and not (status in BAN_STATUSES and code not in BY_CODE[venue]):
        meaning = meaning_of(venue, code, str(failure))
        if meaning.reason == RATE_LIMIT and status in BAN_STATUSES:
            return BANNED
        return meaning
    if status in BAN_STATUSES:
        return BANNED
    if status == LIMIT_STATUS:
        return LIMITED
    classes = [base.__name__ for base in type(failure).__mro__]
    if "NetworkError" in classes or "ExchangeClosedByUser" in classes:
        # without a code only this counts: the answer is missing, whatever the class is called
        skewed = "InvalidNonce" in classes and status
        return BY_CLASS["InvalidNonce"] if skewed else UNREACHED if not status else OPEN
    for name in classes:
        if name in BY_CLASS:
            return BY_CLASS[name]
    return OPEN


def _error(meaning: Meaning, purpose: Purpose, detail: str) -> VenueError | None:
    if meaning.action == "ok":
        return None
    sentence = f"{meaning.reason}: {detail}"
    if meaning.unknown or meaning is UNREACHED:
        return VenueUnavailable(sentence) if purpose == "read" else VenueUnknown(sentence)
    return VenueRejected(meaning.reason, detail)
