"""The settings a profile holds: names, units, defaults; `config.py` reads and checks them.

Fractions are plain (0.01 is 1 %), money is USDT, durations carry their unit in the name.
Infinity switches a cap off.
"""

from math import inf
from typing import Final, Literal, get_args

from msgspec import Struct, field

from hfengine.symbols import plain_symbol, venue_of

Mode = Literal["paper", "local", "testnet", "demo", "live"]
"""paper: the exchange in this process; local: a local venue over sockets; testnet and demo: the
exchange's own practice grounds; live: real money."""

PositionMode = Literal["one_way", "hedge"]
CatalogueName = Literal["binance", "bybit", "bitget"]
CATALOGUES: Final[tuple[CatalogueName, ...]] = get_args(CatalogueName)


class Venue(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where orders go."""

    name: str = "sim"
    """`sim` (the exchange in this process), `bybit`, `binance`, `bitget`, or an exchange's name
    at ccxt."""
    also: tuple[str, ...] = ()
    """Further venues of the same engine; every symbol is then written SYMBOL@venue."""
    catalogue: CatalogueName = "binance"
    """Whose instruments, fees, tiers and liquidation rule the venue has, where its name does not
    say it."""
    wallet_usdt: float = 10_000.0
    feed: Literal["synthetic", "replay", "live"] = "synthetic"
    """What moves the prices of a simulated or local venue; live: the public stream of the
    exchange the catalogue is of."""
    url: str = ""
    """Of a local venue that runs already, http://HOST:PORT; one is started when empty. With
    several venues: NAME=URL, NAME=URL."""
    order_entry: Literal["rest", "websocket"] = "rest"
    position_mode: PositionMode = "one_way"
    set_modes: bool = True
    """False: position and margin mode are only read and compared, never set."""
    recv_window_ms: int = 3_000
    """How old an order may be when the venue takes it. What of the orders of a process that was
    killed is not at the venue after so long never comes."""
    answer_max_s: float = 3.0
    """An order whose answer takes longer counts as lost: it is looked for, never sent again."""
    clock_offset_max_ms: float = 500.0
    """No entries while the venue's clock differs by more."""
    rate_reserve: float = 0.3
    """Share of the rate budget kept for stops, cancels and closes."""
    feed_latency_us: int = 500
    feed_jitter_us: int = 200
    order_latency_us: int = 1_500
    order_jitter_us: int = 500

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all venues, the first one first."""
        return (self.name, *self.also)

    def catalogue_of(self, name: str) -> CatalogueName | None:
        """Return the catalogue of one of the venues; None where none ships with the package."""
        if name == "sim":
            return self.catalogue
        return next((known for known in CATALOGUES if known == name), None)

    def url_of(self, name: str) -> str:
        """Return the address of one of the venues when it runs already, "" when it does not."""
        for part in map(str.strip, self.url.split(",")):
            named, equals, url = part.partition("=")
            if equals and named.strip() == name:
                return url.strip()
            if not equals and not self.also:
                return part
        return ""


class Leverage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The leverage to set and prove for every symbol before its first entry."""

    wanted: int = 50
    overrides: dict[str, int] = field(default_factory=dict)
    """Symbol, or SYMBOL@venue, -> leverage, instead of `wanted`."""
    margin_mode: Literal["isolated", "cross"] = "isolated"
    on_failure: Literal["block", "warn"] = "block"
    auto_set: bool = True
    """False: only read and compare, never set."""
    proof_age_max_s: float = 300.0
    reread_s: float = 60.0

    def of(self, symbol: str) -> int:
        """Return the leverage wanted for a symbol; SYMBOL@venue goes before SYMBOL alone."""
        alone = self.overrides.get(plain_symbol(symbol), self.wanted)
        return self.overrides.get(symbol, alone)


class Sizing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How large a position is: the least of one mode and all caps."""

    mode: Literal["kelly_fraction", "risk_per_trade", "fixed_margin"] = "risk_per_trade"
    fraction: float = 0.01
    """kelly_fraction: of the balance as margin; risk_per_trade: of the balance at risk."""
    fixed_margin_usdt: float = 20.0
    share_of_equity_max: float = 0.1
    """Largest margin of one position as a fraction of equity."""
    trade_notional_max_usdt: float = inf
    exposure_max_usdt: float = inf
    """Largest notional over all positions."""
    capital_usdt: float = inf
    """Capital that may be used: notional is at most capital x leverage."""
    positions_max: int = 2
    free_margin_reserve: float = 0.05


class Entries(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an entry is sent. Whatever its kind, stop and target come with it."""

    kind: Literal["ioc", "fok", "gtc", "post_only"] = "ioc"
    """ioc and fok end at once; gtc and post_only rest in the book until they fill or time out."""
    timeout_s: float = 10.0
    """A resting entry is cancelled after so long; what has filled by then is a position."""
    chase_every_ms: float = 500.0
    """A resting entry that the quote has left is moved after it at most this often."""
    chase_max: int = 0
    """How often one entry is moved; 0 never."""
    chase_max_bps: float = 5.0
    """How far from its first price it may be moved, in all."""


class Protection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where stop and target lie, and how far the stop stays from liquidation (DESIGN 7.3)."""

    distance: Literal["percent", "atr", "forecast"] = "percent"
    stop_percent: float = 0.4
    """Of the entry price, in per cent."""
    target_percent: float = 0.6
    atr_bar_s: float = 5.0
    atr_bars: int = 14
    stop_atr: float = 3.0
    target_atr: float = 4.5
    stop_forecast: float = 1.0
    """Multiples of the forecast move."""
    target_forecast: float = 1.5
    trailing_activation_percent: float = 0.0
    """Gain from entry, in per cent, at which the stop begins to follow the mark; 0 is off."""
    trailing_callback_percent: float = 0.2
    """How far behind the best mark the following stop stays, in per cent."""
    break_even_percent: float = 0.0
    """Gain from entry, in per cent, at which the stop moves to entry and round-trip fees; 0 is
    off. It never moves back."""
    relax_after_s: float = 0.0
    """Age of a position at which its target moves to relax_target_percent; 0 is off."""
    relax_target_percent: float = 0.2
    reduce_after_s: float = 0.0
    """Age at which it is halved once; 0 is off."""
    close_after_s: float = 0.0
    """Age at which it is closed; 0 is off."""
    trigger_by: Literal["mark", "last"] = "mark"
    buffer_fraction: float = 0.1
    buffer_sigma: float = 3.0
    reaction_s: float = 2.0
    cover_max_ms: float = 500.0
    check_ms: float = 100.0


class Fees(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an entry must earn before it may be made (DESIGN 7.7)."""

    gate: Literal["strict", "report"] = "strict"
    break_even_max: float = 0.7
    """Refuse brackets whose break-even win rate lies above."""
    slippage_bps: float = 0.2
    """Expected slippage of one market order."""


class Signals(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The seven layers, how their forecasts are pooled, and the gates an entry passes.

    A layer's weight, 0 to 1, says how much of its confidence counts as a witness of its own.
    """

    horizon_s: float = 60.0
    """What every forecast looks ahead, and its half-life unless layer 3 is sure of a shorter."""
    gap_max_s: float = 10.0
    """A silence longer than this starts a layer anew."""
    warmup: int = 200
    """Updates (layers 1, 2, 4) or grid steps (3, 5, 6) before a layer speaks."""
    trend_s: float = 5.0
    """How long the slopes of layers 1 and 2 are expected to last."""
    calculus_window_s: float = 5.0
    calculus_samples: int = 32
    calculus_weight: float = 0.25
    """Low: it sees the same prices as layer 2, and its residuals are not independent."""
    kalman_process_noise: float = 1e-11
    """Spectral density of the jerk of log price, 1/s^5."""
    kalman_measurement_noise: float = 1e-6
    """Variance of one observed log mid around its trend."""
    kalman_weight: float = 1.0
    ou_half_life_s: float = 120.0
    """Memory of the mean-reversion estimate; its grid is a hundredth of it."""
    ou_weight: float = 0.5
    flow_half_life_s: float = 1.0
    flow_move_bps: float = 3.0
    """Move the flow layer expects at full imbalance."""
    flow_weight: float = 1.0
    drift_half_life_s: float = 1_800.0
    """Memory of the regression, its factors' spreads and its record of predictions."""
    drift_ridge: float = 640.0
    """Pull towards the loaded coefficients (else zero), in samples of horizon_s / 64."""
    drift_learn: bool = True
    """False keeps the loaded coefficients as they are."""
    drift_file: str = ""
    """Coefficients written by `hfengine signals train-drift`; none when empty."""
    drift_weight: float = 1.0
    cross_with: str = ""
    """Symbol every other one is paired with; the first of the profile when empty."""
    cross_step_ms: float = 100.0
    cross_lags: int = 5
    """Grid steps tried either way."""
    cross_half_life_s: float = 300.0
    cross_weight: float = 1.0
    drift_min: float = 0.0002
    """Least expected return over the horizon that is a signal."""
    confidence_min: float = 0.6
    disagreement_max: float = 0.5
    """Largest joined sureness of the layers that point the other way."""
    cooldown_s: float = 20.0
    """Least time between two entries of a symbol."""
    forecast_every_ms: float = 250.0


class Rebalance(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The four rules of the rebalancer (DESIGN 7.6)."""

    interval_s: float = 30.0
    decay_threshold: float = 0.0005
    confidence_drop_relative: float = 0.3
    max_hold_half_lives: float = 2.0
    reduce_to: float = 0.5
    reduces_max: int = 3
    """How often one position is halved; the next wish to halve it closes it."""
    reduce_pause_s: float = 60.0
    """Least time between two halvings of one position for the same reason."""
    cooldown_s: float = 0.0
    """No entry of a symbol for so long after the rebalancer closed it; 0 is off."""
    reentry_drift: float = 1.0
    """Entry on the side it was closed for drift needs at least this times signals.drift_min,
    within ten cooldown_s."""


class Risk(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of market quality, margin and loss."""

    data_age_max_ms: float = 1_000.0
    spread_max_bps: float = 5.0
    utilisation_warn: float = 0.90
    utilisation_close: float = 0.95
    liquidation_left_close: float = 0.05
    """Force-close when less of the entry-liquidation distance is left."""
    daily_loss_max_usdt: float = inf
    """CB1: realised loss of the UTC day at which entries stop until the next."""
    symbol_loss_max_usdt: float = inf
    """Realised loss of one symbol in the UTC day at which its entries stop until the next."""
    total_loss_max_usdt: float = inf
    """Realised loss since the account was first traded at which entries stop until resumed."""
    drawdown_max: float = 1.0
    """CB2: fall of equity from its peak within the window, as a fraction of the peak, at which
    every position is closed and entries stop until resumed; 1 is off."""
    drawdown_window_s: float = 86_400.0
    losing_streak_max: int = 0
    """CB3: positions closed at a loss in a row, after which entries pause; 0 is off."""
    losing_streak_cooldown_s: float = 900.0
    quality_cooldown_s: float = 5.0
    """CB4: how long a symbol's market must have been good again before its entries go on."""
    volatility_burst: float = 6.0
    """CB4: moves of the mark beyond so many of its usual standard deviations stop entries."""
    answer_max_ms: float = 2_000.0
    """CB4: no entries while the venue's answers take longer (median of the last ones)."""
    mark_age_max_s: float = 10.0
    """CB4: no entries of a symbol whose mark price is older."""
    liquidation_left_warn: float = 0.2
    """CB6: warn when less of the entry-liquidation distance is left."""
    symbol_exposure_max_usdt: float = inf
    """Largest notional of one symbol over all venues."""
    venue_exposure_max_usdt: float = inf
    """Largest notional at one venue."""


class Recovery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is done with what the venue holds and this engine did not open."""

    unknown_position: Literal["adopt", "flatten", "halt"] = "adopt"
    """adopt: protect it and let the rebalancer judge it; halt: protect it and take no entries."""
    foreign_orders: Literal["leave", "cancel", "halt"] = "leave"
    """Open orders on our symbols that this system did not place. Our own orphans are cancelled."""
    reconcile_s: float = 60.0
    """How often positions, orders, fills and balance are read and compared."""


class State(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where current state, trades and equity are kept (docs/state.md lists the keys)."""

    url: str = "sqlite"
    """`sqlite` (a file an account in `directory`), `redis://HOST:PORT/DB`, or `none`."""
    directory: str = "state"
    """Of SQLite files, instance locks and control sockets."""
    equity_every_s: float = 10.0
    """How often the equity curve gets a point."""


class Control(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The local socket that `hfengine status`, `halt`, `flatten` and others speak to."""

    enabled: bool = True


class Runtime(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the event loop of a real venue waits. The virtual loop of paper runs ignores it."""

    loop: Literal["sleep", "spin"] = "sleep"
    """spin: poll without ever sleeping; takes a whole core and answers sooner."""
    warm_every_ms: float = 1.0
    """How often the path from frame to order is rehearsed on a real venue, so that its code stays
    in the caches; 0 switches it off. On a loop that spins it is done four times as often."""
    cpu: int = -1
    """Core the process is bound to; -1 leaves it to the system."""
    wake_latency_us: int = 0
    """How long an idle core may take to wake up while a sleeping loop trades on a real venue, asked
    of Linux where that is permitted: at 0 idle cores poll instead of halting, which answers sooner
    and draws power; -1 asks nothing."""


class JournalSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The session log."""

    directory: str = "journals"
    enabled: bool = True
    market_data: Literal["ticks", "none"] = "ticks"
    """Whether book, trade and mark ticks are logged besides decisions."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole profile."""

    mode: Mode = "paper"
    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    seed: int = 1
    venue: Venue = field(default_factory=Venue)
    leverage: Leverage = field(default_factory=Leverage)
    sizing: Sizing = field(default_factory=Sizing)
    entries: Entries = field(default_factory=Entries)
    protection: Protection = field(default_factory=Protection)
    fees: Fees = field(default_factory=Fees)
    signals: Signals = field(default_factory=Signals)
    rebalance: Rebalance = field(default_factory=Rebalance)
    risk: Risk = field(default_factory=Risk)
    recovery: Recovery = field(default_factory=Recovery)
    state: State = field(default_factory=State)
    control: Control = field(default_factory=Control)
    runtime: Runtime = field(default_factory=Runtime)
    journal: JournalSettings = field(default_factory=JournalSettings)

    def venue_of(self, listed: str) -> str:
        """Return the name of the venue a listed symbol trades at."""
        return venue_of(listed) or self.venue.name

    def symbols_at(self, venue: str) -> tuple[str, ...]:
        """Return the symbols that trade at a venue, by the venue's own names."""
        return tuple(
            plain_symbol(listed) for listed in self.symbols if self.venue_of(listed) == venue
        )
