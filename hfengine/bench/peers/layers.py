"""Seven layers a book update: the kernels beside numpy, on the same quotes."""

from collections.abc import Sequence
from typing import Any

from hfengine.bench.peers.numpy_layers import LayerParameters, NumpyLayers
from hfengine.bench.rounds import Spread, each_ns, paired
from hfengine.config import Profile
from hfengine.seeds import Seed

START_NS = 1_730_000_000_000_000_000
PAUSE_MAX_NS = 100_000_000
TOLERANCE = 1e-9

Quote = tuple[int, float, float, float, float]


class LayersDisagree(AssertionError):
    """The two sides' filters differ, so they did not do the same work."""


def quotes(seed: Seed, count: int) -> list[Quote]:
    """Return (at_ns, bid, bid quantity, ask, ask quantity) of a one-tick market that walks."""
    rng = seed.stream("bench quotes")
    at_ns, bid_ticks = START_NS, 674_123
    made = []
    for _ in range(count):
        at_ns += rng.randrange(1_000_000, PAUSE_MAX_NS)
        bid_ticks += rng.choice((-1, 0, 0, 1))
        made.append(
            (at_ns, bid_ticks / 10, rng.random() * 9, (bid_ticks + 1) / 10, rng.random() * 9)
        )
    return made


def layers_ratio(profile: Profile, rounds: int, updates: int, seed: Seed) -> Spread:
    """Return numpy's time over the kernels' for one book update through all layers.

    Raises LayersDisagree unless both filters end in the same state.
    """
    # imported here so that the other comparisons do not depend on the actors
    from hfengine.actors.layering import layers_of  # noqa: PLC0415

    settings = profile.settings
    symbol = settings.symbols[0]
    fed = quotes(seed, updates)

    def kernels() -> Any:
        return layers_of(settings.signals, settings.protection, settings.symbols)[symbol]

    def plain() -> NumpyLayers:
        return NumpyLayers(parameters_of(profile))

    check_layers(fed, kernels(), plain())
    return paired(
        lambda: per_update_ns(fed, kernels()), lambda: per_update_ns(fed, plain()), rounds
    )


def parameters_of(profile: Profile) -> LayerParameters:
    """Return the profile's settings as numpy's side takes them."""
    signals = profile.settings.signals
    return LayerParameters(
        process_noise=signals.kalman_process_noise,
        measurement_noise=signals.kalman_measurement_noise,
        gap_max_s=signals.gap_max_s,
        flow_half_life_s=signals.flow_half_life_s,
        trend_s=signals.trend_s,
        horizon_s=signals.horizon_s,
        flow_move=signals.flow_move_bps * 1e-4,
    )


def check_layers(fed: list[Quote], kernels: Any, plain: NumpyLayers) -> None:
    """Feed both sides; raise LayersDisagree unless their filters agree in level and slope."""
    for side in (kernels, plain):
        for quote in fed:
            side.update_book(*quote)
    kalman = kernels.kalman
    for found, expected in ((kalman.level, plain.level), (kalman.slope, plain.slope)):
        if abs(found - expected) > TOLERANCE * abs(expected):
            raise LayersDisagree(f"the filters differ: {found!r} and {expected!r}")


def per_update_ns(fed: list[Quote], side: Any) -> float:
    """Return what one update takes in ns, all back to back."""
    update_book = side.update_book

    def update_all(chunk: Sequence[Quote]) -> None:
        for at_ns, bid, bid_quantity, ask, ask_quantity in chunk:
            update_book(at_ns, bid, bid_quantity, ask, ask_quantity)

    return each_ns(update_all, fed)
