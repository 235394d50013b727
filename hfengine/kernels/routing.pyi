"""Which of a connection's streams a frame is of, read from its first keys alone."""

from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

class Router(Generic[T]):
    """Look up what a frame's topic, stream or `s` stands for: a symbol, a stream.

    `routes` maps each of those names, as the venue writes it, to what `route` returns for it.
    """

    def __init__(self, routes: Mapping[str, T]) -> None: ...
    def route(self, payload: bytes) -> T | None:
        """Return what the first `topic`, `stream` or `s` member of the object stands for.

        None when the name is not known or when the front is not plain: another value than an
        object, a list, an object or an escape before that member, or more than 11 members before
        it. What follows the member is not looked at. Raises TypeError unless the payload is bytes.
        """
