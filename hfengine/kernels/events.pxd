# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What a Binance frame claims to be, and the keys each claim needs, for futures and for spot.

Spot differs in four things: a diff has neither `pu` nor `T`, a quote has no `e`, `E` or `T`, a
snapshot no times, and there are no marks.
"""

from libc.stdint cimport uint64_t

from hfengine.kernels.frame cimport (
    KEY_A, KEY_ASKS, KEY_B, KEY_BIDS, KEY_E, KEY_I, KEY_ID, KEY_LAST_UPDATE_ID, KEY_M, KEY_P,
    KEY_PU, KEY_Q, KEY_R, KEY_RESULT, KEY_S, KEY_U, UPPER_A, UPPER_B, UPPER_E, UPPER_T, UPPER_U,
    Field, Fields, bit, is_text,
)

# The codec's codes of the same meaning.
cdef enum:
    CLAIMS_NOTHING = -2
    CLAIMS_REPLY = 0
    CLAIMS_DEPTH = 1
    CLAIMS_QUOTE = 2
    CLAIMS_TRADE = 3
    CLAIMS_MARK = 4
    CLAIMS_SNAPSHOT = 5


cdef inline uint64_t depth_keys(bint spot) noexcept nogil:
    cdef uint64_t keys = (
        bit(KEY_E) | bit(UPPER_E) | bit(KEY_S) | bit(UPPER_U) | bit(KEY_U) | bit(KEY_B) | bit(KEY_A)
    )
    return keys if spot else keys | bit(UPPER_T) | bit(KEY_PU)


cdef inline uint64_t quote_keys(bint spot) noexcept nogil:
    cdef uint64_t keys = (
        bit(KEY_S) | bit(KEY_U) | bit(KEY_B) | bit(UPPER_B) | bit(KEY_A) | bit(UPPER_A)
    )
    return keys if spot else keys | bit(KEY_E) | bit(UPPER_E) | bit(UPPER_T)


cdef inline uint64_t trade_keys(int id_slot) noexcept nogil:
    return (
        bit(KEY_E) | bit(UPPER_E) | bit(UPPER_T) | bit(KEY_S)
        | bit(KEY_P) | bit(KEY_Q) | bit(KEY_M) | bit(id_slot)
    )


cdef inline uint64_t mark_keys() noexcept nogil:
    return (
        bit(KEY_E) | bit(UPPER_E) | bit(UPPER_T) | bit(KEY_S) | bit(KEY_P) | bit(KEY_I) | bit(KEY_R)
    )


cdef inline uint64_t snapshot_keys() noexcept nogil:
    return bit(KEY_LAST_UPDATE_ID) | bit(KEY_BIDS) | bit(KEY_ASKS)


cdef inline uint64_t wrapper_claims() noexcept nogil:
    """Return what a wrapper must not hold itself, lest one payload be two frames."""
    return bit(KEY_E) | bit(KEY_B) | bit(KEY_A) | snapshot_keys()


cdef inline int claim_of(const Fields* fields, bint spot) noexcept nogil:
    cdef const Field* event = &fields.slot[KEY_E]
    if fields.seen & bit(KEY_E):
        if not spot and is_text(event, b"bookTicker", 10):
            return CLAIMS_QUOTE
        if is_text(event, b"trade", 5) or is_text(event, b"aggTrade", 8):
            return CLAIMS_TRADE
        if is_text(event, b"depthUpdate", 11):
            return CLAIMS_DEPTH
        if not spot and is_text(event, b"markPriceUpdate", 15):
            return CLAIMS_MARK
        return CLAIMS_NOTHING
    if fields.seen & bit(KEY_LAST_UPDATE_ID):
        return CLAIMS_SNAPSHOT
    if fields.seen & bit(KEY_RESULT) and fields.seen & bit(KEY_ID):
        return CLAIMS_REPLY
    if spot and fields.seen & quote_keys(True) == quote_keys(True):
        return CLAIMS_QUOTE
    return CLAIMS_NOTHING
