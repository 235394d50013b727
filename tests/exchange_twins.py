"""Two exchanges that must not differ, for tests of dump and restore."""

from collections.abc import Callable
from typing import Any

from hfengine.errors import VenueRejected
from hfengine.exchange import Exchange
from hfengine.exchange.snapshot import KEYS


class Twins:
    """An exchange and the one restored from its dump: every call goes to both and must agree."""

    def __init__(self, first: Exchange, second: Exchange) -> None:
        self.first = first
        self.second = second

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def both(*arguments: Any, **named: Any) -> Any:
            outcomes = [
                _outcome(getattr(one, name), arguments, named) for one in (self.first, self.second)
            ]
            if name == "ledger":
                assert outcomes[0][0].entries == outcomes[1][0].entries
            else:
                assert _comparable(outcomes[0]) == _comparable(outcomes[1])
            answer, refused = outcomes[1]
            if refused is not None:
                raise refused
            return answer

        return both

    @property
    def accounts(self) -> tuple[str, ...]:
        assert self.first.accounts == self.second.accounts
        return self.second.accounts


def _outcome(
    call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, VenueRejected | None]:
    try:
        return call(*arguments, **named), None
    except VenueRejected as refused:
        return None, refused


def _comparable(outcome: tuple[Any, VenueRejected | None]) -> tuple[Any, str]:
    answer, refused = outcome
    return answer, str(refused)


def by_key(dumped: dict[str, Any]) -> dict[str, Any]:
    """Return a dump with the rows of each table by their keys."""
    tables = {
        table: {tuple(row[field] for field in fields): row for row in dumped[table]}
        for table, fields in KEYS.items()
    }
    return {"head": dumped["head"], **tables}
