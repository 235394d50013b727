"""What a loop asks of the machine's cores: asked exactly, kept until the end, told in words."""

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from hfengine.runtime.cores import (
    AS_THE_SYSTEM,
    AWAKE_US,
    CONTROL,
    LEFT_TO_SYSTEM,
    waiting,
    woken_within,
)


def refuse(*_given: object) -> NoReturn:
    pytest.fail("a file was opened")


def open_at(path: Path) -> int:
    """Return how often this process has a file open."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{number}") == str(path)
        except FileNotFoundError:
            # the listing's own
            continue
    return count


@pytest.fixture
def control(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "latency"
    path.touch()
    return path


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Yield a FIFO in the place of the control, and the end that hears what is asked."""
    path = tmp_path / "latency"
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, end
    os.close(end)


@pytest.mark.parametrize("latency_max_us", [AWAKE_US, 1, 20, 1_000_000])
def test_the_request_is_one_little_number_that_stays(
    pipe: tuple[Path, int], latency_max_us: int
) -> None:
    path, end = pipe
    with woken_within(latency_max_us, path) as words:
        assert os.read(end, 64) == struct.pack("<i", latency_max_us)
        assert words == f"asleep, cores awake within {latency_max_us} us"
        # whoever asks is still there
        with pytest.raises(BlockingIOError):
            os.read(end, 64)
    assert os.read(end, 64) == b""


def test_the_request_ends_with_its_context(control: Path) -> None:
    with woken_within(7, control):
        assert open_at(control) == 1
        assert control.read_bytes() == struct.pack("<i", 7)
    assert open_at(control) == 0


def test_a_request_does_not_make_or_empty_the_control(tmp_path: Path, control: Path) -> None:
    missing = tmp_path / "missing"
    with woken_within(7, missing):
        assert not missing.exists()
    control.write_bytes(b"12345678")
    with woken_within(0, control):
        assert control.read_bytes() == b"\0\0\0\x005678"


def test_nothing_is_asked_of_the_system_that_is_left_alone(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", refuse)
    with woken_within(LEFT_TO_SYSTEM, control) as words:
        assert words == AS_THE_SYSTEM
    assert LEFT_TO_SYSTEM == -1
    assert control.read_bytes() == b""


def test_a_missing_control_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with woken_within(0, missing) as words:
        assert words == f"{AS_THE_SYSTEM}: {missing}: {os.strerror(errno.ENOENT)}"


def test_a_control_without_permission_is_told(
    control: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: Path, _flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "open", deny)
    with woken_within(0, control) as words:
        assert words == f"{AS_THE_SYSTEM}: {control}: {os.strerror(errno.EACCES)}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_control_that_takes_nothing_is_told_and_closed() -> None:
    full = Path("/dev/full")
    with woken_within(0, full) as words:
        assert words == f"{AS_THE_SYSTEM}: {full}: {os.strerror(errno.ENOSPC)}"
    assert open_at(full) == 0


@pytest.mark.parametrize("error", [OSError(errno.EIO, "planted"), LookupError("planted")])
def test_an_error_of_the_body_goes_on_and_ends_the_request(control: Path, error: Exception) -> None:
    def ask_and_fail() -> None:
        with woken_within(0, control):
            assert open_at(control) == 1
            raise error

    with pytest.raises(type(error), match="planted"):
        ask_and_fail()
    assert open_at(control) == 0


@pytest.mark.parametrize("latency_max_us", [LEFT_TO_SYSTEM, AWAKE_US, 20])
def test_a_loop_that_spins_asks_nothing(
    latency_max_us: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", refuse)
    with waiting(spins=True, latency_max_us=latency_max_us) as words:
        assert words == "spinning"


def test_a_loop_that_sleeps_asks_the_system(control: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real control is not touched: other processes of this machine would feel it."""
    opened: list[Path] = []
    real = os.open

    def instead(path: Path, flags: int) -> int:
        opened.append(path)
        return real(control, flags)

    monkeypatch.setattr(os, "open", instead)
    with waiting(spins=False, latency_max_us=20) as words:
        assert words == "asleep, cores awake within 20 us"
        assert open_at(control) == 1
    assert opened == [CONTROL] == [Path("/dev/cpu_dma_latency")]
    assert control.read_bytes() == struct.pack("<i", 20)
    opened.clear()
    with waiting(spins=False, latency_max_us=LEFT_TO_SYSTEM) as words:
        assert words == AS_THE_SYSTEM
    assert opened == []
