"""Killed between an order and its answer; it arrives when the next engine runs."""

import logging
from typing import Any

import pytest

from hfengine.messages import (
    Fill,
    Message,
    OpenBracket,
    OrderEnded,
    OrderSent,
    OrderUnknown,
    PositionChanged,
    ReducePosition,
)
from hfengine.simulation.running import Run
from hfengine.simulation.world import NS_A_MS, Style

LATE_MS = 90
"""How long the order is on the wire; the engine is up again long before."""

DOWN_MS = 20


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


class KilledWhileSending(Run):
    """The first engine dies as it says that it has sent its first order of a kind."""

    def __init__(self, seed: int, style: Style, *, reduce_only: bool) -> None:
        super().__init__(seed, style, [])
        self._reduce_only = reduce_only
        self.lost: OrderSent | None = None
        self.later: list[tuple[int, Any]] = []
        """What the engine after it published, and when."""

    def _hear(self, message: Message) -> None:
        super()._hear(message)
        line = self.world.line
        if self.lost is None and isinstance(message, OpenBracket | ReducePosition):
            # what it becomes is sent in this turn
            self.world.slow_ns["orders"] = LATE_MS * NS_A_MS
        if self.lost is not None:
            self.later.append((self.world.now_ns, message))
        elif isinstance(message, OrderSent) and message.reduce_only is self._reduce_only:
            self.lost = message
            self._happenings.downtime_ms = DOWN_MS
            assert line is not None
            self._kill(line)
        if isinstance(message, OrderSent):
            self.world.slow_ns["orders"] = 0

    def _died(self) -> None:
        kept = list(self._memory)
        super()._died()
        # of what was kept nothing shall be lost here
        self._memory[:] = kept

    def of(self, kind: type[Any]) -> list[tuple[int, Any]]:
        """Return what the later engine said of this kind about the symbol of the lost order."""
        assert self.lost is not None
        symbol = self.lost.symbol
        return [
            (at_ns, told)
            for at_ns, told in self.later
            if type(told) is kind and told.symbol == symbol
        ]


@pytest.mark.parametrize("style", ["bybit", "binance"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_entry_on_its_way_is_found_protected_and_never_doubled(seed: int, style: Style) -> None:
    run = KilledWhileSending(seed, style, reduce_only=False)
    outcome = run.run()
    lost = run.lost
    assert lost is not None
    assert outcome.violations == []
    assert outcome.engines == 2
    unknown = run.of(OrderUnknown)[0][1]
    assert unknown.client_id == lost.client_id, "the next engine knows of it from the start"
    ended_ns, ended = next(e for e in run.of(OrderEnded) if e[1].client_id == lost.client_id)
    assert [at_ns for at_ns, _ in run.of(OpenBracket) if at_ns < ended_ns] == []
    fills = [fill for _, fill in run.of(Fill) if fill.client_id == lost.client_id]
    assert sum(fill.quantity for fill in fills) == ended.filled > 0
    assert len({fill.fill_id for fill in fills}) == len(fills)
    filled_ns = fills[0].at_ns
    assert filled_ns > lost.at_ns + DOWN_MS * NS_A_MS, "it came when the next engine was up"
    covered = [
        at_ns
        for at_ns, told in run.of(PositionChanged)
        if at_ns >= filled_ns and told.covered >= told.quantity
    ]
    assert covered[0] - filled_ns < 500 * NS_A_MS


@pytest.mark.parametrize("style", ["bybit", "binance"])
def test_an_exit_on_its_way_keeps_entries_out_until_its_fate_is_known(style: Style) -> None:
    run = KilledWhileSending(2, style, reduce_only=True)
    outcome = run.run()
    lost = run.lost
    assert lost is not None
    assert outcome.violations == []
    assert run.of(OrderUnknown)[0][1].client_id == lost.client_id
    ended_ns, _ = next(e for e in run.of(OrderEnded) if e[1].client_id == lost.client_id)
    assert [at_ns for at_ns, _ in run.of(OpenBracket) if at_ns < ended_ns] == []
