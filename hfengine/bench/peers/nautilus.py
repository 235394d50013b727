"""nautilus_trader's way of an order: made by its OrderFactory, submitted through its own path.

`Strategy.submit_order` publishes the order and keeps it in the cache, RiskEngine checks it,
ExecutionEngine finds the client, and the clock stops when the client holds the command. What a
real client does then (encode, sign, send) is not in it, and neither is what comes before an order:
frame, book, signal, sizing. The engines are the synchronous ones, without the queues that the live
ones put between them; prices and quantities are made beforehand. All of that favours its side.

Every import of it is made when a desk is opened: it costs seconds and hundreds of MiB.
"""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from hfengine.bench.peers.ccxt_order import BRACKET, PRICE, QUANTITY
from hfengine.bench.rounds import Quantiles, quantiles_of
from hfengine.clock import mono_ns
from hfengine.kernels.histogram import Histogram

PACKAGE = "nautilus_trader"
VENUE = "BYBIT"
WARM_UP = 100
SUBMIT_RATE = "1000000/00:00:01"
"""Its throttle drops orders over 100 a second by default; here it still counts them."""
BALANCE_USDT = 10_000
STOP = f"{BRACKET['stopLoss']['triggerPrice']:.1f}"  # type: ignore[index]
TARGET = f"{BRACKET['takeProfit']['triggerPrice']:.1f}"  # type: ignore[index]


class NautilusUnfit(Exception):
    """The installed nautilus_trader cannot be asked, or did not submit what it was asked to."""


def installed() -> bool:
    """Tell whether nautilus_trader is here, without importing it."""
    return find_spec(PACKAGE) is not None


def named(path: str) -> Any:
    """Return what nautilus_trader calls `module.name`; untyped, for it is rarely installed."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(f"{PACKAGE}.{module}"), name)


class NautilusDesk:
    """A strategy, both engines, a margin account and a client that takes commands and stops there.

    Without `bracket` the order is the engine's: limit, immediate or cancel, with stop and target as
    parameters, as its Bybit client takes them. With it, it is the factory's own bracket: an entry,
    a stop and a target in one list. Raises NautilusUnfit where its parts are not as expected.
    """

    def __init__(self, *, bracket: bool = False) -> None:
        self._bracket = bracket
        try:
            self._open()
            self._checked()
        except (ImportError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise NautilusUnfit(f"{type(error).__name__}: {error}") from error

    def hot(self, count: int) -> Quantiles:
        """Return the time from no order to a submitted one in ns over `count`, back to back.

        Raises NautilusUnfit when one does not arrive.
        """
        took = Histogram()
        client, submit = self._client, self._submit
        expected = client.received
        for number in range(WARM_UP + count):
            if number == WARM_UP:
                took.reset()
            started_ns = mono_ns()
            submit()
            expected += 1
            if client.received != expected:
                raise NautilusUnfit(f"order {number + 1} did not arrive at the client")
            took.record(client.at_ns - started_ns)
            self._end()
        return quantiles_of(took)

    def _open(self) -> None:
        trader = named("model.identifiers.TraderId")("BENCH-001")
        clock = named("common.component.LiveClock")()
        bus = named("common.component.MessageBus")(trader_id=trader, clock=clock)
        cache = named("cache.cache.Cache")()
        shared = {"msgbus": bus, "cache": cache, "clock": clock}
        portfolio = named("portfolio.portfolio.Portfolio")(**shared)
        # both hang on the bus from here on
        execution = named("execution.engine.ExecutionEngine")(**shared)
        rate = named("risk.config.RiskEngineConfig")(max_order_submit_rate=SUBMIT_RATE)
        named("risk.engine.RiskEngine")(portfolio=portfolio, config=rate, **shared)
        self._client = stopping_client(shared)
        execution.register_client(self._client)
        self._instrument = instrument()
        cache.add_instrument(self._instrument)
        self._fund()
        settings = named("trading.config.StrategyConfig")(order_id_tag="001")
        self._strategy = named("trading.strategy.Strategy")(settings)
        self._strategy.register(trader_id=trader, portfolio=portfolio, **shared)
        self._quantity = named("model.objects.Quantity").from_str(f"{QUANTITY:.3f}")
        price = named("model.objects.Price").from_str
        self._price, self._stop, self._target = price(f"{PRICE:.1f}"), price(STOP), price(TARGET)
        self._buy = named("model.enums.OrderSide").BUY
        self._limit = named("model.enums.OrderType").LIMIT
        self._at_once = named("model.enums.TimeInForce").IOC
        self._submit = self._submit_bracket if self._bracket else self._submit_limit

    def _fund(self) -> None:
        usdt = named("model.currencies.USDT")
        money = named("model.objects.Money")
        whole, none = money(BALANCE_USDT, usdt), money(0, usdt)
        self._client._set_account_id(named("model.identifiers.AccountId")(f"{VENUE}-001"))
        self._client.generate_account_state(
            balances=[named("model.objects.AccountBalance")(whole, none, whole)],
            margins=[],
            reported=True,
            ts_event=0,
        )

    def _submit_limit(self) -> None:
        order = self._strategy.order_factory.limit(
            instrument_id=self._instrument.id,
            order_side=self._buy,
            quantity=self._quantity,
            price=self._price,
            time_in_force=self._at_once,
        )
        self._strategy.submit_order(order, params={"stop_loss": STOP, "take_profit": TARGET})

    def _submit_bracket(self) -> None:
        orders = self._strategy.order_factory.bracket(
            instrument_id=self._instrument.id,
            order_side=self._buy,
            quantity=self._quantity,
            entry_order_type=self._limit,
            entry_price=self._price,
            time_in_force=self._at_once,
            sl_trigger_price=self._stop,
            tp_price=self._target,
        )
        self._strategy.submit_order_list(orders)

    def _end(self) -> None:
        """Let the venue refuse what was submitted, so that no order stays open."""
        client = self._client
        for order in self._submitted():
            names = (order.strategy_id, order.instrument_id, order.client_order_id)
            client.generate_order_submitted(*names, 0)
            client.generate_order_rejected(*names, "measured", 0)

    def _submitted(self) -> list[Any]:
        command = self._client.last
        return command.order_list.orders if self._bracket else [command.order]

    def _checked(self) -> None:
        """Submit once; raise NautilusUnfit unless what arrives is the order both sides make."""
        self._submit()
        if self._client.received != 1:
            raise NautilusUnfit("the order did not arrive at the client")
        orders = self._submitted()
        entry = orders[0]
        found = [entry.side, entry.quantity, entry.price, entry.time_in_force]
        wanted = [self._buy, self._quantity, self._price, self._at_once]
        if self._bracket:
            found += [orders[1].trigger_price, orders[2].price]
            wanted += [self._stop, self._target]
        else:
            kept = self._client.last.params
            found += [kept["stop_loss"], kept["take_profit"]]
            wanted += [STOP, TARGET]
        if found != wanted:
            raise NautilusUnfit(f"another order arrived: {found} instead of {wanted}")
        self._end()


def stopping_client(shared: dict[str, Any]) -> Any:
    """Return an execution client that notes the moment a command reaches it and does no more."""
    base: Any = named("execution.client.ExecutionClient")

    class StoppingClient(base):  # type: ignore[misc]
        """Where its path ends here; `at_ns` is when, `last` what arrived."""

        received = 0
        at_ns = 0
        last: Any = None

        def submit_order(self, command: Any) -> None:
            """Note the moment."""
            self.at_ns = mono_ns()
            self.received += 1
            self.last = command

        def submit_order_list(self, command: Any) -> None:
            """Note the moment."""
            self.at_ns = mono_ns()
            self.received += 1
            self.last = command

    return StoppingClient(
        client_id=named("model.identifiers.ClientId")(VENUE),
        venue=named("model.identifiers.Venue")(VENUE),
        oms_type=named("model.enums.OmsType").NETTING,
        account_type=named("model.enums.AccountType").MARGIN,
        base_currency=None,
        **shared,
    )


def instrument() -> Any:
    """Return the perpetual both sides trade, on the same grid."""
    usdt = named("model.currencies.USDT")
    symbol, venue = named("model.identifiers.Symbol"), named("model.identifiers.Venue")
    return named("model.instruments.CryptoPerpetual")(
        instrument_id=named("model.identifiers.InstrumentId")(
            symbol("BTCUSDT-LINEAR"), venue(VENUE)
        ),
        raw_symbol=symbol("BTCUSDT"),
        base_currency=named("model.currencies.BTC"),
        quote_currency=usdt,
        settlement_currency=usdt,
        is_inverse=False,
        price_precision=1,
        size_precision=3,
        price_increment=named("model.objects.Price").from_str("0.1"),
        size_increment=named("model.objects.Quantity").from_str("0.001"),
        ts_event=0,
        ts_init=0,
    )


def nautilus_note() -> str:
    """Return what is to be said about nautilus_trader here."""
    if not installed():
        return f"{PACKAGE}: not installed (its wheels need Python 3.12 or newer)"
    return f"{PACKAGE} {version(PACKAGE)}: from making an order to its execution client"
