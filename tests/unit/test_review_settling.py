"""Every turn of the actors ends with the journal written; flush and close write what was noted."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pykka
import pytest

from hfengine.config import load
from hfengine.engine import Engine
from hfengine.feeds.build import build_feed
from hfengine.journal import manifest
from hfengine.journal.reader import Scan, decode
from hfengine.kernels.mailbox import Mailbox
from hfengine.kernels.publisher import Publisher
from hfengine.limits import RUN_TASKS_MAX
from hfengine.runtime.actor import LoopActor, Outcome, TooManyTasks, handles
from hfengine.runtime.hosts import ActorHost
from hfengine.surroundings import paper
from tests.reference.journal import Note, start


class Ping(msgspec.Struct, frozen=True):
    number: int


class Free(msgspec.Struct, frozen=True, tag=True):
    """A message whose field MessagePack may not be able to express."""

    held: Any


class Relay(LoopActor):
    """Passes a ping on until its number is used up."""

    target: Any = None

    @handles(Ping)
    def on_ping(self, ping: Ping) -> None:
        if ping.number and self.target is not None:
            self.target.tell(Ping(ping.number - 1))


class Starter(LoopActor):
    """Starts I/O that never ends."""

    outcomes: list[Outcome]
    started: list[asyncio.Future[None]]

    @handles(Ping)
    def on_ping(self, ping: Ping) -> None:
        self.started = []
        for number in range(ping.number):
            future: asyncio.Future[None] = self._host.loop.create_future()
            self.started.append(future)
            self.run(future, tag=number)

    @handles(Outcome)
    def on_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture
def host() -> Iterator[ActorHost]:
    loop = asyncio.new_event_loop()
    made = ActorHost(loop, system="review")
    yield made
    made.settled = None
    loop.run_until_complete(made.shutdown())
    loop.close()
    pykka.ActorRegistry.stop_all()


def watched(host: ActorHost) -> list[int]:
    """Return the depth at which the host said that all was done, call by call."""
    depths: list[int] = []
    host.settled = lambda: depths.append(host.depth)
    return depths


def test_a_turn_without_consequences_is_settled(host: ActorHost) -> None:
    ref = Relay.start()
    host.pump()
    depths = watched(host)
    ref.tell(Ping(0))
    assert depths == [0]


def test_a_turn_and_all_that_follows_from_it_is_settled_once_at_its_end(host: ActorHost) -> None:
    first, second = Relay.start(), Relay.start()
    host.pump()
    first._actor_weakref().target = second
    second._actor_weakref().target = first
    depths = watched(host)
    first.tell(Ping(3))
    assert depths == [0]


def test_a_batch_is_settled_whether_it_brought_mail_or_not(host: ActorHost) -> None:
    ref = Relay.start()
    host.pump()
    depths = watched(host)
    with host.batch():
        pass
    assert depths == [0]
    with host.batch():
        ref.tell(Ping(0))
        assert depths == [0]
    assert depths == [0, 0]


def test_one_io_too_many_is_cancelled_and_told(host: ActorHost) -> None:
    ref = Starter.start()
    host.pump()
    actor = ref._actor_weakref()
    actor.outcomes = []
    ref.tell(Ping(RUN_TASKS_MAX + 1))
    host.loop.run_until_complete(asyncio.sleep(0))
    assert actor.started[RUN_TASKS_MAX].cancelled()
    assert not any(future.done() for future in actor.started[:RUN_TASKS_MAX])
    (refused,) = actor.outcomes
    assert refused.tag == RUN_TASKS_MAX
    assert isinstance(refused.error, TooManyTasks)


def test_only_mailboxes_can_be_planned_for() -> None:
    publisher = Publisher(LookupError)
    publisher.plan(Ping, (), (Mailbox(4),))
    with pytest.raises(TypeError, match="not to object"):
        publisher.plan(Ping, (), (object(),))


@pytest.mark.parametrize("by_close", [True, False])
def test_what_was_noted_and_not_settled_is_written(tmp_path: Path, by_close: bool) -> None:
    journal = start(tmp_path)
    for number in range(3):
        journal.note(Note(number, "noted"))
    if not by_close:
        assert journal.flush(5.0)
        assert journal.records == 3
    journal.close()
    found = [decode(frame.payload) for frame in Scan(journal.path).frames()]
    assert [one["at_ns"] for one in found] == [0, 1, 2]
    assert manifest.load(journal.path).records == 3


def test_what_was_settled_is_not_written_again(tmp_path: Path) -> None:
    journal = start(tmp_path)
    journal.note(Note(1, "once"))
    journal.settle()
    journal.settle()
    journal.note(Note(2, "then"))
    journal.settle()
    assert journal.records == 2
    journal.close()


def test_a_noted_message_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    faults: list[str] = []
    journal = start(tmp_path, on_fault=faults.append)
    journal.note(Note(1, "before"))
    journal.note(Free(object()))
    journal.settle()
    assert not journal.is_ok()
    assert len(faults) == 1
    assert "cannot be written" in faults[0]
    journal.note(Note(2, "after"))
    journal.settle()
    # the one that cannot be written, and all that came after
    assert (journal.records, journal.dropped) == (1, 2)
    journal.close()


def test_a_running_engine_holds_nothing_back_between_turns(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    engines: list[Engine] = []

    def observe(_seen: Mapping[str, Any]) -> None:
        journal = engines[0]._log._journal
        assert journal is not None
        seen.append((len(journal._noted), journal.records))

    keys = {"journal.directory": str(tmp_path)}
    profile = load("paper", environment={}, dotenv=None, overrides=keys)
    surroundings = paper(profile, build_feed(profile.settings, []))
    engines.append(
        Engine(profile, surroundings, duration_s=2.0, observer=observe, observe_every_s=0.3)
    )
    engines[0].run()
    # the last look comes after the end
    running = seen[:-1]
    assert len(running) >= 5
    assert [noted for noted, _ in running] == [0] * len(running)
    assert running[0][1] < running[-1][1]
