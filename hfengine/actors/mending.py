"""Puts right what is wrong with a stop or a target, by amendment in place, or says to close.

One amendment of a position is under way at a time. It counts as lost when the position as told does
not show it in time; what is not mended by `ORDER_RETRIES_MAX` tries is closed.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal

from hfengine.actors.guarded import Guarded
from hfengine.actors.stop_faults import (
    StopFault,
    computed_stop,
    computed_target,
    innermost,
    inside,
    is_passed,
    shown,
    stands_behind,
    stop_fault,
)
from hfengine.instruments import Instrument
from hfengine.limits import ORDER_RETRIES_MAX
from hfengine.messages import ExitReason, Message, MoveProtection
from hfengine.oversight import Repair
from hfengine.settings import Protection

REPAIR: Final = "repair: "
TARGET: Final = "repair: target"
URGENT: Final = ("missing", "wrong_size")
"""Faults of cover: the clock of I2 runs."""

Verdict = ExitReason | Literal[""]
Fault = StopFault | Literal["refused"]


class Mending:
    """The repairs of one profile. A verdict other than "" is why the position must be closed."""

    def __init__(self, protection: Protection, publish: Callable[[Message], None]) -> None:
        self._protection = protection
        self._publish = publish
        self._check_ns = int(protection.check_ms * 1e6)
        self._wait_ns = int(protection.cover_max_ms * 1e6)

    @property
    def grace_ns(self) -> int:
        """How long the stop of a new position may be on its way before it is sent again."""
        return self._wait_ns // 2

    def move(
        self, guarded: Guarded, stop: Decimal, target: Decimal, reason: str, now_ns: int
    ) -> bool:
        """Amend stop and target unless an amendment is under way or was a moment ago."""
        if guarded.move is not None or now_ns < guarded.moved_ns + self._check_ns:
            return False
        move = MoveProtection(guarded.position.symbol, now_ns, stop, target, reason)
        guarded.move, guarded.moved_ns = move, now_ns
        self._publish(move)
        return True

    def settle(self, guarded: Guarded, now_ns: int) -> None:
        """See whether an amendment stands, or has been lost."""
        move, position = guarded.move, guarded.position
        if move is None:
            return
        if (position.stop, position.target) == (move.stop, move.target):
            guarded.move = None
        elif now_ns - guarded.moved_ns >= self._patience_ns(move):
            guarded.move = None
            if not move.reason.startswith(REPAIR) and position.stop:
                # a stop that was to follow stays; the next mark asks again
                guarded.stop = position.stop

    def _patience_ns(self, move: MoveProtection) -> int:
        """Return after how long an amendment counts as lost: half the time where cover is gone."""
        return self.grace_ns if move.reason.removeprefix(REPAIR) in URGENT else self._wait_ns

    def refused(self, guarded: Guarded, told: str, now_ns: int, *, of_target: bool) -> Verdict:
        """Take that the amendment under way was refused, and what stood stands.

        A stop that was refused for the target beside it is tried again without that.
        """
        move, position = guarded.move, guarded.position
        guarded.move = None
        # not at once again: the price that was in the way is still about
        guarded.moved_ns = now_ns + self._wait_ns - self._check_ns
        if move is None or move.reason.startswith(TARGET):
            return ""
        if of_target and move.reason.startswith(REPAIR):
            guarded.moved_ns = now_ns
            return ""
        if not move.reason.startswith(REPAIR):
            guarded.stop = position.stop or guarded.stop
            return ""
        guarded.tries = ORDER_RETRIES_MAX
        found = f"{move.reason}, stop {move.stop} refused: {told}"
        self._give_up(guarded, "refused", found, now_ns)
        return "uncovered" if position.covered < position.quantity else "bad_stop"

    def look(
        self, guarded: Guarded, instrument: Instrument, mark: float, now_ns: int, *, fresh: bool
    ) -> Verdict:
        """Judge stop and target, repair what is wrong; `fresh` ones may still be on their way.

        `mark` is 0.0 while none is known that is new enough.
        """
        self.settle(guarded, now_ns)
        if guarded.move is not None:
            return ""
        position = guarded.position
        limit = innermost(position, self._protection.buffer_fraction, instrument)
        if not guarded.stop and stands_behind(position.stop, guarded.side, mark):
            guarded.stop = position.stop
        expected = guarded.stop or computed_stop(
            position, self._protection, limit, mark, instrument
        )
        wanted = inside(expected, guarded.side, limit)
        judged = mark if self._protection.trigger_by == "mark" else 0.0
        fault = stop_fault(position, wanted, limit, judged)
        if fault is not None:
            return self._stop_is_wrong(
                guarded, fault, wanted, mark, shown(position, wanted, limit, mark), now_ns, fresh
            )
        guarded.tries = guarded.wrong_side_ns = 0
        guarded.given_up = False
        if guarded.side * (position.stop - guarded.stop) > 0:
            self._adopt(guarded, now_ns)
        return self._look_at_target(guarded, instrument, mark, now_ns)

    def _adopt(self, guarded: Guarded, now_ns: int) -> None:
        """Take a stop that somebody moved nearer to the mark as the one expected."""
        position = guarded.position
        found = f"stop at {position.stop}, nearer than {guarded.stop}"
        self._publish(Repair(position.symbol, now_ns, "wrong_trigger", found, "leave"))
        guarded.stop = position.stop

    def _stop_is_wrong(
        self,
        guarded: Guarded,
        fault: StopFault,
        wanted: Decimal,
        mark: float,
        found: str,
        now_ns: int,
        fresh: bool,
    ) -> Verdict:
        position = guarded.position
        if fault in URGENT and fresh:
            return ""
        if fault == "wrong_side" and wanted == position.stop:
            return self._is_firing(guarded, found, now_ns)
        guarded.wrong_side_ns = 0
        verdict: ExitReason = "uncovered" if fault in URGENT else "bad_stop"
        if not wanted:
            # a position without an entry price: nothing tells where its stop belongs
            return ""
        # where it belongs it may fire at once
        is_placeable = stands_behind(wanted, guarded.side, mark)
        gives_up = guarded.tries >= ORDER_RETRIES_MAX or not is_placeable
        if gives_up:
            self._give_up(guarded, fault, f"{found}; repairs tried: {guarded.tries}", now_ns)
            if fault not in URGENT or not is_placeable:
                return verdict
            # the close may be lost too: what has no cover gets it from whichever comes first
        target = position.target
        if not target and not guarded.tries and not is_passed(guarded.target, guarded.side, mark):
            target = guarded.target
        if self.move(guarded, wanted, target, f"{REPAIR}{fault}", now_ns):
            guarded.stop = wanted
            guarded.tries += 1
            self._publish(Repair(position.symbol, now_ns, fault, found, "protect"))
        return verdict if gives_up else ""

    def _give_up(self, guarded: Guarded, fault: Fault, found: str, now_ns: int) -> None:
        """Say once that the position is closed for a fault."""
        if not guarded.given_up:
            guarded.given_up = True
            self._publish(Repair(guarded.position.symbol, now_ns, fault, found, "close"))

    def _is_firing(self, guarded: Guarded, found: str, now_ns: int) -> Verdict:
        """Give a stop that the mark has passed the time to fire; then it is no stop."""
        if not guarded.wrong_side_ns:
            guarded.wrong_side_ns = now_ns
        if now_ns - guarded.wrong_side_ns < self._wait_ns:
            return ""
        self._give_up(guarded, "wrong_side", f"{found}; it did not fire", now_ns)
        return "bad_stop"

    # the target, which nothing hangs on

    def _look_at_target(
        self, guarded: Guarded, instrument: Instrument, mark: float, now_ns: int
    ) -> Verdict:
        position = guarded.position
        if not guarded.target and guarded.adopted:
            if not position.target and mark <= 0.0:
                return ""
            guarded.target = position.target or computed_target(
                position, self._protection, mark, instrument
            )
        wanted = guarded.target
        if position.target == wanted or not wanted:
            guarded.target_wrong_ns = guarded.target_tries = 0
            return ""
        if not guarded.target_wrong_ns:
            guarded.target_wrong_ns = now_ns
        if now_ns - guarded.target_wrong_ns < 2 * self._wait_ns:
            return ""
        if is_passed(wanted, guarded.side, mark):
            return "target_passed"
        found = f"target {position.target}, expected {wanted}"
        if guarded.target_tries >= ORDER_RETRIES_MAX:
            guarded.target = position.target
            self._publish(Repair(position.symbol, now_ns, "refused", found, "leave"))
        elif self.move(guarded, position.stop, wanted, TARGET, now_ns):
            guarded.target_tries += 1
            fault: StopFault = "wrong_trigger" if position.target else "missing"
            self._publish(Repair(position.symbol, now_ns, fault, found, "protect"))
        return ""
