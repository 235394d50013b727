"""The compiled half of a link by itself: what it hears, what it leaves, and when it may send."""

import asyncio
import subprocess
import sys
from typing import Any

import picows
import pytest
from picows import WSMsgType
from picows.picows import _make_test_ws_frame as made_frame

from hfengine.kernels.histogram import now_ns
from hfengine.kernels.listener import PICOWS_VERSION, Hearer, Line, Listener
from hfengine.kernels.mailbox import Host


class Wire:
    """Writes down what it is left with; a test may make it fail."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes]] = []
        self.failures: list[BaseException] = []
        self.ends = 0
        self.connections = 0
        self.failure: Exception | None = None

    def connected(self, transport: Any) -> None:
        self.connections += 1

    def take(self, transport: Any, frame: Any) -> None:
        self.taken.append((int(frame.msg_type), frame.get_payload_as_bytes()))
        if self.failure is not None:
            raise self.failure

    def failed(self, error: BaseException) -> None:
        self.failures.append(error)

    def disconnected(self, transport: Any) -> None:
        self.ends += 1


class Rig:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.host = Host(self.loop)
        self.wire = Wire()
        self.heard: list[tuple[bytes, int]] = []
        self.clock_ns = 17
        self.listener = Listener(
            self.wire, self.host, lambda: self.clock_ns, self.hear, 4, 1_000_000
        )

    def hear(self, payload: bytes, received_ns: int) -> None:
        if payload == b"bad":
            raise LookupError("on purpose")
        self.heard.append((payload, received_ns))

    def frame(self, payload: bytes, kind: WSMsgType = WSMsgType.TEXT, *, fin: bool = True) -> None:
        self.listener.on_ws_frame(None, made_frame(kind, payload, fin, False))  # type: ignore[arg-type]


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.loop.close()


@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY])
def test_a_whole_message_is_heard_at_once_with_the_time_of_its_read(rig, kind):
    before_ns = now_ns()
    rig.frame(b"one", kind)
    first_ns = rig.listener.read_at_ns
    rig.clock_ns = 23
    rig.frame(b"two", kind)
    assert rig.heard == [(b"one", 17), (b"two", 23)]
    assert rig.listener.received_ns == 23
    assert before_ns <= first_ns <= rig.listener.read_at_ns <= now_ns()
    assert rig.listener.frames == 2
    assert rig.wire.taken == []
    assert rig.host.depth == 0


@pytest.mark.parametrize(
    "kind", [WSMsgType.PING, WSMsgType.PONG, WSMsgType.CLOSE, WSMsgType.CONTINUATION]
)
def test_anything_else_is_the_wires(rig, kind):
    rig.frame(b"\x03\xe8", kind)
    assert rig.wire.taken == [(int(kind), b"\x03\xe8")]
    assert rig.heard == []
    assert rig.listener.frames == 1


def test_between_parts_every_frame_is_the_wires_and_what_it_joins_is_heard(rig):
    rig.frame(b"a", fin=False)
    rig.listener.in_parts = True
    rig.frame(b"b")
    assert rig.wire.taken == [(1, b"a"), (1, b"b")]
    rig.listener.in_parts = False
    rig.listener.hear(b"ab")
    rig.frame(b"c")
    assert [payload for payload, _ in rig.heard] == [b"ab", b"c"]


@pytest.mark.parametrize(
    ("payload", "kind"), [(b"bad", WSMsgType.TEXT), (b"", WSMsgType.PING)], ids=["session", "wire"]
)
def test_after_an_error_nothing_is_heard(rig, payload, kind):
    rig.wire.failure = LookupError("on purpose")
    with pytest.raises(LookupError, match="on purpose"):
        rig.frame(payload, kind)
    assert rig.listener.broken
    assert [type(error) for error in rig.wire.failures] == [LookupError]
    rig.frame(b"good")
    assert rig.heard == []
    assert rig.listener.frames == 2
    assert len(rig.wire.failures) == 1


def test_a_wire_is_let_go_at_the_end(rig):
    rig.listener.on_ws_disconnected(None)
    assert rig.wire.ends == 1
    with pytest.raises(AttributeError):
        rig.listener.on_ws_disconnected(None)
    assert rig.wire.ends == 1


def test_congestion_comes_and_goes(rig):
    assert not rig.listener.congested
    rig.listener.pause_writing()
    assert rig.listener.congested
    rig.listener.resume_writing()
    assert not rig.listener.congested


def test_a_batch_holds_at_least_one_frame(rig):
    with pytest.raises(ValueError, match="holds none"):
        Listener(rig.wire, rig.host, lambda: 0, rig.hear, 0, 1)


def test_a_hearer_may_be_called_and_takes_only_bytes():
    heard: list[tuple[bytes, int]] = []
    hearer = Hearer(lambda payload, received_ns: heard.append((payload, received_ns)))
    hearer(b"x", 5)
    hearer(b"y", 6, 7)
    assert heard == [(b"x", 5), (b"y", 6)]
    for wrong in ("text", None):
        with pytest.raises(TypeError):
            hearer(wrong, 5)  # type: ignore[arg-type]


class Unconnected(Line):
    def unsendable(self) -> Exception:
        return LookupError("nowhere to send to")


def test_nothing_is_sent_without_a_connection(rig):
    line = Unconnected()
    with pytest.raises(LookupError, match="nowhere"):
        line.send(b"order")
    line.is_open = True
    with pytest.raises(LookupError, match="nowhere"):
        line.send(b"order")
    line.listener = rig.listener
    with pytest.raises(LookupError, match="nowhere"):
        line.send(b"order")
    for wrong in ("text", None):
        with pytest.raises(TypeError):
            line.send(wrong)  # type: ignore[arg-type]


def test_another_release_of_picows_is_refused():
    other = "import picows; picows.__version__ = '2.4.0'; import hfengine.kernels.listener"
    ended = subprocess.run(
        [sys.executable, "-c", other], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert f"install picows=={PICOWS_VERSION}" in ended.stderr
    assert picows.__version__ == PICOWS_VERSION
