"""The first records of a session: all that running it again needs besides what its actors hear."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from hfengine.heard import FORMAT, Listed, Recalled, Session
from hfengine.instruments import Instrument
from hfengine.messages import Message
from hfengine.settings import Settings

PLACES: Final = (
    ("journal", "directory"),
    ("state", "directory"),
    ("state", "url"),
    ("venue", "url"),
    ("signals", "drift_file"),
)


def beginning(
    session: str,
    at_ns: int,
    settings: Settings,
    instruments: Mapping[str, Instrument],
    *,
    version: str,
    profile: str,
    config_hash: str,
    account: str = "",
    recalled: Mapping[str, bytes] | None = None,
) -> tuple[Session, list[Message]]:
    """Return the first record of a session, and those that follow it.

    Raise OSError for a drift file that cannot be read.
    """
    drift_file = settings.signals.drift_file
    remembered = recalled or {}
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    for section, name in PLACES:
        # where a run was says nothing about what it did, and is nobody else's business; a store's
        # address may hold its password
        plain[section][name] = ""
    first = Session(
        at_ns=at_ns,
        format=FORMAT,
        session=session,
        version=version,
        profile=profile,
        config_hash=config_hash,
        account=account,
        settings=plain,
        drift=Path(drift_file).read_bytes() if drift_file else b"",
        instruments=len(instruments),
        recalled=len(remembered),
    )
    listed: list[Message] = [
        Listed(symbol, instrument) for symbol, instrument in instruments.items()
    ]
    return first, [*listed, *(Recalled(key, body) for key, body in remembered.items())]
