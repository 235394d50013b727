"""The turn of a book tick through the layers in compiled code."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hfengine.kernels.histogram import Histogram
from hfengine.kernels.layers import Layers

FORECAST_DUE: int
ENTERED: int
REFUSED: int
"""What may be due after a tick, in any sum; a signal is either entered or refused."""

E = TypeVar("E")

class Seat:
    """One symbol's layers and, in ns, when they may next tell a forecast, a quality, a signal."""

    forecast_ns: int
    quality_ns: int
    rearm_ns: int

    def __init__(self, layers: Layers) -> None: ...
    @property
    def layers(self) -> Layers: ...
    def entry(self, entry_class: Callable[..., E], number: int, tick: Any) -> E:
        """Return the wish that the layers' state and this tick make, signal `number`.

        The class is called with the number, the tick's symbol, time and venue time (ns), side, bid,
        ask, forecast price, drift, confidence, half-life (s), volatility per root second and atr.
        A venue time beyond 64 bits of nanoseconds becomes the latest or earliest there is.
        """

class SignalTurn:
    """Takes the ticks of many symbols, timing into `took` what ends here.

    A signal that is entered is numbered by `numbers.draw`, made an `entry_class` and told to
    `publish`; its symbol rests for `cooldown_ns`.
    """

    def __init__(
        self,
        seats: Mapping[str, Seat],
        took: Histogram,
        *,
        entry_class: Callable[..., Any],
        numbers: Any,
        cooldown_ns: int,
        publish: Callable[[Any], None],
        tell: Callable[[Any, int], None],
    ) -> None: ...
    def handle(self, tick: Any) -> None:
        """Take a tick and enter what is to be; `tell` hears of anything else due, and what."""

    def enter(self, tick: Any) -> None:
        """Tell the wish that the tick's symbol makes now."""
    def take(self, tick: Any) -> int:
        """Feed a tick to its symbol's layers; return what is due now, 0 for nothing.

        A turn with a forecast due is not timed: the caller does when it is told. Raises KeyError
        for a symbol without a seat, ValueError for a quote that is none.
        """

    @property
    def started_ns(self) -> int:
        """Return the monotonic time at which the newest turn began."""
