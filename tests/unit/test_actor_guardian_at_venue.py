"""Guardian inside the whole engine: another client takes stops away and moves them."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from hfengine.config import load
from hfengine.engine import Engine
from hfengine.errors import VenueRejected
from hfengine.feeds.build import build_feed
from hfengine.instruments import Instrument
from hfengine.messages import PositionChanged
from hfengine.summary import Summary
from hfengine.surroundings import Surroundings, paper
from hfengine.venues.simulated_account import ACCOUNT, SimulatedAccount
from tests.invariants import of, records

MEDDLE_EVERY_S = 2.0


class Meddler:
    """Another client of the account: takes the stop away, or moves it away, in turn."""

    def __init__(self, surroundings: Surroundings) -> None:
        venue = surroundings.venue
        assert isinstance(venue, SimulatedAccount)
        self._venue = venue
        self._surroundings = surroundings
        self.taken = self.moved = 0
        self._turns = self._turn()

    def begin(self) -> None:
        self._surroundings.loop.call_later(MEDDLE_EVERY_S, self._act)

    def _turn(self) -> Iterator[bool]:
        while True:
            yield True
            yield False

    def _act(self) -> None:
        self.begin()
        takes = next(self._turns)
        for held in self._venue.exchange.positions(ACCOUNT):
            if not held.stop:
                continue
            instrument = self._surroundings.instruments[held.symbol]
            stop = Decimal(0) if takes else _farther(held, instrument)
            now_ns = self._surroundings.clock.now_ns()
            try:
                self._venue.exchange.set_protection(
                    ACCOUNT, held.symbol, stop, held.target, "mark", now_ns
                )
            except VenueRejected:
                # the mark is beyond it: it is firing
                continue
            self.taken += takes
            self.moved += not takes
            self._venue._send_account_events(now_ns)


def _farther(held: PositionChanged, instrument: Instrument) -> Decimal:
    return held.stop - held.side * 100 * instrument.price_tick


@pytest.fixture(scope="module")
def meddled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Meddler]:
    overrides = {"journal.directory": str(tmp_path_factory.mktemp("journals"))}
    profile = load("paper", environment={}, dotenv=None, overrides=overrides)
    surroundings = paper(profile, build_feed(profile.settings, []))
    meddler = Meddler(surroundings)
    meddler.begin()
    return Engine(profile, surroundings, duration_s=60.0).run(), meddler


def test_every_stop_taken_or_moved_is_put_back(meddled: tuple[Summary, Meddler]) -> None:
    summary, meddler = meddled
    assert meddler.taken >= 5
    assert meddler.moved >= 5
    assert summary.repairs["missing"] == pytest.approx(meddler.taken, abs=1)
    assert summary.repairs["wrong_trigger"] == pytest.approx(meddler.moved, abs=1)
    assert summary.flat
    assert summary.ledger_difference_usdt == 0


def test_cover_is_back_within_a_few_round_trips(meddled: tuple[Summary, Meddler]) -> None:
    summary, meddler = meddled
    assert summary.journal is not None
    gaps = [row["uncovered_ms"] for row in of(records(Path(summary.journal.path)), "CoverGap")]
    # and up to one a symbol at the end: flatten cancels before it closes
    assert meddler.taken - 1 <= len(gaps) <= meddler.taken + 2
    # two ways of at most 2.5 ms each with their jitter, and the notice
    assert 0.0 < max(gaps) < 20.0
    assert summary.uncovered_max_ms == pytest.approx(max(gaps), abs=1.0)


def test_nothing_is_repaired_where_nobody_meddles(tmp_path: Path) -> None:
    overrides = {"journal.directory": str(tmp_path)}
    profile = load("paper", environment={}, dotenv=None, overrides=overrides)
    surroundings = paper(profile, build_feed(profile.settings, []))
    summary = Engine(profile, surroundings, duration_s=60.0).run()
    assert summary.brackets > 0
    assert summary.repairs == {}
    assert summary.uncovered_max_ms == 0.0
