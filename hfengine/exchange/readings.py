"""What accounts can read: orders, positions, fills, balances, the ledger."""

from bisect import bisect_right

from hfengine.exchange.base import ExchangeBase
from hfengine.exchange.ledger import Ledger
from hfengine.exchange.reports import (
    FillReport,
    OrderReport,
    PositionReport,
    balance_changed,
    order_report,
    position_changed,
    position_report,
)
from hfengine.messages import BalanceChanged, Fill, OrderUpdate, PositionChanged
from hfengine.requests import Slot


class Readings(ExchangeBase):
    """Reads of an account; the plain ones as messages, the detailed ones as reports."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts, in the order they were opened."""
        return tuple(self._accounts)

    def order(self, account: str, symbol: str, client_id: str) -> OrderUpdate | None:
        """Return any order the account ever had accepted, None when there was none."""
        order = self._account(account).orders.get(client_id)
        if order is None or order.market is not self._market(symbol):
            return None
        return order.update()

    def find_order(
        self, account: str, *, client_id: str = "", venue_id: str = ""
    ) -> OrderReport | None:
        """Return any order ever accepted by one of its ids, `client_id` first if both are given."""
        owner = self._account(account)
        order = owner.orders.get(client_id) if client_id else owner.by_venue_id.get(venue_id)
        return None if order is None else order_report(order)

    def open_orders(self, account: str, symbol: str | None = None) -> list[OrderUpdate]:
        """Return open orders, oldest first: resting, conditional and attached."""
        orders = self._account(account).open.values()
        market = None if symbol is None else self._market(symbol)
        return [one.update() for one in orders if market is None or one.market is market]

    def order_reports(
        self, account: str, symbol: str | None = None, open_only: bool = False
    ) -> list[OrderReport]:
        """Return orders, oldest first: all ever accepted, or the open ones."""
        owner = self._account(account)
        orders = (owner.open if open_only else owner.orders).values()
        market = None if symbol is None else self._market(symbol)
        return [order_report(one) for one in orders if market is None or one.market is market]

    def positions(self, account: str) -> list[PositionChanged]:
        """Return the positions that are not flat."""
        held = self._account(account).held()
        return [position_changed(position, self._now_ns) for position in held]

    def position(self, account: str, symbol: str, slot: Slot = "net") -> PositionChanged:
        """Return a position, also when flat."""
        return position_changed(self._position(account, symbol, slot), self._now_ns)

    def position_reports(self, account: str, symbol: str | None = None) -> list[PositionReport]:
        """Return the positions that are not flat; of a symbol every slot, flat or not."""
        owner = self._account(account)
        found = owner.held() if symbol is None else owner.positions_in(self._market(symbol))
        return [position_report(position, self._now_ns) for position in found]

    def balance(self, account: str) -> BalanceChanged:
        """Return wallet, equity, free and maintenance margin at the current marks."""
        return balance_changed(self._account(account), self._now_ns)

    def fills(self, account: str, after: int = 0) -> list[Fill]:
        """Return fills in order, those whose `fill_id` is above the cursor `after`."""
        fills = self._account(account).fills
        return fills[bisect_right(fills, after, key=lambda fill: int(fill.fill_id)) :]

    def fill_reports(
        self, account: str, symbol: str | None = None, after: int = 0
    ) -> list[FillReport]:
        """Return fills in order, those whose `fill_id` is above the cursor `after`.

        Raises RuntimeError in an exchange that is not detailed: it does not keep them.
        """
        if not self._clearing.detailed:
            msg = "fill_reports wants Exchange(..., detailed=True)"
            raise RuntimeError(msg)
        kept = self._account(account).fill_reports
        start = bisect_right(kept, after, key=lambda report: int(report.fill.fill_id))
        if symbol is None:
            return kept[start:]
        self._market(symbol)
        return [report for report in kept[start:] if report.fill.symbol == symbol]

    def ledger(self, account: str) -> Ledger:
        """Return the account's ledger; read it, do not post to it."""
        return self._account(account).ledger
