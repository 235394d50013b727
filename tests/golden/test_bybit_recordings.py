"""The Bybit archive and the protocol samples of other libraries go through as they were meant."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hfengine.kernels import bybit_codec as kinds
from hfengine.kernels.book import Book
from hfengine.kernels.bybit_codec import BybitCodec
from tests.shared import RECORDINGS, SHARED, needs_shared

pytestmark = needs_shared

ARCHIVE = RECORDINGS / "bybit-v5" / "2024-12-01_XRPUSDT_ob500.data.gz"
PROTOCOL = SHARED / "data" / "protocol"
JSON_LINE = re.compile(r"^[<=]\d?\s*(?=\{)", re.MULTILINE)


def unpacked(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def archive() -> list[bytes]:
    return gzip.decompress(ARCHIVE.read_bytes()).splitlines()


def samples(case: str) -> list[bytes]:
    """Return the frames a case of jkorf's receives, as they are written."""
    text = next(
        x["text"] for x in unpacked(PROTOCOL / "jkorf_bybit_v5.json.gz") if x["name"] == case
    )
    received = []
    for match in JSON_LINE.finditer(text):
        _, length = json.JSONDecoder().raw_decode(text[match.end() :])
        received.append(text[match.end() : match.end() + length].encode())
    return received


def xrp() -> BybitCodec:
    return BybitCodec("XRPUSDT", Book("0.0001", "1"))


def test_the_archive_gives_the_book_of_json_and_two_dicts() -> None:
    codec = xrp()
    sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for line in archive():
        frame = json.loads(line)
        whole = frame["type"] == "snapshot"
        assert codec.decode(line) == (kinds.SNAPSHOT if whole else kinds.DEPTH), codec.fault_detail
        assert (codec.event_ms, codec.match_ms) == (frame["ts"], frame["cts"])
        assert codec.sequence == frame["data"]["seq"]
        for side, key in ((1, "b"), (-1, "a")):
            sides[key] = {} if whole else sides[key]
            sides[key].update(frame["data"][key])
            wanted = {
                round(float(price) * 10_000): int(quantity)
                for price, quantity in sides[key].items()
                if quantity != "0"
            }
            assert dict(codec.book.levels(side, 10_000)) == wanted
    counts = {name: count for name, count in codec.counts.items() if count}
    assert counts == {"snapshot": 1, "depth": 49}  # counted with zgrep -c
    assert (codec.depth, codec.book.dropped) == (500, 0)


def test_every_fault_put_into_the_archive_is_found() -> None:
    lines = archive()
    for place in range(1, len(lines) - 1):
        codec = xrp()
        for line in lines[:place]:
            codec.decode(line)
        assert codec.decode(lines[place - 1]) in (kinds.STALE, kinds.SNAPSHOT)
        assert codec.decode(lines[place + 1]) == kinds.GAP
        assert codec.book.is_empty
        assert codec.decode(lines[place]) == kinds.UNSYNCED
        assert codec.decode(lines[0]) == kinds.SNAPSHOT
        assert codec.decode(lines[1][: 37 * place % len(lines[1])]) == kinds.MALFORMED
        assert (codec.synced, codec.book.is_empty) == (False, True)


def test_the_trades_of_the_documentation_are_read() -> None:
    codec = BybitCodec("BTCUSDT", Book("0.10", "0.001"))
    ack, frame = samples("Subscriptions/V5/Linear/Trades")
    assert codec.decode(ack) == kinds.IGNORED
    assert (codec.control_success, codec.control_op) == (True, "subscribe")
    assert codec.control_request_id == json.loads(ack)["req_id"]
    assert codec.decode(frame) == kinds.TRADE, codec.fault_detail
    told = json.loads(frame)["data"][0]
    price, quantity = float(told["p"]), float(told["v"])
    assert codec.trade(0)[:5] == (told["i"], price, quantity, 1, told["T"])
    nautilus = unpacked(PROTOCOL / "nautilus_bybit_v5.json.gz")
    for name, success in (("ack", True), ("failure", False)):
        reply = nautilus[f"ws_subscription_{name}.json"]
        assert codec.decode(json.dumps(reply).encode()) == kinds.IGNORED
        assert codec.control_success is success
        assert codec.control_message == reply["ret_msg"]


def test_tickers_of_perpetuals_are_read_and_others_refused() -> None:
    _, documented = samples("Subscriptions/V5/Linear/Ticker")
    lines = (PROTOCOL / "gct_bybit_wsTicker.jsonl").read_bytes().splitlines()
    results = []
    for line in [documented, *lines]:
        frame = json.loads(line)
        symbol = frame["topic"].removeprefix("tickers.")
        codec = BybitCodec(symbol, Book("0.10", "0.001"))
        results.append(
            (symbol, kinds.KINDS.get(code := codec.decode(line), kinds.FAULTS.get(code)))
        )
        for name, key in (("mark_price", "markPrice"), ("index_price", "indexPrice")):
            if code == kinds.MARK:
                assert getattr(codec, name) == float(frame["data"][key])
    assert results == [
        ("BTCUSDT", "mark"),
        ("BTC-USDT", "wrong_symbol"),  # a spot ticker that names itself BTCUSDT inside
        ("BTC-28JUN24-60000-P", "foreign"),  # an option has no funding
        ("BTCUSDT", "mark"),
        ("BTCUSDT", "mark"),
        ("BTCPERP", "mark"),
        ("BTCPERP", "ignored"),
        ("BTCUSD", "mark"),
        ("BTCUSD", "ignored"),
    ]


@pytest.mark.parametrize(
    "name", ["gct_bybit_wsAuth.jsonl", "nautilus_bybit_v5.json.gz", "jkorf_bybit_v5.json.gz"]
)
def test_private_frames_and_answers_over_http_are_never_market(name: str) -> None:
    path = PROTOCOL / name
    if name.startswith("gct"):
        frames = path.read_bytes().splitlines()
    elif name.startswith("jkorf"):
        cases = [case["name"] for case in unpacked(path) if "Private" in case["name"]]
        frames = [frame for case in cases for frame in samples(case)]
    else:
        private = {
            key: frame
            for key, frame in unpacked(path).items()
            if key.startswith(("http_", "ws_account"))
        }
        frames = [json.dumps(frame).encode() for frame in private.values()]
    codec = xrp()
    codec.decode(archive()[0])
    seen = {codec.decode(frame) for frame in frames}
    assert len(frames) > 5
    assert seen <= {kinds.FOREIGN, kinds.IGNORED}
    assert kinds.FOREIGN in seen
    assert codec.synced
