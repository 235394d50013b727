"""Positions on Binance as the engine wants them told: with leverage, cover and liquidation.

The venue tells positions, conditional orders and leverage apart, and liquidation prices by REST
only. `PositionBook` keeps the newest of each and puts them together; it does no I/O.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from hfengine.exchange.margin import binance_liquidation_price
from hfengine.instruments import Instrument, RiskTier
from hfengine.messages import OrderKind, PositionChanged
from hfengine.requests import LeverageSetting
from hfengine.venues.binance_rows import KINDS, MS_NS, NOTHING, Row, algo_type, number, side_of

ONE_WAY: Final = "BOTH"
ENDED_MAX: Final = 4096
"""How many ended conditional orders are remembered: a reading begun earlier may still list them."""

CLOCK_ERROR_MS: Final = 50
"""The venue's time is known about so well: what it told so shortly before a reading began may have
happened after."""

WAITING: Final = ("NEW", "TRIGGERING", "TRIGGERED")
CLOSING: Final = ("STOP_MARKET", "TAKE_PROFIT_MARKET")
"""Types that surely execute once triggered; limit and trailing forms cover nothing."""


class Held(Struct, frozen=True, kw_only=True):
    """One position of a symbol; `quantity` is signed, `slot` is BOTH, LONG or SHORT."""

    symbol: str
    slot: str
    quantity: Decimal
    entry: Decimal
    margin_usdt: Decimal
    """What is held apart (isolated); 0 in cross margin."""
    isolated: bool
    at_ns: int
    unrealised_usdt: Decimal = NOTHING
    liquidation: Decimal | None = None
    """As the venue computed it; None when it was not read since the last change."""

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.quantity > 0) - (self.quantity < 0)


class AlgoOrder(Struct, frozen=True, kw_only=True):
    """One waiting conditional order. `quantity` is 0 when it closes the whole position."""

    algo_id: str
    client_id: str
    symbol: str
    slot: str
    kind: OrderKind
    side: int
    trigger: Decimal
    quantity: Decimal
    closes_all: bool
    reduces: bool
    sure: bool
    """Whether it executes for certain once triggered."""
    by_mark: bool
    """Whether the mark price triggers it, as it does a liquidation; else the last price."""
    created_ms: int


class Leg(NamedTuple):
    """One side of a position's protection: how much of it, and where the last of that goes."""

    covered: Decimal
    trigger: Decimal
    orders: tuple[AlgoOrder, ...]


def held_of_event(row: Row, at_ns: int) -> Held:
    """Return a position of an ACCOUNT_UPDATE."""
    isolated = row.get("mt") == "isolated"
    return Held(
        symbol=row["s"],
        slot=row.get("ps", ONE_WAY),
        quantity=number(row["pa"]),
        entry=number(row["ep"]),
        margin_usdt=number(row.get("iw")) if isolated else NOTHING,
        isolated=isolated,
        at_ns=at_ns,
        unrealised_usdt=number(row.get("up")),
    )


def held_of_row(row: Row, isolated: bool) -> Held:
    """Return a position of v3/positionRisk, which says nothing of the margin mode itself."""
    return Held(
        symbol=row["symbol"],
        slot=row.get("positionSide", ONE_WAY),
        quantity=number(row["positionAmt"]),
        entry=number(row["entryPrice"]),
        margin_usdt=number(row.get("isolatedWallet")) if isolated else NOTHING,
        isolated=isolated,
        at_ns=int(row.get("updateTime") or 0) * MS_NS,
        unrealised_usdt=number(row.get("unRealizedProfit")),
        liquidation=max(number(row.get("liquidationPrice")), NOTHING),
    )


def algo_of(row: Row) -> AlgoOrder:
    """Return a conditional order from REST."""
    closes_all = bool(row.get("closePosition"))
    slot = row.get("positionSide", ONE_WAY)
    name, side = algo_type(row), side_of(row["side"])
    # in hedge mode nothing is reduce-only: an order against its slot is
    takes = (side < 0) == (slot == "LONG") if slot != ONE_WAY else bool(row.get("reduceOnly"))
    return AlgoOrder(
        algo_id=str(row["algoId"]),
        client_id=row.get("clientAlgoId", ""),
        symbol=row["symbol"],
        slot=slot,
        kind=KINDS.get(name, "stop_market"),
        side=side,
        trigger=number(row.get("triggerPrice")),
        quantity=NOTHING if closes_all else number(row.get("quantity")),
        closes_all=closes_all,
        reduces=closes_all or takes,
        # with price protection the venue drops it when last and mark are far apart
        sure=name in CLOSING and not row.get("priceProtect"),
        by_mark=row.get("workingType") == "MARK_PRICE",
        created_ms=int(row.get("createTime") or 0),
    )


def algo_of_push(event: Row) -> AlgoOrder:
    """Return the conditional order of an ALGO_UPDATE."""
    order = event["o"]
    return algo_of(
        {
            "algoId": order["aid"],
            "clientAlgoId": order["caid"],
            "symbol": order["s"],
            "positionSide": order.get("ps", ONE_WAY),
            "orderType": order["o"],
            "side": order["S"],
            "triggerPrice": order.get("tp"),
            "quantity": order.get("q"),
            "closePosition": order.get("cp"),
            "reduceOnly": order.get("R"),
            "priceProtect": order.get("pP"),
            "workingType": order.get("wt"),
            "createTime": event["T"],
        }
    )


class PositionBook:
    """What is known of the account's positions; the newest word on each wins."""

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self._held: dict[tuple[str, str], Held] = {}
        self._algos: dict[str, dict[str, AlgoOrder]] = {}
        self._ended: dict[str, None] = {}
        self._triggered: set[str] = set()
        self._settings: dict[str, LeverageSetting] = {}
        self.cross_wallet_usdt = NOTHING

    # what is told

    def take_setting(self, setting: LeverageSetting) -> None:
        """Take a symbol's leverage and margin mode as read."""
        self._settings[setting.symbol] = setting

    def take_leverage(self, symbol: str, leverage: int) -> bool:
        """Take a leverage alone; return whether it is another one than known."""
        known = self._settings.get(symbol)
        mode = "isolated" if known is None else known.margin_mode
        self._settings[symbol] = LeverageSetting(symbol, leverage, mode)
        return known is None or known.leverage != leverage

    def hear_position(self, held: Held) -> bool:
        """Take a position as pushed; return whether it just went flat."""
        key = held.symbol, held.slot
        before = self._held.get(key)
        if before is not None and before.at_ns > held.at_ns:
            return False
        same = before is not None and (before.quantity, before.entry, before.margin_usdt) == (
            held.quantity,
            held.entry,
            held.margin_usdt,
        )
        if same and before is not None:
            held = replace(held, liquidation=before.liquidation)
        self._held[key] = held
        return before is not None and bool(before.quantity) and not held.quantity

    def hear_algo(self, order: AlgoOrder, status: str) -> None:
        """Take a conditional order as pushed or acknowledged; an end is never taken back."""
        if order.algo_id in self._ended:
            return
        known = self._algos.setdefault(order.symbol, {})
        if status in WAITING:
            known.setdefault(order.algo_id, order)
            if status != WAITING[0]:
                self._triggered.add(order.algo_id)
            return
        known.pop(order.algo_id, None)
        self._end(order.algo_id)

    def is_triggered(self, order: AlgoOrder) -> bool:
        """Tell whether a conditional order is being executed: it can no longer be cancelled."""
        return order.algo_id in self._triggered

    def forget_algo(self, order: AlgoOrder) -> None:
        """Take that the venue does not have a conditional order any more."""
        self._algos.get(order.symbol, {}).pop(order.algo_id, None)
        self._end(order.algo_id)

    def _end(self, algo_id: str) -> None:
        self._triggered.discard(algo_id)
        self._ended[algo_id] = None
        while len(self._ended) > ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    def read(
        self,
        positions: Sequence[Row],
        algos: Sequence[Row],
        *,
        began_ns: int,
        symbol: str | None = None,
    ) -> None:
        """Take positions and conditional orders as read; `began_ns` is the venue's time before.

        What the stream told of later than that outweighs the reading. `symbol` says what was
        asked for; None is all.
        """
        began_ns -= CLOCK_ERROR_MS * MS_NS
        listed = set()
        for row in positions:
            name = row["symbol"]
            setting = self._settings.get(name)
            told = str(row.get("marginType", "")).lower()
            isolated = told == "isolated" if told else setting is None or _is_isolated(setting)
            held = held_of_row(row, isolated)
            key = held.symbol, held.slot
            listed.add(key)
            before = self._held.get(key)
            if before is None or before.at_ns <= max(held.at_ns, began_ns):
                self._held[key] = held
        for key, before in self._held.items():
            asked = symbol is None or key[0] == symbol
            if asked and key not in listed and before.at_ns <= began_ns and before.quantity:
                self._held[key] = _flat(before, began_ns)
        self._read_algos([algo_of(row) for row in algos], began_ns, symbol)

    def _read_algos(self, orders: Iterable[AlgoOrder], began_ns: int, symbol: str | None) -> None:
        names = list(self._algos) if symbol is None else [symbol]
        for name in names:
            known = self._algos.get(name, {})
            # what was made after the reading began cannot be in it
            self._algos[name] = {k: v for k, v in known.items() if v.created_ms * MS_NS > began_ns}
        for order in orders:
            if order.algo_id not in self._ended:
                self._algos.setdefault(order.symbol, {})[order.algo_id] = order

    # what is made of it

    def setting_of(self, symbol: str) -> LeverageSetting | None:
        """Return a symbol's leverage and margin mode as last heard."""
        return self._settings.get(symbol)

    def held(self, symbol: str) -> Held | None:
        """Return a symbol's position, the larger one where long and short are both open."""
        several = [held for key, held in self._held.items() if key[0] == symbol]
        return max(several, key=lambda held: abs(held.quantity), default=None)

    def is_two_sided(self, symbol: str) -> bool:
        """Tell whether long and short are both open: the engine knows one position a symbol."""
        several = [held for key, held in self._held.items() if key[0] == symbol]
        return sum(1 for held in several if held.quantity) > 1

    def is_open(self, symbol: str, slot: str) -> bool:
        """Tell whether there is a position in a slot."""
        held = self._held.get((symbol, slot))
        return held is not None and bool(held.quantity)

    def is_flat(self, symbol: str) -> bool:
        """Tell whether a symbol has no position in any slot."""
        return not any(held.quantity for key, held in self._held.items() if key[0] == symbol)

    def open_symbols(self) -> list[str]:
        """Return the symbols with a position."""
        return list(dict.fromkeys(key[0] for key, held in self._held.items() if held.quantity))

    def reducing(self, symbol: str) -> list[AlgoOrder]:
        """Return a symbol's waiting orders that can only close: of no use when it is flat."""
        return [order for order in self._algos.get(symbol, {}).values() if order.reduces]

    def leg(self, held: Held, kind: OrderKind) -> Leg:
        """Return a position's stop or target: orders by distance, the nearest first.

        `trigger` is where the last of what is covered goes.
        """
        orders = [
            order
            for order in self.reducing(held.symbol)
            if order.kind == kind and order.side == -held.side and order.slot == held.slot
        ]
        nearest_first = held.side if kind == "take_profit_market" else -held.side
        orders.sort(key=lambda order: nearest_first * order.trigger)
        quantity, covered, trigger = abs(held.quantity), NOTHING, NOTHING
        for order in orders:
            if order.sure and covered < quantity:
                part = quantity if order.closes_all else order.quantity
                covered, trigger = min(quantity, covered + part), order.trigger
        return Leg(covered, trigger, tuple(orders))

    def changed(self, symbol: str, at_ns: int = 0) -> PositionChanged:
        """Return a symbol's position with everything that belongs to it."""
        held = self.held(symbol)
        setting = self._settings.get(symbol)
        leverage = setting.leverage if setting is not None else 0
        if held is None or not held.quantity:
            mode = setting.margin_mode if setting is not None else ""
            at_ns = at_ns or (held.at_ns if held is not None else 0)
            return PositionChanged(
                symbol, at_ns, 0, NOTHING, NOTHING, leverage, mode, *(NOTHING,) * 5
            )
        stop, target = self.leg(held, "stop_market"), self.leg(held, "take_profit_market")
        quantity = abs(held.quantity)
        margin_usdt = held.margin_usdt
        if not held.isolated and leverage:
            margin_usdt = quantity * held.entry / leverage
        return PositionChanged(
            symbol,
            at_ns or held.at_ns,
            held.side,
            quantity,
            held.entry,
            leverage,
            "isolated" if held.isolated else "cross",
            margin_usdt,
            self._liquidation(held),
            stop.trigger,
            target.trigger,
            stop.covered,
        )

    def _liquidation(self, held: Held) -> Decimal:
        if held.liquidation is not None:
            return held.liquidation
        instrument = self._instruments.get(held.symbol)
        if instrument is None:
            return NOTHING
        wallet_usdt, maintenance_usdt, unrealised_usdt = held.margin_usdt, NOTHING, NOTHING
        if not held.isolated:
            others = [
                one
                for one in self._held.values()
                if one is not held and one.quantity and not one.isolated
            ]
            wallet_usdt = self.cross_wallet_usdt
            maintenance_usdt = sum(map(self._maintenance_usdt, others), NOTHING)
            unrealised_usdt = sum((one.unrealised_usdt for one in others), NOTHING)
        price = binance_liquidation_price(
            held.side,
            abs(held.quantity),
            held.entry,
            wallet_usdt,
            instrument.tiers,
            other_maintenance_usdt=maintenance_usdt,
            other_unrealised_usdt=unrealised_usdt,
        )
        return price.quantize(instrument.price_tick / 100)

    def _maintenance_usdt(self, held: Held) -> Decimal:
        instrument = self._instruments.get(held.symbol)
        if instrument is None:
            return NOTHING
        notional_usdt = abs(held.quantity) * held.entry
        tier: RiskTier = instrument.tier_at(notional_usdt) or instrument.tiers[-1]
        return notional_usdt * tier.maintenance_rate - tier.deduction_usdt


def _is_isolated(setting: LeverageSetting) -> bool:
    return setting.margin_mode == "isolated"


def _flat(held: Held, at_ns: int) -> Held:
    return Held(
        symbol=held.symbol,
        slot=held.slot,
        quantity=NOTHING,
        entry=NOTHING,
        margin_usdt=NOTHING,
        isolated=held.isolated,
        at_ns=at_ns,
    )
