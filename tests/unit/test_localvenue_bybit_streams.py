"""Sockets: book sequence and cadence, tickers, trades, candles and account pushes."""

import asyncio
import json
from decimal import Decimal

from hfengine.localvenue.faults import Rule
from tests.bybit_venue import BTC, ETH, away, run, turn

D = Decimal


class ClientBook:
    """A book built from frames as a client does it."""

    def __init__(self):
        self.sides = {"b": {}, "a": {}}
        self.u = None

    def take(self, frame):
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.sides = {"b": {}, "a": {}}
        else:
            assert data["u"] == self.u + 1
        self.u = data["u"]
        for side, levels in self.sides.items():
            for price, size in data[side]:
                if size == "0":
                    del levels[D(price)]
                else:
                    levels[D(price)] = D(size)

    def rows(self, side):
        return sorted(self.sides[side].items(), reverse=side == "b")


def venue_rows(venue, side, depth, symbol=BTC):
    instrument = venue.world.instruments[symbol]
    return [
        (instrument.price_tick * ticks, instrument.quantity_step * steps)
        for ticks, steps in venue.world.levels(symbol, side, depth)
    ]


def publish(venue, depth, symbol=BTC):
    venue.dialect._topics.books.topic(symbol, depth).look()


def test_a_book_from_snapshot_and_deltas_is_the_venues():
    async def scenario(venue):
        socket, _ = venue.subscribed(f"orderbook.50.{BTC}")
        book = ClientBook()
        book.take(socket.take()[0])
        best = venue.world.levels(BTC, 1, 1)[0][0]
        changes = [(1, best, 0), (-1, best + 2, 1), (1, best - 3, 999), (1, best - 30, 0)]
        for side, ticks, steps in changes:
            venue.world.set_level(BTC, side, ticks, steps)
            publish(venue, 50)
            [frame] = socket.take()
            assert frame["type"] == "delta"
            book.take(frame)
            assert book.rows("b") == venue_rows(venue, 1, 50)
            assert book.rows("a") == venue_rows(venue, -1, 50)
        publish(venue, 50)
        assert socket.take() == []
        venue.world.move(BTC, 17)
        await venue.order(orderType="Limit", price=away(venue, "-0.001"), qty="0.5")
        publish(venue, 50)
        for frame in socket.take():
            book.take(frame)
        assert book.rows("b") == venue_rows(venue, 1, 50)
        assert book.rows("a") == venue_rows(venue, -1, 50)

    run(scenario)


def test_a_newcomer_starts_where_the_others_are():
    async def scenario(venue):
        first, _ = venue.subscribed(f"orderbook.50.{BTC}")
        one = ClientBook()
        one.take(first.take()[0])
        venue.world.move(BTC, 3)
        second, _ = venue.subscribed(f"orderbook.50.{BTC}")
        two = ClientBook()
        two.take(second.take()[0])
        assert (two.u, two.sides) == (one.u, one.sides)
        publish(venue, 50)
        for socket, book in ((first, one), (second, two)):
            for frame in socket.take():
                book.take(frame)
        assert one.rows("b") == two.rows("b") == venue_rows(venue, 1, 50)

    run(scenario)


def test_a_topic_without_listeners_is_fresh_when_heard_again():
    async def scenario(venue):
        socket, session = venue.subscribed(f"orderbook.50.{BTC}")
        u = socket.take()[0]["data"]["u"]
        session.heard(json.dumps({"op": "unsubscribe", "args": [f"orderbook.50.{BTC}"]}).encode())
        assert socket.take()[0]["op"] == "unsubscribe"
        venue.world.move(BTC, 3)
        publish(venue, 50)
        assert socket.take() == []
        again, _ = venue.subscribed(f"orderbook.50.{BTC}")
        book = ClientBook()
        book.take(again.take()[0])
        assert book.u > u
        assert book.rows("b") == venue_rows(venue, 1, 50)
        session.closed()

    run(scenario)


def test_depth_one_repeats_the_same_u_after_three_seconds():
    async def scenario(venue):
        socket, _ = venue.subscribed(f"orderbook.1.{BTC}")
        [first] = socket.take()
        assert (first["type"], len(first["data"]["b"])) == ("snapshot", 1)
        publish(venue, 1)
        await asyncio.sleep(0.05)
        beaten = len(socket.take())
        venue.world.clock_skew_ns += 3_000_000_000
        publish(venue, 1)
        [repeated] = socket.take()
        assert (beaten, repeated["type"]) == (0, "snapshot")
        assert repeated["data"]["u"] == first["data"]["u"]
        venue.world.set_level(BTC, 1, venue.world.levels(BTC, 1, 2)[1][0], 7)
        publish(venue, 1)
        assert socket.take() == []
        venue.world.move(BTC, 1)
        publish(venue, 1)
        [moved] = socket.take()
        assert (moved["type"], moved["data"]["u"]) == ("snapshot", first["data"]["u"] + 1)

    run(scenario)


def test_a_restart_of_the_service_is_a_snapshot_with_u_1():
    async def scenario(venue):
        socket, _ = venue.subscribed(f"orderbook.50.{BTC}", f"orderbook.200.{BTC}")
        socket.take()
        venue.world.faults.add(Rule(kind="book_restart", topic="orderbook.50", symbol=BTC))
        venue.world.move(BTC, 2)
        for depth in (50, 200):
            publish(venue, depth)
        frames = {frame["topic"]: frame for frame in socket.take()}
        restarted = frames[f"orderbook.50.{BTC}"]
        assert (restarted["type"], restarted["data"]["u"]) == ("snapshot", 1)
        assert frames[f"orderbook.200.{BTC}"]["type"] == "delta"
        book = ClientBook()
        book.take(restarted)
        assert book.rows("a") == venue_rows(venue, -1, 50)
        assert venue.dialect.command("book_restart", {"symbol": BTC}) == {"topics": 2}
        assert {frame["data"]["u"] for frame in socket.take()} == {1}

    run(scenario)


def test_books_come_at_the_cadence_of_their_depth():
    async def scenario(venue):
        topics = [f"orderbook.{depth}.{BTC}" for depth in (50, 1000)]
        socket, _ = venue.subscribed(*topics)
        socket.take()
        for _ in range(20):
            venue.world.move(BTC, 1)
            await asyncio.sleep(0.01)
        counts = [sum(one["topic"] == topic for one in socket.frames) for topic in topics]
        assert counts[0] > counts[1]
        assert counts[0] >= 4

    run(scenario)


def test_the_ticker_sends_only_what_changed():
    async def scenario(venue):
        socket, _ = venue.subscribed(f"tickers.{BTC}")
        [snapshot] = socket.take()
        assert (snapshot["type"], snapshot["data"]["symbol"]) == ("snapshot", BTC)
        state = dict(snapshot["data"])
        venue.dialect._topics.tickers._beat()
        assert socket.take() == []
        venue.world.set_mark(BTC, venue.price() + 5)
        venue.dialect._topics.tickers._beat()
        [delta] = socket.take()
        assert delta["type"] == "delta"
        assert set(delta["data"]) == {"symbol", "markPrice", "indexPrice"}
        venue.world.move(BTC, 50)
        venue.dialect._topics.tickers._beat()
        state |= delta["data"] | socket.take()[0]["data"]
        assert D(state["lastPrice"]) == venue.world.exchange.last(BTC)
        assert D(state["markPrice"]) == venue.price()
        assert state["tickDirection"] == "PlusTick"

    run(scenario)


def test_trades_of_one_turn_come_together():
    async def scenario(venue):
        socket, _ = venue.subscribed(f"publicTrade.{BTC}", f"publicTrade.{ETH}")
        await venue.order(qty="2")
        await turn()
        [frame] = socket.take()
        assert frame["topic"] == f"publicTrade.{BTC}"
        assert len(frame["data"]) > 1
        assert sum(D(one["v"]) for one in frame["data"]) == 2
        assert {one["S"] for one in frame["data"]} == {"Buy"}
        prices = [D(one["p"]) for one in frame["data"]]
        assert prices == sorted(prices)
        assert len({one["i"] for one in frame["data"]}) == len(prices)

    run(scenario)


def test_candles_are_confirmed_when_the_next_begins():
    async def scenario(venue):
        socket, _ = venue.subscribed(f"kline.1.{BTC}")
        beat = venue.dialect._topics.candles._beat
        beat()
        beat()
        [first] = socket.take()
        assert first["data"][0]["confirm"] is False
        venue.world.clock_skew_ns += 60_000_000_000
        await venue.order()
        await turn()
        beat()
        done, running = socket.take()
        assert done["data"][0]["confirm"] is True
        assert done["data"][0]["start"] == first["data"][0]["start"]
        assert running["data"][0]["start"] == done["data"][0]["end"] + 1

    run(scenario)


def test_a_subscription_is_taken_whole_or_not_at_all():
    async def scenario(venue):
        socket, session = venue.open("/v5/public/linear")
        topics = [f"orderbook.50.{BTC}", "orderbook.25.BTCUSDT"]
        session.heard(json.dumps({"op": "subscribe", "req_id": 3, "args": topics}).encode())
        session.heard(b'{"op":"subscribe","args":[]}')
        for topic in ("kline.7.BTCUSDT", "tickers.NOPE", "tickers.1.BTCUSDT", "other.BTCUSDT"):
            session.heard(json.dumps({"op": "subscribe", "args": [topic]}).encode())
        acknowledgements = socket.take()
        assert [one["success"] for one in acknowledgements] == [False] * 6
        assert acknowledgements[0]["req_id"] == "3"
        venue.world.move(BTC, 1)
        publish(venue, 50)
        assert socket.take() == []

    run(scenario)


def kinds(frames):
    return [frame["topic"] for frame in frames]


def test_account_pushes_come_in_the_order_of_what_happened():
    async def scenario(venue):
        socket, _ = venue.private("order", "execution", "position", "wallet")
        await venue.order(orderLinkId="e", stopLoss=away(venue, -1))
        await turn()
        frames = socket.take()
        assert kinds(frames) == ["order", "execution", "order", "position", "wallet"]
        assert [row["orderStatus"] for row in frames[0]["data"]] == ["New"]
        assert [(row["orderStatus"], row["stopOrderType"]) for row in frames[2]["data"]] == [
            ("Filled", ""),
            ("Untriggered", "StopLoss"),
        ]
        [position] = frames[3]["data"]
        assert (position["size"], position["stopLoss"] != "0") == ("0.010", True)
        assert position["seq"] == frames[1]["data"][0]["seq"]
        wallet = frames[4]["data"][0]["coin"][0]["walletBalance"]
        assert D(wallet) == venue.world.exchange.ledger("main").wallet_usdt
        assert len({frame["id"] for frame in frames}) == len(frames)

    run(scenario)


def test_every_create_amend_and_cancel_brings_its_position():
    async def scenario(venue):
        socket, _ = venue.private("position.linear")
        price, named = away(venue, -1), {"category": "linear", "symbol": BTC, "orderLinkId": "a"}
        await venue.order(orderType="Limit", price=price, orderLinkId="a")
        await turn()
        await venue.post("order/amend", qty="0.02", **named)
        await turn()
        await venue.post("order/cancel", **named)
        await turn()
        frames = socket.take()
        assert kinds(frames) == ["position.linear"] * 3
        assert {(row["symbol"], row["size"]) for one in frames for row in one["data"]} == {
            (BTC, "0")
        }

    run(scenario)


def test_another_clients_leverage_is_pushed_though_the_position_is_flat():
    async def scenario(venue):
        socket, _ = venue.private("position")
        venue.world.act(lambda now_ns: venue.world.exchange.set_leverage("main", ETH, 10, now_ns))
        await turn()
        [frame] = socket.take()
        [row] = frame["data"]
        assert (row["symbol"], row["leverage"], row["size"]) == (ETH, "10", "0")

    run(scenario)


def test_a_large_order_has_its_executions_in_few_messages():
    async def scenario(venue):
        socket, _ = venue.private("execution", "execution.fast")
        await venue.order(qty="2")
        await turn()
        frames = socket.take()
        rows = [row for frame in frames if frame["topic"] == "execution" for row in frame["data"]]
        fast = [
            row for frame in frames if frame["topic"] == "execution.fast" for row in frame["data"]
        ]
        assert sum(D(row["execQty"]) for row in rows) == 2
        assert [row["execId"] for row in fast] == [row["execId"] for row in rows]
        assert rows[-1]["leavesQty"] == "0.000"

    run(scenario)


def test_the_take_profit_fires_and_its_stop_goes():
    async def scenario(venue):
        await venue.order(
            stopLoss=away(venue, -1),
            takeProfit=away(venue, 1),
            tpTriggerBy="MarkPrice",
            slTriggerBy="MarkPrice",
        )
        await turn()
        socket, _ = venue.private("order", "position")
        venue.world.move(BTC, to_price=D(away(venue, 1)))
        await turn()
        rows = [row for frame in socket.take() for row in frame["data"]]
        told = [(row["stopOrderType"], row["orderStatus"]) for row in rows if "orderId" in row]
        assert told == [
            ("TakeProfit", "Triggered"),
            ("TakeProfit", "Filled"),
            ("StopLoss", "Cancelled"),
        ]
        assert rows[-1]["size"] == "0"
        assert D(rows[-1]["curRealisedPnl"]) > 0

    run(scenario)


def test_two_sessions_of_one_account_hear_the_same():
    async def scenario(venue):
        one, first = venue.private("order")
        two, _ = venue.private("order", "wallet")
        await venue.order()
        await turn()
        heard, others = one.take(), two.take()
        assert heard == [frame for frame in others if frame["topic"] == "order"]
        first.heard(b'{"op":"unsubscribe","args":["order"]}')
        one.take()
        await venue.order()
        await turn()
        assert one.take() == []
        first.closed()

    run(scenario)


def test_funding_liquidation_and_adl_are_pushed_as_executions():
    async def scenario(venue):
        await venue.order(qty="0.1")
        await turn()
        socket, _ = venue.private("execution", "order")
        exchange = venue.world.exchange
        venue.world.pay_funding(BTC, D("0.0002"))
        await turn()
        venue.world.act(lambda now_ns: exchange.force_adl("main", BTC, D("0.04"), now_ns))
        await turn()
        venue.world.act(lambda now_ns: exchange.force_liquidation("main", BTC, now_ns))
        await turn()
        frames = socket.take()
        rows = [row for frame in frames if frame["topic"] == "execution" for row in frame["data"]]
        assert [row["execType"] for row in rows] == ["Funding", "AdlTrade", "BustTrade"]
        assert rows[0]["execPnl"] == "-" + rows[0]["execFee"]
        orders = [row for frame in frames if frame["topic"] == "order" for row in frame["data"]]
        assert {row["orderLinkId"] for row in orders} == {""}

    run(scenario)
