// SPDX-License-Identifier: GPL-3.0-or-later
//
// Batches are taken column by column; a channel is put in order once, by a counting sort over
// symbol ranks (O(rows), stable) and, only where its rows are of several days, a stable merge sort
// by day.
#include "keep/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/catalogue.h"
#include "format/ensure.h"

enum { GATHER_FEED_ROWS = 256 }; // handed to the segment's writer at a time
_Static_assert(GATHER_FEED_ROWS <= SEGMENT_APPEND_ROWS_MAX, "asked for room before each portion");

// ---- memory ----

static struct rows_limits limits_of(const struct channel_schema *schema)
{
    bool wide = schema->channel == CHANNEL_RAW || schema->channel == CHANNEL_INSTRUMENT;
    bool fast = schema->channel <= CHANNEL_DEPTH;
    return (struct rows_limits){
        .rows = fast ? GATHER_ROWS_MAX : GATHER_ROWS_SLOW_MAX,
        .levels = schema->has_levels ? GATHER_LEVELS_MAX : 0,
        .text_bytes = wide ? GATHER_TEXT_BYTES_WIDE_MAX : GATHER_TEXT_BYTES_MAX,
    };
}

// Hands out parts of `memory`, or only counts when it is NULL. Whole pages each, so that what is
// not used is never touched.
static void *carve(uint8_t *memory, size_t *used, size_t bytes)
{
    void *part = memory ? memory + *used : NULL;
    *used += (bytes + 4095) & ~(size_t)4095;
    return part;
}

static size_t place_all(struct gather *gather, uint8_t *memory)
{
    size_t used = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (!schema)
            continue;
        struct rows_limits limits = limits_of(schema);
        void *rows = carve(memory, &used, rows_memory_bytes(schema, &limits));
        if (memory)
            rows_init(&gather->rows[c], schema, &limits, rows);
        gather->row_number[c] = carve(memory, &used, limits.rows * sizeof(uint64_t));
    }
    gather->map = carve(memory, &used, TAPE_BATCH_SYMBOLS_MAX * sizeof(uint32_t));
    gather->order = carve(memory, &used, GATHER_ROWS_MAX * sizeof(uint32_t));
    gather->scratch = carve(memory, &used, GATHER_ROWS_MAX * sizeof(uint32_t));
    gather->runs = carve(memory, &used, GATHER_ROWS_MAX * sizeof(struct gather_run));
    gather->counts = carve(memory, &used, (GATHER_SYMBOLS_MAX + 1) * sizeof(uint32_t));
    gather->ranked = carve(memory, &used, (GATHER_SYMBOLS_MAX + 1) * sizeof(uint32_t));
    return used;
}

int gather_open(struct gather *gather)
{
    memset(gather, 0, sizeof *gather);
    gather->memory_bytes = place_all(gather, NULL);
    void *memory = mmap(NULL, gather->memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    gather->memory = memory;
    ensure(place_all(gather, memory) == gather->memory_bytes);
    gather->symbols = symbols_open(GATHER_SYMBOLS_MAX);
    return gather->symbols ? 0 : -ENOMEM;
}

void gather_close(struct gather *gather)
{
    if (gather->symbols)
        symbols_close(gather->symbols);
    if (gather->memory)
        ensure(munmap(gather->memory, gather->memory_bytes) == 0);
    memset(gather, 0, sizeof *gather);
}

void gather_rest(struct gather *gather)
{
    // A tape whose segments found no room leaves its rows: it is gathered anew.
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (gather->rows[c].schema) rows_clear(&gather->rows[c]);
    }
    ensure(madvise(gather->memory, gather->memory_bytes, MADV_DONTNEED) == 0);
}

void gather_begin(struct gather *gather, uint32_t tape)
{
    gather->tape = tape;
    // Symbols are added for ever otherwise; a tape holds those of one shard.
    if (symbols_count(gather->symbols) > GATHER_SYMBOLS_MAX / 2) {
        symbols_close(gather->symbols);
        gather->symbols = symbols_open(GATHER_SYMBOLS_MAX);
        ensure(gather->symbols);
    }
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (gather->rows[c].schema)
            rows_clear(&gather->rows[c]);
    }
}

// ---- taking batches ----

// "exchange:SYMBOL" → our number.
static uint32_t number_of(struct gather *gather, struct event_text name)
{
    char exchange[SYMBOL_NAME_BYTES_MAX + 1];
    const uint8_t *colon = memchr(name.bytes, ':', name.size);
    size_t size = colon ? (size_t)(colon - name.bytes) : 0;
    if (!colon || size > SYMBOL_NAME_BYTES_MAX)
        return SYMBOL_NONE;
    memcpy(exchange, name.bytes, size);
    exchange[size] = 0;
    uint32_t number = symbols_exchange(gather->symbols, exchange);
    if (number >= SYMBOL_EXCHANGES_MAX)
        return SYMBOL_NONE;
    return symbols_add(gather->symbols, number, (const char *)colon + 1,
                       name.size - (uint32_t)size - 1);
}

bool gather_batch(struct gather *gather, const struct tape_batch *batch, uint32_t rows_before)
{
    ensure(batch->header.symbols <= TAPE_BATCH_SYMBOLS_MAX);
    ensure(rows_before <= batch->header.rows);
    gather->map_count = batch->header.symbols;
    for (int c = 0; c < CHANNEL_COUNT; c++)
        gather->next[c] = tape_batch_row(batch, c, rows_before);
    for (uint32_t s = 0; s < batch->header.symbols; s++) {
        gather->map[s] = number_of(gather, batch->symbols[s]);
        if (gather->map[s] == SYMBOL_NONE)
            return false;
    }
    return true;
}

static bool take_channel(struct gather *gather, const struct tape_batch *batch, int channel)
{
    const struct rows *source = &batch->rows[channel];
    struct rows *rows = &gather->rows[channel];
    uint32_t first = gather->next[channel];
    uint32_t at = rows->count;
    uint32_t count = rows_append_rows(rows, source, first, source->count - first, gather->map);
    for (uint32_t row = 0; row < count; row++)
        gather->row_number[channel][at + row] =
            batch->header.first_row + batch->arrival[channel][first + row];
    gather->next[channel] += count;
    return gather->next[channel] == source->count;
}

enum channel gather_take(struct gather *gather, const struct tape_batch *batch)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (batch->rows[c].count == 0 || gather->next[c] == batch->rows[c].count)
            continue;
        if (!take_channel(gather, batch, c)) {
            // One row always fits in an empty channel: its limits are those of an event.
            ensure(gather->rows[c].count > 0);
            return (enum channel)c;
        }
    }
    return CHANNEL_NONE;
}

void gather_empty(struct gather *gather, enum channel channel)
{
    ensure(gather->rows[channel].schema);
    rows_clear(&gather->rows[channel]);
}

// ---- order ----

static uint32_t slot_of(uint32_t symbol)
{
    return symbol == SYMBOL_NONE ? GATHER_SYMBOLS_MAX : symbol;
}

struct rank_context {
    const struct symbols *symbols;
    const uint32_t *counts;
};

// Few rows first, then by name; rows without symbol before all.
static int compare_symbols(const void *a, const void *b, void *context)
{
    const struct rank_context *rank = context;
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    if (x == GATHER_SYMBOLS_MAX || y == GATHER_SYMBOLS_MAX)
        return (y == GATHER_SYMBOLS_MAX) - (x == GATHER_SYMBOLS_MAX);
    bool x_rare = rank->counts[x] < SEGMENT_RARE_ROWS;
    bool y_rare = rank->counts[y] < SEGMENT_RARE_ROWS;
    if (x_rare != y_rare)
        return y_rare - x_rare;
    return strcmp(symbols_name(rank->symbols, x)->text, symbols_name(rank->symbols, y)->text);
}

// Fills ranked[] with the symbols of the rows; returns how many.
static uint32_t rank_symbols(struct gather *gather, const struct rows *rows)
{
    memset(gather->counts, 0, (GATHER_SYMBOLS_MAX + 1) * sizeof *gather->counts);
    uint32_t ranked = 0;
    for (uint32_t row = 0; row < rows->count; row++) {
        uint32_t slot = slot_of(rows->symbol[row]);
        if (gather->counts[slot]++ == 0)
            gather->ranked[ranked++] = slot;
    }
    struct rank_context rank = {.symbols = gather->symbols, .counts = gather->counts};
    qsort_r(gather->ranked, ranked, sizeof *gather->ranked, compare_symbols, &rank);
    return ranked;
}

// Stable counting sort by symbol rank.
static void order_by_symbol(struct gather *gather, const struct rows *rows)
{
    uint32_t ranked = rank_symbols(gather, rows);
    uint32_t at = 0;
    for (uint32_t r = 0; r < ranked; r++) {
        uint32_t count = gather->counts[gather->ranked[r]];
        gather->counts[gather->ranked[r]] = at;
        at += count;
    }
    ensure(at == rows->count);
    for (uint32_t row = 0; row < rows->count; row++)
        gather->order[gather->counts[slot_of(rows->symbol[row])]++] = row;
}

static int32_t day_of(const struct rows *rows, uint32_t row)
{
    return catalogue_day_of(rows_time_ns(rows, row));
}

static bool one_day(const struct rows *rows)
{
    int32_t day = day_of(rows, 0);
    for (uint32_t row = 1; row < rows->count; row++) {
        if (day_of(rows, row) != day)
            return false;
    }
    return true;
}

// Stable merge sort of the order by day; only around midnight and in hostile data.
static void order_by_day(struct gather *gather, const struct rows *rows, uint32_t first,
                         uint32_t count)
{
    if (count < 2)
        return;
    uint32_t half = count / 2;
    order_by_day(gather, rows, first, half);
    order_by_day(gather, rows, first + half, count - half);
    memcpy(gather->scratch + first, gather->order + first, count * sizeof *gather->order);
    const uint32_t *left = gather->scratch + first;
    const uint32_t *middle = left + half;
    const uint32_t *right = middle;
    const uint32_t *end = left + count;
    for (uint32_t *to = gather->order + first; left < middle || right < end; to++) {
        bool take_right = left == middle || (right < end && day_of(rows, *right) <
                                                                day_of(rows, *left));
        *to = take_right ? *right++ : *left++;
    }
}

static void find_runs(struct gather *gather, const struct rows *rows)
{
    gather->run_count = 0;
    struct gather_run *run = NULL;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = gather->order[i];
        int32_t day = day_of(rows, row);
        if (!run || run->day != day || run->symbol != rows->symbol[row]) {
            run = &gather->runs[gather->run_count++];
            *run = (struct gather_run){.day = day, .symbol = rows->symbol[row], .first = i};
        }
        run->count++;
    }
}

bool gather_sort(struct gather *gather, enum channel channel)
{
    const struct rows *rows = &gather->rows[channel];
    if (!rows->schema || rows->count == 0)
        return false;
    gather->sorted = channel;
    order_by_symbol(gather, rows);
    if (!one_day(rows))
        order_by_day(gather, rows, 0, rows->count);
    find_runs(gather, rows);
    gather->run = gather->run_end = 0;
    gather->fed = 0;
    gather->announced = gather->split = false;
    return true;
}

uint64_t gather_left(const struct gather *gather)
{
    uint64_t rows = 0;
    for (uint32_t r = gather->run; r < gather->run_count; r++)
        rows += gather->runs[r].count;
    ensure(rows >= gather->fed);
    return rows - gather->fed;
}

bool gather_day(struct gather *gather, int32_t *day)
{
    if (gather->run == gather->run_count)
        return false;
    if (gather->split) {
        ensure(gather->run < gather->run_end);
        gather->split = false;
        *day = gather->runs[gather->run].day;
        return true;
    }
    ensure(gather->run == gather->run_end);
    *day = gather->runs[gather->run].day;
    while (gather->run_end < gather->run_count && gather->runs[gather->run_end].day == *day)
        gather->run_end++;
    return true;
}

static bool announce(struct gather *gather, struct segment_writer *writer,
                     const struct gather_run *run)
{
    if (gather->announced)
        return true;
    const char *name = "";
    uint32_t size = 0;
    if (run->symbol != SYMBOL_NONE) {
        name = symbols_name(gather->symbols, run->symbol)->text;
        size = symbols_name(gather->symbols, run->symbol)->size;
    }
    gather->announced = segment_writer_symbol(writer, name, size, run->count - gather->fed);
    return gather->announced;
}

// The next rows of a run, at most GATHER_FEED_ROWS; returns how many the writer took.
static uint32_t feed_some(const struct gather *gather, struct segment_writer *writer,
                          const struct rows *rows, const struct gather_run *run)
{
    struct segment_provenance provenance[GATHER_FEED_ROWS];
    const uint32_t *order = gather->order + run->first + gather->fed;
    uint32_t count = run->count - gather->fed;
    if (count > GATHER_FEED_ROWS)
        count = GATHER_FEED_ROWS;
    for (uint32_t i = 0; i < count; i++) {
        provenance[i] = (struct segment_provenance){
            .tape = gather->tape, .row = gather->row_number[gather->sorted][order[i]]};
    }
    return segment_writer_append_selected(writer, rows, order, count, provenance);
}

// True when the segment cannot take more; the rest goes to another.
static bool split(struct gather *gather, const struct segment_writer *writer)
{
    gather->split = segment_writer_full(writer);
    if (gather->split)
        gather->announced = false;
    return gather->split;
}

bool gather_feed(void *context, struct segment_writer *writer, int *failure)
{
    (void)failure;
    struct gather *gather = context;
    const struct rows *rows = &gather->rows[gather->sorted];
    for (; gather->run < gather->run_end; gather->run++) {
        const struct gather_run *run = &gather->runs[gather->run];
        if (!gather->announced && split(gather, writer))
            return true;
        if (!announce(gather, writer, run))
            return false;
        while (gather->fed < run->count) {
            if (split(gather, writer))
                return true;
            uint32_t count = feed_some(gather, writer, rows, run);
            gather->fed += count;
            if (gather->fed < run->count && count < GATHER_FEED_ROWS)
                return false;
        }
        gather->fed = 0;
        gather->announced = false;
    }
    return true;
}
