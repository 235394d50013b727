"""Replay: what a recording says, what is wrong with it, and when."""

import gzip
from pathlib import Path

import pytest

from hfengine.errors import ExitCode, FeedError
from hfengine.feeds.replay import Replay
from hfengine.feeds.source import Damage, Recorded
from hfengine.limits import RECORD_LINE_BYTES_MAX

MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
BEHIND_NS = 1_270 * MS
DELAY_NS = 500_000


def frame(sent_ns: int, symbol: str = "BTCUSDT", number: int = 0) -> bytes:
    return b'{"stream":"x@bookTicker","data":{"e":"bookTicker","u":%d,"s":"%b","E":%d}}' % (
        number,
        symbol.encode(),
        sent_ns // MS,
    )


def line(number: int, symbol: str = "BTCUSDT", clock_ns: int = -BEHIND_NS) -> bytes:
    """Line `number` is sent at T0 + number * 10 ms and received 1 ms later by a clock set off."""
    sent_ns = T0_NS + number * 10 * MS
    return b"%d %b" % (sent_ns + MS + clock_ns, frame(sent_ns, symbol, number))


def written(path: Path, lines: list[bytes], end: bytes = b"\n") -> Path:
    content = b"\n".join(lines) + end
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def events_of(*paths: Path) -> list[Recorded | Damage]:
    return list(Replay(paths).events())


def damage_of(events: list[Recorded | Damage]) -> list[tuple[str, int]]:
    return [(e.fault, e.line) for e in events if isinstance(e, Damage)]


def lines_of(events: list[Recorded | Damage]) -> list[int]:
    return [e.line for e in events if isinstance(e, Recorded)]


@pytest.mark.parametrize("name", ["a.gz", "a.txt"])
def test_frames_come_as_recorded_with_the_clock_set_right(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, [line(n) for n in range(5)])
    replay = Replay([path])
    assert replay.symbols == ("BTCUSDT",)
    assert replay.offsets_ns == (DELAY_NS - MS + BEHIND_NS,)
    assert replay.start_ns == T0_NS + DELAY_NS
    assert list(replay.events()) == [
        Recorded(
            T0_NS + n * 10 * MS + DELAY_NS,
            "BTCUSDT",
            frame(T0_NS + n * 10 * MS, number=n),
            name,
            n + 1,
        )
        for n in range(5)
    ]
    assert list(replay.events()) == list(replay.events())


def test_network_delay_is_the_smallest_latency(tmp_path: Path) -> None:
    slow = b"%d %b" % (T0_NS + 9 * MS, frame(T0_NS))
    path = written(tmp_path / "a", [slow, line(3, clock_ns=0)])
    first, second = Replay([path], network_delay_ns=2 * MS).events()
    assert first.at_ns - T0_NS == 10 * MS
    assert second.at_ns - (T0_NS + 30 * MS) == 2 * MS


def test_microsecond_times_are_recognised(tmp_path: Path) -> None:
    micro = [b"%d %b" % ((T0_NS + n * 7000) // 1000, frame(T0_NS)) for n in range(3)]
    events = events_of(written(tmp_path / "a.gz", micro))
    assert [e.at_ns for e in events] == [T0_NS + DELAY_NS + n * 7000 for n in range(3)]
    assert isinstance(events[2], Recorded)
    assert events[2].payload == frame(T0_NS)


def test_a_recording_without_send_times_keeps_its_clock(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [b'%d {"s":"BTCUSDT"}' % T0_NS])
    assert Replay([path]).offsets_ns == (0,)
    assert [e.at_ns for e in events_of(path)] == [T0_NS]


def test_snapshot_and_foreign_frames_belong_to_the_symbol_of_the_file(tmp_path: Path) -> None:
    snapshot = b'%d {"lastUpdateId":1,"bids":[]}' % (T0_NS - BEHIND_NS + 5 * MS)
    path = written(tmp_path / "a", [line(0), snapshot, line(1), line(2, "ETHUSDT")])
    events = events_of(path)
    assert [e.symbol for e in events] == ["BTCUSDT"] * 4
    assert isinstance(events[3], Recorded)
    assert b"ETHUSDT" in events[3].payload


def test_two_files_merge_by_time_and_ties_keep_the_order_given(tmp_path: Path) -> None:
    btc = written(tmp_path / "b", [line(n) for n in (0, 2, 4)])
    eth = written(tmp_path / "e.gz", [line(n, "ETHUSDT") for n in (1, 2, 3)])
    order = [(e.symbol[:3], e.at_ns // (10 * MS) - T0_NS // (10 * MS)) for e in events_of(btc, eth)]
    assert order == [
        ("BTC", 0),
        ("ETH", 1),
        ("BTC", 2),
        ("ETH", 2),
        ("ETH", 3),
        ("BTC", 4),
    ]
    assert Replay([eth, btc]).symbols == ("ETHUSDT", "BTCUSDT")
    ties = [e.symbol for e in events_of(eth, btc) if e.at_ns == T0_NS + 20 * MS + DELAY_NS]
    assert ties == ["ETHUSDT", "BTCUSDT"]


def test_files_of_one_symbol_follow_each_other(tmp_path: Path) -> None:
    late = written(tmp_path / "2.gz", [line(n) for n in range(3, 6)])
    early = written(tmp_path / "1.gz", [line(n) for n in range(3)])
    replay = Replay([late, early])
    assert replay.symbols == ("BTCUSDT",)
    assert [(e.origin, e.line) for e in replay.events()] == [
        (name, n) for name in ("1.gz", "2.gz") for n in (1, 2, 3)
    ]


def test_one_recorder_has_one_clock_and_two_recorders_have_two(tmp_path: Path) -> None:
    near = written(tmp_path / "n", [line(0, "ETHUSDT", -BEHIND_NS + 49 * MS)])
    base = written(tmp_path / "b", [line(0)])
    far = written(tmp_path / "f", [line(0, "SOLUSDT", -BEHIND_NS + 51 * MS)])
    largest = BEHIND_NS - MS + DELAY_NS
    assert Replay([near, base]).offsets_ns == (largest, largest)
    assert Replay([far, base]).offsets_ns == (largest - 51 * MS, largest)
    # the recorded order is kept although the send times say otherwise
    assert [e.symbol for e in events_of(near, base)] == ["BTCUSDT", "ETHUSDT"]


def test_origins_are_bare_names_unless_they_would_clash(tmp_path: Path) -> None:
    for market in ("spot", "usdm"):
        (tmp_path / market).mkdir()
    paths = [written(tmp_path / m / "btc.gz", [line(n)]) for n, m in enumerate(("spot", "usdm"))]
    assert [e.origin for e in events_of(*paths)] == [str(path) for path in paths]
    assert [e.origin for e in events_of(paths[0])] == ["btc.gz"]


def test_damaged_lines_are_named_with_their_place_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.gz",
        [
            line(0),
            b"",
            b"not a time " + frame(T0_NS),
            line(1)[:60],
            b"17231612550303146 " + frame(T0_NS),
            b"1000000000000000000 " + frame(T0_NS),
            b"x" * 30,
            line(2),
            b"1",
        ],
        end=b"",
    )
    events = events_of(path)
    assert damage_of(events) == [
        ("empty_line", 2),
        ("bad_time", 3),
        ("cut_line", 4),
        ("bad_time", 5),
        ("bad_time", 6),
        ("bad_time", 7),
        ("cut_line", 9),
    ]
    assert lines_of(events) == [1, 8]
    assert {(e.symbol, e.origin) for e in events} == {("BTCUSDT", "a.gz")}
    assert [e.at_ns for e in events] == sorted(e.at_ns for e in events)


def test_a_last_line_without_its_end_of_line_counts_if_complete(tmp_path: Path) -> None:
    whole = written(tmp_path / "w", [line(0), line(1)], end=b"")
    cut = written(tmp_path / "c", [line(0), line(1)[:-3]], end=b"")
    assert [type(e) for e in events_of(whole)] == [Recorded, Recorded]
    assert damage_of(events_of(cut)) == [("cut_line", 2)]


def test_windows_line_ends_are_no_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [line(n) + b"\r" for n in range(3)])
    assert [getattr(e, "payload", b"")[-2:] for e in events_of(path)] == [b"}}"] * 3


def test_time_running_backwards_is_reported_held_and_delivered(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [line(0), line(5), line(3), line(4), line(6)])
    events = events_of(path)
    assert [(type(e).__name__, e.line) for e in events] == [
        ("Recorded", 1),
        ("Recorded", 2),
        ("Damage", 3),
        ("Recorded", 3),
        ("Damage", 4),
        ("Recorded", 4),
        ("Recorded", 5),
    ]
    assert [e.at_ns - events[0].at_ns for e in events] == [
        n * 10 * MS for n in (0, 5, 5, 5, 5, 5, 6)
    ]
    assert isinstance(events[2], Damage)
    assert events[2].fault == "time_backwards"
    assert "20 ms" in events[2].detail


def test_a_single_time_far_ahead_does_not_hold_the_rest(tmp_path: Path) -> None:
    ahead = b"%d %b" % (T0_NS + 86_400_000 * MS, frame(T0_NS))
    path = written(tmp_path / "a", [line(0), ahead, line(1), line(2)])
    events = events_of(path)
    assert damage_of(events) == [("bad_time", 2)]
    assert events[-1].at_ns - events[0].at_ns == 20 * MS


def test_two_times_far_ahead_that_their_frames_do_not_share_are_not_believed(
    tmp_path: Path,
) -> None:
    far = [b"%d %b" % (T0_NS + n * 86_400_000 * MS // 10, frame(T0_NS)) for n in (3, 4)]
    path = written(tmp_path / "a", [line(0), *far, line(1), line(2)])
    events = events_of(path)
    assert damage_of(events) == [("bad_time", 2), ("bad_time", 3)]
    assert events[-1].at_ns - events[0].at_ns == 20 * MS


def test_recordings_of_different_weeks_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "a", [line(0), line(1)])
    other = written(
        tmp_path / "b", [line(100 * 86_400_000 // 10), line(100 * 86_400_000 // 10 + 1)]
    )
    with pytest.raises(FeedError, match="begin 100 days apart"):
        Replay([one, other])


def test_a_pause_in_the_recording_is_no_damage(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [line(0), line(1), line(10_000), line(10_001), line(20_000)])
    assert lines_of(events_of(path)) == [1, 2, 3, 4, 5]


def test_an_over_long_line_is_skipped(tmp_path: Path) -> None:
    huge = b"%d {%b}" % (T0_NS - BEHIND_NS, b"x" * RECORD_LINE_BYTES_MAX)
    path = written(tmp_path / "a.gz", [line(0), huge, line(1), huge], end=b"")
    events = events_of(path)
    assert damage_of(events) == [("line_too_long", 2), ("line_too_long", 4)]
    assert lines_of(events) == [1, 3]


def test_a_longest_line_is_delivered(tmp_path: Path) -> None:
    stamp = b"%d {" % (T0_NS - BEHIND_NS + MS)
    longest = stamp + b"x" * (RECORD_LINE_BYTES_MAX - len(stamp) - 1) + b"}"
    path = written(tmp_path / "a", [line(0), longest, line(1)])
    assert lines_of(events_of(path)) == [1, 2, 3]


def test_a_truncated_gzip_delivers_what_is_whole_and_says_where_it_ends(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gz", [line(n) for n in range(5000)])
    packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) // 2])
    events = events_of(path)
    whole = lines_of(events)
    assert 2000 < len(whole) < 3000
    assert whole == list(range(1, len(whole) + 1))
    assert damage_of(events) == [("gzip_damaged", len(whole) + 1)]


def test_a_wrong_checksum_is_reported_after_every_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gz", [line(n) for n in range(3000)])
    packed = bytearray(path.read_bytes())
    packed[-6] ^= 1
    path.write_bytes(packed)
    events = events_of(path)
    assert len(lines_of(events)) == 3000
    assert damage_of(events) == [("gzip_damaged", 3001)]
    assert isinstance(events[-1], Damage)
    assert "checksum" in events[-1].detail


def test_members_follow_each_other_and_damage_ends_at_the_next(tmp_path: Path) -> None:
    first = gzip.compress(b"".join(line(n) + b"\n" for n in range(2000)))
    second = gzip.compress(b"".join(line(n) + b"\n" for n in range(2000, 4000)))
    path = tmp_path / "a.gz"
    path.write_bytes(first + b"\0\0" + second)
    assert lines_of(events_of(path)) == list(range(1, 4001))
    path.write_bytes(first[: len(first) // 2] + second)
    events = events_of(path)
    assert "gzip_damaged" in {fault for fault, _ in damage_of(events)}
    delivered = [e.payload for e in events if isinstance(e, Recorded)]
    assert delivered[-2000:] == [frame(T0_NS + n * 10 * MS, number=n) for n in range(2000, 4000)]


def test_bytes_after_the_end_of_the_gzip_are_reported(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gz", [line(n) for n in range(10)])
    path.write_bytes(path.read_bytes() + b"something else")
    events = events_of(path)
    assert len(lines_of(events)) == 10
    assert damage_of(events) == [("gzip_damaged", 11)]


def refused(*paths: Path) -> str:
    with pytest.raises(FeedError) as caught:
        Replay(paths)
    assert caught.value.exit_code is ExitCode.FEED
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "missing.gz"
    assert str(missing) in refused(missing)
    assert "check the path" in refused(missing)
    assert "directory" in refused(tmp_path)
    not_gzip = tmp_path / "plain.gz"
    not_gzip.write_bytes(line(0) + b"\n")
    assert "not gzip" in refused(not_gzip)
    for content in (b"", b"\n\n", b"timestamp,price\n1,2\n", bytes(range(256)) * 50):
        other = tmp_path / "other"
        other.write_bytes(content)
        assert "not a recording" in refused(other)
    empty = tmp_path / "empty.gz"
    empty.write_bytes(gzip.compress(b""))
    assert "not a recording" in refused(empty)
    broken = tmp_path / "broken.gz"
    broken.write_bytes(b"\x1f\x8b\x08")
    assert "not a recording" in refused(broken)
    nameless = written(tmp_path / "nameless.gz", [b'%d {"channel":"trades"}' % T0_NS])
    assert "names a symbol" in refused(nameless)
    assert "at least one" in refused()


def test_a_recording_given_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [line(0)])
    assert "twice" in refused(path, tmp_path / "." / "a")


def test_a_recording_that_goes_away_is_a_feed_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a", [line(0)])
    replay = Replay([path])
    path.unlink()
    with pytest.raises(FeedError, match="no recording"):
        list(replay.events())
