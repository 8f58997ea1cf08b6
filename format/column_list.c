// SPDX-License-Identifier: Apache-2.0
//
// A list is encoded by looking at it once (range, common divisor, runs, the commonest number), then
// by trying the kinds that this look leaves in question.
#include "format/column_list.h"

#include <stdlib.h>

#include "format/column_list_room.h"
#include "format/column_pack.h"
#include "format/ensure.h"

enum {
    LIST_STEP_SAMPLE = 64,   // numbers that a common divisor is first looked for in
    LIST_COMMON_SAMPLE = 128,
    LIST_SPARSE_SHARE = 3,   // the common number must be one in three
    LIST_RUN_LENGTH = 8,     // runs must be this long on average
    LIST_LIGHT_BINS = 8,     // bits a number from which on the light level looks at bins
    LIST_DICTIONARY_SLOTS = 1024,
    LIST_DICTIONARY_SAMPLE = 64,
    LIST_TICK_SAMPLE = 96,
    LIST_TICK_FIRST = 16,
    LIST_TICK_SHARE = 16, // a rest is small below this part of the unit
};

struct list_room *list_room_open(uint32_t count_max)
{
    struct list_room *room = calloc(1, sizeof *room);
    size_t bytes = ((size_t)count_max + LIST_SLACK) * sizeof(uint64_t);
    if (!room)
        return NULL;
    room->count_max = count_max;
    room->kernels = vector_kernels();
    room->bins = bins_room_open(count_max);
    room->ticks = malloc(bytes);
    room->rests = malloc(bytes);
    bool good = room->bins && room->ticks && room->rests;
    for (int d = 0; d < 2; d++) {
        struct list_desk *desk = &room->desks[d];
        desk->numbers = malloc(bytes);
        desk->others = malloc(bytes);
        desk->bitmap = malloc(bits_bytes(count_max) + 1);
        good = good && desk->numbers && desk->others && desk->bitmap;
    }
    if (good)
        return room;
    list_room_close(room);
    return NULL;
}

void list_room_close(struct list_room *room)
{
    if (!room)
        return;
    bins_room_close(room->bins);
    free(room->ticks);
    free(room->rests);
    for (int d = 0; d < 2; d++) {
        free(room->desks[d].numbers);
        free(room->desks[d].others);
        free(room->desks[d].bitmap);
    }
    free(room);
}

void list_room_kernels(struct list_room *room, const struct vector_kernels *kernels)
{
    ensure(kernels);
    room->kernels = kernels;
}

const struct vector_kernels *list_kernels(const struct list_room *room)
{
    return room->kernels;
}

// ---- a look ----

static uint64_t list_gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void list_range(const uint64_t *numbers, uint32_t count, uint64_t *base, uint64_t *span)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    ensure(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        int64_t number = (int64_t)numbers[i];
        min = number < min ? number : min;
        max = number > max ? number : max;
    }
    *base = (uint64_t)min;
    *span = (uint64_t)max - (uint64_t)min;
}

// x with odd * x = 1 modulo 2^64, by Newton's method: each turn doubles the bits that are right.
static uint64_t list_inverse(uint64_t odd)
{
    uint64_t inverse = odd;
    ensure(odd & 1);
    for (int turn = 0; turn < 5; turn++)
        inverse *= 2 - odd * inverse;
    ensure(odd * inverse == 1);
    return inverse;
}

// list_divide() where all distances fit into 32 bits: the products are half as long. False: it is
// not exact.
static bool list_divide_short(const uint64_t *numbers, uint32_t count, uint64_t base,
                              uint64_t span, uint64_t step, uint64_t *out)
{
    const unsigned zeros = (unsigned)__builtin_ctzll(step);
    const uint32_t inverse = (uint32_t)list_inverse(step >> zeros);
    const uint64_t most = span / step;
    uint64_t bad = 0;
    ensure(span <= UINT32_MAX && step <= UINT32_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = numbers[i] - base;
        uint32_t quotient = (uint32_t)(number >> zeros) * inverse;
        out[i] = quotient;
        bad |= (uint64_t)(quotient > most) | ((uint64_t)quotient * (uint32_t)step ^ number);
    }
    return bad == 0;
}

// out[i] = (numbers[i] - base) / step. Returns `count`, or the first place where that is not exact.
// An exact quotient is the product with the inverse, which unlike a division is one cycle.
static uint32_t list_divide(const uint64_t *numbers, uint32_t count, uint64_t base, uint64_t span,
                            uint64_t step, uint64_t *out)
{
    ensure(step != 0);
    if (span <= UINT32_MAX && list_divide_short(numbers, count, base, span, step, out))
        return count;
    unsigned zeros = (unsigned)__builtin_ctzll(step);
    uint64_t inverse = list_inverse(step >> zeros);
    uint64_t most = span / step;
    uint64_t bad = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = numbers[i] - base;
        uint64_t quotient = (number >> zeros) * inverse;
        out[i] = quotient;
        bad |= (uint64_t)(quotient > most) | (quotient * step ^ number);
    }
    if (bad == 0)
        return count;
    uint32_t at = 0;
    while ((numbers[at] - base) % step == 0)
        at++;
    return at;
}

// The greatest common divisor of all distances from the base; desk->numbers: the quotients.
static uint64_t list_step(const uint64_t *numbers, uint32_t count, uint64_t base, uint64_t span,
                          uint64_t *quotients)
{
    uint64_t step = 0;
    uint32_t stride = count / LIST_STEP_SAMPLE + 1;
    ensure(span != 0);
    for (uint32_t i = 0; i < count && step != 1; i += stride)
        step = list_gcd(numbers[i] - base, step);
    step = step == 0 ? list_gcd(span, 0) : step;
    for (;;) {
        uint32_t at = list_divide(numbers, count, base, span, step, quotients);
        if (at == count) {
            ensure(span % step == 0);
            return step;
        }
        step = list_gcd(numbers[at] - base, step);
    }
}

// The commonest number, guessed by a vote (Boyer and Moore) over a sample; how many are it.
static uint32_t list_common(const uint64_t *numbers, uint32_t count, uint64_t *common)
{
    uint32_t votes = 0;
    uint32_t equal = 0;
    uint64_t guess = numbers[0];
    for (uint32_t i = 0; i < count; i += count / LIST_COMMON_SAMPLE + 1) {
        guess = votes == 0 ? numbers[i] : guess;
        votes += numbers[i] == guess ? 1 : (uint32_t)-1;
    }
    for (uint32_t i = 0; i < count; i++)
        equal += numbers[i] == guess;
    ensure(equal > 0);
    *common = guess;
    return equal;
}

// ---- encoding ----

static uint8_t *encode_flat(struct list_room *room, enum column_level level, int depth,
                            const uint64_t *numbers, uint32_t count, uint8_t *out);

static uint8_t *put_head(uint8_t *out, enum list_kind kind, uint64_t base, uint64_t step)
{
    ensure(kind == LIST_PACKED || kind == LIST_BINS);
    ensure(step != 0);
    *out++ = (uint8_t)kind;
    out = wire_put_varint(out, wire_zigzag((int64_t)base));
    return wire_put_varint(out, step);
}

static uint8_t *encode_constant(uint64_t number, uint8_t *out)
{
    *out++ = LIST_CONSTANT;
    return wire_put_varint(out, wire_zigzag((int64_t)number));
}

// Light: numbers of all sizes (distances between price levels) waste half of a fixed width. Where
// a code for their lengths alone saves three tenths, it is worth its time. True: done.
static bool encode_lengths(struct list_room *room, const uint64_t *quotients, uint32_t count,
                           const uint32_t lengths[65], size_t packed, uint8_t *out, uint8_t **end)
{
    if (packed * 8 < (size_t)count * LIST_LIGHT_BINS || count < VECTOR_COUNT)
        return false;
    size_t bytes = bins_choose_lengths(lengths, count, &room->plan);
    if (bytes * 10 > packed * 7)
        return false;
    *end = bins_encode(room->bins, &room->plan, quotients, count, out);
    return true;
}

// Dense: bins, unless they take more than packed numbers. What their description takes is known
// only when it is written: a list of few wide numbers may turn out to be longer than was thought.
// True: done.
static bool encode_bins(struct list_room *room, const uint64_t *quotients, uint32_t count,
                        uint8_t *out, uint8_t **end)
{
    const size_t about = bins_choose(room->bins, quotients, count, &room->plan);
    size_t packed = bins_packed_least(&room->plan);
    if (about >= packed)
        packed = pack_bytes(room->kernels, quotients, count);
    if (about >= packed)
        return false;
    *end = bins_encode(room->bins, &room->plan, quotients, count, out);
    const size_t bytes = (size_t)(*end - out);
    return bytes < packed || bytes < pack_bytes(room->kernels, quotients, count);
}

// Most numbers near the high end of the range: counted downwards from it they are short.
static bool list_leans_high(const uint64_t *numbers, uint32_t count, uint64_t base, uint64_t span)
{
    uint32_t high = 0;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < count; i += count / LIST_COMMON_SAMPLE + 1, seen++)
        high += numbers[i] - base > span / 2;
    return high > seen / 2;
}

// Numbers as they are, packed or in bins.
static uint8_t *encode_flat(struct list_room *room, enum column_level level, int depth,
                            const uint64_t *numbers, uint32_t count, uint8_t *out)
{
    uint64_t base;
    uint64_t span;
    uint64_t *quotients = room->desks[depth].numbers;
    ensure(quotients != numbers && count <= room->count_max);
    list_range(numbers, count, &base, &span);
    if (span == 0)
        return encode_constant(base, out);
    uint64_t step = list_step(numbers, count, base, span, quotients);
    if (level == COLUMN_LEVEL_LIGHT && list_leans_high(numbers, count, base, span)) {
        uint64_t most = span / step;
        for (uint32_t i = 0; i < count; i++)
            quotients[i] = most - quotients[i];
        base += span;
        step = 0 - step;
    }
    uint8_t *kind = out;
    uint8_t *end;
    out = put_head(out, LIST_PACKED, base, step);
    if (level == COLUMN_LEVEL_DENSE && encode_bins(room, quotients, count, out, &end)) {
        *kind = LIST_BINS;
        return end;
    }
    uint32_t lengths[65] = {0};
    end = pack_encode(room->kernels, quotients, count, lengths, out);
    if (level == COLUMN_LEVEL_LIGHT &&
        encode_lengths(room, quotients, count, lengths, (size_t)(end - out), out, &end))
        *kind = LIST_BINS;
    return end;
}

// The bytes of the numbers that are not `common`, in a list, behind a bitmap of where they are.
static uint8_t *encode_sparse(struct list_room *room, const uint64_t *numbers, uint32_t count,
                              uint64_t common, uint32_t others, uint8_t *out)
{
    uint64_t *rest = room->desks[0].others;
    ensure(others > 0 && others < count);
    *out++ = LIST_SPARSE;
    out = wire_put_varint(out, wire_zigzag((int64_t)common));
    out = wire_put_varint(out, others);
    room->kernels->differs(numbers, count, common, out);
    room->kernels->split(out, count, numbers, room->desks[0].numbers, rest);
    return encode_flat(room, COLUMN_LEVEL_LIGHT, 1, rest, others, out + bits_bytes(count));
}

static uint8_t *encode_runs(struct list_room *room, const uint64_t *numbers, uint32_t count,
                            uint8_t *out)
{
    uint64_t *values = room->desks[0].numbers;
    uint64_t *lengths = room->desks[0].others;
    uint32_t runs = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || numbers[i] != numbers[i - 1]) {
            values[runs] = numbers[i];
            lengths[runs++] = 0;
        }
        lengths[runs - 1]++;
    }
    ensure(runs > 0 && runs <= count);
    *out++ = LIST_RUNS;
    out = wire_put_varint(out, runs);
    out = encode_flat(room, COLUMN_LEVEL_LIGHT, 1, values, runs, out);
    return encode_flat(room, COLUMN_LEVEL_LIGHT, 1, lengths, runs, out);
}

// ---- dictionary ----

struct dictionary {
    uint32_t count;
    uint64_t numbers[LIST_DICTIONARY_MAX];
    uint16_t slots[LIST_DICTIONARY_SLOTS]; // place + 1; 0: free
};

// Where `number` is or becomes; LIST_DICTIONARY_MAX: full.
static uint32_t dictionary_place(struct dictionary *dictionary, uint64_t number)
{
    uint32_t slot = (uint32_t)(number * 0x9e3779b97f4a7c15ull >> 54);
    while (dictionary->slots[slot] != 0) {
        uint32_t place = dictionary->slots[slot] - 1u;
        if (dictionary->numbers[place] == number)
            return place;
        slot = (slot + 1) % LIST_DICTIONARY_SLOTS;
    }
    if (dictionary->count == LIST_DICTIONARY_MAX)
        return LIST_DICTIONARY_MAX;
    dictionary->numbers[dictionary->count] = number;
    dictionary->slots[slot] = (uint16_t)++dictionary->count;
    return dictionary->count - 1;
}

// desk->others: places. False: too many different numbers.
static bool dictionary_fill(struct dictionary *dictionary, const uint64_t *numbers, uint32_t count,
                            uint64_t *places)
{
    memset(dictionary->slots, 0, sizeof dictionary->slots);
    dictionary->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = dictionary_place(dictionary, numbers[i]);
        if (place == LIST_DICTIONARY_MAX ||
            (i == LIST_DICTIONARY_SAMPLE && dictionary->count > LIST_DICTIONARY_SAMPLE / 2))
            return false;
        places[i] = place;
    }
    return true;
}

static uint8_t *encode_dictionary(struct list_room *room, const struct dictionary *dictionary,
                                  uint32_t count, uint8_t *out)
{
    ensure(dictionary->count > 0 && dictionary->count <= LIST_DICTIONARY_MAX);
    *out++ = LIST_DICTIONARY;
    out = wire_put_varint(out, dictionary->count);
    out = encode_flat(room, COLUMN_LEVEL_LIGHT, 1, dictionary->numbers, dictionary->count, out);
    return encode_flat(room, COLUMN_LEVEL_LIGHT, 1, room->desks[0].others, count, out);
}

// ---- ticks ----

// number = unit * tick + rest, rest around zero.
static uint64_t tick_of(uint64_t number, uint64_t unit)
{
    bool negative = (int64_t)number < 0;
    uint64_t size = negative ? 0 - number : number;
    uint64_t tick = (size + unit / 2) / unit;
    return negative ? 0 - tick : tick;
}

// Are most of a sample nearly multiples of `unit`? One in eight would be by chance, so the first
// few numbers settle most questions. One number again and again tells nothing of a clock.
static bool tick_fits(const uint64_t *numbers, uint32_t count, uint64_t unit)
{
    uint32_t stride = count / LIST_TICK_SAMPLE + 1;
    uint32_t near = 0;
    uint32_t seen = 0;
    uint32_t large = 0;
    uint32_t same = 0;
    for (uint32_t i = 0; i < count; i += stride) {
        uint64_t tick = tick_of(numbers[i], unit);
        uint64_t rest = numbers[i] - unit * tick + unit / LIST_TICK_SHARE;
        near += rest <= 2 * (unit / LIST_TICK_SHARE);
        large += tick != 0;
        same += i != 0 && numbers[i] == numbers[i - stride];
        seen++;
        if (seen == LIST_TICK_FIRST && near < LIST_TICK_FIRST / 2)
            return false;
    }
    return near > seen / 2 + seen / 8 && large > seen / 2 && same <= seen / 2;
}

// A unit that most numbers are nearly multiples of, or 0.
static uint64_t tick_unit(const uint64_t *numbers, uint32_t count)
{
    static const uint64_t units[] = {1000000, 100000, 10000, 1000, 100, 40, 10};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        if (tick_fits(numbers, count, units[u]))
            return units[u];
    }
    return 0;
}

static uint8_t *encode_simple(struct list_room *room, enum column_level level,
                              const uint64_t *numbers, uint32_t count, uint8_t *out);

static uint8_t *encode_ticks(struct list_room *room, enum column_level level, uint64_t unit,
                             const uint64_t *numbers, uint32_t count, uint8_t *out)
{
    ensure(unit > 1);
    for (uint32_t i = 0; i < count; i++) {
        room->ticks[i] = tick_of(numbers[i], unit);
        room->rests[i] = numbers[i] - unit * room->ticks[i];
    }
    *out++ = LIST_TICKS;
    out = wire_put_varint(out, unit);
    out = encode_flat(room, level, 1, room->ticks, count, out);
    return encode_simple(room, level, room->rests, count, out);
}

// ---- choice ----

// Takes the bytes [best, end) of another way of coding if they are fewer.
static uint8_t *take_shorter(uint8_t *out, uint8_t *end, uint8_t *other_end)
{
    size_t bytes = (size_t)(end - out);
    size_t other = (size_t)(other_end - end);
    ensure(out < end && end < other_end);
    if (other >= bytes)
        return end;
    memmove(out, end, other);
    return out + other;
}

// Flat, or without an entropy code sparse.
static uint8_t *encode_simple(struct list_room *room, enum column_level level,
                              const uint64_t *numbers, uint32_t count, uint8_t *out)
{
    uint64_t common;
    uint8_t *end = encode_flat(room, level, 0, numbers, count, out);
    if (level == COLUMN_LEVEL_DENSE || out[0] == LIST_CONSTANT)
        return end;
    uint32_t equal = list_common(numbers, count, &common);
    if (equal <= count / LIST_SPARSE_SHARE)
        return end;
    return take_shorter(out, end, encode_sparse(room, numbers, count, common, count - equal, end));
}

static uint32_t list_runs(struct list_room *room, const uint64_t *numbers, uint32_t count)
{
    uint8_t *bitmap = room->desks[0].bitmap;
    uint32_t runs = 0;
    room->kernels->changes(numbers, count, 1, bitmap);
    for (uint32_t i = 0; i < bits_bytes(count); i++)
        runs += (uint32_t)__builtin_popcount(bitmap[i]);
    return runs;
}

// Dense: all that may be best is tried.
static uint8_t *encode_dense(struct list_room *room, const uint64_t *numbers, uint32_t count,
                             uint8_t *out)
{
    uint8_t *end = encode_flat(room, COLUMN_LEVEL_DENSE, 0, numbers, count, out);
    if ((size_t)(end - out) <= count) // less than a byte a number: little to gain
        return end;
    uint64_t unit = tick_unit(numbers, count);
    if (unit == 0)
        return end;
    return take_shorter(
        out, end, encode_ticks(room, COLUMN_LEVEL_DENSE, unit, numbers, count, end));
}

// Light: what a look at a sample says is taken without a second try.
static uint8_t *encode_light(struct list_room *room, const uint64_t *numbers, uint32_t count,
                             uint8_t *out)
{
    struct dictionary dictionary;
    uint64_t unit = count < VECTOR_COUNT ? 0 : tick_unit(numbers, count);
    if (unit != 0)
        return encode_ticks(room, COLUMN_LEVEL_LIGHT, unit, numbers, count, out);
    uint8_t *end = encode_simple(room, COLUMN_LEVEL_LIGHT, numbers, count, out);
    if (out[0] == LIST_CONSTANT)
        return end;
    if (list_runs(room, numbers, count) < count / LIST_RUN_LENGTH)
        end = take_shorter(out, end, encode_runs(room, numbers, count, end));
    if ((size_t)(end - out) > count &&
        dictionary_fill(&dictionary, numbers, count, room->desks[0].others))
        end = take_shorter(out, end, encode_dictionary(room, &dictionary, count, end));
    return end;
}

uint8_t *list_encode(struct list_room *room, enum column_level level, const uint64_t *numbers,
                     uint32_t count, uint8_t *out)
{
    ensure(count > 0 && count <= room->count_max);
    uint8_t *end = level == COLUMN_LEVEL_DENSE ? encode_dense(room, numbers, count, out)
                                               : encode_light(room, numbers, count, out);
    ensure((size_t)(end - out) <= list_bytes_max(count));
    return end;
}
