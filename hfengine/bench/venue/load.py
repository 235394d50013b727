"""Many symbols and an order flow to two clients: does the venue keep up?"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import msgspec
from msgspec import Struct

from hfengine.bench.rounds import Quantiles
from hfengine.bench.venue.kinds import LIFT, Dialect, Key, make_keys
from hfengine.bench.venue.processes import Child, Venue, child, venue
from hfengine.bench.venue.watcher import Seen, Watch
from hfengine.clock import mono_ns

CLIENTS: Final = 2
SYMBOLS: Final = 50
UPDATES_PER_S: Final = 100
ORDERS_PER_S: Final = 100.0
LOOK_S: Final = 0.5
PATIENCE_S: Final = 60.0

UPDATES_MIN: Final = 0.99
"""Share of the updates due that a market which keeps up has made."""

GROWTH_MAX_NS: Final = 5_000_000
"""How much later than in the first quarter the median frame may be in the last one."""

LATE_MAX_MS: Final = 100.0


class Asked(Struct, frozen=True, kw_only=True):
    """The load."""

    symbols: int = SYMBOLS
    updates_per_s: int = UPDATES_PER_S
    orders_per_s: float = ORDERS_PER_S
    seconds: float = 10.0
    settle_s: float = 2.0
    """Before the measurement: the market tells how late it was over up to two seconds."""


class Client(Struct, frozen=True, kw_only=True):
    """What one client saw. Lag: receipt less the venue's stamp, which is in whole milliseconds."""

    frames_per_s: float
    book_frames_per_s: float
    """Of one symbol: each book stream that is heard counts."""
    mib_per_s: float
    account_frames: int
    gaps: int
    lag_ns: Quantiles
    first_quarter_ns: Quantiles
    last_quarter_ns: Quantiles
    orders: int
    answers: int
    refused: int
    refusals: list[str]
    order_ns: Quantiles
    """Round trips of the order requests under this load."""
    cpu_share: float | None


class LoadReport(Struct, frozen=True, kw_only=True):
    """How the venue served the load."""

    asked: Asked
    wall_s: float
    updates_per_s: float
    """Updates of all symbols together that the market made."""
    sent_frames_per_s: float
    """By the venue, to all clients together."""
    unsent_bytes_max: int
    """Most that waited in the venue to be sent to one connection."""
    late_ms_max: float
    """Most by which an update of the market was behind its schedule."""
    cpu_share: float | None
    """Of one core, used by the venue."""
    clients: list[Client]
    keeps_up: bool
    shortfalls: list[str]


def measure_load(dialect: Dialect, asked: Asked) -> LoadReport:
    """Run the venue and two clients for the time asked for.

    Raises MeasureFailed when a process ends early.
    """
    per_client = asked.orders_per_s / CLIENTS
    owners = [make_keys(f"client{number}x", 1) for number in range(CLIENTS)]
    with ExitStack() as stack:
        served = stack.enter_context(venue(options_of(dialect, asked, owners)))
        served.do(LIFT[dialect])
        children = []
        for number, keys in enumerate(owners):
            watch = Watch(
                dialect=dialect,
                name=f"w{number}",
                http=served.http,
                ws=served.ws,
                symbols=asked.symbols,
                keys=keys,
                orders_per_s=per_client,
                seconds=asked.seconds,
            )
            argument = msgspec.json.encode(watch).decode()
            children.append(stack.enter_context(child("hfengine.bench.venue.watcher", [argument])))
        for one in children:
            one.line()
        return _measure(asked, served, children)


def options_of(dialect: Dialect, asked: Asked, owners: list[list[Key]]) -> list[str]:
    """Return the options of the venue: invented symbols alone, and an account for every key."""
    accounts = [option for keys in owners for key in keys for option in ("--account", key.option)]
    return [
        *("--dialect", dialect),
        *("--feed", f"load:{asked.updates_per_s}"),
        *("--symbols", "X001USDT"),
        *("--listings", str(asked.symbols)),
        *accounts,
    ]


class _Totals(Struct):
    """Counts of the venue at one time."""

    at_ns: int
    updates: int
    sent: int
    cpu_s: list[float | None]


def _measure(asked: Asked, served: Venue, children: list[Child]) -> LoadReport:
    late_ms, unsent = 0.0, 0
    processes = [served.child, *children]
    served.child.wait(asked.settle_s)
    before = _totals(served.status(), processes)
    for one in children:
        one.tell("go")
    after = before
    for status in _looks(served, before.at_ns + int(asked.seconds * 1e9)):
        late_ms = max(late_ms, status["late_ms"])
        unsent = max([unsent, *(one["unsent_bytes"] for one in status["sockets"])])
        after = _totals(status, processes)
    seen = [msgspec.json.decode(one.line(PATIENCE_S), type=Seen) for one in children]
    wall_s = (after.at_ns - before.at_ns) / 1e9
    shares = [
        None if start is None or end is None else (end - start) / wall_s
        for start, end in zip(before.cpu_s, after.cpu_s, strict=True)
    ]
    clients = [
        _client(one, share, asked.symbols) for one, share in zip(seen, shares[1:], strict=True)
    ]
    updates_per_s = (after.updates - before.updates) / wall_s
    shortfalls = list(find_shortfalls(asked, updates_per_s, late_ms, clients))
    return LoadReport(
        asked=asked,
        wall_s=wall_s,
        updates_per_s=updates_per_s,
        sent_frames_per_s=(after.sent - before.sent) / wall_s,
        unsent_bytes_max=unsent,
        late_ms_max=late_ms,
        cpu_share=shares[0],
        clients=clients,
        keeps_up=not shortfalls,
        shortfalls=shortfalls,
    )


def find_shortfalls(
    asked: Asked, updates_per_s: float, late_ms: float, clients: list[Client]
) -> Iterator[str]:
    """Yield, a sentence each, what a venue that keeps up would not have shown."""
    due_per_s = asked.symbols * asked.updates_per_s
    if updates_per_s < UPDATES_MIN * due_per_s:
        yield f"{updates_per_s:.0f} updates/s were made of {due_per_s} due"
    if late_ms > LATE_MAX_MS:
        yield f"the market was up to {late_ms:.0f} ms behind its schedule"
    for number, one in enumerate(clients, 1):
        if not one.lag_ns.count:
            yield f"client {number}: no frame came"
        if one.gaps:
            yield f"client {number}: {one.gaps} book frames never came"
        growth_ns = one.last_quarter_ns.p50 - one.first_quarter_ns.p50
        if growth_ns > GROWTH_MAX_NS:
            yield f"client {number}: frames came {growth_ns / 1e6:.1f} ms later at the end"
        if one.refused:
            yield f"client {number}: {one.refused} requests were refused: {one.refusals[0]}"
        if one.answers < one.orders:
            yield f"client {number}: {one.orders - one.answers} requests were never answered"


def _looks(served: Venue, until_ns: int) -> Iterator[Any]:
    """Yield the venue's status every so often and at the end."""
    while True:
        left_ns = until_ns - mono_ns()
        if left_ns > 0:
            served.child.wait(min(LOOK_S, left_ns / 1e9))
        yield served.status()
        if left_ns <= LOOK_S * 1e9:
            return


def _totals(status: Any, processes: list[Child]) -> _Totals:
    return _Totals(
        at_ns=mono_ns(),
        updates=status["frames"],
        sent=sum(one["sent_frames"] for one in status["sockets"]),
        cpu_s=[one.cpu_s() for one in processes],
    )


def _client(seen: Seen, cpu_share: float | None, symbols: int) -> Client:
    return Client(
        frames_per_s=seen.frames / seen.wall_s,
        book_frames_per_s=seen.book_frames / seen.wall_s / symbols,
        mib_per_s=seen.bytes / seen.wall_s / 2**20,
        account_frames=seen.account_frames,
        gaps=seen.gaps,
        lag_ns=seen.lag_ns,
        first_quarter_ns=seen.quarters_ns[0],
        last_quarter_ns=seen.quarters_ns[-1],
        orders=seen.orders,
        answers=seen.answers,
        refused=seen.refused,
        refusals=seen.refusals,
        order_ns=seen.took_ns,
        cpu_share=cpu_share,
    )
