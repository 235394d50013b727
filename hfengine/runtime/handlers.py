"""Which method of an actor handles which message class: declared by decorator, read once."""

from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])
MARK = "_handled_classes"
COMPILED = "_compiled"


class UnhandledMessage(TypeError):
    """A message reached an actor that declares no handler for its class: a wiring bug."""


def handles(*message_classes: type[Any]) -> Callable[[Method], Method]:
    """Mark a method as the handler of exactly these message classes (subclasses not included)."""
    if not message_classes:
        msg = "handles() needs at least one message class"
        raise TypeError(msg)

    def mark(method: Method) -> Method:
        setattr(method, MARK, message_classes)
        return method

    return mark


def compiled(method: Method) -> Method:
    """Mark a handler as one that compiled code may stand in for (`LoopActor.handle_by`)."""
    # itself: a wrapper that takes over its attributes is another method
    setattr(method, COMPILED, method)
    return method


def is_compiled(method: Callable[..., Any]) -> bool:
    """Tell whether compiled code may stand in for a handler."""
    return getattr(method, COMPILED, None) is method


def handler_names(actor_class: type[Any]) -> dict[type[Any], str]:
    """Return message class -> method name for a class and its bases.

    Raises TypeError when one class body names two handlers for one message class. A method that
    overrides a handler without repeating the decorator stays the handler.
    """
    names: dict[type[Any], str] = {}
    for owner in reversed(actor_class.__mro__):
        own: dict[type[Any], str] = {}
        for name, method in vars(owner).items():
            for message_class in getattr(method, MARK, ()):
                if message_class in own:
                    msg = (
                        f"{owner.__name__}.{name} and {owner.__name__}.{own[message_class]} both"
                        f" handle {message_class.__name__}; keep one"
                    )
                    raise TypeError(msg)
                own[message_class] = name
        names |= own
    return names
