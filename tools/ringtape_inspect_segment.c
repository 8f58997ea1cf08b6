// SPDX-License-Identifier: GPL-3.0-or-later
//
// A segment: header, what each column costs and how it is coded, and on request each block with its
// zones. An index file is shown by the same means, without columns.
#include "format/column_codec.h"
#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/segment.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_inspect.h"
#include "tools/ringtape_table.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN_IDS = 256, CODECS = 64, CODECS_TEXT_BYTES = 128 };

// Sum over all blocks of one column.
struct ringtape_inspect_column {
    uint64_t bytes;
    uint64_t blocks;
    uint64_t codecs; // bit c: codec c was used
};

struct ringtape_inspect_columns {
    struct ringtape_inspect_column column[COLUMN_IDS];
    uint64_t damages;
};

static void ringtape_inspect_column_name(char out[64], const struct channel_schema *schema,
                                         uint16_t id)
{
    static const char *const special[] = {"symbol",      "tape",           "tape_row",
                                          "level_count", "level_price",    "level_quantity",
                                          "level_side"};
    if (id < SEGMENT_COLUMN_SYMBOL && schema && id < schema->column_count)
        (void)snprintf(out, 64, "%s", schema->columns[id].name);
    else if (id >= SEGMENT_COLUMN_SYMBOL && id <= SEGMENT_COLUMN_LEVEL_SIDE)
        (void)snprintf(out, 64, "%s", special[id - SEGMENT_COLUMN_SYMBOL]);
    else if (id >= SEGMENT_COLUMN_TEXT_BYTES && schema &&
             id - SEGMENT_COLUMN_TEXT_BYTES < schema->column_count)
        (void)snprintf(out, 64, "%s (text)", schema->columns[id - SEGMENT_COLUMN_TEXT_BYTES].name);
    else
        (void)snprintf(out, 64, "column %u", id);
}

// Codecs in rising order: "packed+zstd".
static void ringtape_inspect_codecs(char out[CODECS_TEXT_BYTES], uint64_t codecs)
{
    size_t size = 0;
    out[0] = 0;
    for (uint32_t c = 0; c < CODECS; c++) {
        if (!(codecs >> c & 1)) continue;
        const int added = snprintf(out + size, CODECS_TEXT_BYTES - size, "%s%s",
                                   size > 0 ? "+" : "", column_codec_name((uint8_t)c));
        if (added > 0) size += (size_t)added;
        if (size >= CODECS_TEXT_BYTES) return; // cut
    }
}

static void ringtape_inspect_sum(struct ringtape_inspect_columns *columns, struct segment *segment)
{
    const struct index *index = segment_index(segment);
    memset(columns, 0, sizeof *columns);
    for (uint32_t b = 0; b < index->block_count; b++) {
        struct segment_block block;
        if (segment_read(segment, b, 0, &block) != SEGMENT_GOOD) {
            columns->damages++;
            continue;
        }
        for (uint32_t c = 0; c < block.column_count; c++) {
            const struct segment_column *column = &block.columns[c];
            if (column->id >= COLUMN_IDS) continue;
            columns->column[column->id].bytes += column->bytes;
            columns->column[column->id].blocks++;
            columns->column[column->id].codecs |= 1ull << (column->codec % CODECS);
        }
    }
}

static void ringtape_inspect_columns_text(const struct ringtape_inspect_columns *columns,
                                          const struct channel_schema *schema, uint64_t rows)
{
    static const char *const headings[] = {"COLUMN", "CODECS", ">BLOCKS", ">BYTES", ">B/ROW"};
    struct ringtape_table table;
    ringtape_table_start(&table, headings, sizeof headings / sizeof headings[0]);
    for (uint16_t id = 0; id < COLUMN_IDS; id++) {
        const struct ringtape_inspect_column *column = &columns->column[id];
        char name[64], codecs[CODECS_TEXT_BYTES], bytes[RINGTAPE_TABLE_NUMBER_BYTES];
        char ratio[RINGTAPE_TABLE_NUMBER_BYTES];
        if (column->blocks == 0) continue;
        ringtape_inspect_column_name(name, schema, id);
        ringtape_inspect_codecs(codecs, column->codecs);
        ringtape_table_cell(&table, "%s", name);
        ringtape_table_cell(&table, "%s", codecs);
        ringtape_table_cell(&table, "%" PRIu64, column->blocks);
        ringtape_table_cell(&table, "%s", ringtape_table_number(bytes, column->bytes));
        ringtape_table_cell(&table, "%s", ringtape_table_ratio(ratio, column->bytes, rows));
    }
    (void)putchar('\n');
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

static void ringtape_inspect_columns_json(struct ringtape_json *json,
                                          const struct ringtape_inspect_columns *columns,
                                          const struct channel_schema *schema)
{
    ringtape_json_array(json, "columns");
    for (uint16_t id = 0; id < COLUMN_IDS; id++) {
        const struct ringtape_inspect_column *column = &columns->column[id];
        char name[64], codecs[CODECS_TEXT_BYTES];
        if (column->blocks == 0) continue;
        ringtape_inspect_column_name(name, schema, id);
        ringtape_inspect_codecs(codecs, column->codecs);
        ringtape_json_object(json, NULL);
        ringtape_json_text(json, "column", name);
        ringtape_json_text(json, "codecs", codecs);
        ringtape_json_count(json, "blocks", column->blocks);
        ringtape_json_count(json, "bytes", column->bytes);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
}

// ---- blocks ----

static const char *ringtape_inspect_symbol(char out[SEGMENT_SYMBOL_BYTES_MAX + 1],
                                           const struct index *index, uint32_t symbol)
{
    if (symbol == INDEX_SYMBOL_SHARED) return "(several)";
    if (symbol == SYMBOL_NONE || symbol >= index->symbol_count) return "-";
    const struct event_text name = index_name(index, symbol);
    ensure(name.size <= SEGMENT_SYMBOL_BYTES_MAX);
    if (name.size > 0) memcpy(out, name.bytes, name.size);
    out[name.size] = 0;
    return out;
}

static void ringtape_inspect_range(char out[128], bool any, int64_t low, int64_t high,
                                   uint8_t scale)
{
    char from[DECIMAL_TEXT_BYTES_MAX], to[DECIMAL_TEXT_BYTES_MAX];
    if (!any || scale > DECIMAL_SCALE_MAX) {
        (void)snprintf(out, 128, "-");
        return;
    }
    decimal_text_format(from, low, scale);
    decimal_text_format(to, high, scale);
    (void)snprintf(out, 128, "%s..%s", from, to);
}

static void ringtape_inspect_block_text(struct ringtape_table *table, const struct index *index,
                                        uint32_t b)
{
    const struct layout_index_block *block = &index->blocks[b];
    const struct layout_index_zone *zone = &index->zones[b];
    char symbol[SEGMENT_SYMBOL_BYTES_MAX + 1], time[TIME_TEXT_BYTES_MAX], range[128];
    ringtape_table_cell(table, "%" PRIu32, b);
    ringtape_table_cell(table, "%" PRIu64, block->offset);
    ringtape_table_cell(table, "%" PRIu32, block->bytes);
    ringtape_table_cell(table, "%" PRIu32, block->rows);
    ringtape_table_cell(table, "%s", ringtape_inspect_symbol(symbol, index, block->symbol));
    ringtape_table_cell(table, "%s", ringtape_inspect_time(time, block->time_min));
    ringtape_table_cell(table, "%s", ringtape_inspect_time(time, block->time_max));
    ringtape_inspect_range(range, block->id_min <= block->id_max, block->id_min, block->id_max, 0);
    ringtape_table_cell(table, "%s", range);
    ringtape_inspect_range(range, zone->price_min <= zone->price_max, zone->price_min,
                           zone->price_max, zone->price_scale);
    ringtape_table_cell(table, "%s", range);
}

static void ringtape_inspect_block_json(struct ringtape_json *json, const struct index *index,
                                        uint32_t b)
{
    const struct layout_index_block *block = &index->blocks[b];
    char symbol[SEGMENT_SYMBOL_BYTES_MAX + 1];
    ringtape_json_object(json, NULL);
    ringtape_json_count(json, "block", b);
    ringtape_json_count(json, "offset", block->offset);
    ringtape_json_count(json, "bytes", block->bytes);
    ringtape_json_count(json, "rows", block->rows);
    ringtape_json_text(json, "symbol", ringtape_inspect_symbol(symbol, index, block->symbol));
    ringtape_json_time(json, "first", block->time_min);
    ringtape_json_time(json, "last", block->time_max);
    if (block->id_min <= block->id_max) {
        ringtape_json_integer(json, "id_min", block->id_min);
        ringtape_json_integer(json, "id_max", block->id_max);
    }
    ringtape_json_object_end(json);
}

static void ringtape_inspect_blocks(struct ringtape_inspect *inspect, const struct index *index)
{
    static const char *const headings[] = {">BLOCK", ">OFFSET", ">BYTES", ">ROWS", "SYMBOL",
                                           "FIRST",  "LAST",    "IDS",    "PRICES"};
    struct ringtape_table table;
    if (!inspect->blocks) return;
    ringtape_table_start(&table, headings, sizeof headings / sizeof headings[0]);
    if (inspect->json_wanted) ringtape_json_array(&inspect->json, "list");
    for (uint32_t b = 0; b < index->block_count; b++) {
        if (inspect->json_wanted)
            ringtape_inspect_block_json(&inspect->json, index, b);
        else
            ringtape_inspect_block_text(&table, index, b);
    }
    if (inspect->json_wanted)
        ringtape_json_array_end(&inspect->json);
    else
        (void)putchar('\n');
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

// ---- files ----

static void ringtape_inspect_index_head(struct ringtape_inspect *inspect, const struct index *index,
                                        uint64_t bytes)
{
    const struct layout_index *header = index->header;
    const struct channel_schema *schema =
        header->channel < CHANNEL_COUNT ? channel_schema((enum channel)header->channel) : NULL;
    char day[11], first[TIME_TEXT_BYTES_MAX], last[TIME_TEXT_BYTES_MAX];
    char ratio[RINGTAPE_TABLE_NUMBER_BYTES], rows[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    char symbols[2 * RINGTAPE_TABLE_NUMBER_BYTES], blocks[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    catalogue_day_text(header->day, day);
    if (inspect->json_wanted) {
        struct ringtape_json *json = &inspect->json;
        ringtape_json_count(json, "segment", header->number);
        ringtape_json_text(json, "channel", schema ? schema->name : "unknown");
        ringtape_json_text(json, "day", day);
        ringtape_json_count(json, "rows", header->rows);
        ringtape_json_count(json, "blocks", header->block_count);
        ringtape_json_count(json, "symbols", header->symbol_count);
        ringtape_json_count(json, "bytes", bytes);
        ringtape_json_time(json, "first", header->time_min);
        ringtape_json_time(json, "last", header->time_max);
        return;
    }
    (void)printf("segment   %" PRIu32 ", %s, %s\n", header->number,
                 schema ? schema->name : "unknown channel", day);
    (void)printf("holds     %s of %s in %s, %" PRIu64 " bytes (%s a row)\n",
                 ringtape_table_count(rows, header->rows, "row"),
                 ringtape_table_count(symbols, header->symbol_count, "symbol"),
                 ringtape_table_count(blocks, header->block_count, "block"), bytes,
                 ringtape_table_ratio(ratio, bytes, header->rows));
    (void)printf("first     %s\nlast      %s\n", ringtape_inspect_time(first, header->time_min),
                 ringtape_inspect_time(last, header->time_max));
}

static void ringtape_inspect_segment_head(struct ringtape_inspect *inspect,
                                          struct segment *segment)
{
    const struct layout_segment *header = segment_header(segment);
    const enum segment_error footer = segment_footer_error(segment);
    char identity[RINGTAPE_INSPECT_IDENTITY_BYTES], time[TIME_TEXT_BYTES_MAX];
    ringtape_inspect_identity(identity, header->store);
    if (inspect->json_wanted) {
        ringtape_json_text(&inspect->json, "store", identity);
        ringtape_json_time(&inspect->json, "created", header->created_ns);
        ringtape_json_text(&inspect->json, "footer",
                           footer == SEGMENT_GOOD ? "good" : segment_error_text(footer));
        return;
    }
    (void)printf("store     %s\n", identity);
    (void)printf("format    %d.%d, written by %.*s at %s\n", header->major, header->minor,
                 LAYOUT_WRITER_BYTES, header->writer,
                 ringtape_inspect_time(time, header->created_ns));
    if (footer != SEGMENT_GOOD)
        (void)printf("footer    %s; blocks were found by walking\n", segment_error_text(footer));
}

static int ringtape_inspect_segment_body(struct ringtape_inspect *inspect, struct segment *segment,
                                         uint64_t bytes)
{
    static struct ringtape_inspect_columns columns;
    const struct index *index = segment_index(segment);
    const struct channel_schema *schema =
        channel_schema((enum channel)segment_header(segment)->channel);
    ringtape_inspect_sum(&columns, segment);
    if (inspect->json_wanted) {
        ringtape_json_object(&inspect->json, NULL);
        ringtape_json_text(&inspect->json, "kind", "segment");
    }
    ringtape_inspect_index_head(inspect, index, bytes);
    ringtape_inspect_segment_head(inspect, segment);
    if (inspect->json_wanted) {
        ringtape_inspect_columns_json(&inspect->json, &columns, schema);
        ringtape_json_count(&inspect->json, "damages", columns.damages);
    } else {
        char damages[2 * RINGTAPE_TABLE_NUMBER_BYTES];
        if (columns.damages > 0)
            (void)printf("damage    %s\n",
                         ringtape_table_count(damages, columns.damages, "block"));
        ringtape_inspect_columns_text(&columns, schema, index->header->rows);
    }
    ringtape_inspect_blocks(inspect, index);
    if (inspect->json_wanted) {
        ringtape_json_object_end(&inspect->json);
        ringtape_json_line(&inspect->json);
    }
    const bool good = columns.damages == 0 && segment_footer_error(segment) == SEGMENT_GOOD;
    return good ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}

int ringtape_inspect_segment(struct ringtape_inspect *inspect)
{
    struct ringtape_map map;
    struct segment *segment = NULL;
    const int error = ringtape_map_open(&map, inspect->path);
    if (error < 0) return ringtape_fail("%s: %s", inspect->path, ringtape_error_text(error));
    const struct source source = source_of_memory(map.bytes, map.size);
    const enum segment_error result = segment_open(&segment, &source, NULL, 0);
    int exit_code = RINGTAPE_EXIT_FOUND;
    if (result == SEGMENT_GOOD) {
        exit_code = ringtape_inspect_segment_body(inspect, segment, map.size);
        segment_close(segment);
    } else {
        (void)ringtape_fail("%s: %s", inspect->path, segment_error_text(result));
    }
    ringtape_map_close(&map);
    return exit_code;
}

int ringtape_inspect_index(struct ringtape_inspect *inspect)
{
    struct ringtape_map map;
    struct index index;
    const int error = ringtape_map_open(&map, inspect->path);
    if (error < 0) return ringtape_fail("%s: %s", inspect->path, ringtape_error_text(error));
    if (!index_open(&index, map.bytes, map.size)) {
        ringtape_map_close(&map);
        (void)ringtape_fail("%s: damaged; it is derived, the segment is read without it",
                            inspect->path);
        return RINGTAPE_EXIT_FOUND;
    }
    if (inspect->json_wanted) {
        ringtape_json_object(&inspect->json, NULL);
        ringtape_json_text(&inspect->json, "kind", "index");
    } else {
        (void)puts("index of");
    }
    ringtape_inspect_index_head(inspect, &index, index.header->file_bytes);
    ringtape_inspect_blocks(inspect, &index);
    if (inspect->json_wanted) {
        ringtape_json_object_end(&inspect->json);
        ringtape_json_line(&inspect->json);
    }
    ringtape_map_close(&map);
    return RINGTAPE_EXIT_OK;
}
