"""API keys: which variable of which mode, what is said when one is missing, what is never said."""

from math import inf

import pytest
from msgspec.structs import replace

from hfengine.confirmation import check_confirmation, confirmation
from hfengine.credentials import LOCAL_KEYS, read_keys, variable
from hfengine.errors import ConfigError, ExitCode
from hfengine.localvenue.world import TEST_KEY
from hfengine.settings import Leverage, Risk, Settings, Venue
from hfengine.venues.keys import ApiKeys

SECRET = "hunter2-hunter2"


def at(mode: str, *names: str) -> Settings:
    return Settings(mode=mode, venue=Venue(name=names[0], also=names[1:]))


def refusal(settings: Settings, environment: dict[str, str], dotenv=None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_keys(settings, environment, dotenv)
    assert caught.value.exit_code == ExitCode.USAGE == 2
    return caught.value.problems


@pytest.mark.parametrize(
    ("venue", "mode", "names"),
    [
        ("bybit", "live", ["BYBIT_API_KEY", "BYBIT_API_SECRET"]),
        ("bybit", "testnet", ["BYBIT_TESTNET_API_KEY", "BYBIT_TESTNET_API_SECRET"]),
        ("bybit", "demo", ["BYBIT_DEMO_API_KEY", "BYBIT_DEMO_API_SECRET"]),
        ("binance", "demo", ["BINANCE_DEMO_API_KEY", "BINANCE_DEMO_API_SECRET"]),
        (
            "bitget",
            "demo",
            ["BITGET_DEMO_API_KEY", "BITGET_DEMO_API_SECRET", "BITGET_DEMO_API_PASSPHRASE"],
        ),
    ],
)
def test_each_mode_has_variables_of_its_own(venue, mode, names):
    environment = {name: f"{name}-text" for name in names}
    given = list(environment.values())
    assert read_keys(at(mode, venue), environment) == {
        venue: ApiKeys(key=given[0], secret=given[1], passphrase="".join(given[2:]))
    }
    for gone in names:
        rest = {name: text for name, text in environment.items() if name != gone}
        (problem,) = refusal(at(mode, venue), rest)
        assert problem.startswith(f"{gone} not set: mode {mode} of {venue} needs an API key")
        assert "Make one at " in problem
        assert not any(text in problem for text in rest.values())


def test_practice_keys_never_serve_for_live_nor_live_ones_for_practice():
    live = {"BYBIT_API_KEY": "k", "BYBIT_API_SECRET": SECRET}
    demo = {"BYBIT_DEMO_API_KEY": "k", "BYBIT_DEMO_API_SECRET": SECRET}
    assert (
        "BYBIT_DEMO_API_KEY and BYBIT_DEMO_API_SECRET not set"
        in refusal(at("demo", "bybit"), live)[0]
    )
    assert "BYBIT_API_KEY and BYBIT_API_SECRET not set" in refusal(at("live", "bybit"), demo)[0]
    assert variable("okx", "testnet", "KEY") == "OKX_TESTNET_API_KEY"


def test_every_venue_that_lacks_a_key_is_named_at_once():
    problems = refusal(at("demo", "bybit", "binance"), {})
    assert [problem.split("_")[0] for problem in problems] == ["BYBIT", "BINANCE"]
    assert "demo.binance.com" in problems[1]


def test_paper_needs_none_and_a_local_venue_takes_its_test_key_or_another():
    assert read_keys(Settings(), {"BYBIT_API_KEY": "k"}) == {}
    assert read_keys(at("local", "bybit", "bitget"), {}) == {
        "bybit": LOCAL_KEYS,
        "bitget": LOCAL_KEYS,
    }
    second = {"BYBIT_LOCAL_API_KEY": "k-2", "BYBIT_LOCAL_API_SECRET": "s-2"}
    assert read_keys(at("local", "bybit"), second)["bybit"].key == "k-2"
    assert (
        "BYBIT_LOCAL_API_SECRET not set"
        in refusal(at("local", "bybit"), {"BYBIT_LOCAL_API_KEY": "k-2"})[0]
    )


def test_the_test_key_is_the_one_local_venues_let_in():
    assert (LOCAL_KEYS.key, LOCAL_KEYS.secret.encode()) == (TEST_KEY.key, TEST_KEY.secret)
    assert LOCAL_KEYS.passphrase == TEST_KEY.passphrase


def test_keys_are_read_from_dotenv_and_the_process_wins(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text('BYBIT_API_KEY="from-file"\nexport BYBIT_API_SECRET=also # mine\n')
    settings = at("live", "bybit")
    assert read_keys(settings, {}, dotenv)["bybit"] == ApiKeys(key="from-file", secret="also")
    given = {"BYBIT_API_KEY": " from-process ", "BYBIT_API_SECRET": " "}
    keys = read_keys(settings, given, dotenv)["bybit"]
    assert (keys.key, keys.secret) == ("from-process", "also")


@pytest.mark.parametrize("broken", [f"{SECRET} {SECRET}", f"{SECRET}\u00e4", f"{SECRET}\t1"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(tmp_path, broken):
    environment = {"BYBIT_API_KEY": "k", "BYBIT_API_SECRET": broken}
    (problem,) = refusal(at("live", "bybit"), environment)
    assert problem.startswith("BYBIT_API_SECRET: holds a blank or a character no key has")
    assert "hunter2" not in problem
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{SECRET} alone\nBYBIT_API_KEY=k\n")
    said = "\n".join(refusal(at("live", "bybit"), {}, dotenv))
    assert "hunter2" not in said
    assert ".env:1: not of the form NAME=text" in said


def test_keys_do_not_show_themselves():
    environment = {"BYBIT_API_KEY": "k-hunter2", "BYBIT_API_SECRET": SECRET}
    keys = read_keys(at("live", "bybit"), environment)
    assert "hunter2" not in f"{keys} {keys['bybit']!r} {keys['bybit']}"


# The confirmation of high leverage with real money

KEYS = {
    "bybit": ApiKeys(key="0123456789AbCd", secret=SECRET),
    "binance": ApiKeys(key="zzzz9876", secret=SECRET),
}


def live(wanted: int, loss_usdt: float = 500.0, mode: str = "live", **overrides: int) -> Settings:
    return replace(
        at(mode, "bybit"),
        leverage=Leverage(wanted=wanted, overrides=overrides),
        risk=Risk(daily_loss_max_usdt=loss_usdt),
    )


def test_the_confirmation_repeats_account_leverage_and_loss():
    assert confirmation(live(20), KEYS) == "bybit:AbCd 20x 500USDT"
    assert confirmation(live(3, 2.5, ETHUSDT=6), KEYS) == "bybit:AbCd 6x 2.5USDT"
    assert confirmation(live(20, inf), KEYS) == "bybit:AbCd 20x ALL"
    both = replace(
        live(10),
        symbols=("BTCUSDT@bybit", "BTCUSDT@binance"),
        venue=Venue(name="bybit", also=("binance",)),
    )
    assert confirmation(both, KEYS) == "bybit:AbCd+binance:9876 10x 500USDT"


def test_a_profile_that_only_warns_trades_any_leverage_and_says_so():
    lax = replace(live(3), leverage=Leverage(wanted=3, on_failure="warn"))
    assert confirmation(lax, KEYS) == "bybit:AbCd ANY 500USDT"
    assert confirmation(replace(lax, mode="demo"), KEYS) == ""


@pytest.mark.parametrize(
    "settings", [live(5), live(50, mode="demo"), live(50, mode="local"), live(5, DOGEUSDT=50)]
)
def test_none_is_needed_up_to_5x_or_without_real_money(settings):
    assert confirmation(settings, KEYS) == ""
    check_confirmation(settings, KEYS, "")


@pytest.mark.parametrize("given", ["", "yes", "bybit:AbCd 20x 499USDT", "bybit:abcd 20x 500USDT"])
def test_anything_else_is_refused_with_the_text_to_give(given):
    with pytest.raises(ConfigError) as caught:
        check_confirmation(live(20), KEYS, given)
    (problem,) = caught.value.problems
    assert problem.endswith('add --confirm "bybit:AbCd 20x 500USDT"')
    assert SECRET not in problem
    assert KEYS["bybit"].key not in problem


def test_the_text_is_taken_with_any_blanks_between_its_words():
    check_confirmation(live(20), KEYS, "  bybit:AbCd  20x 500USDT ")
