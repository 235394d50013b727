"""Cases 23-26, 28, 29, 31 and 32: streams, keys, limits and answers that fail."""

import asyncio
import gc
from decimal import Decimal

import pytest

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.exchange.reports import OrderReport
from hfengine.messages import Fill, OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.venues import (
    binance_places,
    binance_venue,
    bitget_venue,
    bybit_places,
    bybit_venue,
)
from hfengine.venues.quirks import Budget
from tests.contract.cases_registry import (
    ENTRY,
    EXIT,
    Opening,
    Wire,
    bare,
    case,
    drop,
    has,
    held,
    is_covered,
    listed,
    ready,
    told_quantity,
)
from tests.live_desk import KEYS, SYMBOL, LiveDesk

ROOMS = {"bybit": bybit_places, "binance": binance_places, "bitget": bitget_venue}
QUIRKS = {
    "bybit": bybit_venue.BybitQuirks,
    "binance": binance_venue.BinanceQuirks,
    "bitget": bitget_venue.BitgetQuirks,
}
PAST = Decimal(50)
NO_SOCKET = "it has no trading socket that we use"
NO_LISTEN_KEY = "it has no listen key"


async def the_end_was_told_once(desk: LiveDesk) -> None:
    """The position of `ENTRY` ended by its target: told, and nothing told twice."""
    await desk.until(lambda: told_quantity(desk) == 0)
    await desk.until(lambda: len(desk.told(Fill)) == 2)
    assert [fill.cause for fill in desk.told(Fill)] == ["order", "target"]
    rounds = desk.venue.health["reconciliations"]
    await desk.until(lambda: desk.venue.health["reconciliations"] > rounds or rounds > 1)
    assert len(desk.told(Fill)) == len(desk.world.exchange.fills("main")) == 2


@case(23)
async def a_fill_while_the_stream_is_cut_is_told_later(desk: LiveDesk, wire: Wire) -> None:
    request = await held(desk)
    reconnects = desk.venue.health["reconnects"]
    drop(desk, wire.private)
    desk.world.move(SYMBOL, to_price=request.target + PAST)
    assert len(desk.told(Fill)) == 1
    await the_end_was_told_once(desk)
    assert desk.venue.health["reconnects"] > reconnects


@bare(24)
async def a_silent_stream_is_noticed(opening: Opening) -> None:
    opening.patch.setattr(ROOMS[opening.venue], "KEEP_ALIVE_MS", 60)
    async with opening.desk() as desk:
        await ready(desk)
        request = await held(desk)
        assert desk.server._to_sockets("stall", opening.wire.private, 0) >= 1
        desk.world.move(SYMBOL, to_price=request.target + PAST)
        await the_end_was_told_once(desk)
        assert desk.venue.health["reconnects"] >= 1


@bare(25)
async def limits_are_waited_out_and_spare_the_exits(opening: Opening) -> None:
    async with opening.desk() as desk:
        await ready(desk)
        await held(desk)
        # the delay is what the venue asks for where it tells how long to wait
        desk.fault("rate_limited", path=opening.wire.order, delay_ms=1000)
        await desk.venue.place(desk.reduction(EXIT, "0.010"))
        assert desk.world.faults.done["rate_limited"] == 1
        rejected = desk.venue.health["rejected"].items()
        assert sum(count for name, count in rejected if "rate_limit" in name) == 1
        reports = desk.world.exchange.order_reports("main")
        assert [one.update.client_id for one in reports].count(EXIT) == 1
        await desk.until(lambda: told_quantity(desk) == 0)
    few = tuple(
        Budget(one.group, 5, 1.0) if one.group == "order" else one
        for one in QUIRKS[opening.venue].budgets
    )
    opening.patch.setattr(QUIRKS[opening.venue], "budgets", few)
    async with opening.desk() as desk:
        await ready(desk)
        await held(desk)
        entries = [
            asyncio.ensure_future(desk.venue.place(far_entry(desk, number))) for number in range(6)
        ]
        await desk.venue.place(desk.reduction(EXIT, "0.010"))
        assert len(resting(desk)) < 6, "no entry had to wait: the reserve was not tried"
        outcomes = await asyncio.gather(*entries, return_exceptions=True)
        # one that would have waited too long was given up, and has not left
        kept = [outcome for outcome in outcomes if not isinstance(outcome, VenueUnavailable)]
        assert [type(outcome) for outcome in kept] == [OrderUpdate] * len(resting(desk))
        assert not any("rate_limit" in name for name in desk.venue.health["rejected"])


def resting(desk: LiveDesk) -> list[OrderReport]:
    """Return the entries that have come to rest at the venue."""
    return [one for one in listed(desk) if one.update.kind == "limit"]


def far_entry(desk: LiveDesk, number: int) -> OrderRequest:
    """Return an entry that rests."""
    price = desk.grid(desk.mid * Decimal("0.97"))
    none = Decimal(0)
    return desk.bracket(f"hf-b-00000{number}e0", price=price, stop=none, target=none, tif="gtc")


@bare(26)
async def a_wrong_key_is_one_sentence_without_secrets(opening: Opening) -> None:
    wrongs = [
        {"key": "k-unknown", "secret": "s-very-secret", "passphrase": "p-very-secret"},
        {"key": "k-test", "secret": "s-very-secret", "passphrase": "p-test"},
    ]
    if opening.venue == "bitget":
        wrongs.append({"key": "k-test", "secret": "s-test", "passphrase": "p-very-secret"})
    for wrong in wrongs:
        keys = type(KEYS)(**wrong)
        opening.patch.setattr("tests.live_desk.KEYS", keys)
        async with opening.desk(connected=False) as desk:
            with pytest.raises(VenueRejected) as refused:
                await desk.venue.prepare()
            assert refused.value.reason == "bad_key"
            sentence = str(refused.value)
            assert "\n" not in sentence
            shown = f"{sentence} {desk.venue.health} {keys!r}"
            assert "very-secret" not in shown


@case(28, excepted={"bitget": NO_SOCKET}, order_entry="websocket")
async def orders_go_over_the_socket_or_by_rest(desk: LiveDesk, wire: Wire) -> None:
    venue = desk.venue
    await desk.until(lambda: venue.health["order_path"] == "websocket")
    await held(desk)
    assert venue.health["orders"] == {"rest": 0, "websocket": 1}
    drop(desk, wire.trade)
    await desk.until(lambda: venue.health["order_path"] == "rest")
    await venue.place(desk.reduction(EXIT, "0.004"))
    await desk.until(lambda: told_quantity(desk) == Decimal("0.006"))
    assert venue.health["orders"] == {"rest": 1, "websocket": 1}
    await desk.until(lambda: venue.health["order_path"] == "websocket")
    await venue.place(desk.reduction("hf-a-000003x0", "0.006"))
    await desk.until(lambda: told_quantity(desk) == 0)
    assert venue.health["orders"] == {"rest": 1, "websocket": 2}
    names = [ENTRY, EXIT, "hf-a-000003x0"]
    await desk.until(lambda: [fill.client_id for fill in desk.told(Fill)] == names)


@bare(29, bybit=NO_LISTEN_KEY, bitget=NO_LISTEN_KEY)
async def a_listen_key_that_expired_is_renewed(opening: Opening) -> None:
    opening.patch.setattr("hfengine.venues.binance_stream.KEY_CHECK_S", 0.2)
    for event in (True, False):
        async with opening.desk() as desk:
            await ready(desk)
            request = await held(desk)
            desk.fault("listen_key_expired", event=event)
            await desk.until(lambda: desk.world.faults.done.get("listen_key_expired") == 1)
            desk.world.move(SYMBOL, to_price=request.target + PAST)
            await the_end_was_told_once(desk)
            assert desk.venue.health["reconnects"] >= 1


@case(31)
async def an_open_outcome_is_unknown(desk: LiveDesk, wire: Wire) -> None:
    number = 0
    for kind in ("error_before", "error_after"):
        for code, status in wire.unknown:
            number += 1
            client_id = f"hf-a-00000{number}e0"
            words = "Request timeout" if desk.world.name == "bybit" else "outcome unknown"
            desk.fault(kind, path=wire.order, code=code, status=status, message=words)
            await unknown(desk, client_id, done=kind == "error_after")
    for status in (502, 503):
        number += 1
        desk.fault("http_status", path=wire.order, status=status)
        await unknown(desk, f"hf-a-00000{number}e0", done=False)


async def unknown(desk: LiveDesk, client_id: str, *, done: bool) -> None:
    """Place an order whose outcome the venue leaves open; its id then tells."""
    fills = len(desk.world.exchange.fills("main"))
    request = desk.bracket(client_id, "0.002", stop=Decimal(0), target=Decimal(0))
    with pytest.raises(VenueUnknown):
        await desk.venue.place(request)
    found = await desk.venue.order_by_id(SYMBOL, client_id)
    assert (found is not None) == done
    assert len(desk.world.exchange.fills("main")) - fills == done


@bare(32)
async def nothing_is_left_behind(opening: Opening) -> None:
    async with opening.desk(connected=False) as desk:
        before = asyncio.all_tasks()
        await desk.connect()
        await ready(desk)
        request = await held(desk)
        assert is_covered(desk, request)
        venue = desk.venue
        await asyncio.gather(venue.close(), venue.close())
        await venue.close()
        await desk.until(lambda: not desk.server._sockets and not desk.server._connections)
        await desk.until(lambda: asyncio.all_tasks() <= before)
        gc.collect()
        told = len(desk.events)
        desk.world.move(SYMBOL, to_price=request.target + PAST)
        await asyncio.sleep(0.1)
        assert len(desk.events) == told
        assert has(desk) == 0
