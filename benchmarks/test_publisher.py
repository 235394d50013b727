"""Publishing to one tap and one mailbox: the kernel, and a dict and a loop."""

from collections.abc import Callable
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from hfengine.kernels.mailbox import Mailbox
from hfengine.kernels.publisher import Publisher
from hfengine.messages import BookSync

MESSAGE = BookSync("BTCUSDT", 1, True, "")


def box() -> Mailbox:
    """Return a mailbox that counts what it is given: its actor has stopped."""
    made = Mailbox(8)
    made.stopped = True
    return made


@pytest.mark.benchmark(group="publish")
def test_kernel(benchmark: BenchmarkFixture) -> None:
    heard: list[Any] = []
    publisher, mailbox = Publisher(LookupError), box()
    publisher.plan(BookSync, (heard.append,), (mailbox,))
    benchmark(publisher.publish, MESSAGE)
    assert len(heard) == mailbox.undelivered > 0


@pytest.mark.benchmark(group="publish")
def test_python(benchmark: BenchmarkFixture) -> None:
    heard: list[Any] = []
    mailbox = box()
    plans: dict[type, tuple[Callable[[Any], object], ...]] = {
        BookSync: (heard.append, mailbox.deliver)
    }

    def publish(message: Any) -> None:
        for hear in plans[type(message)]:
            hear(message)

    benchmark(publish, MESSAGE)
    assert len(heard) == mailbox.undelivered > 0
