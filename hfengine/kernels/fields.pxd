# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Judge the fields of a scanned frame: all there, of this symbol, every number on its grid.

Each check returns 0 or the refusal it noted in the frame's Failure.
"""

from libc.math cimport isinf
from libc.stdint cimport int64_t, uint64_t

from hfengine.kernels.frame cimport (
    ESCAPED, KEY_A, KEY_ASKS, KEY_B, KEY_BIDS, LEVELS, NUMBER, NUMBER_LENGTH_MAX, STRING, Field,
    Fields, Frame, Scratch, bit, decimal_read_escaped, is_text, unescape,
)
from hfengine.kernels.scanner cimport (
    NUMBER_BAD, NUMBER_FINE, NUMBER_OFF_GRID, Decimal, Grid, Text, Verdict, decimal_as_double,
    decimal_on_grid, decimal_read, digits_on_grid,
)

# The codecs' codes of the same meaning.
cdef enum:
    FIELD_FOREIGN = -2
    FIELD_OF_ANOTHER = -3
    FIELD_NO_NUMBER = -4
    FIELD_OFF_GRID = -5


cdef inline int fail(Frame* frame, int code, int slot, Text at, const char* what) noexcept nogil:
    frame.failure.code = code
    frame.failure.slot = slot
    frame.failure.offset = at - frame.scan.start
    frame.failure.what = what
    frame.failure.expected = frame.failure.found = 0
    return code


cdef inline int check_keys(Frame* frame, const Fields* fields, uint64_t keys) noexcept nogil:
    cdef uint64_t missing = keys & ~fields.seen
    cdef int slot = 0
    if missing == 0:
        return 0
    while not missing & bit(slot):
        slot += 1
    return fail(frame, FIELD_FOREIGN, slot, frame.scan.start, b"a required key is missing")


cdef inline int check_symbol(
    Frame* frame, const Fields* fields, int slot, const char* symbol, int64_t length
) noexcept nogil:
    """Check that the frame is of the symbol, if it names one."""
    cdef const Field* field = &fields.slot[slot]
    if not fields.seen & bit(slot) or is_text(field, symbol, length):
        return 0
    return fail(frame, FIELD_OF_ANOTHER, slot, field.at, b"another symbol")


cdef inline int check_sides(Frame* frame, const Fields* fields, int bids, int asks) noexcept nogil:
    """Check what the scan noted about the levels: first the form of both sides, then numbers."""
    cdef const Scratch* side
    cdef int index
    cdef int slot
    if (
        fields.seen & bit(KEY_B) and fields.seen & bit(KEY_BIDS)
        or fields.seen & bit(KEY_A) and fields.seen & bit(KEY_ASKS)
    ):
        return fail(frame, FIELD_FOREIGN, bids, frame.scan.start, b"levels under two names")
    for index in range(2):
        slot = asks if index else bids
        side = &frame.asks if index else &frame.bids
        if fields.slot[slot].form != LEVELS:
            return fail(frame, FIELD_FOREIGN, slot, fields.slot[slot].at, b"not an array of levels")
        if side.misshapen != NULL:
            return fail(frame, FIELD_FOREIGN, slot, side.misshapen, b"not a level")
    for index in range(2):
        slot = asks if index else bids
        side = &frame.asks if index else &frame.bids
        if side.verdict == NUMBER_OFF_GRID:
            return fail(frame, FIELD_OFF_GRID, slot, side.wrong, b"off the grid")
        if side.verdict != NUMBER_FINE:
            return fail(frame, FIELD_NO_NUMBER, slot, side.wrong, b"not a price or quantity")
    return 0


cdef inline int read_units(
    Frame* frame, const Fields* fields, int slot, const Grid* grid, int64_t* out
) noexcept nogil:
    """Read a number that is a whole count of a grid's units and not negative."""
    cdef const Field* field = &fields.slot[slot]
    cdef Verdict verdict = NUMBER_BAD
    cdef Decimal number
    if field.form == STRING or field.form == NUMBER:
        if digits_on_grid(field.at, field.stop, grid, out) == field.stop:
            return 0
        if decimal_read(field.at, field.stop, &number):
            verdict = decimal_on_grid(&number, grid, out)
    elif field.form == ESCAPED and decimal_read_escaped(field.at, field.stop, &number):
        verdict = decimal_on_grid(&number, grid, out)
    if verdict == NUMBER_FINE:
        return 0
    if verdict == NUMBER_OFF_GRID:
        return fail(frame, FIELD_OFF_GRID, slot, field.at, b"off the grid")
    return fail(frame, FIELD_NO_NUMBER, slot, field.at, b"not a number of the right kind")


cdef inline int read_integer(
    Frame* frame, const Fields* fields, int slot, int64_t* out
) noexcept nogil:
    """Read an id or a time: a whole number that is not negative."""
    cdef int code = read_units(frame, fields, slot, &frame.integers, out)
    if code == FIELD_OFF_GRID:
        return fail(frame, FIELD_NO_NUMBER, slot, fields.slot[slot].at, b"not a whole number")
    return code


cdef inline int read_double(
    Frame* frame, const Fields* fields, int slot, bint signed, double* out
) noexcept:
    cdef const Field* field = &fields.slot[slot]
    cdef unsigned char plain[NUMBER_LENGTH_MAX + 1]
    cdef Text p = field.at
    cdef Text stop = field.stop
    cdef Decimal number
    cdef int length
    if field.form == ESCAPED:
        length = unescape(p, stop, plain, NUMBER_LENGTH_MAX)
        p = stop = plain
        if length > 0:
            stop += length
            plain[length] = 0
    elif field.form != STRING and field.form != NUMBER:
        stop = p
    if stop > p and decimal_read(p, stop, &number) and (signed or not number.negative):
        out[0] = decimal_as_double(&number, p)
        if not isinf(out[0]):
            return 0
    return fail(frame, FIELD_NO_NUMBER, slot, field.at, b"not a number of the right kind")
