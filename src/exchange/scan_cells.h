// SPDX-License-Identifier: GPL-3.0-or-later
//
// scan_cells: a message taken apart into cells, the texts between the literals that are known.
//
//     ,"p":"61837.63000000","q":"0.02000000","T":...
//           cell            literal
//
// First all cells are found, then what is in them is read (scan_numbers.h). Cells and literals
// together are all bytes of the message, so nothing passes unseen.
//
// Cells end at commas, which stand between the values and nowhere else. If a cell's end were looked
// for from its beginning, each would have to wait for the one before, for fifteen cycles; so commas
// are found 64 bytes at once. In a message of few keys a window of 64 bits is enough, moved on
// twice or so; in lists of levels the places of all commas are written down first, so that levels
// are read side by side.
#ifndef RINGTAPE_EXCHANGE_SCAN_CELLS_H
#define RINGTAPE_EXCHANGE_SCAN_CELLS_H

#include "exchange/scan_numbers.h"

enum { SCAN_BLOCK_BYTES = 64 };

// Bit i: byte i is a comma.
SCAN_INLINE uint64_t scan_comma_bits(const char *at)
{
#ifdef __AVX2__
    const __m256i comma = _mm256_set1_epi8(',');
    const __m256i low = _mm256_loadu_si256((const __m256i_u *)at);
    const __m256i high = _mm256_loadu_si256((const __m256i_u *)(at + 32));
    const uint32_t low_bits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, comma));
    const uint32_t high_bits = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, comma));
    return low_bits | (uint64_t)high_bits << 32;
#else
    uint64_t bits = 0;
    for (uint32_t i = 0; i < SCAN_BLOCK_BYTES; i += 8) {
        const uint64_t word = scan_word(at + i) ^ ',' * SCAN_ONES;
        // The high bit of each byte that is zero, none other; gathered by a multiplication.
        const uint64_t zero = ~(((word & ~SCAN_HIGHS) + ~SCAN_HIGHS) | word | ~SCAN_HIGHS);
        bits |= ((zero >> 7) * 0x0102040810204080ull >> 56) << i;
    }
    return bits;
#endif
}

// ---- cells of a message ----

struct scan_window {
    const char *at;    // behind what was taken
    const char *end;   // of the message; 64 bytes behind it are readable
    const char *begin; // of the window
    uint64_t commas;   // those not taken
};

SCAN_INLINE struct scan_window scan_window(const uint8_t *bytes, uint32_t size)
{
    const char *text = (const char *)bytes;
    return (struct scan_window){text, text + size, text, 0};
}

// Moves the window to where the next cell begins. Asked for where the cells to come would not fit
// the window, so that whether they do is nothing to predict; otherwise it moves by itself.
SCAN_INLINE bool scan_look(struct scan_window *window)
{
    window->begin = window->at;
    window->commas = scan_comma_bits(window->at);
    return true;
}

// The next cell and the literal behind it, which has its comma among its first three characters.
#define SCAN_CELL(window, cell, literal)                                                           \
    scan_cell((window), (cell), "" literal, sizeof(literal) - 1)

SCAN_INLINE bool scan_cell(struct scan_window *window, struct scan_cell *cell, const char *literal,
                           size_t size)
{
    const uint32_t before = literal[0] == ',' ? 0 : literal[1] == ',' ? 1 : 2;
    if (__builtin_expect(window->commas == 0, 0))
        (void)scan_look(window);
    const char *end = window->begin + scan_lowest(window->commas) - before;
    *cell = (struct scan_cell){window->at, end};
    window->commas &= window->commas - 1;
    window->at = end + size;
    return window->at <= window->end && scan_differ(end, literal, size) == 0;
}

// The last cell, `quotes` (0 or 1) before `last`.
SCAN_INLINE bool scan_last_cell(struct scan_window *window, struct scan_cell *cell,
                                const char *last, uint32_t quotes)
{
    const char *end = last - quotes;
    *cell = (struct scan_cell){window->at, end};
    window->at = last;
    return quotes == 0 || *end == '"';
}

// A literal that may be there.
#define SCAN_TAKE(window, literal) scan_take((window), "" literal, sizeof(literal) - 1)

SCAN_INLINE bool scan_take(struct scan_window *window, const char *literal, size_t size)
{
    // Among several that may be there most differ in their first eight bytes.
    if ((size > 16 && scan_differ(window->at, literal, 8) != 0) ||
        scan_differ(window->at, literal, size) != 0 || (size_t)(window->end - window->at) < size)
        return false;
    window->at += size;
    window->commas = 0; // some may have been in it
    return true;
}

// true or false.
SCAN_INLINE bool scan_truth(struct scan_cell cell, bool *truth)
{
    const size_t size = scan_size(cell);
    const uint64_t differ = SCAN_DIFFER(cell.at, "true");
    const uint64_t differ_else = SCAN_DIFFER(cell.at, "false");
    *truth = size == 4;
    return size - 4 <= 1 && (*truth ? differ : differ_else) == 0;
}

// A word of capital letters and underscores.
SCAN_INLINE bool scan_capitals(struct scan_cell cell)
{
    if (scan_size(cell) - 1 >= SCAN_NAME_BYTES_MAX)
        return false;
    for (const char *at = cell.at; at < cell.end; at++)
        if ((*at < 'A' || *at > 'Z') && *at != '_')
            return false;
    return true;
}

// ---- commas of a list ----

enum {
    SCAN_COMMAS_FULL = 512, // no further block is looked at
    // All bytes of a block may be commas, and some places are written in advance.
    SCAN_COMMAS_MAX = SCAN_COMMAS_FULL + SCAN_BLOCK_BYTES + 8,
};

// The commas from `next` to `stop`, ascending. Behind the message's last stands one more: `last`.
struct scan_commas {
    const char *text;
    uint32_t size;
    uint32_t last;
    uint32_t looked; // bytes of the text
    const uint32_t *next;
    uint32_t *stop;
    uint32_t *at; // [SCAN_COMMAS_MAX]
};

// Five are written without a look at how many there are: that is nothing to predict.
SCAN_INLINE void scan_commas_write(struct scan_commas *commas, uint64_t bits)
{
    enum { AT_ONCE = 5 };
    const uint32_t from = commas->looked;
    const uint32_t count = (uint32_t)__builtin_popcountll(bits);
    for (uint32_t i = 0; i < AT_ONCE; i++, bits &= bits - 1)
        commas->stop[i] = from + scan_lowest(bits);
    if (__builtin_expect(count > AT_ONCE, 0))
        for (uint32_t i = AT_ONCE; i < count; i++, bits &= bits - 1)
            commas->stop[i] = from + scan_lowest(bits);
    commas->stop += count;
    commas->looked = from + SCAN_BLOCK_BYTES;
}

SCAN_INLINE void scan_commas_fill(struct scan_commas *commas)
{
    while (commas->size - commas->looked >= SCAN_BLOCK_BYTES) {
        if (commas->stop >= commas->at + SCAN_COMMAS_FULL)
            return;
        scan_commas_write(commas, scan_comma_bits(commas->text + commas->looked));
    }
    const uint64_t own = (1ull << (commas->size - commas->looked)) - 1;
    scan_commas_write(commas, scan_comma_bits(commas->text + commas->looked) & own);
    *commas->stop++ = commas->last;
}

// Those from `from` on, which like `last` is below the size.
SCAN_INLINE void scan_commas_begin(struct scan_commas *commas, uint32_t from)
{
    commas->looked = from;
    commas->next = commas->at;
    commas->stop = commas->at;
    scan_commas_fill(commas);
}

struct scan_refilled { // comes back in registers
    uint32_t *stop;
    uint32_t looked;
};

// Takes and gives single values: a struct whose address is passed on does not stay in registers.
static __attribute__((noinline)) struct scan_refilled
scan_commas_refill(const char *text, uint32_t size, uint32_t last, uint32_t looked, uint32_t *at,
                   const uint32_t *next, const uint32_t *stop)
{
    const size_t left = (size_t)(stop - next);
    struct scan_commas commas = {.text = text, .size = size, .last = last, .looked = looked};
    memmove(at, next, left * sizeof *at);
    commas.at = at;
    commas.stop = at + left;
    if (looked <= size)
        scan_commas_fill(&commas);
    return (struct scan_refilled){commas.stop, commas.looked};
}

// True if there are `count` more, few.
SCAN_INLINE bool scan_commas_ahead(struct scan_commas *commas, uint32_t count)
{
    if (__builtin_expect(commas->stop - commas->next >= count, 1))
        return true;
    const struct scan_refilled refilled =
        scan_commas_refill(commas->text, commas->size, commas->last, commas->looked, commas->at,
                           commas->next, commas->stop);
    commas->next = commas->at;
    commas->stop = refilled.stop;
    commas->looked = refilled.looked;
    return commas->stop - commas->next >= count;
}

#endif
