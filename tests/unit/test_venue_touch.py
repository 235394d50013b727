"""The outside book: diffs under the newest quote, one level a side while the chain is broken."""

from hfengine.kernels.book import Book
from hfengine.kernels.codec import BinanceCodec
from hfengine.venues.touch import TouchBook

SNAPSHOT = (
    b'{"lastUpdateId":10,"bids":[["100.0","1.0"],["99.9","2.0"],["99.8","3.0"]],'
    b'"asks":[["100.1","4.0"],["100.2","5.0"],["100.3","6.0"]]}'
)


def diff(first: int, last: int, previous: int) -> bytes:
    return (
        f'{{"e":"depthUpdate","E":1,"T":1,"s":"BTCUSDT","U":{first},"u":{last},"pu":{previous},'
        f'"b":[],"a":[]}}'
    ).encode()


def quote(update: int, bid: str, ask: str) -> bytes:
    return (
        f'{{"e":"bookTicker","u":{update},"s":"BTCUSDT","b":"{bid}","B":"0.5","a":"{ask}",'
        f'"A":"0.7","T":2,"E":2}}'
    ).encode()


def touch() -> tuple[BinanceCodec, TouchBook]:
    book = Book("0.1", "0.1")
    codec = BinanceCodec("BTCUSDT", book)
    codec.decode(SNAPSHOT)
    codec.decode(diff(9, 11, 8))
    return codec, TouchBook(codec, book)


def test_without_a_newer_quote_it_is_the_book() -> None:
    codec, view = touch()
    codec.decode(quote(5, "99.0", "101.0"))
    assert (view.bid_ticks, view.bid_steps, view.ask_ticks, view.ask_steps) == (1000, 10, 1001, 40)
    assert view.levels(1, 2) == [(1000, 10), (999, 20)]
    assert view.quantity_at(-1, 1002) == 50


def test_a_newer_quote_hides_levels_that_are_gone() -> None:
    codec, view = touch()
    codec.decode(quote(12, "99.8", "100.3"))
    assert (view.bid_ticks, view.bid_steps) == (998, 5)
    assert view.levels(1, 3) == [(998, 5)]
    assert view.levels(-1, 3) == [(1003, 7)]
    assert view.quantity_at(1, 1000) == 0
    assert view.quantity_at(1, 998) == 5


def test_a_newer_quote_may_better_the_book() -> None:
    codec, view = touch()
    codec.decode(quote(12, "100.0", "100.1"))
    assert view.levels(1, 2) == [(1000, 5), (999, 20)]
    codec.decode(quote(13, "100.1", "100.2"))
    assert view.levels(1, 3) == [(1001, 5), (1000, 10), (999, 20)]
    assert view.levels(-1, 2) == [(1002, 7), (1003, 60)]


def test_a_broken_chain_leaves_one_level_a_side() -> None:
    codec, view = touch()
    codec.decode(quote(12, "100.0", "100.1"))
    codec.decode(diff(50, 60, 49))
    assert not codec.synced
    assert view.levels(1, 5) == [(1000, 5)]
    assert view.levels(-1, 5) == [(1001, 7)]
    assert not view.is_empty


def test_a_broken_chain_offers_nothing_behind_the_quote_not_even_what_it_once_had() -> None:
    codec, view = touch()
    codec.decode(quote(12, "99.9", "100.2"))
    codec.decode(diff(50, 60, 49))
    assert (view.bid_ticks, view.bid_steps, view.ask_ticks, view.ask_steps) == (999, 5, 1002, 7)
    assert view.quantity_at(1, 999) == 5
    assert view.quantity_at(1, 998) == 0
    assert view.quantity_at(-1, 1003) == 0


def test_a_quote_from_before_the_break_is_all_there_is() -> None:
    codec, view = touch()
    codec.decode(quote(5, "99.9", "100.2"))
    codec.decode(diff(50, 60, 49))
    assert view.levels(1, 3) == [(999, 5)]
    assert view.ask_ticks == 1002


def test_a_book_with_one_side_is_empty() -> None:
    book = Book("0.1", "0.1")
    codec = BinanceCodec("BTCUSDT", book)
    view = TouchBook(codec, book)
    assert view.is_empty
    codec.decode(b'{"lastUpdateId":10,"bids":[["100.0","1.0"]],"asks":[]}')
    codec.decode(diff(9, 11, 8))
    assert view.is_empty


def test_a_quote_far_below_the_book_still_finds_what_lies_behind_it() -> None:
    book = Book("0.1", "0.1")
    codec = BinanceCodec("BTCUSDT", book)
    bids = ",".join(f'["{100 - n / 10:.1f}","1.0"]' for n in range(60))
    codec.decode(f'{{"lastUpdateId":10,"bids":[{bids}],"asks":[["100.1","4.0"]]}}'.encode())
    codec.decode(diff(9, 11, 8))
    view = TouchBook(codec, book)
    codec.decode(quote(12, "96.0", "96.1"))
    assert view.levels(1, 3) == [(960, 5), (959, 10), (958, 10)]
    assert len(view.levels(1, 50)) == 20, "the rest of the book, and no more"
