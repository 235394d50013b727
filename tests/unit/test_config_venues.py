"""Profiles of real and local venues: modes, several venues, hedge mode, addresses, profiles."""

from pathlib import Path

import pytest

from hfengine.config import examine, load
from hfengine.settings import Leverage, Settings, Venue
from hfengine.venue_checks import known_to_ccxt

REPOSITORY = Path(__file__).resolve().parents[2]
BYBIT = 'name = "bybit"\ncatalogue = "bybit"\n'


@pytest.fixture
def problems(tmp_path, monkeypatch):
    """Return a function: text of a profile and environment -> problems."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()

    def problems_of(text: str, **environment: str) -> list[str]:
        (tmp_path / "configs" / "x.toml").write_text(text)
        return examine("x", environment=environment).problems

    return problems_of


def at_bybit(mode: str = "local", venue: str = "", rest: str = "") -> str:
    return f'mode = "{mode}"\n{rest}\n[venue]\n{BYBIT}{venue}\n'


def warnings_of(tmp_path, text: str) -> list[str]:
    (tmp_path / "configs" / "x.toml").write_text(text)
    return load("x", environment={}).warnings


# The venue a symbol is at


def test_symbols_are_placed_and_leverage_is_found_with_and_without_the_venue():
    settings = Settings(
        mode="local",
        symbols=("BTCUSDT@bybit", "ETHUSDT@bybit", "BTCUSDT@binance"),
        venue=Venue(name="bybit", also=("binance",), catalogue="bybit"),
        leverage=Leverage(wanted=10, overrides={"BTCUSDT": 20, "BTCUSDT@binance": 15}),
    )
    assert settings.venue_of("BTCUSDT@binance") == "binance"
    assert settings.symbols_at("bybit") == ("BTCUSDT", "ETHUSDT")
    assert settings.symbols_at("binance") == ("BTCUSDT",)
    assert [settings.leverage.of(name) for name in settings.symbols] == [20, 10, 15]
    assert Settings().venue_of("BTCUSDT") == "sim"


def test_addresses_are_found_by_venue():
    one = Venue(name="bybit", url="http://h:1")
    assert (one.url_of("bybit"), Venue().url_of("sim")) == ("http://h:1", "")
    two = Venue(name="bybit", also=("binance",), url="binance=http://h:2, bybit=http://h:1")
    assert (two.url_of("bybit"), two.url_of("binance")) == ("http://h:1", "http://h:2")
    assert Venue(name="bybit", also=("binance",), url="http://h:1").url_of("binance") == ""


def test_a_venue_brings_its_own_catalogue():
    venue = Venue(name="okx", also=("bitget", "sim"), catalogue="bybit")
    assert [venue.catalogue_of(name) for name in venue.names] == [None, "bitget", "bybit"]


# Modes


@pytest.mark.parametrize("mode", ["local", "testnet", "demo", "live"])
def test_every_mode_of_bybit_is_allowed_and_paper_is_not(problems, mode):
    assert problems(at_bybit(mode)) == []
    (problem,) = problems(at_bybit(mode), HFENGINE_MODE="paper")
    assert problem.startswith(
        'mode (environment HFENGINE_MODE) = "paper": trades in this process, but venue.name '
        "(configs/x.toml:4) names bybit: "
    )


def test_paper_is_sim_and_sim_is_paper(problems):
    assert problems("") == []
    (problem,) = problems('mode = "demo"\n')
    assert problem.startswith('venue.name (default) = "sim": is the exchange in this process, but')
    (problem,) = problems('symbols = ["BTCUSDT@sim"]\n[venue]\nalso = ["bybit"]\n')
    assert "venue.also (configs/x.toml:3) names bybit" in problem


@pytest.mark.parametrize(
    ("name", "mode", "said"),
    [
        ("binance", "testnet", 'binance has none; it has mode = "demo"'),
        ("bitget", "testnet", 'bitget has none; it has mode = "demo"'),
        ("okx", "demo", 'okx has none; it has mode = "testnet"'),
        ("okx", "local", 'the local venue speaks binance, bybit, bitget, not "okx"'),
        ("bybitt", "live", "neither binance, bybit, bitget nor an exchange ccxt knows"),
        ("../x", "live", "nor an exchange ccxt knows"),
    ],
)
def test_a_mode_the_venue_does_not_have_is_refused(problems, name, mode, said):
    catalogue = name if name in ("binance", "bitget") else "bybit"
    (problem,) = problems(f'mode = "{mode}"\n[venue]\nname = "{name}"\ncatalogue = "{catalogue}"\n')
    assert said in problem


def test_any_exchange_ccxt_knows_may_be_live_without_a_catalogue(problems):
    assert problems('mode = "live"\nsymbols = ["WHATUSDT"]\n[venue]\nname = "okx"\n') == []
    assert known_to_ccxt("okx")
    assert not known_to_ccxt("base")
    assert not known_to_ccxt("async_support")


def test_the_catalogue_is_that_of_the_venue(problems):
    (problem,) = problems('mode = "demo"\n[venue]\nname = "bybit"\n')
    assert problem == (
        'venue.catalogue (default) = "binance": venue.name (configs/x.toml:3) is "bybit": set '
        'venue.catalogue = "bybit"'
    )


# Several venues


def test_with_several_venues_every_symbol_names_its_own(problems):
    venue = 'also = ["binance"]'
    text = at_bybit(venue=venue, rest='symbols = ["BTCUSDT", "BTCUSDT@okx", "BTCUSDT@binance"]')
    ways = "names no venue of this profile: write BTCUSDT@bybit or BTCUSDT@binance"
    assert problems(text) == [
        f"symbols (configs/x.toml:2): BTCUSDT {ways}",
        f"symbols (configs/x.toml:2): BTCUSDT@okx {ways}",
    ]
    assert problems(text, HFENGINE_SYMBOLS="BTCUSDT@bybit,BTCUSDT@binance") == []


def test_of_one_venue_a_symbol_is_written_plainly(problems):
    (problem,) = problems(at_bybit(rest='symbols = ["BTCUSDT@bybit"]'))
    assert (
        problem == "symbols (configs/x.toml:2): BTCUSDT@bybit of the only venue is written BTCUSDT"
    )


def test_a_venue_named_twice_is_refused(problems):
    text = at_bybit(venue='also = ["bybit"]', rest='symbols = ["BTCUSDT@bybit"]')
    assert problems(text) == ["venue.also (configs/x.toml:6): bybit is named 2 times"]


def test_each_venue_is_judged_by_its_own_tables(problems):
    """At 12x a ZRXUSDT stop 4 % away is safe with 1.5 % maintenance, not with Bybit's 4.17 %."""
    rest = 'symbols = ["ZRXUSDT@bybit", "ZRXUSDT@binance"]\n[leverage]\nwanted = 12\n'
    rest += "[protection]\nstop_percent = 4.0\ntarget_percent = 8.0\n"
    found = problems(at_bybit(venue='also = ["binance"]', rest=rest))
    assert {problem.split("a ")[1].split(" is")[0] for problem in found} == {
        "long of ZRXUSDT@bybit",
        "short of ZRXUSDT@bybit",
    }


# What the catalogue says away from paper


def test_away_from_paper_the_catalogue_warns_and_the_venue_decides(problems, tmp_path):
    text = at_bybit("demo", rest='symbols = ["NEWUSDT", "ZRXUSDT"]\n[leverage]\nwanted = 25\n')
    text += "[protection]\nstop_percent = 1.0\ntarget_percent = 2.0\n"
    assert problems(text) == []
    unknown, above = warnings_of(tmp_path, text)
    assert unknown.startswith("symbols (configs/x.toml:2): NEWUSDT is not in the bybit catalogue")
    assert "ZRXUSDT offers at most 12x" in above


def test_settings_without_effect_in_a_mode_are_named(problems, tmp_path):
    del problems
    text = at_bybit("demo", venue='wallet_usdt = 5.0\norder_latency_us = 1\nfeed = "synthetic"')
    said = warnings_of(tmp_path, text)
    assert [warning.split(" ")[0] for warning in said] == [
        "venue.order_latency_us",
        "venue.wallet_usdt",
        "venue.feed",
    ]
    assert said[0].endswith('has no effect in mode (configs/x.toml:1) = "demo"')
    local = warnings_of(tmp_path, text.replace("demo", "local"))
    assert [warning.split(" ")[0] for warning in local] == ["ETHUSDT", "venue.order_latency_us"]
    paper = warnings_of(tmp_path, "[venue]\nrate_reserve = 0.2\n")
    assert paper == [
        'venue.rate_reserve (configs/x.toml:2) has no effect in mode (default) = "paper"'
    ]


def test_real_money_above_5x_is_announced(problems, tmp_path):
    del problems
    (said,) = warnings_of(tmp_path, at_bybit("live", rest="[leverage]\nwanted = 6\n"))
    assert said.startswith(
        "leverage.wanted (configs/x.toml:3): up to 6x with real money; a run asks"
    )
    assert warnings_of(tmp_path, at_bybit("live", rest="[leverage]\nwanted = 5\n")) == []


# Settings of the venue


def test_hedge_mode_only_where_the_venue_has_it(problems):
    hedge = 'position_mode = "hedge"'
    assert problems(at_bybit(venue=hedge)) == []
    (problem,) = problems(f"[venue]\n{hedge}\n")
    assert problem.startswith('venue.position_mode (configs/x.toml:2) = "hedge": sim has no hedge')


@pytest.mark.parametrize(
    ("mode", "allowed"), [("local", True), ("testnet", True), ("live", True), ("demo", False)]
)
def test_orders_over_a_websocket_only_where_the_venue_takes_them(problems, mode, allowed):
    found = problems(at_bybit(mode, venue='order_entry = "websocket"'))
    assert (found == []) == allowed
    assert allowed or "bybit takes no orders over a websocket in mode" in found[0]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8601", "https://venue.example/", "http://h:1"])
def test_an_address_of_a_local_venue(problems, url):
    assert problems(at_bybit(venue=f'url = "{url}"')) == []
    (problem,) = problems(at_bybit("live", venue=f'url = "{url}"'))
    assert "only a local venue has an address" in problem


@pytest.mark.parametrize("url", ["127.0.0.1:8601", "ws://h:1", "http://", "http://h:1/v5", "="])
def test_what_is_no_address_is_refused(problems, url):
    assert len(problems(at_bybit(venue=f'url = "{url}"'))) == 1


def test_a_password_in_an_address_is_never_shown(problems):
    (problem,) = problems(at_bybit(venue='url = "http://me:hunter2@h:1"'))
    assert "hunter2" not in problem
    assert "//***@h:1" in problem


def test_with_several_venues_each_address_is_named(problems):
    rest = 'symbols = ["BTCUSDT@bybit", "BTCUSDT@binance"]'
    also = 'also = ["binance"]\n'
    good = 'url = "bybit=http://h:1, binance=http://h:2"'
    assert problems(at_bybit(venue=also + good, rest=rest)) == []
    assert "NAME=URL" in problems(at_bybit(venue=also + 'url = "http://h:1"', rest=rest))[0]
    assert "NAME=URL" in problems(at_bybit(venue=also + 'url = "okx=http://h:1"', rest=rest))[0]


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("recv_window_ms", "60001"),
        ("recv_window_ms", "0"),
        ("answer_max_s", "0.0"),
        ("clock_offset_max_ms", "0.0"),
        ("rate_reserve", "1.0"),
    ],
)
def test_numbers_of_the_venue_have_ranges(problems, key, wrong):
    (problem,) = problems(at_bybit(venue=f"{key} = {wrong}"))
    assert problem.startswith(f"venue.{key} (configs/x.toml:6) = {wrong}: must be a")


# The shipped profiles


@pytest.mark.parametrize(
    ("name", "mode", "venues", "highest"),
    [
        ("bybit-local", "local", ("bybit",), 50),
        ("binance-local", "local", ("binance",), 50),
        ("bitget-local", "local", ("bitget",), 50),
        ("bybit-testnet", "testnet", ("bybit",), 20),
        ("bybit-demo", "demo", ("bybit",), 20),
        ("binance-demo", "demo", ("binance",), 20),
        ("bitget-demo", "demo", ("bitget",), 20),
        ("live-example", "live", ("bybit",), 3),
        ("viper", "local", ("bitget",), 50),
        ("calculus-50x", "local", ("bybit",), 50),
        ("multi-10x", "local", ("bybit", "binance"), 20),
        ("btc-leverage-aware", "local", ("binance",), 5),
    ],
)
def test_what_the_shipped_profiles_are(monkeypatch, name, mode, venues, highest):
    monkeypatch.chdir(REPOSITORY)
    settings = load(name, environment={}).settings
    assert (settings.mode, settings.venue.names) == (mode, venues)
    assert max(map(settings.leverage.of, settings.symbols)) == highest
    if mode != "local" or name in ("viper", "calculus-50x", "multi-10x", "btc-leverage-aware"):
        assert settings.fees.gate == "strict"


def test_the_replaced_systems_size_as_they_did(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    viper, calculus, multi, btc = (
        load(name, environment={}).settings
        for name in ("viper", "calculus-50x", "multi-10x", "btc-leverage-aware")
    )
    assert viper.venue.position_mode == "hedge"
    assert (viper.sizing.mode, viper.sizing.fraction) == ("risk_per_trade", 0.02)
    assert viper.sizing.share_of_equity_max == 0.1
    assert (calculus.sizing.mode, calculus.sizing.fraction) == ("kelly_fraction", 0.5)
    assert calculus.sizing.positions_max == 2
    assert calculus.sizing.share_of_equity_max >= calculus.sizing.fraction
    assert (multi.sizing.positions_max, multi.sizing.fixed_margin_usdt) == (150, 6.0)
    assert multi.sizing.exposure_max_usdt == 150 * 6 * multi.leverage.wanted == 9000
    assert {symbol.partition("@")[0] for symbol in multi.symbols} == {
        "BTCUSDT", "ETHUSDT", "SOLUSDT", "ADAUSDT", "ZRXUSDT"
    }  # fmt: skip
    assert len(multi.symbols) == 10
    assert btc.sizing.capital_usdt * btc.leverage.wanted == 5000
    assert (btc.symbols, btc.sizing.fraction) == (("BTCUSDT",), 0.02)


def test_the_live_example_can_lose_little(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    settings = load("live-example", environment={}).settings
    sizing = settings.sizing
    assert sizing.exposure_max_usdt == sizing.trade_notional_max_usdt <= 150
    assert sizing.fixed_margin_usdt * settings.leverage.wanted <= sizing.exposure_max_usdt
    assert settings.risk.daily_loss_max_usdt <= 5
    assert settings.leverage.on_failure == "block"


def test_entries_rest_only_where_their_stop_waits_with_them(problems):
    resting = at_bybit(rest="") + '[entries]\nkind = "post_only"\n'
    assert problems(resting) == []
    text = 'mode = "local"\n[venue]\nname = "binance"\n[entries]\nkind = "gtc"\n'
    (problem,) = problems(text)
    assert problem.startswith('entries.kind (configs/x.toml:5) = "gtc": on binance the stop')
    assert problems(text.replace("gtc", "fok")) == []
