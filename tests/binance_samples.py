"""Which samples are of what the local Binance says, and what may differ from them, and why."""

from tests.sample_table import LATER, SampleTable, inside
from tests.shape import Explained

API = "jkorf/Endpoints/UsdFutures"
SUB = "jkorf/Subscriptions/UsdFutures"
SOCK = "jkorf/Socket/UsdFutures"
ORDERS = "nautilus/user_data_json/order_update_"


def recorded(request: str) -> str:
    """Return the name of a recorded answer."""
    return f"recorded//fapi/v1/{request}"


FUNDING = tuple(
    recorded(f"fundingRate?{query}")
    for query in (
        "symbol=BTCUSDT",
        "limit=1&symbol=BTCUSDT",
        "endTime=1580515200000&limit=1&startTime=1577836800000&symbol=LTCUSDT",
        "endTime=1580515200000&limit=1000&startTime=1577836800000&symbol=BTCUSDT",
        "endTime=1698719354537&limit=1&startTime=1698200954537&symbol=LTCUSDT",
    )
)

CASES: dict[str, tuple[str, ...]] = {
    "GET /fapi/v1/ping": (),
    "GET /fapi/v1/time": (f"{API}/ExchangeData/GetServerTime", recorded("time?")),
    "GET /fapi/v1/exchangeInfo": (f"{API}/ExchangeData/GetExchangeInfo", recorded("exchangeInfo?")),
    "GET /fapi/v1/depth": (
        f"{API}/ExchangeData/GetOrderBook",
        *(recorded(f"depth?limit={n}&symbol=BTCUSDT") for n in (5, 100, 1000)),
    ),
    "GET /fapi/v1/trades": (f"{API}/ExchangeData/GetRecentTrades",),
    "GET /fapi/v1/aggTrades": (f"{API}/ExchangeData/GetAggregatedTradeHistory",),
    "GET /fapi/v1/klines": (f"{API}/ExchangeData/GetKlines",),
    "GET /fapi/v1/premiumIndex": (
        f"{API}/ExchangeData/GetMarkPrice",
        recorded("premiumIndex?symbol=BTCUSDT"),
    ),
    "GET /fapi/v1/premiumIndex all": (recorded("premiumIndex?"),),
    "GET /fapi/v1/ticker/24hr": (f"{API}/ExchangeData/GetTicker",),
    "GET /fapi/v1/ticker/bookTicker": (
        f"{API}/ExchangeData/GetBookPrice",
        recorded("ticker/bookTicker?symbol=BTCUSDT"),
    ),
    "GET /fapi/v1/ticker/bookTicker all": (recorded("ticker/bookTicker?"),),
    "GET /fapi/v1/ticker/price": (f"{API}/ExchangeData/GetPrice",),
    "GET /fapi/v2/ticker/price": (f"{API}/ExchangeData/GetPrice",),
    "GET /fapi/v1/openInterest": (
        f"{API}/ExchangeData/GetOpenInterest",
        recorded("openInterest?symbol=BTCUSDT"),
    ),
    "GET /fapi/v1/fundingInfo": (f"{API}/ExchangeData/GetFundingInfo", recorded("fundingInfo?")),
    "GET /fapi/v1/fundingRate": (f"{API}/ExchangeData/GetFundingRates", *FUNDING),
    "POST /fapi/v1/order": (f"{API}/Trading/PlaceOrder",),
    "PUT /fapi/v1/order": (f"{API}/Trading/EditOrder",),
    "DELETE /fapi/v1/order": (f"{API}/Trading/CancelOrder",),
    "GET /fapi/v1/order": (f"{API}/Trading/GetOrder",),
    "GET /fapi/v1/openOrder": (
        f"{API}/Trading/GetOpenOrder",
        "nautilus/http_json/order_response.json",
    ),
    "GET /fapi/v1/openOrders": (f"{API}/Trading/GetOpenOrders",),
    "GET /fapi/v1/allOrders": (f"{API}/Trading/GetOrders",),
    "POST /fapi/v1/batchOrders": (f"{API}/Trading/PlaceMultipleOrders",),
    "PUT /fapi/v1/batchOrders": (f"{API}/Trading/EditMultipleOrders",),
    "DELETE /fapi/v1/batchOrders": (f"{API}/Trading/CancelMultipleOrders",),
    "DELETE /fapi/v1/allOpenOrders": (f"{API}/Trading/CancelAllOrders",),
    "POST /fapi/v1/countdownCancelAll": (f"{API}/Trading/CancelAllOrdersAfterTimeout",),
    "GET /fapi/v1/userTrades": (f"{API}/Trading/GetUserTrades",),
    "POST /fapi/v1/algoOrder": (f"{API}/Trading/PlaceConditionalOrder",),
    "GET /fapi/v1/algoOrder": (f"{API}/Trading/GetConditionalOrder",),
    "DELETE /fapi/v1/algoOrder": (f"{API}/Trading/CancelConditionalOrder",),
    "GET /fapi/v1/openAlgoOrders": (
        f"{API}/Trading/GetOpenConditionalOrders",
        "nautilus/http_json/open_algo_orders.json",
    ),
    "GET /fapi/v1/allAlgoOrders fired": (f"{API}/Trading/GetConditionalOrders",),
    "DELETE /fapi/v1/algoOpenOrders": (f"{API}/Trading/CancelAllConditionalOrders",),
    "POST /fapi/v1/leverage": (f"{API}/Account/ChangeInitialLeverage",),
    "POST /fapi/v1/marginType": (f"{API}/Account/ChangeMarginType",),
    "POST /fapi/v1/positionSide/dual": (f"{API}/Account/ModifyPositionMode",),
    "GET /fapi/v1/positionSide/dual": (),
    "POST /fapi/v1/multiAssetsMargin refused": (),
    "GET /fapi/v1/multiAssetsMargin": (f"{API}/Account/GetMultiAssetsMode",),
    "GET /fapi/v1/symbolConfig": (f"{API}/Account/GetSymbolConfiguration",),
    "GET /fapi/v1/accountConfig": (f"{API}/Account/GetAccountConfiguration",),
    "GET /fapi/v1/leverageBracket": (f"{API}/Account/GetBrackets",),
    "GET /fapi/v1/commissionRate": (f"{API}/Account/GetUserCommissionRate",),
    "GET /fapi/v1/rateLimit/order": (f"{API}/Account/GetOrderRateLimit",),
    "GET /fapi/v1/adlQuantile": (f"{API}/Account/GetPositionAdlQuantileEstimation",),
    "GET /fapi/v1/feeBurn": (f"{API}/Account/GetBnbBurnStatus",),
    "GET /fapi/v1/income": (f"{API}/Account/GetIncomeHistory",),
    "GET /fapi/v2/account": (
        f"{API}/Account/GetAccountInfo",
        "nautilus/http_json/account_info_v2.json",
    ),
    "GET /fapi/v3/account": (f"{API}/Account/GetAccountInfoV3",),
    "GET /fapi/v2/balance": ("nautilus/http_json/balance.json",),
    "GET /fapi/v3/balance": (f"{API}/Account/GetBalances",),
    "GET /fapi/v2/positionRisk": (
        f"{API}/Account/GetPositionInformation",
        "nautilus/http_json/position_risk.json",
    ),
    "GET /fapi/v3/positionRisk": (f"{API}/Trading/GetPositions",),
    "POST /fapi/v1/listenKey": (f"{API}/Account/StartUserStream",),
    "PUT /fapi/v1/listenKey": (f"{API}/Account/KeepAliveUserStream",),
    "DELETE /fapi/v1/listenKey": (f"{API}/Account/StopUserStream",),
    "stream subscribed": (f"{SUB}/*#0",),
    "combined @aggTrade": (f"{SUB}/AggTrades#1",),
    "combined @bookTicker": (f"{SUB}/BookTicker#1",),
    "combined @depth@100ms": (f"{SUB}/Book#1",),
    "combined @depth5@100ms": (f"{SUB}/PartialBook#1",),
    "combined @kline_1m": (f"{SUB}/Klines#1",),
    "combined @markPrice@1s": (f"{SUB}/MarkPrice#1",),
    "@miniTicker": (),
    "@depth5@100ms": (),
    "combined @miniTicker": (f"{SUB}/MiniTicker#1",),
    "combined @ticker": (f"{SUB}/Ticker#1",),
    "combined @forceOrder": (f"{SUB}/Liquidations#1",),
    "combined @trade": (),
    "@aggTrade": ("nautilus/market_data_json/agg_trade_stream.json",),
    "@bookTicker": ("nautilus/market_data_json/book_ticker_stream.json",),
    "@depth@100ms": ("nautilus/market_data_json/depth_update_stream.json",),
    "@kline_1m": (
        "nautilus/market_data_json/kline_stream_open.json",
        "nautilus/market_data_json/kline_stream_closed.json",
    ),
    "@markPrice@1s": ("nautilus/market_data_json/mark_price_stream.json",),
    "@ticker": ("nautilus/market_data_json/ticker_stream.json",),
    "@trade": ("nautilus/market_data_json/trade_stream.json",),
    "@forceOrder": ("nautilus/market_data_json/liquidation_stream.json",),
    "combined user ORDER_TRADE_UPDATE": (f"{SUB}/OrderUpdate#1",),
    "user ORDER_TRADE_UPDATE NEW entry": ("nautilus/user_data_json/order_update_new.json",),
    "user ORDER_TRADE_UPDATE TRADE entry": ("nautilus/user_data_json/order_update_trade.json",),
    "user ORDER_TRADE_UPDATE TRADE part": (
        "nautilus/user_data_json/order_update_trade_partial.json",
    ),
    "user ORDER_TRADE_UPDATE CALCULATED adl": ("nautilus/user_data_json/order_update_adl.json",),
    "user ORDER_TRADE_UPDATE CALCULATED liquidation": (
        "nautilus/user_data_json/order_update_calculated.json",
        "nautilus/user_data_json/order_update_insurance.json",
    ),
    "combined user ACCOUNT_UPDATE": (f"{SUB}/AccountUpdate#1",),
    "user ACCOUNT_UPDATE ORDER entry": (
        "nautilus/user_data_json/account_update.json",
        "nautilus/user_data_json/account_update_bnfcr.json",
    ),
    "combined user ALGO_UPDATE": (f"{SUB}/AlgoOrderUpdate#1",),
    "user ALGO_UPDATE NEW stop placed": ("nautilus/user_data_json/algo_update_new.json",),
    "user ALGO_UPDATE CANCELED": ("nautilus/user_data_json/algo_update_canceled.json",),
    "combined user TRADE_LITE": (f"{SUB}/TradeUpdate#1",),
    "user TRADE_LITE": ("nautilus/user_data_json/trade_lite.json",),
    "combined user ACCOUNT_CONFIG_UPDATE": (f"{SUB}/Leverage#1",),
    "ws depth": (f"{SOCK}/ExchangeData/GetOrderBook#0",),
    "ws ticker.price": (f"{SOCK}/ExchangeData/GetPrice#0",),
    "ws ticker.price all": (f"{SOCK}/ExchangeData/GetPrices#0",),
    "ws ticker.book": (f"{SOCK}/ExchangeData/GetBookPrice#0",),
    "ws ticker.book all": (f"{SOCK}/ExchangeData/GetBookPrices#0",),
    "ws v2/account.status": (f"{SOCK}/Account/GetAccountInfo#0",),
    "ws v2/account.balance": (f"{SOCK}/Account/GetBalances#0",),
    "ws v2/account.position": (f"{SOCK}/Trading/GetPositions#0",),
    "ws order.place": (f"{SOCK}/Trading/PlaceOrder#0",),
    "ws order.modify": (f"{SOCK}/Trading/EditOrder#0",),
    "ws order.status": (f"{SOCK}/Trading/GetOrder#0",),
    "ws order.cancel": (f"{SOCK}/Trading/CancelOrder#0",),
    "ws algoOrder.place": (f"{SOCK}/Trading/PlaceConditionalOrder#0",),
    "ws algoOrder.cancel": (f"{SOCK}/Trading/CancelConditionalOrder#0",),
    "user MARGIN_CALL": (),
    "combined user MARGIN_CALL": (f"{SUB}/MarginUpdate#1",),
    "user listenKeyExpired": (),
    "GET /fapi/v1/allAlgoOrders": (),
    "refused": (),
    "ws refused": (),
    "ws ping": (),
    "ws time": (),
    "ws exchangeInfo": (),
    "ws account.status": (),
    "ws account.balance": (),
    "ws account.position": (),
    "ws userDataStream.start": (),
    "ws userDataStream.ping": (),
    "ws userDataStream.stop": (),
}
"""What the venue says, and its samples, by name or pattern; empty where there is none."""

TRAILING = "of trailing stops only, which the venue does not have: samples of other orders lack it"
OTHER_PAGE = "the page of COIN-M by mistake: the websocket's sample of the same is as ours"
OLD_PAGE = "the page of version 2 by mistake: the websocket's sample of version 3 is as ours"
RECORDED = "a page older than the recording, which is as ours"
MADE_UP = "made up for a test of a client: the documented one is as ours"
KEPT = "an empty page: the answer of today names the key that lives on"

EXPLAINED = (
    Explained(
        RECORDED,
        (f"{API}/ExchangeData/GetExchangeInfo",),
        (
            ".assets[].autoAssetExchange: null or number there, number in text here",
            ".futuresType: extra",
            ".symbols[].filters[PERCENT_PRICE].multiplierDecimal: number there,"
            " number in text here",
            ".symbols[].filters[POSITION_RISK_CONTROL]: extra",
            ".symbols[].maxMoveOrderLimit: extra",
            ".symbols[].permissionSets: extra",
        ),
    ),
    Explained(LATER, (recorded("exchangeInfo?"),), inside(".symbols[]", "settlePlan")),
    Explained(LATER, (recorded("premiumIndex?"),), inside("[]", "estimatedSettlePrice")),
    Explained(LATER, (recorded("ticker/bookTicker?symbol=BTCUSDT"),), (".lastUpdateId: extra",)),
    Explained(LATER, (recorded("ticker/bookTicker?"),), inside("[]", "lastUpdateId")),
    Explained(LATER, (f"{API}/ExchangeData/GetFundingInfo",), inside("[]", "updateTime")),
    Explained(LATER, FUNDING, inside("[]", "markPrice")),
    Explained(
        TRAILING,
        tuple(
            f"{API}/Trading/{name}"
            for name in ("PlaceOrder", "CancelOrder", "GetOrder", "GetOpenOrder")
        ),
        inside("", "activatePrice priceRate", "missing"),
    ),
    Explained(
        TRAILING,
        tuple(f"{API}/Trading/{name}" for name in ("GetOpenOrders", "GetOrders")),
        inside("[]", "activatePrice priceRate", "missing"),
    ),
    Explained(
        TRAILING,
        (f"{API}/Trading/PlaceConditionalOrder",),
        inside("", "activatePrice callbackRate", "missing"),
    ),
    Explained(
        TRAILING,
        (f"{SOCK}/Trading/GetOrder#0", f"{SOCK}/Trading/CancelOrder#0"),
        inside(".result", "activatePrice priceRate", "missing"),
    ),
    Explained(OTHER_PAGE, (f"{API}/Trading/EditOrder",), (".cumQuote: extra",)),
    Explained(OTHER_PAGE, (f"{API}/Trading/EditMultipleOrders",), ("[].cumQuote: extra",)),
    Explained(LATER, (f"{API}/Trading/PlaceMultipleOrders",), inside("[]", "closePosition")),
    Explained(
        MADE_UP,
        ("nautilus/http_json/open_algo_orders.json",),
        inside(
            "[]",
            "actualOrderId actualPrice closePosition goodTillDate icebergQuantity orderType price"
            " priceMatch priceProtect selfTradePreventionMode slPrice slTriggerPrice tpOrderType"
            " tpPrice tpTriggerPrice triggerTime",
        )
        + inside("[]", "type", "missing"),
    ),
    Explained(
        OLD_PAGE,
        (f"{API}/Trading/GetPositions",),
        inside(
            "[]",
            "adl askNotional bidNotional initialMargin maintMargin marginAsset"
            " openOrderInitialMargin positionInitialMargin",
        )
        + inside("[]", "isAutoAddMargin leverage marginType maxNotionalValue", "missing"),
    ),
    Explained(KEPT, (f"{API}/Account/KeepAliveUserStream",), (".listenKey: extra",)),
    Explained(
        LATER,
        tuple(
            f"{SUB}/{name}#1"
            for name in ("AggTrades", "Book", "BookTicker", "MarkPrice", "PartialBook", "Ticker")
        ),
        inside(".data", "st"),
    ),
    Explained(
        LATER,
        tuple(f"{SUB}/{name}#1" for name in ("Book", "BookTicker", "PartialBook")),
        inside(".data", "ps"),
    ),
    Explained(LATER, ("nautilus/market_data_json/trade_stream.json",), (".X: extra",)),
    Explained(
        LATER,
        tuple(
            f"{ORDERS}{name}.json"
            for name in ("new", "trade", "trade_partial", "adl", "calculated", "insurance")
        ),
        inside(".o", "gtd pm"),
    ),
    Explained(LATER, (f"{SUB}/AlgoOrderUpdate#1",), inside(".data.o", "rm")),
    Explained(
        LATER,
        (f"{SOCK}/Trading/GetOrder#0",),
        (
            *inside(".result", "goodTillDate priceMatch selfTradePreventionMode"),
            ".rateLimits: extra",
        ),
    ),
)

NOT_SERVED = {
    "a recorded null, of times that had no funding": (
        recorded("fundingRate?endTime=1602*"),
        recorded("fundingRate?endTime=1580515200000&limit=2&*"),
    ),
    "spot": ("gct/gct_binance_wsHandleData#*",),
    "the algo orders of another service (TWAP, VP)": (
        f"{API}/Trading/CancelAlgoOrder",
        f"{API}/Trading/Get*Algo*",
        f"{API}/Trading/PlaceTimeWeightedAveragePriceOrder",
        f"{API}/Trading/PlaceVolumeParticipationOrder",
    ),
    "multi-assets mode, which the venue refuses (its refusal is heard)": (
        f"{API}/Account/SetMultiAssetsMode",
        f"{SUB}/MultiAssetMode#1",
    ),
    "refusals of triggered orders before the algo service, which says ALGO_UPDATE": (
        f"{SUB}/ConditionalTrigger#1",
    ),
    "delivery, settlement and liquidation in steps, which the venue does not have": (
        f"{ORDERS}delivery.json",
        f"{ORDERS}settlement.json",
        f"{ORDERS}calculated_pending.json",
    ),
    "not of this version's venue (VENUES 8)": (
        f"{API}/Account/*",
        f"{API}/ExchangeData/*",
        f"{API}/Trading/*",
        f"{SUB}/*#1",
    ),
}

WORDS = {
    "side": "",
    "type": "MARKET",
    "origType": "MARKET TAKE_PROFIT",
    "status": "EXPIRED PARTIALLY_FILLED",
    "timeInForce": "GTE_GTC FOK GTX",
    "positionSide": "",
    "workingType": "",
    "marginType": "ISOLATED",
    "algoType": "",
    "algoStatus": "TRIGGERED",
    "orderType": "TAKE_PROFIT_MARKET",
    "priceMatch": "",
    "selfTradePreventionMode": "",
    "contractType": "",
    "incomeType": "FUNDING_FEE REALIZED_PNL",
    "rateLimitType": "",
    "interval": "",
    "filterType": "",
    "underlyingType": "",
    "S": "",
    "x": "AMENDMENT CANCELED EXPIRED",
    "X": "EXPIRED FINISHED MARKET TRIGGERED TRIGGERING",
    "ot": "MARKET TAKE_PROFIT",
    "ps": "",
    "wt": "MARK_PRICE",
    "pm": "",
    "at": "",
    "mt": "ISOLATED",
    "m": "FUNDING_FEE",
    "e": "listenKeyExpired",
}
"""Fields with a fixed choice of words, and the documented ones that no sample happens to show."""

BINANCE = SampleTable("binance", CASES, EXPLAINED, NOT_SERVED, WORDS)
