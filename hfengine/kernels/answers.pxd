# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compare a book with an independent stream of best quotes.

After the diff with final id u the touch must equal the last quote with id <= u. Which quote that is
is known only when a quote with a greater id has come, so books wait for it in a ring.
"""

from libc.stdint cimport int64_t

cdef enum:
    QUOTES_KEPT = 2048
    BOOKS_KEPT = 1024

cdef struct Top:
    int64_t update_id
    int64_t bid_ticks
    int64_t bid_steps
    int64_t ask_ticks
    int64_t ask_steps

cdef struct Answers:
    int64_t quotes  # how many ever; the newest QUOTES_KEPT are held
    Top quote[QUOTES_KEPT]
    int waiting
    int oldest
    Top book[BOOKS_KEPT]
    int64_t matched
    int64_t mismatched


cdef inline void forget(Answers* answers) noexcept nogil:
    """Drop the quotes and the waiting books; the verdicts stay."""
    answers.quotes = 0
    answers.waiting = 0
    answers.oldest = 0


cdef inline void compare(Answers* answers, const Top* book, const Top* quote) noexcept nogil:
    if (
        book.bid_ticks == quote.bid_ticks
        and book.bid_steps == quote.bid_steps
        and book.ask_ticks == quote.ask_ticks
        and book.ask_steps == quote.ask_steps
    ):
        answers.matched += 1
    else:
        answers.mismatched += 1


cdef inline void settle_oldest(Answers* answers) noexcept nogil:
    """Compare the book that waits longest with the newest quote, which is not newer than it."""
    cdef const Top* quote = &answers.quote[(answers.quotes - 1) % QUOTES_KEPT]
    compare(answers, &answers.book[answers.oldest], quote)
    answers.oldest = (answers.oldest + 1) % BOOKS_KEPT
    answers.waiting -= 1


cdef inline void take_quote(Answers* answers, const Top* quote) noexcept nogil:
    """Take a quote, not older than the last one; it settles the books older than itself."""
    while answers.waiting and answers.book[answers.oldest].update_id < quote.update_id:
        settle_oldest(answers)
    answers.quote[answers.quotes % QUOTES_KEPT] = quote[0]
    answers.quotes += 1


cdef inline void take_book(Answers* answers, const Top* book) noexcept nogil:
    """Take the touch after a diff: compare it now when a newer quote has come, else let it wait.

    A book older than every quote held has no answer and is not counted. When the ring is full the
    oldest book is settled early: no quote came for that long, so the touch did not change.
    """
    cdef int64_t index = answers.quotes - 1
    cdef int64_t floor = answers.quotes - QUOTES_KEPT if answers.quotes > QUOTES_KEPT else 0
    if index < 0:
        return
    if answers.quote[index % QUOTES_KEPT].update_id > book.update_id:
        while index >= floor:
            if answers.quote[index % QUOTES_KEPT].update_id <= book.update_id:
                compare(answers, book, &answers.quote[index % QUOTES_KEPT])
                return
            index -= 1
        return
    if answers.waiting == BOOKS_KEPT:
        settle_oldest(answers)
    answers.book[(answers.oldest + answers.waiting) % BOOKS_KEPT] = book[0]
    answers.waiting += 1
