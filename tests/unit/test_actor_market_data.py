"""Market data: ticks from frames; any doubt about a book is told, and resolved by a snapshot."""

from typing import Any

import pytest

from hfengine.actors.market_data import MarketData
from hfengine.errors import VenueUnavailable
from hfengine.limits import FAULTS_SHOWN, FAULTS_SHOWN_A_KIND
from hfengine.messages import (
    BookSync,
    BookTick,
    FeedFault,
    Frame,
    MarkTick,
    SnapshotFailed,
    Start,
    TradeTick,
)
from tests.rig import T0_NS, Rig

SNAPSHOT = b'{"lastUpdateId":10,"bids":[["60000.0","1.0"]],"asks":[["60000.1","2.0"]]}'


def diff(first: int, last: int, previous: int, bid: str = "59999.9") -> bytes:
    return (
        f'{{"e":"depthUpdate","E":5,"T":4,"s":"BTCUSDT","U":{first},"u":{last},"pu":{previous},'
        f'"b":[["{bid}","3.0"]],"a":[]}}'
    ).encode()


def quote(update: int, bid: str = "60000.0") -> bytes:
    return (
        f'{{"e":"bookTicker","u":{update},"s":"BTCUSDT","b":"{bid}","B":"1.5","a":"60000.1",'
        f'"A":"2.5","T":7,"E":8}}'
    ).encode()


def frame(payload: bytes, line: int = 1) -> Frame:
    return Frame("BTCUSDT", T0_NS, payload, "file.gz", line)


@pytest.fixture
def ref(rig: Rig) -> Any:
    return rig.start(MarketData)


def synced(rig: Rig, ref: Any) -> None:
    rig.tell(ref, frame(SNAPSHOT), frame(diff(9, 11, 8)))
    rig.heard.clear()


def test_start_says_that_no_book_is_in_sync_yet(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Start(T0_NS))
    assert {(s.symbol, s.synced) for s in rig.all(BookSync)} == {
        ("BTCUSDT", False),
        ("ETHUSDT", False),
    }


def test_a_snapshot_and_its_diff_sync_the_book(rig: Rig, ref: Any) -> None:
    rig.tell(ref, frame(diff(9, 11, 8)), frame(SNAPSHOT))
    sync = rig.one(BookSync)
    assert (sync.symbol, sync.synced) == ("BTCUSDT", True)


def test_quotes_trades_and_marks_become_ticks(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    trade = (
        b'{"e":"trade","E":9,"T":8,"s":"BTCUSDT","t":77,"p":"60000.1","q":"0.2","X":"MARKET",'
        b'"m":false}'
    )
    marked = (
        b'{"e":"markPriceUpdate","E":9,"s":"BTCUSDT","p":"60001.5","i":"60002.5","r":"0.0001",'
        b'"T":1700006400000}'
    )
    rig.tell(ref, frame(quote(12)), frame(trade), frame(marked))
    book, tick, mark = rig.one(BookTick), rig.one(TradeTick), rig.one(MarkTick)
    assert (book.bid, book.bid_quantity, book.ask, book.ask_quantity) == (
        60000.0,
        1.5,
        60000.1,
        2.5,
    )
    assert (book.update_id, book.exchange_ms, book.at_ns) == (12, 8, T0_NS)
    assert (tick.trade_id, tick.price, tick.quantity, tick.side) == (77, 60000.1, 0.2, 1)
    assert (mark.mark, mark.index, mark.funding_rate) == (60001.5, 60002.5, 0.0001)
    assert mark.next_funding_ns == 1_700_006_400_000_000_000


def test_no_tick_from_a_book_out_of_sync(rig: Rig, ref: Any) -> None:
    rig.tell(ref, frame(quote(12)))
    assert not rig.all(BookTick)


def test_a_quote_older_than_the_book_is_no_tick(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.tell(ref, frame(quote(12)), frame(quote(11)))
    assert [t.update_id for t in rig.all(BookTick)] == [12]


def test_a_gap_blocks_and_a_snapshot_resolves_it(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    newer = SNAPSHOT.replace(b":10,", b":30,")
    rig.venue.snapshots.append(newer)
    rig.tell(ref, frame(diff(21, 29, 20), line=42))
    fault = rig.one(FeedFault)
    assert (fault.fault, fault.origin, fault.line) == ("gap", "file.gz", 42)
    assert [s.synced for s in rig.all(BookSync)] == [False, True]
    assert rig.report(ref)["snapshots"] == 1


def test_a_snapshot_that_cannot_be_had_is_asked_for_again(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.venue.snapshots += [VenueUnavailable("none"), SNAPSHOT.replace(b":10,", b":40,")]
    rig.tell(ref, frame(b"{not json", line=3))
    assert rig.one(SnapshotFailed).reason == "none"
    assert [s.synced for s in rig.all(BookSync)] == [False]
    rig.run(1.1)
    assert [s.synced for s in rig.all(BookSync)] == [False, True]


def test_damage_found_by_the_reader_drops_the_book(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.venue.snapshots.append(SNAPSHOT.replace(b":10,", b":40,"))
    rig.tell(ref, FeedFault("BTCUSDT", T0_NS, "cut_line", "file.gz", 9, "no end"))
    assert rig.one(FeedFault).line == 9
    assert [s.synced for s in rig.all(BookSync)] == [False, True]
    assert "file.gz:9: cut_line: no end" in rig.report(ref)["fault_lines"]


def test_a_symbol_outside_the_profile_is_a_fault_not_a_crash(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Frame("XRPUSDT", T0_NS, quote(1), "file.gz", 1))
    assert rig.one(FeedFault).fault == "unknown_symbol"
    assert ref.is_alive()


def test_the_same_top_is_not_told_twice(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.tell(ref, frame(quote(12)), frame(quote(12)))
    assert len(rig.all(BookTick)) == 1


def test_ticks_carry_their_own_times_and_the_imbalance(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    trade = (
        b'{"e":"trade","E":9,"T":8,"s":"BTCUSDT","t":77,"p":"60000.1","q":"0.2","X":"MARKET",'
        b'"m":true}'
    )
    rig.tell(ref, frame(trade), frame(diff(12, 13, 11)))
    assert rig.one(TradeTick).exchange_ms == 8, "when it matched"
    assert rig.one(TradeTick).side == -1
    tick = rig.one(BookTick)
    assert tick.exchange_ms == 5, "when it was sent"
    # bids of 1 and 3 against an ask of 2
    assert tick.imbalance == pytest.approx((4.0 - 2.0) / 6.0)


def test_the_age_of_a_symbols_feed_is_its_last_frames(rig: Rig, ref: Any) -> None:
    rig.tell(ref, Frame("BTCUSDT", T0_NS + 7, SNAPSHOT, "file.gz", 1))
    assert rig.report(ref)["heard_ns"] == {"BTCUSDT": T0_NS + 7, "ETHUSDT": T0_NS}


def test_a_book_going_out_of_sync_says_why(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.venue.snapshots.append(SNAPSHOT.replace(b":10,", b":30,"))
    rig.tell(ref, frame(diff(21, 29, 20)))
    assert [s.reason for s in rig.all(BookSync)] == ["gap", "snapshot"]


def test_one_snapshot_at_a_time_is_asked_for(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    asked: list[str] = []
    woken = rig.loop.create_future()

    async def slow(symbol: str) -> bytes:
        asked.append(symbol)
        await woken
        return SNAPSHOT.replace(b":10,", b":40,")

    rig.venue.snapshot = slow  # type: ignore[method-assign]
    rig.tell(ref, frame(b"{not json"), frame(b"{not json"))
    assert asked == ["BTCUSDT"]
    woken.set_result(None)
    rig.run(3.0)
    assert asked == ["BTCUSDT"]
    assert [s.synced for s in rig.all(BookSync)] == [False, True]


def test_a_snapshot_from_the_stream_ends_the_asking(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.venue.snapshots.append(VenueUnavailable("none"))
    rig.tell(ref, frame(b"{not json"))
    rig.tell(ref, frame(SNAPSHOT.replace(b":10,", b":40,")))
    rig.run(3.0)
    assert [s.synced for s in rig.all(BookSync)] == [False, True]
    assert len(rig.all(SnapshotFailed)) == 1
    assert ref.is_alive()


def test_faults_are_all_counted_but_not_all_kept(rig: Rig, ref: Any) -> None:
    for line in range(FAULTS_SHOWN + 5):
        rig.tell(ref, Frame("XRPUSDT", T0_NS, quote(1), "file.gz", line))
    seen = rig.report(ref)
    assert seen["faults"] == {"unknown_symbol": FAULTS_SHOWN + 5}
    assert len(seen["fault_lines"]) == FAULTS_SHOWN_A_KIND


def test_books_are_compared_with_the_recorded_quotes_to_the_end(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.tell(ref, frame(quote(12)), frame(diff(12, 12, 11)))
    seen = rig.report(ref)
    assert (seen["matched"] + seen["mismatched"], seen["frames"]) == (1, 4)


def test_a_restarted_actor_asks_for_the_books_it_lacks(rig: Rig, ref: Any) -> None:
    rig.venue.snapshots += [SNAPSHOT, VenueUnavailable("none")]
    rig.tell(ref, Start(T0_NS, again=True))
    assert ("BTCUSDT", True) in {(s.symbol, s.synced) for s in rig.all(BookSync)}
    assert rig.one(SnapshotFailed).symbol == "ETHUSDT"


def test_faults_between_two_requests_do_not_multiply_them(rig: Rig, ref: Any) -> None:
    asked: list[str] = []

    async def none(symbol: str) -> bytes:
        asked.append(symbol)
        raise VenueUnavailable("none")

    rig.venue.snapshot = none  # type: ignore[method-assign]
    for _ in range(50):
        rig.tell(ref, frame(b"{not json"))
    rig.run(10.0)
    assert 9 <= len(asked) <= 12


def test_a_broken_snapshot_answer_is_a_fault_and_asked_for_again(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.venue.snapshots += [b'{"lastUpdateId":', SNAPSHOT.replace(b":10,", b":40,")]
    rig.tell(ref, frame(diff(21, 29, 20)))
    assert [f.origin for f in rig.all(FeedFault)] == ["file.gz", "snapshot asked for"]
    rig.run(1.1)
    assert rig.all(BookSync)[-1].synced


def test_a_book_the_quotes_contradict_is_dropped_and_asked_for(rig: Rig, ref: Any) -> None:
    synced(rig, ref)
    rig.tell(ref, frame(quote(11)), frame(diff(12, 13, 11, bid="60000.0")), frame(quote(13)))
    assert not rig.all(FeedFault), "60000.0 with 3.0 against the quoted 1.5 is not decided yet"
    rig.venue.snapshots.append(SNAPSHOT.replace(b":10,", b":40,"))
    rig.tell(ref, frame(quote(14), line=77))
    fault = rig.one(FeedFault)
    assert (fault.fault, fault.line) == ("quote_mismatch", 77)
    assert [s.synced for s in rig.all(BookSync)] == [False, True]
    assert rig.report(ref)["mismatched"] == 1


def test_one_kind_of_fault_does_not_hide_the_others(rig: Rig, ref: Any) -> None:
    for number in range(40):
        rig.tell(ref, FeedFault("XRPUSDT", T0_NS, "cut_line", "a.gz", number, ""))
    rig.tell(ref, FeedFault("XRPUSDT", T0_NS, "bad_time", "a.gz", 99, ""))
    report = rig.report(ref)
    assert report["faults"] == {"cut_line": 40, "bad_time": 1}
    assert report["fault_lines"][-1].startswith("a.gz:99: bad_time")
