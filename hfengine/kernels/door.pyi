"""The door of an actor for what comes from outside, in compiled code."""

from typing import Any

from hfengine.kernels.histogram import Histogram
from hfengine.kernels.mailbox import Mailbox

class Door:
    """Delivers each message to `box`, and records in `took` how long the turn took that it caused.

    `box` may be replaced at any time: by that of an actor that was restarted.
    """

    box: Mailbox

    def __init__(self, box: Mailbox, took: Histogram) -> None: ...
    def __call__(self, message: Any) -> None:
        """Deliver as `Mailbox.deliver` does; what that raises is not timed."""
