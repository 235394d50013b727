"""Which halts a resume ends."""

import pytest

from hfengine.halts import ALL, LASTING, ended_by


@pytest.mark.parametrize(
    ("source", "ended"),
    [
        (ALL, {"operator", "drawdown"}),
        ("operator", {"operator"}),
        ("supervisor", set()),
        ("lock", set()),
        ("journal", set()),
    ],
)
def test_all_or_one_but_never_what_lasts(source: str, ended: set[str]) -> None:
    in_force = {"operator": "o", "drawdown": "d", "lock": "l", "journal": "j"}
    assert ended_by(source, in_force) == ended
    assert set(in_force) == {"operator", "drawdown", *LASTING}
