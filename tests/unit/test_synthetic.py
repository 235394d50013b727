"""The synthetic market: the wire's rules, the recordings' statistics, the same bytes again."""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice, pairwise
from operator import itemgetter

import numpy as np
import pytest

from hfengine.errors import FeedError
from hfengine.feeds import profile
from hfengine.feeds.synthetic import NETWORK_DELAY_NS, Synthetic
from hfengine.instruments import Instrument, RiskTier
from tests.reference.market_check import Reader, mids, read_all, spread_ticks
from tests.shared import SHARED, needs_shared

# 2024-08-08 23:59:00 UTC: a funding boundary and a day lie a minute ahead
START_NS = 1_723_161_540_000_000_000
SECOND = 1_000_000_000
SECONDS = 100
SEEDS = (1, 2, 3)
TICKS = {"BTCUSDT": 0.1, "ETHUSDT": 0.01}
STATS = SHARED / "data" / "STATS.json"


def made_up(symbol: str, tick: str, step: str) -> Instrument:
    one = Decimal(1)
    return Instrument(
        symbol=symbol,
        venue="binance",
        base=symbol[:-4],
        price_tick=Decimal(tick),
        quantity_step=Decimal(step),
        quantity_min=Decimal(step),
        quantity_max=one,
        market_quantity_max=one,
        notional_min_usdt=one,
        price_band=one,
        maker_fee=one,
        taker_fee=one,
        liquidation_fee=one,
        funding_interval_h=8,
        tiers=(RiskTier(one, one, one, one),),
        as_of="2024-08-08",
        sources=(),
    )


def stated(symbol: str) -> profile.Stated:
    """The recordings' own statistics, or the constants quoted from them."""
    if not STATS.is_file():
        return profile.STATED[symbol]
    stats = json.loads(STATS.read_bytes())
    one = stats[f"usdm_{symbol.lower()}_20240808"]
    return profile.Stated(
        one["per_s"]["depth"],
        one["depth_levels_per_s"],
        one["per_s"]["bookTicker"],
        one["per_s"]["trade"],
        one["spread"]["tw_mean"] / TICKS[symbol],
        stats["correlation"]["usdm 2024-08-08"]["vol_bp_1s"][list(TICKS).index(symbol)],
    )


@pytest.fixture(scope="module")
def markets() -> list[dict[str, Reader]]:
    return [
        read_all(Synthetic(seed, START_NS, duration_ns=SECONDS * SECOND).events()) for seed in SEEDS
    ]


@needs_shared
@pytest.mark.parametrize("symbol", TICKS)
def test_the_constants_are_those_of_the_recordings(symbol: str) -> None:
    assert profile.STATED[symbol] == pytest.approx(stated(symbol), rel=1e-4)
    correlation = json.loads(STATS.read_bytes())["correlation"]["usdm 2024-08-08"]
    for length, number in profile.STATED_CORRELATION.items():
        assert correlation[length] == number
    lagged = correlation["xcorr_100ms_first_leads_by_ms"]
    assert (lagged["100"], lagged["-100"]) == profile.STATED_LEAD


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    feed = Synthetic(7, START_NS)
    first = list(islice(feed.events(), 3000))
    assert list(islice(feed.events(), 3000)) == first
    assert list(islice(Synthetic(7, START_NS).events(), 3000)) == first
    other = list(islice(Synthetic(8, START_NS).events(), 3000))
    assert {e.payload for e in other}.isdisjoint(e.payload for e in first)


def test_a_duration_only_ends_the_market() -> None:
    short = list(Synthetic(7, START_NS, duration_ns=2 * SECOND).events())
    assert list(islice(Synthetic(7, START_NS).events(), len(short))) == short
    assert START_NS + 1.9 * SECOND < short[-1].at_ns < START_NS + 2.1 * SECOND


def test_frames_arrive_in_order_after_they_were_sent() -> None:
    feed = Synthetic(5, START_NS)
    events = list(islice(feed.events(), 5000))
    assert [e.line for e in events] == list(range(1, 5001))
    assert {e.origin for e in events} == {"synthetic"}
    assert feed.start_ns <= events[0].at_ns
    assert all(a.at_ns <= b.at_ns for a, b in pairwise(events))
    for e in events:
        frame = json.loads(e.payload)
        sent_ms = frame["E"] if "E" in frame else frame["data"]["E"]
        # E is whole milliseconds, cut off; the snapshot was asked for and took its time
        longest_ns = 100_000_000 if "bids" in frame else 5_000_000
        assert NETWORK_DELAY_NS <= e.at_ns - sent_ms * 10**6 < longest_ns
        assert frame.get("data", {}).get("s", e.symbol) == e.symbol


def test_best_quotes_are_the_answer_key_of_the_diffs(markets: list[dict[str, Reader]]) -> None:
    for readers in markets:
        for reader in readers.values():
            assert reader.mismatched == 0
            assert reader.matched > 18 * SECONDS
            assert reader.chain_gaps == 0
            assert reader.crossed == 0


def test_the_snapshot_comes_after_the_first_diffs(markets: list[dict[str, Reader]]) -> None:
    for readers in markets:
        for reader in readers.values():
            assert 4 < reader.snapshot_after < 8
            assert reader.snapshot_levels == (1000, 1000)


@pytest.mark.parametrize("symbol", TICKS)
def test_rates_and_sizes_are_those_of_the_recordings(
    markets: list[dict[str, Reader]], symbol: str
) -> None:
    want = stated(symbol)
    readers = [readers[symbol] for readers in markets]
    seconds = SECONDS * len(readers)

    def per_s(kind: str) -> float:
        return sum(reader.counts[kind] for reader in readers) / seconds

    assert per_s("depthUpdate") == pytest.approx(want.diffs_per_s, rel=0.03)
    assert sum(r.levels for r in readers) / seconds == pytest.approx(want.levels_per_s, rel=0.1)
    assert per_s("bookTicker") == pytest.approx(want.best_changes_per_s, rel=0.2)
    assert per_s("trade") == pytest.approx(want.trades_per_s, rel=0.25)
    assert per_s("markPriceUpdate") == pytest.approx(1.0, rel=0.02)
    spread = np.mean([spread_ticks(reader, TICKS[symbol]) for reader in readers])
    assert spread == pytest.approx(want.spread_ticks, abs=0.06)
    # measured on the recordings: mean print and the share of levels taken away
    mean = np.mean([float(t["q"]) for reader in readers for t in reader.trades])
    assert mean == pytest.approx({"BTCUSDT": 0.114, "ETHUSDT": 0.651}[symbol], rel=0.3)
    zeros = sum(r.zeros for r in readers) / sum(r.levels for r in readers)
    assert zeros == pytest.approx({"BTCUSDT": 0.216, "ETHUSDT": 0.135}[symbol], abs=0.03)


def returns(markets: list[dict[str, Reader]], symbol: str, every: int) -> list[np.ndarray]:
    """Mid returns in bp over `every` tenths of a second, one array a market."""
    start_ms = START_NS // 10**6
    grid = np.arange(start_ms + 1000, start_ms + SECONDS * 1000, 100 * every)
    return [np.diff(mids(readers[symbol], grid)) * 1e4 for readers in markets]


def correlation(xs: list[np.ndarray], ys: list[np.ndarray], lead: int = 0) -> float:
    x = np.concatenate([x[: len(x) - lead] for x in xs])
    y = np.concatenate([y[lead:] for y in ys])
    return float(np.corrcoef(x, y)[0, 1])


def test_volatility_is_that_of_the_recordings(markets: list[dict[str, Reader]]) -> None:
    for symbol in TICKS:
        deviation = np.concatenate(returns(markets, symbol, 10)).std()
        assert deviation == pytest.approx(stated(symbol).volatility_bps, rel=0.25)


def test_symbols_move_together_and_bitcoin_leads(markets: list[dict[str, Reader]]) -> None:
    # one recording of 345 s knows its own correlations to about 0.05
    for length, every in (("0.1s", 1), ("0.5s", 5), ("1s", 10)):
        btc, eth = (returns(markets, symbol, every) for symbol in TICKS)
        assert correlation(btc, eth) == pytest.approx(profile.STATED_CORRELATION[length], abs=0.1)
    btc, eth = (returns(markets, symbol, 1) for symbol in TICKS)
    leads, lags = correlation(btc, eth, 1), correlation(eth, btc, 1)
    assert leads == pytest.approx(profile.STATED_LEAD[0], abs=0.07)
    assert lags == pytest.approx(profile.STATED_LEAD[1], abs=0.07)
    assert leads > lags + 0.05
    assert abs(correlation(btc, eth, 5)) < 0.1


def test_order_flow_persists_and_foretells_less_than_it_costs(
    markets: list[dict[str, Reader]],
) -> None:
    signs = [
        np.array([-1 if t["m"] else 1 for t in readers["BTCUSDT"].trades]) for readers in markets
    ]
    times = [np.array([t["T"] for t in readers["BTCUSDT"].trades]) for readers in markets]
    orders = [s[np.r_[True, np.diff(t) > 0]] for s, t in zip(signs, times, strict=True)]
    assert 0.05 < correlation(orders, orders, 5) < 0.3
    # the best use of three seconds of flow earns far less than a taker's 10 bp round trip
    earned = []
    for sign, time_ms, move in zip(signs, times, returns(markets, "BTCUSDT", 30), strict=True):
        at = (time_ms - START_NS // 10**6 - 1000) // 3000
        flow = np.array([sign[at == n].sum() for n in range(len(move))])
        strong = np.abs(flow) > np.quantile(np.abs(flow), 0.7)
        earned += list((np.sign(flow)[:-1] * move[1:])[strong[:-1]])
    assert -2.0 < np.mean(earned) < 3.0


def test_trades_number_on_and_take_from_the_side_they_should() -> None:
    ids: list[int] = []
    bid = ask = 0.0
    for event in islice(Synthetic(3, START_NS, ("BTCUSDT",)).events(), 20_000):
        frame = json.loads(event.payload).get("data", {})
        if frame.get("e") == "bookTicker":
            bid, ask = float(frame["b"]), float(frame["a"])
        elif frame.get("e") == "trade":
            ids.append(frame["t"])
            assert float(frame["q"]) > 0
            if bid:
                assert float(frame["p"]) <= bid if frame["m"] else float(frame["p"]) >= ask
    assert len(ids) > 1000
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_mark_index_and_last_differ_and_funding_is_due_at_its_hours(
    markets: list[dict[str, Reader]],
) -> None:
    reader = markets[0]["BTCUSDT"]
    assert len(reader.marks) in (SECONDS - 1, SECONDS)
    midnight_ms = (START_NS + 60 * SECOND) // 10**6
    assert midnight_ms % (8 * 3_600_000) == 0
    for mark in reader.marks:
        later = mark["E"] >= midnight_ms
        assert mark["T"] == midnight_ms + (8 * 3_600_000 if later else 0)
        price, index = float(mark["p"]), float(mark["i"])
        assert price != index
        assert 0 < abs(float(mark["r"])) < 0.001
        if at := bisect_right(reader.best_rows, mark["E"], key=itemgetter(0)):
            mid = (reader.best_rows[at - 1][1] + reader.best_rows[at - 1][2]) / 2
            assert mid != price
            assert abs(math.log(price / mid)) < 0.002
            assert abs(math.log(index / mid)) < 0.002
    assert {mark["T"] for mark in reader.marks} == {midnight_ms, midnight_ms + 8 * 3_600_000}


OTHERS: Mapping[str, Instrument] = {
    "SOLUSDT": made_up("SOLUSDT", "0.0100", "1"),
    "TINYUSDT": made_up("TINYUSDT", "0.0000100", "1"),
    "WIDEUSDT": made_up("WIDEUSDT", "0.5", "0.1"),
}


def test_other_symbols_keep_the_rules_on_their_own_grid() -> None:
    feed = Synthetic(1, START_NS, tuple(OTHERS), 20 * SECOND, OTHERS)
    readers = read_all(feed.events())
    assert set(readers) == set(OTHERS)
    for symbol, reader in readers.items():
        assert reader.mismatched == 0
        assert reader.matched > 300
        assert reader.crossed == 0
        assert reader.counts["trade"] > 20
        assert min(reader.snapshot_levels) == 1000
        tick, step = OTHERS[symbol].price_tick, OTHERS[symbol].quantity_step
        for trade in reader.trades:
            assert Decimal(trade["p"]) % tick == 0
            assert Decimal(trade["q"]) % step == 0


def test_the_catalogue_is_the_default() -> None:
    events = list(Synthetic(1, START_NS, ("ETHUSDT",), SECOND).events())
    assert {e.symbol for e in events} == {"ETHUSDT"}


def test_symbols_that_cannot_be_traded_are_refused() -> None:
    with pytest.raises(FeedError, match="NOPEUSDT"):
        Synthetic(1, START_NS, ("NOPEUSDT",))
    with pytest.raises(FeedError, match="NOPEUSDT"):
        Synthetic(1, START_NS, ("NOPEUSDT",), None, OTHERS)
    for symbols in ((), ("ETHUSDT", "ETHUSDT")):
        with pytest.raises(FeedError, match="distinct"):
            Synthetic(1, START_NS, symbols)
