"""A grid's edges: what it refuses."""

from decimal import Decimal

import pytest

from hfengine.kernels.grid import Grid


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "0",
        "0.00",
        "-1",
        "1e-3",
        ".1",
        "1.",
        " 1",
        "0.1 ",
        "nan",
        "1" * 16,
        "0." + "1" * 16,
        "١",
    ],
)
def test_a_bad_unit_is_refused(unit):
    with pytest.raises(ValueError, match="grid"):
        Grid(unit)


def test_a_unit_whose_digits_leave_no_room_is_refused():
    with pytest.raises(ValueError, match="10\\*\\*18"):
        Grid("999999999999999.123456789")


@pytest.mark.parametrize(
    "number", ["61234.55", "-0.1", "-0", "NaN", "Infinity", "1E-3", "1E+19", "9" * 30, "0.01"]
)
def test_a_number_off_the_grid_is_refused(number):
    with pytest.raises(ValueError, match=r"is not on the grid of 0\.10"):
        Grid("0.10").count(Decimal(number))


@pytest.mark.parametrize(
    ("unit", "number", "count"),
    [
        ("0.10", "61234.5", 612345),
        ("0.10", "61234.500000", 612345),
        ("0.10", "0", 0),
        ("0.5", "1E+2", 200),
        ("0.00000001", "3E-7", 30),
        ("10", "120", 12),
        ("1", "999999999999999999", 999999999999999999),
    ],
)
def test_a_number_on_the_grid_is_counted(unit, number, count):
    assert Grid(unit).count(Decimal(number)) == count


@pytest.mark.parametrize(
    ("unit", "count", "text"),
    [
        ("0.10", 612345, "61234.50"),
        ("0.0000001", 3, "0.0000003"),
        ("10", 12, "120"),
        ("0.10", 0, "0.00"),
        ("0.000000000000001", 10**18 - 1, "999.999999999999999"),
    ],
)
def test_text_has_every_decimal_of_the_unit(unit, count, text):
    assert Grid(unit).text(count) == text


@pytest.mark.parametrize("count", [-1, 10**17, 2**63 - 1])
def test_a_count_beyond_the_grid_is_refused(count):
    with pytest.raises(ValueError, match="units of the grid"):
        Grid("0.10").text(count)
    with pytest.raises(OverflowError):
        Grid("0.10").text(2**63)


def test_one_number_has_a_count_on_every_grid() -> None:
    number = Decimal("3.0")
    for _ in range(3):
        assert Grid("0.10").count(number) == 30
        assert Grid("1").count(number) == 3
        assert Grid("0.5").count(number) == 6
        assert Grid("0.1").count(number) == 30
        assert Grid("0.01").count(number) == 300
        with pytest.raises(ValueError, match="is not on the grid"):
            Grid("2").count(number)


def test_a_number_off_the_grid_stays_off_it() -> None:
    number = Decimal("0.05")
    for _ in range(3):
        assert Grid("0.01").count(number) == 5
        with pytest.raises(ValueError, match="is not on the grid"):
            Grid("0.10").count(number)


def test_what_is_not_quite_a_decimal_is_read_each_time() -> None:
    class Moody(Decimal):
        said = "1"

        def __str__(self) -> str:
            return self.said

    number = Moody("1")
    assert Grid("1").count(number) == 1
    Moody.said = "2"
    assert Grid("1").count(number) == 2
