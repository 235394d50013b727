"""What every call needs of the world: symbols, orders by Binance's ids, and its complaints."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.binance.errors import BinanceError, off_grid, refusal
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.wire import ALGO_BASE, ORDER_BASE, Grid, is_conditional, plain
from hfengine.localvenue.world import World

T = TypeVar("T")
IDS_MISSING: Final = "Param '{}' or '{}' must be sent, but both were empty/null!"
CLIENT_ID_LENGTH: Final = 22
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Desk:
    """The world behind the calls. Orders that a fault cut short are shown as they were asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.exchange = world.exchange
        self.grids = {symbol: Grid(one) for symbol, one in world.instruments.items()}
        self.cut_short: dict[tuple[str, str], Decimal] = {}
        """Whole quantity of market orders that were made to fill in part only."""

    def grid(self, symbol: str) -> Grid:
        """Return a symbol's grid; raises BinanceError -1121."""
        found = self.grids.get(symbol)
        if found is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return found

    def symbol(self, call: Call) -> str:
        """Return the symbol a call must name."""
        return self.grid(call.need("symbol")).instrument.symbol

    def symbols(self, call: Call) -> list[str]:
        """Return the one symbol a call names, or all."""
        return [self.symbol(call)] if call.has("symbol") else list(self.grids)

    def act(self, call: Callable[[int], T], symbol: str, price: Decimal = Decimal(0)) -> T:
        """Do something on the exchange; raises BinanceError for its refusal.

        `price` is the order's limit, for the complaint that it is too far from the mark.
        """
        try:
            return self.world.act(call)
        except VenueRejected as refused:
            raise self._complaint(refused, symbol, price) from refused

    def _complaint(self, refused: VenueRejected, symbol: str, price: Decimal) -> BinanceError:
        instrument = self.grid(symbol).instrument
        if refused.reason == rejects.BELOW_MIN_NOTIONAL:
            least = plain(instrument.notional_min_usdt)
            message = (
                f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
            )
            return BinanceError(-4164, message)
        if refused.reason == rejects.PRICE_BAND:
            mark = self.exchange.mark(symbol)
            if price > mark:
                edge = plain(mark * (1 + instrument.price_band))
                return BinanceError(-4016, f"Limit price can't be higher than {edge}.")
            edge = plain(mark * (1 - instrument.price_band))
            return BinanceError(-4024, f"Limit price can't be lower than {edge}.")
        return refusal(refused)

    def check_price(self, grid: Grid, price: Decimal) -> None:
        """Refuse a price off the grid."""
        if price % grid.instrument.price_tick:
            raise off_grid(price, grid.price_places, is_quantity=False)

    def check_quantity(self, grid: Grid, quantity: Decimal) -> None:
        """Refuse a quantity that is nothing or off the grid."""
        if quantity <= 0:
            raise BinanceError(-4003, "Quantity less than or equal to zero.")
        if quantity % grid.instrument.quantity_step:
            raise off_grid(quantity, grid.quantity_places, is_quantity=True)

    def client_id(self, call: Call, name: str) -> str:
        """Return the client's id of a new order, or make one up."""
        given = call.text(name)
        random = self.world.random
        return given or "".join(random.choice(LETTERS) for _ in range(CLIENT_ID_LENGTH))

    # Orders

    def shown(self, account: str, report: OrderReport) -> OrderReport:
        """Return an order as clients see it."""
        if not self.cut_short:
            return report
        update = report.update
        quantity = self.cut_short.get((account, update.client_id))
        if quantity is None:
            return report
        changes: dict[str, Any] = {"quantity": quantity}
        if update.state == "filled":
            changes.update(state="cancelled", reason=rejects.NO_LIQUIDITY)
        return msgspec.structs.replace(report, update=msgspec.structs.replace(update, **changes))

    def orders(
        self, account: str, symbol: str | None = None, *, open_only: bool = False
    ) -> list[OrderReport]:
        """Return all orders of an account, waiting ones included, oldest first."""
        reports = self.exchange.order_reports(account, symbol, open_only)
        return [self.shown(account, report) for report in reports]

    def find(
        self, call: Call, symbol: str, id_name: str, client_id_name: str, base: int
    ) -> OrderReport | None:
        """Return the order that a call names by one of its two ids; raises when it names none."""
        number, client_id = call.text(id_name), call.text(client_id_name)
        if not number and not client_id:
            raise BinanceError(-1102, IDS_MISSING.format(client_id_name, id_name))
        if number:
            venue_id = call.whole(id_name, 0) - base
            report = self.exchange.find_order(call.account, venue_id=str(venue_id))
        else:
            report = self.exchange.find_order(call.account, client_id=client_id)
        if report is None or (symbol and report.update.symbol != symbol):
            return None
        return self.shown(call.account, report)

    def find_order(self, call: Call) -> OrderReport | None:
        """Return the order that `orderId` or `origClientOrderId` names."""
        symbol = self.symbol(call)
        return self.find(call, symbol, "orderId", "origClientOrderId", ORDER_BASE)

    def find_algo(self, call: Call) -> OrderReport | None:
        """Return the conditional order that `algoId` or `clientAlgoId` names."""
        report = self.find(call, "", "algoId", "clientAlgoId", ALGO_BASE)
        return report if report is not None and is_conditional(report) else None

    def placed(self, account: str, client_id: str) -> OrderReport:
        """Return an order just placed."""
        report = self.exchange.find_order(account, client_id=client_id)
        if report is None:
            msg = f"order {client_id!r} was accepted and is not there"
            raise LookupError(msg)
        return self.shown(account, report)

    def check_not_refused(self, call: Call, symbol: str, side: int) -> None:
        """Refuse an order that a fault is to refuse."""
        rule = self.world.faults.take(
            "order_refused", path=call.place, symbol=symbol, account=call.account, side=side
        )
        if rule is not None:
            raise BinanceError(
                rule.code or -2019, rule.message or "Margin is insufficient.", rule.status or 400
            )
