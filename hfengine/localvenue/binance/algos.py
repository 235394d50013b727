"""Calls on conditional orders, which live in a list of their own until they are triggered."""

from decimal import Decimal

from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.errors import (
    CLOSE_POSITION_TWICE,
    GTE_WITHOUT_POSITION,
    BinanceError,
    missing,
    unneeded,
)
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.rows import algo_placed_row, algo_queried_row
from hfengine.localvenue.binance.trading import (
    CANCELLED_ALL,
    Trading,
    in_time,
    is_waiting,
    order_side,
    order_tif,
    page,
)
from hfengine.localvenue.binance.wire import (
    CONDITIONAL_TYPES,
    Row,
    algo_id,
    is_conditional,
    ms,
)
from hfengine.requests import OrderRequest

WORKING_TYPES = {"MARK_PRICE": "mark", "CONTRACT_PRICE": "last"}


class Algos:
    """The algo list."""

    def __init__(self, desk: Desk, trading: Trading) -> None:
        self._desk = desk
        self._trading = trading

    def place(self, call: Call) -> Row:
        """Place a conditional order."""
        desk = self._desk
        symbol = desk.symbol(call)
        request = self._request(call, symbol)
        desk.check_not_refused(call, symbol, request.side)
        if request.kind == "stop_market":
            rule = desk.world.faults.take(
                "stop_refused",
                path=call.place,
                symbol=symbol,
                account=call.account,
                side=request.side,
            )
            if rule is not None:
                message = rule.message or "Order would immediately trigger."
                raise BinanceError(rule.code or -2021, message, rule.status or 400)
        self._check_alone(call.account, request)
        desk.act(lambda now: desk.exchange.place(call.account, request, now), symbol, request.price)
        return algo_placed_row(desk.placed(call.account, request.client_id), desk.grid(symbol))

    def cancel(self, call: Call) -> Row:
        """Cancel one conditional order that waits."""
        desk = self._desk
        report = desk.find_algo(call)
        if report is None or not is_waiting(report):
            raise BinanceError(-2011, "Unknown order sent.")
        update = report.update
        desk.act(
            lambda now: desk.exchange.cancel(call.account, update.symbol, update.client_id, now),
            update.symbol,
        )
        placed = desk.placed(call.account, update.client_id)
        return algo_placed_row(placed, desk.grid(update.symbol))

    def cancel_all(self, call: Call) -> Row:
        """Cancel a symbol's conditional orders; orders in the engine are not touched."""
        desk = self._desk
        symbol = desk.symbol(call)
        account = call.account
        desk.act(lambda now: desk.exchange.cancel_all(account, symbol, now, "conditional"), symbol)
        return dict(CANCELLED_ALL)

    def query(self, call: Call) -> Row:
        """Return one conditional order, waiting or not."""
        report = self._desk.find_algo(call)
        if report is None:
            raise BinanceError(-2013, "Order does not exist.")
        return algo_queried_row(report, self._desk.grid(report.update.symbol))

    def open_orders(self, call: Call) -> list[Row]:
        """Return the conditional orders that wait, of a symbol or of all."""
        desk = self._desk
        symbol = desk.symbol(call) if call.has("symbol") else None
        wanted = call.whole("algoId", 0)
        return [
            algo_queried_row(report, desk.grid(report.update.symbol))
            for report in desk.orders(call.account, symbol, open_only=True)
            if is_waiting(report) and wanted in {0, algo_id(report.update.venue_id)}
        ]

    def all_orders(self, call: Call) -> list[Row]:
        """Return a symbol's conditional orders, oldest first: from an id on, or the last ones."""
        desk = self._desk
        symbol = desk.symbol(call)
        first_id = call.whole("algoId", 0)
        found = [
            report
            for report in desk.orders(call.account, symbol)
            if is_conditional(report)
            and algo_id(report.update.venue_id) >= first_id
            and in_time(call, ms(report.created_ns))
        ]
        grid = desk.grid(symbol)
        return [algo_queried_row(one, grid) for one in page(call, found, from_start=first_id > 0)]

    def _request(self, call: Call, symbol: str) -> OrderRequest:
        desk = self._desk
        grid = desk.grid(symbol)
        if call.need("algoType") != "CONDITIONAL":
            raise BinanceError(-1130, "Data sent for parameter 'algoType' is not valid.")
        side, slot = order_side(call), self._trading.slot(call)
        conditional = CONDITIONAL_TYPES.get(call.need("type"))
        if conditional is None:
            raise BinanceError(-1116, "Invalid orderType.")
        kind, has_limit = conditional
        call.need("triggerPrice")
        trigger, price, quantity = call.number("triggerPrice"), Decimal(0), Decimal(0)
        desk.check_price(grid, trigger)
        if has_limit:
            call.need("price")
            price = call.number("price")
            desk.check_price(grid, price)
        close_position = call.flag("closePosition")
        quantity = call.number("quantity")
        if close_position:
            if has_limit:
                message = f"Target strategy invalid for orderType '{call.need('type')}'"
                raise BinanceError(-4136, f"{message},closePosition 'true'")
            if call.flag("reduceOnly"):
                raise unneeded("reduceonly")
        elif not call.has("quantity"):
            raise missing("quantity")
        else:
            desk.check_quantity(grid, quantity)
        working = call.text("workingType", "CONTRACT_PRICE")
        if working not in WORKING_TYPES:
            raise BinanceError(-1130, "Data sent for parameter 'workingType' is not valid.")
        named = call.text("timeInForce", "GTC")
        return OrderRequest(
            client_id=desk.client_id(call, "clientAlgoId"),
            symbol=symbol,
            side=side,
            kind=kind,
            quantity=quantity,
            price=price,
            tif="gtc" if named == "GTE_GTC" else order_tif(named),
            reduce_only=call.flag("reduceOnly"),
            trigger=trigger,
            trigger_by="mark" if working == "MARK_PRICE" else "last",
            close_position=close_position,
            slot=slot,
            expires_with_position=named == "GTE_GTC",
        )

    def _check_alone(self, account: str, request: OrderRequest) -> None:
        """Refuse a second closePosition order of a kind, and GTE_GTC without a position."""
        desk = self._desk
        if request.close_position:
            for report in desk.orders(account, request.symbol, open_only=True):
                update = report.update
                if (
                    report.close_position
                    and is_waiting(report)
                    and update.kind == request.kind
                    and update.side == request.side
                    and report.slot == request.slot
                ):
                    raise BinanceError(-4130, CLOSE_POSITION_TWICE)
        if request.expires_with_position:
            held = desk.exchange.position_reports(account, request.symbol)
            if not any(one.changed.side and one.slot == request.slot for one in held):
                resting = desk.orders(account, request.symbol, open_only=True)
                if not any(not is_waiting(one) for one in resting):
                    raise BinanceError(-4509, GTE_WITHOUT_POSITION)
