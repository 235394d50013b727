"""docs/messages.md and the wiring table say the same; every handler is fed, every wire ends."""

import re
from pathlib import Path

from hfengine import messages, oversight
from hfengine.messages import Frame, Message, Report, Timer
from hfengine.runtime.handlers import handler_names
from hfengine.runtime.outcome import Outcome
from hfengine.topology import ACTORS, HEARERS

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"\| ((?:`\w+`(?:, )?)+) \| ([\w, ]+) \|")
FROM_ELSEWHERE = {
    "market_data": {
        Frame,
        messages.FeedFault,
        messages.BookTick,
        messages.TradeTick,
        messages.MarkTick,
    },
    "execution": {
        messages.ProtectionRefused,
        messages.Halt,
        messages.Resume,
        messages.OrderUpdate,
        messages.Fill,
        messages.PositionChanged,
        messages.BalanceChanged,
        messages.FundingPaid,
        messages.LeverageChanged,
        messages.BookTick,
    },
}
"""What comes from the venue straight to one actor, not over the table."""


def test_the_page_lists_the_table() -> None:
    listed = {}
    for names, hearers in ROW.findall((DOCS / "messages.md").read_text()):
        heard_by = () if hearers.startswith("nobody") else tuple(hearers.split(", "))
        for name in re.findall(r"\w+", names):
            listed[name] = heard_by
    assert listed == {message.__name__: hearers for message, hearers in HEARERS.items()}


def test_the_page_fits_two_printed_pages() -> None:
    assert len((DOCS / "architecture.md").read_text().splitlines()) <= 120


def test_every_hearer_handles_and_every_handler_hears() -> None:
    for name, actor in ACTORS.items():
        wired = {message for message, hearers in HEARERS.items() if name in hearers}
        handled = set(handler_names(actor)) - {Report, Timer, Outcome}
        assert handled == wired | FROM_ELSEWHERE.get(name, set()), name


def test_every_message_of_the_vocabulary_is_wired_or_known_to_go_elsewhere() -> None:
    vocabulary = {
        thing
        for page in (messages, oversight)
        for thing in vars(page).values()
        if isinstance(thing, type) and issubclass(thing, Message) and thing is not Message
    }
    unwired = vocabulary - set(HEARERS)
    assert unwired == {
        Frame,
        Timer,
        Report,
    }
