"""Figures as text, in the way all dialects write them."""

from decimal import Decimal


def plain(number: Decimal) -> str:
    """Return a figure exactly, without exponent and without zeros behind the last digit."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
