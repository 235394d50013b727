"""The simulated exchange's front: market data and requests in, events out, on virtual time.

Linear USDT contracts, one-way or hedge positions. Every call takes `now_ns`; nothing here reads a
clock, draws a number or waits. Executions, like public prints, move the last price; liquidations
and auto-deleveraging do not. Conditional orders that a user places survive their position, as on
Binance, unless they expire with it; protection attached to a position lives and dies with it, as
on Bybit.
"""

from collections.abc import Sequence
from typing import Self

from hfengine.exchange.account_settings import AccountSettings
from hfengine.exchange.faults import Faults
from hfengine.exchange.feeding import Feeding
from hfengine.exchange.protecting import Protecting
from hfengine.exchange.readings import Readings
from hfengine.exchange.restoring import restore_into
from hfengine.exchange.snapshot import Dumped, Saver
from hfengine.exchange.trading import Trading
from hfengine.instruments import Instrument


class Exchange(Feeding, AccountSettings, Trading, Protecting, Readings, Faults):
    """Accounts trading instruments against outside books and each other.

    Requests raise VenueRejected with a reason of rejects.py. What an accepted order does is told
    by the events of `drain`, in order: OrderUpdate, Fill, PositionChanged, or with `detailed`
    OrderReport, FillReport, PositionReport; and BalanceChanged, LeverageChanged, FundingPaid.
    """

    _saver: Saver | None = None

    def dump(self) -> Dumped:
        """Return everything as plain JSON structures, in the form of snapshot.py."""
        orders = [order for one in self._accounts.values() for order in one.orders.values()]
        return Saver(self).changes(orders)

    def changes(self) -> Dumped:
        """Return the rows of `dump` that are new or changed since the last call (at first: all).

        Needs a detailed exchange; raises RuntimeError otherwise.
        """
        clearing = self._clearing
        if not clearing.detailed:
            msg = "changes wants Exchange(..., detailed=True)"
            raise RuntimeError(msg)
        if self._saver is None:
            self._saver = Saver(self)
        orders, clearing.changed_orders = clearing.changed_orders, {}
        return self._saver.changes(orders)

    @classmethod
    def restore(
        cls, instruments: Sequence[Instrument], dumped: Dumped, detailed: bool = False
    ) -> Self:
        """Return an exchange that goes on where a dump was taken; attach the outside books again.

        Raises ValueError when the dump does not fit: another version, too little detail, a symbol
        that is not listed or has another grid.
        """
        exchange = cls(instruments, detailed=detailed)
        restore_into(exchange, dumped)
        if detailed:
            exchange.changes()
        return exchange
