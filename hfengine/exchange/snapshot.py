"""The whole exchange as rows of plain JSON, and back, exactly.

A dump is {"version", "head", and a list of rows for every table of KEYS}; a row is found again by
its key fields. Money is USDT and prices are decimal texts, quantities steps, prices on the grid
ticks. `Saver.changes` gives the rows that are new or changed since it was last asked, so that
`merged(dump, changes)` is the dump of now: a store writes a few rows per call, whatever the
history. The outside books are the feed's: attach them again.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hfengine.exchange.account import Account
from hfengine.exchange.market import NEVER_NS, Market
from hfengine.exchange.orders import Order
from hfengine.exchange.positions import Position

if TYPE_CHECKING:
    from hfengine.exchange.base import ExchangeBase

Row = dict[str, Any]
Dumped = dict[str, Any]

VERSION: Final = 1
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "accounts": ("name",),
    "markets": ("symbol",),
    "positions": ("account", "symbol", "slot"),
    "orders": ("venue_id",),
    "fills": ("fill_id",),
    "ledger": ("account", "number"),
}
"""The tables, and the fields that name a row in each."""


def merged(dumped: Dumped, changes: Dumped) -> Dumped:
    """Return a dump with later changes in it."""
    result: Dumped = {"version": changes["version"], "head": changes["head"]}
    for table, fields in KEYS.items():
        rows: dict[tuple[Any, ...], Row] = {}
        for row in (*dumped[table], *changes[table]):
            rows[tuple(row[field] for field in fields)] = row
        result[table] = list(rows.values())
    return result


class Saver:
    """Remembers what of an exchange was given out already."""

    __slots__ = ("_exchange", "_fills", "_ledger", "_markets", "_names", "_positions")

    def __init__(self, exchange: "ExchangeBase") -> None:
        self._exchange = exchange
        self._names: dict[str, str] = {}
        self._markets: dict[str, tuple[Any, ...]] = {}
        self._positions: dict[Position, tuple[Any, ...]] = {}
        self._fills: dict[str, int] = {}
        self._ledger: dict[str, int] = {}

    def changes(self, orders: Iterable[Order]) -> Dumped:
        """Return what changed, with these orders; the first time everything but orders."""
        exchange = self._exchange
        accounts = exchange._accounts.values()
        return {
            "version": VERSION,
            "head": head_row(exchange),
            "accounts": list(self._changed_accounts(accounts)),
            "markets": list(self._changed_markets(exchange._markets.values())),
            "positions": list(self._changed_positions(accounts)),
            "orders": [order_row(order) for order in orders],
            "fills": list(self._new_fills(accounts)),
            "ledger": list(self._new_entries(accounts)),
        }

    def _changed_accounts(self, accounts: Iterable[Account]) -> Iterator[Row]:
        for number, account in enumerate(accounts):
            if self._names.get(account.name) != account.position_mode:
                self._names[account.name] = account.position_mode
                mode = account.position_mode
                yield {"name": account.name, "number": number, "position_mode": mode}

    def _changed_markets(self, markets: Iterable[Market]) -> Iterator[Row]:
        for market in markets:
            symbol = market.instrument.symbol
            state = _market_state(market)
            if self._markets.get(symbol) != state:
                self._markets[symbol] = state
                yield market_row(market)

    def _changed_positions(self, accounts: Iterable[Account]) -> Iterator[Row]:
        for account in accounts:
            for number, position in enumerate(account.positions.values()):
                state = _position_state(position)
                if self._positions.get(position) != state:
                    self._positions[position] = state
                    yield position_row(position, number)

    def _new_fills(self, accounts: Iterable[Account]) -> Iterator[Row]:
        is_detailed = self._exchange._clearing.detailed
        for account in accounts:
            kept = account.fill_reports if is_detailed else account.fills
            start = self._fills.get(account.name, 0)
            self._fills[account.name] = len(kept)
            for offset, one in enumerate(kept[start:], start):
                fill_id = account.fills[offset].fill_id
                body = msgspec.to_builtins(one)
                yield {"account": account.name, "fill_id": fill_id, "message": body}

    def _new_entries(self, accounts: Iterable[Account]) -> Iterator[Row]:
        for account in accounts:
            entries = account.ledger.entries
            start = self._ledger.get(account.name, 0)
            self._ledger[account.name] = len(entries)
            for number, entry in enumerate(entries[start:], start):
                yield {
                    "account": account.name,
                    "number": number,
                    "at_ns": entry.at_ns,
                    "kind": entry.kind,
                    "symbol": entry.symbol,
                    "change_usdt": f"{entry.change_usdt:f}",
                }


def head_row(exchange: "ExchangeBase") -> Row:
    """Return the clock, the counters and the events that nobody drained yet."""
    clearing = exchange._clearing
    return {
        "detailed": clearing.detailed,
        "now_ns": exchange._now_ns,
        "orders": clearing.order_count,
        "fills": clearing.fill_count,
        "protections": exchange._protection_count,
        "forced": exchange._liquidator.count,
        "events": [[account, msgspec.to_builtins(event)] for account, event in clearing.events],
    }


def market_row(market: Market) -> Row:
    """Return a market: its grid, prices, what was taken, and who rests in which order."""
    due_ns = market.funding_due_ns
    return {
        "symbol": market.instrument.symbol,
        "price_tick": str(market.instrument.price_tick),
        "quantity_step": str(market.instrument.quantity_step),
        "mark": str(market.mark),
        "index": str(market.index),
        "last_ticks": market.last_ticks,
        "funding_rate": str(market.funding_rate),
        "funding_due_ns": 0 if due_ns == NEVER_NS else due_ns,
        "regime": market.regime,
        "starved": market.starved,
        "taken": [[*level, *taken] for level, taken in market.taken.items()],
        "resting": [list(one) for one in _resting_state(market)],
        "holders": list(market.holders),
    }


def position_row(position: Position, number: int) -> Row:
    """Return a position with its settings; `number` is its place among the account's."""
    usdt = position.market.unit.usdt
    return {
        "account": position.account.name,
        "symbol": position.market.instrument.symbol,
        "slot": position.slot,
        "number": number,
        "leverage": position.leverage,
        "margin_mode": position.margin_mode,
        "steps": position.steps,
        "cost_usdt": f"{usdt(position.cost_units):f}",
        "margin_usdt": f"{usdt(position.margin_units):f}",
        "opened_ns": position.opened_ns,
        "realised_usdt": f"{usdt(position.realised_units):f}",
        "realised_total_usdt": f"{usdt(position.realised_total_units):f}",
        "resting": [order.venue_id for order in position.resting.values()],
    }


def order_row(order: Order) -> Row:
    """Return an order; `waiting` is armed for its trigger, `pending` has protection to attach."""
    usdt = order.market.unit.usdt
    return {
        "venue_id": order.venue_id,
        "account": order.account.name,
        "symbol": order.market.instrument.symbol,
        "slot": order.slot,
        "client_id": order.client_id,
        "kind": order.kind,
        "side": order.side,
        "state": order.state,
        "reason": order.reason,
        "created_ns": order.created_ns,
        "at_ns": order.at_ns,
        "triggered_ns": order.triggered_ns,
        "quantity_steps": order.quantity_steps,
        "filled_steps": order.filled_steps,
        "limit_ticks": order.limit_ticks,
        "tif": order.tif,
        "reduce_only": order.reduce_only,
        "close_position": order.close_position,
        "expires_with_position": order.expires_with_position,
        "trigger_ticks": order.trigger_ticks,
        "trigger_by": order.trigger_by,
        "carried": None if order.carried is None else list(order.carried),
        "pending": order.attachment is not None,
        "attached": order.attached,
        "partial": order.partial,
        "parent_id": order.parent_id,
        "cost_usdt": f"{usdt(order.cost_units):f}",
        "fee_usdt": f"{usdt(order.fee_units):f}",
        "waiting": order.is_open and order.is_waiting,
    }


def _resting_state(market: Market) -> tuple[tuple[str, str, int], ...]:
    """Return (account, venue id, queue ahead) of every resting order, each queue in its order."""
    return tuple(
        (order.account.name, order.venue_id, order.ahead_steps)
        for side in (1, -1)
        for queue in market.resting(side).levels.values()
        for order in queue
    )


def _market_state(market: Market) -> tuple[Any, ...]:
    return (
        market.mark,
        market.index,
        market.last_ticks,
        market.funding_rate,
        market.funding_due_ns,
        market.regime,
        market.starved,
        tuple(market.taken.items()),
        _resting_state(market),
        tuple(market.holders),
    )


def _position_state(position: Position) -> tuple[Any, ...]:
    return (
        position.leverage,
        position.margin_mode,
        position.steps,
        position.cost_units,
        position.margin_units,
        position.opened_ns,
        position.realised_units,
        position.realised_total_units,
        tuple(position.resting),
    )
