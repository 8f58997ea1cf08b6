// SPDX-License-Identifier: GPL-3.0-or-later
#include "mirror_life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/mirror_letter.h"
#include "format/mirror_state.h"
#include "keep/file_script.h"

#define LIFE_STORE "store"
#define LIFE_EPOCH_NS 1767225600000000000ll

static const char *const life_names[MIRROR_LIFE_SYMBOLS] = {"BTCUSDT", "ETHUSDT", "SOLUSDT",
                                                            "XRPUSDT", "ADAUSDT", "TRXUSDT",
                                                            "NEXOUSDT"};

static uint32_t durable_rows(struct mirror_life_shard *shard)
{
    uint64_t rows = tape_writer_counters(shard->writer).rows_durable;
    return rows < shard->taken ? (uint32_t)rows : shard->taken;
}

// Rows of this sitting are sent once they are durable; those of earlier ones are recovered.
static bool may_send(void *context, const struct scripted_record *record)
{
    struct mirror_life *life = context;
    int64_t n = record->number;
    if (record->channel != CHANNEL_TRADE) return true;
    if (n <= 0 || n > life->appended || !life->taken[n]) return false;
    if (n <= life->sitting_first) return true;
    return life->index[n] < durable_rows(&life->shard[life->place[n]]);
}

// ---- a consumer of batches ----

static void batch_row(struct mirror_life *life, const struct rows *rows, uint32_t r)
{
    struct mirror_life_batches *got = &life->got;
    int64_t n = rows->value[TRADE_ID][r];
    const char *why = NULL;
    if (n < 1 || n > life->appended || !life->taken[n]) why = "a row that was never written";
    else if (n > life->sitting_first &&
             life->index[n] >= durable_rows(&life->shard[life->place[n]]))
        why = "a row that was not durable";
    else if (!got->seen[n] && n < got->last[n % MIRROR_LIFE_SYMBOLS])
        why = "a row out of order";
    if (why != NULL) {
        (void)snprintf(got->why, sizeof got->why, "a batch brought %s: %lld", why, (long long)n);
        return;
    }
    got->again += got->seen[n];
    if (!got->seen[n]) got->last[n % MIRROR_LIFE_SYMBOLS] = n;
    got->seen[n] = true;
}

static bool batch_decode(const void *value, size_t size, struct tape_batch *batch)
{
    static _Alignas(64) uint8_t bytes[1 << 20];
    static _Alignas(64) uint8_t memory[1 << 22];
    struct layout_batch header;
    size_t needed = 0;
    ensure(size <= sizeof bytes);
    memcpy(bytes, value, size);
    return tape_check_batch(bytes, size, &header, &needed) == TAPE_GOOD &&
           needed <= sizeof memory &&
           tape_decode_batch(bytes, size, memory, needed, batch) == TAPE_GOOD;
}

enum { NUMBERED_TAPES = 128, NUMBERED_SETS = 4, NUMBERED_ROWS = 8192 };
static uint32_t numbered[NUMBERED_TAPES][NUMBERED_SETS][NUMBERED_ROWS];

// Which row came under a number of a tape. A number is one row's for ever, else who takes rows from
// the next number on misses some.
static void number_row(struct mirror_life *life, uint64_t tape, uint64_t number, int64_t n)
{
    uint64_t row = number % MIRROR_STATE_REMADE_ROW;
    uint64_t set = number / MIRROR_STATE_REMADE_ROW;
    ensure(tape < NUMBERED_TAPES && row < NUMBERED_ROWS && set < NUMBERED_SETS);
    uint32_t *known = &numbered[tape][set][row];
    if (*known != 0 && *known != n)
        (void)snprintf(life->got.why, sizeof life->got.why,
                       "number %llu of tape %llu is row %u and row %lld",
                       (unsigned long long)number, (unsigned long long)tape, *known, (long long)n);
    *known = (uint32_t)n;
}

// The identity is STORE:TAPE:FIRST:END.
static void batch_taken(struct mirror_life *life, const struct producer_message *message)
{
    struct mirror_life_batches *got = &life->got;
    struct tape_batch batch;
    const char *place = strchr(message->identity, ':');
    char *rest;
    ensure(place != NULL);
    bool good = batch_decode(message->value, message->value_size, &batch);
    uint64_t tape = strtoull(place + 1, &rest, 10);
    uint64_t first = strtoull(rest + 1, &rest, 10);
    uint64_t end = strtoull(rest + 1, &rest, 10);
    if (!good || first != batch.header.first_row || end != first + batch.header.rows ||
        *rest != '\0' || message->time_ms != batch.header.time_max / 1000000) {
        (void)snprintf(got->why, sizeof got->why, "a batch that is none: %.80s",
                       (const char *)message->identity);
        return;
    }
    ensure(tape < sizeof got->next / sizeof *got->next);
    const struct rows *rows = &batch.rows[CHANNEL_TRADE];
    for (uint32_t r = 0; r < rows->count; r++) {
        uint64_t number = first + batch.arrival[CHANNEL_TRADE][r];
        number_row(life, tape, number, rows->value[TRADE_ID][r]);
        if (number >= got->next[tape]) batch_row(life, rows, r);
    }
    if (life->ends_behind_block && first >= MIRROR_STATE_REMADE_ROW) life->broker.down = true;
    got->next[tape] = end > got->next[tape] ? end : got->next[tape];
    got->count++;
}

// A refused batch is kept whole.
static void batch_letter(struct mirror_life *life, const struct mirror_letter *letter)
{
    struct tape_batch batch;
    if (letter->channel != MESSAGE_BATCHES ||
        !batch_decode(letter->value.bytes, letter->value.size, &batch))
        return;
    const struct rows *rows = &batch.rows[CHANNEL_TRADE];
    for (uint32_t r = 0; r < rows->count; r++) {
        int64_t n = rows->value[TRADE_ID][r];
        if (n > 0 && n <= life->appended) life->got.seen[n] = true;
    }
}

static void message_taken(void *context, const struct producer_message *message)
{
    if (message->channel == MESSAGE_BATCHES) batch_taken(context, message);
}

void mirror_life_begin(struct mirror_life *life, uint64_t seed)
{
    memset(life, 0, sizeof *life);
    memset(numbered, 0, sizeof numbered);
    life->world = sim_world_create(seed);
    life->tape_bytes = 64 << 10;
    life->feed_bytes = 1 << 16;
    life->queue_messages = SCRIPTED_QUEUE_MAX;
    life->broker.world = life->world;
    life->broker.may = may_send;
    life->broker.take = message_taken;
    life->broker.may_context = life;
    sim_world_use(life->world);
}

void mirror_life_end(struct mirror_life *life)
{
    sim_world_destroy(life->world);
}

// ---- start ----

static void open_loop(struct io **io, const char *name)
{
    struct io_message message;
    struct io_options options = {.name = name};
    ensure(io_open_loop(io, &options, &message) == 0);
}

static bool open_mirror(struct mirror_life *life)
{
    struct io_message message = {{0}};
    struct tape_feed *feeds[MIRROR_LIFE_SHARDS];
    for (uint32_t s = 0; s < life->shards; s++) {
        ensure(tape_feed_open(&life->shard[s].feed, life->feed_bytes) == 0);
        feeds[s] = life->shard[s].feed;
    }
    static struct tape_feed *kept[MIRROR_LIFE_SHARDS]; // the mirror looks there as long as it lives
    memcpy(kept, feeds, sizeof kept);
    struct mirror_options options = {.store = life->store,
                                     .feeds = kept,
                                     .shards = life->shards,
                                     .channels = 1u << CHANNEL_TRADE | 1u << CHANNEL_STATUS |
                                                 1u << CHANNEL_DEPTH,
                                     .maker = {scripted_make, &life->broker},
                                     .queue_bytes = 1 << 20,
                                     .queue_messages = life->queue_messages,
                                     .statistics = &life->statistics};
    memset(&life->statistics, 0, sizeof life->statistics);
    for (int c = 0; c < CHANNEL_COUNT; c++) options.format[c] = life->format;
    options.format[MESSAGE_BATCHES] = MESSAGE_BATCH;
    if (life->batches) options.channels |= 1u << MESSAGE_BATCHES;
    if (mirror_open(&life->mirror, life->mirror_io, life->control_io, &options, &message) != 0)
        return false;
    mirror_start(life->mirror);
    return true;
}

static void open_shard(struct mirror_life *life, uint32_t s)
{
    struct mirror_life_shard *shard = &life->shard[s];
    char name[16];
    (void)snprintf(name, sizeof name, "shard-%u", s);
    open_loop(&shard->io, name);
    shard->symbols = symbols_open(64);
    uint32_t exchange = symbols_exchange(shard->symbols, "binance");
    for (int i = 0; i < MIRROR_LIFE_SYMBOLS; i++)
        (void)symbols_add(shard->symbols, exchange, life_names[i], (uint32_t)strlen(life_names[i]));
    struct tape_writer_options options = {.store = life->store,
                                          .symbols = shard->symbols,
                                          .shard = s,
                                          .tape_bytes = life->tape_bytes,
                                          .feed = shard->feed};
    ensure(tape_writer_open(&shard->writer, shard->io, &options) == 0);
    shard->taken = 0;
}

static bool released(void *context, uint32_t tape)
{
    (void)tape;
    return ((const struct mirror_life *)context)->releases;
}

static void open_sealer(struct mirror_life *life)
{
    if (life->keeps_tapes)
        keep_store_add_guard(life->store, &(struct retention_guard){.tape_released = released,
                                                                    .context = life});
    ensure(sealer_open(&life->sealer, life->sealer_io, life->store) == 0);
}

bool mirror_life_start(struct mirror_life *life, uint32_t shards)
{
    struct io_message message;
    ensure(shards >= 1 && shards <= MIRROR_LIFE_SHARDS);
    life->shards = shards;
    life->sitting_first = life->appended;
    open_loop(&life->control_io, "control");
    open_loop(&life->mirror_io, "mirror");
    open_loop(&life->sealer_io, "sealer");
    if (keep_store_open(&life->store, life->control_io, LIFE_STORE, &message) < 0) return false;
    if (!open_mirror(life)) return false;
    if (life->seals) open_sealer(life);
    for (uint32_t s = 0; s < shards; s++) open_shard(life, s);
    return !sim_world_crashed(life->world);
}

// ---- work ----

static void note_durable(struct mirror_life *life)
{
    for (uint32_t s = 0; s < life->shards; s++) {
        struct mirror_life_shard *shard = &life->shard[s];
        uint32_t durable = shard->writer != NULL ? durable_rows(shard) : 0;
        for (uint32_t i = 0; i < durable; i++) life->durable[shard->row[i]] = true;
    }
}

static void append_row(struct mirror_life *life)
{
    static struct event event;
    uint32_t n = ++life->appended;
    uint32_t symbol = n % MIRROR_LIFE_SYMBOLS;
    struct mirror_life_shard *shard = &life->shard[symbol % life->shards];
    event_clear(&event, CHANNEL_TRADE, symbol);
    event_set(&event, COLUMN_RECEIVE_TIME, LIFE_EPOCH_NS + n);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_TIME, LIFE_EPOCH_NS + (int64_t)n * 1000000);
    event_set(&event, TRADE_ID, n);
    event_set_decimal(&event, TRADE_PRICE, n * 7 % 100003, 2);
    event_set_decimal(&event, TRADE_QUANTITY, n % 977, 3);
    event_set(&event, TRADE_SIDE, n & 1);
    life->taken[n] = tape_writer_append(shard->writer, &event);
    if (!life->taken[n]) return;
    life->place[n] = (uint8_t)(symbol % life->shards);
    life->index[n] = shard->taken;
    shard->row[shard->taken++] = n;
}

bool mirror_life_run(struct mirror_life *life, int64_t duration_ns)
{
    bool alive = sim_world_run(life->world, duration_ns);
    note_durable(life);
    return alive;
}

bool mirror_life_work(struct mirror_life *life, uint32_t rows)
{
    while (rows > 0) {
        uint32_t burst = 1 + (uint32_t)sim_world_random(life->world, 60);
        burst = burst < rows ? burst : rows;
        rows -= burst;
        for (; burst > 0; burst--) append_row(life);
        if (!mirror_life_run(life, (int64_t)sim_world_random(life->world, 12000000))) return false;
    }
    return true;
}

bool mirror_life_settle(struct mirror_life *life)
{
    for (int i = 0; i < 3000; i++) {
        if (!mirror_life_run(life, 20000000)) return false;
        bool durable = true;
        for (uint32_t s = 0; s < life->shards; s++)
            durable = durable && durable_rows(&life->shard[s]) == life->shard[s].taken;
        struct mirror_counters counters = mirror_counters(life->mirror);
        if (durable && counters.behind == 0 && counters.in_flight == 0 && i > 3) return true;
    }
    (void)snprintf(life->why, sizeof life->why, "the mirror never catches up");
    return false;
}

// ---- end ----

static void release(struct mirror_life *life)
{
    if (life->mirror != NULL) mirror_close(life->mirror);
    if (life->sealer != NULL) sealer_close(life->sealer);
    life->sealer = NULL;
    for (uint32_t s = 0; s < MIRROR_LIFE_SHARDS; s++) {
        struct mirror_life_shard *shard = &life->shard[s];
        if (shard->writer != NULL) tape_writer_close(shard->writer);
        if (shard->symbols != NULL) symbols_close(shard->symbols);
        tape_feed_close(shard->feed);
        shard->writer = NULL;
        shard->symbols = NULL;
        shard->feed = NULL;
    }
    if (life->store != NULL) keep_store_close(life->store);
    life->store = NULL;
    life->mirror = NULL;
}

static void writer_stopped(void *context, bool ok)
{
    (void)ok;
    *(bool *)context = true;
}

static void just_stopped(void *context)
{
    *(bool *)context = true;
}

static bool step_until(struct mirror_life *life, const bool *flag)
{
    while (!*flag) {
        if (!sim_world_step(life->world)) return false;
    }
    note_durable(life);
    return true;
}

bool mirror_life_stop(struct mirror_life *life)
{
    for (uint32_t s = 0; s < life->shards; s++) {
        bool stopped = false;
        tape_writer_stop(life->shard[s].writer, 3000000000, writer_stopped, &stopped);
        if (!step_until(life, &stopped)) return false;
    }
    bool stopped = false;
    mirror_stop(life->mirror, 500000000, just_stopped, &stopped);
    if (!step_until(life, &stopped)) return false;
    stopped = life->sealer == NULL;
    if (!stopped) sealer_stop(life->sealer, just_stopped, &stopped);
    if (!step_until(life, &stopped)) return false;
    release(life);
    for (uint32_t s = 0; s < life->shards; s++) io_close_loop(life->shard[s].io);
    io_close_loop(life->mirror_io);
    io_close_loop(life->sealer_io);
    io_close_loop(life->control_io);
    return true;
}

void mirror_life_crash(struct mirror_life *life, enum sim_crash kind)
{
    note_durable(life);
    sim_world_crash(life->world, kind);
    release(life);
    life->broker.spare = NULL;
    sim_world_crash_at(life->world, 0);
}

static uint32_t lose(struct mirror_life *life, bool tapes)
{
    static struct file_script script;
    const struct catalogue *catalogue = keep_store_catalogue(life->store);
    uint32_t lost = 0;
    for (uint32_t t = 0; t < catalogue->tape_count; t++) {
        char path[2][KEEP_FILE_NAME_BYTES_MAX];
        keep_store_tape_path(life->store, catalogue->tapes[t], "tape", path[0]);
        keep_store_tape_path(life->store, catalogue->tapes[t], "mark", path[1]);
        lost += sim_disk_size(life->world, path[0]) >= 0;
        file_script_begin(&script);
        if (tapes) file_script_unlink(&script, path[0]);
        file_script_unlink(&script, path[1]);
        ensure(file_script_run_now(&script, life->control_io) == 0);
    }
    return lost;
}

uint32_t mirror_life_lose_tapes(struct mirror_life *life)
{
    return lose(life, true);
}

void mirror_life_lose_marks(struct mirror_life *life)
{
    (void)lose(life, false);
}

// ---- the oracle ----

uint32_t mirror_life_letters(struct mirror_life *life, int64_t *numbers, uint32_t max)
{
    int64_t size = sim_disk_size(life->world, LIFE_STORE "/mirror/dead");
    if (size <= 0) return 0;
    uint8_t *bytes = malloc((size_t)size);
    int64_t got = sim_disk_read(life->world, LIFE_STORE "/mirror/dead", bytes, (uint32_t)size, 0);
    ensure(got == size);
    uint32_t count = 0;
    struct mirror_letter letter;
    for (size_t at = 0, step; count < max; at += step) {
        step = mirror_letter_read(&letter, bytes + at, (size_t)size - at);
        if (step == 0) break;
        batch_letter(life, &letter);
        if (letter.channel == MESSAGE_BATCHES) continue;
        char identity[24] = "";
        memcpy(identity, letter.identity.bytes,
               letter.identity.size < 23 ? letter.identity.size : 23);
        numbers[count++] = strtoll(identity, NULL, 10);
    }
    free(bytes);
    return count;
}

static bool wrong(struct mirror_life *life, const char *what, int64_t n)
{
    (void)snprintf(life->why, sizeof life->why, "%s: row %lld", what, (long long)n);
    return false;
}

static bool check_log(struct mirror_life *life, uint8_t *seen)
{
    int64_t last[MIRROR_LIFE_SYMBOLS] = {0};
    for (uint32_t i = 0; i < life->broker.count; i++) {
        const struct scripted_record *record = &life->broker.log[i];
        int64_t n = record->number;
        if (record->channel != CHANNEL_TRADE) continue;
        char key[SCRIPTED_KEY_BYTES];
        (void)snprintf(key, sizeof key, "binance:%s", life_names[n % MIRROR_LIFE_SYMBOLS]);
        if (strcmp(key, record->key) != 0) return wrong(life, "came under another key", n);
        if (record->time_ms != LIFE_EPOCH_NS / 1000000 + n) return wrong(life, "another time", n);
        if (seen[n]) continue;
        if (n < last[n % MIRROR_LIFE_SYMBOLS]) return wrong(life, "came out of order", n);
        last[n % MIRROR_LIFE_SYMBOLS] = n;
        seen[n] = 1;
    }
    return true;
}

bool mirror_life_check(struct mirror_life *life)
{
    static uint8_t seen[MIRROR_LIFE_ROWS + 1];
    static int64_t letters[MIRROR_LIFE_ROWS];
    memset(seen, 0, sizeof seen);
    if (life->broker.trespasses > 0) return wrong(life, "sent before it was durable", 0);
    if (!check_log(life, seen)) return false;
    uint32_t count = mirror_life_letters(life, letters, MIRROR_LIFE_ROWS);
    for (uint32_t i = 0; i < count; i++) {
        if (letters[i] > 0 && letters[i] <= MIRROR_LIFE_ROWS) seen[letters[i]] = 1;
    }
    if (life->got.why[0] != '\0') {
        (void)snprintf(life->why, sizeof life->why, "%s", life->got.why);
        return false;
    }
    for (uint32_t n = 1; n <= life->appended; n++) {
        if (life->durable[n] && !seen[n]) return wrong(life, "was never delivered", n);
        if (life->batches && life->durable[n] && !life->got.seen[n])
            return wrong(life, "came in no batch", n);
    }
    return true;
}

bool mirror_life_finish(struct mirror_life *life)
{
    if (!mirror_life_settle(life) || !mirror_life_check(life)) return false;
    if (!mirror_life_stop(life)) return wrong(life, "crashed while it stopped", 0);
    mirror_life_end(life);
    return true;
}
