"""How JSON differs in shape from samples of what a venue says: fields both ways, and types."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct

NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")

TEXTS = frozenset({"number in text", "text", "no text"})

KEYED_BY = "filterType"
"""The field that tells apart the rows of a list that have not the same fields."""

IDENTIFIERS = frozenset({"execId", "orderId", "orderLinkId", "reqId", "req_id", "stream"})
"""Fields whose texts are made of digits or not, as it happens."""


def kind(given: Any) -> str:
    """Return the type of a JSON value; a number written as text is a type of its own."""
    match given:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "number in text" if NUMBER.fullmatch(given) else "text" if given else "no text"
        case list():
            return "list"
        case dict():
            return "object"
    raise TypeError(f"no JSON: {given!r}")


def differences(sample: Any, ours: Any) -> set[str]:
    """Return how the shape of ours differs from a sample's, each with its place.

    Missing and extra fields, other types (a number in text is not a text), numbers that became
    texts. Every element of a list of ours is compared with all elements of the sample's: it must
    have what all of those have, and nothing that none has. A list within a list is a row: as long,
    and compared position by position. An empty list or text of the sample says nothing, one of
    ours only about itself.
    """
    return _compare([sample], ours, "")


def _compare(samples: Sequence[Any], ours: Any, where: str) -> set[str]:
    there = {kind(sample) for sample in samples}
    here = kind(ours)
    if not _agree(there, here):
        return {f"{where}: {' or '.join(sorted(there))} there, {here} here"}
    if here == "object":
        return _fields([sample for sample in samples if isinstance(sample, dict)], ours, where)
    if here == "list":
        return _elements([sample for sample in samples if isinstance(sample, list)], ours, where)
    return set()


def _agree(there: set[str], here: str) -> bool:
    if here in there:
        return True
    if here == "no text":
        return bool(there & TEXTS)
    return here in TEXTS and "no text" in there


def _fields(samples: list[dict[str, Any]], ours: dict[str, Any], where: str) -> set[str]:
    known = set().union(*samples)
    always = known.intersection(*samples)
    found = {f"{where}.{name}: missing" for name in always - ours.keys()}
    found |= {f"{where}.{name}: extra" for name in ours.keys() - known}
    for name in ours.keys() & known:
        theirs = [sample[name] for sample in samples if name in sample]
        if name in IDENTIFIERS and {kind(one) for one in [*theirs, ours[name]]} <= TEXTS:
            continue
        found |= _compare(theirs, ours[name], f"{where}.{name}")
    return found


def _elements(samples: list[list[Any]], ours: list[Any], where: str) -> set[str]:
    theirs = [element for sample in samples for element in sample]
    if not theirs:
        return set()
    if not ours:
        return {f"{where}[]: empty"}
    if all(isinstance(each, list) for each in theirs) and all(isinstance(e, list) for e in ours):
        return _union(_row(theirs, row, f"{where}[]") for row in ours)
    if all(isinstance(each, dict) and KEYED_BY in each for each in theirs):
        return _union(_keyed(theirs, row, where) for row in ours)
    return _union(_compare(theirs, each, f"{where}[]") for each in ours)


def _row(samples: list[list[Any]], ours: list[Any], where: str) -> set[str]:
    lengths = {len(sample) for sample in samples}
    if len(ours) not in lengths:
        return {f"{where}: {sorted(lengths)} long there, {len(ours)} here"}
    alike = [sample for sample in samples if len(sample) == len(ours)]
    return _union(
        _compare([sample[at] for sample in alike], each, f"{where}[{at}]")
        for at, each in enumerate(ours)
    )


def _keyed(samples: list[dict[str, Any]], ours: dict[str, Any], where: str) -> set[str]:
    place = f"{where}[{ours.get(KEYED_BY)}]"
    alike = [sample for sample in samples if sample[KEYED_BY] == ours.get(KEYED_BY)]
    return _compare(alike, ours, place) if alike else {f"{place}: extra"}


def _union(found: Iterable[set[str]]) -> set[str]:
    return set().union(*found)


def texts(given: Any, names: Iterable[str]) -> set[tuple[str, str]]:
    """Return (field, text) of every text in the fields of these names, at any depth."""
    wanted = frozenset(names)
    if isinstance(given, list):
        return set().union(*(texts(each, wanted) for each in given))
    if not isinstance(given, dict):
        return set()
    own = {(name, each) for name, each in given.items() if name in wanted and type(each) is str}
    return own.union(*(texts(each, wanted) for each in given.values()))


def fields(given: Any) -> set[str]:
    """Return the name of every field, at any depth."""
    if isinstance(given, list):
        return set().union(*(fields(each) for each in given))
    if not isinstance(given, dict):
        return set()
    return set(given).union(*(fields(each) for each in given.values()))


class Explained(Struct, frozen=True):
    """Differences that may be: why, of which samples, and which."""

    reason: str
    samples: tuple[str, ...]
    differences: tuple[str, ...]


def unexplained(
    sample_name: str, found: set[str], table: Iterable[Explained]
) -> tuple[set[str], set[str]]:
    """Return what differs without a reason, and what has a reason but does not differ."""
    expected = {each for row in table if sample_name in row.samples for each in row.differences}
    return found - expected, expected - found


def extra_fields(row: Explained) -> set[str]:
    """Return the names of the fields a row explains that only ours has."""
    ends = (each.removesuffix(": extra") for each in row.differences if each.endswith(": extra"))
    return {end.rpartition(".")[2] for end in ends}
