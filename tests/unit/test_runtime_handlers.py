"""Compiled handlers: they stand in for the method that is marked, and for no other."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from msgspec import Struct

from hfengine.clock import VirtualClock
from hfengine.runtime.actor import LoopActor, compiled, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.virtual_loop import VirtualLoop


class Tick(Struct, frozen=True):
    number: int


class Marked(LoopActor):
    def __init__(self, fast: list[Tick], slow: list[Tick]) -> None:
        super().__init__()
        self._slow = slow
        self.handle_by(Tick, fast.append)

    @compiled
    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self._slow.append(tick)


class Unmarked(Marked):
    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self._slow.append(tick)


class Inheriting(Marked):
    pass


def heard_by(actor_class: Callable[..., Any]) -> tuple[list[Tick], list[Tick]]:
    fast: list[Tick] = []
    slow: list[Tick] = []
    loop = VirtualLoop(VirtualClock(0))

    async def scenario() -> None:
        host = ActorHost(loop)
        ref = actor_class.start(fast, slow)
        ref.tell(Tick(1))
        ref.tell(Tick(2))
        await host.shutdown()

    try:
        loop.run_until_complete(scenario())
    finally:
        loop.close()
    return fast, slow


@pytest.mark.parametrize("actor_class", [Marked, Inheriting])
def test_compiled_code_stands_in_for_the_method_that_is_marked(actor_class: type[Any]) -> None:
    assert heard_by(actor_class) == ([Tick(1), Tick(2)], [])


def test_a_method_that_overrides_it_unmarked_is_called() -> None:
    assert heard_by(Unmarked) == ([], [Tick(1), Tick(2)])


def test_a_wrapper_that_takes_over_its_attributes_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Marked.on_tick

    @wraps(original)
    def wrapper(self: Marked, tick: Tick) -> None:
        original(self, Tick(-tick.number))

    monkeypatch.setattr(Marked, "on_tick", wrapper)
    assert heard_by(Marked) == ([], [Tick(-1), Tick(-2)])
