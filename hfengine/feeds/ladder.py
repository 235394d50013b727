"""The synthetic book: levels in whole ticks and steps, and their decimal texts."""

from typing import Final

_TEXTS_MAX: Final = 8_192
"""Texts kept of one kind: prices near the touch come again, far ones are made anew."""


class Texts(dict[int, bytes]):
    """Decimal texts of whole numbers of ticks or steps, each made once, between two brackets."""

    def __init__(self, unit: int, decimals: int, before: bytes = b"", after: bytes = b"") -> None:
        super().__init__()
        self._unit = unit
        self._scale = 10**decimals
        form = b"%d.%0" + b"%dd" % decimals if decimals else b"%d"
        self._form = before + form + after
        self._whole = not decimals

    def __missing__(self, count: int) -> bytes:
        if len(self) >= _TEXTS_MAX:
            self.clear()
        number = count * self._unit
        text = self._form % (number if self._whole else divmod(number, self._scale))
        self[count] = text
        return text


class Side:
    """One side of the book: levels in ticks and steps, the best one kept apart by price.

    `sign` is +1 for bids and -1 for asks: the direction in which a price gets better.
    """

    __slots__ = ("best", "changed", "levels", "sign")

    def __init__(self, sign: int, best: int) -> None:
        self.sign = sign
        self.best = best
        self.levels: dict[int, int] = {}
        self.changed: dict[int, int] = {}

    def put(self, price: int, quantity: int) -> None:
        """Set a level; 0 takes it away."""
        if quantity:
            self.levels[price] = quantity
        else:
            self.levels.pop(price, None)
        self.changed[price] = quantity

    def retreat(self, best: int, quantity: int) -> list[tuple[int, int]]:
        """Take away all levels better than `best`, which gets `quantity`; return them in order."""
        levels = self.levels
        span = range(self.best, best, -self.sign)
        gone = [(price, levels.pop(price)) for price in span if price in levels]
        for price, _ in gone:
            self.changed[price] = 0
        self.best = best
        self.put(best, quantity)
        return gone

    def work(self, distances: list[int], quantities: list[int], steps: list[int]) -> None:
        """Change levels behind the touch.

        `distances` are in ticks from the touch; `steps`, by price modulo 64, lead from a price to
        one that levels stand on, further away; a quantity of 0 takes a level away if there is one.
        """
        levels, changed, best, away = self.levels, self.changed, self.best, -self.sign
        mask = len(steps) - 1
        for distance, quantity in zip(distances, quantities, strict=True):
            price = best + away * distance
            price += away * steps[price & mask]
            if quantity:
                levels[price] = changed[price] = quantity
            elif price in levels:
                del levels[price]
                changed[price] = 0

    def prune(self, depth: int) -> None:
        """Take away what lies further than `depth` ticks from the touch."""
        best, sign = self.best, self.sign
        for price in [price for price in self.levels if (best - price) * sign > depth]:
            self.put(price, 0)

    def nearest(self, count: int) -> list[tuple[int, int]]:
        """Return up to `count` levels, the best first."""
        prices = sorted(self.levels, reverse=self.sign > 0)[:count]
        return [(price, self.levels[price]) for price in prices]
