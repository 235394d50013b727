"""What differs from exchange to exchange, as one class per exchange; `LiveVenue` does the rest.

A quirks object turns the exchange's raw rows into our messages and our requests into its calls. It
reaches the exchange only through its `Desk`: paced, timed, with errors classified.
"""

from abc import ABC, abstractmethod
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Literal, NamedTuple, Protocol

from hfengine import settings
from hfengine.clock import Clock
from hfengine.instruments import Instrument
from hfengine.messages import (
    BalanceChanged,
    Fill,
    FundingPaid,
    Message,
    OrderUpdate,
    PositionChanged,
)
from hfengine.requests import LeverageSetting, OrderRequest
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.stages import Stages
from hfengine.runtime.timers import Timers
from hfengine.venues.keys import ApiKeys
from hfengine.venues.link import LinkSettings
from hfengine.venues.market import Dialect as MarketDialect
from hfengine.venues.market import Market
from hfengine.venues.order_entry import Credentials, OrderEntry, Wires

Mode = Literal["paper", "local", "testnet", "demo", "live"]
MarginMode = Literal["isolated", "cross"]

Purpose = Literal["read", "setting", "order", "protect"]
"""What a call is for. `order` and `protect` (stops, cancels, closes) act on the account: a network
error leaves their outcome unknown, and `protect` may use the reserved share of the budgets.
`setting` acts too (leverage, modes); codes that mean "already so" are successes. After `read` a
network error means only that nothing was learnt (VenueUnavailable)."""


class Place(NamedTuple):
    """Where an exchange is: `http` and `ws` are a local venue's bases, '' elsewhere."""

    mode: Mode
    http: str = ""
    ws: str = ""


class Budget(NamedTuple):
    """A rate limit: at most `calls` (or weights) in `period_s`. Headers correct it later."""

    group: str
    calls: int
    period_s: float
    reserves: bool = True
    """Whether a share is kept for protective calls; False where none counts in it."""


class PrivateStream(NamedTuple):
    """One supervised loop: `watch` is awaited again and again; what it returns is ignored.

    Each raw message reaches `Quirks.heard` before ccxt's own handlers.
    """

    name: str
    watch: Callable[[], Awaitable[Any]]


class Desk(Protocol):
    """What the common part of a live venue does for its quirks."""

    exchange: Any
    """The ccxt.pro exchange object; for raw calls use `call`."""
    place: Place
    settings: settings.Venue
    margin_mode: MarginMode
    symbols: Sequence[str]
    clock: Clock
    loop: AbstractEventLoop
    timers: Timers

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """What `read_instruments` gave, for the symbols of the profile; filled by `prepare`."""

    async def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        group: str,
        purpose: Purpose = "read",
        weight: int = 1,
    ) -> Any:
        """Make one raw call by the name of ccxt's implicit method ("privateGetV5PositionList").

        Waits for the budget of `group`. Returns the venue's whole answer, {} where its code means
        "already so". Raises VenueRejected, VenueUnknown or VenueUnavailable; a refused time stamp
        is tried once more with the clock set anew, a refusal for rate once more when the venue
        allows it, always with the very same parameters.
        """

    def now_ms(self) -> int:
        """Return the venue's time as far as known."""

    def tell(self, message: Message) -> None:
        """Tell the engine an account event; fills and funding told before are left out.

        A fill is known by its id, funding by symbol and time.
        """

    def run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something in the background until `close`; venue errors are noted, others told."""

    def private_ready(self) -> None:
        """Say that the private stream is subscribed (again): the account is then read by REST."""

    def reconcile_soon(self, why: str) -> None:
        """Read the account by REST soon; several wishes are one."""

    def restart_streams(self, why: str) -> None:
        """Cut the private connections; they are made again at once."""

    def halt(self, source: str, reason: str) -> None:
        """Stop entries; once per source until `resume`, and again where a person resumed it."""

    def resume(self, source: str) -> None:
        """Allow entries again as far as `source` is concerned."""

    def note(self, what: str, detail: str) -> None:
        """Count something odd under `what`; the newest detail is shown in `health`."""


class Quirks(ABC):
    """One exchange. Everything here is called on the loop's thread.

    Calls raise what `Desk.call` raises. `at_ns` of messages is the venue's time where it tells one.
    """

    ccxt_id: str
    """The name of the ccxt.pro class."""
    budgets: Sequence[Budget] = ()
    pushes_leverage = True
    """Whether the private stream tells every change of a leverage, of flat symbols too; where it
    does not, leverage is read again and again, a few symbols a second."""

    tells_ready = True
    """Whether `heard` learns that the private stream is subscribed."""

    def __init__(self) -> None:
        self.desk: Desk
        """Set before anything else is called, but for `configuration` and `open_feed`."""

    # making the clients

    @abstractmethod
    def configuration(self, place: Place) -> dict[str, Any]:
        """Return the ccxt constructor's arguments: urls and options, without keys."""

    def adjust(self, exchange: Any, place: Place) -> None:  # noqa: B027 - most need none
        """Change a just made exchange object: sandbox or demo switches, error tables."""

    @abstractmethod
    def open_feed(
        self,
        symbols: Sequence[str],
        place: Place,
        *,
        host: ActorHost,
        random: Random,
        stages: Stages,
    ) -> tuple[Market, MarketDialect]:
        """Return the public feed, not yet connected, and what it delivers."""

    def order_entry(
        self,
        _place: Place,
        _credentials: Credentials,
        _wires: Wires,
    ) -> tuple[OrderEntry, str, LinkSettings] | None:
        """Return the session for the venue's trading socket, its URL and link settings.

        None where the venue (in this mode) has none. `instruments` are known by now.
        """
        return None

    def takes(self, request: OrderRequest) -> bool:
        """Tell whether the trading socket takes such an order; others go by REST."""
        return not request.close_position and request.kind in ("limit", "market")

    # start

    @abstractmethod
    async def time_ms(self) -> int:
        """Read the venue's clock."""

    @abstractmethod
    async def read_instruments(self, symbols: Sequence[str] | None) -> dict[str, Instrument]:
        """Read grid, limits, fees and tiers; None is every linear USDT perpetual.

        A symbol the venue does not list is left out.
        """

    @abstractmethod
    async def prepare_account(self) -> None:
        """Check position mode and margin mode; set them if `settings.set_modes`.

        Raises VenueRejected with a sentence when the account cannot be traded as configured.
        """

    # leverage

    @abstractmethod
    async def leverage_of(self, symbol: str) -> LeverageSetting:
        """Read leverage and margin mode; a leverage that is no whole number reads as 0."""

    @abstractmethod
    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """Ask for a leverage."""

    @abstractmethod
    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Ask for a margin mode; "not modified" is a success."""

    # orders by REST

    @abstractmethod
    async def place(self, request: OrderRequest) -> OrderUpdate:
        """Send an order with its stop and target; the venue's acknowledgement."""

    @abstractmethod
    async def order_by_id(self, symbol: str, client_id: str) -> OrderUpdate | None:
        """Look an order up, ended ones too; None when the venue does not know it."""

    @abstractmethod
    async def cancel_all(self, symbol: str) -> int:
        """Cancel every order of a symbol, conditional ones too."""

    @abstractmethod
    async def cancel(self, symbol: str, client_id: str, venue_id: str) -> None:
        """Cancel one open or conditional order; one of the ids may be "".

        VenueRejected "unknown_order" where the venue has no such order (any more).
        """

    @abstractmethod
    async def amend(self, symbol: str, client_id: str, price: Decimal) -> OrderUpdate:
        """Move a resting limit order of ours to another price, keeping its id.

        VenueRejected where it has ended, or "not_supported" where the venue cannot.
        """

    @abstractmethod
    async def protect(self, symbol: str, stop: Decimal, target: Decimal) -> PositionChanged:
        """Move stop and target of the open position, never leaving it uncovered."""

    # the account by REST

    @abstractmethod
    async def positions(self) -> list[PositionChanged]:
        """Read the positions that are not flat, with their cover."""

    @abstractmethod
    async def open_orders(self) -> list[OrderUpdate]:
        """Read the orders that are open, conditional and attached ones too.

        `reduce_only` says whether an order can only take from a position, in either position mode.
        """

    @abstractmethod
    async def balance(self) -> BalanceChanged:
        """Read the account."""

    @abstractmethod
    async def fills_since(self, since_ms: int) -> list[Fill | FundingPaid]:
        """Read executions of every kind, and funding, at or after a time, oldest first."""

    # the private stream

    @abstractmethod
    def streams(self) -> Sequence[PrivateStream]:
        """Return the loops that keep the private stream alive."""

    @abstractmethod
    def heard(self, message: Mapping[str, Any]) -> bool | None:
        """Take one raw message of the private stream: tell what it says, keep nothing of it.

        An acknowledged subscription calls `Desk.private_ready`. True spares ccxt's own handlers
        the message.
        """

    def stop(self) -> None:  # noqa: B027 - most hold nothing
        """End what of its own runs; timers of the desk end by themselves."""

    @staticmethod
    def credentials(keys: ApiKeys) -> dict[str, str]:
        """Return the keys under ccxt's names."""
        named = {"apiKey": keys.key, "secret": keys.secret}
        return named | ({"password": keys.passphrase} if keys.passphrase else {})
