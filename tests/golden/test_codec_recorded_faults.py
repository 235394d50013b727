"""Faults put into the recordings: each found, named and counted, nothing applied in part.

After each the codec comes back by a snapshot, to exactly the book an undisturbed codec has.
"""

import gzip
import json
import random
from collections.abc import Callable
from decimal import Decimal
from functools import cache

import pytest

from hfengine.kernels import bybit_codec, codec
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from hfengine.kernels.codec import BinanceCodec
from tests.reference.book import ReferenceBook, ReferenceCodec
from tests.reference.bybit_frames import ReferenceBybit
from tests.reference.recorded import frames
from tests.shared import RECORDINGS, needs_shared

pytestmark = needs_shared

PLACES = 12
REACH = 1500
"""Faults are put among this many diffs."""

Codec = BinanceCodec | BybitCodec


class Chain:
    """A snapshot and the diffs that follow it, of one recording."""

    def __init__(self, market: str, symbol: str, grid: str, paths: str) -> None:
        self.market, self.symbol = market, symbol
        self.tick, self.step = grid.split()
        self.paths = [RECORDINGS / path for path in paths.split()]
        self.is_bybit = market == "bybit"
        self.names = BYBIT_NAMES if self.is_bybit else BINANCE_NAMES

    @cache  # noqa: B019 - the chains live as long as the module
    def payloads(self) -> tuple[bytes, list[bytes]]:
        """Return the snapshot and, from the first one that follows it on, the diffs."""
        if self.is_bybit:
            rows = gzip.decompress(self.paths[0].read_bytes()).splitlines()
            return rows[0], rows[1:]
        if self.paths[0].suffix == ".json":
            whole, lines = (path.read_bytes() for path in self.paths)
            mixed = [whole, *lines.splitlines()]
        else:
            mixed = frames(*self.paths)
        whole = next(row for row in mixed if b'"lastUpdateId"' in row)
        last = json.loads(whole)["lastUpdateId"]
        diffs = [row for row in mixed if b'"depthUpdate"' in row][: REACH + 200]
        ids = [ids_of(row) for row in diffs]
        first = next(i for i, (_, u) in enumerate(ids) if u > last)
        return whole, diffs[first:]

    def fresh(self) -> Codec:
        book = Book(self.tick, self.step)
        if self.is_bybit:
            return BybitCodec(self.symbol, book)
        return BinanceCodec(self.symbol, book, self.market)

    def reference(self) -> ReferenceCodec | ReferenceBybit:
        book = ReferenceBook(self.tick, self.step)
        if self.is_bybit:
            return ReferenceBybit(self.symbol, book)
        return ReferenceCodec(self.symbol, book, self.market)

    def at(self, place: int) -> Codec:
        """Return an undisturbed codec that took the snapshot and so many diffs."""
        whole, diffs = self.payloads()
        clean = self.fresh()
        assert clean.decode(whole) == codec.SNAPSHOT
        for payload in diffs[:place]:
            assert clean.decode(payload) == codec.DEPTH, clean.fault_detail
        return clean

    def places(self) -> list[int]:
        _, diffs = self.payloads()
        reach = min(REACH, len(diffs) - 12)
        return [1 + index * (reach - 1) // PLACES for index in range(PLACES)]

    def snapshot(self, clean: Codec) -> bytes:
        """Write the snapshot the venue would have sent where an undisturbed codec stands."""
        tick, step = Decimal(self.tick), Decimal(self.step)
        sides = [
            [[str(ticks * tick), str(steps * step)] for ticks, steps in levels]
            for levels in (clean.book.levels(side, 10_000) for side in (1, -1))
        ]
        last = clean.book.update_id
        if not self.is_bybit:
            return json.dumps({"lastUpdateId": last, "bids": sides[0], "asks": sides[1]}).encode()
        inner = {"s": self.symbol, "b": sides[0], "a": sides[1], "u": last, "seq": 9}
        topic = {"topic": f"orderbook.500.{self.symbol}", "type": "snapshot", "ts": 5}
        return json.dumps({**topic, "data": inner}).encode()

    def feed(self, subject: Codec, payload: bytes) -> str:
        return self.names[subject.decode(payload)]

    def __repr__(self) -> str:
        return f"{self.market}-{self.symbol}"


BINANCE_NAMES = {**codec.KINDS, **codec.FAULTS}
BYBIT_NAMES = {**bybit_codec.KINDS, **bybit_codec.FAULTS}
GOLDEN = "binance-usdm-golden/ethusdt_20231230_snapshot.json "
GOLDEN += "binance-usdm-golden/ethusdt_20231230_diffs.jsonl"
CHAINS = [
    Chain("usdm", "BTCUSDT", "0.10 0.001", "binance-usdm/btcusdt_20230404.dat.gz"),
    Chain("usdm", "ETHUSDT", "0.01 0.001", GOLDEN),
    Chain("spot", "ETHUSDT", "0.01 0.00001", "binance-spot/ethusdt_20240808.gz"),
    Chain("coinm", "ETHUSD_PERP", "0.01 1", "binance-coinm/ethusd_perp_20240808.gz"),
    Chain("bybit", "XRPUSDT", "0.0001 1", "bybit-v5/2024-12-01_XRPUSDT_ob500.data.gz"),
]
every_chain = pytest.mark.parametrize("chain", CHAINS, ids=repr)


def ids_of(payload: bytes) -> tuple[int, int]:
    frame = json.loads(payload)
    inner = frame.get("data", frame)
    return inner["U"], inner["u"]


def state(subject: Codec) -> tuple[object, ...]:
    book = subject.book
    return subject.synced, book.update_id, book.levels(1, 10_000), book.levels(-1, 10_000)


LOST = (False, 0, [], [])


def recovers(chain: Chain, subject: Codec, place: int) -> None:
    """Bring a codec that lost its book at `place` back, and hold it to an undisturbed one."""
    _, diffs = chain.payloads()
    waits = "unsynced" if chain.is_bybit else "buffered"
    for payload in diffs[place : place + 4]:
        assert chain.feed(subject, payload) == waits
        assert state(subject) == LOST
    there = place + 4 if chain.is_bybit else place + 2
    assert chain.feed(subject, chain.snapshot(chain.at(there))) == "snapshot", subject.fault_detail
    for payload in diffs[place + 4 : place + 8]:
        assert chain.feed(subject, payload) == "depth"
    assert state(subject) == state(chain.at(place + 8))


@every_chain
def test_a_gap_is_found_and_healed(chain: Chain) -> None:
    _, diffs = chain.payloads()
    for place in chain.places():
        subject = chain.at(place)
        assert chain.feed(subject, diffs[place + 1]) == "gap"
        assert subject.counts["gap"] == 1
        assert state(subject) == LOST
        recovers(chain, subject, place + 2)


@every_chain
def test_a_duplicate_is_dropped(chain: Chain) -> None:
    _, diffs = chain.payloads()
    for place in chain.places():
        subject = chain.at(place)
        before = state(subject)
        for back in range(1, min(place, 6) + 1):
            assert chain.feed(subject, diffs[place - back]) == "stale"
            assert state(subject) == before
        assert subject.counts["stale"] == min(place, 6)
        assert chain.feed(subject, diffs[place]) == "depth"
        assert state(subject) == state(chain.at(place + 1))


@every_chain
def test_two_frames_in_the_wrong_order_are_found_and_healed(chain: Chain) -> None:
    _, diffs = chain.payloads()
    for place in chain.places():
        subject = chain.at(place)
        assert chain.feed(subject, diffs[place + 1]) == "gap"
        assert chain.feed(subject, diffs[place]) in ("buffered", "unsynced")
        assert state(subject) == LOST
        assert chain.feed(subject, chain.snapshot(chain.at(place + 2))) == "snapshot"
        assert chain.feed(subject, diffs[place + 2]) == "depth"
        assert state(subject) == state(chain.at(place + 3))


@every_chain
def test_a_stale_snapshot_is_found(chain: Chain) -> None:
    """Bybit's replaces the book at any time, as the venue bids; the next delta then is a gap."""
    _, diffs = chain.payloads()
    for place in chain.places():
        subject = chain.at(place)
        before = state(subject)
        old = chain.snapshot(chain.at(place - 1))
        if chain.is_bybit:
            assert chain.feed(subject, old) == "snapshot"
            assert chain.feed(subject, diffs[place]) == "gap"
            assert state(subject) == LOST
            recovers(chain, subject, place + 1)
            continue
        assert chain.feed(subject, old) == "stale"
        assert chain.feed(subject, chain.snapshot(subject)) == "stale"
        assert state(subject) == before
        subject.desync()
        assert chain.feed(subject, diffs[place + 1]) == "buffered"
        assert chain.feed(subject, old) == "gap"  # older than all that waits
        assert state(subject) == LOST
        recovers(chain, subject, place + 2)


def cut(payload: bytes, rng: random.Random) -> bytes:
    return payload[: rng.randrange(len(payload))]


def lost_bytes(payload: bytes, rng: random.Random) -> bytes:
    """Leave out a few bytes about a quote, so that what is left is no JSON."""
    at = payload.index(b'"', rng.randrange(len(payload) // 2))
    return payload[:at] + payload[at + 1 :]


def doubled(payload: bytes, rng: random.Random) -> bytes:
    return payload + payload[: rng.randrange(1, len(payload))]


@every_chain
@pytest.mark.parametrize("damage", [cut, lost_bytes, doubled])
def test_a_damaged_frame_is_found_and_healed(
    chain: Chain, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    _, diffs = chain.payloads()
    rng = random.Random(7)
    for place in chain.places():
        subject = chain.at(place)
        assert chain.feed(subject, damage(diffs[place], rng)) == "malformed"
        assert subject.counts["malformed"] == 1
        assert state(subject) == LOST
        recovers(chain, subject, place + 1)


@every_chain
def test_a_corrupted_byte_is_judged_as_the_strict_reference_judges(chain: Chain) -> None:
    """What still conforms (a digit for a digit) nobody can see; all else is refused, named."""
    whole, diffs = chain.payloads()
    rng = random.Random(11)
    seen = set()
    small = trimmed(whole)
    for payload in diffs[:60]:
        place, byte = rng.randrange(len(payload)), rng.randrange(256)
        spoiled = payload[:place] + bytes([byte]) + payload[place + 1 :]
        ours, theirs = chain.fresh(), chain.reference()
        for row in (small, diffs[0]):
            assert chain.feed(ours, row) == theirs.decode(row)
        result = chain.feed(ours, spoiled)
        assert result == theirs.decode(spoiled), (spoiled, ours.fault_detail)
        book = theirs.book
        wanted = (theirs.synced, book.update_id, book.levels(1), book.levels(-1))
        assert state(ours) == wanted
        assert ours.fault_detail.startswith(result if result in codec.FAULTS.values() else "")
        seen.add(result)
    assert "malformed" in seen


def trimmed(whole: bytes) -> bytes:
    """Return a snapshot with its best levels only, which the reference reads faster."""
    frame = json.loads(whole)
    inner = frame.get("data", frame)
    for side in {"b", "a", "bids", "asks"} & set(inner):
        inner[side] = inner[side][:50]
    return json.dumps(frame).encode()
