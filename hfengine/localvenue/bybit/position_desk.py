"""Settings of accounts and positions: leverage, modes, trading stop."""

from decimal import Decimal
from typing import Final, Literal

import msgspec
from msgspec import Struct

from hfengine.errors import VenueRejected
from hfengine.exchange import rejects
from hfengine.exchange.orders import PriceSource
from hfengine.instruments import Instrument
from hfengine.localvenue.bybit.desk import Desk
from hfengine.localvenue.bybit.errors import (
    MARGIN_MODE_FAILED,
    PARAMETERS,
    SAME_LEVERAGE,
    SAME_MARGIN_MODE,
    SAME_TRADING_STOP,
    STOP_WOULD_TRIGGER,
    Attempt,
    Refused,
    refusal,
    scaled,
)
from hfengine.localvenue.bybit.figures import ZERO
from hfengine.localvenue.bybit.order_desk import (
    Answer,
    check_category,
    price_source,
)
from hfengine.localvenue.bybit.order_rows import TRIGGER_BY
from hfengine.localvenue.bybit.parameters import (
    Parameters,
    choice,
    given_number,
    number,
    required,
    slot_of,
    text,
)
from hfengine.messages import OrderKind
from hfengine.requests import Slot

MARGIN_MODES: Final[dict[str, Literal["isolated", "cross"]]] = {
    "ISOLATED_MARGIN": "isolated",
    "REGULAR_MARGIN": "cross",
}
PORTFOLIO_REASON: Final = {
    "reasonCode": "3400000",
    "reasonMsg": "Equity needs to be equal to or greater than 1000 USDC",
}
LOCKED_REASON: Final = {
    "reasonCode": "3400000",
    "reasonMsg": "There are positions or open orders, so margin mode cannot be switched",
}
DONE: Final = Answer(result={})


class _Legs(Struct, frozen=True, kw_only=True):
    """What a trading-stop asks of stop and target; None leaves one as it is, 0 removes it."""

    stop: Decimal | None
    target: Decimal | None
    stop_by: PriceSource
    target_by: PriceSource


class PositionDesk:
    """Requests about settings and about the protection of positions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._world = desk.world

    def set_leverage(self, account: str, parameters: Parameters) -> Answer:
        """Set a symbol's leverage, of both sides; raises Refused, 110043 when it is the same."""
        check_category(parameters)
        instrument = self._desk.instrument(required(parameters, "symbol"))
        buy = _leverage(parameters, "buyLeverage")
        sell = _leverage(parameters, "sellLeverage")
        hedged = self._desk.exchange.position_mode(account) == "hedge"
        if not hedged and buy != sell:
            raise Refused(PARAMETERS, "buy leverage not equal sell leverage")
        wanted: list[tuple[Slot, int]] = (
            [("long", buy), ("short", sell)] if hedged else [("net", buy)]
        )
        changes = [
            (slot, leverage)
            for slot, leverage in wanted
            if self._desk.exchange.leverage(account, instrument.symbol, slot).leverage != leverage
        ]
        if not changes:
            raise Refused(SAME_LEVERAGE, "leverage not modified")
        kept = self._world.faults.take(
            "leverage_kept",
            symbol=instrument.symbol,
            account=account,
            path="/v5/position/set-leverage",
        )
        if kept is None:
            for slot, leverage in changes:
                self._change_leverage(account, instrument, slot, leverage)
        return DONE

    def switch_mode(self, account: str, parameters: Parameters) -> Answer:
        """Set one-way (0) or hedge (3) mode, of the whole account; raises Refused."""
        check_category(parameters)
        symbol = text(parameters, "symbol")
        if symbol:
            self._desk.instrument(symbol)
        mode: Literal["one_way", "hedge"] = (
            "one_way" if choice(parameters, "mode", "0", "3") == "0" else "hedge"
        )
        try:
            self._world.act(
                lambda now_ns: self._desk.exchange.set_position_mode(account, mode, now_ns)
            )
        except VenueRejected as rejected:
            attempt = Attempt(
                instrument=next(iter(self._world.instruments.values())),
                has_position=self._desk.holds(account),
            )
            raise refusal(rejected, attempt) from None
        return DONE

    def set_margin_mode(self, account: str, parameters: Parameters) -> Answer:
        """Set the margin mode of the whole account; raises Refused."""
        name = required(parameters, "setMarginMode")
        if name == "PORTFOLIO_MARGIN":
            raise _margin_mode_failed(PORTFOLIO_REASON)
        mode = MARGIN_MODES.get(name)
        if mode is None:
            raise Refused(PARAMETERS, "params error: setMarginMode invalid")
        exchange = self._desk.exchange
        others = [
            symbol
            for symbol in self._world.instruments
            if exchange.leverage(account, symbol).margin_mode != mode
        ]
        if not others:
            raise Refused(SAME_MARGIN_MODE, "Cross/isolated margin mode is not modified")
        if self._desk.holds(account) or exchange.order_reports(account, None, True):
            raise _margin_mode_failed(LOCKED_REASON)

        def change(now_ns: int) -> None:
            for symbol in others:
                exchange.set_margin_mode(account, symbol, mode, now_ns)

        self._world.act(change)
        return Answer(result={"reasons": []})

    def trading_stop(self, account: str, parameters: Parameters) -> Answer:
        """Set, move or remove the stop and target of a position; raises Refused."""
        check_category(parameters)
        instrument = self._desk.instrument(required(parameters, "symbol"))
        required(parameters, "positionIdx")
        slot = slot_of(parameters)
        if number(parameters, "trailingStop"):
            raise Refused(PARAMETERS, "params error: trailingStop is not supported on this venue")
        hedged = self._desk.exchange.position_mode(account) == "hedge"
        if hedged != (slot != "net"):
            raise Refused(PARAMETERS, "position idx not match position mode")
        held = [
            one.changed
            for one in self._desk.positions(account, instrument.symbol)
            if one.slot == slot and one.changed.side
        ]
        if not held:
            raise Refused(PARAMETERS, "can not set tp/sl/ts for zero position")
        side, size = held[0].side, held[0].quantity
        stop, target = given_number(parameters, "stopLoss"), given_number(parameters, "takeProfit")
        if stop and self._world.faults.take(
            "stop_refused",
            symbol=instrument.symbol,
            account=account,
            path="/v5/position/trading-stop",
        ):
            raise Refused(STOP_WOULD_TRIGGER, f"expect Falling, but trigger_price[{scaled(stop)}]")
        stop_by = price_source(parameters, "slTriggerBy")
        target_by = price_source(parameters, "tpTriggerBy")
        try:
            if choice(parameters, "tpslMode", "Full", "Partial", default="Full") == "Partial":
                self._add_partial(account, instrument, slot, parameters, size)
            else:
                wanted = _Legs(stop=stop, target=target, stop_by=stop_by, target_by=target_by)
                self._set_full(account, instrument.symbol, slot, wanted)
        except VenueRejected as rejected:
            by = target_by if rejected.reason == rejects.TARGET_WRONG_SIDE else stop_by
            price = self._watched(instrument.symbol, by)
            attempt = Attempt(
                instrument=instrument,
                side=side,
                stop=stop or ZERO,
                target=target or ZERO,
                by=TRIGGER_BY[by],
                base_price=price,
                market_price=price,
            )
            raise refusal(rejected, attempt) from None
        return DONE

    # Inside

    def _change_leverage(
        self, account: str, instrument: Instrument, slot: Slot, leverage: int
    ) -> None:
        symbol = instrument.symbol
        try:
            self._world.act(
                lambda now_ns: self._desk.exchange.set_leverage(
                    account, symbol, leverage, now_ns, slot
                )
            )
        except VenueRejected as rejected:
            raise refusal(rejected, Attempt(instrument=instrument, leverage=leverage)) from None

    def _set_full(self, account: str, symbol: str, slot: Slot, wanted: "_Legs") -> None:
        """Amend stop and target in place; None keeps what there is, 0 removes it."""
        before = self._desk.protection(account, symbol, slot)
        after = before
        if wanted.stop is not None:
            after = msgspec.structs.replace(after, stop=wanted.stop, stop_by=wanted.stop_by)
        if wanted.target is not None:
            after = msgspec.structs.replace(after, target=wanted.target, target_by=wanted.target_by)
        if after == before or not any((after.stop, after.target, before.stop, before.target)):
            raise Refused(SAME_TRADING_STOP, "not modified")
        self._world.act(
            lambda now_ns: self._desk.exchange.set_protection(
                account,
                symbol,
                after.stop,
                after.target,
                after.stop_by,
                now_ns,
                slot,
                target_by=after.target_by,
            )
        )

    def _add_partial(
        self,
        account: str,
        instrument: Instrument,
        slot: Slot,
        parameters: Parameters,
        size: Decimal,
    ) -> None:
        """Add a stop and a target of a part of the position."""
        legs: tuple[tuple[OrderKind, str, str], ...] = (
            ("stop_market", "stopLoss", "sl"),
            ("take_profit_market", "takeProfit", "tp"),
        )
        wanted = [
            (
                kind,
                number(parameters, name),
                number(parameters, f"{leg}Size"),
                number(parameters, f"{leg}LimitPrice"),
                price_source(parameters, f"{leg}TriggerBy"),
            )
            for kind, name, leg in legs
            if number(parameters, name)
        ]
        if not wanted or len({leg[2] for leg in wanted}) > 1:
            raise Refused(PARAMETERS, "params error: tpSize and slSize must be equal")

        exchange, symbol = self._desk.exchange, instrument.symbol

        def add(now_ns: int) -> None:
            """Add both or none."""
            added: list[str] = []
            try:
                for kind, trigger, part, limit, by in wanted:
                    report = exchange.add_protection(
                        account,
                        symbol,
                        kind,
                        trigger,
                        by,
                        part or size,
                        now_ns,
                        slot=slot,
                        price=limit,
                    )
                    added.append(report.update.client_id)
            except VenueRejected:
                for client_id in added:
                    exchange.cancel(account, symbol, client_id, now_ns)
                raise

        self._world.act(add)

    def _watched(self, symbol: str, by: PriceSource) -> Decimal:
        exchange = self._desk.exchange
        return exchange.mark(symbol) if by == "mark" else exchange.last(symbol)


def _leverage(parameters: Parameters, name: str) -> int:
    """Return a whole leverage: the venue publishes a step of 1."""
    required(parameters, name)
    leverage = number(parameters, name)
    if leverage != leverage.to_integral_value():
        raise Refused(PARAMETERS, "leverage invalid")
    return int(leverage)


def _margin_mode_failed(reason: dict[str, str]) -> Refused:
    return Refused(MARGIN_MODE_FAILED, "Set margin mode failed", result={"reasons": [dict(reason)]})
