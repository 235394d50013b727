"""Money in the summary: exact, without exponents, as JSON numbers."""

from decimal import Decimal

import pytest

from hfengine.summary import plain


@pytest.mark.parametrize(
    ("money", "text"),
    [("0E-8", "0"), ("-0.00", "0"), ("1E+2", "100"), ("10.8526000", "10.8526"), ("-3.50", "-3.5")],
)
def test_plain_keeps_the_sum_and_drops_the_dress(money: str, text: str) -> None:
    assert str(plain(Decimal(money))) == text
    assert plain(Decimal(money)) == Decimal(money)
