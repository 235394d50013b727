"""Execution with the proof that the rig's brackets were sized by."""

from typing import Any

from hfengine.actors.execution import Execution
from tests.rig import T0_NS, Rig


def proved(rig: Rig, *symbols: str, at_ns: int = T0_NS) -> Any:
    """Start Execution as if it had told a proof of each symbol (all by default) at `at_ns`."""
    ref = rig.start(Execution)
    leverage = rig.host.actors[ref.actor_urn]._leverage
    for symbol in symbols or rig.settings.symbols:
        leverage._stand(symbol, at_ns)
    return ref
