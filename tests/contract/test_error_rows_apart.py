"""Rows of VENUES section 2 whose answer is no code, and rows by their real cause."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.actors.proving import Proving, prove
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import Halt, ProtectionRefused, Resume
from hfengine.requests import OrderRequest
from hfengine.venues import venue_desk
from tests.error_desk import PATHS, erring, outcome_of
from tests.error_rows import OK, UNKNOWN
from tests.live_desk import SYMBOL, LiveDesk
from tests.localvenue_desk import run_live

TWO = ("bybit", "binance")
THREE = (*TWO, "bitget")
NONE = Decimal(0)


async def held(desk: LiveDesk, client_id: str = "hf-b-000001e0", **changes: Any) -> OrderRequest:
    """Open a position, with a bracket unless told otherwise."""
    request = desk.bracket(client_id, **changes)
    await desk.venue.place(request)
    await desk.until(lambda: desk.position() and desk.position().quantity)
    if request.stop:
        await desk.until(lambda: desk.position().covered)
    return request


def orders(desk: LiveDesk, client_id: str) -> int:
    """Return how many orders the venue has of a client id."""
    reports = desk.world.exchange.order_reports("main")
    return sum(report.update.client_id == client_id for report in reports)


# leverage


def test_leverage_said_to_be_set_is_proved_by_reading_it() -> None:
    async def scenario() -> None:
        async with erring("bybit") as at:
            desk = at.desk
            before = (await desk.venue.leverage_of(SYMBOL)).leverage
            desk.fault(
                "error_before", path=PATHS["bybit"]["set_leverage"], code=110043, message="same"
            )
            asked = Proving(SYMBOL, 33, "isolated", may_set=True)
            setting, source = await prove(desk.venue, asked)
            assert (setting.leverage, source) == (before, "set and read")
            assert before != 33

    run_live(scenario)


@pytest.mark.parametrize("name", THREE)
def test_leverage_above_the_maximum_is_refused_and_the_tiers_are_read_anew(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            at.sent.clear()
            most = int(at.desk.venue.instruments[SYMBOL].max_leverage)
            with pytest.raises(VenueRejected) as refused:
                await at.desk.venue.set_leverage(SYMBOL, most + 25)
            assert refused.value.reason == "leverage_above_maximum"
            await at.desk.until(lambda: at.count("instruments"))
            assert at.desk.told(Halt) == []

    run_live(scenario)


# orders


@pytest.mark.parametrize("name", THREE)
def test_margin_that_is_missing_is_asked_for_once_and_the_account_is_read(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            desk, venue = at.desk, at.desk.venue
            rounds = venue.health["reconciliations"]
            most = str(venue.instruments[SYMBOL].market_quantity_max)
            with pytest.raises(VenueRejected) as refused:
                await venue.place(desk.bracket("hf-b-000001e0", most, stop=NONE, target=NONE))
            assert refused.value.reason in ("insufficient_margin", "tier_exceeded")
            if refused.value.reason == "insufficient_margin":
                await desk.until(lambda: venue.health["reconciliations"] > rounds)
            assert at.count("place") == 1
            assert desk.world.exchange.fills("main") == []

    run_live(scenario)


@pytest.mark.parametrize("name", THREE)
def test_the_same_client_id_again_is_adopted_and_never_doubled(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            request = desk.bracket("hf-b-000001e0", stop=NONE, target=NONE)
            await desk.venue.place(request)
            with pytest.raises(VenueUnknown):
                await desk.venue.place(request)
            found = await desk.venue.order_by_id(SYMBOL, request.client_id)
            assert found is not None
            assert (found.state, found.filled) == ("filled", request.quantity)
            assert len(desk.world.exchange.fills("main")) == 1

    run_live(scenario)


@pytest.mark.parametrize("name", THREE)
def test_a_reduction_of_nothing_is_refused_and_the_position_is_read(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            desk, venue = at.desk, at.desk.venue
            rounds = venue.health["reconciliations"]
            with pytest.raises(VenueRejected) as refused:
                await venue.place(desk.reduction("hf-b-000001x0", "0.010"))
            assert refused.value.reason in ("reduce_only_rejected", "no_position")
            await desk.until(lambda: venue.health["reconciliations"] > rounds)
            assert await venue.positions() == []

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_clock_that_is_wrong_is_set_and_the_same_order_goes_again(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            desk.world.clock_skew_ns = 20_000_000_000
            await desk.venue.place(desk.bracket("hf-b-000001e0", stop=NONE, target=NONE))
            assert at.count("place", "hf-b-000001e0") == 2
            assert orders(desk, "hf-b-000001e0") == 1
            assert desk.venue.health["clock_offset_ms"] == pytest.approx(20_000, abs=1_000)
            assert [halt.source for halt in desk.told(Halt)] == ["clock"]

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_stop_that_would_fire_at_once(name: str) -> None:
    """Bybit refuses the entry it is attached to; on Binance it is told, and nothing covers."""

    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            wrong = desk.grid(desk.mid * Decimal("1.01"))
            request = desk.bracket("hf-b-000001e0", stop=wrong, target=NONE)
            if name == "bybit":
                with pytest.raises(VenueRejected) as refused:
                    await desk.venue.place(request)
                assert refused.value.reason == "would_trigger_immediately"
                assert desk.world.exchange.fills("main") == []
                return
            await desk.venue.place(request)
            await desk.until(lambda: desk.told(ProtectionRefused))
            told = desk.told(ProtectionRefused)[0]
            assert (told.leg, told.reason) == ("stop", "would_trigger_immediately")
            await desk.until(lambda: desk.position() and desk.position().quantity)
            assert desk.position().covered == 0

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_stop_moved_to_where_it_would_fire_leaves_the_old_one_in_force(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            request = await held(desk)
            wrong = desk.grid(desk.mid * Decimal("1.005"))
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.protect(SYMBOL, wrong, request.target)
            assert refused.value.reason == "would_trigger_immediately"
            [position] = await desk.venue.positions()
            assert (position.stop, position.covered) == (request.stop, request.quantity)

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_post_only_order_that_would_take_is_named_so(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            price = desk.grid(desk.mid * Decimal("1.002"))
            request = desk.bracket(
                "hf-b-000001e0", tif="post_only", price=price, stop=NONE, target=NONE
            )
            if name == "binance":
                with pytest.raises(VenueRejected) as refused:
                    await desk.venue.place(request)
                assert refused.value.reason == "post_only_would_take"
                return
            await desk.venue.place(request)
            await desk.until(lambda: desk.ends_of("hf-b-000001e0"))
            [ended] = desk.ends_of("hf-b-000001e0")
            assert (ended.state, ended.filled) == ("cancelled", 0)
            assert ended.reason == "post_only_would_take"

    run_live(scenario)


def test_a_second_order_that_closes_the_position_makes_room_for_the_new_stop() -> None:
    """-4130 on Binance: the open conditional orders are read, the one left over is cancelled."""

    async def scenario() -> None:
        async with erring("binance") as at:
            desk = at.desk
            left = OrderRequest(
                "hf-b-000000s0",
                SYMBOL,
                -1,
                "stop_market",
                NONE,
                close_position=True,
                trigger=desk.grid(desk.mid * Decimal("0.98")),
            )
            # placed by another session: ours has not heard of it
            desk.fault("drop_frame", path="/private", count=2)
            desk.world.act(lambda now: desk.world.exchange.place("main", left, now))
            await asyncio.sleep(0.05)
            desk.world.faults.clear()
            request = await held(desk)
            assert desk.told(ProtectionRefused) == []
            [position] = await desk.venue.positions()
            assert (position.stop, position.covered) == (request.stop, request.quantity)
            refused = desk.venue.health["rejected"]
            assert refused.get("-4130 protection_exists", 0) >= 1
            reads = [one for one in at.sent if one[:2] == ("GET", "/fapi/v1/openAlgoOrders")]
            assert reads
            open_now = {order.client_id for order in await desk.venue._quirks.open_orders()}
            assert "hf-b-000000s0" not in open_now

    run_live(scenario)


# modes


def test_a_margin_mode_that_a_position_keeps_is_a_refusal_with_the_venues_reasons() -> None:
    async def scenario() -> None:
        async with erring("bybit") as at:
            desk = at.desk
            await held(desk)
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.set_margin_mode(SYMBOL, "cross")
            assert refused.value.reason == "margin_mode_locked"
            assert (await desk.venue.leverage_of(SYMBOL)).margin_mode == "isolated"

    run_live(scenario)


@pytest.mark.parametrize("name", TWO)
def test_a_regime_that_allows_only_exits_halts_entries_and_lets_exits_through(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(venue_desk.HALTING, "reduce_only_regime", 0.2)

    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            await held(desk)
            desk.world.exchange.set_regime(SYMBOL, "reduce_only")
            again = desk.bracket("hf-b-000002e0", stop=NONE, target=NONE)
            assert await outcome_of(desk.venue.place(again)) == "reduce_only_regime"
            assert [halt.source for halt in desk.told(Halt)] == ["reduce_only_regime"]
            assert await outcome_of(desk.venue.place(desk.reduction("hf-b-3", "0.010"))) == OK
            await desk.until(lambda: desk.told(Resume))

    run_live(scenario)


# without a code


@pytest.mark.parametrize("name", THREE)
def test_a_refusal_for_rate_without_a_code_is_waited_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfengine.venues.rate_limiter.LIMITED_S", 0.05)

    async def scenario() -> None:
        async with erring(name) as at:
            at.desk.fault("http_status", path=PATHS[name]["set_leverage"], status=429)
            before_s = asyncio.get_running_loop().time()
            await at.desk.venue.set_leverage(SYMBOL, 33)
            assert asyncio.get_running_loop().time() - before_s >= 0.05
            assert (await at.desk.venue.leverage_of(SYMBOL)).leverage == 33

    run_live(scenario)


@pytest.mark.parametrize(("name", "status"), [("bybit", 403), ("binance", 418), ("bitget", 403)])
def test_a_ban_halts_entries_and_every_call_until_it_is_over(
    name: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfengine.venues.rate_limiter.BAN_S", 0.5)

    async def scenario() -> None:
        async with erring(name) as at:
            desk = at.desk
            desk.fault("http_status", path=PATHS[name]["place"], status=status)
            with pytest.raises((VenueRejected, VenueUnavailable)):
                await at.make("place", "hf-b-000001e0")
            assert [halt.source for halt in desk.told(Halt)] == ["ip_ban"]
            sent = len(at.sent)
            await asyncio.sleep(0.1)
            assert len(at.sent) == sent
            await desk.until(lambda: [each.source for each in desk.told(Resume)] == ["ip_ban"])
            assert await outcome_of(at.make("place", "hf-b-000002e0")) == OK

    run_live(scenario)


@pytest.mark.parametrize("name", THREE)
def test_a_gateways_error_leaves_an_order_unknown_and_a_reading_unavailable(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            for status in (408, 500, 502, 503, 504):
                client_id = at.client_id()
                at.desk.fault("http_status", path=PATHS[name]["place"], status=status)
                assert await outcome_of(at.make("place", client_id)) == UNKNOWN, status
                assert await at.desk.venue.order_by_id(SYMBOL, client_id) is None
            at.desk.fault("http_status", status=502)
            with pytest.raises(VenueUnavailable):
                await at.desk.venue.balance()

    run_live(scenario)


@pytest.mark.parametrize("name", THREE)
def test_a_connection_cut_leaves_an_order_unknown_and_its_id_tells(name: str) -> None:
    async def scenario() -> None:
        async with erring(name) as at:
            for kind, done in (("cut_before", False), ("cut_after", True)):
                client_id = at.client_id()
                at.desk.fault(kind, path=PATHS[name]["place"])
                assert await outcome_of(at.make("place", client_id)) == UNKNOWN
                found = await at.desk.venue.order_by_id(SYMBOL, client_id)
                assert (found is not None and found.state == "filled") == done
                assert orders(at.desk, client_id) == done

    run_live(scenario)


# over the trading socket

SOCKET_CODES = {
    "bybit": {
        110007: "insufficient_margin",
        110072: UNKNOWN,
        10000: UNKNOWN,
        10019: UNKNOWN,
        110009: "too_many_orders",
        10429: OK,
        10403: OK,
        20003: OK,
    },
    "binance": {
        -2019: "insufficient_margin",
        -4116: UNKNOWN,
        -1007: UNKNOWN,
        -2025: "too_many_orders",
        -1015: OK,
    },
}


@pytest.mark.parametrize("name", TWO)
def test_codes_on_the_trading_socket_mean_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal for rate is answered by REST, after a pause, with the same client id."""
    monkeypatch.setattr("hfengine.venues.rate_limiter.LIMITED_S", 0.02)

    async def scenario() -> None:
        async with erring(name, order_entry="websocket") as at:
            desk, sent = at.desk, at.desk.venue.health["orders"]
            await desk.until(lambda: desk.venue.health["order_path"] == "websocket")
            for code, outcome in SOCKET_CODES[name].items():
                at.forget()
                client_id = at.client_id()
                desk.fault("order_refused", code=code, message="x")
                assert await outcome_of(at.make("place", client_id)) == outcome, code
                sent["websocket"] += 1
                sent["rest"] += outcome == OK
                assert desk.venue.health["orders"] == sent
                assert orders(desk, client_id) == (outcome == OK)
                halts = [outcome] if outcome == "too_many_orders" else []
                assert [halt.source for halt in desk.told(Halt)] == halts

    run_live(scenario)
