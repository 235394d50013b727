"""What accounts hear of themselves: the exchange's reports as user-stream events.

A call's fills are told after the ACCOUNT_UPDATE that they add up to; everything else is told as
it comes. Between kinds of events clients may rely on no order.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

from msgspec.structs import replace

from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.localvenue.binance.account_rows import event_position, margin_call_position
from hfengine.localvenue.binance.desk import Desk
from hfengine.localvenue.binance.rows import (
    algo_event,
    algo_status,
    is_adl,
    order_event,
    order_status,
    trade_lite_event,
    was_refused,
)
from hfengine.localvenue.binance.wire import (
    Row,
    encode,
    is_conditional,
    is_forced,
    ms,
    plain,
    usdt,
)
from hfengine.messages import BalanceChanged, FundingPaid, LeverageChanged

ZERO: Final = Decimal(0)
MARGIN_CALL_RATIO: Final = Decimal("0.8")
"""Maintenance over margin balance from which the venue calls."""
ENDED: Final = frozenset({"filled", "cancelled", "rejected"})
Place = tuple[str, str]
"""A symbol and a slot."""
Terms = tuple[Decimal, Decimal, Decimal]
"""Quantity, price and trigger."""


class Listener(Protocol):
    """A session that hears an account."""

    def push(self, stream: str, payload: bytes) -> None:
        """Send an event of a stream."""


class _Ear:
    """One account: who listens, and what was told."""

    __slots__ = (
        "apart",
        "fill",
        "fills",
        "funding",
        "known",
        "late",
        "listeners",
        "moved",
        "realised",
    )

    def __init__(self) -> None:
        self.listeners: dict[Listener, str] = {}
        self.known: dict[str, Terms] = {}
        """Open orders as last told; as orders of the engine, triggered ones have `!` before."""
        self.fill: FillReport | None = None
        self.fills: list[FillReport] = []
        self.funding: list[FundingPaid] = []
        self.late: list[Row] = []
        self.moved: dict[Place, PositionReport] = {}
        self.apart: dict[Place, Decimal] = {}
        self.realised: dict[Place, Decimal] = {}


class PrivateStreams:
    """The user streams of all accounts."""

    def __init__(
        self,
        desk: Desk,
        unrecorded: set[tuple[str, str]],
        forced: Callable[[FillReport], None],
    ) -> None:
        self._desk = desk
        self._unrecorded = unrecorded
        self._forced = forced
        self._ears: dict[str, _Ear] = {}
        self._called: set[tuple[str, Place]] = set()
        for account in desk.exchange.accounts:
            self._remember(account)
        desk.world.on_account(self.hear)
        self._cancel = desk.world.every(1.0, self.check_margins)

    def stop(self) -> None:
        """End the timer."""
        self._cancel()

    def attach(self, account: str, listener: Listener, stream: str) -> None:
        """Let a session hear an account under a stream name."""
        self._ear(account).listeners[listener] = stream

    def detach(self, listener: Listener, stream: str = "") -> None:
        """Let a session hear nothing more: of one stream, or of any."""
        for ear in self._ears.values():
            if stream in {"", ear.listeners.get(listener)}:
                ear.listeners.pop(listener, None)

    def key_ended(self, account: str, key: str, event: bool) -> None:
        """End the streams of a listen key, with or without a word."""
        ear = self._ear(account)
        if event:
            now_ms = self._desk.world.now_ms()
            self._send(ear, {"e": "listenKeyExpired", "E": now_ms, "listenKey": key})
        for listener in [one for one, stream in ear.listeners.items() if stream == key]:
            del ear.listeners[listener]

    def hear(self, account: str, report: Any) -> None:
        """Take one report of the exchange."""
        ear = self._ear(account)
        kind = type(report)
        if kind is OrderReport:
            self._order(account, ear, report)
        elif kind is FillReport:
            ear.fill = report
        elif kind is PositionReport:
            place = report.changed.symbol, report.slot
            ear.moved[place] = report
            isolated = report.changed.margin_mode == "isolated"
            ear.apart[place] = report.changed.margin_usdt if isolated else ZERO
        elif kind is FundingPaid:
            ear.funding.append(report)
        elif kind is BalanceChanged:
            self._balance(ear, report)
        elif kind is LeverageChanged:
            at_ms = ms(report.at_ns)
            config = {"s": report.symbol, "l": report.leverage}
            event = {"e": "ACCOUNT_CONFIG_UPDATE", "E": self._now(), "T": at_ms, "ac": config}
            self._tell(ear, event)

    # Orders

    def _order(self, account: str, ear: _Ear, report: OrderReport) -> None:
        update = report.update
        identity = account, update.client_id
        if identity in self._unrecorded:
            if update.state in ENDED:
                self._unrecorded.discard(identity)
            return
        fill, ear.fill = ear.fill, None
        if fill is not None and fill.venue_id != update.venue_id:
            fill = None
        report = self._desk.shown(account, report)
        if is_conditional(report):
            self._conditional(account, ear, report, fill)
        else:
            self._plain(ear, report, fill)
        if report.update.state in ENDED:
            ear.known.pop(update.venue_id, None)
            ear.known.pop("!" + update.venue_id, None)

    def _plain(self, ear: _Ear, report: OrderReport, fill: FillReport | None) -> None:
        update = report.update
        if fill is not None:
            self._traded(ear, report, fill)
        elif update.state in ENDED:
            self._ended(ear, report)
        elif update.venue_id in ear.known:
            self._amended(ear, report, update.venue_id)
        else:
            ear.known[update.venue_id] = terms(report)
            if not is_forced(update.client_id):
                self._tell(ear, self._event(report, "NEW"))
            elif not is_adl(update.client_id):
                self._tell(ear, self._event(report, "CALCULATED", "NEW"))

    def _conditional(
        self, account: str, ear: _Ear, report: OrderReport, fill: FillReport | None
    ) -> None:
        update = report.update
        live = "!" + update.venue_id
        if not report.triggered_ns:
            ear.known[update.venue_id] = terms(report)
            self._tell(ear, self._algo(report, algo_status(report)))
        elif was_refused(report):
            self._tell(ear, self._algo(report, "REJECTED"))
        elif fill is not None:
            self._traded(ear, report, fill)
            if report.update.state in ENDED:
                self._tell(ear, self._algo(report, "FINISHED"))
        elif update.state in ENDED:
            self._ended(ear, report)
            self._tell(ear, self._algo(report, "FINISHED"))
        elif live in ear.known:
            self._amended(ear, report, live)
        else:
            self._triggered(account, ear, report)

    def _triggered(self, account: str, ear: _Ear, report: OrderReport) -> None:
        self._tell(ear, self._algo(report, "TRIGGERING"))
        venue_id = report.update.venue_id
        # reports come after the deed: whether the engine took the order is known by now
        outcome = self._desk.exchange.find_order(account, venue_id=venue_id)
        if outcome is not None and was_refused(outcome):
            return
        self._tell(ear, self._algo(report, "TRIGGERED"))
        if outcome is not None and report.close_position:
            # how much there is to close is known since it was triggered
            update = replace(report.update, quantity=outcome.update.quantity)
            report = replace(report, update=update)
        ear.known["!" + venue_id] = terms(report)
        self._tell(ear, self._event(report, "NEW", "NEW"))

    def _amended(self, ear: _Ear, report: OrderReport, name: str) -> None:
        """Tell of new terms, if they are new: an order that goes to rest has the same."""
        now = terms(report)
        if ear.known[name] != now:
            ear.known[name] = now
            self._tell(ear, self._event(report, "AMENDMENT"))

    def _traded(self, ear: _Ear, report: OrderReport, fill: FillReport) -> None:
        done = fill.fill
        grid = self._desk.grid(done.symbol)
        place = done.symbol, fill.slot
        ear.realised[place] = ear.realised.get(place, ZERO) + done.realised_usdt
        ear.fills.append(fill)
        if is_adl(done.client_id):
            event = self._event(report, "CALCULATED", "NEW_ADL", fill)
        elif is_forced(done.client_id):
            event = self._event(report, "CALCULATED", "", fill)
            self._forced(fill)
        else:
            self._send(ear, trade_lite_event(fill, grid, self._now()))
            was_whole = report.update.state == "filled"
            status = "FILLED" if was_whole else "PARTIALLY_FILLED"
            event = self._event(report, "TRADE", status, fill)
        ear.late.append(event)
        if report.update.state == "cancelled":
            self._ended(ear, report)

    def _ended(self, ear: _Ear, report: OrderReport) -> None:
        execution = "CANCELED" if order_status(report) == "CANCELED" else "EXPIRED"
        self._tell(ear, self._event(report, execution))

    # Account

    def _balance(self, ear: _Ear, balance: BalanceChanged) -> None:
        moved, ear.moved = ear.moved, {}
        fills, ear.fills = ear.fills, []
        funding, ear.funding = ear.funding, []
        if funding:
            paid = sum((one.funding_usdt for one in funding), ZERO)
            isolated = [one for one in moved.values() if one.changed.margin_mode == "isolated"]
            self._send(ear, self._account(ear, balance, "FUNDING_FEE", isolated, -paid))
        if fills:
            places = {(one.fill.symbol, one.slot) for one in fills}
            changed = [one for place, one in moved.items() if place in places]
            self._send(ear, self._account(ear, balance, "ORDER", changed, ZERO))
        late, ear.late = ear.late, []
        for event in late:
            self._send(ear, event)

    def _account(
        self,
        ear: _Ear,
        balance: BalanceChanged,
        reason: str,
        positions: Sequence[PositionReport],
        change_usdt: Decimal,
    ) -> Row:
        cross_usdt = balance.wallet_usdt - sum(ear.apart.values(), ZERO)
        sums = {
            "a": "USDT",
            "wb": usdt(balance.wallet_usdt),
            "cw": usdt(cross_usdt),
            "bc": plain(change_usdt),
        }
        rows = []
        for one in positions:
            symbol = one.changed.symbol
            realised = ear.realised.get((symbol, one.slot), ZERO)
            rows.append(event_position(one, self._desk.grid(symbol), realised))
        return {
            "e": "ACCOUNT_UPDATE",
            "E": self._now(),
            "T": ms(balance.at_ns),
            "a": {"B": [sums], "P": rows, "m": reason},
        }

    def check_margins(self) -> None:
        """Call every account that listens and has come near liquidation, once per approach."""
        exchange = self._desk.exchange
        for account, ear in self._ears.items():
            if not ear.listeners:
                continue
            reports = exchange.position_reports(account)
            crossed = [one for one in reports if one.changed.margin_mode != "isolated"]
            apart = sum((one.changed.margin_usdt for one in reports if one not in crossed), ZERO)
            wallet = exchange.balance(account).wallet_usdt - apart
            balance = wallet + sum((one.unrealised_usdt for one in crossed), ZERO)
            due = sum((one.maintenance_usdt for one in crossed), ZERO)
            endangered = list(crossed) if due >= balance * MARGIN_CALL_RATIO else []
            for one in reports:
                margin = one.changed.margin_usdt + one.unrealised_usdt
                isolated = one.changed.margin_mode == "isolated"
                if isolated and one.maintenance_usdt >= margin * MARGIN_CALL_RATIO:
                    endangered.append(one)
            self._call(account, ear, endangered, wallet)

    def _call(
        self, account: str, ear: _Ear, endangered: Sequence[PositionReport], wallet: Decimal
    ) -> None:
        now = {(account, (one.changed.symbol, one.slot)) for one in endangered}
        fresh = now - self._called
        self._called = {one for one in self._called if one[0] != account} | now
        if fresh:
            rows = [
                margin_call_position(one, self._desk.grid(one.changed.symbol)) for one in endangered
            ]
            event = {"e": "MARGIN_CALL", "E": self._now(), "cw": usdt(wallet), "p": rows}
            self._tell(ear, event)

    # Inside

    def _event(
        self,
        report: OrderReport,
        execution: str,
        status: str = "",
        fill: FillReport | None = None,
    ) -> Row:
        grid = self._desk.grid(report.update.symbol)
        return order_event(report, grid, self._now(), execution, status=status, fill=fill)

    def _algo(self, report: OrderReport, status: str) -> Row:
        return algo_event(report, self._desk.grid(report.update.symbol), self._now(), status)

    def _now(self) -> int:
        return self._desk.world.now_ms()

    def _tell(self, ear: _Ear, event: Row) -> None:
        """Send an event, after the fills that wait for their ACCOUNT_UPDATE."""
        if ear.late:
            ear.late.append(event)
        else:
            self._send(ear, event)

    def _send(self, ear: _Ear, event: Row) -> None:
        if ear.listeners:
            payload = encode(event)
            for listener, stream in tuple(ear.listeners.items()):
                listener.push(stream, payload)

    def _ear(self, account: str) -> _Ear:
        return self._ears.get(account) or self._remember(account)

    def _remember(self, account: str) -> _Ear:
        """Take over what an account has already, as after a restart of the venue."""
        ear = self._ears[account] = _Ear()
        exchange = self._desk.exchange
        for report in exchange.order_reports(account, open_only=True):
            ear.known[report.update.venue_id] = terms(report)
            if report.triggered_ns:
                ear.known["!" + report.update.venue_id] = terms(report)
        for fill in exchange.fill_reports(account):
            place = fill.fill.symbol, fill.slot
            ear.realised[place] = ear.realised.get(place, ZERO) + fill.fill.realised_usdt
        for held in exchange.position_reports(account):
            if held.changed.margin_mode == "isolated":
                ear.apart[held.changed.symbol, held.slot] = held.changed.margin_usdt
        return ear


def terms(report: OrderReport) -> Terms:
    """Return what an amendment would change of an order."""
    return report.update.quantity, report.update.price, report.update.trigger
