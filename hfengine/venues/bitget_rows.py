"""Bitget's classic futures rows and pushes as our messages and instruments; nothing here does I/O.

In hedge mode `side` names the position, not the direction: closing a long is side buy, tradeSide
close. Fees are told as they change the wallet: negative is paid.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from hfengine.exchange import rejects
from hfengine.instruments import Instrument, RiskTier
from hfengine.messages import BalanceChanged, Fill, FundingPaid, OrderKind, OrderState, OrderUpdate
from hfengine.requests import LeverageSetting, OrderRequest, Slot, TimeInForce

Row = Mapping[str, Any]
Cause = Literal["order", "stop", "target", "liquidation", "adl"]

PRODUCT: Final = "USDT-FUTURES"
COIN: Final = "USDT"
NOTHING: Final = Decimal(0)
UNBOUNDED: Final = Decimal(10**9)
"""Where the venue lists no maximum."""
MS_NS: Final = 1_000_000

STATES: Final[dict[str, OrderState]] = {
    "live": "new",
    "new": "new",
    "init": "new",
    "partially_filled": "partially_filled",
    "partial-fill": "partially_filled",
    "filled": "filled",
    "full-fill": "filled",
    "canceled": "cancelled",
    "cancelled": "cancelled",
}
PLAN_STATES: Final[dict[str, OrderState]] = {
    "live": "untriggered",
    "not_trigger": "untriggered",
    "executing": "triggered",
    "executed": "filled",
    "fail_execute": "rejected",
    "fail_trigger": "rejected",
    "cancelled": "cancelled",
    "cancel": "cancelled",
}
"""Plan orders end when they are executed: the order they become has an id of its own."""

STOP_PLANS: Final = ("pos_loss", "loss_plan", "psl", "sl")
TARGET_PLANS: Final = ("pos_profit", "profit_plan", "ptp", "tp")
"""Plan types by REST and, short, by push."""

WHOLE_PLANS: Final = ("pos_loss", "pos_profit", "psl", "ptp")
"""Of the whole position, whatever its size."""

REASONS: Final = {"normal_cancel": rejects.CANCELLED_BY_USER, "stp_cancel": rejects.SELF_TRADE}
FORCES: Final[dict[TimeInForce, str]] = {
    "gtc": "gtc",
    "ioc": "ioc",
    "fok": "fok",
    "post_only": "post_only",
}
MARGIN_MODES: Final = {"isolated": "isolated", "cross": "crossed"}
FUNDING_BUSINESS: Final = "contract_settle_fee"


def number(text: Any) -> Decimal:
    """Return a venue's number, exactly; what is missing or empty is 0."""
    return Decimal(str(text)) if text not in (None, "") else NOTHING


def product(**parameters: Any) -> dict[str, Any]:
    """Return a call's parameters with the product it is about."""
    return {"productType": PRODUCT, **parameters}


def margin_mode_of(row: Row) -> Literal["isolated", "cross"]:
    """Return a row's margin mode."""
    return "isolated" if row.get("marginMode") == "isolated" else "cross"


# instruments


def instrument_of(
    row: Row, levels: Sequence[Row], *, maker_fee: Decimal, taker_fee: Decimal, as_of: str
) -> Instrument:
    """Return an instrument from its row of contracts and its position levels.

    Raises KeyError or ValueError when either is not as documented.
    """
    tick = number(row["priceEndStep"]).scaleb(-int(row["pricePlace"]))
    largest = number(row.get("maxOrderQty")) or UNBOUNDED
    bands = [number(row.get(f"{side}LimitPriceRatio")) for side in ("buy", "sell")]
    return Instrument(
        symbol=row["symbol"],
        venue="bitget",
        base=row["baseCoin"],
        price_tick=tick,
        quantity_step=number(row["sizeMultiplier"]),
        quantity_min=number(row["minTradeNum"]),
        quantity_max=largest,
        market_quantity_max=number(row.get("maxMarketOrderQty")) or largest,
        notional_min_usdt=number(row.get("minTradeUSDT")),
        price_band=min((band for band in bands if band), default=Decimal(1)),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        # a liquidation is charged the taker fee
        liquidation_fee=taker_fee,
        funding_interval_h=int(row.get("fundInterval") or 8),
        tiers=tiers_of(levels),
        as_of=as_of,
        sources=(
            "/api/v2/mix/market/contracts",
            "/api/v2/mix/market/query-position-lever",
            "/api/v2/common/trade-rate",
        ),
    )


def tiers_of(levels: Sequence[Row]) -> tuple[RiskTier, ...]:
    """Return a symbol's risk tiers, lowest first.

    The venue lists no deduction; it is the one that keeps the maintenance margin continuous:
    deduction_n = deduction_{n-1} + cap_{n-1} * (rate_n - rate_{n-1}) (VENUES 4.1).
    """
    tiers: list[RiskTier] = []
    for level in sorted(levels, key=lambda level: number(level["endUnit"])):
        rate, deduction_usdt = number(level["keepMarginRate"]), NOTHING
        if tiers:
            before = tiers[-1]
            step = before.notional_cap_usdt * (rate - before.maintenance_rate)
            deduction_usdt = before.deduction_usdt + step
        tiers.append(
            RiskTier(
                notional_cap_usdt=number(level["endUnit"]),
                maintenance_rate=rate,
                max_leverage=number(level["leverage"]),
                deduction_usdt=deduction_usdt,
            )
        )
    return tuple(tiers)


def is_usdt_perpetual(row: Row) -> bool:
    """Tell whether a row of contracts is a USDT perpetual that trades."""
    return (
        row.get("quoteCoin") == COIN
        and row.get("symbolType") == "perpetual"
        and row.get("symbolStatus") in ("normal", "restrictedAPI")
    )


def leverage_of_account(row: Row, symbol: str) -> LeverageSetting:
    """Return the leverage of account/account.

    Two sides that differ, or no whole number, read as 0: that proves no leverage.
    """
    mode = margin_mode_of(row)
    texts = {str(row.get("crossedMarginLeverage"))}
    if mode == "isolated":
        texts = {str(row.get("isolatedLongLever")), str(row.get("isolatedShortLever"))}
    text = texts.pop()
    return LeverageSetting(symbol, int(text) if not texts and text.isdecimal() else 0, mode)


# orders out


def slot_of(request: OrderRequest, *, hedged: bool) -> Slot:
    """Return the position an order is for: in hedge mode what it opens or reduces."""
    if not hedged:
        return "net"
    if request.slot != "net":
        return request.slot
    reduces = request.reduce_only or request.close_position
    return "long" if (request.side > 0) != reduces else "short"


def order_params(request: OrderRequest, *, hedged: bool, margin_mode: str) -> dict[str, Any]:
    """Return the parameters of place-order, stop and target attached."""
    params: dict[str, Any] = {
        "symbol": request.symbol,
        "productType": PRODUCT,
        "marginMode": MARGIN_MODES[margin_mode],
        "marginCoin": COIN,
        "size": f"{request.quantity:f}",
        "side": "buy" if request.side > 0 else "sell",
        "orderType": request.kind,
        "clientOid": request.client_id,
    }
    if request.kind == "limit":
        params |= {"price": f"{request.price:f}", "force": FORCES[request.tif]}
    if hedged:
        slot = slot_of(request, hedged=True)
        opens = (slot == "long") == (request.side > 0)
        params |= {
            "side": "buy" if slot == "long" else "sell",
            "tradeSide": "open" if opens else "close",
        }
    elif request.reduce_only:
        params["reduceOnly"] = "YES"
    if request.stop:
        params["presetStopLossPrice"] = f"{request.stop:f}"
    if request.target:
        params["presetStopSurplusPrice"] = f"{request.target:f}"
    return params


def acknowledged(request: OrderRequest, row: Row, at_ns: int) -> OrderUpdate:
    """Return an order as taken by the venue: what became of it comes on the stream."""
    return OrderUpdate(
        request.client_id,
        str(row.get("orderId") or ""),
        request.symbol,
        at_ns,
        request.kind,
        request.side,
        request.quantity,
        NOTHING,
        request.price,
        request.trigger,
        request.reduce_only,
        "new",
    )


# orders in


def direction_of(row: Row) -> int:
    """Return +1 for an order that buys, -1 for one that sells, in either position mode."""
    side = 1 if row["side"] == "buy" else -1
    return -side if closes(row) and is_hedged(row) else side


def is_hedged(row: Row) -> bool:
    """Tell whether a row is of an account in hedge mode."""
    return row.get("posMode") == "hedge_mode" or row.get("posSide") in ("long", "short")


def closes(row: Row) -> bool:
    """Tell whether an order or fill takes from a position, as `tradeSide` says."""
    return "close" in str(row.get("tradeSide") or "")


def is_reducing(row: Row) -> bool:
    """Tell whether an order can only take from a position."""
    return closes(row) or str(row.get("reduceOnly") or "").lower() == "yes"


def order_of_row(row: Row) -> OrderUpdate:
    """Return an order by REST (order/detail, orders-pending) or of the channel `orders`."""
    status = str(row.get("state") or row.get("status") or "")
    filled = number(row.get("accBaseVolume", row.get("baseVolume")))
    state = STATES.get(status, "new")
    return OrderUpdate(
        str(row.get("clientOid") or ""),
        str(row["orderId"]),
        str(row.get("instId") or row.get("symbol")),
        int(row.get("uTime") or row.get("cTime") or 0) * MS_NS,
        "limit" if row.get("orderType") == "limit" else "market",
        direction_of(row),
        number(row["size"]),
        filled,
        number(row.get("price")),
        NOTHING,
        is_reducing(row),
        state,
        _reason(row, state, filled),
    )


def _reason(row: Row, state: OrderState, filled: Decimal) -> str:
    if state != "cancelled":
        return ""
    told = str(row.get("cancelReason") or "")
    if told:
        return REASONS.get(told, told)
    force = row.get("force")
    if force == "ioc" or row.get("orderType") == "market":
        return rejects.IOC_REMAINDER if filled else rejects.NO_LIQUIDITY
    return rejects.FOK_NOT_FILLABLE if force == "fok" else ""


def plan_kind(row: Row) -> OrderKind | None:
    """Return what a plan order protects against; None for one that is no stop and no target."""
    told = row.get("planType")
    if told in STOP_PLANS:
        return "stop_market"
    return "take_profit_market" if told in TARGET_PLANS else None


def plan_of_row(row: Row) -> OrderUpdate:
    """Return a plan order by REST or of the channel `orders-algo`."""
    status = str(row.get("planStatus") or row.get("status") or "live")
    return OrderUpdate(
        str(row.get("clientOid") or ""),
        str(row["orderId"]),
        str(row.get("instId") or row.get("symbol")),
        int(row.get("uTime") or row.get("cTime") or 0) * MS_NS,
        plan_kind(row) or "stop_market",
        direction_of(row),
        # one for the whole position is told with a size here and without one there
        NOTHING if row.get("planType") in WHOLE_PLANS else number(row.get("size")),
        number(row.get("actualSize")),
        NOTHING,
        number(row.get("triggerPrice")),
        is_reducing(row) or plan_kind(row) is not None,
        PLAN_STATES.get(status, "untriggered"),
    )


# fills and funding


def fill_id_of(row: Row) -> str:
    """Return a fill's id."""
    return f"{row['symbol']}:{row['tradeId']}"


def forced_cause(row: Row) -> Cause | None:
    """Return the cause of a fill that the venue forced; None for all others."""
    told = str(row.get("tradeSide") or "")
    if told.startswith("burst"):
        return "liquidation"
    return "adl" if "adl" in told else None


def cause_of_source(source: str) -> Cause:
    """Return why an order filled, by the `orderSource` of its details."""
    if "liquidation" in source or source.startswith("burst"):
        return "liquidation"
    if "loss" in source:
        return "stop"
    return "target" if "profit" in source else "order"


def fee_usdt(row: Row) -> Decimal:
    """Return a fill's fee in USDT, > 0 is paid; fees in another coin leave the wallet alone."""
    paid = [
        number(fee.get("totalFee"))
        for fee in row.get("feeDetail") or ()
        if fee.get("feeCoin") in (COIN, None)
    ]
    return -sum(paid, NOTHING) if paid else NOTHING


def fee_elsewhere(row: Row) -> str:
    """Return what of a fill's fee was not paid in USDT as "-0.001 BGB", "" when there is none."""
    paid = [
        f"{fee.get('totalFee')} {fee['feeCoin']}"
        for fee in row.get("feeDetail") or ()
        if fee.get("feeCoin") not in (COIN, None) and number(fee.get("totalFee"))
    ]
    return ", ".join(paid)


def fill_of_row(row: Row, *, client_id: str, side: int, cause: Cause) -> Fill:
    """Return an execution by REST (order/fills) or of the channel `fill`."""
    return Fill(
        fill_id_of(row),
        client_id,
        row["symbol"],
        int(row["cTime"]) * MS_NS,
        side,
        number(row["baseVolume"]),
        number(row["price"]),
        fee_usdt(row),
        number(row.get("profit")),
        row.get("tradeScope") == "maker",
        cause,
    )


def funding_of_bill(row: Row, rate: Decimal) -> FundingPaid:
    """Return a settlement of the account's bills; the venue shows what is paid as negative."""
    return FundingPaid(row["symbol"], int(row["cTime"]) * MS_NS, rate, -number(row["amount"]))


# the account


def balance_of(
    row: Row, *, isolated: bool, maintenance_usdt: Decimal, at_ns: int
) -> BalanceChanged:
    """Return a row of account/accounts or of the channel `account`.

    The wallet is the equity less what is unrealised; the venue does not tell it by itself.
    """
    equity_usdt = number(row.get("accountEquity", row.get("equity")))
    free = row.get("isolatedMaxAvailable" if isolated else "crossedMaxAvailable")
    return BalanceChanged(
        at_ns,
        equity_usdt - number(row.get("unrealizedPL")),
        equity_usdt,
        number(row.get("maxOpenPosAvailable", free)),
        maintenance_usdt,
    )
