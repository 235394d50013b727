"""Several venues behind one face: names go in and out, accounts stay apart."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import VenueUnavailable
from hfengine.messages import BalanceChanged, Frame, Halt, Message, OrderUpdate
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.venues.several import SeveralVenues
from tests.rig import T0_NS, ScriptedVenue, balance, fill, order, position


class Streaming(ScriptedVenue):
    """A scripted venue whose streams a test speaks through."""

    derived_marks = 2

    def connect(self, market: Any, account: Any, ended: Any = None) -> None:
        self.market, self.account, self.ended = market, account, ended

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def venues() -> dict[str, Streaming]:
    return {"bybit": Streaming(), "binance": Streaming()}


@pytest.fixture
def both(venues: dict[str, Streaming]) -> SeveralVenues:
    return SeveralVenues(venues, VirtualClock(T0_NS))


def test_what_a_venue_tells_carries_its_name(
    venues: dict[str, Streaming], both: SeveralVenues
) -> None:
    market: list[Message] = []
    account: list[Message] = []
    ends: list[str] = []
    both.connect(market.append, account.append, ends.append)
    venues["bybit"].market(Frame("BTCUSDT", 1, b"x"))
    venues["binance"].account(fill("e"))
    venues["binance"].account(balance("7"))
    venues["bybit"].account(Halt(1, "clock", "skewed"))
    venues["bybit"].ended("gone")
    assert market == [Frame("BTCUSDT@bybit", 1, b"x")]
    told_fill, told_balance, halt = account
    assert (told_fill.symbol, told_fill.fill_id) == (
        "BTCUSDT@binance",
        f"binance:{fill('e').fill_id}",
    )  # type: ignore[attr-defined]
    assert isinstance(told_balance, BalanceChanged)
    assert told_balance.venue == "binance"
    assert halt == Halt(1, "bybit clock", "skewed")
    assert ends == ["bybit: gone"]


def test_a_request_reaches_its_own_venue_under_the_venues_name(
    venues: dict[str, Streaming], both: SeveralVenues
) -> None:
    venues["binance"].answers.append(lambda asked: order(asked.client_id, symbol=asked.symbol))
    request = OrderRequest("e1", "BTCUSDT@binance", 1, "market", Decimal(1))

    async def go() -> None:
        update = await both.place(request)
        assert update.symbol == "BTCUSDT@binance"
        await both.leverage_of("BTCUSDT@bybit")
        await both.set_leverage("BTCUSDT@bybit", 7)
        read = await both.leverage_of("BTCUSDT@bybit")
        assert read == LeverageSetting("BTCUSDT@bybit", 7, "cross")
        await both.cancel_all("BTCUSDT@bybit")

    asyncio.run(go())
    assert [one.symbol for one in venues["binance"].placed] == ["BTCUSDT"]
    assert venues["bybit"].placed == []
    assert venues["bybit"].cancelled == ["BTCUSDT"]
    assert "BTCUSDT" not in venues["binance"].settings


def test_accounts_are_summed_for_the_ledger_and_told_apart(
    venues: dict[str, Streaming], both: SeveralVenues
) -> None:
    account: list[Message] = []
    both.connect(account.append, account.append, print)
    venues["bybit"].position_list = [[position()]]
    total = asyncio.run(both.balance())
    one = balance()
    assert total.wallet_usdt == 2 * one.wallet_usdt
    assert total.venue == ""
    assert [told.venue for told in account] == ["bybit", "binance"]  # type: ignore[attr-defined]
    held = asyncio.run(both.positions())
    assert [one.symbol for one in held] == ["BTCUSDT@bybit"]
    assert both.derived_marks == 4


def test_single_orders_go_to_their_venue_and_come_back_under_its_name(
    venues: dict[str, Streaming], both: SeveralVenues
) -> None:
    moved = order("e", "new")
    venues["bybit"].answers = [moved]
    venues["bybit"].order_list = [order("a", "new")]
    venues["binance"].order_list = [order("b", "new")]

    async def go() -> None:
        await both.cancel("BTCUSDT@binance", "e", "v7")
        amended = await both.amend("BTCUSDT@bybit", "e", Decimal(7))
        assert (amended.symbol, amended.client_id) == ("BTCUSDT@bybit", "e")
        listed = [(one.symbol, one.client_id) for one in await both.open_orders()]
        assert listed == [("BTCUSDT@bybit", "a"), ("BTCUSDT@binance", "b")]

    asyncio.run(go())
    assert venues["binance"].withdrawn == [("BTCUSDT", "e", "v7")]
    assert venues["bybit"].withdrawn == []
    assert venues["bybit"].amended == [("BTCUSDT", "e", Decimal(7))]


def test_a_list_of_open_orders_that_lacks_a_venue_is_none(
    venues: dict[str, Streaming], both: SeveralVenues
) -> None:
    async def away() -> list[OrderUpdate]:
        raise VenueUnavailable("away")

    venues["binance"].open_orders = away  # type: ignore[method-assign]
    with pytest.raises(VenueUnavailable, match="away"):
        asyncio.run(both.open_orders())
