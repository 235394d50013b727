class Cross:
    """Estimate which of two symbols, a or b, leads, by how much and with what sureness.

    step_ms is the grid's step, lags (1..32) how many steps either way are tried, half_life_s the
    decay of every sum, at least a step. gap_max_s is the silence in seconds, of both symbols or of
    one, after which the layer starts anew; ready after warmup steps of the grid. Raise ValueError
    for a parameter out of its range.
    """

    step_ms: float
    lags: int
    half_life_s: float
    warmup: int
    gap_max_s: float

    def __init__(
        self, step_ms: float, lags: int, half_life_s: float, warmup: int, gap_max_s: float = 10.0
    ) -> None: ...
    def reset(self) -> None:
        """Forget both symbols; the layer is then bit-identical to a new one."""

    def update_a(self, at_ns: int, price: float) -> None:
        """Take in one price of symbol a observed at at_ns.

        A time not after the last one of either symbol counts as that instant; a step of more than
        gap_max_s either way, or a symbol silent for longer, restarts the layer. Raise ValueError
        for a price that is not a positive number.
        """

    def update_b(self, at_ns: int, price: float) -> None:
        """Take in one price of symbol b, as update_a does."""

    def confirms(self, side: int) -> bool:
        """Return whether the leader's last moves take the follower to this side, +1 or -1.

        True when confidence is at least 0.95 and value points there. Raise ValueError for another
        side.
        """

    def correlation_at(self, lag: int) -> float:
        """Return the correlation at a lag in steps, + when a's return is the earlier one.

        Raise ValueError for a lag outside -lags..lags.
        """

    @property
    def lead_lag_ms(self) -> float:
        """Return the lag of the largest correlation in ms, + when a leads; 0.0 before any move."""

    @property
    def leader(self) -> int:
        """Return +1 when a is claimed to lead, -1 for b, 0 while confidence is below 0.95."""

    @property
    def correlation(self) -> float:
        """Return the correlation at lead_lag_ms, in -1..1; 0.0 before any move."""

    @property
    def beta(self) -> float:
        """Return the follower's log return per unit of the leader's, at lead_lag_ms."""

    @property
    def divergence(self) -> float:
        """Return the decayed sum of the follower's log return less beta times the leader's lagged.

        Both sums with half_life_s, beta and lag as they are now.
        """

    @property
    def value(self) -> float:
        """Return the follower's log return still to come from the leader's last moves.

        beta times the leader's move over the last |lead_lag_ms|, the open step included and the
        oldest counted by its share still inside.
        """

    @property
    def confidence(self) -> float:
        """Return (1 - p) ** (2 lags), p the two-sided normal tail of the best lag's score.

        In 0..1; the chance that none of the lags tried would do so by luck (Sidak). 0.0 until
        ready.
        """

    @property
    def ready(self) -> bool:
        """Return whether at least warmup steps of the grid closed since the last start."""

    @property
    def steps(self) -> int:
        """Return how many returns of the grid were taken since the last start."""

    @property
    def updates(self) -> int:
        """Return how many prices of both symbols came since the last start."""
