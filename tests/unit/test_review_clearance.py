"""A clearance that risk keeps between entries ends with whatever it rested on, symbol by symbol."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.risk import Risk
from hfengine.messages import (
    BookSync,
    Close,
    Entry,
    Flatten,
    Halt,
    LeverageChanged,
    LeverageProof,
    MarkTick,
    Message,
    OpenBracket,
    OrderUnknown,
    Refusal,
    Resume,
)
from tests.rig import T0_NS, Rig, balance, position

BTC = Entry(7, "BTCUSDT", T0_NS, T0_NS, 1, 60000.0, 60000.1, 60120.0, 0.002, 0.9, 60.0, 5e-5, 20.0)
ETH = replace(BTC, symbol="ETHUSDT", bid=3000.0, ask=3000.1, forecast=3006.0)
PROOFS = tuple(
    LeverageProof(symbol, T0_NS, 50, 50, "isolated", "read") for symbol in ("BTCUSDT", "ETHUSDT")
)

MARKS = (
    MarkTick("BTCUSDT", T0_NS, 60000.0, 60000.0, 0.0, 0),
    MarkTick("ETHUSDT", T0_NS, 3000.0, 3000.0, 0.0, 0),
)


def cleared(rig: Rig) -> Any:
    """Return a risk actor whose last news was good news of BTCUSDT: its clearance stands."""
    ref = rig.start(Risk)
    synced = [BookSync(one.symbol, T0_NS, True, "test") for one in PROOFS]
    rig.tell(ref, *PROOFS, balance(), *synced, PROOFS[0])
    return ref


@pytest.mark.parametrize(
    ("told", "gate"),
    [
        ([BookSync("BTCUSDT", T0_NS, False, "gap")], "book_sync"),
        ([Flatten(T0_NS, "the end")], "halted"),
        ([Halt(T0_NS, "user", "wait")], "halted"),
        ([Halt(T0_NS, "user", "a"), Halt(T0_NS, "b", "b"), Resume(T0_NS, "user")], "halted"),
        ([LeverageChanged("BTCUSDT", T0_NS, 20)], "leverage_proof"),
        ([replace(PROOFS[0], got=20)], "leverage_proof"),
        ([OrderUnknown(1, "c", "BTCUSDT", T0_NS, "lost")], "order_unknown"),
        ([position()], "position_open"),
        ([position(), Close("BTCUSDT", T0_NS, 1, Decimal(1), "drift_flip")], "order_in_flight"),
        ([balance("0")], "equity_usdt"),
        ([BTC], "order_in_flight"),
    ],
)
@pytest.mark.parametrize(
    "then", [(), PROOFS[1:], MARKS], ids=["at once", "after other news", "after a mark"]
)
def test_a_clearance_ends_with_what_it_rested_on(
    rig: Rig, told: list[Message], gate: str, then: tuple[Message, ...]
) -> None:
    ref = cleared(rig)
    rig.tell(ref, *told, *then)
    rig.heard.clear()
    rig.tell(ref, BTC)
    assert not rig.all(OpenBracket)
    assert rig.one(Refusal).gate == gate


def test_one_symbols_clearance_is_not_anothers(rig: Rig) -> None:
    ref = cleared(rig)
    rig.tell(ref, BookSync("ETHUSDT", T0_NS, False, "gap"), PROOFS[0], ETH)
    assert rig.one(Refusal).gate == "book_sync"
    rig.tell(ref, BTC)
    assert rig.one(OpenBracket).symbol == "BTCUSDT"


def test_a_resumed_engine_enters_again(rig: Rig) -> None:
    ref = cleared(rig)
    rig.tell(ref, Halt(T0_NS, "user", "wait"), Resume(T0_NS, "user"), BTC)
    assert rig.one(OpenBracket).symbol == "BTCUSDT"


def test_a_mark_clears_a_symbol_again_whose_gates_hold(rig: Rig) -> None:
    ref = cleared(rig)
    risk: Any = rig.host.actors[ref.actor_urn]
    assert set(risk._cleared) == {"BTCUSDT"}
    rig.tell(ref, MARKS[1])
    assert set(risk._cleared) == {"BTCUSDT", "ETHUSDT"}
    rig.tell(ref, balance("9000"))
    assert not risk._cleared
    rig.tell(ref, *MARKS)
    assert {symbol: account.equity_usdt for symbol, account in risk._cleared.items()} == {
        "BTCUSDT": 9000.0,
        "ETHUSDT": 9000.0,
    }
    # nothing is cleared that has an order or a position, nor while anything is halted
    rig.tell(ref, BTC, *MARKS)
    assert set(risk._cleared) == {"ETHUSDT"}
    rig.tell(ref, Halt(T0_NS, "user", "wait"), *MARKS)
    assert not risk._cleared
