"""One engine an account on a machine; a dead one's lock is free, and it is seen to be dead."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from hfengine.errors import ExitCode
from hfengine.state.lock import AccountBusy, Facts, InstanceLock, LockUnavailable, running

FACTS = Facts(pid=os.getpid(), profile="bybit-testnet", session="0a1b2c3d4e", started_ns=7)
HOLDER = """
import sys
from pathlib import Path
from hfengine.state.lock import Facts, InstanceLock
held = InstanceLock.take(Path(sys.argv[1]), "bybit-1", Facts(pid=1, profile="p", session="s9"))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_engine_is_told_who_holds_the_account(tmp_path: Path) -> None:
    held = InstanceLock.take(tmp_path, "bybit-1", FACTS)
    with pytest.raises(AccountBusy) as busy:
        InstanceLock.take(tmp_path, "bybit-1", FACTS)
    held.release()
    assert busy.value.exit_code == ExitCode.USAGE
    for part in ("bybit-1", str(os.getpid()), "bybit-testnet", "0a1b2c3d4e", "hfengine stop"):
        assert part in str(busy.value)


def test_another_account_and_a_released_one_are_free(tmp_path: Path) -> None:
    held = InstanceLock.take(tmp_path, "bybit-1", FACTS)
    InstanceLock.take(tmp_path, "bybit-2", FACTS).release()
    held.release()
    held.release()
    InstanceLock.take(tmp_path, "bybit-1", FACTS).release()


def test_a_file_taken_away_while_it_was_being_opened_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = InstanceLock.take(tmp_path, "paper", FACTS)
    opened = os.open

    def late(path: Path, *how: int) -> int:
        handle = opened(path, *how)
        held.release(remove=True)
        return handle

    monkeypatch.setattr(os, "open", late)
    mine = InstanceLock.take(tmp_path, "paper", FACTS)
    monkeypatch.undo()
    assert [one.alive for one in running(tmp_path)] == [True], "it can be found"
    with pytest.raises(AccountBusy):
        InstanceLock.take(tmp_path, "paper", FACTS)
    mine.release(remove=True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_known_later_is_added(tmp_path: Path) -> None:
    held = InstanceLock.take(tmp_path, "bybit-1", Facts(pid=5, profile="p" * 200))
    held.tell(session="abc")
    held.tell(socket="/run/x.sock")
    held.describe(Facts(pid=5, profile="p", session="abc", socket="/run/x.sock"))
    (one,) = running(tmp_path)
    held.release()
    assert one.alive
    assert (one.account, one.facts.session, one.facts.socket) == ("bybit-1", "abc", "/run/x.sock")
    assert one.facts.profile == "p"


def test_a_killed_holder_is_seen_dead_and_its_account_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert [(one.account, one.alive) for one in running(tmp_path)] == [("bybit-1", True)]
        with pytest.raises(AccountBusy, match="session s9"):
            InstanceLock.take(tmp_path, "bybit-1", FACTS)
        holder.send_signal(signal.SIGKILL)
    (dead,) = running(tmp_path)
    assert (dead.alive, dead.facts.session) == (False, "s9")
    again = InstanceLock.take(tmp_path, "bybit-1", FACTS)
    assert [one.alive for one in running(tmp_path)] == [True]
    again.release()


def test_an_engine_that_ended_well_is_not_listed(tmp_path: Path) -> None:
    assert running(tmp_path / "none") == []
    InstanceLock.take(tmp_path, "bybit-1", FACTS).release()
    assert running(tmp_path) == []


def test_garbage_in_the_file_neither_blocks_nor_confuses(tmp_path: Path) -> None:
    (tmp_path / "bybit-1.lock").write_bytes(b"\xff{half")
    assert running(tmp_path) == []
    held = InstanceLock.take(tmp_path, "bybit-1", FACTS)
    (tmp_path / "bybit-1.lock").write_bytes(b"\xff{half")
    with pytest.raises(AccountBusy, match="traded by another engine"):
        InstanceLock.take(tmp_path, "bybit-1", FACTS)
    assert [(one.alive, one.facts.pid) for one in running(tmp_path)] == [(True, 0)]
    held.release()


def test_a_lock_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(LockUnavailable, match=r"state\.directory"):
        InstanceLock.take(tmp_path / "state", "bybit-1", FACTS)


def test_of_the_dead_only_those_that_may_have_left_something_are_told(tmp_path: Path) -> None:
    for account, leaves in (("real", True), ("own", False)):
        facts = Facts(pid=1, profile=account, leaves=leaves)
        lock = InstanceLock.take(tmp_path, account, facts)
        assert account in [one.account for one in running(tmp_path) if one.alive]
        lock.release()
        (tmp_path / f"{account}.lock").write_bytes(msgspec.json.encode(facts))
    assert [(one.account, one.alive) for one in running(tmp_path)] == [("real", False)]
