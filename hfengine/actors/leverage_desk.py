"""Proves leverage by reading it, at the start, at its interval and after every change."""

from asyncio import CancelledError
from typing import Final

from msgspec.structs import replace

from hfengine.actors.proving import Proving, prove
from hfengine.actors.sending_gates import SendingGates
from hfengine.actors.wiring import WiredActor
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import LeverageChanged, LeverageProof, PositionChanged, Timer
from hfengine.runtime.actor import Outcome, TimerHandle

RETRY_NS: Final = 1_000_000_000
REREAD: Final = "reread"
PROVE: Final = "prove"
EXPIRE: Final = "expire"


class LeverageDesk:
    """The proofs of one account's symbols."""

    def __init__(self, actor: WiredActor, gates: SendingGates) -> None:
        self._actor = actor
        self._gates = gates
        self._venue = actor.wiring.venue
        self._settings = actor.settings.leverage
        self._symbols = actor.settings.symbols
        self._outdated_ns: dict[str, int] = {}
        """Symbol -> readings of its leverage that began before are no proof any more."""
        self._retrying: set[str] = set()
        """Symbols whose leverage is asked for again soon: one chain of retries each."""
        self._held: dict[str, PositionChanged] = {}
        self._reread = 0
        self._expiries: dict[str, TimerHandle] = {}
        """Symbol -> when its newest proof will be too old to send an entry by."""

    def begin(self) -> None:
        """Read leverage again at its interval, one symbol after the other."""
        interval_ns = self._settings.reread_s * 1e9
        self._actor.tell_every_ns(int(interval_ns / len(self._symbols)), Timer(REREAD))

    def hold(self, position: PositionChanged) -> None:
        """Keep a position: leverage is set only where there is none."""
        self._held[position.symbol] = position

    def prove_all(self) -> None:
        """Prove every symbol."""
        for symbol in self._symbols:
            self.prove(symbol)

    def prove(self, symbol: str, *, may_set: bool = True) -> None:
        """Read a symbol's leverage, after setting it where it may be set and differs."""
        held = self._held.get(symbol)
        flat = held is None or not held.quantity
        may_set = may_set and flat and self._settings.auto_set
        leverage, at_ns = self._settings.of(symbol), self._actor.clock.now_ns()
        asked = Proving(symbol, leverage, self._settings.margin_mode, may_set, at_ns)
        self._actor.run(prove(self._venue, asked), tag=(PROVE, asked))

    def reread(self) -> None:
        """Prove the next symbol in turn, unless it is being asked for anyway."""
        symbol = self._symbols[self._reread % len(self._symbols)]
        self._reread += 1
        if symbol not in self._retrying:
            self.prove(symbol)

    def retry(self, symbol: str) -> None:
        """Prove a symbol that could not be proved before."""
        self._retrying.discard(symbol)
        self.prove(symbol)

    def proved(self, asked: Proving, outcome: Outcome) -> bool:
        """Take a reading; True when it was told as a proof."""
        error, symbol = outcome.error, asked.symbol
        if asked.asked_ns < self._outdated_ns.get(symbol, 0):
            self.prove(symbol, may_set=False)
            return False
        if error is None:
            at_ns = self._actor.clock.now_ns()
            self._outdated_ns[symbol] = asked.asked_ns
            setting, source = outcome.result
            self._stand(symbol, at_ns)
            got, mode = setting.leverage, setting.margin_mode
            self._actor.publish(LeverageProof(symbol, at_ns, asked.leverage, got, mode, source))
            return True
        faults = VenueRejected | VenueUnknown | VenueUnavailable | CancelledError
        if not isinstance(error, faults):
            raise error
        # not proved: the gate refuses; asked again soon
        if symbol not in self._retrying:
            self._retrying.add(symbol)
            self._actor.tell_after_ns(RETRY_NS, Timer(f"{PROVE} {symbol}"))
        return False

    def _stand(self, symbol: str, at_ns: int) -> None:
        """Let entries be sent by a proof until it is too old."""
        before = self._expiries.get(symbol)
        if before is not None:
            before.cancel()
        self._gates.prove(symbol, at_ns)
        # to the nanosecond after: a proof is good at its greatest age
        delay_ns = int(self._settings.proof_age_max_s * 1e9) + 1
        self._expiries[symbol] = self._actor.tell_after_ns(delay_ns, Timer(f"{EXPIRE} {symbol}"))

    def expire(self, symbol: str) -> None:
        """Send no entry by a proof that has grown old."""
        age_max_s = self._settings.proof_age_max_s
        self._gates.disprove(symbol, f"leverage_proof_age_s: more than {age_max_s:g}")

    def changed(self, change: LeverageChanged) -> None:
        """Pass a change on; one that we did not make is proved anew.

        It is stamped with our clock: the venue's may be ahead of that of the proofs it outdates.
        """
        at_ns, symbol = self._actor.clock.now_ns(), change.symbol
        self._actor.publish(replace(change, at_ns=at_ns))
        if change.leverage != self._settings.of(symbol):
            self._outdated_ns[symbol] = at_ns
            self._gates.disprove(symbol)
            self.prove(symbol, may_set=False)
