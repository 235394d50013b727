"""One entry's bracket decided in one call, in compiled code."""

from decimal import Decimal
from typing import Any, Final, Protocol, final

from hfengine.kernels.liquidation import RiskTiers

PERCENT: Final[int]
ATR: Final[int]
FORECAST: Final[int]
GATES: Final[tuple[str, ...]]
DETAILS: Final[tuple[str, ...]]

class _Numbers(Protocol):
    def draw(self) -> int: ...

@final
class Bracket:
    """Plan the brackets of one symbol under one profile.

    `rule` is a formula of the liquidation kernel. `stop_share` and `target_share` are fractions of
    price (PERCENT), multiples of the average true range (ATR) or of the forecast move (FORECAST).
    `slippage` is that of one market order as a fraction; `sizing` holds the arguments of `Sizer`
    without its leverage: mode, fraction, fixed margin, share of equity, trade notional, exposure,
    capital, free-margin reserve. Raises ValueError for arguments out of range.
    """

    def __init__(
        self,
        rule: int,
        tiers: RiskTiers,
        tick: float,
        step: float,
        quantity_min: float,
        quantity_max: float,
        notional_min_usdt: float,
        taker_fee: float,
        slippage: float,
        distance: int,
        stop_share: float,
        target_share: float,
        buffer_fraction: float,
        buffer_sigma: float,
        reaction_s: float,
        strict: bool,
        break_even_max: float,
        sizing: tuple[int, float, float, float, float, float, float, float],
    ) -> None: ...
    def prepare(
        self,
        entry_class: type,
        proof_class: type,
        mark_class: type,
        bracket_class: type,
        tick: Decimal,
        step: Decimal,
        exposure_cap_usdt: float,
        chase: float,
    ) -> None:
        """Take what `open` needs: whose fields it reads, and what it makes of the result.

        `bracket_class` takes the fields of an OpenBracket by position. `chase` is how far an
        entry may be moved after the quote, as a fraction of price: part of `slippage`, but paid
        once. Raises TypeError for a class that is no struct with those fields.
        """

    def open(
        self, entry: Any, proof: Any, account: tuple[float, ...], mark: Any, intents: _Numbers
    ) -> tuple[Any, Any] | None:
        """Plan an entry and return its bracket; None where `gate` refused it.

        Beside the bracket stands an empty tuple, or None where `edge_failed` or `rate_failed`
        want a warning. `account` holds equity, wallet, free margin, maintenance and exposure in
        USDT; `mark` may be None. A number is drawn for a bracket only. Raises what `plan` raises,
        ZeroDivisionError for an ask of 0 under a cap, TypeError for messages not prepared for.
        """

    def plan(
        self,
        side: int,
        bid: float,
        ask: float,
        forecast: float,
        drift: float,
        volatility: float,
        atr: float,
        leverage: int,
        cross: bool,
        equity_usdt: float,
        wallet_usdt: float,
        free_margin_usdt: float,
        maintenance_usdt: float,
        exposure_usdt: float,
        funding: float,
    ) -> int:
        """Return 0 for a bracket, else the index of the gate that does not hold in GATES.

        The attributes then hold the result. `volatility` is the standard deviation of relative
        price per root second, `atr` in USDT (inf or 0 for none), `funding` the fraction of
        notional the position would pay while held, `exposure_usdt` the notional open elsewhere.
        The limit price lies one slippage and one tick beyond the touch. Stop and target round
        towards the position; the size never rounds up; the buffer is proved again at the final
        size, in cross margin by the nearer of isolated and cross liquidation price. Raises
        ValueError for a side or a quote that is none.
        """

    @property
    def gate(self) -> int:
        """Return what the last plan returned."""

    @property
    def measured(self) -> float:
        """Return what the gate that refused saw; meaningless after a plan that held."""

    @property
    def threshold(self) -> float:
        """Return what that gate wants."""

    @property
    def quantity_steps(self) -> int: ...
    @property
    def price_ticks(self) -> int: ...
    @property
    def stop_ticks(self) -> int: ...
    @property
    def target_ticks(self) -> int: ...
    @property
    def liquidation(self) -> float:
        """Return the liquidation price of the final size in USDT."""

    @property
    def binding(self) -> int:
        """Return which limit set the size: an index into the sizing kernel's BINDINGS."""

    @property
    def limiting(self) -> int:
        """Return which limit left the size that was then refused; `binding` otherwise."""

    @property
    def edge_failed(self) -> bool: ...
    @property
    def edge(self) -> float:
        """Return the expected move less all costs, as a fraction."""

    @property
    def rate_failed(self) -> bool: ...
    @property
    def break_even(self) -> float:
        """Return the share of wins at which the bracket earns nothing."""
