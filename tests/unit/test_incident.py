"""Bundles: the same bytes twice, run again elsewhere, and never with a secret."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hfengine.actors.execution import Execution
from hfengine.cli.main import app
from hfengine.errors import ConfigError
from hfengine.journal import Journal, redact
from hfengine.messages import Halt
from hfengine.replay.again import run_again
from hfengine.replay.errors import NoSession
from hfengine.replay.incident import SecretFound, bundle, known_secrets
from hfengine.replay.sessions import find, opened
from tests.replay_desk import recorded

SECRET = "k3y-of-bybit-9f8e7d6c5b4a"
SECONDS = 3.0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("journals"), duration_s=SECONDS)[0]


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    yield
    redact.forget()


def contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive.getmembers()
        }


def test_a_bundle_runs_again_elsewhere(session: Path, tmp_path: Path) -> None:
    made = bundle(session, tmp_path / "incident.tar.gz", {})
    with opened(str(made.path), tmp_path) as unpacked:
        assert unpacked != session
        found = run_again(unpacked)
    assert found.identical
    assert found.whole
    assert found.outputs == run_again(session).outputs
    result = CliRunner().invoke(app, ["replay", str(made.path), "--verify", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output)["identical"] is True


def test_a_bundle_is_the_same_bytes_twice(session: Path, tmp_path: Path) -> None:
    first = bundle(session, tmp_path / "a.tar.gz", {"HOME": "/somewhere"})
    second = bundle(session, tmp_path / "b.tar.gz", {})
    packed = first.path.read_bytes()
    assert packed == second.path.read_bytes()
    assert packed[4:8] == bytes(4), "the time of packing"


def test_a_bundle_says_what_it_is_and_names_no_place(session: Path, tmp_path: Path) -> None:
    files = contents(bundle(session, tmp_path / "x.tar.gz", {}).path)
    names = {Path(name).name for name in files}
    assert {"manifest.json", "000001.journal", "README.txt", "profile.json"} <= names
    assert {"environment.json", "verdict.json"} <= names
    by_name = {Path(name).name: content for name, content in files.items()}
    readme = by_name["README.txt"].decode()
    assert "hfengine replay BUNDLE --verify" in readme
    assert "BTCUSDT, ETHUSDT" in readme
    profile = json.loads(by_name["profile.json"])
    assert profile["settings"]["leverage"]["wanted"] == 50
    assert profile["settings"]["journal"]["directory"] == ""
    assert json.loads(by_name["environment.json"])["packages"]["msgspec"]
    for name, content in files.items():
        assert str(session.parent).encode() not in content, name
        assert str(tmp_path).encode() not in content, name


def test_a_registered_key_in_an_error_never_reaches_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redact.register(SECRET)
    original = Execution.on_balance
    made: list[int] = []

    def failing(self: Any, message: Any) -> Any:
        made.append(1)
        if len(made) == 2:
            raise ValueError(f"signature refused for {SECRET}")
        return original(self, message)

    failing._handled_classes = original._handled_classes  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(Execution, "on_balance", failing)
        path, summary = recorded(tmp_path / "journals", duration_s=SECONDS)
    assert summary.actor_deaths == 1
    out = bundle(path, tmp_path / "x.tar.gz", {"BYBIT_API_KEY": SECRET}).path
    files = contents(out)
    assert all(SECRET.encode() not in content for content in files.values())
    assert any(b"signature refused for [redacted]" in content for content in files.values())
    redact.forget()
    with opened(str(out), tmp_path) as unpacked:
        assert run_again(unpacked).difference is None


def test_a_key_that_stands_in_the_journal_stops_the_bundle(tmp_path: Path) -> None:
    journal = Journal.create(
        tmp_path, session="leaky", config_hash="", version="0", started_ns=1, on_fault=print
    )
    journal.append(Halt(1, "venue", f"refused {SECRET}"))
    journal.close()
    out = tmp_path / "x.tar.gz"
    with pytest.raises(SecretFound) as caught:
        bundle(journal.path, out, {"BYBIT_API_SECRET": SECRET})
    assert "BYBIT_API_SECRET" in str(caught.value)
    assert "000001.journal" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert not out.exists()
    assert bundle(journal.path, out, {"BYBIT_API_SECRET": "another-one"}).files


def test_what_counts_as_a_secret() -> None:
    redact.register(SECRET)
    known = known_secrets({"API_KEY": "abcdef-1", "PATH": "/usr/bin", "X_SECRET": "abc"})
    assert set(known.values()) == {b"abcdef-1", SECRET.encode()}


def test_a_damaged_or_older_journal_is_bundled_too(session: Path, tmp_path: Path) -> None:
    place = tmp_path / "damaged"
    place.mkdir()
    for file in session.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    segment = place / "000001.journal"
    content = bytearray(segment.read_bytes())
    content[60_000] ^= 1
    segment.write_bytes(content)
    made = bundle(place, tmp_path / "x.tar.gz", {})
    assert made.verdict.status == "damaged"
    assert b"damaged" in contents(made.path)["damaged/README.txt"]


def test_the_command(session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["incident", "--journals", str(session.parent)])
    assert result.exit_code == 0, result.output
    name = f"incident-{session.name}.tar.gz"
    assert (tmp_path / name).is_file()
    assert f"hfengine replay {name} --verify" in result.output
    refused = CliRunner().invoke(
        app, ["incident", "--journals", str(session.parent), "--out", "bundle.zip"]
    )
    assert isinstance(refused.exception, ConfigError)


def test_a_session_is_found_by_path_by_name_and_by_age(session: Path, tmp_path: Path) -> None:
    parent = session.parent
    assert find(str(session), tmp_path) == session
    assert find(session.name, parent) == session
    assert find("newest", parent) == session
    with pytest.raises(NoSession, match=session.name):
        find(session.name[:-1] + "x", parent)
    with pytest.raises(NoSession, match="run one"):
        find("newest", tmp_path)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "x.tar.gz"
    wrong.write_bytes(b"no archive at all")
    with pytest.raises(NoSession, match="no bundle"), opened(str(wrong), tmp_path):
        pass
