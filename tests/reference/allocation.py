"""How many blocks the interpreter holds more than before, by its own count."""

import sys
from collections.abc import Callable


def blocks_kept(act: Callable[[], object]) -> int:
    """Return allocated minus freed blocks of one call, by sys.getallocatedblocks."""
    before = sys.getallocatedblocks()
    act()
    return sys.getallocatedblocks() - before
