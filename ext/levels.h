/* Price levels and whole numbers as the venues write them, many digits a step.

   A reader returns the byte after what it read, or NULL for anything it is not sure of, which the
   tolerant scanner then judges: white space, escapes, exponents, bare numbers, very long ones,
   whatever is off the grid or wrong. Digits are added up eight at a time inside one 64-bit word
   (SWAR: pairs, fours, eights). Needs x86's SSE2 and its order of bytes; elsewhere every level is
   left to the scanner. */

#ifndef HF_LEVELS_H
#define HF_LEVELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What must be readable at a level: 32 bytes looked at, and 8 of a fraction that begins in them. */
#define HF_LEVEL_ROOM 40
#define HF_WHOLE_ROOM 16
#define HF_DECIMALS_MAX 8

typedef struct {
    uint64_t units;   /* of the last decimal in one tick or step */
    uint64_t power;   /* 10**decimals */
    uint64_t beyond;  /* the bytes of a fraction that are finer than the grid */
    int shift;        /* moves a fraction's decimals to the end of a word */
    int decimals;
} hf_grid;

#if defined(__SSE2__)
#include <emmintrin.h>

#define HF_INLINE inline __attribute__((always_inline))
#define HF_RARE(condition) __builtin_expect(condition, 0)
#define HF_ZEROS 0x3030303030303030ULL

static const uint64_t hf_tens[HF_DECIMALS_MAX + 1] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000,
};

static HF_INLINE uint64_t hf_word(const unsigned char *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

/* The first bytes of a word, by their count. */
static const uint64_t hf_first[9] = {
    0x0ULL, 0xFFULL, 0xFFFFULL, 0xFFFFFFULL, 0xFFFFFFFFULL, 0xFFFFFFFFFFULL, 0xFFFFFFFFFFFFULL,
    0xFFFFFFFFFFFFFFULL, 0xFFFFFFFFFFFFFFFFULL,
};

/* Eight digits as bytes of 0 to 9, the greatest first, as a number. */
static HF_INLINE uint64_t hf_eight(uint64_t word) {
    word = (word * 10 + (word >> 8)) & 0x00FF00FF00FF00FFULL;
    word = (word * 100 + (word >> 16)) & 0x0000FFFF0000FFFFULL;
    return (word * 10000 + (word >> 32)) & 0xFFFFFFFFULL;
}

static inline int hf_grid_set(hf_grid *grid, int64_t units, int decimals) {
    if (decimals > HF_DECIMALS_MAX)
        return 0;
    grid->units = (uint64_t)units;
    grid->power = hf_tens[decimals];
    grid->beyond = ~hf_first[decimals];
    grid->shift = (64 - 8 * decimals) & 63;
    grid->decimals = decimals;
    return 1;
}

/* One bit a byte for 32 bytes: where no digit stands. */
static HF_INLINE uint32_t hf_no_digits(__m128i low, __m128i high) {
    const __m128i zero = _mm_set1_epi8('0'), nine = _mm_set1_epi8(9);
    low = _mm_sub_epi8(low, zero);
    high = _mm_sub_epi8(high, zero);
    low = _mm_cmpeq_epi8(_mm_min_epu8(low, nine), low);
    high = _mm_cmpeq_epi8(_mm_min_epu8(high, nine), high);
    return ~((uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16);
}

static HF_INLINE uint32_t hf_quotes(__m128i low, __m128i high) {
    const __m128i quote = _mm_set1_epi8('"');
    low = _mm_cmpeq_epi8(low, quote);
    high = _mm_cmpeq_epi8(high, quote);
    return (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16;
}

/* Count the units in the `length` bytes at p, whose `others` are no digits, their end among them;
   0 for anything but digits on the grid. What differs from level to level takes no branch: where
   the point is, whether there is one, how many digits there are. */
static HF_INLINE int hf_units(
    const unsigned char *p, uint32_t others, unsigned length, const hf_grid *grid, int64_t *out
) {
    const unsigned whole = (unsigned)__builtin_ctz(others);
    const unsigned rest = length - whole; /* the point and the fraction */
    const unsigned pointed = rest != 0;
    const unsigned digits = rest - pointed;
    const uint64_t word = hf_word(p) ^ HF_ZEROS;
    uint64_t before, after, units;
    if (HF_RARE(whole - 1 > 7) || HF_RARE(digits > 8) || HF_RARE(digits < pointed) ||
        HF_RARE(p[whole] != '"' + ('.' - '"') * pointed) ||
        HF_RARE(((word & 0xFF) == 0) & (whole > 1)) ||
        HF_RARE((others & (others - 1) & ((1U << length) - 1)) != 0))
        return 0;
    before = word << (64 - 8 * whole);
    after = (hf_word(p + whole + 1) ^ HF_ZEROS) & hf_first[digits];
    if (HF_RARE((after & grid->beyond) != 0))
        return 0;
    if (whole + (unsigned)grid->decimals <= 8)
        units = hf_eight(before >> (8 * grid->decimals & 63) | after << grid->shift);
    else
        units = hf_eight(before) * grid->power + hf_eight(after << grid->shift);
    if (grid->units != 1) {
        if (HF_RARE(units % grid->units != 0))
            return 0;
        units /= grid->units;
    }
    *out = (int64_t)units;
    return 1;
}

/* Read `["price","quantity"]`, both quoted and on their grids, the price not zero; HF_LEVEL_ROOM
   bytes must be readable at p. */
static HF_INLINE const unsigned char *hf_level(
    const unsigned char *p, const hf_grid *tick, const hf_grid *step, int64_t *pair
) {
    const __m128i low = _mm_loadu_si128((const __m128i *)p);
    const __m128i high = _mm_loadu_si128((const __m128i *)(p + 16));
    const uint32_t others = hf_no_digits(low, high);
    const uint32_t quotes = hf_quotes(low, high) & ~3U;
    unsigned price_end, quantity, end;
    uint32_t later;
    if (HF_RARE(!quotes))
        return NULL;
    price_end = (unsigned)__builtin_ctz(quotes);
    later = quotes & (quotes - 1);
    later &= later - 1; /* past the quote at which the quantity begins */
    if (HF_RARE(!later))
        return NULL;
    quantity = price_end + 3;
    end = (unsigned)__builtin_ctz(later);
    if (HF_RARE(p[0] != '[') || HF_RARE(p[1] != '"') || HF_RARE(p[price_end + 1] != ',') ||
        HF_RARE(p[price_end + 2] != '"') || HF_RARE(p[end + 1] != ']') ||
        !hf_units(p + 2, others >> 2, price_end - 2, tick, &pair[0]) ||
        !hf_units(p + quantity, others >> quantity, end - quantity, step, &pair[1]) ||
        HF_RARE(pair[0] == 0))
        return NULL;
    return p + end + 2;
}

/* Read a run of such levels, p at the first, into at most `room` pairs of ticks and steps. Returns
   the byte after the array's closing bracket, `closed` set, or else the place where the first
   level that was not read must begin. */
static HF_INLINE const unsigned char *hf_levels_read(
    const unsigned char *p, const unsigned char *end, const hf_grid *tick, const hf_grid *step,
    int64_t *pairs, int64_t room, int64_t *count, int *closed
) {
    const hf_grid ticks = *tick, steps = *step;
    int64_t read = 0;
    *closed = 0;
    while (read < room && end - p >= HF_LEVEL_ROOM) {
        const unsigned char *next = hf_level(p, &ticks, &steps, &pairs[2 * read]);
        if (next == NULL || (*next != ',' && *next != ']'))
            break;
        read++;
        p = next + 1;
        if (*next == ']') {
            *closed = 1;
            break;
        }
    }
    *count = read;
    return p;
}

static const unsigned char *hf_levels_plain(
    const unsigned char *p, const unsigned char *end, const hf_grid *tick, const hf_grid *step,
    int64_t *pairs, int64_t room, int64_t *count, int *closed
) {
    return hf_levels_read(p, end, tick, step, pairs, room, count, closed);
}

/* The same with shifts and bit scans of one instruction, where the processor has them. */
__attribute__((target("avx2,bmi,bmi2"))) static const unsigned char *hf_levels_newer(
    const unsigned char *p, const unsigned char *end, const hf_grid *tick, const hf_grid *step,
    int64_t *pairs, int64_t room, int64_t *count, int *closed
) {
    return hf_levels_read(p, end, tick, step, pairs, room, count, closed);
}

static inline const unsigned char *hf_levels(
    const unsigned char *p, const unsigned char *end, const hf_grid *tick, const hf_grid *step,
    int64_t *pairs, int64_t room, int64_t *count, int *closed
) {
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2"))
        return hf_levels_newer(p, end, tick, step, pairs, room, count, closed);
    return hf_levels_plain(p, end, tick, step, pairs, room, count, closed);
}

/* Read the digits of a whole number of at most 16; HF_WHOLE_ROOM bytes must be readable at p. */
static inline const unsigned char *hf_whole(const unsigned char *p, int64_t *number) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    const unsigned digits =
        (unsigned)__builtin_ctz(hf_no_digits(bytes, _mm_setzero_si128()));
    const uint64_t word = hf_word(p) ^ HF_ZEROS;
    if (digits == 0 || (digits > 1 && p[0] == '0'))
        return NULL;
    if (digits <= 8) {
        *number = (int64_t)hf_eight(word << (64 - 8 * digits));
    } else {
        const uint64_t next = (hf_word(p + 8) ^ HF_ZEROS) << (128 - 8 * digits);
        *number = (int64_t)(hf_eight(word) * hf_tens[digits - 8] + hf_eight(next));
    }
    return p + digits;
}

#else

static inline int hf_grid_set(hf_grid *grid, int64_t units, int decimals) {
    (void)grid, (void)units, (void)decimals;
    return 0;
}

static inline const unsigned char *hf_levels(
    const unsigned char *p, const unsigned char *end, const hf_grid *tick, const hf_grid *step,
    int64_t *pairs, int64_t room, int64_t *count, int *closed
) {
    (void)end, (void)tick, (void)step, (void)pairs, (void)room;
    *count = *closed = 0;
    return p;
}

static inline const unsigned char *hf_whole(const unsigned char *p, int64_t *number) {
    (void)p, (void)number;
    return NULL;
}

#endif

#endif
