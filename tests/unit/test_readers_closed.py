"""A socket that is closed while a Spinner still looks at it is forgotten, as epoll forgets it."""

import os
from contextvars import Context, copy_context

from hfengine.kernels.readers import Spinner


def ignore(callback: object, *, context: Context) -> None:
    assert callback is not context


def test_a_closed_socket_is_forgotten_and_the_others_are_read() -> None:
    spinner = Spinner(ignore, copy_context(), 1)
    heard: list[str] = []
    gone, gone_end = os.pipe()
    left, left_end = os.pipe()
    try:
        spinner.add(gone, lambda: heard.append("gone"))
        spinner.add(left, lambda: heard.append("left"))
        os.write(left_end, b"x")
        os.close(gone)
        for _ in range(3):
            spinner()
        assert heard == ["left", "left"]
        # its number may come back, with a reader of its own
        again = os.dup(left)
        spinner.add(again, lambda: heard.append("again"))
        spinner.remove(left)
        spinner()
        assert heard == ["left", "left", "again"]
        os.close(again)
    finally:
        for end in (gone_end, left, left_end):
            os.close(end)
