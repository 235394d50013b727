"""The market a profile asks for: its own catalogue's grid, its recordings, or a named problem."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from hfengine.errors import ConfigError
from hfengine.feeds.build import build_feed
from hfengine.feeds.replay import Replay
from hfengine.feeds.source import Recorded
from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec
from hfengine.settings import Settings, Venue
from tests.recordings import lines, write


@pytest.mark.parametrize(("catalogue", "step"), [("binance", "0.001"), ("bybit", "0.01")])
def test_the_synthetic_market_trades_on_its_catalogues_grid(catalogue: str, step: str) -> None:
    settings = Settings(symbols=("ETHUSDT",), venue=Venue(catalogue=catalogue))  # type: ignore[arg-type]
    codec = BinanceCodec("ETHUSDT", Book("0.01", step))
    for number, frame in enumerate(build_feed(settings, []).events()):
        assert isinstance(frame, Recorded)
        assert codec.decode(frame.payload) >= 0, codec.fault_detail
        if number > 2000:
            break
    assert codec.synced


def test_the_seed_of_the_profile_is_the_markets() -> None:
    def head(seed: int) -> list[bytes]:
        feed = build_feed(replace(Settings(), seed=seed), [])
        return [frame.payload for frame, _ in zip(feed.events(), range(50), strict=False)]  # type: ignore[union-attr]

    assert head(1) == head(1)
    assert head(1) != head(2)


def test_recordings_win_and_a_replay_without_one_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "btcusdt.gz", lines(seconds=2.0))
    assert isinstance(build_feed(Settings(), [path]), Replay)
    with pytest.raises(ConfigError, match="add --replay FILE"):
        build_feed(Settings(venue=Venue(feed="replay")), [])
