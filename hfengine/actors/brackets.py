"""From an entry wish to one exact bracket; the `bracket` kernel decides, this speaks to it."""

from contextlib import suppress
from typing import NamedTuple

from hfengine.actors.orders import RESTING_KINDS
from hfengine.instruments import Instrument
from hfengine.kernels.bracket import ATR, DETAILS, FORECAST, GATES, PERCENT, Bracket
from hfengine.kernels.liquidation import BINANCE, BYBIT, RiskTiers
from hfengine.kernels.sizing import BINDINGS, FIXED_MARGIN, KELLY_FRACTION, RISK_PER_TRADE
from hfengine.messages import LONG, BalanceChanged, Entry, LeverageProof, MarkTick, OpenBracket
from hfengine.seeds import Numbers
from hfengine.settings import Entries, Protection, Settings

SIZING_MODES = {
    "kelly_fraction": KELLY_FRACTION,
    "risk_per_trade": RISK_PER_TRADE,
    "fixed_margin": FIXED_MARGIN,
}
REHEARSALS = 32
LIQUIDATION_RULES = {"binance": BINANCE, "bybit": BYBIT, "bitget": BYBIT}
"""Bitget publishes no formula; its tables and its isolated margin are of Bybit's kind."""
SIZE_GATE = GATES.index("size")
ATR_GATE = GATES.index("atr")


class Refused(Exception):
    """A gate that did not hold: its name, what it measured, what it wants."""

    def __init__(self, gate: str, measured: float, threshold: float, detail: str = "") -> None:
        super().__init__(gate)
        self.gate = gate
        self.measured = measured
        self.threshold = threshold
        self.detail = detail


class Warned(NamedTuple):
    """A fee gate that did not hold but only reports."""

    gate: str
    measured: float
    threshold: float


class Account(NamedTuple):
    """What sizing looks at, in USDT."""

    equity_usdt: float
    wallet_usdt: float
    free_margin_usdt: float
    maintenance_usdt: float
    exposure_usdt: float = 0.0
    """Of the least cap of exposure, what is not for this entry; where none is set, the notional
    open or on its way elsewhere."""

    @classmethod
    def of(cls, balance: BalanceChanged) -> "Account":
        """Take the account from the venue's balance, nothing open."""
        return cls(
            float(balance.equity_usdt),
            float(balance.wallet_usdt),
            float(balance.free_margin_usdt),
            float(balance.maintenance_usdt),
        )

    def busy(self, exposure_usdt: float, reserved_usdt: float) -> "Account":
        """Return it with that much open, and that much margin on its way out."""
        free_margin_usdt = max(0.0, self.free_margin_usdt - reserved_usdt)
        return self._replace(exposure_usdt=exposure_usdt, free_margin_usdt=free_margin_usdt)


def _distances(protection: Protection) -> tuple[int, float, float]:
    """Return the kernel's way of measuring and its shares of stop and target."""
    if protection.distance == "percent":
        return PERCENT, protection.stop_percent / 100.0, protection.target_percent / 100.0
    if protection.distance == "atr":
        return ATR, protection.stop_atr, protection.target_atr
    return FORECAST, protection.stop_forecast, protection.target_forecast


def least_cap_usdt(settings: Settings) -> float:
    """Return the least cap of exposure: what one entry may fill when nothing else is open."""
    risk = settings.risk
    return min(
        settings.sizing.exposure_max_usdt,
        risk.symbol_exposure_max_usdt,
        risk.venue_exposure_max_usdt,
    )


def chase_share(entries: Entries) -> float:
    """Return how far an entry may be moved after the quote, as a fraction of its first price."""
    chases = entries.kind in RESTING_KINDS and entries.chase_max > 0
    return entries.chase_max_bps * 1e-4 if chases else 0.0


class Planner:
    """Plans the brackets of one symbol; everything that does not change is computed once."""

    def __init__(self, settings: Settings, instrument: Instrument) -> None:
        sizing, protection = settings.sizing, settings.protection
        self._instrument = instrument
        self._atr_bars = protection.atr_bars
        self._break_even_max = settings.fees.break_even_max
        exposure_cap_usdt, chase = least_cap_usdt(settings), chase_share(settings.entries)
        tiers = RiskTiers(
            [
                (float(t.notional_cap_usdt), float(t.maintenance_rate), float(t.max_leverage))
                for t in instrument.tiers
            ]
        )
        self.kernel = Bracket(
            LIQUIDATION_RULES[instrument.venue],
            tiers,
            instrument.tick_usdt,
            instrument.step_quantity,
            float(instrument.quantity_min),
            float(min(instrument.quantity_max, instrument.market_quantity_max)),
            float(instrument.notional_min_usdt),
            float(instrument.taker_fee),
            settings.fees.slippage_bps * 1e-4 + chase,
            *_distances(protection),
            protection.buffer_fraction,
            protection.buffer_sigma,
            protection.reaction_s,
            settings.fees.gate == "strict",
            settings.fees.break_even_max,
            (
                SIZING_MODES[sizing.mode],
                sizing.fraction,
                sizing.fixed_margin_usdt,
                sizing.share_of_equity_max,
                sizing.trade_notional_max_usdt,
                exposure_cap_usdt,
                sizing.capital_usdt,
                sizing.free_margin_reserve,
            ),
        )
        self.kernel.prepare(
            Entry,
            LeverageProof,
            MarkTick,
            OpenBracket,
            instrument.price_tick,
            instrument.quantity_step,
            exposure_cap_usdt,
            chase,
        )

    def plan(
        self,
        entry: Entry,
        proof: LeverageProof,
        account: Account,
        mark: MarkTick | None,
        intents: Numbers,
    ) -> tuple[OpenBracket, tuple[Warned, ...]]:
        """Return the bracket and the fee warnings; raises Refused naming the gate.

        An entry that is moved after the quote is planned for the worst price it may reach: the
        chase counts as slippage. Stop and target stay where they were sent.
        """
        planned = self.kernel.open(entry, proof, account, mark, intents)
        if planned is None:
            raise self._refused()
        bracket, warnings = planned
        return bracket, self.warnings() if warnings is None else warnings

    def rehearse(self, proof: LeverageProof, account: Account) -> None:
        """Plan an invented entry a few times: the first real one shall not pay for cold code."""
        instrument, at_ns = self._instrument, proof.at_ns
        tick = instrument.tick_usdt
        price = 10.0 * float(instrument.notional_min_usdt / instrument.quantity_min)
        entry = Entry(
            0,
            instrument.symbol,
            at_ns,
            at_ns,
            LONG,
            price - tick,
            price,
            price * 1.01,
            0.01,
            1.0,
            60.0,
            1e-5,
            0.001 * price,
        )
        for _ in range(REHEARSALS):
            with suppress(Refused):
                self.plan(entry, proof, account, None, Numbers())

    def _refused(self) -> Refused:
        kernel = self.kernel
        gate, threshold = kernel.gate, kernel.threshold
        detail = DETAILS[gate]
        if gate == SIZE_GATE:
            detail = f"bound by {BINDINGS[kernel.limiting]}"
        elif gate == ATR_GATE:
            threshold = self._atr_bars
        return Refused(GATES[gate], kernel.measured, threshold, detail)

    def warnings(self) -> tuple[Warned, ...]:
        """Return what the bracket planned last is warned of.

        DESIGN 7.7: expected move net of all costs, and the break-even win rate.
        """
        kernel = self.kernel
        failed = []
        if kernel.edge_failed:
            failed.append(Warned("fee_edge", kernel.edge, 0.0))
        if kernel.rate_failed:
            most = self._break_even_max
            failed.append(Warned("break_even_win_rate", kernel.break_even, most))
        return tuple(failed)
