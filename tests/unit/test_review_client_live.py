"""What a review of the client side found, over real sockets at a local Bybit."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import ASSUMED
from hfengine.messages import (
    Fill,
    Halt,
    OrderUpdate,
    PositionChanged,
    ProtectionRefused,
    Resume,
)
from hfengine.requests import OrderRequest
from hfengine.venues import venue_desk
from tests.live_desk import SYMBOL, LiveDesk, live

OTHER = "ETHUSDT"


def test_the_flat_side_of_hedge_mode_does_not_hide_the_held_one() -> None:
    async def go() -> None:
        async with live("bybit", position_mode="hedge") as desk:
            await desk.venue.set_leverage(SYMBOL, 10)
            await desk.venue.place(desk.bracket("long"))
            await desk.until(lambda: desk.position() and desk.position().covered)
            # every setting pushes both sides, the flat one last
            await desk.venue.set_leverage(SYMBOL, 5)
            await desk.until(lambda: desk.position().leverage == 5)
            await asyncio.sleep(0.05)
            held = desk.position()
            assert (held.side, held.quantity, held.covered) == (
                1,
                Decimal("0.010"),
                Decimal("0.010"),
            )

    asyncio.run(go())


def test_a_short_in_hedge_mode_is_heard_covered_and_closed() -> None:
    async def go() -> None:
        async with live("bybit", position_mode="hedge") as desk:
            await desk.venue.place(desk.bracket("short", side=-1))
            await desk.until(lambda: desk.position() and desk.position().covered)
            assert desk.position().side == -1
            await desk.venue.place(desk.reduction("x", "0.010", side=1))
            await desk.until(lambda: desk.position().quantity == 0)

    asyncio.run(go())


def test_what_another_strategy_holds_in_other_symbols_is_left_alone() -> None:
    async def go() -> None:
        async with live("bybit", listed=(SYMBOL, OTHER)) as desk:
            _foreign(desk)
            await desk.until(lambda: desk.world.exchange.position_reports("main", OTHER))
            await desk.venue.place(desk.bracket("ours"))
            await desk.until(lambda: desk.position() and desk.position().covered)
            assert [one.symbol for one in await desk.venue.positions()] == [SYMBOL]
            told = (*desk.told(PositionChanged), *desk.told(Fill), *desk.told(OrderUpdate))
            assert {one.symbol for one in told} == {SYMBOL}
            rounds = desk.venue.health["reconciliations"]
            desk.venue._reconcile_soon("a test")
            await desk.until(lambda: desk.venue.health["reconciliations"] > rounds)
            assert OTHER in desk.venue.health["newest_notes"]["foreign_position"]
            told = (*desk.told(PositionChanged), *desk.told(Fill), *desk.told(OrderUpdate))
            assert {one.symbol for one in told} == {SYMBOL}

    asyncio.run(go())


def _foreign(desk: LiveDesk) -> None:
    request = OrderRequest("foreign", OTHER, 1, "market", Decimal("0.10"))
    desk.world.act(lambda now_ns: desk.world.exchange.place("main", request, now_ns))


def test_entries_stop_while_the_private_stream_never_came(monkeypatch: Any) -> None:
    monkeypatch.setattr(venue_desk, "BLIND_S", 0.1)

    async def go() -> None:
        async with live("bybit", connected=False) as desk:
            desk.fault("close_socket", path="/v5/private", count=None)
            await desk.venue.prepare()
            desk.connect_only()
            await desk.until(lambda: desk.told(Halt))
            assert desk.told(Halt)[0].source == venue_desk.BLIND
            desk.world.faults.clear()
            await desk.until(lambda: desk.told(Resume))

    asyncio.run(go())


def test_a_stream_that_is_there_in_time_halts_nothing(monkeypatch: Any) -> None:
    monkeypatch.setattr(venue_desk, "BLIND_S", 0.3)

    async def go() -> None:
        async with live("bybit") as desk:
            await asyncio.sleep(0.4)
            assert not desk.told(Halt)

    asyncio.run(go())


def test_a_refused_reduction_has_the_position_read_again() -> None:
    async def go() -> None:
        async with live("bybit") as desk:
            await desk.venue.place(desk.bracket("e"))
            await desk.until(lambda: desk.position() and desk.position().covered)
            desk.fault("drop_frame", path="/v5/private", count=None)
            desk.world.act(
                lambda now_ns: desk.world.exchange.place(
                    "main", desk.reduction("theirs", "0.010"), now_ns
                )
            )
            await asyncio.sleep(0.1)
            assert desk.position().quantity
            with pytest.raises(VenueRejected, match="reduce_only"):
                await desk.venue.place(desk.reduction("x", "0.010"))
            await desk.until(lambda: desk.position().quantity == 0)

    asyncio.run(go())


def test_a_key_refused_again_after_a_person_resumed_halts_again() -> None:
    async def go() -> None:
        async with live("bybit") as desk:
            inner = desk.venue._desk
            inner.heed("bad_key", "first")
            inner.heed("bad_key", "second")
            assert [halt.reason for halt in desk.told(Halt)] == ["first", "second"]
            inner.heed("reduce_only_regime", "first")
            inner.heed("reduce_only_regime", "second")
            assert len(desk.told(Halt)) == 3

    asyncio.run(go())


def test_what_reduces_goes_by_rest_when_the_trading_socket_took_nothing() -> None:
    async def go() -> None:
        async with live("bybit", order_entry="websocket") as desk:
            await desk.until(lambda: desk.venue.health["order_path"] == "websocket")
            await desk.venue.place(desk.bracket("e"))
            await desk.until(lambda: desk.position() and desk.position().covered)
            entry = desk.venue._orders.entry
            assert entry is not None
            entry._sender = Closing()
            with pytest.raises(VenueUnavailable):
                await desk.venue.place(desk.bracket("late"))
            await desk.venue.place(desk.reduction("x", "0.010"))
            await desk.until(lambda: desk.position().quantity == 0)
            assert desk.venue.health["orders"]["rest"] == 1

    asyncio.run(go())


class Closing:
    def send(self, _payload: bytes) -> None:
        raise VenueUnavailable("closing")


def test_fees_that_the_venue_does_not_tell_are_said_to_be_assumed() -> None:
    async def go() -> None:
        async with live("bybit", connected=False) as desk:
            desk.fault("error_before", path="/v5/account/fee-rate", code=10001, count=None)
            await desk.venue.prepare()
            (warning,) = desk.venue.health["warnings"]
            assert "assumed" in warning
            assert "fees" in warning
            sources = desk.venue.instruments[SYMBOL].sources
            assert any(source.startswith(ASSUMED) for source in sources)
            assert "fee-rate" not in sources

    asyncio.run(go())


def test_fees_that_the_venue_tells_are_no_warning() -> None:
    async def go() -> None:
        async with live("bybit", connected=False) as desk:
            await desk.venue.prepare()
            assert desk.venue.health["warnings"] == []
            assert "fee-rate" in desk.venue.instruments[SYMBOL].sources

    asyncio.run(go())


def test_leverage_of_a_portfolio_account_proves_nothing(monkeypatch: Any) -> None:
    async def go() -> None:
        async with live("bybit", margin_mode="cross", connected=False, set_modes=False) as desk:
            quirks = desk.venue._quirks
            get = quirks._get

            async def portfolio(method: str, params: Any, group: str) -> Any:
                result = await get(method, params, group)
                return result | {"marginMode": "PORTFOLIO_MARGIN"} if "Info" in method else result

            await desk.venue.prepare()
            assert (await desk.venue.leverage_of(SYMBOL)).leverage > 0
            monkeypatch.setattr(quirks, "_get", portfolio)
            quirks._margin_mode_s = -10.0
            assert (await desk.venue.leverage_of(SYMBOL)).leverage == 0

    asyncio.run(go())


def test_a_refusal_for_rate_is_answered_with_one_more_try_only() -> None:
    async def go() -> None:
        async with live("bybit") as desk:
            desk.fault("error_before", path="/v5/order/create", code=10006, count=None)
            with pytest.raises(VenueRejected, match="rate_limit"):
                await asyncio.wait_for(desk.venue.place(desk.bracket("e")), 4.0)
            assert sum(desk.venue.health["rejected"].values()) == 2

    asyncio.run(go())


def test_two_sides_whose_leverage_differs_prove_nothing() -> None:
    async def go() -> None:
        async with live("bybit", position_mode="hedge") as desk:
            exchange = desk.world.exchange
            for leverage, slot in ((10, "long"), (20, "short")):
                desk.world.act(
                    lambda now_ns, to=leverage, of=slot: exchange.set_leverage(
                        "main", SYMBOL, to, now_ns, slot=of
                    )
                )
            assert (await desk.venue.leverage_of(SYMBOL)).leverage == 0

    asyncio.run(go())


def test_what_protects_or_reduces_may_use_the_reserved_budget_and_entries_may_not() -> None:
    async def go() -> None:
        async with live("bybit") as desk:
            inner = desk.venue._desk
            call = inner.call
            purposes: list[tuple[str, str]] = []

            async def spied(method: str, params: Any, **how: Any) -> Any:
                if how.get("purpose", "read") != "read":
                    purposes.append((method.removeprefix("privatePostV5"), how["purpose"]))
                return await call(method, params, **how)

            inner.call = spied  # type: ignore[method-assign]
            await desk.venue.place(desk.bracket("e"))
            await desk.until(lambda: desk.position() and desk.position().covered)
            await desk.venue.protect(SYMBOL, desk.grid(desk.mid * Decimal("0.98")), Decimal(0))
            (held,) = desk.world.exchange.position_reports("main", SYMBOL)
            assert held.stop_by == "mark"
            await desk.venue.place(desk.reduction("x", "0.010"))
            await desk.venue.cancel_all(SYMBOL)
            assert purposes == [
                ("OrderCreate", "order"),
                ("PositionTradingStop", "protect"),
                ("OrderCreate", "protect"),
                ("OrderCancelAll", "protect"),
            ]

    asyncio.run(go())


def test_a_stop_that_was_never_sent_is_told_and_one_whose_fate_is_open_is_looked_for() -> None:
    async def go() -> None:
        async with live("bybit") as desk:
            stop = OrderRequest(
                "es", SYMBOL, -1, "stop_market", Decimal("0.010"), trigger=Decimal(1)
            )
            desk.venue._orders._protection_answered(stop, VenueUnknown("lost"))
            assert not desk.told(ProtectionRefused)
            assert desk.venue._reconcile_due
            desk.venue._orders._protection_answered(stop, VenueUnavailable("closing"))
            (refused,) = desk.told(ProtectionRefused)
            assert (refused.client_id, refused.leg) == ("es", "stop")

    asyncio.run(go())


def test_what_was_wrong_before_anybody_listened_is_told_when_somebody_does() -> None:
    async def go() -> None:
        async with live("bybit", connected=False) as desk:
            await desk.venue.prepare()
            desk.venue._desk.halt("clock", "skewed")
            desk.connect_only()
            assert [halt.source for halt in desk.told(Halt)] == ["clock"]

    asyncio.run(go())


def test_a_margin_mode_that_some_symbols_refuse_is_refused(monkeypatch: Any) -> None:
    async def go() -> None:
        async with live("bybit", connected=False) as desk:
            await desk.venue.prepare()

            async def refusing(*_asked: Any) -> dict[str, Any]:
                return {"reasons": [{"reasonCode": "1", "reasonMsg": "position open"}]}

            monkeypatch.setattr(desk.venue._quirks, "_post", refusing)
            with pytest.raises(VenueRejected, match="position open"):
                await desk.venue.set_margin_mode(SYMBOL, "cross")

    asyncio.run(go())
