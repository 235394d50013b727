"""One seed told line by line: what was published, what went wrong, what the exchange did."""

from collections.abc import Iterator
from typing import Any, Final

from hfengine.messages import BookTick, Forecast, MarkTick, Message, TradeTick
from hfengine.oversight import Keep, MarketQuality, RiskState, VenueHealth
from hfengine.simulation.report import describe
from hfengine.simulation.running import Run
from hfengine.simulation.world import Style

QUIET: Final = (
    BookTick,
    TradeTick,
    MarkTick,
    Forecast,
    VenueHealth,
    MarketQuality,
    RiskState,
    Keep,
)
WIDTH: Final = 400


class _Told:
    """Stands before the checker and notes what it hears."""

    def __init__(self, run: Run) -> None:
        self.lines: list[str] = []
        self._run = run
        self._checker: Any = run.checker

    def hear(self, message: Message) -> None:
        self._checker.hear(message)
        if not isinstance(message, QUIET):
            self._note("engine  ", message)

    def truth(self, event: Message, now_ns: int) -> None:
        self._note("exchange", event)
        self._checker.truth(event, now_ns)

    def _note(self, who: str, message: Message) -> None:
        self.lines.append(f"{self._run.world.now_ms:6} {who} {message}"[:WIDTH])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._checker, name)


def trace_lines(seed: int, style: Style) -> Iterator[str]:
    """Yield the plan, then every event in order, then what was violated."""
    run = Run(seed, style)
    told = _Told(run)
    run.checker = told  # type: ignore[assignment]  # everything else it passes on
    run.world.witness = told
    yield from (f"plan    {describe(fault)}" for fault in run.plan)
    outcome = run.run()
    yield from told.lines
    yield f"{outcome.engines} engines, {outcome.entries} entries, trace {outcome.trace}"
    for violation in outcome.violations:
        yield f"{violation.invariant} at {violation.at_ms} ms: {violation.detail}"
