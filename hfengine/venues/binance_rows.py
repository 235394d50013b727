"""Binance USDⓈ-M's raw rows and events as our messages and instruments; nothing here does I/O.

Numbers arrive as text and stay exact. Rows come from REST, events from the private stream; the
samples of the protocol are the reference for their fields.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

from hfengine.exchange import rejects
from hfengine.instruments import Instrument, RiskTier
from hfengine.messages import BalanceChanged, Fill, FundingPaid, OrderKind, OrderState, OrderUpdate
from hfengine.requests import LeverageSetting
from hfengine.venues.binance_order_entry import ALGO_STATES, STATES

Row = Mapping[str, Any]
Cause = Literal["order", "stop", "target", "liquidation", "adl"]

NOTHING: Final = Decimal(0)
MS_NS: Final = 1_000_000
FUNDING_INTERVAL_H: Final = 8
"""Where the venue lists no other."""

KINDS: Final[dict[str, OrderKind]] = {
    "MARKET": "market",
    "LIMIT": "limit",
    "STOP_MARKET": "stop_market",
    "STOP": "stop_market",
    "TRAILING_STOP_MARKET": "stop_market",
    "TAKE_PROFIT_MARKET": "take_profit_market",
    "TAKE_PROFIT": "take_profit_market",
    "LIQUIDATION": "market",
}
"""Order types; the limit and trailing forms of stops are never ours and count as what they do."""

ADL_ID: Final = "adl_autoclose"
LIQUIDATION_ID: Final = "autoclose-"
"""How the ids of orders begin that the venue itself made."""

CLOSING_SIDES: Final = {"LONG": "SELL", "SHORT": "BUY"}
"""What closes a position of hedge mode."""

REASONS: Final = {
    "CANCELED": rejects.CANCELLED_BY_USER,
    "EXPIRED_IN_MATCH": rejects.SELF_TRADE,
    "EXPIRED": "expired",
    "REJECTED": "rejected",
}


def number(text: Any) -> Decimal:
    """Return a venue's number, exactly; what is missing or empty is 0."""
    return Decimal(str(text)) if text not in (None, "") else NOTHING


def side_of(text: str) -> int:
    """Return +1 for BUY, -1 for SELL."""
    return 1 if text == "BUY" else -1


# instruments


def instrument_of(
    row: Row,
    brackets: Sequence[Row],
    *,
    maker_fee: Decimal,
    taker_fee: Decimal,
    as_of: str,
    funding_interval_h: int = FUNDING_INTERVAL_H,
) -> Instrument:
    """Return an instrument from its row of exchangeInfo and its leverage brackets.

    Raises KeyError or ValueError when either is not as documented.
    """
    filters = {entry["filterType"]: entry for entry in row["filters"]}
    lot, price = filters["LOT_SIZE"], filters["PRICE_FILTER"]
    market_lot = filters.get("MARKET_LOT_SIZE", lot)
    band = filters.get("PERCENT_PRICE", {})
    up, down = number(band.get("multiplierUp", 1)), number(band.get("multiplierDown", 1))
    bands = [each for each in (up - 1, 1 - down) if each > 0]
    return Instrument(
        symbol=row["symbol"],
        venue="binance",
        base=row["baseAsset"],
        price_tick=number(price["tickSize"]),
        quantity_step=number(lot["stepSize"]),
        quantity_min=max(number(lot["minQty"]), number(market_lot["minQty"])),
        quantity_max=number(lot["maxQty"]),
        market_quantity_max=number(market_lot["maxQty"]),
        notional_min_usdt=number(filters.get("MIN_NOTIONAL", {}).get("notional")),
        price_band=min(bands, default=Decimal(1)),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        liquidation_fee=number(row.get("liquidationFee")),
        funding_interval_h=funding_interval_h,
        tiers=tiers_of(brackets),
        as_of=as_of,
        sources=("/fapi/v1/exchangeInfo", "/fapi/v1/leverageBracket", "/fapi/v1/commissionRate"),
    )


def tiers_of(brackets: Sequence[Row]) -> tuple[RiskTier, ...]:
    """Return a symbol's risk tiers, lowest first."""
    tiers = [
        RiskTier(
            notional_cap_usdt=number(bracket["notionalCap"]),
            maintenance_rate=number(bracket["maintMarginRatio"]),
            max_leverage=number(bracket["initialLeverage"]),
            deduction_usdt=number(bracket["cum"]),
        )
        for bracket in brackets
    ]
    return tuple(sorted(tiers, key=lambda tier: tier.notional_cap_usdt))


def is_usdt_perpetual(row: Row) -> bool:
    """Tell whether a row of exchangeInfo is a linear USDT perpetual that trades."""
    return (
        row.get("contractType") == "PERPETUAL"
        and row.get("quoteAsset") == "USDT"
        and row.get("marginAsset") == "USDT"
        and row.get("status") == "TRADING"
    )


def leverage_of_row(row: Row) -> LeverageSetting:
    """Return a row of symbolConfig; a leverage that is no whole number reads as 0."""
    text = str(row["leverage"])
    mode: Literal["isolated", "cross"] = (
        "isolated" if str(row["marginType"]).upper() == "ISOLATED" else "cross"
    )
    return LeverageSetting(row["symbol"], int(text) if text.isdecimal() else 0, mode)


# orders


def is_reducing(row: Row) -> bool:
    """Tell whether an order of REST can only take from a position."""
    flagged = bool(row.get("reduceOnly")) or bool(row.get("closePosition"))
    return _takes(str(row.get("positionSide", "")), row["side"], flagged=flagged)


def is_event_reducing(order: Row) -> bool:
    """Tell the same of the order of an event."""
    flagged = bool(order.get("R")) or bool(order.get("cp"))
    return _takes(str(order.get("ps", "")), order["S"], flagged=flagged)


def _takes(slot: str, side: str, *, flagged: bool) -> bool:
    # in hedge mode nothing is flagged as reduce-only: an order against its slot is
    return side == CLOSING_SIDES[slot] if slot in CLOSING_SIDES else flagged


def order_of_row(row: Row, at_ns: int = 0) -> OrderUpdate:
    """Return an order as REST or the acknowledgement tells it."""
    status = row["status"]
    quantity, filled = number(row["origQty"]), number(row.get("executedQty"))
    return OrderUpdate(
        row.get("clientOrderId", ""),
        str(row["orderId"]),
        row["symbol"],
        int(row.get("updateTime") or 0) * MS_NS or at_ns,
        KINDS.get(row["type"], "market"),
        side_of(row["side"]),
        quantity,
        filled,
        number(row.get("price")),
        number(row.get("stopPrice")),
        is_reducing(row),
        STATES.get(status, _state(quantity, filled)),
        _reason(status, row.get("timeInForce", ""), filled),
    )


def order_of_event(event: Row) -> OrderUpdate:
    """Return the order of an ORDER_TRADE_UPDATE."""
    order = event["o"]
    status = order["X"]
    quantity, filled = number(order["q"]), number(order["z"])
    return OrderUpdate(
        order["c"],
        str(order["i"]),
        order["s"],
        int(event["T"]) * MS_NS,
        KINDS.get(order["o"], "market"),
        side_of(order["S"]),
        quantity,
        filled,
        number(order["p"]),
        number(order.get("sp")),
        is_event_reducing(order),
        # NEW_INSURANCE and NEW_ADL are fills the venue made
        STATES.get(status, _state(quantity, filled)),
        _reason(status, order.get("f", ""), filled),
    )


def algo_of_row(row: Row, at_ns: int = 0) -> OrderUpdate:
    """Return a conditional order as REST or the acknowledgement tells it."""
    return OrderUpdate(
        row.get("clientAlgoId", ""),
        str(row["algoId"]),
        row["symbol"],
        int(row.get("updateTime") or 0) * MS_NS or at_ns,
        KINDS.get(algo_type(row), "stop_market"),
        side_of(row["side"]),
        number(row.get("quantity")),
        number(row.get("actualQty")),
        number(row.get("price")),
        number(row.get("triggerPrice")),
        is_reducing(row),
        _algo_state(row["algoStatus"], number(row.get("actualQty"))),
        _reason(row["algoStatus"], "", NOTHING),
    )


def algo_of_event(event: Row) -> OrderUpdate:
    """Return the conditional order of an ALGO_UPDATE."""
    order = event["o"]
    return OrderUpdate(
        order["caid"],
        str(order["aid"]),
        order["s"],
        int(event["T"]) * MS_NS,
        KINDS.get(order["o"], "stop_market"),
        side_of(order["S"]),
        number(order.get("q")),
        number(order.get("aq")),
        number(order.get("p")),
        number(order.get("tp")),
        is_event_reducing(order),
        _algo_state(order["X"], number(order.get("aq"))),
        str(order.get("rm") or "") or _reason(order["X"], "", NOTHING),
    )


def algo_type(row: Row) -> str:
    """Return a conditional order's type: `orderType` in answers, `type` in older lists."""
    return str(row.get("orderType") or row.get("type") or "")


def _algo_state(status: str, filled: Decimal) -> OrderState:
    if status == "FINISHED":
        # the order it made has ended, and with it this one
        return "filled" if filled else "cancelled"
    return ALGO_STATES.get(status, "untriggered")


def _state(quantity: Decimal, filled: Decimal) -> OrderState:
    return "filled" if filled >= quantity else "partially_filled" if filled else "new"


def _reason(status: str, tif: str, filled: Decimal) -> str:
    if status == "EXPIRED":
        if tif == "IOC":
            return rejects.IOC_REMAINDER if filled else rejects.NO_LIQUIDITY
        if tif == "FOK":
            return rejects.FOK_NOT_FILLABLE
        if tif == "GTX":
            return rejects.POST_ONLY_WOULD_TAKE
    return REASONS.get(status, "")


# fills and funding


def fill_id_of(symbol: str, trade_id: Any) -> str:
    """Return a fill's id: the venue counts trades for every symbol apart."""
    return f"{symbol}:{trade_id}"


def cause_of(client_id: str, original_type: str) -> Cause:
    """Return why a fill happened, by its order's id and original type."""
    if client_id.startswith(ADL_ID):
        return "adl"
    if client_id.startswith(LIQUIDATION_ID) or original_type == "LIQUIDATION":
        return "liquidation"
    if original_type.startswith(("STOP", "TRAILING")):
        return "stop"
    return "target" if original_type.startswith("TAKE_PROFIT") else "order"


def has_fill(event: Row) -> bool:
    """Tell whether an ORDER_TRADE_UPDATE brings an execution."""
    order = event["o"]
    return order["x"] in ("TRADE", "CALCULATED") and number(order["l"]) > 0


def fill_of_event(event: Row, client_id: str = "") -> Fill:
    """Return the execution of an ORDER_TRADE_UPDATE; `client_id` replaces the spawned order's."""
    order = event["o"]
    return Fill(
        fill_id_of(order["s"], order["t"]),
        client_id or order["c"],
        order["s"],
        int(order["T"]) * MS_NS,
        side_of(order["S"]),
        number(order["l"]),
        number(order["L"]),
        fee_usdt(order.get("n"), order.get("N")),
        number(order.get("rp")),
        bool(order.get("m")),
        cause_of(order["c"], order.get("ot", "")),
    )


def fill_of_trade(row: Row, client_id: str, original_type: str, raw_id: str = "") -> Fill:
    """Return a row of userTrades; what it does not say of its order comes along.

    `raw_id` is the id the venue itself gave the order, `client_id` the one we know it by.
    """
    return Fill(
        fill_id_of(row["symbol"], row["id"]),
        client_id,
        row["symbol"],
        int(row["time"]) * MS_NS,
        side_of(row["side"]),
        number(row["qty"]),
        number(row["price"]),
        fee_usdt(row.get("commission"), row.get("commissionAsset")),
        number(row.get("realizedPnl")),
        bool(row.get("maker")),
        cause_of(raw_id or client_id, original_type),
    )


def fee_usdt(fee: Any, asset: Any) -> Decimal:
    """Return a fee paid in USDT, > 0 is paid; one in another asset does not touch the wallet: 0."""
    return number(fee) if asset in ("USDT", None) else NOTHING


FEE_ELSEWHERE: Final = "fee_in_another_coin"
"""Why the account's worth and the ledger in USDT differ: such fees count as 0 in it."""


def fee_elsewhere(fee: Any, asset: Any) -> str:
    """Return a fee that was not paid in USDT as "0.001 BNB", "" when there is none."""
    return f"{fee} {asset}" if asset not in ("USDT", None) and number(fee) else ""


def funding_of_row(row: Row, rate: Decimal) -> FundingPaid:
    """Return a FUNDING_FEE row of income; the venue shows what is paid as negative."""
    return FundingPaid(row["symbol"], int(row["time"]) * MS_NS, rate, -number(row["income"]))


# the account


def balance_of(account: Row, at_ns: int) -> BalanceChanged:
    """Return the USDT row of v3/account; 0 everywhere when the account never held any."""
    for asset in account.get("assets", ()):
        if asset["asset"] == "USDT":
            return BalanceChanged(
                at_ns,
                number(asset["walletBalance"]),
                number(asset["marginBalance"]),
                number(asset["availableBalance"]),
                number(asset["maintMargin"]),
            )
    return BalanceChanged(at_ns, NOTHING, NOTHING, NOTHING, NOTHING)


def wallet_of_event(event: Row) -> Decimal | None:
    """Return the USDT wallet an ACCOUNT_UPDATE tells, None when it tells none."""
    for asset in event["a"].get("B", ()):
        if asset["a"] == "USDT":
            return number(asset["wb"])
    return None
