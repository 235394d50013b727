"""Bitget's book checksum against the frames of 2022-04-07 that carry the venue's own."""

import gzip
import json

from hfengine.localvenue.bitget.books import checksum
from tests.shared import SHARED, needs_shared

CAPTURE = SHARED / "data" / "ws-captures" / "BITGET.ws.2.0.gz"


def books_frames():
    with gzip.open(CAPTURE, "rt") as lines:
        for line in lines:
            if line.startswith("16") and '"channel":"books"' in line and '"data"' in line:
                yield json.loads(line.split(": ", 1)[1])


@needs_shared
def test_every_recorded_book_has_the_checksum_we_compute():
    books, seen = {}, 0
    for frame in books_frames():
        symbol, data = frame["arg"]["instId"], frame["data"][0]
        if frame["action"] == "snapshot":
            books[symbol] = ({}, {})
        for side, levels in zip(books[symbol], (data["bids"], data["asks"]), strict=True):
            for price, size in levels:
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size
        bids = sorted(books[symbol][0].items(), key=lambda level: -float(level[0]))
        asks = sorted(books[symbol][1].items(), key=lambda level: float(level[0]))
        assert checksum(bids, asks) == data["checksum"]
        seen += 1
    assert seen == 194


def test_the_documented_strings():
    """The two examples of the Depth Channel page, by their strings' CRC-32."""
    even = checksum([("43231.1", "4"), ("43231", "6")], [("43232.8", "9"), ("43232.9", "8")])
    assert even == checksum_of("43231.1:4:43232.8:9:43231:6:43232.9:8")
    uneven = checksum([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")])
    assert uneven == checksum_of("3366.1:7:3366.8:9:3368:8:3372:8")


def checksum_of(text):
    """Return CRC-32 by its definition, bit by bit, as a signed number."""
    code = 0xFFFFFFFF
    for byte in text.encode():
        code ^= byte
        for _ in range(8):
            code = code >> 1 ^ (0xEDB88320 if code & 1 else 0)
    code ^= 0xFFFFFFFF
    return code - (1 << 32) if code >= 1 << 31 else code
