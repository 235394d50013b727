"""How soon the machine's cores wake up, asked of the system for as long as an engine runs."""

import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Final

CONTROL: Final = Path("/dev/cpu_dma_latency")
"""Linux' PM QoS: a request is an int32 of us, and lasts as long as the file is open."""

AS_THE_SYSTEM: Final = "asleep, cores as the system has them"

AWAKE_US: Final = 0
"""Cores that never halt."""

LEFT_TO_SYSTEM: Final = -1
"""Instead of a latency: cores sleep as deeply as the system lets them."""


def waiting(*, spins: bool, latency_max_us: int) -> AbstractContextManager[str]:
    """Return what a live loop holds while it runs; entered, it says in words how the loop waits."""
    return nullcontext("spinning") if spins else woken_within(latency_max_us)


@contextmanager
def woken_within(latency_max_us: int, control: Path | None = None) -> Iterator[str]:
    """Ask for cores that are awake within `latency_max_us` us; yield what came of it, in words.

    At 0 an idle core polls for work instead of halting: other processes have it as before, but it
    draws power as if busy. The least of all requests on the machine counts. A system that has no
    such control or does not permit it is left as it is (class: degraded). The request ends with
    the context, or with the process. Source: the kernel's power/pm_qos_interface.
    """
    if latency_max_us == LEFT_TO_SYSTEM:
        yield AS_THE_SYSTEM
        return
    asked = control or CONTROL
    with ExitStack() as held:
        try:
            request = os.open(asked, os.O_WRONLY)
            held.callback(os.close, request)
            os.write(request, struct.pack("=i", latency_max_us))
            came_of_it = f"asleep, cores awake within {latency_max_us} us"
        except OSError as error:
            came_of_it = f"{AS_THE_SYSTEM}: {asked}: {error.strerror}"
        yield came_of_it
