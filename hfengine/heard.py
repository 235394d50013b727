"""What a replay needs besides the messages published: how a session began, what reached its actors.

These records stand in the journal among the published messages and are never published themselves.
An actor is named as people read it (`Risk-1`), or by its room (`execution`). Times end in _ns.
"""

import asyncio
import builtins
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from hfengine import messages, oversight, requests
from hfengine.instruments import Instrument
from hfengine.messages import (
    BookSync,
    BookTick,
    FeedFault,
    MarkTick,
    Message,
    SnapshotFailed,
    TradeTick,
)

FORMAT: Final = 1
ROWS_A_RECORD: Final = 500
"""Rows of one list in one record; a longer list goes ahead in records of its own."""

MARKET: Final = frozenset({BookTick, TradeTick, MarkTick, BookSync, FeedFault, SnapshotFailed})
"""What market data says: input of the other actors, told apart by its class alone."""


class Session(Message, frozen=True, gc=False, tag=True):
    """How a session began: the first record. `instruments` and `recalled` count what follows."""

    at_ns: int
    format: int
    session: str
    version: str
    profile: str
    config_hash: str
    account: str
    settings: dict[str, Any]
    drift: bytes
    """The drift layer's file; empty without one."""
    instruments: int
    recalled: int


class Listed(Message, frozen=True, gc=False, tag=True):
    """One instrument of the session, under the name the profile lists it by."""

    symbol: str
    instrument: Instrument


class Recalled(Message, frozen=True, gc=False, tag=True):
    """What was remembered from sessions before under one key."""

    key: str
    body: bytes


class Turn(Message, frozen=True, gc=False, tag=True):
    """The next `inputs` market messages were told in one turn, when the clock said `at_ns`.

    Written only where the messages alone do not say so: more than one, or another time.
    """

    at_ns: int
    inputs: int


class Told(Message, frozen=True, gc=False, tag=True):
    """An event reached an actor: alone, in one batch with its neighbours, or inside a handler."""

    actor: str
    at_ns: int
    how: Literal["alone", "batch", "handler"]
    message: Any


class More(Message, frozen=True, gc=False, tag=True):
    """Rows of a list of the outcome that follows."""

    rows: list[Any]


class Ended(Message, frozen=True, gc=False, tag=True):
    """The I/O that an actor started as its `number`-th, from 0, came to an end."""

    actor: str
    number: int
    at_ns: int
    result: Any
    error: Any


class Fired(Message, frozen=True, gc=False, tag=True):
    """The timer that an actor set as its `number`-th, from 0, fired."""

    actor: str
    number: int
    at_ns: int


class Published(Message, frozen=True, gc=False, tag=True):
    """The next message was published by the engine itself; `nested` while an actor died."""

    at_ns: int
    nested: bool


class Died(Message, frozen=True, gc=False, tag=True):
    """An actor raised while it handled its `handled`-th message, in the module `raised_in`."""

    actor: str
    at_ns: int
    handled: int
    raised_in: str
    error: str


HEARD: Final[tuple[type[Message], ...]] = (
    Session,
    Listed,
    Recalled,
    Turn,
    Told,
    More,
    Ended,
    Fired,
    Published,
    Died,
)


class Unreadable(ValueError):
    """A recorded outcome that this version cannot put together again."""


def plain(thing: Any) -> Any:
    """Return a thing as text, numbers, lists and mappings that `thing_of` reads again.

    Mappings stand for whatever those cannot say, their one or two keys begin with "%".
    """
    if type(thing) in _NATIVE or thing is None or isinstance(thing, (bool, int, float, str)):
        # a message of the vocabulary is encoded as it stands, and known by its tag
        return thing
    if isinstance(thing, Struct):
        return {"%class": _path(type(thing)), "%fields": msgspec.to_builtins(thing, **_AS_IS)}
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return {"%class": _path(type(thing)), "%items": [plain(one) for one in thing]}
    match thing:
        case Decimal():
            return {"%decimal": str(thing)}
        case bytes():
            return {"%bytes": thing}
        case list():
            return [plain(one) for one in thing]
        case tuple():
            return {"%tuple": [plain(one) for one in thing]}
        case Mapping():
            return {"%mapping": [[plain(key), plain(under)] for key, under in thing.items()]}
        case set() | frozenset():
            return {"%set": sorted((plain(one) for one in thing), key=repr)}
        case _:
            return {"%unknown": repr(thing)}


def thing_of(tree: Any) -> Any:
    """Return what `plain` was given. Raises Unreadable."""
    if isinstance(tree, list):
        return [thing_of(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    match tree:
        case {"type": str(tag)} if tag in _BY_TAG:
            return _converted(tree, _BY_TAG[tag])
        case {"%class": str(path), "%fields": fields}:
            return _converted(fields, _class_of(path))
        case {"%class": str(path), "%items": list(items)}:
            return _class_of(path)(*map(thing_of, items))
        case {"%decimal": str(digits)}:
            return Decimal(digits)
        case {"%bytes": content}:
            return content
        case {"%tuple": list(items)}:
            return tuple(map(thing_of, items))
        case {"%mapping": list(items)}:
            return {thing_of(key): thing_of(under) for key, under in items}
        case {"%set": list(items)}:
            return set(map(thing_of, items))
        case _:
            raise Unreadable(f"nothing this version knows: {str(tree)[:200]}")


def plain_error(error: BaseException | None) -> Any:
    """Return an exception as `plain` things: its class, arguments, attributes and text."""
    if error is None:
        return None
    return {
        "class": _path(type(error)),
        "arguments": [plain(one) for one in error.args],
        "attributes": plain(vars(error)),
        "shown": repr(error),
        "text": str(error),
    }


def error_of(tree: Any) -> BaseException | None:
    """Return the exception that `plain_error` was given, or one that reads like it.

    Exceptions of this package, of Python and of asyncio come back as themselves, others as a new
    class of the same name. Raises Unreadable.
    """
    if tree is None:
        return None
    module, _, name = str(tree["class"]).partition(":")
    found = _known(module, name)
    if isinstance(found, type) and issubclass(found, BaseException):
        arguments = [thing_of(one) for one in tree["arguments"]]
        error = found.__new__(found, *arguments)
        error.args = tuple(arguments)
        error.__dict__.update(thing_of(tree["attributes"]))
        return error
    shown, text = str(tree["shown"]), str(tree["text"])
    alike = type(
        name.rpartition(".")[2],
        (Exception,),
        {"__repr__": lambda _self: shown, "__str__": lambda _self: text},
    )
    made: BaseException = alike()
    return made


def split_rows(tree: Any) -> tuple[list[More], Any]:
    """Take every list longer than ROWS_A_RECORD out of a tree: (what goes ahead, what is left)."""
    ahead: list[More] = []

    def shortened(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: shortened(under) for key, under in part.items()}
        if not isinstance(part, list):
            return part
        if len(part) <= ROWS_A_RECORD:
            return [shortened(one) for one in part]
        before = len(ahead)
        for first in range(0, len(part), ROWS_A_RECORD):
            ahead.append(More(part[first : first + ROWS_A_RECORD]))
        return {"%ahead": [before, len(ahead)]}

    return ahead, shortened(tree)


def join_rows(ahead: list[More], tree: Any) -> Any:
    """Put what `split_rows` took out back in."""
    if isinstance(tree, list):
        return [join_rows(ahead, one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    match tree:
        case {"%ahead": [int(first), int(end)]}:
            return [row for more in ahead[first:end] for row in more.rows]
        case _:
            return {key: join_rows(ahead, under) for key, under in tree.items()}


_AS_IS: Final[dict[str, Any]] = {"builtin_types": (bytes,)}


_BY_TAG: Final[dict[str, type[Message]]] = {
    thing.__name__: thing
    for page in (messages, oversight, requests)
    for thing in vars(page).values()
    if isinstance(thing, type) and issubclass(thing, Message) and thing is not Message
}
"""The vocabulary, by the tag its messages have on the wire."""

_NATIVE: Final = frozenset(_BY_TAG.values())


def _converted(fields: Any, cls: type[Any]) -> Any:
    try:
        return msgspec.convert(fields, cls, **_AS_IS)
    except msgspec.ValidationError as error:
        raise Unreadable(f"{cls.__name__}: {error}") from error


def _path(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _known(module: str, name: str) -> Any:
    """Return a class of this package, of Python or of asyncio; None for any other."""
    if module == builtins.__name__:
        return getattr(builtins, name, None)
    if module.startswith("asyncio"):
        return getattr(asyncio, name, None)
    if module.startswith("hfengine."):
        return getattr(sys.modules.get(module), name, None)
    return None


def _class_of(path: str) -> Any:
    module, _, name = path.partition(":")
    found = _known(module, name) if module.startswith("hfengine.") else None
    if not (isinstance(found, type) and issubclass(found, (Struct, tuple))):
        raise Unreadable(f"{path} is no message of this version")
    return found
