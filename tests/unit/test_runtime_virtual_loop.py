"""The virtual-time loop: exact timers, jumps, pacing, outside wake-ups, deadlock."""

import asyncio
import os
import signal
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfengine.clock import VirtualClock
from hfengine.runtime.virtual_loop import VirtualDeadlock, VirtualLoop, ns_at_least

EPOCH_NS = 1_723_075_200_123_456_789


@pytest.fixture
def clock():
    return VirtualClock(EPOCH_NS)


@pytest.fixture
def loop(clock):
    made = VirtualLoop(clock)
    yield made
    made.close()


def test_sleep_takes_virtual_time_to_the_nanosecond(loop, clock):
    async def nap():
        await asyncio.sleep(0.1)
        await asyncio.sleep(86_400)
        return clock.now_ns() - EPOCH_NS

    assert loop.run_until_complete(nap()) == 86_400_100_000_000


def test_time_counts_seconds_from_the_loops_making(loop, clock):
    clock.advance_to(EPOCH_NS + 1_500_000_000)
    assert loop.time() == 1.5


def test_timers_due_together_fire_in_the_order_they_were_set(loop):
    fired = []
    due_ns = EPOCH_NS + 7
    for number in range(50):
        loop.call_at_ns(due_ns, fired.append, number)
    loop.call_at_ns(due_ns - 1, fired.append, "earlier")
    loop.call_at_ns(due_ns, loop.stop)
    loop.run_forever()
    assert fired == ["earlier", *range(50)]


def test_timers_one_nanosecond_apart_see_their_own_time(loop, clock):
    seen = []
    for offset in (3, 1, 2):
        loop.call_at_ns(EPOCH_NS + offset, lambda: seen.append(clock.now_ns() - EPOCH_NS))
    loop.call_at_ns(EPOCH_NS + 4, loop.stop)
    loop.run_forever()
    assert seen == [1, 2, 3]


def test_a_timer_in_the_past_fires_at_once_and_time_does_not_go_back(loop, clock):
    loop.call_at(-5.0, loop.stop)
    loop.run_forever()
    assert clock.now_ns() == EPOCH_NS


@given(st.integers(0, 2**51))
def test_whole_nanoseconds_survive_the_float(delay_ns):
    assert ns_at_least(delay_ns / 1e9) == delay_ns


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_due_times_are_never_early_and_keep_their_order(one_s, other_s):
    early, late = sorted((one_s, other_s))
    assert ns_at_least(early) <= ns_at_least(late)
    assert ns_at_least(late) / 1e9 >= late


@given(st.floats(0, 2e6))
def test_due_times_are_at_most_two_nanoseconds_late(due_s):
    assert (ns_at_least(due_s) - 2) / 1e9 < due_s


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), max_size=60))
def test_timers_fire_sorted_by_due_time_and_cancelled_ones_never(timers):
    loop = VirtualLoop(VirtualClock(EPOCH_NS))
    fired = []
    handles = [
        loop.call_at_ns(EPOCH_NS + offset, fired.append, (offset, order))
        for order, (offset, _) in enumerate(timers)
    ]
    for handle, (_, cancel) in zip(handles, timers, strict=True):
        if cancel:
            handle.cancel()
    alive = sorted((offset, n) for n, (offset, cancel) in enumerate(timers) if not cancel)
    assert loop.next_timer_ns() == (EPOCH_NS + alive[0][0] if alive else None)
    loop.call_at_ns(EPOCH_NS + 10**6 + 1, loop.stop)
    loop.run_forever()
    loop.close()
    assert fired == alive


def test_many_cancelled_timers_do_not_pile_up(loop):
    """The one that stays is due first, so that none of the cancelled ones is at the front."""
    loop.call_later(1.0, print)
    for _ in range(5_000):
        loop.call_later(3600, print).cancel()
    assert loop.next_timer_ns() == EPOCH_NS + 1_000_000_000
    assert len(loop._scheduled) == 1


def test_the_pump_sees_the_next_timer_and_cannot_pass_over_it(loop, clock):
    assert loop.next_timer_ns() is None
    assert not loop.has_ready()
    handle = loop.call_later(1.0, print)
    loop.call_later(2.0, print)
    handle.cancel()
    assert loop.next_timer_ns() == EPOCH_NS + 2_000_000_000
    loop.advance_to(EPOCH_NS + 2_000_000_000)
    assert clock.now_ns() == EPOCH_NS + 2_000_000_000
    with pytest.raises(ValueError, match="pass over the timer"):
        loop.advance_to(EPOCH_NS + 2_000_000_001)
    loop.call_soon(print)
    assert loop.has_ready()
    with pytest.raises(ValueError, match="go back"):
        loop.advance_to(EPOCH_NS)


def test_waiting_for_nothing_is_an_error_not_a_hang(loop):
    async def wait_for_ever():
        await loop.create_future()

    with pytest.raises(VirtualDeadlock, match="no timer is set"):
        loop.run_until_complete(wait_for_ever())


def test_the_loop_is_usable_after_a_deadlock(loop):
    async def wait_for_ever():
        await loop.create_future()

    async def fine():
        return "fine"

    with pytest.raises(VirtualDeadlock):
        loop.run_until_complete(wait_for_ever())
    assert loop.run_until_complete(fine()) == "fine"


def test_another_thread_may_call_in_while_the_loop_idles(clock):
    loop = VirtualLoop(clock, idle_wait_s=30.0)
    answered = loop.create_future()
    caller = threading.Thread(
        target=loop.call_soon_threadsafe, args=(answered.set_result, "from outside")
    )
    loop.call_soon(caller.start)
    assert loop.run_until_complete(answered) == "from outside"
    caller.join()
    loop.close()


@pytest.mark.parametrize("speed", [None, 1e6])
def test_sockets_are_served_without_virtual_time(clock, speed):
    async def talk():
        left, right = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=left)
        _, peer = await asyncio.open_connection(sock=right)
        peer.write(b"frame\n")
        line = await reader.readline()
        for each in (writer, peer):
            each.close()
            await each.wait_closed()
        return line

    loop = VirtualLoop(clock, speed=speed)
    assert loop.run_until_complete(talk()) == b"frame\n"
    loop.close()


@pytest.mark.parametrize("speed", [None, 1e-3])
def test_signals_reach_their_handlers_at_every_speed(clock, speed):
    """The only timer is 1000 s of real time away at this speed: the signal comes first."""
    loop = VirtualLoop(clock, speed=speed)
    got = []

    def on_signal():
        got.append("signal")
        loop.stop()

    loop.add_signal_handler(signal.SIGUSR1, on_signal)
    loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
    if speed is not None:
        loop.call_later(1.0, got.append, "timer")
    loop.run_forever()
    assert loop.remove_signal_handler(signal.SIGUSR1)
    loop.close()
    assert got == ["signal"]


@pytest.fixture
def wall(monkeypatch):
    """A wall clock that passes only while the selector waits, and notes each wait."""

    class Wall:
        now_ns = 5_000_000_000
        waits_s = ()
        late_s = 0.0

        def wait(self, timeout):
            self.waits_s += (timeout,)
            self.now_ns += round(((timeout or 0) + (self.late_s if timeout else 0)) * 1e9)
            return []

    made = Wall()
    monkeypatch.setattr("hfengine.runtime.virtual_loop.mono_ns", lambda: made.now_ns)
    return made


def run_paced(clock, wall, monkeypatch, speed, due_s, late_s=0.0):
    """Run timers at `due_s` on a paced loop whose every wait is `late_s` too long."""
    loop = VirtualLoop(clock, speed=speed)
    monkeypatch.setattr(loop._selector, "select", wall.wait)
    wall.late_s = late_s
    seen = []
    start_ns = wall.now_ns
    for due in due_s:
        loop.call_at(due, lambda: seen.append((loop.time(), (wall.now_ns - start_ns) / 1e9)))
    loop.call_at(due_s[-1], loop.stop)
    loop.run_forever()
    loop.close()
    return seen


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.5])
def test_a_paced_loop_waits_by_its_speed(clock, wall, monkeypatch, speed):
    seen = run_paced(clock, wall, monkeypatch, speed, [1.0, 2.5, 4.0])
    assert [virtual for virtual, _ in seen] == [1.0, 2.5, 4.0]
    assert [real for _, real in seen] == pytest.approx([1 / speed, 2.5 / speed, 4 / speed])


def test_late_wake_ups_do_not_add_up(clock, wall, monkeypatch):
    seen = run_paced(clock, wall, monkeypatch, 1.0, [1.0, 2.0, 3.0, 4.0], late_s=0.2)
    assert [virtual for virtual, _ in seen] == [1.0, 2.0, 3.0, 4.0]
    assert [real for _, real in seen] == pytest.approx([1.2, 2.2, 3.2, 4.2])


def test_a_call_from_outside_sees_time_that_has_passed_but_not_the_timers(clock, wall, monkeypatch):
    """Woken 0.5 s into a wait of 1 s at speed 10, 5 virtual seconds have passed."""
    loop = VirtualLoop(clock, speed=10.0)
    seen = []

    def interrupted(timeout):
        wall.now_ns += 500_000_000
        if len(seen) == 0:
            loop.call_soon(lambda: seen.append(loop.time()))
        return []

    monkeypatch.setattr(loop._selector, "select", interrupted)
    loop.call_at(10.0, lambda: (seen.append(loop.time()), loop.stop()))
    loop.run_forever()
    loop.close()
    assert seen == [5.0, 10.0]


async def busy_program(log):
    """Several tasks whose timers interleave and coincide."""

    async def worker(name, period_s):
        for _ in range(20):
            await asyncio.sleep(period_s)
            log.append((name, asyncio.get_running_loop().time()))

    await asyncio.gather(worker("a", 0.001), worker("b", 0.0015), worker("c", 0.003))


def test_the_order_of_events_is_the_same_at_every_speed():
    logs = []
    for speed in (None, 1.0, 1000.0):
        loop = VirtualLoop(VirtualClock(EPOCH_NS), speed=speed)
        log = []
        loop.run_until_complete(busy_program(log))
        loop.close()
        logs.append(log)
    assert logs[0] == logs[1] == logs[2]
    assert len(logs[0]) == 60


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_speed_must_be_a_positive_number(clock, speed):
    with pytest.raises(ValueError, match="speed must be"):
        VirtualLoop(clock, speed=speed)


def test_a_closed_loop_refuses_timers(clock):
    loop = VirtualLoop(clock)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1.0, print)
