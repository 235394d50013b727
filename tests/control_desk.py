"""An engine as the control server sees it, made of plain answers."""

import asyncio
from decimal import Decimal
from typing import Any

from hfengine.clock import VirtualClock
from hfengine.config import Profile, load
from hfengine.errors import VenueUnavailable
from hfengine.messages import EngineState, FlattenDone, Halt, MarkTick, Message, OrderUpdate, Resume
from hfengine.messages import PositionChanged as Position
from tests import rig


class FakeVenue:
    """Answers what a test puts in, or raises its fault."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.held: list[Position] = []
        self.resting: list[OrderUpdate] = []

    async def positions(self) -> list[Position]:
        if self.fault:
            raise self.fault
        return self.held

    async def open_orders(self) -> list[OrderUpdate]:
        if self.fault:
            raise self.fault
        return self.resting


class FakeEngine:
    """Publishes into a list; halts and breakers behave as risk's do."""

    session = "0123456789"

    def __init__(self, halts: dict[str, str] | None = None, *, padding: int = 0) -> None:
        self.profile: Profile = load("paper", environment={})
        self.clock = VirtualClock(rig.T0_NS)
        self.venue: Any = FakeVenue()
        self.published: list[Message] = []
        self.halts = dict(halts or {})
        self.breakers: list[dict[str, Any]] = []
        self.marks: dict[str, MarkTick] = {}
        self.state = EngineState(1, "trading", "all proved")
        self.stopped: list[str] = []
        self.flattens: list[str] = []
        self.views = 0
        self.fails = False
        self.unwritten: list[asyncio.Future[str]] = []
        """What the answers wait for; nothing is waited for while it is empty."""
        self._padding = padding
        self._flattened: asyncio.Future[FlattenDone] | None = None

    @property
    def flattened(self) -> "asyncio.Future[FlattenDone]":
        if self._flattened is None:
            self._flattened = asyncio.get_running_loop().create_future()
        return self._flattened

    def publish(self, message: Message) -> None:
        self.published.append(message)
        if isinstance(message, Halt):
            self.halts[message.source] = message.reason
        elif isinstance(message, Resume):
            gone = [message.source] if message.source != "all" else list(self.halts)
            for source in gone:
                self.halts.pop(source, None)
            self.breakers = [one for one in self.breakers if one["breaker"] not in gone]

    def stop(self, reason: str) -> None:
        self.stopped.append(reason)

    async def flatten_now(self, reason: str, by: str) -> FlattenDone:
        self.flattens.append(reason)
        return await self.flattened

    async def written(self) -> str:
        return await self.unwritten.pop() if self.unwritten else ""

    async def view(self) -> dict[str, Any]:
        self.views += 1
        await asyncio.sleep(0)
        if self.fails:
            raise VenueUnavailable("the actor is down")
        telemetry = {
            "state": self.state,
            "balance": rig.balance(),
            "gross_usdt": Decimal(0),
            "fees_usdt": Decimal(0),
            "funding_usdt": Decimal(0),
            "positions": {},
            "marks": self.marks,
            "proofs": {},
            "leverage_mismatches": {},
            "synced": {"BTCUSDT": True},
            "halts": {},
        }
        return {
            "telemetry": telemetry,
            "risk": {
                "entries": 0,
                "state": "halted" if self.halts else "active",
                "reasons": tuple(self.halts),
                "score": 61.5,
                "parts": {"margin": 60.0, "spread": 1.5},
                "halts": dict(self.halts),
                "breakers": list(self.breakers),
            },
            "execution": {"sent": 0, "open": 0},
            "guardian": {"uncovered_max_ms": 0.0},
            "signals": {"signals": 0},
            "session": self.session,
            "now_ns": self.clock.now_ns(),
            "stages": {},
            "venues": {"padding": "x" * self._padding},
        }
