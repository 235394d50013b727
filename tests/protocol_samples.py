"""The exchanges' own words: samples of the shared protocol recordings, by name."""

import gzip
import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from tests.shared import SHARED

PROTOCOL = SHARED / "data" / "protocol"


def _read(name: str) -> Any:
    with gzip.open(PROTOCOL / f"{name}.json.gz", "rt") as file:
        return json.load(file)


@cache
def _endpoints(name: str) -> dict[str, str]:
    return {case["name"]: case["text"] for case in _read(name)}


def endpoint(name: str, case: str) -> Any:
    """Return the answer of an endpoint's case of a `jkorf_…` file."""
    _method, _path, _signed, answer = _endpoints(name)[f"Endpoints/UsdFutures/{case}"].split(
        "\n", 3
    )
    return json.loads(answer)


def push(name: str, case: str) -> Any:
    """Return the event of a subscription's case of a `jkorf_…` file."""
    text = _endpoints(name)[f"Subscriptions/UsdFutures/{case}"]
    _sent, _, pushed = text.partition("\n=")
    return json.loads(re.sub(r",\s*([}\]])", r"\1", pushed.split("\n=")[0]))["data"]


@cache
def messages(name: str) -> dict[str, Any]:
    """Return all messages of a `nautilus_…` file by name."""
    found: dict[str, Any] = _read(name)
    return found


@cache
def recorded(name: str, path: str) -> Any:
    """Return the first recorded answer to a path of a `…_recorded_http` file."""
    return next(pair["response"] for pair in _read(name) if pair["path"] == path)


@cache
def samples(venue: str) -> dict[str, Any]:
    """Return what a venue said, of every file, by "file/name"; "bybit" or "binance".

    Of a subscription or a socket each frame received is one, named by "name#number".
    """
    jkorf, nautilus, pairs, lines = {
        "bybit": ("jkorf_bybit_v5", "nautilus_bybit_v5", "bybit_recorded_http", "gct_bybit_*"),
        "binance": (
            "jkorf_binance_usdm",
            "nautilus_binance_futures",
            "binance_usdm_recorded_http",
            "gct_binance_*",
        ),
    }[venue]
    found: dict[str, Any] = {f"nautilus/{name}": one for name, one in messages(nautilus).items()}
    for pair in _read(pairs):
        found[f"recorded/{pair['path']}?{pair['query']}"] = pair["response"]
    for name, text in _endpoints(jkorf).items():
        if name.startswith("Endpoints/"):
            *_request, answer = text.split("\n", 3)
            if answer.lstrip().startswith(("{", "[")):
                found[f"jkorf/{name}"] = _loads(answer)
        else:
            found |= {f"jkorf/{name}#{at}": one for at, one in enumerate(_frames(text))}
    for path in sorted(PROTOCOL.glob(f"{lines}.jsonl")):
        for at, line in enumerate(path.read_text().splitlines()):
            found[f"gct/{path.stem}#{at}"] = json.loads(line)
    return found


def _loads(text: str) -> Any:
    # placeholders of the test bench it comes from, and commas too many
    return json.loads(re.sub(r",\s*([}\]])", r"\1", re.sub(r'(?<!")\|\d+\|(?!")', "1", text)))


def _frames(text: str) -> list[Any]:
    """Return the frames received: those behind `<` and `=`."""
    marked = re.split(r"^\s*([<>=])\s*(?=[{\[])", text, flags=re.MULTILINE)[1:]
    return [
        _loads(frame) for mark, frame in zip(marked[::2], marked[1::2], strict=True) if mark in "<="
    ]


def named(venue: str, patterns: Iterable[str]) -> list[str]:
    """Return the names of the samples that match, in the order of the patterns.

    A pattern that matches none is a KeyError.
    """
    found = []
    for pattern in patterns:
        matching = [name for name in samples(venue) if fnmatchcase(name, pattern)]
        if not matching:
            raise KeyError(pattern)
        found += matching
    return found
