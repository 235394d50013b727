"""A recorded session run again: identical, or the first record that is not."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hfengine.actors.execution import Execution
from hfengine.actors.guardian import Guardian
from hfengine.actors.market_data import MarketData
from hfengine.actors.risk import Risk
from hfengine.actors.signals import Signals
from hfengine.config import load
from hfengine.engine import Engine
from hfengine.errors import ConfigError
from hfengine.feeds.build import build_feed
from hfengine.heard import Ended, Fired, Published, Session, Told, Turn
from hfengine.journal import Journal, manifest
from hfengine.journal.reader import Scan
from hfengine.messages import Entry, FundingPaid, Halt, Refusal, Resume, Start, TradeTick
from hfengine.replay.again import changed, run_again
from hfengine.replay.errors import NotReplayable
from hfengine.replay.records import decoder
from hfengine.requests import OrderRequest
from hfengine.surroundings import paper
from hfengine.venues.sim import SimVenue
from tests.reference.segment import records, reframed
from tests.replay_desk import recorded

SECONDS = 20.0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the journal of a paper session with entries and fills, made once."""
    path, summary = recorded(tmp_path_factory.mktemp("journals"), duration_s=SECONDS)
    assert summary.fills >= 2
    return path


def of(path: Path, kind: type) -> list[Any]:
    decode = decoder().decode
    return [m for m in (decode(frame.payload) for frame in Scan(path).frames()) if type(m) is kind]


def copied(path: Path, place: Path) -> Path:
    place.mkdir()
    for file in path.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def test_a_session_run_again_is_identical(session: Path) -> None:
    found = run_again(session)
    assert found.difference is None
    assert found.identical
    assert found.whole
    assert found.by_type["OpenBracket"] >= 1
    assert found.by_type["Fill"] >= 2
    assert found.outputs == sum(found.by_type.values())
    assert {len(of(session, kind)) > 0 for kind in (Session, Ended, Fired, Published)} == {True}


def test_every_record_is_an_input_or_a_compared_output(session: Path) -> None:
    found = run_again(session)
    frames = manifest.load(session).records
    assert frames is not None
    first = of(session, Session)[0]
    published = len(of(session, Published))
    ahead = 1 + first.instruments + first.recalled
    # a Turn counts for the market messages it introduces, a Published for its message
    extra = sum(turn.inputs for turn in of(session, Turn))
    assert ahead + found.inputs + published + extra + found.outputs == frames


def test_a_recorded_run_trades_like_an_unrecorded_one(tmp_path: Path) -> None:
    _, with_record = recorded(tmp_path / "a", duration_s=SECONDS)
    profile = load("paper", environment={}, overrides={"journal.enabled": False})
    feed = build_feed(profile.settings, [])
    without = Engine(profile, paper(profile, feed), duration_s=SECONDS).run()
    assert (with_record.fills, with_record.signals) == (without.fills, without.signals)
    assert with_record.wallet_usdt == without.wallet_usdt


def test_the_same_session_twice_is_the_same_record(tmp_path: Path, session: Path) -> None:
    again, _ = recorded(tmp_path, duration_s=SECONDS)
    first, second = manifest.load(session), manifest.load(again)
    assert (first.records, first.hash) == (second.records, second.hash)


@pytest.mark.parametrize(
    ("actor", "method", "calls"),
    [
        (Signals, "on_book", 900),
        (Risk, "on_mark", 20),
        (Execution, "on_fill", 1),
        (Guardian, "on_timer", 30),
        (MarketData, "on_frame", 1_500),
    ],
)
def test_a_session_with_a_death_and_a_restart_is_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: type, method: str, calls: int
) -> None:
    original = getattr(actor, method)
    made: list[int] = []

    def failing(self: Any, message: Any) -> Any:
        made.append(1)
        if len(made) == calls:
            raise ValueError(method)
        return original(self, message)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(actor, method, failing)
        path, summary = recorded(tmp_path, duration_s=SECONDS)
    assert summary.actor_deaths == 1
    assert len(made) > calls
    found = run_again(path)
    assert found.difference is None
    assert found.by_type["Forecast"] > 0


def test_a_session_halted_resumed_and_told_things_is_identical(tmp_path: Path) -> None:
    def before(engine: Engine) -> None:
        loop, clock = engine.loop, engine.clock
        loop.call_later(3.0, lambda: engine.publish(Halt(clock.now_ns(), "operator", "lunch")))
        loop.call_later(9.0, lambda: engine.publish(Resume(clock.now_ns(), "operator")))
        loop.call_later(12.0, lambda: engine.publish(Start(clock.now_ns(), again=True)))

    path, _ = recorded(tmp_path, duration_s=SECONDS, before=before)
    assert len(of(path, Halt)) >= 1
    found = run_again(path)
    assert found.difference is None


def test_a_session_on_a_wall_clock_is_identical(tmp_path: Path) -> None:
    path, summary = recorded(tmp_path, duration_s=SECONDS, walks=True)
    assert summary.fills >= 2
    assert len(of(path, Turn)) > 0
    found = run_again(path)
    assert found.difference is None
    assert found.by_type["OpenBracket"] >= 1


@pytest.mark.parametrize("batched", [False, True])
def test_what_a_venue_tells_inside_a_request_or_a_batch_is_identical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batched: bool
) -> None:
    original = SimVenue.place
    paid = Decimal("0.5")

    def place(self: Any, request: OrderRequest) -> Any:
        at_ns = self._clock.now_ns()
        funding = [FundingPaid(request.symbol, at_ns, paid, paid + n) for n in range(2)]

        def tell() -> None:
            with engines[-1]._host.batch():
                for one in funding:
                    self._account(one)

        if batched:
            self._loop.call_soon(tell)
        else:
            self._account(funding[0])
        return original(self, request)

    engines: list[Engine] = []
    with monkeypatch.context() as patch:
        patch.setattr(SimVenue, "place", place)
        path, _ = recorded(tmp_path, duration_s=SECONDS, before=engines.append)
    told = [one.how for one in of(path, Told)]
    assert ("batch" if batched else "handler") in told
    found = run_again(path)
    assert found.difference is None
    assert found.by_type["FundingPaid"] >= 2


def test_a_changed_constant_is_the_first_differing_message(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_again(
        session, lambda settings: changed(settings, {"risk.spread_max_bps": "0.0001"})
    )
    difference = found.difference
    assert difference is not None
    assert type(difference.recorded).__name__ == "OpenBracket"
    assert type(difference.replayed).__name__ == "Refusal"
    assert difference.replayed.gate == "spread_bps"
    bracket = decoder().decode(
        next(f.payload for f in Scan(session).frames() if f.sequence == difference.sequence)
    )
    assert bracket == difference.recorded


def test_changed_code_is_the_first_differing_message(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfengine.actors.signals.REARM_REFUSED_NS", 1)
    difference = run_again(session).difference
    assert difference is not None
    assert type(difference.replayed).__name__ in ("Refusal", "Entry")


def test_what_is_not_published_any_more_is_the_first_difference(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_self: Risk, _entry: Entry) -> None: ...

    silent._handled_classes = (Entry,)  # type: ignore[attr-defined]
    monkeypatch.setattr(Risk, "on_entry", silent)
    difference = run_again(session).difference
    assert difference is not None
    assert type(difference.recorded).__name__ in ("OpenBracket", "Refusal")
    assert difference.replayed is None
    first = next(f for f in Scan(session).frames() if b"\xa5Entry" in f.payload[:20])
    assert difference.sequence == first.sequence + 1


def test_what_is_published_besides_is_the_first_difference(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Signals.on_trade

    def talking(self: Signals, tick: TradeTick) -> None:
        self.publish(Refusal(0, tick.symbol, tick.at_ns, "extra", 0.0, 0.0))
        original(self, tick)

    talking._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    monkeypatch.setattr(Signals, "on_trade", talking)
    difference = run_again(session).difference
    assert difference is not None
    assert difference.recorded is None
    assert difference.replayed.gate == "extra"


def test_a_flipped_byte_is_located(session: Path, tmp_path: Path) -> None:
    place = copied(session, tmp_path / "flipped")
    segment = sorted(place.glob("*.journal"))[0]
    record = records(segment)[499]
    content = bytearray(segment.read_bytes())
    content[record.offset + len(record.payload)] ^= 1
    segment.write_bytes(content)
    found = run_again(place)
    assert not found.identical
    assert found.difference is not None
    assert found.difference.sequence == 500
    assert "damaged" in found.difference.note


def test_an_edited_output_is_located(session: Path, tmp_path: Path) -> None:
    place = copied(session, tmp_path / "edited")
    segment = sorted(place.glob("*.journal"))[0]
    rows = records(segment)
    at = next(i for i, row in enumerate(rows) if b"Forecast" in row.payload[:20])
    payload = bytearray(rows[at].payload)
    payload[-1] ^= 1
    segment.write_bytes(reframed(segment, at, bytes(payload), mend_later=False))
    found = run_again(place)
    assert found.difference is not None
    assert found.difference.sequence == at + 1


def test_a_session_without_ticks_says_that_it_cannot_be_run_again(tmp_path: Path) -> None:
    path, _ = recorded(tmp_path, duration_s=2.0, overrides={"journal.market_data": "none"})
    with pytest.raises(NotReplayable, match="market_data"):
        run_again(path)


def test_an_older_journal_says_that_it_cannot_be_run_again(tmp_path: Path) -> None:
    journal = Journal.create(
        tmp_path, session="old", config_hash="", version="0", started_ns=1, on_fault=print
    )
    journal.append(Start(1))
    journal.close()
    with pytest.raises(NotReplayable, match="how the session began"):
        run_again(journal.path)


def test_a_cut_session_is_identical_as_far_as_it_goes(session: Path, tmp_path: Path) -> None:
    place = copied(session, tmp_path / "cut")
    segment = sorted(place.glob("*.journal"))[0]
    page = manifest.load(place)
    page.state, page.records, page.hash = "running", None, None
    page.segments[0].size_bytes = None
    manifest.save(place, page)
    segment.write_bytes(segment.read_bytes()[:-5_000])
    found = run_again(place)
    assert found.identical
    assert not found.whole


@pytest.mark.parametrize(
    ("key", "text"), [("risk.nothing", "1"), ("risk", "1"), ("risk.spread_max_bps", "wide")]
)
def test_a_change_that_makes_no_sense_is_refused(key: str, text: str) -> None:
    settings = load("paper", environment={}).settings
    with pytest.raises(ConfigError):
        changed(settings, {key: text})


def test_a_change_is_read_as_the_keys_type() -> None:
    settings = load("paper", environment={}).settings
    other = changed(settings, {"sizing.positions_max": "7", "leverage.auto_set": "false"})
    assert other.sizing.positions_max == 7
    assert other.leverage.auto_set is False
