"""All that risk watches besides one entry: breakers, halts, results, state, score, memory."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from hfengine.actors.absent_wallet import AbsentWallet
from hfengine.actors.breaker_panel import BreakerPanel
from hfengine.actors.breakers import WHEN_GOOD
from hfengine.actors.closed_trades import ClosedTrades, Trade
from hfengine.actors.equity_window import EquityWindow
from hfengine.actors.fill_memory import CURSOR_KEY, cursor_of
from hfengine.actors.reentry import Reentry
from hfengine.actors.risk_memory import (
    KEY,
    SURVIVING,
    UNREADABLE,
    Memory,
    decoded,
    encoded,
)
from hfengine.actors.risk_score import Strains, scored, share_of
from hfengine.actors.risk_states import Standing, judged
from hfengine.actors.wiring import Wiring
from hfengine.clock import Clock
from hfengine.halts import ALL, ended_by
from hfengine.limits import FILL_IDS_KEPT
from hfengine.messages import (
    BalanceChanged,
    Close,
    Fill,
    FundingPaid,
    Halt,
    MarkTick,
    PositionChanged,
    Reduce,
    Resume,
)
from hfengine.oversight import BreakerChanged, Keep, MarketQuality, RiskState, VenueHealth
from hfengine.symbols import venue_of

FLATTEN: Final = "flatten"
KEEP_EVERY_NS: Final = 1_000_000_000
SCORE_STEP: Final = 1.0
"""Points by which the score must have changed to be told by itself."""
OPERATOR: Final = "operator"
TOTAL_LOSS: Final = "total_loss"


class RiskWatch:
    """Judges a breaker when what it looks at changes; tells what changed; keeps the memory."""

    def __init__(
        self,
        wiring: Wiring,
        clock: Clock,
        publish: Callable[[Any], None],
        forget: Callable[[], None],
    ) -> None:
        settings = self._settings = wiring.settings
        limits = settings.risk
        self._clock = clock
        self._publish = publish
        self._forget = forget
        self._total_loss_max_usdt = limits.total_loss_max_usdt
        self._venues = {symbol: venue_of(symbol) for symbol in settings.symbols}
        self.halts: dict[str, str] = {}
        self.draining = False
        self.unknown: dict[str, tuple[int, ...]] = {}
        """Symbol -> intents of orders whose fate is not known; written by the actor."""
        self.synced: dict[str, bool] = {}
        self.reentry = Reentry(settings)
        self._results = wiring.day
        self._trades = ClosedTrades()
        self._equity = EquityWindow(limits.drawdown_window_s)
        self._away = AbsentWallet(publish)
        self._forgiven_usdt = 0.0
        self._streak = 0
        self._fills: deque[str] = deque(maxlen=FILL_IDS_KEPT)
        self._positions: dict[str, PositionChanged] = {}
        self._marks: dict[str, float] = {}
        self._connected: dict[str, bool] = {}
        self._accounts: set[str] = set()
        self.panel = BreakerPanel(settings)
        self._exposure_strain: Callable[[float], float] = _nothing
        self._moved = True
        """Something that the state looks at has changed since it was told."""
        self._told: tuple[str, tuple[str, ...]] = ("", ())
        self._score = 0.0
        self._parts: tuple[tuple[str, float], ...] = ()
        self._kept = b""
        self._kept_ns = 0
        self._fault = ""
        self._recall(wiring.recalled.get(KEY))
        self._uncounted = self._told_before(wiring.recalled.get(CURSOR_KEY, b""))

    def begin(self, exposure_strain: Callable[[float], float]) -> None:
        """Tell where things stand at the start, and what of an earlier run still holds."""
        at_ns = self._clock.now_ns()
        self._exposure_strain = exposure_strain
        if self._fault:
            self._halt(UNREADABLE, self._fault)
        elif not self._results.begun:
            for source, reason in list(self.halts.items()):
                self._publish(Halt(at_ns, source, reason))
        for breaker in self.panel.every():
            if breaker.tripped:
                self._publish(breaker.told(at_ns))
        for fill in self._uncounted:
            self.fill(fill)
        self._results.begun = True
        self._tell(at_ns)

    @property
    def closing(self) -> bool:
        """Tell whether every position must be closed."""
        return self.panel.drawdown.tripped

    # what it hears

    def fill(self, fill: Fill) -> None:
        """Count a fill once: in the day, in the account, in its position."""
        name = _name_of(fill)
        if name in self._fills:
            return
        self._fills.append(name)
        at_ns = self._clock.now_ns()
        change_usdt = float(fill.realised_usdt - fill.fee_usdt)
        self._results.add(fill.at_ns, change_usdt, fill.symbol)
        self._equity.explain(venue_of(fill.symbol), at_ns, change_usdt)
        self._away.explain(venue_of(fill.symbol), at_ns, change_usdt)
        self._closed(self._trades.fill(fill), at_ns)
        self._lost(fill.symbol, at_ns)
        self._settle(at_ns)

    def funding(self, funding: FundingPaid) -> None:
        """Count funding in the day, in the account, in its position."""
        at_ns, paid_usdt = self._clock.now_ns(), float(funding.funding_usdt)
        self._results.add(funding.at_ns, -paid_usdt, funding.symbol)
        self._equity.explain(venue_of(funding.symbol), at_ns, -paid_usdt)
        self._away.explain(venue_of(funding.symbol), at_ns, -paid_usdt)
        self._trades.funding(funding.symbol, paid_usdt)
        self._lost(funding.symbol, at_ns)
        # no id tells one funding from another: it is kept at once, for none is told again
        self._settle(at_ns, urgent=True)

    def balance(self, balance: BalanceChanged) -> None:
        """Judge margin use and drawdown."""
        at_ns, venue = self._clock.now_ns(), balance.venue
        wallet_usdt, equity_usdt = float(balance.wallet_usdt), float(balance.equity_usdt)
        self._moved |= venue not in self._accounts
        self._accounts.add(venue)
        self._away.sample(venue, at_ns, wallet_usdt)
        if self._equity.sample(venue, at_ns, wallet_usdt, equity_usdt):
            self._heard(self.panel.drawdown.judge(at_ns, self._equity.drawdown), at_ns)
        if equity_usdt > 0.0:
            breaker = self.panel.margin.get(venue)
            if breaker is not None:
                used = 1.0 - float(balance.free_margin_usdt) / equity_usdt
                self._heard(breaker.judge(at_ns, used), at_ns)
        self._settle(at_ns)

    def position(self, position: PositionChanged) -> None:
        """Follow a position: how near its liquidation is, and what it came to once closed."""
        at_ns, symbol = self._clock.now_ns(), position.symbol
        self._positions[symbol] = position
        self._closed(self._trades.position(position, at_ns), at_ns)
        if position.quantity:
            self.panel.distance_of(symbol)
            self._measure_distance(position, self._marks.get(symbol), at_ns)
        else:
            breaker = self.panel.distance.pop(symbol, None)
            if breaker is not None:
                # flat: all of the way is left
                self._heard(breaker.judge(at_ns, 1.0), at_ns)
        self._settle(at_ns)

    def mark(self, mark: MarkTick) -> None:
        """Judge the market by its mark, and a position's distance from liquidation."""
        at_ns, symbol = self._clock.now_ns(), mark.symbol
        watch = self.panel.quality.get(symbol)
        changed = watch.mark(mark, at_ns) if watch is not None else None
        if mark.mark > 0.0:
            self._marks[symbol] = mark.mark
        if changed is not None:
            self._heard(changed, at_ns)
            self._settle(at_ns)
        if symbol in self.panel.distance:
            position = self._positions[symbol]
            if self._measure_distance(position, self._marks.get(symbol), at_ns):
                self._settle(at_ns)

    def market(self, quality: MarketQuality) -> None:
        """Judge the market by its book."""
        watch, at_ns = self.panel.quality.get(quality.symbol), self._clock.now_ns()
        changed = watch.quality(quality, at_ns) if watch is not None else None
        if changed is not None:
            self._heard(changed, at_ns)
            self._settle(at_ns)

    def health(self, health: VenueHealth) -> None:
        """Judge the markets of a venue by its answers and its clock."""
        at_ns = self._clock.now_ns()
        self._moved |= self._connected.get(health.venue) is not health.connected
        self._connected[health.venue] = health.connected
        for symbol, venue in self._venues.items():
            if health.venue in (venue, self._settings.venue_of(symbol)):
                self._heard(self.panel.quality[symbol].health(health, at_ns), at_ns)
        self._settle(at_ns)

    def sync(self, symbol: str, *, synced: bool) -> None:
        """Judge a market by whether its book can be trusted."""
        at_ns = self._clock.now_ns()
        self._moved |= self.synced.get(symbol) is not synced
        self.synced[symbol] = synced
        watch = self.panel.quality.get(symbol)
        if watch is not None:
            self._heard(watch.sync(synced=synced, at_ns=at_ns), at_ns)
        self._settle(at_ns)

    def orders_changed(self) -> None:
        """Look again at the orders whose fate is not known."""
        self._moved = True
        self._settle(self._clock.now_ns(), urgent=True)

    def halt(self, source: str, reason: str) -> None:
        """Take no entries until this source is resumed."""
        self.halts[source] = reason
        self._moved = True
        self._settle(self._clock.now_ns(), urgent=True)

    def drain(self) -> None:
        """Stay halted for good: the engine closes down."""
        self.draining = True

    def resume(self, resume: Resume) -> None:
        """Clear one source, or every halt and every breaker that waits to be resumed.

        What an operator's flatten left goes with `operator`, never while the engine closes down;
        what `halts.py` calls lasting stays.
        """
        at_ns, source = self._clock.now_ns(), resume.source
        self._moved = True
        cleared = ended_by(source, self.halts)
        if source == OPERATOR:
            cleared.add(FLATTEN)
        if self.draining:
            cleared.discard(FLATTEN)
        for each in cleared:
            self.halts.pop(each, None)
        if TOTAL_LOSS in cleared:
            self._forgiven_usdt = max(0.0, self._results.total_loss_usdt())
        if source in (ALL, self.panel.drawdown.name):
            changed = self.panel.drawdown.resume(at_ns)
            if changed is not None:
                self._equity.begin_anew(at_ns)
                self._heard(changed, at_ns)
        if source == self.panel.losing_streak.name:
            self._streak_over(self.panel.losing_streak.resume(at_ns), at_ns)
        self._settle(at_ns, urgent=True)

    def exit_wished(self, wish: Reduce | Close, at_ns: int) -> None:
        """Let a symbol rest that the rebalancer takes out."""
        if self.reentry.heard(wish, at_ns):
            self._settle(at_ns, urgent=True)

    def look(self) -> None:
        """Let a second pass: what lasts until now ends, what is silent grows stale."""
        at_ns = self._clock.now_ns()
        for result_usdt in self._trades.look(at_ns):
            self._closed(result_usdt, at_ns)
        if self._equity.look(at_ns):
            self._heard(self.panel.drawdown.judge(at_ns, self._equity.drawdown), at_ns)
        self._heard(self.panel.drawdown.look(at_ns), at_ns)
        self._streak_over(self.panel.losing_streak.look(at_ns), at_ns)
        for loss in (self.panel.daily, *self.panel.symbol_losses.values()):
            self._heard(loss.look(at_ns), at_ns)
            symbol = loss.symbol or None
            self._heard(loss.judge(at_ns, self._results.loss_usdt(at_ns, symbol)), at_ns)
        for watch in self.panel.quality.values():
            self._heard(watch.look(at_ns), at_ns)
        self.reentry.look(at_ns)
        self._away.look(at_ns)
        self._settle(at_ns, score=True)

    # what follows

    def _measure_distance(
        self, position: PositionChanged, mark: float | None, at_ns: int
    ) -> BreakerChanged | None:
        entry, liquidation = float(position.entry), float(position.liquidation)
        way = abs(entry - liquidation)
        if mark is None or liquidation <= 0.0 or way == 0.0:
            return None
        left = position.side * (mark - liquidation) / way
        changed = self.panel.distance[position.symbol].judge(at_ns, left)
        self._heard(changed, at_ns)
        return changed

    def _lost(self, symbol: str, at_ns: int) -> None:
        """Judge what has been lost: by the account in the day, by the symbol, in all."""
        self._heard(self.panel.daily.judge(at_ns, self._results.loss_usdt(at_ns)), at_ns)
        loss = self.panel.symbol_losses.get(symbol)
        if loss is not None:
            self._heard(loss.judge(at_ns, self._results.loss_usdt(at_ns, symbol)), at_ns)
        lost_usdt = self._results.total_loss_usdt() - self._forgiven_usdt
        if lost_usdt >= self._total_loss_max_usdt and TOTAL_LOSS not in self.halts:
            limit = self._total_loss_max_usdt
            self._halt(TOTAL_LOSS, f"{lost_usdt:.2f} USDT lost in all, the limit is {limit:g}")

    def _closed(self, result_usdt: float | None, at_ns: int) -> None:
        if result_usdt is None:
            return
        self._streak = self._streak + 1 if result_usdt < 0.0 else 0
        self._heard(self.panel.losing_streak.judge(at_ns, float(self._streak)), at_ns)

    def _streak_over(self, changed: BreakerChanged | None, at_ns: int) -> None:
        if changed is not None:
            self._streak = 0
            self._heard(changed, at_ns)

    def _heard(self, changed: BreakerChanged | None, at_ns: int) -> None:
        """Tell a breaker's change; a drawdown halts until resumed."""
        if changed is None:
            return
        self._publish(changed)
        self._forget()
        self._moved = True
        self.panel.refresh()
        if changed.state == "tripped" and changed.breaker == "drawdown":
            share, limit = changed.measured, changed.threshold
            reason = f"equity fell {share:.2%} from its peak, the limit is {limit:.2%}"
            self._halt("drawdown", reason)
        if changed.until_ns != WHEN_GOOD or changed.state == "cleared":
            self._keep(at_ns)

    def _halt(self, source: str, reason: str) -> None:
        self.halts[source] = reason
        self._moved = True
        self._publish(Halt(self._clock.now_ns(), source, reason))
        self._forget()

    def _settle(self, at_ns: int, *, urgent: bool = False, score: bool = False) -> None:
        self._tell(at_ns, score=score)
        if urgent or at_ns - self._kept_ns >= KEEP_EVERY_NS:
            self._keep(at_ns)

    # state and score

    def standing(self) -> tuple[str, tuple[str, ...]]:
        """Return the state and every reason that speaks for one other than active."""
        unread = {venue for venue in self._venues.values() if venue not in self._accounts}
        return judged(
            Standing(
                halts=self.halts,
                breakers=[each for each in self.panel.every() if each.level],
                unread=sorted(unread),
                unsynced=[s for s in self._settings.symbols if not self.synced.get(s, False)],
                unknown=sorted(self.unknown),
                disconnected=sorted(v for v, up in self._connected.items() if not up),
            )
        )

    def _tell(self, at_ns: int, *, score: bool = False) -> None:
        if not (self._moved or score):
            return
        self._moved = False
        standing = self.standing()
        changed = standing != self._told
        if not (changed or score):
            return
        points, parts = scored(self._strains())
        if not changed and abs(points - self._score) < SCORE_STEP:
            return
        self._told, self._score, self._parts = standing, points, parts
        state, reasons = standing
        self._publish(RiskState(at_ns, state, reasons, points, parts))  # type: ignore[arg-type]

    def _strains(self) -> Strains:
        limits, at_ns = self._settings.risk, self._clock.now_ns()
        left = min((each.measured for each in self.panel.distance.values()), default=1.0)
        losses = [share_of(self._results.loss_usdt(at_ns), limits.daily_loss_max_usdt)]
        losses += [
            share_of(self._results.loss_usdt(at_ns, symbol), limits.symbol_loss_max_usdt)
            for symbol in self.panel.symbol_losses
        ]
        used = max((each.measured for each in self.panel.margin.values()), default=0.0)
        return Strains(
            margin_use=used / limits.utilisation_close,
            liquidation_distance=(1.0 - left) / (1.0 - limits.liquidation_left_close),
            drawdown=self._equity.drawdown / limits.drawdown_max,
            daily_loss=max(losses),
            losing_streak=share_of(self._streak, limits.losing_streak_max),
            market_quality=self.panel.unfit_share(),
            exposure=self._exposure_strain(self._equity.equity_usdt),
        )

    def report(self) -> dict[str, Any]:
        """Return what there is to see of it."""
        state, reasons = self.standing()
        score, parts = scored(self._strains())
        at_ns = self._clock.now_ns()
        _, day_usdt, total_usdt = self._results.by_symbol(at_ns)
        return {
            "state": state,
            "reasons": reasons,
            "score": score,
            "parts": dict(parts),
            "halts": dict(self.halts),
            "breakers": self.panel.rows(),
            "day_usdt": day_usdt,
            "total_usdt": total_usdt,
            "day_loss_usdt": self._results.loss_usdt(at_ns),
            "total_loss_usdt": self._results.total_loss_usdt(),
            "equity_usdt": self._equity.equity_usdt,
            "peak_usdt": self._equity.peak_usdt,
            "drawdown": self._equity.drawdown,
            "losing_streak": self._streak,
            "margin_use": {venue: each.measured for venue, each in self.panel.margin.items()},
            "rests": {s: one.until_ns for s, one in self.reentry.rests.items()},
        }

    # memory

    def _keep(self, at_ns: int) -> None:
        """Publish what must outlive this process, where it has changed."""
        day, day_usdt, total_usdt = self._results.by_symbol(at_ns)
        peak_usdt, peak_ns, wallets = self._equity.memory()
        memory = Memory(
            halts=dict(self.halts),
            draining=self.draining,
            unknown=dict(self.unknown),
            breakers=self.panel.latched(),
            streak=self._streak,
            day=day,
            day_usdt=day_usdt,
            total_usdt=total_usdt,
            forgiven_usdt=self._forgiven_usdt,
            peak_usdt=peak_usdt,
            peak_ns=peak_ns,
            wallets=wallets,
            trades={s: one.net_usdt for s, one in self._trades.open.items()},
            rests=self.reentry.rests,
            fills=tuple(self._fills),
        )
        body = encoded(memory)
        if body != self._kept:
            self._kept, self._kept_ns = body, at_ns
            self._publish(Keep(KEY, at_ns, body))

    def _recall(self, body: bytes | None) -> None:
        """Find again what an earlier risk actor kept, of this process or of one before."""
        memory, fault = decoded(body)
        if fault:
            # fail closed: it may have held a halt
            self._fault = f"what {KEY} remembers cannot be read ({fault}): look at it, then resume"
        if memory is None:
            return
        again, at_ns = self._results.begun, self._clock.now_ns()
        self.halts = {
            source: reason
            for source, reason in memory.halts.items()
            if again or source in SURVIVING
        }
        if again:
            self.draining = memory.draining
            self.unknown.update(memory.unknown)
        else:
            self._results.restore(memory.day, memory.day_usdt, memory.total_usdt)
            self._away.restore(memory.wallets)
        self._streak, self._forgiven_usdt = memory.streak, memory.forgiven_usdt
        self._equity.restore(memory.peak_usdt, memory.peak_ns, memory.wallets)
        self._trades.open.update({s: Trade(usdt) for s, usdt in memory.trades.items()})
        self.reentry.rests.update(memory.rests)
        self._fills.extend(memory.fills)
        self.panel.restore(memory.breakers, at_ns)
        waited = any(kept.name == self.panel.losing_streak.name for kept in memory.breakers)
        if waited and not self.panel.losing_streak.tripped:
            self._streak = 0

    def _told_before(self, cursor_body: bytes) -> list[Fill]:
        """Return the fills execution had told before a crash and will not tell again, of which
        what they came to was not kept: a loss must not get lost between the two memories."""
        cursor = cursor_of(cursor_body)
        if cursor is None or self._results.begun:
            return []
        return [fill for fill in cursor.recent if _name_of(fill) not in self._fills]


def _name_of(fill: Fill) -> str:
    return f"{fill.symbol}:{fill.fill_id}"


def _nothing(_equity_usdt: float) -> float:
    return 0.0
