// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: no bytes make the reader of configurations leave its memory or its bounds; it either
// names mistakes, each a line of printable text that begins with the file's name, or gives values
// within their limits, the same again for the same bytes, from which feeds can be planned.
#include <stdlib.h>
#include <string.h>

#include "capture/plan.h"
#include "control/config.h"
#include "format/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char name[] = "f.yaml";

static void check_mistakes(const struct config_mistakes *mistakes)
{
    ensure(mistakes->count > 0);
    for (uint32_t i = 0; i < mistakes->count && i < LIMIT_CONFIG_MISTAKES; i++) {
        const char *text = mistakes->text[i];
        size_t size = strnlen(text, CONFIG_MISTAKE_BYTES + 1);
        ensure(size > sizeof name && size <= CONFIG_MISTAKE_BYTES);
        ensure(strncmp(text, name, sizeof name - 1) == 0 && text[sizeof name - 1] == ':');
        for (size_t at = 0; at < size; at++) ensure((unsigned char)text[at] >= ' ');
    }
}

static void check_feed(const struct config *config, const struct config_feed *feed)
{
    ensure(feed->dialect != NULL && feed->line > 0);
    ensure(feed->channel_count > 0 && feed->channel_count <= LIMIT_FEED_CHANNELS);
    ensure(feed->symbols_all == (feed->symbols == NULL));
    ensure(feed->symbols_all || (feed->symbol_count > 0 &&
                                 feed->symbol_count <= LIMIT_FEED_SYMBOLS));
    ensure(feed->redundancy > 0 && feed->redundancy <= LIMIT_REDUNDANCY);
    ensure(feed->url.host[0] != '\0' && feed->rest_url.host[0] != '\0');
    if (feed->symbols_all) return;
    const struct plan_input input = {
        .dialect = feed->dialect,
        .channels = feed->channels,
        .channel_count = feed->channel_count,
        .symbols = (const struct plan_symbol *)(const void *)feed->symbols,
        .symbol_count = feed->symbol_count,
        .redundancy = feed->redundancy,
        .shard_count = config->shards,
    };
    ensure(plan_link_count(&input) >= feed->redundancy);
    plan_free(plan_share_create(&input, 0));
}

static void check(const struct config *config)
{
    ensure(config->store[0] != '\0');
    ensure(config->shards > 0 && config->shards <= LIMIT_SHARDS);
    ensure(config->commit_interval_ns > 0 && config->seal_time_ns > 0);
    ensure(config->seal_size_bytes >= 1 << 20);
    ensure(config->feed_count > 0 && config->feed_count <= LIMIT_FEEDS);
    for (uint32_t i = 0; i < config->feed_count; i++) check_feed(config, &config->feeds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config, again;
    static struct config_mistakes mistakes;
    if (!config_parse(&config, name, (const char *)data, size, &mistakes)) {
        check_mistakes(&mistakes);
        return 0;
    }
    check(&config);
    ensure(config_parse(&again, name, (const char *)data, size, &mistakes));
    ensure(config.hash == again.hash && config.feed_count == again.feed_count);
    for (uint32_t i = 0; i < config.feed_count; i++)
        ensure(config_feed_equal(&config.feeds[i], &again.feeds[i]));
    config_free(&config);
    config_free(&again);
    return 0;
}
