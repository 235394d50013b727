"""Cost of a frame's way from the websocket library's call to the teller, and of an order's out."""

from collections.abc import Iterator
from typing import Any

import pytest
import uvloop
from picows import WSMsgType
from picows.picows import _make_test_ws_frame as made_frame

from hfengine.kernels.clocks import WallClock
from hfengine.kernels.listener import Listener
from hfengine.kernels.mailbox import Host
from hfengine.kernels.routing import FrameHearer, Stream
from hfengine.messages import Frame
from hfengine.runtime.stages import Stages

PAYLOAD = b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1700000000000,"data":{' + b" " * 360


@pytest.fixture
def host() -> Iterator[Host]:
    loop = uvloop.new_event_loop()
    yield Host(loop)
    loop.close()


@pytest.mark.parametrize("heard", ["compiled", "python"])
def test_frame_to_tell(benchmark: Any, host: Host, heard: str) -> None:
    told: list[Frame] = []
    stream = Stream("orderbook.50.BTCUSDT", "BTCUSDT")
    hearer = FrameHearer(
        {"orderbook.50.BTCUSDT": stream}, Frame, told.append, Stages(), "bench", print
    )

    def by_python(payload: bytes, received_ns: int) -> None:
        hearer(payload, received_ns)

    taker = hearer if heard == "compiled" else by_python
    listener = Listener(None, host, WallClock().now_ns, taker, 256, 1 << 20)  # type: ignore[arg-type]
    frame = made_frame(WSMsgType.TEXT, PAYLOAD, True, False)
    benchmark(listener.on_ws_frame, None, frame)
    assert told[0].payload == PAYLOAD
    assert not listener.broken
