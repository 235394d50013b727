"""REST about orders: place, amend, cancel, close, look up."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from hfengine.errors import VenueRejected
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.bitget.account_rest import set_margin_mode
from hfengine.localvenue.bitget.desk import Desk
from hfengine.localvenue.bitget.errors import (
    MODE_MISMATCH,
    MODE_MISMATCH_TEXT,
    NOTHING_TO_CANCEL,
    NOTHING_TO_CLOSE,
    UNSUPPORTED,
    Refused,
    empty,
    order_missing,
    parameter,
    refused_by,
    wrong_side,
)
from hfengine.localvenue.bitget.figures import ZERO
from hfengine.localvenue.bitget.order_rows import (
    Row,
    detail_row,
    fill_row,
    history_row,
    is_live_order,
    pending_row,
)
from hfengine.localvenue.bitget.parameters import Call
from hfengine.localvenue.bitget.standing import SLOT_SIDES, Standing
from hfengine.localvenue.figures import plain
from hfengine.requests import OrderRequest, Slot, TimeInForce

FORCES: Final[dict[str, TimeInForce]] = {
    "gtc": "gtc",
    "ioc": "ioc",
    "fok": "fok",
    "post_only": "post_only",
}
BATCH_MAX: Final = 50


class TradeRest:
    """Handlers under /api/v2/mix/order that are not about plan orders."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world

    # Place

    def place(self, call: Call) -> Row:
        """Answer order/place-order."""
        request = self._request(call)
        margin_mode = call.choice("marginMode", ("isolated", "crossed"))
        return self._place(call, request, margin_mode)

    def place_batch(self, call: Call) -> Row:
        """Answer order/batch-place-order: each order on its own."""
        orders = call.objects("orderList")
        if not orders:
            raise empty("orderList")
        if len(orders) > BATCH_MAX:
            raise Refused("40912", "Batch processing orders can only process up to 50.")
        common = {
            name: call.parameters[name]
            for name in ("symbol", "productType", "marginCoin", "marginMode")
            if name in call.parameters
        }
        done: list[Row] = []
        failed: list[Row] = []
        for order in orders:
            one = msgspec.structs.replace(call, parameters={**order, **common})
            try:
                done.append(self.place(one))
            except (Refused, VenueRejected) as error:
                refused = error if isinstance(error, Refused) else refused_by(error)
                failed.append(
                    {
                        "orderId": "",
                        "clientOid": str(order.get("clientOid") or ""),
                        "errorMsg": refused.message,
                        "errorCode": refused.code,
                    }
                )
        return {"successList": done, "failureList": failed, "result": not failed}

    def _request(self, call: Call) -> OrderRequest:
        symbol = call.symbol(self._world.instruments)
        call.required("marginCoin")
        standing = self._desk.standing(call.account)
        side, slot, reduces = self._direction(call, standing)
        kind = call.choice("orderType", ("market", "limit"))
        price = call.decimal("price") if kind == "limit" else ZERO
        for name in ("presetStopSurplusExecutePrice", "presetStopLossExecutePrice"):
            if call.decimal(name):
                raise Refused(UNSUPPORTED, f"Unsupported operation: {name}")
        force = call.choice("force", tuple(FORCES), "gtc")
        # closing orders carry no protection: the position has its own
        stop = ZERO if reduces else call.decimal("presetStopLossPrice")
        target = ZERO if reduces else call.decimal("presetStopSurplusPrice")
        return OrderRequest(
            client_id=self._desk.client_id(call.text("clientOid")),
            symbol=symbol,
            side=side,
            kind="market" if kind == "market" else "limit",
            quantity=_size(call),
            price=price,
            tif=FORCES[force],
            reduce_only=reduces,
            stop=stop,
            target=target,
            # presets cannot choose: Bitget's pushes show fill_price
            protect_by="last",
            slot=slot,
        )

    def _direction(self, call: Call, standing: Standing) -> tuple[int, Slot, bool]:
        """Return side and slot of an order and whether it only closes; raises Refused.

        In hedge mode `side` names the position: closing a long is side buy, tradeSide close.
        """
        is_buy = call.choice("side", ("buy", "sell")) == "buy"
        trade_side = call.text("tradeSide").lower()
        if standing.is_hedged:
            if trade_side not in {"open", "close"}:
                raise Refused(MODE_MISMATCH, MODE_MISMATCH_TEXT)
            slot: Slot = "long" if is_buy else "short"
            side = SLOT_SIDES[slot]
            return (side, slot, False) if trade_side == "open" else (-side, slot, True)
        if trade_side in {"open", "close"}:
            raise Refused(MODE_MISMATCH, MODE_MISMATCH_TEXT)
        reduces = call.text("reduceOnly", "NO").upper() == "YES"
        return (1 if is_buy else -1), "net", reduces

    def _place(self, call: Call, request: OrderRequest, margin_mode: str) -> Row:
        account, symbol = call.account, request.symbol
        self._strike(call, request)
        if not request.reduce_only:
            set_margin_mode(self._world, account, symbol, margin_mode)
        placed = self._desk.cut_short(account, request)
        try:
            self._world.act(lambda now_ns: self._desk.exchange.place(account, placed, now_ns))
        except VenueRejected as rejected:
            raise refused_by(rejected, request.side) from None
        return self._desk.named(account, self._desk.report(account, request.client_id))

    def _strike(self, call: Call, request: OrderRequest) -> None:
        """Let scripted faults refuse an order; raises Refused."""
        faults = self._world.faults
        match = {"path": call.path, "symbol": request.symbol, "account": call.account}
        rule = faults.take("order_refused", **match, side=request.side)
        if rule is not None:
            code = str(rule.code or 45001)
            raise Refused(code, rule.message or "Unknown error", rule.status or 400)
        if request.stop and faults.take("stop_refused", **match, side=request.side):
            mark = self._desk.exchange.mark(request.symbol)
            raise wrong_side("stop", request.side, plain(mark))

    # Amend

    def modify(self, call: Call) -> Row:
        """Answer order/modify-order: the old order ends, a new one with `newClientOid` follows."""
        symbol = call.symbol(self._world.instruments)
        account = call.account
        report = self._desk.existing(account, call, symbol)
        new_id = call.required("newClientOid")
        size, price = call.decimal("newSize"), call.decimal("newPrice")
        if bool(size) != bool(price):
            raise Refused("40925", "price or size must be passed in together")
        if not size:
            raise Refused(UNSUPPORTED, "Unsupported operation: the preset of an order alone")
        update = report.update
        if update.kind != "limit" or update.state != "new":
            raise Refused("40922", "Only work order modifications are allowed")
        if (size, price) == (update.quantity, update.price):
            raise Refused("40923", "Order size and price have not changed")
        request = OrderRequest(
            client_id=new_id,
            symbol=symbol,
            side=update.side,
            kind="limit",
            quantity=size,
            price=price,
            tif=report.tif,
            reduce_only=update.reduce_only,
            stop=report.stop,
            target=report.target,
            protect_by=report.protect_by,
            slot=report.slot,
        )

        def change(now_ns: int) -> None:
            self._desk.exchange.cancel(account, symbol, update.client_id, now_ns)
            self._desk.exchange.place(account, request, now_ns)

        self._world.act(change)
        # the new order's own id is not known yet when Bitget answers
        return {**self._desk.named(account, report), "clientOid": new_id}

    # Cancel

    def cancel(self, call: Call) -> Row:
        """Answer order/cancel-order."""
        symbol = call.symbol(self._world.instruments)
        report = self._desk.existing(call.account, call, symbol)
        self._cancel(call.account, report)
        return self._desk.named(call.account, report)

    def cancel_batch(self, call: Call) -> Row:
        """Answer order/batch-cancel-orders: those listed, or all of the symbol or product."""
        listed = call.objects("orderIdList")
        if not listed:
            return self.cancel_all(call)
        symbol = call.symbol(self._world.instruments)
        done: list[Row] = []
        failed: list[Row] = []
        for given in listed:
            try:
                report = self._desk.find(call.account, given)
                if report is None or report.update.symbol != symbol:
                    raise order_missing()
                self._cancel(call.account, report)
                done.append(self._desk.named(call.account, report))
            except Refused as refused:
                failed.append(failed_row(given, refused))
        return {"successList": done, "failureList": failed}

    def cancel_all(self, call: Call) -> Row:
        """Answer order/cancel-all-orders: every order in the book; none is a refusal."""
        if call.lists_nothing():
            raise Refused(NOTHING_TO_CANCEL, "No order to cancel")
        symbol = call.symbol(self._world.instruments) if call.text("symbol") else None
        found = self._desk.orders(call.account, symbol, open_only=True)
        found = [report for report in found if is_live_order(report)]
        if not found:
            raise Refused(NOTHING_TO_CANCEL, "No order to cancel")
        for report in found:
            self._cancel(call.account, report)
        return {
            "successList": [self._desk.named(call.account, report) for report in found],
            "failureList": [],
        }

    def _cancel(self, account: str, report: OrderReport) -> None:
        update = report.update
        try:
            self._world.act(
                lambda now_ns: self._desk.exchange.cancel(
                    account, update.symbol, update.client_id, now_ns
                )
            )
        except VenueRejected as rejected:
            raise refused_by(rejected) from None

    # Close

    def close(self, call: Call) -> Row:
        """Answer order/close-positions: every position, of a symbol or side if asked, at market."""
        call.lists_nothing()
        account = call.account
        symbol = call.symbol(self._world.instruments) if call.text("symbol") else None
        hold_side = call.text("holdSide").lower()
        sides = {"": 0, "long": 1, "short": -1, "buy": 1, "sell": -1}
        if hold_side not in sides:
            raise parameter("holdSide")
        done: list[Row] = []
        failed: list[Row] = []
        for report in self._desk.exchange.position_reports(account, symbol):
            changed = report.changed
            if not changed.quantity or sides[hold_side] not in {0, changed.side}:
                continue
            request = OrderRequest(
                client_id=self._desk.client_id(""),
                symbol=changed.symbol,
                side=-changed.side,
                kind="market",
                quantity=changed.quantity,
                reduce_only=True,
                slot=report.slot,
            )
            try:
                self._world.act(
                    lambda now_ns, request=request: self._desk.exchange.place(  # type: ignore[misc]
                        account, request, now_ns
                    )
                )
                done.append(
                    self._desk.named(account, self._desk.report(account, request.client_id))
                )
            except VenueRejected as rejected:
                failed.append(failed_row({}, refused_by(rejected)))
        if not done and not failed:
            raise Refused(NOTHING_TO_CLOSE, "No position to close")
        return {"successList": done, "failureList": failed, "result": False}

    # Look up

    def detail(self, call: Call) -> Row:
        """Answer order/detail."""
        symbol = call.symbol(self._world.instruments)
        report = self._desk.existing(call.account, call, symbol)
        return detail_row(self._desk.standing(call.account), self._desk.names, report)

    def pending(self, call: Call) -> Row:
        """Answer order/orders-pending: what is in the book, the latest first."""
        return self._listed(call, pending_row, open_only=True)

    def history(self, call: Call) -> Row:
        """Answer order/orders-history: what ended, the latest first."""
        return self._listed(call, history_row, open_only=False)

    def _listed(self, call: Call, row: Callable[..., Row], *, open_only: bool) -> Row:
        if call.lists_nothing():
            return page("entrustedList", "orderId", [], call)
        symbol = call.symbol(self._world.instruments) if call.text("symbol") else None
        found = self._desk.orders(call.account, symbol, open_only)
        if not open_only:
            found = [report for report in found if not is_open(report)]
        found = [report for report in found if is_live_order(report)]
        found = only_named(self._desk, call, found, plan=False)
        standing = self._desk.standing(call.account)
        rows = [row(standing, self._desk.names, report) for report in reversed(found)]
        return page("entrustedList", "orderId", rows, call)

    def fills(self, call: Call) -> Row:
        """Answer order/fills and order/fill-history, the latest first."""
        if call.lists_nothing():
            return page("fillList", "tradeId", [], call)
        symbol = call.symbol(self._world.instruments) if call.text("symbol") else None
        order_id = call.text("orderId")
        rows = [
            fill_row(report)
            for report in reversed(self._desk.exchange.fill_reports(call.account, symbol))
        ]
        rows = [row for row in rows if order_id in {"", row["orderId"]}]
        return page("fillList", "tradeId", rows, call)


def _size(call: Call) -> Decimal:
    call.required("size")
    return call.decimal("size")


def is_open(report: OrderReport) -> bool:
    """Tell whether an order is not over."""
    return report.update.state in {"new", "partially_filled", "untriggered", "triggered"}


def only_named(
    desk: Desk, call: Call, reports: list[OrderReport], *, plan: bool
) -> list[OrderReport]:
    """Return the orders that `orderId` or `clientOid` names, all when neither is given."""
    if not call.text("orderId") and not call.text("clientOid"):
        return reports
    found = desk.find(call.account, call.parameters, plan=plan)
    if found is None:
        return []
    return [one for one in reports if one.update.venue_id == found.update.venue_id]


def page(list_name: str, id_name: str, rows: list[Row], call: Call) -> Row:
    """Return one page of rows, latest first; an empty list is null, as recorded."""
    rows = [row for row in rows if call.within(int(row["cTime"]))]
    before = call.whole("idLessThan", 0)
    if before:
        rows = [row for row in rows if int(row[id_name]) < before]
    rows = rows[: call.limit()]
    return {list_name: rows or None, "endId": rows[-1][id_name] if rows else None}


def failed_row(given: Mapping[str, Any], refused: Refused) -> Row:
    """Return the entry of a failure list."""
    return {
        "orderId": str(given.get("orderId") or ""),
        "clientOid": str(given.get("clientOid") or ""),
        "errorMsg": refused.message,
        "errorCode": refused.code,
    }
