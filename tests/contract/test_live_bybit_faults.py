"""What goes wrong at a venue, and what our Bybit account does then: over real ccxt and sockets."""

import asyncio
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import Fill, Halt, LeverageChanged, Resume
from hfengine.venues import bybit_places, venue_desk
from tests.live_desk import KEYS, SYMBOL, LiveDesk, live
from tests.localvenue_desk import run_live


async def held(desk: LiveDesk, client_id: str = "hf-a-000001e0") -> None:
    await desk.venue.place(desk.bracket(client_id))
    await desk.until(lambda: desk.position() and desk.position().quantity)


def test_a_stalled_private_stream_is_noticed_and_made_anew(monkeypatch) -> None:
    monkeypatch.setattr(bybit_places, "KEEP_ALIVE_MS", 60)

    async def scenario() -> None:
        async with live("bybit") as desk:
            await held(desk)
            assert desk.server._to_sockets("stall", "/v5/private", 0) == 1
            desk.world.move(SYMBOL, to_price=desk.position().target + 50)
            await desk.until(lambda: desk.position().quantity == 0)
            assert [fill.cause for fill in desk.told(Fill)] == ["order", "target"]
            assert desk.venue.health["reconnects"] == 1

    run_live(scenario)


def test_while_the_private_stream_stays_away_entries_stop_and_the_account_is_read(
    monkeypatch,
) -> None:
    monkeypatch.setattr(venue_desk, "BLIND_S", 0.1)

    async def scenario() -> None:
        async with live("bybit") as desk:
            await held(desk)

            async def away() -> None:
                raise ConnectionError("no route")

            desk.venue._desk.exchange.authenticate = lambda _url: away()
            assert desk.server._to_sockets("drop", "/v5/private", 0) == 1
            await desk.until(
                lambda: [halt.source for halt in desk.told(Halt)] == ["private_stream"]
            )
            desk.world.move(SYMBOL, to_price=desk.position().target + 50)
            await desk.until(lambda: desk.position().quantity == 0)
            assert desk.told(Resume) == []
            del desk.venue._desk.exchange.authenticate
            await desk.until(
                lambda: [each.source for each in desk.told(Resume)] == ["private_stream"]
            )

    run_live(scenario)


def test_orders_go_by_rest_while_the_trading_socket_is_away() -> None:
    async def scenario() -> None:
        async with live("bybit", order_entry="websocket") as desk:
            venue = desk.venue
            await desk.until(lambda: venue.health["order_path"] == "websocket")
            assert desk.server._to_sockets("drop", "/v5/trade", 0) == 1
            await desk.until(lambda: venue.health["order_path"] == "rest")
            await held(desk)
            assert venue.health["orders"] == {"rest": 1, "websocket": 0}
            await desk.until(lambda: venue.health["order_path"] == "websocket")
            await venue.place(desk.reduction("hf-a-000002x0", "0.010"))
            assert venue.health["orders"] == {"rest": 1, "websocket": 1}

    run_live(scenario)


def test_an_answer_lost_on_the_trading_socket_is_unknown() -> None:
    async def scenario() -> None:
        async with live("bybit", order_entry="websocket", answer_max_s=0.3) as desk:
            await desk.until(lambda: desk.venue.health["order_path"] == "websocket")
            desk.fault("drop_frame", path="/v5/trade")
            with pytest.raises(VenueUnknown):
                await desk.venue.place(desk.bracket("hf-a-000001e0"))
            found = await desk.venue.order_by_id(SYMBOL, "hf-a-000001e0")
            assert found is not None
            assert found.state == "filled"

    run_live(scenario)


def test_a_skewed_clock_on_the_trading_socket_is_set_and_the_same_id_goes_by_rest() -> None:
    async def scenario() -> None:
        async with live("bybit", order_entry="websocket") as desk:
            await desk.until(lambda: desk.venue.health["order_path"] == "websocket")
            desk.world.clock_skew_ns = 20_000_000_000
            await desk.venue.place(desk.bracket("hf-a-000001e0"))
            await desk.until(lambda: desk.told(Fill))
            assert desk.told(Fill)[0].client_id == "hf-a-000001e0"
            assert [halt.source for halt in desk.told(Halt)] == ["clock"]
            desk.world.clock_skew_ns = 0
            await desk.venue._desk.offset.refresh()
            assert [resume.source for resume in desk.told(Resume)] == ["clock"]

    run_live(scenario)


def test_thirty_settings_at_once_are_paced_below_the_limit() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            await asyncio.gather(*(desk.venue.set_leverage(SYMBOL, n) for n in range(1, 31)))
            # ten a second: ten go at once, the others wait, none is refused
            assert desk.venue.health["budgets"]["waits"] >= 10
            assert not any("10006" in name for name in desk.venue.health["rejected"])
            assert desk.venue.leverage_stats.sets == 30

    run_live(scenario)


def test_a_refusal_for_rate_is_waited_out_once() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.fault("rate_limited", path="/v5/position/set-leverage")
            await desk.venue.set_leverage(SYMBOL, 33)
            assert (await desk.venue.leverage_of(SYMBOL)).leverage == 33
            assert desk.venue.health["rejected"] == {"10006 rate_limit": 1}

    run_live(scenario)


def test_a_ban_stops_entries_and_every_call_until_it_is_over(monkeypatch) -> None:
    monkeypatch.setattr("hfengine.venues.rate_limiter.BAN_S", 1.0)

    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.fault("banned", path="/v5/order/create")
            with pytest.raises((VenueRejected, VenueUnavailable)):
                await desk.venue.place(desk.bracket("hf-a-000001e0"))
            assert [halt.source for halt in desk.told(Halt)] == ["ip_ban"]
            assert desk.world.exchange.fills("main") == []
            desk.world.faults.clear()
            await desk.until(lambda: desk.told(Resume))
            await held(desk, "hf-a-000002e0")

    run_live(scenario)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_leaves_an_order_unknown_and_a_reading_unavailable(status: int) -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.fault("http_status", path="/v5/order/create", status=status)
            with pytest.raises(VenueUnknown):
                await desk.venue.place(desk.bracket("hf-a-000001e0"))
            desk.fault("http_status", path="/v5/account/wallet-balance", status=status)
            with pytest.raises(VenueUnavailable):
                await desk.venue.balance()

    run_live(scenario)


def test_a_reduce_only_regime_stops_entries_for_a_while(monkeypatch) -> None:
    monkeypatch.setitem(venue_desk.HALTING, "reduce_only_regime", 0.2)

    async def scenario() -> None:
        async with live("bybit") as desk:
            await held(desk)
            desk.world.exchange.set_regime(SYMBOL, "reduce_only")
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.place(desk.bracket("hf-a-000002e0"))
            assert refused.value.reason == "reduce_only_regime"
            assert [halt.source for halt in desk.told(Halt)] == ["reduce_only_regime"]
            await desk.venue.place(desk.reduction("hf-a-000003x0", "0.010"))
            await desk.until(lambda: desk.told(Resume))

    run_live(scenario)


def test_a_refused_stop_refuses_the_entry_with_it() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.fault("stop_refused")
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.place(desk.bracket("hf-a-000001e0"))
            assert refused.value.reason == "would_trigger_immediately"

    run_live(scenario)


def test_hedge_mode_opens_and_closes_each_side() -> None:
    async def scenario() -> None:
        async with live("bybit", position_mode="hedge") as desk:
            for side, number in ((1, 1), (-1, 3)):
                await desk.venue.place(desk.bracket(f"hf-a-00000{number}e0", side=side))
                await desk.until(lambda side=side: desk.position() and desk.position().side == side)
                assert desk.position().covered == desk.position().quantity
                reduction = desk.reduction(f"hf-a-00000{number + 1}x0", "0.010", side=-side)
                await desk.venue.place(reduction)
                await desk.until(lambda: desk.position().quantity == 0)

    run_live(scenario)


def test_a_mode_that_may_not_be_set_is_a_sentence() -> None:
    async def scenario() -> None:
        async with live("bybit", position_mode="hedge", set_modes=False, connected=False) as desk:
            with pytest.raises(VenueRejected, match="hedge") as refused:
                await desk.venue.prepare()
            assert "set_modes" in str(refused.value)

    run_live(scenario)


def test_a_wrong_secret_is_said_without_showing_it(monkeypatch) -> None:
    wrong = type(KEYS)(key="k-test", secret="not-the-secret", passphrase="p-test")
    monkeypatch.setattr("tests.live_desk.KEYS", wrong)

    async def scenario() -> None:
        async with live("bybit", connected=False) as desk:
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.prepare()
            assert refused.value.reason == "bad_key"
            shown = f"{refused.value} {refused.value.__cause__!r} {desk.venue.health} {wrong!r}"
            assert "not-the-secret" not in shown

    run_live(scenario)


def test_another_clients_leverage_on_a_flat_symbol_is_told_or_read() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            await desk.venue.set_leverage(SYMBOL, 20)
            await desk.venue.leverage_of(SYMBOL)
            desk.world.act(lambda now: desk.world.exchange.set_leverage("main", SYMBOL, 7, now))
            await desk.until(lambda: desk.told(LeverageChanged))
            assert desk.told(LeverageChanged)[-1].leverage == 7

    run_live(scenario)


def test_a_partial_stop_of_our_own_covers_too() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            none = Decimal(0)
            await desk.venue.place(desk.bracket("hf-a-000001e0", stop=none, target=none))
            await desk.until(lambda: desk.position() and desk.position().quantity)
            assert desk.position().covered == 0
            await desk.venue.place(
                desk.reduction("hf-a-000002s0", "0.006").__class__(
                    "hf-a-000002s0",
                    SYMBOL,
                    -1,
                    "stop_market",
                    Decimal("0.006"),
                    reduce_only=True,
                    trigger=desk.grid(desk.mid * Decimal("0.99")),
                )
            )
            await desk.until(lambda: desk.position().covered == Decimal("0.006"))
            assert desk.position().stop == desk.grid(desk.mid * Decimal("0.99"))
            assert await desk.venue.cancel_all(SYMBOL) == 1
            await desk.until(lambda: desk.position().covered == 0)

    run_live(scenario)


def halts_of(desk: LiveDesk) -> list[str]:
    return [halt.source for halt in desk.told(Halt)]


@pytest.mark.parametrize("source", ["all", "private_stream", "bybit private_stream"])
def test_what_a_person_resumes_while_it_still_is_wrong_halts_again_at_once(
    monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(venue_desk, "BLIND_S", 0.1)

    async def scenario() -> None:
        async with live("bybit") as desk:

            async def away() -> None:
                raise ConnectionError("no route")

            publish = desk.venue._host.routes.publish
            desk.venue._host.routes.wire(Resume)
            desk.venue._desk.exchange.authenticate = lambda _url: away()
            assert desk.server._to_sockets("drop", "/v5/private", 0) == 1
            await desk.until(lambda: halts_of(desk) == ["private_stream"])
            publish(Resume(1, source))
            assert halts_of(desk) == ["private_stream"], "not within the resume itself"
            await asyncio.sleep(0)
            assert halts_of(desk) == ["private_stream"] * 2
            assert desk.told(Halt)[1].reason.startswith("no private stream")
            publish(Resume(1, "operator"))
            await asyncio.sleep(0)
            assert len(halts_of(desk)) == 2, "another source is none of its business"
            del desk.venue._desk.exchange.authenticate
            await desk.until(lambda: desk.told(Resume))
            publish(desk.told(Resume)[0])
            publish(Resume(1, source))
            await asyncio.sleep(0)
            assert len(halts_of(desk)) == 2, "what is well again does not halt"

    run_live(scenario)


def test_what_halts_until_a_person_resumes_it_is_not_told_again_by_the_resume() -> None:
    async def scenario() -> None:
        async with live("bybit") as desk:
            desk.venue._host.routes.wire(Resume)
            desk.venue._desk.heed("bad_key", "refused")
            desk.venue._host.routes.publish(Resume(1, "all"))
            await asyncio.sleep(0)
            assert halts_of(desk) == ["bad_key"]
            desk.venue._desk.heed("bad_key", "refused")
            assert halts_of(desk) == ["bad_key"] * 2, "the next refusal tells it"

    run_live(scenario)
