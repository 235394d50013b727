"""What a person sees while the engine runs: a live view in a terminal, plain lines without."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hfengine.config import Profile
from hfengine.limits import DECISIONS_SHOWN
from hfengine.messages import LeverageProof, MarkTick, PositionChanged

ROWS_AROUND = 19
"""Rows of the view besides decisions and the two rows a symbol takes."""

DECISIONS_SHOWN_MIN = 3
BAR_CHARACTERS = 40
VIEW_EVERY_S = 0.5
LINES_EVERY_S = 1.0
LINES_EVERY_S_AT_MAX = 10.0


def clock_text(at_ns: int) -> str:
    """Return engine time as UTC hours, minutes, seconds and milliseconds."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]


class PlainLines:
    """Prints each decision once, and nothing at all when quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._shown = 0
        self._console = Console(highlight=False, soft_wrap=True)

    def opened(self) -> AbstractContextManager[object]:
        """Return the context in which lines are shown."""
        return nullcontext()

    def every_s(self, pace: float | None) -> float:
        """Return the engine seconds between two looks at this speed."""
        return LINES_EVERY_S_AT_MAX if pace is None else LINES_EVERY_S * pace

    def show(self, seen: Mapping[str, Any]) -> None:
        """Print the decisions that are new since the last look."""
        if self._quiet:
            return
        recent: list[tuple[int, int, str]] = seen["telemetry"]["recent"]
        fresh = [row for row in recent if row[0] > self._shown]
        if fresh and fresh[0][0] > self._shown + 1:
            self._console.print(f"... {fresh[0][0] - self._shown - 1} more")
        for number, at_ns, text in fresh:
            self._shown = number
            self._console.print(f"{clock_text(at_ns)} {text}", markup=False)
        self._console.file.flush()


class LiveView:
    """One screen: state, data, positions with mark, stop and liquidation, decisions, latency."""

    def __init__(self, profile: Profile, console: Console | None = None) -> None:
        self._profile = profile
        self._live = Live(console=console, refresh_per_second=4, auto_refresh=False)

    def opened(self) -> AbstractContextManager[object]:
        """Return the context in which the screen is drawn; it restores the terminal."""
        return self._live

    def every_s(self, pace: float | None) -> float:
        """Return the engine seconds between two looks at this speed."""
        return VIEW_EVERY_S * (pace or 1.0)

    def show(self, seen: Mapping[str, Any]) -> None:
        """Draw the screen anew."""
        self._live.update(self.screen(seen), refresh=True)

    def screen(self, seen: Mapping[str, Any]) -> Group:
        """Return what is drawn, cut to the height of the terminal."""
        rows = len(self._profile.settings.symbols)
        spare = self._live.console.height - ROWS_AROUND - 2 * rows
        decisions = max(DECISIONS_SHOWN_MIN, min(DECISIONS_SHOWN, spare))
        return Group(
            self._head(seen),
            self._symbols(seen),
            self._positions(seen),
            Panel(self._decisions(seen, decisions), title="decisions", title_align="left"),
            self._latency(seen),
        )

    def _head(self, seen: Mapping[str, Any]) -> Text:
        told = seen["telemetry"]
        state, halts, balance = told["state"], told["halts"], told["balance"]
        settings = self._profile.settings
        text = Text()
        text.append(f"hfengine {self._profile.name}", style="bold")
        text.append(f"  {clock_text(seen['now_ns'])} UTC  session {seen['session']}  ")
        text.append(state.state, style="bold green" if state.state == "trading" else "bold yellow")
        for source, reason in halts.items():
            text.append(f"  HALTED by {source}: {reason}", style="bold red")
        if settings.fees.gate == "report":
            text.append('  fee gate "report": fees do not stop entries here', style="yellow")
        if state.state == "starting":
            text.append(f"\n{_progress(len(told['proofs']), len(settings.symbols))}")
        if balance is not None:
            net = told["gross_usdt"] - told["fees_usdt"] - told["funding_usdt"]
            text.append(
                f"\nequity {balance.equity_usdt:.2f} USDT  free {balance.free_margin_usdt:.2f}"
                f"  net {net:+.4f}  fees {told['fees_usdt']:.4f}"
                f"  signals {seen['signals']['signals']}  brackets {seen['risk']['entries']}"
            )
        return text

    def _symbols(self, seen: Mapping[str, Any]) -> Table:
        told, now_ns = seen["telemetry"], seen["now_ns"]
        table = _table("symbol", "book", "data age", "leverage", "proved at", "mark")
        for symbol in self._profile.settings.symbols:
            proof: LeverageProof | None = told["proofs"].get(symbol)
            mark: MarkTick | None = told["marks"].get(symbol)
            age_ms = (now_ns - seen["market_data"]["heard_ns"][symbol]) / 1e6
            table.add_row(
                symbol,
                "in sync" if told["synced"].get(symbol) else "[red]out of sync[/red]",
                f"{age_ms:.0f} ms",
                f"{proof.got}x" if proof else "not yet",
                clock_text(proof.at_ns) if proof else "-",
                f"{mark.mark:.9g}" if mark else "-",
            )
        return table

    def _positions(self, seen: Mapping[str, Any]) -> Table:
        table = _table("symbol", "position", "entry", "stop", "target", "liquidation", "covered")
        for symbol in self._profile.settings.symbols:
            position: PositionChanged | None = seen["telemetry"]["positions"].get(symbol)
            table.add_row(symbol, *_position_cells(position))
        return table

    @staticmethod
    def _decisions(seen: Mapping[str, Any], count: int) -> Text:
        rows = seen["telemetry"]["recent"][-count:]
        lines = [f"{clock_text(at_ns)} {text}" for _, at_ns, text in rows]
        return Text("\n".join(lines) or "none yet", no_wrap=True, overflow="ellipsis")

    @staticmethod
    def _latency(seen: Mapping[str, Any]) -> Text:
        stages = seen["stages"]
        parts = [
            f"{stage} {q['p50'] / 1e3:.1f}/{q['p99'] / 1e3:.1f}" for stage, q in stages.items()
        ]
        return Text("µs p50/p99  " + "  ".join(parts), style="dim")


def _progress(proved: int, wanted: int) -> str:
    done = BAR_CHARACTERS * proved // wanted
    bar = "━" * done + "╌" * (BAR_CHARACTERS - done)
    return f"{bar} leverage proved of {proved} of {wanted}"


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, expand=True, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=True)
    return table


def _position_cells(position: PositionChanged | None) -> list[str]:
    if position is None or not position.quantity:
        return ["flat", "-", "-", "-", "-", "-"]
    word = "long" if position.side > 0 else "short"
    return [
        f"{word} {position.quantity}",
        f"{position.entry:.9g}",
        str(position.stop or "NONE"),
        str(position.target or "NONE"),
        f"{position.liquidation:.9g}",
        str(position.covered),
    ]
