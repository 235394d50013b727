"""hfengine history: rows of the right account, readable or as JSON, or a clear sentence."""

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from hfengine.cli.main import app
from hfengine.cli.state import NoHistory
from hfengine.messages import FundingPaid, OrderEnded
from hfengine.state.sqlite import SqliteStore, connect
from tests.rig import T0_NS, fill, order

FUNDING = FundingPaid("ETHUSDT", T0_NS + 2, "0.0001", "-0.06")  # type: ignore[arg-type]
ENDED = OrderEnded(1, "hf-1", "BTCUSDT", T0_NS, "cancelled", 0, "timeout")  # type: ignore[arg-type]
POINT = {
    "at_ns": T0_NS,
    "wallet_usdt": "100",
    "equity_usdt": "101.5",
    "free_margin_usdt": "90",
    "maintenance_usdt": "1",
}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HFENGINE_STATE__DIRECTORY", str(tmp_path))
    path = tmp_path / "bybit-1.db"
    store = SqliteStore(path, connect(path))
    encode = msgspec.json.encode
    store.add("trades", T0_NS, encode(fill("hf-1", 1)))
    store.add("trades", T0_NS + 2, encode(FUNDING))
    store.add("orders", T0_NS, encode(ENDED))
    store.add("orders", T0_NS + 1, encode(order("hf-2")))
    store.add("equity", T0_NS, encode(POINT))
    store.close()
    return tmp_path


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, ["history", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_each_kind_of_row_is_a_line(directory: Path) -> None:
    assert shown("trades").splitlines() == [
        "2023-11-14T22:13:20Z  BTCUSDT buy 0.010 at 60000  fee 0.3, realised 0 USDT (order)",
        "2023-11-14T22:13:20Z  ETHUSDT funding -0.06 USDT at 0.0001",
    ]
    ended, filled = shown("orders").splitlines()
    assert ended.endswith("BTCUSDT hf-1 cancelled, 0 filled  timeout")
    assert filled.endswith("BTCUSDT hf-2 buy 0.010  limit filled, 0.010 filled")
    assert "equity 101.5, wallet 100  free margin 90 USDT" in shown("equity")


def test_the_newest_rows_as_json(directory: Path) -> None:
    (line,) = shown("trades", "--last", "1", "--json").splitlines()
    assert msgspec.json.decode(line)["symbol"] == "ETHUSDT"
    assert shown("trades", "--duration", "1h") == "no trades kept\n"


def test_which_account_is_a_question_where_there_are_two(directory: Path) -> None:
    path = directory / "binance-2.db"
    SqliteStore(path, connect(path)).close()
    assert "hf-1" in shown("orders", "--account", "bybit-1")
    assert shown("orders", "--account", "binance-2") == "no orders kept\n"
    with pytest.raises(NoHistory, match="give --account, one of binance-2, bybit-1"):
        shown("orders")
    with pytest.raises(NoHistory, match="of account other"):
        shown("orders", "--account", "other")
    with pytest.raises(NoHistory, match="is no account"):
        shown("orders", "--account", "../x")


def test_a_file_that_is_no_state_is_a_sentence(directory: Path) -> None:
    (directory / "bybit-1.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(NoHistory, match="cannot be read"):
        shown("trades")
