"""The dialects a local venue speaks, loaded by name when one is wanted."""

from importlib import import_module
from typing import Final, cast

from hfengine.errors import ConfigError
from hfengine.instruments import VenueName
from hfengine.localvenue.ports import Dialect
from hfengine.localvenue.world import World

DIALECTS: Final[tuple[VenueName, ...]] = ("bybit", "binance", "bitget")


def check_dialect(name: str) -> VenueName:
    """Return a dialect's name; raises ConfigError for one there is not."""
    for known in DIALECTS:
        if known == name:
            return known
    raise ConfigError([f"--dialect: {name!r} is none of {', '.join(DIALECTS)}"])


def make_dialect(world: World) -> Dialect:
    """Return the dialect of the world's name over it."""
    name = check_dialect(world.name)
    room = import_module(f"hfengine.localvenue.{name}.dialect")
    return cast("Dialect", getattr(room, f"{name.capitalize()}Dialect")(world))
