// SPDX-License-Identifier: GPL-3.0-or-later
//
// To Kafka: topics, keys, values, headers and identities as the mirror writes them (docs/kafka.md),
// under a prefix of its own. Each row is delivered at least once, in order for each key; a broker
// that is away is waited for.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "publish/message.h"
#include "publish/message_text.h"
#include "publish/producer_kafka.h"
#include "tools/replay_options.h"
#include "tools/replay_player.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_progress.h"

enum {
    COLLECT_MAX = 4096,
    VALUE_BYTES = 8 << 20, // a raw frame of 1 MiB, each byte escaped
    TOLD_MAX = 10,         // refused messages that are told one by one
};
#define WAIT_MAX_NS ((int64_t)100000000)
#define MILLISECOND_NS ((int64_t)1000000)
#define SILENCE_NS ((int64_t)10000000000) // then it is told that the brokers do not answer

struct replay_feed {
    struct replay_reader *reader;
    struct replay_player player;
    struct producer *producer;
    struct kafka_options kafka;
    struct kafka_maker maker;
    enum message_format format;
    struct message_coder coder;
    char store[MESSAGE_STORE_HEX_BYTES];
    uint8_t *value;
    uint64_t taken, reported, delivered, refused;
    int64_t heard_ns; // when Kafka last owed nothing or told something
    bool silence_told;
};

static void feed_refused(struct replay_feed *feed, const char *cause)
{
    if (feed->refused++ < TOLD_MAX) (void)ringtape_fail("Kafka refused a message: %s", cause);
}

static void feed_report(void *context, const struct producer_report *report)
{
    struct replay_feed *feed = context;
    feed->reported++;
    if (report->verdict == PRODUCER_DELIVERED) feed->delivered++;
    else feed_refused(feed, report->cause);
}

static uint32_t feed_collect(struct replay_feed *feed)
{
    const uint32_t count = feed->producer->collect(feed->producer, COLLECT_MAX, feed_report, feed);
    const int64_t now_ns = ringtape_monotonic_ns();
    if (count > 0 || feed->reported == feed->taken) {
        feed->heard_ns = now_ns;
        feed->silence_told = false;
    } else if (!feed->silence_told && now_ns - feed->heard_ns > SILENCE_NS) {
        feed->silence_told = true;
        (void)ringtape_fail("Kafka at %s has acknowledged nothing for %d s; still trying",
                            feed->kafka.brokers, (int)(SILENCE_NS / 1000000000));
    }
    return count;
}

static void feed_wait(int64_t wait_ns)
{
    const struct timespec time = {.tv_sec = 0,
                                  .tv_nsec = wait_ns > WAIT_MAX_NS ? WAIT_MAX_NS : wait_ns};
    (void)nanosleep(&time, NULL);
}

// The value in the format asked for, or in JSON where that has no place for it.
static bool feed_value(struct replay_feed *feed, const struct rows *rows, uint32_t row,
                       struct event_text symbol, struct message_place place,
                       struct producer_message *message)
{
    const char *why = "it is too large";
    if (message_bytes_max(rows, row, symbol.size) > VALUE_BYTES) {
        feed_refused(feed, why);
        return false;
    }
    size_t size = message_write(&feed->coder, feed->format, rows, row, symbol, place, feed->value,
                                &why);
    message->format = (uint16_t)feed->format;
    if (size == 0) {
        message->format = MESSAGE_JSON;
        size = message_write(&feed->coder, MESSAGE_JSON, rows, row, symbol, place, feed->value,
                             &why);
    }
    message->value = feed->value;
    message->value_size = (uint32_t)size;
    return true;
}

static void feed_row(struct replay_feed *feed, const struct replay_entry *entry)
{
    const struct replay_slice *slice = feed->player.slice;
    const struct rows *rows = &slice->rows[entry->channel];
    const struct message_place place = {slice->tape[entry->channel][entry->row],
                                        slice->tape_row[entry->channel][entry->row]};
    const uint32_t number = rows->symbol[entry->row];
    struct event_text symbol = {(const uint8_t *)"", 0};
    char identity[MESSAGE_IDENTITY_BYTES_MAX];
    if (number != SYMBOL_NONE) symbol = replay_reader_names(feed->reader)->texts[number];
    struct producer_message message = {
        .channel = (enum channel)entry->channel,
        .key = symbol.bytes,
        .key_size = symbol.size,
        .identity = identity,
        .identity_size =
            (uint32_t)message_identity(rows, entry->row, feed->store, place, identity),
        .time_ms = rows_time_ns(rows, entry->row) / MILLISECOND_NS,
    };
    if (!feed_value(feed, rows, entry->row, symbol, place, &message)) return;
    const char *cause = "";
    int result;
    while ((result = feed->producer->produce(feed->producer, &message, &cause)) == -ENOBUFS &&
           replay_stop == 0)
        if (feed_collect(feed) == 0) feed_wait(MILLISECOND_NS);
    if (result == 0) feed->taken++;
    else if (result != -ENOBUFS) feed_refused(feed, cause);
}

static int feed_play(struct replay_feed *feed)
{
    const struct replay_entry *entry;
    struct ringtape_progress progress;
    const uint64_t total = replay_reader_extent(feed->reader).rows;
    ringtape_progress_start(&progress, "replay");
    feed->heard_ns = ringtape_monotonic_ns();
    replay_player_start(&feed->player, feed->heard_ns);
    while (replay_stop == 0 && !feed->producer->broken(feed->producer)) {
        const int64_t now_ns = ringtape_monotonic_ns();
        const int64_t wait_ns = replay_player_next(&feed->player, now_ns, &entry);
        if (wait_ns == REPLAY_ENDED) break;
        if (wait_ns != 0) {
            if (feed_collect(feed) == 0) feed_wait(wait_ns < 0 ? MILLISECOND_NS : wait_ns);
            continue;
        }
        feed_row(feed, entry);
        replay_player_pass(&feed->player, entry, now_ns);
        if (feed->player.played % COLLECT_MAX == 0) {
            (void)feed_collect(feed);
            ringtape_progress_show(&progress, feed->player.played, total);
        }
    }
    while (replay_stop == 0 && feed->reported < feed->taken)
        if (feed_collect(feed) == 0) feed_wait(MILLISECOND_NS);
    ringtape_progress_clear(&progress);
    (void)printf("{\"event\":\"ended\",\"played\":%" PRIu64 ",\"delivered\":%" PRIu64
                 ",\"refused\":%" PRIu64 "}\n",
                 feed->player.played, feed->delivered, feed->refused);
    if (feed->player.error != 0)
        return ringtape_fail("the store: %s", ringtape_error_text(feed->player.error));
    const bool whole = replay_reader_damages(feed->reader) == 0 && feed->refused == 0;
    return whole ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}

// The mirror's identities name the store, so these do.
static int feed_store(struct replay_feed *feed, const char *path)
{
    struct store *store;
    const int code = ringtape_store_open(&store, path);
    if (code != RINGTAPE_EXIT_OK) return code;
    *message_hex(feed->store, store_identity(store), LAYOUT_STORE_ID_BYTES) = 0;
    store_close(store);
    return RINGTAPE_EXIT_OK;
}

static void feed_woken(void *context)
{
    (void)context; // the loop looks by itself
}

static int feed_kafka(struct replay_feed *feed, const struct replay_options *options)
{
    char text[512];
    feed->kafka = (struct kafka_options){.queue_bytes = 64 << 20};
    if (snprintf(feed->kafka.brokers, sizeof feed->kafka.brokers, "%s", options->kafka) >=
            (int)sizeof feed->kafka.brokers ||
        snprintf(feed->kafka.prefix, sizeof feed->kafka.prefix, "%s", options->kafka_prefix) >=
            (int)sizeof feed->kafka.prefix)
        return ringtape_fail("--kafka or --kafka-prefix: too long");
    if (!kafka_options_possible(&feed->kafka, text, sizeof text))
        return ringtape_fail("--kafka: %s", text);
    feed->maker = (struct kafka_maker){.options = &feed->kafka, .profile = KAFKA_THROUGHPUT};
    if (kafka_make(&feed->maker, feed_woken, NULL, &feed->producer, text, sizeof text) != 0)
        return ringtape_fail("Kafka: %s", text);
    return RINGTAPE_EXIT_OK;
}

int replay_kafka(const struct replay_options *options)
{
    static struct replay_feed feed;
    const struct replay_reader_options reader = {.query = &options->query};
    feed.format = message_format_by_name(options->kafka_format);
    message_coder_init(&feed.coder);
    feed.value = malloc(VALUE_BYTES);
    if (feed.value == NULL) return ringtape_fail("out of memory");
    int code = feed_store(&feed, options->query.store);
    if (code == RINGTAPE_EXIT_OK) code = feed_kafka(&feed, options);
    if (code == RINGTAPE_EXIT_OK) code = replay_reader_open(&feed.reader, &reader);
    if (code != RINGTAPE_EXIT_OK) return code;
    replay_player_open(&feed.player, feed.reader, options->speed_thousandths, false);
    code = feed_play(&feed);
    feed.producer->close(feed.producer);
    replay_reader_close(feed.reader);
    return ringtape_finish_output(code);
}
