"""Who hears what: the table from message class to actors, and the taps that hear everything."""

from collections.abc import Callable
from typing import Any

from hfengine.kernels.publisher import Publisher
from hfengine.runtime.ids import short_name
from hfengine.runtime.ref import LoopRef

Tap = Callable[[Any], None]


class UnroutedMessage(LookupError):
    """A message class was published that the wiring table does not name: a wiring bug."""


class Routes:
    """The wiring table of one system.

    Taps see published messages once, in the order they were added, before any actor. A
    message for a stopped actor is counted in its mailbox's `undelivered`, never raised at the
    publisher; after a restart `replace` leads the same routes to the new actor.
    """

    def __init__(self) -> None:
        self._table: dict[type[Any], tuple[LoopRef[Any], ...]] = {}
        self._taps: tuple[tuple[Tap, frozenset[type[Any]] | None], ...] = ()
        self._publisher = Publisher(self._unrouted)
        self.publish: Callable[[Any], None] = self._publisher.publish
        """Send to the taps, then to each subscriber of exactly this class.

        Raises UnroutedMessage when the class is not in the table.
        """

    def wire(self, message_class: type[Any], *subscribers: LoopRef[Any]) -> None:
        """Add subscribers to a class, in the order they will hear it; none at all declares it.

        Raises ValueError when an actor would hear the same message twice.
        """
        wired = (*self._table.get(message_class, ()), *subscribers)
        if len(set(wired)) != len(wired):
            msg = f"{message_class.__name__} is wired twice to one actor"
            raise ValueError(msg)
        self._table[message_class] = wired
        self._plan(message_class)

    def tap(self, listener: Tap, *message_classes: type[Any]) -> None:
        """Let a plain callable see published messages; what it raises hits the publisher.

        Those of the classes named; every message where none is.
        """
        self._taps = (*self._taps, (listener, frozenset(message_classes) or None))
        for message_class in self._table:
            self._plan(message_class)

    def replace(self, dead: LoopRef[Any], alive: LoopRef[Any]) -> None:
        """Lead every route of one actor to another."""
        for message_class, wired in self._table.items():
            if dead in wired:
                self._table[message_class] = tuple(alive if r is dead else r for r in wired)
                self._plan(message_class)

    def describe(self) -> dict[str, list[str]]:
        """Return message class name -> names of its subscribers, both in wiring order."""
        return {
            message_class.__name__: [short_name(ref.actor_urn) for ref in wired]
            for message_class, wired in self._table.items()
        }

    def _plan(self, message_class: type[Any]) -> None:
        boxes = tuple(ref.actor_inbox for ref in self._table[message_class])
        taps = tuple(
            listener
            for listener, classes in self._taps
            if classes is None or message_class in classes
        )
        self._publisher.plan(message_class, taps, boxes)

    def _unrouted(self, message: object) -> UnroutedMessage:
        known = ", ".join(sorted(c.__name__ for c in self._table)) or "none"
        return UnroutedMessage(
            f"{type(message).__name__} was published but is not wired (wired: {known});"
            f" add it with Routes.wire"
        )
