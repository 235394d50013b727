"""What was measured of the local venue, as one object and as lines a person reads."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct
from rich.table import Table

from hfengine.bench.report import Machine, machine
from hfengine.bench.rounds import ROUNDS_MIN, Quantiles
from hfengine.bench.venue.kinds import DIALECTS, Progress
from hfengine.bench.venue.load import Asked, LoadReport, measure_load
from hfengine.bench.venue.round_trip import SAMPLES, RoundTrip, measure_round_trip
from hfengine.bench.wire.kinds import Waiting

ROUNDS: Final = 7
SECONDS: Final = 10.0
QUICK: Final = Asked(symbols=3, updates_per_s=20, orders_per_s=20.0, seconds=1.0, settle_s=0.0)
QUICK_SAMPLES: Final = 20
LOOPS: Final[tuple[Waiting, ...]] = ("sleep", "spin")
"""How a client waits for its answers."""


class VenueReport(Struct, frozen=True, kw_only=True):
    """One object; times in nanoseconds, shares of one core."""

    machine: Machine
    enough_rounds: bool
    round_trips: dict[str, dict[Waiting, RoundTrip]]
    """Dialect -> how the client's loop waits -> its orders."""
    loads: dict[str, LoadReport]
    """By dialect."""

    def json(self) -> str:
        """Return the report as one line of JSON."""
        return msgspec.json.encode(self).decode()

    def headline(self) -> list[str]:
        """Return where it was measured, and what a client of either dialect can count on."""
        where = self.machine
        lines = [
            f"{where.measured_at}  {where.cpu}, {where.cores} cores, {where.system},"
            f" Python {where.python}, load {where.load:.1f}"
        ]
        for dialect, load in self.loads.items():
            lines += [f"{dialect}: {line}" for line in load_lines(load)]
        return lines

    def tables(self) -> Iterator[Table]:
        """Yield the table of round trips and the one of clients under load."""
        trips = Table(title="order round trip, µs: venue beside a bare picows echo")
        for name in ("client", "ratio", "min", "max", "venue p50", "p99", "echo p50", "p99"):
            trips.add_column(name, justify="left" if name == "client" else "right")
        for row in self._trip_rows():
            trips.add_row(*row)
        yield trips
        clients = Table(title="clients under load, ms")
        for name in ("client", "frames/s", "lag p50", "p99", "max", "order p50", "p99", "lost"):
            clients.add_column(name, justify="left" if name == "client" else "right")
        for row in self._client_rows():
            clients.add_row(*row)
        yield clients

    def _trip_rows(self) -> Iterator[list[str]]:
        for dialect, by_waiting in self.round_trips.items():
            for waiting, trip in by_waiting.items():
                ratio = trip.ratio
                ratios = [f"{figure:.2f}" for figure in (ratio.median, ratio.min, ratio.max)]
                times = [*_us(trip.venue_ns), *_us(trip.echo_ns)]
                yield [f"{dialect} ({waiting})", *ratios, *times]

    def _client_rows(self) -> Iterator[list[str]]:
        for dialect, load in self.loads.items():
            for number, one in enumerate(load.clients, 1):
                lag, order = one.lag_ns, one.order_ns
                yield [
                    f"{dialect} {number}",
                    f"{one.frames_per_s:,.0f}",
                    *(f"{took / 1e6:.2f}" for took in (lag.p50, lag.p99, lag.max)),
                    *(f"{took / 1e6:.2f}" for took in (order.p50, order.p99)),
                    str(one.gaps),
                ]


def load_lines(load: LoadReport) -> list[str]:
    """Return what one load asked for and whether the venue kept up, a line each."""
    asked = load.asked
    cpu = "unknown" if load.cpu_share is None else f"{load.cpu_share:.0%} of a core"
    return [
        f"{asked.symbols} symbols x {asked.updates_per_s} updates/s to {len(load.clients)} clients"
        f" with {asked.orders_per_s:.0f} orders/s for {load.wall_s:.1f} s:"
        f" {load.updates_per_s:,.0f} updates/s, {load.sent_frames_per_s:,.0f} frames/s sent,"
        f" venue {cpu}, at most {load.unsent_bytes_max:,} bytes waiting and"
        f" {load.late_ms_max:.1f} ms behind",
        "keeps up" if load.keeps_up else f"FALLS SHORT: {'; '.join(load.shortfalls)}",
    ]


def measure_venue(
    *, rounds: int | None, seconds: float | None, quick: bool, progress: Progress
) -> VenueReport:
    """Measure both dialects, round trips and load; raises MeasureFailed when one cannot be."""
    where = machine()
    rounds = rounds or (1 if quick else ROUNDS)
    asked = QUICK if quick else Asked(seconds=SECONDS)
    if seconds is not None:
        asked = msgspec.structs.replace(asked, seconds=seconds)
    trips: dict[str, dict[Waiting, RoundTrip]] = {}
    loads: dict[str, LoadReport] = {}
    for dialect in DIALECTS:
        for waiting in LOOPS:
            progress(f"measuring {dialect} orders over a websocket, the client's loop: {waiting}")
            trip = measure_round_trip(dialect, waiting, rounds, QUICK_SAMPLES if quick else SAMPLES)
            trips.setdefault(dialect, {})[waiting] = trip
    for dialect in DIALECTS:
        progress(f"measuring {dialect} under load")
        loads[dialect] = measure_load(dialect, asked)
    return VenueReport(
        machine=where,
        enough_rounds=rounds >= ROUNDS_MIN,
        round_trips=trips,
        loads=loads,
    )


def _us(took: Quantiles) -> list[str]:
    return [f"{nanoseconds / 1e3:,.1f}" for nanoseconds in (took.p50, took.p99)]
