"""Orders and executions over REST."""

from collections.abc import Sequence

from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.errors import PARAMETERS, Refused
from hfengine.localvenue.bybit.gate import Private
from hfengine.localvenue.bybit.order_desk import Answer, OrderDesk
from hfengine.localvenue.bybit.order_rows import OPEN_STATUS, STATUS, Row
from hfengine.localvenue.bybit.pages import cursor_of, page, read_cursor, within
from hfengine.localvenue.bybit.parameters import Parameters, choice, required, text, whole

CATEGORIES = ("linear", "inverse", "spot", "option")


def is_linear(parameters: Parameters) -> bool:
    """Tell whether a list of USDT perpetuals is asked for; other categories exist and are empty."""
    return choice(parameters, "category", *CATEGORIES) == "linear"


def listing(parameters: Parameters, rows: Sequence[Row], cursor: str = "") -> Answer:
    """Return a list as Bybit's result."""
    category = required(parameters, "category")
    return Answer(result={"list": list(rows), "nextPageCursor": cursor, "category": category})


class TradeRest:
    """Endpoints under /v5/order and /v5/execution."""

    def __init__(self, desk: Desk, orders: OrderDesk) -> None:
        self._desk = desk
        self._orders = orders

    def routes(self) -> dict[tuple[str, str], Private]:
        """Return what answers each signed path."""
        orders = self._orders
        return {
            ("POST", "/v5/order/create"): orders.create,
            ("POST", "/v5/order/amend"): orders.amend,
            ("POST", "/v5/order/cancel"): orders.cancel,
            ("POST", "/v5/order/cancel-all"): orders.cancel_all,
            ("POST", "/v5/order/create-batch"): self._create_batch,
            ("POST", "/v5/order/amend-batch"): self._amend_batch,
            ("POST", "/v5/order/cancel-batch"): self._cancel_batch,
            ("GET", "/v5/order/realtime"): self._realtime,
            ("GET", "/v5/order/history"): self._history,
            ("GET", "/v5/execution/list"): self._executions,
        }

    def _create_batch(self, account: str, parameters: Parameters) -> Answer:
        return self._orders.batch(account, parameters, self._orders.create, created=True)

    def _amend_batch(self, account: str, parameters: Parameters) -> Answer:
        return self._orders.batch(account, parameters, self._orders.amend)

    def _cancel_batch(self, account: str, parameters: Parameters) -> Answer:
        return self._orders.batch(account, parameters, self._orders.cancel)

    def _realtime(self, account: str, parameters: Parameters) -> Answer:
        """List open orders, or one order by its id whatever its state."""
        if not is_linear(parameters):
            return listing(parameters, [])
        if text(parameters, "orderId") or text(parameters, "orderLinkId"):
            found = self._desk.find(account, parameters)
            return listing(parameters, [self._desk.row(found)] if found else [])
        if not any(text(parameters, name) for name in ("symbol", "settleCoin", "baseCoin")):
            raise Refused(
                PARAMETERS,
                "Missing some parameters that must be filled in, symbol or settleCoin or baseCoin",
            )
        symbol = text(parameters, "symbol") or None
        if symbol:
            self._desk.instrument(symbol)
        recent = whole(parameters, "openOnly", 0, least=0, most=2) > 0
        reports = [
            one
            for one in self._desk.orders(account, symbol, open_only=not recent)
            if self._matches(parameters, one)
            and (not recent or one.update.state not in OPEN_STATUS)
        ]
        return self._page(parameters, reports, default=20, most=50)

    def _history(self, account: str, parameters: Parameters) -> Answer:
        """List the orders that ended."""
        if not is_linear(parameters):
            return listing(parameters, [])
        if text(parameters, "orderId") or text(parameters, "orderLinkId"):
            found = self._desk.find(account, parameters)
            reports = [found] if found else []
        else:
            symbol = text(parameters, "symbol") or None
            if symbol:
                self._desk.instrument(symbol)
            reports = self._desk.orders(account, symbol)
        status = text(parameters, "orderStatus")
        ended = [
            one
            for one in map(self._desk.as_shown, reports)
            if one.update.state not in OPEN_STATUS
            and self._matches(parameters, one)
            and (not status or STATUS[one.update.state] == status)
            and within(parameters, one.created_ns)
        ]
        return self._page(parameters, ended, default=20, most=50)

    def _executions(self, account: str, parameters: Parameters) -> Answer:
        """List fills and funding payments."""
        if not is_linear(parameters):
            return listing(parameters, [])
        symbol = text(parameters, "symbol") or None
        if symbol:
            self._desk.instrument(symbol)
        wanted = {
            name: text(parameters, name)
            for name in ("execType", "orderId", "orderLinkId")
            if text(parameters, name)
        }
        before = read_cursor(parameters)
        limit = whole(parameters, "limit", 50, least=1, most=100)
        found = self._desk.executions(account, symbol)
        rows: list[Row] = []
        cursor = ""
        last = len(found) if before is None else min(before, len(found))
        for number in range(last - 1, -1, -1):
            at_ns, make_row = found[number]
            if not within(parameters, at_ns):
                continue
            row = make_row()
            if all(row[name] == value for name, value in wanted.items()):
                if len(rows) == limit:
                    cursor = cursor_of(number + 1)
                    break
                rows.append(row)
        return listing(parameters, rows, cursor)

    def _matches(self, parameters: Parameters, report: OrderReport) -> bool:
        base = text(parameters, "baseCoin")
        if base and self._desk.instrument(report.update.symbol).base != base:
            return False
        if text(parameters, "settleCoin") not in {"", "USDT"}:
            return False
        wanted = choice(parameters, "orderFilter", "Order", "StopOrder", "tpslOrder", "")
        conditional = bool(report.update.trigger)
        return not wanted or conditional == (wanted != "Order")

    def _page(
        self, parameters: Parameters, reports: Sequence[OrderReport], *, default: int, most: int
    ) -> Answer:
        newest_first = list(reversed(reports))
        shown, cursor = page(
            newest_first,
            lambda one: int(one.update.venue_id),
            parameters,
            default=default,
            most=most,
        )
        return listing(parameters, [self._desk.row(one) for one in shown], cursor)
