"""Who hears what: the data-flow picture of docs/architecture.md as a table."""

from typing import Any, Final

from hfengine import messages as m
from hfengine import oversight as o
from hfengine.actors.execution import Execution
from hfengine.actors.guardian import Guardian
from hfengine.actors.keeper import Keeper
from hfengine.actors.market_data import MarketData
from hfengine.actors.rebalancer import Rebalancer
from hfengine.actors.risk import Risk
from hfengine.actors.signals import Signals
from hfengine.actors.telemetry import Telemetry
from hfengine.actors.wiring import WiredActor

ACTORS: Final[dict[str, type[WiredActor]]] = {
    "telemetry": Telemetry,
    "keeper": Keeper,
    "guardian": Guardian,
    "risk": Risk,
    "rebalancer": Rebalancer,
    "execution": Execution,
    "signals": Signals,
    "market_data": MarketData,
}
"""In the order in which they start: whoever listens before whoever speaks."""

HEARERS: Final[dict[type[Any], tuple[str, ...]]] = {
    m.Start: ("execution", "market_data"),
    m.BookTick: ("signals",),
    m.TradeTick: ("signals",),
    m.MarkTick: ("risk", "guardian", "telemetry"),
    m.BookSync: ("risk", "telemetry"),
    m.FeedFault: ("telemetry",),
    m.SnapshotFailed: ("telemetry",),
    m.Forecast: ("rebalancer",),
    m.Entry: ("risk",),
    m.Refusal: ("telemetry",),
    m.FeeWarning: ("telemetry",),
    m.OpenBracket: ("execution", "guardian", "telemetry"),
    m.Reduce: ("risk",),
    m.Close: ("risk",),
    m.ReducePosition: ("execution",),
    m.MoveProtection: ("execution", "telemetry"),
    m.LeverageProof: ("risk", "telemetry", "keeper"),
    m.LeverageChanged: ("risk",),
    m.OrderSent: (),
    m.OrderUnknown: ("risk", "telemetry"),
    m.OrderEnded: ("risk", "guardian", "telemetry", "keeper"),
    m.OrderUpdate: ("keeper",),
    m.Fill: ("risk", "guardian", "telemetry", "keeper"),
    m.ProtectionRefused: ("guardian", "telemetry"),
    m.FundingPaid: ("risk", "telemetry", "keeper"),
    m.PositionOpened: ("guardian", "rebalancer"),
    m.PositionChanged: ("risk", "guardian", "rebalancer", "telemetry", "keeper"),
    m.BalanceChanged: ("risk", "guardian", "telemetry", "keeper"),
    m.CoverGap: ("telemetry",),
    m.Rebalanced: ("telemetry",),
    m.Halt: ("risk", "telemetry"),
    m.Resume: ("risk", "telemetry"),
    m.Flatten: ("risk", "execution", "guardian"),
    m.FlattenDone: ("guardian", "telemetry"),
    m.EngineState: ("risk", "telemetry"),
    m.ActorDied: ("telemetry",),
    o.BreakerChanged: ("telemetry", "keeper"),
    o.RiskState: ("telemetry", "keeper"),
    o.MarketQuality: ("risk",),
    o.VenueHealth: ("risk", "telemetry"),
    o.OrderMoved: (),
    o.OpenOrders: ("guardian",),
    o.CancelOrder: ("execution", "telemetry"),
    o.Repair: ("telemetry",),
    o.Difference: ("telemetry",),
    o.Adopted: ("guardian", "rebalancer", "telemetry"),
    o.Keep: ("keeper",),
    o.Recovered: ("telemetry", "keeper"),
    o.StoreFault: ("telemetry",),
    o.Command: ("telemetry",),
}
"""Message class -> actors that hear it, in order. The journal hears every one of them first."""
