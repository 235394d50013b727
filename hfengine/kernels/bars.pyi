class TrueRange:
    """Average true range in price units over bars bars of bar_s seconds, built from trades.

    Wilder's recursion, atr += (tr - atr) / bars ("New Concepts in Technical Trading Systems",
    1978); bars lie on the clock, one without trades adds none. Raise ValueError for a bar_s or
    bars that is not positive.
    """

    bar_s: float
    bars: int

    def __init__(self, bar_s: float, bars: int) -> None: ...
    def update(self, at_ns: int, price: float) -> None:
        """Take one trade price; raise ValueError when it is not a positive number."""

    def reset(self) -> None:
        """Forget every bar; as new."""

    @property
    def atr(self) -> float:
        """Return the average true range in price units; 0.0 before the first bar closed."""

    @property
    def count(self) -> int:
        """Return how many bars closed."""

    @property
    def ready(self) -> bool:
        """Return whether a full window of bars has closed."""

class Volatility:
    """Exponentially weighted standard deviation of the mid's return per square root of a second.

    half_life_s is the decay of the weights. Raise ValueError when it is not positive.
    """

    half_life_s: float

    def __init__(self, half_life_s: float = 60.0) -> None: ...
    def update(self, at_ns: int, mid: float) -> None:
        """Take a mid price; sampled at most four times a second against bid-ask bounce.

        Raise ValueError when it is not a positive number.
        """

    def reset(self) -> None:
        """Forget every sample; as new."""

    @property
    def sigma(self) -> float:
        """Return the relative standard deviation per root second; 0.0 before two samples."""
