from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

from pykka import Actor
from pykka._envelope import Envelope

class Policy(IntEnum):
    """What a mailbox does with a message class when messages have to wait."""

    KEEP = 0
    CONFLATE = 1
    DROP_OLDEST = 2

class MailboxOverflow(Exception):
    """A mailbox is full of messages none of which may be dropped: fatal for its actor."""

class Drained(BaseException):
    """Raised by `Mailbox.get` when this turn's mail is done: it ends one run of Pykka's loop."""

class Host:
    """One event-loop thread: which thread it is, how deep in handlers, who has mail.

    `settled`, if set, is called whenever the last waiting handler has run: for what must not delay
    one. What it raises reaches whoever sent the message.
    """

    settled: Callable[[], object] | None
    @property
    def loop(self) -> Any: ...
    @property
    def ident(self) -> int: ...
    @property
    def depth(self) -> int: ...
    def __init__(self, loop: Any) -> None: ...
    def here(self) -> bool:
        """Return whether the calling thread is the loop's own."""
    def idle(self) -> bool:
        """Return whether no handler runs and no mailbox waits for its turn."""
    def begin_batch(self) -> None:
        """Hold all tells of this thread back until `end_batch`, so that they may conflate."""
    def end_batch(self) -> None:
        """Release what `begin_batch` held back and run every waiting actor to completion."""
    def pump(self) -> None:
        """Run every actor with mail to completion; does nothing inside a handler."""
    def wake(self, box: Mailbox) -> None:
        """Give `box` its turn: the loop's side of a message from another thread."""
    def run_one(self) -> bool:
        """Give one waiting actor that is not inside a handler its turn; False if there is none."""

class Mailbox:
    """The bounded inbox of one actor.

    `policies` maps a message class to a `Policy`; classes not named are KEEP. KEEP is never
    dropped: one message too many is a `MailboxOverflow`, which stops the actor. CONFLATE keeps the
    newest message per `message.symbol` at the place of the one it replaces. DROP_OLDEST gives way
    to any other message at the bound, oldest first. With an empty queue no policy is looked up.

    received = handled + queued + conflated + dropped + undelivered (envelopes are always handled
    or answered).
    """

    stopped: bool
    @property
    def host(self) -> Host | None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def received(self) -> int: ...
    @property
    def conflated(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def undelivered(self) -> int: ...
    @property
    def high_water(self) -> int: ...
    def __init__(
        self, capacity: int, policies: Mapping[type[Any], Policy] | None = None
    ) -> None: ...
    def __len__(self) -> int: ...
    def bind(
        self, actor: Actor, host: Host, handlers: dict[type[Any], Callable[[Any], Any]]
    ) -> None:
        """Name the actor served, the thread that serves it and its handler per message class.

        A class without a handler goes to the actor's `_handle_receive`.
        """
    def start(self) -> None:
        """Queue the actor's first turn: `on_start`, then what was sent to it meanwhile."""
    def put(self, envelope: Envelope[Any], /) -> None:
        """Queue an envelope; one that comes after the actor's end is answered with its death."""
    def get(self) -> Envelope[Any]:
        """Return the next envelope of this turn; raises Drained when the turn is over."""
    def empty(self) -> bool:
        """Return whether nothing is queued."""
    def tell(self, message: object, /) -> None:
        """Send a message: run at once if the actor is idle on this thread, else queued.

        Raises ActorDeadError when the actor has stopped.
        """
    def deliver(self, message: object, /) -> None:
        """Send like `tell`, but count a message for a stopped actor instead of raising."""
