"""A spinner against a dictionary: whatever is added, removed and sent, the right reader reads."""

import socket
from contextlib import ExitStack
from contextvars import copy_context

from hypothesis import event, given
from hypothesis import strategies as st

from hfengine.kernels.readers import Spinner

SOCKETS = 5
POLLED_MAX = 64

at = st.integers(0, SOCKETS - 1)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "send"]), at)
    | st.tuples(st.just("turn"), st.just(0)),
    max_size=40,
)


class Model:
    """What a spinner of real sockets should do, beside the spinner."""

    def __init__(self, held: ExitStack, quiet: int) -> None:
        self.asked = 0
        self.heard: list[tuple[int, int]] = []
        self.spinner = Spinner(self.call_soon, copy_context(), 0)
        self.pairs = [socket.socketpair() for _ in range(SOCKETS)]
        self.waiting = [0] * SOCKETS
        self.readers: dict[int, int] = {}
        self.made = 0
        self.room = POLLED_MAX - quiet
        still, other = socket.socketpair()
        for one in (still, other, *(end for pair in self.pairs for end in pair)):
            held.enter_context(one)
        for near, _far in self.pairs:
            near.setblocking(False)
        for _ in range(quiet):
            assert self.spinner.add(held.enter_context(still.dup()).fileno(), self.call_soon)
        self.quiet = quiet

    def call_soon(self, *_callback: object, **_context: object) -> None:
        self.asked += 1

    def fd(self, one: int) -> int:
        return self.pairs[one][0].fileno()

    def add(self, one: int) -> None:
        self.made += 1
        name = self.made

        def read() -> None:
            self.pairs[one][0].recv(1)
            self.heard.append((one, name))

        fits = one in self.readers or len(self.readers) < self.room
        assert self.spinner.add(self.fd(one), read) is fits
        if fits:
            self.readers[one] = name
        else:
            event("refused")

    def remove(self, one: int) -> None:
        self.spinner.remove(self.fd(one))
        self.readers.pop(one, None)

    def send(self, one: int) -> None:
        self.pairs[one][1].send(b"x")
        self.waiting[one] += 1

    def turn(self, _one: int) -> None:
        asked, looks = self.asked, self.spinner.looks
        self.heard.clear()
        self.spinner()
        assert self.asked == asked + 1
        assert self.spinner.looks == looks + bool(self.readers or self.quiet)
        readable = {one: name for one, name in self.readers.items() if self.waiting[one]}
        assert len(self.heard) == bool(readable)
        for one, name in self.heard:
            assert readable[one] == name
            self.waiting[one] -= 1


@given(steps, st.sampled_from([0, POLLED_MAX - 2]))
def test_a_turn_calls_one_reader_of_what_can_be_read(
    done: list[tuple[str, int]], quiet: int
) -> None:
    with ExitStack() as held:
        model = Model(held, quiet)
        for step, one in done:
            getattr(model, step)(one)
        # what is left is read turn by turn
        for _ in range(sum(model.waiting)):
            model.turn(0)
        assert not any(model.waiting[one] for one in model.readers)
