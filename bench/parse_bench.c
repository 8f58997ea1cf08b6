// SPDX-License-Identifier: GPL-3.0-or-later
//
// What does reading a real message cost, and what with the fastest JSON libraries? Frames of a
// recording become events (exact integers, symbol looked up) by the dialect and by each peer
// (bench/parse_peer.h). bench/parse.py makes peers and frames and reads what this prints.
//
//     parse_bench [--smoke] CASE DIALECT FRAMES SYMBOL[,SYMBOL...] PEER.so...
//
// Frames lie in groups of at most 256 KB, each read once unmeasured and then measured, so that it
// is in the cache: in the daemon a frame was just decrypted. Within a group the readers take turns,
// another one first each time. CPU time of the thread; medians of the repetitions. Before that
// every frame's event is compared, column by column and level by level: status 1 where any differs.
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/symbols.h"
#include "bench/parse_peer.h"
#include "bench/times.h"
#include "exchange/dialect.h"
#include "format/ensure.h"

enum {
    GROUP_BYTES = 256 << 10,
    PEERS_MAX = 2,
    READERS_MAX = PEERS_MAX + 1, // the first is ringtape
    REPETITIONS = 15,
    REPETITIONS_SMOKE = 2,
    PASSES = 3, // of a group, measured together: the clock costs as much as a message
    HEAD_BYTES = 12, // of a frame in the file: i64 receive time, u32 size
};

struct frame {
    const uint8_t *bytes;
    uint32_t size;
};

struct bench {
    const char *name;
    const struct dialect *dialect;
    struct symbols *symbols;
    struct dialect_context context;
    struct parse_peer_context peer_context;
    const struct parse_peer *peers[PEERS_MAX];
    void *states[PEERS_MAX];
    uint32_t peer_count;
    uint8_t *bytes;
    struct frame *frames;
    uint32_t count;
    uint32_t left_out; // what the dialect makes no row of
    uint64_t total_bytes;
};

static struct event_level levels[2][EVENT_LEVELS_MAX];
static struct bench bench;

static uint32_t find(const void *symbols, const char *name, uint32_t size)
{
    return symbols_find(symbols, bench.context.exchange, name, size);
}

// ---- reading ----

// The first event of the frame; further ones are raw rows about it.
static bool read_own(const struct frame *of, struct event *event)
{
    static struct dialect_frame frame;
    static struct event rest;
    dialect_frame_begin(bench.dialect, &frame, &bench.context, of->bytes, of->size, levels[0]);
    if (!bench.dialect->next(&frame, event)) return false;
    while (bench.dialect->next(&frame, &rest)) continue;
    return event->channel != CHANNEL_RAW;
}

static bool read_by(uint32_t reader, const struct frame *of, struct event *event)
{
    if (reader == 0) return read_own(of, event);
    return bench.peers[reader - 1]->read(bench.states[reader - 1], &bench.peer_context, of->bytes,
                                         of->size, event);
}

// ---- comparing ----

static bool level_same(const struct event_level *a, const struct event_level *b)
{
    return a->price == b->price && a->quantity == b->quantity && a->price_scale == b->price_scale &&
           a->quantity_scale == b->quantity_scale && a->side == b->side;
}

static bool event_same(const struct event *a, const struct event *b)
{
    const struct channel_schema *schema = channel_schema(a->channel);
    if (a->channel != b->channel || a->symbol != b->symbol || a->present != b->present ||
        a->level_count != b->level_count)
        return false;
    for (int c = 0; c < schema->column_count; c++) {
        if (!event_has(a, c)) continue;
        if (a->value[c] != b->value[c]) return false;
        if (schema->columns[c].type == COLUMN_DECIMAL && a->scale[c] != b->scale[c]) return false;
    }
    for (uint32_t i = 0; i < a->level_count; i++)
        if (!level_same(&a->levels[i], &b->levels[i])) return false;
    return true;
}

static bool compare(void)
{
    static struct event own, theirs;
    uint64_t different = 0;
    for (uint32_t i = 0; i < bench.count; i++) {
        ensure(read_own(&bench.frames[i], &own));
        for (uint32_t p = 1; p <= bench.peer_count; p++) {
            if (read_by(p, &bench.frames[i], &theirs) && event_same(&own, &theirs)) continue;
            if (different++ == 0)
                (void)fprintf(stderr, "%s reads another event of: %.*s\n", bench.peers[p - 1]->name,
                              (int)bench.frames[i].size, (const char *)bench.frames[i].bytes);
        }
    }
    return different == 0;
}

// ---- frames ----

static void load(const char *path)
{
    static struct event event;
    FILE *file = fopen(path, "rb");
    ensure(file != NULL && fseek(file, 0, SEEK_END) == 0);
    const size_t size = (size_t)ftell(file);
    bench.bytes = calloc(1, size + DIALECT_FRAME_PADDING);
    bench.frames = calloc(size / HEAD_BYTES + 1, sizeof *bench.frames);
    ensure(bench.bytes != NULL && bench.frames != NULL && fseek(file, 0, SEEK_SET) == 0);
    ensure(fread(bench.bytes, 1, size, file) == size);
    (void)fclose(file);
    for (size_t at = 0; at < size;) {
        struct frame frame = {.bytes = bench.bytes + at + HEAD_BYTES};
        memcpy(&frame.size, bench.bytes + at + 8, sizeof frame.size);
        at += HEAD_BYTES + frame.size;
        ensure(at <= size);
        if (read_own(&frame, &event)) {
            bench.frames[bench.count++] = frame;
            bench.total_bytes += frame.size;
        } else {
            bench.left_out++;
        }
    }
}

static void add_symbols(const char *names)
{
    bench.symbols = symbols_open(1024);
    ensure(bench.symbols != NULL);
    bench.context = (struct dialect_context){.symbols = bench.symbols, .raw_symbol = SYMBOL_NONE};
    bench.context.exchange = symbols_exchange(bench.symbols, bench.dialect->name);
    for (const char *at = names; *at != 0;) {
        const uint32_t size = (uint32_t)strcspn(at, ",");
        ensure(symbols_add(bench.symbols, bench.context.exchange, at, size) != SYMBOL_NONE);
        at += size + (at[size] == ',');
    }
    bench.peer_context = (struct parse_peer_context){
        .symbols = bench.symbols, .find = find, .levels = levels[1],
        .upbit = strcmp(bench.dialect->name, "upbit") == 0};
}

static void add_peer(const char *path)
{
    ensure(bench.peer_count < PEERS_MAX);
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL) {
        (void)fprintf(stderr, "parse_bench: %s\n", dlerror());
        exit(1);
    }
    const struct parse_peer *peer = dlsym(library, "parse_peer");
    ensure(peer != NULL);
    bench.peers[bench.peer_count] = peer;
    bench.states[bench.peer_count++] = peer->open();
}

// ---- measuring ----

static void pass(uint32_t reader, uint32_t from, uint32_t to)
{
    static struct event event;
    uint32_t good = 0;
    for (uint32_t i = from; i < to; i++) good += read_by(reader, &bench.frames[i], &event);
    ensure(good == to - from);
}

static uint32_t group_end(uint32_t from)
{
    uint32_t to = from, bytes = 0;
    while (to < bench.count && (to == from || bytes + bench.frames[to].size <= GROUP_BYTES))
        bytes += bench.frames[to++].size;
    return to;
}

// One repetition: ns a message of each reader over all groups.
static void measure(uint32_t turn, double costs[READERS_MAX])
{
    const uint32_t readers = bench.peer_count + 1;
    for (uint32_t r = 0; r < readers; r++) costs[r] = 0;
    for (uint32_t from = 0; from < bench.count; turn++) {
        const uint32_t to = group_end(from);
        for (uint32_t i = 0; i < readers; i++) {
            const uint32_t reader = (turn + i) % readers;
            pass(reader, from, to);
            const double begin = times_cpu_ns();
            for (uint32_t p = 0; p < PASSES; p++) pass(reader, from, to);
            costs[reader] += (times_cpu_ns() - begin) / (double)PASSES;
        }
        from = to;
    }
    for (uint32_t r = 0; r < readers; r++) costs[r] /= bench.count;
}

static void print(const char *metric, double values[], uint32_t count, const char *unit,
                  const char *peer)
{
    qsort(values, count, sizeof *values, times_compare);
    const double median = values[count / 2];
    (void)printf("{\"bench\":\"parse\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":%.4g,"
                 "\"unit\":\"%s\",\"spread\":%.3f,\"peer\":",
                 bench.name, metric, median, unit, (values[count - 1] - values[0]) / median);
    (void)printf(peer == NULL ? "null}\n" : "\"%s\"}\n", peer);
}

static void report(double costs[][READERS_MAX], uint32_t count)
{
    double values[REPETITIONS];
    const double bytes = (double)bench.total_bytes / bench.count;
    for (uint32_t r = 0; r <= bench.peer_count; r++) {
        const char *peer = r == 0 ? NULL : bench.peers[r - 1]->name;
        for (uint32_t i = 0; i < count; i++) values[i] = costs[i][r];
        print("ns_per_message", values, count, "ns", peer);
        for (uint32_t i = 0; i < count; i++) values[i] = 1e9 / costs[i][r];
        print("messages_per_second", values, count, "1/s", peer);
        for (uint32_t i = 0; i < count; i++) values[i] = bytes / costs[i][r];
        print("gigabytes_per_second", values, count, "GB/s", peer);
        if (r == 0) continue;
        char metric[64];
        (void)snprintf(metric, sizeof metric, "ratio_to_%.*s", (int)strcspn(peer, " "), peer);
        // The same bytes for both, so the ratio of the times is that a byte.
        for (uint32_t i = 0; i < count; i++) values[i] = costs[i][r] / costs[i][0];
        print(metric, values, count, "ratio", NULL);
    }
}

int main(int argc, char **argv)
{
    static double costs[REPETITIONS][READERS_MAX];
    const bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    if (smoke && argc == 2) return 0; // bench/parse.py has one
    char **at = argv + 1 + smoke;
    if (argc - smoke < 5) {
        (void)fprintf(stderr, "usage: parse_bench [--smoke] CASE DIALECT FRAMES SYMBOLS PEER...; "
                              "bench/parse.py does it\n");
        return 64;
    }
    bench.name = at[0];
    bench.dialect = dialect_by_name(at[1]);
    ensure(bench.dialect != NULL);
    add_symbols(at[3]);
    load(at[2]);
    for (char **peer = at + 4; *peer != NULL; peer++) add_peer(*peer);
    ensure(bench.count > 0);
    (void)fprintf(stderr, "%s: %" PRIu32 " messages, %.0f bytes each, %" PRIu32 " left out\n",
                  bench.name, bench.count, (double)bench.total_bytes / bench.count, bench.left_out);
    const bool good = compare();
    const uint32_t repetitions = smoke ? REPETITIONS_SMOKE : REPETITIONS;
    if (good) {
        for (uint32_t i = 0; i < repetitions; i++) measure(i, costs[i]);
        report(costs, repetitions);
    }
    for (uint32_t p = 0; p < bench.peer_count; p++) bench.peers[p]->close(bench.states[p]);
    symbols_close(bench.symbols);
    free(bench.frames);
    free(bench.bytes);
    return good ? 0 : 1;
}
