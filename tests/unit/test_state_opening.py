"""A store that is damaged, away or set back costs no memory: the journals hold it."""

import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from hfengine.actors.fill_memory import cursor_of
from hfengine.actors.held import memory_of
from hfengine.errors import ConfigError
from hfengine.journal import Journal
from hfengine.journal.beginning import beginning
from hfengine.journal.redact import forget
from hfengine.messages import Fill, PositionOpened
from hfengine.oversight import Keep
from hfengine.settings import JournalSettings, Settings, State
from hfengine.state import sqlite
from hfengine.state.folding import CURSOR, cursor_with, fold
from hfengine.state.keys import SESSION
from hfengine.state.opening import OpenedState, open_state
from tests.rig import T0_NS, fill, position

ACCOUNT = "bybit-0123456789"
SECOND_NS = 1_000_000_000


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(
        Settings(),
        state=State(directory=str(tmp_path / "state")),
        journal=JournalSettings(directory=str(tmp_path / "journals")),
    )


def logged(settings: Settings, session: str, at_s: int, *messages: Struct, **kind: Any) -> Path:
    """Write a session's journal; `end` False leaves it as a crash does."""
    journal = Journal.create(
        Path(settings.journal.directory),
        session=session,
        config_hash="c",
        version="1",
        started_ns=T0_NS + at_s * SECOND_NS,
        on_fault=lambda reason: None,
    )
    first, following = beginning(
        session,
        T0_NS + at_s * SECOND_NS,
        settings,
        {},
        version="1",
        profile="p",
        config_hash="c",
        account=kind.get("account", ACCOUNT),
        recalled=kind.get("recalled", {}),
    )
    records: list[Struct] = [first, *following, *messages]
    for record in records:
        journal.append(record)
    journal.close("ended" if kind.get("end", True) else "crashed")
    return journal.path


def keep(key: str, at_s: int, body: bytes) -> Keep:
    return Keep(key, T0_NS + at_s * SECOND_NS, body)


def opened(settings: Settings, **named: Any) -> OpenedState:
    found = open_state(settings, ACCOUNT, **named)
    found.close()
    return found


def beside_cursor(found: OpenedState) -> dict[str, bytes]:
    """Return what is recalled besides the fills told, which every crashed session leaves."""
    assert CURSOR in found.recalled
    return {key: body for key, body in found.recalled.items() if key != CURSOR}


def database(settings: Settings) -> Path:
    return Path(settings.state.directory) / f"{ACCOUNT}.db"


def stored(settings: Settings, session: str, at_s: int, **bodies: bytes) -> None:
    """Leave a store as a run leaves it."""
    found = open_state(settings, ACCOUNT)
    for name, body in bodies.items():
        found.store.put(f"bot:{name.replace('_', ':')}", body)
    marker = b'{"session":"%s","at_ns":%d}' % (session.encode(), T0_NS + at_s * SECOND_NS)
    found.store.put(SESSION, marker)
    found.close()


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all " * 400)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3 // 4096 * 4096)


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 3] = b"\xa5" * 8192
    path.write_bytes(content)


def of_something_else(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as run:
        run.execute("CREATE TABLE state (a, b)")
    run.close()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [garbage, truncated, damaged, of_something_else, a_directory])
def test_a_spoilt_store_is_moved_aside_and_memory_comes_from_the_journal(
    settings: Settings, spoil: Any
) -> None:
    stored(settings, "s1", 1, risk_memory=b"old", held_BTCUSDT=b"h" * 9000)
    logged(settings, "s1", 0, keep("bot:risk:memory", 1, b"new"), keep("bot:held:X", 1, b"x"))
    spoil(database(settings))
    found = opened(settings)
    assert found.recalled == {"bot:risk:memory": b"new", "bot:held:X": b"x"}
    assert found.source == "journal"
    assert found.store.fault == ""
    aside = database(settings).with_name(f"{ACCOUNT}.db.corrupt-1")
    assert aside.exists()
    for part in ("damaged", aside.name, "2 keys read back from 1 journals"):
        assert part in found.detail
    again = opened(settings)
    assert (again.recalled, again.source) == (found.recalled, "store")


def test_nothing_to_fold_is_said(settings: Settings) -> None:
    stored(settings, "s1", 1, risk_memory=b"old")
    garbage(database(settings))
    found = opened(settings)
    assert (found.recalled, found.source) == ({}, "nothing")
    assert "nothing is remembered" in found.detail
    garbage(database(settings))
    opened(settings)
    assert database(settings).with_name(f"{ACCOUNT}.db.corrupt-2").exists()


def test_a_whole_store_goes_before_an_equal_journal(settings: Settings) -> None:
    logged(settings, "s1", 0, keep("bot:risk:memory", 5, b"same"))
    stored(settings, "s1", 5, risk_memory=b"same")
    found = opened(settings)
    assert (found.recalled, found.source) == ({"bot:risk:memory": b"same"}, "store")


def test_what_a_crash_kept_from_the_store_is_read_back(settings: Settings) -> None:
    stored(settings, "s1", 5, risk_memory=b"older", cover_BTCUSDT=b"gone", held_ETHUSDT=b"h")
    logged(
        settings,
        "s1",
        0,
        keep("bot:risk:memory", 5, b"older"),
        keep("bot:risk:memory", 6, b"newest"),
        keep("bot:cover:BTCUSDT", 6, b""),
        end=False,
    )
    found = opened(settings)
    assert beside_cursor(found) == {"bot:risk:memory": b"newest", "bot:held:ETHUSDT": b"h"}
    assert found.source == "journal"


def test_a_store_that_was_set_back_is_brought_up_to_date(settings: Settings) -> None:
    stored(settings, "s1", 5, risk_memory=b"older")
    logged(settings, "s1", 0, keep("bot:risk:memory", 5, b"older"))
    logged(settings, "s2", 10, keep("bot:risk:memory", 12, b"newer"))
    assert opened(settings).recalled == {"bot:risk:memory": b"newer"}


def test_the_newest_session_says_all_with_what_it_recalled_itself(settings: Settings) -> None:
    logged(settings, "s1", 0, keep("bot:cover:A", 1, b"given up since"))
    logged(settings, "s2", 10, recalled={"bot:risk:memory": b"r1", "bot:cover:B": b"b"})
    changes = (keep("bot:held:C", 21, b"c"), keep("bot:cover:B", 21, b""))
    memory = {"bot:risk:memory": b"r1", "bot:cover:B": b"b"}
    logged(settings, "s3", 20, *changes, recalled=memory)
    logged(settings, "s9", 90, keep("bot:risk:memory", 91, b"other"), account="bybit-other")
    assert opened(settings).recalled == {"bot:risk:memory": b"r1", "bot:held:C": b"c"}


def test_a_session_cut_in_its_first_records_sends_to_the_one_before(settings: Settings) -> None:
    logged(settings, "s1", 0, keep("bot:risk:memory", 1, b"r1"))
    memory = {"bot:risk:memory": b"r1" * 2000}
    segment = logged(settings, "s2", 10, recalled=memory, end=False) / "000001.journal"
    os.truncate(segment, segment.stat().st_size - 2_000)
    assert opened(settings).recalled == {"bot:risk:memory": b"r1"}


def fill_of(number: int, at_s: int) -> Fill:
    return replace(fill("hf-s1-1e1", at_ns=T0_NS + at_s * SECOND_NS), fill_id=f"f{number}")


def ids_of(found: OpenedState) -> dict[str, int]:
    cursor = cursor_of(found.recalled.get(CURSOR, b""))
    assert cursor is not None
    return {name: (at_ns - T0_NS) // SECOND_NS for name, at_ns in cursor.ids.items()}


def cursor(at_s: int, *numbers: int) -> Keep:
    told = [fill_of(n, n) for n in numbers]
    blank = b'{"session":"s1","newest_ns":0,"floor_ns":7,"dropped":2,"ids":{}}'
    return keep(CURSOR, at_s, cursor_with(blank, told))


def test_fills_a_crash_kept_from_the_journal_are_told_again(settings: Settings) -> None:
    stored(settings, "s1", 5, fills_cursor=cursor(5, 1, 2, 3).body)
    logged(settings, "s1", 0, cursor(1, 1), cursor(2, 1, 2), end=False)
    assert ids_of(opened(settings)) == {"f1": 1, "f2": 2}


def test_fills_in_the_journal_are_not_told_again(settings: Settings) -> None:
    stored(settings, "s1", 1, fills_cursor=cursor(1, 1).body)
    logged(settings, "s1", 0, fill_of(1, 1), cursor(1, 1), fill_of(2, 2), end=False)
    found = opened(settings)
    assert ids_of(found) == {"f1": 1, "f2": 2}
    told = cursor_of(found.recalled[CURSOR])
    assert told is not None
    assert (told.session, told.floor_ns, told.dropped) == ("s1", 7, 2)
    assert told.newest_ns == T0_NS + 2 * SECOND_NS
    # risk may have had no time to keep what the second one came to
    assert told.recent == (fill_of(1, 1), fill_of(2, 2))


def test_a_first_session_that_crashed_before_it_wrote_told_nothing(settings: Settings) -> None:
    stored(settings, "s1", 5, fills_cursor=cursor(5, 1).body)
    logged(settings, "s1", 0, end=False)
    found = opened(settings)
    assert ids_of(found) == {}
    told = cursor_of(found.recalled[CURSOR])
    assert told is not None
    # a little before the start: since then the venue was asked
    assert T0_NS - 10 * SECOND_NS < told.floor_ns == told.newest_ns < T0_NS


def test_a_cursor_of_another_session_than_the_stores_does_not_go_back(settings: Settings) -> None:
    stored(settings, "s2", 9, fills_cursor=cursor(9, 1, 9).body)
    logged(settings, "s1", 0, cursor(1, 1), end=False)
    assert ids_of(opened(settings)) == {"f1": 1, "f9": 9}


def test_a_long_journal_is_read_from_its_end_and_what_is_left_is_said(settings: Settings) -> None:
    padding = b"." * 5_000
    early = [keep("bot:held:early", 1, b"e"), keep("bot:risk:memory", 1, b"old")]
    parts = [early, [keep("bot:cover:x", 2, padding)], [keep("bot:risk:memory", 3, b"new")]]
    path = logged(settings, "s1", 0, recalled={"bot:held:start": b"s"}, end=False)
    for number, records in enumerate(parts, start=2):
        other = logged(settings, f"t{number}", number, *records, account="other")
        (other / "000001.journal").rename(path / f"{number:06d}.journal")
    newest = path / "000004.journal"
    directory = Path(settings.journal.directory)
    found = fold(directory, ACCOUNT, bytes_max=newest.stat().st_size)
    kept = {key: one.body for key, one in found.kept.items() if key != CURSOR}
    assert kept == {"bot:risk:memory": b"new", "bot:held:start": b"s"}
    assert found.unread_bytes == sum((path / f"{n:06d}.journal").stat().st_size for n in (2, 3))
    whole = fold(directory, ACCOUNT)
    assert whole.unread_bytes == 0
    assert {key: one.body for key, one in whole.kept.items() if key != CURSOR} == {
        **kept,
        "bot:held:early": b"e",
        "bot:cover:x": padding,
    }


def test_a_store_that_stands_spares_the_older_journal(settings: Settings) -> None:
    path = logged(settings, "s1", 0, keep("bot:risk:memory", 1, b"r"), end=False)
    newest = logged(settings, "t", 5, cursor(5, 1), keep("bot:cover:x", 6, b"x"), account="other")
    (newest / "000001.journal").rename(path / "000002.journal")
    directory = Path(settings.journal.directory)
    stands = fold(directory, ACCOUNT, since_ns=T0_NS + 5 * SECOND_NS)
    assert (set(stands.kept), stands.unread_bytes) == ({CURSOR, "bot:cover:x"}, 0)
    lost = fold(directory, ACCOUNT, since_ns=T0_NS + 4 * SECOND_NS)
    assert set(lost.kept) == {CURSOR, "bot:cover:x", "bot:risk:memory"}


def test_a_damaged_record_costs_itself_alone_and_is_told(settings: Settings) -> None:
    many = [keep(f"bot:cover:{n}", n, b"body of %03d" % n) for n in range(1, 200)]
    segment = logged(settings, "s1", 0, *many, end=False) / "000001.journal"
    content = bytearray(segment.read_bytes())
    content[content.index(b"body of 077")] ^= 0xFF
    segment.write_bytes(content)
    found = opened(settings)
    assert {key.rpartition(":")[2] for key in beside_cursor(found)} == {
        str(n) for n in range(1, 200) if n != 77
    }
    assert "000001.journal: a record of memory is damaged" in found.detail


def test_what_lies_before_a_damaged_length_is_used(settings: Settings) -> None:
    many = [keep("bot:risk:memory", n, b"body of %03d" % n) for n in range(1, 200)]
    segment = logged(settings, "s1", 0, *many, end=False) / "000001.journal"
    content = segment.read_bytes()
    # the length of a record is little-endian, right before its checksum and its first byte
    at = content.index(b"\x84\xa4type\xa4Keep", content.index(b"body of 077")) - 8
    segment.write_bytes(content[:at] + b"\xff\xff\xff\x7f" + content[at + 4 :])
    found = opened(settings)
    assert beside_cursor(found) == {"bot:risk:memory": b"body of 077"}
    assert "damaged at byte" in found.detail


def test_an_entry_the_rebalancer_had_no_time_to_keep_is_known(settings: Settings) -> None:
    entered = PositionOpened(
        3, "BTCUSDT", T0_NS + 5, 1, Decimal("0.01"), Decimal(60000), 0.002, 0.9, 45.0
    )
    logged(settings, "s1", 0, entered, end=False)
    memory = memory_of(opened(settings).recalled["bot:held:BTCUSDT"])
    assert memory is not None
    assert (memory.side, memory.opened_ns, memory.entry) == (1, T0_NS + 5, Decimal(60000))
    assert (memory.entry_drift, memory.entry_confidence, memory.half_life_s) == (0.002, 0.9, 45.0)


def test_an_entry_that_was_closed_again_is_not(settings: Settings) -> None:
    entered = PositionOpened(
        3, "BTCUSDT", T0_NS + 5, 1, Decimal("0.01"), Decimal(60000), 0.002, 0.9, 45.0
    )
    logged(settings, "s1", 0, entered, position(side=0, quantity="0"), end=False)
    assert beside_cursor(opened(settings)) == {}


def test_a_store_out_of_reach_goes_on_without_and_comes_back(settings: Settings) -> None:
    logged(settings, "s1", 0, keep("bot:risk:memory", 1, b"kept"))
    away = Event()
    away.set()

    def connecting(path: Path) -> sqlite3.Connection:
        if away.is_set():
            raise PermissionError(13, "Permission denied")
        return sqlite.connect(path)

    found = open_state(settings, ACCOUNT, connecting=connecting)
    assert found.recalled == {"bot:risk:memory": b"kept"}
    assert "Permission denied" in found.store.fault
    assert "goes on without" in found.detail
    away.clear()
    found.close()
    assert found.store.fault == ""
    assert opened(settings).source == "store"


def test_none_keeps_nothing_and_recalls_from_the_journal(settings: Settings) -> None:
    logged(settings, "s1", 0, keep("bot:risk:memory", 1, b"kept"))
    found = opened(replace(settings, state=replace(settings.state, url="none")))
    assert found.recalled == {"bot:risk:memory": b"kept"}
    assert not database(settings).exists()


def test_a_url_of_no_known_kind_is_a_wrong_setting(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"state\.url 'mysql://x'"):
        open_state(replace(settings, state=State(url="mysql://x")), ACCOUNT)
