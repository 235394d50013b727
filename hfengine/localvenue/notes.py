"""Small things a dialect wants to find again after a restart of the venue."""

from collections.abc import Callable, Mapping
from typing import Any


class Notes:
    """JSON values by name; those written since the last look are known.

    `written` is called after every note that is new or another.
    """

    __slots__ = ("_changed", "_kept", "_written")

    def __init__(
        self, kept: Mapping[str, Any] | None = None, written: Callable[[], None] | None = None
    ) -> None:
        self._written = written
        self._kept: dict[str, Any] = dict(kept or {})
        self._changed: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Return what was last written under a name."""
        return self._kept.get(name, default)

    def set(self, name: str, note: Any) -> None:
        """Write a JSON value under a name; the state file has it with the next `World.settle`."""
        if self._kept.get(name) != note:
            self._kept[name] = note
            self._changed.add(name)
            if self._written is not None:
                self._written()

    @property
    def is_changed(self) -> bool:
        """Whether anything was written since `changes` was last asked."""
        return bool(self._changed)

    def changes(self) -> dict[str, Any]:
        """Return what was written since the last call."""
        changed, self._changed = self._changed, set()
        return {name: self._kept[name] for name in sorted(changed)}

    def all(self) -> dict[str, Any]:
        """Return everything that was ever written."""
        return dict(self._kept)
