"""The operator's door: everything can be seen, faults can be armed, and strangers stay out."""

import json
from decimal import Decimal

import aiohttp

from hfengine.localvenue.admin import AdminApi
from hfengine.localvenue.ports import HttpRequest
from tests.localvenue_desk import SYMBOL, run_live, serving


class Desk:
    """Admin calls to one served venue."""

    def __init__(self, venue, client):
        self.venue = venue
        self.client = client

    async def __call__(self, method, path, body=None, status=200):
        data = None if body is None else json.dumps(body)
        url = f"{self.venue.http}/admin/{path}"
        async with self.client.request(method, url, data=data) as answer:
            assert answer.status == status, await answer.text()
            assert answer.headers["Content-Type"] == "application/json"
            return await answer.json()


def at_desk(scenario, **options):
    async def run():
        async with serving(**options) as venue, aiohttp.ClientSession() as client:
            await scenario(venue, Desk(venue, client))

    run_live(run)


def test_orders_fills_positions_ledger_and_accounts_are_shown():
    async def scenario(venue, desk):
        venue.dialect.buy("a1")
        orders = (await desk("GET", "orders"))["main"]
        assert [(one["update"]["client_id"], one["update"]["state"]) for one in orders] == [
            ("a1", "filled")
        ]
        assert (await desk("GET", f"orders?open_only=1&symbol={SYMBOL}"))["main"] == []
        fills = (await desk("GET", "fills"))["main"]
        fee = Decimal(fills[0]["fill"]["fee_usdt"])
        assert fee > 0
        assert (await desk("GET", f"fills?after={fills[0]['fill']['fill_id']}"))["main"] == []
        positions = (await desk("GET", "positions?account=main"))["main"]
        assert Decimal(positions[0]["changed"]["quantity"]) == Decimal("0.01")
        ledger = (await desk("GET", "ledger"))["main"]
        assert [entry["kind"] for entry in ledger["entries"]] == ["deposit", "fee"]
        assert Decimal(ledger["entries"][1]["change_usdt"]) == -fee
        assert Decimal(ledger["wallet_usdt"]) == 10_000 - fee
        accounts = await desk("GET", "accounts")
        assert accounts["main"]["keys"] == ["k-test"]
        assert "s-test" not in json.dumps(accounts)
        assert (await desk("GET", "ledger?account=nobody", status=400))["error"].startswith(
            "there is no account 'nobody'"
        )

    at_desk(scenario)


def test_faults_are_armed_listed_and_removed():
    async def scenario(venue, desk):
        await desk("POST", "faults", {"kind": "cut_after", "path": "/buy"})
        await desk("POST", "faults", [{"kind": "banned"}, {"kind": "order_refused", "code": 5}])
        kinds = [rule["kind"] for rule in (await desk("GET", "faults"))["faults"]]
        assert kinds == ["cut_after", "banned", "order_refused"]
        assert await desk("DELETE", "faults?kind=banned") == {"removed": 1}
        assert venue.world.faults.take("order_refused").code == 5
        status = await desk("GET", "status")
        assert [rule["kind"] for rule in status["faults"]] == ["cut_after"]
        assert status["faults_done"] == {"order_refused": 1}
        for wrong in (
            {"kind": "nonsense"},
            {"kind": "banned", "cuont": 2},
            {"kind": "banned", "count": 0},
        ):
            assert "error" in await desk("POST", "faults", wrong, status=400)

    at_desk(scenario)


def test_things_are_done_at_once_and_sockets_are_cut():
    async def scenario(venue, desk):
        mark = venue.world.ticker(SYMBOL).mark
        await desk("POST", "do", {"do": "move", "symbol": SYMBOL, "ticks": 10})
        assert venue.world.ticker(SYMBOL).mark == mark + 1
        assert (await desk("POST", "do", {"do": "sing", "key": "C"}))["sung"] == {"key": "C"}
        assert "dance" in (await desk("POST", "do", {"do": "dance"}, status=400))["error"]
        wrong = {"do": "move", "symbol": SYMBOL, "tikcs": 1}
        assert "tikcs" in (await desk("POST", "do", wrong, status=400))["error"]
        rejected = {"do": "leverage", "symbol": SYMBOL, "leverage": 5000}
        assert "leverage_above_maximum" in (await desk("POST", "do", rejected, status=400))["error"]
        async with desk.client.ws_connect(f"{venue.http}/ws") as socket:
            await socket.receive()
            rows = (await desk("GET", "status"))["sockets"]
            assert rows == [{"path": "/ws", "sent_frames": 1, "heard_frames": 0, "unsent_bytes": 0}]
            closed = {"do": "close_sockets", "path": "/ws", "code": 1012}
            assert (await desk("POST", "do", closed))["sockets"] == 1
            await socket.receive()
            assert socket.close_code == 1012

    at_desk(scenario)


def test_an_account_is_opened_with_its_deposit():
    async def scenario(venue, desk):
        new = {"account": "second", "key": "k2", "secret": "s2", "wallet_usdt": 250.5}
        assert await desk("POST", "accounts", new) == {"account": "second", "key": "k2"}
        assert venue.world.keys["k2"].secret == b"s2"
        assert venue.world.exchange.balance("second").wallet_usdt == Decimal("250.5")
        assert "already" in (await desk("POST", "accounts", new, status=400))["error"]

    at_desk(scenario)


def test_unknown_calls_name_the_known_ones_and_strangers_are_refused():
    async def scenario(venue, desk):
        assert "GET /admin/status" in (await desk("GET", "nothing", status=404))["calls"]
        admin: AdminApi = venue.server.admin
        for remote, status in (("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403), ("", 403)):
            request = HttpRequest(
                method="GET",
                path="/admin/status",
                raw_query="",
                headers={},
                body=b"",
                query={},
                remote=remote,
            )
            assert admin.answer(request).status == status

    at_desk(scenario)
