"""Orders in: create, amend, cancel, batches; the same for REST and for the order socket."""

from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal
from typing import Final, Literal

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.orders import PriceSource
from hfengine.exchange.reports import OrderReport
from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.entry_protection import EntryProtection, Legs, Plan, Split
from hfengine.localvenue.bybit.errors import (
    PARAMETERS,
    STOP_WOULD_TRIGGER,
    Attempt,
    Refused,
    refusal,
    scaled,
)
from hfengine.localvenue.bybit.figures import ZERO
from hfengine.localvenue.bybit.identity import LINK_ID, order_id
from hfengine.localvenue.bybit.order_rows import OPEN_STATUS, TIME_IN_FORCE, TRIGGER_BY, Row
from hfengine.localvenue.bybit.parameters import (
    Parameters,
    choice,
    flag,
    given_number,
    number,
    required,
    slot_of,
    text,
)
from hfengine.messages import OrderKind, OrderUpdate
from hfengine.requests import OrderRequest, TimeInForce

BATCH_MAX: Final = 20
Which = Literal["all", "resting", "conditional"]
_TIF: Final[dict[str, TimeInForce]] = {name: tif for tif, name in TIME_IN_FORCE.items()}
_SOURCES: Final[dict[str, PriceSource]] = {"MarkPrice": "mark", "LastPrice": "last"}


class Answer(Struct, frozen=True, kw_only=True):
    """What a request that was done answers."""

    result: Row
    ext_info: Row = {}


def price_source(parameters: Parameters, name: str, default: str = "LastPrice") -> PriceSource:
    """Return what a trigger watches; the index price is not to be had here."""
    return _SOURCES[choice(parameters, name, *_SOURCES, default=default)]


def check_category(parameters: Parameters) -> None:
    """Check that a request is about USDT perpetuals."""
    choice(parameters, "category", "linear")


class OrderDesk:
    """Order requests of every account."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world
        self._protection = EntryProtection(desk)
        self._cancel_races = 0

    def arm_cancel_race(self, count: int) -> None:
        """Let the next cancels of filled orders be taken and answered by a second Filled."""
        self._cancel_races += count

    # Requests

    def create(self, account: str, parameters: Parameters) -> Answer:
        """Place an order; the answer is an acknowledgement. Raises Refused."""
        check_category(parameters)
        instrument = self._desk.instrument(required(parameters, "symbol"))
        request = self._request(parameters, instrument)
        plan = self._plan(parameters, request)
        if isinstance(plan, Legs):
            request = _without_protection(request)
        faulty = self._order_fault(account, request)
        if faulty is not None:
            return faulty
        asked = request.quantity
        halved = request.kind == "market" and self._world.faults.take(
            "partial_fill",
            symbol=request.symbol,
            account=account,
            side=request.side,
            path="/v5/order/create",
        )
        if halved:
            request = _halved(request, instrument)
        try:
            update = self._world.act(lambda now_ns: self._place(account, request, plan, now_ns))
        except VenueRejected as rejected:
            raise refusal(rejected, self._attempt(account, request, instrument)) from None
        if halved:
            self._desk.cut_short(update.venue_id, asked)
        return Answer(
            result={
                "orderId": order_id(update.venue_id),
                "orderLinkId": text(parameters, "orderLinkId"),
            }
        )

    def amend(self, account: str, parameters: Parameters) -> Answer:
        """Change quantity, price or trigger of an open order. Raises Refused."""
        check_category(parameters)
        required(parameters, "symbol")
        found = self._desk.existing(account, parameters, "replace")
        if any(text(parameters, name) for name in ("takeProfit", "stopLoss")):
            message = "params error: amend TP/SL of the position with /v5/position/trading-stop"
            raise Refused(PARAMETERS, message)
        update = found.update
        instrument = self._desk.instrument(update.symbol)
        quantity = given_number(parameters, "qty")
        price = given_number(parameters, "price")
        trigger = given_number(parameters, "triggerPrice")
        try:
            self._world.act(
                lambda now_ns: self._desk.exchange.amend(
                    account,
                    update.symbol,
                    update.client_id,
                    now_ns,
                    quantity=quantity,
                    price=price,
                    trigger=trigger,
                )
            )
        except VenueRejected as rejected:
            attempt = Attempt(
                instrument=instrument,
                side=update.side,
                trigger=trigger or update.trigger,
                rising=(update.side > 0) == (update.kind == "stop_market"),
                by=TRIGGER_BY[found.trigger_by],
                market_price=self._watched(update.symbol, found.trigger_by),
                action="replace",
            )
            raise refusal(rejected, attempt) from None
        return Answer(result=self._desk.named(found))

    def cancel(self, account: str, parameters: Parameters) -> Answer:
        """Cancel one order, a position's stop or target too. Raises Refused."""
        check_category(parameters)
        required(parameters, "symbol")
        found = self._desk.existing(account, parameters, "cancel")
        update = found.update
        if update.state == "filled" and self._cancel_races > 0:
            self._cancel_races -= 1
            row = self._desk.pushed_row(found)
            row["rejectReason"] = "EC_OrigClOrdIDDoesNotExist"
            self._desk.push(account, "order", row)
            return Answer(result=self._desk.named(found))
        try:
            self._cancel(account, found)
        except VenueRejected as rejected:
            attempt = Attempt(instrument=self._desk.instrument(update.symbol))
            raise refusal(rejected, attempt) from None
        return Answer(result=self._desk.named(found))

    def cancel_all(self, account: str, parameters: Parameters) -> Answer:
        """Cancel the open orders of a symbol, or of all: by default stops and targets too."""
        check_category(parameters)
        symbol = text(parameters, "symbol")
        if symbol:
            self._desk.instrument(symbol)
        elif not (text(parameters, "settleCoin") or text(parameters, "baseCoin")):
            raise Refused(PARAMETERS, "params error: symbol, settleCoin or baseCoin is required")
        base = text(parameters, "baseCoin")
        wanted = text(parameters, "orderFilter")
        only_stop = text(parameters, "stopOrderType") == "Stop"
        cancelled = []
        for report in self._desk.orders(account, symbol or None, open_only=True):
            update = report.update
            conditional = update.state == "untriggered"
            if base and self._desk.instrument(update.symbol).base != base:
                continue
            if (wanted == "Order" and conditional) or (wanted == "StopOrder" and not conditional):
                continue
            if only_stop and report.attached:
                continue
            if self._is_open(account, report):
                self._cancel(account, report)
                cancelled.append(self._desk.named(report))
        return Answer(result={"list": cancelled, "success": "1"})

    def batch(
        self,
        account: str,
        parameters: Parameters,
        call: Callable[[str, Parameters], Answer],
        *,
        created: bool = False,
    ) -> Answer:
        """Do up to 20 requests, each for itself: what became of each is in `retExtInfo`."""
        check_category(parameters)
        requests = batch_requests(parameters)
        rows: list[Row] = []
        codes: list[Row] = []
        for one in requests:
            try:
                named = call(account, {**one, "category": "linear"}).result
                code: Row = {"code": 0, "msg": "OK"}
            except Refused as refused:
                named = {"orderId": "", "orderLinkId": text(one, "orderLinkId")}
                code = {"code": refused.code, "msg": refused.message}
            row: Row = {"category": "linear", "symbol": text(one, "symbol"), **named}
            if created:
                row["createAt"] = str(self._world.now_ms()) if named["orderId"] else ""
            rows.append(row)
            codes.append(code)
        return Answer(result={"list": rows}, ext_info={"list": codes})

    # Inside

    def _request(self, parameters: Parameters, instrument: Instrument) -> OrderRequest:
        side = 1 if choice(parameters, "side", "Buy", "Sell") == "Buy" else -1
        is_limit = choice(parameters, "orderType", "Limit", "Market") == "Limit"
        link = text(parameters, "orderLinkId")
        if link and not LINK_ID.fullmatch(link):
            raise Refused(PARAMETERS, "params error: OrderLinkId invalid")
        trigger = number(parameters, "triggerPrice")
        kind: OrderKind = "limit" if is_limit else "market"
        if trigger:
            rising = choice(parameters, "triggerDirection", "1", "2") == "1"
            kind = "stop_market" if rising == (side > 0) else "take_profit_market"
        quantity = number(parameters, "qty")
        reduce_only = flag(parameters, "reduceOnly")
        stop, target = number(parameters, "stopLoss"), number(parameters, "takeProfit")
        closes = not quantity and reduce_only and flag(parameters, "closeOnTrigger")
        return OrderRequest(
            client_id=self._desk.client_id(link, protected=bool(stop or target)),
            symbol=instrument.symbol,
            side=side,
            kind=kind,
            quantity=quantity,
            price=number(parameters, "price") if is_limit else ZERO,
            tif=_TIF[choice(parameters, "timeInForce", *_TIF, default="GTC")],
            reduce_only=reduce_only,
            trigger=trigger,
            trigger_by=price_source(parameters, "triggerBy"),
            close_position=closes,
            stop=stop,
            target=target,
            protect_by=price_source(parameters, "slTriggerBy" if stop else "tpTriggerBy"),
            slot=slot_of(parameters),
        )

    def _plan(self, parameters: Parameters, request: OrderRequest) -> Plan | None:
        """Return what is to be done about protection when the order fills, None for nothing."""
        mode = choice(parameters, "tpslMode", "Full", "Partial", "", default="Full")
        if mode == "Full" and "Limit" in (
            text(parameters, "tpOrderType"),
            text(parameters, "slOrderType"),
        ):
            raise Refused(PARAMETERS, "params error: Full tpslMode supports Market only")
        if not (request.stop or request.target):
            return None
        stop_by = price_source(parameters, "slTriggerBy")
        target_by = price_source(parameters, "tpTriggerBy")
        if mode != "Partial":
            both = bool(request.stop and request.target)
            apart = both and target_by != stop_by
            return Split(slot=request.slot, target_by=target_by) if apart else None
        attempt = self._attempt("", request, self._desk.instrument(request.symbol))
        base = attempt.base_price
        if request.stop and (request.stop - base) * request.side >= 0:
            raise refusal(VenueRejected(rejects.STOP_WRONG_SIDE), attempt)
        if request.target and (base - request.target) * request.side >= 0:
            raise refusal(VenueRejected(rejects.TARGET_WRONG_SIDE), attempt)
        return Legs(
            slot=request.slot,
            stop=request.stop,
            target=request.target,
            stop_limit=number(parameters, "slLimitPrice"),
            target_limit=number(parameters, "tpLimitPrice"),
            stop_by=stop_by,
            target_by=target_by,
        )

    def _place(
        self, account: str, request: OrderRequest, plan: Plan | None, now_ns: int
    ) -> OrderUpdate:
        update = self._desk.exchange.place(account, request, now_ns)
        if plan is not None:
            self._protection.expect(account, update, plan, now_ns)
        return update

    def _cancel(self, account: str, report: OrderReport) -> None:
        update = report.update
        self._world.act(
            lambda now_ns: self._desk.exchange.cancel(
                account, update.symbol, update.client_id, now_ns
            )
        )

    def _is_open(self, account: str, report: OrderReport) -> bool:
        found = self._desk.exchange.find_order(account, venue_id=report.update.venue_id)
        return found is not None and found.update.state in OPEN_STATUS

    def _order_fault(self, account: str, request: OrderRequest) -> Answer | None:
        """Refuse an order that a fault says is to be refused, at once or after acceptance."""
        take = self._world.faults.take
        path = "/v5/order/create"
        symbol, side = request.symbol, request.side
        if request.stop and take(
            "stop_refused", symbol=symbol, account=account, side=side, path=path
        ):
            current = self._watched(symbol, request.protect_by)
            message = (
                f"expect Falling, but trigger_price[{scaled(request.stop)}] >= "
                f"current[{scaled(current)}]??{TRIGGER_BY[request.protect_by]}"
            )
            raise Refused(STOP_WOULD_TRIGGER, message)
        rule = take("order_refused", symbol=symbol, account=account, side=side, path=path)
        if rule is None:
            return None
        if rule.code:
            raise Refused(rule.code, rule.message, status=rule.status or 200)
        report = self._desk.rejected(request, rule.message or "EC_Others")
        self._desk.push(account, "order", self._desk.pushed_row(report))
        return Answer(result=self._desk.named(report))

    def _watched(self, symbol: str, by: PriceSource) -> Decimal:
        exchange = self._desk.exchange
        return exchange.mark(symbol) if by == "mark" else exchange.last(symbol)

    def _attempt(self, account: str, request: OrderRequest, instrument: Instrument) -> Attempt:
        symbol = request.symbol
        by = request.trigger_by if request.trigger else request.protect_by
        base = request.price or request.trigger or self._watched(symbol, request.protect_by)
        return Attempt(
            instrument=instrument,
            side=request.side,
            trigger=request.trigger,
            rising=(request.side > 0) == (request.kind == "stop_market"),
            stop=request.stop,
            target=request.target,
            by=TRIGGER_BY[by],
            market_price=self._watched(symbol, by),
            base_price=base,
            has_position=bool(account) and self._desk.holds(account, symbol),
        )


def batch_requests(parameters: Parameters) -> list[Parameters]:
    """Return the requests of a batch; raises Refused for none or too many."""
    requests = parameters.get("request")
    if not isinstance(requests, list) or not 0 < len(requests) <= BATCH_MAX:
        raise Refused(PARAMETERS, f"params error: request must hold 1 to {BATCH_MAX} orders")
    if not all(isinstance(one, dict) for one in requests):
        raise Refused(PARAMETERS, "params error: request must hold objects")
    return requests


def _without_protection(request: OrderRequest) -> OrderRequest:
    return msgspec.structs.replace(request, stop=ZERO, target=ZERO)


def _halved(request: OrderRequest, instrument: Instrument) -> OrderRequest:
    step = instrument.quantity_step
    half = (request.quantity / 2 / step).to_integral_value(ROUND_FLOOR) * step
    return msgspec.structs.replace(request, quantity=max(half, instrument.quantity_min))
