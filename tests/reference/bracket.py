"""The bracket kernel's twin in plain Python, on Decimals where the grid is concerned."""

from decimal import Decimal
from math import inf, isfinite, sqrt

from hfengine.actors.brackets import Account, Refused, Warned
from hfengine.instruments import Instrument
from hfengine.kernels.liquidation import (
    BINANCE,
    BYBIT,
    RiskTiers,
    buffer_usdt,
    cross_price,
    isolated_price,
    largest_notional,
    stop_is_safe,
)
from hfengine.kernels.sizing import (
    BINDINGS,
    FIXED_MARGIN,
    KELLY_FRACTION,
    RISK_PER_TRADE,
    Sizer,
    break_even_win_rate,
    expected_edge,
)
from hfengine.messages import Entry, LeverageProof, MarkTick, OpenBracket
from hfengine.seeds import Numbers
from hfengine.settings import Settings

SIZING_MODES = {
    "kelly_fraction": KELLY_FRACTION,
    "risk_per_trade": RISK_PER_TRADE,
    "fixed_margin": FIXED_MARGIN,
}
LIQUIDATION_RULES = {"binance": BINANCE, "bybit": BYBIT}


class PlainPlanner:
    """Plans the brackets of one symbol; everything that does not change is computed once."""

    def __init__(self, settings: Settings, instrument: Instrument) -> None:
        self._settings = settings
        self._instrument = instrument
        self._tiers = RiskTiers(
            [
                (float(t.notional_cap_usdt), float(t.maintenance_rate), float(t.max_leverage))
                for t in instrument.tiers
            ]
        )
        self._rule = LIQUIDATION_RULES[instrument.venue]
        self._taker_fee = float(instrument.taker_fee)
        self._slippage = settings.fees.slippage_bps * 1e-4
        self._sizers: dict[int, Sizer] = {}

    def plan(
        self,
        entry: Entry,
        proof: LeverageProof,
        account: Account,
        mark: MarkTick | None,
        intents: Numbers,
    ) -> tuple[OpenBracket, list[Warned]]:
        """Return the bracket and the fee warnings; raises Refused naming the gate."""
        side, instrument = entry.side, self._instrument
        price = entry.ask if side > 0 else entry.bid
        half_spread = 0.5 * (entry.ask - entry.bid)
        stop_distance, target_distance = self._distances(entry, price)
        warnings = self._fee_gates(entry, price, half_spread, stop_distance, target_distance, mark)
        stop = self._towards_position(side, price - side * stop_distance)
        target = self._towards_position(-side, price + side * target_distance)
        self._check_sides(entry, price, stop, target)
        stop_usdt = float(stop)
        k_sigma = self._k_sigma(entry, price)
        tier_max, buffer_max = self._notional_limits(
            side, price, stop_usdt, proof, half_spread, k_sigma
        )
        sizer = self._sizer(proof.got)
        steps = sizer.size(
            price,
            account.equity_usdt,
            account.free_margin_usdt,
            self._exposure(entry, account.exposure_usdt),
            abs(price - stop_usdt),
            2.0 * self._taker_fee,
            tier_max,
            buffer_max,
            instrument.step_quantity,
            float(instrument.quantity_min),
            float(min(instrument.quantity_max, instrument.market_quantity_max)),
            float(instrument.notional_min_usdt),
        )
        if steps <= 0:
            raise Refused(
                "size",
                sizer.uncapped_notional_usdt,
                float(instrument.notional_min_usdt),
                f"bound by {BINDINGS[sizer.limiting]}",
            )
        quantity = instrument.quantity_of(steps)
        liquidation = self._prove_buffer(
            side, float(quantity), price, stop_usdt, proof, account, half_spread, k_sigma
        )
        worst = price * (1.0 + side * self._slippage) + side * instrument.tick_usdt
        bracket = OpenBracket(
            intents.draw(),
            entry.signal_id,
            entry.symbol,
            entry.at_ns,
            entry.tick_ns,
            side,
            quantity,
            instrument.price_down(worst) if side > 0 else instrument.price_up(worst),
            stop,
            target,
            proof.got,
            liquidation,
            proof.at_ns,
            entry.drift,
            entry.confidence,
            entry.half_life_s,
            BINDINGS[sizer.binding],
        )
        return bracket, warnings

    def _distances(self, entry: Entry, price: float) -> tuple[float, float]:
        protection = self._settings.protection
        if protection.distance == "percent":
            stop, target = protection.stop_percent / 100.0, protection.target_percent / 100.0
            return price * stop, price * target
        if protection.distance == "atr":
            if not isfinite(entry.atr) or entry.atr <= 0.0:
                raise Refused("atr", 0.0, protection.atr_bars, "not enough bars yet")
            return entry.atr * protection.stop_atr, entry.atr * protection.target_atr
        move = abs(entry.forecast - price)
        return move * protection.stop_forecast, move * protection.target_forecast

    def _fee_gates(
        self,
        entry: Entry,
        price: float,
        half_spread: float,
        stop_distance: float,
        target_distance: float,
        mark: MarkTick | None,
    ) -> list[Warned]:
        """DESIGN 7.7: expected move net of all costs, and the break-even win rate."""
        fees = self._settings.fees
        round_trip = 2.0 * self._taker_fee
        funding = self._funding(entry, mark)
        edge = expected_edge(
            abs(entry.drift), round_trip, half_spread / price, 2.0 * self._slippage, funding
        )
        rate = break_even_win_rate(target_distance / price, stop_distance / price, round_trip)
        failed = []
        if edge <= 0.0:
            failed.append(Warned("fee_edge", edge, 0.0))
        if rate > fees.break_even_max:
            failed.append(Warned("break_even_win_rate", rate, fees.break_even_max))
        if failed and fees.gate == "strict":
            gate, measured, threshold = failed[0]
            raise Refused(gate, measured, threshold)
        return failed

    def _funding(self, entry: Entry, mark: MarkTick | None) -> float:
        """Return the funding an entry would pay within two half-lives, as a fraction."""
        if mark is None:
            return 0.0
        until_s = (mark.next_funding_ns - entry.at_ns) / 1e9
        held_s = 2.0 * entry.half_life_s
        pays = 0.0 <= until_s <= held_s
        return max(0.0, entry.side * mark.funding_rate) if pays else 0.0

    def _towards_position(self, side: int, price: float) -> Decimal:
        instrument = self._instrument
        return instrument.price_up(price) if side > 0 else instrument.price_down(price)

    def _check_sides(self, entry: Entry, price: float, stop: Decimal, target: Decimal) -> None:
        side = entry.side
        opposite = entry.bid if side > 0 else entry.ask
        if side * (opposite - float(stop)) <= 0.0:
            raise Refused("stop_side", float(stop), opposite, "the stop would trigger at once")
        if side * (float(target) - price) <= 0.0:
            raise Refused("target_side", float(target), price, "the target would trigger at once")

    def _k_sigma(self, entry: Entry, price: float) -> float:
        protection = self._settings.protection
        return protection.buffer_sigma * entry.volatility * sqrt(protection.reaction_s) * price

    def _notional_limits(
        self,
        side: int,
        price: float,
        stop: float,
        proof: LeverageProof,
        half_spread: float,
        k_sigma: float,
    ) -> tuple[float, float]:
        """Return the largest notional of the tier, and of the joint solve with the stop."""
        tier_max = self._tiers.max_notional_usdt(proof.got)
        if tier_max <= 0.0:
            raise Refused("tier", proof.got, float(self._instrument.max_leverage))
        buffer_max = largest_notional(
            self._rule,
            side,
            price,
            stop,
            proof.got,
            self._tiers,
            self._settings.protection.buffer_fraction,
            self._taker_fee,
            half_spread,
            self._slippage,
            k_sigma,
            self._taker_fee,
            tier_max,
        )
        if buffer_max <= 0.0:
            liquidation = isolated_price(
                self._rule,
                side,
                float(self._instrument.quantity_min),
                price,
                proof.got,
                self._tiers,
                0.0,
                self._taker_fee,
            )
            raise Refused("liquidation_buffer", stop, liquidation, "stop too near liquidation")
        return tier_max, buffer_max

    def _prove_buffer(
        self,
        side: int,
        quantity: float,
        price: float,
        stop: float,
        proof: LeverageProof,
        account: Account,
        half_spread: float,
        k_sigma: float,
    ) -> float:
        """Return the liquidation price of the final size; raises Refused if the stop is too near.

        In cross margin the nearer of the isolated and the cross price counts.
        """
        liquidation = isolated_price(
            self._rule, side, quantity, price, proof.got, self._tiers, 0.0, self._taker_fee
        )
        if proof.margin_mode == "cross":
            notional = quantity * price
            shared = cross_price(
                side,
                quantity,
                price,
                account.wallet_usdt,
                self._tiers.maintenance_rate(notional),
                self._tiers.deduction_usdt(notional),
                account.maintenance_usdt,
            )
            liquidation = max(liquidation, shared) if side > 0 else min(liquidation, shared)
        buffer = buffer_usdt(
            price,
            liquidation,
            self._settings.protection.buffer_fraction,
            self._taker_fee,
            half_spread,
            self._slippage,
            k_sigma,
        )
        if not stop_is_safe(side, stop, liquidation, buffer):
            raise Refused("liquidation_buffer", abs(stop - liquidation), buffer)
        return liquidation

    def _exposure(self, entry: Entry, exposure_usdt: float) -> float:
        """Return what counts as open: a buy at its limit price must still fit under the cap.

        The limit lies a slippage above the ask, and up to one tick more.
        """
        cap_usdt = self._settings.sizing.exposure_max_usdt
        if cap_usdt == inf or entry.side < 0:
            return exposure_usdt
        limit = 1.0 + self._slippage + float(self._instrument.price_tick) / entry.ask
        return cap_usdt - (cap_usdt - exposure_usdt) / limit

    def _sizer(self, leverage: int) -> Sizer:
        sizer = self._sizers.get(leverage)
        if sizer is None:
            sizing = self._settings.sizing
            sizer = self._sizers[leverage] = Sizer(
                SIZING_MODES[sizing.mode],
                sizing.fraction,
                sizing.fixed_margin_usdt,
                leverage,
                sizing.share_of_equity_max,
                sizing.trade_notional_max_usdt,
                sizing.exposure_max_usdt,
                sizing.capital_usdt,
                sizing.free_margin_reserve,
            )
        return sizer
