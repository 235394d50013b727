"""What a venue's error codes mean, as one table: a named reason, what to do, and what is certain.

Source: VENUES 2. A code that leaves the outcome open never counts as a refusal: the order is
looked up by its client id before anything else.
"""

from typing import Final, Literal

from msgspec import Struct

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.exchange import rejects
from hfengine.instruments import VenueName

Action = Literal["ok", "fix", "give_up", "query", "backoff", "escalate"]
"""ok: a success; fix: our mistake or stale rules, reload and ask once more; give_up: drop this
intent; query: look at the venue first; backoff: later; escalate: stop entries, tell a person."""

DETAIL_CHARS_MAX: Final = 200


class Meaning(Struct, frozen=True):
    """One row: what codes of each venue mean; `unknown` when the order may have been placed."""

    reason: str
    action: Action
    bybit: tuple[int, ...] = ()
    binance: tuple[int, ...] = ()
    bitget: tuple[int, ...] = ()
    unknown: bool = False


MEANINGS: Final = (
    Meaning("leverage_not_modified", "ok", (110043,)),
    Meaning("protection_not_modified", "ok", (34040,)),
    Meaning(
        rejects.LEVERAGE_ABOVE_MAXIMUM,
        "give_up",
        (110013, 110086, 110090),
        (-4028, -2027, -2028),
        (40797, 45044),
    ),
    Meaning(
        "leverage_not_allowed",
        "escalate",
        (110087,),
        (-4202, -4203, -4205, -4206, -4209, -4403),
    ),
    Meaning("leverage_mode", "escalate", (110036, 110038)),
    Meaning(
        rejects.INSUFFICIENT_MARGIN,
        "give_up",
        (110004, 110006, 110007, 110012, 110044, 110045, 110052),
        (-2018, -2019, -4051),
        (40712, 40754, 40762, 43012),
    ),
    Meaning("bad_request", "fix", (10001,), (), (40017, 40019, 40020, 40034, 43011, 400172)),
    Meaning(rejects.ABOVE_MAX_QUANTITY, "fix", (), (-4005,), (45112,)),
    Meaning(rejects.BELOW_MIN_QUANTITY, "fix", (), (-4003, -4004), (45111,)),
    Meaning(rejects.BELOW_MIN_NOTIONAL, "give_up", (110094,), (-4164,), (45110,)),
    Meaning("bad_precision", "fix", (), (-1111, -4014, -4023), (40808, 45115)),
    Meaning(
        rejects.PRICE_BAND,
        "give_up",
        (110003, 110120, 110121),
        (-4131, -4016, -4024),
        (22046, 22047),
    ),
    Meaning(rejects.REDUCE_ONLY_REJECTED, "query", (110017,), (-2022, -4118), (22002,)),
    # the order is there: our own, sent before
    Meaning(
        rejects.DUPLICATE_CLIENT_ID, "query", (110072,), (-4116, -4115), (40786,), unknown=True
    ),
    Meaning("duplicate_request_id", "fix", (20006,)),
    Meaning(
        rejects.UNKNOWN_ORDER,
        "query",
        (110001, 110008, 110010),
        (-2011, -2013),
        (40109, 40768, 43001, 43025),
    ),
    Meaning("clock_skew", "fix", (10002,), (-1021, -5028), (40004, 40005, 40008)),
    Meaning(
        "bad_key",
        "escalate",
        (10003, 10004, 33004),
        (-1022, -2014, -2015),
        (40002, 40006, 40009, 40011, 40012, 40014, 40018, 40036, 40037),
    ),
    Meaning(
        "rate_limit",
        "backoff",
        (10006, 403, 429, 10429, 10403, 20003),
        (-1003, -1015),
        (429, 30006),
    ),
    Meaning("position_mode_not_modified", "ok", (110025,), (-4059,)),
    Meaning("position_mode_locked", "escalate", (110024, 110028), (-4068, -4067), (40920,)),
    Meaning("position_mode_mismatch", "escalate", (), (-4061,), (40774,)),
    Meaning(rejects.MARGIN_MODE_NOT_MODIFIED, "ok", (110026, 3400045), (-4046,)),
    Meaning(rejects.MARGIN_MODE_LOCKED, "escalate", (), (-4047, -4048, -4168), (45117,)),
    Meaning(
        rejects.WOULD_TRIGGER_IMMEDIATELY,
        "give_up",
        (110092, 110093),
        (-2021,),
        (40915, 40917, 45122, 45135),
    ),
    Meaning(rejects.POST_ONLY_WOULD_TAKE, "give_up", (), (-5022,)),
    Meaning(rejects.TIER_EXCEEDED, "give_up", (), (), (40763,)),
    Meaning(rejects.NO_POSITION, "query", (), (), (43023,)),
    Meaning("nothing_to_cancel", "ok", (), (), (22001,)),
    Meaning("wrong_endpoint", "fix", (10404,), (-4120,)),
    Meaning("protection_exists", "query", (), (-4130,)),
    Meaning("too_many_orders", "escalate", (110009, 110020), (-2025, -4045), (40889,)),
    Meaning(
        "reduce_only_regime",
        "escalate",
        (110023, 10027, 110066, 110124),
        (-4400, -4401, -2023, -4192),
        (41114, 45119),
    ),
    Meaning("busy", "query", (10019,), (-1008, -1001, -1000), (40604, 40725), unknown=True),
    Meaning(
        "outcome_unknown",
        "query",
        (10000, 10016),
        (-1006, -1007),
        (40010, 40015, 45001),
        unknown=True,
    ),
)

BY_REASON: Final = {meaning.reason: meaning for meaning in MEANINGS}

BY_CODE: Final[dict[VenueName, dict[int, Meaning]]] = {
    "bybit": {code: meaning for meaning in MEANINGS for code in meaning.bybit},
    "binance": {code: meaning for meaning in MEANINGS for code in meaning.binance},
    "bitget": {code: meaning for meaning in MEANINGS for code in meaning.bitget},
}

BY_TEXT: Final[dict[tuple[VenueName, int], tuple[tuple[str, str], ...]]] = {
    ("bybit", 10001): (
        ("exceeds maximum limit", rejects.ABOVE_MAX_QUANTITY),
        ("position idx not match", "position_mode_mismatch"),
        ("StopLoss:", rejects.WOULD_TRIGGER_IMMEDIATELY),
        ("TakeProfit:", rejects.WOULD_TRIGGER_IMMEDIATELY),
    ),
    # "already so" without a reason, a refusal with one
    ("bybit", 3400045): (("reasonMsg", rejects.MARGIN_MODE_LOCKED),),
}
"""Codes that mean many things: a part of the venue's words, and the reason it tells (VENUES 2)."""

SURELY_REFUSED: Final[dict[VenueName, tuple[range, ...]]] = {
    "bybit": (range(20000, 40000), range(110000, 200000), range(3400000, 3500000)),
    "binance": (range(-1199, -1100), range(-5999, -2000)),
    "bitget": (range(22000, 23000), range(40000, 50000), range(400000, 500000)),
}
"""Where a code the table does not list still says that the request was looked at and refused; the
rest (gateways, time-outs, what is new) leaves the outcome open."""


def meaning_of(venue: VenueName, code: int, text: str = "") -> Meaning:
    """Return what an error code means; one not listed is named after its number.

    `text` is what the venue said with it: some codes mean many things.
    """
    for words, reason in BY_TEXT.get((venue, code), ()):
        if words in text:
            return BY_REASON[reason]
    meaning = BY_CODE[venue].get(code)
    if meaning is not None:
        return meaning
    if any(code in codes for codes in SURELY_REFUSED[venue]):
        return Meaning(f"code_{code}", "give_up")
    return Meaning(f"code_{code}", "query", unknown=True)


def refusal(venue: VenueName, code: int, text: str) -> VenueRejected | VenueUnknown:
    """Return the error an order's answer with `code` stands for."""
    meaning = meaning_of(venue, code, text)
    detail = f"{venue} {code} {text[:DETAIL_CHARS_MAX]}"
    if meaning.unknown:
        return VenueUnknown(f"{meaning.reason}: {detail}")
    return VenueRejected(meaning.reason, detail)
