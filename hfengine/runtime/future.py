"""The reply to an ask: awaited on a loop, waited for on any other thread."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pykka
from pykka._types import OptExcInfo

from hfengine.kernels.mailbox import Host

T = TypeVar("T")
R = TypeVar("R")
Wake = Callable[[], None]


class LoopFuture(pykka.ThreadingFuture[T]):
    """Pykka's future, safe on the thread of the very loop that must produce its result."""

    def __init__(self) -> None:
        super().__init__()
        self._host: Host | None = None
        self._answerer = "nobody"
        self._wakers: list[tuple[asyncio.AbstractEventLoop, Wake]] = []
        self._sources: tuple[pykka.Future[Any], ...] = ()

    def answered_by(self, host: Host | None, name: str) -> None:
        """Name the actor that will answer and the loop thread it lives on."""
        self._host = host
        self._answerer = name

    def derived(self, compute: Callable[[float | None], R]) -> "LoopFuture[R]":
        """Return a future that computes its result from this one's when it is asked for."""
        future: LoopFuture[R] = LoopFuture()
        future._sources = (self,)
        future.set_get_hook(compute)
        return future

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the result, or raise it; wait at most `timeout` s (pykka.Timeout).

        On the answering loop's own thread nothing can be waited for: the actors with mail run
        first, and RuntimeError is raised when that has not produced the result.
        """
        host = self._host
        if self._pending() and host is not None and host.here():
            while self._pending() and host.run_one():
                pass
            if self._pending() and timeout != 0:
                msg = (
                    f"a blocking get() on the loop's own thread waits for {self._answerer}, which"
                    f" only this thread can run; await the future, or ask from another thread"
                )
                raise RuntimeError(msg)
        return super().get(timeout=timeout)

    def set(self, value: Any | None = None) -> None:
        """Set the result and wake everyone who awaits it."""
        super().set(value)
        self._wake()

    def set_exception(self, exc_info: OptExcInfo | None = None) -> None:
        """Set the exception to raise, by default the one being handled."""
        super().set_exception(exc_info)
        self._wake()

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Compute the result by `func(timeout)` when it is asked for."""
        super().set_get_hook(func)
        self._wake()

    def filter(self, func: Callable[[Any], bool]) -> Any:
        """Return a future of the items of this one's result for which `func` is true."""
        whole: Any = self
        return self._following(pykka.Future.filter(whole, func))

    def join(self, *futures: pykka.Future[Any]) -> Any:
        """Return a future of the list of this result and those of `futures`."""
        return self._following(super().join(*futures), *futures)

    def map(self, func: Callable[[Any], Any]) -> Any:
        """Return a future of `func` of this one's result."""
        return self._following(super().map(func))

    def reduce(self, func: Callable[[Any, Any], Any], *args: Any) -> Any:
        """Return a future of this one's items folded by `func`."""
        whole: Any = self
        return self._following(pykka.Future.reduce(whole, func, *args))

    def __await__(self) -> Generator[Any, None, T]:
        yield from self._settle()
        result: T = self.get()
        return result

    __iter__ = __await__

    def _pending(self) -> bool:
        return self._result is None and self._get_hook is None

    def _following(
        self, future: pykka.Future[Any], *others: pykka.Future[Any]
    ) -> pykka.Future[Any]:
        # A hook hides what it waits for; await must wait for that first, without blocking.
        if isinstance(future, LoopFuture):
            future._sources = (self, *others)
        return future

    def _settle(self) -> Generator[Any, None, None]:
        for source in self._sources:
            if isinstance(source, LoopFuture):
                yield from source._settle()
        if not self._pending():
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not waiter.done():
                waiter.set_result(None)

        with self._condition:
            if self._pending():
                self._wakers.append((loop, wake))
            else:
                wake()
        yield from waiter
        yield from self._settle()

    def _wake(self) -> None:
        with self._condition:
            wakers, self._wakers = self._wakers, []
        for loop, wake in wakers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake)
