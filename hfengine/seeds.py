"""Randomness and identity, as seams: the same seed gives the same draws and the same ids."""

import hashlib
import random


class Seed:
    """A root of named, independent random streams."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def stream(self, name: str) -> random.Random:
        """Return the generator of `name`: equal for equal seed and name, else independent."""
        digest = hashlib.sha256(f"{self.number}/{name}".encode()).digest()
        return random.Random(int.from_bytes(digest[:16], "big"))  # noqa: S311 - not for secrets


def session_id(config_hash: str, seed: int, started_ns: int) -> str:
    """Return the 10 hex digits that name a session, derived and not drawn."""
    text = f"{config_hash}/{seed}/{started_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class OrderIds:
    """Deterministic client order ids: prefix, session, intent and attempt.

    At most 36 characters of the set every venue takes (letters, digits, '-'), so an order whose
    answer was lost can be found by its id instead of being sent again (DESIGN 7.10).
    """

    __slots__ = ("_prefix", "_prepared_id", "_prepared_intent", "_prepared_leg")

    def __init__(self, session: str) -> None:
        self._prefix = f"hf-{session}"
        self._prepared_intent = 0
        self._prepared_leg = self._prepared_id = ""

    @property
    def session(self) -> str:
        """The session whose orders these are."""
        return self._prefix.removeprefix("hf-")

    def client_id(self, intent: int, leg: str, attempt: int = 0) -> str:
        """Return the id of one leg ("e" entry, "x" exit, "s" stop, "t" target) of an intent."""
        if intent == self._prepared_intent and leg == self._prepared_leg and attempt == 0:
            return self._prepared_id
        return f"{self._prefix}-{intent:06d}{leg}{attempt}"

    def prepare(self, intent: int, leg: str) -> None:
        """Make an id that will be wanted soon, while there is time."""
        self._prepared_id = self.client_id(intent, leg)
        self._prepared_intent, self._prepared_leg = intent, leg

    def is_ours(self, client_id: str) -> bool:
        """Tell whether this session made the id."""
        return client_id.startswith(self._prefix)


class Numbers:
    """Consecutive numbers from 1 that outlive the actor that draws them."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0

    def draw(self) -> int:
        """Return the next number."""
        self.last += 1
        return self.last
