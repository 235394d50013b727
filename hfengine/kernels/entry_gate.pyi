"""What of an entry depends on its moment, in compiled code."""

from collections.abc import Mapping
from typing import Any

class EntryGate:
    """Judges the age of an entry's data, its spread and the age of its leverage proof.

    `cleared` (symbol -> account) and `trusted` (symbol -> proof) are read at every call; whoever
    owns them goes on changing them.
    """

    def __init__(
        self,
        cleared: Mapping[str, Any],
        trusted: Mapping[str, Any],
        data_age_max_ms: float,
        spread_max_bps: float,
        proof_age_max_ns: int,
    ) -> None: ...
    def opens(self, entry: Any, now_ns: int) -> Any:
        """Return the account of the entry's symbol where every gate holds; None where one may not.

        That is: a symbol cleared and proved, data not older nor newer than `data_age_max_ms`, a
        spread of at most `spread_max_bps`, a proof at most `proof_age_max_ns` older than the entry.
        """
