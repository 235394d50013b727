"""Live loops, collector pauses, and the threads a trading process may have."""

import asyncio
import gc
import threading

import pytest
import uvloop

from hfengine.runtime import threads
from hfengine.runtime.loops import (
    LOOP_THREAD,
    collect_when_idle,
    loop_thread,
    new_live_loop,
    quiet_collector,
)
from hfengine.runtime.threads import (
    WRITER_THREAD,
    ComputeThreadError,
    allow_thread,
    assert_no_compute_threads,
    unexpected_threads,
)


def test_the_live_loop_is_uvloop():
    loop = new_live_loop()
    assert isinstance(loop, uvloop.Loop)
    assert loop.run_until_complete(asyncio.sleep(0, "ran")) == "ran"
    loop.close()


def test_the_collector_is_quiet_inside_and_as_before_outside():
    assert gc.isenabled()
    with quiet_collector():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_collector_that_was_off_stays_off():
    gc.disable()
    try:
        with quiet_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_collector_is_restored_after_an_error():
    with pytest.raises(LookupError), quiet_collector():
        raise LookupError("on purpose")
    assert gc.isenabled()


class Cycle:
    def __init__(self):
        self.itself = self


def test_cycles_are_collected_only_when_idle():
    with quiet_collector():
        Cycle()
        assert collect_when_idle(lambda: False) is None
        assert collect_when_idle(lambda: True) >= 1


@pytest.fixture
def idling():
    """Start threads by name; they wait until the test is over."""
    over = threading.Event()
    made = []

    def start(name):
        made.append(threading.Thread(target=over.wait, name=name))
        made[-1].start()

    yield start
    over.set()
    for thread in made:
        thread.join()


def test_the_journals_writer_is_expected_and_others_are_not(idling):
    assert_no_compute_threads()
    idling(WRITER_THREAD)
    assert unexpected_threads() == []
    idling("indicators")
    idling("asyncio_0")
    assert unexpected_threads() == ["asyncio_0", "indicators"]
    with pytest.raises(ComputeThreadError, match="asyncio_0, indicators"):
        assert_no_compute_threads()


def test_a_thread_may_be_allowed_by_name(idling, monkeypatch):
    monkeypatch.setattr(threads, "_allowed", set(threads.allowed_threads()))
    allow_thread("resolver")
    idling("resolver")
    assert unexpected_threads() == []


def test_the_loop_thread_is_unexpected_and_ends_with_its_context():
    with loop_thread():
        assert unexpected_threads() == [LOOP_THREAD]
    assert unexpected_threads() == []
