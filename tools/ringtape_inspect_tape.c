// SPDX-License-Identifier: GPL-3.0-or-later
//
// A tape: header, sum of its batches, and on request each batch and each damaged place.
#include "format/event.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_inspect.h"
#include "tools/ringtape_table.h"
#include "tools/ringtape_tape.h"
#include <inttypes.h>
#include <stdio.h>

struct ringtape_inspect_batches {
    struct ringtape_inspect *inspect;
    struct ringtape_table table;
};

static void ringtape_inspect_batch_json(struct ringtape_json *json, const struct tape_item *item)
{
    ringtape_json_object(json, NULL);
    ringtape_json_bool(json, "damaged", item->is_damage);
    if (item->is_damage) {
        ringtape_json_count(json, "offset", item->damage.offset);
        ringtape_json_count(json, "bytes", item->damage.bytes);
        ringtape_json_count(json, "rows_lost", item->damage.rows);
        ringtape_json_count(json, "sequence_first", item->damage.sequence_first);
        ringtape_json_count(json, "sequence_last", item->damage.sequence_last);
        ringtape_json_text(json, "what", tape_error_text(item->damage.error));
    } else {
        ringtape_json_count(json, "sequence", item->header.sequence);
        ringtape_json_count(json, "revision", item->header.revision);
        ringtape_json_count(json, "offset", item->offset);
        ringtape_json_count(json, "bytes", item->size);
        ringtape_json_count(json, "rows", item->header.rows);
        ringtape_json_count(json, "symbols", item->header.symbols);
        ringtape_json_time(json, "first", item->header.time_min);
        ringtape_json_time(json, "last", item->header.time_max);
    }
    ringtape_json_object_end(json);
}

static void ringtape_inspect_batch(void *context, const struct tape_item *item)
{
    struct ringtape_inspect_batches *batches = context;
    struct ringtape_table *table = &batches->table;
    char time[TIME_TEXT_BYTES_MAX];
    if (!batches->inspect->blocks) return;
    if (batches->inspect->json_wanted) {
        ringtape_inspect_batch_json(&batches->inspect->json, item);
        return;
    }
    if (item->is_damage) {
        ringtape_table_cell(table, "%" PRIu64, item->damage.sequence_first);
        ringtape_table_cell(table, "-");
        ringtape_table_cell(table, "%" PRIu64, item->damage.offset);
        ringtape_table_cell(table, "%" PRIu64, item->damage.bytes);
        ringtape_table_cell(table, "%" PRIu64, item->damage.rows);
        ringtape_table_cell(table, "-");
        ringtape_table_cell(table, "damaged");
        ringtape_table_cell(table, "%s", tape_error_text(item->damage.error));
        return;
    }
    ringtape_table_cell(table, "%" PRIu64, item->header.sequence);
    ringtape_table_cell(table, "%" PRIu32, item->header.revision);
    ringtape_table_cell(table, "%" PRIu64, item->offset);
    ringtape_table_cell(table, "%" PRIu32, item->size);
    ringtape_table_cell(table, "%" PRIu32, item->header.rows);
    ringtape_table_cell(table, "%" PRIu32, item->header.symbols);
    ringtape_table_cell(table, "%s", ringtape_inspect_time(time, item->header.time_min));
    ringtape_table_cell(table, "%s", ringtape_inspect_time(time, item->header.time_max));
}

static void ringtape_inspect_tape_text(const struct ringtape_inspect *inspect,
                                       const struct ringtape_tape *tape)
{
    char identity[RINGTAPE_INSPECT_IDENTITY_BYTES], time[TIME_TEXT_BYTES_MAX];
    char ratio[RINGTAPE_TABLE_NUMBER_BYTES], count[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    char rows[2 * RINGTAPE_TABLE_NUMBER_BYTES], shard[RINGTAPE_TABLE_NUMBER_BYTES];
    const struct layout_tape *header = &tape->header;
    const bool torn = tape->torn && tape->damages == 0;
    ringtape_inspect_identity(identity, header->store);
    (void)printf("tape      %" PRIu32 " of shard %s, %s%s\n", header->number,
                 ringtape_tape_shard(shard, tape), ringtape_tape_state(tape),
                 torn ? ", ends in a write that was never acknowledged" : "");
    (void)printf("store     %s\n", identity);
    (void)printf("format    %d.%d, written by %.*s at %s\n", header->major, header->minor,
                 LAYOUT_WRITER_BYTES, header->writer,
                 ringtape_inspect_time(time, header->created_ns));
    (void)printf("holds     %s in %" PRIu64 " batch%s, %" PRIu64 " bytes (%s a row)\n",
                 ringtape_table_count(rows, tape->rows, "row"), tape->batches,
                 tape->batches == 1 ? "" : "es", tape->bytes,
                 ringtape_table_ratio(ratio, tape->bytes, tape->rows));
    if (tape->damages > 0)
        (void)printf("damage    %s, %s lost\n",
                     ringtape_table_count(count, tape->damages, "place"),
                     ringtape_table_count(rows, tape->rows_lost, "row"));
    if (tape->time_min > tape->time_max) return;
    (void)printf("channels ");
    for (int c = 0; c < CHANNEL_COUNT; c++)
        if ((tape->channels >> c & 1) && channel_schema((enum channel)c))
            (void)printf(" %s", channel_schema((enum channel)c)->name);
    (void)putchar('\n');
    (void)printf("first     %s\n", ringtape_inspect_time(time, tape->time_min));
    (void)printf("last      %s\n", ringtape_inspect_time(time, tape->time_max));
    if (inspect->blocks) (void)putchar('\n');
}

static void ringtape_inspect_tape_json(struct ringtape_json *json, const struct ringtape_tape *tape)
{
    char identity[RINGTAPE_INSPECT_IDENTITY_BYTES];
    ringtape_inspect_identity(identity, tape->header.store);
    ringtape_json_text(json, "kind", "tape");
    ringtape_json_count(json, "tape", tape->header.number);
    ringtape_tape_json_shard(json, tape);
    ringtape_json_text(json, "state", ringtape_tape_state(tape));
    ringtape_json_bool(json, "torn", tape->torn);
    ringtape_json_text(json, "store", identity);
    ringtape_json_time(json, "created", tape->header.created_ns);
    ringtape_json_count(json, "rows", tape->rows);
    ringtape_json_count(json, "batches", tape->batches);
    ringtape_json_count(json, "bytes", tape->bytes);
    ringtape_json_count(json, "damages", tape->damages);
    ringtape_json_count(json, "rows_lost", tape->rows_lost);
    ringtape_json_array(json, "channels");
    for (int c = 0; c < CHANNEL_COUNT; c++)
        if ((tape->channels >> c & 1) && channel_schema((enum channel)c))
            ringtape_json_text(json, NULL, channel_schema((enum channel)c)->name);
    ringtape_json_array_end(json);
}

int ringtape_inspect_tape(struct ringtape_inspect *inspect)
{
    static const char *const headings[] = {">BATCH", ">REVISION", ">OFFSET", ">BYTES",
                                           ">ROWS",  ">SYMBOLS",  "FIRST",   "LAST"};
    struct ringtape_inspect_batches batches = {.inspect = inspect};
    struct ringtape_tape tape;
    enum tape_error error;
    ringtape_table_start(&batches.table, headings, sizeof headings / sizeof headings[0]);
    if (inspect->json_wanted) {
        ringtape_json_object(&inspect->json, NULL);
        if (inspect->blocks) ringtape_json_array(&inspect->json, "list");
    }
    const int result =
        ringtape_tape_walk(inspect->path, 0, &tape, &error, ringtape_inspect_batch, &batches);
    if (result < 0) {
        ringtape_table_free(&batches.table);
        return ringtape_fail("%s: %s", inspect->path,
                             error ? tape_error_text(error) : ringtape_error_text(result));
    }
    if (inspect->json_wanted) {
        if (inspect->blocks) ringtape_json_array_end(&inspect->json);
        ringtape_inspect_tape_json(&inspect->json, &tape);
        ringtape_json_object_end(&inspect->json);
        ringtape_json_line(&inspect->json);
    } else {
        ringtape_inspect_tape_text(inspect, &tape);
        ringtape_table_print(&batches.table);
    }
    ringtape_table_free(&batches.table);
    return tape.damages > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}
