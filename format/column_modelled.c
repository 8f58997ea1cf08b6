// SPDX-License-Identifier: Apache-2.0
//
// Residuals are sorted by context into one array, so that a list is a range of it; decoding merges
// them back. Split and merge by one bit, the commonest, are vector loops.
#include "format/column_modelled.h"

#include <stdlib.h>

#include "format/ensure.h"

enum {
    MODELLED_SAMPLE = 1024, // numbers that models are compared on
};

struct modelled_room {
    uint32_t count_max;
    struct list_room *lists;
    uint64_t *residuals_memory;
    uint64_t *residuals; // [count_max + LIST_SLACK] in the column's order; 0 before the first
    uint64_t *sorted;    // the same by context
    uint64_t *ones;      // those of the second of two contexts, on their way to `sorted`
    uint8_t *contexts;
    uint8_t *bitmap;
};

// Where the residuals of each context lie in `sorted`.
struct modelled_split {
    unsigned contexts;
    uint32_t start[MODEL_CONTEXTS_MAX + 1];
};

struct modelled_room *modelled_room_open(uint32_t count_max)
{
    struct modelled_room *room = calloc(1, sizeof *room);
    size_t bytes = ((size_t)count_max + LIST_SLACK) * sizeof(uint64_t);
    if (!room)
        return NULL;
    room->count_max = count_max;
    room->lists = list_room_open(count_max);
    room->residuals_memory = calloc(1, bytes + sizeof(uint64_t));
    room->residuals = room->residuals_memory ? room->residuals_memory + 1 : NULL;
    room->sorted = calloc(1, bytes);
    room->ones = calloc(1, bytes);
    room->contexts = malloc(count_max);
    room->bitmap = malloc(bits_bytes(count_max) + 1);
    if (room->lists && room->residuals && room->sorted && room->ones && room->contexts &&
        room->bitmap)
        return room;
    modelled_room_close(room);
    return NULL;
}

void modelled_room_close(struct modelled_room *room)
{
    if (!room)
        return;
    list_room_close(room->lists);
    free(room->residuals_memory);
    free(room->sorted);
    free(room->ones);
    free(room->contexts);
    free(room->bitmap);
    free(room);
}

struct list_room *modelled_lists(struct modelled_room *room)
{
    return room->lists;
}

// ---- contexts ----

static void add_last(const struct model *model, const uint64_t *residuals, uint32_t count,
                     uint8_t *contexts)
{
    const struct model_predicate *last = model_last(model);
    uint64_t residual = 0;
    if (!last)
        return;
    for (uint32_t i = 0; i < count; i++) {
        contexts[i] =
            (uint8_t)(contexts[i] * (last->cap + 1) + model_last_value(last, residual));
        residual = residuals[i];
    }
}

static void split_count(const uint8_t *contexts, uint32_t count, struct modelled_split *split)
{
    uint32_t counts[256] = {0};
    for (uint32_t i = 0; i < count; i++)
        counts[contexts[i]]++;
    ensure(split->contexts > 0 && split->contexts <= MODEL_CONTEXTS_MAX);
    split->start[0] = 0;
    for (unsigned c = 0; c < split->contexts; c++)
        split->start[c + 1] = split->start[c] + counts[c];
    ensure(split->start[split->contexts] == count);
}

static void split_sort(const uint64_t *residuals, const uint8_t *contexts, uint32_t count,
                       const struct modelled_split *split, uint64_t *sorted)
{
    uint32_t at[MODEL_CONTEXTS_MAX];
    memcpy(at, split->start, sizeof at);
    for (uint32_t i = 0; i < count; i++)
        sorted[at[contexts[i]]++] = residuals[i];
}

// Two contexts by whether a column changed: the commonest model, without the detour over numbers.
static bool model_is_change(const struct model *model)
{
    const struct model_predicate *only = &model->predicates[0];
    return model->lineage == MODEL_SEQUENCE && model->predicate_count == 1 &&
           only->kind == MODEL_CHANGE && only->cap == 1 && only->shift == 0;
}

static uint32_t bitmap_ones(const uint8_t *bitmap, uint32_t count)
{
    uint32_t ones = 0;
    for (uint32_t i = 0; i < bits_bytes(count); i++)
        ones += (uint32_t)__builtin_popcount(bitmap[i]);
    return ones;
}

// room->bitmap: where it changed; how often.
static uint32_t changes_of(struct modelled_room *room, const int64_t *x, uint32_t count)
{
    list_kernels(room->lists)->changes((const uint64_t *)x, count, 0, room->bitmap);
    return bitmap_ones(room->bitmap, count);
}

// By whether the residual before is 0: its bit is that of the residual, moved by one.
static bool model_is_last(const struct model *model)
{
    const struct model_predicate *only = &model->predicates[0];
    return model->predicate_count == 1 && only->kind == MODEL_LAST && only->cap == 1 &&
           only->shift == 0;
}

static void split_bitmap(struct modelled_room *room, uint32_t count, uint32_t ones,
                         struct modelled_split *split)
{
    ensure(split->contexts == 2 && ones < count);
    split->start[0] = 0;
    split->start[1] = count - ones;
    split->start[2] = count;
    list_kernels(room->lists)
        ->split(room->bitmap, count, room->residuals, room->sorted, room->ones);
    memcpy(room->sorted + split->start[1], room->ones, ones * sizeof *room->ones);
}

static void split_change(struct modelled_room *room, const int64_t *x, uint32_t count,
                         struct modelled_split *split)
{
    split_bitmap(room, count, changes_of(room, x, count), split);
}

static void split_last(struct modelled_room *room, uint32_t count, struct modelled_split *split)
{
    const uint64_t *before = room->residuals - 1;
    ensure(before[0] == 0); // the first number has none
    list_kernels(room->lists)->differs(before, count, 0, room->bitmap);
    split_bitmap(room, count, bitmap_ones(room->bitmap, count), split);
}

static void split_any(struct modelled_room *room, const struct model_frame *frame,
                      const struct model *model, uint32_t count, struct modelled_split *split)
{
    if (split->contexts == 1) {
        split->start[0] = 0;
        split->start[1] = count;
        memcpy(room->sorted, room->residuals, count * sizeof *room->sorted);
        return;
    }
    if (model_is_change(model)) {
        split_change(room, frame->columns[model->predicates[0].column], count, split);
        return;
    }
    if (model_is_last(model)) {
        split_last(room, count, split);
        return;
    }
    model_context(frame, model, count, room->contexts);
    add_last(model, room->residuals, count, room->contexts);
    split_count(room->contexts, count, split);
    split_sort(room->residuals, room->contexts, count, split, room->sorted);
}

// ---- encoding ----

uint8_t *modelled_encode(struct modelled_room *room, enum column_level level,
                         const struct model_frame *frame, const struct model *model,
                         const int64_t *values, uint32_t count, uint8_t *out)
{
    struct modelled_split split = {.contexts = model_contexts(model)};
    ensure(count > 0 && count <= room->count_max);
    ensure(model_possible(frame, model, count));
    uint64_t start = model_start(frame, model, (const uint64_t *)values);
    model_residuals(frame, model, start, (const uint64_t *)values, count, room->residuals);
    out = model_put(model, out);
    if (model_has_start(model))
        out = wire_put_varint(out, wire_zigzag((int64_t)start));
    if (split.contexts == 1)
        return list_encode(room->lists, level, room->residuals, count, out);
    split_any(room, frame, model, count, &split);
    for (unsigned c = 0; c < split.contexts; c++) {
        uint32_t part = split.start[c + 1] - split.start[c];
        out = wire_put_varint(out, part);
        if (part != 0)
            out = list_encode(room->lists, level, room->sorted + split.start[c], part, out);
    }
    return out;
}

// ---- estimate ----

// Bits that a common divisor of the numbers takes away from each.
static unsigned estimate_step(const uint64_t *numbers, uint32_t count)
{
    uint64_t step = 0;
    for (uint32_t i = 0; i < count && step != 1; i++) {
        uint64_t a = numbers[i];
        while (a != 0) {
            uint64_t rest = step % a;
            step = a;
            a = rest;
        }
    }
    return step == 0 ? 0 : bits_length(step) - 1;
}

// Bits of `count` numbers by an ideal code of their lengths and the rest plain.
static uint64_t estimate_list(const struct vector_kernels *kernels, const uint64_t *numbers,
                              uint32_t count, uint64_t *room)
{
    uint32_t lengths[65] = {0};
    uint64_t least = numbers[0];
    uint64_t signs = 0;
    uint64_t bits = 0;
    for (uint32_t i = 0; i < count; i++)
        least = (int64_t)numbers[i] < (int64_t)least ? numbers[i] : least;
    // Around zero by magnitude and sign, elsewhere by the distance from the least.
    bool around = (int64_t)least < 0 ? (int64_t)least > -(1ll << 40) : least < 1ull << 32;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t negative = around && (int64_t)numbers[i] < 0;
        room[i] = around ? (negative ? 0 - numbers[i] : numbers[i]) : numbers[i] - least;
        signs += (int64_t)least < 0 && room[i] != 0;
    }
    unsigned step = estimate_step(room, count);
    kernels->lengths(room, count, lengths);
    for (unsigned b = 0; b < 65; b++) {
        if (lengths[b] == 0)
            continue;
        unsigned code = bits_length(count / lengths[b]);
        unsigned plain = b > step + 1 ? b - 1 - step : 0;
        bits += (uint64_t)lengths[b] * (plain + code);
    }
    return bits + (around ? signs : 0);
}

uint64_t modelled_estimate(struct modelled_room *room, const struct model_frame *frame,
                           const struct model *model, const int64_t *values, uint32_t count)
{
    struct modelled_split split = {.contexts = model_contexts(model)};
    uint64_t bits = 0;
    ensure(count > 0 && count <= room->count_max);
    ensure(model_possible(frame, model, count));
    uint64_t start = model_start(frame, model, (const uint64_t *)values);
    uint32_t sample = count < MODELLED_SAMPLE ? count : MODELLED_SAMPLE;
    model_residuals(frame, model, start, (const uint64_t *)values, sample, room->residuals);
    split_any(room, frame, model, sample, &split);
    for (unsigned c = 0; c < split.contexts; c++) {
        uint32_t part = split.start[c + 1] - split.start[c];
        if (part != 0)
            bits += estimate_list(list_kernels(room->lists), room->sorted + split.start[c], part,
                                  room->residuals);
    }
    return bits * count / sample + (uint64_t)split.contexts * 128;
}

// ---- decoding ----

bool modelled_needs(const uint8_t *bytes, size_t size, struct modelled_needs *needs)
{
    struct wire_reader in = wire_reader_of(bytes, size);
    struct model model;
    *needs = (struct modelled_needs){0};
    if (!model_get(&in, &model))
        return false;
    needs->lineage = model.lineage;
    if (model_uses_column(&model))
        needs->columns[needs->count++] = model.column;
    for (unsigned p = 0; p < model.predicate_count; p++) {
        if (model_predicate_uses_column(&model.predicates[p]))
            needs->columns[needs->count++] = model.predicates[p].column;
    }
    return true;
}

// How many of the first `needed` numbers each context has; MODEL_LAST tells only on the way.
// room->bitmap or room->contexts: which number has which.
static void find_contexts(struct modelled_room *room, const struct model_frame *frame,
                          const struct model *model, uint32_t needed, struct modelled_split *first)
{
    if (model_is_change(model)) {
        uint32_t changes = changes_of(room, frame->columns[model->predicates[0].column], needed);
        first->start[0] = 0;
        first->start[1] = needed - changes;
        first->start[2] = needed;
        return;
    }
    model_context(frame, model, needed, room->contexts);
    if (!model_last(model))
        split_count(room->contexts, needed, first);
}

// `first`: NULL, or how many of each context are needed of `needed`.
static bool get_lists(struct modelled_room *room, struct wire_reader *in, uint32_t count,
                      uint32_t needed, const struct modelled_split *first,
                      struct modelled_split *split)
{
    uint32_t at = 0;
    ensure(split->contexts > 1 && split->contexts <= MODEL_CONTEXTS_MAX);
    for (unsigned c = 0; c < split->contexts; c++) {
        uint64_t part = wire_get_varint(in);
        split->start[c] = at;
        if (in->failed || part > count - at)
            return false;
        uint32_t most = part < needed ? (uint32_t)part : needed;
        uint32_t of_it = first ? first->start[c + 1] - first->start[c] : most;
        if (of_it > part || (first && needed == count && of_it != part))
            return false;
        if (part != 0 &&
            !list_decode_first(room->lists, in, (uint32_t)part, of_it, room->sorted + at))
            return false;
        at += (uint32_t)part;
    }
    split->start[split->contexts] = at;
    return at == count;
}

// Contexts of the other predicates are known; that of MODEL_LAST comes number by number.
static bool merge_last(const struct modelled_room *room, const struct model_predicate *last,
                       const struct modelled_split *split, uint32_t needed, uint64_t *out)
{
    uint32_t at[MODEL_CONTEXTS_MAX];
    uint64_t residual = 0;
    ensure(split->start[split->contexts] >= needed);
    memcpy(at, split->start, sizeof at);
    for (uint32_t i = 0; i < needed; i++) {
        unsigned context = room->contexts[i] * (last->cap + 1u) + model_last_value(last, residual);
        ensure(context < split->contexts);
        if (at[context] == split->start[context + 1])
            return false;
        residual = room->sorted[at[context]++];
        out[i] = residual;
    }
    return true;
}

// The residuals in the column's order.
static bool merge(struct modelled_room *room, const struct model *model,
                  const struct modelled_split *split, uint32_t needed, uint64_t *out)
{
    const struct model_predicate *last = model_last(model);
    if (model_is_change(model)) {
        list_kernels(room->lists)
            ->merge(room->bitmap, needed, room->sorted, room->sorted + split->start[1], out);
        return true;
    }
    if (last)
        return merge_last(room, last, split, needed, out);
    uint32_t at[MODEL_CONTEXTS_MAX];
    memcpy(at, split->start, sizeof at);
    for (uint32_t i = 0; i < needed; i++)
        out[i] = room->sorted[at[room->contexts[i]]++];
    return true;
}

bool modelled_decode_first(struct modelled_room *room, const struct model_frame *frame,
                           struct wire_reader *in, int64_t *values, uint32_t count,
                           uint32_t needed)
{
    struct model model;
    uint64_t *out = (uint64_t *)values;
    ensure(count > 0 && count <= room->count_max);
    ensure(needed > 0 && needed <= count);
    if (!model_get(in, &model) || !model_possible(frame, &model, count))
        return false;
    uint64_t start =
        model_has_start(&model) ? (uint64_t)wire_unzigzag(wire_get_varint(in)) : 0;
    struct modelled_split split = {.contexts = model_contexts(&model)};
    struct modelled_split first = {.contexts = split.contexts};
    if (split.contexts == 1) {
        if (!list_decode_first(room->lists, in, count, needed, out))
            return false;
    } else {
        find_contexts(room, frame, &model, needed, &first);
        if (!get_lists(room, in, count, needed, model_last(&model) ? NULL : &first, &split) ||
            !merge(room, &model, &split, needed, out))
            return false;
    }
    model_restore(frame, &model, start, needed, out);
    return true;
}

bool modelled_decode(struct modelled_room *room, const struct model_frame *frame,
                     struct wire_reader *in, int64_t *values, uint32_t count)
{
    return modelled_decode_first(room, frame, in, values, count, count);
}
