// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the tests of the column codecs share: memory between pages that must not be touched, and
// numbers as columns have them and as nobody would have them.
#ifndef RINGTAPE_TESTS_COLUMN_FIXTURE_H
#define RINGTAPE_TESTS_COLUMN_FIXTURE_H

#include <stdlib.h>
#include <sys/mman.h>

#include "format/column_bits.h"
#include "tests/format_random.h"

enum { GUARD_PAGE = 4096 };

// One piece of memory at a time: its first or its last byte lies against a page that is not there.
struct guarded {
    uint8_t *pages;
    size_t bytes;
};

static inline struct guarded guarded_open(size_t bytes_max)
{
    size_t bytes = (bytes_max + GUARD_PAGE - 1) / GUARD_PAGE * GUARD_PAGE;
    uint8_t *pages = mmap(NULL, bytes + 2 * GUARD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                          -1, 0);
    ensure(pages != MAP_FAILED);
    ensure(mprotect(pages + GUARD_PAGE, bytes, PROT_READ | PROT_WRITE) == 0);
    return (struct guarded){pages, bytes};
}

static inline void guarded_close(struct guarded *guarded)
{
    (void)munmap(guarded->pages, guarded->bytes + 2 * GUARD_PAGE);
}

// Filled with 0xa5.
static inline void *guarded_take(const struct guarded *guarded, size_t bytes, bool at_end)
{
    ensure(bytes <= guarded->bytes);
    uint8_t *start = guarded->pages + GUARD_PAGE + (at_end ? guarded->bytes - bytes : 0);
    memset(start, 0xa5, bytes);
    return start;
}

// The same every time, unless RINGTAPE_TEST_SEED says otherwise.
static inline uint64_t column_seed(void)
{
    const char *text = getenv("RINGTAPE_TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20240808;
}

// How numbers of a list are to each other.
enum column_style {
    COLUMN_STYLE_WIDTH,     // below 2^width
    COLUMN_STYLE_SUMS,      // rising by numbers below 2^width
    COLUMN_STYLE_SIGNS,     // alternating signs
    COLUMN_STYLE_EXTREMES,  // INT64_MIN, INT64_MAX, 0, -1 and any
    COLUMN_STYLE_RUNS,
    COLUMN_STYLE_SPARSE,    // one number in most places
    COLUMN_STYLE_FEW,       // some dozen different numbers, far apart
    COLUMN_STYLE_STEPS,     // multiples of something
    COLUMN_STYLE_LENGTHS,   // each length in bits as often
    COLUMN_STYLE_OUTLIERS,  // short, but for one in a hundred
    COLUMN_STYLE_HIGH,      // near the upper end of their range
    COLUMN_STYLE_CLUSTERS,
    COLUMN_STYLE_TICKS,     // near multiples of a round number
    COLUMN_STYLE_CONSTANT,
    COLUMN_STYLE_MIXTURE,   // now this, now that
    COLUMN_STYLES,
};

static inline uint64_t column_below(struct format_random *random, unsigned width)
{
    return random_next(random) & bits_mask(width);
}

static inline uint64_t column_number(struct format_random *random, enum column_style style,
                                     unsigned width, uint64_t salt, uint64_t before, uint32_t i)
{
    uint64_t raw = column_below(random, width);
    switch (style) {
    case COLUMN_STYLE_SUMS:
        return before + raw;
    case COLUMN_STYLE_SIGNS:
        return i % 2 ? raw : 0 - raw;
    case COLUMN_STYLE_EXTREMES:
        return (uint64_t)random_value(random);
    case COLUMN_STYLE_RUNS:
        return i != 0 && random_below(random, 40) ? before : raw;
    case COLUMN_STYLE_SPARSE:
        return random_below(random, 20) ? salt : raw;
    case COLUMN_STYLE_FEW:
        return (salt | 1) * random_below(random, 30);
    case COLUMN_STYLE_STEPS:
        return salt + raw * (width % 3 == 0 ? 1000000 : 1ull << (width % 64));
    case COLUMN_STYLE_LENGTHS:
        return random_next(random) >> (1 + random_below(random, 63));
    case COLUMN_STYLE_OUTLIERS:
        return random_below(random, 100) ? raw & 63 : random_next(random);
    case COLUMN_STYLE_HIGH:
        return salt - (random_below(random, 50) ? raw & 255 : raw);
    case COLUMN_STYLE_CLUSTERS:
        return (random_next(random) % 5 << 40) + raw % 997;
    case COLUMN_STYLE_TICKS:
        return (random_next(random) % 300 - 100) * (width % 2 ? 1000000 : 1000) + (raw & 31);
    case COLUMN_STYLE_CONSTANT:
        return salt;
    default:
        return raw;
    }
}

static inline void column_numbers(struct format_random *random, enum column_style style,
                                  unsigned width, uint64_t *out, uint32_t count)
{
    enum column_style now = style;
    uint64_t salt = random_next(random);
    uint64_t before = salt;
    for (uint32_t i = 0; i < count; i++) {
        if (style == COLUMN_STYLE_MIXTURE && random_below(random, 50) == 0) {
            now = (enum column_style)random_below(random, COLUMN_STYLE_MIXTURE);
            width = random_below(random, 65);
        }
        before = out[i] = column_number(random, now, width, salt, before, i);
    }
}

#endif
