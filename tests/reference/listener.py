"""What a listener must hear of a connection's frames, and how many frames one batch may hold."""

from collections.abc import Iterable, Sequence

CONTROL = (8, 9, 10)


def messages(frames: Iterable[tuple[int, bool, bytes]]) -> list[bytes]:
    """Return the whole messages of (opcode, fin, payload) frames; control frames come between."""
    out: list[bytes] = []
    begun: list[bytes] = []
    for opcode, fin, payload in frames:
        if opcode in CONTROL:
            continue
        begun.append(payload)
        if fin:
            out.append(b"".join(begun))
            begun = []
    return out


def turns(reads: Sequence[int], batch_max: int) -> list[int]:
    """Return how many messages each turn takes, for reads of so many whole messages."""
    sizes: list[int] = []
    for count in reads:
        whole, rest = divmod(count, batch_max)
        sizes += [batch_max] * whole + ([rest] if rest else [])
    return sizes
