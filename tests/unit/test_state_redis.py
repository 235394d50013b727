"""A Redis that is down at the start, dies later or comes back empty; and the lock it holds."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from hfengine.settings import JournalSettings, Settings, State
from hfengine.state import redis_store
from hfengine.state.keys import shown
from hfengine.state.lock import AccountBusy
from hfengine.state.opening import open_state
from hfengine.state.redis_lock import RedisLock
from hfengine.state.redis_store import RedisStore
from tests.redis_server import RedisServer, server_or_skip

ACCOUNT = "bybit-0123456789"
WAIT_S = 6.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = server_or_skip(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def settings(tmp_path: Path, server: RedisServer) -> Settings:
    return replace(
        Settings(),
        state=State(url=server.url, directory=str(tmp_path / "state")),
        journal=JournalSettings(directory=str(tmp_path / "journals")),
    )


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(int(WAIT_S / 0.02)):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("waited in vain")


def held_by(server: RedisServer) -> dict[str, bytes]:
    client = redis_store.blocking_client(server.url)
    try:
        return redis_store.read_state(client, ACCOUNT)
    finally:
        client.close()


def lock_of(server: RedisServer) -> bytes | None:
    client = redis_store.blocking_client(server.url)
    try:
        held = client.get(f"bot:lock:{ACCOUNT}")
        assert held is None or isinstance(held, bytes)
        return held
    finally:
        client.close()


def live(store: object, use: Callable[[RedisStore], Awaitable[None]], **named: object) -> None:
    async def whole() -> None:
        assert isinstance(store, RedisStore)
        await store.begin(**named)  # type: ignore[arg-type]
        try:
            await use(store)
        finally:
            await store.end()

    asyncio.run(whole())


def test_down_at_the_start_is_said_and_all_is_written_when_it_comes(
    server: RedisServer, settings: Settings
) -> None:
    server.kill()
    found = open_state(settings, ACCOUNT)
    assert (found.recalled, found.source) == ({}, "nothing")
    assert f"redis://127.0.0.1:{server.port}/0 cannot be reached" in found.detail
    assert found.store.fault

    async def use(store: RedisStore) -> None:
        store.put("bot:risk:memory", b"m")
        store.add("trades", 1_000_000, b"{}")
        await asyncio.sleep(0.1)
        server.begin()
        await until(lambda: store.fault == "")

    live(found.store, use)
    assert held_by(server) == {"bot:risk:memory": b"m"}
    assert redis_store.read_series(server.url, ACCOUNT, "trades") == [(1_000_000, b"{}")]


def test_killed_later_and_back_empty_it_is_written_whole(
    server: RedisServer, settings: Settings
) -> None:
    found = open_state(settings, ACCOUNT)

    async def use(store: RedisStore) -> None:
        store.put("bot:held:A", b"a")
        store.put("bot:risk:memory", b"1")
        await until(lambda: len(held_by(server)) == 2)
        server.kill()
        store.put("bot:risk:memory", b"2")
        await until(lambda: store.fault != "")
        server.begin()
        await until(lambda: store.fault == "")

    live(found.store, use)
    assert held_by(server) == {"bot:held:A": b"a", "bot:risk:memory": b"2"}


def test_one_that_was_emptied_behind_our_back_is_written_whole(
    server: RedisServer, settings: Settings
) -> None:
    found = open_state(settings, ACCOUNT)

    async def use(store: RedisStore) -> None:
        store.put("bot:held:A", b"a")
        await until(lambda: len(held_by(server)) == 1)
        client = redis_store.blocking_client(server.url)
        client.flushall()
        client.close()
        store.put("bot:risk:memory", b"2")
        await until(lambda: len(held_by(server)) == 2)

    live(found.store, use)


def test_news_is_written_at_once_not_at_the_next_look(
    server: RedisServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_store, "LOOK_EVERY_S", 3600.0)
    found = open_state(settings, ACCOUNT)

    async def use(store: RedisStore) -> None:
        for number in range(5):
            store.put("bot:risk:memory", b"%d" % number)
            wanted = {"bot:risk:memory": b"%d" % number}
            await until(lambda wanted=wanted: held_by(server) == wanted)  # type: ignore[misc]

    live(found.store, use)


def test_a_password_is_not_shown() -> None:
    assert shown("redis://me:secret@host:6379/1") == "redis://host:6379/1"
    assert shown("redis://host:6379/1") == "redis://host:6379/1"


# the lock over several machines


def test_a_second_machine_is_refused_and_the_same_one_takes_over(
    server: RedisServer, settings: Settings
) -> None:
    first = open_state(settings, ACCOUNT, holder="one/1.1#100-1")
    with pytest.raises(AccountBusy, match=r"traded by the engine one/1\.1#100-1"):
        open_state(settings, ACCOUNT, holder="two/1.1#100-1")
    first.close()
    # what a killed engine leaves stands in no way of the next one here
    open_state(settings, ACCOUNT, holder="one/1.1#200-2").close()
    assert lock_of(server) == b"one/1.1#200-2"


def test_the_lock_is_renewed_and_given_back(server: RedisServer, settings: Settings) -> None:
    found = open_state(settings, ACCOUNT, holder="one/1.1#100-1")
    lost: list[str] = []

    async def use(store: RedisStore) -> None:
        client = redis_store.blocking_client(server.url)
        client.delete(f"bot:lock:{ACCOUNT}")
        store.put("bot:risk:memory", b"1")
        await until(lambda: lock_of(server) == b"one/1.1#100-1")
        assert client.pttl(f"bot:lock:{ACCOUNT}") > 10_000  # type: ignore[operator]
        client.close()

    live(found.store, use, on_lock_lost=lost.append)
    assert lost == []
    assert lock_of(server) is None


def test_an_account_taken_by_another_is_told_once_and_left_to_it(
    server: RedisServer, settings: Settings
) -> None:
    found = open_state(settings, ACCOUNT, holder="one/1.1#100-1")
    lost: list[str] = []

    async def use(store: RedisStore) -> None:
        client = redis_store.blocking_client(server.url)
        client.set(f"bot:lock:{ACCOUNT}", "two/2.2#9-9")
        client.close()
        for body in (b"1", b"2"):
            store.put("bot:risk:memory", body)
            wanted = {"bot:risk:memory": body}
            await until(lambda wanted=wanted: held_by(server) == wanted)  # type: ignore[misc]
        await until(lambda: bool(lost))

    live(found.store, use, on_lock_lost=lost.append)
    assert lost == [f"bot:lock:{ACCOUNT} is held by two/2.2#9-9"]
    assert lock_of(server) == b"two/2.2#9-9"


def test_giving_up_leaves_the_lock_of_another(server: RedisServer) -> None:
    client = redis_store.blocking_client(server.url)
    assert RedisLock(ACCOUNT, "one#1").take(client) == ""
    RedisLock(ACCOUNT, "two#1").give_up(client)
    assert lock_of(server) == b"one#1"
    RedisLock(ACCOUNT, "one#1").give_up(client)
    assert lock_of(server) is None
    client.close()
