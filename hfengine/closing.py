"""What a run is measured from, how it ends, and what it came to."""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from hfengine.actors.flattening import flatten
from hfengine.actors.orders import reducing_request
from hfengine.actors.wiring import Wiring
from hfengine.clock import Clock
from hfengine.config import Profile
from hfengine.errors import VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.messages import BalanceChanged, FlattenDone, PositionChanged
from hfengine.requests import OrderRequest
from hfengine.summary import BookChecks, JournalSummary, Summary, plain
from hfengine.venues.port import Venue

SETTLE_ROUNDS: Final = 50
SETTLE_PAUSE_S: Final = 0.02

Pause = Callable[[float], Awaitable[None]]


class Ended(NamedTuple):
    """How and when a run was over."""

    reason: str
    done: FlattenDone
    earlier_usdt: Decimal
    """What was told of the time before `before` was read."""
    before: BalanceChanged
    after: BalanceChanged
    frames: int
    wall_s: float
    engine_s: float
    deaths: int


async def opening_balance(venue: Venue) -> BalanceChanged:
    """Return the account after every fill until then was told.

    Read between two equal readings of the fills: one that comes in between belongs to the run, and
    the balance must not contain it. Raises VenueUnknown or VenueUnavailable.
    """
    known = len(await venue.fills())
    for _ in range(SETTLE_ROUNDS):
        balance = await venue.balance()
        found = len(await venue.fills())
        if found == known:
            break
        known = found
    return balance


async def flatten_alone(wiring: Wiring, clock: Clock) -> FlattenDone:
    """Flatten without the execution actor; its ids go on from that actor's."""
    ids, numbers = wiring.order_ids, wiring.intents

    def closing_order(position: PositionChanged) -> OrderRequest:
        client_id = ids.client_id(numbers.draw(), "f")
        return reducing_request(client_id, position.symbol, position.side, position.quantity)

    flat, rounds, detail = await flatten(
        wiring.venue, wiring.settings.symbols, closing_order, wiring.pause
    )
    return FlattenDone(clock.now_ns(), flat, rounds, detail)


async def settle(
    venue: Venue, heard: Callable[[], Awaitable[int]], pause: Pause
) -> tuple[BalanceChanged | None, str]:
    """Wait until every fill the venue has is counted here; return the account.

    None, and why, where the venue does not say: what was open has been dealt with by then.
    """
    try:
        for _ in range(SETTLE_ROUNDS):
            known = await venue.fills()
            if await heard() >= len(known):
                break
            await pause(SETTLE_PAUSE_S)
        return await venue.balance(), ""
    except (VenueRejected, VenueUnknown, VenueUnavailable) as error:
        return None, str(error)


def summary_of(
    profile: Profile, seen: Mapping[str, Any], ended: Ended, journal: JournalSummary | None
) -> Summary:
    """Return the summary of a run from the actors' last reports."""
    market, told, risk = seen["market_data"], seen["telemetry"], seen["risk"]
    counts, done = told["counts"], ended.done
    net = told["gross_usdt"] - told["fees_usdt"] - told["funding_usdt"]
    state = "ended" if done.flat else "not_flat"
    return Summary(
        state="halted" if done.flat and told["halts"] else state,
        flat=done.flat,
        reason=ended.reason if done.flat else f"{ended.reason}; not flat: {done.detail}",
        session=seen["session"],
        profile=profile.name,
        fee_gate=profile.settings.fees.gate,
        seed=profile.settings.seed,
        frames=ended.frames,
        frames_per_s=ended.frames / ended.wall_s if ended.wall_s > 0.0 else 0.0,
        engine_s=ended.engine_s,
        wall_s=ended.wall_s,
        book_checks=BookChecks(market["matched"], market["mismatched"]),
        ever_synced=market["ever_synced"],
        feed_faults=market["faults"],
        fault_lines=market["fault_lines"],
        signals=seen["signals"]["signals"],
        entries=risk["entries"],
        refusals=told["refusals"],
        fee_warnings=told["fee_warnings"],
        leverage_proofs=counts.get("LeverageProof", 0),
        leverage={symbol: proof.got for symbol, proof in told["proofs"].items()},
        leverage_mismatches=told["leverage_mismatches"],
        brackets=counts.get("OpenBracket", 0),
        fills=counts.get("Fill", 0),
        fill_causes=told["fill_causes"],
        orders_rejected=counts.get("orders_rejected", 0),
        rebalances=seen["rebalancer"]["rebalances"],
        breakers=told["breakers"],
        repairs=told["repairs"],
        differences=told["differences"],
        uncovered_max_ms=seen["guardian"]["uncovered_max_ms"],
        gross_usdt=plain(told["gross_usdt"]),
        fees_usdt=plain(told["fees_usdt"]),
        funding_usdt=plain(told["funding_usdt"]),
        net_usdt=plain(net),
        wallet_usdt=plain(ended.after.wallet_usdt),
        ledger_difference_usdt=plain(
            net - ended.earlier_usdt - (ended.after.wallet_usdt - ended.before.wallet_usdt)
        ),
        actor_deaths=ended.deaths,
        rehearsals=seen["rehearsals"],
        waiting=seen["waiting"],
        rehearsal_fault=seen["rehearsal_fault"],
        venues=seen["venues"],
        journal=journal,
        latency_ns=seen["stages"],
    )
