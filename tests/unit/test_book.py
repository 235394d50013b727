"""The compiled book, case by case."""

import math

import pytest

from hfengine.kernels.book import DEPTH_MAX, Book


@pytest.fixture
def book() -> Book:
    made = Book("0.10", "0.001")
    for ticks, steps in ((618002, 2507), (618001, 696), (618000, 20004)):
        made.apply(1, ticks, steps)
    for ticks, steps in ((618003, 2510), (618010, 4)):
        made.apply(-1, ticks, steps)
    return made


def test_touch_is_the_highest_bid_and_lowest_ask(book: Book) -> None:
    assert (book.bid_ticks, book.bid_steps) == (618002, 2507)
    assert (book.ask_ticks, book.ask_steps) == (618003, 2510)
    assert (book.bid, book.bid_quantity) == (61800.2, 2.507)
    assert (book.ask, book.ask_quantity) == (61800.3, 2.51)
    assert book.mid == 61800.25
    assert not book.crossed
    assert not book.is_empty


def test_prices_are_the_doubles_nearest_to_the_decimals() -> None:
    book = Book("0.01", "0.001")
    for ticks in range(1, 3000, 7):
        book.clear()
        book.apply(1, ticks, ticks)
        assert book.bid == float(f"{ticks // 100}.{ticks % 100:02d}")
        assert book.bid_quantity == float(f"{ticks // 1000}.{ticks % 1000:03d}")


def test_measures_of_the_touch(book: Book) -> None:
    # by hand: (61800.2 * 2510 + 61800.3 * 2507) / 5017 and 0.1 / 61800.25 * 1e4
    assert book.microprice == pytest.approx(61800.24997010165, abs=1e-9)
    assert book.spread_bps == pytest.approx(0.0161811643156784, rel=1e-12)
    assert book.imbalance(1) == pytest.approx((2507 - 2510) / (2507 + 2510))
    assert book.imbalance(2) == pytest.approx((3203 - 2514) / (3203 + 2514))
    assert book.imbalance(99) == pytest.approx((23207 - 2514) / (23207 + 2514))


def test_a_size_replaces_and_zero_deletes(book: Book) -> None:
    book.apply(1, 618001, 5)
    assert book.quantity_at(1, 618001) == 5
    book.apply(1, 618002, 0)
    assert (book.bid_ticks, book.bid_steps) == (618001, 5)
    book.apply(-1, 999999, 0)
    assert book.levels(-1, 10) == [(618003, 2510), (618010, 4)]
    assert (book.depth(1), book.depth(-1)) == (2, 2)
    assert book.quantity_at(-1, 618004) == 0


def test_levels_come_best_first_and_at_most_as_many_as_asked(book: Book) -> None:
    assert book.levels(1, 2) == [(618002, 2507), (618001, 696)]
    assert book.levels(1, 100) == [(618002, 2507), (618001, 696), (618000, 20004)]
    assert book.levels(-1, 0) == []


def test_an_empty_side_has_no_price() -> None:
    book = Book("0.1", "1")
    book.apply(1, 10, 1)
    assert book.is_empty
    assert book.bid == 1.0
    assert (book.ask_ticks, book.ask_steps) == (0, 0)
    nothing = (book.ask, book.ask_quantity, book.mid, book.microprice, book.spread_bps)
    assert all(math.isnan(x) for x in nothing)
    assert book.imbalance(5) == 0.0
    assert not book.crossed


@pytest.mark.parametrize(
    ("bid", "ask", "crossed"), [(10, 11, False), (11, 11, True), (12, 11, True)]
)
def test_crossed_when_bid_reaches_ask(bid: int, ask: int, crossed: bool) -> None:
    book = Book("1", "1")
    book.apply(1, bid, 1)
    book.apply(-1, ask, 1)
    assert book.crossed is crossed


@pytest.mark.parametrize("side", [1, -1])
def test_a_full_side_drops_the_level_farthest_from_the_touch(side: int) -> None:
    book = Book("1", "1")
    middle = 100_000
    for offset in range(DEPTH_MAX):
        book.apply(side, middle - side * offset, 1)
    assert book.dropped == 0
    book.apply(side, middle - side * 20_000, 7)  # farther than all: itself dropped
    assert (book.depth(side), book.dropped) == (DEPTH_MAX, 1)
    assert book.quantity_at(side, middle - side * 20_000) == 0
    book.apply(side, middle + side, 9)  # better than all: the farthest goes
    assert (book.depth(side), book.dropped) == (DEPTH_MAX, 2)
    assert book.levels(side, 2) == [(middle + side, 9), (middle, 1)]
    assert book.quantity_at(side, middle - side * (DEPTH_MAX - 1)) == 0
    assert book.quantity_at(side, middle - side * (DEPTH_MAX - 2)) == 1
    prices = [ticks for ticks, _ in book.levels(side, DEPTH_MAX)]
    assert prices == sorted(prices, reverse=side > 0)


def test_copy_is_equal_and_independent(book: Book) -> None:
    book.update_id = 77
    other = Book("0.1", "0.001")
    other.apply(-1, 1, 1)
    other.copy_from(book)
    assert other.levels(1, 9) == book.levels(1, 9)
    assert other.levels(-1, 9) == book.levels(-1, 9)
    assert other.update_id == 77
    other.apply(1, 618002, 0)
    assert book.bid_ticks == 618002


def test_copy_refuses_another_grid(book: Book) -> None:
    with pytest.raises(ValueError, match="different grids"):
        Book("0.01", "0.001").copy_from(book)


def test_clear_removes_both_sides(book: Book) -> None:
    book.update_id = 5
    book.clear()
    assert (book.depth(1), book.depth(-1), book.update_id) == (0, 0, 0)


@pytest.mark.parametrize(
    ("tick", "expected"),
    [("0.10", 0.1), ("1e-3", 0.001), ("25", 25.0), ("0.5", 0.5), ("1E+2", 100)],
)
def test_grid_comes_from_decimal_text(tick: str, expected: float) -> None:
    assert Book(tick, "1").tick == expected
    assert Book("1", tick).step == expected


@pytest.mark.parametrize(
    "bad", ["0", "0.00", "-1", "", "nan", "inf", " 1", "1_0", "1e-16", "1e15", "x"]
)
def test_grid_refuses_what_is_not_a_positive_decimal(bad: str) -> None:
    with pytest.raises(ValueError, match="tick must"):
        Book(bad, "1")
    with pytest.raises(ValueError, match="step must"):
        Book("1", bad)


@pytest.mark.parametrize(("side", "ticks", "steps"), [(0, 1, 1), (2, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_apply_refuses_impossible_levels(side: int, ticks: int, steps: int, book: Book) -> None:
    with pytest.raises(ValueError, match="must be"):
        book.apply(side, ticks, steps)


def test_questions_refuse_impossible_arguments(book: Book) -> None:
    with pytest.raises(ValueError, match="side"):
        book.levels(0, 1)
    with pytest.raises(ValueError, match="levels"):
        book.imbalance(0)
    with pytest.raises(TypeError):
        Book(0.1, "1")  # type: ignore[arg-type]
