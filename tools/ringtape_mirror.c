// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape mirror: how far the mirror to Kafka is, by tape and topic, and what Kafka refused;
// `retry` asks the daemon to send that again. Reads the store only: the state as of its last save.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/mirror_letter.h"
#include "format/mirror_state.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_options.h"
#include "tools/ringtape_table.h"
#include "tools/ringtape_tape.h"

// As src/publish/message.h: the names consumers know.
static const char *const topics[CHANNEL_COUNT] = {
    [CHANNEL_NONE] = "batches",
    [CHANNEL_TRADE] = "trades",   [CHANNEL_AGG_TRADE] = "agg_trades", [CHANNEL_QUOTE] = "quotes",
    [CHANNEL_DEPTH] = "depth",    [CHANNEL_BOOK] = "books",           [CHANNEL_TICKER] = "tickers",
    [CHANNEL_KLINE] = "klines",   [CHANNEL_CANDLE] = "candles",       [CHANNEL_ALERT] = "alerts",
    [CHANNEL_STATUS] = "status",  [CHANNEL_RAW] = "raw",
    [CHANNEL_INSTRUMENT] = "instruments",
};

struct mirror_lag { // of one tape and topic
    uint64_t rows;  // of the topic, behind the cursor
    uint64_t bytes; // of their batches, all topics together
    int64_t since_ns; // receipt of the first of them
};

struct mirror_view {
    const char *store;
    bool json;
    struct mirror_state state;
    uint64_t letters[CHANNEL_COUNT];
    char cause[CHANNEL_COUNT][160]; // of the last letter
    struct ringtape_json out;
    struct ringtape_table table;
    uint64_t lagging;
    uint64_t damages; // tapes
};

// What a tape has of each topic behind its cursor.
struct mirror_walk {
    const struct mirror_view *view;
    uint32_t tape;
    uint32_t shard;
    bool batches; // are mirrored
    struct mirror_lag lag[CHANNEL_COUNT];
    uint8_t *memory;
    size_t memory_bytes;
    uint64_t damages; // not torn writes, which nobody was told of
};

static uint64_t mirror_from(const struct mirror_walk *walk, int channel)
{
    if (walk->shard >= MIRROR_SHARDS_MAX) return 0;
    return mirror_state_reach(&walk->view->state, (enum channel)channel, walk->shard, walk->tape);
}

// True: it has rows that are not delivered.
static bool mirror_add(struct mirror_walk *walk, const struct tape_item *item,
                       const struct tape_batch *batch, int topic, int channel)
{
    struct mirror_lag *lag = &walk->lag[topic];
    const struct rows *rows = &batch->rows[channel];
    uint64_t from = mirror_from(walk, topic);
    uint64_t before = lag->rows;
    for (uint32_t r = 0; r < rows->count; r++) {
        uint32_t number = batch->arrival[channel][r];
        if (number < item->rows_before || item->header.first_row + number < from) continue;
        if (lag->rows++ == 0)
            lag->since_ns = rows->present[r] >> COLUMN_RECEIVE_TIME & 1
                                ? rows->value[COLUMN_RECEIVE_TIME][r]
                                : 0;
    }
    return lag->rows > before;
}

static void mirror_item(void *context, const struct tape_item *item)
{
    struct mirror_walk *walk = context;
    struct tape_batch batch;
    bool behind = false;
    if (item->is_damage) {
        walk->damages += item->damage.acknowledged;
        return;
    }
    if (item->memory_bytes > walk->memory_bytes) {
        free(walk->memory);
        walk->memory_bytes = (item->memory_bytes + 63) & ~(size_t)63;
        walk->memory = aligned_alloc(64, walk->memory_bytes);
        if (walk->memory == NULL) walk->memory_bytes = 0;
    }
    if (walk->memory == NULL || tape_decode_batch(item->bytes, item->size, walk->memory,
                                                  item->memory_bytes, &batch) != TAPE_GOOD)
        return;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (topics[c] == NULL || batch.rows[c].count == 0) continue;
        if (mirror_add(walk, item, &batch, c, c)) walk->lag[c].bytes += item->size;
        if (walk->batches) behind = mirror_add(walk, item, &batch, CHANNEL_NONE, c) || behind;
    }
    if (behind) walk->lag[CHANNEL_NONE].bytes += item->size;
}

// ---- output ----

static void mirror_row_json(struct mirror_view *view, const struct mirror_walk *walk, int c,
                            int64_t now_ns)
{
    const struct mirror_lag *lag = &walk->lag[c];
    uint64_t from = mirror_from(walk, c);
    ringtape_json_object(&view->out, NULL);
    ringtape_json_count(&view->out, "tape", walk->tape);
    ringtape_json_text(&view->out, "topic", topics[c]);
    ringtape_json_count(&view->out, "cursor", from);
    ringtape_json_count(&view->out, "rows", lag->rows);
    ringtape_json_count(&view->out, "bytes", lag->bytes);
    ringtape_json_count(&view->out, "seconds",
                        lag->since_ns > 0 && now_ns > lag->since_ns
                            ? (uint64_t)(now_ns - lag->since_ns) / 1000000000
                            : 0);
    ringtape_json_object_end(&view->out);
}

static void mirror_row_text(struct mirror_view *view, const struct mirror_walk *walk, int c,
                            int64_t now_ns)
{
    const struct mirror_lag *lag = &walk->lag[c];
    ringtape_table_cell(&view->table, "%08" PRIu32, walk->tape);
    ringtape_table_cell(&view->table, "%s", topics[c]);
    ringtape_table_cell(&view->table, "%" PRIu64, mirror_from(walk, c));
    ringtape_table_cell(&view->table, "%" PRIu64, lag->rows);
    ringtape_table_cell(&view->table, "%" PRIu64, lag->bytes);
    ringtape_table_cell(&view->table, "%.1f",
                        lag->since_ns > 0 ? (double)(now_ns - lag->since_ns) / 1e9 : 0);
}

// Whose header is damaged: of what the daemon noted.
static uint32_t mirror_shard(const struct mirror_view *view, const struct ringtape_tape *tape,
                             uint32_t number)
{
    if (tape->header.number == number) return tape->header.shard;
    const struct mirror_state_tape *note = mirror_state_note(&view->state, number);
    return note != NULL ? note->shard : MIRROR_SHARDS_MAX;
}

static void mirror_damage(struct mirror_view *view, const char *path, const char *what)
{
    (void)ringtape_fail("%s: %s; 'ringtape verify' lists all damage", path, what);
    view->damages++;
}

// The walk failed. A tape without a header is just being made, as a rule.
static void mirror_unread(struct mirror_view *view, const char *path, int result,
                          enum tape_error error)
{
    if (result == -ENOENT || error == TAPE_NO_MAGIC || error == TAPE_SHORT) return;
    mirror_damage(view, path, error ? tape_error_text(error) : ringtape_error_text(result));
}

static void mirror_tape(struct mirror_view *view, const char *path, uint32_t number)
{
    struct ringtape_tape tape;
    enum tape_error error = TAPE_GOOD;
    struct mirror_walk walk = {.view = view, .tape = number, .shard = MIRROR_SHARDS_MAX,
                               .batches = mirror_state_topics(&view->state) >> CHANNEL_NONE & 1};
    // The header first: the shard is needed for the cursors.
    const int result = ringtape_tape_walk(path, number, &tape, &error, NULL, NULL);
    if (result < 0) {
        mirror_unread(view, path, result, error);
        return;
    }
    walk.shard = mirror_shard(view, &tape, number);
    (void)ringtape_tape_walk(path, number, &tape, &error, mirror_item, &walk);
    free(walk.memory);
    // Rows that cannot be read are not among those that wait.
    if (walk.damages > 0) mirror_damage(view, path, "damaged");
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (walk.lag[c].rows == 0) continue;
        view->lagging += walk.lag[c].rows;
        if (view->json) mirror_row_json(view, &walk, c, ringtape_now_ns());
        else mirror_row_text(view, &walk, c, ringtape_now_ns());
    }
}

static void mirror_tapes(struct mirror_view *view, struct store *store)
{
    uint32_t count;
    const uint32_t *numbers = store_tapes(store, &count);
    for (uint32_t i = 0; i < count; i++) {
        char path[RINGTAPE_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%.3000s/tape/%08" PRIu32 ".tape", view->store,
                       numbers[i]);
        mirror_tape(view, path, numbers[i]);
    }
}

static void mirror_json(struct mirror_view *view, struct store *store)
{
    ringtape_json_start(&view->out, stdout);
    ringtape_json_object(&view->out, NULL);
    ringtape_json_time(&view->out, "time", view->state.time_ns);
    ringtape_json_array(&view->out, "lag");
    mirror_tapes(view, store);
    ringtape_json_array_end(&view->out);
    ringtape_json_object(&view->out, "delivered");
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (topics[c] != NULL && view->state.delivered[c] != 0)
            ringtape_json_count(&view->out, topics[c], view->state.delivered[c]);
    }
    ringtape_json_object_end(&view->out);
    ringtape_json_object(&view->out, "letters");
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (topics[c] != NULL && view->letters[c] != 0)
            ringtape_json_count(&view->out, topics[c], view->letters[c]);
    }
    ringtape_json_object_end(&view->out);
    ringtape_json_object_end(&view->out);
    ringtape_json_line(&view->out);
}

static void mirror_text(struct mirror_view *view, struct store *store)
{
    static const char *const headings[] = {"TAPE",    "TOPIC",   ">CURSOR",
                                           ">ROWS",   ">BYTES",  ">SECONDS"};
    char as_of[TIME_TEXT_BYTES_MAX];
    ringtape_table_start(&view->table, headings, sizeof headings / sizeof headings[0]);
    mirror_tapes(view, store);
    if (view->lagging > 0) ringtape_table_print(&view->table);
    ringtape_table_free(&view->table);
    if (view->lagging == 0) (void)printf("everything on the tapes is delivered\n");
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (view->letters[c] > 0)
            (void)printf("%s: %" PRIu64 " refused messages, the last one: %s\n",
                         topics[c] != NULL ? topics[c] : "?", view->letters[c], view->cause[c]);
    }
    time_text_format(as_of, view->state.time_ns, 3);
    (void)printf("as of %s\n", as_of);
}

// ---- reading ----

static void mirror_letters(struct mirror_view *view, const char *name)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    struct mirror_letter letter;
    (void)snprintf(path, sizeof path, "%.3000s/mirror/%s", view->store, name);
    if (ringtape_map_open(&map, path) < 0) return;
    size_t at = 0;
    while (at < map.size) {
        size_t size = mirror_letter_read(&letter, map.bytes + at, map.size - at);
        if (size == 0) break;
        at += size;
        if (letter.channel >= CHANNEL_COUNT) continue;
        view->letters[letter.channel]++;
        (void)snprintf(view->cause[letter.channel], sizeof view->cause[0], "%.*s",
                       (int)letter.cause.size, (const char *)letter.cause.bytes);
    }
    ringtape_map_close(&map);
}

static int mirror_read(struct mirror_view *view)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    (void)snprintf(path, sizeof path, "%.3000s/mirror/state", view->store);
    int result = ringtape_map_open(&map, path);
    if (result == -ENOENT)
        return ringtape_fail("%s: nothing was mirrored yet; 'kafka:' of the daemon's configuration "
                             "says where to",
                             view->store);
    if (result == 0) {
        result = mirror_state_parse(&view->state, (const char *)map.bytes, map.size);
        ringtape_map_close(&map);
    }
    if (result < 0) return ringtape_fail("%s: %s", path, ringtape_error_text(result));
    mirror_letters(view, "dead");
    mirror_letters(view, "dead.retry");
    return RINGTAPE_EXIT_OK;
}

static int mirror_show(struct mirror_view *view)
{
    struct store *store;
    int exit_code = ringtape_store_open(&store, view->store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = mirror_read(view);
    if (exit_code == RINGTAPE_EXIT_OK) {
        if (view->json) mirror_json(view, store);
        else mirror_text(view, store);
        if (view->damages > 0) exit_code = RINGTAPE_EXIT_FOUND;
    }
    store_close(store);
    return ringtape_finish_output(exit_code);
}

// The daemon looks for this file once a second.
static int mirror_retry(const char *store)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%.3000s/mirror/retry", store);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return ringtape_fail("%s: %s; run this as the daemon's user", path,
                                       strerror(errno));
    (void)close(file);
    if (ringtape_daemon_of(store) == 0)
        (void)printf("no daemon runs; the next one sends the refused messages again\n");
    else
        (void)printf("the daemon sends the refused messages again; its log tells what became of "
                     "them\n");
    return ringtape_finish_output(RINGTAPE_EXIT_OK);
}

int ringtape_mirror(int argc, char **argv)
{
    static struct mirror_view view; // large
    int exit_code = RINGTAPE_EXIT_OK;
    bool retry = argc > 0 && strcmp(argv[0], "retry") == 0;
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &view.store, .value = "DIR",
         .help = "the store: 'store:' of the daemon's configuration", .required = true},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &view.json,
         .help = "one JSON object"},
    };
    const struct ringtape_usage usage = {
        .command = retry ? "mirror retry" : "mirror",
        .purpose = retry ? "Asks the daemon to send again what Kafka refused."
                         : "How far the mirror to Kafka is: of each tape and topic the rows, bytes "
                           "and seconds\nthat are not delivered, and what Kafka refused for good. "
                           "'ringtape mirror retry' has\nthat sent again.",
        .options = options,
        .option_count = retry ? 1 : sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc - retry, argv + retry, ringtape_now_ns(), &exit_code))
        return exit_code;
    return retry ? mirror_retry(view.store) : mirror_show(&view);
}
