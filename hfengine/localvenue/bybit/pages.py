"""Pages of long lists: newest first, continued by a cursor that names the last row shown."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import unquote

from hfengine.localvenue.bybit.errors import PARAMETERS, Refused
from hfengine.localvenue.bybit.parameters import Parameters, text, whole

T = TypeVar("T")


def cursor_of(number: int) -> str:
    """Return a cursor in Bybit's form, percent-encoded as it comes from the real one."""
    return f"{number}%3A1%2C{number}%3A1"


def read_cursor(parameters: Parameters) -> int | None:
    """Return the number a cursor names, however often it was percent-encoded; None for none."""
    cursor = text(parameters, "cursor")
    if not cursor:
        return None
    head = unquote(unquote(cursor)).partition(":")[0]
    if not head.isdigit():
        raise Refused(PARAMETERS, "params error: cursor invalid")
    return int(head)


def page(
    rows: Sequence[T],
    number: Callable[[T], int],
    parameters: Parameters,
    *,
    default: int,
    most: int,
) -> tuple[list[T], str]:
    """Return one page of rows that are newest first, and the cursor to the next ("" at the end).

    `number` falls from row to row.
    """
    limit = whole(parameters, "limit", default, least=1, most=most)
    after = read_cursor(parameters)
    if after is not None:
        rows = [row for row in rows if number(row) < after]
    shown = list(rows[:limit])
    more = len(rows) > limit
    return shown, cursor_of(number(shown[-1])) if more else ""


def forward_page(
    rows: Sequence[T], parameters: Parameters, *, default: int, most: int
) -> tuple[list[T], str]:
    """Return one page of a list that does not change, and the cursor to the next."""
    limit = whole(parameters, "limit", default, least=1, most=most)
    start = read_cursor(parameters) or 0
    shown = list(rows[start : start + limit])
    end = start + len(shown)
    return shown, cursor_of(end) if end < len(rows) else ""


def within(parameters: Parameters, at_ns: int) -> bool:
    """Tell whether a time lies between `startTime` and `endTime`, ms, where they are given."""
    at_ms = at_ns // 1_000_000
    start, end = text(parameters, "startTime"), text(parameters, "endTime")
    if not (start or "0").isdigit() or not (end or "0").isdigit():
        raise Refused(PARAMETERS, "params error: startTime or endTime invalid")
    return (not start or at_ms >= int(start)) and (not end or at_ms <= int(end))
