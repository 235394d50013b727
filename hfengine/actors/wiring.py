"""What every actor is given when it is made: settings, seams and the way out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hfengine.actors.tally import DayResult, Tally
from hfengine.instruments import Instrument
from hfengine.runtime.actor import LoopActor
from hfengine.runtime.stages import Stages
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Settings
from hfengine.state.port import NullStore, Store
from hfengine.venues.port import Venue

Dialect = Literal["binance", "bybit", "ticks"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """One engine's settings and seams. Clock and `publish` every actor has from its host."""

    settings: Settings
    instruments: Mapping[str, Instrument]
    venue: Venue
    stages: Stages
    intents: Numbers
    signals: Numbers
    order_ids: OrderIds
    journal_ok: Callable[[], bool]
    pause: Callable[[float], Awaitable[None]]
    """Let so many seconds of engine time pass; for coroutines, never in a handler."""
    tally: Tally
    """The session's sums, written by telemetry alone."""
    day: DayResult
    """What today came to, written by risk alone."""
    heard_fills: set[str]
    """Ids of the fills published so far: execution's own memory across its restarts."""
    dialect: Dialect = "binance"
    """What market data is made of: frames of a venue, or ready-made ticks."""
    dialects: Mapping[str, Dialect] = field(default_factory=dict)
    """Symbol -> dialect, where several venues differ."""
    asks_for_books: bool = False
    """Ask the venue for every book at the start: a live feed sends none, or not for certain."""
    account: str = ""
    """The account traded, as keys of the state name it; "" where nothing outlives the run."""
    recalled: dict[str, bytes] = field(default_factory=dict)
    """Key -> newest body of `Keep`, of this run or one before; the engine keeps it current."""
    store: Store = field(default_factory=NullStore)
    """Where the keeper puts state and history."""

    def dialect_of(self, symbol: str) -> Dialect:
        """Return what a symbol's market data is made of."""
        return self.dialects.get(symbol, self.dialect)


class WiredActor(LoopActor):
    """An actor of the engine."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__()
        self.wiring = wiring
        self.settings = wiring.settings
