"""What the kernel reads, decides and builds in one call is what Python did step by step."""

from collections.abc import Callable
from decimal import Decimal
from math import copysign, inf

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hfengine.actors.brackets import (
    ATR_GATE,
    SIZE_GATE,
    Account,
    Planner,
    Refused,
    Warned,
    chase_share,
    least_cap_usdt,
)
from hfengine.instruments import Instrument, load_catalogue
from hfengine.kernels.bracket import DETAILS, GATES
from hfengine.kernels.grid import Grid
from hfengine.kernels.sizing import BINDINGS
from hfengine.messages import Entry, LeverageProof, MarkTick, OpenBracket
from hfengine.seeds import Numbers
from hfengine.settings import Entries, Fees, Protection, Risk, Settings, Sizing
from tests.rig import T0_NS

S_NS = 1_000_000_000
Plan = Callable[
    [Entry, LeverageProof, Account, MarkTick | None, Numbers],
    tuple[OpenBracket, tuple[Warned, ...]],
]


class Former:
    """How a bracket was planned when Python read the messages and multiplied the Decimals."""

    def __init__(self, profile: Settings, instrument: Instrument) -> None:
        self._kernel = Planner(profile, instrument).kernel
        self._tick, self._step = instrument.price_tick, instrument.quantity_step
        self._tick_usdt = instrument.tick_usdt
        self._exposure_cap_usdt = least_cap_usdt(profile)
        self._chase = chase_share(profile.entries)
        self._worst = 1.0 + (profile.fees.slippage_bps * 1e-4 + self._chase)
        self._buffer_fraction = profile.protection.buffer_fraction
        self._atr_bars = profile.protection.atr_bars
        self._break_even_max = profile.fees.break_even_max

    def plan(
        self,
        entry: Entry,
        proof: LeverageProof,
        account: Account,
        mark: MarkTick | None,
        intents: Numbers,
    ) -> tuple[OpenBracket, tuple[Warned, ...]]:
        kernel, chase = self._kernel, self._chase
        equity, wallet, free_margin, maintenance, exposure = account
        cap = self._exposure_cap_usdt
        if cap != inf and entry.side > 0:
            exposure = cap - (cap - exposure) / (self._worst + self._tick_usdt / entry.ask)
        gate = kernel.plan(
            entry.side,
            entry.bid,
            entry.ask,
            entry.forecast,
            entry.drift + copysign(chase, entry.drift),
            entry.volatility,
            entry.atr,
            proof.got,
            proof.margin_mode == "cross",
            equity,
            wallet,
            free_margin,
            maintenance,
            exposure,
            self._funding(entry, mark) if mark is not None else 0.0,
        )
        if gate:
            raise self._refused(gate)
        tick = self._tick
        if chase:
            self._prove_chase(entry, float(tick * kernel.stop_ticks))
        bracket = OpenBracket(
            intents.draw(),
            entry.signal_id,
            entry.symbol,
            entry.at_ns,
            entry.tick_ns,
            entry.side,
            self._step * kernel.quantity_steps,
            tick * kernel.price_ticks,
            tick * kernel.stop_ticks,
            tick * kernel.target_ticks,
            proof.got,
            kernel.liquidation,
            proof.at_ns,
            entry.drift,
            entry.confidence,
            entry.half_life_s,
            BINDINGS[kernel.binding],
        )
        return bracket, self._warnings()

    def _prove_chase(self, entry: Entry, stop_usdt: float) -> None:
        price_usdt = entry.ask if entry.side > 0 else entry.bid
        way_usdt = abs(price_usdt - self._kernel.liquidation)
        left_usdt = entry.side * (stop_usdt - self._kernel.liquidation)
        least_usdt = self._buffer_fraction * way_usdt + self._chase * price_usdt
        if left_usdt < least_usdt:
            detail = "after the longest chase of the entry"
            raise Refused("liquidation_buffer", left_usdt, least_usdt, detail)

    def _refused(self, gate: int) -> Refused:
        kernel = self._kernel
        threshold, detail = kernel.threshold, DETAILS[gate]
        if gate == SIZE_GATE:
            detail = f"bound by {BINDINGS[kernel.limiting]}"
        elif gate == ATR_GATE:
            threshold = self._atr_bars
        return Refused(GATES[gate], kernel.measured, threshold, detail)

    def _warnings(self) -> tuple[Warned, ...]:
        kernel = self._kernel
        failed = []
        if kernel.edge_failed:
            failed.append(Warned("fee_edge", kernel.edge, 0.0))
        if kernel.rate_failed:
            most = self._break_even_max
            failed.append(Warned("break_even_win_rate", kernel.break_even, most))
        return tuple(failed)

    @staticmethod
    def _funding(entry: Entry, mark: MarkTick) -> float:
        until_s = (mark.next_funding_ns - entry.at_ns) / 1e9
        pays = 0.0 <= until_s <= 2.0 * entry.half_life_s
        return max(0.0, entry.side * mark.funding_rate) if pays else 0.0


def told(plan: Plan, *asked: object) -> tuple[object, ...]:
    """Return everything a plan says, in a form that is equal only where every bit is."""
    numbers = Numbers()
    numbers.last = 41
    try:
        bracket, warnings = plan(*asked, numbers)  # type: ignore[arg-type, call-arg]
    except Refused as refused:
        said = (refused.gate, refused.measured, refused.threshold, refused.detail)
        return "refused", repr(said), numbers.last
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        return type(error), str(error), numbers.last
    assert type(bracket) is OpenBracket
    assert type(warnings) is tuple
    decimals = (bracket.quantity, bracket.price, bracket.stop, bracket.target)
    hashes = tuple(map(hash, decimals))
    journal = msgspec.json.encode(bracket), msgspec.msgpack.encode(bracket)
    tuples = tuple(number.as_tuple() for number in decimals)
    return repr(bracket), hash(bracket), hashes, tuples, journal, repr(warnings), numbers.last


CAPS = st.one_of(st.just(inf), st.floats(1e3, 1e6))
PROFILES = st.builds(
    Settings,
    sizing=st.builds(
        Sizing,
        mode=st.sampled_from(["kelly_fraction", "risk_per_trade", "fixed_margin"]),
        fraction=st.floats(1e-3, 1.0),
        exposure_max_usdt=CAPS,
    ),
    risk=st.builds(Risk, symbol_exposure_max_usdt=CAPS, venue_exposure_max_usdt=CAPS),
    entries=st.builds(
        Entries,
        kind=st.sampled_from(["ioc", "gtc", "post_only"]),
        chase_max=st.sampled_from([0, 3]),
        chase_max_bps=st.floats(0.0, 30.0),
    ),
    protection=st.builds(
        Protection,
        distance=st.sampled_from(["percent", "percent", "percent", "atr", "forecast"]),
        stop_percent=st.one_of(st.floats(0.1, 1.3), st.floats(0.9, 2.5)),
        target_percent=st.floats(0.01, 3.0),
        buffer_fraction=st.floats(0.0, 0.3),
        buffer_sigma=st.floats(0.0, 3.0),
    ),
    fees=st.builds(
        Fees,
        gate=st.sampled_from(["strict", "report", "report", "report"]),
        slippage_bps=st.floats(0.0, 5.0),
    ),
)
# short decimals, some with trailing zeros or a positive exponent, and what no double grid holds
TICKS = ("", "", "0.10", "0.5", "1E+1", "0.30000000000000004", "0.1000000000000000055")
STEPS = ("", "0.0010", "0.001", "1E-3")


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    found = load_catalogue(draw(st.sampled_from(["binance", "bybit", "bitget"]))).find("BTCUSDT")
    tick, step = draw(st.sampled_from(TICKS)), draw(st.sampled_from(STEPS))
    return replace(
        found,
        price_tick=Decimal(tick) if tick else found.price_tick,
        quantity_step=Decimal(step) if step else found.quantity_step,
    )


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    bid = round(draw(st.floats(500.0, 120_000.0)), 1)
    ask = round(bid + 0.1 * draw(st.integers(0, 30)), 1)
    drift = draw(st.sampled_from([1.0, -1.0])) * draw(st.floats(0.0, 0.02))
    return Entry(
        draw(st.integers(0, 2**63)),
        "BTCUSDT",
        T0_NS + draw(st.integers(-5, 5)),
        T0_NS - draw(st.integers(0, S_NS)),
        draw(st.sampled_from([1, -1])),
        bid,
        ask,
        0.5 * (bid + ask) * (1.0 + drift),
        drift,
        draw(st.floats(0.0, 1.0)),
        draw(st.sampled_from([0.0, 1.0, 15.0, 60.0, 0.5 + 2.0**-40])),
        draw(st.floats(0.0, 5e-4)),
        draw(st.one_of(st.sampled_from([inf, 0.0]), *[st.floats(0.01, 0.002 * bid)] * 3)),
    )


PROOFS = st.builds(
    LeverageProof,
    st.just("BTCUSDT"),
    st.integers(0, T0_NS),
    st.just(50),
    st.sampled_from([5, 20, 50, 50, 60, 100, 126]),
    st.sampled_from(["isolated", "cross"]),
    st.just("read"),
)
ACCOUNTS = st.builds(
    Account,
    st.floats(10.0, 1e6),
    st.floats(10.0, 1e6),
    st.one_of(st.floats(1e3, 1e6), st.floats(0.0, 1e6)),
    st.floats(0.0, 100.0),
    st.one_of(st.just(0.0), st.floats(0.0, 1e3), st.floats(0.0, 1e5)),
)
MARKS = st.one_of(
    st.none(),
    st.builds(
        MarkTick,
        st.just("BTCUSDT"),
        st.just(T0_NS),
        st.just(1.0),
        st.just(1.0),
        st.floats(-0.01, 0.01),
        st.one_of(
            st.integers(T0_NS - S_NS, T0_NS + 130 * S_NS),
            st.sampled_from([0, T0_NS, T0_NS + 2 * S_NS, T0_NS + 120 * S_NS, 2**62, -(2**80)]),
        ),
    ),
)


@settings(max_examples=700)
@given(PROFILES, instruments(), entries(), PROOFS, ACCOUNTS, MARKS)
def test_one_call_says_what_python_said_bit_by_bit(
    profile: Settings,
    instrument: Instrument,
    entry: Entry,
    proof: LeverageProof,
    account: Account,
    mark: MarkTick | None,
) -> None:
    asked = (entry, proof, account, mark)
    former, planner = Former(profile, instrument), Planner(profile, instrument)
    wanted = told(former.plan, *asked)
    assert told(planner.plan, *asked) == wanted
    assert told(planner.plan, *asked) == wanted, "what went before is forgotten"


BTC = load_catalogue("binance").find("BTCUSDT")
LONG = Entry(7, "BTCUSDT", T0_NS, T0_NS, 1, 60000.0, 60000.1, 60120.0, 0.004, 0.9, 60.0, 5e-5, 20.0)
SHORT = replace(LONG, side=-1, drift=-0.004, forecast=59880.0)
PROOF = LeverageProof("BTCUSDT", T0_NS - S_NS, 50, 50, "isolated", "read")
ACCOUNT = Account(1e4, 1e4, 1e4, 0.0)
CAPPED = Settings(sizing=Sizing(exposure_max_usdt=3000.0))
CHASING = Settings(
    entries=Entries(kind="gtc", chase_max=2, chase_max_bps=26.0),
    protection=Protection(stop_percent=1.2, target_percent=3.0),
    fees=Fees(gate="report"),
)


def due(in_ns: int, rate: float = 1e-3) -> MarkTick:
    return MarkTick("BTCUSDT", T0_NS, 1.0, 1.0, rate, T0_NS + in_ns)


@pytest.mark.parametrize("entry", [LONG, SHORT], ids=["long", "short"])
@pytest.mark.parametrize(
    "mark",
    [
        due(-1),
        due(0),
        due(120 * S_NS),
        # half a microsecond more than two half-lives
        due(120 * S_NS + 500),
        due(0, -1e-3),
        due(0, -0.0),
        due(2**63),
        due(2**80),
        due(-(2**80)),
    ],
    ids=lambda mark: f"{mark.next_funding_ns - T0_NS}ns {mark.funding_rate}",
)
def test_funding_counts_at_its_limits_as_before(entry: Entry, mark: MarkTick) -> None:
    entry = replace(entry, drift=copysign(1e-9, entry.drift))
    made, former = Planner(Settings(), BTC), Former(Settings(), BTC)
    wanted = told(former.plan, entry, PROOF, ACCOUNT, mark)
    assert wanted[0] == "refused", "the edge that is refused tells of the funding"
    assert told(made.plan, entry, PROOF, ACCOUNT, mark) == wanted


@pytest.mark.parametrize("profile", [Settings(), CAPPED, CHASING], ids=["plain", "cap", "chase"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 0},
        {"bid": 0.0},
        {"bid": 60001.0},
        {"ask": 0.0},
        {"ask": 0},
        {"ask": inf},
        {"ask": float("nan")},
        {"drift": float("nan")},
        {"volatility": -1.0},
        {"bid": 60000, "ask": 60001},
    ],
    ids=repr,
)
def test_figures_that_are_none_raise_as_before(profile: Settings, wrong: dict[str, float]) -> None:
    entry = replace(LONG, **wrong)
    asked = (entry, PROOF, ACCOUNT, due(S_NS))
    assert told(Planner(profile, BTC).plan, *asked) == told(Former(profile, BTC).plan, *asked)


def test_an_ask_of_zero_under_a_cap_cannot_be_divided_by() -> None:
    with pytest.raises(ZeroDivisionError, match=r"^float division by zero$"):
        Planner(CAPPED, BTC).plan(replace(LONG, ask=0.0), PROOF, ACCOUNT, None, Numbers())


@pytest.mark.parametrize("at_ns", [2**63 - 1, -(2**63), 2**62, T0_NS])
@pytest.mark.parametrize("next_ns", [2**63 - 1, -(2**63), -(2**62), 0])
def test_times_at_the_ends_of_the_clock_do_not_wrap(at_ns: int, next_ns: int) -> None:
    entry = replace(LONG, drift=1e-9, at_ns=at_ns)
    asked = (entry, PROOF, ACCOUNT, due(next_ns - T0_NS))
    assert told(Planner(Settings(), BTC).plan, *asked) == told(Former(Settings(), BTC).plan, *asked)


# the last is no double: the float of a price on this grid is an ulp from a tenth of its ticks
@pytest.mark.parametrize("tick", ["0.1", "0.10", "0.100000000000000012"])
@pytest.mark.parametrize("entry", [LONG, SHORT], ids=["long", "short"])
def test_the_longest_chase_is_refused_as_before(entry: Entry, tick: str) -> None:
    instrument, numbers = replace(BTC, price_tick=Decimal(tick)), Numbers()
    made, former = Planner(CHASING, instrument), Former(CHASING, instrument)
    with pytest.raises(Refused) as refused:
        made.plan(entry, PROOF, ACCOUNT, None, numbers)
    assert "longest chase" in refused.value.detail
    assert numbers.last == 0, "no number is drawn for what is refused"
    asked = (entry, PROOF, ACCOUNT, None)
    assert told(made.plan, *asked) == told(former.plan, *asked)


@pytest.mark.parametrize("drift", [1e-9, -1e-9, 0.0, -0.0])
def test_a_chase_widens_the_drift_to_its_own_side_as_before(drift: float) -> None:
    profile = replace(CHASING, fees=Fees(gate="strict"))
    asked = (replace(LONG, drift=drift), PROOF, ACCOUNT, None)
    wanted = told(Former(profile, BTC).plan, *asked)
    assert "fee_edge" in str(wanted[1]), "its measure tells of the drift"
    assert told(Planner(profile, BTC).plan, *asked) == wanted


def test_what_a_bracket_takes_over_is_not_copied() -> None:
    bracket, warnings = Planner(Settings(), BTC).plan(LONG, PROOF, ACCOUNT, None, Numbers())
    assert warnings == ()
    for name in ("symbol", "at_ns", "half_life_s"):
        assert getattr(bracket, name) is getattr(LONG, name)
    assert bracket.proof_at_ns is PROOF.at_ns


@pytest.mark.parametrize("place", range(4))
def test_a_message_of_another_class_is_refused(place: int) -> None:
    asked: list[object] = [LONG, PROOF, ACCOUNT, due(0)]
    asked[place] = (BTC, BTC, tuple(ACCOUNT)[:4], PROOF)[place]
    with pytest.raises(TypeError, match="prepared for"):
        Planner(Settings(), BTC).plan(*asked, Numbers())  # type: ignore[arg-type, call-arg]


def test_only_structs_with_the_fields_can_be_prepared_for() -> None:
    kernel = Planner(Settings(), BTC).kernel
    grid = BTC.price_tick, BTC.quantity_step
    with pytest.raises(TypeError, match=r"LeverageProof\.signal_id"):
        kernel.prepare(LeverageProof, LeverageProof, MarkTick, OpenBracket, *grid, inf, 0.0)
    with pytest.raises(TypeError, match=r"Account\.funding_rate"):
        kernel.prepare(Entry, LeverageProof, Account, OpenBracket, *grid, inf, 0.0)


def test_whoever_counts_its_numbers_again_hears_what_they_are() -> None:
    bracket, _ = Planner(Settings(), BTC).plan(LONG, PROOF, ACCOUNT, None, Numbers())
    ticks, steps = Grid(f"{BTC.price_tick:f}"), Grid(f"{BTC.quantity_step:f}")
    assert steps.count(bracket.quantity) * BTC.quantity_step == bracket.quantity
    for price in (bracket.price, bracket.stop, bracket.target):
        assert ticks.count(price) * BTC.price_tick == price
    # what is known of one grid is not believed of another
    with pytest.raises(ValueError, match="not on the grid"):
        Grid("1000000").count(bracket.stop)
