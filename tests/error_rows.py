"""The rows of VENUES section 2 as a table: what a venue answers, and what our adapter does then."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from msgspec import Struct

Venue = Literal["bybit", "binance", "bitget"]
Call = Literal["place", "reduce", "cancel", "set_leverage", "set_margin_mode", "prepare"]

OK: Final = "ok"
"""The call succeeds, though the venue answered with the code."""
RETRIED: Final = "retried"
"""The call succeeds at its second sending, which is the first one over again."""
UNKNOWN: Final = "unknown"
"""VenueUnknown: the order is looked up by its client id before anything else."""

RELOAD: Final = "reload"
"""The instruments are read anew."""
QUERY: Final = "query"
"""The account is read: orders, positions, balance."""
HALT: Final = "halt"
"""Halt is told with the reason as its source: risk takes no entries."""
ALERT: Final = "alert"
"""Shown in `health`."""


class Answer(Struct, frozen=True):
    """One code of a row: to which call, and what comes of it (a reason is a VenueRejected)."""

    code: int
    outcome: str
    call: Call = "place"
    effects: tuple[str, ...] = ()
    status: int = 0
    text: str = "x"


class Row(Struct, frozen=True):
    """One row: its meaning as VENUES words it, and the codes as they stand there."""

    meaning: str
    answers: Mapping[Venue, tuple[Answer, ...]]
    apart: Mapping[Venue, tuple[int, ...]] = {}
    """Codes and HTTP statuses that have a test of their own."""


def codes(
    outcome: str,
    *numbers: int,
    call: Call = "place",
    effects: tuple[str, ...] = (),
    status: int = 0,
    text: str = "x",
) -> tuple[Answer, ...]:
    """Return codes that mean the same."""
    return tuple(Answer(code, outcome, call, effects, status, text) for code in numbers)


TOO_HIGH = "leverage_above_maximum"
NO_MARGIN = "insufficient_margin"
MODE = "margin_mode_locked"
TRIGGER = "would_trigger_immediately"

ROWS: Final = (
    Row(
        "leverage already set",
        {"bybit": codes(OK, 110043, call="set_leverage")},
    ),
    Row(
        "leverage above max for symbol/tier",
        {
            "bybit": (
                *codes(TOO_HIGH, 110013, 110086, 110090, call="set_leverage", effects=(RELOAD,)),
                *codes(TOO_HIGH, 110090, effects=(RELOAD,)),
            ),
            "binance": (
                *codes(TOO_HIGH, -4028, -2028, call="set_leverage", effects=(RELOAD,)),
                *codes(TOO_HIGH, -2027, effects=(RELOAD,)),
            ),
            "bitget": codes(TOO_HIGH, 40797, 45044, call="set_leverage", effects=(RELOAD,)),
        },
    ),
    Row(
        "leverage refused for account (KYC, < 30/60 days, country)",
        {
            "bybit": codes("leverage_not_allowed", 110087, call="set_leverage", effects=(HALT,)),
            "binance": codes(
                "leverage_not_allowed",
                *(-4202, -4203, -4205, -4206, -4209, -4403),
                call="set_leverage",
                effects=(HALT,),
            ),
        },
    ),
    Row(
        "leverage change refused by mode",
        {"bybit": codes("leverage_mode", 110036, 110038, call="set_leverage", effects=(HALT,))},
    ),
    Row(
        "insufficient margin",
        {
            "bybit": codes(
                NO_MARGIN,
                *(110007, 110012, 110004, 110006, 110044, 110045, 110052),
                effects=(QUERY,),
            ),
            "binance": codes(NO_MARGIN, -2019, -2018, -4051, effects=(QUERY,)),
            "bitget": codes(NO_MARGIN, 40712, 40754, 40762, 43012, effects=(QUERY,)),
        },
    ),
    Row(
        "quantity above max / below min",
        {
            "bybit": codes(
                "above_max_quantity",
                10001,
                effects=(RELOAD,),
                text="The number of contracts exceeds maximum limit allowed: too large",
            ),
            "binance": (
                *codes("above_max_quantity", -4005, effects=(RELOAD,)),
                *codes("below_min_quantity", -4003, -4004, effects=(RELOAD,)),
            ),
            "bitget": (
                *codes("above_max_quantity", 45112, effects=(RELOAD,)),
                *codes("below_min_quantity", 45111, effects=(RELOAD,)),
            ),
        },
    ),
    Row(
        "min notional",
        {
            "bybit": codes("below_min_notional", 110094),
            "binance": codes("below_min_notional", -4164),
            "bitget": codes("below_min_notional", 45110),
        },
    ),
    Row(
        "precision / tick",
        {
            "bybit": codes("bad_request", 10001, effects=(RELOAD,), text="Qty invalid"),
            "binance": codes("bad_precision", -1111, -4014, -4023, effects=(RELOAD,)),
            "bitget": codes("bad_precision", 40808, 45115, effects=(RELOAD,)),
        },
    ),
    Row(
        # no entry is priced anew: book and mark disagree by the band, nothing is worth entering;
        # a reduction goes once more (tests/contract/test_error_rows_engine.py)
        "price band",
        {
            "bybit": codes("price_band", 110003, 110120, 110121),
            "binance": codes("price_band", -4131, -4016, -4024),
            "bitget": codes("price_band", 22046, 22047),
        },
    ),
    Row(
        "reduce-only rejected",
        {
            "bybit": codes("reduce_only_rejected", 110017, call="reduce", effects=(QUERY,)),
            "binance": codes("reduce_only_rejected", -2022, -4118, call="reduce", effects=(QUERY,)),
            "bitget": codes("reduce_only_rejected", 22002, call="reduce", effects=(QUERY,)),
        },
    ),
    Row(
        "duplicate client id",
        {
            "bybit": codes(UNKNOWN, 110072, effects=(QUERY,)),
            "binance": codes(UNKNOWN, -4116, -4115, effects=(QUERY,)),
            "bitget": codes(UNKNOWN, 40786, effects=(QUERY,)),
        },
    ),
    Row(
        "unknown order on cancel/amend",
        {
            "bybit": codes(
                "unknown_order", 110001, 110008, 110010, call="cancel", effects=(QUERY,)
            ),
            # of two lists one may be empty: that is no error of `cancel_all`
            "binance": codes(OK, -2011, -2013, call="cancel", effects=(QUERY,)),
            "bitget": codes("unknown_order", 40109, 40768, 43001, call="cancel", effects=(QUERY,)),
        },
    ),
    Row(
        "timestamp outside window",
        {
            "bybit": codes(RETRIED, 10002),
            "binance": codes(RETRIED, -1021, -5028),
            "bitget": codes(RETRIED, 40004, 40005, 40008),
        },
    ),
    Row(
        "bad signature / key",
        {
            "bybit": codes("bad_key", 10003, 10004, 33004, effects=(HALT,)),
            "binance": codes("bad_key", -1022, -2014, -2015, effects=(HALT,)),
            "bitget": codes("bad_key", 40006, 40009, 40012, effects=(HALT,)),
        },
    ),
    Row(
        "rate limit",
        {
            "bybit": codes(RETRIED, 10006),
            "binance": codes(RETRIED, -1003, -1015, status=429),
            "bitget": codes(RETRIED, 30006),
        },
        {"bybit": (403, 429, 10429, 10403, 20003), "binance": (429, 418)},
    ),
    Row(
        "position mode already / cannot change",
        {
            "bybit": (
                *codes(OK, 110025, call="prepare"),
                *codes("position_mode_locked", 110024, 110028, call="prepare", effects=(ALERT,)),
            ),
            "binance": (
                *codes(OK, -4059, call="prepare"),
                *codes("position_mode_locked", -4068, -4067, call="prepare", effects=(ALERT,)),
            ),
            "bitget": codes("position_mode_locked", 40920, call="prepare", effects=(ALERT,)),
        },
    ),
    Row(
        "order side vs mode",
        {
            "bybit": codes(
                "position_mode_mismatch",
                10001,
                effects=(HALT,),
                text="position idx not match position mode",
            ),
            "binance": codes("position_mode_mismatch", -4061, effects=(HALT,)),
            "bitget": codes("position_mode_mismatch", 40774, effects=(HALT,)),
        },
    ),
    Row(
        "margin mode already / cannot change",
        {
            "bybit": (
                *codes(OK, 110026, 3400045, call="set_margin_mode"),
                *codes(
                    MODE,
                    3400045,
                    call="set_margin_mode",
                    effects=(ALERT,),
                    # as in the sample of a refusal: the reasons stand in the answer
                    text="Set margin mode failed, reasonMsg: has positions",
                ),
            ),
            "binance": (
                *codes(OK, -4046, call="set_margin_mode"),
                *codes(MODE, -4047, -4048, -4168, call="set_margin_mode", effects=(ALERT,)),
            ),
            "bitget": codes(MODE, 45117, call="set_margin_mode", effects=(ALERT,)),
        },
    ),
    Row(
        "would trigger immediately",
        {
            "bybit": (
                *codes(TRIGGER, 110092, 110093),
                *codes(TRIGGER, 10001, text="StopLoss:1 set for Buy position should lower than"),
            ),
            "binance": codes(TRIGGER, -2021),
            "bitget": codes(TRIGGER, 40915, 40917, 45122),
        },
    ),
    Row(
        "post-only would take",
        {"binance": codes("post_only_would_take", -5022)},
    ),
    Row(
        "wrong endpoint for type",
        {"binance": codes("wrong_endpoint", -4120, effects=(RELOAD,))},
    ),
    Row(
        "duplicate closePosition order",
        {"binance": ()},
        {"binance": (-4130,)},
    ),
    Row(
        "max open orders",
        {
            "bybit": codes("too_many_orders", 110009, 110020, effects=(HALT,)),
            "binance": codes("too_many_orders", -2025, -4045, effects=(HALT,)),
            "bitget": codes("too_many_orders", 40889, effects=(HALT,)),
        },
    ),
    Row(
        "reduce-only regime / banned",
        {
            "bybit": codes("reduce_only_regime", 110023, 10027, 110066, 110124, effects=(HALT,)),
            "binance": codes("reduce_only_regime", -4400, -4401, -2023, -4192, effects=(HALT,)),
            "bitget": codes("reduce_only_regime", 41114, 45119, effects=(HALT,)),
        },
    ),
    Row(
        "busy, not executed",
        {
            "bybit": (
                *codes(UNKNOWN, 10016, 10019, effects=(QUERY,)),
                *codes(RETRIED, 429),
            ),
            "binance": codes(UNKNOWN, -1008, -1001, -1000, status=503, effects=(QUERY,)),
            "bitget": codes(UNKNOWN, 40604, 40725, effects=(QUERY,)),
        },
    ),
    Row(
        "unknown status",
        {
            "bybit": codes(UNKNOWN, 10000, 10016, text="Request timeout", effects=(QUERY,)),
            "binance": codes(UNKNOWN, -1007, -1006, status=408, effects=(QUERY,)),
            "bitget": codes(UNKNOWN, 40010, 40015, 45001, effects=(QUERY,)),
        },
        {"binance": (408, 503)},
    ),
)
"""In VENUES' order. Bitget's codes stand in no table there: they are those of `answer_codes`."""


def cases(*venues: Venue) -> Iterator[tuple[Row, Venue]]:
    """Yield each row with each venue that has codes of it."""
    for row in ROWS:
        for venue in venues:
            if row.answers.get(venue):
                yield row, venue


class Written(NamedTuple):
    """One row as VENUES has it."""

    meaning: str
    bybit: frozenset[int]
    binance: frozenset[int]


def written(text: str) -> list[Written]:
    """Return the rows of the table of VENUES section 2: meanings and the numbers of each cell."""
    section = text.split("## 2. Error semantics", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| \n").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    return [Written(_plain(row[0]), _numbers(row[1]), _numbers(row[2])) for row in rows[1:]]


def _plain(cell: str) -> str:
    return cell.replace("**", "").strip()


def _numbers(cell: str) -> frozenset[int]:
    # two cells explain themselves with numbers that are no codes
    codes_only = re.sub(r"\((none|rule)[^)]*\)", "", cell)
    found = re.findall(r"(?<![\w.])-?\d{3,7}(?![\w.])", codes_only)
    return frozenset(map(int, found))


def mirrored() -> list[Written]:
    """Return our rows in the same form."""

    def numbers(row: Row, venue: Venue) -> frozenset[int]:
        own = {answer.code for answer in row.answers.get(venue, ())}
        return frozenset(own.union(row.apart.get(venue, ())))

    return [Written(row.meaning, numbers(row, "bybit"), numbers(row, "binance")) for row in ROWS]


def read_venues(shared: Path) -> list[Written]:
    """Return the rows of the file as it lies beside the clone."""
    return written((shared / "VENUES.md").read_text())
