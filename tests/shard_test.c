// SPDX-License-Identifier: GPL-3.0-or-later
//
// Shards on the simulated world, with the real tape writer and store under them: feeds added,
// replaced, removed, links renewed, instruments written, and a stop at any moment that leaves
// everything that was taken durable. The seeds interleave two shards and their peer.
#include "shard_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(shard, what_a_feed_brings_is_durable_after_a_stop)
{
    struct rig *rig = rig_create(1, 2);
    rig_feed(rig, 1, 0, 20, 1);
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 2);
    cr_assert_eq(rig->peer->streams, 20);
    uint64_t symbols = 0;
    for (uint32_t i = 0; i < 2; i++) symbols += shard_counters(rig->shard[i]).symbols;
    cr_assert_eq(symbols, 20);
    rig_stop(rig, true);
    uint64_t messages = 0;
    for (uint32_t i = 0; i < 2; i++) messages += shard_counters(rig->shard[i]).messages;
    cr_assert_gt(messages, 180);
    cr_assert_eq(rig->peer->unsubscribed, 20);
    cr_assert_eq(rig->peer->closes, 2);
    rig_destroy(rig);
}

Test(shard, its_section_of_the_statistics_tells_what_it_counted)
{
    struct rig *rig = rig_create(21, 1);
    rig->symbols.count = 2;
    memcpy(rig->symbols.name[0], "binance:BTCUSDT", 16);
    memcpy(rig->symbols.name[1], "binance:NOTHING", 16);
    rig_feed(rig, 1, 0, 5, 2);
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    const struct statistics_shard *told = rig->statistics[0];
    const int64_t beat_ns = told->heartbeat_ns; // told less often than counted
    while (told->heartbeat_ns == beat_ns) rig_run(rig, 50 * LIMIT_MILLISECOND_NS);
    const struct shard_counters counters = shard_counters(rig->shard[0]);
    cr_assert_eq(told->messages, counters.messages);
    cr_assert_eq(told->events, counters.events);
    cr_assert_eq(told->tape_rows_durable, counters.durable);
    cr_assert(told->links == 2 && told->links_live == 2 && told->link_count == 2);
    cr_assert(told->streams_wanted == 1 && told->streams_dark == 0);
    const struct statistics_exchange *binance = &told->exchanges[0];
    cr_assert_str_eq(binance->name, "binance");
    const struct statistics_channel *trades = &binance->channels[CHANNEL_TRADE];
    cr_assert_gt(trades->events, 20);
    cr_assert_eq(trades->duplicates, counters.copies);
    cr_assert_eq(told->link[0].messages + told->link[1].messages, counters.messages);
    cr_assert_eq(told->link[0].first + told->link[1].first, trades->events);
    cr_assert_gt(told->link[0].message_ns, 0);
    cr_assert_gt(histogram_count(&told->commit), 0);
    cr_assert_leq(histogram_count(&told->decode), told->messages / 8, "one receive of 16");
    cr_assert_eq(told->symbol_count, 1, "the other one is not recorded");
    cr_assert_str_eq(told->symbol[0].name, "binance:BTCUSDT");
    cr_assert_gt(told->symbol[0].events[CHANNEL_TRADE], 0);
    uint64_t rows = 0;
    for (int e = 0; e < STATISTICS_EXCHANGES_MAX; e++) {
        for (int c = 0; c < CHANNEL_COUNT; c++) rows += told->exchanges[e].channels[c].events;
    }
    cr_assert_eq(rows, told->events, "each row is of some exchange and channel");
    rig_stop(rig, true);
    cr_assert_eq(told->tape_rows_durable, told->events);
    rig_destroy(rig);
}

Test(shard, a_set_of_links_without_a_live_one_is_dark)
{
    struct rig *rig = rig_create(22, 1);
    rig_feed(rig, 1, 0, 5, 2);
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    const struct statistics_shard *told = rig->statistics[0];
    cr_assert(told->streams_wanted == 1 && told->streams_dark == 0);
    sim_network_down(rig->world, rig->peer->port, true, true);
    sim_network_cut(rig->world, rig->peer->port, true);
    rig_run(rig, 2 * LIMIT_SECOND_NS);
    cr_assert(told->streams_wanted == 1 && told->streams_dark == 1);
    cr_assert(told->links_live == 0 && told->link[0].live_ns == 0);
    cr_assert_eq(told->link[0].downs + told->link[1].downs, told->downs);
    sim_network_down(rig->world, rig->peer->port, false, true);
    rig_run(rig, 20 * LIMIT_SECOND_NS);
    cr_assert_eq(told->streams_dark, 0);
    cr_assert_eq(told->link[0].lives, 2);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, copies_have_links_of_their_own)
{
    struct rig *rig = rig_create(2, 1);
    rig_feed(rig, 1, 0, 5, 3);
    rig_run(rig, 5 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 3);
    cr_assert_eq(rig->peer->streams, 15);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_feed_is_spread_over_as_few_links_as_the_exchange_allows)
{
    // By hash on two shards, there evenly on links of at most eight streams.
    struct rig *rig = rig_create(10, 2);
    rig->dialect.streams_max = 8;
    rig_feed(rig, 1, 0, 61, 1);
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    uint64_t live = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct shard_counters counters = shard_counters(rig->shard[i]);
        cr_assert_eq(counters.links_live, (counters.symbols + 7) / 8);
        live += counters.links_live;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < PEER_CONNECTIONS; i++) {
        const struct peer_connection *connection = &rig->peer->connection[i];
        if (connection->handle < 0) continue;
        cr_assert(connection->streams >= 6 && connection->streams <= 8, "%u streams",
                  connection->streams);
        used++;
    }
    cr_assert_eq(used, live);
    cr_assert_eq(rig->peer->streams, 61);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, symbols_come_and_go_on_the_running_link)
{
    struct rig *rig = rig_create(11, 1);
    rig->same_links = true;
    rig_feed(rig, 1, 0, 5, 2);
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    cr_assert_eq(rig->peer->streams, 10);
    rig_feed(rig, 2, 1, 8, 2); // three come
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    cr_assert_eq(rig->peer->streams, 16, "only the new ones were asked for");
    cr_assert_eq(rig->peer->connections, 2);
    rig->first_symbol = 2; // two go
    rig_feed(rig, 3, 2, 8, 2);
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    cr_assert_eq(rig->peer->unsubscribed, 4);
    cr_assert_eq(rig->peer->connections, 2);
    cr_assert_eq(shard_counters(rig->shard[0]).links_live, 2);
    cr_assert_eq(shard_counters(rig->shard[0]).downs, 0);
    rig->first_symbol = 7; // nearly all
    rig_feed(rig, 4, 3, 8, 2);
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    cr_assert_eq(rig->peer->unsubscribed, 14);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_replaced_feed_ends_when_the_new_one_is_live)
{
    struct rig *rig = rig_create(3, 1);
    rig_feed(rig, 1, 0, 5, 1);
    rig_run(rig, 2 * LIMIT_SECOND_NS);
    // While the new feed cannot be connected the old one goes on.
    rig->peer->mode = PEER_FORBIDDEN;
    rig_feed(rig, 2, 1, 6, 1);
    rig_run(rig, 5 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1);
    cr_assert_eq(rig->peer->closes, 0);
    rig->peer->mode = PEER_GOOD;
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1);
    cr_assert_eq(shard_counters(rig->shard[0]).links, 1);
    cr_assert_eq(rig->peer->closes, 1);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_feed_that_never_comes_up_still_replaces_after_a_while)
{
    struct rig *rig = rig_create(4, 1);
    rig_feed(rig, 1, 0, 5, 1);
    rig_run(rig, 2 * LIMIT_SECOND_NS);
    rig->peer->mode = PEER_FORBIDDEN;
    rig_feed(rig, 2, 1, 6, 1);
    rig_run(rig, 29 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1);
    rig_run(rig, 5 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 0);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_feed_replaced_before_it_was_live_takes_along_what_it_was_to_replace)
{
    struct rig *rig = rig_create(4, 1);
    rig_feed(rig, 1, 0, 5, 1);
    rig_run(rig, 2 * LIMIT_SECOND_NS);
    rig->peer->mode = PEER_FORBIDDEN;
    rig_feed(rig, 2, 1, 6, 1);
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    rig->peer->mode = PEER_GOOD;
    rig_feed(rig, 3, 2, 7, 1);
    rig_run(rig, 20 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1);
    cr_assert_eq(shard_counters(rig->shard[0]).links, 1);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_removed_feed_is_gone_and_can_come_again)
{
    struct rig *rig = rig_create(5, 2);
    for (uint32_t id = 1; id <= 80; id++) { // more often than there are places
        rig_feed(rig, id, 0, 8, 1);
        rig_run(rig, LIMIT_SECOND_NS);
        cr_assert_eq(rig_sum_links(rig), 2, "feed %u", id);
        rig_post(rig, (struct shard_command){.kind = SHARD_FEED_REMOVE, .feed_id = id});
        rig_run(rig, LIMIT_SECOND_NS);
        cr_assert_eq(shard_counters(rig->shard[0]).links, 0);
    }
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_shutdown_notice_brings_a_successor_before_the_old_link_closes)
{
    struct rig *rig = rig_create(6, 1);
    rig->peer->mode = PEER_SHUTDOWN; // with the fifth trade of every connection
    rig_feed(rig, 1, 0, 1, 1);
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    cr_assert_geq(rig->peer->connections, 5);
    cr_assert_eq(rig->peer->closes + 1, rig->peer->connections);
    cr_assert_eq(rig->peer->unsubscribed, rig->peer->closes, "the old link takes its stream back");
    cr_assert_eq(rig_sum_links(rig), 1);
    struct shard_counters counters = shard_counters(rig->shard[0]);
    cr_assert_eq(counters.downs, 0);
    // Not a trade of the ten seconds is missing: those of the overlap come twice.
    cr_assert_geq(counters.events, rig->peer->trade);
    rig_stop(rig, true);
    rig_destroy(rig);
}

// Instrument rows that a reply with this state of BTCUSDT makes; C1USDT is in it, too, and one that
// is not recorded.
static uint64_t instrument_rows(struct rig *rig, uint32_t server_time, const char *state)
{
    char reply[512];
    int size = snprintf(
        reply, sizeof reply,
        "{\"timezone\":\"UTC\",\"serverTime\":%u,\"rateLimits\":[],\"exchangeFilters\":[],"
        "\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":\"%s\",\"baseAsset\":\"BTC\","
        "\"quoteAsset\":\"USDT\",\"filters\":[]},{\"symbol\":\"C1USDT\",\"status\":\"TRADING\"},"
        "{\"symbol\":\"NOBODY\",\"status\":\"TRADING\",\"baseAsset\":\"NO\","
        "\"quoteAsset\":\"BODY\",\"filters\":[]}]}",
        server_time, state);
    cr_assert(size > 0 && (size_t)size < sizeof reply);
    struct shard_counters before = shard_counters(rig->shard[0]);
    struct shard_command command = {.kind = SHARD_INSTRUMENTS,
                                    .dialect = dialect_by_name("binance"),
                                    .body = malloc(sizeof reply),
                                    .body_size = (uint32_t)size};
    memcpy(command.body, reply, sizeof reply);
    cr_assert(shard_post(rig->shard[0], &command));
    rig_run(rig, 500 * LIMIT_MILLISECOND_NS);
    struct shard_counters after = shard_counters(rig->shard[0]);
    return after.events - before.events - (after.downs - before.downs);
}

Test(shard, a_clock_that_disagrees_with_the_exchanges_is_told)
{
    // The peer's trades say that they were sent when the world began.
    struct rig *rig = rig_create(10, 1);
    rig_feed(rig, 1, 0, 1, 1);
    rig_run(rig, 11 * LIMIT_SECOND_NS);
    cr_assert_eq(shard_counters(rig->shard[0]).clock_alarms, 0);
    rig_run(rig, 15 * LIMIT_SECOND_NS);
    cr_assert_eq(shard_counters(rig->shard[0]).clock_alarms, 1);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, instruments_of_recorded_symbols_become_rows_where_they_changed)
{
    struct rig *rig = rig_create(7, 1);
    rig->peer->mode = PEER_FORBIDDEN; // no trades between
    rig_feed(rig, 1, 0, 2, 1);
    rig_run(rig, 500 * LIMIT_MILLISECOND_NS);
    cr_assert_eq(instrument_rows(rig, 1, "TRADING"), 2);
    cr_assert_eq(instrument_rows(rig, 2, "TRADING"), 0);
    cr_assert_eq(instrument_rows(rig, 3, "BREAK"), 1);
    cr_assert_eq(instrument_rows(rig, 4, "BREAK"), 0);
    cr_assert_eq(instrument_rows(rig, 5, "TRADING"), 1);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_stop_at_any_moment_ends_in_time_with_everything_durable)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rig *rig = rig_create(seed, 1 + (uint32_t)(seed % 2));
        struct sim_faults *faults = sim_world_faults(rig->world);
        faults->receive_split = 200000;
        faults->connect_refused = 100000;
        faults->reset = 2000;
        faults->mute = 30000;
        rig_feed(rig, 1, 0, 10, 2);
        rig_run(rig, (int64_t)sim_world_random(rig->world, 3000) * LIMIT_MILLISECOND_NS);
        if (seed % 3 == 0) rig_feed(rig, 2, 1, 12, 1);
        if (seed % 5 == 0) rig->peer->mode = PEER_SHUTDOWN;
        rig_run(rig, (int64_t)sim_world_random(rig->world, 3000) * LIMIT_MILLISECOND_NS);
        rig_stop(rig, true);
        rig_destroy(rig);
    }
}

Test(shard, a_full_disk_ends_the_stop_in_time_too)
{
    struct rig *rig = rig_create(8, 1);
    rig_feed(rig, 1, 0, 5, 1);
    rig_run(rig, 2 * LIMIT_SECOND_NS);
    sim_disk_capacity(rig->world, 4096);
    sim_world_faults(rig->world)->no_space = 1000000;
    rig_run(rig, 5 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1, "capture goes on");
    rig_stop(rig, false);
    rig_destroy(rig);
}

Test(shard, commands_after_a_stop_and_a_full_queue_leak_nothing)
{
    struct rig *rig = rig_create(9, 1);
    rig_post(rig, (struct shard_command){.kind = SHARD_STOP});
    rig_feed(rig, 1, 0, 5, 1);
    const struct shard_command command = {.kind = SHARD_STATUS, .status = STATUS_CONFIGURED};
    uint32_t posted = 0;
    while (posted <= LIMIT_SHARD_COMMANDS && shard_post(rig->shard[0], &command)) posted++;
    cr_assert_eq(posted, LIMIT_SHARD_COMMANDS - 2);
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    cr_assert(shard_stopped(rig->shard[0], NULL));
    rig_destroy(rig);
}

// ---- ticks ----

// How often the shard has told how it is.
static uint32_t beats(struct rig *rig, int64_t for_ns)
{
    int64_t last_ns = rig->statistics[0]->heartbeat_ns;
    uint32_t count = 0;
    for (int64_t ns = 0; ns < for_ns; ns += 10 * LIMIT_MILLISECOND_NS) {
        rig_run(rig, 10 * LIMIT_MILLISECOND_NS);
        count += rig->statistics[0]->heartbeat_ns != last_ns;
        last_ns = rig->statistics[0]->heartbeat_ns;
    }
    return count;
}

Test(shard, ticks_are_rare_while_all_is_quiet_and_a_command_brings_one)
{
    struct rig *rig = rig_create(14, 1);
    const struct shard_command command = {.kind = SHARD_STATUS, .status = STATUS_CONFIGURED};
    const uint32_t busy = beats(rig, 2 * LIMIT_SECOND_NS); // of its start: every third tick tells
    cr_assert(busy >= 6 && busy <= 8, "%u", busy);
    rig_feed(rig, 1, 0, 1, 1);
    rig_run(rig, LIMIT_SECOND_NS);
    rig_post(rig, (struct shard_command){.kind = SHARD_FEED_REMOVE, .feed_id = 1});
    rig_run(rig, 10 * LIMIT_SECOND_NS);
    const uint32_t quiet = beats(rig, 10 * LIMIT_SECOND_NS);
    cr_assert(quiet >= 19 && quiet <= 21, "%u", quiet);
    cr_assert_lt(rig->statistics[0]->heartbeat_ns % (500 * LIMIT_MILLISECOND_NS),
                 10 * LIMIT_MILLISECOND_NS, "not with the others");
    const uint64_t events = shard_counters(rig->shard[0]).events;
    rig_run(rig, 100 * LIMIT_MILLISECOND_NS);
    cr_assert(shard_post(rig->shard[0], &command));
    rig_run(rig, 20 * LIMIT_MILLISECOND_NS);
    cr_assert_eq(shard_counters(rig->shard[0]).events, events + 1, "published by a tick");
    rig_stop(rig, true);
    rig_destroy(rig);
}

// ---- news of the store ----

static void rig_news(struct rig *rig, int64_t for_ns)
{
    for (int64_t ns = 0; ns < for_ns; ns += 100 * LIMIT_MILLISECOND_NS) { // as control does it
        shard_post_news(rig->shard[0], rig->store);
        rig_run(rig, 100 * LIMIT_MILLISECOND_NS);
    }
}

Test(shard, news_of_the_store_are_settled_once_their_rows_are_durable)
{
    struct rig *rig = rig_create(11, 1);
    struct sim_faults *faults = sim_world_faults(rig->world);
    rig_news(rig, LIMIT_SECOND_NS);
    faults->disk_ns_min = faults->disk_ns_max = 2 * LIMIT_SECOND_NS;
    const uint64_t first = keep_store_tell(rig->store, STATUS_DATA_DELETED, "one");
    cr_assert_eq(first, 1);
    rig_news(rig, LIMIT_SECOND_NS);
    cr_assert_not(keep_store_news_settled(rig->store, first), "nothing is durable yet");
    const uint64_t second = keep_store_tell(rig->store, STATUS_STORE_DAMAGED, "two");
    rig_news(rig, 2 * LIMIT_SECOND_NS);
    cr_assert(keep_store_news_settled(rig->store, first));
    cr_assert_not(keep_store_news_settled(rig->store, second));
    rig_news(rig, 3 * LIMIT_SECOND_NS);
    cr_assert(keep_store_news_settled(rig->store, second));
    faults->disk_ns_min = faults->disk_ns_max = LIMIT_MILLISECOND_NS;
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, news_that_a_full_disk_refused_are_written_again)
{
    struct rig *rig = rig_create(12, 1);
    const struct shard_command command = {.kind = SHARD_STATUS, .status = STATUS_CONFIGURED};
    rig_run(rig, 2 * LIMIT_SECOND_NS);
    sim_disk_capacity(rig->world, 4096);
    sim_world_faults(rig->world)->no_space = 1000000;
    for (int i = 0; shard_counters(rig->shard[0]).refused == 0; i++) { // the held batch is full
        cr_assert_lt(i, 100000, "rows are held without end");
        while (shard_post(rig->shard[0], &command)) continue;
        rig_run(rig, LIMIT_MILLISECOND_NS);
    }
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) // more than are posted at once
        last = keep_store_tell(rig->store, STATUS_STORE_DAMAGED, "one");
    const uint64_t before = shard_counters(rig->shard[0]).refused;
    rig_news(rig, 3 * LIMIT_SECOND_NS);
    cr_assert_gt(shard_counters(rig->shard[0]).refused, before);
    cr_assert_not(keep_store_news_settled(rig->store, 1));
    sim_world_faults(rig->world)->no_space = 0;
    sim_disk_capacity(rig->world, 1 << 30);
    rig_news(rig, 10 * LIMIT_SECOND_NS);
    cr_assert(keep_store_news_settled(rig->store, last));
    rig_post(rig, (struct shard_command){.kind = SHARD_STOP});
    rig_run(rig, 3 * LIMIT_SECOND_NS);
    cr_assert(shard_stopped(rig->shard[0], NULL));
    rig_destroy(rig);
}

Test(shard, news_stay_with_the_store_while_the_queue_is_full)
{
    struct keep_news news;
    struct rig *rig = rig_create(13, 1);
    const struct shard_command command = {.kind = SHARD_STATUS, .status = STATUS_CONFIGURED};
    while (shard_post(rig->shard[0], &command)) continue;
    (void)keep_store_tell(rig->store, STATUS_STORE_DAMAGED, "one");
    shard_post_news(rig->shard[0], rig->store);
    cr_assert(keep_store_news(rig->store, &news));
    rig_run(rig, LIMIT_SECOND_NS);
    rig_stop(rig, true);
    rig_destroy(rig);
}

// ---- the first tape ----

Test(shard, no_link_before_a_tape_is_there)
{
    struct rig *rig = rig_create(21, 1);
    sim_world_faults(rig->world)->disk_ns_min = LIMIT_SECOND_NS;
    sim_world_faults(rig->world)->disk_ns_max = LIMIT_SECOND_NS;
    rig_feed(rig, 1, 0, 5, 1);
    rig_run(rig, LIMIT_SECOND_NS);
    cr_assert_eq(rig->peer->connections, 0);
    rig_run(rig, 9 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1);
    cr_assert_eq(shard_counters(rig->shard[0]).refused, 0);
    sim_world_faults(rig->world)->disk_ns_min = 0;
    sim_world_faults(rig->world)->disk_ns_max = 0;
    rig_run(rig, 5 * LIMIT_SECOND_NS);
    rig_stop(rig, true);
    rig_destroy(rig);
}

static struct rig *rig_without_room(uint64_t seed)
{
    struct rig *rig = rig_create(seed, 1);
    sim_world_faults(rig->world)->no_space = 1000000;
    rig_feed(rig, 1, 0, 5, 1);
    return rig;
}

Test(shard, a_disk_without_room_holds_up_no_link_for_ever)
{
    struct rig *rig = rig_without_room(22);
    rig_run(rig, 9 * LIMIT_SECOND_NS);
    cr_assert_eq(rig->peer->connections, 0);
    rig_run(rig, 4 * LIMIT_SECOND_NS);
    cr_assert_eq(rig_sum_links(rig), 1);
    sim_world_faults(rig->world)->no_space = 0;
    rig_run(rig, 20 * LIMIT_SECOND_NS);
    rig_stop(rig, true);
    rig_destroy(rig);
}

Test(shard, a_stop_does_not_wait_for_the_first_tape)
{
    struct rig *rig = rig_without_room(23);
    rig_run(rig, LIMIT_SECOND_NS);
    rig_stop(rig, false);
    cr_assert_eq(rig->peer->connections, 0);
    rig_destroy(rig);
}
