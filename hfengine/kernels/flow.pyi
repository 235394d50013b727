class Flow:
    """Follow who presses at the best quote and who takes, each with a half-life in time.

    Quotes give order-flow imbalance (Cont, Kukanov and Stoikov 2014, eq. 3), trades their signed
    quantities. half_life_s is the decay of every sum, gap_max_s the silence in seconds after which
    the layer starts anew; ready after warmup updates of either kind. Raise ValueError for a
    parameter that is not positive.
    """

    half_life_s: float
    gap_max_s: float
    warmup: int

    def __init__(self, half_life_s: float, gap_max_s: float, warmup: int) -> None: ...
    def update_quote(
        self, at_ns: int, bid: float, bid_quantity: float, ask: float, ask_quantity: float
    ) -> None:
        """Take in the best quote at at_ns; the first after a start is only the reference.

        A time not after the last one counts as the same instant; a step of more than gap_max_s
        either way restarts the layer. Raise ValueError for a price that is not a positive number
        or a quantity outside 0..1e18.
        """

    def update_trade(self, at_ns: int, quantity: float, side: int) -> None:
        """Take in one trade at at_ns: side +1 when the taker bought, -1 when the taker sold.

        Times as in update_quote. Raise ValueError for another side, or a quantity that is not
        positive or above 1e18.
        """

    def reset(self) -> None:
        """Forget every quote and trade; the layer is then bit-identical to a new one."""

    @property
    def ofi(self) -> float:
        """Return the decayed sum of e_n in base quantity, positive when buyers press."""

    @property
    def ofi_normalised(self) -> float:
        """Return the decayed sum of e_n over that of |e_n|, in -1..1; 0.0 where nothing moved."""

    @property
    def trade_imbalance(self) -> float:
        """Return decayed taker buys minus sells over their sum, in -1..1; 0.0 without trades."""

    @property
    def value(self) -> float:
        """Return the combination, in -1..1.

        0.6 k(quotes) ofi_normalised + 0.4 k(trades) trade_imbalance, where k(n) = n / (n + 1) of
        the decayed number of events, so that a ratio nobody renewed fades.
        """

    @property
    def confidence(self) -> float:
        """Return erf(|z| / sqrt 2), in 0..1; 0.0 until ready.

        z joins the two imbalances' sign-test scores sum(x) / sqrt(sum(x^2)), each times its k, with
        the weights of value (Stouffer). Events in a row are not independent, so it ranks flows
        rather than giving their odds.
        """

    @property
    def ready(self) -> bool:
        """Return whether at least warmup updates came since the last start."""

    @property
    def updates(self) -> int:
        """Return how many quotes and trades came since the last start."""
