"""What must still hold at the moment an entry is sent, judged when it changes and not then."""

from typing import Final

from hfengine.limits import ENTRIES_IN_FLIGHT_MAX
from hfengine.messages import OpenBracket

NONE_STANDS: Final = "leverage_proof: none stands"


class SendingGates:
    """Which symbols take an entry, and by which proof."""

    def __init__(self) -> None:
        self.clear: dict[str, int] = {}
        """Symbol -> time of the proof by which an entry may be sent now."""
        self.entering: dict[str, str] = {}
        """Symbol -> the entry under way; no other one is let through."""
        self.frozen: dict[str, list[str]] = {}
        """Symbol -> its orders of which it is not known whether the venue has them."""
        self._proved_ns: dict[str, int] = {}
        self._missing: dict[str, str] = {}
        """Symbol -> why its last proof does not stand any more."""
        self._flattens = False

    def prove(self, symbol: str, at_ns: int) -> None:
        """Take the newest proof of a symbol."""
        self._proved_ns[symbol] = at_ns
        self._judge(symbol)

    def disprove(self, symbol: str, why: str = NONE_STANDS) -> None:
        """Drop the proof of a symbol."""
        self._proved_ns.pop(symbol, None)
        self._missing[symbol] = why
        self._judge(symbol)

    def enter(self, symbol: str, client_id: str) -> None:
        """Take that an entry is under way."""
        self.entering[symbol] = client_id
        if len(self.entering) >= ENTRIES_IN_FLIGHT_MAX:
            self.clear.clear()
        else:
            self.clear.pop(symbol, None)

    def leave(self, symbol: str, client_id: str) -> None:
        """Take that an order of a symbol is over."""
        if self.entering.get(symbol) != client_id:
            return
        was_full = len(self.entering) >= ENTRIES_IN_FLIGHT_MAX
        del self.entering[symbol]
        for one in self._proved_ns if was_full else (symbol,):
            self._judge(one)

    def freeze(self, symbol: str, client_id: str) -> None:
        """Take no entry of a symbol while an order of it is unknown."""
        self.frozen.setdefault(symbol, []).append(client_id)
        self._judge(symbol)

    def thaw(self, symbol: str, client_id: str) -> None:
        """Take that the order is known again."""
        unknown = self.frozen.get(symbol, [])
        if client_id in unknown:
            unknown.remove(client_id)
            if not unknown:
                del self.frozen[symbol]
            self._judge(symbol)

    def flatten(self, *, runs: bool) -> None:
        """Take that a flatten has begun or ended; no entry is sent while one runs."""
        self._flattens = runs
        for symbol in self._proved_ns:
            self._judge(symbol)

    def _judge(self, symbol: str) -> None:
        at_ns = self._proved_ns.get(symbol)
        is_full = len(self.entering) >= ENTRIES_IN_FLIGHT_MAX
        is_taken = symbol in self.entering or symbol in self.frozen
        if at_ns is None or is_full or is_taken or self._flattens:
            self.clear.pop(symbol, None)
        else:
            self.clear[symbol] = at_ns

    def closed(self, bracket: OpenBracket) -> str:
        """Return why a bracket may not be sent."""
        symbol = bracket.symbol
        if self._flattens:
            return "flatten: positions are being closed"
        if symbol in self.frozen:
            return f"order_unknown: {', '.join(self.frozen[symbol])}"
        if symbol in self.entering:
            return f"order_in_flight: {self.entering[symbol]}"
        if len(self.entering) >= ENTRIES_IN_FLIGHT_MAX:
            return f"entries_in_flight: {len(self.entering)}, at most {ENTRIES_IN_FLIGHT_MAX}"
        if symbol in self._proved_ns:
            return "leverage_proof: not the newest"
        return self._missing.get(symbol, NONE_STANDS)
