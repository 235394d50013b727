"""`--feed live:EXCHANGE`: a local venue plays the exchange; its prices, and no order to it."""

import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.test_local_profiles import LIVELY
from tests.invariants import of, records
from tests.venue_processes import COMMAND, engine_process, environment, until, venue_process

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("exchange", ["bybit", "binance"])
def test_paper_trades_on_live_prices_and_sends_nothing(tmp_path: Path, exchange: str) -> None:
    with venue_process(exchange, "--symbols", "BTCUSDT,ETHUSDT") as venue:
        feed = f"live:{exchange}@{venue.http}"
        words = ["--profile", "paper", "--feed", feed, "--duration", "60s"]
        with engine_process(tmp_path, words, LIVELY) as engine:
            engine.until(lambda: len(of(engine.logged(), "Fill")) > 1, "fills")
            engine.interrupt()
            code, summary, errors = engine.ended()
        assert code == 0, errors
        assert summary["flat"] is True
        assert summary["ever_synced"] is True
        assert summary["ledger_difference_usdt"] == 0
        assert venue.orders() == []
        rows = records(tmp_path / summary["journal"]["path"])
        for fill in of(rows, "Fill"):
            (now,) = venue.positions(fill["symbol"])
            # within minutes a synthetic price stays within 5 % of itself
            assert abs(Decimal(fill["price"]) / Decimal(now["mark"]) - 1) < Decimal("0.05")


@pytest.mark.parametrize("exchange", ["bybit", "binance"])
def test_without_a_network_it_is_one_sentence_and_exit_code_5(
    tmp_path: Path, exchange: str
) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "--profile", "paper", "--feed", f"live:{exchange}@{NOWHERE}"],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 5
    said = [line for line in done.stderr.splitlines() if not line.startswith("warning:")]
    assert len(said) == 1
    assert said[0].startswith(f"hfengine: --feed live:{exchange}: instruments from {NOWHERE}")
    assert said[0].endswith("It needs a network that reaches the exchange")
    assert done.stdout == ""


def test_a_venue_relays_the_market_of_another_one() -> None:
    with (
        venue_process("bybit", "--feed", "still", "--symbols", "BTCUSDT") as real,
        venue_process(
            "binance", "--feed", f"live:bybit@{real.http}", "--symbols", "BTCUSDT"
        ) as relay,
    ):

        def follows() -> bool:
            marks = [one.positions("BTCUSDT")[0]["mark"] for one in (relay, real)]
            return Decimal(marks[0]) == Decimal(marks[1])

        until(follows, "the first mark", 20.0)
        real.do("move", symbol="BTCUSDT", to_price="50000")
        until(follows, "the moved mark", 20.0)
        assert Decimal(relay.positions("BTCUSDT")[0]["mark"]) == 50000
        assert relay.get("status")["feed"] == "live:bybit"


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        ("live:okx", "there are live:"),
        ("live:bybit@localhost:8601", "written like @http://127.0.0.1:8601"),
    ],
)
def test_a_feed_that_is_none_is_refused(tmp_path: Path, feed: str, words: str) -> None:
    done = subprocess.run(
        [*COMMAND, "run", "--profile", "paper", "--feed", feed],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
