"""The pass over recordings: what a sample may know, and what it is compared with."""

import numpy as np
import pytest

from hfengine.errors import FeedError
from hfengine.evaluation.sampling import Grid, collect, forward
from hfengine.feeds.replay import Replay
from hfengine.feeds.source import Damage, Recorded
from hfengine.instruments import load_catalogue
from tests.fake_layers import FakeLayers
from tests.recordings import is_diff, lines, nth, write

GRID = Grid(age_max_ns=1_000_000_000, gap_max_ns=10_000_000_000)
CATALOGUE = load_catalogue("binance")


class Events:
    """A feed of given events."""

    def __init__(self, events):
        self._events = events
        self.symbols = ("BTCUSDT",)
        self.start_ns = events[0].at_ns

    def events(self):
        return iter(self._events)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("recording") / "btc.gz", lines(seconds=20.0))
    return list(Replay([path]).events())


def run(events, grid=GRID, layers=None):
    layers = layers or FakeLayers()
    return collect(Events(events), {"BTCUSDT": layers}, CATALOGUE, grid), layers


def test_samples_lie_on_the_grid_and_hold_the_newest_book_not_after_them(frames):
    found, layers = run(frames)
    taken = found.samples[0]
    assert len(taken.at_ns) > 150
    assert set(taken.at_ns % GRID.step_ns) == {0}
    assert set(np.diff(taken.at_ns)) == {GRID.step_ns}
    newest = np.searchsorted(taken.path_ns, taken.at_ns, side="right") - 1
    assert newest.tolist() == taken.place.tolist()
    # the fake forecasts the mid it was shown last
    assert taken.expectation[:, -1].tolist() == taken.mid[newest].tolist()
    assert taken.factors[:, 0].tolist() == taken.mid[newest].tolist()
    assert len(layers.books) == len(taken.path_ns)
    assert len(layers.trades) > 50
    assert found.frames == len(frames)


def test_what_comes_after_a_sample_cannot_change_it(frames):
    whole = run(frames)[0].samples[0]
    half_ns = int(whole.at_ns[len(whole.at_ns) // 2])
    cut = run([frame for frame in frames if frame.at_ns <= half_ns])[0].samples[0]
    count = len(cut.at_ns)
    assert count >= len(whole.at_ns) // 2 - 1
    for name in ("at_ns", "place", "expectation", "confidence", "ready", "factors"):
        assert np.array_equal(getattr(whole, name)[:count], getattr(cut, name)), name
    later = run([*(f for f in frames if f.at_ns <= half_ns), *frames[-200:]])[0].samples[0]
    assert np.array_equal(later.expectation[:count], whole.expectation[:count])


def test_an_event_at_the_very_instant_of_a_sample_belongs_to_it(frames):
    base = run(frames)[0].samples[0]
    # move one book update onto the grid
    place = int(np.searchsorted(base.path_ns, base.at_ns[100]))
    moved_ns = int(base.at_ns[100])
    moved = [
        Recorded(moved_ns, f.symbol, f.payload, f.origin, f.line)
        if moved_ns < f.at_ns <= base.path_ns[place]
        else f
        for f in frames
    ]
    found = run(moved)[0].samples[0]
    assert found.path_ns[found.place[100]] == moved_ns


def test_the_forward_return_ends_at_the_last_update_within_the_horizon(frames):
    taken = run(frames)[0].samples[0]
    outcome = forward(taken, 2_000_000_000)
    assert 100 < len(outcome.kept) < len(taken.at_ns)
    for place, move in zip(outcome.kept[::17], outcome.log_return[::17], strict=True):
        until_ns = taken.at_ns[place] + 2_000_000_000
        ends = taken.mid[taken.path_ns <= until_ns][-1]
        assert move == pytest.approx(np.log(ends / taken.mid[taken.place[place]]))
        assert until_ns <= taken.path_ns[-1]


def test_a_perfect_foresight_is_only_possible_by_leaking(frames):
    # the fake's forecast, the mid of now, moved one horizon into the past is the future itself
    taken = run(frames)[0].samples[0]
    outcome = forward(taken, 1_000_000_000)
    now = np.log(taken.expectation[outcome.kept, -1])
    leaked = np.log(taken.expectation[outcome.kept + 10, -1]) - now
    known = now - np.log(taken.expectation[np.maximum(outcome.kept - 10, 0), -1])
    assert np.corrcoef(leaked, outcome.log_return)[0, 1] > 0.99
    assert abs(np.corrcoef(known, outcome.log_return)[0, 1]) < 0.5


def test_damage_breaks_the_path_until_the_book_is_whole_again(frames):
    middle = len(frames) // 2
    damage = Damage(frames[middle].at_ns, "BTCUSDT", "cut_line", "btc.gz", 7, "cut off")
    found, _ = run([*frames[:middle], damage, *frames[middle:]])
    taken = found.samples[0]
    assert found.faults["cut_line"] == 1
    assert taken.at_ns[-1] <= frames[middle].at_ns
    assert taken.path_ns[-1] <= frames[middle].at_ns


def test_a_lost_diff_is_a_fault_and_ends_the_samples(tmp_path):
    rows = lines(seconds=20.0)
    gone = nth(rows, is_diff, 100)
    path = write(tmp_path / "btc.gz", [*rows[:gone], *rows[gone + 1 :]])
    found, _ = run(list(Replay([path]).events()))
    assert found.faults["gap"] == 1
    assert 50 < len(found.samples[0].at_ns) < 150


def test_no_sample_is_taken_of_an_old_book_and_no_return_across_a_silence(frames):
    middle = len(frames) // 2
    pause_ns = 30_000_000_000
    late = [
        Recorded(f.at_ns + pause_ns, f.symbol, f.payload, f.origin, f.line) for f in frames[middle:]
    ]
    taken = run([*frames[:middle], *late])[0].samples[0]
    steps = np.diff(taken.at_ns)
    assert steps.max() > pause_ns - 2 * GRID.age_max_ns
    assert np.count_nonzero(steps > GRID.step_ns) == 1
    assert set(taken.run) == {0, 1}
    last_ns = frames[middle - 1].at_ns
    outcome = forward(taken, 2_000_000_000)
    assert not np.any((outcome.at_ns <= last_ns) & (outcome.at_ns + 2_000_000_000 > last_ns))


def test_progress_is_told(frames):
    told = []
    collect(Events(frames), {"BTCUSDT": FakeLayers()}, CATALOGUE, GRID, told.append)
    assert told == list(range(2_000, len(frames) + 1, 2_000))
    assert told


def test_a_feed_without_a_whole_book_is_refused(frames):
    without = [f for f in frames if b"lastUpdateId" not in f.payload]
    with pytest.raises(FeedError, match="no book was ever whole in these recordings"):
        run(without)


def test_a_symbol_without_an_instrument_is_refused(frames):
    with pytest.raises(FeedError, match="no NOPE in the binance catalogue"):
        collect(Events(frames), {"NOPE": FakeLayers()}, CATALOGUE, GRID)
