"""Which samples are of what the local Bybit says, and what may differ from them, and why."""

from tests.sample_table import LATER, NAMED, SampleTable, inside
from tests.shape import Explained

API = "jkorf/Endpoints/V5Api"
SUB = "jkorf/Subscriptions/V5"
SOCK = "jkorf/Socket/V5Api/Private"

CASES: dict[str, tuple[str, ...]] = {
    "GET /v5/market/time": (),
    "GET /v5/market/instruments-info": (
        f"{API}/ExchangeData/GetLinearInverseSymbols",
        "nautilus/http_get_instruments_linear.json",
        "nautilus/http_get_instruments_linear_symbol_type.json",
    ),
    "GET /v5/market/risk-limit": (f"{API}/ExchangeData/GetRiskLimit",),
    "GET /v5/market/orderbook": (
        f"{API}/ExchangeData/GetOrderbook",
        "nautilus/http_get_orderbook.json",
    ),
    "GET /v5/market/tickers": (
        f"{API}/ExchangeData/GetLinearInverseTickers",
        "recorded//v5/market/tickers?category=linear",
    ),
    "GET /v5/market/recent-trade": (
        f"{API}/ExchangeData/GetTradeHistory",
        "nautilus/http_get_trades_recent.json",
    ),
    "GET /v5/market/kline": (
        f"{API}/ExchangeData/GetKlines",
        "nautilus/http_get_klines_linear.json",
    ),
    "GET /v5/market/funding/history": (
        f"{API}/ExchangeData/GetFundingRateHistory",
        "nautilus/http_get_funding_history.json",
    ),
    "GET /v5/user/query-api": (
        f"{API}/Account/GetApiKeyInfo",
        "nautilus/http_get_user_query_api.json",
    ),
    "GET /v5/asset/coin/query-info": (f"{API}/Account/GetAssetInfo",),
    "GET /v5/account/info": (
        f"{API}/Account/GetMarginAccountInfo",
        "nautilus/http_get_account_info.json",
    ),
    "GET /v5/account/wallet-balance": (
        f"{API}/Account/GetBalances",
        "nautilus/http_get_wallet_balance.json",
        "nautilus/http_get_wallet_balance_with_spot_borrow.json",
        "nautilus/http_get_wallet_balance_spot_short.json",
    ),
    "GET /v5/account/fee-rate": (f"{API}/Account/GetFeeRate", "nautilus/http_get_fee_rate.json"),
    "POST /v5/account/set-margin-mode": (),
    "POST /v5/account/set-margin-mode refused": (f"{API}/Account/SetMarginMode",),
    "GET /v5/position/list": (
        f"{API}/Trading/GetPositions",
        "nautilus/http_get_positions.json",
        "nautilus/http_get_positions_with_open_time.json",
    ),
    "GET /v5/position/closed-pnl": (f"{API}/Trading/GetClosedProfitLoss",),
    "POST /v5/position/set-leverage": (f"{API}/Account/SetLeverage",),
    "POST /v5/position/switch-mode": (f"{API}/Account/SwitchPositionMode",),
    "POST /v5/position/trading-stop": (f"{API}/Trading/SetTradingStop",),
    "POST /v5/order/create": (f"{API}/Trading/PlaceOrder",),
    "POST /v5/order/amend": (f"{API}/Trading/EditOrder",),
    "POST /v5/order/cancel": (f"{API}/Trading/CancelOrder",),
    "POST /v5/order/cancel-all": (f"{API}/Trading/CancelAllOrder",),
    "POST /v5/order/create-batch": (f"{API}/Trading/PlaceMultipleOrders",),
    "POST /v5/order/amend-batch": (f"{API}/Trading/EditMultipleOrders",),
    "POST /v5/order/cancel-batch": (f"{API}/Trading/CancelMultipleOrders",),
    "GET /v5/order/realtime": (
        f"{API}/Trading/GetOrders",
        "nautilus/http_get_orders_realtime.json",
    ),
    "GET /v5/order/realtime TakeProfit": ("nautilus/http_get_orders_realtime_tp_sl.json",),
    "GET /v5/order/history": (
        f"{API}/Trading/GetOrderHistory",
        "nautilus/http_get_orders_history.json",
        "nautilus/http_get_orders_history_with_duplicate.json",
        "nautilus/http_get_order_partially_filled_rejected.json",
    ),
    "GET /v5/execution/list": (f"{API}/Trading/GetUserTrades", "nautilus/http_get_executions.json"),
    "push order": (f"{SUB}/Private/Order#2", "gct/gct_bybit_wsAuth#1", "gct/gct_bybit_wsAuth#5"),
    "push order Cancelled cancel": ("nautilus/ws_account_order.json",),
    "push order Cancelled part": ("nautilus/ws_account_order_partially_filled_rejected.json",),
    "push order Filled entry": ("nautilus/ws_account_order_filled.json",),
    "push order Untriggered stop market": ("nautilus/ws_account_order_stop_market.json",),
    "push order Untriggered buy stop market": ("nautilus/ws_account_order_buy_stop_market.json",),
    "push order Untriggered market if touched": (
        "nautilus/ws_account_order_market_if_touched.json",
    ),
    "push order Untriggered sell market if touched": (
        "nautilus/ws_account_order_sell_market_if_touched.json",
    ),
    "push order Untriggered limit if touched": ("nautilus/ws_account_order_limit_if_touched.json",),
    "push order Untriggered stop limit": ("nautilus/ws_account_order_stop_limit.json",),
    "push order Untriggered StopLoss": ("nautilus/ws_account_order_stop_loss.json",),
    "push order Untriggered TakeProfit": ("nautilus/ws_account_order_take_profit.json",),
    "push execution Trade entry": (
        "nautilus/ws_account_execution.json",
        f"{SUB}/Private/UserTrades#2",
        "gct/gct_bybit_wsAuth#4",
    ),
    "push execution AdlTrade adl": ("nautilus/ws_account_execution_adl.json",),
    "push execution.fast": (
        "nautilus/ws_account_execution_fast.json",
        "nautilus/ws_account_execution_fast_envelope_id.json",
        f"{SUB}/Private/MinimalUserTrades#2",
    ),
    "push position Buy entry": (
        "nautilus/ws_account_position.json",
        f"{SUB}/Private/Position#2",
        "gct/gct_bybit_wsAuth#0",
    ),
    "push position Sell short": ("nautilus/ws_account_position_short.json",),
    "push position row": ("nautilus/ws_account_position_with_open_time.json",),
    "push wallet": (
        f"{SUB}/Private/Balance#2",
        "nautilus/ws_account_wallet.json",
        "nautilus/ws_account_wallet_small_order.json",
        "nautilus/ws_account_wallet_locked_exceeds_total.json",
        "gct/gct_bybit_wsAuth#2",
    ),
    "private auth": (f"{SUB}/Private/*#0",),
    "private auth refused": ("nautilus/ws_auth_failure.json",),
    "private subscribed": (f"{SUB}/Private/*#1",),
    "private pong": (),
    "public subscribed": (
        "nautilus/ws_subscription_ack.json",
        f"{SUB}/Linear/*#0",
        f"{SUB}/Spot/*#0",
    ),
    "public refused": ("nautilus/ws_subscription_failure.json",),
    "public pong": (),
    "public orderbook.1 snapshot": ("nautilus/ws_orderbook_snapshot.json",),
    "public orderbook.50 snapshot": (f"{SUB}/Option/Book#1",),
    "public orderbook.50 delta": ("nautilus/ws_orderbook_delta.json",),
    "public tickers snapshot": (
        f"{SUB}/Linear/Ticker#1",
        "nautilus/ws_ticker_linear.json",
        "gct/gct_bybit_wsTicker#2",
        "gct/gct_bybit_wsTicker#4",
    ),
    "public tickers delta": ("gct/gct_bybit_wsTicker#3", "gct/gct_bybit_wsTicker#5"),
    "public publicTrade snapshot": (f"{SUB}/Linear/Trades#1", "nautilus/ws_public_trade.json"),
    "public kline.1 snapshot": ("nautilus/ws_kline.json", f"{SUB}/Option/Klines#1"),
    "trade auth": (f"{SOCK}/*#0", "nautilus/ws_auth_success.json"),
    "trade order.create": (f"{SOCK}/PlaceOrder#1", "nautilus/ws_order_response.json"),
    "trade order.amend": (f"{SOCK}/EditOrder#1",),
    "trade order.cancel": (f"{SOCK}/CancelOrder#1",),
    "trade order.cancel refused": (),
    "trade pong": (),
}
"""The samples of what the venue says, by name or pattern; empty where there is none."""

BRIEF = "the document leaves out what every answer has"
NULL = "a null of the tape: where another sample has a value it is a text, empty for none"
MISSPELT = "misspelt in this sample: the others write it as we do"
NOT_OURS = "the key has only permissions for contracts"
NEWEST = "of the newest accounts and listings only: no other sample has it, and no client reads it"
CHANGED = "a delta has only what changed: these moved in our market and not in the sample's"
PLAIN = "of another kind of socket: the documented one of order entry is as ours"

ORDER_PAGES = tuple(
    f"nautilus/http_get_{name}.json"
    for name in (
        "orders_realtime",
        "orders_realtime_tp_sl",
        "orders_history",
        "orders_history_with_duplicate",
        "order_partially_filled_rejected",
    )
)
ORDER_PUSHES = (
    f"{SUB}/Private/Order#2",
    "gct/gct_bybit_wsAuth#1",
    *(
        f"nautilus/ws_account_order{name}.json"
        for name in (
            "",
            "_partially_filled_rejected",
            "_filled",
            "_stop_market",
            "_buy_stop_market",
            "_market_if_touched",
            "_sell_market_if_touched",
            "_limit_if_touched",
            "_stop_limit",
            "_stop_loss",
            "_take_profit",
        )
    ),
)
FILL_PUSHES = (
    "nautilus/ws_account_execution.json",
    "nautilus/ws_account_execution_adl.json",
    f"{SUB}/Private/UserTrades#2",
    "gct/gct_bybit_wsAuth#4",
)
WALLET_PUSHES = tuple(
    f"nautilus/ws_account_wallet{name}.json"
    for name in ("", "_small_order", "_locked_exceeds_total")
)
LINEAR = ("nautilus/http_get_instruments_linear.json",)
LINEAR_TYPE = ("nautilus/http_get_instruments_linear_symbol_type.json",)
KEY = ("nautilus/http_get_user_query_api.json",)
POSITIONS = "nautilus/http_get_positions.json"
OPEN_TIME = "nautilus/http_get_positions_with_open_time.json"


ROW, COIN = ".result.list[]", ".result.list[].coin[]"
PUSHED, PUSHED_COIN = ".data[]", ".data[].coin[]"
EXPLAINED = (
    Explained(
        BRIEF,
        (
            "nautilus/http_get_orderbook.json",
            "nautilus/http_get_trades_recent.json",
            "nautilus/http_get_funding_history.json",
            f"{API}/Account/GetMarginAccountInfo",
            "nautilus/http_get_account_info.json",
            f"{API}/Account/SetMarginMode",
            "nautilus/ws_order_response.json",
        ),
        (".retExtInfo: extra",),
    ),
    Explained(
        BRIEF,
        (
            f"{API}/Account/GetMarginAccountInfo",
            "nautilus/http_get_account_info.json",
            f"{API}/Account/SetMarginMode",
        ),
        (".time: extra",),
    ),
    Explained(BRIEF, (*LINEAR, *ORDER_PAGES), (".result.category: extra",)),
    Explained(BRIEF, ("nautilus/ws_order_response.json",), (".header: extra",)),
    Explained(BRIEF, ("nautilus/ws_subscription_failure.json",), (".req_id: extra",)),
    Explained(NULL, LINEAR, (".result.nextPageCursor: null there, no text here",)),
    Explained(
        NULL,
        ("recorded//v5/market/tickers?category=linear",),
        (".retExtInfo: null there, object here",),
    ),
    Explained(NULL, ORDER_PAGES, inside(ROW, "blockTradeId orderIv", "null there, no text here")),
    Explained(NULL, ORDER_PAGES[:4], (f"{ROW}.avgPrice: null there, no text here",)),
    Explained(NULL, ORDER_PAGES[2:4], (f"{ROW}.avgPrice: null there, number in text here",)),
    Explained(
        LATER,
        (*LINEAR, *LINEAR_TYPE),
        inside(ROW, "copyTrading lowerFundingRate upperFundingRate"),
    ),
    Explained(LATER, LINEAR_TYPE, (f"{ROW}.lotSizeFilter.maxMktOrderQty: extra",)),
    Explained(NEWEST, LINEAR_TYPE, inside(ROW, "symbolId symbolType", "missing")),
    Explained(LATER, (f"{API}/ExchangeData/GetRiskLimit",), (".result.nextPageCursor: extra",)),
    Explained(NAMED, (f"{API}/ExchangeData/GetRiskLimit",), inside(ROW, "mmDeduction")),
    Explained(LATER, (f"{API}/ExchangeData/GetOrderbook",), (".result.cts: extra",)),
    Explained(
        NOT_OURS, (f"{API}/Account/GetApiKeyInfo",), (".result.permissions.Options[]: empty",)
    ),
    Explained(NOT_OURS, KEY, (".result.permissions.Exchange[]: empty",)),
    Explained(
        NOT_OURS,
        (f"{API}/Account/GetApiKeyInfo", *KEY),
        tuple(f".result.permissions.{name}[]: empty" for name in ("Spot", "Wallet")),
    ),
    Explained(
        NEWEST, KEY, inside(".result", "affiliateIDInt64 inviterIDInt64 userIDInt64", "missing")
    ),
    Explained(
        NEWEST,
        KEY,
        inside(
            ".result.permissions",
            "BitCard ByXPost Earn FiatBitPay FiatBybitPay FiatConvertBroker FiatGlobalPay FiatP2P",
            "missing",
        ),
    ),
    Explained(LATER, (f"{API}/Account/GetBalances",), inside(COIN, "spotBorrow")),
    Explained(LATER, ("nautilus/http_get_wallet_balance.json",), inside(COIN, "spotHedgingQty")),
    Explained(
        LATER,
        (
            "nautilus/http_get_wallet_balance_with_spot_borrow.json",
            "nautilus/http_get_wallet_balance_spot_short.json",
        ),
        inside(COIN, "totalOrderIM totalPositionIM totalPositionMM"),
    ),
    Explained(LATER, (f"{API}/Account/GetFeeRate",), inside(ROW, "baseCoin")),
    Explained(
        MISSPELT, (f"{API}/Trading/GetPositions",), inside(ROW, "mmrSysUpdateTime", "missing")
    ),
    Explained(LATER, (f"{API}/Trading/GetPositions", OPEN_TIME), inside(ROW, "mmrSysUpdatedTime")),
    Explained(LATER, (f"{API}/Trading/GetPositions", POSITIONS), inside(ROW, "openTime")),
    Explained(
        LATER,
        (f"{API}/Trading/GetPositions", POSITIONS, OPEN_TIME),
        inside(ROW, "positionIMByMp positionMMByMp"),
    ),
    Explained(LATER, (POSITIONS, OPEN_TIME), inside(ROW, "sessionAvgPrice")),
    Explained(LATER, (OPEN_TIME,), inside(ROW, "isReduceOnly leverageSysUpdatedTime seq")),
    Explained(
        LATER,
        (
            f"{API}/Trading/GetOrders",
            f"{API}/Trading/GetOrderHistory",
            f"{API}/Trading/GetUserTrades",
            *ORDER_PAGES,
        ),
        inside(ROW, "createType"),
    ),
    Explained(
        NAMED,
        (f"{API}/Trading/GetOrders", f"{API}/Trading/GetOrderHistory", *ORDER_PAGES),
        inside(ROW, "cumFeeDetail parentOrderLinkId"),
    ),
    Explained(LATER, ORDER_PUSHES, inside(PUSHED, "closedPnl isLeverage")),
    Explained(
        NAMED,
        (*ORDER_PUSHES, "gct/gct_bybit_wsAuth#5"),
        inside(PUSHED, "cumFeeDetail parentOrderLinkId"),
    ),
    Explained(LATER, (*ORDER_PUSHES[:2], *FILL_PUSHES), inside(PUSHED, "createType")),
    Explained(LATER, ("gct/gct_bybit_wsAuth#1", *FILL_PUSHES), inside(PUSHED, "feeCurrency")),
    Explained(
        "of spot market orders only", ("gct/gct_bybit_wsAuth#5",), (".data[].marketUnit: missing",)
    ),
    Explained(NAMED, FILL_PUSHES, inside(PUSHED, "execPnl")),
    Explained(LATER, (f"{SUB}/Private/MinimalUserTrades#2",), inside(PUSHED, "isMaker")),
    Explained(
        LATER,
        (
            "nautilus/ws_account_position.json",
            "nautilus/ws_account_position_short.json",
            f"{SUB}/Private/Position#2",
            "gct/gct_bybit_wsAuth#0",
        ),
        inside(PUSHED, "openTime"),
    ),
    Explained(
        LATER,
        (f"{SUB}/Private/Position#2", "gct/gct_bybit_wsAuth#0"),
        inside(PUSHED, "positionIMByMp positionMMByMp"),
    ),
    Explained(
        LATER,
        ("gct/gct_bybit_wsAuth#0",),
        inside(
            PUSHED,
            "autoAddMargin curRealisedPnl isReduceOnly leverageSysUpdatedTime mmrSysUpdatedTime"
            " seq sessionAvgPrice",
        ),
    ),
    Explained(
        LATER,
        (f"{SUB}/Private/Balance#2", "gct/gct_bybit_wsAuth#2"),
        inside(PUSHED_COIN, "spotBorrow"),
    ),
    Explained(
        LATER,
        WALLET_PUSHES,
        inside(PUSHED_COIN, "bonus cumRealisedPnl unrealisedPnl usdValue")
        + inside(PUSHED, "accountType"),
    ),
    Explained(
        MISSPELT, WALLET_PUSHES, (".data[].totalPerpUPL: extra", ".data[].totalPerpUpl: missing")
    ),
    Explained(
        LATER,
        (*WALLET_PUSHES, "gct/gct_bybit_wsAuth#2"),
        inside(PUSHED_COIN, "collateralSwitch locked marginCollateral spotHedgingQty"),
    ),
    Explained(
        LATER,
        ("nautilus/ws_orderbook_snapshot.json", "nautilus/ws_orderbook_delta.json"),
        (".cts: extra",),
    ),
    Explained(
        LATER,
        (f"{SUB}/Linear/Ticker#1", "gct/gct_bybit_wsTicker#2", "gct/gct_bybit_wsTicker#4"),
        inside(".data", "fundingIntervalHour"),
    ),
    Explained(
        CHANGED,
        ("gct/gct_bybit_wsTicker#3", "gct/gct_bybit_wsTicker#5"),
        inside(".data", "ask1Price lastPrice price24hPcnt tickDirection turnover24h volume24h"),
    ),
    Explained(CHANGED, ("gct/gct_bybit_wsTicker#3",), (".data.openInterestValue: missing",)),
    Explained(CHANGED, ("gct/gct_bybit_wsTicker#5",), inside(".data", "indexPrice markPrice")),
    Explained(
        LATER,
        (f"{SUB}/Linear/Trades#1", "nautilus/ws_public_trade.json"),
        inside(PUSHED, "seq"),
    ),
    Explained(LATER, ("nautilus/ws_public_trade.json",), inside(PUSHED, "L")),
    Explained(
        LATER,
        ("nautilus/ws_account_position_with_open_time.json",),
        inside("", "isReduceOnly leverageSysUpdatedTime mmrSysUpdatedTime seq"),
    ),
    Explained(
        "made up for a test of a client: the documented one has no such field",
        ("nautilus/ws_account_execution_fast_envelope_id.json",),
        (".id: missing",),
    ),
    Explained(PLAIN, ("nautilus/ws_auth_success.json",), (".reqId: extra", ".success: missing")),
)

NOT_SERVED = {
    "another market (spot, options, inverse, spreads, leverage tokens)": (
        "gct/gct_bybit_wsTicker#[0167]",
        "gct/gct_bybit_wsAuth#3",
        f"{API}/*Spread*",
        f"{API}/ExchangeData/Get*Spot*",
        f"{API}/ExchangeData/GetOption*",
        f"{API}/*Leverage[Tt]oken*",
        f"{SUB}/Option/*#0",
        f"{SUB}/Option/T*#1",
        f"{SUB}/Private/Greeks#2",
        f"{SUB}/Private/SpreadUserTrade#2",
        f"{SUB}/Spot/*#1",
        "nautilus/http_get_instruments_inverse*",
        "nautilus/http_get_instruments_option*",
        "nautilus/http_get_instruments_spot*",
        "nautilus/ws_ticker_option.json",
        "recorded//v5/market/tickers?category=inverse",
        "recorded//v5/market/tickers?category=spot",
    ),
    "the protocol before V5": ("recorded//public/linear/*",),
    "not of this version's venue (VENUES 8)": (
        f"{API}/Account/*",
        f"{API}/CryptoLoan/*",
        f"{API}/Earn/*",
        f"{API}/ExchangeData/*",
        f"{API}/Trading/*",
        f"{SUB}/Linear/Liquidations#1",
        "nautilus/http_get_user_*sub*",
        "nautilus/http_post_user_*",
    ),
    "made up for a test of a client: a wallet without fields": ("gct/gct_bybit_wsAuth#6",),
}

WORDS = {
    "side": "",
    "orderType": "UNKNOWN",
    "orderStatus": "Triggered PartiallyFilled",
    "timeInForce": "FOK",
    "stopOrderType": "",
    "triggerBy": "",
    "tpTriggerBy": "",
    "slTriggerBy": "",
    "cancelType": "CancelByOCOTpCanceledBySlTriggered CancelByReduceOnly CancelByTpSlTsClear "
    "CancelAllBeforeLiq CancelAllBeforeAdl",
    "rejectReason": "EC_NoImmediateQtyToFill EC_PerCancelRequest",
    "execType": "BustTrade Funding",
    "createType": "CreateByAdl_PassThrough CreateByStopLoss CreateByTakeOver_PassThrough "
    "CreateByTakeProfit CreateByClosing",
    "tpslMode": "Partial",
    "marginMode": "ISOLATED_MARGIN",
    "positionStatus": "",
    "accountType": "",
    "contractType": "",
    "status": "",
    "tickDirection": "MinusTick",
    "L": "MinusTick ZeroPlusTick ZeroMinusTick",
    "S": "",
    "type": "",
    "category": "",
    "smpType": "",
    "placeType": "",
    "copyTrading": "",
    "dcpStatus": "",
    "spotHedgingStatus": "",
}
"""Fields with a fixed choice of words, and the documented ones that no sample happens to show."""

BYBIT = SampleTable("bybit", CASES, EXPLAINED, NOT_SERVED, WORDS)
