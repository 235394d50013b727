"""The Binance venue's public market: calls, stream cadences and the rules of its book."""

import json
from decimal import Decimal

import pytest

from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec
from hfengine.localvenue.binance.book import _Side
from tests.binance_desk import BTC, Desk


@pytest.fixture
def desk():
    made = Desk()
    yield made
    made.close()


def replayed(desk, frames, snapshot):
    """Apply a snapshot and diffs by the exchange's rule; return the book, as strings."""
    book = {
        side: {price: Decimal(size) for price, size in snapshot[side]} for side in ("bids", "asks")
    }
    last, applied = snapshot["lastUpdateId"], 0
    for frame in frames:
        if frame["u"] < snapshot["lastUpdateId"]:
            continue
        if not applied:
            assert frame["U"] <= snapshot["lastUpdateId"] <= frame["u"]
        else:
            assert frame["pu"] == last
        applied, last = applied + 1, frame["u"]
        for side, name in (("bids", "b"), ("asks", "a")):
            for price, size in frame[name]:
                if Decimal(size):
                    book[side][price] = Decimal(size)
                else:
                    book[side].pop(price, None)
    return book, applied


def truth(desk):
    row = desk.public("/v1/depth", symbol=BTC, limit=1000)
    return {side: {price: Decimal(size) for price, size in row[side]} for side in ("bids", "asks")}


def shake(desk, rounds=6):
    """Change the book in several ways, with time passing."""
    for number in range(rounds):
        desk.world.set_level(BTC, 1, 617_900 - number, 500 + number)
        desk.order("BUY", "0.5")
        desk.order("SELL", "0.5")
        if number % 2:
            desk.world.move(BTC, 7)
        desk.run(0.13)


@pytest.mark.parametrize("cadence", ["", "@0ms", "@100ms", "@250ms", "@500ms"])
def test_diffs_on_a_snapshot_give_the_book(desk, cadence):
    stream = desk.stream(f"/public/ws/btcusdt@depth{cadence}")
    shake(desk, 2)
    snapshot = desk.public("/v1/depth", symbol=BTC, limit=1000)
    shake(desk)
    desk.run(1)
    book, applied = replayed(desk, stream.take(), snapshot)
    assert applied >= 1
    assert book == truth(desk)


def test_a_snapshot_between_two_diffs_of_a_quiet_market_has_a_first_diff(desk):
    stream = desk.stream("/public/ws/btcusdt@depth@100ms")
    desk.move("61900")
    desk.run(0.2)
    before = stream.take()
    snapshot = desk.public("/v1/depth", symbol=BTC)
    desk.run(1)
    assert stream.take() == []
    desk.move("61950")
    desk.run(0.2)
    after = stream.take()
    assert before[-1]["u"] < snapshot["lastUpdateId"]
    _, applied = replayed(desk, before + after, snapshot)
    assert applied == 1


def test_the_engines_own_codec_follows_and_agrees_with_the_quotes(desk):
    names = ("depth@100ms", "bookTicker", "trade", "markPrice@1s")
    stream = desk.stream("/stream", streams="/".join(f"btcusdt@{name}" for name in names))
    book = Book("0.1", "0.001")
    codec = BinanceCodec(BTC, book)
    snapshot = desk.public("/v1/depth", symbol=BTC, limit=1000)
    codec.decode(json.dumps(snapshot).encode())
    shake(desk)
    desk.run(1)
    for frame in stream.take():
        codec.decode(json.dumps(frame, separators=(",", ":")).encode())
    codec.finish_checks()
    counts = codec.counts
    assert codec.synced
    assert min(counts[kind] for kind in ("depth", "quote", "trade", "mark")) >= 1
    assert counts["gap"] == counts["crossed"] == counts["malformed"] == counts["foreign"] == 0
    for side in (1, -1):
        assert book.levels(side, 50) == desk.world.levels(BTC, side, 50)


def test_the_publics_book_shows_orders_and_takings(desk):
    desk.order("BUY", "0.5", "61800.2")
    best = desk.public("/v1/ticker/bookTicker", symbol=BTC)
    assert (best["bidPrice"], best["bidQty"]) == ("61800.20", "0.500")
    desk.order("BUY", "0.1")
    row = desk.public("/v1/depth", symbol=BTC, limit=5)
    assert row["asks"][0] == ["61800.30", "0.224"]
    assert len(row["asks"]) == 5
    answer = desk.send("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=7")
    assert (answer.code, answer.status) == (-4021, 400)


def test_subscribers_of_a_stream_share_its_frames_and_its_state(desk):
    early = desk.stream("/public/ws/1")
    early.ask(method="SUBSCRIBE", params=["btcusdt@depth@100ms"], id=1)
    desk.move("61900")
    desk.run(0.2)
    late = desk.stream("/public/stream", streams="btcusdt@depth@100ms")
    desk.move("61950")
    desk.run(0.2)
    both = early.take()
    (wrapped,) = late.take()
    assert both[-1] == wrapped["data"]
    assert both[-1]["pu"] == both[-2]["u"]
    early.session.closed()
    desk.move("61990")
    desk.run(0.2)
    assert early.take() == []
    assert len(late.take()) == 1


def test_a_stream_that_nobody_hears_costs_nothing(desk, monkeypatch):
    streams = [desk.stream("/ws/btcusdt@depth@100ms/btcusdt@bookTicker") for _ in range(2)]
    for stream in streams:
        stream.session.closed()
    looks = []
    monkeypatch.setattr(desk.world, "version", lambda symbol: looks.append(symbol) or 0)
    desk.run(1)
    assert looks == []


def test_quotes_come_only_when_the_best_changes(desk):
    stream = desk.stream("/ws/btcusdt@bookTicker")
    desk.world.set_level(BTC, 1, 617_900, 77)
    desk.run(0.1)
    assert stream.take() == []
    desk.world.set_level(BTC, -1, 618_003, 5)
    desk.run(0.1)
    (quote,) = stream.take()
    assert (quote["a"], quote["A"]) == ("61800.30", "0.005")


def test_no_diff_shows_a_best_price_before_its_quote_did(desk):
    stream = desk.stream("/stream", streams="btcusdt@bookTicker/btcusdt@depth@100ms")
    for number in range(40):
        # every 3 ms: most changes fall between two looks of the quote stream
        desk.world.set_level(BTC, -1, 618_003, 5 + number)
        desk.run(0.003)
    quoted = ""
    diffs = 0
    for frame in stream.take():
        told = frame["data"]
        if told["e"] == "bookTicker":
            quoted = told["A"]
            continue
        diffs += 1
        best = [quantity for price, quantity in told["a"] if price == "61800.30"]
        assert best in ([], [quoted])
    assert diffs


def test_a_book_without_a_side_has_no_quote_until_it_has_one(desk):
    stream = desk.stream("/ws/btcusdt@bookTicker")
    asks = desk.world.levels(BTC, -1, 1000)
    for ticks, _ in asks:
        desk.world.set_level(BTC, -1, ticks, 0)
    desk.run(0.1)
    assert stream.take() == []
    desk.world.set_level(BTC, -1, asks[0][0], 3)
    desk.run(0.1)
    (told,) = stream.take()
    assert told["A"] == "0.003"


def test_a_level_that_only_a_snapshot_showed_is_taken_back(desk):
    stream = desk.stream("/public/ws/btcusdt@depth@100ms")
    desk.world.set_level(BTC, 1, 618_001, 9)
    snapshot = desk.public("/v1/depth", symbol=BTC)
    assert snapshot["bids"][0] == ["61800.10", "0.009"]
    desk.world.set_level(BTC, 1, 618_001, 0)
    desk.run(0.2)
    frames = stream.take()
    book, applied = replayed(desk, frames, snapshot)
    assert applied == 1
    assert book == truth(desk)
    assert ["61800.10", "0.000"] in frames[0]["b"]


def test_partial_depth_is_whole_every_time(desk):
    stream = desk.stream("/ws/btcusdt@depth5@100ms")
    desk.world.set_level(BTC, 1, 617_900, 77)
    desk.run(0.2)
    (frame,) = stream.take()
    assert (len(frame["b"]), len(frame["a"])) == (5, 5)
    assert frame["b"][0][0] == "61800.10"


def test_trades_are_told_at_once_in_both_forms(desk):
    plain, aggregate = desk.stream("/ws/btcusdt@trade"), desk.stream("/ws/btcusdt@aggTrade")
    desk.order("SELL", "0.01")
    desk.turn()
    (trade,), (whole,) = plain.take(), aggregate.take()
    assert (trade["p"], trade["q"], trade["m"], trade["X"]) == ("61800.10", "0.010", True, "MARKET")
    assert (whole["a"], whole["f"], whole["l"]) == (trade["t"],) * 3
    listed = desk.public("/v1/trades", symbol=BTC)[-1]
    assert (listed["id"], listed["price"], listed["isBuyerMaker"]) == (trade["t"], "61800.10", True)
    assert desk.public("/v1/aggTrades", symbol=BTC, fromId=trade["t"])[0]["m"] is True


@pytest.mark.parametrize(
    ("name", "count"),
    [("markPrice@1s", 6), ("markPrice", 2), ("ticker", 3), ("miniTicker", 12)],
)
def test_cadences(desk, name, count):
    stream = desk.stream(f"/market/ws/btcusdt@{name}")
    desk.run(6.001)
    assert len(stream.take()) == count


def test_streams_of_all_symbols():
    desk = Desk(("BTCUSDT", "ETHUSDT"))
    stream = desk.stream("/market/stream", streams="!markPrice@arr@1s/!miniTicker@arr/!ticker@arr")
    desk.run(1.001)
    for frame in stream.take():
        assert [row["s"] for row in frame["data"]] == ["BTCUSDT", "ETHUSDT"], frame["stream"]
    quotes = desk.stream("/ws/!bookTicker")
    desk.move("61900")
    desk.run(5.001)
    assert [one["s"] for one in quotes.take()] == ["BTCUSDT"]
    desk.close()


def test_candles_close_before_the_next_begins(desk):
    stream = desk.stream("/market/ws/btcusdt@kline_1m")
    desk.order("BUY", "0.01")
    desk.run(60)
    desk.order("BUY", "0.02")
    desk.run(1)
    candles = [one["k"] for one in stream.take()]
    closed = [one for one in candles if one["x"]]
    assert len(closed) == 1
    assert candles[candles.index(closed[0]) + 1]["t"] == closed[0]["T"] + 1
    rows = desk.public("/v1/klines", symbol=BTC, interval="1m")
    assert [row[0] for row in rows] == [closed[0]["t"], candles[-1]["t"]]
    assert rows[-1][5] == "0.020"
    bad = desk.send("GET", "/fapi/v1/klines", "symbol=BTCUSDT&interval=7m")
    assert bad.code == -1120


def test_subscriptions(desk):
    stream = desk.stream("/ws")
    names = ["btcusdt@trade", "nothing@trade", "btcusdt@nonsense"]
    assert stream.ask(method="SUBSCRIBE", params=names, id="a") == {"result": None, "id": "a"}
    listed = stream.ask(method="LIST_SUBSCRIPTIONS", id=2)
    assert listed == {"result": names, "id": 2}
    assert stream.ask(method="UNSUBSCRIBE", params=names[:1], id=3)["result"] is None
    desk.order("BUY", "0.01")
    desk.turn()
    assert stream.take() == []
    assert stream.ask(method="GET_PROPERTY", params=["combined"], id=4)["result"] is False
    stream.ask(method="SET_PROPERTY", params=["combined", True], id=5)
    stream.ask(method="SUBSCRIBE", params=names[:1], id=6)
    desk.order("BUY", "0.01")
    desk.turn()
    assert stream.take()[0]["stream"] == names[0]
    assert stream.ask(method="SUBSCRIBE", params="x", id=7)["error"]["code"] == 2
    assert stream.ask(method="SHOUT", id=8)["error"]["code"] == 2
    stream.session.heard(b"{")
    assert stream.take()[0]["error"]["code"] == 3
    desk.run(1)
    for _ in range(10):
        stream.ask(method="LIST_SUBSCRIPTIONS", id=1)
    assert stream.socket.close_code == 0
    stream.session.heard(b'{"method":"LIST_SUBSCRIPTIONS","id":1}')
    assert stream.socket.close_code == 1008


def test_addresses_that_are_not_served(desk):
    for path in ("/", "/wss", "/v5/private", "/public", "/ws-fapi/v2"):
        with pytest.raises(AssertionError):
            desk.stream(path)


def test_calls_of_one_symbol_or_all():
    desk = Desk(("BTCUSDT", "ETHUSDT"))
    for path in ("/v1/premiumIndex", "/v1/ticker/24hr", "/v1/ticker/price", "/v2/ticker/price"):
        assert desk.public(path, symbol=BTC)["symbol"] == BTC
        assert [row["symbol"] for row in desk.public(path)] == ["BTCUSDT", "ETHUSDT"]
    unknown = desk.send("GET", "/fapi/v1/premiumIndex", "symbol=NOPE")
    assert (unknown.code, unknown.status) == (-1121, 400)
    info = desk.public("/v1/exchangeInfo")
    row = info["symbols"][0]
    filters = {one["filterType"]: one for one in row["filters"]}
    assert (row["pricePrecision"], filters["PRICE_FILTER"]["tickSize"]) == (2, "0.10")
    assert filters["MARKET_LOT_SIZE"]["maxQty"] == "120"
    assert filters["MIN_NOTIONAL"]["notional"] == "100"
    assert filters["PERCENT_PRICE"]["multiplierUp"] == "1.0500"
    desk.close()


def test_a_diff_tells_both_sides_by_rising_price_as_the_exchange_does():
    levels = [(105, 1), (104, 2), (103, 3)]
    bids = _Side(levels, 1)
    assert bids.move_to([(106, 4), (104, 5)]) == [(103, 0), (104, 5), (105, 0), (106, 4)]
    asks = _Side(levels[::-1], -1)
    assert asks.move_to([(104, 2), (105, 9)]) == [(103, 0), (105, 9)]
    assert asks.move_to([(104, 2), (105, 9)]) == []
