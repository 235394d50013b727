"""What a run costs in memory: allocations a frame, and how resident memory moves with frames."""

from pathlib import Path

from msgspec import Struct

STATM = Path("/proc/self/statm")
STATUS = Path("/proc/self/status")
PAGE_BYTES = 4096
SAMPLES_MIN = 4
MILLION = 1_000_000


class Memory(Struct, frozen=True):
    """One look at this process after so many frames."""

    frames: int
    resident_bytes: int
    allocated: int = 0
    freed: int = 0


class MemoryUse(Struct, frozen=True):
    """What the looks at one run say; None where the run was too short to say it.

    `allocations_per_frame` counts the interpreter's blocks in the whole process, the simulated
    exchange and the making of its frames included; `blocks_kept_per_frame` is allocated minus
    freed. The slope is of resident memory over the second half of the run, by least squares, in
    bytes per million frames.
    """

    resident_bytes: int | None
    resident_slope: float | None
    allocations_per_frame: float | None = None
    blocks_kept_per_frame: float | None = None


def resident_bytes() -> int | None:
    """Return this process's resident memory in bytes; None where the system does not tell."""
    if not STATM.exists():
        return None
    return int(STATM.read_text().split()[1]) * PAGE_BYTES


def peak_resident_bytes(status: Path = STATUS) -> int | None:
    """Return the most memory a process ever had resident in bytes; None where nobody tells."""
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def memory_use(looks: list[Memory]) -> MemoryUse:
    """Return what the looks at one run, oldest first, say about its use of memory."""
    if len(looks) < SAMPLES_MIN:
        return MemoryUse(looks[-1].resident_bytes if looks else None, None)
    late = looks[len(looks) // 2 :]
    first, last = late[0], late[-1]
    frames = last.frames - first.frames
    if frames <= 0:
        return MemoryUse(last.resident_bytes, None)
    slope = slope_of([(look.frames, look.resident_bytes) for look in late])
    allocated, freed = last.allocated - first.allocated, last.freed - first.freed
    return MemoryUse(
        resident_bytes=last.resident_bytes,
        resident_slope=slope * MILLION,
        allocations_per_frame=allocated / frames if allocated else None,
        blocks_kept_per_frame=(allocated - freed) / frames if allocated else None,
    )


def slope_of(points: list[tuple[int, int]]) -> float:
    """Return the least-squares slope of y over x; 0.0 when every x is the same."""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    if not spread:
        return 0.0
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread
