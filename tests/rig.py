"""A bench for single actors: a host on virtual time, a scripted venue, everything published."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.clock import VirtualClock
from hfengine.errors import VenueRejected
from hfengine.instruments import load_catalogue
from hfengine.messages import (
    BalanceChanged,
    Fill,
    Message,
    OpenBracket,
    OrderUpdate,
    PositionChanged,
    Report,
)
from hfengine.oversight import Keep
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Settings
from hfengine.symbols import plain_symbol
from hfengine.topology import HEARERS

T0_NS = 1_700_000_000_000_000_000
M = TypeVar("M", bound=Message)


class ScriptedVenue:
    """Answers from what a test puts into it; an exception put there is raised instead."""

    def __init__(self) -> None:
        self.placed: list[OrderRequest] = []
        self.answers: list[OrderUpdate | Exception | Callable[[OrderRequest], OrderUpdate]] = []
        self.known: dict[str, OrderUpdate] = {}
        self.queries: list[str] = []
        self.settings: dict[str, LeverageSetting] = {}
        self.leverage_refusal: str | None = None
        self.ignores_leverage = False
        self.position_list: list[list[PositionChanged]] = []
        self.snapshots: list[bytes | Exception] = []
        self.cancelled: list[str] = []
        self.fill_list: list[Fill] = []
        self.protections: list[tuple[str, Decimal, Decimal]] = []
        self.withdrawn: list[tuple[str, str, str]] = []
        self.amended: list[tuple[str, str, Decimal]] = []
        self.order_list: list[OrderUpdate] = []

    def connect(self, market: Any, account: Any, ended: Any = None) -> None:
        pass

    async def snapshot(self, symbol: str) -> bytes:
        answer = self.snapshots.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        if self.leverage_refusal:
            raise VenueRejected(self.leverage_refusal)
        if not self.ignores_leverage:
            mode = self.settings[symbol].margin_mode
            self.settings[symbol] = LeverageSetting(symbol, leverage, mode)

    async def set_margin_mode(self, symbol: str, mode: Any) -> None:
        self.settings[symbol] = LeverageSetting(symbol, self.settings[symbol].leverage, mode)

    async def leverage_of(self, symbol: str) -> LeverageSetting:
        return self.settings.setdefault(symbol, LeverageSetting(symbol, 20, "cross"))

    async def place(self, request: OrderRequest) -> OrderUpdate:
        self.placed.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        self.queries.append(client_id)
        return self.known.get(client_id)

    async def cancel_all(self, symbol: str) -> int:
        self.cancelled.append(symbol)
        return 0

    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        self.withdrawn.append((symbol, client_id, venue_id))

    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        self.amended.append((symbol, client_id, price))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, OrderUpdate)
        return answer

    async def open_orders(self) -> list[OrderUpdate]:
        return list(self.order_list)

    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        self.protections.append((symbol, stop, target))
        return position(symbol, stop=stop, target=target)

    async def positions(self) -> list[PositionChanged]:
        return self.position_list.pop(0) if self.position_list else []

    async def balance(self) -> BalanceChanged:
        return balance()

    async def fills(self) -> list[Fill]:
        return list(self.fill_list)


class Rig:
    """One host, one scripted venue, any actors; `heard` is everything published, in order."""

    def __init__(self, settings: Settings | None = None, *, journal_ok: bool = True) -> None:
        self.settings = settings or Settings()
        self.clock = VirtualClock(T0_NS)
        self.loop = VirtualLoop(self.clock)
        self.host = ActorHost(self.loop, self.clock)
        self.venue = ScriptedVenue()
        self.heard: list[Message] = []
        self.journal_ok = journal_ok
        catalogue = load_catalogue(self.settings.venue.catalogue)
        self.wiring = Wiring(
            settings=self.settings,
            instruments={
                symbol: replace(catalogue.find(plain_symbol(symbol)), symbol=symbol)
                for symbol in self.settings.symbols
            },
            venue=self.venue,
            stages=Stages(),
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds("test"),
            journal_ok=lambda: self.journal_ok,
            tally=Tally(),
            pause=self.pause,
            day=DayResult(),
            heard_fills=set(),
        )
        for message_class in HEARERS:
            self.host.routes.wire(message_class)
        self.host.routes.tap(self.heard.append)
        self.host.routes.tap(self._recall)

    def _recall(self, message: Message) -> None:
        if isinstance(message, Keep):
            self.wiring.recalled[message.key] = message.body

    def start(self, actor: type[WiredActor]) -> Any:
        ref = actor.start(self.wiring)
        self.run()
        return ref

    def run(self, seconds: float = 0.0) -> None:
        """Let engine time pass."""

        self.loop.run_until_complete(self.pause(seconds))

    async def pause(self, seconds: float) -> None:
        woken = self.loop.create_future()
        self.loop.call_later(seconds, woken.set_result, None)
        await woken

    def tell(self, ref: Any, *messages: Message) -> None:
        for message in messages:
            ref.tell(message)
        self.run(0.001)

    def all(self, message_class: type[M]) -> list[M]:
        return [m for m in self.heard if type(m) is message_class]

    def one(self, message_class: type[M]) -> M:
        (message,) = self.all(message_class)
        return message

    def report(self, ref: Any) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            reply: dict[str, Any] = await ref.ask(Report(), block=False)
            return reply

        return self.loop.run_until_complete(ask())

    def close(self) -> None:
        self.loop.run_until_complete(self.host.shutdown())
        self.loop.close()


def balance(
    equity: str = "10000", free: str | None = None, maintenance: str = "0"
) -> BalanceChanged:
    free_margin = Decimal(free if free is not None else equity)
    return BalanceChanged(
        T0_NS, Decimal(equity), Decimal(equity), free_margin, Decimal(maintenance)
    )


def position(
    symbol: str = "BTCUSDT",
    *,
    side: int = 1,
    quantity: str = "0.010",
    entry: str = "60000",
    liquidation: str = "59040",
    stop: Decimal = Decimal("59760"),
    target: Decimal = Decimal("60360"),
    covered: str | None = None,
    at_ns: int = T0_NS,
) -> PositionChanged:
    held = Decimal(quantity)
    return PositionChanged(
        symbol,
        at_ns,
        side,
        held,
        Decimal(entry),
        50,
        "isolated",
        held * Decimal(entry) / 50,
        Decimal(liquidation),
        stop,
        target,
        held if covered is None else Decimal(covered),
    )


def order(
    client_id: str,
    state: Any = "filled",
    *,
    symbol: str = "BTCUSDT",
    side: int = 1,
    quantity: str = "0.010",
    filled: str | None = None,
    reason: str = "",
) -> OrderUpdate:
    return OrderUpdate(
        client_id,
        f"venue-{client_id}",
        symbol,
        T0_NS,
        "limit",
        side,
        Decimal(quantity),
        Decimal(quantity if filled is None else filled),
        Decimal(60000),
        Decimal(0),
        reduce_only=False,
        state=state,
        reason=reason,
    )


def fill(
    client_id: str,
    number: int = 1,
    *,
    symbol: str = "BTCUSDT",
    side: int = 1,
    quantity: str = "0.010",
    price: str = "60000",
    cause: Any = "order",
    realised: str = "0",
    at_ns: int = T0_NS,
) -> Fill:
    return Fill(
        f"f{number}",
        client_id,
        symbol,
        at_ns,
        side,
        Decimal(quantity),
        Decimal(price),
        Decimal("0.3"),
        Decimal(realised),
        maker=False,
        cause=cause,
    )


def bracket(intent: int = 1) -> OpenBracket:
    return OpenBracket(
        intent,
        7,
        "BTCUSDT",
        T0_NS,
        T0_NS,
        1,
        Decimal("0.010"),
        Decimal(60010),
        Decimal(59760),
        Decimal(60360),
        50,
        59040.0,
        T0_NS,
        0.002,
        0.9,
        60.0,
        "mode",
    )
