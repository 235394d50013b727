"""What every store must do, SQLite and Redis alike, through the same cases."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.settings import Settings, State
from hfengine.state import redis_store, sqlite
from hfengine.state.keys import SESSION
from hfengine.state.opening import OpenedState, open_state
from tests.redis_server import server_or_skip

ACCOUNT = "bybit-0123456789"
MARKER = b'{"session":"s1","at_ns":5}'
SECOND_NS = 1_000_000_000


@dataclass
class Bench:
    """One kind of store: opened, used on a loop, and opened again as the next run does."""

    settings: Settings
    read_series: Callable[..., list[tuple[int, bytes]]]

    def run(self, use: Callable[[Any], None]) -> OpenedState:
        """Open the state, use its store while the loop runs, close it; return what was opened."""
        opened = open_state(self.settings, ACCOUNT)

        async def live() -> None:
            begin, end = (getattr(opened.store, name, None) for name in ("begin", "end"))
            if begin is not None:
                await begin()
            use(opened.store)
            if end is not None:
                await end()

        asyncio.run(live())
        opened.close()
        return opened

    def recalled(self) -> dict[str, bytes]:
        return self.run(lambda store: None).recalled


@pytest.fixture(params=["sqlite", "redis"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    journal = replace(Settings().journal, directory=str(tmp_path / "journals"))
    settings = replace(Settings(), journal=journal)
    if request.param == "sqlite":
        state = State(directory=str(tmp_path / "state"))
        path = tmp_path / "state" / f"{ACCOUNT}.db"
        yield Bench(
            replace(settings, state=state),
            lambda *a, **named: sqlite.read_series(path, *a, **named),
        )
        return
    server = server_or_skip(tmp_path)
    try:
        yield Bench(
            replace(settings, state=State(url=server.url, directory=str(tmp_path / "state"))),
            lambda *a, **named: redis_store.read_series(server.url, ACCOUNT, *a, **named),
        )
    finally:
        server.kill()


def test_what_is_kept_is_recalled(bench: Bench) -> None:
    def use(store: Any) -> None:
        store.put("bot:risk:memory", b'{"halts":1}')
        store.put("bot:held:BTCUSDT", b"{}")
        store.put(SESSION, MARKER)

    assert bench.run(use).recalled == {}
    assert bench.recalled() == {"bot:risk:memory": b'{"halts":1}', "bot:held:BTCUSDT": b"{}"}


def test_the_newest_body_wins_and_an_empty_one_forgets(bench: Bench) -> None:
    def use(store: Any) -> None:
        for number in range(50):
            store.put("bot:risk:memory", b"%d" % number)
        store.put("bot:held:BTCUSDT", b"1")
        store.put("bot:held:BTCUSDT", b"")

    bench.run(use)
    assert bench.recalled() == {"bot:risk:memory": b"49"}


def test_current_state_is_no_memory_and_is_gone_at_the_next_start(bench: Bench) -> None:
    def use(store: Any) -> None:
        store.put("bot:orders:hf-1", b"{}")
        store.put("bot:positions:BTCUSDT", b"{}")
        store.put("bot:risk:state", b"{}")
        store.put("bot:cover:BTCUSDT", b"c")

    bench.run(use)
    for _ in range(2):
        assert bench.recalled() == {"bot:cover:BTCUSDT": b"c"}


def test_memory_recalled_survives_a_run_that_never_kept_it_again(bench: Bench) -> None:
    bench.run(lambda store: store.put("bot:risk:memory", b"m"))
    for _ in range(3):
        assert bench.recalled() == {"bot:risk:memory": b"m"}


def test_accounts_do_not_see_each_other(bench: Bench) -> None:
    bench.run(lambda store: store.put("bot:risk:memory", b"mine"))
    for other in (f"{ACCOUNT}0", ACCOUNT[:-1], "binance-0123456789"):
        opened = open_state(bench.settings, other)
        opened.close()
        assert opened.recalled == {}


def test_a_series_is_read_in_order_of_time_each_row_once(bench: Bench) -> None:
    def use(store: Any) -> None:
        for second in (3, 1, 2, 2):
            store.add("trades", second * SECOND_NS, b'{"n":%d}' % second)
        store.add("equity", SECOND_NS, b"{}")

    bench.run(use)
    rows = [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    trades = bench.read_series("trades")
    assert trades == [(n * SECOND_NS, row) for n, row in enumerate(rows, 1)]
    assert [row for _, row in bench.read_series("trades", since_ns=2 * SECOND_NS)] == rows[1:]
    assert [row for _, row in bench.read_series("trades", last=1)] == rows[2:]
    assert [row for _, row in bench.read_series("equity")] == [b"{}"]
    assert bench.read_series("orders") == []


def test_many_rows_arrive_whole(bench: Bench) -> None:
    def use(store: Any) -> None:
        for number in range(3_000):
            store.add("orders", number * SECOND_NS, b'{"n":%d}' % number)

    bench.run(use)
    numbers = [at_ns // SECOND_NS for at_ns, _ in bench.read_series("orders")]
    assert numbers == list(range(3_000))


def test_a_store_that_keeps_what_it_is_given_has_no_fault(bench: Bench) -> None:
    seen = []

    def use(store: Any) -> None:
        store.put("bot:risk:memory", b"m")
        seen.append(store.fault)

    opened = bench.run(use)
    assert [*seen, opened.store.fault] == ["", ""]
