# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One conviction out of six forecasts, and the gates it must pass (signal layer 7).

All layers forecast the same thing, the log return over the horizon, so their forecasts are pooled
as a weighted mean (Bates and Granger, "The Combination of Forecasts", Operational Research
Quarterly 20(4), 1969), each with weight x confidence. A layer's sureness is that product:
confidence discounted by how far the layer is a witness of its own. Sureness on one side joins as
independent evidence, 1 - (1 - a)(1 - b)... (Shafer, "A Mathematical Theory of Evidence", 1976,
section 4.2); what stands on the other side is taken off.
"""

from libc.math cimport expm1, fabs, isfinite

GATES = ("drift", "cross", "disagreement", "confidence")

cdef enum:
    GATE_CROSS = 1
    GATE_DISAGREEMENT = 2
    GATE_CONFIDENCE = 3

# From this confidence on layer 3's speed of reversion is believed.
cdef double SURE = 0.95


cdef class Fusion:
    def __cinit__(
        self,
        weights,
        double horizon_s,
        double drift_min,
        double confidence_min,
        double disagreement_max,
    ):
        cdef int i
        if len(weights) != LAYERS:
            raise ValueError(f"{len(weights)} weights instead of {LAYERS}")
        for i in range(LAYERS):
            self._weights[i] = weights[i]
            if not (0.0 <= self._weights[i] <= 1.0):
                raise ValueError(f"weight {weights[i]} of layer {i + 1} is not in 0..1")
        if not (isfinite(horizon_s) and horizon_s > 0.0):
            raise ValueError(f"horizon_s {horizon_s} is not a positive number")
        for name, limit in (
            ("drift_min", drift_min),
            ("confidence_min", confidence_min),
            ("disagreement_max", disagreement_max),
        ):
            if not limit >= 0.0:
                raise ValueError(f"{name} {limit} is negative or no number")
        self.horizon_s = horizon_s
        self.drift_min = drift_min
        self.confidence_min = confidence_min
        self.disagreement_max = disagreement_max
        self.clear()

    cdef void clear(self) noexcept nogil:
        self._fused = self._cross_claims = False
        self._log_return = self._drift = self._cross_move = 0.0
        self._support = self._opposition = self._confidence = 0.0
        self._half_life_s = self.horizon_s
        self._refused = 0
        self._measured = self._threshold = 0.0

    def reset(self) -> None:
        """Forget the last forecast; as new."""
        self.clear()

    def update(
        self, expectations, confidences, double reversion_half_life_s, bint cross_claims
    ) -> None:
        """Fuse six expected log returns with their confidences.

        reversion_half_life_s is layer 3's; cross_claims tells whether layer 6 knows this symbol's
        leader. Raise ValueError for other than six of each, a log return outside -1..1, a
        confidence outside 0..1.
        """
        cdef double[LAYERS] moves
        cdef double[LAYERS] sure
        cdef int i
        if len(expectations) != LAYERS or len(confidences) != LAYERS:
            raise ValueError(f"expectations and confidences must be {LAYERS} each")
        for i in range(LAYERS):
            moves[i] = expectations[i]
            sure[i] = confidences[i]
            if not (-1.0 <= moves[i] <= 1.0 and 0.0 <= sure[i] <= 1.0):
                raise ValueError(
                    f"layer {i + 1}: expectation {moves[i]} or confidence {sure[i]} is out of range"
                )
        self.fuse(moves, sure, reversion_half_life_s, cross_claims)

    cdef void fuse(
        self,
        const double* expectations,
        const double* confidences,
        double reversion_half_life_s,
        bint cross_claims,
    ) noexcept nogil:
        cdef double total = 0.0
        cdef double pooled = 0.0
        cdef double doubt_up = 1.0
        cdef double doubt_down = 1.0
        cdef double sureness
        cdef int i
        for i in range(LAYERS):
            sureness = self._weights[i] * confidences[i]
            total += sureness
            pooled += sureness * expectations[i]
            if expectations[i] > 0.0:
                doubt_up *= 1.0 - sureness
            elif expectations[i] < 0.0:
                doubt_down *= 1.0 - sureness
        self._log_return = pooled / total if total > 0.0 else 0.0
        self._drift = expm1(self._log_return)
        self._support = self._opposition = 0.0
        if self._log_return > 0.0:
            self._support, self._opposition = 1.0 - doubt_up, 1.0 - doubt_down
        elif self._log_return < 0.0:
            self._support, self._opposition = 1.0 - doubt_down, 1.0 - doubt_up
        self._confidence = self._support - self._opposition
        if self._confidence < 0.0:
            self._confidence = 0.0
        self._half_life_s = self.horizon_s
        if (
            confidences[AT_OU] >= SURE
            and expectations[AT_OU] * self._log_return > 0.0
            and reversion_half_life_s < self.horizon_s
        ):
            self._half_life_s = reversion_half_life_s
        self._cross_claims = cross_claims
        self._cross_move = expectations[AT_CROSS]
        self._fused = True

    def gate(self) -> int:
        """Judge: 0 no signal (drift below drift_min), 1 entry, 2 refused by refused_gate."""
        return self.judge()

    cdef int judge(self) noexcept nogil:
        cdef double ahead
        self._refused = 0
        self._measured = self._threshold = 0.0
        if not self._fused or self._drift == 0.0 or not fabs(self._drift) >= self.drift_min:
            return NO_SIGNAL_C
        ahead = self._cross_move if self._drift > 0.0 else -self._cross_move
        if self._cross_claims and self._weights[AT_CROSS] > 0.0 and ahead < 0.0:
            return self.refuse(GATE_CROSS, ahead, 0.0)
        if not self._opposition <= self.disagreement_max:
            return self.refuse(GATE_DISAGREEMENT, self._opposition, self.disagreement_max)
        if not self._confidence >= self.confidence_min:
            return self.refuse(GATE_CONFIDENCE, self._confidence, self.confidence_min)
        return ENTRY_C

    cdef int refuse(self, int gate, double measured, double threshold) noexcept nogil:
        self._refused = gate
        self._measured = measured
        self._threshold = threshold
        return REFUSED_C

    @property
    def weights(self) -> tuple:
        """Return the six weights."""
        return tuple([self._weights[i] for i in range(LAYERS)])

    @property
    def value(self) -> float:
        """Return the fused expected log return over horizon_s."""
        return self._log_return

    @property
    def drift(self) -> float:
        """Return the fused expected return, exp(value) - 1."""
        return self._drift

    @property
    def confidence(self) -> float:
        """Return support less opposition, 0..1."""
        return self._confidence

    @property
    def support(self) -> float:
        """Return the joined sureness of the layers that point where value points, 0..1."""
        return self._support

    @property
    def opposition(self) -> float:
        """Return the joined sureness of the layers that point the other way, 0..1."""
        return self._opposition

    @property
    def direction(self) -> int:
        """Return +1 up, -1 down, 0 for no view."""
        return (self._log_return > 0.0) - (self._log_return < 0.0)

    @property
    def half_life_s(self) -> float:
        """Return how long half of the drift is expected to last, in seconds."""
        return self._half_life_s

    @property
    def ready(self) -> bool:
        """Return whether a forecast was fused since the start."""
        return self._fused

    @property
    def refused_gate(self) -> str:
        """Return the name of the gate that refused last, one of GATES; "" for none."""
        return GATES[self._refused] if self._refused else ""

    @property
    def refused_measured(self) -> float:
        """Return what that gate measured."""
        return self._measured

    @property
    def refused_threshold(self) -> float:
        """Return what it measured against."""
        return self._threshold
