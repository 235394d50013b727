"""Journal frames chained by CRC-32 into one growing block, in compiled code."""

from collections.abc import Callable, Mapping
from typing import Any

class Framer:
    """Chain frames, each a length, a crc and a payload, into a block of bytes.

    `room_bytes` (at least 64) is reserved at once; a larger block grows it.
    """

    def __init__(self, room_bytes: int) -> None: ...
    def add(self, payload: bytes) -> int:
        """Append one frame; return the block's bytes. Raises TypeError for anything but bytes."""

    def add_plain(
        self,
        messages: list[Any],
        start: int,
        pack: Callable[[Any], bytes],
        free_fields: Mapping[type[Any], tuple[str, ...] | None],
        scalars: frozenset[type[Any]],
        secrets: list[bytes],
        full_bytes: int,
        record_bytes_max: int,
    ) -> int:
        """Encode and append messages from `start` on; return the index of the first one left.

        It stops at one that needs care: of a class without an entry in `free_fields`, or whose
        fields named there hold other things than `scalars` and messages with the entry (); at one
        that holds a secret, is longer than a record may be or cannot be encoded; and once the block
        has `full_bytes` or more.
        """

    def take(self) -> bytearray:
        """Return the block and begin an empty one; checksums go on."""

    def begin_seal(self) -> None:
        """Set the xor of checksums to 0: a seal's frames begin here."""

    @property
    def block_bytes(self) -> int: ...
    @property
    def crc(self) -> int:
        """Return the checksum of the newest frame, 0 before the first."""

    @property
    def xor(self) -> int:
        """Return the xor of the checksums since the last `begin_seal`."""
