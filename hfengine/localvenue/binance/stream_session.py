"""One websocket of streams, public and private alike: subscriptions, and frames in its form."""

from typing import Any, Final

import msgspec

from hfengine.localvenue.binance.listen_keys import ListenKeys
from hfengine.localvenue.binance.private_streams import PrivateStreams
from hfengine.localvenue.binance.public_streams import PublicStreams
from hfengine.localvenue.binance.wire import Row, encode
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import World

MESSAGES_MAX: Final = 10
"""Messages a client may send in a second."""
STREAMS_MAX: Final = 1024
POLICY_VIOLATION: Final = 1008
ID_PLACES: Final = frozenset({"", "ws", "stream"})


class Ask(msgspec.Struct):
    """What a client says on a stream socket."""

    method: str = ""
    params: Any = None
    id: int | str | None = None


class StreamSession:
    """One connection; `combined` wraps frames as {stream, data}."""

    def __init__(
        self,
        world: World,
        socket: Socket,
        public: PublicStreams,
        private: PrivateStreams,
        keys: ListenKeys,
        *,
        combined: bool,
    ) -> None:
        self._world = world
        self._socket = socket
        self._public = public
        self._private = private
        self._keys = keys
        self._combined = combined
        self._streams: dict[str, None] = {}
        self._second = 0
        self._count = 0

    def open(self, names: list[str]) -> None:
        """Subscribe to what the address names: streams, or a listen key."""
        for name in names:
            self._subscribe(name)

    def heard(self, payload: bytes) -> None:
        """Take a SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY or GET_PROPERTY."""
        second = self._world.now_ms() // 1000
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        if self._count > MESSAGES_MAX:
            self._socket.close(POLICY_VIOLATION)
            return
        try:
            ask = msgspec.json.decode(payload, type=Ask)
        except msgspec.ValidationError as error:
            self._answer({"error": {"code": 2, "msg": f"Invalid request: {error}"}})
        except msgspec.DecodeError as error:
            self._answer({"error": {"code": 3, "msg": f"Invalid JSON: {error}"}})
        else:
            self._answer(self._do(ask))

    def closed(self) -> None:
        """Forget the connection."""
        for name in self._streams:
            self._public.unsubscribe(name, self)
        self._private.detach(self)
        self._streams.clear()

    def push(self, stream: str, payload: bytes) -> None:
        """Send an event of a stream."""
        if self._combined:
            payload = b'{"stream":"%b","data":%b}' % (stream.encode(), payload)
        self._socket.send(payload)

    def _do(self, ask: Ask) -> Row:
        names = ask.params if isinstance(ask.params, list) else []
        if ask.method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            if not names or not all(isinstance(name, str) and name for name in names):
                message = "Invalid request: params must be a list of streams"
                return {"error": {"code": 2, "msg": message}, "id": ask.id}
            for name in names:
                if ask.method == "SUBSCRIBE":
                    self._subscribe(name)
                else:
                    self._unsubscribe(name)
            return {"result": None, "id": ask.id}
        if ask.method == "LIST_SUBSCRIPTIONS":
            return {"result": list(self._streams), "id": ask.id}
        if ask.method in {"SET_PROPERTY", "GET_PROPERTY"}:
            return self._property(ask, names)
        message = f"Invalid request: unknown method {ask.method!r}"
        return {"error": {"code": 2, "msg": message}, "id": ask.id}

    def _property(self, ask: Ask, names: list[Any]) -> Row:
        if not names or names[0] != "combined":
            message = "Invalid request: unknown property"
            return {"error": {"code": 0, "msg": message}, "id": ask.id}
        if ask.method == "GET_PROPERTY":
            return {"result": self._combined, "id": ask.id}
        self._combined = bool(names[-1])
        return {"result": None, "id": ask.id}

    def _subscribe(self, name: str) -> None:
        """Subscribe to a stream; like the exchange, say nothing of one that does not exist."""
        if len(self._streams) >= STREAMS_MAX and name not in self._streams:
            self._socket.close(POLICY_VIOLATION)
            return
        if not self._public.subscribe(name, self):
            account = self._keys.account_of(name)
            if account is not None:
                self._private.attach(account, self, name)
        self._streams[name] = None

    def _unsubscribe(self, name: str) -> None:
        self._streams.pop(name, None)
        self._public.unsubscribe(name, self)
        self._private.detach(self, name)

    def _answer(self, row: Row) -> None:
        self._socket.send(encode(row))


def parse_address(path: str, query: Any) -> tuple[bool, list[str]] | None:
    """Return whether a path's frames are combined and what it subscribes to; None: not served.

    Served are /ws, /ws/…, /stream, and both under /public, /market and /private. What follows
    /ws/ is streams, a listen key, or the running number that some clients put there.
    """
    parts = path.strip("/").split("/")
    if parts[0] in {"public", "market", "private"}:
        parts = parts[1:]
    if not parts or parts[0] not in {"ws", "stream"}:
        return None
    names = [part for part in parts[1:] if part and not part.isdigit()]
    names.extend(name for name in query.get("streams", "").split("/") if name)
    if query.get("listenKey"):
        names.append(query["listenKey"])
    return parts[0] == "stream", names
