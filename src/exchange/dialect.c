// SPDX-License-Identifier: GPL-3.0-or-later
//
// The table of exchanges, and what all dialects share. Contract: see dialect.h.
#include "exchange/dialect.h"

#include <string.h>

#include "exchange/binance.h"
#include "exchange/upbit.h"
#include "format/ensure.h"

const struct dialect *const dialects[] = {
    &dialect_binance,
    &dialect_binance_usdm,
    &dialect_upbit,
    NULL,
};

const struct dialect *dialect_by_name(const char *name)
{
    for (uint32_t i = 0; dialects[i] != NULL; i++)
        if (strcmp(dialects[i]->name, name) == 0)
            return dialects[i];
    return NULL;
}

void dialect_frame_begin(const struct dialect *dialect, struct dialect_frame *frame,
                         const struct dialect_context *context, const uint8_t *bytes,
                         uint32_t size, struct event_level *levels)
{
    ensure(bytes != NULL);
    ensure(levels != NULL);
    ensure(context->symbols != NULL);
    frame->dialect = dialect;
    frame->context = context;
    frame->bytes = bytes;
    frame->size = size;
    frame->kind = DIALECT_FRAME_EVENTS;
    frame->reply_id = -1;
    frame->reply_failed = false;
    frame->reply = (struct event_text){NULL, 0};
    frame->levels = levels;
    frame->walk_at = NULL;
    frame->walk_end = NULL;
    frame->step = 0;
    frame->pending_at = 0;
    frame->pending_count = 0;
    frame->scratch_size = 0;
    frame->message_symbol = SYMBOL_NONE;
    frame->message = (struct event_text){bytes, size};
    dialect->begin(frame);
}
