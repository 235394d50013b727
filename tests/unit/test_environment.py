"""Environment variables and `.env`: both spellings, precedence, warnings, no secrets."""

import pytest

from hfengine import environment
from hfengine.environment import Given, percent_fraction, read, read_dotenv, risk_fraction


def settings_of(variables: dict[str, str]) -> dict[str, object]:
    """Return the dotted settings of a process environment."""
    surroundings = read(variables, None)
    assert surroundings.problems == []
    return {key: given.raw for layer in surroundings.layers for key, given in layer.items()}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("LEVERAGE", "25", {"leverage.wanted": "25"}),
        ("AUTO_SET_LEVERAGE", "false", {"leverage.auto_set": "false"}),
        ("MAX_POSITION_SIZE_PERCENT", "10", {"sizing.share_of_equity_max": "0.1"}),
        ("MAX_POSITIONS", "3", {"sizing.positions_max": "3"}),
        ("MAX_EXPOSURE_USD", "900", {"sizing.exposure_max_usdt": "900"}),
        (
            "RISK_PER_TRADE",
            "0.02",
            {"sizing.mode": "risk_per_trade", "sizing.fraction": "0.02"},
        ),
        (
            "POSITION_SIZE_USD",
            "6",
            {"sizing.mode": "fixed_margin", "sizing.fixed_margin_usdt": "6"},
        ),
        (
            "STOP_LOSS_PERCENT",
            "0.4%",
            {"protection.distance": "percent", "protection.stop_percent": "0.4"},
        ),
        (
            "TRAILING_ACTIVATION_PERCENT",
            "0.5",
            {"protection.trailing_activation_percent": "0.5"},
        ),
        ("TRAILING_CALLBACK_PERCENT", "0.2%", {"protection.trailing_callback_percent": "0.2"}),
    ],
)
def test_each_older_variable_sets_what_it_meant(name, text, expected):
    assert settings_of({name: text}) == expected


def test_every_alias_is_tried_above():
    tried = {mark.args[1][i][0] for mark in _marks() for i in range(len(mark.args[1]))}
    assert tried == set(environment.ALIASES)


def _marks():
    return test_each_older_variable_sets_what_it_meant.pytestmark


@pytest.mark.parametrize(
    ("text", "fraction"),
    [("0.02", 0.02), ("2", 0.02), ("2%", 0.02), ("0.5%", 0.005), ("0.2", 0.2), ("1", 0.01)],
)
def test_risk_per_trade_reads_fractions_and_per_cent(text, fraction):
    assert float(risk_fraction(text)) == pytest.approx(fraction)


@pytest.mark.parametrize("text", ["0.21", "0.5", "0.999"])
def test_risk_per_trade_that_could_be_either_is_a_problem(text):
    (problem,) = read({"RISK_PER_TRADE": text}, None).problems
    assert problem.startswith(f'environment RISK_PER_TRADE = "{text}": could be ')
    assert f"write {float(text):g}% or" in problem


def test_position_size_percent_is_always_per_cent():
    assert float(percent_fraction("0.1")) == pytest.approx(0.001)


@pytest.mark.parametrize("name", ["RISK_PER_TRADE", "STOP_LOSS_PERCENT"])
def test_a_variable_that_is_no_number_is_a_problem(name):
    assert read({name: "much"}, None).problems == [f'environment {name} = "much": must be a number']


def test_two_variables_that_choose_different_modes_are_a_problem():
    surroundings = read({"RISK_PER_TRADE": "0.01", "POSITION_SIZE_USD": "6"}, None)
    assert surroundings.problems == [
        "environment RISK_PER_TRADE and environment POSITION_SIZE_USD each choose sizing.mode: "
        "keep one of them"
    ]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("HFENGINE_SEED", "seed"),
        ("HFENGINE_RISK__SPREAD_MAX_BPS", "risk.spread_max_bps"),
        ("HFENGINE_LEVERAGE__OVERRIDES__BTCUSDT", "leverage.overrides.BTCUSDT"),
    ],
)
def test_our_own_spelling_reaches_every_setting(name, key):
    assert settings_of({name: "3"}) == {key: "3"}


def test_our_own_spelling_wins_over_an_older_name_in_the_same_place():
    variables = {"LEVERAGE": "10", "HFENGINE_LEVERAGE__WANTED": "20"}
    assert settings_of(variables) == {"leverage.wanted": "20"}


def test_a_ceiling_is_kept_apart_from_the_settings():
    surroundings = read({"MAX_LEVERAGE": "20"}, None)
    assert surroundings.leverage_ceiling == Given("20", "environment MAX_LEVERAGE", textual=True)
    assert surroundings.layers == [{}, {}]


def test_a_misspelt_setting_is_a_warning_that_names_the_right_one():
    (warning,) = read({"HFENGINE_RISK__SPRED_MAX_BPS": "3"}, None).warnings
    assert warning == (
        "environment HFENGINE_RISK__SPRED_MAX_BPS is not used; "
        "did you mean HFENGINE_RISK__SPREAD_MAX_BPS?"
    )


def test_build_variables_and_strangers_and_empty_ones_are_left_alone():
    surroundings = read(
        {"HFENGINE_DEBUG": "1", "HFENGINE_KERNELS": "book", "HOME": "/h", "LEVERAGE": " "}, None
    )
    assert surroundings.layers == [{}, {}]
    assert surroundings.warnings == []


def test_dotenv_is_read_with_its_lines(tmp_path):
    path = tmp_path / ".env"
    path.write_text(
        "# comment\n\nLEVERAGE=10\nexport MAX_POSITIONS = 3 # few\n"
        'HFENGINE_SYMBOLS="BTCUSDT, ETHUSDT"\nEMPTY=\n'
    )
    variables, problems = read_dotenv(path)
    assert problems == []
    assert variables == {
        "LEVERAGE": ("10", f"{path}:3"),
        "MAX_POSITIONS": ("3", f"{path}:4"),
        "HFENGINE_SYMBOLS": ("BTCUSDT, ETHUSDT", f"{path}:5"),
        "EMPTY": ("", f"{path}:6"),
    }


def test_a_missing_dotenv_is_an_empty_one(tmp_path):
    assert read_dotenv(tmp_path / ".env") == ({}, [])


def test_the_process_environment_comes_after_dotenv(tmp_path):
    path = tmp_path / ".env"
    path.write_text("LEVERAGE=10\nMAX_LEVERAGE=5\n")
    surroundings = read({"LEVERAGE": "20", "MAX_LEVERAGE": "50"}, path)
    assert [layer["leverage.wanted"].raw for layer in surroundings.layers] == ["10", "20"]
    assert surroundings.layers[0]["leverage.wanted"].origin == f"{path}:1 LEVERAGE"
    assert surroundings.leverage_ceiling is not None
    assert surroundings.leverage_ceiling.raw == "50"


def test_no_text_of_an_unknown_variable_or_a_bad_line_is_ever_shown(tmp_path):
    path = tmp_path / ".env"
    path.write_text("BYBIT_API_SECRT=hunter2\nhunter2 without equals\nHFENGINE_NO=hunter2\n")
    surroundings = read({"HFENGINE_API_KEY": "hunter2", "BINANCE_SECRET": "hunter2"}, path)
    said = "\n".join(surroundings.warnings + surroundings.problems)
    assert "hunter2" not in said
    assert f"{path}:1 BYBIT_API_SECRT is not used" in said
    assert f"{path}:2: not of the form NAME=text" in said
    assert f"{path}:3 HFENGINE_NO is not used" in said
    assert "environment HFENGINE_API_KEY is not used" in said
    assert "BINANCE_SECRET" not in said


def test_credentials_beside_the_settings_are_neither_settings_nor_strangers(tmp_path):
    path = tmp_path / ".env"
    path.write_text("BYBIT_DEMO_API_KEY=hunter2\nBITGET_API_PASSPHRASE=hunter2\nLEVERAGE=3\n")
    surroundings = read({"BYBIT_API_SECRET": "hunter2"}, path)
    assert surroundings.warnings == surroundings.problems == []
    assert [list(layer) for layer in surroundings.layers] == [["leverage.wanted"], []]


def test_an_unreadable_dotenv_is_a_problem(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(b"LEVERAGE=\xff\xfe\n")
    assert read({}, path).problems == [f"{path}: cannot be read: it is not UTF-8 text"]
    directory = tmp_path / "directory"
    directory.mkdir()
    (problem,) = read({}, directory).problems
    assert problem.startswith(f"{directory}: cannot be read: ")
