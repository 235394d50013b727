"""The account's orders as Bitget names and shows them: what every handler about orders needs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from hfengine.exchange import rejects
from hfengine.exchange.core import Exchange
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.bitget import identity
from hfengine.localvenue.bitget.errors import Refused, empty, order_missing
from hfengine.localvenue.bitget.identity import MADE_UP, Names
from hfengine.localvenue.bitget.order_rows import Row, is_live_order
from hfengine.localvenue.bitget.parameters import Call
from hfengine.localvenue.bitget.standing import Standing
from hfengine.localvenue.bitget.tally import Tally
from hfengine.localvenue.world import World
from hfengine.requests import OrderRequest, Slot


class Desk:
    """Finds and names orders over one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.names = Names(world.notes)
        self._tallies: dict[str, Tally] = {}

    @property
    def exchange(self) -> Exchange:
        """The exchange."""
        return self.world.exchange

    def standing(self, account: str) -> Standing:
        """Return an account's settings, read anew."""
        tally = self._tallies.get(account)
        if tally is None:
            tally = self._tallies[account] = Tally(self.exchange, account)
        return Standing(self.exchange, account, tally)

    def client_id(self, given: str) -> str:
        """Return the client id of a new order, made up when none is given; raises Refused."""
        if given.startswith(MADE_UP):
            raise Refused("40305", "client_oid must not begin with a colon")
        return given or identity.made_up_id(self.world.random)

    def slot(self, standing: Standing, hold_side: str) -> Slot:
        """Return the slot a `holdSide` means in the account's mode; raises Refused.

        In one-way mode `buy` is the long position and `sell` the short one.
        """
        if not hold_side:
            raise empty("holdSide")
        if standing.is_hedged:
            if hold_side not in {"long", "short"}:
                text = "The parameter does not meet the specification d delegateType is error"
                raise Refused("43011", text)
            return "long" if hold_side == "long" else "short"
        if hold_side not in {"buy", "sell"}:
            raise Refused("43011", "The parameter does not meet the specification holdSide error")
        return "net"

    def orders(
        self, account: str, symbol: str | None = None, open_only: bool = False
    ) -> list[OrderReport]:
        """Return an account's orders as they are shown, oldest first."""
        found = self.exchange.order_reports(account, symbol, open_only)
        return [self.shown(account, report) for report in found]

    def cut_short(self, account: str, request: OrderRequest) -> OrderRequest:
        """Let a fault halve a market order; it is shown whole, its rest without liquidity."""
        if request.kind != "market":
            return request
        rule = self.world.faults.take(
            "partial_fill",
            path="place-order",
            symbol=request.symbol,
            account=account,
            side=request.side,
        )
        instrument = self.world.instruments[request.symbol]
        half = request.quantity / 2 // instrument.quantity_step * instrument.quantity_step
        if rule is None or half < instrument.quantity_min:
            return request
        note = f"bitget/cut/{account}/{request.client_id}"
        self.world.notes.set(note, str(request.quantity))
        return msgspec.structs.replace(request, quantity=half)

    def shown(self, account: str, report: OrderReport) -> OrderReport:
        """Return a report as clients see it: whole, where a fault halved the order."""
        asked = self.world.notes.get(f"bitget/cut/{account}/{report.update.client_id}")
        if asked is None:
            return report
        update = msgspec.structs.replace(report.update, quantity=Decimal(asked))
        if update.state == "filled":
            update = msgspec.structs.replace(update, state="cancelled", reason=rejects.NO_LIQUIDITY)
        return msgspec.structs.replace(report, update=update)

    def find(
        self, account: str, given: Mapping[str, Any], *, plan: bool = False
    ) -> OrderReport | None:
        """Return the order or plan order that `orderId` or else `clientOid` names."""
        order_id, client_id = str(given.get("orderId") or ""), str(given.get("clientOid") or "")
        if order_id:
            report = self._numbered(account, order_id, "plan" if plan else "order")
        elif client_id:
            report = self._by_client_id(account, client_id, plan=plan)
        else:
            raise empty("orderId")
        if report is None or not _is_shown(report, plan=plan):
            return None
        return self.shown(account, report)

    def existing(self, account: str, call: Call, symbol: str) -> OrderReport:
        """Return the order a request names; raises Refused."""
        report = self.find(account, call.parameters)
        if report is None or report.update.symbol != symbol:
            raise order_missing()
        return report

    def named(self, account: str, report: OrderReport, *, plan: bool = False) -> Row:
        """Return an order's two ids, as requests about it are answered."""
        role = "plan" if plan or not is_live_order(report) else "order"
        return {
            "clientOid": self.names.shown(account, report, "plan" if role == "plan" else "order"),
            "orderId": identity.number(
                report.update.venue_id, "plan" if role == "plan" else "order"
            ),
        }

    def report(self, account: str, client_id: str) -> OrderReport:
        """Return an order that was just placed."""
        report = self.exchange.find_order(account, client_id=client_id)
        if report is None:
            raise order_missing()
        return self.shown(account, report)

    def _numbered(self, account: str, text: str, role: str) -> OrderReport | None:
        numbered = identity.read(text)
        if numbered is None or numbered.role != role:
            return None
        return self.exchange.find_order(account, venue_id=numbered.venue_id)

    def _by_client_id(self, account: str, text: str, *, plan: bool) -> OrderReport | None:
        venue_id = self.names.venue_id(account, text) if plan else ""
        if venue_id:
            return self.exchange.find_order(account, venue_id=venue_id)
        report = self.exchange.find_order(account, client_id=text)
        if report is not None and identity.is_plan(report) == plan:
            return report
        return self._numbered(account, text, "plan_client" if plan else "order_client")


def _is_shown(report: OrderReport, *, plan: bool) -> bool:
    return identity.is_plan(report) if plan else is_live_order(report)
