"""Market orders above the venue's maximum, sent as several and heard as one.

Only what reduces is split: an entry never exceeds the maximum, because sizing caps it. The parts
carry the client id of the order with a number appended; what the venue says of them is put together
again, so that execution sees the one order it sent.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.instruments import Instrument
from hfengine.messages import Fill, OrderState, OrderUpdate
from hfengine.requests import OrderRequest

PARTS_MAX: Final = 99
"""Two digits are kept free at the end of a client id."""

MISSES_MAX: Final = 5
WHOLES_MAX: Final = 256
"""How many orders that went out in parts are remembered."""

NOTHING: Final = Decimal(0)
ENDED: Final = ("filled", "cancelled", "rejected")


def split_quantity(quantity: Decimal, instrument: Instrument) -> list[Decimal]:
    """Return market quantities that add up to `quantity`, none above the venue's maximum.

    They differ by at most one step, so none falls below the minimum that the whole met. Base
    quantity, on the instrument's step; raises ValueError for one off the grid or of 0 or less.
    """
    step = instrument.quantity_step
    steps, rest = divmod(quantity, step)
    if rest or steps <= 0:
        msg = f"{instrument.symbol}: {quantity} is no positive multiple of {step}"
        raise ValueError(msg)
    whole = int(steps)
    most = int(min(instrument.market_quantity_max, instrument.quantity_max) // step)
    parts = -(-whole // most)
    if parts > PARTS_MAX:
        msg = f"{instrument.symbol}: {quantity} needs {parts} orders, more than {PARTS_MAX}"
        raise ValueError(msg)
    least, larger = divmod(whole, parts)
    return [step * (least + (part < larger)) for part in range(parts)]


class SplitOrder:
    """One order and the parts it was sent as."""

    def __init__(self, request: OrderRequest, instrument: Instrument) -> None:
        """Split `request`; raises ValueError as `split_quantity`."""
        self.request = request
        quantities = split_quantity(request.quantity, instrument)
        self.parts = tuple(
            msgspec.structs.replace(request, client_id=f"{request.client_id}{n}", quantity=quantity)
            for n, quantity in enumerate(quantities, 1)
        )
        self._heard: dict[str, OrderUpdate] = {}
        self._told: dict[str, OrderUpdate] = {}
        """What of that came as news: an end that only an answer told is not told before it."""
        self._told_end: OrderUpdate | None = None
        self._refused: dict[str, str] = {}
        self._missing: Counter[str] = Counter()

    def hear(self, update: OrderUpdate) -> OrderUpdate:
        """Take what the venue says of a part; return the whole. An end is never taken back."""
        _keep(self._heard, update)
        return self.whole()

    def tell(self, update: OrderUpdate) -> OrderUpdate | None:
        """Take news of a part; return what it makes news of the whole.

        The end is told once, with the last part's; again only where more was filled than that said.
        """
        _keep(self._heard, update)
        _keep(self._told, update)
        whole = self._whole_of(self._told)
        end = self._told_end
        if end is not None and whole.filled <= end.filled:
            return None
        if whole.state in ENDED:
            self._told_end = whole
        return whole

    def refuse(self, client_id: str, reason: str) -> None:
        """Take that the venue certainly did not take a part."""
        self._refused[client_id] = reason

    def miss(self, client_id: str) -> None:
        """Take that the venue does not know a part; after MISSES_MAX times it never will."""
        self._missing[client_id] += 1
        if self._missing[client_id] >= MISSES_MAX:
            self.refuse(client_id, "not_placed")

    @property
    def is_heard(self) -> bool:
        """Tell whether the venue has said anything of any part."""
        return bool(self._heard)

    def whole(self) -> OrderUpdate:
        """Return the parts as one order; it ends when all parts ended."""
        return self._whole_of(self._heard)

    def _whole_of(self, parts: Mapping[str, OrderUpdate]) -> OrderUpdate:
        newest = max(parts.values(), key=lambda update: update.at_ns)
        filled = sum((update.filled for update in parts.values()), NOTHING)
        reasons = [*(update.reason for update in parts.values()), *self._refused.values()]
        return msgspec.structs.replace(
            newest,
            venue_id="",
            client_id=self.request.client_id,
            quantity=self.request.quantity,
            filled=filled,
            state=self._state(parts, filled),
            reason=next(filter(None, reasons), ""),
        )

    def part_fill(self, fill: Fill) -> Fill:
        """Return a part's fill as one of the whole."""
        return msgspec.structs.replace(fill, client_id=self.request.client_id)

    def _state(self, parts: Mapping[str, OrderUpdate], filled: Decimal) -> OrderState:
        ended = {update.client_id for update in _ended(parts.values())}
        never = self._refused.keys() - self._heard.keys()
        if len(ended) + len(never) < len(self.parts):
            return "partially_filled" if filled else "new"
        if filled == self.request.quantity:
            return "filled"
        states = {update.state for update in parts.values()}
        return "rejected" if states == {"rejected"} and not filled else "cancelled"


def _keep(known: dict[str, OrderUpdate], update: OrderUpdate) -> None:
    """Remember an update of a part, unless it takes an end back."""
    before = known.get(update.client_id)
    if before is None or before.state not in ENDED or update.filled > before.filled:
        known[update.client_id] = update


def _ended(updates: Iterable[OrderUpdate]) -> Iterable[OrderUpdate]:
    return (update for update in updates if update.state in ENDED)


class Splitter:
    """The orders of one account that went out in parts, newest last."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._wholes: dict[str, SplitOrder] = {}
        self._of_part: dict[str, SplitOrder] = {}

    def must_split(self, request: OrderRequest) -> bool:
        """Tell whether an order reduces by more than the venue takes in one market order."""
        instrument = self._instruments.get(request.symbol)
        if instrument is None or request.kind != "market" or not request.reduce_only:
            return False
        return request.quantity > min(instrument.market_quantity_max, instrument.quantity_max)

    async def place(
        self,
        request: OrderRequest,
        send: Callable[[OrderRequest], Awaitable[OrderUpdate]],
    ) -> OrderUpdate:
        """Send all parts at once; return the whole as far as it is known.

        Raises the first refusal when every part was refused; VenueUnknown when the outcome of one
        is open: `look_up` then tells.
        """
        try:
            whole = SplitOrder(request, self._instruments[request.symbol])
        except ValueError as error:
            raise VenueRejected("bad_order", str(error)) from None
        self._remember(whole)
        outcomes = await asyncio.gather(*map(send, whole.parts), return_exceptions=True)
        first: VenueRejected | VenueUnavailable | None = None
        lost: BaseException | None = None
        for part, outcome in zip(whole.parts, outcomes, strict=True):
            if isinstance(outcome, OrderUpdate):
                whole.hear(outcome)
            elif isinstance(outcome, VenueRejected | VenueUnavailable):
                whole.refuse(part.client_id, str(outcome))
                first = first or outcome
            else:
                lost = outcome
        if lost is not None:
            raise lost
        if not whole.is_heard:
            raise first or VenueUnknown(request.client_id)
        return whole.whole()

    async def look_up(
        self,
        whole: SplitOrder,
        look: Callable[[str, str], Awaitable[OrderUpdate | None]],
    ) -> OrderUpdate | None:
        """Ask for every part; None when the venue knows none of them."""
        for part in whole.parts:
            update = await look(part.symbol, part.client_id)
            if update is not None:
                whole.hear(update)
            else:
                whole.miss(part.client_id)
        return whole.whole() if whole.is_heard else None

    def find(self, client_id: str) -> SplitOrder | None:
        """Return the order of this id if it was sent in parts."""
        return self._wholes.get(client_id)

    def order(self, update: OrderUpdate) -> OrderUpdate | None:
        """Return what is to be told of an update: the whole, where it is of a part, or nothing."""
        whole = self._of_part.get(update.client_id)
        return update if whole is None else whole.tell(update)

    def fill(self, fill: Fill) -> Fill:
        """Return what is to be told of a fill."""
        whole = self._of_part.get(fill.client_id)
        return fill if whole is None else whole.part_fill(fill)

    def listed(self, updates: Iterable[OrderUpdate]) -> list[OrderUpdate]:
        """Return open orders as read, parts put together to the order they are of."""
        found: dict[str, OrderUpdate] = {}
        for update in updates:
            whole = self._of_part.get(update.client_id)
            shown = update if whole is None else whole.hear(update)
            key = update.venue_id if whole is None else shown.client_id
            found[key or update.client_id] = shown
        return list(found.values())

    def _remember(self, whole: SplitOrder) -> None:
        self._wholes[whole.request.client_id] = whole
        for part in whole.parts:
            self._of_part[part.client_id] = whole
        while len(self._wholes) > WHOLES_MAX:
            oldest = self._wholes.pop(next(iter(self._wholes)))
            for part in oldest.parts:
                self._of_part.pop(part.client_id, None)
