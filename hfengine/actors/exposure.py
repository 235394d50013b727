"""Notional open and on its way, against the caps of a symbol, of a venue and of everything."""

from collections.abc import Mapping
from math import inf

from hfengine.actors.brackets import Refused
from hfengine.messages import OpenBracket
from hfengine.settings import Settings
from hfengine.symbols import plain_symbol, venue_of


class Exposure:
    """The caps, and what is used of them, in USDT."""

    def __init__(
        self,
        settings: Settings,
        opened_usdt: Mapping[str, float],
        entering: Mapping[str, OpenBracket],
    ) -> None:
        self._all_max = settings.sizing.exposure_max_usdt
        self._symbol_max = settings.risk.symbol_exposure_max_usdt
        self._venue_max = settings.risk.venue_exposure_max_usdt
        self._open_usdt = opened_usdt
        self._entering = entering

    def by_symbol(self) -> dict[str, float]:
        """Return symbol -> notional; an entry that fills is the position it becomes, not more."""
        found = dict(self._open_usdt)
        for symbol, bracket in self._entering.items():
            notional_usdt = float(bracket.quantity * bracket.price)
            found[symbol] = max(notional_usdt, found.get(symbol, 0.0))
        return found

    def used_usdt(self, symbol: str) -> float:
        """Return how much of the least cap is not for an entry of this symbol.

        Where no cap is set, the notional over everything. Raises Refused at a cap that is used up.
        """
        if not (self._open_usdt or self._entering):
            return 0.0
        found = self.by_symbol()
        total_usdt = sum(found.values())
        least_usdt, room_usdt = inf, inf
        for gate, used_usdt, cap_usdt in (
            ("exposure_usdt", total_usdt, self._all_max),
            ("symbol_exposure_usdt", _of_symbol(found, symbol), self._symbol_max),
            ("venue_exposure_usdt", _of_venue(found, symbol), self._venue_max),
        ):
            if used_usdt >= cap_usdt:
                raise Refused(gate, used_usdt, cap_usdt)
            least_usdt = min(least_usdt, cap_usdt)
            room_usdt = min(room_usdt, cap_usdt - used_usdt)
        return total_usdt if least_usdt == inf else least_usdt - room_usdt

    def strain(self, equity_usdt: float, leverage: float) -> float:
        """Return the largest share of a cap in use; of equity times leverage without caps."""
        found = self.by_symbol()
        if not found:
            return 0.0
        total_usdt = sum(found.values())
        shares = [total_usdt / self._all_max]
        shares += [_of_symbol(found, symbol) / self._symbol_max for symbol in found]
        shares += [_of_venue(found, symbol) / self._venue_max for symbol in found]
        if max(shares) == 0.0 and equity_usdt > 0.0:
            return total_usdt / (equity_usdt * leverage)
        return max(shares)


def _of_symbol(found: Mapping[str, float], symbol: str) -> float:
    plain = plain_symbol(symbol)
    return sum(usdt for name, usdt in found.items() if plain_symbol(name) == plain)


def _of_venue(found: Mapping[str, float], symbol: str) -> float:
    venue = venue_of(symbol)
    return sum(usdt for name, usdt in found.items() if venue_of(name) == venue)
