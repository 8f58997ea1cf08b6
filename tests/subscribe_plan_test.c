// SPDX-License-Identifier: GPL-3.0-or-later
//
// The plan of links: for many sizes of feeds every (symbol, channel) is in exactly `redundancy`
// links, all on one shard, no copies on one link, none above the exchange's streams per
// connection, few links, evenly dealt; symbols stay on their shard when others come and go.
#include "capture/plan.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOLS = 4000 };

static struct plan_symbol symbols[SYMBOLS];
static struct dialect_channel channels[LIMIT_FEED_CHANNELS];
// Of symbol, channel and copy: the link it is on, counted over all shards, from 1.
static uint32_t seen[SYMBOLS][4][LIMIT_REDUNDANCY];

static struct plan_input input(const char *exchange, uint32_t symbol_count, const char *list,
                               uint32_t redundancy, uint32_t shards)
{
    uint32_t count = 0;
    for (const char *at = list; *at != '\0'; count++) {
        size_t size = strcspn(at, " ");
        memset(&channels[count], 0, sizeof channels[count]);
        memcpy(channels[count].text, at, size);
        at += size + (at[size] == ' ');
    }
    for (uint32_t i = 0; i < symbol_count; i++)
        (void)snprintf(symbols[i].text, sizeof symbols[i].text, "S%uUSDT", i);
    return (struct plan_input){.dialect = dialect_by_name(exchange),
                               .channels = channels,
                               .channel_count = count,
                               .symbols = symbols,
                               .symbol_count = symbol_count,
                               .redundancy = redundancy,
                               .shard_count = shards};
}

static void check_link(const struct plan_input *in, const struct plan_share *share,
                       const struct plan_link *link, uint32_t number)
{
    cr_assert_gt(link->stream_count, 0);
    cr_assert_leq(link->stream_count, in->dialect->streams_max);
    for (uint32_t i = 0; i < link->stream_count; i++) {
        const struct dialect_stream *stream = &share->streams[link->stream_first + i];
        uint32_t symbol = (uint32_t)strtoul(share->symbols[stream->symbol].text + 1, NULL, 10);
        cr_assert_eq(in->dialect->group(channels[stream->channel].text), link->group);
        uint32_t *place = &seen[symbol][stream->channel][link->copy];
        cr_assert_eq(*place, 0, "symbol %u twice in copy %u", symbol, link->copy);
        *place = number;
    }
}

static uint32_t check_shard(const struct plan_input *in, uint32_t shard, uint32_t number)
{
    struct plan_share *share = plan_share_create(in, shard);
    if (share == NULL) {
        cr_assert_eq(errno, 0);
        return 0;
    }
    for (uint32_t i = 0; i < share->symbol_count; i++)
        cr_assert_eq(plan_shard(in->dialect->name, share->symbols[i].text, in->shard_count), shard);
    for (uint32_t i = 0; i < share->link_count; i++)
        check_link(in, share, &share->links[i], number + i + 1);
    uint32_t links = share->link_count;
    plan_free(share);
    return links;
}

static void check(const struct plan_input *in)
{
    uint32_t links = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t shard = 0; shard < in->shard_count; shard++)
        links += check_shard(in, shard, links);
    cr_assert_eq(links, plan_link_count(in));
    for (uint32_t symbol = 0; symbol < in->symbol_count; symbol++) {
        for (uint32_t channel = 0; channel < in->channel_count; channel++) {
            const uint32_t *copies = seen[symbol][channel];
            for (uint32_t copy = 0; copy < in->redundancy; copy++) {
                cr_assert_neq(copies[copy], 0, "symbol %u channel %u", symbol, channel);
                if (copy > 0) cr_assert_neq(copies[copy], copies[copy - 1]);
            }
        }
    }
}

Test(subscribe_plan, every_stream_is_on_as_many_links_as_asked)
{
    static const uint32_t counts[] = {1, 2, 7, 340, 341, 342, 1024, 1025, SYMBOLS};
    static const char *const lists[] = {"trade", "trade quote depth", "trade agg_trade book20"};
    for (size_t count = 0; count < sizeof counts / sizeof *counts; count++) {
        for (size_t list = 0; list < sizeof lists / sizeof *lists; list++) {
            for (uint32_t shards = 1; shards <= 5; shards += 2) {
                struct plan_input in = input(list == 2 ? "binance-usdm" : "binance",
                                             counts[count], lists[list],
                                             1 + shards % LIMIT_REDUNDANCY, shards);
                check(&in);
            }
        }
    }
}

Test(subscribe_plan, links_are_few_and_even)
{
    struct plan_input in = input("binance", 1500, "trade quote depth", 2, 1);
    cr_assert_eq(plan_link_count(&in), 2 * 5); // 341 symbols of 3 streams fit in 1,024
    struct plan_share *share = plan_share_create(&in, 0);
    for (uint32_t i = 0; i < share->link_count; i++)
        cr_assert_eq(share->links[i].stream_count, 900);
    plan_free(share);
    in = input("binance", 1024, "trade", 1, 1);
    cr_assert_eq(plan_link_count(&in), 1);
    in = input("binance", 1025, "trade", 1, 1);
    cr_assert_eq(plan_link_count(&in), 2);
}

Test(subscribe_plan, shards_get_about_the_same_and_keep_their_symbols)
{
    uint32_t of_shard[8] = {0};
    (void)input("binance", SYMBOLS, "trade", 1, 8);
    for (uint32_t i = 0; i < SYMBOLS; i++) of_shard[plan_shard("binance", symbols[i].text, 8)]++;
    for (uint32_t shard = 0; shard < 8; shard++)
        cr_assert(of_shard[shard] > 400 && of_shard[shard] < 600, "%u", of_shard[shard]);
    // The same name at another exchange is another symbol, with a shard of its own.
    uint32_t same = 0;
    for (uint32_t i = 0; i < SYMBOLS; i++)
        same += plan_shard("binance", symbols[i].text, 8) ==
                plan_shard("upbit", symbols[i].text, 8);
    cr_assert(same < SYMBOLS / 4);
    // On disk and over restarts: the hash may never change.
    cr_assert_eq(plan_shard("binance", "BTCUSDT", 64), 34);
    cr_assert_eq(plan_shard("upbit", "KRW-BTC", 64), 4);
}

Test(subscribe_plan, a_shard_without_symbols_has_no_share)
{
    struct plan_input in = input("binance", 1, "trade", 1, 64);
    uint32_t shares = 0;
    for (uint32_t shard = 0; shard < 64; shard++) {
        struct plan_share *share = plan_share_create(&in, shard);
        shares += share != NULL;
        plan_free(share);
    }
    cr_assert_eq(shares, 1);
}
