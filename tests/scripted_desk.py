"""A venue's desk without a network: calls are answered by a script, timers fire when told."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from types import SimpleNamespace
from typing import Any

from hfengine import settings
from hfengine.clock import VirtualClock
from hfengine.errors import VenueRejected
from hfengine.instruments import VenueName, load_catalogue
from hfengine.messages import Message
from hfengine.runtime.timers import Timers

BEGAN_MS = 1_700_000_000_000
Answer = Any | Exception | Callable[[Mapping[str, Any]], Any]


class HandTimers(Timers):
    """Timers that fire when a test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.waiting: list[tuple[int, Callable[[], None], Any]] = []

    def after(self, delay_ns: int, fire: Callable[[], None]) -> Any:
        handle = SimpleNamespace(cancelled=False)
        handle.cancel = lambda: setattr(handle, "cancelled", True)
        self.waiting.append((delay_ns, fire, handle))
        return handle

    def every(self, period_ns: int, fire: Callable[[], None]) -> Any:
        return self.after(period_ns, fire)

    def fire_all(self) -> int:
        """Fire what waits now; return how many fired."""
        due, self.waiting = self.waiting, []
        fired = [fire for _, fire, handle in due if not handle.cancelled]
        for fire in fired:
            fire()
        return len(fired)


class ScriptedDesk:
    """What quirks see of a live venue; remembers everything."""

    def __init__(self, venue: VenueName, symbols: tuple[str, ...], **changes: Any) -> None:
        self.loop = asyncio.get_running_loop()
        catalogue = load_catalogue(venue)
        self.symbols = symbols
        self.instruments = {symbol: catalogue.find(symbol) for symbol in symbols}
        self.settings = settings.Venue(name=venue, **changes)
        self.margin_mode = "isolated"
        self.clock = VirtualClock(BEGAN_MS * 1_000_000)
        self.timers = HandTimers(self.loop)
        self.exchange = SimpleNamespace(options={})
        self.answers: dict[str, list[Answer]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.purposes: list[str] = []
        self.told: list[Message] = []
        self.halts: dict[str, str] = {}
        self.notes: list[tuple[str, str]] = []
        self.restarts: list[str] = []
        self.reconciles: list[str] = []
        self.ready = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def answer(self, method: str, *answers: Answer) -> None:
        """Script what a method answers, in turn; the last one again and again."""
        self.answers[method] = list(answers)

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        group: str,
        purpose: str = "read",
        weight: int = 1,
    ) -> Any:
        assert group
        assert weight > 0
        self.calls.append((method, dict(params)))
        self.purposes.append(purpose)
        await asyncio.sleep(0)
        script = self.answers.get(method)
        if not script:
            raise AssertionError(f"{method} {params} was not expected")
        answer = script.pop(0) if len(script) > 1 else script[0]
        if callable(answer):
            answer = answer(params)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def called(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of each call of a method."""
        return [params for name, params in self.calls if name == method]

    def now_ms(self) -> int:
        return self.clock.now_ns() // 1_000_000

    def pass_ms(self, passed: int) -> None:
        self.clock.advance_to(self.clock.now_ns() + passed * 1_000_000)

    def tell(self, message: Message) -> None:
        self.told.append(message)

    def of(self, kind: type[Any]) -> list[Any]:
        """Return what was told of a kind."""
        return [message for message in self.told if isinstance(message, kind)]

    def run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self.loop.create_task(work, name=name)
        self.tasks.add(task)

    async def settle(self) -> None:
        """Let everything that runs in the background end; raises what it raised."""
        while self.tasks:
            await asyncio.gather(*[self.tasks.pop() for _ in range(len(self.tasks))])

    def private_ready(self) -> None:
        self.ready += 1

    def reconcile_soon(self, why: str) -> None:
        self.reconciles.append(why)

    def restart_streams(self, why: str) -> None:
        self.restarts.append(why)

    def halt(self, source: str, reason: str) -> None:
        self.halts.setdefault(source, reason)

    def resume(self, source: str) -> None:
        self.halts.pop(source, None)

    def note(self, what: str, detail: str) -> None:
        self.notes.append((what, detail))


def refused(reason: str) -> VenueRejected:
    """Return a refusal by its reason."""
    return VenueRejected(reason, "scripted")
