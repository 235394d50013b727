"""What both sockets share: pings, operations, acknowledgements, message limits, idleness."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import World

PING: Final = b"ping"
PONG: Final = b"pong"
MESSAGES_PER_SECOND: Final = 10
IDLE_MAX_MS: Final = 120_000
"""A socket that sent no ping for so long is closed."""

LOOK_EVERY_S: Final = 30.0
ARGUMENTS_MAX: Final = 1000


class BaseSession(ABC):
    """One client of a socket; `subscribe` and `unsubscribe` are the subclass's."""

    def __init__(self, socket: Socket, world: World) -> None:
        self.socket = socket
        self.world = world
        self._second_ms = 0
        self._messages = 0
        self._heard_ms = world.now_ms()
        self._end_watch = world.every(LOOK_EVERY_S, self._look)

    def heard(self, payload: bytes) -> None:
        """Take one text frame."""
        if not self._may_speak():
            return
        if payload == PING:
            self._heard_ms = self.world.now_ms()
            self.socket.send(PONG)
            return
        try:
            message = msgspec.json.decode(payload)
        except msgspec.DecodeError:
            self.refuse(30003, "Invalid op")
            return
        arguments = message.get("args") if isinstance(message, dict) else None
        if not isinstance(arguments, list) or len(arguments) > ARGUMENTS_MAX:
            self.refuse(30016, "Param error")
            return
        self._do(str(message.get("op", "")), arguments)

    def closed(self) -> None:
        """End the timer."""
        self._end_watch()

    @abstractmethod
    def subscribe(self, arg: Mapping[str, Any]) -> bytes | None:
        """Begin a channel; return its first push, None for a channel that does not exist."""

    @abstractmethod
    def unsubscribe(self, arg: Mapping[str, Any]) -> bool:
        """End a channel; tell whether it exists."""

    def login(self, _arg: Any) -> None:
        """Take a login; the public socket has none."""
        self.refuse(30003, "Invalid op")

    def may_subscribe(self, _arg: Mapping[str, Any], _operation: str) -> bool:
        """Tell whether the client is known well enough; refuse otherwise."""
        return True

    def refuse(
        self, code: int, message: str, arg: Mapping[str, Any] | None = None, operation: str = ""
    ) -> None:
        """Send an error event."""
        event: dict[str, Any] = {"event": "error"}
        if arg is not None:
            event["arg"] = arg
        event |= {"code": code, "msg": message}
        if operation:
            event["op"] = operation
        self.send(event)

    def send(self, event: Mapping[str, Any]) -> None:
        """Send an event."""
        self.socket.send(msgspec.json.encode(event))

    def _do(self, operation: str, arguments: list[Any]) -> None:
        if operation == "login":
            self.login(arguments[0] if arguments else None)
            return
        if operation not in {"subscribe", "unsubscribe"}:
            self.refuse(30003, "Invalid op")
            return
        for arg in arguments:
            if not isinstance(arg, dict):
                self.refuse(30016, "Param error")
            elif self.may_subscribe(arg, operation):
                self._change(operation, arg)

    def _change(self, operation: str, arg: Mapping[str, Any]) -> None:
        if operation == "unsubscribe":
            if self.unsubscribe(arg):
                self.send({"event": "unsubscribe", "arg": arg})
                return
        else:
            first = self.subscribe(arg)
            if first is not None:
                self.send({"event": "subscribe", "arg": arg})
                if first:
                    self.socket.send(first)
                return
        told = ",".join(f"{name}:{text}" for name, text in arg.items())
        self.refuse(30001, f"{told} doesn't exist", arg, operation)

    def _may_speak(self) -> bool:
        """Count a message; close the socket of one who sends more than ten a second."""
        now_ms = self.world.now_ms()
        if now_ms - self._second_ms >= 1000:
            self._second_ms, self._messages = now_ms, 0
        self._messages += 1
        if self._messages <= MESSAGES_PER_SECOND:
            return True
        self.refuse(30007, "request over limit, connection close")
        self.socket.close(1008)
        return False

    def _look(self) -> None:
        if self.world.now_ms() - self._heard_ms > IDLE_MAX_MS:
            self.socket.close(1000)
