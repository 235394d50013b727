"""The router on the frames that venues send."""

import pytest

from hfengine.kernels.routing import FrameHearer, Router, Stream
from hfengine.messages import Frame
from hfengine.runtime.stages import Stages

ROUTER = Router(
    {
        "orderbook.50.BTCUSDT": "BTCUSDT",
        "btcusdt@depth@100ms": "BTCUSDT",
        "BTCUSDT": "BTCUSDT",
        "1000PEPEUSDT": "1000PEPEUSDT",
    }
)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{"s":"ETHUSDT"}}',
        b'{"type":"delta","ts":1,"topic":"orderbook.50.BTCUSDT","data":{}}',
        b' {\n "topic" : "orderbook.50.BTCUSDT" }',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","s":"BTCUSDT"}}',
        b'{"e":"depthUpdate","E":17,"T":16,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}',
        b'{"e":"x","x":-1.5e+3,"y":null,"z":true,"s":"BTCUSDT"',
        b'{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"k":1,"s":"BTCUSDT"}',
    ],
)
def test_a_frame_is_led_to_its_symbol(payload):
    assert ROUTER.route(payload) == "BTCUSDT"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"{}",
        b"pong",
        b"[1]",
        b'{"success":true,"ret_msg":"","op":"subscribe"}',
        b'{"result":null,"id":1}',
        b'{"topic":"orderbook.50.ETHUSDT"}',
        b'{"topic":17}',
        b'{"topic"',
        b'{"topic":"orderbook.50.BTCUSDT',
        b'{"data":{},"stream":"btcusdt@depth@100ms"}',
        b'{"data":[],"s":"BTCUSDT"}',
        b'{"x":"\\"","s":"BTCUSDT"}',
        b'{"\\u0073":"ETHUSDT","s":"BTCUSDT"}',
        b'{"s":"\\u0042TCUSDT"}',
        b'{"s" "BTCUSDT"}',
        b'{"e":,"s":"BTCUSDT"}',
        b'{"e":1 "s":"BTCUSDT"}',
        b'{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":0,"k":1,"l":2,"s":"BTCUSDT"}',
    ],
)
def test_what_is_not_plain_or_not_known_is_left_to_a_full_parser(payload):
    assert ROUTER.route(payload) is None


def test_the_same_object_comes_back_and_only_bytes_are_taken():
    symbol = "1000PEPEUSDT" + ""
    router = Router({"x": symbol})
    assert router.route(b'{"s":"x"}') is symbol
    with pytest.raises(TypeError):
        router.route("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        router.route(None)  # type: ignore[arg-type]


class Heard:
    """A frame hearer over one stream, and what came out of it."""

    def __init__(self) -> None:
        self.told: list[Frame] = []
        self.others: list[tuple[bytes, int]] = []
        self.stages = Stages()
        self.stream = Stream("orderbook.50.BTCUSDT", "BTCUSDT")
        self.hearer = FrameHearer(
            {"orderbook.50.BTCUSDT": self.stream},
            Frame,
            self.told.append,
            self.stages,
            "bybit#1",
            lambda payload, received_ns: self.others.append((payload, received_ns)),
        )


def test_a_known_topic_is_told_as_a_frame_of_its_symbol():
    heard = Heard()
    payload = b'{"topic":"orderbook.50.BTCUSDT"}'
    assert heard.stream.heard_ns == 0
    heard.hearer(payload, 17, 5)
    assert heard.told == [Frame("BTCUSDT", 17, payload, "bybit#1")]
    assert heard.stream.heard_ns == 17
    assert heard.stages.read_at_ns == 5
    assert heard.others == []


def test_an_unknown_topic_is_left_and_marks_nothing_as_heard():
    heard = Heard()
    payload = b'{"topic":"orderbook.50.ETHUSDT"}'
    heard.hearer(payload, 17, 5)
    assert heard.told == []
    assert heard.others == [(payload, 17)]
    assert heard.stream.heard_ns == 0
    assert heard.stages.read_at_ns == 5, "what is left may be told as a frame after all"


def test_frames_go_to_whoever_takes_them_now():
    heard = Heard()
    later: list[Frame] = []
    heard.hearer.tell = later.append
    heard.hearer(b'{"topic":"orderbook.50.BTCUSDT"}', 17, 5)
    assert heard.told == []
    assert [frame.symbol for frame in later] == ["BTCUSDT"]


def test_what_takes_a_frame_may_fail():
    heard = Heard()

    def fail(_frame: Frame) -> None:
        raise LookupError("on purpose")

    heard.hearer.tell = fail
    with pytest.raises(LookupError, match="on purpose"):
        heard.hearer(b'{"topic":"orderbook.50.BTCUSDT"}', 17, 5)


def test_a_route_leads_to_a_stream():
    with pytest.raises(TypeError, match="x: a route leads to a Stream, not str"):
        FrameHearer({"x": "BTCUSDT"}, Frame, print, Stages(), "", print)  # type: ignore[dict-item]
