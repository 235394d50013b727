from typing import Final

from hfengine.kernels.bars import TrueRange, Volatility
from hfengine.kernels.calculus import Calculus
from hfengine.kernels.cross import Cross
from hfengine.kernels.drift import Drift
from hfengine.kernels.flow import Flow
from hfengine.kernels.fusion import Fusion
from hfengine.kernels.kalman import Kalman
from hfengine.kernels.ou import OrnsteinUhlenbeck

NAMES: Final[tuple[str, ...]]
CALCULUS: Final[int]
KALMAN: Final[int]
OU: Final[int]
FLOW: Final[int]
DRIFT: Final[int]
CROSS: Final[int]
FUSION: Final[int]
NO_SIGNAL: Final[int]
ENTRY: Final[int]
REFUSED: Final[int]

class Layers:
    """Update all layers of one symbol and fuse them, in one call a market event.

    Every layer gives an expected log return over horizon_s: layers 1 and 2 their slope times
    trend_s (at most the horizon), layer 3 the part of the way back to its mean done by then,
    layer 4 its imbalance times flow_move (log return at full imbalance), layers 5 and 6 their
    value. Raise ValueError for a horizon_s or trend_s that is not positive, or a flow_move that
    is negative.
    """

    horizon_s: float
    trend_s: float
    flow_move: float
    calculus: Calculus
    kalman: Kalman
    ou: OrnsteinUhlenbeck
    flow: Flow
    drift_layer: Drift
    cross: Cross | None
    fusion: Fusion
    true_range: TrueRange
    volatility: Volatility

    def __init__(
        self,
        calculus: Calculus,
        kalman: Kalman,
        ou: OrnsteinUhlenbeck,
        flow: Flow,
        drift_layer: Drift,
        fusion: Fusion,
        true_range: TrueRange,
        volatility: Volatility,
        horizon_s: float,
        trend_s: float,
        flow_move: float,
    ) -> None: ...
    def pair(self, cross: Cross, leg: int, own: bool) -> None:
        """Feed this symbol's mid to a shared Cross as its leg a (+1) or b (-1).

        With own, the Cross also becomes this symbol's layer 6. Raise ValueError for another leg.
        """

    def update_trade(self, at_ns: int, price: float, quantity: float, side: int) -> None:
        """Take in one trade: side +1 when the taker bought, -1 when the taker sold.

        Raise ValueError for a price or quantity that is not a positive number, or another side;
        nothing is changed then.
        """

    def update_book(
        self, at_ns: int, bid: float, bid_quantity: float, ask: float, ask_quantity: float
    ) -> bool:
        """Take in the best quote, update every layer and the fusion; return whether ready.

        Raise ValueError for a price that is not a positive number or a quantity outside 0..1e18;
        nothing is changed then.
        """

    def gate(self) -> int:
        """Judge the fused forecast: 0 no signal, 1 entry, 2 refused.

        After 2, refused_gate, refused_measured and refused_threshold say by which gate.
        """

    def expectation(self, layer: int) -> float:
        """Return a layer's expected log return over horizon_s, as of the last book update.

        Raise ValueError for a layer outside CALCULUS..FUSION.
        """

    def confidence_of(self, layer: int) -> float:
        """Return a layer's confidence, 0..1, as of the last book update; 0.0 until it is ready."""

    def ready_of(self, layer: int) -> bool:
        """Return whether a layer has seen enough to speak."""

    def reset(self) -> None:
        """Forget all market data, in shared crosses too, and loaded coefficients; as new."""

    @property
    def drift(self) -> float:
        """Return the fused expected return over horizon_s, (forecast - mid) / mid."""

    @property
    def confidence(self) -> float:
        """Return the fused confidence, 0..1."""

    @property
    def forecast(self) -> float:
        """Return the forecast price, mid x (1 + drift); 0.0 before the first book update."""

    @property
    def mid(self) -> float:
        """Return the last mid price; 0.0 before the first book update."""

    @property
    def half_life_s(self) -> float:
        """Return how long half of the drift is expected to last, in seconds."""

    @property
    def sigma(self) -> float:
        """Return the relative volatility of the mid per root second."""

    @property
    def atr(self) -> float:
        """Return the average true range in price units; infinite until its window is full."""

    @property
    def ready(self) -> bool:
        """Return whether the layers that count updates alone, 2 and 4, are ready."""

    @property
    def refused_gate(self) -> str:
        """Return the name of the gate that refused last, one of fusion.GATES; "" for none."""

    @property
    def refused_measured(self) -> float:
        """Return what that gate measured."""

    @property
    def refused_threshold(self) -> float:
        """Return what it measured against."""
