"""Calls on an account: settings, balances, positions, income."""

from typing import Final, Literal

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.reports import OrderReport
from hfengine.localvenue.binance.account_rows import (
    Held,
    Wallet,
    account_position_row,
    account_totals,
    asset_row,
    balance_row,
    bracket_row,
    held,
    max_notional,
    position_v2_row,
    position_v3_row,
    wallet,
)
from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.errors import (
    BinanceError,
    margin_mode_locked,
    position_mode_locked,
    refusal,
)
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.rates import Rates
from hfengine.localvenue.binance.trading import in_time, page
from hfengine.localvenue.binance.wire import Row, ms, plain, usdt

SUCCESS: Final = {"code": 200, "msg": "success"}
INCOME_TYPES: Final = {
    "deposit": "TRANSFER",
    "fee": "COMMISSION",
    "funding": "FUNDING_FEE",
    "pnl": "REALIZED_PNL",
    "liquidation_fee": "INSURANCE_CLEAR",
}
MARGIN_MODES: Final[dict[str, Literal["isolated", "cross"]]] = {
    "ISOLATED": "isolated",
    "CROSSED": "cross",
}
TRANSFER_BASE: Final = 9_689_000_000


class Accounts:
    """Settings and state of accounts."""

    def __init__(self, desk: Desk, rates: Rates) -> None:
        self._desk = desk
        self._rates = rates

    # Settings

    def set_leverage(self, call: Call) -> Row:
        """Set a symbol's leverage; the same again succeeds."""
        desk = self._desk
        symbol = desk.symbol(call)
        call.need("leverage")
        leverage = call.whole("leverage", 0)
        instrument = desk.grid(symbol).instrument
        if not 1 <= leverage <= instrument.max_leverage:
            raise BinanceError(-4028, f"Leverage {leverage} is not valid")
        kept = desk.world.faults.take(
            "leverage_kept", path=call.place, symbol=symbol, account=call.account
        )
        if kept is None:
            try:
                desk.world.act(
                    lambda now: desk.exchange.set_leverage(call.account, symbol, leverage, now)
                )
            except VenueRejected as refused:
                if refused.reason == rejects.INSUFFICIENT_MARGIN:
                    message = "Leverage is smaller than permitted: insufficient margin balance"
                    raise BinanceError(-2028, message) from refused
                raise refusal(refused) from refused
        return {
            "leverage": leverage,
            "maxNotionalValue": plain(max_notional(instrument, leverage)),
            "symbol": symbol,
        }

    def set_margin_type(self, call: Call) -> Row:
        """Set a symbol's margin mode."""
        desk = self._desk
        symbol = desk.symbol(call)
        mode = MARGIN_MODES.get(call.need("marginType"))
        if mode is None:
            raise BinanceError(-1130, "Data sent for parameter 'marginType' is not valid.")
        try:
            desk.world.act(
                lambda now: desk.exchange.set_margin_mode(call.account, symbol, mode, now)
            )
        except VenueRejected as refused:
            if refused.reason == rejects.MARGIN_MODE_LOCKED:
                positions = desk.exchange.position_reports(call.account, symbol)
                has_position = any(one.changed.side for one in positions)
                raise margin_mode_locked(has_position) from refused
            raise refusal(refused) from refused
        return dict(SUCCESS)

    def set_position_mode(self, call: Call) -> Row:
        """Set one-way or hedge mode of the whole account."""
        desk = self._desk
        call.need("dualSidePosition")
        mode: Literal["hedge", "one_way"] = "hedge" if call.flag("dualSidePosition") else "one_way"
        try:
            desk.world.act(lambda now: desk.exchange.set_position_mode(call.account, mode, now))
        except VenueRejected as refused:
            if refused.reason == rejects.POSITION_MODE_LOCKED:
                has_position = bool(desk.exchange.position_reports(call.account))
                raise position_mode_locked(has_position) from refused
            raise refusal(refused) from refused
        return dict(SUCCESS)

    def position_mode(self, call: Call) -> Row:
        """Return whether the account is in hedge mode."""
        return {"dualSidePosition": self._is_hedge(call)}

    def set_multi_assets(self, call: Call) -> Row:
        """Refuse multi-assets mode, which this venue does not have."""
        call.need("multiAssetsMargin")
        if call.flag("multiAssetsMargin"):
            raise BinanceError(-1020, "This operation is not supported.")
        raise BinanceError(-4171, "No need to change Multi-Assets Mode.")

    def multi_assets(self, _call: Call) -> Row:
        """Return that multi-assets mode is off."""
        return {"multiAssetsMargin": False}

    def symbol_config(self, call: Call) -> list[Row]:
        """Return leverage and margin mode of one symbol or all."""
        desk = self._desk
        rows = []
        for symbol in desk.symbols(call):
            setting = desk.exchange.leverage(call.account, symbol)
            most = max_notional(desk.grid(symbol).instrument, setting.leverage)
            rows.append(
                {
                    "symbol": symbol,
                    "marginType": "ISOLATED" if setting.margin_mode == "isolated" else "CROSSED",
                    "isAutoAddMargin": "false",
                    "leverage": setting.leverage,
                    "maxNotionalValue": plain(most),
                }
            )
        return rows

    def account_config(self, call: Call) -> Row:
        """Return what the account may do."""
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": self._is_hedge(call),
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def leverage_bracket(self, call: Call) -> list[Row]:
        """Return the risk tiers of one symbol or all."""
        desk = self._desk
        return [bracket_row(desk.grid(symbol).instrument) for symbol in desk.symbols(call)]

    def commission_rate(self, call: Call) -> Row:
        """Return a symbol's fees."""
        instrument = self._desk.grid(self._desk.symbol(call)).instrument
        return {
            "symbol": instrument.symbol,
            "makerCommissionRate": plain(instrument.maker_fee),
            "takerCommissionRate": plain(instrument.taker_fee),
        }

    def order_limits(self, _call: Call) -> list[Row]:
        """Return the account's order limits."""
        return [row for row in self._rates.limits() if row["rateLimitType"] == "ORDERS"]

    def adl_quantile(self, call: Call) -> list[Row]:
        """Return the place in the queue of auto-deleveraging, a fixed one."""
        sides = ("LONG", "SHORT", "HEDGE" if self._is_hedge(call) else "BOTH")
        return [
            {"symbol": symbol, "adlQuantile": dict.fromkeys(sides, 1)}
            for symbol in self._desk.symbols(call)
        ]

    def fee_burn(self, _call: Call) -> Row:
        """Return that no BNB is burnt for fees."""
        return {"feeBurn": False}

    # State

    def account_v2(self, call: Call) -> Row:
        """Return balances and every symbol's position."""
        now_ms, one = self._desk.world.now_ms(), self._wallet(call)
        config = self.account_config(call)
        del config["dualSidePosition"]
        positions = [
            account_position_row(
                row, self._desk.grid(row.report.changed.symbol), now_ms, newer=False
            )
            for row in self._held(call, list(self._desk.grids))
        ]
        assets = [asset_row(one, now_ms, newer=False)]
        return config | account_totals(one) | {"assets": assets, "positions": positions}

    def account_v3(self, call: Call) -> Row:
        """Return balances and the positions that are not flat or have orders."""
        now_ms, one = self._desk.world.now_ms(), self._wallet(call)
        positions = [
            account_position_row(
                row, self._desk.grid(row.report.changed.symbol), now_ms, newer=True
            )
            for row in self._held(call, self._busy(call))
            if row.is_shown
        ]
        assets = [asset_row(one, now_ms, newer=True)]
        return account_totals(one) | {"assets": assets, "positions": positions}

    def balance(self, call: Call) -> list[Row]:
        """Return the account's one asset."""
        return [balance_row(self._wallet(call), self._desk.world.now_ms())]

    def position_risk_v2(self, call: Call) -> list[Row]:
        """Return every symbol's position with its settings."""
        now_ms = self._desk.world.now_ms()
        return [
            position_v2_row(row, self._desk.grid(row.report.changed.symbol), now_ms)
            for row in self._held(call, self._desk.symbols(call))
        ]

    def position_risk_v3(self, call: Call) -> list[Row]:
        """Return the positions that are not flat or have orders."""
        return self._risk(call, socket=False)

    def position_socket(self, call: Call) -> list[Row]:
        """Return the same as the websocket shows it."""
        return self._risk(call, socket=True)

    def income(self, call: Call) -> list[Row]:
        """Return what changed the wallet, oldest first."""
        desk = self._desk
        wanted = call.text("incomeType")
        symbol = desk.symbol(call) if call.has("symbol") else ""
        trade_ids = self._trade_ids(call.account)
        rows = []
        for number, entry in enumerate(desk.exchange.ledger(call.account).entries):
            kind = INCOME_TYPES.get(entry.kind, "INTERNAL_TRANSFER")
            trade_id: int | str = ""
            if entry.kind in {"fee", "pnl", "liquidation_fee"}:
                queue = trade_ids.get((entry.kind, entry.symbol))
                trade_id = queue.pop() if queue else ""
            if wanted not in {"", kind} or symbol not in {"", entry.symbol}:
                continue
            if not in_time(call, ms(entry.at_ns)):
                continue
            rows.append(
                {
                    "symbol": entry.symbol,
                    "incomeType": kind,
                    "income": usdt(entry.change_usdt),
                    "asset": "USDT",
                    "info": kind,
                    "time": ms(entry.at_ns),
                    "tranId": str(TRANSFER_BASE + number),
                    "tradeId": trade_id,
                }
            )
        return page(call, rows, from_start=False)

    def _trade_ids(self, account: str) -> dict[tuple[str, str], list[int]]:
        """Return the fills that posted each kind of entry, the first one last."""
        queues: dict[tuple[str, str], list[int]] = {}
        for fill in reversed(self._desk.exchange.fills(account)):
            fill_id = int(fill.fill_id)
            if fill.realised_usdt:
                queues.setdefault(("pnl", fill.symbol), []).append(fill_id)
            if fill.fee_usdt:
                kind = "liquidation_fee" if fill.cause == "liquidation" else "fee"
                queues.setdefault((kind, fill.symbol), []).append(fill_id)
        return queues

    def _risk(self, call: Call, *, socket: bool) -> list[Row]:
        now_ms = self._desk.world.now_ms()
        wanted = self._desk.symbols(call) if call.has("symbol") else self._busy(call)
        return [
            position_v3_row(row, self._desk.grid(row.report.changed.symbol), now_ms, socket=socket)
            for row in self._held(call, wanted)
            if row.is_shown
        ]

    def _busy(self, call: Call) -> list[str]:
        """Return the symbols with a position or an open order."""
        exchange = self._desk.exchange
        symbols = {one.changed.symbol for one in exchange.position_reports(call.account)}
        symbols.update(one.symbol for one in exchange.open_orders(call.account))
        return [symbol for symbol in self._desk.grids if symbol in symbols]

    def _held(self, call: Call, symbols: list[str]) -> list[Held]:
        exchange = self._desk.exchange
        by_symbol: dict[str, list[OrderReport]] = {}
        for order in exchange.order_reports(call.account, open_only=True):
            by_symbol.setdefault(order.update.symbol, []).append(order)
        return [
            held(report, by_symbol.get(symbol, []))
            for symbol in symbols
            for report in exchange.position_reports(call.account, symbol)
        ]

    def _wallet(self, call: Call) -> Wallet:
        exchange = self._desk.exchange
        positions = exchange.position_reports(call.account)
        return wallet(exchange.balance(call.account), positions)

    def _is_hedge(self, call: Call) -> bool:
        return self._desk.exchange.position_mode(call.account) == "hedge"
