"""Counts what the interpreter allocates, exactly, for measurements: never on while trading."""

from types import TracebackType
from typing import Self

class AllocationCounter:
    """Count blocks taken from and given back to the interpreter's allocator while entered.

    Objects from free lists (small tuples, floats, frames) are not allocations and are not counted;
    nor is raw memory. One counter at a time: __enter__ raises RuntimeError beside another.
    """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    @property
    def allocated(self) -> int:
        """Return how many blocks were allocated; a block that only grew is not counted again."""

    @property
    def freed(self) -> int:
        """Return how many blocks were freed, older ones included."""
