"""Entries and exits pass here: every gate by name, then one sized, proved bracket."""

from contextlib import suppress
from math import isfinite
from typing import Any

from hfengine.actors.brackets import Account, Planner, Refused
from hfengine.actors.exits import ExitsUnderWay
from hfengine.actors.exposure import Exposure
from hfengine.actors.risk_watch import RiskWatch
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.kernels.entry_gate import EntryGate
from hfengine.kernels.entry_turn import EntryTurn
from hfengine.kernels.histogram import now_ns
from hfengine.messages import (
    BalanceChanged,
    BookSync,
    Close,
    EngineState,
    Entry,
    FeeWarning,
    Fill,
    Flatten,
    FundingPaid,
    Halt,
    LeverageChanged,
    LeverageProof,
    MarkTick,
    OpenBracket,
    OrderEnded,
    OrderUnknown,
    PositionChanged,
    Reduce,
    ReducePosition,
    Refusal,
    Report,
    Resume,
    Timer,
)
from hfengine.oversight import MarketQuality, VenueHealth
from hfengine.runtime.actor import compiled, handles
from hfengine.symbols import venue_of

LOOK_NS = 1_000_000_000
"""How often what time alone changes is looked at."""


class Risk(WiredActor):
    """Holds what must be true before an entry, and refuses by name when it is not.

    What stands against every entry is judged by `RiskWatch` when what it looks at changes.
    """

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._proofs: dict[str, LeverageProof] = {}
        self._trusted: dict[str, LeverageProof] = {}
        self._told_ns: dict[str, int] = {}
        """Symbol -> when the venue last spoke of its leverage; older proofs say nothing."""
        self._positions: dict[str, PositionChanged] = {}
        self._accounts: dict[str, Account] = {}
        """Venue -> its account; "" where there is only one."""
        self._account_gates: dict[str, tuple[str, float, float, str]] = {}
        self._venues = {symbol: venue_of(symbol) for symbol in self.settings.symbols}
        self._cleared: dict[str, Account] = {}
        """Symbols whose standing gates all hold, judged anew when what they look at has changed: at
        once or with the symbol's next mark."""
        self._open_usdt: dict[str, float] = {}
        self._marks: dict[str, MarkTick] = {}
        self._entering: dict[str, OpenBracket] = {}
        self._exiting = ExitsUnderWay()
        self._watch = RiskWatch(wiring, self.clock, self.publish, self._cleared.clear)
        self._unknown = self._watch.unknown
        self._rests = self._watch.reentry.rests
        self._exposure = Exposure(self.settings, self._open_usdt, self._entering)
        self._planners = {
            symbol: Planner(self.settings, wiring.instruments[symbol])
            for symbol in self.settings.symbols
        }
        self._stages = wiring.stages
        self._journal_ok = wiring.journal_ok
        self._intents = wiring.intents
        self._data_age_max_ms = self.settings.risk.data_age_max_ms
        self._spread_max_bps = self.settings.risk.spread_max_bps
        self._proof_age_max_ns = int(self.settings.leverage.proof_age_max_s * 1e9)
        self._positions_max = self.settings.sizing.positions_max
        self._turn = self._compiled_turn()
        self.handle_by(Entry, self._turn.handle)

    def _compiled_turn(self) -> EntryTurn:
        gate = EntryGate(
            self._cleared,
            self._trusted,
            self._data_age_max_ms,
            self._spread_max_bps,
            self._proof_age_max_ns,
        )
        return EntryTurn(
            gate,
            {symbol: planner.kernel for symbol, planner in self._planners.items()},
            trusted=self._trusted,
            marks=self._marks,
            cleared=self._cleared,
            entering=self._entering,
            rests=self._rests,
            journal_ok=self._journal_ok,
            now_ns=self.clock.now_ns,
            intents=self._intents,
            took=self._stages.risk,
            publish=self.publish,
            warn=self._warn,
            care=self.on_entry,
        )

    def on_start(self) -> None:
        """Tell where things stand, and start looking."""
        self._watch.begin(self._strain)
        self.tell_every_ns(LOOK_NS, Timer("look"))

    @handles(Timer)
    def on_timer(self, _timer: Timer) -> None:
        """Let a second pass; close again what a drawdown has to close."""
        self._watch.look()
        self._close_all()

    def _strain(self, equity_usdt: float) -> float:
        return self._exposure.strain(equity_usdt, self.settings.leverage.wanted)

    # what the gates look at

    @handles(LeverageProof)
    def on_proof(self, proof: LeverageProof) -> None:
        """Keep the newest proof of a symbol; trust it where it proves what is wanted."""
        leverage, symbol = self.settings.leverage, proof.symbol
        if proof.at_ns < self._told_ns.get(symbol, 0):
            return
        self._told_ns[symbol] = proof.at_ns
        self._proofs[symbol] = proof
        matches = proof.got == leverage.of(symbol) and proof.margin_mode == leverage.margin_mode
        # long and short of a hedged symbol may differ: that is 0, which nothing can be sized by
        if matches or (leverage.on_failure == "warn" and proof.got > 0):
            self._trusted[symbol] = proof
        else:
            self._trusted.pop(symbol, None)
        self._changed(symbol)
        self._rehearse(proof)

    @handles(LeverageChanged)
    def on_leverage_changed(self, change: LeverageChanged) -> None:
        """Drop a proof that the venue has just contradicted."""
        proof = self._proofs.get(change.symbol)
        if proof is None or proof.got != change.leverage:
            self._told_ns[change.symbol] = max(change.at_ns, self._told_ns.get(change.symbol, 0))
        if proof is not None and proof.got != change.leverage:
            del self._proofs[change.symbol]
            self._trusted.pop(change.symbol, None)
            self._changed(change.symbol)

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Keep the venue's position, and what it exposes."""
        symbol = position.symbol
        self._positions[symbol] = position
        if position.quantity:
            self._open_usdt[symbol] = float(position.quantity * position.entry)
        else:
            self._open_usdt.pop(symbol, None)
        self._watch.position(position)
        self._changed(symbol)
        self._close_all()

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Keep the account, and whether it allows entries at all."""
        venue = balance.venue
        account = Account.of(balance)
        if not all(map(isfinite, account)):
            # figures that are no numbers say nothing: no entries until they are read again
            detail = "the venue's figures are no numbers"
            self._account_gates[venue] = ("balance", 0.0, 1.0, detail)
            self._cleared.clear()
            return
        first = venue not in self._accounts
        self._accounts[venue] = account
        if account.equity_usdt <= 0.0:
            self._account_gates[venue] = ("equity_usdt", account.equity_usdt, 0.0, "")
        else:
            self._account_gates.pop(venue, None)
        self._watch.balance(balance)
        self._cleared.clear()
        self._close_all()
        if first:
            for proof in self._proofs.values():
                self._rehearse(proof)

    def _rehearse(self, proof: LeverageProof) -> None:
        symbol = proof.symbol
        planner = self._planners.get(symbol)
        account = self._accounts.get(self._venues.get(symbol, ""))
        if planner is not None and account is not None and not self._turn.entries and proof.got > 0:
            planner.rehearse(proof, account)

    @handles(BookSync)
    def on_sync(self, sync: BookSync) -> None:
        """Keep whether a symbol's book can be trusted."""
        self._watch.sync(sync.symbol, synced=sync.synced)
        self._changed(sync.symbol)

    @handles(MarkTick)
    def on_mark(self, mark: MarkTick) -> None:
        """Keep mark and funding; judge the market, and how near liquidation is."""
        if isfinite(mark.mark) and isfinite(mark.funding_rate):
            self._marks[mark.symbol] = mark
            self._watch.mark(mark)
            self._judge(mark.symbol)

    @handles(MarketQuality)
    def on_quality(self, quality: MarketQuality) -> None:
        """Judge a market by its book."""
        self._watch.market(quality)

    @handles(VenueHealth)
    def on_health(self, health: VenueHealth) -> None:
        """Judge the markets of a venue by its clock and its answers."""
        self._watch.health(health)

    @handles(Fill)
    def on_fill(self, fill: Fill) -> None:
        """Add realised profit and fees to what they count in."""
        self._watch.fill(fill)

    @handles(FundingPaid)
    def on_funding(self, funding: FundingPaid) -> None:
        """Add funding to what it counts in."""
        self._watch.funding(funding)

    @handles(OrderEnded)
    def on_order_ended(self, ended: OrderEnded) -> None:
        """Free the symbol for its next intent."""
        symbol = ended.symbol
        entering = self._entering.get(symbol)
        if entering is not None and entering.intent == ended.intent:
            del self._entering[symbol]
        self._exiting.ended(symbol, ended.intent)
        if ended.intent in self._unknown.get(symbol, ()):
            left = tuple(one for one in self._unknown.pop(symbol) if one != ended.intent)
            if left:
                self._unknown[symbol] = left
            self._watch.orders_changed()
        self._changed(symbol)

    @handles(OrderUnknown)
    def on_unknown(self, unknown: OrderUnknown) -> None:
        """Freeze the symbol until the order's fate is known."""
        known = self._unknown.get(unknown.symbol, ())
        if unknown.intent not in known:
            self._unknown[unknown.symbol] = (*known, unknown.intent)
        self._watch.orders_changed()
        self._changed(unknown.symbol)

    @handles(Halt)
    def on_halt(self, halt: Halt) -> None:
        """Take no entries."""
        self._watch.halt(halt.source, halt.reason)
        self._cleared.clear()

    @handles(Resume)
    def on_resume(self, resume: Resume) -> None:
        """Clear the halts of one source, or of all, and the breakers that wait for it."""
        self._watch.resume(resume)
        self._cleared.clear()

    @handles(Flatten)
    def on_flatten(self, flatten: Flatten) -> None:
        """Take no entries while everything is closed, nor afterwards until resumed."""
        self._watch.halt("flatten", flatten.reason)
        self._cleared.clear()

    @handles(EngineState)
    def on_engine_state(self, state: EngineState) -> None:
        """Once the engine closes down no resume brings entries back."""
        if state.state == "draining":
            self._watch.drain()

    # decisions

    @compiled
    @handles(Entry)
    def on_entry(self, entry: Entry) -> None:
        """Turn an entry wish into a bracket, or into a refusal.

        `EntryTurn` asked the same first, without names: what is plain does not come here.
        """
        started_ns = now_ns()
        try:
            account = self._gate(entry)
            symbol = entry.symbol
            bracket, warnings = self._planners[symbol].plan(
                entry, self._trusted[symbol], account, self._marks.get(symbol), self._intents
            )
        except Refused as refused:
            self._refuse(entry, refused, started_ns)
            return
        except (ValueError, ZeroDivisionError) as error:
            # prices that are none: a kernel or the spread cannot be asked
            self._refuse(entry, Refused("entry_figures", 0.0, 1.0, str(error)), started_ns)
            return
        self._entering[symbol] = bracket
        self._cleared.clear()
        self._turn.entries += 1
        self._stages.risk.record_since(started_ns)
        self.publish(bracket)
        if warnings:
            self._warn(entry)

    def _warn(self, entry: Entry) -> None:
        for gate, measured, threshold in self._planners[entry.symbol].warnings():
            self.publish(
                FeeWarning(entry.signal_id, entry.symbol, entry.at_ns, gate, measured, threshold)
            )

    def _refuse(self, entry: Entry, refused: Refused, started_ns: int) -> None:
        self._stages.risk.record_since(started_ns)
        self.publish(
            Refusal(
                entry.signal_id,
                entry.symbol,
                entry.at_ns,
                refused.gate,
                refused.measured,
                refused.threshold,
                refused.detail,
            )
        )

    def _gate(self, entry: Entry) -> Account:
        """Return the account the entry may use; raises Refused at the first gate that fails.

        The standing gates were judged when what they look at changed; what depends on the moment
        or on the entry is asked now.
        """
        symbol = entry.symbol
        if not self._journal_ok():
            raise Refused("journal", 0.0, 1.0, "the journal is not being written")
        account = self._cleared.get(symbol) or self._standing(symbol)
        now_ns = self.clock.now_ns()
        age_ms = (now_ns - entry.tick_ns) / 1e6
        if abs(age_ms) > self._data_age_max_ms:
            # data from the future is as untrue as old data: a clock is wrong
            raise Refused("data_age_ms", age_ms, self._data_age_max_ms)
        spread_bps = (entry.ask - entry.bid) / entry.bid * 1e4
        if spread_bps > self._spread_max_bps:
            raise Refused("spread_bps", spread_bps, self._spread_max_bps)
        proof_age_ns = entry.at_ns - self._trusted[symbol].at_ns
        if proof_age_ns > self._proof_age_max_ns:
            age_max_s = self.settings.leverage.proof_age_max_s
            raise Refused("leverage_proof_age_s", proof_age_ns / 1e9, age_max_s)
        if self._rests:
            self._watch.reentry.gate(entry, now_ns)
        return account

    def _changed(self, symbol: str) -> None:
        """Forget every clearance, for positions and orders count over all symbols; judge one."""
        self._cleared.clear()
        self._judge(symbol)

    def _judge(self, symbol: str) -> None:
        """Clear a symbol that is not, if its standing gates hold, so that no entry waits for it."""
        if symbol in self._cleared or symbol in self._open_usdt or symbol in self._entering:
            return
        with suppress(Refused):
            self._cleared[symbol] = self._standing(symbol)

    def _standing(self, symbol: str) -> Account:
        """Return the account if every gate that does not depend on the moment holds."""
        for source, reason in self._watch.halts.items():
            raise Refused("halted", 1.0, 0.0, f"{source}: {reason}")
        if not self._watch.synced.get(symbol, False):
            raise Refused("book_sync", 0.0, 1.0)
        if symbol not in self._trusted:
            raise self._unproved(symbol)
        if symbol in self._unknown:
            raise Refused("order_unknown", self._unknown[symbol][0], 0.0)
        if symbol in self._entering or symbol in self._exiting:
            raise Refused("order_in_flight", 1.0, 0.0)
        if symbol in self._open_usdt:
            raise Refused("position_open", float(self._positions[symbol].quantity), 0.0)
        busy = len(self._open_usdt.keys() | self._entering.keys() | self._unknown.keys())
        if busy >= self._positions_max:
            raise Refused("positions_max", busy, self._positions_max)
        venue = self._venues[symbol]
        account = self._accounts.get(venue)
        if account is None:
            raise Refused("balance", 0.0, 1.0, "the account has not been read yet")
        gate = self._account_gates.get(venue)
        if gate is not None:
            raise Refused(*gate)
        breaker = self._watch.panel.against(symbol)
        if breaker is not None:
            raise Refused(breaker.gate, breaker.measured, breaker.threshold, breaker.detail)
        margin_usdt = sum(
            float(bracket.quantity * bracket.price) / bracket.leverage
            for name, bracket in self._entering.items()
            if self._venues[name] == venue
        )
        return account.busy(self._exposure.used_usdt(symbol), margin_usdt)

    def _unproved(self, symbol: str) -> Refused:
        leverage, proof = self.settings.leverage, self._proofs.get(symbol)
        wanted = leverage.of(symbol)
        if proof is None:
            return Refused("leverage_proof", 0.0, wanted, "never proved")
        detail = f"{proof.margin_mode}, wanted {leverage.margin_mode}"
        return Refused("leverage_proof", proof.got, wanted, detail)

    @handles(Reduce)
    def on_reduce(self, reduce: Reduce) -> None:
        """Pass a partial close on after checking that it is one."""
        self._exit(reduce)

    @handles(Close)
    def on_close(self, close: Close) -> None:
        """Pass a close on; no entry limit stops it."""
        self._exit(close)

    def _close_all(self) -> None:
        """After a drawdown: close what is open, as often as it takes."""
        if not self._watch.closing:
            return
        at_ns = self.clock.now_ns()
        for symbol in list(self._open_usdt):
            position = self._positions[symbol]
            self._exit(Close(symbol, at_ns, position.side, position.quantity, "drawdown"))

    def _exit(self, wish: Reduce | Close) -> None:
        symbol = wish.symbol
        position = self._positions.get(symbol)
        if position is None or not position.quantity or position.side != wish.side:
            return
        at_ns = self.clock.now_ns()
        self._watch.exit_wished(wish, at_ns)
        if not self._exiting.may_follow(wish, at_ns, self._unknown.get(symbol, ())):
            return
        quantity = min(wish.quantity, position.quantity)
        intent = self.wiring.intents.draw()
        reduction = ReducePosition(intent, symbol, at_ns, wish.side, quantity, wish.reason)
        self._exiting.sent(reduction)
        self._cleared.clear()
        self.publish(reduction)

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with entries let through, state, score, breakers, halts, results, exposure."""
        exposure_usdt = self._exposure.by_symbol()
        return {
            "entries": self._turn.entries,
            "exposure_usdt": exposure_usdt,
            "exposure_all_usdt": sum(exposure_usdt.values()),
        } | self._watch.report()
