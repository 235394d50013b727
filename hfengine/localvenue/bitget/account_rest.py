"""REST about the account: balance, settings, positions, bills."""

from decimal import Decimal
from typing import Any, Final

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.localvenue.bitget import identity
from hfengine.localvenue.bitget.account_rows import (
    Costs,
    Holdings,
    account_row,
    bill_row,
    position_row,
    single_account_row,
)
from hfengine.localvenue.bitget.desk import Desk
from hfengine.localvenue.bitget.errors import parameter, refused_by
from hfengine.localvenue.bitget.figures import ZERO, ms, per, shown
from hfengine.localvenue.bitget.order_rows import Row
from hfengine.localvenue.bitget.parameters import Call
from hfengine.localvenue.bitget.standing import COIN, HEDGE, HOLD_SIDES, ONE_WAY, Standing
from hfengine.localvenue.bitget.tally import Round
from hfengine.localvenue.figures import plain
from hfengine.localvenue.world import World
from hfengine.requests import Slot

BUSINESS: Final = {
    "deposit": "trans_from_exchange",
    "funding": "contract_settle_fee",
    "fee": "trade_fee",
    "pnl": "realised_pnl",
    "liquidation_fee": "liquidation_fee",
}
"""Fees and realised PnL are entries of their own here; Bitget shows both in one open or close."""

HISTORY_LIMIT: Final = 20


class AccountRest:
    """Handlers under /api/v2/mix/account and /api/v2/mix/position."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world
        self._exchange = desk.exchange

    def accounts(self, call: Call) -> list[Row]:
        """Answer account/accounts."""
        if call.lists_nothing():
            return []
        return [account_row(self._holdings(call), self._bitcoin())]

    def account(self, call: Call) -> Row:
        """Answer account/account: the balance with one symbol's settings."""
        symbol = call.symbol(self._world.instruments)
        return single_account_row(self._holdings(call), symbol, self._bitcoin())

    def set_leverage(self, call: Call) -> Row:
        """Set a symbol's leverage, of one side in isolated hedge mode if `holdSide` says which."""
        symbol = call.symbol(self._world.instruments)
        call.required("marginCoin")
        standing = self._standing(call)
        isolated = standing.margin_mode(symbol, standing.slots[0]) == "isolated"
        wanted: dict[Slot, int] = {}
        for slot in standing.slots:
            text = call.text(f"{slot}Leverage") or call.text("leverage")
            if text:
                wanted[slot] = _leverage(text)
        hold_side = call.text("holdSide").lower()
        if hold_side and hold_side not in {"long", "short"}:
            raise parameter("holdSide")
        if standing.is_hedged and isolated and hold_side:
            wanted = {slot: times for slot, times in wanted.items() if slot == hold_side}
        if not wanted:
            raise parameter("leverage")
        if self._world.faults.take(
            "leverage_kept", path=call.path, symbol=symbol, account=call.account
        ):
            return _leverage_row(standing, symbol, wanted)

        def change(now_ns: int) -> None:
            if len(set(wanted.values())) == 1 and len(wanted) == len(standing.slots):
                times = next(iter(wanted.values()))
                self._exchange.set_leverage(call.account, symbol, times, now_ns)
                return
            for slot, times in wanted.items():
                self._exchange.set_leverage(call.account, symbol, times, now_ns, slot)

        try:
            self._world.act(change)
        except VenueRejected as rejected:
            if rejected.reason == rejects.INSUFFICIENT_MARGIN:
                rejected = VenueRejected("leverage_margin", rejected.detail)
            raise refused_by(rejected) from None
        return _leverage_row(self._standing(call), symbol, {})

    def set_margin_mode(self, call: Call) -> Row:
        """Set a symbol's margin mode; the mode it has succeeds too."""
        symbol = call.symbol(self._world.instruments)
        call.required("marginCoin")
        mode = call.choice("marginMode", ("isolated", "crossed"))
        set_margin_mode(self._world, call.account, symbol, mode)
        return _leverage_row(self._standing(call), symbol, {})

    def set_position_mode(self, call: Call) -> Row:
        """Set the account's position mode; the mode it has succeeds too."""
        call.lists_nothing()
        mode = call.choice("posMode", (HEDGE, ONE_WAY))
        wanted = "hedge" if mode == HEDGE else "one_way"
        try:
            self._world.act(
                lambda now_ns: self._exchange.set_position_mode(
                    call.account, "hedge" if wanted == "hedge" else "one_way", now_ns
                )
            )
        except VenueRejected as rejected:
            if rejected.reason != rejects.POSITION_MODE_NOT_MODIFIED:
                raise
        return {"posMode": mode}

    def all_positions(self, call: Call) -> list[Row]:
        """Answer position/all-position: the open ones, the latest first."""
        if call.lists_nothing():
            return []
        return self.position_rows(call.account)

    def single_position(self, call: Call) -> list[Row]:
        """Answer position/single-position: the open ones of a symbol."""
        symbol = call.symbol(self._world.instruments)
        return [row for row in self.position_rows(call.account) if row["symbol"] == symbol]

    def position_rows(self, account: str) -> list[Row]:
        """Return the open positions, the latest first."""
        standing = self._desk.standing(account)
        held = Holdings(standing).positions
        held.sort(key=lambda one: one.opened_ns, reverse=True)
        rows = []
        for report in held:
            symbol = report.changed.symbol
            costs = Costs(report, standing)
            rows.append(position_row(report, standing, self._world.instruments[symbol], costs))
        return rows

    def history(self, call: Call) -> Row:
        """Answer position/history-position: the closed ones, the latest first."""
        symbol = ""
        if call.text("symbol"):
            symbol = call.symbol(self._world.instruments, needs_product=False)
        elif call.text("productType") and call.lists_nothing():
            return {"list": [], "endId": None}
        standing = self._standing(call)
        ended = [one for one in standing.tally.ended() if symbol in {"", one.symbol}]
        rows = [self._round_row(standing, one) for one in reversed(ended)]
        rows = [row for row in rows if call.within(int(row["utime"]))]
        before = call.text("idLessThan")
        if before:
            ids = [row["positionId"] for row in rows]
            rows = rows[ids.index(before) + 1 :] if before in ids else []
        rows = rows[: call.limit(HISTORY_LIMIT)]
        return {"list": rows, "endId": rows[-1]["positionId"] if rows else None}

    def _round_row(self, standing: Standing, one: Round) -> Row:
        account, symbol = standing.account, one.symbol
        entries = self._exchange.ledger(account).entries
        funding = sum(
            (
                entry.change_usdt
                for entry in entries
                if entry.kind == "funding"
                and entry.symbol == symbol
                and one.opened_ns <= entry.at_ns <= one.ended_ns
            ),
            ZERO,
        )
        net = one.achieved_usdt + funding - one.open_fee_usdt - one.close_fee_usdt
        return {
            "positionId": identity.position_id(one.first_fill_id),
            "symbol": symbol,
            "marginCoin": COIN,
            "holdSide": HOLD_SIDES[one.side],
            "openAvgPrice": shown(per(one.opened_usdt, one.opened)),
            "closeAvgPrice": shown(per(one.closed_usdt, one.closed)),
            "marginMode": standing.margin_mode(symbol, one.slot),
            "openTotalPos": plain(one.opened),
            "closeTotalPos": plain(one.closed),
            "pnl": plain(one.achieved_usdt),
            "netProfit": shown(net),
            "totalFunding": plain(funding),
            "openFee": shown(-one.open_fee_usdt),
            "closeFee": shown(-one.close_fee_usdt),
            "posMode": ONE_WAY if one.slot == "net" else HEDGE,
            "cashDividend": "0.00000000",
            "utime": ms(one.ended_ns),
            "ctime": ms(one.opened_ns),
        }

    def bills(self, call: Call) -> Row:
        """Answer account/bill: the ledger, the latest first."""
        if call.lists_nothing():
            return {"bills": [], "endId": None}
        wanted, symbol = call.text("businessType"), call.text("symbol").upper()
        before = call.whole("idLessThan", 0)
        rows: list[Row] = []
        balance = ZERO
        for place, entry in enumerate(self._exchange.ledger(call.account).entries, 1):
            balance += entry.change_usdt
            business = BUSINESS[entry.kind]
            if wanted not in {"", business} or symbol not in {"", entry.symbol}:
                continue
            row = bill_row(place, entry, business, balance)
            if call.within(int(row["cTime"])) and (not before or int(row["billId"]) < before):
                rows.append(row)
        rows = rows[::-1][: call.limit(HISTORY_LIMIT)]
        return {"bills": rows, "endId": rows[-1]["billId"] if rows else None}

    def trade_rate(self, call: Call) -> Row:
        """Answer common/trade-rate."""
        given = call.required("symbol").upper()
        instrument = self._world.instruments.get(given)
        if instrument is None:
            raise parameter("symbol")
        return {
            "makerFeeRate": plain(instrument.maker_fee),
            "takerFeeRate": plain(instrument.taker_fee),
        }

    def _standing(self, call: Call) -> Standing:
        return self._desk.standing(call.account)

    def _holdings(self, call: Call) -> Holdings:
        return Holdings(self._standing(call))

    def _bitcoin(self) -> Decimal:
        return self._exchange.mark("BTCUSDT") if "BTCUSDT" in self._world.instruments else ZERO


def set_margin_mode(world: World, account: str, symbol: str, mode: str) -> None:
    """Set a symbol's margin mode unless it has it; raises VenueRejected."""
    try:
        world.act(
            lambda now_ns: world.exchange.set_margin_mode(
                account, symbol, "isolated" if mode == "isolated" else "cross", now_ns
            )
        )
    except VenueRejected as rejected:
        if rejected.reason != rejects.MARGIN_MODE_NOT_MODIFIED:
            raise


def _leverage(text: str) -> int:
    try:
        figure = Decimal(text)
    except ArithmeticError:
        raise parameter("leverage") from None
    if not figure.is_finite() or figure != figure.to_integral_value():
        raise parameter("leverage")
    return int(figure)


def _leverage_row(standing: Standing, symbol: str, claimed: dict[Slot, int]) -> dict[str, Any]:
    """Return a symbol's leverage, or what is claimed of it; crossed has one for both sides."""
    slots = standing.slots
    long_x, short_x = (
        claimed.get(slot, standing.setting(symbol, slot).leverage) for slot in (slots[0], slots[-1])
    )
    mode = standing.margin_mode(symbol, slots[0])
    return {
        "symbol": symbol,
        "marginCoin": COIN,
        "longLeverage": str(long_x),
        "shortLeverage": str(short_x),
        "crossMarginLeverage": str(long_x) if mode == "crossed" else "",
        "marginMode": mode,
    }
