// SPDX-License-Identifier: GPL-3.0-or-later
//
// Alerts at once: through the queue of a shard to a producer; full, confirmed, refused, broken. A
// trade stands for the alert: the sender does not look inside.
#include <criterion/criterion.h>

#include <string.h>

#include "publish/alert_sender.h"
#include "scripted_producer.h"

static struct sim_world *world;
static struct scripted_broker broker;
static struct io *io;
static struct alert_sender *sender;
static struct event event;

static void start(void)
{
    struct io_message message;
    struct io_options loop = {.name = "alerts"};
    world = sim_world_create(3);
    sim_world_use(world);
    broker.world = world;
    cr_assert_eq(io_open_loop(&io, &loop, &message), 0);
    const struct alert_sender_options options = {.shards = 2,
                                                 .channel = CHANNEL_TRADE,
                                                 .maker = {scripted_make, &broker}};
    cr_assert_eq(alert_sender_open(&sender, io, &options), 0);
    alert_sender_start(sender);
}

static bool offer(uint32_t shard, int64_t id, const char *kind)
{
    event_clear(&event, CHANNEL_TRADE, 77); // its own number is of no concern
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_TIME, 1767225600000000000);
    event_set(&event, TRADE_ID, id);
    event_set_decimal(&event, TRADE_PRICE, 1, 0);
    event_set_decimal(&event, TRADE_QUANTITY, 1, 0);
    event_set(&event, TRADE_SIDE, 0);
    event_set_text(&event, TRADE_KIND, kind, (uint32_t)strlen(kind));
    return alert_sender_offer(sender, shard, &event, "binance:BTCUSDT", 15);
}

static bool confirmed(const char *id)
{
    uint64_t hash = message_identity_hash("binance:BTCUSDT", 15, id, (uint32_t)strlen(id));
    return alert_sender_confirmed(sender, hash);
}

static void stopped(void *context)
{
    *(bool *)context = true;
}

static void end(void)
{
    bool done = false;
    alert_sender_stop(sender, 100000000, stopped, &done);
    while (!done) cr_assert(sim_world_step(world));
    alert_sender_close(sender);
    sim_world_destroy(world);
}

Test(alert_sender, an_alert_arrives_and_is_confirmed)
{
    start();
    cr_assert(offer(0, 41, "surge"));
    cr_assert(offer(1, 42, "crash"));
    cr_assert_not(confirmed("41"));
    cr_assert(sim_world_run(world, 20000000));
    cr_assert_eq(broker.count, 2);
    cr_assert_str_eq(broker.log[0].key, "binance:BTCUSDT");
    cr_assert_eq(broker.log[0].time_ms, 1767225600000);
    cr_assert(confirmed("41") && confirmed("42") && !confirmed("43"));
    struct alert_sender_counters counters = alert_sender_counters(sender);
    cr_assert(counters.offered == 2 && counters.delivered == 2);
    end();
}

Test(alert_sender, a_full_queue_is_counted_and_never_waits)
{
    start();
    for (int64_t id = 1; id <= ALERT_QUEUE_MAX; id++) cr_assert(offer(0, id, ""));
    cr_assert_not(offer(0, 999, ""));
    cr_assert(offer(1, 1000, ""), "the other shard has its own");
    cr_assert_eq(alert_sender_counters(sender).full, 1);
    cr_assert(sim_world_run(world, 200000000));
    cr_assert_eq(broker.count, ALERT_QUEUE_MAX + 1);
    cr_assert(offer(0, 999, ""));
    end();
}

Test(alert_sender, what_is_too_large_is_left_to_the_mirror)
{
    static char kind[ALERT_MESSAGE_BYTES_MAX + 1];
    start();
    memset(kind, 'x', ALERT_MESSAGE_BYTES_MAX);
    cr_assert_not(offer(0, 1, kind));
    cr_assert_eq(alert_sender_counters(sender).too_large, 1);
    cr_assert(offer(0, 2, "fits"));
    cr_assert(sim_world_run(world, 50000000));
    cr_assert_eq(broker.count, 1);
    end();
}

Test(alert_sender, a_broken_producer_is_made_anew_and_what_it_had_is_left_to_the_mirror)
{
    start();
    broker.bad_from = broker.bad_every = 5;
    cr_assert(offer(0, 5, ""));
    cr_assert(sim_world_run(world, 50000000));
    cr_assert_not(confirmed("5"));
    cr_assert_eq(alert_sender_counters(sender).refused, 1);
    cr_assert(offer(0, 6, ""));
    cr_assert(sim_world_run(world, 50000000));
    cr_assert(confirmed("6"));
    cr_assert_eq(broker.makes, 2);
    end();
}

Test(alert_sender, a_broker_that_is_away_stops_nothing)
{
    start();
    broker.down = true;
    for (int64_t id = 1; id <= 2 * ALERT_QUEUE_MAX; id++) (void)offer(0, id, "");
    cr_assert(sim_world_run(world, 3000000000));
    end(); // within its limit, though nothing was delivered
    cr_assert_eq(broker.count, 0);
}
