"""The actor of this engine: Pykka's, served on an event loop by a compiled mailbox."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, ClassVar, Self

import pykka

from hfengine.kernels.mailbox import Mailbox, Policy
from hfengine.limits import MAILBOX_MAX, RUN_TASKS_MAX
from hfengine.messages import Report
from hfengine.runtime.future import LoopFuture
from hfengine.runtime.handlers import (
    UnhandledMessage,
    compiled,
    handler_names,
    handles,
    is_compiled,
)
from hfengine.runtime.hosts import current_host
from hfengine.runtime.ids import short_name
from hfengine.runtime.outcome import Outcome, outcome_of
from hfengine.runtime.ref import LoopRef
from hfengine.runtime.timers import TimerHandle, Timers

__all__ = ["LoopActor", "Outcome", "Policy", "TimerHandle", "TooManyTasks", "compiled", "handles"]


class TooManyTasks(RuntimeError):
    """An actor asked for more I/O at once than RUN_TASKS_MAX; this request was not started."""


class _StoppedEvent(threading.Event):
    """Pykka's stop flag, which the compiled mailbox sees as a C flag of its own."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__()
        self._mailbox = mailbox

    def set(self) -> None:
        super().set()
        self._mailbox.stopped = True


class LoopActor(pykka.Actor):
    """An actor whose handlers run on one event loop, each to completion, never nested.

    Methods marked `@handles(MessageClass)` receive the messages of that class; a class that
    overrides `on_receive` receives all of them there instead. A handler never awaits and never
    blocks: `run` starts I/O, timers are messages. A handler that raises ends the actor, and the
    host's supervisor hears of it.
    """

    mailbox_max: ClassVar[int] = MAILBOX_MAX
    """Messages that may wait."""

    policies: ClassVar[Mapping[type[Any], Policy]] = {}
    """What to do when messages of a class have to wait; a class not named is kept."""

    actor_inbox: Mailbox
    publish: Callable[[Any], None]
    """Send a message to whoever the host's routes name."""

    _handler_names: ClassVar[dict[type[Any], str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handler_names = handler_names(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        host = current_host()
        self._host = host
        self._timers = Timers(host.loop)
        self._tasks: set[asyncio.Future[Any]] = set()
        self._death: BaseException | None = None
        self._ended = False
        self._handlers = {c: getattr(self, name) for c, name in self._handler_names.items()}
        self._answered = 0
        self._runs = self._armed = 0
        recorder = host.recorder
        hears = recorder is not None and recorder.hears(type(self).__name__)
        self._recorder = recorder if hears else None
        self.clock = host.clock
        self.publish = host.routes.publish
        self.actor_urn = host.ids.next_urn(type(self).__name__)
        self.actor_stopped = _StoppedEvent(self.actor_inbox)
        self._actor_ref: LoopRef[Any] = LoopRef(self)

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> LoopRef[Self]:
        """Make, register and start an actor; `on_start` runs on its loop, after this returns."""
        ref: Any = super().start(*args, **kwargs)
        started: LoopRef[Self] = ref
        return started

    @property
    def actor_ref(self) -> LoopRef[Self]:
        """The reference other actors use."""
        return self._actor_ref

    @property
    def name(self) -> str:
        """The actor's name as people read it, the same in every run: `Risk-1`."""
        return short_name(self.actor_urn)

    def on_receive(self, message: Any) -> Any:
        """Handle a message by its class; raises UnhandledMessage for one without a handler."""
        handler = self._handlers.get(type(message))
        if handler is None:
            known = ", ".join(c.__name__ for c in self._handlers) or "none"
            msg = (
                f"{self.name} has no handler for {type(message).__name__} (handled: {known});"
                f" correct the routes or add @handles({type(message).__name__})"
            )
            raise UnhandledMessage(msg)
        return handler(message)

    def handle_by(self, message_class: type[Any], handler: Callable[[Any], Any]) -> None:
        """Let compiled code take a class's messages in place of the method that declares them.

        The method, marked `@compiled`, does the same at the cost of a frame of Python a message;
        one that overrides it without the mark is called after all. To be called while the actor is
        made.
        """
        if is_compiled(getattr(type(self), self._handler_names[message_class])):
            self._handlers[message_class] = handler

    def run(self, io: Coroutine[Any, Any, Any] | asyncio.Future[Any], *, tag: Any) -> None:
        """Start I/O, or wait for I/O under way; its end arrives once, as `Outcome(tag, ...)`.

        The I/O is cancelled when the actor stops; its outcome then goes to the supervisor. Beyond
        RUN_TASKS_MAX under way it is not started and the outcome's error is TooManyTasks. Raises
        ActorDeadError when the actor has stopped already, RuntimeError off the loop's thread.
        """
        if not self._host.here():
            _drop(io)
            raise self._off_loop("run()")
        if self.actor_stopped.is_set():
            _drop(io)
            msg = f"{self.name} has stopped and cannot start I/O (tag {tag!r})"
            raise pykka.ActorDeadError(msg)
        number = self._runs
        self._runs += 1
        if self._host.player is not None:
            _drop(io)
            self._host.player.ran(self.name, number, tag)
            return
        if len(self._tasks) >= RUN_TASKS_MAX:
            _drop(io)
            refusal = TooManyTasks(f"{self.name} already has {RUN_TASKS_MAX} tasks under way")
            self._host.loop.call_soon(self._tell_outcome, number, Outcome(tag, None, refusal))
            return
        task: asyncio.Future[Any] = (
            io
            if isinstance(io, asyncio.Future)
            else self._host.loop.create_task(io, name=self.actor_urn)
        )
        self._tasks.add(task)
        self._host.tasks.add(task)

        def done(finished: asyncio.Future[Any]) -> None:
            self._tasks.discard(finished)
            self._host.tasks.discard(finished)
            self._tell_outcome(number, outcome_of(tag, finished))

        task.add_done_callback(done)

    def tell_after_ns(self, delay_ns: int, message: Any) -> TimerHandle:
        """Send a message to this actor once, `delay_ns` from now on its loop's time."""
        if not self._host.here():
            raise self._off_loop("tell_after_ns()")
        fire = self._fires(message)
        if fire is None:
            return TimerHandle(self.clock.now_ns() + delay_ns)
        return self._timers.after(delay_ns, fire)

    def tell_every_ns(self, period_ns: int, message: Any) -> TimerHandle:
        """Send a message to this actor at start + k · `period_ns`; late ones coalesce."""
        if not self._host.here():
            raise self._off_loop("tell_every_ns()")
        fire = self._fires(message)
        if fire is None:
            return TimerHandle(self.clock.now_ns() + period_ns)
        return self._timers.every(period_ns, fire)

    def tell_self(self, message: Any) -> None:
        """Send a message to this actor from a coroutine of its own, so that a record knows of it.

        Raises ActorDeadError when the actor has stopped.
        """
        if self._recorder is not None and not self._host.depth:
            self._recorder.told(self.name, message)
        self.actor_inbox.tell(message)

    def _fires(self, message: Any) -> Callable[[], None] | None:
        """Return what a timer does when it is due; None where a record says when it was."""
        number = self._armed
        self._armed += 1
        if self._host.player is not None:
            self._host.player.armed(self.name, number, message)
            return None
        recorder, tell = self._recorder, self.actor_inbox.tell
        if recorder is None:
            return lambda: tell(message)

        def fire() -> None:
            recorder.fired(self.name, number)
            tell(message)

        return fire

    @classmethod
    def _create_actor_inbox(cls) -> Mailbox:
        return Mailbox(cls.mailbox_max, cls.policies)

    @staticmethod
    def _create_future() -> LoopFuture[Any]:
        return LoopFuture()

    def _start_actor_loop(self) -> None:
        # An overridden on_receive must see every message, so the short cut past it is closed.
        own = type(self).on_receive is not LoopActor.on_receive
        self._host.actors[self.actor_urn] = self
        if self._host.player is not None:
            self._handlers = self._host.player.guarded(self.name, self._handlers)
        self.actor_inbox.bind(self, self._host, {} if own else self._handlers)
        self.actor_inbox.start()

    def _off_loop(self, call: str) -> RuntimeError:
        return RuntimeError(
            f"{call} of {self.name} belongs in on_start or a handler: it ran on"
            " another thread than the loop's"
        )

    def _tell_outcome(self, number: int, outcome: Outcome) -> None:
        if self.actor_stopped.is_set():
            self._host.supervisor.orphaned(self.actor_ref, outcome)
            return
        if self._recorder is not None:
            self._recorder.ended(self.name, number, outcome)
        self.actor_inbox.tell(outcome)

    def _handled_so_far(self) -> int:
        """Return how many messages reached a handler, questions left out, this one included."""
        box = self.actor_inbox
        lost = box.undelivered + box.conflated + box.dropped
        return box.received - len(box) - lost - self._answered

    def _handle_receive(self, message: Any) -> Any:
        if isinstance(message, Report):
            self._answered += 1
        try:
            return super()._handle_receive(message)
        except Exception:
            raise
        except BaseException as error:
            self._note_death(error)
            raise

    def _handler_failed(self, error: BaseException) -> None:
        """Do for a message without an envelope what Pykka's receive loop does for one with."""
        if not isinstance(error, Exception):
            self._note_death(error)
            self._stop()
            pykka.ActorRegistry.stop_all(block=False)
            return
        self._handle_failure(type(error), error, error.__traceback__)
        try:
            self.on_failure(type(error), error, error.__traceback__)
        except Exception as second:  # noqa: BLE001 - Pykka's contract: any failure of the hook
            self._handle_failure(type(second), second, second.__traceback__)

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super()._handle_failure(exception_type, exception_value, traceback)
        if exception_value is not None:
            self._note_death(exception_value)

    def _note_death(self, error: BaseException) -> None:
        if self._death is None:
            self._death = error
            if self._recorder is not None:
                self._recorder.died(self.name, self._handled_so_far(), error)
        elif self._death is not error:
            self._death.add_note(f"then, while {self.name} ended: {error!r}")

    def _actor_loop_teardown(self) -> None:
        backlog = len(self.actor_inbox)
        super()._actor_loop_teardown()
        if self._ended:
            return
        self._ended = True
        self._timers.cancel_all()
        for task in self._tasks:
            task.cancel()
        self._host.actors.pop(self.actor_urn, None)
        if self._death is not None:
            self._host.supervisor.died(self.actor_ref, self._death, backlog)


def _drop(io: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
    if isinstance(io, asyncio.Future):
        io.cancel()
    else:
        io.close()
