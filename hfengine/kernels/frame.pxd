# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One pass over a market frame: the spans of its fields, its price levels as integers.

Nothing is judged here but JSON conformance: a number or a level that is wrong is noted beside the
levels, so that a fault of form is always found before a fault of content.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memcmp

from hfengine.kernels.book cimport Book, Level
from hfengine.kernels.scanner cimport (
    NUMBER_BAD, NUMBER_FINE, Decimal, Grid, Scan, Text, Verdict, blank, colon_end, decimal_on_grid,
    decimal_read, digit, digits_on_grid, fault, scalar_end, string_end, value_end,
)

cdef extern from "levels.h" nogil:
    ctypedef struct hf_grid:
        pass

    cdef enum:
        HF_WHOLE_ROOM

    bint hf_grid_set(hf_grid* grid, int64_t units, int decimals)
    Text hf_levels(
        Text p, Text end, const hf_grid* tick, const hf_grid* step, int64_t* pairs, int64_t room,
        int64_t* count, bint* closed
    )
    Text hf_whole(Text p, int64_t* number)

# Slots 0-25 are the keys a-z, 26-51 A-Z.
cdef enum:
    KEY_A = 0
    KEY_B = 1
    KEY_E = 4
    KEY_I = 8
    KEY_M = 12
    KEY_P = 15
    KEY_Q = 16
    KEY_R = 17
    KEY_S = 18
    KEY_T = 19
    KEY_U = 20
    UPPER_A = 26
    UPPER_B = 27
    UPPER_E = 30
    UPPER_T = 45
    UPPER_U = 46
    UPPER_X = 49
    KEY_PU = 52
    KEY_ID = 53
    KEY_BIDS = 54
    KEY_ASKS = 55
    KEY_DATA = 56
    KEY_SYMBOL = 57
    KEY_RESULT = 58
    KEY_LAST_UPDATE_ID = 59
    SLOTS = 60
    KEY_LENGTH_MAX = 12
    WORD_LENGTH_MAX = 64
    NUMBER_LENGTH_MAX = 512  # of a number written with escapes; without, any length is read
    NO_SLOT = -1

cdef enum Form:
    STRING
    ESCAPED
    NUMBER
    LITERAL
    LEVELS
    OBJECT
    OTHER

# The content of a string lies between its quotes; any other value is the whole span.
cdef struct Field:
    Text at
    Text stop
    Form form

# Only slots whose bit is set in `seen` hold a field of the frame being read.
cdef struct Fields:
    uint64_t seen
    Field slot[SLOTS]

cdef struct Scratch:
    Level* levels
    int64_t count
    int64_t capacity
    Text misshapen  # the first level that is not an array of at least two, or NULL
    Verdict verdict  # of the first price or quantity that is wrong
    Text wrong

# What a refused frame was refused for, and where.
cdef struct Failure:
    int code
    int slot  # the key, or NO_SLOT
    int64_t offset
    const char* what
    int64_t expected
    int64_t found

cdef struct Frame:
    Scan scan
    Fields outer
    Fields inner  # of `data`, when the frame is wrapped
    Scratch bids
    Scratch asks
    Grid tick
    Grid step
    Grid integers
    bint swift  # the grids are such that levels.h can read levels on them
    hf_grid swift_tick
    hf_grid swift_step
    Failure failure


cdef inline void read_on_grids_of(Frame* frame, Book book) noexcept:
    """Have prices and quantities be read as ticks and steps of the book's grids."""
    frame.tick.units = book.tick_units
    frame.tick.decimals = book.tick_decimals
    frame.step.units = book.step_units
    frame.step.decimals = book.step_decimals
    frame.integers.units = 1
    frame.integers.decimals = 0
    frame.swift = (
        hf_grid_set(&frame.swift_tick, book.tick_units, book.tick_decimals)
        and hf_grid_set(&frame.swift_step, book.step_units, book.step_decimals)
    )


cdef inline uint64_t bit(int slot) noexcept nogil:
    return (<uint64_t> 1) << slot


cdef inline int slot_of(Text name, int64_t length, bint outer) noexcept nogil:
    if length == 1:
        if 97 <= name[0] <= 122:
            return name[0] - 97
        if 65 <= name[0] <= 90:
            return name[0] - 65 + UPPER_A
    elif length == 2:
        if memcmp(name, b"pu", 2) == 0:
            return KEY_PU
        if memcmp(name, b"id", 2) == 0:
            return KEY_ID
    elif length == 4:
        if memcmp(name, b"bids", 4) == 0:
            return KEY_BIDS
        if memcmp(name, b"asks", 4) == 0:
            return KEY_ASKS
        if outer and memcmp(name, b"data", 4) == 0:
            return KEY_DATA
    elif length == 6:
        if memcmp(name, b"symbol", 6) == 0:
            return KEY_SYMBOL
        if memcmp(name, b"result", 6) == 0:
            return KEY_RESULT
    elif length == 12 and memcmp(name, b"lastUpdateId", 12) == 0:
        return KEY_LAST_UPDATE_ID
    return NO_SLOT


cdef inline int unescape(Text p, Text stop, unsigned char* plain, int capacity) noexcept nogil:
    r"""Copy a conforming string with each \u00XX and \/ as its byte and return its length.

    Any other escape becomes the byte 255, which no key, word or number holds. Returns -1 when the
    string is longer than the capacity; what fits has been copied.
    """
    cdef int length = 0
    cdef int index
    cdef unsigned char byte
    while p < stop:
        if length == capacity:
            return -1
        byte = p[0]
        p += 1
        if byte == 92:
            byte = p[0]
            p += 1
            if byte == 117:
                byte = 0
                for index in range(2, 4):
                    byte = 16 * byte + (p[index] - 48 if digit(p[index]) else (p[index] | 32) - 87)
                if p[0] != 48 or p[1] != 48:
                    byte = 255
                p += 4
            elif byte != 47:
                byte = 255
        plain[length] = byte
        length += 1
    return length


cdef inline int escaped_slot_of(Text name, Text stop, bint outer) noexcept nogil:
    cdef unsigned char plain[KEY_LENGTH_MAX]
    return slot_of(plain, unescape(name, stop, plain, KEY_LENGTH_MAX), outer)


cdef inline bint is_escaped_text(
    const Field* field, const char* text, int64_t length
) noexcept nogil:
    cdef unsigned char plain[WORD_LENGTH_MAX]
    return (
        field.form == ESCAPED
        and unescape(field.at, field.stop, plain, WORD_LENGTH_MAX) == length
        and memcmp(plain, text, length) == 0
    )


cdef inline bint is_text(const Field* field, const char* text, int64_t length) noexcept nogil:
    """Tell whether a string is the text, in whatever notation."""
    if field.form == STRING:
        return field.stop - field.at == length and memcmp(field.at, text, length) == 0
    return is_escaped_text(field, text, length)


cdef inline bint decimal_read_escaped(Text p, Text stop, Decimal* number) noexcept nogil:
    """Read a whole string that holds escapes as a number; False when it is none."""
    cdef unsigned char plain[NUMBER_LENGTH_MAX]
    cdef int length = unescape(p, stop, plain, NUMBER_LENGTH_MAX)
    return length > 0 and decimal_read(plain, plain + length, number)


cdef inline bint has_room(Scratch* side) noexcept nogil:
    """Grow the scratch area when it is full; a frame's own size bounds how often."""
    cdef int64_t capacity
    cdef Level* levels
    if side.count < side.capacity:
        return True
    capacity = 2 * side.capacity if side.capacity else 512
    levels = <Level*> realloc(side.levels, capacity * sizeof(Level))
    if levels == NULL:
        return False
    side.levels = levels
    side.capacity = capacity
    return True


cdef inline Text scan_level_number(
    Scan* scan, Text p, const Grid* grid, int64_t* out, Scratch* side
) noexcept nogil:
    """Read a price or quantity, quoted or bare; any other value is noted as wrong."""
    cdef Text start = p
    cdef Text end = scalar_end(scan, p) if p < scan.end and p[0] != 123 and p[0] != 91 else (
        value_end(scan, p)
    )
    cdef Text stop = end
    cdef Verdict verdict = NUMBER_BAD
    cdef Decimal number
    cdef bint escaped = False
    if end == NULL:
        return NULL
    if start[0] == 34:
        start += 1
        stop -= 1
        escaped = scan.escaped
    if (
        decimal_read_escaped(start, stop, &number) if escaped else decimal_read(start, stop, &number)
    ):
        verdict = decimal_on_grid(&number, grid, out)
    if verdict != NUMBER_FINE and side.verdict == NUMBER_FINE:
        side.verdict = verdict
        side.wrong = start
    return end


cdef inline Text scan_plain_level(Frame* frame, Text p, Level* level) noexcept nogil:
    """Read `["price","quantity"]` written as the venue writes it; NULL for anything else."""
    cdef Text end = frame.scan.end
    if end - p < 2 or p[0] != 91 or p[1] != 34:
        return NULL
    p = digits_on_grid(p + 2, end, &frame.tick, &level.ticks)
    if p == NULL or end - p < 3 or p[0] != 34 or p[1] != 44 or p[2] != 34 or level.ticks == 0:
        return NULL
    p = digits_on_grid(p + 3, end, &frame.step, &level.steps)
    if p == NULL or end - p < 2 or p[0] != 34 or p[1] != 93:
        return NULL
    return p + 2


cdef inline Text scan_level(Frame* frame, Text p, Scratch* side) noexcept nogil:
    """Read any level: an array of price, quantity and whatever else it holds."""
    cdef Scan* scan = &frame.scan
    cdef Text start = p
    cdef Level* level = &side.levels[side.count]
    cdef int index = 0
    cdef Text price
    level.ticks = 1
    if p >= scan.end or p[0] != 91:
        if side.misshapen == NULL:
            side.misshapen = p
        return value_end(scan, p)
    p = price = blank(p + 1, scan.end)
    while not (index == 0 and p < scan.end and p[0] == 93):
        if index == 0:
            p = scan_level_number(scan, p, &frame.tick, &level.ticks, side)
        elif index == 1:
            p = scan_level_number(scan, p, &frame.step, &level.steps, side)
        else:
            p = value_end(scan, p)
        if p == NULL:
            return NULL
        index += 1
        p = blank(p, scan.end)
        if p < scan.end and p[0] == 93:
            break
        if p >= scan.end or p[0] != 44:
            return fault(scan, p, "a comma or a closing bracket must stand here")
        p = blank(p + 1, scan.end)
    if index < 2 and side.misshapen == NULL:
        side.misshapen = start
    if level.ticks == 0 and side.verdict == NUMBER_FINE:
        side.verdict = NUMBER_BAD
        side.wrong = price
    return p + 1


cdef inline Text scan_levels(Frame* frame, Text p, Scratch* side) noexcept nogil:
    """Read an array of levels into the scratch area, p at its opening bracket."""
    cdef Scan* scan = &frame.scan
    cdef Text next
    cdef int64_t read = 0
    cdef bint closed = False
    side.count = 0
    side.misshapen = NULL
    side.verdict = NUMBER_FINE
    p = blank(p + 1, scan.end)
    if p < scan.end and p[0] == 93:
        return p + 1
    while True:
        if not has_room(side):
            return fault(scan, p, "no memory for the levels")
        if frame.swift:
            p = hf_levels(
                p, scan.end, &frame.swift_tick, &frame.swift_step,
                <int64_t*> &side.levels[side.count], side.capacity - side.count, &read, &closed,
            )
            side.count += read
            if closed:
                return p
            if not has_room(side):
                return fault(scan, p, "no memory for the levels")
            p = blank(p, scan.end)
        next = scan_plain_level(frame, p, &side.levels[side.count])
        if next == NULL:
            next = scan_level(frame, p, side)
            if next == NULL:
                return NULL
        side.count += 1
        p = blank(next, scan.end)
        if p < scan.end and p[0] == 93:
            return p + 1
        if p >= scan.end or p[0] != 44:
            return fault(scan, p, "a comma or a closing bracket must stand here")
        p = blank(p + 1, scan.end)


cdef inline Text scan_span(Scan* scan, Text p, Field* field) noexcept nogil:
    """Note the span and form of a value, p at its first byte, and nothing of what it holds."""
    field.at = p
    if p >= scan.end:
        return fault(scan, p, "the frame ends where a value must stand")
    if p[0] == 34:
        p = string_end(scan, p + 1)
        if p == NULL:
            return NULL
        field.at += 1
        field.stop = p
        field.form = ESCAPED if scan.escaped else STRING
        return p + 1
    if p[0] == 123 or p[0] == 91:
        field.form = OTHER
        p = value_end(scan, p)
    else:
        field.form = NUMBER if p[0] == 45 or 48 <= p[0] <= 57 else LITERAL
        p = scalar_end(scan, p)
    field.stop = p
    return p


cdef inline Text scan_field(Frame* frame, Text p, int slot, Field* field) noexcept nogil:
    """Note the span and form of a value, p at its first byte; read levels and the inner object."""
    cdef bint array = p < frame.scan.end and p[0] == 91
    if array and (slot == KEY_B or slot == KEY_BIDS):
        field.stop = scan_levels(frame, p, &frame.bids)
        field.form = LEVELS
    elif array and (slot == KEY_A or slot == KEY_ASKS):
        field.stop = scan_levels(frame, p, &frame.asks)
        field.form = LEVELS
    elif slot == KEY_DATA and p < frame.scan.end and p[0] == 123:
        field.stop = scan_object(frame, p, &frame.inner, False)
        field.form = OBJECT
    else:
        return scan_span(&frame.scan, p, field)
    field.at = p
    return field.stop


cdef inline Text scan_object(Frame* frame, Text p, Fields* fields, bint outer) noexcept nogil:
    """Read an object, p at its opening brace. A known key that appears twice is a fault."""
    cdef Scan* scan = &frame.scan
    cdef Text name
    cdef int slot
    p = blank(p + 1, scan.end)
    if p < scan.end and p[0] == 125:
        return p + 1
    while True:
        if p >= scan.end or p[0] != 34:
            return fault(scan, p, "a key must stand here")
        name = p + 1
        p = string_end(scan, name)
        if p == NULL:
            return NULL
        if scan.escaped:
            slot = escaped_slot_of(name, p, outer)
        else:
            slot = slot_of(name, p - name, outer)
        p = colon_end(scan, p + 1)
        if p == NULL:
            return NULL
        if slot == NO_SLOT:
            p = value_end(scan, p)
        elif fields.seen & bit(slot):
            return fault(scan, name, "a key appears twice")
        else:
            p = scan_field(frame, p, slot, &fields.slot[slot])
        if p == NULL:
            return NULL
        if slot != NO_SLOT:
            fields.seen |= bit(slot)
        p = blank(p, scan.end)
        if p < scan.end and p[0] == 125:
            return p + 1
        if p >= scan.end or p[0] != 44:
            return fault(scan, p, "a comma or a closing brace must stand here")
        p = blank(p + 1, scan.end)


cdef inline Text scan_frame(Frame* frame, Text start, Text end) noexcept nogil:
    """Read a whole payload; NULL when it is not exactly one conforming JSON value."""
    cdef Scan* scan = &frame.scan
    cdef Text p
    scan.start = start
    scan.end = end
    frame.outer.seen = 0
    frame.inner.seen = 0
    p = blank(start, end)
    if p < end and p[0] == 123:
        p = scan_object(frame, p, &frame.outer, True)
    else:
        p = value_end(scan, p)
    if p == NULL:
        return NULL
    p = blank(p, end)
    if p != end:
        return fault(scan, p, "bytes follow the frame")
    return p
