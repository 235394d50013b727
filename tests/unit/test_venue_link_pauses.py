"""A link between connections: pauses, refusals, certificates, and stopping wherever it is."""

import asyncio
import base64
import hashlib
import random
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from hfengine.errors import VenueUnavailable
from hfengine.venues.link import Link
from tests.link_bench import LOOPS, QUICK, Bench, Test, runner_of
from tests.scripted_server import until


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    return runner_of(request.param)


class Longest(random.Random):
    """Always draws the upper end, and remembers the lower."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0.5
        return b


def test_pauses_double_up_to_the_longest_and_are_drawn_from_the_given_generator(run):
    async def test(bench: Bench) -> None:
        link = Link(
            "ws://127.0.0.1:9",
            bench.notes,
            host=bench.host,
            random=Longest(),
            settings=replace(QUICK, backoff_first_s=0.2, backoff_max_s=1.5),
            name="test",
        )
        assert [link._next_pause_s() for _ in range(5)] == [0.2, 0.4, 0.8, 1.5, 1.5]
        link._failures = 10**6
        assert link._next_pause_s() == 1.5
        link._random = random.Random(7)
        want = 1.5 * random.Random(7).uniform(0.5, 1.0)
        assert link._next_pause_s() == want

    run(test)


def test_a_healthy_time_resets_the_pauses(run):
    async def test(bench: Bench) -> None:
        bench.server.refuses = True
        link = bench.link(healthy_s=0.0)
        await until(lambda: link.attempts_failed >= 5)
        bench.server.refuses = False
        await until(lambda: link.is_open and bench.server.peers)
        assert link._failures >= 5
        bench.server.peer.cut()
        await until(lambda: len(bench.server.peers) == 2)
        assert link._failures == 1

    run(test)


def test_nothing_is_sent_while_it_is_not_open(run):
    async def test(bench: Bench) -> None:
        bench.server.refuses = True
        link = bench.link()
        with pytest.raises(VenueUnavailable, match="test: not connected"):
            link.send(b"order")
        bench.server.refuses = False
        await until(lambda: link.is_open)
        link.drop("on purpose")
        with pytest.raises(VenueUnavailable):
            link.send(b"order")
        await until(lambda: link.opens == 2)
        assert bench.notes.reasons[-1] == "on purpose"

    run(test)


def test_a_peer_that_does_not_read_is_not_written_to_for_ever(run):
    async def test(bench: Bench) -> None:
        link = await bench.open_link()
        bench.server.peer.transport.underlying_transport.pause_reading()
        order = b"x" * 100_000

        def flood() -> None:
            for _ in range(1000):
                link.send(order)

        with pytest.raises(VenueUnavailable, match="does not read"):
            flood()
        bench.server.peer.transport.underlying_transport.resume_reading()
        await until(lambda: not link.listener.congested)
        link.send(b"again")
        await until(lambda: bench.server.peer.received[-1] == b"again")

    run(test)


@pytest.mark.parametrize("refused", [False, True])
def test_stop_ends_it_wherever_it_is(run, refused):
    async def test(bench: Bench) -> None:
        bench.server.refuses = refused
        link = bench.link()
        await until(lambda: link.attempts_failed if refused else link.is_open)
        link.stop()
        await link.wait_stopped()
        assert not link.is_open
        seen = bench.server.attempts
        await asyncio.sleep(0.05)
        assert bench.server.attempts == seen
        if not refused:
            assert bench.server.peer.close_codes == [1000]
            assert bench.notes.reasons == ["stopped"]
        link.start()
        with pytest.raises(RuntimeError, match="started already"):
            link.start()

    run(test)


def test_stop_while_connecting_leaves_no_connection(run):
    async def test(bench: Bench) -> None:
        link = bench.link()
        await asyncio.sleep(0)
        link.stop()
        await link.wait_stopped()
        await asyncio.sleep(0.05)
        assert bench.notes.opens == 0
        assert not any(peer.is_open for peer in bench.server.peers)

    run(test)


def test_no_answer_to_the_handshake_is_a_failed_attempt(run):
    async def test(bench: Bench) -> None:
        held: list[asyncio.StreamWriter] = []

        async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(writer)

        silent = await asyncio.start_server(hold, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        link = bench.link(url=f"ws://127.0.0.1:{port}/", connect_timeout_s=0.05)
        await until(lambda: link.attempts_failed >= 2)
        link.stop()
        await link.wait_stopped()
        silent.close()
        for writer in held:
            writer.close()
        assert bench.notes.opens == 0

    run(test)


def test_a_handshake_that_ends_after_stop_opens_nothing(run):
    async def test(bench: Bench) -> None:
        asked, answer, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            (key,) = re.findall("Sec-WebSocket-Key: (.*)\r", request)
            digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            asked.set()
            await answer.wait()
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                + base64.b64encode(digest)
                + b"\r\n\r\n"
            )
            assert await reader.read() == b""
            gone.set()
            writer.close()

        server = await asyncio.start_server(late, "127.0.0.1", 0)
        link = bench.link(url=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await asked.wait()
        link.stop()
        await link.wait_stopped()
        answer.set()
        await asyncio.wait_for(gone.wait(), 5.0)
        server.close()
        assert bench.notes.opens == 0
        assert not link.is_open

    run(test)


def test_a_venue_whose_certificate_cannot_be_verified_is_not_talked_to(run, tmp_path):
    async def test(bench: Bench) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self_signed(tmp_path))

        async def never(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            raise AssertionError("the client went on")

        server = await asyncio.start_server(never, "127.0.0.1", 0, ssl=context)
        link = bench.link(url=f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await until(lambda: link.attempts_failed)
        link.stop()
        await link.wait_stopped()
        server.close()
        assert bench.notes.opens == 0
        assert "CERTIFICATE_VERIFY_FAILED" in bench.notes.reasons[0]

    run(test)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that nobody vouches for; return it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, secret
