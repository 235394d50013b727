"""A TCP connection of this process with itself: keeps the system's network code warm."""

import socket
from typing import Final

HOST: Final = "127.0.0.1"
READ_MAX: Final = 1 << 16
CONNECT_MAX_S: Final = 1.0


class Loopback:
    """Sends bytes through the system's network code and takes them in again; nobody hears them.

    What goes wrong ends it for good and is named in `fault`: the path grows cold, nothing else
    changes (class: degraded).
    """

    def __init__(self) -> None:
        self.fault = ""
        self._room = bytearray(READ_MAX)
        self._ends: tuple[socket.socket, socket.socket] | None = None
        try:
            self._ends = _connection()
        except OSError as error:
            self.fault = f"no connection with ourselves: {error.strerror or error}"

    def carry(self, payload: bytes) -> None:
        """Send 1 to READ_MAX bytes and take them in again."""
        if self._ends is None:
            return
        to, end = self._ends
        try:
            to.send(payload)
            end.recv_into(self._room)
        except OSError as error:
            self.close()
            self.fault = f"the connection with ourselves broke: {error.strerror or error}"

    def close(self) -> None:
        """Close both ends; what is carried afterwards goes nowhere."""
        if self._ends is not None:
            for end in self._ends:
                end.close()
            self._ends = None


def _connection() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new connection; raises OSError, also when another gets in."""
    with socket.create_server((HOST, 0), backlog=1) as listening:
        listening.settimeout(CONNECT_MAX_S)
        to = socket.create_connection(listening.getsockname(), CONNECT_MAX_S)
        try:
            end, peer = listening.accept()
        except OSError:
            to.close()
            raise
    ends = (to, end)
    if peer != to.getsockname():
        for one in ends:
            one.close()
        raise ConnectionError("another process connected first")
    for one in ends:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)
    return ends
