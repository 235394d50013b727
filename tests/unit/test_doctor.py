"""What the doctor says of a key's permissions, of sizes and fees, and of the machine."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.doctor import figures, machine, permissions
from hfengine.doctor.figures import check_fees, check_minimum, check_tiers, intended
from hfengine.doctor.finding import Finding
from hfengine.instruments import Instrument, load_catalogue
from hfengine.runtime import cores
from hfengine.settings import Fees, Leverage, Protection, Runtime, Settings, Sizing, State
from hfengine.state.lock import Facts, Instance

BTC: Instrument = load_catalogue("binance").find("BTCUSDT")


def statuses(findings: Sequence[Finding]) -> dict[str, str]:
    return {one.name: one.status for one in findings}


# permissions


def bybit(**told: Any) -> dict[str, Any]:
    permitted = {"ContractTrade": ["Order", "Position"], "Wallet": []}
    return {"readOnly": 0, "permissions": permitted, "ips": ["10.0.0.7"], **told}


def test_a_key_bound_to_contracts_and_an_address_is_fine() -> None:
    assert statuses(permissions.of_bybit(bybit())) == {
        "withdrawal": "ok",
        "trading right": "ok",
        "key's addresses": "ok",
    }


def test_a_bybit_key_that_may_withdraw_fails() -> None:
    wallet = {"ContractTrade": ["Order", "Position"], "Wallet": ["AccountTransfer", "Withdraw"]}
    found = permissions.of_bybit(bybit(permissions=wallet))
    assert statuses(found)["withdrawal"] == "fail"
    assert "MAY WITHDRAW" in found[0].found


def test_a_wallet_right_other_than_withdrawal_is_no_failure() -> None:
    wallet = {"ContractTrade": ["Order", "Position"], "Wallet": ["AccountTransfer"]}
    assert statuses(permissions.of_bybit(bybit(permissions=wallet)))["withdrawal"] == "ok"


@pytest.mark.parametrize(
    "told",
    [
        {"readOnly": 1},
        {"permissions": {"ContractTrade": ["Order"]}},
        {"permissions": {"ContractTrade": ["Position"]}},
        {"permissions": {}},
    ],
)
def test_a_bybit_key_that_cannot_trade_contracts_fails(told: dict[str, Any]) -> None:
    assert statuses(permissions.of_bybit(bybit(**told)))["trading right"] == "fail"


@pytest.mark.parametrize("ips", [["*"], [], None, ["10.0.0.7", "*"]])
def test_a_key_that_works_from_anywhere_is_told(ips: Any) -> None:
    assert statuses(permissions.of_bybit(bybit(ips=ips)))["key's addresses"] == "warn"


def test_a_binance_key_is_judged_by_its_restrictions() -> None:
    told = {"enableWithdrawals": False, "enableFutures": True, "ipRestrict": True}
    assert set(statuses(permissions.of_binance(told)).values()) == {"ok"}
    assert statuses(permissions.of_binance({**told, "enableWithdrawals": True})) == {
        "withdrawal": "fail",
        "trading right": "ok",
        "key's addresses": "ok",
    }
    assert statuses(permissions.of_binance({**told, "enableFutures": False}))["trading right"] == (
        "fail"
    )
    assert statuses(permissions.of_binance({**told, "ipRestrict": False}))["key's addresses"] == (
        "warn"
    )


def test_what_is_not_told_is_not_taken_for_off() -> None:
    (found,) = permissions.of_binance({})
    assert (found.name, found.status) == ("withdrawal", "warn")
    assert "must be off" in found.advice


# sizes and fees


def settings(**parts: Any) -> Settings:
    """Return a margin of 100 USDT at 50x, unless a test says otherwise."""
    given = {
        "sizing": Sizing(mode="fixed_margin", fixed_margin_usdt=100.0, share_of_equity_max=1.0),
        "leverage": Leverage(wanted=50),
        "protection": Protection(stop_percent=0.4, target_percent=0.8),
    }
    return Settings(**{**given, **parts})


def test_a_fixed_margin_at_fifty_times_is_fifty_times_as_much_notional() -> None:
    size = intended(settings(), "BTCUSDT", BTC, 10_000.0)
    assert size.wanted_usdt == pytest.approx(5_000.0)
    assert size.notional_usdt == pytest.approx(5_000.0)


def test_a_risk_per_trade_is_lost_at_the_stop_fees_included() -> None:
    sizing = Sizing(mode="risk_per_trade", fraction=0.01, share_of_equity_max=1.0)
    size = intended(settings(sizing=sizing), "BTCUSDT", BTC, 10_000.0)
    # 100 USDT lost by a stop 0.4 % away and two taker fees of 0.05 %
    assert size.wanted_usdt == pytest.approx(100.0 / 0.005)


def test_the_caps_of_the_profile_bind() -> None:
    sizing = Sizing(mode="fixed_margin", fixed_margin_usdt=100.0, trade_notional_max_usdt=700.0)
    assert intended(settings(sizing=sizing), "BTCUSDT", BTC, 1e6).wanted_usdt == pytest.approx(700)


def test_a_leverage_no_tier_offers_fails_and_names_the_most() -> None:
    found = check_tiers(settings(leverage=Leverage(wanted=126)), "BTCUSDT", BTC, 10_000.0)
    assert found.status == "fail"
    assert "125" in found.advice


def test_a_size_beyond_the_tier_is_cut_and_told() -> None:
    cap_usdt = max(t.notional_cap_usdt for t in BTC.tiers if t.max_leverage >= 50)
    sizing = Sizing(
        mode="fixed_margin", fixed_margin_usdt=float(cap_usdt) / 40.0, share_of_equity_max=1.0
    )
    found = check_tiers(settings(sizing=sizing), "BTCUSDT", BTC, 1e9)
    assert found.status == "warn"
    assert f"{cap_usdt:,.0f}" in found.found
    assert check_tiers(settings(), "BTCUSDT", BTC, 10_000.0).status == "ok"


@pytest.mark.parametrize(("margin_usdt", "status"), [(1.9, "fail"), (2.1, "warn"), (4.1, "ok")])
def test_the_smallest_order_is_compared_with_the_size(margin_usdt: float, status: str) -> None:
    # Binance's smallest BTCUSDT order is 100 USDT: a margin of 2 USDT at 50x
    sizing = Sizing(mode="fixed_margin", fixed_margin_usdt=margin_usdt)
    assert check_minimum(settings(sizing=sizing), "BTCUSDT", BTC, 1e4).status == status


def test_a_bracket_that_fees_eat_fails_where_the_gate_is_strict() -> None:
    narrow = Protection(stop_percent=0.156, target_percent=0.052)
    found = check_fees(settings(protection=narrow), "BTCUSDT", BTC)
    assert found.status == "fail"
    # (0.156 + 0.1) / (0.052 + 0.156) is above one: DESIGN 7.7 has it for other fees
    assert "123.1%" in found.found
    assert "5.0% of the margin" in found.found
    reported = settings(protection=narrow, fees=Fees(gate="report"))
    assert check_fees(reported, "BTCUSDT", BTC).status == "warn"
    assert check_fees(settings(), "BTCUSDT", BTC).status == "ok"


def test_no_size_is_judged_where_the_leverage_is_not_there() -> None:
    names = [
        one.name
        for one in figures.check_figures(
            settings(leverage=Leverage(wanted=126)), "BTCUSDT", BTC, 1e4
        )
    ]
    assert names == ["tiers BTCUSDT", "fees BTCUSDT"]


def test_a_venue_whose_formula_is_not_known_is_not_given_a_figure() -> None:
    other = replace(BTC, venue="okx")
    assert "no liquidation formula" in check_tiers(settings(), "BTCUSDT", other, 1e4).found


# the machine


def test_the_build_names_its_kernels_and_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = machine.check_build()
    assert whole.status == "ok"
    assert "ccxt " in whole.found

    def broken(name: str) -> Any:
        if name.endswith(".book"):
            raise ImportError("undefined symbol")

    monkeypatch.setattr(machine, "import_module", broken)
    found = machine.check_build()
    assert found.status == "fail"
    assert "book (undefined symbol)" in found.found
    assert "layers" not in found.found


def test_an_old_python_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.check_python().status == "ok"
    monkeypatch.setattr(machine, "PYTHON_MIN", (99, 0))
    assert machine.check_python().status == "fail"


@pytest.mark.parametrize(
    ("runtime", "status", "found"),
    [
        (Runtime(), "ok", "asleep, cores awake within 0 us"),
        (Runtime(wake_latency_us=5), "ok", "asleep, cores awake within 5 us"),
        (Runtime(wake_latency_us=-1), "ok", "asleep, cores as the system has them"),
        (Runtime(loop="spin"), "ok", "spinning"),
    ],
)
def test_what_is_asked_of_the_cores_is_tried(
    runtime: Runtime, status: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = tmp_path / "control"
    control.write_bytes(b"")
    monkeypatch.setattr(cores, "CONTROL", control)
    told = machine.check_cores(Settings(runtime=runtime))
    assert (told.status, told.found, told.advice) == (status, found, "")


def test_cores_that_cannot_be_asked_are_told_with_what_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "CONTROL", tmp_path / "none")
    told = machine.check_cores(Settings())
    assert told.status == "warn"
    assert told.found.endswith("none: No such file or directory")
    assert "runtime.wake_latency_us" in told.advice
    # a loop that spins, or a profile that asks nothing, misses nothing
    for runtime in (Runtime(loop="spin"), Runtime(wake_latency_us=-1)):
        assert machine.check_cores(Settings(runtime=runtime)).status == "ok"


def test_a_directory_that_is_not_there_yet_is_measured_above_and_left_as_it_was(
    tmp_path: Path,
) -> None:
    found = machine.check_disk("disk", tmp_path / "not" / "yet")
    assert str(tmp_path) in found.found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free_bytes", "status"), [(50_000_000, "fail"), (500_000_000, "warn"), (5e9, "ok")]
)
def test_a_disk_that_runs_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: float, status: str
) -> None:
    free = SimpleNamespace(f_bavail=int(free_bytes) // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _path: free)
    monkeypatch.setattr(machine, "_syncs_ms", lambda _path: [1.0])
    assert machine.check_disk("disk", tmp_path).status == status


def test_a_slow_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**12, 50_000_000))
    monkeypatch.setattr(machine, "mono_ns", lambda: next(clock))
    found = machine.check_disk("disk", tmp_path)
    assert found.status == "warn"
    assert "after 50.0 ms" in found.found


def test_a_disk_that_takes_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> list[float]:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine, "_syncs_ms", refuse)
    found = machine.check_disk("disk", tmp_path)
    assert found.status == "fail"
    assert "Read-only file system" in found.found


def state_of(url: str, directory: Path) -> Settings:
    return Settings(state=State(url=url, directory=str(directory)))


def test_the_store_is_looked_at_and_not_touched(tmp_path: Path) -> None:
    sound = tmp_path / "account.db"
    with sqlite3.connect(sound) as made:
        made.execute("CREATE TABLE t (x)")
    made.close()
    assert machine.check_store(state_of("sqlite", tmp_path), "account").status == "ok"
    sound.write_bytes(b"no database " * 1000)
    before = sound.read_bytes()
    found = machine.check_store(state_of("sqlite", tmp_path), "account")
    assert found.status == "warn"
    assert "damaged" in found.found
    assert sound.read_bytes() == before
    assert machine.check_store(state_of("sqlite", tmp_path), "another").status == "ok"
    assert machine.check_store(state_of("none", tmp_path), "account").status == "warn"


def test_a_redis_that_is_away_is_told_without_its_password(tmp_path: Path) -> None:
    found = machine.check_store(state_of("redis://user:hunter2@127.0.0.1:9/0", tmp_path), "a")
    assert found.status in ("warn", "fail")
    assert "hunter2" not in repr(found)
    assert "127.0.0.1:9/0" in found.found


@pytest.mark.parametrize(
    ("instances", "status", "said"),
    [
        ([], "ok", "free"),
        ([("other", True)], "ok", "free"),
        ([("mine", True)], "warn", "held: process 7"),
        ([("mine", False)], "warn", "did not end flat"),
    ],
)
def test_the_lock_is_free_or_somebodys(
    instances: list[tuple[str, bool]], status: str, said: str
) -> None:
    facts = Facts(pid=7, profile="paper", session="s")
    standing = [Instance(account=name, alive=alive, facts=facts) for name, alive in instances]
    found = machine.check_lock("mine", standing)
    assert found.status == status
    assert said in found.found
