// SPDX-License-Identifier: Apache-2.0
//
// column_model: what one column of a block tells of another. A model predicts each number of a
// column from the number before it or from other columns, and sorts what remains (the residuals)
// into lists by what is known already (the context), so that each list holds numbers of one kind
// and is coded by itself (column_list). Example: the event time of a trade changes by as much as
// its trade time in most rows; whether the trade time changed at all decides between two lists.
//
// The model stands in the column's bytes, so a reader needs no knowledge of channels.
// docs/format.md "Modelled columns".
//
// n numbers v[0 ... n), x: the column referred to, p: the number's predecessor (see lineage).
//
//     predictor          residual r
//     0 value            v
//     1 delta            v - v[p]
//     2 offset           v - x
//     3 offset delta     (v - x) - (v[p] - x[p])
//     4 exclusive or     v ^ v[p]
//     5 delta or value   x == x[p] ? v - v[p] : v
//     6 follow           v - x[p]
//     7 delta or offset  x == x[p] ? v - v[p] : v - x
//
// A number without predecessor has `start` in the place of what would come from it: v[p], v[p] -
// x[p] (predictor 3), x[p] (predictor 6); and x counts as unchanged.
//
//     lineage            predecessor of number i
//     0 sequence         i - 1
//     1 list             levels: the level before it on its side of its row; of the first one on a
//                        side: the first one on that side of the last row before that had any
//     2 rank             levels: the level at the same place of the row before, if that is as long
//
// Ownership: a model_frame and what it points to belong to the caller. Threading: one owner.
#ifndef RINGTAPE_FORMAT_COLUMN_MODEL_H
#define RINGTAPE_FORMAT_COLUMN_MODEL_H

#include "format/column_list.h"

enum model_predictor { // numbers are on disk
    MODEL_VALUE = 0,
    MODEL_DELTA = 1,
    MODEL_OFFSET = 2,
    MODEL_OFFSET_DELTA = 3,
    MODEL_EXCLUSIVE_OR = 4,
    MODEL_DELTA_OR_VALUE = 5,
    MODEL_FOLLOW = 6,
    MODEL_DELTA_OR_OFFSET = 7,
    MODEL_PREDICTOR_COUNT,
};

enum model_lineage { // numbers are on disk
    MODEL_SEQUENCE = 0,
    MODEL_LIST = 1,
    MODEL_RANK = 2,
    MODEL_LINEAGE_COUNT,
};

enum model_predicate_kind { // numbers are on disk; x: the predicate's column
    MODEL_CHANGE = 0,    // min(cap, bits of |x - x[p]| >> shift); 0 without predecessor
    MODEL_DIRECTION = 1, // x - x[p]: 0 none, 1 up, 2 down (signed)
    MODEL_CODE = 2,      // min(cap, x), x taken as unsigned
    MODEL_FIRST = 3,     // 1: the predecessor is not in this row (or there is none)
    MODEL_LAST = 4,      // min(cap, bits of |r of number i - 1| >> shift); only as the last one
    MODEL_PREDICATE_KIND_COUNT,
};

enum {
    MODEL_PREDICATES_MAX = 3,
    MODEL_CONTEXTS_MAX = 64,
    MODEL_CAP_MAX = 63,
    MODEL_COLUMNS = 80, // column ids below this can be referred to
    MODEL_NONE = 0xffffffff, // no predecessor
};

struct model_predicate {
    uint8_t kind;
    uint8_t column; // CHANGE, DIRECTION, CODE; else 0
    uint8_t shift;  // CHANGE, LAST; else 0
    uint8_t cap;    // CHANGE, CODE, LAST; else 0
};

struct model {
    uint8_t predictor;
    uint8_t lineage;
    uint8_t column; // x of the predictors 2, 3, 5, 6, 7; else 0
    uint8_t predicate_count;
    struct model_predicate predicates[MODEL_PREDICATES_MAX];
};

// What is known of a block: columns by id, each NULL where not every row (level) has a value or it
// is not there (yet).
struct model_frame {
    uint32_t rows;
    uint32_t levels;
    const int64_t *columns[MODEL_COLUMNS];
    const uint32_t *level_first; // [rows + 1], NULL: no levels
    const uint32_t *before[MODEL_LINEAGE_COUNT]; // [levels] for list and rank, else NULL
};

// Fills out[0 ... frame->levels) with predecessors. LIST needs the sides (column 70) as well.
void model_lineage(const struct model_frame *frame, enum model_lineage lineage,
                   const int64_t *sides, uint32_t *out);

bool model_uses_column(const struct model *model); // of the predictor
bool model_predicate_uses_column(const struct model_predicate *predicate);
// How many contexts there are, or 0: the model is not one.
unsigned model_contexts(const struct model *model);
uint8_t *model_put(const struct model *model, uint8_t *out);
// False: impossible.
bool model_get(struct wire_reader *in, struct model *model);
// Can a column of `count` numbers be coded so: is everything in the frame?
bool model_possible(const struct model_frame *frame, const struct model *model, uint32_t count);

// The context of each number, but for the part of MODEL_LAST.
void model_context(const struct model_frame *frame, const struct model *model, uint32_t count,
                   uint8_t *contexts);
// The predicate MODEL_LAST, or NULL.
const struct model_predicate *model_last(const struct model *model);
static inline unsigned model_last_value(const struct model_predicate *last, uint64_t residual)
{
    uint64_t magnitude = (int64_t)residual < 0 ? 0 - residual : residual;
    unsigned bits = bits_length(magnitude >> last->shift);
    return bits < last->cap ? bits : last->cap;
}

bool model_has_start(const struct model *model);
uint64_t model_start(const struct model_frame *frame, const struct model *model,
                     const uint64_t *values);
// Of the first `count` values; the model is possible for all.
void model_residuals(const struct model_frame *frame, const struct model *model, uint64_t start,
                     const uint64_t *values, uint32_t count, uint64_t *residuals);
// The inverse, in place.
void model_restore(const struct model_frame *frame, const struct model *model, uint64_t start,
                   uint32_t count, uint64_t *values);

#endif
