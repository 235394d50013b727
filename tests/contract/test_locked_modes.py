"""A margin mode that a position keeps as it is: one sentence says what, where, and what to do."""

from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected
from hfengine.requests import OrderRequest
from hfengine.venues.locked_modes import in_words
from tests.live_desk import SYMBOL, LiveDesk, live
from tests.localvenue_desk import run_live


def hold(desk: LiveDesk) -> None:
    """Open a position as an earlier run, or a person, left it."""
    desk.world.move(SYMBOL, to_price=desk.mid)
    request = OrderRequest("hf-0-000001e0", SYMBOL, 1, "market", Decimal("0.010"))
    desk.world.act(lambda now: desk.world.exchange.place("main", request, now))
    assert desk.world.exchange.position_reports("main", SYMBOL)[0].changed.quantity


def told_well(refused: VenueRejected, *words: str) -> None:
    assert refused.reason == "margin_mode_locked"
    for word in (*words, "close and cancel", "leverage.margin_mode"):
        assert word in refused.detail
    assert not set('{}[]"') & set(refused.detail), "no raw answer"


@pytest.mark.parametrize(
    ("name", "code"), [("binance", "binance -4048"), ("bitget", "bitget 45117"), ("bybit", "bybit")]
)
def test_a_symbols_locked_mode_is_a_sentence_with_the_venues_code(name: str, code: str) -> None:
    async def scenario() -> None:
        async with live(name) as desk:
            hold(desk)
            kept = (await desk.venue.leverage_of(SYMBOL)).margin_mode
            other: Any = "cross" if kept == "isolated" else "isolated"
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.set_margin_mode(SYMBOL, other)
            told_well(refused.value, name, f"of {SYMBOL} to {other}", code)
            assert (await desk.venue.leverage_of(SYMBOL)).margin_mode == kept

    run_live(scenario)


def test_a_start_that_cannot_set_the_accounts_mode_says_so() -> None:
    async def scenario() -> None:
        async with live("bybit", margin_mode="isolated", connected=False) as desk:
            hold(desk)
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.prepare()
            told_well(refused.value, "bybit", "the account's margin mode to isolated")

    run_live(scenario)


async def refuse(reason: str, detail: str) -> None:
    raise VenueRejected(reason, detail)


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ('binance -4048 binance {"code":-4048,"msg":"There is a position."}', "There is a"),
        ("BTCUSDT: has a position", "(BTCUSDT: has a position)"),
        ("HTTP 400 {garbled", " is open (HTTP 400): close"),
        ("", " is open: close"),
    ],
)
def test_what_the_venue_said_is_kept_where_it_can_be_read(detail: str, said: str) -> None:
    async def scenario() -> None:
        with pytest.raises(VenueRejected) as refused:
            await in_words(refuse("margin_mode_locked", detail), "x", SYMBOL, "cross")
        assert said in refused.value.detail

    run_live(scenario)


def test_other_refusals_are_left_as_they_are() -> None:
    async def scenario() -> None:
        with pytest.raises(VenueRejected) as refused:
            await in_words(refuse("bad_key", "HTTP 401"), "x", SYMBOL, "cross")
        assert (refused.value.reason, refused.value.detail) == ("bad_key", "HTTP 401")

    run_live(scenario)
