"""hfengine on a slow disk: `os.write`, `os.writev` and `os.fsync` of plain files take their time.

CHAOS_SLOW_MS is the most a call takes, CHAOS_SLOW_SEED draws how long. Only the time is changed.
"""

import os
import random
import stat
import threading
import time
from collections.abc import Callable
from typing import Any

from hfengine.cli.main import main

LOCK = threading.Lock()


def slowed(call: Callable[..., Any], slow_max_s: float, draw: random.Random) -> Callable[..., Any]:
    """Return a call on a descriptor that waits first, where it is that of a plain file."""

    def slow(descriptor: int, *arguments: Any) -> Any:
        if descriptor > 2 and stat.S_ISREG(os.fstat(descriptor).st_mode):
            with LOCK:
                wait_s = draw.uniform(0.0, slow_max_s)
            time.sleep(wait_s)
        return call(descriptor, *arguments)

    return slow


if __name__ == "__main__":
    slow_max_s = float(os.environ.pop("CHAOS_SLOW_MS")) / 1e3
    drawn = random.Random(int(os.environ.pop("CHAOS_SLOW_SEED")))
    for name in ("write", "writev", "fsync"):
        setattr(os, name, slowed(getattr(os, name), slow_max_s, drawn))
    main()
