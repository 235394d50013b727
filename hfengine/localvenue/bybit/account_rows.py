"""Positions, wallet, account settings and closed PnL as Bybit's JSON rows."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hfengine.exchange.orders import PriceSource
from hfengine.exchange.reports import FillReport, PositionReport
from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.figures import ZERO, gridded, ms, per, shown
from hfengine.localvenue.bybit.identity import order_id, user_id
from hfengine.localvenue.bybit.order_rows import (
    EXEC_TYPES,
    POSITION_INDEX,
    Row,
    order_type,
    side_name,
)
from hfengine.localvenue.figures import plain
from hfengine.messages import BalanceChanged

USER_PERMISSIONS: Final[dict[str, list[str]]] = {
    "ContractTrade": ["Order", "Position"],
    "Spot": [],
    "Wallet": [],
    "Options": [],
    "Derivatives": ["DerivativesTrade"],
    "CopyTrading": [],
    "BlockTrade": [],
    "Exchange": [],
    "NFT": [],
    "Affiliate": [],
}


class Protection(Struct, frozen=True, kw_only=True):
    """The trigger prices of a position's Full stop and target, 0 for none, and what they watch."""

    stop: Decimal = ZERO
    target: Decimal = ZERO
    stop_by: PriceSource = "last"
    target_by: PriceSource = "last"


def _position(
    report: PositionReport, protection: Protection, instrument: Instrument, seq: int
) -> Row:
    changed = report.changed
    tick = instrument.price_tick
    held = changed.side != 0
    value_usdt = changed.quantity * changed.entry
    tier = instrument.tier_at(changed.quantity * report.mark) or instrument.tiers[-1]
    initial, maintenance = plain(report.initial_usdt), plain(report.maintenance_usdt)
    return {
        "positionIdx": POSITION_INDEX[report.slot],
        "riskId": instrument.tiers.index(tier) + 1,
        "riskLimitValue": plain(tier.notional_cap_usdt),
        "symbol": changed.symbol,
        "side": side_name(changed.side),
        "size": gridded(changed.quantity, instrument.quantity_step) if held else "0",
        "positionValue": shown(value_usdt) if held else "0",
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 2 if held else 0,
        "leverage": str(changed.leverage),
        "positionBalance": "0",
        "markPrice": shown(report.mark),
        "liqPrice": shown(changed.liquidation) if held and changed.liquidation > 0 else "",
        "bustPrice": "",
        "positionMM": maintenance,
        "positionIM": initial,
        "positionMMByMp": maintenance,
        "positionIMByMp": initial,
        "tpslMode": "Full",
        "takeProfit": gridded(protection.target, tick) if protection.target else "0",
        "stopLoss": gridded(protection.stop, tick) if protection.stop else "0",
        "trailingStop": "0",
        "unrealisedPnl": plain(report.unrealised_usdt),
        "curRealisedPnl": plain(report.realised_usdt),
        "cumRealisedPnl": plain(report.realised_total_usdt),
        "seq": seq,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "sessionAvgPrice": "",
        "createdTime": ms(report.opened_ns),
        "updatedTime": ms(changed.at_ns),
        "openTime": report.opened_ns // 1_000_000,
    }


def position_row(
    report: PositionReport, protection: Protection, instrument: Instrument, seq: int
) -> Row:
    """Return a position as `/v5/position/list` lists it."""
    row = _position(report, protection, instrument, seq)
    return {**row, "avgPrice": shown(report.changed.entry)}


def pushed_position_row(
    report: PositionReport, protection: Protection, instrument: Instrument, seq: int
) -> Row:
    """Return a position as the `position` topic pushes it."""
    row = _position(report, protection, instrument, seq)
    return {"category": "linear", **row, "entryPrice": shown(report.changed.entry)}


def wallet_row(
    balance: BalanceChanged, held: Iterable[PositionReport], realised_usdt: Decimal
) -> Row:
    """Return an account's wallet: one coin, USDT, taken as worth one dollar."""
    positions = list(held)
    position_im = sum((one.initial_usdt for one in positions), ZERO)
    unrealised = sum((one.unrealised_usdt for one in positions), ZERO)
    used = max(balance.equity_usdt - balance.free_margin_usdt, ZERO)
    order_im = max(used - position_im, ZERO)
    equity, wallet = plain(balance.equity_usdt), plain(balance.wallet_usdt)
    initial = plain(position_im + order_im)
    maintenance = plain(balance.maintenance_usdt)
    coin: Row = {
        "coin": "USDT",
        "equity": equity,
        "usdValue": equity,
        "walletBalance": wallet,
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": plain(order_im),
        "totalPositionIM": plain(position_im),
        "totalPositionMM": maintenance,
        "unrealisedPnl": plain(unrealised),
        "cumRealisedPnl": plain(realised_usdt),
        "bonus": "0",
        "locked": "0",
        "collateralSwitch": True,
        "marginCollateral": True,
        "spotHedgingQty": "0",
        "spotBorrow": "0",
    }
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": _rate(position_im + order_im, balance.equity_usdt),
        "accountMMRate": _rate(balance.maintenance_usdt, balance.equity_usdt),
        "totalEquity": equity,
        "totalWalletBalance": wallet,
        "totalMarginBalance": equity,
        "totalAvailableBalance": plain(balance.free_margin_usdt),
        "totalPerpUPL": plain(unrealised),
        "totalInitialMargin": initial,
        "totalMaintenanceMargin": maintenance,
        "coin": [coin],
    }


def _rate(part: Decimal, whole: Decimal) -> str:
    return plain(per(part, whole).quantize(Decimal("0.0001")))


def account_row(*, isolated: bool, at_ms: int) -> Row:
    """Return `/v5/account/info`."""
    return {
        "marginMode": "ISOLATED_MARGIN" if isolated else "REGULAR_MARGIN",
        "updatedTime": str(at_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def key_row(key: str, account: str) -> Row:
    """Return `/v5/user/query-api`."""
    return {
        "id": str(user_id(key)),
        "note": "local venue",
        "apiKey": key,
        "readOnly": 0,
        "secret": "",
        "permissions": USER_PERMISSIONS,
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2099-12-31T00:00:00Z",
        "createdAt": "2020-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": user_id(account),
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }


def coin_row() -> Row:
    """Return the one coin of `/v5/asset/coin/query-info`."""
    chain: Row = {
        "chainType": "ERC20",
        "confirmation": "6",
        "withdrawFee": "3",
        "depositMin": "0",
        "withdrawMin": "3",
        "chain": "ETH",
        "chainDeposit": "0",
        "chainWithdraw": "0",
        "minAccuracy": "8",
        "withdrawPercentageFee": "0",
        "contractAddress": "",
        "safeConfirmNumber": "65",
    }
    return {"name": "USDT", "coin": "USDT", "remainAmount": "1000000", "chains": [chain]}


class _Closing(Struct, kw_only=True):
    """What one order closed so far."""

    first: FillReport
    last: FillReport
    size: Decimal = ZERO
    exit_usdt: Decimal = ZERO
    realised_usdt: Decimal = ZERO
    fees_usdt: Decimal = ZERO
    fills: int = 0


def closed_rows(
    fills: Sequence[FillReport], instrument: Instrument, leverage: int
) -> list[tuple[int, int, Row]]:
    """Return (time ns, last fill's number, row) of every order that closed something, oldest first.

    `fills` are all of one account and symbol, oldest first. `closedPnl` is after the fees of the
    close and the share that the opening paid of what was closed.
    """
    open_fees: dict[str, Decimal] = {}
    open_size: dict[str, Decimal] = {}
    closings: dict[str, _Closing] = {}
    for report in fills:
        fill, slot = report.fill, report.slot
        if report.closed:
            closing = closings.setdefault(report.venue_id, _Closing(first=report, last=report))
            share = per(report.closed, open_size.get(slot, ZERO))
            fee_share = open_fees.get(slot, ZERO) * share
            open_fees[slot] = open_fees.get(slot, ZERO) - fee_share
            open_size[slot] = open_size.get(slot, ZERO) - report.closed
            closing.last = report
            closing.size += report.closed
            closing.exit_usdt += report.closed * fill.price
            closing.realised_usdt += fill.realised_usdt
            closing.fees_usdt += fee_share + fill.fee_usdt * report.closed / fill.quantity
            closing.fills += 1
        opened = fill.quantity - report.closed
        if opened:
            open_size[slot] = open_size.get(slot, ZERO) + opened
            open_fees[slot] = open_fees.get(slot, ZERO) + fill.fee_usdt * opened / fill.quantity
    return [
        (one.last.fill.at_ns, int(one.last.fill.fill_id), _closed_row(one, instrument, leverage))
        for one in closings.values()
    ]


def _closed_row(closing: _Closing, instrument: Instrument, leverage: int) -> Row:
    last = closing.last
    fill = last.fill
    tick, step = instrument.price_tick, instrument.quantity_step
    entry_usdt = closing.exit_usdt + fill.side * closing.realised_usdt
    return {
        "symbol": fill.symbol,
        "orderType": order_type(last.kind, last.order_price),
        "leverage": str(leverage),
        "updatedTime": ms(fill.at_ns),
        "side": side_name(fill.side),
        "orderId": order_id(last.venue_id),
        "closedPnl": shown(closing.realised_usdt - closing.fees_usdt),
        "avgEntryPrice": shown(per(entry_usdt, closing.size)),
        "qty": gridded(last.order_quantity, step),
        "cumEntryValue": plain(entry_usdt),
        "createdTime": ms(closing.first.fill.at_ns),
        "orderPrice": gridded(last.order_price, tick) if last.order_price else "0",
        "closedSize": gridded(closing.size, step),
        "avgExitPrice": shown(per(closing.exit_usdt, closing.size)),
        "execType": EXEC_TYPES.get(fill.cause, "Trade"),
        "fillCount": str(closing.fills),
        "cumExitValue": plain(closing.exit_usdt),
    }
