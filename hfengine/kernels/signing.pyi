"""HMAC-SHA-256 with the key's two blocks hashed once."""

class HmacSha256:
    """Sign messages with one secret, which is not kept: only the two states that follow from it.

    Never shows the secret; refuses to be pickled; wipes its states when it goes.
    """

    def __init__(self, secret: bytes, *, portable: bool = False) -> None:
        """Prepare the inner and outer state (RFC 2104); `portable` leaves SHA instructions unused.

        Raises ValueError when the secret is empty.
        """

    @property
    def native(self) -> bool:
        """Tell whether the processor's own SHA instructions are used."""

    def sign_hex(self, message: bytes) -> bytes:
        """Return the signature of a message as 64 lower-case hex digits."""
