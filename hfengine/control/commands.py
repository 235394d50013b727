"""What each operator command does to a running engine, and what it answers."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from hfengine.clock import Clock
from hfengine.config import Profile
from hfengine.control.protocol import CommandRefused, Request
from hfengine.control.report import (
    breakers_of,
    halts_of,
    order_rows,
    position_rows,
    risk_of,
    status_of,
)
from hfengine.errors import ExitCode, VenueRejected, VenueUnavailable, VenueUnknown
from hfengine.halts import ALL
from hfengine.messages import FlattenDone, Halt, Message, Resume
from hfengine.oversight import Command
from hfengine.runtime.waiting import wait_s
from hfengine.venues.port import Venue

OPERATOR: Final = "operator"
NO_REASON: Final = "no reason given"
VENUE_ERRORS: Final = (VenueRejected, VenueUnavailable, VenueUnknown)


class Controlled(Protocol):
    """What of an engine an operator can reach."""

    @property
    def session(self) -> str:
        """The name of the run."""

    @property
    def profile(self) -> Profile:
        """What it runs."""

    @property
    def clock(self) -> Clock:
        """The engine's time."""

    @property
    def venue(self) -> Venue:
        """Where it trades."""

    def publish(self, message: Message) -> None:
        """Publish an operator's message; it is journaled first."""

    def stop(self, reason: str) -> None:
        """Begin the end."""

    async def view(self) -> dict[str, Any]:
        """Return every actor's report."""

    async def written(self) -> str:
        """Wait until what was published is on disk; return "", or why it is not."""

    async def flatten_now(self, reason: str, by: str) -> FlattenDone:
        """Close everything and stay up."""


class Commands:
    """The commands of one engine. What has an effect is published as Command before it."""

    def __init__(self, engine: Controlled, ended: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        """`ended` waits for the end of the run and returns its last state."""
        self._engine = engine
        self._ended = ended
        self._by_name: Mapping[str, Callable[[str, str], Awaitable[dict[str, Any]]]] = {
            "status": self._status,
            "positions": self._positions,
            "orders": self._orders,
            "halt": self._halt,
            "resume": self._resume,
            "flatten": self._flatten,
            "stop": self._stop,
        }

    async def carry_out(self, request: Request, by: str) -> dict[str, Any]:
        """Do what is asked; raises CommandRefused where that cannot be."""
        return await self._by_name[request.command](request.argument, by)

    def _note(self, name: str, argument: str, by: str) -> None:
        self._engine.publish(Command(self._engine.clock.now_ns(), name, argument, by))

    async def _status(self, _argument: str, _by: str) -> dict[str, Any]:
        status = status_of(self._engine.profile, await self._engine.view())
        return status | {"pid": os.getpid()}

    async def _positions(self, _argument: str, _by: str) -> dict[str, Any]:
        """Read the venue's own word; marks are those heard last."""
        try:
            found = await self._engine.venue.positions()
        except VENUE_ERRORS as error:
            raise _unread("positions", error) from error
        seen = await self._engine.view()
        return self._heading(seen) | {"rows": position_rows(found, seen["telemetry"]["marks"])}

    async def _orders(self, _argument: str, _by: str) -> dict[str, Any]:
        try:
            found = await self._engine.venue.open_orders()
        except VENUE_ERRORS as error:
            raise _unread("open orders", error) from error
        return self._heading(await self._engine.view()) | {"rows": order_rows(found)}

    def _heading(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "profile": self._engine.profile.name,
            "session": self._engine.session,
            "now_ns": seen["now_ns"],
        }

    async def _halt(self, reason: str, by: str) -> dict[str, Any]:
        engine, why = self._engine, reason or NO_REASON
        self._note("halt", reason, by)
        engine.publish(Halt(engine.clock.now_ns(), OPERATOR, f"{by}: {why}"))
        return self._standing(await self._view_after()) | await self._kept()

    async def _resume(self, source: str, by: str) -> dict[str, Any]:
        """Clear one source or all; an unknown source is refused before anything is published."""
        engine, wanted = self._engine, source or ALL
        before = await engine.view()
        halts = halts_of(before)
        if wanted not in (ALL, *halts, *_breaker_names(before)):
            standing = ", ".join((*halts, *_breaker_names(before))) or "nothing"
            raise CommandRefused(f"nothing is halted by {wanted!r}: in force is {standing}")
        self._note("resume", source, by)
        engine.publish(Resume(engine.clock.now_ns(), wanted))
        after = await self._view_after()
        still = halts_of(after)
        told = {name: why for name, why in halts.items() if name not in still}
        left = _breaker_names(after)
        breakers = [name for name in _breaker_names(before) if name not in left]
        cleared = {"cleared": told, "cleared_breakers": breakers}
        return self._standing(after) | cleared | await self._kept()

    async def _kept(self) -> dict[str, Any]:
        """Return why a crash could still take what is answered; "": it is on disk.

        Ask it after the view: what risk keeps of a halt is published by then.
        """
        return {"unwritten": await self._engine.written()}

    async def _view_after(self) -> dict[str, Any]:
        """Return the view after a message: asked twice, for its consequences take a hop more.

        What a venue still holds halts again in the loop's next turn.
        """
        await self._engine.view()
        await wait_s(asyncio.get_running_loop(), 0.0)
        return await self._engine.view()

    def _standing(self, seen: Mapping[str, Any]) -> dict[str, Any]:
        return self._heading(seen) | {
            "risk": risk_of(seen),
            "halts": halts_of(seen),
            "breakers": breakers_of(seen),
        }

    async def _flatten(self, reason: str, by: str) -> dict[str, Any]:
        self._note("flatten", reason, by)
        done = await self._engine.flatten_now(reason or NO_REASON, by)
        return {
            "profile": self._engine.profile.name,
            "session": self._engine.session,
            "flat": done.flat,
            "rounds": done.rounds,
            "detail": done.detail,
        } | await self._kept()

    async def _stop(self, reason: str, by: str) -> dict[str, Any]:
        """Answer at the end of the run: its actors still run then, its positions are dealt with."""
        self._note("stop", reason, by)
        self._engine.stop(f"stopped by {by}: {reason or NO_REASON}")
        return {
            "profile": self._engine.profile.name,
            "session": self._engine.session,
        } | await self._ended()


def _breaker_names(seen: Mapping[str, Any]) -> list[str]:
    """Return the names of the breakers that are tripped, each once."""
    tripped = (one["breaker"] for one in breakers_of(seen) if one["state"] == "tripped")
    return list(dict.fromkeys(tripped))


def _unread(what: str, error: Exception) -> CommandRefused:
    sentence = f"the venue did not tell its {what}: {error}; ask again, or look at the exchange"
    return CommandRefused(sentence, ExitCode.FAILURE)
