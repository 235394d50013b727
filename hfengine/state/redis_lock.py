"""The instance lock over several machines: a key in Redis that is renewed while its holder lives.

Only another holder's name makes the lock lost. While the server is away nobody can take it there,
and the holder trades on. The key outlives a holder that was killed by a few seconds; on its own
machine the system's lock says that it is dead.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import redis
    import redis.asyncio

LIFE_MS: Final = 15_000
"""How long the lock outlives its holder; renewed at least every 2 s."""

RENEW: Final = """
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] or not held then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ''
end
return held
"""
RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class RedisLock:
    """One account's lock; `holder` is MACHINE#PROCESS, as no other engine is named."""

    def __init__(self, account: str, holder: str) -> None:
        self.key = f"bot:lock:{account}"
        self.holder = holder
        self._lost = False

    def take(self, client: "redis.Redis") -> str:
        """Take the lock before the loop runs; return who else holds it, "" for nobody.

        A holder of the same machine and directory is dead: its system lock is ours by now.
        """
        answer = cast("Any", client.eval(RENEW, 1, self.key, self.holder, str(LIFE_MS)))
        held = bytes(answer).decode(errors="replace")
        if held.partition("#")[0] != self.holder.partition("#")[0]:
            return held
        client.set(self.key, self.holder, px=LIFE_MS)
        return ""

    def give_up(self, client: "redis.Redis") -> None:
        """Let it go without a loop, after a start that failed."""
        client.eval(RELEASE, 1, self.key, self.holder)

    async def renew(self, client: "redis.asyncio.Redis", on_lost: Callable[[str], None]) -> None:
        """Renew it; tell, once, when another engine holds it."""
        answer = client.eval(RENEW, 1, self.key, self.holder, str(LIFE_MS))
        other = bytes(await cast("Any", answer)).decode(errors="replace")
        if other and not self._lost:
            on_lost(f"{self.key} is held by {other}")
        self._lost = bool(other)

    async def release(self, client: "redis.asyncio.Redis") -> None:
        """Let it go where it is still ours."""
        await cast("Any", client.eval(RELEASE, 1, self.key, self.holder))
