"""Bugs to plant, one at a time, in tests only: each must be found by an invariant.

A plant replaces methods of the production code while its context is open.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

from msgspec.structs import replace

from hfengine.actors import account_desk, flattening
from hfengine.actors.brackets import Planner
from hfengine.actors.execution import Execution
from hfengine.actors.fill_memory import FillMemory
from hfengine.actors.guardian import Guardian
from hfengine.actors.leverage_desk import LeverageDesk
from hfengine.actors.order_desk import OrderDesk
from hfengine.actors.orders import Intent
from hfengine.actors.risk import Risk
from hfengine.actors.risk_watch import RiskWatch
from hfengine.errors import VenueRejected, VenueUnknown
from hfengine.requests import OrderRequest
from hfengine.simulation import legs

Make = Callable[[Any], Any]
"""From the true method to the one that stands in for it."""


class Plant:
    """One bug: what is wrong, and where."""

    def __init__(self, says: str, *spots: tuple[Any, str, Make]) -> None:
        self.says = says
        self._spots = spots

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Let the bug be there."""
        true = [(owner, name, getattr(owner, name)) for owner, name, _ in self._spots]
        try:
            for owner, name, make in self._spots:
                setattr(owner, name, make(getattr(owner, name)))
            yield
        finally:
            for owner, name, method in true:
                setattr(owner, name, method)


def _nothing(method: Any) -> Any:
    """Stand in with something that does nothing, handled as the true method is."""

    @wraps(method)
    def does_nothing(*_: Any, **__: Any) -> None:
        return None

    return does_nothing


def _then(after: Callable[..., None]) -> Make:
    """Let something happen after the true method."""

    def make(method: Any) -> Any:
        @wraps(method)
        def both(self: Any, *arguments: Any, **named: Any) -> Any:
            result = method(self, *arguments, **named)
            after(self, *arguments, **named)
            return result

        return both

    return make


def _trust_any_proof(risk: Any, proof: Any) -> None:
    risk._trusted[proof.symbol] = proof
    risk._changed(proof.symbol)


def _only_tells(method: Any) -> Any:
    @wraps(method)
    def changed(self: Any, change: Any) -> None:
        self._actor.publish(change)

    return changed


def _forget_position(risk: Any, position: Any) -> None:
    risk._open_usdt.pop(position.symbol, None)
    risk._changed(position.symbol)


def _send_again(method: Any) -> Any:
    @wraps(method)
    def placed(self: Any, client_id: str, outcome: Any) -> None:
        intent = self.live.get(client_id)
        method(self, client_id, outcome)
        if intent is not None and intent.is_entry and isinstance(outcome.error, VenueUnknown):
            source = intent.source
            again = Intent(f"{client_id[:-1]}1", source)
            request = OrderRequest(
                again.client_id,
                source.symbol,
                source.side,
                "limit",
                source.quantity,
                source.price,
                "ioc",
                stop=source.stop,
                target=source.target,
            )
            self.follow(again, request, self._venue.place(request))

    return placed


def _take_as_rejected(method: Any) -> Any:
    @wraps(method)
    def placed(self: Any, client_id: str, outcome: Any) -> None:
        if isinstance(outcome.error, VenueUnknown):
            outcome = replace(outcome, error=VenueRejected("timed_out"))
        method(self, client_id, outcome)

    return placed


def _always_news(method: Any) -> Any:
    @wraps(method)
    def is_news(self: Any, fill: Any) -> bool:
        method(self, fill)
        return True

    return is_news


def _late_is_no_news(method: Any) -> Any:
    @wraps(method)
    def is_news(self: Any, fill: Any) -> bool:
        late = self._actor.clock.now_ns() - fill.at_ns > 300_000_000
        return bool(method(self, fill)) and not late

    return is_news


def _without_buffer(method: Any) -> Any:
    @wraps(method)
    def made(self: Any, settings: Any, instrument: Any) -> None:
        protection = replace(
            settings.protection, buffer_fraction=0.0, buffer_sigma=0.0, reaction_s=0.0
        )
        method(self, replace(settings, protection=protection), instrument)

    return made


def _by_memory(_: Any) -> Any:
    def rounds(known: Any = ()) -> Generator[Any, Any, tuple[bool, int, str]]:
        if known:
            yield flattening.Close(tuple(known))
        return True, 1, ""

    return rounds


def _sees_no_position(method: Any) -> Any:
    @wraps(method)
    async def read(venue: Any) -> Any:
        fills, _, orders, balance = await method(venue)
        return fills, [], orders, balance

    return read


def _without_funding(method: Any) -> Any:
    @wraps(method)
    def on_funding(self: Any, funding: Any) -> None:
        del self, funding

    return on_funding


def _removes_first(method: Any) -> Any:
    @wraps(method)
    def on_move(self: Any, move: Any) -> None:
        method(self, replace(move, stop=move.stop * 0))
        method(self, move)

    return on_move


def _of_half(method: Any) -> Any:
    @wraps(method)
    def stop_of(entry: Any) -> Any:
        stop = method(entry)
        part = (entry.quantity / 2).quantize(entry.quantity)
        return replace(stop, close_position=False, quantity=part or entry.quantity)

    return stop_of


PLANTED: Final[dict[str, Plant]] = {
    "proof_not_compared": Plant(
        "any leverage that was read back is taken as proof",
        (Risk, "on_proof", _then(_trust_any_proof)),
    ),
    "proof_outlives_change": Plant(
        "another client's leverage leaves the proof standing",
        (Risk, "on_leverage_changed", _nothing),
        (LeverageDesk, "changed", _only_tells),
    ),
    "new_id_on_retry": Plant(
        "a lost entry is sent again with a new id", (OrderDesk, "placed", _send_again)
    ),
    "lost_is_rejected": Plant(
        "a lost answer counts as a rejection", (OrderDesk, "placed", _take_as_rejected)
    ),
    "fill_counted_twice": Plant(
        "a fill told again is counted again", (FillMemory, "is_news", _always_news)
    ),
    "late_fill_dropped": Plant(
        "a fill found after a reconnect is dropped", (FillMemory, "is_news", _late_is_no_news)
    ),
    "halts_forgotten": Plant(
        "a restart forgets the halts in force", (RiskWatch, "_recall", _nothing)
    ),
    "halt_ignored": Plant("a halt stops no entry", (Risk, "on_halt", _nothing)),
    "open_position_ignored": Plant(
        "a symbol is entered again while it is held", (Risk, "on_position", _then(_forget_position))
    ),
    "buffer_skipped": Plant(
        "the stop may lie at the liquidation price", (Planner, "__init__", _without_buffer)
    ),
    "guardian_blind": Plant(
        "nobody looks whether the stop is there",
        (Guardian, "_look", _nothing),
        (Guardian, "on_timer", _nothing),
        (Guardian, "on_protection_refused", _nothing),
    ),
    "wrong_size_ignored": Plant(
        "a stop of half the quantity is left as it is",
        (legs, "stop_of", _of_half),
        (Guardian, "_look", _nothing),
        (Guardian, "on_timer", _nothing),
    ),
    "stop_cancelled_first": Plant(
        "a stop is taken away before the new one is placed", (Execution, "on_move", _removes_first)
    ),
    "flatten_by_memory": Plant(
        "flatten believes what it remembers", (flattening, "rounds", _by_memory)
    ),
    "restart_sees_no_position": Plant(
        "what is open when the engine comes up is not seen",
        (account_desk, "read_account", _sees_no_position),
    ),
    "refusal_swallowed": Plant("a refused signal leaves no trace", (Risk, "_refuse", _nothing)),
    "funding_unheard": Plant("funding is not booked", (Execution, "on_funding", _without_funding)),
}
