"""The command line in a child process that ends when its parent does, however that ends.

`python -m hfengine.cli.local_child PARENT_PID COMMAND ...`
"""

import ctypes
import os
import signal
import sys
from typing import Any, Final

from hfengine.cli.main import main

END_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def end_with_parent(parent: int) -> None:
    """Ask the system to end this process when its parent ends, where it can."""
    if sys.platform != "linux":
        return
    system: Any = ctypes.CDLL(None)
    system.prctl(END_WITH_PARENT, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    end_with_parent(int(sys.argv.pop(1)))
    main()
