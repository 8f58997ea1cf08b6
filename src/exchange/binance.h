// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the files of the Binance dialects (spot and USD-M futures) share. Not for other modules.
#ifndef RINGTAPE_EXCHANGE_BINANCE_H
#define RINGTAPE_EXCHANGE_BINANCE_H

#include "exchange/dialect.h"
#include "exchange/strict.h"

extern const struct dialect dialect_binance;
extern const struct dialect dialect_binance_usdm;
extern const struct dialect_history binance_spot_history;
extern const struct dialect_history binance_usdm_history;

// The message types of both, see docs/fields.md.
extern const struct strict_message *const binance_spot_messages[];
extern const struct strict_message *const binance_usdm_messages[];

// The schema-specific scanners: true with a row, false for the strict reader, nothing queued.
bool binance_spot_scan(struct dialect_frame *frame, struct event *event);
bool binance_usdm_scan(struct dialect_frame *frame, struct event *event);

// The strict reader of a frame that holds events: true with a row, false with raw rows queued.
bool binance_strict(struct dialect_frame *frame, struct event *event);

// kind, reply and reply_id of a frame.
void binance_begin(struct dialect_frame *frame);

int binance_instruments(const uint8_t *body, uint32_t size, dialect_instrument_callback *each,
                        void *context);

// "depth10@100ms" -> BOOK_SOURCE_DEPTH10; -1 where the stream is no partial book.
int binance_book_source(const char *stream, uint32_t size);

// Eight bytes of ASCII letters to lower case, all other bytes unchanged.
static inline uint64_t binance_lower(uint64_t bytes)
{
    const uint64_t all = 0x0101010101010101ull;
    const uint64_t low = bytes & 0x7f * all;
    const uint64_t above_z = low + (0x7f - 'Z') * all;
    const uint64_t from_a = low + (0x80 - 'A') * all;
    const uint64_t upper = (from_a ^ above_z) & ~bytes & 0x80 * all;
    return bytes | upper >> 2;
}

#endif
