# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Read a book frame written exactly as the venue writes it: keys in one order, no white space.

What is read so is conforming and complete by its form, so no second look at its fields is needed.
NULL says only that a frame is written otherwise or wrong somewhere: then the tolerant scan reads it
again from its start and judges.
"""

from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp

from hfengine.kernels.frame cimport HF_WHOLE_ROOM, Frame, Scratch, hf_whole, scan_levels
from hfengine.kernels.scanner cimport NUMBER_FINE, PLAIN, Text, digits_on_grid

cdef enum:
    HEAD_LENGTH_MAX = 128
    SYMBOL_LENGTH_MAX = 64

# The ids and times of a diff of Binance.
cdef struct Stamps:
    int64_t first
    int64_t previous
    int64_t last
    int64_t event_ms
    int64_t match_ms

# The numbers of a book frame of Bybit.
cdef struct Update:
    int64_t update_id
    int64_t sequence
    int64_t event_ms
    int64_t match_ms
    bint whole  # a snapshot, or a delta that is one

# How a delta of one depth begins, up to the value of `ts`.
cdef struct Head:
    int depth
    int length
    char words[HEAD_LENGTH_MAX]


cdef inline Text after(Text p, Text end, const char* words, int64_t length) noexcept nogil:
    """Step over words that must stand here."""
    if p == NULL or end - p < length or memcmp(p, words, length) != 0:
        return NULL
    return p + length


cdef inline Text after_whole(Frame* frame, Text p, int64_t* number) noexcept nogil:
    """Step over a whole number; near the end of the frame digit by digit."""
    if p == NULL:
        return NULL
    if frame.scan.end - p >= HF_WHOLE_ROOM:
        return hf_whole(p, number)
    return digits_on_grid(p, frame.scan.end, &frame.integers, number)


cdef inline Text after_levels(Frame* frame, Text p, Scratch* side) noexcept nogil:
    """Step over an array of levels that are all levels and on their grids."""
    if p == NULL or p >= frame.scan.end or p[0] != 91:
        return NULL
    p = scan_levels(frame, p, side)
    if p == NULL or side.misshapen != NULL or side.verdict != NUMBER_FINE:
        return NULL
    return p


cdef inline Text after_plain(Text p, Text end) noexcept nogil:
    """Step over what a string without escapes holds."""
    while p != NULL and p < end and PLAIN[p[0]]:
        p += 1
    return p


cdef inline Text after_pair(Text p, Text end) noexcept nogil:
    """Step over the pair that contracts of COIN-M name behind their symbol, if it is there."""
    cdef Text pair = after(p, end, b'","ps":"', 8)
    return p if pair == NULL else after_plain(pair, end)


cdef inline bint read_binance_diff(
    Frame* frame, Text start, Text end, bint spot, const char* symbol, int64_t length, Stamps* stamps
) noexcept nogil:
    """Read a whole diff, wrapped or not, its ids in order; of spot without `T` and `pu`."""
    cdef bint wrapped = end - start > 2 and start[2] == 115  # the s of stream
    cdef Text p = start
    frame.scan.start = start
    frame.scan.end = end
    stamps.first = stamps.previous = stamps.last = stamps.event_ms = 0
    if wrapped:
        p = after_plain(after(p, end, b'{"stream":"', 11), end)
        p = after(p, end, b'","data":', 9)
    p = after_whole(frame, after(p, end, b'{"e":"depthUpdate","E":', 23), &stamps.event_ms)
    if spot:
        stamps.match_ms = stamps.event_ms
    else:
        p = after_whole(frame, after(p, end, b',"T":', 5), &stamps.match_ms)
    p = after(after(p, end, b',"s":"', 6), end, symbol, length)
    if not spot:
        p = after_pair(p, end)
    p = after_whole(frame, after(p, end, b'","U":', 6), &stamps.first)
    p = after_whole(frame, after(p, end, b',"u":', 5), &stamps.last)
    if spot:
        stamps.previous = stamps.first - 1
    else:
        p = after_whole(frame, after(p, end, b',"pu":', 6), &stamps.previous)
    p = after_levels(frame, after(p, end, b',"b":', 5), &frame.bids)
    p = after_levels(frame, after(p, end, b',"a":', 5), &frame.asks)
    p = after(p, end, b"}}" if wrapped else b"}", 2 if wrapped else 1)
    return p == end and p != NULL and (
        stamps.first <= stamps.last and stamps.previous <= stamps.last
    )


cdef inline void write_head(
    Head* head, int depth, const char* symbol, int64_t symbol_length
) noexcept nogil:
    """Write the head of one depth; a symbol that is too long gets one that no frame begins with."""
    head.depth = depth
    head.words[0] = 0
    head.length = 1
    if symbol_length <= SYMBOL_LENGTH_MAX:
        head.length = snprintf(
            head.words, HEAD_LENGTH_MAX, b'{"topic":"orderbook.%d.%s","type":"delta","ts":',
            depth, symbol,
        )


cdef inline bint read_bybit_delta(
    Frame* frame, Text start, Text end, const Head* head, const char* symbol,
    int64_t symbol_length, Text* update_at, Update* update
) noexcept nogil:
    """Read a whole delta of the head's depth; `update_at` is where its `u` stands.

    The one with `u` = 1 is a snapshot: it is left to the tolerant scan.
    """
    cdef Text p
    frame.scan.start = start
    frame.scan.end = end
    update.update_id = 1
    update.whole = False
    p = after_whole(frame, after(start, end, head.words, head.length), &update.event_ms)
    p = after(after(p, end, b',"data":{"s":"', 14), end, symbol, symbol_length)
    p = after_levels(frame, after(p, end, b'","b":', 6), &frame.bids)
    p = after_levels(frame, after(p, end, b',"a":', 5), &frame.asks)
    update_at[0] = after(p, end, b',"u":', 5)
    p = after_whole(frame, update_at[0], &update.update_id)
    p = after_whole(frame, after(p, end, b',"seq":', 7), &update.sequence)
    p = after_whole(frame, after(p, end, b'},"cts":', 8), &update.match_ms)
    return after(p, end, b"}", 1) == end and p != NULL and update.update_id != 1
