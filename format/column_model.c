// SPDX-License-Identifier: Apache-2.0
//
// Residuals and their inverse are written once, as a loop body over (i, predecessor); the sequence,
// where the predecessor is i - 1 and carried in a register, is compiled apart from the others.
#include "format/column_model.h"

#include "format/ensure.h"

// ---- description ----

bool model_uses_column(const struct model *model)
{
    const unsigned with_column = 1u << MODEL_OFFSET | 1u << MODEL_OFFSET_DELTA |
                                 1u << MODEL_DELTA_OR_VALUE | 1u << MODEL_FOLLOW |
                                 1u << MODEL_DELTA_OR_OFFSET;
    return with_column >> model->predictor & 1;
}

bool model_predicate_uses_column(const struct model_predicate *predicate)
{
    return predicate->kind == MODEL_CHANGE || predicate->kind == MODEL_DIRECTION ||
           predicate->kind == MODEL_CODE;
}

bool model_has_start(const struct model *model)
{
    return model->predictor != MODEL_VALUE && model->predictor != MODEL_OFFSET;
}

const struct model_predicate *model_last(const struct model *model)
{
    if (model->predicate_count == 0)
        return NULL;
    const struct model_predicate *last = &model->predicates[model->predicate_count - 1];
    return last->kind == MODEL_LAST ? last : NULL;
}

static unsigned predicate_values(const struct model_predicate *predicate)
{
    ensure(predicate->kind < MODEL_PREDICATE_KIND_COUNT);
    if (predicate->kind == MODEL_DIRECTION)
        return 3;
    return predicate->kind == MODEL_FIRST ? 2 : predicate->cap + 1u;
}

static bool predicate_possible(const struct model_predicate *predicate, bool last)
{
    bool has_cap = predicate->kind == MODEL_CHANGE || predicate->kind == MODEL_CODE ||
                   predicate->kind == MODEL_LAST;
    bool has_shift = predicate->kind == MODEL_CHANGE || predicate->kind == MODEL_LAST;
    return predicate->kind < MODEL_PREDICATE_KIND_COUNT && predicate->column < MODEL_COLUMNS &&
           predicate->cap <= MODEL_CAP_MAX && predicate->shift < 64 &&
           (model_predicate_uses_column(predicate) || predicate->column == 0) &&
           (has_cap ? predicate->cap > 0 : predicate->cap == 0) &&
           (has_shift || predicate->shift == 0) && (predicate->kind != MODEL_LAST || last);
}

unsigned model_contexts(const struct model *model)
{
    unsigned contexts = 1;
    if (model->predictor >= MODEL_PREDICTOR_COUNT || model->lineage >= MODEL_LINEAGE_COUNT ||
        model->column >= MODEL_COLUMNS || (!model_uses_column(model) && model->column != 0) ||
        model->predicate_count > MODEL_PREDICATES_MAX)
        return 0;
    for (unsigned p = 0; p < model->predicate_count; p++) {
        if (!predicate_possible(&model->predicates[p], p + 1u == model->predicate_count))
            return 0;
        contexts *= predicate_values(&model->predicates[p]);
        if (contexts > MODEL_CONTEXTS_MAX)
            return 0;
    }
    return contexts;
}

uint8_t *model_put(const struct model *model, uint8_t *out)
{
    ensure(model_contexts(model) > 0);
    *out++ = (uint8_t)(model->predictor | model->lineage << 4 | model->predicate_count << 6);
    if (model_uses_column(model))
        *out++ = model->column;
    for (unsigned p = 0; p < model->predicate_count; p++)
        out = wire_put(out, &model->predicates[p], sizeof model->predicates[p]);
    return out;
}

bool model_get(struct wire_reader *in, struct model *model)
{
    unsigned form = wire_get_u8(in);
    *model = (struct model){
        .predictor = form & 15, .lineage = form >> 4 & 3, .predicate_count = (uint8_t)(form >> 6)};
    if (model_uses_column(model))
        model->column = wire_get_u8(in);
    for (unsigned p = 0; p < model->predicate_count; p++) {
        const uint8_t *bytes = wire_get(in, sizeof model->predicates[p]);
        if (bytes)
            memcpy(&model->predicates[p], bytes, sizeof model->predicates[p]);
    }
    return !in->failed && model_contexts(model) > 0;
}

static bool frame_has(const struct model_frame *frame, unsigned column, uint32_t count)
{
    // Level columns go with level columns, others with others.
    bool of_levels = column >= 68 && column <= 72;
    return frame->columns[column] && (of_levels ? frame->levels : frame->rows) == count;
}

bool model_possible(const struct model_frame *frame, const struct model *model, uint32_t count)
{
    bool good = model_contexts(model) > 0;
    if (model->lineage != MODEL_SEQUENCE)
        good = good && frame->before[model->lineage] && frame->levels == count;
    if (model_uses_column(model))
        good = good && frame_has(frame, model->column, count);
    for (unsigned p = 0; p < model->predicate_count && good; p++) {
        const struct model_predicate *predicate = &model->predicates[p];
        if (model_predicate_uses_column(predicate))
            good = frame_has(frame, predicate->column, count);
        if (predicate->kind == MODEL_FIRST)
            good = frame->level_first && frame->levels == count;
    }
    return good;
}

// ---- lineage ----

static void lineage_list(const struct model_frame *frame, const int64_t *sides, uint32_t *out)
{
    uint32_t first[2] = {MODEL_NONE, MODEL_NONE}; // of the last row that had any
    for (uint32_t r = 0; r < frame->rows; r++) {
        uint32_t last[2] = {first[0], first[1]};
        uint32_t here[2] = {MODEL_NONE, MODEL_NONE};
        for (uint32_t l = frame->level_first[r]; l < frame->level_first[r + 1]; l++) {
            unsigned side = sides[l] & 1;
            out[l] = last[side]; // below l, or none
            last[side] = l;
            here[side] = here[side] == MODEL_NONE ? l : here[side];
        }
        for (unsigned side = 0; side < 2; side++)
            first[side] = here[side] == MODEL_NONE ? first[side] : here[side];
    }
}

static void lineage_rank(const struct model_frame *frame, uint32_t *out)
{
    for (uint32_t r = 0; r < frame->rows; r++) {
        uint32_t start = frame->level_first[r];
        uint32_t before = r == 0 ? start : frame->level_first[r - 1];
        for (uint32_t l = start; l < frame->level_first[r + 1]; l++)
            out[l] = before + (l - start) < start ? before + (l - start) : MODEL_NONE;
    }
}

void model_lineage(const struct model_frame *frame, enum model_lineage lineage,
                   const int64_t *sides, uint32_t *out)
{
    ensure(frame->level_first && frame->level_first[0] == 0);
    ensure(frame->level_first[frame->rows] == frame->levels);
    ensure(sides || lineage != MODEL_LIST);
    ensure(lineage == MODEL_LIST || lineage == MODEL_RANK);
    if (lineage == MODEL_LIST)
        lineage_list(frame, sides, out);
    else
        lineage_rank(frame, out);
}

// ---- contexts ----

static inline uint32_t frame_before(const uint32_t *before, uint32_t i)
{
    if (before)
        return before[i];
    return i == 0 ? MODEL_NONE : i - 1;
}

static void context_change(const struct model_predicate *predicate, const int64_t *x,
                           const uint32_t *before, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = frame_before(before, i);
        uint64_t change = p == MODEL_NONE ? 0 : (uint64_t)x[i] - (uint64_t)x[p];
        out[i] = (uint8_t)(out[i] * (predicate->cap + 1) + model_last_value(predicate, change));
    }
}

static void context_direction(const int64_t *x, const uint32_t *before, uint32_t count,
                              uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = frame_before(before, i);
        unsigned up = p != MODEL_NONE && x[i] > x[p];
        unsigned down = p != MODEL_NONE && x[i] < x[p];
        out[i] = (uint8_t)(out[i] * 3 + up + 2 * down);
    }
}

static void context_code(const struct model_predicate *predicate, const int64_t *x, uint32_t count,
                         uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t code = (uint64_t)x[i] < predicate->cap ? (uint64_t)x[i] : predicate->cap;
        out[i] = (uint8_t)(out[i] * (predicate->cap + 1u) + code);
    }
}

static void context_first(const struct model_frame *frame, const uint32_t *before, uint32_t count,
                          uint8_t *out)
{
    ensure(frame->level_first && count <= frame->levels);
    for (uint32_t r = 0; r < frame->rows; r++) {
        uint32_t start = frame->level_first[r];
        for (uint32_t l = start; l < frame->level_first[r + 1] && l < count; l++) {
            uint32_t p = frame_before(before, l);
            out[l] = (uint8_t)(out[l] * 2 + (p == MODEL_NONE || p < start));
        }
    }
}

void model_context(const struct model_frame *frame, const struct model *model, uint32_t count,
                   uint8_t *contexts)
{
    const uint32_t *before = frame->before[model->lineage];
    ensure(count > 0);
    ensure(model->lineage == MODEL_SEQUENCE || before);
    memset(contexts, 0, count);
    for (unsigned p = 0; p < model->predicate_count; p++) {
        const struct model_predicate *predicate = &model->predicates[p];
        const int64_t *x = frame->columns[predicate->column];
        ensure(x || !model_predicate_uses_column(predicate));
        if (predicate->kind == MODEL_CHANGE)
            context_change(predicate, x, before, count, contexts);
        else if (predicate->kind == MODEL_DIRECTION)
            context_direction(x, before, count, contexts);
        else if (predicate->kind == MODEL_CODE)
            context_code(predicate, x, count, contexts);
        else if (predicate->kind == MODEL_FIRST)
            context_first(frame, before, count, contexts);
        else
            ensure(predicate->kind == MODEL_LAST);
    }
}

// ---- residuals ----

// What is added to the residual of number i to give the number; exclusive or: what is combined.
static inline __attribute__((always_inline)) uint64_t
model_prediction(unsigned predictor, const uint64_t *v, const uint64_t *x, uint64_t start,
                 uint32_t i, uint32_t p)
{
    bool none = p == MODEL_NONE;
    switch (predictor) {
    case MODEL_VALUE:
        return 0;
    case MODEL_DELTA:
    case MODEL_EXCLUSIVE_OR:
        return none ? start : v[p];
    case MODEL_OFFSET:
        return x[i];
    case MODEL_OFFSET_DELTA:
        return x[i] + (none ? start : v[p] - x[p]);
    case MODEL_DELTA_OR_VALUE:
        return none ? start : x[i] == x[p] ? v[p] : 0;
    case MODEL_DELTA_OR_OFFSET:
        return none ? start : x[i] == x[p] ? v[p] : x[i];
    default:
        return none ? start : x[p];
    }
}

uint64_t model_start(const struct model_frame *frame, const struct model *model,
                     const uint64_t *values)
{
    const int64_t *x = frame->columns[model->column];
    ensure(x || !model_uses_column(model));
    if (model->predictor == MODEL_OFFSET_DELTA)
        return values[0] - (uint64_t)x[0];
    return model_has_start(model) ? values[0] : 0;
}

static inline __attribute__((always_inline)) void
residuals_of(unsigned predictor, const uint64_t *v, const uint64_t *x, const uint32_t *before,
             uint64_t start, uint32_t count, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t prediction = model_prediction(predictor, v, x, start, i, frame_before(before, i));
        out[i] = predictor == MODEL_EXCLUSIVE_OR ? v[i] ^ prediction : v[i] - prediction;
    }
}

static inline __attribute__((always_inline)) void
restore_of(unsigned predictor, uint64_t *v, const uint64_t *x, const uint32_t *before,
           uint64_t start, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t prediction = model_prediction(predictor, v, x, start, i, frame_before(before, i));
        v[i] = predictor == MODEL_EXCLUSIVE_OR ? v[i] ^ prediction : v[i] + prediction;
    }
}

#define MODEL_EACH_PREDICTOR(each)                                                                 \
    each(MODEL_DELTA) each(MODEL_OFFSET) each(MODEL_OFFSET_DELTA) each(MODEL_EXCLUSIVE_OR)         \
        each(MODEL_DELTA_OR_VALUE) each(MODEL_FOLLOW) each(MODEL_DELTA_OR_OFFSET)

void model_residuals(const struct model_frame *frame, const struct model *model, uint64_t start,
                     const uint64_t *values, uint32_t count, uint64_t *residuals)
{
    const uint64_t *x = (const uint64_t *)frame->columns[model->column];
    const uint32_t *before = frame->before[model->lineage];
    ensure(count > 0);
    ensure(x || !model_uses_column(model));
    if (model->predictor == MODEL_VALUE)
        memcpy(residuals, values, count * sizeof *values);
#define RESIDUALS(predictor_)                                                                      \
    else if (model->predictor == predictor_ && before)                                             \
        residuals_of(predictor_, values, x, before, start, count, residuals);                      \
    else if (model->predictor == predictor_)                                                       \
        residuals_of(predictor_, values, x, NULL, start, count, residuals);
    MODEL_EACH_PREDICTOR(RESIDUALS)
#undef RESIDUALS
}

void model_restore(const struct model_frame *frame, const struct model *model, uint64_t start,
                   uint32_t count, uint64_t *values)
{
    const uint64_t *x = (const uint64_t *)frame->columns[model->column];
    const uint32_t *before = frame->before[model->lineage];
    ensure(count > 0);
    ensure(x || !model_uses_column(model));
    if (model->predictor == MODEL_VALUE)
        return;
#define RESTORE(predictor_)                                                                        \
    else if (model->predictor == predictor_ && before)                                             \
        restore_of(predictor_, values, x, before, start, count);                                   \
    else if (model->predictor == predictor_)                                                       \
        restore_of(predictor_, values, x, NULL, start, count);
    MODEL_EACH_PREDICTOR(RESTORE)
#undef RESTORE
}
