"""A live account that meets errors: its requests noted, one answer at a time made wrong."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.messages import Halt
from tests.error_rows import ALERT, HALT, OK, QUERY, RELOAD, RETRIED, UNKNOWN, Answer
from tests.live_desk import SYMBOL, LiveDesk, live

PATHS = {
    "bybit": {
        "place": "/v5/order/create",
        "reduce": "/v5/order/create",
        "cancel": "/v5/order/cancel-all",
        "set_leverage": "/v5/position/set-leverage",
        "set_margin_mode": "/v5/account/set-margin-mode",
        "prepare": "/v5/position/switch-mode",
        "instruments": "/v5/market/instruments-info",
    },
    "binance": {
        "place": "/fapi/v1/order",
        "reduce": "/fapi/v1/order",
        "cancel": "/fapi/v1/allOpenOrders",
        "set_leverage": "/fapi/v1/leverage",
        "set_margin_mode": "/fapi/v1/marginType",
        "prepare": "/fapi/v1/positionSide/dual",
        "instruments": "/fapi/v1/exchangeInfo",
    },
    "bitget": {
        "place": "/api/v2/mix/order/place-order",
        "reduce": "/api/v2/mix/order/place-order",
        "cancel": "/api/v2/mix/order/cancel-all-orders",
        "set_leverage": "/api/v2/mix/account/set-leverage",
        "set_margin_mode": "/api/v2/mix/account/set-margin-mode",
        "prepare": "/api/v2/mix/account/set-position-mode",
        "instruments": "/api/v2/mix/market/contracts",
    },
}
MANY = 1_000_000
SETTINGS: dict[str, dict[str, Any]] = {"bitget": {"position_mode": "hedge"}}


class ErrorDesk:
    """A live account whose requests are noted as they leave."""

    def __init__(self, name: str, desk: LiveDesk) -> None:
        self.name = name
        self.desk = desk
        self.sent: list[tuple[str, str, str]] = []
        """(method, path, what it says) of each request."""
        self._numbers = iter(range(1, 1000))
        exchange = desk.venue._desk.exchange
        plain = exchange.fetch

        async def fetch(
            url: str, method: str = "GET", headers: Any = None, body: Any = None
        ) -> Any:
            path, _, query = url.partition("?")
            text = body.decode() if isinstance(body, bytes) else body or ""
            self.sent.append((method, "/" + path.split("/", 3)[3], query + text))
            return await plain(url, method, headers, body)

        exchange.fetch = fetch

    def client_id(self) -> str:
        return f"hf-a-{next(self._numbers):06d}e0"

    def count(self, call: str, *saying: str) -> int:
        """Return how many requests of a kind left that contain these words."""
        path = PATHS[self.name][call]
        methods = ("GET",) if call == "instruments" else ("POST", "DELETE", "PUT")
        return sum(
            one[0] in methods and one[1] == path and all(word in one[2] for word in saying)
            for one in self.sent
        )

    async def make(self, call: str, client_id: str) -> Any:
        """Make one call of the adapter."""
        venue, desk = self.desk.venue, self.desk
        none = Decimal(0)
        match call:
            case "place":
                return await venue.place(desk.bracket(client_id, stop=none, target=none))
            case "reduce":
                return await venue.place(desk.reduction(client_id, "0.001"))
            case "cancel":
                return await venue.cancel_all(SYMBOL)
            case "set_leverage":
                return await venue.set_leverage(SYMBOL, 33)
            case "set_margin_mode":
                return await venue.set_margin_mode(SYMBOL, "isolated")
            case "prepare":
                return await venue._quirks.prepare_account()
        raise KeyError(call)

    def fault(self, kind: str, answer: Answer) -> None:
        """Let the next request of a kind be answered so."""
        self.desk.fault(
            kind,
            path=PATHS[self.name][answer.call],
            topic="DELETE" if (answer.call, self.name) == ("cancel", "binance") else "POST",
            code=answer.code,
            message=answer.text,
            status=answer.status,
        )

    def forget(self) -> None:
        """Be as before any error: nothing halted, waited for or due."""
        venue = self.desk.venue
        for source in list(venue.health["halts"]):
            venue._desk.resume(source)
        venue._desk.limiter._closed_until_s.clear()
        venue._desk._look_waits = venue._desk._look_again = False
        venue._reload_due = False
        self.desk.events.clear()
        self.sent.clear()


def reading(desk: LiveDesk) -> bool:
    """Tell whether the account or its instruments are being read in the background."""
    names = ("reconciliation", "instruments", "clock", "sweep")
    tasks = [task.get_name() for task in desk.venue._desk._tasks]
    return desk.venue._reconcile_due or any(name.endswith(names) for name in tasks)


@asynccontextmanager
async def erring(name: str, **changes: Any) -> AsyncIterator[ErrorDesk]:
    """Open an account at a venue that is to err."""
    async with live(name, **{**SETTINGS.get(name, {}), **changes}) as desk:
        if name == "bybit":
            desk.server._dialect.command("order_rate", {"per_second": 1000})
        if name == "binance":
            # so many errors on one account cost more weight than a minute has
            desk.server._dialect.command("limits", {"weight": MANY, "orders_1m": MANY})
            for window in desk.venue._desk.limiter._windows["weight"]:
                window.limit = MANY
        yield ErrorDesk(name, desk)
        await desk.until(lambda: not reading(desk))


async def outcome_of(call: Awaitable[Any]) -> str:
    """Return how a call ends, in the words of the table."""
    try:
        await call
    except VenueRejected as rejected:
        return rejected.reason
    except VenueUnknown:
        return UNKNOWN
    return OK


async def check(at: ErrorDesk, answer: Answer) -> None:
    """Make the call that gets the answer, and see that the adapter does what the row says."""
    desk, venue = at.desk, at.desk.venue
    await desk.until(lambda: not reading(desk))
    at.forget()
    rounds = venue.health["reconciliations"]
    alerts = sum(venue.health["notes"].values())
    client_id = at.client_id()
    # a code for "already so" tells the truth: the call is made all the same
    at.fault("error_after" if answer.outcome == OK else "error_before", answer)
    told = await outcome_of(at.make(answer.call, client_id))
    expected = OK if answer.outcome == RETRIED else answer.outcome
    assert told == expected, answer
    assert desk.world.faults.rules() == [], "the venue was not asked"
    sends = 2 if answer.outcome == RETRIED else 1
    if answer.call in ("place", "reduce"):
        assert at.count(answer.call, client_id) == sends, answer
    elif answer.call in ("cancel", "set_leverage"):
        assert at.count(answer.call) >= sends
    if RELOAD in answer.effects:
        await desk.until(lambda: at.count("instruments"))
    if QUERY in answer.effects:
        await desk.until(lambda: venue.health["reconciliations"] > rounds)
    halts = [answer.outcome] if HALT in answer.effects else []
    assert [halt.source for halt in desk.told(Halt)] == halts, answer
    if ALERT in answer.effects:
        assert sum(venue.health["notes"].values()) > alerts
    if RELOAD not in answer.effects:
        assert at.count("instruments") == 0, answer
    if answer.outcome not in (OK, RETRIED, UNKNOWN):
        assert venue.health["rejected"][f"{answer.code} {answer.outcome}"] >= 1
