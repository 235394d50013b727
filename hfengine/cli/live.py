"""What a person sees while the engine runs: a live view in a terminal, plain lines without."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hfengine.config import Profile
from hfengine.limits import DECISIONS_SHOWN
from hfengine.messages import LeverageProof, MarkTick, PositionChanged

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
        """Return what is drawn."""
        return Group(
            self._head(seen),
            self._positions(seen),
            Panel(self._decisions(seen), title="decisions and refusals", title_align="left"),
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
        if balance is not None:
            net = told["gross_usdt"] - told["fees_usdt"] - told["funding_usdt"]
            text.append(
                f"\nequity {balance.equity_usdt:.2f} USDT  free {balance.free_margin_usdt:.2f}"
                f"  net {net:+.4f}  fees {told['fees_usdt']:.4f}"
                f"  signals {seen['signals']['signals']}  brackets {seen['risk']['entries']}"
            )
        return text

    def _positions(self, seen: Mapping[str, Any]) -> Table:
        told, now_ns = seen["telemetry"], seen["now_ns"]
        names = (
            "symbol",
            "book",
            "data age",
            "leverage proved",
            "position",
            "entry",
            "mark",
            "stop",
            "liquidation",
            "covered",
        )
        table = Table(*names, expand=True)
        for symbol in self._profile.settings.symbols:
            proof: LeverageProof | None = told["proofs"].get(symbol)
            mark: MarkTick | None = told["marks"].get(symbol)
            position: PositionChanged | None = told["positions"].get(symbol)
            age_ms = (now_ns - seen["market_data"]["heard_ns"][symbol]) / 1e6
            proved = f"{proof.got}x {clock_text(proof.at_ns)}" if proof else "not yet"
            table.add_row(
                symbol,
                "in sync" if told["synced"].get(symbol) else "[red]out of sync[/red]",
                f"{age_ms:.0f} ms",
                proved,
                *_position_cells(position, mark),
            )
        return table

    @staticmethod
    def _decisions(seen: Mapping[str, Any]) -> Text:
        rows = seen["telemetry"]["recent"][-DECISIONS_SHOWN:]
        lines = [f"{clock_text(at_ns)} {text}" for _, at_ns, text in rows]
        return Text("\n".join(lines) or "none yet")

    @staticmethod
    def _latency(seen: Mapping[str, Any]) -> Text:
        stages = seen["stages"]
        parts = [
            f"{stage} {q['p50'] / 1e3:.1f}/{q['p99'] / 1e3:.1f}" for stage, q in stages.items()
        ]
        return Text("latency µs p50/p99  " + "  ".join(parts), style="dim")


def _position_cells(position: PositionChanged | None, mark: MarkTick | None) -> list[str]:
    mark_text = f"{mark.mark:.10g}" if mark else "-"
    if position is None or not position.quantity:
        return ["flat", "-", mark_text, "-", "-", "-"]
    word = "long" if position.side > 0 else "short"
    return [
        f"{word} {position.quantity}",
        f"{position.entry:.10g}",
        mark_text,
        str(position.stop or "NONE"),
        f"{position.liquidation:.10g}",
        str(position.covered),
    ]
