"""Hand a published message to its taps and mailboxes, in compiled code."""

from collections.abc import Callable
from typing import Any

from hfengine.kernels.mailbox import Mailbox

class Publisher:
    """Publish messages by their exact class.

    `unrouted` makes the exception for a message whose class has no plan.
    """

    def __init__(self, unrouted: Callable[[Any], BaseException]) -> None: ...
    def plan(
        self,
        message_class: type[Any],
        taps: tuple[Callable[[Any], object], ...],
        boxes: tuple[Mailbox, ...],
    ) -> None:
        """Set who sees a class: the taps, then the mailboxes, each in order.

        Raises TypeError for a mailbox that is none.
        """

    def publish(self, message: Any) -> None:
        """Send to everyone planned; what a tap raises reaches the caller."""
