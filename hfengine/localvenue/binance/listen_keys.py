"""Listen keys: one per account, good for sixty minutes from its last extension."""

from collections.abc import Callable
from typing import Final

from hfengine.localvenue.binance.errors import BinanceError
from hfengine.localvenue.binance.params import Call
from hfengine.localvenue.binance.wire import Row
from hfengine.localvenue.timers import Cancel
from hfengine.localvenue.world import World

LIFE_S: Final = 3600.0
LENGTH: Final = 64
LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
UNKNOWN: Final = "This listenKey does not exist."

Ended = Callable[[str, str, bool], None]
"""Told account and key when a key ends by itself, and whether the stream is to hear of it."""


class ListenKeys:
    """The keys that open accounts' private streams."""

    def __init__(self, world: World, ended: Ended) -> None:
        self._world = world
        self._ended = ended
        self._keys: dict[str, str] = {}
        self._accounts: dict[str, str] = {}
        self._timers: dict[str, Cancel] = {}

    def stop(self) -> None:
        """End the timers."""
        for cancel in self._timers.values():
            cancel()
        self._timers.clear()

    def open(self, call: Call) -> Row:
        """Return the account's key, a new one if it has none, and extend it."""
        account = call.account
        key = self._keys.get(account)
        if key is None:
            key = "".join(self._world.random.choice(LETTERS) for _ in range(LENGTH))
            self._keys[account] = key
            self._accounts[key] = account
        self._extend(account)
        return {"listenKey": key}

    def extend(self, call: Call) -> Row:
        """Extend the account's key; raises BinanceError -1125 when it has none, or another."""
        key = self._keys.get(call.account)
        if key is None or call.text("listenKey", key) != key:
            raise BinanceError(-1125, UNKNOWN)
        self._extend(call.account)
        return {"listenKey": key}

    def close(self, call: Call) -> Row:
        """End the account's key, if it has one."""
        self._forget(call.account)
        return {}

    def account_of(self, key: str) -> str | None:
        """Return whose key it is, None when it is nobody's."""
        return self._accounts.get(key)

    def accounts(self) -> list[str]:
        """Return the accounts that have a key."""
        return list(self._keys)

    def expire(self, account: str, *, event: bool) -> bool:
        """End an account's key now; `event` tells its stream. Return whether there was one."""
        key = self._forget(account)
        if key:
            self._ended(account, key, event)
        return bool(key)

    def _extend(self, account: str) -> None:
        running = self._timers.get(account)
        if running is not None:
            running()

        def due() -> None:
            self.expire(account, event=True)

        self._timers[account] = self._world.later(LIFE_S, due)

    def _forget(self, account: str) -> str:
        key = self._keys.pop(account, "")
        self._accounts.pop(key, None)
        cancel = self._timers.pop(account, None)
        if cancel is not None:
            cancel()
        return key
