"""Profiles: merging, origins, every problem at once, impossible combinations, the hash."""

import json
from math import inf, nan
from pathlib import Path

import pytest

from hfengine.config import config_hash, dotted, examine, key_lines, load, profile_names
from hfengine.errors import ConfigError, ExitCode
from hfengine.ranges import FIELDS, RANGES, TABLES, Bound, allowed, in_range, near
from hfengine.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    """Work in an empty directory; returns a function that writes configs/NAME.toml."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()

    def write(name: str, text: str) -> None:
        (tmp_path / "configs" / f"{name}.toml").write_text(text)

    return write


def problems_of(name: str = "x", **environment: str) -> list[str]:
    found = examine(name, environment=environment)
    assert (found.profile is None) == bool(found.problems)
    return found.problems


def only_problem(name: str = "x", **environment: str) -> str:
    (problem,) = problems_of(name, **environment)
    return problem


# The shipped profiles


@pytest.mark.parametrize("name", sorted(path.stem for path in REPOSITORY.glob("configs/*.toml")))
def test_every_shipped_profile_can_be_run(name, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    settings = load(name, environment={}).settings
    venue = settings.venue
    assert (settings.mode == "paper") == (venue.names == ("sim",))
    assert (settings.mode == "live") == (name == "live-example")


def test_the_package_carries_its_profiles(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"base", "paper"} <= set(profile_names())
    assert load("paper", environment={}).settings.leverage.wanted == 50


def test_paper_reports_fees_and_says_so_and_base_is_strict(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    paper, base = load("paper", environment={}), load("base", environment={})
    assert paper.settings.fees.gate == "report"
    assert any("fees.gate (configs/paper.toml:" in warning for warning in paper.warnings)
    assert paper.settings.symbols == ("BTCUSDT", "ETHUSDT")
    assert base.settings.fees.gate == "strict"
    assert base.warnings == []


def test_base_sets_only_what_differs_from_the_defaults_or_explains_a_choice(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    origins = load("base", environment={}).origins
    given = {key for key, origin in origins.items() if origin != "default"}
    assert given < set(FIELDS)
    assert len(given) < len(FIELDS) / 4


# Merging and origins


def test_precedence_rises_from_default_to_command_line(profiles, tmp_path):
    profiles("base", "[leverage]\nwanted = 10\n[risk]\nspread_max_bps = 1.0\n")
    profiles("x", 'extends = "base"\n[leverage]\nwanted = 11\n')
    dotenv = Path(".env")

    def wanted(environment, overrides):
        profile = load("x", environment=environment, dotenv=dotenv, overrides=overrides)
        return profile.settings.leverage.wanted, profile.origins["leverage.wanted"]

    assert load("x", environment={}).origins["seed"] == "default"
    assert load("x", environment={}).origins["risk.spread_max_bps"] == "configs/base.toml:4"
    assert wanted({}, {}) == (11, "configs/x.toml:3")
    dotenv.write_text("\nLEVERAGE=12\n")
    assert wanted({}, {}) == (12, ".env:2 LEVERAGE")
    assert wanted({"LEVERAGE": "13"}, {}) == (13, "environment LEVERAGE")
    given = {"leverage.wanted": 14, "seed": None}
    assert wanted({"LEVERAGE": "13"}, given) == (14, "command line --leverage.wanted")


def test_tables_merge_key_by_key(profiles):
    profiles("base", "[leverage.overrides]\nBTCUSDT = 5\nETHUSDT = 6\n")
    profiles("x", 'extends = "base"\nleverage.overrides = { ETHUSDT = 7 }\n')
    profile = load("x", environment={"HFENGINE_LEVERAGE__OVERRIDES__SOLUSDT": "8"})
    assert profile.settings.leverage.overrides == {"BTCUSDT": 5, "ETHUSDT": 7, "SOLUSDT": 8}
    assert profile.origins["leverage.overrides.BTCUSDT"] == "configs/base.toml:2"
    assert profile.origins["leverage.overrides.ETHUSDT"] == "configs/x.toml:2"
    command = {"leverage.overrides": {"BTCUSDT": 9}}
    assert load("x", environment={}, overrides=command).settings.leverage.of("BTCUSDT") == 9


def test_texts_are_read_as_their_type(profiles):
    profiles("x", "")
    settings = load(
        "x",
        environment={
            "HFENGINE_SYMBOLS": "ETHUSDT, SOLUSDT",
            "HFENGINE_JOURNAL__ENABLED": "off",
            "HFENGINE_SIZING__CAPITAL_USDT": "inf",
            "HFENGINE_VENUE__CATALOGUE": "bybit",
        },
        overrides={"seed": "7"},
    ).settings
    assert settings.symbols == ("ETHUSDT", "SOLUSDT")
    assert settings.journal.enabled is False
    assert settings.sizing.capital_usdt == inf
    assert settings.venue.catalogue == "bybit"
    assert settings.seed == 7


def test_lines_are_found_in_every_way_toml_writes_keys():
    text = 'a = 1\n[leverage]\n wanted= 2\n[ leverage . overrides ]\n"BTCUSDT" = 3\n# a = 4\n'
    assert key_lines(text) == {
        "a": 1,
        "leverage": 2,
        "leverage.wanted": 3,
        "leverage.overrides": 4,
        "leverage.overrides.BTCUSDT": 5,
    }
    assert key_lines("risk.spread_max_bps = 1\n") == {"risk.spread_max_bps": 1}


def test_a_profile_may_be_a_path_and_its_parent_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "base.toml").write_text("seed = 5\n")
    (tmp_path / "deep" / "mine.toml").write_text('extends = "base"\n')
    profile = load("deep/mine.toml", environment={})
    assert (profile.name, profile.settings.seed) == ("mine", 5)
    assert profile.origins["seed"] == "deep/base.toml:1"


def test_the_hash_is_of_what_a_run_does_not_of_where(profiles):
    profiles("x", "")
    profiles("y", '[journal]\ndirectory = "elsewhere"\n')
    profiles("z", "[risk]\nspread_max_bps = 5.5\n")
    x, y, z = (load(name, environment={}).config_hash for name in "xyz")
    local = {"mode": "local", "venue.name": "bybit", "venue.catalogue": "bybit"}
    first, second = (
        load("x", environment={}, overrides=local | {"venue.url": url}).config_hash
        for url in ("http://127.0.0.1:1", "http://127.0.0.1:2")
    )
    assert first == second != x
    assert x == y == config_hash(Settings())
    assert x != z
    assert len(bytes.fromhex(x)) == 32


def test_dotted_lists_every_setting_once():
    assert list(dotted(Settings())) == list(FIELDS)
    assert dotted(Settings())["leverage.wanted"] == Settings().leverage.wanted


# Problems of files


def test_every_problem_is_listed_at_once_with_its_place(profiles):
    profiles(
        "x",
        'extends = "base"\nseeds = 3\nsymbols = "BTCUSDT"\n[leverage]\nwanted = 126\n'
        '[fees]\ngate = "maybe"\n[sizing]\npositions_max = 0\nfraction = nan\n',
    )
    profiles("base", "[risk]\nspred_max_bps = 1.0\ndata_age_max_ms = true\n")
    assert problems_of(HFENGINE_SEED="-1", STOP_LOSS_PERCENT="100") == [
        "seeds (configs/x.toml:2): no such setting; did you mean seed?",
        "risk.spred_max_bps (configs/base.toml:2): no such setting; did you mean "
        "risk.spread_max_bps?",
        "risk.data_age_max_ms (configs/base.toml:3) = true: must be a number, above 0",
        'symbols (configs/x.toml:3) = "BTCUSDT": must be a list of symbols',
        "leverage.wanted (configs/x.toml:5) = 126: must be a whole number, 1 to 125",
        'fees.gate (configs/x.toml:7) = "maybe": must be one of "strict", "report"',
        "sizing.positions_max (configs/x.toml:9) = 0: must be a whole number, 1 or more",
        "sizing.fraction (configs/x.toml:10) = nan: must be a number, above 0, at most 1",
        'protection.stop_percent (environment STOP_LOSS_PERCENT) = "100": must be a number, '
        "above 0, below 100",
        'seed (environment HFENGINE_SEED) = "-1": must be a whole number, 0 or more',
    ]


def test_load_raises_all_problems_as_a_usage_error(profiles):
    profiles("x", "seeds = 3\nsead = 4\n")
    with pytest.raises(ConfigError) as caught:
        load("x", environment={})
    assert len(caught.value.problems) == 2
    assert caught.value.exit_code == ExitCode.USAGE == 2


def test_a_section_that_is_no_table_and_a_key_in_the_wrong_section(profiles):
    profiles("x", "risk = 3\n[fees]\nspread_max_bps = 1.0\n")
    assert problems_of() == [
        "risk (configs/x.toml:1) = 3: must be a table",
        "fees.spread_max_bps (configs/x.toml:3): no such setting; did you mean "
        "risk.spread_max_bps?",
    ]


def test_a_missing_profile_names_those_there_are(profiles):
    profiles("mine", "")
    problem = only_problem("nine")
    start, _, names = problem.partition("; there are ")
    assert start == '--profile: there is no profile "nine"'
    assert names.split(", ") == profile_names()
    assert {"base", "mine", "paper", "bybit-local"} <= set(names.split(", "))


def test_a_missing_parent_is_named_with_its_line_beside_other_problems(profiles):
    profiles("x", '\nextends = "gone"\nseeds = 1\n')
    assert problems_of()[1].startswith('extends (configs/x.toml:2): there is no profile "gone"')
    assert len(problems_of()) == 2


def test_a_circle_of_parents_is_a_problem(profiles):
    profiles("a", 'extends = "b"\n')
    profiles("b", 'extends = "a"\n')
    assert only_problem("a") == (
        "extends (configs/b.toml:1): profiles extend each other in a circle: a -> b -> a"
    )


def test_a_parent_must_be_a_name(profiles):
    profiles("x", "extends = 3\n")
    assert only_problem() == "extends (configs/x.toml:1) = 3: must be the name of a profile"


def test_files_that_cannot_be_read_are_problems(profiles, tmp_path):
    profiles("x", "[leverage\nwanted = 3\n")
    problem = only_problem()
    assert problem.startswith("configs/x.toml: not valid TOML: ")
    assert "line 1" in problem
    (tmp_path / "configs" / "x.toml").write_bytes(b"a = '\xff'\n")
    assert only_problem() == "configs/x.toml: cannot be read: it is not UTF-8 text"


def test_an_empty_text_is_a_problem(profiles):
    profiles("x", '[journal]\ndirectory = ""\n')
    assert only_problem() == 'journal.directory (configs/x.toml:2) = "": must be a text, not empty'


def test_an_unknown_command_line_key_is_a_problem(profiles):
    profiles("x", "")
    found = examine("x", environment={}, overrides={"sead": 1})
    assert found.problems == ["sead (command line --sead): no such setting; did you mean seed?"]


# Environment


def test_a_ceiling_lowers_leverage_and_overrides_and_says_so(profiles):
    profiles("x", "[leverage]\nwanted = 40\noverrides = { BTCUSDT = 30, ETHUSDT = 5 }\n")
    profile = load("x", environment={"MAX_LEVERAGE": "20"})
    assert profile.settings.leverage.wanted == 20
    assert profile.settings.leverage.overrides == {"BTCUSDT": 20, "ETHUSDT": 5}
    assert profile.origins["leverage.wanted"] == "environment MAX_LEVERAGE"
    assert profile.origins["leverage.overrides.ETHUSDT"] == "configs/x.toml:3"
    assert profile.warnings == [
        "environment MAX_LEVERAGE lowers leverage.wanted from 40 (configs/x.toml:2) to 20",
        "environment MAX_LEVERAGE lowers leverage.overrides.BTCUSDT from 30 (configs/x.toml:3) "
        "to 20",
    ]


def test_a_ceiling_binds_the_default_and_the_command_line_too(profiles):
    profiles("x", "")
    assert load("x", environment={"MAX_LEVERAGE": "3"}).settings.leverage.wanted == 3
    low = load("x", environment={"MAX_LEVERAGE": "3"}, overrides={"leverage.wanted": 100})
    assert low.settings.leverage.wanted == 3
    high = load("x", environment={"MAX_LEVERAGE": "100"})
    assert high.settings.leverage.wanted == Settings().leverage.wanted
    assert high.origins["leverage.wanted"] == "default"


def test_a_ceiling_that_is_no_leverage_is_a_problem(profiles):
    profiles("x", "")
    assert only_problem(MAX_LEVERAGE="lots") == (
        'environment MAX_LEVERAGE = "lots": must be a whole number, 1 to 125'
    )


def test_an_older_variable_whose_mode_is_overruled_is_a_warning(profiles):
    profiles("x", "")
    environment = {"POSITION_SIZE_USD": "20", "HFENGINE_SIZING__MODE": "kelly_fraction"}
    profile = load("x", environment=environment)
    assert profile.settings.sizing.mode == "kelly_fraction"
    assert profile.warnings == [
        'environment POSITION_SIZE_USD has no effect: sizing.mode is "kelly_fraction" '
        "(environment HFENGINE_SIZING__MODE)"
    ]


# Ranges


def test_every_number_of_the_settings_has_a_range():
    numbers = {key for key, kind in FIELDS.items() if kind in (int, float)} | set(TABLES)
    assert numbers == set(RANGES)


@pytest.mark.parametrize("key", [key for key in FIELDS if key in RANGES and key not in TABLES])
def test_defaults_lie_in_their_ranges_and_nan_never(key):
    assert in_range(key, dotted(Settings())[key])
    assert not in_range(key, nan)
    assert not in_range(key, -1e9)


def test_bounds_hold_their_ends_as_they_say():
    half_open = Bound(0, 1, low_open=True)
    assert [half_open.holds(x) for x in (0, 1e-9, 1, 1.1)] == [False, True, True, False]
    assert str(half_open) == "above 0, at most 1"
    finite = Bound(0, high_open=True)
    assert [finite.holds(x) for x in (-1, 0, 1e300, inf)] == [False, True, True, False]
    assert str(finite) == "0 or more"
    assert Bound(0, low_open=True).holds(inf)
    assert str(Bound(0, low_open=True)) == "above 0, or inf for no limit"


def test_what_is_allowed_is_said_for_every_kind_of_setting():
    assert allowed("leverage.auto_set") == "true or false"
    assert allowed("symbols") == "a list of symbols"
    assert allowed("journal.directory") == "a text, not empty"
    assert allowed("leverage.overrides.BTCUSDT") == "a whole number, 1 to 125"
    assert allowed("mode") == 'one of "paper", "local", "testnet", "demo", "live"'
    assert allowed("venue.also") == "a list of names"
    assert allowed("venue.url") == "a text"
    assert near("nothing.like_it_at_all_qqq") is None


# Impossible combinations


def test_unknown_and_repeated_symbols_are_refused(profiles):
    profiles("x", 'symbols = ["BTCUSDT", "BTCUSDT", "DOGEUSDT"]\n')
    assert problems_of() == [
        "symbols (configs/x.toml:1): BTCUSDT is listed 2 times",
        "symbols (configs/x.toml:1): DOGEUSDT is not in the binance catalogue of 2024-10-24; it "
        "has BTCUSDT, ETHUSDT, SOLUSDT, ADAUSDT, ZRXUSDT",
    ]
    profiles("x", "symbols = []\n")
    assert only_problem().startswith("symbols (configs/x.toml:1): name at least one of BTCUSDT")


def test_leverage_above_the_first_tier_is_refused_below_it_not(profiles):
    profiles("x", 'symbols = ["ZRXUSDT"]\n[leverage]\nwanted = 51\n[protection]\nstop_percent=0.1')
    assert only_problem() == (
        "leverage.wanted (configs/x.toml:3) = 51: ZRXUSDT on binance offers at most 50x, in its "
        "first tier (up to 5,000 USDT); lower it, or set leverage.overrides.ZRXUSDT"
    )
    assert problems_of(LEVERAGE="50") == []
    assert only_problem(
        LEVERAGE="50", HFENGINE_VENUE__CATALOGUE="bybit", HFENGINE_SYMBOLS="ZRXUSDT"
    ).endswith(
        "at most 12x, in its first tier (up to 25,000 USDT); lower it, or set "
        "leverage.overrides.ZRXUSDT"
    )
    override = only_problem(HFENGINE_LEVERAGE__OVERRIDES__ZRXUSDT="60")
    assert override.startswith(
        "leverage.overrides.ZRXUSDT (environment HFENGINE_LEVERAGE__OVERRIDES__ZRXUSDT) = 60: "
    )


def test_a_stop_beyond_liquidation_is_refused_on_both_sides(profiles):
    """Binance BTCUSDT at 50x, 0.4 % maintenance: long 0.016/0.996, short 0.016/1.004 away."""
    profiles("x", "[leverage]\nwanted = 50\n[protection]\nstop_percent = 1.6\ntarget_percent = 3.0")
    found = problems_of(HFENGINE_SYMBOLS="BTCUSDT")
    assert len(found) == 2
    assert "a long of BTCUSDT is liquidated 1.606 % from entry" in found[0]
    assert "a short of BTCUSDT is liquidated 1.594 % from entry" in found[1]
    assert found[0].startswith(
        "protection.stop_percent (configs/x.toml:4) = 1.6: with "
        "leverage.wanted (configs/x.toml:2) = 50 "
    )


def test_the_buffer_counts_and_its_edge_is_where_the_arithmetic_says(profiles):
    """A short's 1.59363 % less a tenth leaves 1.43426 %."""
    profiles("x", 'symbols = ["BTCUSDT"]\n[protection]\ntarget_percent = 3.0')
    assert problems_of(STOP_LOSS_PERCENT="1.434") == []
    assert "a short of BTCUSDT" in only_problem(STOP_LOSS_PERCENT="1.435")
    assert problems_of(STOP_LOSS_PERCENT="1.59", HFENGINE_PROTECTION__BUFFER_FRACTION="0") != []
    assert problems_of(STOP_LOSS_PERCENT="1.53", HFENGINE_PROTECTION__BUFFER_FRACTION="0") == []


def test_a_stop_that_cannot_be_known_beforehand_is_not_judged(profiles):
    profiles("x", "[protection]\nstop_percent = 5.0\ntarget_percent = 9.0\n")
    assert len(problems_of()) == 4
    assert problems_of(HFENGINE_PROTECTION__DISTANCE="atr") == []
    assert problems_of(HFENGINE_LEVERAGE__MARGIN_MODE="cross") == []


def test_a_bracket_fees_eat_up_is_refused_with_the_arithmetic(profiles):
    """The sources' 0.15625 % / 0.05208 % bracket on Bybit: 77.8 % wins (mission.json)."""
    profiles(
        "x",
        'symbols = ["BTCUSDT"]\n[venue]\ncatalogue = "bybit"\n[protection]\n'
        "stop_percent = 0.0520833333\ntarget_percent = 0.15625\n",
    )
    problem = only_problem()
    assert "BTCUSDT must win 77.8% of its trades to break even" in problem
    assert "(stop 0.0520833 % + fees 0.11 %) / (target 0.15625 % + stop 0.0520833 %)" in problem
    assert "above fees.break_even_max (default) = 0.7" in problem
    assert problems_of(HFENGINE_FEES__BREAK_EVEN_MAX="0.778") == []
    assert problems_of(HFENGINE_FEES__GATE="report") == []


def test_a_target_that_does_not_pay_its_fees_is_refused(profiles):
    profiles("x", 'symbols = ["BTCUSDT"]\n[protection]\ntarget_percent = 0.1\n')
    assert only_problem(HFENGINE_FEES__BREAK_EVEN_MAX="1").startswith(
        "protection.target_percent (configs/x.toml:3) = 0.1: a round trip of BTCUSDT costs 0.1 %"
    )
    assert problems_of(HFENGINE_FEES__GATE="report") == []


def test_caps_below_the_smallest_order_are_refused(profiles):
    profiles("x", 'symbols = ["BTCUSDT"]\n[leverage]\nwanted = 10\n')
    assert only_problem(POSITION_SIZE_USD="9.9") == (
        "sizing.fixed_margin_usdt (environment POSITION_SIZE_USD): allows a notional of 99 USDT, "
        "but the smallest order of BTCUSDT on binance is 100 USDT: raise it"
    )
    assert problems_of(POSITION_SIZE_USD="10") == []
    assert only_problem(MAX_EXPOSURE_USD="99").startswith("sizing.exposure_max_usdt")
    assert only_problem(HFENGINE_SIZING__CAPITAL_USDT="9.9").startswith("sizing.capital_usdt")
    assert problems_of(HFENGINE_SIZING__CAPITAL_USDT="10") == []


@pytest.mark.parametrize(
    ("sections", "start"),
    [
        ("[leverage]\nproof_age_max_s = 60.0", "leverage.proof_age_max_s (configs/x.toml:2) = 60"),
        ("[risk]\nutilisation_warn = 0.95", "risk.utilisation_warn (configs/x.toml:2) = 0.95"),
        ("[protection]\ncheck_ms = 501.0", "protection.check_ms (configs/x.toml:2) = 501"),
        (
            "[risk]\nliquidation_left_warn = 0.05",
            "risk.liquidation_left_warn (configs/x.toml:2) = 0.05",
        ),
        (
            "[protection]\nrelax_after_s = 60.0\nclose_after_s = 60.0",
            "protection.close_after_s (configs/x.toml:3) = 60: must be later than",
        ),
    ],
)
def test_settings_in_the_wrong_order_are_refused(profiles, sections, start):
    profiles("x", sections)
    assert only_problem().startswith(start)


def test_a_section_with_a_bad_key_is_not_judged_as_a_whole(profiles):
    profiles("x", "[leverage]\nwanted = 0\n[protection]\nstop_percent = 5.0\ntarget_percent=9.0")
    assert problems_of() == [
        "leverage.wanted (configs/x.toml:2) = 0: must be a whole number, 1 to 125"
    ]


def test_cautions(profiles):
    profiles(
        "x",
        'symbols = ["ETHUSDT"]\n[venue]\ncatalogue = "bybit"\n[leverage]\non_failure = "warn"\n'
        "overrides = { BTCUSDT = 5 }\n",
    )
    failure, stray, tiers = load("x", environment={}).warnings
    assert failure.startswith('leverage.on_failure (configs/x.toml:5) = "warn"')
    assert stray.startswith("leverage.overrides.BTCUSDT (configs/x.toml:6): BTCUSDT is not among")
    assert tiers.startswith("ETHUSDT on bybit: only part of its risk table is known (first tier")
    assert tiers.endswith("positions above 900,000 USDT are refused")


def test_the_settings_survive_json(profiles):
    profiles("x", "")
    assert json.loads(json.dumps(dotted(load("x", environment={}).settings)))["seed"] == 1
