// SPDX-License-Identifier: GPL-3.0-or-later
//
// plan: which symbols of a feed live on which shard, and which streams go over which link.
//
// A symbol's shard is a hash of "exchange:SYMBOL", so it stays where it is over reloads and all
// copies and feeds of a symbol meet on one shard. On a shard the symbols are dealt evenly to as
// few links as the exchange's streams per connection allow; all channels of a symbol (of one
// group) share a link; each of the `redundancy` copies has links of its own.
//
// Pure; a plan owns one block of memory. Bounds: those of the configuration.
#ifndef RINGTAPE_CAPTURE_PLAN_H
#define RINGTAPE_CAPTURE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/symbols.h"
#include "base/url.h"
#include "exchange/dialect.h"

struct plan_symbol {
    char text[SYMBOL_NAME_BYTES_MAX + 1]; // the exchange's spelling
};

struct plan_input {
    const struct dialect *dialect;
    const struct dialect_channel *channels;
    uint32_t channel_count;
    const struct plan_symbol *symbols;
    uint32_t symbol_count;
    uint32_t redundancy; // 1 ...
    uint32_t shard_count;
};

struct plan_link {
    uint32_t stream_first;
    uint32_t stream_count;
    uint32_t group;
    uint32_t copy; // 0 ... redundancy - 1
};

// A feed's share of one shard.
struct plan_share {
    const struct dialect *dialect;
    struct dialect_channel *channels;
    uint32_t channel_count;
    uint32_t redundancy;
    struct plan_symbol *symbols; // of this shard
    uint32_t symbol_count;
    struct dialect_stream *streams; // symbol: index in symbols[]
    uint32_t stream_count;
    struct plan_link *links;
    uint32_t link_count;
};

// The shard of a symbol.
uint32_t plan_shard(const char *exchange, const char *symbol, uint32_t shard_count);
// Links the feed needs on all shards together.
uint32_t plan_link_count(const struct plan_input *input);
// NULL where the shard has no symbol of the feed, or out of memory (errno ENOMEM; else 0).
struct plan_share *plan_share_create(const struct plan_input *input, uint32_t shard);
void plan_free(struct plan_share *share);

#endif
