// SPDX-License-Identifier: Apache-2.0
//
// column_modelled: the bytes of a modelled column: the model, then for each context the number of
// its residuals and their list. docs/format.md "Modelled columns".
//
// Ownership: memory is allocated by modelled_room_open(). Threading: one owner at a time.
#ifndef RINGTAPE_FORMAT_COLUMN_MODELLED_H
#define RINGTAPE_FORMAT_COLUMN_MODELLED_H

#include "format/column_model.h"

struct modelled_room;
// For columns of at most `count_max` numbers; NULL: out of memory.
struct modelled_room *modelled_room_open(uint32_t count_max);
void modelled_room_close(struct modelled_room *room);
struct list_room *modelled_lists(struct modelled_room *room);

// Without list_bytes_spare().
static inline size_t modelled_bytes_max(uint32_t count)
{
    return list_bytes_max(count) + (size_t)MODEL_CONTEXTS_MAX * 640;
}

// `count` >= 1; model_possible() is true.
uint8_t *modelled_encode(struct modelled_room *room, enum column_level level,
                         const struct model_frame *frame, const struct model *model,
                         const int64_t *values, uint32_t count, uint8_t *out);
// About the bits it would take, from a sample: to choose between models.
uint64_t modelled_estimate(struct modelled_room *room, const struct model_frame *frame,
                           const struct model *model, const int64_t *values, uint32_t count);

// Which columns and lineage must be known before bytes can be decoded. False: impossible content.
struct modelled_needs {
    unsigned count;
    uint8_t columns[MODEL_PREDICATES_MAX + 1];
    uint8_t lineage;
};
bool modelled_needs(const uint8_t *bytes, size_t size, struct modelled_needs *needs);
// Decodes `count` >= 1 values from all of `in`. False: impossible content, or a column that is
// needed is not there.
bool modelled_decode(struct modelled_room *room, const struct model_frame *frame,
                     struct wire_reader *in, int64_t *values, uint32_t count);
// The same, of which the first `needed` >= 1 values count, as list_decode_first(): of the columns
// referred to only so many need to be there.
bool modelled_decode_first(struct modelled_room *room, const struct model_frame *frame,
                           struct wire_reader *in, int64_t *values, uint32_t count,
                           uint32_t needed);

#endif
