"""What the engine was told of an account: nothing is told twice, nothing stays untold."""

from collections import Counter, OrderedDict
from decimal import Decimal
from typing import Final

import msgspec

from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    Message,
    OrderUpdate,
    PositionChanged,
)

ENDED: Final = ("filled", "cancelled", "rejected")
ENDED_KEPT: Final = 4096
"""Orders whose end is remembered, so that a late second end is not taken for news."""

NOTHING: Final = Decimal(0)


class AccountView:
    """The newest message told of every order, position and fill."""

    def __init__(self) -> None:
        self.fills: dict[str, Fill] = {}
        self.open_orders: dict[str, OrderUpdate] = {}
        """By the venue's id where it is known, else by the client's."""
        self.positions: dict[str, PositionChanged] = {}
        self.balance: BalanceChanged | None = None
        self.told: Counter[str] = Counter()
        """Symbol -> how many account events there were: what is read while it grows is old news."""
        self.repeats = 0
        """Messages that said nothing new about an ended order, a fill or a funding."""
        self._funding: set[tuple[str, int, Decimal]] = set()
        self._ended: OrderedDict[str, OrderUpdate] = OrderedDict()

    def take(self, message: Message) -> bool:
        """Take a message; False when it says nothing that was not told before."""
        is_news = self._is_news(message)
        if not is_news:
            self.repeats += 1
        elif (symbol := getattr(message, "symbol", "")) != "":
            self.told[symbol] += 1
        return is_news

    def _is_news(self, message: Message) -> bool:
        if isinstance(message, Fill):
            if message.fill_id in self.fills:
                return False
            self.fills[message.fill_id] = message
        elif isinstance(message, OrderUpdate):
            return self._take_order(message)
        elif isinstance(message, PositionChanged):
            self.positions[message.symbol] = message
        elif isinstance(message, BalanceChanged):
            self.balance = message
        elif isinstance(message, FundingPaid):
            # both sides of hedge mode pay at one moment, each its own
            paid = (message.symbol, message.at_ns, message.funding_usdt)
            if paid in self._funding:
                return False
            self._funding.add(paid)
        return True

    def _take_order(self, update: OrderUpdate) -> bool:
        key = key_of(update)
        ended = self._ended.get(key)
        if ended is not None and update.filled <= ended.filled:
            # a cancel that raced a fill ends an order twice; no end is taken back
            return False
        if update.state in ENDED:
            self.open_orders.pop(key, None)
            self.open_orders.pop(update.client_id, None)
            self._ended[key] = update
            if len(self._ended) > ENDED_KEPT:
                self._ended.popitem(last=False)
        else:
            self.open_orders[key] = update
        return True

    def placed(self, acknowledged: OrderUpdate) -> None:
        """Remember an order that the venue took, so that its end is looked for if it stays untold.

        It is not told by this: the stream may have said more of it already.
        """
        key = key_of(acknowledged)
        if acknowledged.state not in ENDED and key not in self._ended:
            self.open_orders.setdefault(key, acknowledged)

    def differs(self, position: PositionChanged) -> bool:
        """Tell whether a position as read is not the one last told; times aside."""
        told = self.positions.get(position.symbol)
        if told is None:
            return bool(position.quantity)
        return said(told) != said(position)

    def order_differs(self, update: OrderUpdate) -> bool:
        """Tell whether an open order as read is not the one last told."""
        told = self.open_orders.get(key_of(update))
        return told is None or (told.state, told.filled, told.quantity, told.trigger) != (
            update.state,
            update.filled,
            update.quantity,
            update.trigger,
        )


def key_of(update: OrderUpdate) -> str:
    """Return what an order is known by."""
    return update.venue_id or update.client_id


def said(position: PositionChanged) -> PositionChanged:
    """Return what a position says that matters: no time, no margin that moves with the mark."""
    return msgspec.structs.replace(position, at_ns=0, margin_usdt=NOTHING, liquidation=NOTHING)


def flat(told: PositionChanged, at_ns: int) -> PositionChanged:
    """Return the same symbol without a position."""
    return PositionChanged(
        told.symbol,
        at_ns,
        0,
        NOTHING,
        NOTHING,
        told.leverage,
        told.margin_mode,
        NOTHING,
        NOTHING,
        NOTHING,
        NOTHING,
        NOTHING,
    )
