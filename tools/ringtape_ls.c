// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape ls: what a store holds: segments by channel and day, tapes not yet sealed, or
// (--symbols) rows and times of each symbol.
#include "format/ensure.h"
#include "format/store.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_query.h"
#include "tools/ringtape_symbols.h"
#include "tools/ringtape_table.h"
#include "tools/ringtape_tape.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ringtape_ls {
    struct ringtape_query query;
    bool json_wanted;
    bool symbols_wanted;
    struct ringtape_json json;
    struct ringtape_table table;
    uint64_t segments, segment_rows, segment_bytes;
    uint64_t tapes, tape_rows, tape_bytes;
};

static const char *ringtape_ls_time(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns, bool any)
{
    if (!any) return "-";
    time_text_format(out, time_ns, 3);
    return out;
}

// ---- segments ----

// Symbols of the segment; false: gone or damaged (and told).
static bool ringtape_ls_symbol_count(const struct store *store,
                                     const struct catalogue_segment *entry, uint32_t *count)
{
    struct ringtape_segment opened;
    if (ringtape_segment_open(&opened, store, entry) != 0) return false;
    *count = segment_index(opened.segment)->symbol_count;
    ringtape_segment_close(&opened);
    return true;
}

static void ringtape_ls_segment(struct ringtape_ls *ls, const struct catalogue_segment *entry,
                                uint32_t symbols)
{
    char day[11], rows[RINGTAPE_TABLE_NUMBER_BYTES], bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    char ratio[RINGTAPE_TABLE_NUMBER_BYTES], first[TIME_TEXT_BYTES_MAX], last[TIME_TEXT_BYTES_MAX];
    const char *channel = channel_schema(entry->channel)->name;
    catalogue_day_text(entry->day, day);
    if (ls->json_wanted) {
        struct ringtape_json *json = &ls->json;
        ringtape_json_object(json, NULL);
        ringtape_json_count(json, "segment", entry->number);
        ringtape_json_text(json, "channel", channel);
        ringtape_json_text(json, "day", day);
        ringtape_json_count(json, "symbols", symbols);
        ringtape_json_count(json, "rows", entry->rows);
        ringtape_json_count(json, "bytes", entry->bytes);
        ringtape_json_time(json, "first", entry->time_min);
        ringtape_json_time(json, "last", entry->time_max);
        ringtape_json_object_end(json);
        return;
    }
    ringtape_table_cell(&ls->table, "%s", channel);
    ringtape_table_cell(&ls->table, "%s", day);
    ringtape_table_cell(&ls->table, "%" PRIu32, entry->number);
    ringtape_table_cell(&ls->table, "%" PRIu32, symbols);
    ringtape_table_cell(&ls->table, "%s", ringtape_table_number(rows, entry->rows));
    ringtape_table_cell(&ls->table, "%s", ringtape_ls_time(first, entry->time_min, true));
    ringtape_table_cell(&ls->table, "%s", ringtape_ls_time(last, entry->time_max, true));
    ringtape_table_cell(&ls->table, "%s", ringtape_table_bytes(bytes, entry->bytes));
    ringtape_table_cell(&ls->table, "%s", ringtape_table_ratio(ratio, entry->bytes, entry->rows));
}

static int ringtape_ls_segments(struct ringtape_ls *ls, const struct store *store)
{
    static const char *const headings[] = {"CHANNEL", "DAY",  ">SEGMENT", ">SYMBOLS", ">ROWS",
                                           "FIRST",   "LAST", ">BYTES",   ">B/ROW"};
    const struct catalogue *catalogue = store_catalogue(store);
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_table_start(&ls->table, headings, sizeof headings / sizeof headings[0]);
    if (ls->json_wanted) ringtape_json_array(&ls->json, "segments");
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *entry = &catalogue->segments[i];
        uint32_t symbols = 0;
        if (!ringtape_query_has_channel(&ls->query, entry->channel)) continue;
        if (!ringtape_ls_symbol_count(store, entry, &symbols)) exit_code = RINGTAPE_EXIT_FOUND;
        ringtape_ls_segment(ls, entry, symbols);
        ls->segments++;
        ls->segment_rows += entry->rows;
        ls->segment_bytes += entry->bytes;
    }
    if (ls->json_wanted) ringtape_json_array_end(&ls->json);
    ringtape_table_print(&ls->table);
    ringtape_table_free(&ls->table);
    return exit_code;
}

// ---- tapes ----

static void ringtape_ls_tape(struct ringtape_ls *ls, uint32_t number,
                             const struct ringtape_tape *tape)
{
    char rows[RINGTAPE_TABLE_NUMBER_BYTES], bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    char ratio[RINGTAPE_TABLE_NUMBER_BYTES], first[TIME_TEXT_BYTES_MAX], last[TIME_TEXT_BYTES_MAX];
    char shard[RINGTAPE_TABLE_NUMBER_BYTES];
    const bool any = tape->time_min <= tape->time_max;
    if (ls->json_wanted) {
        struct ringtape_json *json = &ls->json;
        ringtape_json_object(json, NULL);
        ringtape_json_count(json, "tape", number);
        ringtape_tape_json_shard(json, tape);
        ringtape_json_text(json, "state", ringtape_tape_state(tape));
        ringtape_json_count(json, "rows", tape->rows);
        ringtape_json_count(json, "rows_lost", tape->rows_lost);
        ringtape_json_count(json, "bytes", tape->bytes);
        if (any) ringtape_json_time(json, "first", tape->time_min);
        if (any) ringtape_json_time(json, "last", tape->time_max);
        ringtape_json_object_end(json);
        return;
    }
    ringtape_table_cell(&ls->table, "%" PRIu32, number);
    ringtape_table_cell(&ls->table, "%s", ringtape_tape_shard(shard, tape));
    ringtape_table_cell(&ls->table, "%s", ringtape_tape_state(tape));
    ringtape_table_cell(&ls->table, "%s", ringtape_table_number(rows, tape->rows));
    ringtape_table_cell(&ls->table, "%s", ringtape_ls_time(first, tape->time_min, any));
    ringtape_table_cell(&ls->table, "%s", ringtape_ls_time(last, tape->time_max, any));
    ringtape_table_cell(&ls->table, "%s", ringtape_table_bytes(bytes, tape->bytes));
    ringtape_table_cell(&ls->table, "%s", ringtape_table_ratio(ratio, tape->bytes, tape->rows));
}

static int ringtape_ls_tapes(struct ringtape_ls *ls, const struct store *store)
{
    static const char *const headings[] = {">TAPE", ">SHARD", "STATE",  ">ROWS",
                                           "FIRST", "LAST",   ">BYTES", ">B/ROW"};
    uint32_t count;
    const uint32_t *numbers = store_tapes(store, &count);
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_table_start(&ls->table, headings, sizeof headings / sizeof headings[0]);
    if (ls->json_wanted) ringtape_json_array(&ls->json, "tapes");
    for (uint32_t i = 0; i < count; i++) {
        char name[CATALOGUE_PATH_BYTES_MAX], path[RINGTAPE_PATH_BYTES_MAX];
        struct ringtape_tape tape;
        enum tape_error error;
        catalogue_tape_path(numbers[i], "tape", name);
        (void)snprintf(path, sizeof path, "%s/%s", store_path(store), name);
        const int result = ringtape_tape_walk(path, numbers[i], &tape, &error, NULL, NULL);
        if (result == -ENOENT) continue; // sealed meanwhile
        if (result < 0) {
            exit_code = RINGTAPE_EXIT_FOUND;
            (void)ringtape_fail("%s: %s", path,
                                error ? tape_error_text(error) : ringtape_error_text(result));
            continue;
        }
        ringtape_ls_tape(ls, numbers[i], &tape);
        ls->tapes++;
        ls->tape_rows += tape.rows;
        ls->tape_bytes += tape.bytes;
    }
    if (ls->json_wanted) ringtape_json_array_end(&ls->json);
    if (ls->segments > 0 && ls->table.cells > 0) (void)putchar('\n');
    ringtape_table_print(&ls->table);
    ringtape_table_free(&ls->table);
    return exit_code;
}

// ---- the command ----

static void ringtape_ls_sum(const struct ringtape_ls *ls)
{
    char count[2 * RINGTAPE_TABLE_NUMBER_BYTES], rows[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    char bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    if (ls->segments + ls->tapes == 0) {
        (void)puts("nothing is stored yet");
        return;
    }
    (void)printf("\n%s, %s, %s", ringtape_table_count(count, ls->segments, "segment"),
                 ringtape_table_count(rows, ls->segment_rows, "row"),
                 ringtape_table_bytes(bytes, ls->segment_bytes));
    if (ls->tapes > 0)
        (void)printf("; %s, %s, %s", ringtape_table_count(count, ls->tapes, "tape"),
                     ringtape_table_count(rows, ls->tape_rows, "row"),
                     ringtape_table_bytes(bytes, ls->tape_bytes));
    (void)putchar('\n');
}

static int ringtape_ls_store(struct ringtape_ls *ls, struct store *store)
{
    char identity[2 * LAYOUT_STORE_ID_BYTES + 1];
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(identity + 2 * i, 3, "%02x", store_identity(store)[i]);
    if (ls->symbols_wanted)
        return ringtape_symbols_list(store, &ls->query, ls->json_wanted);
    if (ls->json_wanted) {
        ringtape_json_start(&ls->json, stdout);
        ringtape_json_object(&ls->json, NULL);
        ringtape_json_text(&ls->json, "store", identity);
    }
    const int segments = ringtape_ls_segments(ls, store);
    const int tapes = ringtape_ls_tapes(ls, store);
    if (ls->json_wanted) {
        ringtape_json_object_end(&ls->json);
        ringtape_json_line(&ls->json);
    } else {
        ringtape_ls_sum(ls);
    }
    return segments != RINGTAPE_EXIT_OK ? segments : tapes;
}

int ringtape_ls(int argc, char **argv)
{
    static struct ringtape_ls ls;
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(ls.query),
        RINGTAPE_QUERY_CHANNEL(ls.query),
        {.name = "symbols", .kind = RINGTAPE_OPTION_FLAG, .target = &ls.symbols_wanted,
         .help = "rows and times of each symbol instead of segments and tapes"},
        RINGTAPE_QUERY_SYMBOL(ls.query),
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &ls.json_wanted,
         .help = "one JSON object instead of tables"},
    };
    const struct ringtape_usage usage = {
        .command = "ls",
        .purpose = "What a store holds: sealed segments by channel and day, and the tapes that "
                   "wait to\nbe sealed.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    ringtape_query_init(&ls.query);
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!ringtape_query_check(&ls.query, "ls")) return RINGTAPE_EXIT_USAGE;
    exit_code = ringtape_store_open(&store, ls.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = ringtape_ls_store(&ls, store);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
