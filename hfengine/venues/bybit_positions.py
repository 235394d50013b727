"""Bybit's positions put together: a row for each side, and the stops that no row shows.

In hedge mode a symbol has two rows, and pushes name the flat one too; the engine hears of one
position a symbol: the side that is held.
"""

from collections.abc import Iterable
from typing import Final

from hfengine.messages import PositionChanged
from hfengine.venues import bybit_rows as rows

OPEN: Final = ("Untriggered", "Triggered")
LAG_MAX_MS: Final = 2_000


class Positions:
    """The newest rows of one account's symbols."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, rows.Row]] = {}
        """Symbol -> positionIdx -> its row."""
        self._stops: dict[str, dict[str, rows.Row]] = {}
        """Symbol -> open reduce-only stops that belong to no position row, by order id."""

    def take(self, row: rows.Row) -> None:
        """Take a position row."""
        self._rows.setdefault(row["symbol"], {})[int(row.get("positionIdx") or 0)] = row

    def take_all(self, listed: Iterable[rows.Row], now_ms: int) -> None:
        """Take the list of all that are held; it may lag behind what was pushed lately."""
        known, self._rows = self._rows, {}
        for row in listed:
            self.take(row)
        for row in (row for sides in known.values() for row in sides.values()):
            read = self._rows.get(row["symbol"], {}).get(int(row.get("positionIdx") or 0))
            pushed_ms = _updated_ms(row)
            if pushed_ms > (now_ms - LAG_MAX_MS if read is None else _updated_ms(read)):
                self.take(row)

    def take_orders(self, listed: Iterable[rows.Row]) -> None:
        """Take the list of all open orders."""
        self._stops.clear()
        for row in listed:
            self.take_order(row)

    def take_order(self, row: rows.Row) -> bool:
        """Keep an open stop that no position row shows; tell whether it is one.

        A stop with a limit price may not fill: it covers nothing.
        """
        attached = str(row.get("stopOrderType") or "") == "StopLoss"
        limited = row.get("orderType") == "Limit"
        if attached or limited or not row.get("reduceOnly") or not rows.is_stop_row(row):
            return False
        stops = self._stops.setdefault(row["symbol"], {})
        if row["orderStatus"] in OPEN:
            stops[row["orderId"]] = row
        else:
            stops.pop(row["orderId"], None)
        return True

    def position(self, row: rows.Row, margin_mode: str) -> PositionChanged:
        """Return one row as a message, with what covers it."""
        return rows.position(row, margin_mode, self._stops.get(row["symbol"], {}).values())

    def of(self, symbol: str, margin_mode: str) -> PositionChanged | None:
        """Return the symbol's position: the larger side; None when no row of it is known."""
        known = self._rows.get(symbol, {}).values()
        sides = [self.position(row, margin_mode) for row in known]
        return max(sides, key=lambda side: (side.quantity, side.at_ns), default=None)

    def both_sides(self, symbol: str) -> bool:
        """Tell whether both sides of a symbol are held."""
        known = self._rows.get(symbol, {}).values()
        return sum(bool(rows.number(row.get("size"))) for row in known) > 1


def _updated_ms(row: rows.Row) -> int:
    return int(row.get("updatedTime") or 0)
