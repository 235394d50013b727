"""The journal of one run, as the engine keeps it: opened, tapped, flushed every second, closed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hfengine import __version__
from hfengine.config import Profile
from hfengine.instruments import Instrument
from hfengine.journal import Journal, JournalLimits
from hfengine.journal.beginning import beginning
from hfengine.kernels.histogram import now_ns
from hfengine.limits import CONTROL_WRITTEN_MAX_NS
from hfengine.messages import (
    BookTick,
    Fill,
    Halt,
    MarkTick,
    Message,
    OrderSent,
    PositionOpened,
    Resume,
    TradeTick,
)
from hfengine.oversight import Keep
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.recording import Recorder
from hfengine.runtime.waiting import wait_s
from hfengine.summary import JournalSummary

EVIDENCE: Final = (OrderSent, Fill, PositionOpened, Keep, Halt, Resume)
"""What is written soon: after a kill the journal is asked what was sent and heard."""

WRITE_AFTER_S: Final = 0.002
"""What comes in one burst is handed over at once; waking the writer each time costs more."""

WRITTEN_LOOK_S: Final = 0.0005
"""Between two looks at the writer by who waits for it."""

NOT_JOURNALED: Final = "the journal is switched off"

TICKS: Final = (BookTick, TradeTick, MarkTick)
REPLAY_WAIT_S: Final = 10.0
"""How long a run at full speed waits for the disk it outruns."""


class SessionLog:
    """What of a run is journaled, if anything is."""

    def __init__(self, profile: Profile, host: ActorHost) -> None:
        self._profile = profile
        self._settings = profile.settings.journal
        self._host = host
        self._journal: Journal | None = None
        self._due = False

    def open(
        self,
        session: str,
        started_ns: int,
        *,
        instruments: Mapping[str, Instrument],
        account: str,
        recalled: Mapping[str, bytes],
        on_fault: Callable[[str], None],
        outruns_disk: bool,
    ) -> None:
        """Start the journal and hear every message from now on; nothing where it is switched off.

        With ticks in it, whatever else reaches the actors is recorded too, to run it again. Call
        it before the actors are made.

        Raises JournalError.
        """
        if not self._settings.enabled:
            return
        journal = Journal.create(
            Path(self._settings.directory),
            session=session,
            config_hash=self._profile.config_hash,
            version=__version__,
            started_ns=started_ns,
            on_fault=on_fault,
            limits=JournalLimits(stall_wait_s=REPLAY_WAIT_S if outruns_disk else 0.0),
        )
        self._journal = journal
        first, following = beginning(
            session,
            started_ns,
            self._profile.settings,
            instruments,
            version=__version__,
            profile=self._profile.name,
            config_hash=self._profile.config_hash,
            account=account,
            recalled=recalled,
        )
        self._host.routes.tap(self._write_soon, *EVIDENCE)
        if self._settings.market_data != "ticks":
            for record in (first, *following):
                journal.note(record)
            self._host.routes.tap(self._note_no_ticks)
            self._host.settled = journal.settle
            return
        self._host.recorder = recorder = Recorder(journal, self._host)
        recorder.begin(first, following)
        self._host.routes.tap(journal.note)
        self._host.settled = recorder.settle

    def _note_no_ticks(self, message: Message) -> None:
        if self._journal is not None and type(message) not in TICKS:
            self._journal.note(message)

    def _write_soon(self, _message: Message) -> None:
        """Hand over what is buffered in a moment: a kill must not take evidence with it."""
        if not self._due:
            self._due = True
            self._host.loop.call_later(WRITE_AFTER_S, self._write)

    def _write(self) -> None:
        self._due = False
        if self._journal is not None:
            self._journal.flush()

    async def written(self) -> str:
        """Wait until the operating system holds all that was published so far; the loop runs on.

        Return "" then: a kill leaves it. Else why it does not, after CONTROL_WRITTEN_MAX_NS at
        most.
        """
        journal = self._journal
        if journal is None:
            return NOT_JOURNALED
        mark, until_ns = journal.mark(), now_ns() + CONTROL_WRITTEN_MAX_NS
        while not journal.has_written(mark):
            if journal.fault is not None:
                return journal.fault
            if now_ns() >= until_ns:
                return f"the disk has not taken it within {CONTROL_WRITTEN_MAX_NS / 1e9:g} s"
            await wait_s(self._host.loop, WRITTEN_LOOK_S)
        return ""

    def is_ok(self) -> bool:
        """Tell whether everything is written that should be; entries need it."""
        return self._journal is None or self._journal.is_ok()

    @property
    def probe(self) -> Callable[[], bool]:
        """What says `is_ok` at the least cost."""
        return self.is_ok if self._journal is None else self._journal.is_ok

    def look(self) -> None:
        """Hand over what is buffered and see that the writer gets on; once a second."""
        if self._journal is not None:
            self._journal.flush()
            self._journal.check(now_ns())

    def end(self) -> JournalSummary | None:
        """Close it as ended; return where it lies and its hash."""
        journal = self._journal
        if journal is None:
            return None
        journal.close("ended")
        return JournalSummary(str(journal.path), journal.hash, journal.records)

    def abandon(self) -> None:
        """Close it as crashed, unless it was ended."""
        if self._journal is not None:
            self._journal.close("crashed")
