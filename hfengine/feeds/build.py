"""The market a profile asks for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hfengine.errors import ConfigError, FeedError
from hfengine.feeds.replay import Replay
from hfengine.feeds.source import Feed
from hfengine.feeds.synthetic import Synthetic
from hfengine.instruments import load_catalogue
from hfengine.settings import Settings

SYNTHETIC_START_NS: Final = 1_723_118_400_000_000_000
"""2024-08-08 12:00 UTC, the day of the recordings the synthetic market is calibrated on. Fixed, so
that the same seed gives the same bytes."""


def build_feed(settings: Settings, recordings: Sequence[Path]) -> Feed:
    """Return the replay of `recordings`, or the profile's synthetic market.

    Raises FeedError for recordings that cannot be read, ConfigError when the profile wants a
    replay and none is named.
    """
    if recordings:
        replay = Replay(recordings)
        if not set(replay.symbols) & set(settings.symbols):
            held, wanted = ", ".join(replay.symbols), ", ".join(settings.symbols)
            raise FeedError(
                f"the recordings hold {held} and the profile trades {wanted}: name a recording of"
                " one of them, or a profile that trades what was recorded"
            )
        return replay
    if settings.venue.feed == "replay":
        problem = 'venue.feed is "replay" but no recording was named: add --replay FILE'
        raise ConfigError([problem])
    catalogue = load_catalogue(settings.venue.catalogue)
    return Synthetic(
        settings.seed,
        SYNTHETIC_START_NS,
        settings.symbols,
        instruments={symbol: catalogue.find(symbol) for symbol in settings.symbols},
    )
