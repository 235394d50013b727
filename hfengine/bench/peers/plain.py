"""orjson, two dicts and a sort: an order book as a person writes it in an afternoon."""

import orjson

Levels = list[tuple[float, float]]


class DictBook:
    """One symbol's book of floats, from the frames of either dialect."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.top = (0.0, 0.0)

    def decode(self, payload: bytes) -> None:
        """Parse one book frame, apply its levels, find the best bid and ask."""
        frame = orjson.loads(payload)
        if "bids" in frame:
            self._replace(frame["bids"], frame["asks"])
        elif "data" in frame:
            levels = frame["data"]
            if frame["type"] == "snapshot":
                self._replace(levels["b"], levels["a"])
            else:
                self._apply(levels["b"], levels["a"])
        else:
            self._apply(frame["b"], frame["a"])
        self.top = (max(self.bids), min(self.asks))

    def levels(self) -> tuple[Levels, Levels]:
        """Return the bids and asks as (price, quantity), best first."""
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())

    def _replace(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self.bids.clear()
        self.asks.clear()
        self._apply(bids, asks)

    def _apply(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        for side, changed in ((self.bids, bids), (self.asks, asks)):
            for price, size in changed:
                quantity = float(size)
                if quantity:
                    side[float(price)] = quantity
                else:
                    side.pop(float(price), None)
