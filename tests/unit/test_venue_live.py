"""The common part of live venues: what is told once, what is found again, what is kept alive."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest

from hfengine import settings
from hfengine.errors import ConfigError
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    LeverageChanged,
    Message,
    OrderUpdate,
    PositionChanged,
)
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.venues.account_view import AccountView
from hfengine.venues.ccxt_client import PACED, Hooks, StreamKeeper
from hfengine.venues.keys import ApiKeys
from hfengine.venues.leverage_record import LeverageRecord
from hfengine.venues.open_venue import open_venue, quirks_of
from hfengine.venues.quirks import PrivateStream
from hfengine.venues.reconciling import OVERLAP_MS, Reconciler

NONE = Decimal(0)
SYMBOL = "BTCUSDT"


def order(state: Any = "new", filled: str = "0", **changes: Any) -> OrderUpdate:
    made = OrderUpdate(
        "c1", "v1", SYMBOL, 5, "limit", 1, Decimal(3), Decimal(filled), NONE, NONE, False, state
    )
    return msgspec.structs.replace(made, **changes)


def fill(fill_id: str = "f1") -> Fill:
    return Fill(fill_id, "c1", SYMBOL, 5, 1, Decimal(1), Decimal(9), NONE, NONE, False, "order")


def position(quantity: str = "3", stop: str = "8", **changes: Any) -> PositionChanged:
    held = Decimal(quantity)
    made = PositionChanged(
        SYMBOL,
        5,
        1 if held else 0,
        held,
        Decimal(9),
        20,
        "isolated",
        NONE,
        NONE,
        Decimal(stop),
        NONE,
        held,
    )
    return msgspec.structs.replace(made, **changes)


def balance(wallet: str = "100") -> BalanceChanged:
    return BalanceChanged(5, Decimal(wallet), Decimal(wallet), Decimal(wallet), NONE)


# what is told once


def test_a_fill_and_a_funding_are_news_once() -> None:
    view = AccountView()
    funding = FundingPaid(SYMBOL, 7, NONE, Decimal(1))
    assert [view.take(fill()), view.take(fill()), view.take(fill("f2"))] == [True, False, True]
    assert [view.take(funding), view.take(funding)] == [True, False]
    assert view.take(FundingPaid(SYMBOL, 8, NONE, Decimal(1)))
    assert view.repeats == 2


def test_the_second_end_of_a_cancel_that_raced_a_fill_is_no_news() -> None:
    view = AccountView()
    assert view.take(order())
    assert view.take(order("filled", "3"))
    assert not view.take(order("filled", "3", reason="EC_OrigClOrdIDDoesNotExist"))
    assert not view.take(order("cancelled", "3"))
    assert not view.take(order("partially_filled", "1"))
    assert view.open_orders == {}


def test_an_end_that_knows_of_more_fills_is_news() -> None:
    view = AccountView()
    assert view.take(order("cancelled", "1"))
    assert view.take(order("filled", "3"))


def test_an_acknowledged_order_is_looked_for_but_never_outweighs_what_was_told() -> None:
    view = AccountView()
    view.placed(order())
    assert view.open_orders == {"v1": order()}
    view.take(order("filled", "3"))
    view.placed(order())
    assert view.open_orders == {}


# what is found again


class Account:
    """What the venue answers to readings."""

    def __init__(self) -> None:
        self.fills: list[Any] = []
        self.orders: list[OrderUpdate] = []
        self.held: list[PositionChanged] = []
        self.ended: dict[str, OrderUpdate] = {}
        self.wallet = "100"
        self.meanwhile: Callable[[], None] = lambda: None
        self.since: list[int] = []
        self.looked_up: list[str] = []

    async def fills_since(self, since_ms: int) -> list[Any]:
        self.since.append(since_ms)
        return self.fills

    async def open_orders(self) -> list[OrderUpdate]:
        return self.orders

    async def positions(self) -> list[PositionChanged]:
        self.meanwhile()
        return self.held

    async def balance(self) -> BalanceChanged:
        return balance(self.wallet)

    async def order_by_id(self, _symbol: str, client_id: str) -> OrderUpdate | None:
        self.looked_up.append(client_id)
        return self.ended.get(client_id)


class Reading:
    def __init__(self) -> None:
        self.account = Account()
        self.view = AccountView()
        self.told: list[Message] = []
        self.now_ms = 1_000_000
        self.reconciler = Reconciler(
            self.account,  # type: ignore[arg-type]
            self.view,
            tell=self.tell,
            now_ms=lambda: self.now_ms,
        )

    def tell(self, message: Message) -> None:
        if self.view.take(message):
            self.told.append(message)

    def look(self) -> bool:
        return asyncio.run(self.reconciler.reconcile())


def test_what_the_stream_lost_is_told_fills_before_orders_before_positions() -> None:
    reading = Reading()
    account = reading.account
    reading.tell(order())
    account.fills = [fill()]
    account.ended["c1"] = order("filled", "3")
    account.held = [position()]
    reading.told.clear()
    assert reading.look()
    assert reading.told == [fill(), order("filled", "3"), position(), balance()]
    assert reading.reconciler.found == 3


def test_what_was_told_is_not_told_again() -> None:
    reading = Reading()
    account = reading.account
    account.fills, account.orders, account.held = [fill()], [order()], [position()]
    assert reading.look()
    reading.told.clear()
    account.held = [position(at_ns=99, margin_usdt=Decimal(4), liquidation=Decimal(2))]
    assert reading.look()
    assert reading.told == [balance()]


@pytest.mark.parametrize(
    "changes", [{"stop": Decimal(7)}, {"covered": Decimal(1)}, {"leverage": 3}, {"side": -1}]
)
def test_a_position_that_differs_in_what_matters_is_told(changes: dict[str, Any]) -> None:
    reading = Reading()
    reading.tell(position())
    reading.told.clear()
    reading.account.held = [position(**changes)]
    assert reading.look()
    assert reading.told[0] == position(**changes)


def test_a_position_that_is_not_listed_any_more_is_flat() -> None:
    reading = Reading()
    reading.tell(position())
    reading.told.clear()
    assert reading.look()
    flat = reading.told[0]
    assert isinstance(flat, PositionChanged)
    assert (flat.symbol, flat.side, flat.quantity, flat.covered) == (SYMBOL, 0, NONE, NONE)
    assert flat.leverage == 20


def test_what_moved_while_it_was_read_is_left_and_looked_at_again() -> None:
    reading = Reading()
    reading.tell(position())
    reading.account.held = [position("1")]
    reading.account.meanwhile = lambda: reading.tell(position("2"))
    assert not reading.look()
    assert reading.view.positions[SYMBOL] == position("2")
    reading.account.meanwhile = lambda: None
    reading.account.held = [position("2")]
    assert reading.look()
    assert reading.view.positions[SYMBOL] == position("2")


def test_a_position_opened_while_the_list_was_read_is_not_flat() -> None:
    reading = Reading()
    reading.account.meanwhile = lambda: reading.tell(position())
    assert not reading.look()
    assert reading.told == [position()]


def test_an_order_without_an_id_of_ours_that_vanished_is_forgotten() -> None:
    reading = Reading()
    reading.tell(order(client_id=""))
    assert reading.look()
    assert reading.view.open_orders == {}
    assert reading.account.looked_up == []


def test_readings_overlap_but_never_reach_back_before_the_session() -> None:
    reading = Reading()
    reading.reconciler.since_ms = 990_000
    reading.look()
    reading.now_ms += 200_000
    reading.look()
    reading.look()
    assert reading.account.since == [990_000, 990_000, 1_200_000 - OVERLAP_MS]


# leverage


def test_the_record_alerts_below_nine_in_ten_and_above_two_seconds() -> None:
    record = LeverageRecord()
    for number in range(10):
        record.asked(f"S{number}", 50, 30.0, agreed=number > 0)
    record.read("S5", 50, record.agreed("S5"))
    assert record.success_rate == pytest.approx(0.9)
    assert record.warnings() == []
    record.read("S6", 0, None)
    assert record.mismatches == 0, "a reading from before the setting says nothing of it"
    record.read("S6", 10, record.agreed("S6"))
    record.read("S6", 10, record.agreed("S6"))
    assert record.mismatches == 1
    assert "80%" in record.warnings()[0]
    record.asked("S1", 20, 2_001.0, agreed=True)
    assert "2.0 s" in record.warnings()[1]
    assert record.report()["set_p50_ms"] == 30.0


# what is kept alive


class Client:
    """ccxt's end of a socket."""

    def __init__(self) -> None:
        self.rejected: list[BaseException] = []
        self.lastPong = 0

    def reset(self, error: BaseException) -> None:
        self.rejected.append(error)

    async def close(self) -> None:
        return


class Streaming:
    def __init__(self, *outcomes: BaseException | None) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0
        self.broken: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.clients = {"wss://x": Client()}
        self.keeper = StreamKeeper(
            self,
            loop=asyncio.get_running_loop(),
            random=Random(1),
            start=self.start,
            broken=lambda name, reason: self.broken.append(f"{name} {reason}"),
        )

    def start(self, work: Any, _name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    async def watch(self) -> None:
        self.calls += 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        await asyncio.get_running_loop().create_future()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5.0):
            while not holds():  # noqa: ASYNC110 - what is watched has no event
                await asyncio.sleep(0.001)

    async def end(self) -> None:
        self.keeper.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


def network_error(text: str) -> Exception:
    import ccxt  # noqa: PLC0415

    return ccxt.NetworkError(text)


def test_streams_outlive_network_errors_refusals_and_ccxts_own_cancellations(monkeypatch) -> None:
    monkeypatch.setattr("hfengine.venues.ccxt_client.BACKOFF_FIRST_S", 0.001)

    async def scenario() -> None:
        streaming = Streaming(
            network_error("closing code 1012"),
            asyncio.CancelledError(),
            ValueError("a bug"),
        )
        streaming.keeper.keep(PrivateStream("private", streaming.watch))
        await streaming.until(lambda: streaming.calls == 4)
        assert streaming.keeper.reconnects == 3
        assert [line.split()[1] for line in streaming.broken] == [
            "NetworkError:",
            "the",
            "ValueError:",
        ]
        await streaming.end()
        assert streaming.calls == 4
        assert all(task.cancelled() for task in streaming.tasks)

    asyncio.run(scenario())


def test_cutting_rejects_who_waits_and_forgets_the_connections() -> None:
    async def scenario() -> None:
        streaming = Streaming()
        client = streaming.clients["wss://x"]
        await streaming.keeper.cut("stale")
        assert streaming.clients == {}
        assert [str(error) for error in client.rejected] == ["stale"]

    asyncio.run(scenario())


class Behind:
    """A ccxt class, as far as the hooks know it."""

    def __init__(self) -> None:
        self.handled: list[Any] = []

    @staticmethod
    def milliseconds() -> int:
        return 1_000

    def handle_message(self, _client: Any, message: Any) -> None:
        # what ccxt does to its messages must not reach what was told before
        message["mutated"] = True
        self.handled.append(message)


def test_messages_are_heard_before_ccxt_may_change_them_and_may_be_kept_from_it() -> None:
    seen: list[Any] = []

    def hear(message: Any) -> bool:
        seen.append(dict(message))
        return "private" in message

    hooked = type("hooked", (Hooks, Behind), {"hear": staticmethod(hear), "behind": Behind})()
    client = Client()
    hooked.clock_offset_ms = 250
    hooked.handle_message(client, {"public": 1})
    hooked.handle_message(client, {"private": 1})
    assert seen == [{"public": 1}, {"private": 1}]
    assert hooked.handled == [{"public": 1, "mutated": True}]
    assert hooked.milliseconds() == 1_250
    # by the clock of the socket's own watchdog, which knows nothing of the offset
    assert client.lastPong == 1_000


# opening


def opened(name: str = "bybit", **changes: Any) -> Any:
    async def scenario() -> Any:
        loop = asyncio.get_running_loop()
        host = ActorHost(loop, system="test")
        asked: dict[str, Any] = {
            "mode": "local",
            "settings": settings.Venue(name=name),
            "margin_mode": "isolated",
            "keys": ApiKeys(key="k", secret="s"),
            "url": "http://127.0.0.1:1",
            "symbols": [SYMBOL],
            "host": host,
            "clock": host.clock,
            "random": Random(1),
            "stages": Stages(),
        }
        venue = open_venue(name, **asked | changes)
        await venue.close()
        await venue.close()
        return venue

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"keys": None}, "no API key"),
        ({"mode": "paper"}, "paper"),
        ({"url": ""}, "http://HOST:PORT"),
        ({"name": "bybitt"}, "bybit"),
    ],
)
def test_what_cannot_be_opened_is_a_sentence(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        opened(**changes)


def test_an_account_that_was_never_used_closes_in_silence() -> None:
    venue = opened()
    assert venue.dialect == "bybit"
    assert venue.health["order_path"] == "rest"
    assert venue.health["clock_offset_ms"] == 0


def test_what_the_rate_limit_made_a_setting_wait_is_not_the_venues_time() -> None:
    venue = opened()

    class Slow:
        async def set_leverage(self, _symbol: str, _leverage: int) -> None:
            paced = PACED.get()
            assert paced is not None
            paced.waited_s += 100.0

    venue._quirks = Slow()
    asyncio.run(venue.set_leverage(SYMBOL, 20))
    assert venue.leverage_stats.set_ms[0] < -90_000.0
    assert PACED.get() is None


def test_nothing_shows_a_key() -> None:
    keys = ApiKeys(key="the-key", secret="the-secret", passphrase="the-phrase")
    shown = f"{keys!r} {keys} {[keys]}"
    assert not any(word in shown for word in ("the-key", "the-secret", "the-phrase"))
    assert keys.hide_in("a the-secret b the-key c the-phrase") == "a *** b *** c ***"


def test_any_other_name_is_looked_for_at_ccxt() -> None:
    assert quirks_of("okx").ccxt_id == "okx"


def test_ccxt_is_imported_only_when_an_account_is_opened() -> None:
    program = (
        "import sys; import hfengine.venues.open_venue, hfengine.venues.bybit_venue, "
        "hfengine.venues.ccxt_venue; "
        "sys.exit('ccxt' in sys.modules or 'aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=30)
    assert done.returncode == 0


def test_a_change_of_leverage_is_passed_on_as_told() -> None:
    view = AccountView()
    changed = LeverageChanged(SYMBOL, 5, 7)
    assert view.take(changed)
    assert view.take(changed)
