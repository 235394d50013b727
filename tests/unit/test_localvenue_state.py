"""What a venue answered survives its death; what a state file is not is refused."""

import json
import sqlite3
import stat
import urllib.request
from contextlib import contextmanager
from decimal import Decimal

import pytest

from hfengine.clock import VirtualClock
from hfengine.errors import ConfigError
from hfengine.localvenue.commands import run_command
from hfengine.localvenue.ports import ApiKey
from hfengine.localvenue.state import StateLost
from hfengine.localvenue.world import make_world
from hfengine.requests import OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from tests.localvenue_desk import child_venue

BTC = "BTCUSDT"
START_NS = 1_750_000_000_000_000_000


@contextmanager
def a_world(state, **options):
    clock = VirtualClock(START_NS)
    loop = VirtualLoop(clock)
    try:
        venue = options.pop("venue", "bybit")
        chosen = {"symbols": [BTC], "state": state, **options}
        world = make_world(venue, loop=loop, clock=clock, **chosen)
        try:
            yield world
        finally:
            world.close()
    finally:
        loop.close()


def call(url, body=None):
    request = urllib.request.Request(url, data=body)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())


def buy(world, client_id, **more):
    request = OrderRequest(client_id, BTC, 1, more.pop("kind", "market"), Decimal("0.01"), **more)
    return world.act(lambda now_ns: world.exchange.place("main", request, now_ns))


def seen(world):
    exchange = world.exchange
    return (
        exchange.order_reports("main"),
        exchange.fill_reports("main"),
        exchange.ledger("main").entries,
        exchange.balance("main").wallet_usdt,
        [one.changed.quantity for one in exchange.position_reports("main")],
        exchange.leverage("main", BTC),
    )


def test_every_answered_order_survives_a_kill_and_trading_goes_on(tmp_path):
    state = tmp_path / "venue.db"
    with child_venue(state) as (child, http):
        for number in range(20):
            answer = call(f"{http}/buy?id=a{number}", b"")
            assert answer == {"state": "filled"}
        child.kill()
        child.wait()
    with child_venue(state) as (child, http):
        orders = call(f"{http}/admin/orders")["main"]
        assert [one["update"]["client_id"] for one in orders] == [f"a{n}" for n in range(20)]
        ledger = call(f"{http}/admin/ledger")["main"]
        changes = sum(Decimal(entry["change_usdt"]) for entry in ledger["entries"])
        assert changes == Decimal(ledger["wallet_usdt"])
        assert len(ledger["entries"]) >= 21
        position = call(f"{http}/admin/positions")["main"][0]
        assert Decimal(position["changed"]["quantity"]) == Decimal("0.20")
        assert call(f"{http}/buy?id=a0", b"") == {"state": "duplicate_client_id"}
        assert call(f"{http}/buy?id=b0", b"") == {"state": "filled"}
        ids = [one["fill"]["fill_id"] for one in call(f"{http}/admin/fills")["main"]]
        assert len(set(ids)) == len(ids)


def test_all_that_can_be_read_is_equal_after_a_restart(tmp_path):
    state = tmp_path / "venue.db"
    with a_world(state) as world:
        mark = world.ticker(BTC).mark
        world.act(lambda now_ns: world.exchange.set_leverage("main", BTC, 7, now_ns))
        world.settle()
        buy(world, "a", stop=mark - 200, target=mark + 200)
        buy(world, "b", kind="limit", price=mark - 50)
        world.settle()
        buy(world, "c", kind="stop_market", trigger=mark + 300)
        world.act(lambda now_ns: world.exchange.cancel("main", BTC, "b", now_ns))
        world.settle()
        before = seen(world)
        ids = [world.venue_uuid() for _ in range(3)]
        last_id = world.recent_trades(BTC, 1)[0].trade_id
    with a_world(state) as world:
        assert seen(world) == before
        assert not set(ids) & {world.venue_uuid() for _ in range(100)}
        assert world.recent_trades(BTC, 1)[0].trade_id > last_id
        world.move(BTC, to_price=mark + 200)
        assert world.exchange.fills("main")[-1].cause == "target"
        assert world.exchange.position("main", BTC).side == 0


def test_moves_held_marks_skew_keys_and_notes_survive(tmp_path):
    state = tmp_path / "venue.db"
    second = ApiKey(key="k2", secret=b"s2", account="second", passphrase="p2")
    with a_world(state) as world:
        mark = world.ticker(BTC).mark
        world.add_key(second, Decimal("123.45"))
        buy(world, "a", stop=mark - 2000)
        world.move(BTC, 5000)
        world.set_mark(BTC, mark + 600)
        run_command(world, "clock_skew", {"ms": 5}, dict.get)
        world.settle()
        world.notes.set("listen_key/main", {"until_ns": 5})
        world.settle()
        ticker = world.ticker(BTC)
        fills = world.exchange.fills("main")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    with a_world(state) as world:
        again = world.ticker(BTC)
        assert (again.bid, again.ask, again.mark) == (ticker.bid, ticker.ask, mark + 600)
        assert world.exchange.fills("main") == fills
        assert world.keys["k2"] == second
        assert world.exchange.balance("second").wallet_usdt == Decimal("123.45")
        assert world.now_ns() == START_NS + 5_000_000
        assert world.notes.get("listen_key/main") == {"until_ns": 5}
        world.set_mark(BTC, None)
        assert world.ticker(BTC).mark == mark + 500


def test_only_what_changed_is_written(tmp_path):
    with a_world(tmp_path / "venue.db") as world:
        for number in range(50):
            buy(world, f"a{number}")
            world.settle()
        connection = world._store._connection
        before = connection.total_changes
        buy(world, "last")
        world.settle()
        assert connection.total_changes - before < 15
        before = connection.total_changes
        world.settle()
        assert connection.total_changes == before


@pytest.mark.parametrize("recovers", [False, True])
def test_a_failed_write_leaves_the_state_as_it_was_and_is_made_good(
    tmp_path, monkeypatch, recovers
):
    state = tmp_path / "venue.db"
    with a_world(state) as world:
        buy(world, "a")
        world.settle()
        buy(world, "b")
        world.notes.set("one", 1)
        world.add_key(ApiKey(key="k2", secret=b"s2", account="second"))
        with monkeypatch.context() as broken:
            broken.setattr(world, "market_state", lambda: {"no": object()})
            with pytest.raises(StateLost, match=r"venue\.db: it cannot be written \(TypeError"):
                world._store.write(world)
        if recovers:
            world._store.write(world)
            before = seen(world)
    with a_world(state) as world:
        ids = [one.update.client_id for one in world.exchange.order_reports("main")]
        assert ids == (["a", "b"] if recovers else ["a"])
        assert world.notes.get("one") == (1 if recovers else None)
        assert ("k2" in world.keys) is recovers
        if recovers:
            assert seen(world) == before


def test_a_file_in_use_of_another_venue_or_of_something_else_is_refused(tmp_path):
    state = tmp_path / "venue.db"
    with (
        a_world(state, symbols=["BTCUSDT", "ETHUSDT"]),
        pytest.raises(ConfigError, match=r"venue\.db: another venue uses it"),
        a_world(state),
    ):
        pass
    with (
        pytest.raises(ConfigError, match="state of a bybit venue"),
        a_world(state, venue="binance"),
    ):
        pass
    with pytest.raises(ConfigError, match="ETHUSDT, which is not listed"), a_world(state):
        pass
    other = tmp_path / "notes.txt"
    other.write_text("not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(ConfigError, match=r"notes\.txt: file is not a database"), a_world(other):
        pass
    with pytest.raises(ConfigError, match="unable to open"), a_world(tmp_path / "no" / "dir.db"):
        pass


def test_a_file_that_is_refused_is_let_go(tmp_path, monkeypatch):
    opened = []
    connect = sqlite3.connect

    def noted(*given, **options):
        opened.append(connect(*given, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noted)
    other = tmp_path / "notes.txt"
    other.write_text("not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(ConfigError, match="file is not a database"), a_world(other):
        pass
    [connection] = opened
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        connection.execute("SELECT 1")
