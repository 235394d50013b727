"""Any sequence of frames over a socket, in any reads: heard as the reference says, in batches."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfengine.messages import Frame
from hfengine.runtime.actor import LoopActor, handles
from hfengine.venues import link as links
from tests.link_bench import Bench, runner_of
from tests.reference.listener import messages, turns
from tests.scripted_server import frame_of, until

BATCH_MAX = 3


class Hearer(LoopActor):
    """Notes how many frames were out when each was handled: the end of its batch."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.out: list[int] = []

    @handles(Frame)
    def on_frame(self, frame: Frame) -> None:
        self.out.append(len(self.bench.notes.payloads))


@st.composite
def wholes(draw):
    """Return the frames of one message, pings and pongs between its parts."""
    parts = draw(st.lists(st.binary(max_size=200), min_size=1, max_size=4))
    opcode = draw(st.sampled_from([1, 2]))
    frames = []
    for number, part in enumerate(parts):
        if draw(st.integers(0, 3)) == 0:
            frames.append((draw(st.sampled_from([9, 10])), True, b"beat"))
        frames.append((0 if number else opcode, number == len(parts) - 1, part))
    return frames


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(links, "BURST_FRAMES_MAX", BATCH_MAX)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(wholes(), min_size=1, max_size=25), st.data())
def test_what_is_heard_is_the_references(small_batches, whole, data):
    frames = [frame for message in whole for frame in message]
    want = messages(frames)
    wire = b"".join(frame_of(payload, opcode, fin=fin) for opcode, fin, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=4)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    async def test(bench: Bench) -> None:
        link = await bench.open_link()
        ref = Hearer.start(bench)
        hearer = bench.host.actors[ref.actor_urn]
        bench.notes.on_payload = lambda payload: ref.tell(Frame("BTCUSDT", 0, payload))
        for piece in pieces:
            bench.server.peer.transport.underlying_transport.write(piece)
            await asyncio.sleep(0)
        await until(lambda: len(hearer.out) == len(want))
        assert bench.notes.payloads == want
        assert link.frames == len(frames)
        assert link.opens == 1
        # one turn's frames see the same number out: none is longer than a batch
        assert max(map(hearer.out.count, hearer.out)) <= BATCH_MAX
        assert bench.host.idle()

    runner_of("uvloop")(test)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_a_read_is_cut_into_batches(small_batches, reads):
    async def test(bench: Bench) -> None:
        await bench.open_link()
        ref = Hearer.start(bench)
        hearer = bench.host.actors[ref.actor_urn]
        bench.notes.on_payload = lambda payload: ref.tell(Frame("BTCUSDT", 0, payload))
        total = 0
        for count in reads:
            bench.server.peer.send_in_one_read(*[b"%d" % n for n in range(count)])
            total += count
            await until(lambda want=total: len(hearer.out) == want)
        ends, out = [], 0
        for size in turns(reads, BATCH_MAX):
            out += size
            ends += [out] * size
        assert hearer.out == ends
        assert len(set(bench.notes.received_ns)) == len(reads), "a read has one time"

    runner_of("uvloop")(test)
