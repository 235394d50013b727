"""Every breaker of one engine, and which of them stands against an entry."""

from collections.abc import Mapping, Sequence
from typing import Any

from hfengine.actors.breakers import (
    TRIPPED,
    WARNED,
    WHEN_GOOD,
    Breaker,
    DailyLoss,
    Drawdown,
    LiquidationDistance,
    LosingStreak,
    MarginUtilisation,
)
from hfengine.actors.market_quality import MarketWatch
from hfengine.actors.risk_memory import KeptBreaker
from hfengine.settings import Settings
from hfengine.symbols import venue_of


class BreakerPanel:
    """CB1 to CB6, of the account, of each venue and of each symbol."""

    def __init__(self, settings: Settings) -> None:
        limits = settings.risk
        self._limits = limits
        self._venues = {symbol: venue_of(symbol) for symbol in settings.symbols}
        self.daily = DailyLoss("", limits.daily_loss_max_usdt)
        self.symbol_losses = {
            symbol: DailyLoss(symbol, limits.symbol_loss_max_usdt) for symbol in settings.symbols
        }
        self.drawdown = Drawdown(limits.drawdown_max)
        self.losing_streak = LosingStreak(
            limits.losing_streak_max, int(limits.losing_streak_cooldown_s * 1e9)
        )
        self.quality = {symbol: MarketWatch(symbol, settings) for symbol in settings.symbols}
        self.margin = {
            venue: MarginUtilisation(venue, limits.utilisation_warn, limits.utilisation_close)
            for venue in sorted(set(self._venues.values()))
        }
        self.distance: dict[str, LiquidationDistance] = {}
        """Of the symbols with a position."""
        self._quiet = True

    def refresh(self) -> None:
        """Note whether any has warned or tripped; to be called when one has changed."""
        self._quiet = not any(each.level for each in self.every())

    def every(self) -> list[Breaker]:
        """Return them all, CB1 to CB6."""
        return [
            self.daily,
            *self.symbol_losses.values(),
            self.drawdown,
            self.losing_streak,
            *self.quality.values(),
            *self.margin.values(),
            *self.distance.values(),
        ]

    def distance_of(self, symbol: str) -> LiquidationDistance:
        """Return the breaker of an open position's distance."""
        known = self.distance.get(symbol)
        if known is None:
            limits = self._limits
            known = self.distance[symbol] = LiquidationDistance(
                symbol, limits.liquidation_left_warn, limits.liquidation_left_close
            )
        return known

    def against(self, symbol: str) -> Breaker | None:
        """Return the first breaker that stands against an entry of this symbol."""
        if self._quiet:
            return None
        for each in (self.daily, self.drawdown, self.losing_streak):
            if each.tripped:
                return each
        for of_symbol in (self.symbol_losses.get(symbol), self.quality.get(symbol)):
            if of_symbol is not None and of_symbol.tripped:
                return of_symbol
        margin = self.margin.get(self._venues.get(symbol, ""))
        if margin is not None and margin.level >= WARNED:
            return margin
        return next((each for each in self.distance.values() if each.tripped), None)

    def unfit_share(self) -> float:
        """Return the share of the symbols whose market is not fit."""
        unfit = sum(watch.level == TRIPPED for watch in self.quality.values())
        return unfit / max(1, len(self.quality))

    def rows(self) -> list[Mapping[str, Any]]:
        """Return those that have warned or tripped, to be shown."""
        return [
            {
                "breaker": each.name,
                "symbol": each.symbol,
                "state": each.state,
                "measured": each.measured,
                "threshold": each.threshold,
                "until_ns": each.until_ns,
                "detail": each.detail,
            }
            for each in self.every()
            if each.level
        ]

    def latched(self) -> tuple[KeptBreaker, ...]:
        """Return those that time or an operator ends: they outlive a restart."""
        return tuple(
            KeptBreaker(each.name, each.symbol, each.measured, each.until_ns)
            for each in self.every()
            if each.tripped and each.until_ns != WHEN_GOOD
        )

    def restore(self, kept: Sequence[KeptBreaker], at_ns: int) -> None:
        """Be as remembered where that still holds."""
        known: dict[tuple[str, str], Breaker] = {
            (each.name, each.symbol): each for each in self.every()
        }
        for one in kept:
            breaker = known.get((one.name, one.symbol))
            if breaker is not None and (one.until_ns < 0 or one.until_ns > at_ns):
                breaker.restore(one.measured, one.until_ns)
        self.refresh()
