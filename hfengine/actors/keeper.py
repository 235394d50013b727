"""Hands what others keep, and what the account looks like, to the state store.

It decides nothing and nobody waits for it: a store that is away costs history, never protection.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    LeverageProof,
    OrderEnded,
    OrderUpdate,
    PositionChanged,
    Report,
    Timer,
)
from hfengine.oversight import BreakerChanged, Keep, Recovered, RiskState, StoreFault
from hfengine.runtime.actor import Outcome, handles
from hfengine.settings import Settings
from hfengine.state import keys

EQUITY: Final = "equity"
WRITE: Final = "write"
WRITE_AFTER_NS: Final = 1_000_000
STORE: Final = "store"
LOOK_NS: Final = 1_000_000_000
"""How often the store is asked whether it keeps up."""

ENDED: Final = ("filled", "cancelled", "rejected")
encode: Final = msgspec.json.Encoder().encode


class Keeper(WiredActor):
    """Current state under documented keys, trades, orders and equity as series (docs/state.md)."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(wiring)
        self._store = wiring.store
        self._balances: dict[str, BalanceChanged] = {}
        self._breakers: dict[str, BreakerChanged] = {}
        self._fault = ""
        self._lost = 0
        self._waiting: list[Callable[[], None]] = []
        """What is to be written down once the burst that brought it is over."""

    def on_start(self) -> None:
        """Say whose state it is; start the clocks of the equity curve and of the look."""
        self._store.put(keys.CONFIG, encode(self._config()))
        self._mark(self.clock.now_ns())
        self.tell_every_ns(int(self.settings.state.equity_every_s * 1e9), Timer(EQUITY))
        self.tell_every_ns(LOOK_NS, Timer(STORE))
        self._look()

    def _config(self) -> Settings:
        """Return the settings as others may read them: without the password of the store."""
        state = self.settings.state
        return replace(self.settings, state=replace(state, url=keys.shown(state.url)))

    def _mark(self, at_ns: int) -> None:
        """Leave word of who wrote last, and how new its memory is."""
        session = self.wiring.order_ids.session
        self._store.put(keys.SESSION, encode({"session": session, "at_ns": at_ns}))

    @handles(Timer)
    def on_timer(self, timer: Timer) -> None:
        """Write down what waits, add a point to the equity curve, or see how the store does."""
        if timer.name == WRITE:
            self._write()
        elif timer.name == EQUITY:
            self._add_equity()
        else:
            self._look()

    def on_stop(self) -> None:
        """Write down what still waits."""
        self._write()

    def _soon(self, write: Callable[[], None]) -> None:
        """Write something down soon: an order on its way must not wait for the keeping of it."""
        if not self._waiting:
            self.tell_after_ns(WRITE_AFTER_NS, Timer(WRITE))
        self._waiting.append(write)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        for write in waiting:
            write()

    def _look(self) -> None:
        # asked as I/O: what a store says comes from outside, and a replay hears it again
        self.run(self._ask(), tag=STORE)

    async def _ask(self) -> str:
        return self._store.fault

    @handles(Outcome)
    def on_outcome(self, outcome: Outcome) -> None:
        """Tell that the store was lost or has come back."""
        if outcome.cancelled:
            return
        if outcome.error is not None:
            raise outcome.error
        fault, before = str(outcome.result), self._fault
        self._fault = fault
        if bool(fault) == bool(before):
            return
        self._lost += bool(fault)
        detail = f"{fault}: protection, exits and entries go on" if fault else "it is back"
        self.publish(StoreFault(self.clock.now_ns(), bool(fault), detail))

    def _add_equity(self) -> None:
        if not self._balances:
            return
        sums = [
            sum(getattr(balance, name) for balance in self._balances.values())
            for name in ("wallet_usdt", "equity_usdt", "free_margin_usdt", "maintenance_usdt")
        ]
        at_ns = self.clock.now_ns()
        names = ("wallet_usdt", "equity_usdt", "free_margin_usdt", "maintenance_usdt")
        point = encode({"at_ns": at_ns, **dict(zip(names, sums, strict=True))})
        self._store.put(keys.EQUITY, point)
        self._store.add("equity", at_ns, point)

    @handles(Keep)
    def on_keep(self, keep: Keep) -> None:
        """Keep what an actor wants to find again."""
        self._store.put(keep.key, keep.body)
        self._soon(partial(self._mark, keep.at_ns))

    @handles(Recovered)
    def on_recovered(self, recovered: Recovered) -> None:
        """Take note that memory stands as of now."""
        self._mark(recovered.at_ns)

    @handles(PositionChanged)
    def on_position(self, position: PositionChanged) -> None:
        """Keep a position; a flat one is forgotten."""
        self._soon(partial(self._keep_position, position))

    def _keep_position(self, position: PositionChanged) -> None:
        body = encode(position) if position.quantity else b""
        self._store.put(f"{keys.POSITIONS}{position.symbol}", body)

    @handles(OrderUpdate)
    def on_order(self, order: OrderUpdate) -> None:
        """Keep an open order; one that has ended is forgotten, and a row of history."""
        self._soon(partial(self._keep_order, order))

    def _keep_order(self, order: OrderUpdate) -> None:
        key = f"{keys.ORDERS}{order.client_id or order.venue_id}"
        if order.state in ENDED:
            self._store.put(key, b"")
            self._store.add("orders", order.at_ns, encode(order))
        else:
            self._store.put(key, encode(order))

    @handles(OrderEnded)
    def on_order_ended(self, ended: OrderEnded) -> None:
        """Forget an order whose intent is over; keep how it ended as history."""
        self._soon(partial(self._keep_end, ended))

    def _keep_end(self, ended: OrderEnded) -> None:
        self._store.put(f"{keys.ORDERS}{ended.client_id}", b"")
        self._store.add("orders", ended.at_ns, encode(ended))

    @handles(Fill, FundingPaid)
    def on_trade(self, trade: Fill | FundingPaid) -> None:
        """Add what moved money to the trades."""
        self._soon(partial(self._keep_trade, trade))

    def _keep_trade(self, trade: Fill | FundingPaid) -> None:
        self._store.add("trades", trade.at_ns, encode(trade))

    @handles(BalanceChanged)
    def on_balance(self, balance: BalanceChanged) -> None:
        """Remember the account; the first one is the first point of the curve."""
        is_first = not self._balances
        self._balances[balance.venue] = balance
        if is_first:
            self._add_equity()

    @handles(LeverageProof)
    def on_proof(self, proof: LeverageProof) -> None:
        """Keep the newest proof of a symbol."""
        self._store.put(f"{keys.LEVERAGE}{proof.symbol}", encode(proof))

    @handles(RiskState)
    def on_risk(self, risk: RiskState) -> None:
        """Keep whether entries are taken, and the score apart."""
        self._store.put(keys.RISK_STATE, encode(risk))
        score = {"at_ns": risk.at_ns, "score": risk.score, "parts": dict(risk.parts)}
        self._store.put(keys.RISK_SCORE, encode(score))

    @handles(BreakerChanged)
    def on_breaker(self, change: BreakerChanged) -> None:
        """Keep the breakers that warn or have tripped."""
        name = f"{change.breaker} {change.symbol}".rstrip()
        if change.state == "cleared":
            self._breakers.pop(name, None)
        else:
            self._breakers[name] = change
        self._store.put(keys.BREAKERS, encode(self._breakers))

    @handles(Report)
    def on_report(self, _message: Report) -> dict[str, Any]:
        """Answer with what is wrong with the store, and how often it was lost."""
        return {"fault": self._store.fault, "lost": self._lost}
