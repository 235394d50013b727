"""A link: whole messages in bursts, pings, silence, and a session that fails."""

import asyncio
from collections.abc import Callable

import pytest
from picows import WSCloseCode, WSMsgType

from hfengine.errors import ConfigError
from hfengine.limits import BURST_BYTES_MAX, BURST_FRAMES_MAX, FRAME_BYTES_MAX
from hfengine.messages import Frame
from hfengine.runtime.actor import LoopActor, handles
from hfengine.venues.link import Link
from tests.link_bench import LOOPS, Bench, Notes, Test, runner_of
from tests.scripted_server import frame_of, until


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    return runner_of(request.param)


def test_messages_go_both_ways(run):
    async def test(bench: Bench) -> None:
        bench.notes.on_open = lambda link: link.send(b'{"op":"subscribe"}')
        bench.server.hear = lambda peer, payload: peer.send(b"ack", b"tick")
        link = await bench.open_link()
        await until(lambda: len(bench.notes.payloads) == 2)
        assert bench.server.peer.path == "/v5/public/linear"
        assert bench.server.peer.received == [b'{"op":"subscribe"}']
        assert bench.notes.payloads == [b"ack", b"tick"]
        assert link.frames == 2
        assert abs(bench.notes.received_ns[0] - bench.host.clock.now_ns()) < 60_000_000_000

    run(test)


class Hearer(LoopActor):
    """Counts its turns: how many frames were already out when each was handled."""

    def __init__(self, notes: Notes) -> None:
        super().__init__()
        self.notes = notes
        self.seen: list[int] = []

    @handles(Frame)
    def on_frame(self, frame: Frame) -> None:
        self.seen.append(len(self.notes.payloads))


@pytest.mark.parametrize("last", [b"", frame_of(b"are you there", 9)])
def test_one_read_is_one_batch_even_when_a_ping_ends_it(run, last):
    async def test(bench: Bench) -> None:
        await bench.open_link()
        hearer = Hearer.start(bench.notes)
        seen = bench.host.actors[hearer.actor_urn].seen  # type: ignore[attr-defined]
        bench.notes.on_payload = lambda payload: hearer.tell(Frame("BTCUSDT", 0, payload))
        wire = b"".join(frame_of(b"%d" % n) for n in range(5)) + last
        bench.server.peer.transport.underlying_transport.write(wire)
        await until(lambda: len(seen) == 5)
        assert seen == [5] * 5, "the actor ran once, after the last frame"
        assert len(set(bench.notes.received_ns)) == 1
        assert bench.host.idle()
        bench.server.peer.send(b"alone")
        await until(lambda: len(seen) == 6)
        assert bench.host.idle()

    run(test)


def test_a_flood_in_one_read_never_fills_a_mailbox(run):
    async def test(bench: Bench) -> None:
        await bench.open_link()
        hearer = Hearer.start(bench.notes)
        actor = bench.host.actors[hearer.actor_urn]
        bench.notes.on_payload = lambda payload: hearer.tell(Frame("BTCUSDT", 0, payload))
        count = 3 * BURST_FRAMES_MAX + 7
        bench.server.peer.send_in_one_read(*[b"%d" % n for n in range(count)])
        await until(lambda: len(actor.seen) == count)  # type: ignore[attr-defined]
        assert bench.notes.payloads == [b"%d" % n for n in range(count)], "none lost, in order"
        longest = max(map(bench.notes.received_ns.count, bench.notes.received_ns))
        assert longest > BURST_FRAMES_MAX, "the flood did not come in one read: nothing is tested"
        assert actor.actor_inbox.high_water == BURST_FRAMES_MAX
        assert bench.host.idle()

    run(test)


def test_large_frames_of_one_read_end_a_batch_by_their_bytes(run):
    async def test(bench: Bench) -> None:
        await bench.open_link()
        hearer = Hearer.start(bench.notes)
        actor = bench.host.actors[hearer.actor_urn]
        bench.notes.on_payload = lambda payload: hearer.tell(Frame("BTCUSDT", 0, payload))
        size, count = BURST_BYTES_MAX // 8, 40
        bench.server.peer.send_in_one_read(*[bytes([65 + n]) * size for n in range(count)])
        await until(lambda: len(actor.seen) == count)  # type: ignore[attr-defined]
        assert [payload[0] - 65 for payload in bench.notes.payloads] == list(range(count))
        assert actor.actor_inbox.high_water <= 8

    run(test)


def test_a_session_that_fails_in_a_burst_ends_the_connection_and_the_batch(run, caplog):
    async def test(bench: Bench) -> None:
        link = await bench.open_link()

        def fail(payload: bytes) -> None:
            if payload == b"2":
                raise LookupError("on purpose")

        bench.notes.on_payload = fail
        bench.server.peer.send_in_one_read(b"1", b"2", b"3", b"4")
        await until(lambda: link.opens == 2)
        assert bench.notes.payloads == [b"1", b"2"], "nothing of the burst after the failure"
        assert bench.host.idle()
        assert "LookupError" in bench.notes.reasons[0]
        await until(lambda: link.session_errors == 1)
        bench.notes.on_payload = lambda _payload: None
        await until(lambda: len(bench.server.peers) == 2)
        bench.server.peer.send(b"5")
        await until(lambda: bench.notes.payloads[-1] == b"5")

    run(test)
    assert "on purpose" in caplog.text


def test_a_session_that_cannot_open_is_tried_again(run, caplog):
    async def test(bench: Bench) -> None:
        def fail(link: Link) -> None:
            if link.opens == 1:
                raise LookupError("on purpose")

        bench.notes.on_open = fail
        link = bench.link()
        await until(lambda: link.opens == 2 and link.is_open)
        assert bench.notes.opens == 2
        assert "LookupError" in bench.notes.reasons[0]

    run(test)


def test_fragments_become_one_message(run):
    async def test(bench: Bench) -> None:
        await bench.open_link()
        peer = bench.server.peer
        peer.send_parts(b'{"a":', b"1", b"}")
        peer.send(b"whole")
        peer.transport.send(WSMsgType.BINARY, b"binary")
        await until(lambda: len(bench.notes.payloads) == 3)
        assert bench.notes.payloads == [b'{"a":1}', b"whole", b"binary"]

    run(test)


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (frame_of(b"", 0), "continuation of nothing"),
        (frame_of(b"a", fin=False) + frame_of(b"b"), "message inside a message"),
        (b"\x81\x7f" + (FRAME_BYTES_MAX + 1).to_bytes(8, "big"), "exceeding max"),
        (frame_of(b"x" * FRAME_BYTES_MAX, fin=False) + frame_of(b"y", 0), "over 4194304 bytes"),
        (b"\x83\x00", "invalid opcode"),
        (b"\x81\x84mask1234", "masked"),
    ],
)
def test_a_broken_peer_is_left_and_named(run, wire, reason):
    async def test(bench: Bench) -> None:
        link = await bench.open_link()
        bench.server.peer.transport.underlying_transport.write(wire)
        await until(lambda: link.opens == 2)
        assert bench.notes.payloads == []
        assert reason in bench.notes.reasons[0]
        assert link.session_errors == 0
        assert bench.host.idle()

    run(test)


def test_pings_are_answered_with_what_they_say(run):
    async def test(bench: Bench) -> None:
        await bench.open_link()
        bench.server.peer.transport.send_ping(b"42")
        await until(lambda: bench.server.peer.pongs)
        assert bench.server.peer.pongs == [b"42"]

    run(test)


def test_a_quiet_connection_is_pinged_and_stays(run):
    async def test(bench: Bench) -> None:
        link = await bench.open_link(ping_every_s=0.01, silence_max_s=5.0)
        await until(lambda: bench.server.peer.pings >= 3)
        assert link.opens == 1

    run(test)


def test_the_venues_own_ping_is_text(run):
    async def test(bench: Bench) -> None:
        await bench.open_link(ping_every_s=0.01, ping=b'{"op":"ping"}')
        await until(lambda: len(bench.server.peer.received) >= 2)
        assert set(bench.server.peer.received) == {b'{"op":"ping"}'}
        assert bench.server.peer.pings == 0

    run(test)


def test_silence_is_noticed_and_the_connection_made_again(run):
    async def test(bench: Bench) -> None:
        bench.server.answers_pings = False
        link = await bench.open_link(silence_max_s=0.05, ping_every_s=0.02)
        await until(lambda: link.opens >= 2)
        assert link.silences >= 1
        assert link.reconnects >= 1
        assert bench.notes.reasons[0] == "silent for 0.05 s"

    run(test)


def test_frames_keep_a_connection_alive(run):
    async def test(bench: Bench) -> None:
        bench.server.answers_pings = False
        link = await bench.open_link(silence_max_s=0.8, ping_every_s=60.0)
        for _ in range(50):
            bench.server.peer.send(b"tick")
            await asyncio.sleep(0.02)
        assert link.opens == 1

    run(test)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda peer: peer.cut(), "the connection was lost"),
        (
            lambda peer: peer.close(WSCloseCode.SERVICE_RESTART, "restarting"),
            "closed by the venue, code 1012: restarting",
        ),
        (lambda peer: peer.close(4001), "closed by the venue, code 4001"),
        (lambda peer: peer.transport.send(WSMsgType.CLOSE, b""), "closed by the venue, code 0"),
    ],
)
def test_an_ended_connection_is_made_again_and_the_session_opened_anew(run, end, reason):
    async def test(bench: Bench) -> None:
        link = await bench.open_link()
        first = bench.server.peer
        end(first)
        await until(lambda: len(bench.server.peers) == 2 and link.is_open)
        assert bench.notes.reasons == [reason]
        assert bench.notes.opens == 2
        assert link.reconnects == 1
        assert not first.is_open
        frames = link.frames
        bench.server.peer.send(b"tick")
        await until(lambda: link.frames == frames + 1)
        assert bench.notes.payloads == [b"tick"]

    run(test)


def test_a_venue_that_cannot_be_reached_is_tried_again_with_growing_pauses(run):
    async def test(bench: Bench) -> None:
        bench.server.refuses = True
        link = bench.link()
        await until(lambda: link.attempts_failed >= 3)
        assert not link.is_open
        assert bench.notes.opens == 0
        assert "404" in bench.notes.reasons[0]
        assert bench.server.url in bench.notes.reasons[0]
        bench.server.refuses = False
        await until(lambda: link.is_open)

    run(test)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ws://host:99999", "Port out of range 0-65535"),
        ("ws://host:x", "Port could not be cast"),
        ("ws://[::1", "Invalid IPv6 URL"),
        ("ws://" + "a" * 64 + ".com", "too long"),
        ("http://host", "it begins with ws:// or wss://"),
        ("ws://:80/path", "it names no host"),
        ("ws://host:0", "there is no port 0"),
        ("ws://host/a b", "it holds a blank"),
        ("ws://ho\x00st", "it holds a blank, a control character"),
        ("ws://host/#a", "or a #"),
    ],
)
def test_an_address_no_socket_can_have_is_refused_when_the_link_is_made(run, url, problem):
    async def test(bench: Bench) -> None:
        with pytest.raises(ConfigError) as refused:
            bench.link(url=url)
        assert str(refused.value).startswith(f"{url!r} is no socket address: ")
        assert problem in str(refused.value)
        assert bench.links == []

    run(test)


def test_what_the_resolver_refuses_is_a_failed_attempt(run, monkeypatch):
    connect = Link._connect

    async def refused_once(link, wire):
        if not link.attempts_failed:
            raise UnicodeError("planted")
        await connect(link, wire)

    async def test(bench: Bench) -> None:
        monkeypatch.setattr(Link, "_connect", refused_once)
        link = await bench.open_link()
        assert link.attempts_failed == 1
        assert bench.notes.reasons == [f"no connection to {link.url}: planted"]

    run(test)
