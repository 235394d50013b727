"""Journal frames chained by CRC-32 into one growing block, in compiled code."""

class Framer:
    """Chain frames, each a length, a crc and a payload, into a block of bytes.

    `room_bytes` (at least 64) is reserved at once; a larger block grows it.
    """

    def __init__(self, room_bytes: int) -> None: ...
    def add(self, payload: bytes) -> int:
        """Append one frame; return the block's bytes. Raises TypeError for anything but bytes."""

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
