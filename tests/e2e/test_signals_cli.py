"""`hfengine signals eval|train-drift` as a user types it, on small recordings."""

import json
import os
import pty
import subprocess
import sys
from typing import NamedTuple

import pytest

from hfengine.cli.main import main
from hfengine.drift_model import load_drift_model
from hfengine.evaluation.sampling import LAYERS
from tests.recordings import lines, write

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    return [
        write(folder / f"{symbol.lower()}.gz", lines(symbol, seconds=60.0, seed=3))
        for symbol in ("BTCUSDT", "ETHUSDT")
    ]


class Done(NamedTuple):
    """How a command ended and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, recordings, monkeypatch, capsys):
    """Run a command in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run_it(*words, replay=recordings, **environment):
        files = [word for path in replay for word in ("--replay", str(path))]
        code = 0
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["hfengine", "signals", *words, *files])
            for name, text in environment.items():
                patched.setenv(name, text)
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Done(code, *capsys.readouterr())

    return run_it


def apart(tmp_path, recordings, *words):
    """Run a command in a process of its own."""
    files = [word for path in recordings for word in ("--replay", str(path))]
    return subprocess.run(
        [sys.executable, "-m", "hfengine.cli.entry", "signals", *words, *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_eval_prints_the_table_and_says_what_came_out(run):
    done = run("eval", "--horizons", "500ms,1s,10s")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    for layer in LAYERS:
        assert [row[1] for row in rows if row and row[0] == layer] == ["500ms", "1s", "10s"]
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    assert "No evidence, too little data (under 12 independent horizons)" in text
    assert "taker fees in bps, twice (BTCUSDT 5, ETHUSDT 5)" in text
    assert "One stretch of one market says little about another" in text


def test_eval_as_json_agrees_with_itself_and_repeats_byte_for_byte(run, tmp_path, recordings):
    words = ("eval", "--json", "--horizons", "1s,2s")
    first = run(*words)
    assert first.stdout == apart(tmp_path, recordings, *words).stdout
    found = json.loads(first.stdout)
    assert len(found["rows"]) == 14
    assert found["symbols"] == ["BTCUSDT", "ETHUSDT"]
    assert found["tests"] == sum(row["ic"] is not None for row in found["rows"]) > 0
    for row in found["rows"]:
        assert 0 <= row["followed"] <= row["ready"] <= row["samples"]
        if row["ic"] is None:
            assert row["verdict"] == "no evidence"
            continue
        corrected = row["ic_corrected"]
        holds_zero = corrected["low"] <= 0.0 <= corrected["high"]
        assert (row["verdict"] == "no evidence") == holds_zero
        assert row["ic"]["low"] <= row["ic"]["mean"] <= row["ic"]["high"]
    flow = next(r for r in found["rows"] if (r["layer"], r["horizon_s"]) == ("flow", 1.0))
    # the synthetic market is quiet at its spread: a round trip cannot earn its fees in a second
    assert flow["cost_bps"] > 10.0
    assert flow["after_costs"] == "loses"


def test_eval_draws_the_same_picture_twice(run, tmp_path):
    for name in ("a.png", "b.png"):
        assert run("eval", "--horizons", "1s", "--plot", name).returncode == 0
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 10_000
    assert content == (tmp_path / "b.png").read_bytes()


def test_train_drift_saves_what_a_profile_can_load(run, tmp_path):
    done = run("train-drift", "--horizon", "500ms", "--out", "drift.json", "--ridge", "1,10")
    assert done.returncode == 0, done.stderr
    assert "Out of sample" in done.stdout
    assert "vidence of prediction" in done.stdout
    model = load_drift_model(tmp_path / "drift.json", 0.5)
    assert model.ridge in (1.0, 10.0)
    assert model.symbols == ("BTCUSDT", "ETHUSDT")
    assert model.trained_on.recordings == ("btcusdt.gz", "ethusdt.gz")
    assert model.out_of_sample.from_ns >= model.trained_on.until_ns
    first = (tmp_path / "drift.json").read_bytes()
    done = run("train-drift", "--horizon", "500ms", "--ridge", "1,10", "--json")
    assert (tmp_path / "drift.json").read_bytes() == first
    assert json.loads(done.stdout) == json.loads(first)


def test_a_profile_that_names_the_file_is_evaluated_with_it(run, tmp_path):
    run("train-drift", "--horizon", "500ms")
    seen = {"HFENGINE_SIGNALS__HORIZON_S": "0.5", "HFENGINE_SIGNALS__DRIFT_LEARN": "false"}
    plain = run("eval", "--horizons", "500ms", "--json", **seen)
    named = run(
        "eval", "--horizons", "500ms", "--json", **seen, HFENGINE_SIGNALS__DRIFT_FILE="drift.json"
    )
    assert named.returncode == 0, named.stderr
    rows = [
        next(row for row in json.loads(done.stdout)["rows"] if row["layer"] == "drift")
        for done in (plain, named)
    ]
    assert rows[0]["why"] == "never gave a forecast"
    assert rows[1]["ic"] is not None
    other = run("eval", HFENGINE_SIGNALS__DRIFT_FILE="drift.json")
    assert other.returncode == 2
    assert "drift.json: was trained for a horizon of 0.5 s" in other.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["eval", "--horizons", "soon"], 2, "--horizons 'soon' is no duration"),
        (["eval", "--horizons", ","], 2, "--horizons ',' names none"),
        (["eval", "--horizons", "5m"], 5, "no longer than the shortest horizon of 300 s"),
        (["eval", "--plot", "a.pdf"], 2, "--plot a.pdf must end in .png"),
        (["eval", "--plot", "none/a.png"], 2, "there is no folder"),
        (["eval", "--plot", "folder.png"], 2, "--plot folder.png is a folder"),
        (["eval", "--profile", "nope"], 2, 'there is no profile "nope"'),
        (["train-drift"], 5, "do not suffice to fit and score the drift layer"),
        (["train-drift", "--ridge", "x"], 2, "--ridge 'x' must be numbers above 0"),
        (["train-drift", "--ridge", "0"], 2, "must be numbers above 0"),
        (["train-drift", "--horizon", "1y"], 2, "--horizon '1y' is no duration"),
        (["train-drift", "--out", "none/d.json"], 2, "there is no folder"),
        (["train-drift", "--out", "folder.png"], 2, "--out folder.png is a folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_a_code(run, tmp_path, words, code, sentence):
    (tmp_path / "folder.png").mkdir()
    done = run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("--plot", "folder.png"), ("--plot", "none/a.png")])
def test_a_bad_target_is_refused_before_any_recording_is_read(run, tmp_path, words):
    (tmp_path / "folder.png").mkdir()
    missing = [tmp_path / "missing.gz"]
    assert run("eval", *words, replay=missing).returncode == 2
    assert run("train-drift", "--out", "folder.png", replay=missing).returncode == 2
    assert run("eval", replay=missing).returncode == 5


def test_training_does_not_read_the_file_it_is_to_make(run, tmp_path):
    absent = run("train-drift", "--horizon", "500ms", HFENGINE_SIGNALS__DRIFT_FILE="drift.json")
    assert absent.returncode == 0, absent.stderr
    first = (tmp_path / "drift.json").read_bytes()
    again = run("train-drift", "--horizon", "250ms", HFENGINE_SIGNALS__DRIFT_FILE="drift.json")
    assert again.returncode == 0, again.stderr
    assert load_drift_model(tmp_path / "drift.json", 0.25)
    run("train-drift", "--horizon", "500ms", HFENGINE_SIGNALS__DRIFT_FILE="drift.json")
    assert (tmp_path / "drift.json").read_bytes() == first, "what is named there plays no part"


def test_a_file_name_that_is_no_utf8_is_shown_with_a_sign_in_its_place(run, tmp_path, recordings):
    odd = tmp_path / os.fsdecode(b"btc\xff.gz")
    odd.write_bytes(recordings[0].read_bytes())
    done = run("eval", "--json", "--horizons", "1s", replay=[odd])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["recordings"] == ["btc\ufffd.gz"]
    done = run("train-drift", "--horizon", "500ms", "--out", os.fsdecode(b"d\xff"), replay=[odd])
    assert done.returncode == 0, done.stderr
    assert "saved in d\ufffd;" in done.stdout


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_does_not_keep_it_from_judging(run, monkeypatch, closed):
    monkeypatch.setattr(sys, closed, None)
    done = run("eval", "--horizons", "1s", "--plot", "a.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert (done.stdout == "") == (closed == "stdout")


@pytest.mark.parametrize("command", ["eval", "train-drift"])
def test_broken_recordings_are_one_sentence_and_exit_5(run, tmp_path, recordings, command):
    torn = tmp_path / "torn.gz"
    torn.write_bytes(b"not gzip")
    empty = write(tmp_path / "empty.gz", [])
    unsynced = write(
        tmp_path / "unsynced.gz", [row for row in lines(seconds=5.0) if b"lastUpdateId" not in row]
    )
    for path, sentence in (
        (tmp_path / "missing.gz", "missing.gz"),
        (torn, "torn.gz"),
        (empty, "empty.gz"),
        (unsynced, "no book was ever whole in these recordings"),
    ):
        done = run(command, replay=[path])
        assert done.returncode == 5, done.stderr
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_without_matplotlib_a_plot_is_refused_before_the_work(tmp_path, recordings):
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from hfengine.cli.entry import main\n"
        f"sys.argv = ['hfengine', 'signals', 'eval', '--replay', {str(recordings[0])!r},"
        " '--plot', 'a.png']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("hfengine: --plot needs matplotlib, which is not installed")
    assert done.stderr.count("\n") == 1


def test_no_other_command_imports_numpy():
    program = (
        "import sys, hfengine.cli.main\n"
        "assert not {'numpy', 'matplotlib', 'hfengine.evaluation'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_progress_goes_to_a_terminal_on_standard_error_only(tmp_path, recordings):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "hfengine.cli.entry", "signals", "eval", "--json"),
            *("--horizons", "1s", "--replay", str(recordings[0])),
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65_536):
                shown += chunk
        except OSError:
            # Linux reports the end of a terminal whose other side closed as an error
            pass
        os.close(ours)
        assert process.stdout is not None
        printed = process.stdout.read()
    assert process.returncode == 0
    assert b"reading recordings" in shown
    assert json.loads(printed)["frames"] > 1_000
