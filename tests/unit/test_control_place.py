"""Where the control socket stands, who may open it, and which of those found there is replaced."""

import os
import socket
import stat
from pathlib import Path

import pytest

from hfengine.control import place
from hfengine.control.place import ControlPlaceError, bound, socket_path
from hfengine.control.server import ControlServer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control" / "here.sock"


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert place.peer_of(one.fileno()) == (os.getuid(), os.getpid())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_open_the_socket_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        door = ControlServer(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    door.discard()
    assert not path.exists()


def test_a_directory_others_may_enter_is_closed_to_them(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    with bound(path):
        assert mode(path.parent) == 0o700


def test_a_socket_a_dead_engine_left_is_replaced(path: Path) -> None:
    bound(path).close()
    assert path.exists()
    with bound(path):
        assert place.answers(path)


def test_a_file_in_the_way_is_no_engine(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("a file")
    with bound(path):
        assert place.answers(path)


def test_the_socket_of_a_living_engine_is_left_alone(path: Path) -> None:
    with bound(path), pytest.raises(ControlPlaceError, match="another engine listens"):
        bound(path)
    assert path.exists()


def test_a_place_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path) -> None:
    blocked = tmp_path / "control"
    blocked.write_text("in the way")
    with pytest.raises(ControlPlaceError, match=r"state\.directory .* control\.enabled = false"):
        bound(blocked / "here.sock")


def test_a_directory_of_somebody_else_is_not_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.mkdir(mode=0o700)
    owner = path.parent.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(ControlPlaceError, match="belongs to another user"):
        bound(path)


def test_a_name_too_long_for_an_address_is_shortened_and_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    deep = str(tmp_path / ("d" * 60) / ("e" * 60))
    short = socket_path(deep, "bybit-0123456789")
    assert len(os.fsencode(short)) <= 107
    assert short == socket_path(deep, "bybit-0123456789")
    assert short != socket_path(deep, "bybit-9876543210")
    with bound(short):
        assert place.answers(short)


def test_a_short_name_stands_below_the_state_directory(tmp_path: Path) -> None:
    near = socket_path("/x/state", "bybit-0123456789")
    assert str(near) == "/x/state/control/bybit-0123456789.sock"
