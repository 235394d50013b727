"""REST about plan orders: TP/SL of positions, trigger orders, their lists and ends."""

from decimal import Decimal
from typing import Final, Literal

from hfengine.errors import VenueRejected
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.bitget.desk import Desk
from hfengine.localvenue.bitget.errors import (
    UNSUPPORTED,
    Refused,
    empty,
    parameter,
    plan_missing,
    refused_by,
    wrong_side,
)
from hfengine.localvenue.bitget.figures import ZERO
from hfengine.localvenue.bitget.order_rows import (
    TPSL_TYPES,
    Row,
    plan_history_row,
    plan_row,
    plan_type,
)
from hfengine.localvenue.bitget.parameters import Call
from hfengine.localvenue.bitget.standing import SLOT_SIDES, Standing, position_side
from hfengine.localvenue.bitget.trade_rest import failed_row, is_open, only_named, page
from hfengine.localvenue.figures import plain
from hfengine.messages import OrderKind
from hfengine.requests import OrderRequest, Slot

Source = Literal["mark", "last"]
POSITION_PLANS: Final = ("pos_loss", "pos_profit")
PART_PLANS: Final = ("loss_plan", "profit_plan")
LISTED_TYPES: Final = ("normal_plan", "track_plan", "profit_loss")
TRIGGER_TYPES: Final[dict[str, Source]] = {"mark_price": "mark", "fill_price": "last"}


class PlanRest:
    """Handlers of plan orders under /api/v2/mix/order."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world

    # TP/SL

    def place_tpsl(self, call: Call) -> Row:
        """Answer order/place-tpsl-order.

        pos_loss and pos_profit cover the whole position and replace what was there in place;
        loss_plan and profit_plan cover `size`.
        """
        kind = call.choice("planType", (*POSITION_PLANS, *PART_PLANS, "moving_plan"))
        if kind == "moving_plan":
            raise Refused(UNSUPPORTED, "Unsupported operation: moving_plan")
        report = self._protect(
            call,
            kind,
            trigger=call.decimal("triggerPrice"),
            by=_source(call, "triggerType"),
            execute=call.decimal("executePrice"),
            size=call.decimal("size"),
            client_id=call.text("clientOid"),
        )
        return self._desk.named(call.account, report, plan=True)

    def place_position_tpsl(self, call: Call) -> list[Row]:
        """Answer order/place-pos-tpsl: take-profit and stop-loss at once."""
        rows: list[Row] = []
        for leg, part, whole in (
            ("stopSurplus", "profit_plan", "pos_profit"),
            ("stopLoss", "loss_plan", "pos_loss"),
        ):
            trigger = call.decimal(f"{leg}TriggerPrice")
            if not trigger:
                continue
            size = call.decimal(f"{leg}Size")
            report = self._protect(
                call,
                part if size else whole,
                trigger=trigger,
                by=_source(call, f"{leg}TriggerType"),
                execute=call.decimal(f"{leg}ExecutePrice"),
                size=size,
                client_id=call.text(f"{leg}ClientOid"),
            )
            rows.append(
                {
                    "orderId": self._desk.named(call.account, report, plan=True)["orderId"],
                    "stopSurplusClientOid": call.text("stopSurplusClientOid"),
                    "stopLossClientOid": call.text("stopLossClientOid"),
                }
            )
        if not rows:
            raise empty("stopSurplusTriggerPrice")
        return rows

    def _protect(
        self,
        call: Call,
        kind: str,
        *,
        trigger: Decimal,
        by: Source,
        execute: Decimal,
        size: Decimal,
        client_id: str,
    ) -> OrderReport:
        symbol = call.symbol(self._world.instruments)
        if not trigger:
            raise empty("triggerPrice")
        standing = self._desk.standing(call.account)
        hold_side = call.text("holdSide").lower()
        slot = self._desk.slot(standing, hold_side)
        side = 1 if hold_side in {"long", "buy"} else -1
        self._strike(call, symbol, side, is_stop=kind in {"pos_loss", "loss_plan"})
        try:
            if kind in PART_PLANS:
                return self._part(call, kind, slot, side, trigger, by, execute, size, client_id)
            if execute:
                raise Refused(
                    UNSUPPORTED, "Unsupported operation: executePrice of a position's plan"
                )
            return self._whole(call, kind, slot, side, trigger, by, client_id)
        except VenueRejected as rejected:
            raise refused_by(rejected, side) from None

    def _whole(
        self, call: Call, kind: str, slot: Slot, side: int, trigger: Decimal, by: Source, name: str
    ) -> OrderReport:
        account, symbol = call.account, call.symbol(self._world.instruments)
        self._check_held(account, symbol, slot, side)
        wanted: OrderKind = "stop_market" if kind == "pos_loss" else "take_profit_market"
        self._set_protection(account, symbol, slot, wanted, trigger, by)
        report = self._attached(account, symbol, slot, wanted)
        if report is None:
            # it was hit at once
            raise wrong_side("stop" if kind == "pos_loss" else "target", side, plain(trigger))
        if name:
            self._desk.names.give(account, report.update.venue_id, name)
        return report

    def _part(
        self,
        call: Call,
        kind: str,
        slot: Slot,
        side: int,
        trigger: Decimal,
        by: Source,
        execute: Decimal,
        size: Decimal,
        name: str,
    ) -> OrderReport:
        account, symbol = call.account, call.symbol(self._world.instruments)
        if not size:
            raise empty("size")
        self._check_held(account, symbol, slot, side)
        request = OrderRequest(
            client_id=self._desk.client_id(name),
            symbol=symbol,
            side=-side,
            kind="stop_market" if kind == "loss_plan" else "take_profit_market",
            quantity=size,
            price=execute,
            reduce_only=True,
            trigger=trigger,
            trigger_by=by,
            slot=slot,
            expires_with_position=True,
        )
        self._world.act(lambda now_ns: self._desk.exchange.place(account, request, now_ns))
        return self._desk.report(account, request.client_id)

    def _check_held(self, account: str, symbol: str, slot: Slot, side: int) -> None:
        """Raise VenueRejected unless there is a position of this side."""
        held = self._desk.exchange.position(account, symbol, slot)
        if held.side != side:
            raise VenueRejected("no_position", symbol)

    def _set_protection(
        self, account: str, symbol: str, slot: Slot, kind: OrderKind, trigger: Decimal, by: Source
    ) -> None:
        """Set one leg of a position's protection and leave the other as it is."""
        stop = self._attached(account, symbol, slot, "stop_market")
        target = self._attached(account, symbol, slot, "take_profit_market")
        stop_at = stop.update.trigger if stop else ZERO
        target_at = target.update.trigger if target else ZERO
        stop_by: Source = stop.trigger_by if stop else by
        target_by: Source = target.trigger_by if target else by
        if kind == "stop_market":
            stop_at, stop_by = trigger, by
        else:
            target_at, target_by = trigger, by
        self._world.act(
            lambda now_ns: self._desk.exchange.set_protection(
                account, symbol, stop_at, target_at, stop_by, now_ns, slot, target_by
            )
        )

    def _attached(
        self, account: str, symbol: str, slot: Slot, kind: OrderKind
    ) -> OrderReport | None:
        for report in self._desk.exchange.order_reports(account, symbol, open_only=True):
            if (
                report.attached
                and not report.partial
                and report.slot == slot
                and report.update.kind == kind
                and not report.triggered_ns
            ):
                return report
        return None

    def _strike(self, call: Call, symbol: str, side: int, *, is_stop: bool) -> None:
        """Let scripted faults refuse a stop or any plan order; raises Refused."""
        faults = self._world.faults
        match = {"path": call.path, "symbol": symbol, "account": call.account}
        rule = faults.take("order_refused", **match, side=-side)
        if rule is not None:
            code = str(rule.code or 45001)
            raise Refused(code, rule.message or "Unknown error", rule.status or 400)
        if is_stop and faults.take("stop_refused", **match, side=-side):
            raise wrong_side("stop", side, plain(self._desk.exchange.mark(symbol)))

    def modify_tpsl(self, call: Call) -> Row:
        """Answer order/modify-tpsl-order: a new trigger, and a new size of a part's order."""
        symbol = call.symbol(self._world.instruments)
        report = self._existing(call, symbol)
        kind = plan_type(report)
        if kind not in TPSL_TYPES:
            raise plan_missing()
        trigger = call.decimal("triggerPrice")
        if not trigger:
            raise empty("triggerPrice")
        by = _source(call, "triggerType", report.trigger_by)
        side = position_side(report)
        try:
            if kind in POSITION_PLANS:
                if call.decimal("executePrice"):
                    raise Refused(UNSUPPORTED, "Unsupported operation: executePrice")
                self._set_protection(
                    call.account, symbol, report.slot, report.update.kind, trigger, by
                )
            else:
                self._amend(call, report, trigger, by, call.decimal("size"))
        except VenueRejected as rejected:
            raise refused_by(rejected, side) from None
        return self._desk.named(call.account, report, plan=True)

    def _amend(
        self, call: Call, report: OrderReport, trigger: Decimal, by: Source, size: Decimal
    ) -> None:
        if by != report.trigger_by:
            raise Refused(UNSUPPORTED, "Unsupported operation: another triggerType")
        update = report.update
        self._world.act(
            lambda now_ns: self._desk.exchange.amend(
                call.account,
                update.symbol,
                update.client_id,
                now_ns,
                quantity=size if size and size != update.quantity else None,
                price=call.decimal("executePrice") or None,
                trigger=trigger if trigger and trigger != update.trigger else None,
            )
        )

    # Trigger orders

    def place_plan(self, call: Call) -> Row:
        """Answer order/place-plan-order: an order that waits for a price."""
        if call.choice("planType", ("normal_plan", "track_plan"), "normal_plan") == "track_plan":
            raise Refused(UNSUPPORTED, "Unsupported operation: track_plan")
        symbol = call.symbol(self._world.instruments)
        standing = self._desk.standing(call.account)
        side, slot, reduces = _plan_direction(call, standing)
        trigger, by = call.decimal("triggerPrice"), _source(call, "triggerType")
        if not trigger:
            raise empty("triggerPrice")
        is_limit = call.choice("orderType", ("market", "limit")) == "limit"
        price = (call.decimal("executePrice") or call.decimal("price")) if is_limit else ZERO
        if is_limit and not price:
            raise empty("executePrice")
        rises = trigger > self._price(symbol, by)
        request = OrderRequest(
            client_id=self._desk.client_id(call.text("clientOid")),
            symbol=symbol,
            side=side,
            kind="stop_market" if rises == (side > 0) else "take_profit_market",
            quantity=call.decimal("size"),
            price=price,
            reduce_only=reduces,
            trigger=trigger,
            trigger_by=by,
            stop=ZERO if reduces else call.decimal("stopLossTriggerPrice"),
            target=ZERO if reduces else call.decimal("stopSurplusTriggerPrice"),
            protect_by=_source(call, "stopLossTriggerType"),
            slot=slot,
        )
        self._strike(call, symbol, -side, is_stop=False)
        try:
            self._world.act(lambda now_ns: self._desk.exchange.place(call.account, request, now_ns))
        except VenueRejected as rejected:
            raise refused_by(rejected, side) from None
        report = self._desk.report(call.account, request.client_id)
        return self._desk.named(call.account, report, plan=True)

    def modify_plan(self, call: Call) -> Row:
        """Answer order/modify-plan-order: new trigger, price or size of a trigger order."""
        symbol = call.symbol(self._world.instruments)
        report = self._existing(call, symbol)
        update = report.update
        trigger, price = call.decimal("newTriggerPrice"), call.decimal("newPrice")
        size = call.decimal("newSize")
        self._world.act(
            lambda now_ns: self._desk.exchange.amend(
                call.account,
                symbol,
                update.client_id,
                now_ns,
                quantity=size or None,
                price=price or None,
                trigger=trigger or None,
            )
        )
        return self._desk.named(call.account, report, plan=True)

    # Lists and ends

    def pending(self, call: Call) -> Row:
        """Answer order/orders-plan-pending: what waits, the latest first."""
        return self._listed(call, history=False)

    def history(self, call: Call) -> Row:
        """Answer order/orders-plan-history: what was executed or cancelled, the latest first."""
        return self._listed(call, history=True)

    def _listed(self, call: Call, *, history: bool) -> Row:
        kind = call.choice("planType", LISTED_TYPES)
        status = call.text("planStatus")
        if call.lists_nothing() or kind == "track_plan":
            return page("entrustedList", "orderId", [], call)
        symbol = call.symbol(self._world.instruments) if call.text("symbol") else None
        found = [
            report
            for report in self._desk.orders(call.account, symbol, open_only=not history)
            if report.update.kind not in {"market", "limit"}
            and (plan_type(report) in TPSL_TYPES) == (kind == "profit_loss")
            and _waits(report) != history
        ]
        found = only_named(self._desk, call, found, plan=True)
        standing = self._desk.standing(call.account)
        row = plan_history_row if history else plan_row
        rows = [row(standing, self._desk.names, report) for report in reversed(found)]
        rows = [one for one in rows if status in {"", one["planStatus"]}]
        return page("entrustedList", "orderId", rows, call)

    def cancel(self, call: Call) -> Row:
        """Answer order/cancel-plan-order.

        Only orders of `planType` (normal_plan unless given) are looked at: another type answers
        success with empty lists and cancels nothing, as recorded.
        """
        if call.lists_nothing():
            return {"successList": [], "failureList": []}
        kind = call.text("planType", "normal_plan")
        symbol = call.symbol(self._world.instruments) if call.text("symbol") else None
        listed = call.objects("orderIdList")
        done: list[Row] = []
        failed: list[Row] = []
        if not listed:
            for report in self._desk.orders(call.account, symbol, open_only=True):
                if _is_plan_of(report, kind):
                    self._cancel(call.account, report)
                    done.append(self._desk.named(call.account, report, plan=True))
            return {"successList": done, "failureList": failed}
        for given in listed:
            found = self._desk.find(call.account, given, plan=True)
            if found is None or not _waits(found):
                failed.append(failed_row(given, plan_missing()))
            elif _is_plan_of(found, kind):
                self._cancel(call.account, found)
                done.append(self._desk.named(call.account, found, plan=True))
        return {"successList": done, "failureList": failed}

    def _cancel(self, account: str, report: OrderReport) -> None:
        update = report.update
        self._world.act(
            lambda now_ns: self._desk.exchange.cancel(
                account, update.symbol, update.client_id, now_ns
            )
        )

    def _existing(self, call: Call, symbol: str) -> OrderReport:
        report = self._desk.find(call.account, call.parameters, plan=True)
        if report is None or report.update.symbol != symbol or not _waits(report):
            raise plan_missing()
        return report

    def _price(self, symbol: str, by: Source) -> Decimal:
        exchange = self._desk.exchange
        return exchange.mark(symbol) if by == "mark" else exchange.last(symbol)


def _waits(report: OrderReport) -> bool:
    return is_open(report) and not report.triggered_ns


def _is_plan_of(report: OrderReport, kind: str) -> bool:
    is_conditional = report.update.kind not in {"market", "limit"}
    return is_conditional and _waits(report) and plan_type(report) == kind


def _source(call: Call, name: str, default: Source = "mark") -> Source:
    """Return what a trigger watches, the mark price unless given."""
    given = call.text(name)
    if not given:
        return default
    if given not in TRIGGER_TYPES:
        raise parameter(name)
    return TRIGGER_TYPES[given]


def _plan_direction(call: Call, standing: Standing) -> tuple[int, Slot, bool]:
    is_buy = call.choice("side", ("buy", "sell")) == "buy"
    trade_side = call.text("tradeSide").lower()
    if not standing.is_hedged:
        return (1 if is_buy else -1), "net", call.text("reduceOnly", "NO").upper() == "YES"
    slot: Slot = "long" if is_buy else "short"
    if trade_side not in {"open", "close"}:
        raise parameter("tradeSide")
    side = SLOT_SIDES[slot]
    return (side, slot, False) if trade_side == "open" else (-side, slot, True)
