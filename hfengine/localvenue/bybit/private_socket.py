"""The socket of accounts: orders, executions, positions, wallet, in the order they happened."""

from collections.abc import Callable
from typing import Final

import orjson

from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.localvenue.bybit.auth import authenticate_socket
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.errors import Refused
from hfengine.localvenue.bybit.identity import user_id
from hfengine.localvenue.bybit.order_rows import Row, fast_execution_row
from hfengine.localvenue.bybit.session import BybitSession, Frame, request_id, topics_of
from hfengine.localvenue.ports import Socket
from hfengine.localvenue.world import World
from hfengine.messages import BalanceChanged, FundingPaid, LeverageChanged
from hfengine.requests import Slot

KINDS: Final = ("order", "execution", "execution.fast", "position", "wallet")
SILENT: Final = ("greeks", "dcp.future", "dcp.spot", "dcp.option")
"""Topics that exist and have nothing to say here."""

Item = tuple[str, Row]
PositionKey = tuple[str, Slot]


def kind_of(topic: str) -> str | None:
    """Return the kind of a private topic, of all categories or of linear; None for no topic."""
    kind = topic.removesuffix(".linear")
    return kind if kind in KINDS or topic in SILENT else None


class AccountStream:
    """Turns what happens to accounts into frames, once per topic for all who hear it.

    What one turn of the loop brought is sent together: rows of one topic that follow each other
    in one message. After every order that was placed, amended or ended comes its position,
    changed or not, and so after a change of leverage; of the wallet only the last state is sent.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world
        self._sessions: dict[str, list[PrivateSession]] = {}
        self._waiting: dict[str, list[object]] = {}
        self._flushing = False
        self._count = 0
        desk.world.on_account(self._note)
        desk.push = self.push

    def add(self, account: str, session: "PrivateSession") -> None:
        """Let a session hear an account."""
        self._sessions.setdefault(account, []).append(session)

    def remove(self, session: "PrivateSession") -> None:
        """Let a session hear no more."""
        for sessions in self._sessions.values():
            if session in sessions:
                sessions.remove(session)

    def push(self, account: str, topic: str, row: Row) -> None:
        """Send a row that no report of the exchange stands behind."""
        self._wait(account, (topic, row))

    def _note(self, account: str, report: object) -> None:
        if self._sessions.get(account):
            self._wait(account, report)

    def _wait(self, account: str, item: object) -> None:
        self._waiting.setdefault(account, []).append(item)
        if not self._flushing:
            self._flushing = True
            self._world.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        waiting, self._waiting = self._waiting, {}
        for account, reports in waiting.items():
            sessions = [one for one in self._sessions.get(account, ()) if one.kinds]
            if not sessions:
                continue
            batch: list[Row] = []
            before = ""
            for topic, row in self._items(account, reports):
                if topic != before and batch:
                    self._send(account, sessions, before, batch)
                    batch = []
                before = topic
                batch.append(row)
            if batch:
                self._send(account, sessions, before, batch)

    def _items(self, account: str, reports: list[object]) -> list[Item]:
        """Return the rows of what happened, position and wallet behind what changed them."""
        items: list[Item] = []
        positions: dict[PositionKey, Row] = {}
        stale: dict[PositionKey, None] = {}
        wallet = False
        for report in reports:
            if isinstance(report, PositionReport):
                key = report.changed.symbol, report.slot
                positions[key] = self._desk.pushed_position_row(account, report)
            elif isinstance(report, BalanceChanged):
                wallet = True
            elif isinstance(report, LeverageChanged):
                held = self._desk.positions(account, report.symbol)
                stale |= {(report.symbol, one.slot): None for one in held}
            else:
                if isinstance(report, OrderReport):
                    stale[report.update.symbol, report.slot] = None
                items += self._happened(account, report)
        for key in stale:
            if key not in positions:
                positions |= self._position(account, key)
        items += [("position", row) for row in positions.values()]
        if wallet:
            items.append(("wallet", self._desk.wallet_row(account)))
        return items

    def _happened(self, account: str, report: object) -> list[Item]:
        """Return the row of an order, a fill, a funding payment, or one that was made already."""
        if isinstance(report, OrderReport):
            return [("order", self._desk.pushed_row(report))]
        if isinstance(report, FillReport):
            return [("execution", self._desk.pushed_execution(account, report))]
        if isinstance(report, FundingPaid):
            return [("execution", self._desk.pushed_funding(account, report))]
        return [report] if isinstance(report, tuple) else []

    def _position(self, account: str, key: PositionKey) -> dict[PositionKey, Row]:
        symbol, slot = key
        found = [one for one in self._desk.positions(account, symbol) if one.slot == slot]
        return {key: self._desk.pushed_position_row(account, found[0])} if found else {}

    def _send(
        self, account: str, sessions: list["PrivateSession"], kind: str, rows: list[Row]
    ) -> None:
        payloads: dict[str, bytes] = {}
        for session in sessions:
            for topic in session.topics_of_kind(kind):
                payload = payloads.get(topic)
                if payload is None:
                    payload = payloads[topic] = self._encode(account, topic, rows)
                session.socket.send(payload)
        if kind == "execution":
            trades = [row for row in rows if row["execType"] == "Trade"]
            if trades:
                fast = [fast_execution_row(row) for row in trades]
                self._send(account, sessions, "execution.fast", fast)

    def _encode(self, account: str, topic: str, rows: list[Row]) -> bytes:
        frame: Row = {"topic": topic, "creationTime": self._world.now_ms(), "data": rows}
        if not topic.startswith("execution.fast"):
            self._count += 1
            frame["id"] = f"{user_id(account)}_{topic}_{self._count}"
        return orjson.dumps(frame)


class PrivateSession(BybitSession):
    """One connection to /v5/private."""

    def __init__(
        self,
        world: World,
        socket: Socket,
        ended: Callable[[BybitSession], None],
        stream: AccountStream,
    ) -> None:
        super().__init__(world, socket, ended)
        self._stream = stream
        self._account = ""
        self.kinds: dict[str, list[str]] = {}
        """Topics it subscribed to, by kind."""

    def topics_of_kind(self, kind: str) -> list[str]:
        """Return the topics of a kind that it subscribed to."""
        return self.kinds.get(kind, [])

    def take(self, op: str, frame: Frame) -> None:
        """Authenticate, subscribe, unsubscribe or answer a ping."""
        if op == "ping":
            self.tell(
                {
                    "req_id": request_id(frame, "req_id"),
                    "op": "pong",
                    "args": [str(self.world.now_ms())],
                    "conn_id": self.connection_id,
                }
            )
        elif op == "auth":
            self._authenticate(frame)
        elif op == "subscribe":
            self._subscribe(frame)
        elif op == "unsubscribe":
            for topic in topics_of(frame):
                topics = self.kinds.get(kind_of(topic) or "", [])
                if topic in topics:
                    topics.remove(topic)
            self.acknowledge(op, frame)
        else:
            self.acknowledge(op, frame, "error:invalid op")

    def closed(self) -> None:
        """Hear nothing any more."""
        self._stream.remove(self)
        super().closed()

    def _authenticate(self, frame: Frame) -> None:
        try:
            key = authenticate_socket(frame.get("args"), self.world.keys, self.world.now_ms())
        except Refused as refused:
            self.tell(
                {
                    "op": "auth",
                    "success": False,
                    "retCode": refused.code,
                    "retMsg": refused.message,
                    "connId": self.connection_id,
                }
            )
            return
        if not self._account:
            self._account = key.account
            self._stream.add(key.account, self)
        self.acknowledge("auth", frame)

    def _subscribe(self, frame: Frame) -> None:
        topics = topics_of(frame)
        if not self._account:
            self.acknowledge("subscribe", frame, "Request not authorized")
            return
        for topic in topics:
            if kind_of(topic) is None:
                self.acknowledge("subscribe", frame, f"Invalid topic: {topic}")
                return
        for topic in topics:
            heard = self.kinds.setdefault(kind_of(topic) or "", [])
            if topic not in heard:
                heard.append(topic)
        self.acknowledge("subscribe", frame)
