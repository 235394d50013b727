"""What is subscribed on one connection: requests in pieces and paced, answers awaited."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

Operation = Literal["subscribe", "unsubscribe"]
Encode = Callable[[Operation, int, list[str]], bytes]

RESENDS_MAX = 1
"""How often an unanswered request is sent again before the connection counts as broken."""


class Answer(Struct, frozen=True):
    """A venue's answer to one request."""

    request_id: int
    accepted: bool
    message: str = ""


class _Request(Struct):
    operation: Operation
    topics: list[str]
    sent_s: float = 0.0
    resends: int = 0


class Subscriptions:
    """The topics of one connection: wanted, asked for, active, refused.

    A refused request is repeated topic by topic, so that one bad topic does not keep the others
    out and can be named. Times are the loop's, in seconds.
    """

    def __init__(
        self,
        topics: Iterable[str],
        *,
        encode: Encode,
        send: Callable[[bytes], None],
        topics_a_request: int,
        characters_a_request: int,
        requests_a_second: int,
        answer_max_s: float,
    ) -> None:
        self.topics = tuple(topics)
        self.active: set[str] = set()
        self.refused: dict[str, str] = {}
        """Topic -> what the venue said."""
        self._encode = encode
        self._send = send
        self._topics_a_request = topics_a_request
        self._characters_a_request = characters_a_request
        self._requests_a_second = requests_a_second
        self._answer_max_s = answer_max_s
        self._waiting: deque[_Request] = deque()
        self._asked: dict[int, _Request] = {}
        self._sent_s: deque[float] = deque()
        self._last_id = 0

    def begin(self, now_s: float) -> None:
        """Subscribe to everything, on a new connection."""
        self.end()
        self._sent_s.clear()
        self.refused.clear()
        self._ask("subscribe", self.topics)
        self.pump(now_s)

    def end(self) -> None:
        """Forget what was asked and active: the connection is gone."""
        self.active.clear()
        self._waiting.clear()
        self._asked.clear()

    def renew(self, topics: Iterable[str], now_s: float) -> None:
        """Unsubscribe and subscribe again; topics under way already are left alone."""
        under_way = {topic for request in self._requests() for topic in request.topics}
        stale = [t for t in topics if t not in under_way and t not in self.refused]
        if not stale:
            return
        left = [topic for topic in stale if topic in self.active]
        self.active.difference_update(left)
        self._ask("unsubscribe", left)
        self._ask("subscribe", stale)
        self.pump(now_s)

    def pump(self, now_s: float) -> None:
        """Send what waits, within the pace the venue allows."""
        sent_s = self._sent_s
        while self._waiting:
            while sent_s and now_s - sent_s[0] >= 1.0:
                sent_s.popleft()
            if len(sent_s) >= self._requests_a_second:
                return
            request = self._waiting.popleft()
            self._last_id += 1
            request.sent_s = now_s
            self._asked[self._last_id] = request
            sent_s.append(now_s)
            self._send(self._encode(request.operation, self._last_id, request.topics))

    def answered(self, answer: Answer, now_s: float) -> list[str]:
        """Take an answer; return the topics it refuses for good. Unknown ids change nothing."""
        request = self._asked.pop(answer.request_id, None)
        if request is None:
            return []
        gone: list[str] = []
        if request.operation == "subscribe":
            if answer.accepted:
                self.active.update(request.topics)
            elif len(request.topics) > 1:
                self._waiting += [_Request("subscribe", [topic]) for topic in request.topics]
            else:
                gone = request.topics
                self.refused[gone[0]] = answer.message or "refused without a reason"
        self.pump(now_s)
        return gone

    def overdue(self, now_s: float) -> str:
        """Repeat what was not answered in time; return what stays unanswered, '' when nothing."""
        late = [
            number
            for number, request in self._asked.items()
            if now_s - request.sent_s >= self._answer_max_s
        ]
        for number in late:
            request = self._asked.pop(number)
            # Leaving a topic late would undo the subscription that followed it.
            if request.resends >= RESENDS_MAX or request.operation == "unsubscribe":
                return f"no answer to {request.operation} {request.topics[0]}"
            request.resends += 1
            self._waiting.append(request)
        self.pump(now_s)
        return ""

    def _requests(self) -> list[_Request]:
        return [*self._asked.values(), *self._waiting]

    def _ask(self, operation: Operation, topics: Iterable[str]) -> None:
        piece: list[str] = []
        characters = 0
        for topic in topics:
            full = len(piece) >= self._topics_a_request
            if piece and (full or characters + len(topic) > self._characters_a_request):
                self._waiting.append(_Request(operation, piece))
                piece, characters = [], 0
            piece.append(topic)
            characters += len(topic) + 3  # quotes and comma
        if piece:
            self._waiting.append(_Request(operation, piece))
