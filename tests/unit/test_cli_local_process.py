"""Local venues as child processes: waited for, ended, also when they or their parent fail."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from hfengine.cli import local_process
from hfengine.cli.local_process import local_venue, local_venues, venue_options
from hfengine.errors import ConfigError, VenueUnavailable
from hfengine.settings import Settings, Venue

READY = 'print(\'{"ready": true, "http": "http://127.0.0.1:5/", "pid": 1}\', flush=True)\n'
WAIT = "import time\nwhile True: time.sleep(0.05)\n"


@pytest.fixture
def child(tmp_path, monkeypatch):
    """Return a function: source of a module that stands for `hfengine venue`."""

    def become(source: str) -> None:
        keep = f"import os, sys\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        keep += f"open({str(tmp_path / 'argv')!r}, 'w').write(' '.join(sys.argv[1:]))\n"
        (tmp_path / "stand_in_venue.py").write_text(keep + source)
        monkeypatch.setattr(local_process, "CHILD", "stand_in_venue")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return become


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ended_within(pid: int, limit_s: float = 5.0) -> bool:
    turns = int(limit_s / 0.02)
    while alive(pid) and turns:
        time.sleep(0.02)
        turns -= 1
    return not alive(pid)


def pid_of(tmp_path) -> int:
    return int((tmp_path / "pid").read_text())


def test_a_venue_is_waited_for_and_ended(child, tmp_path):
    child(READY + WAIT)
    with local_venue(["--dialect", "bybit"]) as url:
        assert url == "http://127.0.0.1:5"
        assert alive(pid_of(tmp_path))
        words = (tmp_path / "argv").read_text().split()
        assert words == [str(os.getpid()), "venue", "--dialect", "bybit"]
        assert os.getsid(pid_of(tmp_path)) == pid_of(tmp_path) != os.getsid(0)
    assert not alive(pid_of(tmp_path))


def test_a_venue_ends_also_after_an_error(child, tmp_path):
    child(READY + WAIT)
    with pytest.raises(KeyError), local_venue([]):
        raise KeyError
    assert not alive(pid_of(tmp_path))


def test_a_venue_that_does_not_listen_is_killed(child, tmp_path, monkeypatch):
    monkeypatch.setattr(local_process, "END_MAX_S", 0.1)
    child("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + READY + WAIT)
    with local_venue([]):
        pass
    assert not alive(pid_of(tmp_path))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sys.exit('hfengine: no such feed')", "did not start: hfengine: no such feed"),
        ("pass", "did not start: it said nothing"),
        ("print('{}', flush=True)\n" + WAIT, "did not say where it serves"),
        ("print('what', flush=True)\n" + WAIT, "did not say where it serves"),
    ],
)
def test_a_venue_that_does_not_come_up_is_told_with_its_last_words(child, tmp_path, source, said):
    child(source)
    with pytest.raises(VenueUnavailable) as caught, local_venue([]):
        pass
    assert said in str(caught.value)
    assert not alive(pid_of(tmp_path))


def test_a_venue_that_stays_silent_is_given_up(child, tmp_path, monkeypatch):
    monkeypatch.setattr(local_process, "READY_MAX_S", 0.5)
    child(WAIT)
    with pytest.raises(VenueUnavailable), local_venue([]):
        pass
    assert not alive(pid_of(tmp_path))


def test_only_local_venues_without_an_address_are_started(child, tmp_path):
    child(READY + WAIT)
    both = Venue(name="bybit", also=("binance",), url="bybit=http://h:1/")
    settings = Settings(mode="local", venue=both)
    with local_venues(settings, feed="still") as urls:
        assert urls == {"bybit": "http://h:1", "binance": "http://127.0.0.1:5"}
    words = (tmp_path / "argv").read_text()
    assert "--dialect binance --port 0" in words
    with local_venues(Settings()) as none:
        assert none == {}
    with local_venues(Settings(mode="demo", venue=Venue(name="bybit"))) as none:
        assert none == {}


def options_of(chosen: str = "", symbols: tuple[str, ...] = ("BTCUSDT",), **venue) -> str:
    made = Venue(name="bybit", catalogue="bybit", **venue)
    settings = Settings(mode="local", seed=7, symbols=symbols, venue=made)
    return " ".join(venue_options(settings, "bybit", chosen))


def test_a_venue_is_started_as_the_profile_says():
    assert options_of(wallet_usdt=250.5) == (
        "--dialect bybit --port 0 --seed 7 --wallet-usdt 250.50000000 --feed synthetic "
        "--symbols BTCUSDT --json"
    )
    assert "--feed live:bybit " in options_of(feed="live")
    assert "--feed live:binance " in options_of("live:binance")
    assert "--feed replay:a.gz " in options_of("replay:a.gz", feed="replay")


def test_a_venue_that_stands_still_serves_every_symbol_and_those_it_must_invent():
    symbols = ("BTCUSDT", "X003USDT", "X120USDT", "XRPUSDT")
    assert options_of("still", symbols).endswith("--feed still --listings 120 --json")
    assert "--symbols BTCUSDT --listings 120" in options_of("", symbols)
    assert "--symbols" not in options_of("", ("X001USDT",))


def test_a_profile_that_replays_needs_a_recording():
    with pytest.raises(ConfigError, match="add --replay FILE"):
        options_of(feed="replay")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a child with its parent")
def test_a_child_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(
        textwrap.dedent(
            """
            import os, subprocess, sys, time
            child = subprocess.Popen(
                [sys.executable, "-c",
                 "import sys, time; from hfengine.cli.local_child import end_with_parent;"
                 "end_with_parent(int(sys.argv[1])); print('up', flush=True); time.sleep(60)",
                 str(os.getpid())],
                start_new_session=True, stdout=subprocess.PIPE)
            child.stdout.readline()
            print(child.pid, flush=True)
            time.sleep(60)
            """
        )
    )
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert ended_within(pid)
