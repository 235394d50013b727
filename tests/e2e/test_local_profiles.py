"""Local profiles go the whole way over sockets: the venue's own books are the witness.

Each profile runs once, side by side with the others; every test reads what was seen of it. The
engine is held still with SIGSTOP while a price goes through a target: what closes the position
then is the venue.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hfengine.config import load
from hfengine.settings import Settings
from tests.invariants import (
    entry_implies_proof,
    every_signal_is_accounted_for,
    limits_hold,
    of,
    one_order_per_intent,
    records,
)
from tests.venue_processes import (
    EngineProcess,
    VenueProcess,
    engine_process,
    environment,
    until,
    venue_process,
)

DURATION_S = 45
"""At most: a run is interrupted when everything was seen."""
AFTERWARDS_S = 2.0
LIVELY = {
    # entries within seconds, and a rebalancer that looks every second and minds everything
    "HFENGINE_SIGNALS__WARMUP": "30",
    "HFENGINE_SIGNALS__CONFIDENCE_MIN": "0.3",
    "HFENGINE_SIGNALS__DRIFT_MIN": "0.00002",
    "HFENGINE_SIGNALS__COOLDOWN_S": "3",
    "HFENGINE_REBALANCE__INTERVAL_S": "1",
    "HFENGINE_REBALANCE__DECAY_THRESHOLD": "1e-7",
    "HFENGINE_REBALANCE__CONFIDENCE_DROP_RELATIVE": "0.001",
    "HFENGINE_REBALANCE__MAX_HOLD_HALF_LIVES": "1000",
    "HFENGINE_FEES__GATE": "report",
}
PROFILES = {
    "bybit-local": ["bybit"],
    "binance-local": ["binance"],
    "bitget-local": ["bitget"],
    "multi-10x": ["bybit", "binance"],
}
BEYOND = Decimal("0.001")
"""How far a price is taken through a target, for the market goes on moving by itself."""


@dataclass
class Story:
    """What was seen of a run. Positions and orders are the venue's own."""

    settings: Settings
    venues: dict[str, VenueProcess] = field(default_factory=dict)
    before: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Venue -> the symbols' settings as read while it had not seen an order yet."""
    protected: list[tuple[dict[str, Any], list[dict[str, Any]]]] = field(default_factory=list)
    """A position, and its open orders at that moment."""
    reduced: dict[str, Any] = field(default_factory=dict)
    """The fill of a partial reduce."""
    stopped_ns: tuple[int, int] = (0, 0)
    targets: list[dict[str, Any]] = field(default_factory=list)
    """The fills at a target while the engine stood still."""
    ordered_meanwhile: int = 0
    code: int = -1
    summary: dict[str, Any] = field(default_factory=dict)
    errors: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    left: list[Any] = field(default_factory=list)
    """Orders and positions at the venues after the end."""
    earned_usdt: Decimal = Decimal(0)
    fills: int = 0


def closing(orders: list[dict[str, Any]], position: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the conditional orders that would close a position."""
    changed = position["changed"]
    return [
        one
        for one in orders
        if one["update"]["symbol"] == changed["symbol"]
        and one["slot"] == position["slot"]
        and one["update"]["side"] == -changed["side"]
        and one["update"]["kind"] in ("stop_market", "take_profit_market")
    ]


def read_settings(story: Story) -> None:
    """Read every symbol's leverage for as long as a venue has not seen an order."""
    for name, venue in story.venues.items():
        plain = story.settings.symbols_at(name)
        read = [one for symbol in plain for one in venue.positions(symbol)]
        # orders are read last: where there is none, what was read was so before the first
        if not venue.orders():
            story.before[name] = read


def see_protection(story: Story) -> bool:
    for venue in story.venues.values():
        for position in venue.held():
            orders = closing(venue.orders(open_only=True), position)
            # Bitget's presets watch the last price until they are amended a moment later
            by_mark = all(one["trigger_by"] == "mark" for one in orders)
            # the same position after the orders were read, or they may be of another one
            if (
                len(orders) == 2
                and by_mark
                and position["opened_ns"] in (one["opened_ns"] for one in venue.held())
            ):
                story.protected.append((position, orders))
    return bool(story.protected)


def see_reduce(story: Story) -> bool:
    for venue in story.venues.values():
        # positions are read last: what is held then was not closed by any fill read before
        fills = venue.fills()
        held = {(one["changed"]["symbol"], one["slot"]): one for one in venue.held()}
        for fill in fills:
            left = held.get((fill["fill"]["symbol"], fill["slot"]))
            is_of_it = left is not None and fill["fill"]["at_ns"] > left["opened_ns"]
            if is_of_it and Decimal(fill["closed"]):
                story.reduced = fill
    return bool(story.reduced)


def flat(venue: VenueProcess) -> bool:
    return not venue.held()


def through_target(story: Story, engine: EngineProcess) -> bool:
    """Take a price through a target while the engine cannot act."""
    for venue in story.venues.values():
        began_ns = time.time_ns()
        with engine.stopped():
            held = [one for one in venue.held() if Decimal(one["changed"]["target"])]
            if not held:
                continue
            known = {one["update"]["client_id"] for one in venue.orders()}
            for one in held:
                changed = one["changed"]
                away = 1 + changed["side"] * BEYOND
                venue.do(
                    "move",
                    symbol=changed["symbol"],
                    to_price=str(Decimal(changed["target"]) * away),
                )
            until(partial(flat, venue), "the targets to fire", 2.0)
            hit = {one["changed"]["symbol"] for one in held}
            story.targets = [
                one
                for one in venue.fills()
                if one["fill"]["symbol"] in hit and one["fill"]["at_ns"] > began_ns
            ]
            asked = [one for one in venue.orders() if one["update"]["client_id"] not in known]
            story.ordered_meanwhile = len(asked)
        story.stopped_ns = (began_ns, time.time_ns())
        return True
    return False


def watch(profile: str, folder: Path) -> Story:
    """Run a profile from outside, to its end."""
    variables = environment(folder, LIVELY)
    loaded = load(profile, environment=variables, dotenv=None, overrides={})
    story = Story(loaded.settings)
    with ExitStack() as stack:
        for number, name in enumerate(PROFILES[profile]):
            symbols = ",".join(loaded.settings.symbols_at(name))
            options = ["--feed", "synthetic", "--seed", str(3 + number), "--symbols", symbols]
            story.venues[name] = stack.enter_context(venue_process(name, *options))
        urls = ",".join(f"{name}={venue.http}" for name, venue in story.venues.items())
        url = urls if len(story.venues) > 1 else urls.partition("=")[2]
        words = ["--profile", profile, "--venue-url", url, "--duration", f"{DURATION_S}s"]
        engine = stack.enter_context(engine_process(folder, words, LIVELY))

        def seen(look: Any) -> bool:
            read_settings(story)
            return bool(look())

        engine.until(lambda: seen(lambda: see_protection(story)), "a bracket", DURATION_S)
        engine.until(lambda: seen(lambda: see_reduce(story)), "a partial reduce", DURATION_S)
        engine.until(lambda: seen(lambda: through_target(story, engine)), "a target", DURATION_S)
        time.sleep(AFTERWARDS_S)
        engine.interrupt()
        story.code, story.summary, story.errors = engine.ended()
        story.left = [
            *(one for venue in story.venues.values() for one in venue.orders(open_only=True)),
            *(one for venue in story.venues.values() for one in venue.held()),
        ]
        story.earned_usdt = sum(
            (venue.earned_usdt() for venue in story.venues.values()), Decimal(0)
        )
        story.fills = sum(len(venue.fills()) for venue in story.venues.values())
        story.rows = records(folder / story.summary["journal"]["path"])
    return story


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Story]]]:
    """Run all profiles side by side."""
    with ThreadPoolExecutor(len(PROFILES)) as threads:
        yield {
            profile: threads.submit(watch, profile, tmp_path_factory.mktemp(profile))
            for profile in PROFILES
        }


@pytest.fixture(params=PROFILES)
def story(request: pytest.FixtureRequest, stories: dict[str, Future[Story]]) -> Story:
    return stories[request.param].result()


def test_it_ends_flat_with_exit_code_0_and_nothing_left_behind(story: Story) -> None:
    assert story.code == 0, story.errors
    assert story.summary["state"] == "ended"
    assert story.summary["flat"] is True
    assert story.summary["actor_deaths"] == 0
    assert story.left == []


def test_leverage_and_margin_mode_are_as_wanted_before_the_first_order(story: Story) -> None:
    listed: dict[str, set[tuple[int, str]]] = {}
    for name, read in story.before.items():
        for one in read:
            changed = one["changed"]
            symbol = changed["symbol"]
            key = f"{symbol}@{name}" if len(story.venues) > 1 else symbol
            listed.setdefault(key, set()).add((changed["leverage"], changed["margin_mode"]))
    bracketed = {row["symbol"] for row in of(story.rows, "OpenBracket")}
    assert bracketed
    assert set(listed) == set(story.settings.symbols)
    for symbol in bracketed:
        assert listed[symbol] == {(story.settings.leverage.of(symbol), "isolated")}


def test_stop_and_target_stand_in_the_venue_s_lists_over_the_whole_position(story: Story) -> None:
    for position, orders in story.protected:
        changed = position["changed"]
        kinds = {one["update"]["kind"]: one for one in orders}
        assert set(kinds) == {"stop_market", "take_profit_market"}
        for one in orders:
            covers = one["close_position"] or (
                Decimal(one["update"]["quantity"]) == Decimal(changed["quantity"])
            )
            assert covers
            assert one["trigger_by"] == "mark"
            assert one["update"]["reduce_only"] is True
        stop, target = (
            Decimal(kinds[kind]["update"]["trigger"])
            for kind in ("stop_market", "take_profit_market")
        )
        assert changed["side"] * (target - stop) > 0
        assert Decimal(changed["covered"]) == Decimal(changed["quantity"])


def test_the_rebalancer_reduces_a_position_in_part(story: Story) -> None:
    fill = story.reduced
    assert 0 < Decimal(fill["closed"]) == Decimal(fill["fill"]["quantity"])
    assert fill["fill"]["cause"] == "order"
    reduces = [row for row in of(story.rows, "Rebalanced") if row["action"] == "reduce"]
    assert reduces
    sent = {row["client_id"]: row for row in of(story.rows, "OrderSent") if row["reduce_only"]}
    assert fill["fill"]["client_id"] in sent


def test_the_venue_fires_the_target_while_the_engine_stands_still(story: Story) -> None:
    assert story.targets
    assert {one["fill"]["cause"] for one in story.targets} == {"target"}
    assert story.ordered_meanwhile == 0
    began_ns, ended_ns = story.stopped_ns
    during = [row for row in story.rows if began_ns + 1e8 < row.get("at_ns", 0) < ended_ns - 1e8]
    assert not [row for row in during if row["type"] in ("OrderSent", "Rebalanced", "Forecast")]
    heard = [
        (row["at_ns"] // 1_000_000, Decimal(row["quantity"]), Decimal(row["price"]))
        for row in of(story.rows, "Fill")
        if row["cause"] == "target"
    ]
    for one in (told["fill"] for told in story.targets):
        at_ms = one["at_ns"] // 1_000_000
        assert (at_ms, Decimal(one["quantity"]), Decimal(one["price"])) in heard


def test_the_engine_s_money_is_the_venue_s_to_the_last_unit(story: Story) -> None:
    summary = story.summary
    assert summary["ledger_difference_usdt"] == 0
    assert Decimal(summary["net_usdt"]) == story.earned_usdt
    assert summary["fills"] == len(of(story.rows, "Fill")) == story.fills


def test_the_invariants_hold_in_its_journal(story: Story) -> None:
    entry_implies_proof(story.rows, story.settings)
    one_order_per_intent(story.rows)
    limits_hold(story.rows, story.settings)
    every_signal_is_accounted_for(story.rows)


def test_no_stop_lies_beyond_the_liquidation(story: Story) -> None:
    # a stop that comes a moment after its entry is no stop yet
    covered = [row for row in of(story.rows, "PositionChanged") if Decimal(row["covered"])]
    assert covered
    for row in covered:
        stop, entry, liquidation = (Decimal(row[k]) for k in ("stop", "entry", "liquidation"))
        assert row["side"] * (entry - stop) > 0
        assert row["side"] * (stop - liquidation) > 0
