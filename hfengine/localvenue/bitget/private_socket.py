"""The private socket: login, and what happens to an account as it happens."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.localvenue.bitget import auth
from hfengine.localvenue.bitget.account_rows import Costs, Holdings, account_push, position_push
from hfengine.localvenue.bitget.desk import Desk
from hfengine.localvenue.bitget.identity import is_plan
from hfengine.localvenue.bitget.order_rows import Row, is_live_order
from hfengine.localvenue.bitget.parameters import PRODUCT
from hfengine.localvenue.bitget.push_rows import fill_push, order_push, plan_push
from hfengine.localvenue.bitget.session import BaseSession
from hfengine.localvenue.ports import Socket
from hfengine.messages import BalanceChanged

DEFAULT: Final = "default"
CHANNELS: Final = frozenset({"orders", "orders-algo", "fill", "positions", "account"})
WHOLE: Final = frozenset({"positions", "account"})
"""Channels that push their whole state, at once and after each change."""


class PrivateSession(BaseSession):
    """One client of the private socket."""

    def __init__(self, socket: Socket, feeds: "PrivateFeeds") -> None:
        super().__init__(socket, feeds.desk.world)
        self._feeds = feeds
        self.account = ""
        self.channels: dict[tuple[str, str], None] = {}
        """Channel and symbol (or `default`), of which an account has only the latter."""

    def login(self, _arg: Any) -> None:
        """Take a login; one that fails ends the connection."""
        found = auth.login(_arg, self.world.keys, self.world.now_ms())
        if isinstance(found, tuple):
            self.refuse(*found)
            self.socket.close(1000)
            return
        self._feeds.leave(self)
        self.account = found.account
        self._feeds.join(self)
        self.send({"event": "login", "code": 0, "msg": ""})

    def may_subscribe(self, _arg: Mapping[str, Any], _operation: str) -> bool:
        """Tell whether there was a login; refuse otherwise."""
        if self.account:
            return True
        self.refuse(30004, "User needs to log in", _arg, _operation)
        return False

    def subscribe(self, arg: Mapping[str, Any]) -> bytes | None:
        """Begin a channel; positions and account are pushed at once."""
        key = self._key(arg)
        if key is None:
            return None
        self.channels[key] = None
        if key[0] not in WHOLE:
            return b""
        rows = self._feeds.rows(self.account, key[0])
        return frame(self.world.now_ms(), key, [row for row in rows if _concerns(key, row)])

    def unsubscribe(self, arg: Mapping[str, Any]) -> bool:
        """End a channel; tell whether it exists."""
        key = self._key(arg)
        if key is None:
            return False
        self.channels.pop(key, None)
        return True

    def closed(self) -> None:
        """Forget the session."""
        super().closed()
        self._feeds.leave(self)

    def _key(self, arg: Mapping[str, Any]) -> tuple[str, str] | None:
        channel = str(arg.get("channel", ""))
        if str(arg.get("instType", "")).upper() != PRODUCT or channel not in CHANNELS:
            return None
        wanted = str(arg.get("coin" if channel == "account" else "instId") or DEFAULT)
        if channel == "account":
            return (channel, DEFAULT) if wanted in {DEFAULT, "USDT"} else None
        if wanted == DEFAULT:
            return channel, DEFAULT
        symbol = wanted.upper()
        return (channel, symbol) if symbol in self.world.instruments else None


def frame(now_ms: int, key: tuple[str, str], rows: Iterable[Row]) -> bytes:
    """Return a push of a channel."""
    channel, wanted = key
    name = "coin" if channel == "account" else "instId"
    return msgspec.json.encode(
        {
            "action": "snapshot",
            "arg": {"instType": PRODUCT, "channel": channel, name: wanted},
            "data": list(rows),
            "ts": now_ms,
        }
    )


def _concerns(key: tuple[str, str], row: Row) -> bool:
    return key[1] in {DEFAULT, row.get("instId"), row.get("symbol")}


class PrivateFeeds:
    """Turns the exchange's reports into pushes: orders and fills, then the state they left."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._sessions: dict[str, dict[PrivateSession, None]] = {}
        self._fills: dict[tuple[str, str], FillReport] = {}
        """The last fill of each order, until the report of the order that follows it."""
        self._changed: dict[tuple[str, str], None] = {}
        """Accounts and channels whose whole state is to be pushed."""
        desk.world.on_account(self._told)

    def join(self, session: PrivateSession) -> None:
        """Push to a session from now on."""
        self._sessions.setdefault(session.account, {})[session] = None

    def leave(self, session: PrivateSession) -> None:
        """Push to a session no longer."""
        joined = self._sessions.get(session.account)
        if joined is not None:
            joined.pop(session, None)

    def rows(self, account: str, channel: str) -> list[Row]:
        """Return the whole state of a channel: the open positions, or the account."""
        holdings = Holdings(self.desk.standing(account))
        if channel == "account":
            return [account_push(holdings)]
        instruments = self.desk.world.instruments
        rows = []
        for report in holdings.positions:
            symbol = report.changed.symbol
            costs = Costs(report, holdings.standing)
            rows.append(position_push(report, holdings.standing, instruments[symbol], costs))
        return rows

    def _told(self, account: str, report: Any) -> None:
        if not self._sessions.get(account):
            return
        if isinstance(report, OrderReport):
            self._order(account, self.desk.shown(account, report))
        elif isinstance(report, FillReport):
            self._fill(account, report)
        elif isinstance(report, PositionReport):
            self._change(account, "positions")
        elif isinstance(report, BalanceChanged):
            self._change(account, "account")

    def _order(self, account: str, report: OrderReport) -> None:
        update = report.update
        if is_plan(report) and (update.state == "triggered" or not report.triggered_ns):
            self._push(
                account, "orders-algo", update.symbol, lambda: self._plan_row(account, report)
            )
        if is_live_order(report):
            filled = self._fills.pop((account, update.venue_id), None)
            self._push(
                account,
                "orders",
                update.symbol,
                lambda: order_push(self.desk.standing(account), self.desk.names, report, filled),
            )

    def _plan_row(self, account: str, report: OrderReport) -> Row:
        return plan_push(self.desk.standing(account), self.desk.names, report)

    def _fill(self, account: str, report: FillReport) -> None:
        self._fills[account, report.venue_id] = report

        def row() -> Row:
            order = self.desk.exchange.find_order(account, venue_id=report.venue_id)
            return fill_push(self.desk.names, account, report, order)

        self._push(account, "fill", report.fill.symbol, row)

    def _push(self, account: str, channel: str, symbol: str, row: Callable[[], Row]) -> None:
        """Send a row to those who want it; it is built and encoded only if somebody does."""
        frames: dict[tuple[str, str], bytes] = {}
        built: Row | None = None
        for session in list(self._sessions.get(account, ())):
            for key in ((channel, DEFAULT), (channel, symbol)):
                if key not in session.channels:
                    continue
                if key not in frames:
                    if built is None:
                        built = row()
                    frames[key] = frame(self.desk.world.now_ms(), key, [built])
                session.socket.send(frames[key])

    def _change(self, account: str, channel: str) -> None:
        if not self._changed:
            self.desk.world.loop.call_soon(self._flush)
        self._changed[account, channel] = None

    def _flush(self) -> None:
        """Push the whole state of what changed, positions before the account."""
        changed, self._changed = self._changed, {}
        now_ms = self.desk.world.now_ms()
        for account, channel in sorted(changed, key=lambda entry: entry[1], reverse=True):
            rows: list[Row] | None = None
            for session in list(self._sessions.get(account, ())):
                for key in session.channels:
                    if key[0] != channel:
                        continue
                    if rows is None:
                        rows = self.rows(account, channel)
                    shown = [row for row in rows if _concerns(key, row)]
                    session.socket.send(frame(now_ms, key, shown))
