"""What waits for a store: the newest body of each key, the rows in order, all bounded."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hfengine.limits import STORE_KEYS_MAX, STORE_ROWS_WAITING_MAX
from hfengine.state.keys import is_memory
from hfengine.state.port import Series


class Row(NamedTuple):
    """One row of a series."""

    series: Series
    at_ns: int
    row: bytes


class Batch(NamedTuple):
    """What is written at once."""

    bodies: Mapping[str, bytes]
    rows: Sequence[Row]


class Waiting:
    """Taken from by one writer, given to by one loop; neither holds the other up."""

    def __init__(
        self, *, keys_max: int = STORE_KEYS_MAX, rows_max: int = STORE_ROWS_WAITING_MAX
    ) -> None:
        self.dropped = 0
        """Rows, and bodies of current state, that found no room."""
        self._lock = threading.Lock()
        self._current: dict[str, bytes] = {}
        """Every key that stands, for a store that comes back empty."""
        self._bodies: dict[str, bytes] = {}
        self._rows: deque[Row] = deque()
        self._keys_max, self._rows_max = keys_max, rows_max

    def put(self, key: str, body: bytes) -> bool:
        """Let a body wait, in place of an older one; return whether nothing waited before."""
        with self._lock:
            was_empty = not self._bodies and not self._rows
            if body:
                full = len(self._current) >= self._keys_max and key not in self._current
                if full and not is_memory(key):
                    self.dropped += 1
                    return False
                self._current[key] = body
            else:
                self._current.pop(key, None)
            self._bodies[key] = body
            return was_empty

    def add(self, row: Row) -> bool:
        """Let a row wait; return whether nothing waited before."""
        with self._lock:
            was_empty = not self._bodies and not self._rows
            self._rows.append(row)
            self._bound()
            return was_empty

    def take(self) -> Batch:
        """Return all that waits, to be written now."""
        with self._lock:
            batch = Batch(self._bodies, tuple(self._rows))
            self._bodies = {}
            self._rows.clear()
        return batch

    def give_back(self, batch: Batch) -> None:
        """Let a batch that was not written wait again; what came since is newer."""
        with self._lock:
            self._bodies = {**batch.bodies, **self._bodies}
            self._rows.extendleft(reversed(batch.rows))
            self._bound()

    def renew(self) -> None:
        """Let everything that stands be written again: the store may have lost it."""
        with self._lock:
            self._bodies = {**self._current, **self._bodies}

    def _bound(self) -> None:
        while len(self._rows) > self._rows_max:
            self._rows.popleft()
            self.dropped += 1
