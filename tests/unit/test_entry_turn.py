"""The compiled turns of wish and bracket: the plain case as Python has it, the rest left to it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from hfengine.actors.brackets import Account, Planner
from hfengine.actors.orders import NO_TRIGGER, entry_request
from hfengine.instruments import load_catalogue
from hfengine.kernels.entry_gate import EntryGate
from hfengine.kernels.entry_turn import BracketTurn, EntryTurn
from hfengine.messages import Entry, LeverageProof, MarkTick, OpenBracket
from hfengine.requests import OrderRequest
from hfengine.runtime.stages import Stages
from hfengine.seeds import Numbers, OrderIds
from hfengine.settings import Fees, Settings
from tests.rig import T0_NS

BTC = load_catalogue("bybit").find("BTCUSDT")
PROOF = LeverageProof("BTCUSDT", T0_NS, 50, 50, "isolated", "read")
ACCOUNT = Account(10_000.0, 10_000.0, 10_000.0, 0.0, 0.0)
MARK = MarkTick("BTCUSDT", T0_NS, 61_800.0, 61_800.0, 1e-4, T0_NS + 60_000_000_000)
WISH = Entry(
    7, "BTCUSDT", T0_NS, T0_NS, 1, 61_800.1, 61_800.2, 61_830.0, 4e-3, 0.9, 60.0, 1e-4, 10.0
)
POOR = replace(WISH, drift=5e-4)


class Desk:
    """What risk has around its turn, and everything that comes of it, in order."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.planner = Planner(self.settings, BTC)
        self.cleared = {"BTCUSDT": ACCOUNT, "ETHUSDT": ACCOUNT}
        self.trusted = {"BTCUSDT": PROOF}
        self.kernels = {"BTCUSDT": self.planner.kernel}
        self.marks = {"BTCUSDT": MARK}
        self.entering: dict[str, OpenBracket] = {}
        self.rests: dict[str, object] = {}
        self.journal_ok = True
        self.intents, self.stages = Numbers(), Stages()
        self.seen: list[tuple[str, Any]] = []
        self.turn = EntryTurn(
            EntryGate(self.cleared, self.trusted, 250.0, 5.0, 10**12),
            self.kernels,
            trusted=self.trusted,
            marks=self.marks,
            cleared=self.cleared,
            entering=self.entering,
            rests=self.rests,
            journal_ok=lambda: self.journal_ok,
            now_ns=lambda: T0_NS,
            intents=self.intents,
            took=self.stages.risk,
            publish=self.sees("published"),
            warn=self.sees("warned"),
            care=self.sees("cared for"),
        )

    def sees(self, what: str) -> Callable[[Any], None]:
        return lambda message: self.seen.append((what, message))

    def state(self) -> tuple[Any, ...]:
        return (
            dict(self.cleared),
            dict(self.entering),
            self.intents.last,
            self.stages.risk.count,
            self.turn.entries,
        )


@pytest.mark.parametrize("mark", [MARK, None])
@pytest.mark.parametrize("side", [1, -1])
def test_a_plain_wish_becomes_the_bracket_that_python_plans(
    mark: MarkTick | None, side: int
) -> None:
    desk = Desk()
    wish = replace(WISH, side=side, drift=side * WISH.drift, forecast=61_800.0 + 30 * side)
    if mark is None:
        desk.marks.clear()
    planned, _ = Planner(desk.settings, BTC).plan(wish, PROOF, ACCOUNT, mark, Numbers())
    desk.turn.handle(wish)
    assert desk.seen == [("published", planned)]
    assert desk.state() == ({}, {"BTCUSDT": planned}, 1, 1, 1)


def test_warnings_are_told_after_the_bracket() -> None:
    desk = Desk(Settings(fees=Fees(gate="report")))
    desk.turn.handle(POOR)
    assert [what for what, _ in desk.seen] == ["published", "warned"]
    assert desk.seen[1][1] is POOR
    assert desk.planner.warnings()[0].gate == "fee_edge"


def in_doubt(what: str, desk: Desk) -> Entry:
    """Make one thing out of the ordinary; return the wish to be taken."""
    match what:
        case "a symbol rests":
            desk.rests["ETHUSDT"] = object()
        case "no journal":
            desk.journal_ok = False
        case "not cleared":
            del desk.cleared["BTCUSDT"]
        case "not proved":
            desk.trusted.clear()
        case "no planner":
            desk.kernels.clear()
        case "old data":
            return replace(WISH, tick_ns=T0_NS - 10**9)
        case "fees":
            return POOR
        case "no figures":
            return replace(WISH, side=2)
    return WISH


DOUBTS = (
    "a symbol rests",
    "no journal",
    "not cleared",
    "not proved",
    "no planner",
    "old data",
    "fees",
    "no figures",
)


@pytest.mark.parametrize("what", DOUBTS)
def test_in_any_doubt_nothing_happens_and_python_is_asked(what: str) -> None:
    desk = Desk(Settings(fees=Fees(gate="strict")))
    wish = in_doubt(what, desk)
    before = desk.state()
    desk.turn.handle(wish)
    assert desk.seen == [("cared for", wish)]
    assert desk.state() == before


def test_only_prepared_planners_plan() -> None:
    desk = Desk()
    desk.kernels["ETHUSDT"] = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="planned by a Bracket, not object"):
        EntryTurn(
            EntryGate({}, {}, 1.0, 1.0, 1),
            desk.kernels,
            trusted={},
            marks={},
            cleared={},
            entering={},
            rests={},
            journal_ok=bool,
            now_ns=int,
            intents=desk.intents,
            took=desk.stages.risk,
            publish=print,
            warn=print,
            care=print,
        )


class Venue:
    def __init__(self) -> None:
        self.placed: list[OrderRequest] = []

    def place(self, request: OrderRequest) -> str:
        self.placed.append(request)
        return "the answer"


def bracket() -> OpenBracket:
    return Planner(Settings(), BTC).plan(WISH, PROOF, ACCOUNT, None, Numbers())[0]


def bracket_turn(clear: dict[str, int]) -> tuple[BracketTurn, Venue, Stages, list[Any]]:
    venue, stages = Venue(), Stages()
    seen: list[Any] = []
    turn = BracketTurn(
        clear,
        venue,
        OrderIds("session"),
        request_class=OrderRequest,
        tif="fok",
        protect_by="last",
        nothing=NO_TRIGGER,
        stages=stages,
        sent=lambda *sent: seen.append(("sent", *sent)),
        care=lambda one: seen.append(("cared for", one)),
    )
    return turn, venue, stages, seen


def test_a_clear_bracket_leaves_as_the_order_that_python_makes() -> None:
    one = bracket()
    turn, venue, stages, seen = bracket_turn({"BTCUSDT": one.proof_at_ns})
    turn.handle(one)
    client_id = OrderIds("session").client_id(one.intent, "e")
    request = entry_request(client_id, one, "last", "fok")
    assert venue.placed == [request]
    assert seen == [("sent", one, client_id, request, "the answer")]
    assert (stages.order.count, stages.frame_to_order.count) == (1, 1)
    assert request.stop > Decimal(0)


@pytest.mark.parametrize("clear", [{}, {"BTCUSDT": T0_NS + 1}, {"ETHUSDT": T0_NS}])
def test_a_bracket_that_may_not_be_sent_is_left_to_python(clear: dict[str, int]) -> None:
    one = bracket()
    turn, venue, stages, seen = bracket_turn(clear)
    turn.handle(one)
    assert (venue.placed, seen) == ([], [("cared for", one)])
    assert stages.order.count == 0
