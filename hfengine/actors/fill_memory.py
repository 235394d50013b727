"""Which fills were told already, over restarts of the actor and of the process.

Every complete reading lists all fills up to its beginning, so ids older than FILLS_OVERLAP_NS
before it need not be kept: such a fill counts as told. What comes late of a reading is younger.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.actors.wiring import WiredActor
from hfengine.limits import FILLS_REMEMBERED_MAX, FUNDING_REMEMBERED
from hfengine.messages import Fill, FundingPaid, Timer
from hfengine.oversight import Difference, Keep

CURSOR_KEY: Final = "bot:fills:cursor"
FILLS_OVERLAP_NS: Final = 600_000_000_000
"""How long before the last complete reading ids are kept; a venue may list a fill so late."""

KEEP_EVERY_NS: Final = 1_000_000_000
KEEP: Final = "keep"


class Cursor(Struct, frozen=True):
    """What is kept of the fills: the body of CURSOR_KEY, in JSON."""

    session: str
    newest_ns: int
    """Venue's time of the newest fill told."""
    floor_ns: int
    """Older fills were all told."""
    dropped: int
    """Fills of the session whose ids are not kept any more."""
    ids: dict[str, int]
    """Fill id -> venue's time."""
    recent: tuple[Fill, ...] = ()
    """What was told in the last RECENT_NS: risk may not have kept yet what it came to."""
    funding: dict[str, tuple[int, ...]] = {}
    """Symbol -> venue's times of the newest FUNDING_REMEMBERED payments told."""


RECENT_NS: Final = 3_000_000_000
"""Longer than risk waits before it keeps what it has counted."""


def cursor_of(body: bytes) -> Cursor | None:
    """Return what a kept body says; None for one that says nothing readable."""
    try:
        return msgspec.json.decode(body, type=Cursor) if body else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


class FillMemory:
    """The ids of the fills told, each with its time, for one account."""

    def __init__(self, actor: WiredActor) -> None:
        self._actor = actor
        wiring = actor.wiring
        self._ids = wiring.heard_fills
        self._session = wiring.order_ids.client_id(0, "f")
        self._times_ns: dict[str, int] = {}
        self._newest_ns = 0
        self._floor_ns = 0
        self._dropped = 0
        self._recent: deque[tuple[int, Fill]] = deque()
        """When it was told by our clock, and what."""
        self._funding: dict[str, tuple[int, ...]] = {}
        self._kept_ns = 0
        self._keep_due = False
        self.is_unreadable = False
        body = wiring.recalled.get(CURSOR_KEY, b"")
        cursor = cursor_of(body)
        if cursor is not None:
            self._newest_ns, self._floor_ns = cursor.newest_ns, cursor.floor_ns
            self._dropped = cursor.dropped if cursor.session == self._session else 0
            self._times_ns = dict(cursor.ids)
            self._funding = dict(cursor.funding)
            self._ids.update(cursor.ids)
            self._recent.extend((actor.clock.now_ns(), fill) for fill in cursor.recent)
        elif body:
            self.is_unreadable = True
        for fill_id in self._ids:
            # told by this actor before it was restarted, after its last Keep
            self._times_ns.setdefault(fill_id, actor.clock.now_ns())

    @property
    def count(self) -> int:
        """Return how many fills were told, those recalled included."""
        return self._dropped + len(self._ids)

    def tell_if_unreadable(self) -> None:
        """Say once that what was kept could not be read: fills since the start are told anew."""
        if self.is_unreadable:
            self.is_unreadable = False
            at_ns = self._actor.clock.now_ns()
            policy = "treated as absent: every fill the venue lists is told"
            found = Difference(at_ns, "", "fill", f"{CURSOR_KEY} unreadable", "unknown", policy)
            self._actor.publish(found)

    def is_news(self, fill: Fill) -> bool:
        """Take a fill; False for one that was told before."""
        if fill.fill_id in self._ids or fill.at_ns < self._floor_ns:
            return False
        self._ids.add(fill.fill_id)
        self._times_ns[fill.fill_id] = fill.at_ns
        self._newest_ns = max(self._newest_ns, fill.at_ns)
        self._recent.append((self._actor.clock.now_ns(), fill))
        if len(self._ids) > FILLS_REMEMBERED_MAX:
            self._bound()
        return True

    def is_news_of(self, funding: FundingPaid) -> bool:
        """Take a payment; False for one that was told before. It has no id but symbol and time."""
        known = self._funding.get(funding.symbol, ())
        is_old = len(known) == FUNDING_REMEMBERED and funding.at_ns < known[0]
        if is_old or funding.at_ns in known:
            return False
        newest = sorted((*known, funding.at_ns))[-FUNDING_REMEMBERED:]
        self._funding[funding.symbol] = tuple(newest)
        return True

    def told(self) -> None:
        """Keep, now or soon, that the fill was told: never before it was, or a crash between the
        two would lose it."""
        self._note()

    def heard_of(self, fills: Iterable[Fill]) -> frozenset[str]:
        """Return the ids of what was told, with those of `fills` that are too old to be kept."""
        old = {fill.fill_id for fill in fills if fill.at_ns < self._floor_ns}
        return frozenset(self._ids | old)

    def read_through(self, began_ns: int) -> None:
        """Take that everything up to a complete reading's beginning has been told."""
        floor_ns = began_ns - FILLS_OVERLAP_NS
        old = [fill_id for fill_id, at_ns in self._times_ns.items() if at_ns < floor_ns]
        self._forget(old)
        if old:
            self._floor_ns = max(self._floor_ns, floor_ns)
            self._note()

    def _bound(self) -> None:
        """Forget the oldest before their time; a fill older still would not be told any more."""
        spare = sorted(self._times_ns, key=lambda one: self._times_ns[one])
        old = spare[: len(self._ids) - FILLS_REMEMBERED_MAX]
        self._floor_ns = max(self._floor_ns, *(self._times_ns[one] + 1 for one in old))
        self._forget(old)

    def _forget(self, fill_ids: list[str]) -> None:
        for fill_id in fill_ids:
            del self._times_ns[fill_id]
            self._ids.discard(fill_id)
        self._dropped += len(fill_ids)

    def _note(self) -> None:
        """Keep the cursor, now or when a second has passed since it was kept last."""
        wait_ns = self._kept_ns + KEEP_EVERY_NS - self._actor.clock.now_ns()
        if wait_ns <= 0:
            self.keep()
        elif not self._keep_due:
            self._keep_due = True
            self._actor.tell_after_ns(wait_ns, Timer(KEEP))

    def keep(self) -> None:
        """Publish the cursor."""
        self._keep_due = False
        self._kept_ns = at_ns = self._actor.clock.now_ns()
        while self._recent and self._recent[0][0] < at_ns - RECENT_NS:
            self._recent.popleft()
        recent = tuple(fill for _, fill in self._recent)
        cursor = Cursor(
            self._session,
            self._newest_ns,
            self._floor_ns,
            self._dropped,
            self._times_ns,
            recent,
            self._funding,
        )
        self._actor.publish(Keep(CURSOR_KEY, at_ns, msgspec.json.encode(cursor)))
