"""The door of an actor: what comes is delivered and timed, to whoever stands behind it now."""

from typing import Any

import pytest

from hfengine.kernels.door import Door
from hfengine.kernels.histogram import Histogram
from hfengine.kernels.mailbox import Host, Mailbox


class Actor:
    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._handle_receive = self.heard.append

    def _actor_loop_setup(self) -> None:
        pass


class Loop:
    """Runs what is called soon when it is told to."""

    def __init__(self) -> None:
        self.soon: list[Any] = []
        self.call_soon = self.soon.append


def started() -> tuple[Actor, Mailbox]:
    actor, loop = Actor(), Loop()
    box = Mailbox(8)
    box.bind(actor, Host(loop), {})
    box.start()
    for call in loop.soon:
        call()
    return actor, box


def test_it_delivers_and_times_the_turn() -> None:
    (actor, box), took = started(), Histogram()
    door = Door(box, took)
    door("first")
    door("second")
    assert actor.heard == ["first", "second"]
    assert took.count == 2
    assert took.min_ns > 0


def test_a_restarted_actor_stands_behind_the_same_door() -> None:
    (before, first), (after, second) = started(), started()
    door = Door(first, Histogram())
    door(1)
    door.box = second
    door(2)
    assert (before.heard, after.heard) == ([1], [2])


def test_only_mailboxes_stand_behind_it() -> None:
    nobody: Any = None
    with pytest.raises(TypeError):
        Door(nobody, Histogram())
    _, box = started()
    with pytest.raises(TypeError):
        Door(box, nobody)
