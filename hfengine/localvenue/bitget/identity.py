"""Ids as Bitget has them: numbers of 19 digits, derived from the exchange's own counters.

A plan order and the order it becomes when triggered are one order of the exchange and two of
Bitget, so each has its own id. A client id that no client chose is shown as a number as well.
"""

from random import Random
from typing import Final, Literal, NamedTuple

from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.notes import Notes

BASE: Final = 1_491_000_000_000_000_000
TRADE_BASE: Final = 1_492_000_000_000_000_000
FILL_BASE: Final = 1_493_000_000_000_000_000
BILL_BASE: Final = 1_494_000_000_000_000_000
POSITION_BASE: Final = 1_495_000_000_000_000_000
MADE_UP: Final = ":"
"""Begins a client id that the venue made up; it is never shown."""

Role = Literal["order_client", "order", "plan", "plan_client"]
ROLES: Final[tuple[Role, ...]] = ("order_client", "order", "plan", "plan_client")


class Numbered(NamedTuple):
    """What an id of ours says: the exchange's number of the order, and what the id names."""

    venue_id: str
    role: Role


def number(venue_id: str, role: Role) -> str:
    """Return the id of an order in a role."""
    return str(BASE + 4 * int(venue_id) + ROLES.index(role))


def read(text: str) -> Numbered | None:
    """Return what an id of ours says; None for one that is not ours."""
    if len(text) != len(str(BASE)) or not text.isdecimal():
        return None
    place, role = divmod(int(text) - BASE, 4)
    return Numbered(str(place), ROLES[role]) if 0 < place < 10**14 else None


def made_up_id(random: Random) -> str:
    """Return a client id for an order whose client sent none."""
    return f"{MADE_UP}{random.getrandbits(96):024x}"


def trade_id(count: int) -> str:
    """Return the id of a public trade."""
    return str(TRADE_BASE + count)


def fill_id(text: str) -> str:
    """Return the `tradeId` of a fill."""
    return str(FILL_BASE + int(text))


def bill_id(count: int) -> str:
    """Return the id of the n-th entry of an account's ledger."""
    return str(BILL_BASE + count)


def position_id(first_fill_id: int) -> str:
    """Return the id of one position, from its opening to its end, by the fill that opened it."""
    return str(POSITION_BASE + first_fill_id)


def is_plan(report: OrderReport) -> bool:
    """Tell whether an order waits (or waited) for a trigger."""
    return report.update.kind not in {"market", "limit"}


class Names:
    """The client ids as clients see them, those given to position protection included.

    The exchange derives its own ids for protection and does not know such names: they are
    kept in the notes of the venue.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def give(self, account: str, venue_id: str, client_id: str) -> None:
        """Name a protection order as its client wants."""
        self._notes.set(f"bitget/name/{account}/{venue_id}", client_id)
        self._notes.set(f"bitget/named/{account}/{client_id}", venue_id)

    def venue_id(self, account: str, client_id: str) -> str:
        """Return the exchange's number of a protection order named by its client, "" if none."""
        return str(self._notes.get(f"bitget/named/{account}/{client_id}", ""))

    def shown(self, account: str, report: OrderReport, role: Role) -> str:
        """Return the `clientOid` of an order as an order or as a plan order."""
        venue_id, client_id = report.update.venue_id, report.update.client_id
        as_plan = role in {"plan", "plan_client"}
        given = self._notes.get(f"bitget/name/{account}/{venue_id}") if as_plan else None
        if given is not None:
            return str(given)
        is_own = is_plan(report) == as_plan and not report.attached
        if is_own and not client_id.startswith(MADE_UP) and "#" not in client_id:
            return client_id
        return number(venue_id, "plan_client" if as_plan else "order_client")
