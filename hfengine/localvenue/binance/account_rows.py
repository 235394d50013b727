"""Positions, wallet and settings as Binance's rows and events; pure, from reports."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hfengine.exchange.reports import OrderReport, PositionReport
from hfengine.instruments import Instrument
from hfengine.localvenue.binance.wire import (
    SLOT_NAMES,
    Grid,
    Row,
    bare,
    margin_type,
    plain,
    usdt,
)
from hfengine.messages import BalanceChanged

ZERO: Final = Decimal(0)
ADL_QUANTILE: Final = 1
ACCOUNT_ALIAS: Final = "SgsR"


class Held(Struct, frozen=True):
    """A position with what its symbol's resting orders hold; USDT."""

    report: PositionReport
    bid_usdt: Decimal
    ask_usdt: Decimal
    orders_initial_usdt: Decimal

    @property
    def notional_usdt(self) -> Decimal:
        """Signed notional at the mark."""
        changed = self.report.changed
        return changed.side * changed.quantity * self.report.mark

    @property
    def apart_usdt(self) -> Decimal:
        """The margin kept apart, 0 in cross."""
        changed = self.report.changed
        return changed.margin_usdt if changed.margin_mode == "isolated" else ZERO

    @property
    def isolated_usdt(self) -> Decimal:
        """The margin kept apart with the unrealised PnL, 0 in cross."""
        isolated = self.report.changed.margin_mode == "isolated" and self.report.changed.side
        return self.apart_usdt + self.report.unrealised_usdt if isolated else ZERO

    @property
    def initial_usdt(self) -> Decimal:
        """Initial margin of the position, 0 when flat."""
        return self.report.initial_usdt if self.report.changed.side else ZERO

    @property
    def is_shown(self) -> bool:
        """Whether the newer calls list it: with a position or open orders."""
        return bool(self.report.changed.side or self.bid_usdt or self.ask_usdt)


def held(report: PositionReport, orders: Sequence[OrderReport]) -> Held:
    """Return a position with the resting orders of its symbol and slot (open ones are given)."""
    sums = {1: ZERO, -1: ZERO}
    opening = {1: ZERO, -1: ZERO}
    for order in orders:
        update = order.update
        if order.slot != report.slot or not update.price or update.state == "untriggered":
            continue
        notional_usdt = (update.quantity - update.filled) * update.price
        sums[update.side] += notional_usdt
        if not update.reduce_only:
            opening[update.side] += notional_usdt
    most_usdt = max(opening.values())
    initial_usdt = (most_usdt / report.changed.leverage).quantize(Decimal("1e-8"))
    return Held(report, sums[1], sums[-1], initial_usdt)


def break_even(report: PositionReport) -> Decimal:
    """Return the price at which closing gives back the fees and funding paid so far."""
    changed = report.changed
    if not changed.side:
        return ZERO
    price = changed.entry - changed.side * report.realised_usdt / changed.quantity
    return price.quantize(Decimal("1e-8"))


def max_notional(instrument: Instrument, leverage: int) -> Decimal:
    """Return the largest notional that a leverage allows."""
    caps = [tier.notional_cap_usdt for tier in instrument.tiers if tier.max_leverage >= leverage]
    return caps[-1] if caps else ZERO


def signed_quantity(report: PositionReport, grid: Grid) -> str:
    """Return the position's signed quantity."""
    return grid.quantity(report.changed.side * report.changed.quantity)


def position_v2_row(one: Held, grid: Grid, now_ms: int) -> Row:
    """Return a position as positionRisk of version 2 shows it."""
    report, changed = one.report, one.report.changed
    return {
        "symbol": changed.symbol,
        "positionAmt": signed_quantity(report, grid),
        "entryPrice": grid.price(changed.entry),
        "breakEvenPrice": grid.price(break_even(report)),
        "markPrice": usdt(report.mark),
        "unRealizedProfit": usdt(report.unrealised_usdt),
        "liquidationPrice": plain(changed.liquidation),
        "leverage": str(changed.leverage),
        "maxNotionalValue": plain(max_notional(grid.instrument, changed.leverage)),
        "marginType": margin_type(changed.margin_mode),
        "isolatedMargin": usdt(one.isolated_usdt),
        "isAutoAddMargin": "false",
        "positionSide": SLOT_NAMES[report.slot],
        "notional": plain(one.notional_usdt),
        "isolatedWallet": plain(one.apart_usdt),
        "updateTime": now_ms if changed.side else 0,
    }


def position_v3_row(one: Held, grid: Grid, now_ms: int, *, socket: bool = False) -> Row:
    """Return a position as positionRisk of version 3 shows it, or v2/account.position."""
    report, changed = one.report, one.report.changed
    unrealised = "unrealizedProfit" if socket else "unRealizedProfit"
    return {
        "symbol": changed.symbol,
        "positionSide": SLOT_NAMES[report.slot],
        "positionAmt": signed_quantity(report, grid),
        "entryPrice": grid.price(changed.entry),
        "breakEvenPrice": grid.price(break_even(report)),
        "markPrice": usdt(report.mark),
        unrealised: usdt(report.unrealised_usdt),
        "liquidationPrice": plain(changed.liquidation),
        "isolatedMargin": usdt(one.isolated_usdt),
        "notional": plain(one.notional_usdt),
        "marginAsset": "USDT",
        "isolatedWallet": plain(one.apart_usdt),
        "initialMargin": usdt(one.initial_usdt + one.orders_initial_usdt),
        "maintMargin": usdt(report.maintenance_usdt),
        "positionInitialMargin": usdt(one.initial_usdt),
        "openOrderInitialMargin": usdt(one.orders_initial_usdt),
        "adl": ADL_QUANTILE if changed.side else 0,
        "bidNotional": plain(one.bid_usdt),
        "askNotional": plain(one.ask_usdt),
        "updateTime": now_ms if changed.side else 0,
    }


def account_position_row(one: Held, grid: Grid, now_ms: int, *, newer: bool) -> Row:
    """Return a position as it stands in `positions` of account, version 2 or 3."""
    report, changed = one.report, one.report.changed
    row: Row = {
        "symbol": changed.symbol,
        "initialMargin": usdt(one.initial_usdt + one.orders_initial_usdt),
        "maintMargin": usdt(report.maintenance_usdt),
        "unrealizedProfit": usdt(report.unrealised_usdt),
        "positionSide": SLOT_NAMES[report.slot],
        "positionAmt": signed_quantity(report, grid),
        "updateTime": now_ms if changed.side else 0,
    }
    if newer:
        row.update(
            isolatedMargin=usdt(one.isolated_usdt),
            notional=plain(one.notional_usdt),
            isolatedWallet=plain(one.apart_usdt),
        )
    else:
        row.update(
            positionInitialMargin=usdt(one.initial_usdt),
            openOrderInitialMargin=usdt(one.orders_initial_usdt),
            leverage=str(changed.leverage),
            isolated=changed.margin_mode == "isolated",
            entryPrice=grid.price(changed.entry),
            maxNotional=plain(max_notional(grid.instrument, changed.leverage)),
            bidNotional=plain(one.bid_usdt),
            askNotional=plain(one.ask_usdt),
        )
    return row


class Wallet(Struct, frozen=True):
    """An account's one asset, split as Binance splits it; USDT."""

    wallet: Decimal
    unrealised: Decimal
    maintenance: Decimal
    positions_initial: Decimal
    orders_initial: Decimal
    cross_wallet: Decimal
    cross_unrealised: Decimal
    available: Decimal

    @property
    def margin_balance(self) -> Decimal:
        """Wallet with unrealised PnL."""
        return self.wallet + self.unrealised

    @property
    def initial(self) -> Decimal:
        """Initial margin of positions and orders."""
        return self.positions_initial + self.orders_initial

    @property
    def withdrawable(self) -> Decimal:
        """What may leave the account."""
        return min(self.available, max(self.cross_wallet, ZERO))


def wallet(balance: BalanceChanged, positions: Sequence[PositionReport]) -> Wallet:
    """Split a balance; what orders reserve is what the rest leaves unexplained."""
    apart = cross_unrealised = cross_initial = initial = maintenance = ZERO
    for report in positions:
        initial += report.initial_usdt
        maintenance += report.maintenance_usdt
        if report.changed.margin_mode == "isolated":
            apart += report.changed.margin_usdt
        else:
            cross_unrealised += report.unrealised_usdt
            cross_initial += report.initial_usdt
    cross_wallet = balance.wallet_usdt - apart
    reserved = cross_wallet + cross_unrealised - cross_initial - balance.free_margin_usdt
    return Wallet(
        wallet=balance.wallet_usdt,
        unrealised=balance.equity_usdt - balance.wallet_usdt,
        maintenance=maintenance,
        positions_initial=initial,
        orders_initial=max(reserved, ZERO),
        cross_wallet=cross_wallet,
        cross_unrealised=cross_unrealised,
        available=max(balance.free_margin_usdt, ZERO),
    )


def asset_row(one: Wallet, now_ms: int, *, newer: bool) -> Row:
    """Return the account's asset as it stands in `assets`, version 2 or 3."""
    row: Row = {
        "asset": "USDT",
        "walletBalance": usdt(one.wallet),
        "unrealizedProfit": usdt(one.unrealised),
        "marginBalance": usdt(one.margin_balance),
        "maintMargin": usdt(one.maintenance),
        "initialMargin": usdt(one.initial),
        "positionInitialMargin": usdt(one.positions_initial),
        "openOrderInitialMargin": usdt(one.orders_initial),
        "crossWalletBalance": usdt(one.cross_wallet),
        "crossUnPnl": usdt(one.cross_unrealised),
        "availableBalance": usdt(one.available),
        "maxWithdrawAmount": usdt(one.withdrawable),
        "updateTime": now_ms,
    }
    return row if newer else row | {"marginAvailable": True}


def account_totals(one: Wallet) -> Row:
    """Return the sums at the head of account."""
    return {
        "totalInitialMargin": usdt(one.initial),
        "totalMaintMargin": usdt(one.maintenance),
        "totalWalletBalance": usdt(one.wallet),
        "totalUnrealizedProfit": usdt(one.unrealised),
        "totalMarginBalance": usdt(one.margin_balance),
        "totalPositionInitialMargin": usdt(one.positions_initial),
        "totalOpenOrderInitialMargin": usdt(one.orders_initial),
        "totalCrossWalletBalance": usdt(one.cross_wallet),
        "totalCrossUnPnl": usdt(one.cross_unrealised),
        "availableBalance": usdt(one.available),
        "maxWithdrawAmount": usdt(one.withdrawable),
    }


def balance_row(one: Wallet, now_ms: int) -> Row:
    """Return the account's asset as balance shows it."""
    return {
        "accountAlias": ACCOUNT_ALIAS,
        "asset": "USDT",
        "balance": usdt(one.wallet),
        "crossWalletBalance": usdt(one.cross_wallet),
        "crossUnPnl": usdt(one.cross_unrealised),
        "availableBalance": usdt(one.available),
        "maxWithdrawAmount": usdt(one.withdrawable),
        "marginAvailable": True,
        "updateTime": now_ms,
    }


def bracket_row(instrument: Instrument) -> Row:
    """Return a symbol's risk tiers as leverageBracket shows them."""
    rows = []
    floor = ZERO
    for number, tier in enumerate(instrument.tiers, 1):
        rows.append(
            {
                "bracket": number,
                "initialLeverage": int(tier.max_leverage),
                "notionalCap": bare(tier.notional_cap_usdt),
                "notionalFloor": bare(floor),
                "maintMarginRatio": bare(tier.maintenance_rate),
                "cum": bare(tier.deduction_usdt),
            }
        )
        floor = tier.notional_cap_usdt
    return {"symbol": instrument.symbol, "notionalCoef": bare(Decimal("1.50")), "brackets": rows}


def event_position(report: PositionReport, grid: Grid, realised: Decimal) -> Row:
    """Return a position as it stands in `P` of ACCOUNT_UPDATE; `realised` is before fees."""
    changed = report.changed
    isolated = changed.margin_mode == "isolated"
    return {
        "s": changed.symbol,
        "pa": signed_quantity(report, grid),
        "ep": grid.price(changed.entry),
        "bep": grid.price(break_even(report)),
        "cr": plain(realised),
        "up": plain(report.unrealised_usdt),
        "mt": margin_type(changed.margin_mode),
        "iw": usdt(changed.margin_usdt) if isolated else "0",
        "ps": SLOT_NAMES[report.slot],
    }


def margin_call_position(report: PositionReport, grid: Grid) -> Row:
    """Return a position as it stands in `p` of MARGIN_CALL."""
    changed = report.changed
    isolated = changed.margin_mode == "isolated"
    return {
        "s": changed.symbol,
        "ps": SLOT_NAMES[report.slot],
        "pa": signed_quantity(report, grid),
        "mt": "ISOLATED" if isolated else "CROSSED",
        "iw": usdt(changed.margin_usdt) if isolated else "0",
        "mp": grid.price(report.mark),
        "up": plain(report.unrealised_usdt),
        "mm": plain(report.maintenance_usdt),
    }
