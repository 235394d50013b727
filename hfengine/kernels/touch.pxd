# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The best bid and ask of a book, in units and as what a book tick says."""

from libc.math cimport NAN
from libc.stdint cimport int64_t

from hfengine.kernels.answers cimport Top
from hfengine.kernels.book cimport Book


cdef inline Top touch_of(Book book) noexcept nogil:
    """Return the best level of both sides, zeros for an empty one."""
    cdef Top top
    cdef int bids = book.bids.count
    cdef int asks = book.asks.count
    top.update_id = book.update_id
    top.bid_ticks = book.bids.levels[bids - 1].ticks if bids else 0
    top.bid_steps = book.bids.levels[bids - 1].steps if bids else 0
    top.ask_ticks = book.asks.levels[asks - 1].ticks if asks else 0
    top.ask_steps = book.asks.levels[asks - 1].steps if asks else 0
    return top


cdef inline double price_in(Book book, int64_t ticks) noexcept nogil:
    """Return a price, nan for the 0 ticks of an empty side."""
    return book.price_of(ticks) if ticks else NAN


cdef inline double quantity_in(Book book, int64_t ticks, int64_t steps) noexcept nogil:
    """Return the quantity at a price, nan for the 0 ticks of an empty side."""
    return book.quantity_of(steps) if ticks else NAN


cdef inline tuple tick_of(Book book, const Top* top, int64_t event_ms, int levels):
    """Return what a book tick says after its symbol and time of arrival."""
    return (
        event_ms, top.update_id,
        price_in(book, top.bid_ticks), quantity_in(book, top.bid_ticks, top.bid_steps),
        price_in(book, top.ask_ticks), quantity_in(book, top.ask_ticks, top.ask_steps),
        book.imbalance_of(levels),
    )
