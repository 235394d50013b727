"""What the keeper hands to the store, under which key, and what it says when the store is lost."""

import dataclasses
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hfengine.actors.keeper import Keeper
from hfengine.messages import FundingPaid, LeverageProof, OrderEnded
from hfengine.oversight import BreakerChanged, Keep, Recovered, RiskState, StoreFault
from hfengine.settings import Settings, State
from hfengine.state.port import Series
from tests.rig import T0_NS, Rig, balance, fill, order, position

SECOND_NS = 1_000_000_000


class Shelf:
    """A store that remembers what it was given, newest body a key."""

    def __init__(self) -> None:
        self.fault = ""
        self.bodies: dict[str, bytes] = {}
        self.rows: list[tuple[str, int, Any]] = []

    def put(self, key: str, body: bytes) -> None:
        self.bodies[key] = body
        if not body:
            del self.bodies[key]

    def add(self, series: Series, at_ns: int, row: bytes) -> None:
        self.rows.append((series, at_ns, msgspec.json.decode(row)))

    def json(self, key: str) -> Any:
        return msgspec.json.decode(self.bodies[key])

    def of(self, series: str) -> list[Any]:
        return [row for name, _, row in self.rows if name == series]


@pytest.fixture
def shelf(rig: Rig) -> Shelf:
    made = Shelf()
    rig.wiring = dataclasses.replace(rig.wiring, store=made)
    return made


def test_the_profile_and_the_session_stand_from_the_start(rig: Rig, shelf: Shelf) -> None:
    rig.start(Keeper)
    kept = shelf.json("bot:config:profile")
    assert kept["leverage"]["wanted"] == rig.settings.leverage.wanted
    assert kept["symbols"] == list(rig.settings.symbols)
    assert kept["sizing"]["exposure_max_usdt"] is None
    assert shelf.json("bot:session") == {"session": "test", "at_ns": T0_NS}


def test_the_password_of_a_store_is_not_kept_in_it(rig: Rig, shelf: Shelf) -> None:
    url = "redis://me:hunter2@host:6379/1"
    settings = replace(rig.wiring.settings, state=State(url=url))
    rig.wiring = dataclasses.replace(rig.wiring, settings=settings)
    rig.start(Keeper)
    assert shelf.json("bot:config:profile")["state"]["url"] == "redis://host:6379/1"


def test_a_keep_goes_under_its_key_and_moves_the_mark(rig: Rig, shelf: Shelf) -> None:
    ref = rig.start(Keeper)
    rig.tell(ref, Keep("bot:risk:memory", T0_NS + 5, b"m"))
    assert shelf.bodies["bot:risk:memory"] == b"m"
    assert shelf.json("bot:session")["at_ns"] == T0_NS + 5
    rig.tell(ref, Keep("bot:risk:memory", T0_NS + 6, b""))
    assert "bot:risk:memory" not in shelf.bodies
    rig.tell(ref, Recovered(T0_NS + 9, "store", 1, ""))
    assert shelf.json("bot:session")["at_ns"] == T0_NS + 9


def test_a_position_stands_until_it_is_flat(rig: Rig, shelf: Shelf) -> None:
    ref = rig.start(Keeper)
    rig.tell(ref, position())
    kept = shelf.json("bot:positions:BTCUSDT")
    assert (kept["type"], kept["quantity"], kept["stop"]) == ("PositionChanged", "0.010", "59760")
    rig.tell(ref, position(side=0, quantity="0"))
    assert "bot:positions:BTCUSDT" not in shelf.bodies


@pytest.mark.parametrize("state", ["filled", "cancelled", "rejected"])
def test_an_order_stands_while_it_is_open(rig: Rig, shelf: Shelf, state: str) -> None:
    ref = rig.start(Keeper)
    rig.tell(ref, order("hf-1", "new", filled="0"), replace(order("", "new"), venue_id="v9"))
    assert shelf.json("bot:orders:hf-1")["state"] == "new"
    assert "bot:orders:v9" in shelf.bodies
    assert shelf.of("orders") == []
    rig.tell(ref, order("hf-1", state))
    assert "bot:orders:hf-1" not in shelf.bodies
    assert [row["state"] for row in shelf.of("orders")] == [state]


def test_an_intent_that_is_over_is_no_open_order(rig: Rig, shelf: Shelf) -> None:
    ref = rig.start(Keeper)
    rig.tell(ref, order("hf-1", "new"))
    ended = OrderEnded(1, "hf-1", "BTCUSDT", T0_NS, "not_placed", Decimal(0), "lost")
    rig.tell(ref, ended)
    assert "bot:orders:hf-1" not in shelf.bodies
    assert [row["outcome"] for row in shelf.of("orders")] == ["not_placed"]


def test_fills_and_funding_are_trades(rig: Rig, shelf: Shelf) -> None:
    ref = rig.start(Keeper)
    paid = FundingPaid("BTCUSDT", T0_NS + 3, Decimal("0.0001"), Decimal("0.06"))
    rig.tell(ref, fill("hf-1", 4, at_ns=T0_NS + 2), paid)
    assert [(name, at_ns) for name, at_ns, _ in shelf.rows] == [
        ("trades", T0_NS + 2),
        ("trades", T0_NS + 3),
    ]
    assert [row["type"] for row in shelf.of("trades")] == ["Fill", "FundingPaid"]
    assert shelf.of("trades")[0]["fill_id"] == "f4"


def test_leverage_risk_and_breakers_stand_under_their_keys(rig: Rig, shelf: Shelf) -> None:
    ref = rig.start(Keeper)
    risk = RiskState(T0_NS, "reducing", ("daily_loss",), 61.5, (("loss", 40.0), ("margin", 21.5)))
    tripped = BreakerChanged("daily_loss", "", T0_NS, "tripped", 120.0, 100.0, 0)
    warned = BreakerChanged("market_quality", "BTCUSDT", T0_NS, "warned", 6.0, 5.0, 0)
    proof = LeverageProof("ETHUSDT", T0_NS, 50, 50, "isolated", "read")
    rig.tell(ref, risk, tripped, warned, proof)
    assert shelf.json("bot:risk:state")["state"] == "reducing"
    assert shelf.json("bot:risk:score") == {
        "at_ns": T0_NS,
        "score": 61.5,
        "parts": {"loss": 40.0, "margin": 21.5},
    }
    assert set(shelf.json("bot:risk:breakers")) == {"daily_loss", "market_quality BTCUSDT"}
    assert shelf.json("bot:leverage:ETHUSDT")["got"] == 50
    rig.tell(ref, replace(tripped, state="cleared"))
    assert set(shelf.json("bot:risk:breakers")) == {"market_quality BTCUSDT"}


def test_the_equity_curve_gets_its_points_of_all_venues(rig: Rig, shelf: Shelf) -> None:
    rig.settings = settings = replace(Settings(), state=State(equity_every_s=10.0))
    rig.wiring = dataclasses.replace(rig.wiring, settings=settings)
    ref = rig.start(Keeper)
    rig.run(25.0)
    assert shelf.of("equity") == []
    rig.tell(ref, balance("100"), replace(balance("50"), venue="binance"))
    rig.run(20.0)
    equity = [Decimal(row["equity_usdt"]) for row in shelf.of("equity")]
    assert equity == [Decimal(100), Decimal(150), Decimal(150)]
    (first, second, third) = (at_ns for name, at_ns, _ in shelf.rows if name == "equity")
    assert first < second == T0_NS + 30 * SECOND_NS
    assert third == T0_NS + 40 * SECOND_NS
    assert shelf.json("bot:equity")["wallet_usdt"] == "150"


def test_a_lost_store_is_told_once_and_again_when_it_is_back(rig: Rig, shelf: Shelf) -> None:
    ref = rig.start(Keeper)
    rig.run(3.0)
    assert rig.all(StoreFault) == []
    shelf.fault = "a.db: disk is full"
    rig.run(1.5)
    shelf.fault = "a.db: disk is still full"
    rig.run(5.0)
    lost = rig.one(StoreFault)
    assert lost.lost
    assert "disk is full" in lost.detail
    assert "protection" in lost.detail
    shelf.fault = ""
    rig.run(3.0)
    assert [fault.lost for fault in rig.all(StoreFault)] == [True, False]
    assert rig.report(ref) == {"fault": "", "lost": 1}


def test_a_store_lost_at_the_start_is_told(rig: Rig, shelf: Shelf) -> None:
    shelf.fault = "redis://h: refused"
    rig.start(Keeper)
    rig.run(0.01)
    assert rig.one(StoreFault).lost
