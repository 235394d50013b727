"""Protection that an entry brings and the exchange does not know how to attach by itself.

Partial stops and targets are added as the entry fills, each of what was filled. Full ones the
exchange attaches, both watching one price; a target that is to watch another is told so then.
Plans stand in the venue's notes: an entry that fills after a restart needs its stop as well.
"""

from contextlib import suppress
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected
from hfengine.exchange.orders import PriceSource
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.figures import ZERO
from hfengine.localvenue.bybit.identity import made_up_id
from hfengine.localvenue.bybit.order_rows import OPEN_STATUS
from hfengine.messages import OrderKind, OrderUpdate
from hfengine.requests import OrderRequest, Slot


class Legs(Struct, kw_only=True, tag=True):
    """Partial protection; `protected` is how much has it already."""

    slot: Slot
    stop: Decimal
    target: Decimal
    stop_limit: Decimal
    target_limit: Decimal
    stop_by: PriceSource
    target_by: PriceSource
    protected: Decimal = ZERO


class Split(Struct, frozen=True, kw_only=True, tag=True):
    """Full protection whose target has a price of its own to watch."""

    slot: Slot
    target_by: PriceSource


Plan = Legs | Split
NOTES: Final = "bybit/plan/"


class _Note(Struct, frozen=True):
    """A plan as it stands in the notes."""

    account: str
    client_id: str
    plan: Plan


class EntryProtection:
    """Follows entries until they ended."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._plans: dict[tuple[str, str], Plan] = {}
        desk.world.on_account(self._note)
        for name, note in desk.world.notes.all().items():
            if name.startswith(NOTES) and note is not None:
                self._resume(msgspec.convert(note, _Note))

    def expect(self, account: str, update: OrderUpdate, plan: Plan, now_ns: int) -> None:
        """Follow an entry that was just placed, and protect what it filled at once."""
        self._plans[account, update.client_id] = plan
        self._look(account, update, now_ns)

    def _resume(self, note: _Note) -> None:
        """Follow an entry of the venue's last life, and protect what it filled meanwhile."""
        found = self._desk.exchange.find_order(note.account, client_id=note.client_id)
        if found is not None:
            self._plans[note.account, note.client_id] = note.plan
            update = found.update
            self._desk.world.act(lambda now_ns: self._look(note.account, update, now_ns))

    def _note(self, account: str, report: object) -> None:
        if self._plans and isinstance(report, OrderReport):
            update = report.update
            if (account, update.client_id) in self._plans:
                self._desk.world.act(lambda now_ns: self._look(account, update, now_ns))

    def _look(self, account: str, update: OrderUpdate, now_ns: int) -> None:
        key = account, update.client_id
        plan = self._plans[key]
        if update.state not in OPEN_STATUS or (update.filled and isinstance(plan, Split)):
            del self._plans[key]
        if isinstance(plan, Legs):
            self._add(account, update, plan, now_ns)
        elif update.filled:
            self._split(account, update.symbol, plan, now_ns)
        note = None
        if key in self._plans:
            note = msgspec.to_builtins(_Note(account, update.client_id, plan))
        self._desk.keep(f"{NOTES}{account}/{update.client_id}", note)

    def _add(self, account: str, update: OrderUpdate, legs: Legs, now_ns: int) -> None:
        quantity = update.filled - legs.protected
        if quantity <= 0:
            return
        legs.protected = update.filled
        wanted: tuple[tuple[OrderKind, Decimal, Decimal, PriceSource], ...] = (
            ("stop_market", legs.stop, legs.stop_limit, legs.stop_by),
            ("take_profit_market", legs.target, legs.target_limit, legs.target_by),
        )
        for kind, trigger, limit, by in wanted:
            if not trigger:
                continue
            request = OrderRequest(
                made_up_id(self._desk.world.random),
                update.symbol,
                -update.side,
                kind,
                quantity,
                limit,
                reduce_only=True,
                trigger=trigger,
                trigger_by=by,
                slot=legs.slot,
            )
            self._attach(account, request, update.client_id, now_ns)

    def _attach(self, account: str, leg: OrderRequest, parent_id: str, now_ns: int) -> None:
        """Attach one leg; what the price has passed already is rejected on the stream."""
        try:
            self._desk.exchange.add_protection(
                account,
                leg.symbol,
                leg.kind,
                leg.trigger,
                leg.trigger_by,
                leg.quantity,
                now_ns,
                slot=leg.slot,
                price=leg.price,
                parent_id=parent_id,
            )
        except VenueRejected:
            report = self._desk.rejected(leg, "EC_Others", attached=True, parent_id=parent_id)
            self._desk.push(account, "order", self._desk.pushed_row(report))

    def _split(self, account: str, symbol: str, plan: Split, now_ns: int) -> None:
        found = self._desk.protection(account, symbol, plan.slot)
        if not found.target or found.target_by == plan.target_by:
            return
        # refused when the other price is beyond it already: then it stays armed as it is
        with suppress(VenueRejected):
            self._desk.exchange.set_protection(
                account,
                symbol,
                found.stop,
                found.target,
                found.stop_by,
                now_ns,
                plan.slot,
                target_by=plan.target_by,
            )
