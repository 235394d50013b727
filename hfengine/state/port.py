"""The store port: what the engine hands over to be kept. Nothing here ever waits or raises.

Losing a store loses convenience, never protection: whoever puts something goes on at once, and
what was lost is told through `fault`.
"""

from typing import Literal, Protocol

Series = Literal["trades", "equity", "orders"]


class Store(Protocol):
    """Current state under keys, and growing series of rows."""

    def put(self, key: str, body: bytes) -> None:
        """Keep a body under a key, in place of the one before; an empty one removes the key."""

    def add(self, series: Series, at_ns: int, row: bytes) -> None:
        """Append one row, JSON, to a series."""

    @property
    def fault(self) -> str:
        """Return what is wrong with the store, "" while it keeps what it is given."""


class NullStore:
    """Keeps nothing."""

    fault = ""

    def put(self, key: str, body: bytes) -> None:
        """Forget it."""

    def add(self, series: Series, at_ns: int, row: bytes) -> None:
        """Forget it."""
