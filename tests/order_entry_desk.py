"""An order entry on virtual time, with a link that remembers and a hand to answer with."""

import asyncio
import json
from decimal import Decimal
from typing import Any

from hfengine.clock import VirtualClock
from hfengine.errors import VenueUnavailable
from hfengine.instruments import load_catalogue
from hfengine.messages import OrderUpdate
from hfengine.requests import OrderRequest
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.venues.binance_order_entry import BinanceOrderEntry
from hfengine.venues.bybit_order_entry import BybitOrderEntry
from hfengine.venues.order_entry import Credentials, OrderEntrySettings

T0_NS = 1_723_118_400_000_000_000
HEARD_NS = T0_NS + 5_000_000
KEY = "TheKey1234567890"
SECRET = b"the secret of the key"
ANSWER_MAX_S = 2.0


class FakeLink:
    """Takes frames; refuses them while `shut`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.shut = False

    def send(self, payload: bytes) -> None:
        if self.shut:
            raise VenueUnavailable("the fake link is shut")
        self.sent.append(payload)

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.sent]


class Desk:
    """One order entry, not opened yet, and everything it said."""

    def __init__(self, dialect: str) -> None:
        self.clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(self.clock)
        self.link = FakeLink()
        self.ready: list[tuple[bool, str]] = []
        self.legs: list[tuple[OrderRequest, Any]] = []
        make = BybitOrderEntry if dialect == "bybit" else BinanceOrderEntry
        self.entry = make(
            {"BTCUSDT": load_catalogue(dialect).find("BTCUSDT")},
            Credentials(KEY, SECRET),
            clock=self.clock,
            loop=self.loop,
            settings=OrderEntrySettings(answer_max_s=ANSWER_MAX_S),
            on_ready=lambda ready, reason: self.ready.append((ready, reason)),
            on_protection=lambda request, outcome: self.legs.append((request, outcome)),
        )

    def hear(self, **reply: Any) -> None:
        self.entry.heard(json.dumps(reply).encode(), HEARD_NS)

    def pass_s(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def ended(self, answer: asyncio.Future[OrderUpdate]) -> Any:
        """Return an answer or its error; fails when there is none yet."""
        assert answer.done()
        return answer.exception() or answer.result()


def entry_request(**changes: Any) -> OrderRequest:
    """A limit entry with stop and target on the catalogue's grid."""
    fields: dict[str, Any] = {
        "client_id": "hf-0123456789-000001e0",
        "symbol": "BTCUSDT",
        "side": 1,
        "kind": "limit",
        "quantity": Decimal("0.007"),
        "price": Decimal("61234.5"),
        "tif": "ioc",
        "stop": Decimal("61111.1"),
        "target": Decimal("61333.3"),
    }
    return OrderRequest(**(fields | changes))


def exit_request(number: int = 1, **changes: Any) -> OrderRequest:
    """A reduce-only market order."""
    fields: dict[str, Any] = {
        "client_id": f"hf-0123456789-{number:06d}x0",
        "symbol": "BTCUSDT",
        "side": -1,
        "kind": "market",
        "quantity": Decimal("0.007"),
        "reduce_only": True,
    }
    return OrderRequest(**(fields | changes))
