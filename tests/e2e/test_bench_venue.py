"""The venue measurement in small: processes start, orders are filled, frames arrive. No times."""

import json

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from hfengine.bench.rounds import Quantiles, spread_of
from hfengine.bench.venue import report
from hfengine.bench.venue.kinds import MeasureFailed
from hfengine.bench.venue.load import Asked, measure_load
from hfengine.bench.venue.round_trip import RoundTrip, measure_round_trip
from hfengine.cli.main import app
from hfengine.errors import ConfigError

TINY = Asked(symbols=2, updates_per_s=20, orders_per_s=16.0, seconds=1.0, settle_s=0.0)
TOOK = Quantiles(1000, 2000, 3000, 4000, 5)


@pytest.mark.parametrize("dialect", ["bybit", "binance"])
def test_orders_and_echoes_are_timed_in_rounds(dialect):
    trip = measure_round_trip(dialect, "sleep", rounds=2, samples=6)
    assert trip.venue_ns.count == trip.echo_ns.count == 12
    assert 0 < trip.ratio.min <= trip.ratio.median <= trip.ratio.max
    assert min(trip.venue_ns.p50, trip.echo_ns.p50) > 0


@pytest.mark.parametrize("dialect", ["bybit", "binance"])
def test_two_clients_hear_the_market_and_trade(dialect):
    load = measure_load(dialect, TINY)
    assert len(load.clients) == 2
    assert load.updates_per_s > 0
    for client in load.clients:
        assert client.gaps == client.refused == 0
        assert client.answers == client.orders > 4
        assert client.account_frames > client.orders
        assert client.lag_ns.count > 10
        assert client.frames_per_s > client.book_frames_per_s > 0


@pytest.fixture(scope="module")
def measured():
    return measure_load("bybit", replace(TINY, orders_per_s=0.0, seconds=0.5))


def bench(monkeypatch, load, *options):
    trip = RoundTrip(ratio=spread_of([2.5]), venue_ns=TOOK, echo_ns=TOOK, rounds=1, samples=5)
    monkeypatch.setattr(report, "measure_round_trip", lambda *_: trip)
    monkeypatch.setattr(report, "measure_load", load)
    return CliRunner().invoke(app, ["bench", "--venue", *options])


def test_the_command_prints_one_object(monkeypatch, measured):
    asked = []

    def load(dialect, wanted):
        asked.append((dialect, wanted.seconds))
        return replace(measured, keeps_up=True)

    done = bench(monkeypatch, load, "--json", "--seconds", "3s", "--rounds", "5")
    assert done.exit_code == 0, done.output
    assert asked == [("bybit", 3.0), ("binance", 3.0)]
    said = json.loads(done.stdout)
    assert said["enough_rounds"] is True
    assert said["round_trips"]["binance"]["spin"]["ratio"]["median"] == 2.5
    assert said["loads"]["bybit"]["clients"][0]["refused"] == 0


def test_a_venue_that_falls_behind_is_told_and_ends_with_1(monkeypatch, measured):
    short = replace(measured, keeps_up=False, shortfalls=["half of it was lost"])
    done = bench(monkeypatch, lambda *_: short, "--quick")
    assert done.exit_code == 1
    assert "half of it was lost" in done.stdout.replace("\n", " ")
    assert "too short for any" in done.stdout.replace("\n", " ")
    assert "2.50" in done.stdout


def test_a_measurement_that_breaks_off_ends_with_1_and_its_last_words(monkeypatch):
    def load(*_):
        raise MeasureFailed("the venue: out of memory")

    done = bench(monkeypatch, load)
    assert done.exit_code == 1
    assert "the venue: out of memory" in done.stderr


def test_options_of_other_measurements_are_refused():
    done = CliRunner().invoke(app, ["bench", "--venue", "--peers"])
    assert isinstance(done.exception, ConfigError)
    assert "--venue goes with" in str(done.exception)
