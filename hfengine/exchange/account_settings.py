"""Leverage, margin mode and position mode of accounts."""

from collections.abc import Sequence
from typing import Literal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.account import Account, PositionMode
from hfengine.exchange.admission import check_leverage
from hfengine.exchange.base import ExchangeBase
from hfengine.exchange.margin import free_margin_units, position_maintenance_units
from hfengine.exchange.positions import Position
from hfengine.messages import LeverageChanged
from hfengine.requests import LeverageSetting, Slot


class AccountSettings(ExchangeBase):
    """What an account may set and read back. In hedge mode slot `net` is both positions."""

    def set_leverage(
        self, account: str, symbol: str, leverage: int, now_ns: int, slot: Slot = "net"
    ) -> LeverageSetting:
        """Set a symbol's leverage; the same value again succeeds."""
        positions = self._positions(account, symbol, slot)
        self._begin(positions[0].market, now_ns)
        for position in positions:
            check_leverage(position, leverage)
        changed = [one for one in positions if one.leverage != leverage]
        if changed:
            self._change_leverage(changed, leverage)
            message = LeverageChanged(symbol, now_ns, leverage)
            self._clearing.emit(changed[0].account, message)
            for position in changed:
                self._clearing.touch_held(position)
            self._clearing.flush(now_ns)
        return self.leverage(account, symbol, slot)

    def set_margin_mode(
        self, account: str, symbol: str, mode: Literal["isolated", "cross"], now_ns: int
    ) -> LeverageSetting:
        """Set a symbol's margin mode; only while flat and without open orders."""
        positions = self._positions(account, symbol, "net")
        self._begin(positions[0].market, now_ns)
        if mode not in {"isolated", "cross"}:
            raise VenueRejected(rejects.BAD_MARGIN_MODE, f"{mode!r}: isolated or cross")
        if all(one.margin_mode == mode for one in positions):
            raise VenueRejected(rejects.MARGIN_MODE_NOT_MODIFIED, f"{symbol} is {mode}")
        if any(one.steps or one.resting or one.conditionals for one in positions):
            raise VenueRejected(rejects.MARGIN_MODE_LOCKED, f"{symbol} has a position or orders")
        for position in positions:
            position.margin_mode = mode
        return self.leverage(account, symbol)

    def leverage(self, account: str, symbol: str, slot: Slot = "net") -> LeverageSetting:
        """Return a symbol's leverage and margin mode; `net` in hedge mode is the long one's."""
        position = self._positions(account, symbol, slot)[0]
        return LeverageSetting(symbol, position.leverage, position.margin_mode)

    def set_position_mode(self, account: str, mode: PositionMode, now_ns: int) -> None:
        """Set an account's position mode; only while flat and without open orders anywhere.

        Leverage and margin mode of each symbol go over to the new mode.
        """
        owner = self._account(account)
        self._now_ns = max(self._now_ns, now_ns)
        if mode not in {"one_way", "hedge"}:
            raise VenueRejected(rejects.BAD_POSITION_MODE, f"{mode!r}: one_way or hedge")
        if mode == owner.position_mode:
            raise VenueRejected(rejects.POSITION_MODE_NOT_MODIFIED, f"{account} is {mode}")
        if owner.open or owner.held():
            raise VenueRejected(rejects.POSITION_MODE_LOCKED, f"{account} has positions or orders")
        owner.set_position_mode(mode)
        _carry_settings(owner)

    def position_mode(self, account: str) -> PositionMode:
        """Return an account's position mode."""
        return self._account(account).position_mode

    def _change_leverage(self, positions: Sequence[Position], leverage: int) -> None:
        """Apply a leverage, or put the old one back and refuse when margin would not bear it."""
        account = positions[0].account
        before = [(one.leverage, one.margin_units) for one in positions]
        free_before_units = free_margin_units(account)
        for position in positions:
            position.set_leverage(leverage)
        free_units = free_margin_units(account)
        is_short = free_units < 0 and free_units < free_before_units
        for position in positions:
            if position.is_isolated and position.steps:
                balance_units = position.margin_units + position.unrealised_units
                is_short |= balance_units <= position_maintenance_units(position)
        if is_short:
            for position, kept in zip(positions, before, strict=True):
                position.leverage, position.margin_units = kept
            detail = f"{leverage}x would leave {self._unit.usdt(free_units)} USDT free"
            raise VenueRejected(rejects.INSUFFICIENT_MARGIN, detail)


def _carry_settings(account: Account) -> None:
    for old in tuple(account.positions.values()):
        if old.slot in account.slots or (old.slot == "short" and "net" in account.slots):
            continue
        for new in account.positions_in(old.market):
            new.leverage, new.margin_mode = old.leverage, old.margin_mode
