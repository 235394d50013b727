"""The bracket kernel decides what its plain twin on Decimals decides, gate by gate."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hfengine.actors.brackets import Account, Planner, Refused, Warned
from hfengine.instruments import load_catalogue
from hfengine.messages import Entry, LeverageProof, MarkTick, OpenBracket
from hfengine.seeds import Numbers
from hfengine.settings import Fees, Protection, Settings, Sizing, Venue
from tests.reference.bracket import PlainPlanner
from tests.rig import T0_NS

Decision = tuple[OpenBracket, list[Warned]] | tuple[str, float, float, str]
ENTRY = Entry(7, "BTCUSDT", T0_NS, T0_NS, 1, 1.0, 1.0, 1.0, 0.0, 0.9, 60.0, 0.0, 0.0)


def decided(planner: Planner | PlainPlanner, *arguments: object) -> Decision:
    try:
        bracket, warnings = planner.plan(*arguments, Numbers())  # type: ignore[arg-type]
    except Refused as refused:
        return refused.gate, refused.measured, refused.threshold, refused.detail
    return bracket, list(warnings)


PROFILES = st.builds(
    Settings,
    venue=st.builds(Venue, catalogue=st.sampled_from(["binance", "bybit"])),
    sizing=st.builds(
        Sizing,
        mode=st.sampled_from(["kelly_fraction", "risk_per_trade", "fixed_margin"]),
        fraction=st.floats(1e-4, 1.0),
        share_of_equity_max=st.one_of(st.just(inf), st.floats(0.01, 1.0)),
        exposure_max_usdt=st.one_of(st.just(inf), st.floats(10.0, 1e6)),
    ),
    protection=st.builds(
        Protection,
        distance=st.sampled_from(["percent", "atr", "forecast"]),
        stop_percent=st.floats(0.01, 2.5),
        target_percent=st.floats(0.01, 3.0),
        buffer_sigma=st.floats(0.0, 5.0),
    ),
    fees=st.builds(
        Fees, gate=st.sampled_from(["strict", "report"]), slippage_bps=st.floats(0.0, 5.0)
    ),
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    bid = round(draw(st.floats(100.0, 120_000.0)), 1)
    ask = round(bid + 0.1 * draw(st.integers(0, 300)), 1)
    drift = draw(st.floats(-0.02, 0.02))
    return replace(
        ENTRY,
        side=draw(st.sampled_from([1, -1])),
        bid=bid,
        ask=ask,
        drift=drift,
        forecast=0.5 * (bid + ask) * (1.0 + drift),
        volatility=draw(st.floats(0.0, 5e-4)),
        atr=draw(st.one_of(st.just(inf), st.just(0.0), st.floats(0.01, 0.002 * bid))),
    )


@settings(max_examples=600)
@given(
    PROFILES,
    entries(),
    st.sampled_from([5, 20, 50, 100, 125, 200]),
    st.sampled_from(["isolated", "cross"]),
    st.floats(1.0, 1e6),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1e5),
    st.one_of(st.none(), st.floats(-0.01, 0.01)),
)
def test_the_kernel_decides_as_its_twin(
    profile: Settings,
    entry: Entry,
    leverage: int,
    mode: str,
    equity: float,
    free_share: float,
    exposure: float,
    funding: float | None,
) -> None:
    instrument = load_catalogue(profile.venue.catalogue).find("BTCUSDT")
    proof = LeverageProof("BTCUSDT", T0_NS, leverage, leverage, mode, "read")
    account = Account(equity, equity, equity * free_share, 0.01 * equity, exposure)
    mark = None
    if funding is not None:
        mark = MarkTick("BTCUSDT", T0_NS, 1.0, 1.0, funding, T0_NS + 30_000_000_000)
    arguments = (entry, proof, account, mark)
    plain = decided(PlainPlanner(profile, instrument), *arguments)
    assert decided(Planner(profile, instrument), *arguments) == plain


def test_a_stop_below_zero_is_refused_instead_of_raising() -> None:
    profile = Settings(
        protection=Protection(distance="atr", stop_atr=30.0), fees=Fees(gate="report")
    )
    instrument = load_catalogue("binance").find("BTCUSDT")
    entry = replace(ENTRY, bid=100.0, ask=100.1, forecast=101.0, drift=0.01, atr=10.0)
    proof = LeverageProof("BTCUSDT", T0_NS, 50, 50, "isolated", "read")
    account = Account(1e4, 1e4, 1e4, 0.0)
    found = decided(Planner(profile, instrument), entry, proof, account, None)
    assert found[0] == "stop_side"


def test_only_a_quote_and_a_side_can_be_planned_for() -> None:
    planner = Planner(Settings(), load_catalogue("binance").find("BTCUSDT"))
    proof = LeverageProof("BTCUSDT", T0_NS, 50, 50, "isolated", "read")
    account = Account(1e4, 1e4, 1e4, 0.0)
    for wrong in ({"side": 0}, {"bid": 0.0}, {"bid": 2.0}, {"ask": inf}):
        with pytest.raises(ValueError, match=r"side|bid"):
            planner.plan(replace(ENTRY, **wrong), proof, account, None, Numbers())
