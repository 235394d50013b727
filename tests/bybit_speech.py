"""Everything the local Bybit says in the course of a varied day, by a name of what it is."""

import asyncio
import json
from decimal import Decimal
from typing import Any

from hfengine.localvenue.faults import Rule
from tests.bybit_venue import BTC, FakeSocket, Venue, away, turn

Spoken = dict[str, Any]
LINEAR = {"category": "linear", "symbol": BTC}
PRIVATE_TOPICS = ("order", "execution", "execution.fast", "position", "wallet")


async def everything(venue: Venue) -> Spoken:
    """Return all answers and pushes; a venue whose account and market are new."""
    venue.dialect.command("order_rate", {"per_second": 1000})
    private = _opened(venue)
    spoken = private.spoken
    await _settings(venue, spoken)
    await _conditional_orders(venue, private)
    await _entry(venue, private)
    await _orders(venue, private)
    await _ends(venue, private)
    await _public(venue, spoken)
    await _streams(venue, spoken)
    await _order_socket(venue, spoken)
    return spoken


class _Private:
    """The private socket, whose pushes are kept by what they are about."""

    def __init__(self, socket: FakeSocket) -> None:
        self.socket = socket
        self.spoken: Spoken = {}

    async def hear(self, name: str = "") -> None:
        """Keep what was pushed since the last call; `name` is of what happened."""
        await turn()
        for pushed in self.socket.take():
            topic = pushed["topic"]
            for row in pushed["data"]:
                alone = pushed | {"data": [row]}
                self.spoken[f"push {topic}"] = alone
                about = row.get("orderStatus") or row.get("execType") or row.get("side")
                self.spoken[f"push {topic} {about}"] = alone
                if row.get("stopOrderType"):
                    self.spoken[f"push {topic} {about} {row['stopOrderType']}"] = alone
                if name:
                    self.spoken.setdefault(f"push {topic} {about} {name}", alone)


def _opened(venue: Venue) -> _Private:
    socket, session = venue.open("/v5/private")
    session.heard(b'{"op":"auth","args":["nobody","1","x"]}')
    auth = {"op": "auth", "req_id": "one", "args": venue.auth_arguments()}
    session.heard(json.dumps(auth).encode())
    topics = {"op": "subscribe", "req_id": "two", "args": PRIVATE_TOPICS}
    session.heard(json.dumps(topics).encode())
    session.heard(b'{"op":"ping","req_id":"ping-1"}')
    private = _Private(socket)
    names = ("auth refused", "auth", "subscribed", "pong")
    said = {f"private {name}": frame for name, frame in zip(names, socket.take(), strict=True)}
    private.spoken.update(said)
    return private


async def _settings(venue: Venue, spoken: Spoken) -> None:
    post, get = venue.post, venue.get
    spoken["GET /v5/user/query-api"] = await get("user/query-api")
    spoken["GET /v5/asset/coin/query-info"] = await get("asset/coin/query-info")
    spoken["GET /v5/account/info"] = await get("account/info")
    spoken["GET /v5/account/fee-rate"] = await get("account/fee-rate")
    spoken["POST /v5/account/set-margin-mode"] = await post(
        "account/set-margin-mode", setMarginMode="ISOLATED_MARGIN"
    )
    spoken["POST /v5/position/switch-mode"] = await post(
        "position/switch-mode", category="linear", coin="USDT", mode=3
    )
    await post("position/switch-mode", category="linear", coin="USDT", mode=0)
    spoken["POST /v5/position/set-leverage"] = await post(
        "position/set-leverage", **LINEAR, buyLeverage="10", sellLeverage="10"
    )


async def _conditional_orders(venue: Venue, private: _Private) -> None:
    """Place each kind of conditional order, and cancel them."""
    above, below = away(venue, 2), away(venue, -2)
    kinds = {
        "stop market": ("Sell", below, 2, {}),
        "buy stop market": ("Buy", above, 1, {}),
        "market if touched": ("Buy", below, 2, {}),
        "sell market if touched": ("Sell", above, 1, {}),
        "stop limit": ("Sell", below, 2, {"orderType": "Limit", "price": away(venue, -3)}),
        "limit if touched": ("Buy", below, 2, {"orderType": "Limit", "price": below}),
    }
    for name, (side, trigger, direction, more) in kinds.items():
        await private.hear()
        made = await venue.order(
            side=side,
            triggerPrice=trigger,
            triggerDirection=direction,
            orderLinkId=name.replace(" ", "-"),
            **more,
        )
        assert made["retCode"] == 0, made
        await private.hear(name)
    await venue.post("order/cancel-all", **LINEAR)
    await private.hear("cancel")


async def _entry(venue: Venue, private: _Private) -> None:
    """Open with protection; read everything about the position."""
    spoken = private.spoken
    price = venue.price()
    spoken["POST /v5/order/create"] = await venue.order(
        orderLinkId="entry", stopLoss=str(price - 500), takeProfit=str(price + 500)
    )
    await turn()
    await private.hear("entry")
    spoken["push position row"] = spoken["push position Buy"]["data"][0]
    for row in await venue.rows("order/realtime"):
        answer = await venue.get("order/realtime", orderId=row["orderId"], **LINEAR)
        spoken[f"GET /v5/order/realtime {row['stopOrderType']}"] = answer
    spoken["POST /v5/position/trading-stop"] = await venue.post(
        "position/trading-stop", **LINEAR, positionIdx=0, stopLoss=str(price - 400)
    )
    spoken["GET /v5/position/list"] = await venue.get("position/list", **LINEAR)
    spoken["GET /v5/account/wallet-balance"] = await venue.get(
        "account/wallet-balance", accountType="UNIFIED"
    )
    venue.world.pay_funding(BTC, Decimal("0.0001"))
    await private.hear("funding")
    spoken["POST /v5/account/set-margin-mode refused"] = await venue.post(
        "account/set-margin-mode", setMarginMode="REGULAR_MARGIN"
    )


async def _orders(venue: Venue, private: _Private) -> None:
    """Place, change and cancel resting orders, singly and in batches."""
    spoken = private.spoken
    low, lower = away(venue, -3), away(venue, -4)
    await venue.order(orderType="Limit", price=low, orderLinkId="rest")
    spoken["POST /v5/order/amend"] = await venue.post(
        "order/amend", **LINEAR, orderLinkId="rest", price=lower
    )
    spoken["GET /v5/order/realtime"] = await venue.get(
        "order/realtime", orderFilter="Order", **LINEAR
    )
    spoken["POST /v5/order/cancel"] = await venue.post("order/cancel", **LINEAR, orderLinkId="rest")
    await private.hear("rest")
    row = {"symbol": BTC, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": low}
    ids = [{"symbol": BTC, "orderLinkId": name} for name in ("b1", "b2")]
    await _batches(venue, spoken, row, ids, lower)
    await venue.order(orderType="Limit", price=low, orderLinkId="last")
    spoken["POST /v5/order/cancel-all"] = await venue.post(
        "order/cancel-all", orderFilter="Order", **LINEAR
    )
    venue.world.faults.add(Rule(kind="partial_fill"))
    await venue.order(qty="0.02", orderLinkId="part")
    await private.hear("part")


async def _batches(
    venue: Venue, spoken: Spoken, row: dict[str, str], ids: list[dict[str, str]], price: str
) -> None:
    rows = [row | one for one in ids]
    changes = [one | {"price": price} for one in ids]
    for name, request in (
        ("create-batch", [*rows, row | {"qty": "0"}]),
        ("amend-batch", changes),
        ("cancel-batch", [*ids, ids[0]]),
    ):
        spoken[f"POST /v5/order/{name}"] = await venue.post(
            f"order/{name}", category="linear", request=request
        )


async def _ends(venue: Venue, private: _Private) -> None:
    """End positions in each way: reduced, at the stop, by others' deleveraging, liquidated."""
    spoken, exchange = private.spoken, venue.world.exchange
    await venue.order(side="Sell", reduceOnly=True, orderLinkId="less")
    await private.hear("reduce")
    venue.world.move(BTC, to_price=venue.price() - 450)
    await private.hear("stop")
    await venue.order(side="Sell", orderLinkId="short")
    await private.hear("short")
    half = Decimal("0.005")
    venue.world.act(lambda now: exchange.force_adl("main", BTC, half, now, "net"))
    await private.hear("adl")
    venue.world.act(lambda now: exchange.force_liquidation("main", BTC, now, "net"))
    await private.hear("liquidation")
    spoken["GET /v5/position/closed-pnl"] = await venue.get("position/closed-pnl", **LINEAR)
    spoken["GET /v5/order/history"] = await venue.get("order/history", **LINEAR)
    spoken["GET /v5/execution/list"] = await venue.get("execution/list", **LINEAR)


async def _public(venue: Venue, spoken: Spoken) -> None:
    for path in (
        "time",
        "instruments-info",
        "risk-limit",
        "orderbook",
        "tickers",
        "recent-trade",
        "funding/history",
    ):
        spoken[f"GET /v5/market/{path}"] = await venue.public(path, **LINEAR)
    spoken["GET /v5/market/kline"] = await venue.public("kline", interval="1", **LINEAR)


async def _streams(venue: Venue, spoken: Spoken) -> None:
    """Hear every public topic, and one that there is not."""
    socket, session = venue.open("/v5/public/linear")
    session.heard(b'{"op":"subscribe","args":["invalid.topic.BTCUSDT"]}')
    names = ("orderbook.50", "orderbook.1", "tickers", "publicTrade", "kline.1")
    topics = [f"{name}.{BTC}" for name in names]
    session.heard(json.dumps({"op": "subscribe", "req_id": "one", "args": topics}).encode())
    session.heard(b'{"op":"ping","req_id":"ping-1"}')
    spoken["public refused"], spoken["public subscribed"], *frames = socket.take()
    spoken["public pong"] = next(frame for frame in frames if frame.get("op") == "ping")
    await venue.order(side="Buy", orderLinkId="seen")
    await venue.order(side="Sell", orderLinkId="unseen", reduceOnly=True)
    venue.world.move(BTC, 5)
    await asyncio.sleep(1.05)
    for frame in [*frames, *socket.take()]:
        if "topic" in frame:
            name = frame["topic"].removesuffix(f".{BTC}")
            spoken[f"public {name} {frame.get('type')}"] = frame


async def _order_socket(venue: Venue, spoken: Spoken) -> None:
    """Log in, and place, change and cancel an order; then one that is refused."""
    socket, session = venue.open("/v5/trade")
    auth = {"op": "auth", "reqId": "one", "args": venue.auth_arguments()}
    session.heard(json.dumps(auth).encode())
    [spoken["trade auth"]] = socket.take()
    row = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": away(venue, -3)}
    asked = (
        ("order.create", row | {"orderLinkId": "ws"}),
        ("order.amend", LINEAR | {"orderLinkId": "ws", "price": away(venue, -4)}),
        ("order.cancel", LINEAR | {"orderLinkId": "ws"}),
        ("order.cancel refused", LINEAR | {"orderLinkId": "ws"}),
    )
    for number, (name, arguments) in enumerate(asked):
        frame = {
            "reqId": f"r{number}",
            "header": {"X-BAPI-TIMESTAMP": str(venue.world.now_ms())},
            "op": name.split()[0],
            "args": [arguments],
        }
        session.heard(json.dumps(frame).encode())
        await turn()
        [spoken[f"trade {name}"]] = socket.take()
    session.heard(b'{"op":"ping"}')
    [spoken["trade pong"]] = socket.take()
