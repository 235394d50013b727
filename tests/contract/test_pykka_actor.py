"""Pykka's actor life: start, tell, ask, stop, hooks and failures, on loop actors."""

import threading

import pykka
import pytest

from hfengine.runtime.actor import LoopActor
from hfengine.runtime.handlers import UnhandledMessage


class Diary(LoopActor):
    """Writes down its life; messages are commands."""

    def __init__(self, *, entries=None, fail_at=()):
        super().__init__()
        self.entries = entries if entries is not None else []
        self.fail_at = fail_at

    def on_start(self):
        self.entries.append("start")
        if "start" in self.fail_at:
            raise ValueError("start")

    def on_stop(self):
        self.entries.append("stop")
        if "stop" in self.fail_at:
            raise ValueError("stop")

    def on_failure(self, exception_type, exception_value, traceback):
        self.entries.append(("failure", exception_type, str(exception_value), traceback))
        if "failure" in self.fail_at:
            raise ValueError("failure")

    def on_receive(self, message):
        self.entries.append(message)
        if message == "raise":
            raise LookupError("on purpose")
        if message == "interrupt":
            raise KeyboardInterrupt
        if message == "stop yourself":
            self.stop()
        if message == "thread":
            return threading.get_ident()
        return f"re: {message}"


def stopped(ref, host):
    """Wait for the actor's end; on the loop's own thread nothing can come but what is queued."""
    if host.here():
        host.pump()
        assert not ref.is_alive()
    assert ref.actor_stopped.wait(5)


def host_is_done(host):
    """Wait until the host has handled all that was sent to it so far."""
    probe = Diary.start()
    assert probe.ask("done?") == "re: done?"
    probe.stop()


def test_start_runs_on_start_before_any_message(host):
    entries = []
    ref = Diary.start(entries=entries)
    assert ref.ask("hello") == "re: hello"
    assert entries == ["start", "hello"]


def test_handlers_run_on_the_loops_thread(host):
    assert Diary.start().ask("thread") == host.ident


def test_an_actor_must_call_its_base_constructor():
    class Careless(LoopActor):
        def __init__(self):
            pass

    with pytest.raises((AssertionError, AttributeError)):
        Careless.start()


def test_ask_returns_the_reply_now_or_as_a_future(host):
    ref = Diary.start()
    assert ref.ask("now") == "re: now"
    future = ref.ask("later", block=False)
    assert isinstance(future, pykka.Future)
    assert future.get(timeout=5) == "re: later"
    assert future.get() == "re: later"


def test_ask_raises_what_the_handler_raised_and_the_actor_lives_on(host):
    ref = Diary.start()
    with pytest.raises(LookupError, match="on purpose"):
        ref.ask("raise")
    assert ref.is_alive()
    assert ref.ask("still there?") == "re: still there?"


def test_tell_returns_nothing_and_keeps_order(host):
    ref = Diary.start()
    assert [ref.tell(number) for number in range(50)] == [None] * 50
    assert ref.proxy().entries.get() == ["start", *range(50)]


def test_messages_of_one_sender_arrive_in_order_however_they_are_sent(host):
    ref = Diary.start()
    futures = []
    for number in range(40):
        if number % 2:
            futures.append(ref.ask(number, block=False))
        else:
            ref.tell(number)
    assert pykka.get_all(futures, timeout=5) == [f"re: {n}" for n in range(1, 40, 2)]
    assert ref.proxy().entries.get() == ["start", *range(40)]


def test_stop_handles_what_was_sent_before_and_runs_on_stop(host):
    entries = []
    ref = Diary.start(entries=entries)
    ref.tell("before")
    assert ref.stop() is True
    assert entries == ["start", "before", "stop"]
    assert not ref.is_alive()


def test_stopping_a_dead_actor_says_so(host):
    ref = Diary.start()
    assert ref.stop(block=False).get(timeout=5) is True
    assert ref.stop() is False
    assert ref.stop(block=False).get(timeout=5) is False


def test_a_dead_actor_refuses_messages(host):
    ref = Diary.start()
    ref.stop()
    with pytest.raises(pykka.ActorDeadError, match="Diary"):
        ref.tell("anyone?")
    with pytest.raises(pykka.ActorDeadError, match="Diary"):
        ref.ask("anyone?")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("anyone?", block=False).get(timeout=5)
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


def test_what_is_queued_behind_a_stop_is_answered_with_the_actors_death(host):
    class Gate(Diary):
        """Fills its own inbox behind the stop, then lets it run."""

        def on_receive(self, message):
            self.stop()
            self.left = [
                self.actor_ref.ask("never", block=False),
                self.actor_ref.stop(block=False),
                self.actor_ref.ask("never", block=False),
            ]
            return self.left

    entries = []
    ref = Gate.start(entries=entries)
    asked, second_stop, asked_too = ref.ask("go")
    for future in (asked, asked_too):
        with pytest.raises(pykka.ActorDeadError, match="stopped before handling"):
            future.get(timeout=5)
    assert second_stop.get(timeout=5) is True
    assert entries == ["start", "stop"]


def test_an_actor_can_stop_itself(host):
    entries = []
    ref = Diary.start(entries=entries)
    ref.tell("stop yourself")
    stopped(ref, host)
    assert ref.stop() in (False, True)
    assert entries == ["start", "stop yourself", "stop"]


def test_a_raising_handler_ends_the_actor_through_on_failure(host):
    entries = []
    ref = Diary.start(entries=entries)
    ref.tell("raise")
    stopped(ref, host)
    host_is_done(host)
    kind, exception_type, text, traceback = entries[-1]
    assert (kind, exception_type, text) == ("failure", LookupError, "on purpose")
    assert traceback.tb_frame.f_code.co_name
    assert "stop" not in entries
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is None


def test_a_raising_on_start_ends_the_actor(host):
    entries = []
    ref = Diary.start(entries=entries, fail_at=("start",))
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("anyone?")
    host_is_done(host)
    assert entries == ["start"]


def test_a_raising_on_stop_still_stops_the_actor(host):
    entries = []
    ref = Diary.start(entries=entries, fail_at=("stop",))
    assert ref.stop() is True
    assert entries == ["start", "stop"]
    assert not ref.is_alive()


def test_a_raising_on_failure_does_not_reach_the_loop(host):
    entries = []
    ref = Diary.start(entries=entries, fail_at=("failure",))
    ref.tell("raise")
    stopped(ref, host)
    assert Diary.start().ask("others live") == "re: others live"


@pytest.mark.parametrize("send", ["tell", "ask"])
def test_a_base_exception_stops_every_actor(host, send):
    refs = [Diary.start() for _ in range(3)]
    lives = [ref.proxy().entries.get() for ref in refs]
    if send == "tell":
        refs[1].tell("interrupt")
    else:
        refs[1].ask("interrupt", block=False)
    for ref in refs:
        stopped(ref, host)
    host_is_done(host)
    assert [life[-1] for life in lives] == ["stop"] * 3
    assert pykka.ActorRegistry.get_all() == []


def test_a_message_without_a_handler_is_an_error_for_whoever_asks(host):
    class Deaf(LoopActor):
        pass

    ref = Deaf.start()
    with pytest.raises(UnhandledMessage, match="no handler for str"):
        ref.ask("hello?")
    assert ref.is_alive()


def test_names_are_counted_per_class_and_unique(host):
    refs = [Diary.start() for _ in range(3)]
    urns = [ref.actor_urn for ref in refs]
    assert len(set(urns)) == 3
    assert [urn.rpartition("-")[2] for urn in urns] == ["1", "2", "3"]
    assert str(refs[0]) == f"Diary ({urns[0]})"
    assert repr(refs[0]) == f"<ActorRef for Diary ({urns[0]})>"


def test_actors_may_ask_each_other_in_a_handler(host):
    """A blocking ask inside a handler runs the asked actor first."""

    class Front(LoopActor):
        def __init__(self, back):
            super().__init__()
            self.back = back

        def on_receive(self, message):
            return self.back.ask(message) + "!"

    back = Diary.start()
    assert Front.start(back).ask("hello") == "re: hello!"


def test_an_actor_that_asks_itself_is_told_instead_of_hanging(host):
    class Narcissus(LoopActor):
        def on_receive(self, message):
            return self.actor_ref.ask("reflection") if message == "mirror" else message

    ref = Narcissus.start()
    with pytest.raises(RuntimeError, match="await the future"):
        ref.ask("mirror", timeout=5)
    assert ref.ask("hello") == "hello"


def test_actors_started_by_a_handler_run_too(host):
    class Parent(LoopActor):
        def on_receive(self, message):
            child = Diary.start()
            child.tell(message)
            return child

    child = Parent.start().ask("hello")
    assert child.proxy().entries.get() == ["start", "hello"]
