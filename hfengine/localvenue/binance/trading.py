"""Calls on orders in the matching engine: place, amend, cancel, query, in batches."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.errors import (
    CONDITIONAL_ELSEWHERE,
    NOT_RECORDED,
    TABLE,
    BinanceError,
    missing,
    unneeded,
)
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.rows import (
    acknowledged_row,
    amended_row,
    cancelled_row,
    is_open_order,
    is_order,
    placed_row,
    queried_row,
    trade_row,
)
from hfengine.localvenue.binance.wire import (
    CONDITIONAL_TYPES,
    SIDES,
    SLOTS,
    TIFS,
    Row,
    is_conditional,
    ms,
    order_id,
)
from hfengine.localvenue.timers import Cancel
from hfengine.requests import OrderRequest, Slot, TimeInForce

BATCH_MAX: Final = 5
COUNTDOWNS: Final = "binance/countdown/"
"""Notes of when orders are cancelled: a restart of the venue does not call that off."""

LIST_MAX: Final = 1000
LIST_DEFAULT: Final = 500
CANCELLED_ALL: Final = {"code": 200, "msg": "The operation of cancel all open order is done."}
ELSEWHERE_TYPES: Final = frozenset({*CONDITIONAL_TYPES, "TRAILING_STOP_MARKET"})


class Trading:
    """Orders as the matching engine has them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._countdowns: dict[tuple[str, str], Cancel] = {}
        self.unrecorded: set[tuple[str, str]] = set()
        """Accounts' orders that were refused after the fact: nothing is told of them."""
        now_ms = desk.world.now_ms()
        for name, note in desk.world.notes.all().items():
            if name.startswith(COUNTDOWNS) and note is not None:
                account, symbol, due_ms = note
                if symbol in desk.grids:
                    self._count_down(account, symbol, max(due_ms - now_ms, 0))

    def stop(self) -> None:
        """End the countdowns."""
        for cancel in self._countdowns.values():
            cancel()
        self._countdowns.clear()

    def place(self, call: Call) -> Row:
        """Place a market or limit order."""
        desk = self._desk
        symbol = desk.symbol(call)
        grid = desk.grid(symbol)
        request = self._request(call, symbol)
        answer = call.text("newOrderRespType", "ACK")
        if answer not in {"ACK", "RESULT"}:
            raise BinanceError(-1136, "Invalid newOrderRespType.")
        desk.check_not_refused(call, symbol, request.side)
        request = self._cut_short(call, request)
        desk.act(lambda now: self._place(call.account, request, now), symbol, request.price)
        report = desk.placed(call.account, request.client_id)
        row = placed_row if answer == "RESULT" else acknowledged_row
        return row(report, grid)

    def _place(self, account: str, request: OrderRequest, now_ns: int) -> None:
        """Place on the exchange; what Binance would not have recorded is refused after the fact."""
        update = self._desk.exchange.place(account, request, now_ns)
        if update.state == "cancelled" and update.reason in NOT_RECORDED:
            self.unrecorded.add((account, request.client_id))
            raise BinanceError(*TABLE[update.reason])

    def amend(self, call: Call) -> Row:
        """Amend an open limit order; answers as the websocket does."""
        return self._amend(call, placed_row)

    def amend_rest(self, call: Call) -> Row:
        """Amend an open limit order; answers as REST does."""
        return self._amend(call, amended_row)

    def _amend(self, call: Call, row: Callable[..., Row]) -> Row:
        desk = self._desk
        report = desk.find_order(call)
        if report is None or not is_open_order(report):
            raise BinanceError(-2013, "Order does not exist.")
        update = report.update
        grid = desk.grid(update.symbol)
        if SIDES.get(call.need("side")) != update.side:
            raise BinanceError(-1117, "Invalid side.")
        call.need("quantity"), call.need("price")
        quantity, price = call.number("quantity"), call.number("price")
        desk.check_quantity(grid, quantity)
        desk.check_price(grid, price)
        amended = desk.act(
            lambda now: desk.exchange.amend(
                call.account, update.symbol, update.client_id, now, quantity=quantity, price=price
            ),
            update.symbol,
            price,
        )
        return row(amended, grid)

    def cancel(self, call: Call) -> Row:
        """Cancel one open order."""
        desk = self._desk
        report = desk.find_order(call)
        if report is None or not is_open_order(report):
            raise BinanceError(-2011, "Unknown order sent.")
        update = report.update
        desk.act(
            lambda now: desk.exchange.cancel(call.account, update.symbol, update.client_id, now),
            update.symbol,
        )
        return cancelled_row(desk.placed(call.account, update.client_id), desk.grid(update.symbol))

    def cancel_all(self, call: Call) -> Row:
        """Cancel a symbol's open orders; the algo list is not touched."""
        self._cancel_resting(call.account, self._desk.symbol(call))
        return dict(CANCELLED_ALL)

    def _cancel_resting(self, account: str, symbol: str) -> None:
        desk = self._desk
        desk.act(lambda now: desk.exchange.cancel_all(account, symbol, now, "resting"), symbol)

    def countdown(self, call: Call) -> Row:
        """Cancel a symbol's open orders (never its algo orders) unless called again in time."""
        symbol = self._desk.symbol(call)
        call.need("countdownTime")
        countdown_ms = call.whole("countdownTime", 0)
        account = call.account
        running = self._countdowns.pop((account, symbol), None)
        if running is not None:
            running()
        note = None
        if countdown_ms:
            note = [account, symbol, self._desk.world.now_ms() + countdown_ms]
            self._count_down(account, symbol, countdown_ms)
        self._desk.world.notes.set(f"{COUNTDOWNS}{account}/{symbol}", note)
        return {"symbol": symbol, "countdownTime": str(countdown_ms)}

    def _count_down(self, account: str, symbol: str, countdown_ms: int) -> None:
        def due() -> None:
            self._countdowns.pop((account, symbol), None)
            self._desk.world.notes.set(f"{COUNTDOWNS}{account}/{symbol}", None)
            self._cancel_resting(account, symbol)

        self._countdowns[account, symbol] = self._desk.world.later(countdown_ms / 1000, due)

    def query(self, call: Call) -> Row:
        """Return one order, open or not."""
        report = self._desk.find_order(call)
        if report is None or not is_order(report):
            raise BinanceError(-2013, "Order does not exist.")
        return queried_row(report, self._desk.grid(report.update.symbol))

    def open_order(self, call: Call) -> Row:
        """Return one open order."""
        report = self._desk.find_order(call)
        if report is None or not is_open_order(report):
            raise BinanceError(-2013, "Order does not exist.")
        return queried_row(report, self._desk.grid(report.update.symbol))

    def open_orders(self, call: Call) -> list[Row]:
        """Return the open orders of a symbol or of all."""
        desk = self._desk
        symbol = desk.symbol(call) if call.has("symbol") else None
        return [
            queried_row(report, desk.grid(report.update.symbol))
            for report in desk.orders(call.account, symbol, open_only=True)
            if is_open_order(report)
        ]

    def all_orders(self, call: Call) -> list[Row]:
        """Return a symbol's orders, oldest first: from an id on, or the last ones."""
        desk = self._desk
        symbol = desk.symbol(call)
        first_id = call.whole("orderId", 0)
        found = [
            report
            for report in desk.orders(call.account, symbol)
            if is_order(report)
            and order_id(report.update.venue_id) >= first_id
            and in_time(call, ms(report.created_ns))
        ]
        grid = desk.grid(symbol)
        return [queried_row(one, grid) for one in page(call, found, from_start=first_id > 0)]

    def trades(self, call: Call) -> list[Row]:
        """Return a symbol's executions, oldest first: from an id on, or the last ones."""
        desk = self._desk
        symbol = desk.symbol(call)
        first_id = call.whole("fromId", 0)
        wanted_id = call.whole("orderId", 0)
        found = [
            report
            for report in desk.exchange.fill_reports(call.account, symbol, max(first_id - 1, 0))
            if wanted_id in {0, order_id(report.venue_id)} and in_time(call, ms(report.fill.at_ns))
        ]
        grid = desk.grid(symbol)
        return [trade_row(one, grid) for one in page(call, found, from_start=first_id > 0)]

    def place_batch(self, call: Call) -> list[Row]:
        """Place up to five orders; each answers for itself."""
        return self._batch(call, self.place)

    def amend_batch(self, call: Call) -> list[Row]:
        """Amend up to five orders; each answers for itself."""
        return self._batch(call, self.amend_rest)

    def cancel_batch(self, call: Call) -> list[Row]:
        """Cancel up to ten orders by `orderIdList` or `origClientOrderIdList`."""
        symbol = call.need("symbol")
        if call.has("orderIdList"):
            name, ids = "orderId", items(call, "orderIdList")
        else:
            name, ids = "origClientOrderId", items(call, "origClientOrderIdList")
        calls = [
            Call(call.account, call.place, {"symbol": symbol, name: str(one)}) for one in ids[:10]
        ]
        return [answer(self.cancel, one) for one in calls]

    def _batch(self, call: Call, do: Callable[[Call], Row]) -> list[Row]:
        orders = items(call, "batchOrders")
        if len(orders) > BATCH_MAX:
            raise BinanceError(-4082, "Invalid number of batch place orders.")
        rows = []
        for order in orders:
            if not isinstance(order, dict):
                raise missing("batchOrders")
            params = {name: _text(given) for name, given in order.items() if given is not None}
            rows.append(answer(do, Call(call.account, call.place, params)))
        return rows

    def _request(self, call: Call, symbol: str) -> OrderRequest:
        desk = self._desk
        grid = desk.grid(symbol)
        side, slot = order_side(call), self.slot(call)
        kind = call.need("type")
        if kind in ELSEWHERE_TYPES:
            raise BinanceError(-4120, CONDITIONAL_ELSEWHERE)
        if kind not in {"MARKET", "LIMIT"}:
            raise BinanceError(-1116, "Invalid orderType.")
        if call.flag("closePosition"):
            message = f"Target strategy invalid for orderType '{kind}',closePosition 'true'"
            raise BinanceError(-4136, message)
        call.need("quantity")
        quantity, price = call.number("quantity"), Decimal(0)
        desk.check_quantity(grid, quantity)
        tif: TimeInForce = "gtc"
        if kind == "LIMIT":
            call.need("price")
            tif = order_tif(call.need("timeInForce"))
            price = call.number("price")
            desk.check_price(grid, price)
        return OrderRequest(
            client_id=desk.client_id(call, "newClientOrderId"),
            symbol=symbol,
            side=side,
            kind="market" if kind == "MARKET" else "limit",
            quantity=quantity,
            price=price,
            tif=tif,
            reduce_only=call.flag("reduceOnly"),
            slot=slot,
        )

    def slot(self, call: Call) -> Slot:
        """Return the position a new order is for."""
        slot = SLOTS.get(call.text("positionSide", "BOTH"))
        if slot is None:
            raise BinanceError(-1130, "Data sent for parameter 'positionSide' is not valid.")
        if slot != "net" and call.has("reduceOnly"):
            raise unneeded("reduceonly")
        return slot

    def _cut_short(self, call: Call, request: OrderRequest) -> OrderRequest:
        """Let a fault halve a market order; it is shown whole, its rest without liquidity."""
        if request.kind != "market":
            return request
        rule = self._desk.world.faults.take(
            "partial_fill",
            path=call.place,
            symbol=request.symbol,
            account=call.account,
            side=request.side,
        )
        instrument = self._desk.grid(request.symbol).instrument
        half = request.quantity / 2 // instrument.quantity_step * instrument.quantity_step
        if rule is None or half < instrument.quantity_min:
            return request
        self._desk.cut_short[call.account, request.client_id] = request.quantity
        return msgspec.structs.replace(request, quantity=half)


def order_side(call: Call) -> int:
    """Return the side of a new order."""
    side = SIDES.get(call.need("side"))
    if side is None:
        raise BinanceError(-1117, "Invalid side.")
    return side


def order_tif(name: str) -> TimeInForce:
    """Return a time in force; raises BinanceError -1115."""
    tif = TIFS.get(name)
    if tif is None:
        raise BinanceError(-1115, "Invalid timeInForce.")
    return tif


def is_waiting(report: Any) -> bool:
    """Tell whether an order is in the algo list and not triggered."""
    return is_conditional(report) and report.update.state == "untriggered"


def in_time(call: Call, at_ms: int) -> bool:
    """Tell whether a time lies between `startTime` and `endTime`, where they are given."""
    start, end = call.whole("startTime", 0), call.whole("endTime", 0)
    if end and start > end:
        raise BinanceError(-1023, "Start time is greater than end time.")
    return start <= at_ms and (not end or at_ms <= end)


def page(call: Call, found: list[Any], *, from_start: bool) -> list[Any]:
    """Return at most `limit` of a list: its first or its last."""
    limit = call.whole("limit", LIST_DEFAULT, LIST_MAX)
    return found[:limit] if from_start or call.has("startTime") else found[-limit:]


def items(call: Call, name: str) -> list[Any]:
    """Return a parameter that holds a JSON list."""
    try:
        return msgspec.json.decode(call.need(name), type=list[Any])
    except msgspec.DecodeError as error:
        raise BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.") from error


def answer(do: Callable[[Call], Row], call: Call) -> Row:
    """Do one of a batch; its error is its answer."""
    try:
        return do(call)
    except BinanceError as error:
        return {"code": error.code, "msg": error.message}


def _text(given: Any) -> str:
    if isinstance(given, bool):
        return "true" if given else "false"
    return str(given)
