"""Bybit's public feed over a socket: books, gaps, silence, refusals, reconnects."""

import asyncio
import json

import pytest
from msgspec.structs import replace
from picows import WSCloseCode

from hfengine.errors import VenueRejected
from hfengine.limits import FRAME_BYTES_MAX
from hfengine.messages import (
    BookSync,
    BookTick,
    FeedFault,
    MarkTick,
    SnapshotFailed,
    TradeTick,
)
from tests.scripted_server import until
from tests.scripted_venues import QUICK, BybitVenue, bybit_rig


def run(test):
    with asyncio.Runner() as runner:
        runner.run(test())


def test_a_subscription_brings_books_trades_and_marks():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")
            assert venue.peer.path == "/v5/public/linear"
            assert venue.requests[0]["op"] == "subscribe"
            assert venue.requests[0]["args"] == [
                "orderbook.50.BTCUSDT",
                "publicTrade.BTCUSDT",
                "tickers.BTCUSDT",
            ]
            trade = {"T": 5, "s": "BTCUSDT", "S": "Buy", "v": "0.1", "p": "60000.1", "BT": False}
            trades = [
                {**trade, "i": "20f43950-d8dd-5b31-9112-a178eb6023af"},
                {**trade, "S": "Sell", "i": "77"},
            ]
            tickers = {
                "symbol": "BTCUSDT",
                "markPrice": "60001.5",
                "indexPrice": "60002.5",
                "fundingRate": "0.0001",
                "nextFundingTime": "1700006400000",
            }
            head = {"type": "snapshot", "ts": 6}
            venue.peer.send(
                venue.delta("BTCUSDT", bid="60000.0"),
                json.dumps({"topic": "publicTrade.BTCUSDT", **head, "data": trades}).encode(),
                json.dumps({"topic": "tickers.BTCUSDT", **head, "data": tickers}).encode(),
            )
            await until(lambda: rig.all(MarkTick))
            assert [(t.bid, t.bid_quantity) for t in rig.all(BookTick)] == [
                (60000.0, 1.0),
                (60000.0, 3.0),
            ]
            # the snapshot's tick comes after the news that the book is whole
            kinds = [type(m) for m in rig.heard if type(m) in (BookSync, BookTick)]
            assert kinds == [BookSync, BookSync, BookTick, BookTick]
            first, second = rig.all(TradeTick)
            assert (first.side, first.trade_id) == (1, int("112a178eb6023af", 16))
            assert (second.side, second.trade_id) == (-1, 77)
            mark = rig.all(MarkTick)[0]
            assert (mark.mark, mark.index, mark.funding_rate) == (60001.5, 60002.5, 0.0001)
            assert not rig.all(FeedFault)

    run(test)


def test_a_mark_is_told_only_when_it_is_whole():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")

            def ticker(**fields: str) -> bytes:
                row = {"symbol": "BTCUSDT", **fields}
                return json.dumps(
                    {"topic": "tickers.BTCUSDT", "type": "delta", "ts": 6, "data": row}
                ).encode()

            venue.peer.send(ticker(markPrice="60001.5"))
            venue.peer.send(ticker(indexPrice="60002.5", fundingRate="0.0001"))
            await until(lambda: rig.all(MarkTick))
            assert len(rig.all(MarkTick)) == 1

    run(test)


def test_a_gap_blocks_the_symbol_until_its_book_is_subscribed_anew():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT", "ETHUSDT"]) as rig:
            await rig.until_synced("BTCUSDT", "ETHUSDT")
            rig.heard.clear()
            venue.peer.send(venue.delta("BTCUSDT", skip=1), venue.delta("BTCUSDT"))
            await rig.until_synced("BTCUSDT")
            assert [f.fault for f in rig.all(FeedFault)] == ["gap"]
            assert rig.all(FeedFault)[0].origin == "bybit/v5/public/linear#1"
            told = [(s.symbol, s.synced, s.reason) for s in rig.all(BookSync)]
            assert told == [("BTCUSDT", False, "gap"), ("BTCUSDT", True, "snapshot")]
            assert [(r["op"], r["args"]) for r in venue.requests[-2:]] == [
                ("unsubscribe", ["orderbook.50.BTCUSDT"]),
                ("subscribe", ["orderbook.50.BTCUSDT"]),
            ]
            assert len(venue.peers) == 1

    run(test)


@pytest.mark.parametrize("cut", [lambda p: p.cut(), lambda p: p.close(WSCloseCode.SERVICE_RESTART)])
def test_a_lost_connection_blocks_every_symbol_until_it_is_read_again(cut):
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT", "ETHUSDT"]) as rig:
            await rig.until_synced("BTCUSDT", "ETHUSDT")
            rig.heard.clear()
            cut(venue.peer)
            await until(lambda: len(rig.all(BookSync)) >= 4)
            told = [(s.symbol, s.synced) for s in rig.all(BookSync)]
            assert told[:2] == [("BTCUSDT", False), ("ETHUSDT", False)]
            assert set(told[2:]) == {("BTCUSDT", True), ("ETHUSDT", True)}
            assert [f.fault for f in rig.all(FeedFault)] == ["disconnected"] * 2
            assert len(venue.peers) == 2
            assert venue.requests[-1]["args"][0] == "orderbook.50.BTCUSDT"
            assert rig.market.connections[0].link.reconnects == 1

    run(test)


def test_a_venue_that_is_away_is_told_once_and_waited_for():
    async def test() -> None:
        venue = BybitVenue()
        venue.refuses = True
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await until(lambda: venue.attempts >= 5)
            assert [f.fault for f in rig.all(FeedFault)] == ["disconnected"]
            venue.refuses = False
            await rig.until_synced("BTCUSDT")

    run(test)


def test_a_refused_topic_is_named_and_does_not_keep_the_others_out():
    async def test() -> None:
        venue = BybitVenue()
        venue.refused["orderbook.50.NOUSDT"] = "error:handler not found,topic:orderbook.50.NOUSDT"
        async with bybit_rig(venue, ["BTCUSDT", "NOUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")
            await until(lambda: any(f.fault == "refused_topic" for f in rig.all(FeedFault)))
            (fault,) = rig.all(FeedFault)
            assert fault.symbol == "NOUSDT"
            assert "handler not found" in fault.detail
            connection = rig.market.connections[0]
            await until(lambda: len(connection.subscriptions.active) == 5)
            assert not rig.synced("NOUSDT")
            with pytest.raises(VenueRejected, match="handler not found"):
                await rig.market.snapshot("NOUSDT")
            with pytest.raises(VenueRejected, match="no book of XRPUSDT"):
                await rig.market.snapshot("XRPUSDT")

    run(test)


def test_an_unanswered_subscription_is_repeated_then_the_connection_is_made_anew():
    async def test() -> None:
        venue = BybitVenue()
        venue.is_deaf = True
        async with bybit_rig(venue, ["BTCUSDT"], replace(QUICK, answer_max_s=0.05)) as rig:
            await until(lambda: len(venue.peers) == 2)
            assert len(venue.peers[0].received) == 2
            assert "no answer to subscribe" in rig.all(FeedFault)[0].detail
            venue.is_deaf = False
            await rig.until_synced("BTCUSDT")

    run(test)


def test_a_silent_symbol_is_subscribed_anew_alone():
    async def test() -> None:
        venue = BybitVenue()
        settings = replace(QUICK, stale_after_s=0.5)
        async with bybit_rig(venue, ["BTCUSDT", "ETHUSDT"], settings) as rig:
            await rig.until_synced("BTCUSDT", "ETHUSDT")
            rig.heard.clear()

            def silent() -> bool:
                venue.peer.send(venue.delta("BTCUSDT"))
                return bool(rig.all(FeedFault))

            await until(silent)
            assert {(f.symbol, f.fault) for f in rig.all(FeedFault)} == {("ETHUSDT", "silent")}
            await rig.until_synced("ETHUSDT")
            assert {tuple(r["args"]) for r in venue.requests[1:]} == {
                ("orderbook.50.ETHUSDT", "publicTrade.ETHUSDT", "tickers.ETHUSDT")
            }
            assert len(venue.peers) == 1

    run(test)


def test_a_symbol_that_stays_silent_costs_the_connection():
    async def test() -> None:
        venue = BybitVenue()
        venue.sends_snapshots = False
        async with bybit_rig(venue, ["BTCUSDT"], replace(QUICK, stale_after_s=0.05)) as rig:
            await until(lambda: len(venue.peers) >= 2)
            faults = [(f.fault, f.detail) for f in rig.all(FeedFault)]
            assert faults[0][0] == "silent"
            assert faults[1] == ("disconnected", "BTCUSDT stayed silent after a new subscription")

    run(test)


def test_a_half_open_connection_is_noticed():
    async def test() -> None:
        venue = BybitVenue()
        venue.hear = lambda _peer, _payload: None
        venue.answers_pings = False
        link = replace(QUICK.link, silence_max_s=0.05, ping_every_s=0.02)
        async with bybit_rig(venue, ["BTCUSDT"], replace(QUICK, link=link)) as rig:
            await until(lambda: len(venue.peers) >= 2)
            assert "silent for 0.05 s" in rig.all(FeedFault)[0].detail
            assert rig.market.connections[0].link.silences >= 1

    run(test)


def test_pings_go_out_as_the_venue_wants_them():
    async def test() -> None:
        venue = BybitVenue()
        link = replace(QUICK.link, ping=b'{"op":"ping"}', ping_every_s=0.01)
        async with bybit_rig(venue, ["BTCUSDT"], replace(QUICK, link=link)) as rig:
            await until(lambda: venue.peers and venue.peer.received.count(b'{"op":"ping"}') >= 3)
            assert not rig.all(FeedFault), "a pong is no fault"

    run(test)


def test_many_symbols_share_connections_in_paced_pieces():
    async def test() -> None:
        venue = BybitVenue()
        symbols = [f"S{number}USDT" for number in range(50)]
        settings = replace(QUICK, topics_a_link=75, topics_a_request=20)
        async with bybit_rig(venue, symbols, settings) as rig:
            await rig.until_synced(*symbols)
            assert len(venue.peers) == 2
            assert all(len(request["args"]) <= 20 for request in venue.requests)
            args = [topic for request in venue.requests for topic in request["args"]]
            assert len(args) == len(set(args)) == 150
            venue.peers[0].send(venue.delta("S3USDT", bid="60000.0"))
            await until(lambda: [t for t in rig.all(BookTick) if t.bid_quantity == 3.0])
            assert rig.all(BookTick)[-1].symbol == "S3USDT"

    run(test)


def test_requests_keep_the_venues_pace():
    async def test() -> None:
        venue = BybitVenue()
        symbols = [f"S{number}USDT" for number in range(4)]
        settings = replace(QUICK, topics_a_request=3, requests_a_second=2)
        async with bybit_rig(venue, symbols, settings) as rig:
            await rig.until_synced("S0USDT", "S1USDT")
            assert len(venue.requests) == 2
            await rig.until_synced(*symbols)
            assert len(venue.requests) == 4

    run(test)


def test_an_oversize_message_ends_the_connection_and_it_recovers():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")
            head = b"\x81\x7f" + (FRAME_BYTES_MAX + 1).to_bytes(8, "big")
            venue.peer.transport.underlying_transport.write(head)
            await until(lambda: len(venue.peers) == 2)
            assert rig.all(FeedFault)[0].fault == "disconnected"
            await rig.until_synced("BTCUSDT")

    run(test)


def test_a_fragmented_snapshot_is_a_snapshot():
    async def test() -> None:
        venue = BybitVenue()
        venue.sends_snapshots = False
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await until(lambda: venue.requests)
            whole = venue.snapshot("BTCUSDT")
            venue.peer.send_parts(whole[:10], whole[10:40], whole[40:])
            await rig.until_synced("BTCUSDT")

    run(test)


def test_a_truncated_frame_takes_only_its_book_out():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT", "ETHUSDT"]) as rig:
            await rig.until_synced("BTCUSDT", "ETHUSDT")
            rig.heard.clear()
            venue.peer.send(venue.delta("BTCUSDT")[:-20])
            await rig.until_synced("BTCUSDT")
            assert [(f.symbol, f.fault) for f in rig.all(FeedFault)] == [("BTCUSDT", "malformed")]
            assert {s.symbol for s in rig.all(BookSync)} == {"BTCUSDT"}

    run(test)


def test_what_cannot_be_read_at_all_may_have_been_any_books_and_costs_the_connection():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")
            venue.peer.send(b'{"to')
            await until(lambda: len(venue.peers) == 2)
            assert "not JSON" in rig.all(FeedFault)[0].detail

    run(test)


def test_unusual_order_of_keys_is_understood_and_foreign_messages_are_named():
    async def test() -> None:
        venue = BybitVenue()
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await rig.until_synced("BTCUSDT")
            delta = json.loads(venue.delta("BTCUSDT", bid="60000.0"))
            shuffled = {key: delta[key] for key in ("data", "cts", "ts", "type", "topic")}
            venue.peer.send(json.dumps(shuffled).encode(), b'{"hello":1}', b"[1]")
            await until(lambda: len(rig.all(FeedFault)) == 2)
            assert rig.all(BookTick)[-1].bid_quantity == 3.0
            assert {(f.symbol, f.fault) for f in rig.all(FeedFault)} == {("", "unroutable")}
            assert rig.market.connections[0].unroutable == 2
            assert rig.synced("BTCUSDT")

    run(test)


def test_a_book_that_the_stream_does_not_bring_is_asked_for_again(monkeypatch):
    monkeypatch.setattr("hfengine.actors.market_data.STREAM_SNAPSHOT_NS", 50_000_000)

    async def test() -> None:
        venue = BybitVenue()
        venue.sends_snapshots = False
        async with bybit_rig(venue, ["BTCUSDT"]) as rig:
            await until(lambda: len(venue.requests) >= 3)
            assert venue.requests[1]["op"] == "unsubscribe"
            assert "brought none within" in rig.all(SnapshotFailed)[0].reason
            venue.sends_snapshots = True
            await rig.until_synced("BTCUSDT")

    run(test)


def test_depth_1_is_a_feed_of_snapshots():
    async def test() -> None:
        venue = BybitVenue()
        venue.sends_snapshots = False
        async with bybit_rig(venue, ["BTCUSDT"], depth=1) as rig:
            await until(lambda: venue.requests)
            assert venue.requests[0]["args"][0] == "orderbook.1.BTCUSDT"
            venue.peer.send(venue.snapshot("BTCUSDT", 1), venue.snapshot("BTCUSDT", 1))
            await until(lambda: len(rig.all(BookTick)) == 2)

    run(test)
