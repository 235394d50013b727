"""`hfengine venue`: a local exchange that speaks a real one's protocol, until Ctrl-C."""

import asyncio
import gc
import os
import signal
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from pprint import pformat
from typing import Annotated, Any

import msgspec
import typer

from hfengine.cli.durations import parse_speed
from hfengine.clock import WallClock
from hfengine.errors import ConfigError
from hfengine.localvenue.dialects import check_dialect, make_dialect
from hfengine.localvenue.ports import ApiKey, Dialect
from hfengine.localvenue.server import VenueServer
from hfengine.localvenue.world import TEST_KEY, World, make_world
from hfengine.runtime.hosts import ActorHost
from hfengine.runtime.loops import new_live_loop

PORT_MAX = 65_535
LOOPBACK = ("127.", "localhost:", "[::1]")
COLLECT_AFTER = (20_000, 20, 100)
"""New objects before a scan of the youngest, and scans before the next older ones."""


def venue(
    dialect: Annotated[str, typer.Option(help="bybit, binance or bitget.")],
    port: Annotated[int, typer.Option(help="Port for REST and websockets; 0 takes a free one.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; other machines reach 0.0.0.0.")
    ] = "127.0.0.1",
    feed: Annotated[
        str,
        typer.Option(help="still, synthetic, load:RATE, replay:FILE[,FILE...], live:EXCHANGE."),
    ] = "synthetic",
    symbols: Annotated[
        str, typer.Option(help="Symbols with commas between; default all of the catalogue.")
    ] = "",
    listings: Annotated[int, typer.Option(help="Invented instruments to list as well.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of market, ids and faults.")] = 1,
    speed: Annotated[str, typer.Option(help="Pace of the market: 1x, 10x, ...")] = "1x",
    state: Annotated[
        Path | None,
        typer.Option(help="File that keeps accounts, orders and positions.", show_default=False),
    ] = None,
    key: Annotated[str, typer.Option(help="API key of the account `main`.")] = TEST_KEY.key,
    secret: Annotated[
        str, typer.Option(help="Its secret.", show_default=False)
    ] = TEST_KEY.secret.decode(),
    passphrase: Annotated[
        str, typer.Option(help="Its passphrase (bitget).", show_default=False)
    ] = TEST_KEY.passphrase,
    account: Annotated[
        list[str] | None,
        typer.Option(help="Another account, NAME:APIKEY:SECRET[:PASSPHRASE].", show_default=False),
    ] = None,
    wallet_usdt: Annotated[str, typer.Option(help="Deposit of every new account.")] = "10000",
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON line when the venue serves.")
    ] = False,
) -> None:
    """Serve a local exchange that unmodified clients (ccxt, your own bot) can trade on.

    Example: hfengine venue --dialect bybit --port 9100
    Example: hfengine venue --dialect binance --port 9200 --feed replay:btc.jsonl.gz --state s.db

    Ctrl-C ends it with exit code 0; 1 is an unwritable state, 2 a wrong option, 5 an unread feed.
    """
    main = ApiKey(key=key, secret=secret.encode(), account="main", passphrase=passphrase)
    loop = new_live_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(
            _serve(
                loop,
                {
                    "dialect_name": check_dialect(dialect),
                    "symbols": [one.strip() for one in symbols.split(",") if one.strip()],
                    "seed": seed,
                    "wallet_usdt": _usdt(wallet_usdt),
                    "feed": feed,
                    "speed": _pace(speed),
                    "listings": listings,
                    "keys": [main, *(_account(text) for text in account or ())],
                    "state": state,
                },
                host=host,
                port=_port(port),
                json_=json_,
            )
        )
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(
    loop: asyncio.AbstractEventLoop,
    options: dict[str, Any],
    *,
    host: str,
    port: int,
    json_: bool,
) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    actors = ActorHost(loop, system="venue")
    world = make_world(loop=loop, clock=WallClock(), **options)
    world.on_failure(ended.set)
    try:
        dialect = make_dialect(world)
        server = VenueServer(world, dialect)
        try:
            port = await server.start(host, port)
            shown = f"[{host}]" if ":" in host else host
            _say_ready(world, dialect, f"{shown}:{port}", json_=json_)
            _relax_collector()
            await ended.wait()
            if world.failure is not None:
                raise world.failure
        finally:
            await server.close()
    finally:
        world.close()
        await actors.shutdown()


def _relax_collector() -> None:
    """Scan what is new only, and less often: a full scan would hold every client up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _say_ready(world: World, dialect: Dialect, address: str, *, json_: bool) -> None:
    keys = [{"account": one.account, "key": one.key} for one in world.keys.values()]
    # a dialect does not know where it is served
    template = msgspec.json.encode(dialect.describe()).decode()
    addressed = template.replace("{http}", f"http://{address}").replace("{ws}", f"ws://{address}")
    for_ccxt = _for_ccxt(msgspec.json.decode(addressed))
    if json_:
        ready = {
            "ready": True,
            "dialect": dialect.name,
            "http": f"http://{address}",
            "ws": f"ws://{address}",
            "keys": keys,
            "pid": os.getpid(),
            "feed": world.source.name,
            "symbols": list(world.instruments),
            "ccxt": for_ccxt,
        }
        typer.echo(msgspec.json.encode(ready).decode())
    else:
        typer.echo(_ready_text(world, dialect.name, address, for_ccxt, keys))


def _for_ccxt(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return id, urls and options as a dialect gives them: under `ccxt` or beside it."""
    said = described["ccxt"]
    if isinstance(said, str):
        return {"id": said, **{name: described[name] for name in ("urls", "options")}}
    return dict(said)


def _ready_text(
    world: World,
    name: str,
    address: str,
    for_ccxt: Mapping[str, Any],
    keys: Sequence[dict[str, str]],
) -> str:
    symbols = list(world.instruments)
    few = ", ".join(symbols[:6]) + (f" and {len(symbols) - 6} more" if len(symbols) > 6 else "")
    rows = [
        f"A local {name} venue serves on http://{address} and ws://{address}",
        f"  market    {world.source.name}: {few}",
        *(f"  account   {one['account']} with API key {one['key']}" for one in keys),
        f"  operator  http://{address}/admin/status, /admin/faults, /admin/do",
        "No money here is real.",
    ]
    if not address.startswith(LOOPBACK):
        rows.append("Other machines reach it: whoever knows a key can trade, none can operate it.")
    settings = {"apiKey": keys[0]["key"], "secret": "..."}
    if name == "bitget":
        settings["password"] = "..."  # noqa: S105 - says where it goes
    settings.update({part: for_ccxt[part] for part in ("urls", "options")})
    rows += [
        "For ccxt and ccxt.pro, in Python:",
        f"exchange = ccxt.{for_ccxt['id']}(",
        f"{pformat(settings, indent=1, sort_dicts=False)}",
        ")",
    ]
    rows.append("Ctrl-C ends it.")
    return "\n".join(rows)


def _account(text: str) -> ApiKey:
    """Read NAME:APIKEY:SECRET[:PASSPHRASE]; the message of a wrong one does not repeat it."""
    name, *rest = text.split(":", 3)
    if len(rest) < 2 or not all((name, *rest[:2])):
        problem = f"--account {name!r}...: give it as NAME:KEY:SECRET or NAME:KEY:SECRET:PASSPHRASE"
        raise ConfigError([problem])
    return ApiKey(
        account=name,
        key=rest[0],
        secret=rest[1].encode(),
        passphrase=rest[2] if len(rest) > 2 else "",
    )


def _usdt(text: str) -> Decimal:
    try:
        wallet_usdt = Decimal(text)
    except InvalidOperation:
        wallet_usdt = Decimal(-1)
    if not wallet_usdt.is_finite() or wallet_usdt < 0 or wallet_usdt != round(wallet_usdt, 8):
        problem = f"--wallet-usdt {text!r} is no deposit: use for example 10000 or 250.5"
        raise ConfigError([problem])
    return wallet_usdt


def _pace(text: str) -> float:
    speed = parse_speed(text)
    if speed is None:
        raise ConfigError(["--speed max: a venue's clients live in real time, use 1x or 10x"])
    return speed


def _port(port: int) -> int:
    if not 0 <= port <= PORT_MAX:
        raise ConfigError([f"--port {port}: use 0 (any free one) to {PORT_MAX}"])
    return port
