# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""All layers of one symbol behind one call a market event, and what each expects of the horizon."""

from libc.math cimport M_LN2, expm1, fabs, isfinite, log
from libc.stdint cimport int64_t

from hfengine.kernels.bars cimport TrueRange, Volatility
from hfengine.kernels.calculus cimport Calculus
from hfengine.kernels.cross cimport Cross
from hfengine.kernels.drift cimport Drift
from hfengine.kernels.flow cimport Flow
from hfengine.kernels.fusion cimport LAYERS, Fusion
from hfengine.kernels.kalman cimport Kalman
from hfengine.kernels.ou cimport OrnsteinUhlenbeck

NAMES = ("calculus", "kalman", "ou", "flow", "drift", "cross", "fusion")

cdef enum:
    AT_CALCULUS, AT_KALMAN, AT_OU, AT_FLOW, AT_DRIFT, AT_CROSS, AT_FUSION

CALCULUS, KALMAN, OU, FLOW, DRIFT, CROSS, FUSION = range(7)
NO_SIGNAL, ENTRY, REFUSED = range(3)

# A jump makes slopes of any size; no layer is believed to know of more than 10 %.
cdef double MOVE_MAX = 0.1


cdef inline double bounded(double move) noexcept nogil:
    # written so that what is no number expects nothing, instead of spreading
    if not fabs(move) <= MOVE_MAX:
        return MOVE_MAX if move > MOVE_MAX else (-MOVE_MAX if move < -MOVE_MAX else 0.0)
    return move


cdef class Layers:
    def __cinit__(
        self,
        Calculus calculus not None,
        Kalman kalman not None,
        OrnsteinUhlenbeck ou not None,
        Flow flow not None,
        Drift drift_layer not None,
        Fusion fusion not None,
        TrueRange true_range not None,
        Volatility volatility not None,
        double horizon_s,
        double trend_s,
        double flow_move,
    ):
        for name, seconds in (("horizon_s", horizon_s), ("trend_s", trend_s)):
            if not (isfinite(seconds) and seconds > 0.0):
                raise ValueError(f"{name} {seconds} is not a positive number")
        if not 0.0 <= flow_move <= MOVE_MAX:
            raise ValueError(f"flow_move {flow_move} is not in 0..{MOVE_MAX}")
        self.calculus = calculus
        self.kalman = kalman
        self.ou = ou
        self.flow = flow
        self.drift_layer = drift_layer
        self.fusion = fusion
        self.true_range = true_range
        self.volatility = volatility
        self.horizon_s = horizon_s
        self.trend_s = trend_s if trend_s < horizon_s else horizon_s
        self.flow_move = flow_move
        self.cross = None
        self._crosses = []
        self._legs = []
        self._leg = 0
        self.clear()

    cdef void clear(self) noexcept:
        cdef int i
        self._mid = 0.0
        for i in range(LAYERS):
            self._expectations[i] = self._confidences[i] = 0.0

    def pair(self, Cross cross not None, int leg, bint own) -> None:
        """Feed this symbol's mid to a shared Cross as its leg a (+1) or b (-1).

        With own, the Cross also becomes this symbol's layer 6. Raise ValueError for another leg.
        """
        if leg != 1 and leg != -1:
            raise ValueError(f"leg {leg} is not +1 or -1")
        self._crosses.append(cross)
        self._legs.append(leg)
        if own:
            self.cross = cross
            self._leg = leg

    def update_trade(self, int64_t at_ns, double price, double quantity, int side) -> None:
        """Take in one trade: side +1 when the taker bought, -1 when the taker sold.

        Raise ValueError for a price or quantity that is not a positive number, or another side;
        nothing is changed then.
        """
        if (
            not (isfinite(price) and price > 0.0)
            or self.flow.step_trade(at_ns, quantity, side) < 0
        ):
            raise ValueError(
                f"trade of {quantity} at {price}, side {side}, at {at_ns} ns: price must be"
                " positive, quantity in 0..1e18 and not 0, side +1 or -1"
            )
        self.true_range.step(at_ns, price)
        self.drift_layer.step_trade(at_ns, quantity)

    def update_book(
        self, int64_t at_ns, double bid, double bid_quantity, double ask, double ask_quantity
    ) -> bool:
        """Take in the best quote, update every layer and the fusion; return whether ready.

        Raise ValueError for a price that is not a positive number or a quantity outside 0..1e18;
        nothing is changed then.
        """
        return self.step_book(at_ns, bid, bid_quantity, ask, ask_quantity) != 0

    cdef int step_book(
        self, int64_t at_ns, double bid, double bid_quantity, double ask, double ask_quantity
    ) except -1:
        cdef double mid = 0.5 * (bid + ask)
        cdef double log_mid
        cdef Cross cross
        cdef int i
        if not isfinite(mid) or (
            self.flow.step_quote(at_ns, bid, bid_quantity, ask, ask_quantity) < 0
        ):
            raise ValueError(
                f"quote {bid} x {bid_quantity} / {ask} x {ask_quantity} at {at_ns} ns: prices must"
                " be positive and quantities in 0..1e18"
            )
        log_mid = log(mid)
        self._mid = mid
        self.calculus.step_log(at_ns, log_mid)
        self.kalman.step_log(at_ns, log_mid)
        self.ou.step_log(at_ns, log_mid)
        self.drift_layer.step_log(at_ns, log_mid)
        self.volatility.step(at_ns, mid)
        for i in range(len(self._crosses)):
            cross = <Cross>self._crosses[i]
            cross.step_log(&cross._a if <int>self._legs[i] > 0 else &cross._b, at_ns, log_mid)
        self.expect()
        return self.ready_now(AT_FUSION)

    cdef void expect(self) noexcept nogil:
        """Ask every layer what it expects of the horizon, and fuse the answers."""
        cdef bint follows = False
        self._expectations[AT_CALCULUS] = bounded(self.calculus._fitted[1] * self.trend_s)
        self._confidences[AT_CALCULUS] = self.calculus.confidence_now()
        self._expectations[AT_KALMAN] = bounded(self.kalman._slope * self.trend_s)
        self._confidences[AT_KALMAN] = self.kalman.confidence_now()
        self._expectations[AT_OU] = bounded(self.reverting())
        self._confidences[AT_OU] = self.ou.confidence_now()
        self._expectations[AT_FLOW] = self.flow.combined_now() * self.flow_move
        self._confidences[AT_FLOW] = self.flow.confidence_now()
        self._expectations[AT_DRIFT] = bounded(self.drift_layer.value_now())
        self._confidences[AT_DRIFT] = self.drift_layer.confidence_now()
        self._expectations[AT_CROSS] = self._confidences[AT_CROSS] = 0.0
        # Layer 6 speaks to the follower alone: a leader's next move is not in the pair.
        if self._leg != 0 and self.cross._lag * self._leg < 0:
            self._expectations[AT_CROSS] = bounded(self.cross.value_now())
            self._confidences[AT_CROSS] = self.cross.confidence_now()
            follows = self.cross.leader_now() != 0
        self.fusion.fuse(
            self._expectations,
            self._confidences,
            M_LN2 / self.ou._theta if self.ou._theta > 0.0 else self.horizon_s,
            follows,
        )

    cdef double reverting(self) noexcept nogil:
        """Return (mu - x)(1 - exp(-theta horizon)), the Ornstein-Uhlenbeck expectation."""
        if self.ou._theta <= 0.0:
            return 0.0
        return -2.0 * self.ou.value_now() * expm1(-self.ou._theta * self.horizon_s)

    cdef bint ready_now(self, int layer) noexcept nogil:
        if layer == AT_CALCULUS:
            return self.calculus._updates >= self.calculus.warmup and self.calculus._degree >= 1
        if layer == AT_KALMAN:
            return self.kalman._updates >= self.kalman.warmup
        if layer == AT_OU:
            return self.ou._pairs >= self.ou.warmup
        if layer == AT_FLOW:
            return self.flow._updates >= self.flow.warmup
        if layer == AT_DRIFT:
            return self.drift_layer.ready_now()
        if layer == AT_CROSS:
            return self._leg != 0 and self.cross._steps >= self.cross.warmup
        return (
            self._mid > 0.0
            and self.kalman._updates >= self.kalman.warmup
            and self.flow._updates >= self.flow.warmup
        )

    def gate(self) -> int:
        """Judge the fused forecast: 0 no signal, 1 entry, 2 refused.

        After 2, refused_gate, refused_measured and refused_threshold say by which gate.
        """
        return self.fusion.judge()

    def expectation(self, int layer) -> float:
        """Return a layer's expected log return over horizon_s, as of the last book update.

        Raise ValueError for a layer outside CALCULUS..FUSION.
        """
        check_layer(layer)
        return self.fusion._log_return if layer == AT_FUSION else self._expectations[layer]

    def confidence_of(self, int layer) -> float:
        """Return a layer's confidence, 0..1, as of the last book update; 0.0 until it is ready."""
        check_layer(layer)
        return self.fusion._confidence if layer == AT_FUSION else self._confidences[layer]

    def ready_of(self, int layer) -> bool:
        """Return whether a layer has seen enough to speak."""
        check_layer(layer)
        return self.ready_now(layer)

    def reset(self) -> None:
        """Forget all market data, in shared crosses too, and loaded coefficients; as new."""
        cdef Cross cross
        for layer in (
            self.calculus, self.kalman, self.ou, self.flow, self.drift_layer, self.fusion,
            self.true_range, self.volatility,
        ):
            layer.reset()
        for cross in self._crosses:
            cross.clear()
        self.clear()

    @property
    def drift(self) -> float:
        """Return the fused expected return over horizon_s, (forecast - mid) / mid."""
        return self.fusion._drift

    @property
    def confidence(self) -> float:
        """Return the fused confidence, 0..1."""
        return self.fusion._confidence

    @property
    def forecast(self) -> float:
        """Return the forecast price, mid x (1 + drift); 0.0 before the first book update."""
        return self._mid * (1.0 + self.fusion._drift)

    @property
    def mid(self) -> float:
        """Return the last mid price; 0.0 before the first book update."""
        return self._mid

    @property
    def half_life_s(self) -> float:
        """Return how long half of the drift is expected to last, in seconds."""
        return self.fusion._half_life_s

    @property
    def sigma(self) -> float:
        """Return the relative volatility of the mid per root second."""
        return self.volatility.sigma_now()

    @property
    def atr(self) -> float:
        """Return the average true range in price units; infinite until its window is full."""
        if self.true_range._count < self.true_range.bars:
            return float("inf")
        return self.true_range._atr

    @property
    def ready(self) -> bool:
        """Return whether the layers that count updates alone, 2 and 4, are ready."""
        return self.ready_now(AT_FUSION)

    @property
    def refused_gate(self) -> str:
        """Return the name of the gate that refused last, one of fusion.GATES; "" for none."""
        return self.fusion.refused_gate

    @property
    def refused_measured(self) -> float:
        """Return what that gate measured."""
        return self.fusion._measured

    @property
    def refused_threshold(self) -> float:
        """Return what it measured against."""
        return self.fusion._threshold


cdef int check_layer(int layer) except -1:
    if not 0 <= layer <= AT_FUSION:
        raise ValueError(f"layer {layer} is not in 0..{AT_FUSION}")
    return 0
