"""Who is measured, and how its loop waits."""

from typing import Final, Literal, get_args

Kind = Literal["engine", "engine_watch", "ccxt_ws", "ccxt_rest", "ccxt_watch", "picows", "bare"]
"""engine: all actors, an order for every delta; ccxt_ws, ccxt_rest: minimal ccxt.pro bots that
order over the websocket or by HTTP; picows, bare: the compiled path over picows or over plain
sockets; the two that watch take frames and order nothing, or only what their signals say."""

Waiting = Literal["sleep", "spin", "system"]
"""sleep: as the engine waits by default, asleep and the cores asked to stay awake; spin: polling;
system: asleep, the cores as the system has them, as bots run everywhere."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
WAITING: Final[tuple[Waiting, ...]] = get_args(Waiting)
