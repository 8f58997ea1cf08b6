// SPDX-License-Identifier: GPL-3.0-or-later
//
// plan: see plan.h. Contract: every (symbol, channel) of the feed is in exactly `redundancy`
// links, all on the symbol's shard, no two copies on one link; no link has more streams than the
// exchange allows; links of one group and copy differ by one symbol at most.
#include "capture/plan.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

uint32_t plan_shard(const char *exchange, const char *symbol, uint32_t shard_count)
{
    ensure(shard_count > 0 && shard_count <= LIMIT_SHARDS);
    if (shard_count == 1) return 0;
    XXH64_hash_t seed = XXH3_64bits(exchange, strlen(exchange));
    return (uint32_t)(XXH3_64bits_withSeed(symbol, strlen(symbol), seed) % shard_count);
}

// The channels of one group.
static uint32_t plan_group(const struct plan_input *input, uint32_t group,
                           uint16_t channels[LIMIT_FEED_CHANNELS])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < input->channel_count; i++) {
        if (input->dialect->group(input->channels[i].text) != group) continue;
        ensure(count < LIMIT_FEED_CHANNELS);
        channels[count++] = (uint16_t)i;
    }
    return count;
}

static uint32_t plan_symbols_of(const struct plan_input *input, uint32_t shard,
                                struct plan_symbol *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < input->symbol_count; i++) {
        const struct plan_symbol *symbol = &input->symbols[i];
        if (plan_shard(input->dialect->name, symbol->text, input->shard_count) != shard) continue;
        if (out != NULL) out[count] = *symbol;
        count++;
    }
    return count;
}

// Links of one group and copy.
static uint32_t plan_spread(const struct plan_input *input, uint32_t symbols, uint32_t channels)
{
    if (symbols == 0 || channels == 0) return 0;
    uint32_t room = input->dialect->streams_max / channels;
    ensure(room > 0);
    return (symbols + room - 1) / room;
}

uint32_t plan_link_count(const struct plan_input *input)
{
    uint16_t channels[LIMIT_FEED_CHANNELS];
    uint32_t count = 0;
    for (uint32_t shard = 0; shard < input->shard_count; shard++) {
        uint32_t symbols = plan_symbols_of(input, shard, NULL);
        for (uint32_t group = 0; group < input->dialect->group_count; group++)
            count += plan_spread(input, symbols, plan_group(input, group, channels));
    }
    return count * input->redundancy;
}

// The streams of symbols [first, end) in the order symbol, channel: what a link subscribes to.
static void plan_streams(struct plan_share *share, uint32_t first, uint32_t end,
                         const uint16_t *channels, uint32_t channel_count)
{
    for (uint32_t symbol = first; symbol < end; symbol++) {
        for (uint32_t i = 0; i < channel_count; i++) {
            struct dialect_stream *stream = &share->streams[share->stream_count++];
            stream->symbol = symbol;
            stream->channel = channels[i];
        }
    }
}

static void plan_group_links(const struct plan_input *input, struct plan_share *share,
                             uint32_t group, uint32_t copy)
{
    uint16_t channels[LIMIT_FEED_CHANNELS];
    uint32_t channel_count = plan_group(input, group, channels);
    uint32_t links = plan_spread(input, share->symbol_count, channel_count);
    for (uint32_t i = 0; i < links; i++) {
        uint32_t first = (uint32_t)((uint64_t)share->symbol_count * i / links);
        uint32_t end = (uint32_t)((uint64_t)share->symbol_count * (i + 1) / links);
        struct plan_link *link = &share->links[share->link_count++];
        link->stream_first = share->stream_count;
        link->group = group;
        link->copy = copy;
        plan_streams(share, first, end, channels, channel_count);
        link->stream_count = share->stream_count - link->stream_first;
        ensure(link->stream_count > 0 && link->stream_count <= input->dialect->streams_max);
    }
}

static void plan_fill(const struct plan_input *input, struct plan_share *share)
{
    memcpy(share->channels, input->channels, input->channel_count * sizeof *share->channels);
    share->channel_count = input->channel_count;
    for (uint32_t copy = 0; copy < input->redundancy; copy++) {
        for (uint32_t group = 0; group < input->dialect->group_count; group++)
            plan_group_links(input, share, group, copy);
    }
}

static bool plan_allocate(const struct plan_input *input, struct plan_share *share,
                          uint32_t symbols)
{
    size_t streams = (size_t)symbols * input->channel_count * input->redundancy;
    share->channels = calloc(input->channel_count, sizeof *share->channels);
    share->symbols = calloc(symbols, sizeof *share->symbols);
    share->streams = calloc(streams, sizeof *share->streams);
    // A link has one stream at least.
    share->links = calloc(streams, sizeof *share->links);
    return share->channels != NULL && share->symbols != NULL && share->streams != NULL &&
           share->links != NULL;
}

struct plan_share *plan_share_create(const struct plan_input *input, uint32_t shard)
{
    ensure(input->redundancy > 0 && shard < input->shard_count);
    ensure(input->channel_count > 0 && input->channel_count <= LIMIT_FEED_CHANNELS);
    errno = 0;
    uint32_t symbols = plan_symbols_of(input, shard, NULL);
    if (symbols == 0) return NULL;
    struct plan_share *share = calloc(1, sizeof *share);
    if (share == NULL || !plan_allocate(input, share, symbols)) {
        plan_free(share);
        errno = ENOMEM;
        return NULL;
    }
    share->dialect = input->dialect;
    share->redundancy = input->redundancy;
    share->symbol_count = plan_symbols_of(input, shard, share->symbols);
    plan_fill(input, share);
    ensure(share->stream_count == symbols * input->channel_count * input->redundancy);
    return share;
}

void plan_free(struct plan_share *share)
{
    if (share == NULL) return;
    free(share->channels);
    free(share->symbols);
    free(share->streams);
    free(share->links);
    free(share);
}
