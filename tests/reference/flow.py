"""Order-flow imbalance by its definition: every event kept, weighed by its age when asked."""

import math


class Flow:
    def __init__(self, half_life_s: float, gap_max_s: float, warmup: int) -> None:
        self.half_life_s = half_life_s
        self.gap_max_s = gap_max_s
        self.warmup = warmup
        self.restart()

    def restart(self) -> None:
        self.at_ns: int | None = None
        self.quote: tuple[float, float, float, float] | None = None
        self.quote_events: list[tuple[int, float]] = []
        self.trade_events: list[tuple[int, float]] = []
        self.updates = 0

    def advance(self, at_ns: int) -> None:
        if self.at_ns is not None and abs(at_ns - self.at_ns) > self.gap_max_s * 1e9:
            self.restart()
        self.at_ns = at_ns if self.at_ns is None else max(self.at_ns, at_ns)
        self.updates += 1

    def update_quote(
        self, at_ns: int, bid: float, bid_quantity: float, ask: float, ask_quantity: float
    ) -> None:
        self.advance(at_ns)
        if self.quote is not None:
            old_bid, old_bid_quantity, old_ask, old_ask_quantity = self.quote
            event = (
                (bid >= old_bid) * bid_quantity
                - (bid <= old_bid) * old_bid_quantity
                - (ask <= old_ask) * ask_quantity
                + (ask >= old_ask) * old_ask_quantity
            )
            self.quote_events.append((self.at_ns or 0, event))
        self.quote = (bid, bid_quantity, ask, ask_quantity)

    def update_trade(self, at_ns: int, quantity: float, side: int) -> None:
        self.advance(at_ns)
        self.trade_events.append((self.at_ns or 0, side * quantity))

    def weighed(self, events: list[tuple[int, float]]) -> list[tuple[float, float]]:
        now = self.at_ns or 0
        return [(0.5 ** ((now - at) * 1e-9 / self.half_life_s), x) for at, x in events]

    def ratio(self, events: list[tuple[int, float]]) -> float:
        weighed = self.weighed(events)
        gross = math.fsum(w * abs(x) for w, x in weighed)
        return math.fsum(w * x for w, x in weighed) / gross if gross else 0.0

    def evidence(self, events: list[tuple[int, float]]) -> float:
        count = math.fsum(w for w, _ in self.weighed(events))
        return count / (count + 1)

    def score(self, events: list[tuple[int, float]]) -> float:
        weighed = self.weighed(events)
        square = math.fsum((w * x) ** 2 for w, x in weighed)
        return math.fsum(w * x for w, x in weighed) / math.sqrt(square) if square else 0.0

    @property
    def ofi(self) -> float:
        return math.fsum(w * x for w, x in self.weighed(self.quote_events))

    @property
    def ofi_normalised(self) -> float:
        return self.ratio(self.quote_events)

    @property
    def trade_imbalance(self) -> float:
        return self.ratio(self.trade_events)

    @property
    def value(self) -> float:
        return 0.6 * self.evidence(self.quote_events) * self.ofi_normalised + (
            0.4 * self.evidence(self.trade_events) * self.trade_imbalance
        )

    @property
    def confidence(self) -> float:
        if self.updates < self.warmup:
            return 0.0
        z = 0.6 * self.evidence(self.quote_events) * self.score(self.quote_events)
        z += 0.4 * self.evidence(self.trade_events) * self.score(self.trade_events)
        return math.erf(abs(z) / math.sqrt(0.6**2 + 0.4**2) / math.sqrt(2))
