"""The documented names under which state is kept (docs/state.md), all of the form bot:ROOM:….

Actors name a key without the account; a store keeps it with the account behind the room, so that
`bot:risk:memory` of one account is `bot:risk:<account>:memory`.
"""

from typing import Final

CONFIG: Final = "bot:config:profile"
RISK_STATE: Final = "bot:risk:state"
RISK_SCORE: Final = "bot:risk:score"
BREAKERS: Final = "bot:risk:breakers"
EQUITY: Final = "bot:equity"
SESSION: Final = "bot:session"
"""Which session wrote last, and the time of its newest `Keep`."""

LEVERAGE: Final = "bot:leverage:"
POSITIONS: Final = "bot:positions:"
ORDERS: Final = "bot:orders:"

_CURRENT: Final = frozenset({CONFIG, RISK_STATE, RISK_SCORE, BREAKERS, EQUITY, SESSION})
_CURRENT_EACH: Final = (LEVERAGE, POSITIONS, ORDERS)


def is_memory(key: str) -> bool:
    """Tell whether a key, without its account, was kept by an actor to be recalled."""
    return key not in _CURRENT and not key.startswith(_CURRENT_EACH)


def of_account(key: str, account: str) -> str:
    """Return a key as a store holds it: the account behind the room."""
    bot, _, rest = key.partition(":")
    room, colon, name = rest.partition(":")
    return f"{bot}:{room}:{account}{colon}{name}"


def without_account(stored: str, account: str) -> str:
    """Return the name actors know a stored key by; "" where it is another account's."""
    bot, _, rest = stored.partition(":")
    room, _, name = rest.partition(":")
    if name == account:
        return f"{bot}:{room}"
    own = name.startswith(f"{account}:")
    return f"{bot}:{room}:{name[len(account) + 1 :]}" if own else ""


def shown(url: str) -> str:
    """Return a store's address without the password it may hold."""
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"
