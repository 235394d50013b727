"""A recorded session run again: the real actors, its inputs, every output compared byte for byte.

Inputs are delivered as they were, one turn after the other, and what the actors publish must be
the very bytes that follow in the journal. No loop runs: I/O is not started and timers are not set,
for their outcomes and firings are inputs too.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hfengine.actors.tally import DayResult, Tally
from hfengine.actors.wiring import WiredActor, Wiring
from hfengine.clock import VirtualClock
from hfengine.engine import RESTING
from hfengine.errors import ConfigError
from hfengine.heard import (
    HEARD,
    MARKET,
    Died,
    Ended,
    Fired,
    More,
    Published,
    Told,
    Turn,
    Unreadable,
    error_of,
    join_rows,
    thing_of,
)
from hfengine.journal.reader import OK, TRUNCATED
from hfengine.journal.redact import RedactingEncoder
from hfengine.messages import ActorDied, BookTick, Message
from hfengine.oversight import Keep, StoreFault
from hfengine.replay.records import Head, Record, Records, checked, read_head
from hfengine.replay.stand_ins import MarketData, RecordedClock, RecordedStore, RecordedVenue
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.ids import short_name
from hfengine.runtime.outcome import Outcome
from hfengine.runtime.ref import LoopRef
from hfengine.runtime.stages import Stages
from hfengine.runtime.virtual_loop import VirtualLoop
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Settings
from hfengine.topology import ACTORS, HEARERS
from hfengine.venues.port import Venue

MARKET_DATA: Final = "market_data"
OURS: Final = "hfengine."
PLANTS: Final = "hfengine.simulation"
"""Where failures are planted on purpose: those do not come again by themselves."""

Change = Callable[[Settings], Settings]


class Difference(Struct, frozen=True, kw_only=True):
    """The first record that came out otherwise: its number, what it was, what it is now.

    A side that is None said nothing there; `note` says in words what that means.
    """

    sequence: int
    recorded: Any
    replayed: Any
    note: str


class Comparison(Struct, frozen=True, kw_only=True):
    """What running a session again came to."""

    session: str
    identical: bool
    whole: bool
    """The journal is intact up to its end, or is still being written."""
    journal: str
    """What the journal's own checks say."""
    inputs: int
    outputs: int
    by_type: dict[str, int]
    """How many outputs of each message class were compared and equal."""
    difference: Difference | None


def run_again(directory: Path, change: Change | None = None) -> Comparison:
    """Run a session's journal again and compare; `change` makes other settings of its own.

    Raises NotAJournal, NotReplayable.
    """
    verdict, deaths = checked(directory)
    if verdict.code not in (OK, TRUNCATED):
        damage = Difference(
            sequence=verdict.frame or verdict.whole_frames + 1,
            recorded=None,
            replayed=None,
            note=f"the journal is {verdict.status}: {verdict.detail}",
        )
        return Comparison(
            session=directory.name,
            identical=False,
            whole=False,
            journal=verdict.detail,
            inputs=0,
            outputs=0,
            by_type={},
            difference=damage,
        )
    records = Records(directory)
    head = read_head(records)
    with TemporaryDirectory(prefix="hfengine-replay-") as place:
        settings = _placed(head, Path(place))
        if change is not None:
            settings = change(settings)
        replayed = Again(records, replace(head, settings=settings), deaths)
        replayed.run()
    return Comparison(
        session=head.session.session,
        identical=replayed.difference is None,
        whole=verdict.code == OK,
        journal=verdict.detail,
        inputs=replayed.inputs,
        outputs=replayed.by_type.total(),
        by_type=dict(replayed.by_type.most_common()),
        difference=replayed.difference,
    )


def _placed(head: Head, place: Path) -> Settings:
    """Return the settings with the session's own drift file, laid out here."""
    if not head.session.drift:
        return head.settings
    file = place / "drift.json"
    file.write_bytes(head.session.drift)
    signals = replace(head.settings.signals, drift_file=str(file))
    return replace(head.settings, signals=signals)


class Planted(Exception):
    """Stands for an error that came from outside the package; reads like it."""

    def __repr__(self) -> str:
        """Return what the recorded error looked like."""
        return str(self.args[0])


class Again:
    """One session under way for the second time."""

    def __init__(self, records: Records, head: Head, deaths: list[Died]) -> None:
        self._records = records
        self._deaths: dict[str, list[Died]] = {}
        for death in deaths:
            self._deaths.setdefault(death.actor, []).append(death)
        self._died_before: Counter[str] = Counter()
        self._encode = RedactingEncoder().encode
        self._clock = RecordedClock(head.session.at_ns)
        self._loop = VirtualLoop(VirtualClock(head.session.at_ns))
        self._host = ActorHost(self._loop, self._clock, system="replay")
        self._host.player = self
        self._tags: dict[tuple[str, int], Any] = {}
        self._timers: dict[tuple[str, int], Any] = {}
        self._ahead: list[More] = []
        self._own: Message | None = None
        self._store_fault = ""
        self.difference: Difference | None = None
        self.inputs = 0
        self.by_type: Counter[str] = Counter()
        self._refs: dict[str, LoopRef[Any]] = {}
        self._names: dict[str, str] = {}
        self._wiring = self._wired(head)

    def _wired(self, head: Head) -> Wiring:
        return Wiring(
            settings=head.settings,
            instruments=head.instruments,
            venue=cast("Venue", RecordedVenue(self._venue_called)),
            stages=Stages(),
            intents=Numbers(),
            signals=Numbers(),
            order_ids=OrderIds(head.session.session),
            journal_ok=_always,
            tally=Tally(),
            pause=_no_pause,
            day=DayResult(),
            heard_fills=set(),
            account=head.session.account,
            recalled=dict(head.recalled),
            store=RecordedStore(self._fault_of_store),
        )

    def run(self) -> None:
        """Run to the end of the record, or to the first difference."""
        try:
            self._start()
            while self.difference is None and (record := self._records.next()) is not None:
                self._step(record)
        finally:
            self._loop.close()

    def _start(self) -> None:
        host, routes = self._host, self._host.routes
        for name in ACTORS:
            self._refs[name] = ref = self._actor(name).start(self._wiring)
            self._names[short_name(ref.actor_urn)] = name
            host.supervisor.restart_with(ref, partial(self._restart, name))
        rests = self._wiring.settings.entries.kind in RESTING
        for message, hearers in HEARERS.items():
            more = ("execution",) if rests and message is BookTick else ()
            routes.wire(message, *(self._refs[name] for name in (*hearers, *more)))
        routes.tap(self._compare)
        host.supervisor.on_death(self._died)
        host.pump()

    @staticmethod
    def _actor(name: str) -> type[WiredActor]:
        return MarketData if name == MARKET_DATA else ACTORS[name]

    def _restart(self, name: str) -> LoopRef[Any]:
        alive = self._refs[name] = self._actor(name).start(self._wiring)
        return alive

    # inputs

    def _step(self, record: Record) -> None:
        """Deliver one input, and with it all that was told in the same turn."""
        message = record.message
        self.inputs += 1
        match message:
            case Turn():
                self._clock.at_ns = message.at_ns
                self._tell_market(self._records.next(), message.inputs)
            case Told():
                self._clock.at_ns = message.at_ns
                self._tell(record, message)
            case More():
                self._ahead.append(message)
            case Ended():
                self._clock.at_ns = message.at_ns
                self._end(record, message)
            case Fired():
                self._clock.at_ns = message.at_ns
                self._fire(record, message)
            case Published():
                self._clock.at_ns = message.at_ns
                self._publish_own(message)
            case _ if type(message) in MARKET:
                self._clock.at_ns = message.at_ns
                self._tell_market(record, 1)
            case _:
                self.inputs -= 1
                self._differ(record, None, "the replay did not publish this")

    def _tell_market(self, record: Record | None, inputs: int) -> None:
        with self._host.batch():
            for _ in range(inputs):
                if record is None:
                    return
                if type(record.message) not in MARKET:
                    self._differ(record, None, "market data is missing here")
                    return
                self._own = record.message
                self._host.routes.publish(record.message)
                inputs -= 1
                record = self._records.next() if inputs else None
            while self._next_is_nested():
                self._publish_next()

    def _tell(self, record: Record, told: Told) -> None:
        if told.how == "alone":
            self._deliver(record, told)
            return
        with self._host.batch():
            self._deliver(record, told)
            while (following := self._records.peek()) is not None and (
                isinstance(following.message, Told) and following.message.how == "batch"
            ):
                self._records.next()
                self.inputs += 1
                self._deliver(following, following.message)

    def _deliver(self, record: Record, told: Told) -> None:
        name = self._names.get(told.actor, told.actor)
        try:
            message = thing_of(told.message)
        except Unreadable as error:
            self._differ(record, None, f"what was told cannot be read: {error}")
            return
        self._refs[name].actor_inbox.deliver(message)

    def _end(self, record: Record, ended: Ended) -> None:
        key = (ended.actor, ended.number)
        ahead, self._ahead = self._ahead, []
        if key not in self._tags:
            self._differ(record, None, "the replay did not start the I/O that ended here")
            return
        try:
            result = thing_of(join_rows(ahead, ended.result))
            error = error_of(ended.error)
        except Unreadable as unreadable:
            self._differ(record, None, f"the outcome cannot be read: {unreadable}")
            return
        outcome = Outcome(self._tags.pop(key), result, error)
        self._refs[self._names[ended.actor]].actor_inbox.deliver(outcome)

    def _fire(self, record: Record, fired: Fired) -> None:
        key = (fired.actor, fired.number)
        if key not in self._timers:
            self._differ(record, None, "the replay did not set the timer that fired here")
            return
        self._refs[self._names[fired.actor]].actor_inbox.deliver(self._timers[key])

    def _publish_own(self, mark: Published) -> None:
        following = self._records.next()
        if following is None:
            return
        if type(following.message) not in HEARERS:
            self._differ(following, None, "the engine published what this version does not know")
            return
        self._own = following.message
        if not mark.nested:
            self._host.routes.publish(following.message)
            return
        with self._host.batch():
            self._host.routes.publish(following.message)
            while self._next_is_nested():
                self._publish_next()

    def _next_is_nested(self) -> bool:
        following = self._records.peek()
        message = following.message if following is not None else None
        # at another time it is another turn's
        return (
            isinstance(message, Published) and message.nested and message.at_ns == self._clock.at_ns
        )

    def _publish_next(self) -> None:
        """Publish what the engine did, within the turn that is under way."""
        self._records.next()
        self.inputs += 1
        following = self._records.next()
        if following is not None and type(following.message) in HEARERS:
            self._own = following.message
            self._host.routes.publish(following.message)

    # what the actors ask for

    def ran(self, actor: str, number: int, tag: Any) -> None:
        """Take note of I/O that an actor starts."""
        self._tags[actor, number] = tag

    def armed(self, actor: str, number: int, message: Any) -> None:
        """Take note of a timer that an actor sets."""
        self._timers[actor, number] = message

    def guarded(
        self, actor: str, handlers: dict[type[Any], Callable[[Any], Any]]
    ) -> dict[type[Any], Callable[[Any], Any]]:
        """Make an actor raise at the message at which an error from outside ended it."""
        deaths = self._deaths.get(actor, ())[self._died_before[actor] :]
        death = deaths[0] if deaths else None
        if death is None or not _from_outside(death):
            return handlers
        counted = [0]

        def guard(handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def handle(message: Any) -> Any:
                counted[0] += 1
                if counted[0] == death.handled:
                    raise Planted(death.error)
                return handler(message)

            return handle

        return {message_class: guard(handler) for message_class, handler in handlers.items()}

    def _venue_called(self) -> None:
        """Deliver what the venue told before its request returned."""
        while (following := self._records.peek()) is not None and (
            isinstance(following.message, Told) and following.message.how == "handler"
        ):
            self._records.next()
            self.inputs += 1
            self._deliver(following, following.message)

    def _fault_of_store(self) -> str:
        following = self._records.peek()
        if following is not None and isinstance(following.message, StoreFault):
            self._store_fault = following.message.detail if following.message.lost else ""
        return self._store_fault

    def _died(self, name: str, error: BaseException, _at_ns: int) -> None:
        """Publish what the engine published at the death; it must be of the same error."""
        self._died_before[name] += 1
        following = self._records.peek()
        if following is None or not isinstance(following.message, Died):
            if following is not None:
                self._differ(following, None, f"{name} died in the replay only: {error!r}")
            return
        self._records.next()
        if following.message.actor != name or following.message.error != repr(error):
            self._differ(following, None, f"in the replay {name} died: {error!r}")
            return
        told = False
        while self._next_is_nested():
            further = self._records.peek(1)
            again = further is not None and isinstance(further.message, ActorDied)
            if again and told:
                return
            told |= again
            self._publish_next()

    # outputs

    def _compare(self, message: Message) -> None:
        """Hear a message before any actor does: an output must be the next record."""
        if isinstance(message, Keep):
            self._wiring.recalled[message.key] = message.body
        if message is self._own:
            self._own = None
            return
        if self.difference is not None:
            return
        record = self._records.peek()
        if record is None:
            # the record ends within a turn: the process was ended there
            return
        if type(record.message) in HEARD or type(record.message) in MARKET:
            self._differ(record, message, "the recorded actors published nothing here")
            return
        if record.payload != self._encode(message):
            self._differ(record, message, "published otherwise")
            return
        self._records.next()
        self.by_type[type(message).__name__] += 1

    def _differ(self, record: Record, message: Message | None, note: str) -> None:
        if self.difference is None:
            nothing = message is not None and (
                type(record.message) in HEARD or type(record.message) in MARKET
            )
            self.difference = Difference(
                sequence=record.sequence,
                recorded=None if nothing else record.message,
                replayed=message,
                note=note,
            )


def _from_outside(death: Died) -> bool:
    """Tell whether an error was none of the package's own, which would come again by itself."""
    module = death.raised_in
    return bool(module) and (not module.startswith(OURS) or module.startswith(PLANTS))


def _always() -> bool:
    return True


async def _no_pause(_seconds: float) -> None:
    """Wait for nothing: no coroutine runs in a replay."""


def changed(settings: Settings, changes: Mapping[str, str]) -> Settings:
    """Return settings with other values under dotted keys; the text is read as the key's type.

    Raises ConfigError for an unknown key or a value that does not fit.
    """
    tree: dict[str, Any] = msgspec.to_builtins(settings)
    problems = []
    for key, given in changes.items():
        *path, name = key.split(".")
        branch: Any = tree
        for part in path:
            branch = branch.get(part, {}) if isinstance(branch, dict) else {}
        if not isinstance(branch, dict) or name not in branch or isinstance(branch[name], dict):
            problems.append(f"--set {key}: there is no such setting")
        else:
            branch[name] = given
    if problems:
        raise ConfigError(problems)
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError([f"--set: {error}"]) from error
