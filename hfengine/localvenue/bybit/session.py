"""What the three kinds of Bybit websockets share: frames in and out, subscriptions, idle time."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

import msgspec
import orjson

from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import World

ACTIVE_MAX_S: Final = 600
ACTIVE_LEAST_S: Final = 30
"""An idle connection is cut after this; the client may ask for less with `max_active_time`."""

Frame = dict[str, Any]
_FRAME: Final = msgspec.json.Decoder()


class BybitSession(ABC):
    """One websocket. Subclasses answer the operations."""

    def __init__(
        self, world: World, socket: Socket, ended: Callable[["BybitSession"], None]
    ) -> None:
        self.world = world
        self.socket = socket
        self.connection_id = f"{world.random.getrandbits(80):020x}-{world.random.getrandbits(16):x}"
        self._ended = ended
        self._heard_ms = world.now_ms()
        self._idle_ms = _active_time(socket.query.get("max_active_time", "")) * 1000

    def heard(self, payload: bytes) -> None:
        """Take one text frame."""
        self._heard_ms = self.world.now_ms()
        try:
            frame = _FRAME.decode(payload)
        except msgspec.DecodeError:
            frame = None
        if not isinstance(frame, dict):
            self.refuse_frame("error:invalid json")
            return
        self.take(str(frame.get("op", "")), frame)

    def closed(self) -> None:
        """Forget the connection."""
        self._ended(self)

    @abstractmethod
    def take(self, op: str, frame: Frame) -> None:
        """Do what a frame asks."""

    def refuse_frame(self, reason: str) -> None:
        """Answer a frame that is none."""
        self.tell({"success": False, "ret_msg": reason, "conn_id": self.connection_id})

    def tell(self, frame: Frame) -> None:
        """Send one frame."""
        self.socket.send(orjson.dumps(frame))

    def acknowledge(self, op: str, frame: Frame, reason: str = "") -> None:
        """Answer a subscription in the form of the market and account sockets."""
        self.tell(
            {
                "success": not reason,
                "ret_msg": reason,
                "conn_id": self.connection_id,
                "req_id": request_id(frame, "req_id"),
                "op": op,
            }
        )

    def end_if_idle(self, now_ms: int) -> None:
        """Cut the connection when nothing came from it for too long."""
        if now_ms - self._heard_ms > self._idle_ms:
            self.socket.close(1000)


def request_id(frame: Frame, name: str) -> str:
    """Return a frame's id as text: Bybit gives it back, numbers too, as text."""
    given = frame.get(name)
    return "" if given is None else str(given)


def topics_of(frame: Frame) -> list[str]:
    """Return the topics a frame names."""
    arguments = frame.get("args")
    return [str(one) for one in arguments] if isinstance(arguments, list) else []


def _active_time(text: str) -> int:
    """Return seconds from `max_active_time` as 30s or 2m; ten minutes where it says nothing."""
    unit = {"s": 1, "m": 60}.get(text[-1:], 0)
    if not unit or not text[:-1].isdigit():
        return ACTIVE_MAX_S
    return min(max(int(text[:-1]) * unit, ACTIVE_LEAST_S), ACTIVE_MAX_S)
