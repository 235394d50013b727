"""A risk actor for which nothing stands against an entry, and what it is told."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from hfengine.actors.risk import Risk
from hfengine.messages import (
    BalanceChanged,
    BookSync,
    Entry,
    Fill,
    LeverageProof,
    OpenBracket,
    OrderEnded,
    Refusal,
)
from hfengine.oversight import BreakerChanged
from hfengine.settings import Risk as RiskSettings
from hfengine.settings import Settings
from tests.rig import T0_NS, Rig, balance, fill

BTC = Entry(7, "BTCUSDT", T0_NS, T0_NS, 1, 60000.0, 60000.1, 60120.0, 0.002, 0.9, 60.0, 5e-5, 20.0)
MIDNIGHT_NS = 1_700_006_400_000_000_000
"""2023-11-15 00:00 UTC; T0 is 22:13:20 the evening before."""


def ready(settings: Settings) -> tuple[Rig, Any]:
    """Return a risk actor for which nothing stands against an entry."""
    rig = Rig(settings)
    ref = rig.start(Risk)
    for symbol in settings.symbols:
        proof = LeverageProof(symbol, T0_NS, 50, 50, "isolated", "read")
        rig.tell(ref, proof, BookSync(symbol, T0_NS, True, "test"))
    rig.tell(ref, balance())
    return rig, ref


def limits(**changes: Any) -> Settings:
    return Settings(risk=RiskSettings(**changes))


def wish(rig: Rig, **changes: Any) -> Entry:
    now_ns = rig.clock.now_ns()
    return replace(BTC, at_ns=now_ns, tick_ns=now_ns, **changes)


def gate_of(rig: Rig, ref: Any, entry: Entry | None = None) -> str:
    """Return the gate that refuses an entry now, "" when it becomes a bracket, which ends."""
    rig.heard.clear()
    rig.tell(ref, entry or wish(rig))
    refusals, brackets = rig.all(Refusal), rig.all(OpenBracket)
    assert len(refusals) + len(brackets) == 1, "I8: exactly one answer"
    if refusals:
        return refusals[0].gate
    ended = OrderEnded(
        brackets[0].intent, "c", brackets[0].symbol, T0_NS, "cancelled", Decimal(0), ""
    )
    rig.tell(ref, ended)
    return ""


def states(rig: Rig, breaker: str) -> list[str]:
    return [one.state for one in rig.all(BreakerChanged) if one.breaker == breaker]


def lost(number: int, realised: str, *, symbol: str = "BTCUSDT", at_ns: int = T0_NS) -> Fill:
    told = fill("x", number, symbol=symbol, side=-1, realised=realised, at_ns=at_ns)
    return replace(told, fee_usdt=Decimal(0))


def account(wallet: str, equity: str | None = None, venue: str = "") -> BalanceChanged:
    money = Decimal(wallet)
    worth = money if equity is None else Decimal(equity)
    return BalanceChanged(T0_NS, money, worth, worth, Decimal(0), venue)
