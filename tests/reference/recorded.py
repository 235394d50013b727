"""Frames of the recordings and protocol samples, and a book of json and two dicts to hold them to.

Every reader returns payloads as they came, without the recorder's own time before each.
"""

import gzip
import json
import re
from pathlib import Path
from typing import Any

from tests.shared import SHARED

PROTOCOL = SHARED / "data" / "protocol"
CAPTURES = SHARED / "data" / "ws-captures"
RECEIVED = re.compile(r"^[<=]\d?\s*(?=[\[{])", re.MULTILINE)


def frames(*paths: Path) -> list[bytes]:
    """Return the payloads of recordings that are one stream, in their order."""
    return [
        line.split(b" ", 1)[1]
        for path in paths
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def capture(name: str) -> list[bytes]:
    """Return the frames received in a websocket capture, its sent ones left out."""
    lines = gzip.decompress((CAPTURES / name).read_bytes()).splitlines()
    return [line.split(b": ", 1)[1] for line in lines if line[:1].isdigit()]


def snapshots(name: str) -> dict[str, bytes]:
    """Return the REST snapshot of each symbol in a capture of answers."""
    found = {}
    for line in gzip.decompress((CAPTURES / name).read_bytes()).splitlines():
        wanted = re.match(rb"\S*/depth\?symbol=(\w+)\S* -> \S+: ", line)
        if wanted:
            found[wanted[1].decode()] = line[wanted.end() :]
    return found


def unpacked(name: str) -> Any:
    return json.loads(gzip.decompress((PROTOCOL / name).read_bytes()))


def received(text: str) -> list[bytes]:
    """Return the frames a scripted case receives, as they are written."""
    found = []
    for match in RECEIVED.finditer(text):
        # `|1|` and the like stand for numbers the client chose
        rest = re.sub(r":\s*\|(\w+|\*)\|", ": 1", text[match.end() :])
        _, length = json.JSONDecoder().raw_decode(rest)
        found.append(rest[:length].encode())
    return found


def scripted(name: str, folder: str = "") -> dict[str, list[bytes]]:
    """Return the frames received in each scripted case whose name begins so."""
    cases = {case["name"]: case["text"] for case in unpacked(name)}
    return {
        case: received(text)
        for case, text in cases.items()
        if case.startswith(folder) and not case.startswith("Endpoints")
    }


class DictBook:
    """What json and two dicts of the venue's own texts make of a chain of diffs."""

    def __init__(self, tick_scale: int, step_scale: int) -> None:
        self.scales = tick_scale, step_scale
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}

    def load(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self.sides = {"b": dict(bids), "a": dict(asks)}  # type: ignore[arg-type]

    def apply(self, diff: dict[str, Any]) -> None:
        for side, levels in self.sides.items():
            levels.update(diff[side])

    def levels(self, side: int) -> dict[int, int]:
        """Return all levels of a side, ticks to steps."""
        tick_scale, step_scale = self.scales
        return {
            round(float(price) * tick_scale): round(float(quantity) * step_scale)
            for price, quantity in self.sides["b" if side > 0 else "a"].items()
            if float(quantity) > 0
        }
