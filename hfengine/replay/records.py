"""The records of a journal as messages, read ahead only as far as somebody looks."""

from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, Union

import msgspec
from msgspec import Struct

from hfengine.heard import FORMAT, HEARD, Died, Listed, Recalled, Session
from hfengine.instruments import Instrument
from hfengine.journal.reader import NotAJournal, Scan, Verdict
from hfengine.messages import Message
from hfengine.replay.errors import NotReplayable
from hfengine.settings import Settings
from hfengine.topology import HEARERS

NO_TICKS: Final = "none"


class Record(Struct, frozen=True):
    """One record: its number in the session from 1, its bytes, and what they say.

    `message` is None where this version does not know it.
    """

    sequence: int
    payload: bytes
    message: Any


class Records:
    """One pass over a journal's records, with a look ahead."""

    def __init__(self, directory: Path) -> None:
        """Raise NotAJournal for a path that holds no journal."""
        self._scan = Scan(directory)
        self._left: Iterator[Record] = self._read()
        self._ahead: deque[Record] = deque()

    def _read(self) -> Iterator[Record]:
        decode = decoder().decode
        for frame in self._scan.frames():
            try:
                message = decode(frame.payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                message = None
            yield Record(frame.sequence, frame.payload, message)

    def peek(self, further: int = 0) -> Record | None:
        """Return the next record, or one further on, without taking it; None at the end."""
        while len(self._ahead) <= further:
            record = next(self._left, None)
            if record is None:
                return None
            self._ahead.append(record)
        return self._ahead[further]

    def next(self) -> Record | None:
        """Take the next record; None at the end."""
        record = self.peek()
        if record is not None:
            self._ahead.popleft()
        return record

    def verdict(self) -> Verdict:
        """Return what the journal's own checks say, once every record was taken."""
        return self._scan.verdict()


@cache
def decoder() -> msgspec.msgpack.Decoder[Message]:
    """Return the decoder of everything a journal holds."""
    known: Any = Union[(*HEARERS, *HEARD)]
    return msgspec.msgpack.Decoder(known)


class Head(Struct, frozen=True):
    """How a session began, put together from its first records."""

    session: Session
    settings: Settings
    instruments: dict[str, Instrument]
    recalled: dict[str, bytes]


def read_head(records: Records) -> Head:
    """Take the first records of a session. Raises NotReplayable where they do not suffice."""
    first = records.next()
    session = first.message if first is not None else None
    if not isinstance(session, Session):
        raise NotReplayable(
            "the journal does not say how the session began: it is of an older version, or was"
            ' written with journal.market_data = "none"'
        )
    if session.format != FORMAT:
        raise NotReplayable(
            f"the session was recorded in format {session.format} by hfengine {session.version};"
            f" this version runs format {FORMAT} again"
        )
    try:
        settings = msgspec.convert(session.settings, Settings)
    except msgspec.ValidationError as error:
        raise NotReplayable(
            f"the session's settings are those of hfengine {session.version}: {error}"
        ) from error
    if settings.journal.market_data == NO_TICKS:
        raise NotReplayable(
            'the session has journal.market_data = "none": what its actors decided on was not'
            " written down"
        )
    instruments: dict[str, Instrument] = {}
    recalled: dict[str, bytes] = {}
    for _ in range(session.instruments + session.recalled):
        record = records.next()
        match record.message if record is not None else None:
            case Listed(symbol=symbol, instrument=instrument):
                instruments[symbol] = instrument
            case Recalled(key=key, body=body):
                recalled[key] = body
            case _:
                raise NotReplayable("the first records of the session are not whole")
    return Head(session, settings, instruments, recalled)


def checked(directory: Path) -> tuple[Verdict, list[Died]]:
    """Read a whole journal once: (what its own checks say, the actors that died).

    Raises NotAJournal.
    """
    if not directory.is_dir():
        raise NotAJournal(f"{directory}: there is no journal of that name")
    scan = Scan(directory)
    mark, deaths = Died.__name__.encode(), []
    decode = decoder().decode
    for frame in scan.frames():
        if mark in frame.payload[:16]:
            try:
                message = decode(frame.payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if isinstance(message, Died):
                deaths.append(message)
    return scan.verdict(), deaths
