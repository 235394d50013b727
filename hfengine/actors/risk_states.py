"""The state of risk and its reasons, from what stands against entries.

halted: no entry of any symbol until someone resumes or a cool-down ends: a halt is in force, or CB1
of the account, CB2 or CB3 has tripped.
not_in_sync: the truth is not known whole: an account not read, a venue not connected, an order of
unknown fate, a book out of sync. Entries of what is concerned are refused.
reducing: positions are being made smaller: CB5 has warned or tripped, or CB6 has tripped.
active: none of these; symbols named in the reasons are refused by their own breakers.

The first that holds, in this order, is the state; the reasons name everything that holds.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hfengine.actors.breakers import TRIPPED, Breaker


class Standing(NamedTuple):
    """What stands against entries."""

    halts: Mapping[str, str]
    breakers: Sequence[Breaker]
    """Those that have warned or tripped."""
    unread: Sequence[str]
    """Venues whose account has not been read."""
    unsynced: Sequence[str]
    unknown: Sequence[str]
    disconnected: Sequence[str]


def judged(standing: Standing) -> tuple[str, tuple[str, ...]]:
    """Return the state's name and the reasons."""
    halted = [f"{source}: {reason}" for source, reason in standing.halts.items()]
    lost = [f"account not read{_at(venue)}" for venue in standing.unread]
    lost += [f"venue not connected{_at(venue)}" for venue in standing.disconnected]
    lost += [f"order of unknown fate {symbol}" for symbol in standing.unknown]
    lost += [f"book not in sync {symbol}" for symbol in standing.unsynced]
    reducing: list[str] = []
    others: list[str] = []
    for each in standing.breakers:
        found = others
        if _stops_all(each):
            found = halted
        elif each.name == "margin_utilisation" or (
            each.name == "liquidation_distance" and each.level == TRIPPED
        ):
            found = reducing
        found.append(" ".join(filter(None, (each.name, each.state, each.symbol, each.detail))))
    state = "active"
    for name, reasons in (("halted", halted), ("not_in_sync", lost), ("reducing", reducing)):
        if reasons:
            state = name
            break
    return state, (*halted, *lost, *reducing, *others)


def _stops_all(breaker: Breaker) -> bool:
    return breaker.level == TRIPPED and (
        breaker.name in ("drawdown", "losing_streak")
        or (breaker.name == "daily_loss" and not breaker.symbol)
    )


def _at(venue: str) -> str:
    return f" at {venue}" if venue else ""
