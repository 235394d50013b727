"""One account's settings as its rows need them: modes and leverages, read once per answer."""

from typing import Final

from hfengine.errors import VenueRejected
from hfengine.exchange.core import Exchange
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.bitget.tally import Tally
from hfengine.requests import LeverageSetting, Slot

COIN: Final = "USDT"
HEDGE: Final = "hedge_mode"
ONE_WAY: Final = "one_way_mode"
HOLD_SIDES: Final = {1: "long", -1: "short"}
SLOT_SIDES: Final[dict[Slot, int]] = {"net": 0, "long": 1, "short": -1}


class Standing:
    """Position mode, and leverage and margin mode by symbol and slot."""

    def __init__(self, exchange: Exchange, account: str, tally: Tally) -> None:
        self.exchange = exchange
        self.account = account
        self.tally = tally
        self.is_hedged = exchange.position_mode(account) == "hedge"
        self._settings: dict[tuple[str, Slot], LeverageSetting] = {}

    @property
    def position_mode(self) -> str:
        """The account's `posMode`."""
        return HEDGE if self.is_hedged else ONE_WAY

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of the account's mode."""
        return ("long", "short") if self.is_hedged else ("net",)

    def setting(self, symbol: str, slot: Slot) -> LeverageSetting:
        """Return leverage and margin mode; of a slot of the other mode, those of this one."""
        found = self._settings.get((symbol, slot))
        if found is None:
            try:
                found = self.exchange.leverage(self.account, symbol, slot)
            except VenueRejected:
                found = self.exchange.leverage(self.account, symbol, self.slots[0])
            self._settings[symbol, slot] = found
        return found

    def margin_mode(self, symbol: str, slot: Slot) -> str:
        """Return a symbol's `marginMode`."""
        return "isolated" if self.setting(symbol, slot).margin_mode == "isolated" else "crossed"


def side_text(report: OrderReport) -> str:
    """Return an order's `side`: in hedge mode it names the position, not the direction."""
    if report.slot != "net":
        return "buy" if report.slot == "long" else "sell"
    return "buy" if report.update.side > 0 else "sell"


def trade_side_text(slot: Slot, side: int, cause: str = "order") -> str:
    """Return the `tradeSide` of an order or a fill of direction `side`."""
    direction = "buy" if side > 0 else "sell"
    if slot == "net":
        if cause == "liquidation":
            return f"burst_{direction}_single"
        if cause == "adl":
            return f"dte_sys_adl_{direction}_in_single_side_mode"
        return f"{direction}_single"
    if cause == "liquidation":
        return f"burst_close_{slot}"
    if cause == "adl":
        return f"dte_sys_adl_close_{slot}"
    return "open" if SLOT_SIDES[slot] == side else "close"


def reduces(report: OrderReport) -> bool:
    """Tell whether an order can only close."""
    if report.slot == "net":
        return report.update.reduce_only or report.close_position
    return SLOT_SIDES[report.slot] != report.update.side


def position_side(report: OrderReport) -> int:
    """Return the side of the position that a closing order closes."""
    return -report.update.side
