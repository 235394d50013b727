"""State that is damaged, away or dies under an engine: said in a sentence, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.recovery_desk import Desk
from tests.redis_server import RedisServer, executable
from tests.venue_processes import EngineProcess, VenueProcess, venue_process

VENUE = ("--symbols", "BTCUSDT,ETHUSDT", "--feed", "synthetic", "--seed", "3")


@pytest.fixture
def venue() -> Iterator[VenueProcess]:
    with venue_process("bybit", *VENUE) as running:
        yield running


def last_words(engine: EngineProcess) -> str:
    """Kill an engine; return what it had to say."""
    engine.process.kill()
    return engine.ended()[2]


def garbage(path: Path) -> None:
    gone(path)
    path.write_bytes(b"no database at all " * 400)


def truncated(path: Path) -> None:
    whole = path.read_bytes()
    gone(path)
    path.write_bytes((whole or b"SQLite format 3\0")[:3_000].ljust(3_000, b"\0"))


def gone(path: Path) -> None:
    for one in path.parent.glob(f"{path.name}*"):
        if ".corrupt" not in one.name:
            one.unlink()


def test_a_spoilt_store_costs_neither_halt_nor_baseline(
    tmp_path: Path, venue: VenueProcess
) -> None:
    desk = Desk(tmp_path, venue)
    with desk.engine() as engine:
        engine.until(lambda: desk.said("PositionOpened"), "a position in the journal")
        assert desk.typed("halt", "--reason", "news").code == 0
        # killed at once: what was answered is on the disk
        engine.process.kill()
    opened = desk.said("PositionOpened")[0]
    (store,) = (tmp_path / "state").glob("*.db")
    for spoil in (garbage, truncated, gone):
        spoil(store)
        with desk.engine() as engine:
            engine.until(lambda: desk.said("Adopted"), "what was found")
            assert "news" in desk.status()["halts"]["operator"]
            (adopted,) = [row for row in desk.said("Adopted") if row["symbol"] == opened["symbol"]]
            assert adopted["ours"]
            assert adopted["entry_drift"] == opened["entry_drift"]
            (recovered,) = desk.said("Recovered")
            assert recovered["source"] == "journal"
            err = last_words(engine)
        said = [line for line in err.splitlines() if line.startswith("state: ")]
        assert said == [f"state: {recovered['detail']}"]
        assert "read back from 1 journals" in said[0]
        if spoil is garbage:
            assert f"is damaged (file is not a database): moved to {store.name}.cor" in said[0]
    aside = store.with_name(f"{store.name}.corrupt-1")
    assert aside.read_bytes().startswith(b"no database at all")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    if executable() is None:
        pytest.skip("no Redis server: neither a package nor the system has one")
    one = RedisServer(tmp_path)
    yield one
    one.kill()


def written(server: RedisServer) -> dict[str, Any]:
    """Return the current state that a server holds, {} while it does not answer."""
    client = redis.Redis.from_url(server.url, socket_timeout=1.0)
    try:
        return {key.decode(): client.type(key) for key in client.scan_iter("bot:*")}
    except redis.RedisError:
        return {}
    finally:
        client.close()


def is_whole(server: RedisServer) -> bool:
    """Tell whether memory, positions and who wrote are all there."""
    rooms = {key.split(":")[1] for key in written(server)}
    return rooms >= {"config", "session", "risk", "positions", "held", "leverage"}


def test_redis_may_be_down_at_the_start_die_later_and_come_back_empty(
    tmp_path: Path, venue: VenueProcess, server: RedisServer
) -> None:
    desk = Desk(tmp_path, venue)
    state = {"HFENGINE_STATE__URL": server.url}
    with desk.engine(state) as engine:
        engine.until(lambda: desk.said("PositionOpened"), "a position without a store")
        assert "cannot be reached" in desk.said("Recovered")[0]["detail"]
        assert server.url in desk.status()["store"]["fault"]

        server.begin()
        engine.until(lambda: is_whole(server), "the state in Redis")
        engine.until(lambda: len(desk.said("StoreFault")) == 2, "the end of the fault")

        server.kill()
        engine.until(lambda: len(desk.said("StoreFault")) == 3, "the fault in the journal")
        assert server.url in desk.status()["store"]["fault"]
        assert desk.typed("halt", "--reason", "news").code == 0
        assert desk.status()["halts"]
        assert desk.status()["positions"][0]["stop"]

        server.begin()
        engine.until(lambda: is_whole(server), "the state in an empty Redis")
        engine.until(lambda: len(desk.said("StoreFault")) == 4, "the end of the fault")
        assert [row["lost"] for row in desk.said("StoreFault")] == [True, False, True, False]
        err = last_words(engine)
        assert [line for line in err.splitlines() if "cannot be reached" in line]

    # set back, as a server without a log is by its own crash: the journal knows better
    server.kill()
    server.begin()
    with desk.engine(state) as engine:
        engine.until(lambda: desk.said("Adopted"), "what was found")
        assert "news" in desk.status()["halts"]["operator"]
        assert desk.said("Recovered")[0]["source"] == "journal"
        assert desk.typed("resume").code == 0
        engine.interrupt()
        code, summary, err = engine.ended()
        assert (code, summary["flat"]) == (0, True), err
    desk.check_books()
