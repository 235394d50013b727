"""The reference to a loop actor: Pykka's, with a `tell` that makes no envelope."""

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import pykka
from pykka import ActorDeadError
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from hfengine.kernels.mailbox import Mailbox
from hfengine.runtime.future import LoopFuture

if TYPE_CHECKING:
    from hfengine.runtime.actor import LoopActor

A = TypeVar("A", bound="LoopActor")


class LoopRef(pykka.ActorRef[A], Generic[A]):
    """Reference to a loop actor; may be used from any thread."""

    actor_inbox: Mailbox

    def __init__(self, actor: A) -> None:
        super().__init__(actor)
        # The compiled method itself, found on the instance: no Python frame between the two.
        self.__dict__["tell"] = actor.actor_inbox.tell

    @overload
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | None = None
    ) -> LoopFuture[Any]: ...

    @overload
    def ask(self, message: Any, *, block: Literal[True], timeout: float | None = None) -> Any: ...

    @overload
    def ask(
        self, message: Any, *, block: bool = True, timeout: float | None = None
    ) -> Any | LoopFuture[Any]: ...

    def ask(
        self, message: Any, *, block: bool = True, timeout: float | None = None
    ) -> Any | LoopFuture[Any]:
        """Send a message and wait for the reply, or return its future.

        On the actor's own thread a future is awaited; a blocking get there first lets the waiting
        actors run. Raises what the actor raised, ActorDeadError when it has stopped, Timeout after
        `timeout` s, RuntimeError when the wait could never end.
        """
        future: LoopFuture[Any] = LoopFuture()
        future.answered_by(self.actor_inbox.host, str(self))
        if self.is_alive():
            self.actor_inbox.put(Envelope(message, reply_to=future))
        else:
            dead = ActorDeadError(f"{self} not found")
            future.set_exception((ActorDeadError, dead, None))
        return future.get(timeout=timeout) if block else future

    @overload
    def stop(self, *, block: Literal[True], timeout: float | None = None) -> bool: ...

    @overload
    def stop(self, *, block: Literal[False], timeout: float | None = None) -> LoopFuture[bool]: ...

    @overload
    def stop(
        self, *, block: bool = True, timeout: float | None = None
    ) -> bool | LoopFuture[bool]: ...

    def stop(self, *, block: bool = True, timeout: float | None = None) -> bool | LoopFuture[bool]:
        """Ask the actor to stop after what it was sent before; False if it was dead already."""
        asked = self.ask(_ActorStop(), block=False)

        def stopped(wait_s: float | None) -> bool:
            try:
                asked.get(timeout=wait_s)
            except ActorDeadError:
                return False
            return True

        future: LoopFuture[bool] = asked.derived(stopped)
        return future.get(timeout=timeout) if block else future
