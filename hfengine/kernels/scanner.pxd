# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Scan JSON (RFC 8259, UTF-8) in place: conformance, spans, and exact decimal numbers.

A function that reads text takes the first byte of what it reads and returns the byte after it, or
NULL with the fault noted in the Scan. Nothing at or past `Scan.end` is ever read.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf

ctypedef const unsigned char* Text

cdef enum:
    NESTING_MAX = 64
    SIGNIFICANT_MAX = 19  # digits that surely fit 64 bits
    GRID_DIGITS_MAX = 18  # a number on a grid stays below 10**18 in units of its last decimal

cdef enum Verdict:
    NUMBER_FINE = 0
    NUMBER_BAD = 1
    NUMBER_OFF_GRID = 2

cdef struct Scan:
    Text start
    Text end
    Text fault
    const char* what
    bint escaped  # the last string held a backslash

cdef struct Grid:  # one unit is units / 10**decimals
    int64_t units
    int decimals

cdef struct Decimal:  # digits * 10**exponent, without leading or trailing zeros
    uint64_t digits
    int64_t exponent
    int count
    bint negative
    bint lost  # significant digits beyond SIGNIFICANT_MAX were left out

cdef extern from *:
    """
    /* 1 where a byte of a string needs no thought: neither quote, backslash, control nor UTF-8 */
    static const unsigned char hf_plain[256] = {
        [0x20 ... 0x21] = 1, [0x23 ... 0x5B] = 1, [0x5D ... 0x7F] = 1,
    };
    static const unsigned long long hf_power[19] = {
        1ULL, 10ULL, 100ULL, 1000ULL, 10000ULL, 100000ULL, 1000000ULL, 10000000ULL, 100000000ULL,
        1000000000ULL, 10000000000ULL, 100000000000ULL, 1000000000000ULL, 10000000000000ULL,
        100000000000000ULL, 1000000000000000ULL, 10000000000000000ULL, 100000000000000000ULL,
        1000000000000000000ULL,
    };
    /* the powers of ten that a double holds exactly */
    static const double hf_exact[23] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    };
    """
    const unsigned char[256] PLAIN "hf_plain"
    const unsigned long long[19] POWER "hf_power"
    const double[23] EXACT "hf_exact"

cdef extern from "Python.h":
    # Unlike strtod it does not follow the locale.
    double PyOS_string_to_double(const char* text, char** end, void* overflow)


cdef inline Text fault(Scan* scan, Text at, const char* what) noexcept nogil:
    scan.fault = at
    scan.what = what
    return NULL


cdef inline Text blank(Text p, Text end) noexcept nogil:
    """Skip white space; it cannot fail."""
    while p < end and (p[0] == 32 or p[0] == 10 or p[0] == 13 or p[0] == 9):
        p += 1
    return p


cdef inline bint digit(unsigned char byte) noexcept nogil:
    return 48 <= byte <= 57


cdef inline bint continuation(Text p, unsigned char low, unsigned char high) noexcept nogil:
    return low <= p[0] <= high


cdef inline Text utf8_end(Scan* scan, Text p) noexcept nogil:
    """Step over one character of two to four bytes (Unicode 15, table 3-7)."""
    cdef unsigned char lead = p[0]
    cdef unsigned char low = 0x80
    cdef unsigned char high = 0xBF
    cdef int length
    cdef int index
    if 0xC2 <= lead <= 0xDF:
        length = 2
    elif 0xE0 <= lead <= 0xEF:
        length = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        length = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    else:
        return fault(scan, p, "invalid UTF-8")
    if scan.end - p < length or not continuation(p + 1, low, high):
        return fault(scan, p, "invalid UTF-8")
    for index in range(2, length):
        if not continuation(p + index, 0x80, 0xBF):
            return fault(scan, p, "invalid UTF-8")
    return p + length


cdef inline Text escape_end(Scan* scan, Text p) noexcept nogil:
    """Step over one escape, p at its backslash."""
    cdef int index
    cdef unsigned char byte
    if scan.end - p < 2:
        return fault(scan, p, "unfinished escape")
    byte = p[1]
    if byte == 117:  # u
        if scan.end - p < 6:
            return fault(scan, p, "unfinished escape")
        for index in range(2, 6):
            byte = p[index]
            if not (digit(byte) or 65 <= byte <= 70 or 97 <= byte <= 102):
                return fault(scan, p, "invalid escape")
        return p + 6
    if byte == 34 or byte == 92 or byte == 47 or byte == 98 or byte == 102 or (
        byte == 110 or byte == 114 or byte == 116
    ):
        return p + 2
    return fault(scan, p, "invalid escape")


cdef inline Text string_end(Scan* scan, Text p) noexcept nogil:
    """Return the closing quote of the string whose content begins at p."""
    cdef Text end = scan.end
    scan.escaped = False
    while True:
        while p < end and PLAIN[p[0]]:
            p += 1
        if p >= end:
            return fault(scan, end, "the frame ends inside a string")
        if p[0] == 34:
            return p
        if p[0] == 92:
            scan.escaped = True
            p = escape_end(scan, p)
        elif p[0] < 32:
            return fault(scan, p, "control character in a string")
        else:
            p = utf8_end(scan, p)
        if p == NULL:
            return NULL


cdef inline Text number_end(Text p, Text end) noexcept nogil:
    """Return the byte after the number at p, or NULL (nothing noted) when none begins there."""
    if p < end and p[0] == 45:
        p += 1
    if p >= end or not digit(p[0]):
        return NULL
    if p[0] == 48:
        p += 1
    else:
        while p < end and digit(p[0]):
            p += 1
    if p < end and p[0] == 46:
        p += 1
        if p >= end or not digit(p[0]):
            return NULL
        while p < end and digit(p[0]):
            p += 1
    if p < end and (p[0] == 101 or p[0] == 69):
        p += 1
        if p < end and (p[0] == 43 or p[0] == 45):
            p += 1
        if p >= end or not digit(p[0]):
            return NULL
        while p < end and digit(p[0]):
            p += 1
    return p


cdef inline Text word_end(Scan* scan, Text p, const char* word, int length) noexcept nogil:
    cdef int index
    if scan.end - p < length:
        return fault(scan, p, "not a JSON value")
    for index in range(length):
        if p[index] != <unsigned char> word[index]:
            return fault(scan, p, "not a JSON value")
    return p + length


cdef inline Text scalar_end(Scan* scan, Text p) noexcept nogil:
    """Step over a string, number or literal."""
    cdef Text stop
    if p >= scan.end:
        return fault(scan, scan.end, "the frame ends where a value must stand")
    if p[0] == 34:
        stop = string_end(scan, p + 1)
        if stop == NULL:
            return NULL
        return stop + 1
    if p[0] == 116:
        return word_end(scan, p, "true", 4)
    if p[0] == 102:
        return word_end(scan, p, "false", 5)
    if p[0] == 110:
        return word_end(scan, p, "null", 4)
    stop = number_end(p, scan.end)
    return fault(scan, p, "not a JSON value") if stop == NULL else stop


cdef inline Text colon_end(Scan* scan, Text p) noexcept nogil:
    """Step over the colon after a key and the blanks around it."""
    p = blank(p, scan.end)
    if p >= scan.end or p[0] != 58:
        return fault(scan, p, "a colon must follow a key")
    return blank(p + 1, scan.end)


cdef inline Text key_end(Scan* scan, Text p) noexcept nogil:
    """Step over a key and its colon, to the value."""
    cdef Text stop
    if p >= scan.end or p[0] != 34:
        return fault(scan, p, "a key must stand here")
    stop = string_end(scan, p + 1)
    if stop == NULL:
        return NULL
    return colon_end(scan, stop + 1)


cdef inline Text value_end(Scan* scan, Text p) noexcept nogil:
    """Step over any value, nested at most NESTING_MAX deep."""
    cdef uint64_t objects = 0  # one bit a level, the innermost last: object or array
    cdef int depth = 0
    cdef Text end = scan.end
    while True:
        if p < end and (p[0] == 123 or p[0] == 91):
            if depth == NESTING_MAX:
                return fault(scan, p, "nested too deep")
            objects = (objects << 1) | (p[0] == 123)
            depth += 1
            p = blank(p + 1, end)
            if not (p < end and p[0] == (125 if objects & 1 else 93)):
                if objects & 1:
                    p = key_end(scan, p)
                    if p == NULL:
                        return NULL
                continue
        else:
            p = scalar_end(scan, p)
            if p == NULL:
                return NULL
        while depth > 0:
            p = blank(p, end)
            if p < end and p[0] == (125 if objects & 1 else 93):
                objects >>= 1
                depth -= 1
                p += 1
                continue
            if p >= end or p[0] != 44:
                return fault(scan, p, "a comma or a closing bracket must stand here")
            p = blank(p + 1, end)
            if objects & 1:
                p = key_end(scan, p)
                if p == NULL:
                    return NULL
            break
        else:
            return p


cdef inline bint decimal_read(Text p, Text stop, Decimal* number) noexcept nogil:
    """Read a whole span as a number of JSON's grammar; False when it is none."""
    cdef int64_t after = 0  # digits read since the last one kept
    cdef int64_t fraction = 0
    cdef int64_t power = 0
    cdef int64_t zeros = 0
    cdef bint point = False
    cdef bint shrinking = False
    if number_end(p, stop) != stop:
        return False
    number.digits = 0
    number.count = 0
    number.lost = False
    number.negative = p[0] == 45
    if number.negative:
        p += 1
    while p < stop and p[0] != 101 and p[0] != 69:
        if p[0] == 46:
            point = True
            p += 1
            continue
        fraction += point
        if p[0] == 48:
            zeros += number.count > 0
            after += 1
        elif number.lost or number.count + zeros + 1 > SIGNIFICANT_MAX:
            number.lost = True
            after += 1
        else:
            number.digits = number.digits * POWER[zeros] * 10 + (p[0] - 48)
            number.count += <int> zeros + 1
            zeros = 0
            after = 0
        p += 1
    if p < stop:
        p += 1
        shrinking = p[0] == 45
        while p < stop:
            if digit(p[0]) and power < 1000000000000000LL:
                power = power * 10 + (p[0] - 48)
            p += 1
    number.exponent = after - fraction + (-power if shrinking else power)
    return True


cdef inline Verdict decimal_on_grid(
    const Decimal* number, const Grid* grid, int64_t* out
) noexcept nogil:
    """Count the units of a grid in a number that must not be negative; exact or refused."""
    cdef int64_t shift = number.exponent + grid.decimals
    cdef uint64_t total
    if number.negative:
        return NUMBER_BAD
    if number.digits == 0:
        out[0] = 0
        return NUMBER_FINE
    if number.count + shift > GRID_DIGITS_MAX:
        return NUMBER_BAD
    if number.lost or shift < 0:
        return NUMBER_OFF_GRID
    total = number.digits * POWER[shift]
    if total % <uint64_t> grid.units != 0:
        return NUMBER_OFF_GRID
    out[0] = <int64_t> (total // <uint64_t> grid.units)
    return NUMBER_FINE


cdef inline Text digits_on_grid(Text p, Text end, const Grid* grid, int64_t* out) noexcept nogil:
    """Read plain digits on a grid up to what ends them; NULL (nothing noted) for any other case.

    This is the fast path: what it declines, decimal_read and decimal_on_grid judge.
    """
    cdef Text first = p
    cdef uint64_t total = 0
    cdef int room = grid.decimals
    while p < end and digit(p[0]):
        total = total * 10 + (p[0] - 48)
        p += 1
    if p == first or (first[0] == 48 and p - first > 1) or p - first + room > GRID_DIGITS_MAX:
        return NULL
    if p < end and p[0] == 46:
        p += 1
        first = p
        while room > 0 and p < end and digit(p[0]):
            total = total * 10 + (p[0] - 48)
            room -= 1
            p += 1
        while p < end and p[0] == 48:
            p += 1
        if p == first:
            return NULL
    total *= POWER[room]
    if grid.units != 1:
        if total % <uint64_t> grid.units != 0:
            return NULL
        total //= <uint64_t> grid.units
    out[0] = <int64_t> total
    return p


cdef inline double decimal_parsed(const Decimal* number) noexcept:
    cdef char text[64]
    snprintf(text, 64, "%llue%lld", <unsigned long long> number.digits,
             <long long> number.exponent)
    return PyOS_string_to_double(text, NULL, NULL)


cdef inline double decimal_as_double(const Decimal* number, Text p) noexcept:
    """Return the double nearest to the number that was read at p; infinite when too large."""
    cdef char* stop
    cdef double magnitude
    if number.lost:
        # What follows a number in its frame ends it, and a NUL the frame.
        return PyOS_string_to_double(<const char*> p, &stop, NULL)
    if number.digits <= 9007199254740992 and -22 <= number.exponent <= 22:
        if number.exponent < 0:
            magnitude = <double> number.digits / EXACT[-number.exponent]
        else:
            magnitude = <double> number.digits * EXACT[number.exponent]
    else:
        magnitude = decimal_parsed(number)
    return -magnitude if number.negative else magnitude
