"""The venue measurement without its processes: dialogues, orders, verdicts; and the load feed."""

import hashlib
import hmac
import json
from decimal import Decimal

import msgspec
import pytest

from hfengine.bench.rounds import Quantiles
from hfengine.bench.venue.dialogue import Numbered, Wanted, dialogue_of
from hfengine.bench.venue.kinds import Key, listed, make_keys
from hfengine.bench.venue.load import Asked, Client, find_shortfalls, options_of
from hfengine.bench.venue.processes import child
from hfengine.bench.venue.watcher import Flow, Watch, quantiles_or_nothing, wanted_order

KEY = Key("k", b"s")
NOW_MS = 1_700_000_000_123
LAG = Quantiles(1_000_000, 2_000_000, 3_000_000, 4_000_000, 100)
CLIENT = Client(
    frames_per_s=100.0,
    book_frames_per_s=10.0,
    mib_per_s=1.0,
    account_frames=5,
    gaps=0,
    lag_ns=LAG,
    first_quarter_ns=LAG,
    last_quarter_ns=LAG,
    orders=10,
    answers=10,
    refused=0,
    refusals=[],
    order_ns=LAG,
    cpu_share=0.1,
)


def test_a_bybit_order_is_what_the_venue_documents():
    frame = json.loads(dialogue_of("bybit").place(KEY, Wanted("XUSDT", -1, "2.5"), "id", NOW_MS))
    assert frame["op"] == "order.create"
    assert frame["header"]["X-BAPI-TIMESTAMP"] == str(NOW_MS)
    (order,) = frame["args"]
    assert (order["side"], order["orderType"], order["qty"]) == ("Sell", "Market", "2.5")
    assert "price" not in order


def test_a_binance_order_is_signed_over_its_sorted_parameters():
    wanted = Wanted("XUSDT", 1, "2.5", "19.4")
    frame = json.loads(dialogue_of("binance").place(KEY, wanted, "id", NOW_MS))
    params = frame["params"]
    signature = params.pop("signature")
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    assert signature == hmac.new(b"s", text.encode(), hashlib.sha256).hexdigest()
    assert (params["type"], params["price"], params["timeInForce"]) == ("LIMIT", "19.4", "GTX")


def test_stamps_and_numbers_are_found_in_bybit_frames():
    dialogue = dialogue_of("bybit")
    delta = (
        b'{"topic":"orderbook.50.XUSDT","type":"delta","ts":1700000000123,"data":{"s":"XUSDT",'
        b'"b":[["1","2"]],"a":[],"u":77,"seq":9},"cts":1700000000122}'
    )
    assert dialogue.stamp_ms(delta) == NOW_MS
    assert dialogue.numbered(delta) == Numbered(b"orderbook.50.XUSDT", 76, 77)
    assert dialogue.numbered(delta.replace(b"delta", b"snapshot")).before == 0
    best = delta.replace(b"delta", b"snapshot").replace(b"book.50", b"book.1")
    assert dialogue.numbered(best).before == 76
    trade = b'{"topic":"publicTrade.XUSDT","type":"snapshot","ts":1700000000123,"data":[]}'
    assert dialogue.numbered(trade) is None
    assert dialogue.stamp_ms(b'{"op":"subscribe","ts":1700000000123}') == 0


def test_stamps_and_numbers_are_found_in_binance_frames():
    dialogue = dialogue_of("binance")
    diff = (
        b'{"stream":"xusdt@depth@0ms","data":{"e":"depthUpdate","E":1700000000123,'
        b'"T":1700000000120,"s":"XUSDT","U":9,"u":16,"pu":8,"b":[],"a":[]}}'
    )
    assert dialogue.stamp_ms(diff) == NOW_MS
    assert dialogue.numbered(diff) == Numbered(b'{"stream":"xusdt@depth@0ms', 8, 16)
    assert dialogue.numbered(b'{"stream":"xusdt@trade","data":{"e":"trade","E":1}}') is None
    assert dialogue.stamp_ms(b'{"result":null,"id":1}') == 0


@pytest.mark.parametrize(
    ("dialect", "good", "bad"),
    [
        ("bybit", b'{"retCode":0,"retMsg":"OK"}', b'{"retCode":10006,"retMsg":"x"}'),
        ("binance", b'{"id":"1","status":200,"result":{}}', b'{"id":"1","status":400,"error":1}'),
    ],
)
def test_a_refusal_is_told_from_a_success(dialect, good, bad):
    assert dialogue_of(dialect).is_accepted(good)
    assert not dialogue_of(dialect).is_accepted(bad)


def test_the_flow_buys_sells_rests_and_cancels_each_symbol_with_every_key():
    keys = make_keys("c", 2)
    watch = Watch(
        dialect="bybit",
        name="w",
        http="",
        ws="",
        symbols=3,
        keys=keys,
        orders_per_s=1,
        seconds=1,
    )
    flow = Flow(watch, dialogue_of("bybit"), listed("bybit", 3))
    asked = [flow.make() for _ in range(12)]
    assert [number for number, _ in asked] == [0] * 4 + [1] * 4 + [0] * 4
    frames = [json.loads(frame) for _, frame in asked]
    assert [frame["op"] for frame in frames[:4]] == ["order.create"] * 3 + ["order.cancel"]
    sides = [frame["args"][0].get("side") for frame in frames[:4]]
    assert sides == ["Buy", "Sell", "Buy", None]
    resting, cancelled = frames[2]["args"][0], frames[3]["args"][0]
    assert resting["orderLinkId"] == cancelled["orderLinkId"]
    symbols = [frame["args"][0]["symbol"] for frame in frames]
    assert symbols == ["X001USDT"] * 4 + ["X002USDT"] * 4 + ["X003USDT"] * 4


@pytest.mark.parametrize("instrument", listed("bybit", 4), ids=lambda one: one.symbol)
def test_orders_of_the_flow_are_on_the_grid_and_big_enough(instrument):
    for step in range(3):
        order = wanted_order(instrument, step)
        quantity = Decimal(order.quantity)
        assert quantity % instrument.quantity_step == 0
        price = Decimal(order.price or "0")
        assert price % instrument.price_tick == 0
        if step == 2:
            assert price * quantity >= instrument.notional_min_usdt


def test_a_venue_that_keeps_up_has_no_shortfall():
    asked = Asked(symbols=5, updates_per_s=10)
    assert list(find_shortfalls(asked, 50.0, 1.0, [CLIENT])) == []


@pytest.mark.parametrize(
    ("updates_per_s", "late_ms", "changed", "told"),
    [
        (40.0, 1.0, {}, "40 updates/s were made of 50 due"),
        (50.0, 500.0, {}, "500 ms behind its schedule"),
        (50.0, 1.0, {"gaps": 3}, "client 1: 3 book frames never came"),
        (
            50.0,
            1.0,
            {"last_quarter_ns": Quantiles(9_000_000, 9_000_000, 9_000_000, 9_000_000, 9)},
            "client 1: frames came 8.0 ms later at the end",
        ),
        (50.0, 1.0, {"refused": 1, "refusals": ["no"]}, "1 requests were refused: no"),
        (50.0, 1.0, {"answers": 8}, "client 1: 2 requests were never answered"),
        (50.0, 1.0, {"lag_ns": quantiles_or_nothing([])}, "client 1: no frame came"),
    ],
)
def test_every_shortfall_is_told(updates_per_s, late_ms, changed, told):
    asked = Asked(symbols=5, updates_per_s=10)
    client = msgspec.structs.replace(CLIENT, **changed)
    (found,) = find_shortfalls(asked, updates_per_s, late_ms, [client])
    assert told in found


def test_the_venue_lists_the_invented_symbols_and_an_account_for_every_key():
    options = options_of("binance", Asked(symbols=7), [make_keys("a", 2), make_keys("b", 1)])
    assert options[options.index("--listings") + 1] == "7"
    assert options[options.index("--feed") + 1] == "load:100"
    assert options.count("--account") == 3
    assert "a1:a1:open" in options


def test_a_child_that_ends_early_leaves_its_last_words():
    with child("json.tool", ["/no/such/file"]) as process:
        with pytest.raises(Exception, match="No such file") as failed:
            process.line()
        assert type(failed.value).__name__ == "MeasureFailed"
