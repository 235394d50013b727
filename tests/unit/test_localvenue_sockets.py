"""Frames of one turn of the loop leave together, whole and in order, whatever their length."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest

from hfengine.localvenue.faults import Rule
from tests.localvenue_desk import run_live, serving

LENGTHS = [1, 125, 126, 127, 8192, 8193, 65_535, 65_536, 200_000, 3]
"""Either side of every change of a frame header's form, and of what picows copies."""


@asynccontextmanager
async def connected():
    """Yield the venue, a client's websocket past its welcome, and the venue's end of it."""
    async with (
        serving() as venue,
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{venue.http}/ws", max_msg_size=0) as socket,
    ):
        assert (await receive(socket)).data.startswith("welcome")
        (session,) = venue.dialect.sessions
        yield venue, socket, session.socket


async def receive(socket):
    return await asyncio.wait_for(socket.receive(), 2.0)


def payloads(lengths):
    return [chr(97 + number).encode() * length for number, length in enumerate(lengths)]


@pytest.mark.parametrize("lengths", [LENGTHS, [5], [9000], [5, 6], [9000, 5], [9000, 9001]])
def test_frames_of_one_turn_arrive_whole_and_in_order(lengths):
    async def scenario():
        async with connected() as (_, socket, served):
            for payload in payloads(lengths):
                served.send(payload)
            heard = [(await receive(socket)).data.encode() for _ in lengths]
            assert heard == payloads(lengths)
            assert served.sent_frames == len(lengths) + 1

    run_live(scenario)


def test_an_answer_follows_what_was_said_before_it():
    async def scenario():
        async with connected() as (_, socket, served):
            served.send(b"first")
            served.send(b"second")
            await socket.send_str("buy")
            heard = [(await receive(socket)).data for _ in range(3)]
            assert heard == ["first", "second", "heard buy"]

    run_live(scenario)


def test_what_was_said_before_a_close_arrives_before_it():
    async def scenario():
        async with connected() as (_, socket, served):
            for payload in payloads(LENGTHS):
                served.send(payload)
            served.close(4001)
            served.send(b"too late")
            heard = [(await receive(socket)).data.encode() for _ in LENGTHS]
            assert heard == payloads(LENGTHS)
            end = await receive(socket)
            assert (end.type, end.data) == (aiohttp.WSMsgType.CLOSE, 4001)

    run_live(scenario)


def test_what_was_said_before_a_cut_arrives():
    async def scenario():
        async with connected() as (_, socket, served):
            served.send(b"one")
            served.send(b"two")
            served.drop()
            heard = [(await receive(socket)) for _ in range(3)]
            assert [one.data for one in heard[:2]] == ["one", "two"]
            assert heard[2].type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    run_live(scenario)


def test_what_was_said_before_a_stall_arrives_and_nothing_after():
    async def scenario():
        async with connected() as (_, socket, served):
            served.send(b"one")
            served.stall()
            served.send(b"two")
            assert (await receive(socket)).data == "one"
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.receive(), 0.1)

    run_live(scenario)


def test_a_held_frame_follows_the_next_one():
    async def scenario():
        async with connected() as (venue, socket, served):
            venue.world.faults.add(Rule(kind="reorder_frame", count=1))
            for payload in (b"one", b"two", b"three"):
                served.send(payload)
            heard = [(await receive(socket)).data for _ in range(3)]
            assert heard == ["two", "one", "three"]

    run_live(scenario)
