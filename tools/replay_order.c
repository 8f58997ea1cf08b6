// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sorting is by digits of eleven bits, from the last one on: stable, and about 8 ns a row.
#include "tools/replay_order.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/ensure.h"

enum {
    DIGIT_BITS = 11,
    DIGITS = 1 << DIGIT_BITS,
};

struct replay_order {
    struct replay_entry *spare; // [REPLAY_ENTRIES_MAX]
    uint32_t *picked;           // [REPLAY_ROWS_MAX] rows of symbols with repaired ones
    int64_t *due;               // [REPLAY_ROWS_MAX] of one channel
    uint8_t symbols[RINGTAPE_NAMES_MAX / 8]; // bit: something of it was repaired
};

static void *order_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct replay_order *replay_order_open(void)
{
    struct replay_order *order = calloc(1, sizeof *order);
    if (order == NULL) return NULL;
    order->spare = order_map(REPLAY_ENTRIES_MAX * sizeof *order->spare);
    order->picked = order_map(REPLAY_ROWS_MAX * sizeof *order->picked);
    order->due = order_map(REPLAY_ROWS_MAX * sizeof *order->due);
    if (order->spare != NULL && order->picked != NULL && order->due != NULL) return order;
    replay_order_close(order);
    return NULL;
}

void replay_order_close(struct replay_order *order)
{
    if (order == NULL) return;
    if (order->spare != NULL)
        (void)munmap(order->spare, REPLAY_ENTRIES_MAX * sizeof *order->spare);
    if (order->picked != NULL) (void)munmap(order->picked, REPLAY_ROWS_MAX * sizeof *order->picked);
    if (order->due != NULL) (void)munmap(order->due, REPLAY_ROWS_MAX * sizeof *order->due);
    free(order);
}

// ---- when ----

static bool is_repaired(const struct rows *rows, uint32_t row)
{
    return (rows->value[COLUMN_FLAGS][row] & (EVENT_REPAIRED | EVENT_BACKFILLED)) != 0;
}

bool replay_order_timed(const struct rows *rows, uint32_t row)
{
    const struct channel_schema *schema = rows->schema;
    for (uint8_t i = 0; i < schema->time_count; i++)
        if (schema->times[i] != COLUMN_RECEIVE_TIME && (rows->present[row] >> schema->times[i] & 1))
            return true;
    return false;
}

int64_t replay_order_due(const struct rows *rows, uint32_t row, int64_t lag_ns)
{
    const int64_t shift_ns = lag_ns != 0 && replay_order_timed(rows, row) ? lag_ns : 0;
    const int64_t time_ns = rows_time_ns(rows, row) + shift_ns;
    const bool received = rows->present[row] >> COLUMN_RECEIVE_TIME & 1;
    if (!received || is_repaired(rows, row)) return time_ns;
    const int64_t due_ns = rows->value[COLUMN_RECEIVE_TIME][row];
    if (due_ns < time_ns - REPLAY_EARLY_NS) return time_ns - REPLAY_EARLY_NS;
    return due_ns > time_ns + REPLAY_LATE_NS ? time_ns + REPLAY_LATE_NS : due_ns;
}

// The column of ids that say what comes after what; -1: the channel has none.
static int id_column(enum channel channel)
{
    if (channel == CHANNEL_TRADE) return TRADE_ID;
    return channel == CHANNEL_AGG_TRADE ? AGG_TRADE_ID : -1;
}

static int id_order(const void *left, const void *right, void *context)
{
    const struct rows *rows = context;
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const int64_t *ids = rows->value[id_column(rows->schema->channel)];
    if (rows->symbol[a] != rows->symbol[b]) return rows->symbol[a] < rows->symbol[b] ? -1 : 1;
    if (ids[a] != ids[b]) return ids[a] < ids[b] ? -1 : 1;
    return (a > b) - (a < b);
}

// Rows of all symbols of which some were repaired, by symbol and id; 0: there are none.
static uint32_t pick_repaired(struct replay_order *order, const struct rows *rows)
{
    uint32_t count = 0;
    bool any = false;
    memset(order->symbols, 0, sizeof order->symbols);
    for (uint32_t i = 0; i < rows->count; i++) {
        const uint32_t symbol = rows->symbol[i];
        if (symbol == SYMBOL_NONE || !is_repaired(rows, i)) continue;
        order->symbols[symbol / 8] |= (uint8_t)(1u << symbol % 8);
        any = true;
    }
    for (uint32_t i = 0; any && i < rows->count; i++) {
        const uint32_t symbol = rows->symbol[i];
        if (symbol != SYMBOL_NONE && (order->symbols[symbol / 8] >> symbol % 8 & 1))
            order->picked[count++] = i;
    }
    if (count > 0)
        qsort_r(order->picked, count, sizeof order->picked[0], id_order,
                (void *)(uintptr_t)rows);
    return count;
}

// Between its neighbours by id.
static void place_repaired(struct replay_order *order, const struct rows *rows, uint32_t count)
{
    uint32_t symbol = SYMBOL_NONE;
    int64_t next_ns = INT64_MAX, before_ns = INT64_MIN;
    for (uint32_t i = count; i-- > 0;) {
        const uint32_t row = order->picked[i];
        if (rows->symbol[row] != symbol) next_ns = INT64_MAX;
        symbol = rows->symbol[row];
        // Rows due at once come in the order of recording, where a repaired one is the later.
        if (!is_repaired(rows, row)) next_ns = order->due[row] - 1;
        else if (order->due[row] > next_ns) order->due[row] = next_ns;
    }
    symbol = SYMBOL_NONE;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = order->picked[i];
        if (rows->symbol[row] != symbol) before_ns = INT64_MIN;
        symbol = rows->symbol[row];
        if (is_repaired(rows, row) && order->due[row] < before_ns) order->due[row] = before_ns;
        before_ns = order->due[row];
    }
}

static void channel_due(struct replay_order *order, const struct rows *rows, int64_t lag_ns)
{
    for (uint32_t i = 0; i < rows->count; i++) order->due[i] = replay_order_due(rows, i, lag_ns);
    if (id_column(rows->schema->channel) < 0) return;
    place_repaired(order, rows, pick_repaired(order, rows));
}

// ---- in what order ----

static void sort_digit(const struct replay_entry *from, struct replay_entry *to, uint32_t count,
                       int64_t base_ns, int shift)
{
    uint32_t place[DIGITS] = {0};
    for (uint32_t i = 0; i < count; i++)
        place[(uint64_t)(from[i].due_ns - base_ns) >> shift & (DIGITS - 1)]++;
    uint32_t sum = 0;
    for (uint32_t d = 0; d < DIGITS; d++) {
        const uint32_t size = place[d];
        place[d] = sum;
        sum += size;
    }
    for (uint32_t i = 0; i < count; i++)
        to[place[(uint64_t)(from[i].due_ns - base_ns) >> shift & (DIGITS - 1)]++] = from[i];
}

static void sort_entries(struct replay_order *order, struct replay_entry *entries, uint32_t count)
{
    struct replay_entry *from = entries, *to = order->spare;
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (uint32_t i = 0; i < count; i++) {
        least = entries[i].due_ns < least ? entries[i].due_ns : least;
        most = entries[i].due_ns > most ? entries[i].due_ns : most;
    }
    const uint64_t range = count == 0 ? 0 : (uint64_t)(most - least);
    for (int shift = 0; shift < 64 && range >> shift != 0; shift += DIGIT_BITS) {
        sort_digit(from, to, count, least, shift);
        struct replay_entry *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != entries) memcpy(entries, from, count * sizeof *entries);
}

uint32_t replay_order_all(struct replay_order *order, const struct rows rows[CHANNEL_COUNT],
                          int64_t lag_ns, struct replay_entry *entries)
{
    uint32_t count = 0;
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (rows[c].schema == NULL) continue;
        ensure(rows[c].count <= REPLAY_ENTRIES_MAX - count);
        channel_due(order, &rows[c], lag_ns);
        for (uint32_t i = 0; i < rows[c].count; i++)
            entries[count++] = (struct replay_entry){
                .due_ns = order->due[i], .row = i, .channel = (uint8_t)c};
    }
    sort_entries(order, entries, count);
    return count;
}

uint32_t replay_order_before(const struct replay_entry *entries, uint32_t count, int64_t time_ns)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (entries[middle].due_ns < time_ns) low = middle + 1;
        else high = middle;
    }
    return low;
}
