"""Binance's public feed over sockets and REST: the snapshot rule, two paths, limits, reconnects."""

import asyncio
import json

import pytest
from aiohttp import web
from msgspec.structs import replace

from hfengine.errors import VenueRejected, VenueUnavailable
from hfengine.limits import FRAME_BYTES_MAX
from hfengine.messages import BookSync, BookTick, FeedFault, MarkTick, SnapshotFailed, TradeTick
from tests.scripted_server import until
from tests.scripted_venues import QUICK, BinanceVenue, LiveRig, binance_rig

TRADE = {
    "e": "trade",
    "E": 9,
    "T": 8,
    "s": "BTCUSDT",
    "t": 77,
    "p": "60000.1",
    "q": "0.2",
    "X": "MARKET",
    "m": False,
}
MARK = {
    "e": "markPriceUpdate",
    "E": 9,
    "s": "BTCUSDT",
    "p": "60001.5",
    "i": "60002.5",
    "P": "60000",
    "r": "0.0001",
    "T": 1_700_006_400_000,
}


def run(test):
    with asyncio.Runner() as runner:
        runner.run(test())


def wrapped(stream: str, event: dict) -> bytes:
    return json.dumps({"stream": stream, "data": event}).encode()


async def streaming(venue: BinanceVenue, rig: LiveRig, symbol: str = "BTCUSDT") -> None:
    """Wait for the first book."""
    await rig.until_synced(symbol)


def test_streams_are_asked_for_on_the_socket_that_has_them():
    async def test() -> None:
        venue = BinanceVenue()
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await streaming(venue, rig)
            assert sorted(peer.path for peer in venue.peers) == ["/market/stream", "/public/stream"]
            public, market = (
                json.loads(venue.on_path(f"/{path}/stream").received[0])
                for path in ("public", "market")
            )
            assert public["method"] == "SUBSCRIBE"
            assert public["params"] == [
                "btcusdt@depth@100ms",
                "btcusdt@bookTicker",
                "btcusdt@trade",
            ]
            assert market["params"] == ["btcusdt@markPrice@1s"]
            venue.on_path("/public/stream").send(
                venue.diff("BTCUSDT", bid="60000.0"), wrapped("btcusdt@trade", TRADE)
            )
            venue.on_path("/market/stream").send(wrapped("btcusdt@markPrice@1s", MARK))
            await until(lambda: rig.all(MarkTick) and rig.all(TradeTick))
            assert [(t.bid, t.bid_quantity) for t in rig.all(BookTick)] == [(60000.0, 3.0)]
            assert rig.all(TradeTick)[0].trade_id == 77
            assert rig.all(MarkTick)[0].mark == 60001.5
            assert not rig.all(FeedFault)

    run(test)


@pytest.mark.parametrize(
    ("changes", "paths", "market"),
    [
        ({"wrapped": False}, {"/public/ws", "/market/ws"}, ["btcusdt@markPrice@1s"]),
        ({"split": False}, {"/stream"}, None),
        (
            {"trades": "aggTrade", "speed_ms": 0},
            {"/public/stream", "/market/stream"},
            ["btcusdt@aggTrade", "btcusdt@markPrice@1s"],
        ),
    ],
)
def test_other_arrangements_of_streams(changes, paths, market):
    async def test() -> None:
        venue = BinanceVenue()
        async with binance_rig(venue, ["BTCUSDT"], **changes) as rig:
            await streaming(venue, rig)
            assert {peer.path for peer in venue.peers} == paths
            if market is not None:
                (path,) = (p for p in paths if p.startswith("/market"))
                assert json.loads(venue.on_path(path).received[0])["params"] == market
            (book,) = (p for p in venue.peers if any(b"depth" in r for r in p.received))
            book.send(venue.diff("BTCUSDT", wrapped=changes.get("wrapped", True)))
            await until(lambda: rig.all(BookTick))

    run(test)


def test_diffs_from_before_the_snapshot_are_kept_and_joined():
    async def test() -> None:
        venue = BinanceVenue()
        held: list[asyncio.Future[None]] = []
        answer = venue.depth

        async def slow(request: web.Request) -> web.Response:
            held.append(asyncio.get_running_loop().create_future())
            await held[-1]
            return await answer(request)

        venue.depth = slow  # type: ignore[method-assign]
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await until(lambda: held)
            public = venue.on_path("/public/stream")
            venue.diff("BTCUSDT")
            snapshot_id = venue.last_id
            public.send(venue.diff("BTCUSDT", bid="59999.0"))
            venue.snapshot_answers.append(venue.book(snapshot_id + 2))
            await asyncio.sleep(0.05)
            assert not rig.synced("BTCUSDT")
            held[0].set_result(None)
            await rig.until_synced("BTCUSDT")
            public.send(venue.diff("BTCUSDT", bid="60000.0"))
            await until(lambda: [t for t in rig.all(BookTick) if t.bid_quantity == 3.0])
            assert not rig.all(FeedFault)

    run(test)


def test_no_snapshot_is_read_before_the_diffs_flow():
    async def test() -> None:
        venue = BinanceVenue()
        kept: list[tuple] = []
        answer = venue.hear
        venue.hear = lambda peer, payload: kept.append((peer, payload))
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await until(lambda: len(kept) == 2)
            await asyncio.sleep(0.05)
            assert venue.snapshots_read == []
            for peer, payload in kept:
                answer(peer, payload)
            await rig.until_synced("BTCUSDT")
            assert venue.snapshots_read == ["BTCUSDT"]

    run(test)


def test_a_gap_is_closed_by_a_new_snapshot():
    async def test() -> None:
        venue = BinanceVenue()
        async with binance_rig(venue, ["BTCUSDT", "ETHUSDT"]) as rig:
            await rig.until_synced("BTCUSDT", "ETHUSDT")
            public = venue.on_path("/public/stream")
            public.send(venue.diff("BTCUSDT"))
            await until(lambda: rig.all(BookTick))
            rig.heard.clear()
            public.send(venue.diff("BTCUSDT", skip=3))
            await until(lambda: [s.synced for s in rig.all(BookSync)] == [False, True])
            assert [f.fault for f in rig.all(FeedFault)] == ["gap"]
            assert {s.symbol for s in rig.all(BookSync)} == {"BTCUSDT"}
            assert venue.snapshots_read.count("BTCUSDT") == 2
            public.send(venue.diff("BTCUSDT", bid="60000.0"))
            await until(lambda: [t for t in rig.all(BookTick) if t.bid_quantity == 3.0])

    run(test)


@pytest.mark.parametrize("path", ["/public/stream", "/market/stream"])
def test_losing_either_socket_blocks_the_symbols_until_both_flow(path):
    async def test() -> None:
        venue = BinanceVenue()
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await streaming(venue, rig)
            rig.heard.clear()
            venue.on_path(path).cut()
            await until(lambda: [s.synced for s in rig.all(BookSync)] == [False, True])
            assert [f.fault for f in rig.all(FeedFault)] == ["disconnected"]
            assert len([peer for peer in venue.peers if peer.path == path]) == 2
            assert len(venue.snapshots_read) == 2

    run(test)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: web.Response(status=503, text="busy"), "HTTP 503: busy"),
        (lambda: web.Response(status=429, headers={"Retry-After": "1"}), "rate limited for 1 s"),
        (lambda: web.Response(status=418), "rate limited for 60 s"),
        (
            lambda: web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400),
            "snapshot_refused: BTCUSDT: HTTP 400",
        ),
        (lambda: web.Response(body=b"x" * (FRAME_BYTES_MAX + 1)), "HTTP 200"),
    ],
)
def test_a_snapshot_that_is_not_given_is_named(answer, reason):
    async def test() -> None:
        venue = BinanceVenue()
        venue.snapshot_answers.append(answer())
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await until(lambda: rig.all(SnapshotFailed))
            assert reason in rig.all(SnapshotFailed)[0].reason
            assert not rig.synced("BTCUSDT")

    run(test)


def test_a_failed_snapshot_is_asked_for_again(monkeypatch):
    monkeypatch.setattr("hfengine.actors.market_data.SNAPSHOT_RETRY_NS", 10_000_000)

    async def test() -> None:
        venue = BinanceVenue()
        venue.snapshot_answers += [web.Response(status=500), web.Response(text="{not json")]
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await streaming(venue, rig)
            assert len(rig.all(SnapshotFailed)) == 1
            assert [f.fault for f in rig.all(FeedFault)] == ["malformed"]

    run(test)


def test_nothing_is_asked_of_a_venue_that_limits_us():
    async def test() -> None:
        venue = BinanceVenue()
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await streaming(venue, rig)
            venue.snapshot_answers.append(web.Response(status=429, headers={"Retry-After": "30"}))
            with pytest.raises(VenueUnavailable, match="rate limited for 30 s"):
                await rig.market.snapshot("BTCUSDT")
            read = len(venue.snapshots_read)
            with pytest.raises(VenueUnavailable, match="rate limited for another"):
                await rig.market.snapshot("BTCUSDT")
            assert len(venue.snapshots_read) == read

    run(test)


def test_a_rest_interface_that_is_away_is_named():
    async def test() -> None:
        venue = BinanceVenue()
        async with binance_rig(venue, ["BTCUSDT"]) as rig:
            await streaming(venue, rig)
            rig.market._rest_url = "http://127.0.0.1:9"
            with pytest.raises(VenueUnavailable, match="snapshot of BTCUSDT from http"):
                await rig.market.snapshot("BTCUSDT")

    run(test)


def test_a_stream_that_does_not_come_is_no_reason_to_wait_for_ever():
    async def test() -> None:
        venue = BinanceVenue()
        venue.refuses = True
        async with binance_rig(venue, ["BTCUSDT"], replace(QUICK, answer_max_s=0.05)) as rig:
            await until(lambda: rig.all(SnapshotFailed))
            reason = rig.all(SnapshotFailed)[0].reason
            assert reason.startswith("BTCUSDT does not stream: no connection to ws://127.0.0.1")

    run(test)


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": {"code": 2, "msg": "Invalid request"}},
        {"code": 2, "msg": "Invalid request"},
    ],
)
def test_a_refused_stream_is_named(refusal):
    async def test() -> None:
        venue = BinanceVenue()

        def refuse(peer, payload):
            request = json.loads(payload)
            bad = any("nousdt@depth" in topic for topic in request["params"])
            answer = refusal if bad else {"result": None}
            peer.send(json.dumps({**answer, "id": request["id"]}).encode())

        venue.hear = refuse
        async with binance_rig(venue, ["BTCUSDT", "NOUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")
            await until(lambda: rig.all(FeedFault))
            (fault,) = rig.all(FeedFault)
            assert (fault.symbol, fault.fault) == ("NOUSDT", "refused_topic")
            assert "nousdt@depth@100ms: 2: Invalid request" in fault.detail
            with pytest.raises(VenueRejected, match="refused_topic"):
                await rig.market.snapshot("NOUSDT")

    run(test)


def test_many_symbols_read_few_snapshots_at_once():
    async def test() -> None:
        venue = BinanceVenue()
        symbols = [f"S{number}USDT" for number in range(20)]
        under_way, most = 0, 0
        answer = venue.depth

        async def counted(request: web.Request) -> web.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.002)
            under_way -= 1
            return await answer(request)

        venue.depth = counted  # type: ignore[method-assign]
        async with binance_rig(venue, symbols, replace(QUICK, topics_a_link=30)) as rig:
            await rig.until_synced(*symbols)
            assert most == 4
            assert sorted(set(venue.snapshots_read)) == sorted(symbols)
            assert [p.path for p in venue.peers].count("/public/stream") == 2

    run(test)
