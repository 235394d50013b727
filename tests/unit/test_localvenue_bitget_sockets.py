"""Bitget's sockets: acknowledgements, pings, books by diffs, private pushes in their order."""

import asyncio
import json
from decimal import Decimal

import pytest

from hfengine.localvenue.bitget.books import checksum
from hfengine.localvenue.bitget.dialect import PRIVATE_SOCKET, PUBLIC_SOCKET
from hfengine.localvenue.bitget.figures import grid_text
from hfengine.localvenue.faults import Rule
from hfengine.localvenue.figures import plain
from tests.bitget_venue import (
    BTC,
    COMMON,
    ETH,
    ORDER,
    FakeSocket,
    on_still_venue,
    subscription,
    turns,
)


class Book:
    """A client's book, kept by frames and checked by their checksum as ccxt does."""

    def __init__(self):
        self.bids, self.asks = {}, {}
        self.bad = 0
        self.last_seq = 0

    def take(self, frame):
        data = frame["data"][0]
        if frame["action"] == "update":
            assert data["pseq"] == self.last_seq
        self.last_seq = data["seq"]
        for side, levels in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            for price, size in levels:
                if size == "0":
                    del side[price]
                else:
                    side[price] = size
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))
        self.bad += checksum(bids, asks) != data["checksum"]


def test_a_subscription_is_acknowledged_as_sent_and_starts_with_a_snapshot():
    async def scenario(venue):
        socket = venue.public("books", "trade", "ticker", "books5")
        acks = [one["arg"] for one in socket.frames if one.get("event") == "subscribe"]
        assert acks == [subscription(name) for name in ("books", "trade", "ticker", "books5")]
        firsts = [one for one in socket.frames if "action" in one]
        assert [(one["action"], one["arg"]["channel"]) for one in firsts] == [
            ("snapshot", name) for name in ("books", "trade", "ticker", "books5")
        ]
        assert len(firsts[0]["data"][0]["bids"]) == 200
        assert len(firsts[3]["data"][0]["bids"]) == 5

    on_still_venue(scenario)


@pytest.mark.parametrize(
    "arg",
    [
        subscription("books", "NOUSDT"),
        subscription("books7"),
        {"instType": "SPOT", "channel": "books", "instId": BTC},
        subscription("candle7m"),
    ],
)
def test_what_does_not_exist_is_refused_with_its_argument(arg):
    async def scenario(venue):
        socket = FakeSocket(PUBLIC_SOCKET)
        session = venue.dialect.session(socket)
        session.heard(json.dumps({"op": "subscribe", "args": [arg]}).encode())
        (event,) = socket.take()
        assert (event["event"], event["code"], event["arg"]) == ("error", 30001, arg)
        assert event["op"] == "subscribe"

    on_still_venue(scenario)


def test_the_book_is_followed_by_diffs_with_checksums_that_hold():
    async def scenario(venue):
        socket = venue.public("books")
        book = Book()
        for step in range(12):
            venue.world.move(BTC, (step % 5 - 2) * 3)
            if step == 6:
                late = venue.public("books")
            await asyncio.sleep(0.16)
        for frame in [one for one in socket.take() if "action" in one]:
            book.take(frame)
        other = Book()
        for frame in [one for one in late.take() if "action" in one]:
            other.take(frame)
        assert book.bad == other.bad == 0
        assert (book.bids, book.asks) == (other.bids, other.asks)
        best = venue.world.levels(BTC, 1, 1)[0][0]
        assert max(Decimal(price) for price in book.bids) == best * Decimal("0.1")
        assert len(book.bids) == len(book.asks) == 200

    on_still_venue(scenario)


def test_a_quiet_book_pushes_nothing_and_a_spoiled_one_shows():
    async def scenario(venue):
        socket = venue.public("books")
        socket.take()
        await asyncio.sleep(1)
        assert socket.take() == []
        assert venue.dialect.command("spoil_checksum", {"symbol": BTC}) == {"spoiled": True}
        assert venue.dialect.command("spoil_checksum", {"symbol": ETH}) == {"spoiled": False}
        with pytest.raises(KeyError):
            venue.dialect.command("sing", {})
        book = Book()
        book.take(venue.public("books").take()[1])
        venue.world.move(BTC, 2)
        await asyncio.sleep(0.2)
        book.take(socket.take()[0])
        assert book.bad == 1

    on_still_venue(scenario)


def test_a_restarted_book_comes_as_a_snapshot():
    async def scenario(venue):
        socket = venue.public("books")
        socket.take()
        venue.world.faults.add(Rule(kind="book_restart", symbol=BTC))
        venue.world.move(BTC, 2)
        await asyncio.sleep(0.2)
        (frame,) = socket.take()
        assert (frame["action"], frame["data"][0]["pseq"]) == ("snapshot", 0)

    on_still_venue(scenario)


def test_trades_tickers_and_candles_move_with_the_market():
    async def scenario(venue):
        socket = venue.public("trade", "ticker", "candle1m")
        socket.take()
        venue.world.move(BTC, 10)
        frames = socket.take()
        assert [one["action"] for one in frames] == ["update"]
        price = frames[0]["data"][0]["price"]
        await asyncio.sleep(1)
        rows = {one["arg"]["channel"]: one["data"][-1] for one in socket.take() if "action" in one}
        assert rows["ticker"]["lastPr"] == price
        assert rows["candle1m"][4] == price
        assert len(rows["candle1m"]) == 8

    on_still_venue(scenario)


def test_after_unsubscribing_nothing_comes_and_no_timer_is_left():
    async def scenario(venue):
        socket = FakeSocket(PUBLIC_SOCKET)
        session = venue.dialect.session(socket)
        for operation in ("subscribe", "unsubscribe"):
            message = {"op": operation, "args": [subscription("books"), subscription("trade")]}
            session.heard(json.dumps(message).encode())
        assert [one["event"] for one in socket.take() if "event" in one][-1] == "unsubscribe"
        venue.world.move(BTC, 5)
        await asyncio.sleep(0.5)
        assert socket.take() == []
        assert venue.dialect.command("spoil_checksum", {"symbol": BTC}) == {"spoiled": False}

    on_still_venue(scenario)


def test_pings_keep_a_socket_open_and_silence_closes_it():
    async def scenario(venue):
        socket = FakeSocket(PUBLIC_SOCKET)
        session = venue.dialect.session(socket)
        for _ in range(5):
            await asyncio.sleep(30)
            session.heard(b"ping")
        assert socket.take() == ["pong"] * 5
        assert socket.closed_with is None
        await asyncio.sleep(160)
        assert socket.closed_with == 1000

    on_still_venue(scenario)


def test_too_many_messages_end_a_socket():
    async def scenario(venue):
        socket = FakeSocket(PUBLIC_SOCKET)
        session = venue.dialect.session(socket)
        for _ in range(11):
            session.heard(b"ping")
        assert socket.frames[-1]["code"] == 30007
        assert socket.closed_with == 1008

    on_still_venue(scenario)


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        ({"apiKey": "nobody"}, 30011),
        ({"passphrase": "wrong"}, 30012),
        ({"timestamp": "soon"}, 30013),
        ({"timestamp": "1700000000"}, 30014),
        ({"sign": "d3Jvbmc="}, 30015),
    ],
)
def test_a_login_that_fails_says_why_and_ends_the_socket(spoiled, code):
    async def scenario(venue):
        socket = FakeSocket(PRIVATE_SOCKET)
        session = venue.dialect.session(socket)
        login = {
            "apiKey": "k-test",
            "passphrase": "p-test",
            "timestamp": str(venue.world.now_ms() // 1000),
            "sign": "",
            **spoiled,
        }
        session.heard(json.dumps({"op": "login", "args": [login]}).encode())
        assert socket.frames == [{"event": "error", "code": code, "msg": socket.frames[0]["msg"]}]
        assert socket.closed_with == 1000

    on_still_venue(scenario)


def test_private_channels_want_a_login_first():
    async def scenario(venue):
        socket = FakeSocket(PRIVATE_SOCKET)
        session = venue.dialect.session(socket)
        message = {"op": "subscribe", "args": [subscription("orders", "default")]}
        session.heard(json.dumps(message).encode())
        assert socket.frames[0]["code"] == 30004

    on_still_venue(scenario)


def test_a_fill_is_pushed_in_the_venues_order():
    async def scenario(venue):
        await venue.hedged()
        socket = venue.private("orders", "fill", "positions", "account", "orders-algo")
        assert socket.frames[0] == {"event": "login", "code": 0, "msg": ""}
        firsts = [one["arg"]["channel"] for one in socket.take() if "action" in one]
        assert firsts == ["positions", "account"]
        stop = str(round(venue.price() * Decimal("0.99")))
        await venue.order("buy", clientOid="p1", presetStopLossPrice=stop)
        assert socket.frames == []
        await turns()
        told = [one["arg"]["channel"] for one in socket.frames]
        assert told == ["orders", "fill", "orders", "orders-algo", "positions", "account"]
        live, filled = socket.pushed("orders")
        assert (live["status"], filled["status"]) == ("live", "filled")
        assert filled["presetStopLossPrice"] == stop
        (fill,) = socket.pushed("fill")
        assert (filled["tradeId"], filled["fillPrice"]) == (fill["tradeId"], fill["price"])
        assert (fill["orderId"], fill["clientOid"]) == (filled["orderId"], "p1")
        (algo,) = socket.pushed("orders-algo")
        assert (algo["planType"], algo["status"], algo["triggerPrice"]) == ("psl", "live", stop)
        (position,) = socket.pushed("positions")
        assert (position["holdSide"], position["total"]) == ("long", "0.01")

    on_still_venue(scenario)


def test_a_fill_push_names_the_direction_and_an_order_push_the_position():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("buy")
        await turns()
        socket = venue.private("orders", "fill")
        await venue.order("buy", "close")
        await turns()
        assert [row["side"] for row in socket.pushed("fill")] == ["sell"]
        assert {row["side"] for row in socket.pushed("orders")} == {"buy"}
        assert socket.pushed("orders")[-1]["tradeSide"] == "close"
        assert socket.pushed("orders")[-1]["reduceOnly"] == "yes"

    on_still_venue(scenario)


def test_a_stop_that_fires_is_executed_filled_and_leaves_nothing():
    async def scenario(venue):
        await venue.hedged()
        price = venue.price()
        await venue.order(
            "buy",
            presetStopLossPrice=str(round(price * Decimal("0.99"))),
            presetStopSurplusPrice=str(round(price * Decimal("1.01"))),
        )
        await turns()
        socket = venue.private("orders", "orders-algo", "positions")
        socket.take()
        venue.world.move(BTC, to_price=price * Decimal("0.989"))
        await turns()
        algos = [(row["planType"], row["status"]) for row in socket.pushed("orders-algo")]
        assert algos == [("psl", "executed"), ("ptp", "cancelled")]
        assert [row["status"] for row in socket.pushed("orders")] == ["live", "filled"]
        assert socket.frames[-1]["data"] == []

    on_still_venue(scenario)


def test_liquidation_shows_in_the_trade_side():
    async def scenario(venue):
        await venue.hedged()
        await venue.order("sell")
        socket = venue.private("fill")
        await turns()
        socket.take()
        venue.world.act(
            lambda now_ns: venue.world.exchange.force_liquidation("main", BTC, now_ns, "short")
        )
        await turns()
        assert [row["tradeSide"] for row in socket.pushed("fill")] == ["burst_close_short"]
        (row,) = (await venue.get(f"{ORDER}fills", **COMMON, limit="1"))["fillList"]
        assert row["tradeSide"] == "burst_close_short"

    on_still_venue(scenario)


def test_a_symbols_channel_hears_only_that_symbol():
    async def scenario(venue):
        await venue.hedged()
        socket = venue.private("orders", symbol=ETH)
        await venue.order("buy")
        await turns()
        assert socket.pushed("orders") == []

    on_still_venue(scenario)


@pytest.mark.parametrize("grid", ["0.1", "0.01", "1", "10", "0.5", "0.0005", "0.25"])
def test_ticks_are_written_with_the_decimals_of_their_grid(grid):
    write = grid_text(Decimal(grid))
    for count in (0, 1, 7, 12345, 999_999_999):
        text = write(count)
        assert Decimal(text) == Decimal(grid) * count
        assert "E" not in text
        assert len(text.partition(".")[2]) == len(plain(Decimal(grid)).partition(".")[2])
