"""The turn of an entry wish that every gate lets through, and of its bracket, in compiled code."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from hfengine.kernels.bracket import Bracket
from hfengine.kernels.entry_gate import EntryGate
from hfengine.kernels.histogram import Histogram

class EntryTurn:
    """Turns an Entry into its OpenBracket where everything is plain; the mappings stay its owner's.

    Plain: no symbol rests, the journal is being written, `gate` opens, and the symbol's kernel of
    `kernels` (symbol -> a prepared Bracket) plans with the proof of `trusted` and the mark of
    `marks`. Then the bracket is put into `entering`, `cleared` is emptied, the time taken goes into
    `took`, and `publish` is told; after it `warn`, with the entry, where the kernel has warnings.
    Anything else goes to `care`, with the entry, and nothing else has happened.
    """

    entries: int
    """How many entries were let through; whoever takes care of one adds it."""

    def __init__(
        self,
        gate: EntryGate,
        kernels: Mapping[str, Bracket],
        *,
        trusted: Mapping[str, Any],
        marks: Mapping[str, Any],
        cleared: dict[str, Any],
        entering: dict[str, Any],
        rests: Mapping[str, Any],
        journal_ok: Callable[[], bool],
        now_ns: Callable[[], int],
        intents: Any,
        took: Histogram,
        publish: Callable[[Any], None],
        warn: Callable[[Any], None],
        care: Callable[[Any], None],
    ) -> None: ...
    def handle(self, entry: Any) -> None:
        """Take an entry; raises what a callable of the owner raises."""

class BracketTurn:
    """Turns an OpenBracket into its order, sent, where the symbol is clear by the bracket's proof.

    `clear`: symbol -> time of the proof by which an entry may be sent now. The order is a limit
    order at the bracket's price, `request_class` called as OrderRequest is, with stop and target
    attached, and handed to `venue.place`; what that took goes into `stages.order` and
    `stages.frame_to_order`. Then `sent` hears of bracket, client id, request and answer. A bracket
    that may not be sent goes to `care`, and nothing else has happened.
    """

    def __init__(
        self,
        clear: Mapping[str, int],
        venue: Any,
        order_ids: Any,
        *,
        request_class: Callable[..., Any],
        tif: str,
        protect_by: str,
        nothing: Decimal,
        stages: Any,
        sent: Callable[[Any, str, Any, Any], None],
        care: Callable[[Any], None],
    ) -> None: ...
    def handle(self, bracket: Any) -> None:
        """Take a bracket; raises what a callable of the owner raises."""
