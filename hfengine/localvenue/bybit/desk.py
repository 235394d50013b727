"""What every part of the dialect asks of the world: orders, positions, executions as Bybit's."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec

from hfengine.exchange.reports import FillReport, OrderReport, PositionReport
from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.account_rows import (
    Protection,
    closed_rows,
    position_row,
    pushed_position_row,
    wallet_row,
)
from hfengine.localvenue.bybit.errors import PARAMETERS, UNKNOWN_ORDER, Refused
from hfengine.localvenue.bybit.figures import ZERO, gridded
from hfengine.localvenue.bybit.identity import (
    MADE_UP,
    PROTECTED_LINK_MAX,
    alias_of,
    funding_id,
    link_id,
    made_up_id,
    order_id,
    venue_id,
)
from hfengine.localvenue.bybit.order_rows import (
    Row,
    execution_row,
    funding_row,
    order_row,
    pushed_execution_row,
    pushed_order_row,
)
from hfengine.localvenue.bybit.parameters import Parameters, text
from hfengine.localvenue.world import World
from hfengine.messages import FundingPaid, OrderUpdate
from hfengine.requests import OrderRequest, Slot

SEQ_BASE: Final = 1_000_000_000
NEVER_TRADED: Final = -1
Execution = tuple[int, Callable[[], Row]]
"""When something was executed, ns, and what makes its row."""
Stamped = tuple[int, int, Row]
"""A row with its time, ns, and a number that orders rows of one time."""
PushRow = Callable[[str, str, Row], None]


class Desk:
    """The world as Bybit shows it. `push` sends an extra row to an account's private topic."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.exchange = world.exchange
        self.push: PushRow = lambda _account, _topic, _row: None
        self._notes = world.notes
        self._deposits: dict[str, tuple[int, Decimal]] = {}
        self._seqs: dict[tuple[str, str], int] = {}
        world.on_account(self._note)

    # Orders

    def instrument(self, symbol: str) -> Instrument:
        """Return an instrument; raises Refused for an unknown symbol."""
        instrument = self.world.instruments.get(symbol)
        if instrument is None:
            raise Refused(PARAMETERS, "params error: symbol invalid")
        return instrument

    def find(self, account: str, parameters: Parameters) -> OrderReport | None:
        """Return the order that `orderId`, or else `orderLinkId`, names; None for no such one."""
        order_uuid, link = text(parameters, "orderId"), text(parameters, "orderLinkId")
        if not (order_uuid or link):
            raise Refused(PARAMETERS, "params error: OrderId or orderLinkId is required")
        if order_uuid:
            number = venue_id(order_uuid)
            found = number and self.exchange.find_order(account, venue_id=number)
        else:
            found = self.exchange.find_order(account, client_id=link) or self.exchange.find_order(
                account, client_id=alias_of(link)
            )
        if not found or text(parameters, "symbol") not in {"", found.update.symbol}:
            return None
        return found

    def existing(self, account: str, parameters: Parameters, action: str) -> OrderReport:
        """Return the order a request names; raises Refused 110001."""
        found = self.find(account, parameters)
        if found is None:
            raise Refused(UNKNOWN_ORDER, f"order not exists or too late to {action}")
        return found

    def orders(
        self, account: str, symbol: str | None = None, *, open_only: bool = False
    ) -> list[OrderReport]:
        """Return an account's orders as the exchange has them, oldest first."""
        return self.exchange.order_reports(account, symbol, open_only)

    def row(self, report: OrderReport) -> Row:
        """Return an order as a list has it."""
        shown = self.as_shown(report)
        return order_row(shown, self.world.instruments[shown.update.symbol])

    def pushed_row(self, report: OrderReport) -> Row:
        """Return an order as the stream has it."""
        shown = self.as_shown(report)
        return pushed_order_row(shown, self.world.instruments[shown.update.symbol])

    def named(self, report: OrderReport) -> Row:
        """Return the ids of an order."""
        shown = self.as_shown(report)
        link = "" if report.attached else link_id(shown.update.client_id)
        return {"orderId": order_id(shown.update.venue_id), "orderLinkId": link}

    def cut_short(self, number: str, asked: Decimal) -> None:
        """Show an order, filled with less, as one of `asked` whose rest was cancelled."""
        self.keep(f"bybit/cut/{number}", str(asked))

    def client_id(self, link: str, *, protected: bool) -> str:
        """Return the exchange's id for an order with an `orderLinkId`, made up where that is "".

        The exchange needs room behind the id of a protected order; Bybit does not.
        """
        if not link:
            return made_up_id(self.world.random)
        if not protected or len(link) <= PROTECTED_LINK_MAX:
            return link
        alias = alias_of(link)
        self.keep(f"bybit/link/{alias}", link)
        return alias

    def rejected(
        self, request: OrderRequest, reason: str, *, attached: bool = False, parent_id: str = ""
    ) -> OrderReport:
        """Return an order that was taken and then rejected, unknown to the exchange."""
        now_ns = self.world.now_ns()
        update = OrderUpdate(
            request.client_id,
            str(self.world.random.getrandbits(47)),
            request.symbol,
            now_ns,
            request.kind,
            request.side,
            request.quantity,
            ZERO,
            request.price,
            request.trigger,
            request.reduce_only,
            "rejected",
            reason,
        )
        return OrderReport(
            update=update,
            created_ns=now_ns,
            tif=request.tif,
            average=ZERO,
            filled_usdt=ZERO,
            fee_usdt=ZERO,
            trigger_by=request.trigger_by,
            close_position=False,
            expires_with_position=False,
            attached=attached,
            partial=attached,
            parent_id=parent_id,
            stop=request.stop,
            target=request.target,
            protect_by=request.protect_by,
            slot=request.slot,
            triggered_ns=0,
        )

    def as_shown(self, report: OrderReport) -> OrderReport:
        """Return an order with its client's own ids, and with what a fault makes of it."""
        update = report.update
        client_id, parent_id = self._link(update.client_id), self._link(report.parent_id)
        asked = self._notes.get(f"bybit/cut/{update.venue_id}")
        if asked is None and (client_id, parent_id) == (update.client_id, report.parent_id):
            return report
        update = msgspec.structs.replace(update, client_id=client_id)
        if asked is not None:
            update = msgspec.structs.replace(update, quantity=Decimal(asked))
            if update.state == "filled":
                update = msgspec.structs.replace(update, state="cancelled", reason="no_liquidity")
        return msgspec.structs.replace(report, update=update, parent_id=parent_id)

    def _link(self, client_id: str) -> str:
        if not client_id.startswith(MADE_UP):
            return client_id
        link: str = self._notes.get(f"bybit/link/{client_id}", client_id)
        return link

    # Positions and wallet

    def protection(self, account: str, symbol: str, slot: Slot) -> Protection:
        """Return the Full stop and target attached to a position."""
        found = Protection()
        for report in self.exchange.order_reports(account, symbol, True):
            if not report.attached or report.partial or report.slot != slot:
                continue
            trigger, by = report.update.trigger, report.trigger_by
            if report.update.kind == "stop_market":
                found = msgspec.structs.replace(found, stop=trigger, stop_by=by)
            else:
                found = msgspec.structs.replace(found, target=trigger, target_by=by)
        return found

    def _protection_of(self, account: str, report: PositionReport) -> Protection:
        """Return a position's Full stop and target; what has neither is not looked at."""
        changed = report.changed
        if not (changed.stop or changed.target):
            return Protection()
        return self.protection(account, changed.symbol, report.slot)

    def positions(self, account: str, symbol: str | None = None) -> list[PositionReport]:
        """Return positions: of a symbol also flat ones."""
        return self.exchange.position_reports(account, symbol)

    def holds(self, account: str, symbol: str | None = None) -> bool:
        """Tell whether an account has a position."""
        return any(one.changed.side for one in self.positions(account, symbol))

    def position_row(self, account: str, report: PositionReport) -> Row:
        """Return a position as the list has it."""
        symbol = report.changed.symbol
        protection = self._protection_of(account, report)
        seq = self.seq(account, symbol)
        return position_row(report, protection, self.world.instruments[symbol], seq)

    def pushed_position_row(self, account: str, report: PositionReport) -> Row:
        """Return a position as the stream has it."""
        symbol = report.changed.symbol
        protection = self._protection_of(account, report)
        seq = self.seq(account, symbol)
        return pushed_position_row(report, protection, self.world.instruments[symbol], seq)

    def wallet_row(self, account: str) -> Row:
        """Return the wallet as it stands."""
        exchange = self.exchange
        realised_usdt = exchange.ledger(account).wallet_usdt - self._deposited_usdt(account)
        return wallet_row(
            exchange.balance(account), exchange.position_reports(account), realised_usdt
        )

    def _deposited_usdt(self, account: str) -> Decimal:
        """Return the sum of deposits, reading only what is new in the ledger."""
        entries = self.exchange.ledger(account).entries
        seen, deposited_usdt = self._deposits.get(account, (0, ZERO))
        for entry in entries[seen:]:
            if entry.kind == "deposit":
                deposited_usdt += entry.change_usdt
        self._deposits[account] = len(entries), deposited_usdt
        return deposited_usdt

    def is_isolated(self, account: str) -> bool:
        """Tell whether the whole account is in isolated margin mode."""
        exchange = self.exchange
        return all(
            exchange.leverage(account, symbol).margin_mode == "isolated"
            for symbol in self.world.instruments
        )

    # Executions

    def seq(self, account: str, symbol: str) -> int:
        """Return the sequence number of an account's last fill of a symbol, -1 before the first."""
        key = account, symbol
        seq = self._seqs.get(key)
        if seq is None:
            fills = self.exchange.fill_reports(account, symbol)
            seq = SEQ_BASE + int(fills[-1].fill.fill_id) if fills else NEVER_TRADED
            self._seqs[key] = seq
        return seq

    def execution(self, account: str, report: FillReport) -> Row:
        """Return a fill as the execution list has it."""
        instrument = self.world.instruments[report.fill.symbol]
        order = None
        if report.attached:
            order = self.exchange.find_order(account, venue_id=report.venue_id)
        seq = SEQ_BASE + int(report.fill.fill_id)
        row = execution_row(report, order, instrument, seq)
        if not report.attached:
            row["orderLinkId"] = link_id(self._link(report.fill.client_id))
        asked = self._notes.get(f"bybit/cut/{report.venue_id}")
        if asked is not None:
            row["orderQty"] = gridded(Decimal(asked), instrument.quantity_step)
        return row

    def pushed_execution(self, account: str, report: FillReport) -> Row:
        """Return a fill as the stream has it."""
        return pushed_execution_row(self.execution(account, report), report.fill.realised_usdt)

    def pushed_funding(self, account: str, paid: FundingPaid) -> Row:
        """Return a funding payment as the stream has it."""
        row = self._funding_row(account, paid.symbol, paid.at_ns, paid.funding_usdt)
        return pushed_execution_row(row, -paid.funding_usdt)

    def executions(self, account: str, symbol: str | None) -> list[Execution]:
        """Return fills and funding payments, oldest first, their rows not made yet."""
        found: list[Execution] = [
            (one.fill.at_ns, partial(self.execution, account, one))
            for one in self.exchange.fill_reports(account, symbol)
        ]
        for entry in self.exchange.ledger(account).entries:
            if entry.kind == "funding" and symbol in {None, entry.symbol}:
                paid_usdt = -entry.change_usdt
                row = partial(self._funding_row, account, entry.symbol, entry.at_ns, paid_usdt)
                found.append((entry.at_ns, row))
        found.sort(key=lambda one: one[0])
        return found

    def closed(self, account: str, symbol: str | None) -> list[Stamped]:
        """Return what orders closed, oldest first."""
        rows: list[Stamped] = []
        for one in [symbol] if symbol else list(self.world.instruments):
            fills = self.exchange.fill_reports(account, one)
            if fills:
                leverage = self.exchange.leverage(account, one, fills[-1].slot).leverage
                rows += closed_rows(fills, self.world.instruments[one], leverage)
        rows.sort(key=lambda stamped: stamped[0])
        return rows

    def _funding_row(self, account: str, symbol: str, at_ns: int, funding_usdt: Decimal) -> Row:
        """Return a funding payment; of one that was not told in time only the sum is known."""
        noted = self._notes.get(f"bybit/funding/{account}/{symbol}/{at_ns}")
        side, quantity, mark, rate = noted or (0, "0", "0", "0")
        return funding_row(
            symbol=symbol,
            execution=funding_id(account, symbol, at_ns),
            side=side,
            quantity=Decimal(quantity),
            mark=Decimal(mark),
            rate=Decimal(rate),
            funding_usdt=funding_usdt,
            at_ns=at_ns,
            seq=self.seq(account, symbol),
        )

    def keep(self, name: str, note: object) -> None:
        """Keep something for after a restart: with the next write of the state."""
        self._notes.set(name, note)
        self.world.acted = True

    def _note(self, account: str, report: object) -> None:
        if isinstance(report, FillReport):
            self._seqs[account, report.fill.symbol] = SEQ_BASE + int(report.fill.fill_id)
        elif isinstance(report, FundingPaid):
            held = [one for one in self.positions(account, report.symbol) if one.changed.side]
            if held:
                changed, mark = held[0].changed, held[0].mark
                self.keep(
                    f"bybit/funding/{account}/{report.symbol}/{report.at_ns}",
                    [changed.side, str(changed.quantity), str(mark), str(report.rate)],
                )
