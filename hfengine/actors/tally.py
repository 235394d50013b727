"""What a session adds up to: it outlives the telemetry actor that writes it."""

from decimal import Decimal


class Tally:
    """Counts by message and gate, and the exact money of the fills heard."""

    __slots__ = ("counts", "fee_warnings", "fees_usdt", "funding_usdt", "gross_usdt", "refusals")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.refusals: dict[str, int] = {}
        self.fee_warnings: dict[str, int] = {}
        self.gross_usdt = Decimal(0)
        self.fees_usdt = Decimal(0)
        self.funding_usdt = Decimal(0)
