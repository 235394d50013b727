"""Accounts, positions and bills as Bitget shows them, by REST and by push."""

from decimal import Decimal
from typing import Final

from hfengine.exchange.ledger import LedgerEntry
from hfengine.exchange.reports import OrderReport, PositionReport
from hfengine.instruments import Instrument
from hfengine.localvenue.bitget import identity
from hfengine.localvenue.bitget.figures import ZERO, ms, per, shown, unset
from hfengine.localvenue.bitget.order_rows import Row, is_live_order
from hfengine.localvenue.bitget.standing import COIN, HOLD_SIDES, Standing, reduces
from hfengine.localvenue.figures import plain
from hfengine.messages import BalanceChanged

SATOSHI: Final = Decimal("1e-16")


class Holdings:
    """The open positions of an account with the figures that several rows need."""

    def __init__(self, standing: Standing) -> None:
        exchange, account = standing.exchange, standing.account
        self.standing = standing
        self.balance: BalanceChanged = exchange.balance(account)
        reports = exchange.position_reports(account)
        self.positions: list[PositionReport] = [one for one in reports if one.changed.quantity]

    def unrealised(self, mode: str = "") -> Decimal:
        """Return unrealised PnL, of one margin mode if asked."""
        return sum(
            (one.unrealised_usdt for one in self.positions if mode in {"", _mode(one)}), ZERO
        )

    def margin(self, mode: str) -> Decimal:
        """Return the margin held or needed by the positions of one margin mode."""
        return sum((one.changed.margin_usdt for one in self.positions if _mode(one) == mode), ZERO)

    def risk_rate(self) -> Decimal:
        """Return maintenance over equity of the crossed positions."""
        needed = sum(
            (one.maintenance_usdt for one in self.positions if _mode(one) == "cross"), ZERO
        )
        own = self.balance.equity_usdt - self.margin("isolated") - self.unrealised("isolated")
        return per(needed, own)


def _mode(report: PositionReport) -> str:
    return report.changed.margin_mode


def account_row(holdings: Holdings, btc_usdt: Decimal) -> Row:
    """Return the account as account/accounts lists it; `btc_usdt` is the price of a bitcoin."""
    crossed = holdings.margin("cross")
    return {
        **_account_figures(holdings, btc_usdt),
        "unionTotalMargin": "",
        "unionAvailable": "",
        "unionMm": "",
        "assetList": [],
        "isolatedMargin": plain(holdings.margin("isolated")),
        "crossedMargin": plain(crossed),
    }


def single_account_row(holdings: Holdings, symbol: str, btc_usdt: Decimal) -> Row:
    """Return the account as account/account shows it, with the settings of one symbol."""
    standing = holdings.standing
    slots = standing.slots
    long_x = standing.setting(symbol, slots[0]).leverage
    short_x = standing.setting(symbol, slots[-1]).leverage
    return {
        **_account_figures(holdings, btc_usdt),
        "crossedMarginLeverage": long_x,
        "isolatedLongLever": long_x,
        "isolatedShortLever": short_x,
        "marginMode": standing.margin_mode(symbol, slots[0]),
        "posMode": standing.position_mode,
        "grant": "",
        "isolatedMargin": None,
        "crossedMargin": None,
    }


def _account_figures(holdings: Holdings, btc_usdt: Decimal) -> Row:
    balance = holdings.balance
    free = plain(max(balance.free_margin_usdt, ZERO))
    equity = balance.equity_usdt
    btc = (per(equity, btc_usdt)).quantize(SATOSHI) if btc_usdt else ZERO
    return {
        "marginCoin": COIN,
        "locked": "0",
        "available": free,
        "crossedMaxAvailable": free,
        "isolatedMaxAvailable": free,
        "maxTransferOut": free,
        "accountEquity": plain(equity),
        "usdtEquity": plain(equity),
        "btcEquity": plain(btc),
        "crossedRiskRate": shown(holdings.risk_rate()),
        "unrealizedPL": plain(holdings.unrealised()),
        "coupon": "0",
        "crossedUnrealizedPL": plain(holdings.unrealised("cross")),
        "isolatedUnrealizedPL": plain(holdings.unrealised("isolated")),
        "assetMode": "single",
    }


def account_push(holdings: Holdings) -> Row:
    """Return the account as the channel `account` pushes it."""
    balance = holdings.balance
    free = plain(max(balance.free_margin_usdt, ZERO))
    equity = plain(balance.equity_usdt)
    return {
        "marginCoin": COIN,
        "frozen": plain(balance.equity_usdt - max(balance.free_margin_usdt, ZERO)),
        "available": free,
        "maxOpenPosAvailable": free,
        "maxTransferOut": free,
        "equity": equity,
        "usdtEquity": equity,
        "crossedRiskRate": shown(holdings.risk_rate()),
        "unrealizedPL": plain(holdings.unrealised()),
        "assetsMode": "single",
    }


class Costs:
    """What one position realised, paid and holds ready, from the account's own reports."""

    def __init__(self, report: PositionReport, standing: Standing) -> None:
        current = standing.tally.running(report.changed.symbol, report.slot)
        self.position_id = identity.position_id(current.first_fill_id) if current else ""
        self.achieved_usdt = current.achieved_usdt if current else ZERO
        self.fees_usdt = current.open_fee_usdt + current.close_fee_usdt if current else ZERO
        self.funding_usdt = report.realised_usdt - self.achieved_usdt + self.fees_usdt
        """Received; negative is paid."""
        self.locked = ZERO
        self.opening = ZERO
        self.stop_id = self.target_id = ""
        for order in standing.exchange.order_reports(
            standing.account, report.changed.symbol, open_only=True
        ):
            if order.slot == report.slot:
                self._take(order)

    def _take(self, order: OrderReport) -> None:
        if is_live_order(order):
            left = order.update.quantity - order.update.filled
            if reduces(order):
                self.locked += left
            else:
                self.opening += left
        elif order.attached and not order.partial:
            plan_id = identity.number(order.update.venue_id, "plan")
            if order.update.kind == "stop_market":
                self.stop_id = plan_id
            else:
                self.target_id = plan_id


def position_row(
    report: PositionReport, standing: Standing, instrument: Instrument, costs: Costs
) -> Row:
    """Return a position as position/all-position shows it."""
    changed = report.changed
    total = changed.quantity
    locked = min(costs.locked, total)
    return {
        "marginCoin": COIN,
        "symbol": changed.symbol,
        "holdSide": HOLD_SIDES[changed.side],
        "openDelegateSize": plain(costs.opening),
        "marginSize": shown(changed.margin_usdt),
        "available": plain(total - locked),
        "locked": plain(locked),
        "total": plain(total),
        "leverage": str(changed.leverage),
        "achievedProfits": plain(costs.achieved_usdt),
        "openPriceAvg": shown(changed.entry),
        "marginMode": "isolated" if changed.margin_mode == "isolated" else "crossed",
        "posMode": standing.position_mode,
        "unrealizedPL": plain(report.unrealised_usdt),
        "liquidationPrice": shown(changed.liquidation),
        "keepMarginRate": plain(_maintenance_rate(report, instrument)),
        "markPrice": plain(report.mark),
        "marginRatio": shown(_margin_ratio(report, standing)),
        "breakEvenPrice": shown(_break_even(report, instrument, costs)),
        "totalFee": unset(costs.funding_usdt),
        "deductedFee": plain(costs.fees_usdt),
        "grant": "",
        "assetMode": "single",
        "autoMargin": "off",
        "takeProfit": unset(changed.target) if costs.target_id else "",
        "stopLoss": unset(changed.stop) if costs.stop_id else "",
        "takeProfitId": costs.target_id,
        "stopLossId": costs.stop_id,
        "cashDividend": "",
        "cTime": ms(report.opened_ns),
        "uTime": ms(changed.at_ns),
    }


def position_push(
    report: PositionReport, standing: Standing, instrument: Instrument, costs: Costs
) -> Row:
    """Return a position as the channel `positions` pushes it."""
    row = position_row(report, standing, instrument, costs)
    changed = report.changed
    return {
        "posId": costs.position_id,
        "instId": changed.symbol,
        "marginCoin": COIN,
        "marginSize": row["marginSize"],
        "marginMode": row["marginMode"],
        "holdSide": row["holdSide"],
        "posMode": row["posMode"],
        "total": row["total"],
        "available": row["available"],
        "frozen": row["locked"],
        "openPriceAvg": row["openPriceAvg"],
        "leverage": changed.leverage,
        "achievedProfits": row["achievedProfits"],
        "unrealizedPL": row["unrealizedPL"],
        "unrealizedPLR": shown(per(report.unrealised_usdt, changed.margin_usdt)),
        "liquidationPrice": row["liquidationPrice"],
        "keepMarginRate": row["keepMarginRate"],
        "marginRate": row["marginRatio"],
        "cTime": row["cTime"],
        "breakEvenPrice": row["breakEvenPrice"],
        "totalFee": row["totalFee"],
        "deductedFee": row["deductedFee"],
        "markPrice": row["markPrice"],
        "uTime": row["uTime"],
        "assetMode": "single",
        "autoMargin": "off",
    }


def _maintenance_rate(report: PositionReport, instrument: Instrument) -> Decimal:
    notional_usdt = report.changed.quantity * report.mark
    return (instrument.tier_at(notional_usdt) or instrument.tiers[-1]).maintenance_rate


def _margin_ratio(report: PositionReport, standing: Standing) -> Decimal:
    """Return maintenance over what stands behind it: 1 is liquidation."""
    if report.changed.margin_mode == "isolated":
        behind = report.changed.margin_usdt + report.unrealised_usdt
        return per(report.maintenance_usdt, behind)
    balance = standing.exchange.balance(standing.account)
    return per(balance.maintenance_usdt, balance.equity_usdt)


def _break_even(report: PositionReport, instrument: Instrument, costs: Costs) -> Decimal:
    """Return the price at which closing as a taker leaves what opening cost.

    Long (EP*q + fees)/(q*(1 - taker)); short with every sign turned.
    """
    changed = report.changed
    side, quantity = changed.side, changed.quantity
    paid = changed.entry * quantity + side * costs.fees_usdt
    return paid / (quantity * (1 - side * instrument.taker_fee))


def bill_row(number: int, entry: LedgerEntry, business: str, balance_usdt: Decimal) -> Row:
    """Return an entry of the account's ledger as account/bill shows it."""
    is_fee = entry.kind in {"fee", "liquidation_fee"}
    return {
        "billId": identity.bill_id(number),
        "symbol": entry.symbol,
        "amount": "0" if is_fee else plain(entry.change_usdt),
        "fee": plain(entry.change_usdt) if is_fee else "0",
        "feeByCoupon": "",
        "businessType": business,
        "coin": COIN,
        "balance": plain(balance_usdt),
        "cTime": ms(entry.at_ns),
    }
