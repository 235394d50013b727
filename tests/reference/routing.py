"""What the router must answer, by a full parse."""

import json
from collections.abc import Mapping
from typing import Any

ROUTES = ("topic", "stream", "s")


def route(symbols: Mapping[str, str], payload: bytes) -> str | None:
    """Return the symbol of the first routing member, None when a nested value comes before it."""
    members = json.loads(payload, object_pairs_hook=_Members)
    if not isinstance(members, _Members):
        return None
    for key, member in members.pairs:
        if key in ROUTES:
            return symbols.get(member) if isinstance(member, str) else None
        if isinstance(member, list | _Members):
            return None
    return None


class _Members:
    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs
