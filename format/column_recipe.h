// SPDX-License-Identifier: Apache-2.0
//
// column_recipe: which models are worth a try for which column of which channel: what is known of
// market data, as a table. It concerns the writer only; a reader finds the model in the bytes.
//
// Threading: immutable.
#ifndef RINGTAPE_FORMAT_COLUMN_RECIPE_H
#define RINGTAPE_FORMAT_COLUMN_RECIPE_H

#include "format/column_model.h"
#include "format/event.h"

enum { RECIPE_MODELS_MAX = 6 };

struct recipe {
    unsigned count;
    bool known; // the first possible one is usually the best
    struct model models[RECIPE_MODELS_MAX];
};

// Candidates for column `id` (as in the block's directory). `shared`: rows of several symbols; the
// models then tell where a symbol begins. `level`: light leaves out what costs more than it saves
// without an entropy code.
void recipe_for(enum channel channel, unsigned id, bool shared, enum column_level level,
                struct recipe *recipe);
// Does the channel's data repeat in ways that only a general compressor finds (and come slowly
// enough to pay for it)?
bool recipe_tries_zstd(enum channel channel);

#endif
