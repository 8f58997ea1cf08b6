// SPDX-License-Identifier: Apache-2.0
//
// Every structure of parquet.thrift that ringtape writes. Numbers in the calls are field numbers.
// What readers insist on, beyond the specification, is noted where it is done; docs/parquet.md
// lists the readers that broke.
#include "format/parquet_metadata.h"

#include "format/ensure.h"
#include <string.h>

enum {
    PHYSICAL_BOOLEAN = 0,
    PHYSICAL_INT64 = 2,
    PHYSICAL_BYTE_ARRAY = 6,
    PHYSICAL_FIXED = 7,

    CONVERTED_NONE = -1,
    CONVERTED_UTF8 = 0,
    CONVERTED_DECIMAL = 5,
    CONVERTED_TIMESTAMP_MICROS = 10,

    ENCODING_PLAIN = 0,
    ENCODING_RLE = 3,
    ENCODING_DELTA = 5,
    ENCODING_RLE_DICTIONARY = 8,

    PAGE_DATA = 0,
    PAGE_DICTIONARY = 2,
    CODEC_ZSTD = 6,
    FORMAT_VERSION = 1,

    ORDER_NONE = 0,
    ORDER_ASCENDING = 1,
    ORDER_DESCENDING = 2,
};

// How each type of column is stored.
static const struct {
    int8_t physical, converted;
    uint8_t bytes, precision;
} type_table[PARQUET_TYPE_COUNT] = {
    [PARQUET_BOOLEAN] = {PHYSICAL_BOOLEAN, CONVERTED_NONE, 0, 0},
    [PARQUET_INT64] = {PHYSICAL_INT64, CONVERTED_NONE, 0, 0},
    [PARQUET_TIMESTAMP] = {PHYSICAL_INT64, CONVERTED_TIMESTAMP_MICROS, 0, 0},
    [PARQUET_DECIMAL_18] = {PHYSICAL_INT64, CONVERTED_DECIMAL, 0, 18},
    [PARQUET_DECIMAL_38] = {PHYSICAL_FIXED, CONVERTED_DECIMAL, 16, 38},
    [PARQUET_CODE] = {PHYSICAL_BYTE_ARRAY, CONVERTED_UTF8, 0, 0},
    [PARQUET_STRING] = {PHYSICAL_BYTE_ARRAY, CONVERTED_UTF8, 0, 0},
    [PARQUET_BINARY] = {PHYSICAL_BYTE_ARRAY, CONVERTED_NONE, 0, 0},
};

static const int8_t mode_encoding[PARQUET_MODE_COUNT] = {
    [PARQUET_MODE_PLAIN] = ENCODING_PLAIN,
    [PARQUET_MODE_DELTA] = ENCODING_DELTA,
    [PARQUET_MODE_DELTA_BYTES] = ENCODING_DELTA,
    [PARQUET_MODE_PLACES] = ENCODING_RLE_DICTIONARY,
    [PARQUET_MODE_PLACES_BYTES] = ENCODING_RLE_DICTIONARY,
};

// ---- page headers ----

static void parquet_metadata_page(struct parquet_thrift *thrift, int page_type,
                                  size_t uncompressed, size_t compressed, uint32_t crc)
{
    ensure(uncompressed <= INT32_MAX && compressed <= INT32_MAX);
    parquet_thrift_i32(thrift, 1, page_type);
    parquet_thrift_i32(thrift, 2, (int32_t)uncompressed);
    parquet_thrift_i32(thrift, 3, (int32_t)compressed);
    parquet_thrift_i32(thrift, 4, (int32_t)crc);
}

size_t parquet_metadata_data_page(uint8_t out[PARQUET_PAGE_HEADER_BYTES_MAX],
                                  enum parquet_mode mode, uint32_t rows, size_t uncompressed,
                                  size_t compressed, uint32_t crc)
{
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, out, PARQUET_PAGE_HEADER_BYTES_MAX, NULL, NULL);
    parquet_metadata_page(&thrift, PAGE_DATA, uncompressed, compressed, crc);
    parquet_thrift_struct(&thrift, 5);
    parquet_thrift_i32(&thrift, 1, (int32_t)rows);
    parquet_thrift_i32(&thrift, 2, mode_encoding[mode]);
    parquet_thrift_i32(&thrift, 3, ENCODING_RLE);
    parquet_thrift_i32(&thrift, 4, ENCODING_RLE);
    parquet_thrift_end(&thrift);
    return parquet_thrift_finish(&thrift);
}

size_t parquet_metadata_dictionary_page(uint8_t out[PARQUET_PAGE_HEADER_BYTES_MAX],
                                        uint32_t values, size_t uncompressed, size_t compressed,
                                        uint32_t crc)
{
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, out, PARQUET_PAGE_HEADER_BYTES_MAX, NULL, NULL);
    parquet_metadata_page(&thrift, PAGE_DICTIONARY, uncompressed, compressed, crc);
    parquet_thrift_struct(&thrift, 7);
    parquet_thrift_i32(&thrift, 1, (int32_t)values);
    parquet_thrift_i32(&thrift, 2, ENCODING_PLAIN);
    parquet_thrift_end(&thrift);
    return parquet_thrift_finish(&thrift);
}

// ---- page index ----

static void parquet_metadata_page_bounds(struct parquet_thrift *thrift, int field,
                                         const struct parquet_page *pages, uint32_t count,
                                         enum parquet_type type)
{
    parquet_thrift_list(thrift, field, PARQUET_THRIFT_BINARY, count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[PARQUET_BOUNDS_TEXT_MAX];
        const struct parquet_bounds *bounds = &pages[i].bounds;
        const size_t size =
            bounds->any ? parquet_bounds_spell(bounds, type, field == 3, bytes) : 0;
        parquet_thrift_element_binary(thrift, bytes, size);
    }
}

// Order of the pages' bounds, pages of nulls apart.
static int parquet_metadata_order(const struct parquet_page *pages, uint32_t count,
                                  enum parquet_type type)
{
    bool ascending = true, descending = true;
    const struct parquet_bounds *before = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct parquet_bounds *bounds = &pages[i].bounds;
        if (!bounds->any) continue;
        if (before != NULL) {
            const int least = parquet_bounds_compare_min(before, bounds, type);
            const int greatest = parquet_bounds_compare_max(before, bounds, type);
            if (least > 0 || greatest > 0) ascending = false;
            if (least < 0 || greatest < 0) descending = false;
        }
        before = bounds;
    }
    return ascending ? ORDER_ASCENDING : descending ? ORDER_DESCENDING : ORDER_NONE;
}

bool parquet_metadata_column_index(struct parquet_thrift *thrift, const struct parquet_page *pages,
                                   uint32_t count, enum parquet_type type)
{
    for (uint32_t i = 0; i < count; i++)
        if (!pages[i].bounds.exact) return false;
    parquet_thrift_list(thrift, 1, PARQUET_THRIFT_BOOL, count);
    for (uint32_t i = 0; i < count; i++)
        parquet_thrift_element_bool(thrift, pages[i].nulls == pages[i].rows);
    parquet_metadata_page_bounds(thrift, 2, pages, count, type);
    parquet_metadata_page_bounds(thrift, 3, pages, count, type);
    parquet_thrift_i32(thrift, 4, parquet_metadata_order(pages, count, type));
    parquet_thrift_list(thrift, 5, PARQUET_THRIFT_I64, count);
    for (uint32_t i = 0; i < count; i++) parquet_thrift_element_i64(thrift, pages[i].nulls);
    return true;
}

void parquet_metadata_offset_index(struct parquet_thrift *thrift, const struct parquet_page *pages,
                                   uint32_t count, uint64_t offset)
{
    int64_t row = 0;
    parquet_thrift_list(thrift, 1, PARQUET_THRIFT_STRUCT, count);
    for (uint32_t i = 0; i < count; i++) {
        parquet_thrift_element_struct(thrift);
        parquet_thrift_i64(thrift, 1, (int64_t)offset);
        parquet_thrift_i32(thrift, 2, (int32_t)pages[i].bytes);
        parquet_thrift_i64(thrift, 3, row);
        parquet_thrift_end(thrift);
        offset += pages[i].bytes;
        row += pages[i].rows;
    }
}

// ---- schema ----

static void parquet_metadata_timestamp(struct parquet_thrift *thrift)
{
    parquet_thrift_struct(thrift, 8);
    parquet_thrift_bool(thrift, 1, true); // isAdjustedToUTC
    parquet_thrift_struct(thrift, 2);
    parquet_thrift_empty(thrift, 2); // MICROS
    parquet_thrift_end(thrift);
    parquet_thrift_end(thrift);
}

// LogicalType beside ConvertedType: old readers know only the latter.
static void parquet_metadata_logical(struct parquet_thrift *thrift,
                                     const struct parquet_column *column)
{
    const int converted = type_table[column->type].converted;
    if (converted == CONVERTED_NONE) return;
    parquet_thrift_struct(thrift, 10);
    if (converted == CONVERTED_UTF8) {
        parquet_thrift_empty(thrift, 1);
    } else if (converted == CONVERTED_DECIMAL) {
        parquet_thrift_struct(thrift, 5);
        parquet_thrift_i32(thrift, 1, column->scale);
        parquet_thrift_i32(thrift, 2, type_table[column->type].precision);
        parquet_thrift_end(thrift);
    } else {
        parquet_metadata_timestamp(thrift);
    }
    parquet_thrift_end(thrift);
}

static void parquet_metadata_column(struct parquet_thrift *thrift,
                                    const struct parquet_column *column)
{
    const int converted = type_table[column->type].converted;
    parquet_thrift_element_struct(thrift);
    parquet_thrift_i32(thrift, 1, type_table[column->type].physical);
    if (type_table[column->type].bytes > 0)
        parquet_thrift_i32(thrift, 2, type_table[column->type].bytes);
    parquet_thrift_i32(thrift, 3, column->nullable ? 1 : 0);
    parquet_thrift_text(thrift, 4, column->name);
    if (converted != CONVERTED_NONE) parquet_thrift_i32(thrift, 6, converted);
    if (converted == CONVERTED_DECIMAL) {
        parquet_thrift_i32(thrift, 7, column->scale);
        parquet_thrift_i32(thrift, 8, type_table[column->type].precision);
    }
    parquet_metadata_logical(thrift, column);
    parquet_thrift_end(thrift);
}

static void parquet_metadata_schema(struct parquet_thrift *thrift,
                                    const struct parquet_options *options)
{
    parquet_thrift_list(thrift, 2, PARQUET_THRIFT_STRUCT, options->column_count + 1);
    parquet_thrift_element_struct(thrift); // the root: no type, no repetition
    parquet_thrift_text(thrift, 4, "schema");
    parquet_thrift_i32(thrift, 5, (int32_t)options->column_count);
    parquet_thrift_end(thrift);
    for (uint32_t i = 0; i < options->column_count; i++)
        parquet_metadata_column(thrift, &options->columns[i]);
}

// ---- row groups ----

static void parquet_metadata_statistics(struct parquet_thrift *thrift,
                                        const struct parquet_chunk *chunk, enum parquet_type type)
{
    uint8_t bytes[PARQUET_BOUNDS_TEXT_MAX];
    parquet_thrift_struct(thrift, 12);
    parquet_thrift_i64(thrift, 3, (int64_t)chunk->nulls);
    if (chunk->bounds.any && chunk->bounds.exact) {
        size_t size = parquet_bounds_spell(&chunk->bounds, type, true, bytes);
        parquet_thrift_binary(thrift, 5, bytes, size);
        size = parquet_bounds_spell(&chunk->bounds, type, false, bytes);
        parquet_thrift_binary(thrift, 6, bytes, size);
        parquet_thrift_bool(thrift, 7, true);
        parquet_thrift_bool(thrift, 8, true);
    }
    parquet_thrift_end(thrift);
}

// Data pages of an encoding, numbers of it by mode summed up.
static uint32_t parquet_metadata_pages(const struct parquet_chunk *chunk, int encoding)
{
    uint32_t pages = 0;
    for (int mode = 0; mode < PARQUET_MODE_COUNT; mode++)
        if (mode_encoding[mode] == encoding) pages += chunk->pages[mode];
    return pages;
}

static const int data_encodings[] = {ENCODING_PLAIN, ENCODING_DELTA, ENCODING_RLE_DICTIONARY};
enum { DATA_ENCODINGS = sizeof data_encodings / sizeof data_encodings[0] };

static void parquet_metadata_encodings(struct parquet_thrift *thrift,
                                       const struct parquet_column *column,
                                       const struct parquet_chunk *chunk)
{
    int used[DATA_ENCODINGS + 1];
    size_t count = 0;
    for (size_t e = 0; e < DATA_ENCODINGS; e++) {
        const bool of_dictionary =
            data_encodings[e] == ENCODING_PLAIN && chunk->dictionary_offset > 0;
        if (of_dictionary || parquet_metadata_pages(chunk, data_encodings[e]) > 0)
            used[count++] = data_encodings[e];
    }
    if (column->nullable) used[count++] = ENCODING_RLE;
    parquet_thrift_list(thrift, 2, PARQUET_THRIFT_I32, count);
    for (size_t e = 0; e < count; e++) parquet_thrift_element_i32(thrift, used[e]);
}

static void parquet_metadata_encoding_count(struct parquet_thrift *thrift, int page_type,
                                            int encoding, uint32_t pages)
{
    parquet_thrift_element_struct(thrift);
    parquet_thrift_i32(thrift, 1, page_type);
    parquet_thrift_i32(thrift, 2, encoding);
    parquet_thrift_i32(thrift, 3, (int32_t)pages);
    parquet_thrift_end(thrift);
}

// Lets a reader know whether every data page is dictionary coded, and filter by the dictionary.
static void parquet_metadata_encoding_stats(struct parquet_thrift *thrift,
                                            const struct parquet_chunk *chunk)
{
    const bool dictionary = chunk->dictionary_offset > 0;
    size_t count = dictionary;
    for (size_t e = 0; e < DATA_ENCODINGS; e++)
        count += parquet_metadata_pages(chunk, data_encodings[e]) > 0;
    parquet_thrift_list(thrift, 13, PARQUET_THRIFT_STRUCT, count);
    if (dictionary) parquet_metadata_encoding_count(thrift, PAGE_DICTIONARY, ENCODING_PLAIN, 1);
    for (size_t e = 0; e < DATA_ENCODINGS; e++) {
        const uint32_t pages = parquet_metadata_pages(chunk, data_encodings[e]);
        if (pages > 0)
            parquet_metadata_encoding_count(thrift, PAGE_DATA, data_encodings[e], pages);
    }
}

static void parquet_metadata_chunk(struct parquet_thrift *thrift,
                                   const struct parquet_column *column,
                                   const struct parquet_chunk *chunk, uint64_t rows)
{
    parquet_thrift_element_struct(thrift);
    parquet_thrift_i64(thrift, 2, 0); // file_offset: deprecated, 0 by the specification
    parquet_thrift_struct(thrift, 3);
    parquet_thrift_i32(thrift, 1, type_table[column->type].physical);
    parquet_metadata_encodings(thrift, column, chunk);
    parquet_thrift_list(thrift, 3, PARQUET_THRIFT_BINARY, 1);
    parquet_thrift_element_binary(thrift, column->name, strlen(column->name));
    parquet_thrift_i32(thrift, 4, CODEC_ZSTD);
    parquet_thrift_i64(thrift, 5, (int64_t)rows);
    parquet_thrift_i64(thrift, 6, (int64_t)chunk->bytes_uncompressed);
    parquet_thrift_i64(thrift, 7, (int64_t)chunk->bytes);
    parquet_thrift_i64(thrift, 9, (int64_t)chunk->data_offset);
    if (chunk->dictionary_offset > 0)
        parquet_thrift_i64(thrift, 11, (int64_t)chunk->dictionary_offset);
    parquet_metadata_statistics(thrift, chunk, column->type);
    parquet_metadata_encoding_stats(thrift, chunk);
    parquet_thrift_end(thrift);
    parquet_thrift_i64(thrift, 4, (int64_t)chunk->offset_index_offset);
    parquet_thrift_i32(thrift, 5, (int32_t)chunk->offset_index_bytes);
    if (chunk->column_index_offset > 0) {
        parquet_thrift_i64(thrift, 6, (int64_t)chunk->column_index_offset);
        parquet_thrift_i32(thrift, 7, (int32_t)chunk->column_index_bytes);
    }
    parquet_thrift_end(thrift);
}

static void parquet_metadata_sorting(struct parquet_thrift *thrift,
                                     const struct parquet_options *options)
{
    parquet_thrift_list(thrift, 4, PARQUET_THRIFT_STRUCT, options->sorting_count);
    for (uint32_t i = 0; i < options->sorting_count; i++) {
        parquet_thrift_element_struct(thrift);
        parquet_thrift_i32(thrift, 1, (int32_t)options->sorting[i]);
        parquet_thrift_bool(thrift, 2, false); // descending
        parquet_thrift_bool(thrift, 3, false); // nulls first
        parquet_thrift_end(thrift);
    }
}

static void parquet_metadata_group(struct parquet_thrift *thrift,
                                   const struct parquet_options *options,
                                   const struct parquet_group *group,
                                   const struct parquet_chunk *chunks, uint32_t ordinal)
{
    uint64_t bytes = 0, bytes_uncompressed = 0;
    for (uint32_t i = 0; i < options->column_count; i++) {
        bytes += chunks[i].bytes;
        bytes_uncompressed += chunks[i].bytes_uncompressed;
    }
    parquet_thrift_element_struct(thrift);
    parquet_thrift_list(thrift, 1, PARQUET_THRIFT_STRUCT, options->column_count);
    for (uint32_t i = 0; i < options->column_count; i++)
        parquet_metadata_chunk(thrift, &options->columns[i], &chunks[i], group->rows);
    parquet_thrift_i64(thrift, 2, (int64_t)bytes_uncompressed);
    parquet_thrift_i64(thrift, 3, (int64_t)group->rows);
    if (group->sorted && options->sorting_count > 0) parquet_metadata_sorting(thrift, options);
    parquet_thrift_i64(thrift, 5, (int64_t)group->offset);
    parquet_thrift_i64(thrift, 6, (int64_t)bytes);
    parquet_thrift_i16(thrift, 7, (int16_t)ordinal);
    parquet_thrift_end(thrift);
}

// ---- footer ----

static void parquet_metadata_pairs(struct parquet_thrift *thrift,
                                   const struct parquet_options *options)
{
    if (options->metadata_count == 0) return;
    parquet_thrift_list(thrift, 5, PARQUET_THRIFT_STRUCT, options->metadata_count);
    for (uint32_t i = 0; i < options->metadata_count; i++) {
        parquet_thrift_element_struct(thrift);
        parquet_thrift_text(thrift, 1, options->metadata[i].key);
        parquet_thrift_text(thrift, 2, options->metadata[i].value);
        parquet_thrift_end(thrift);
    }
}

void parquet_metadata_footer(struct parquet_thrift *thrift, const struct parquet_options *options,
                             const struct parquet_group *groups, uint32_t group_count,
                             const struct parquet_chunk *chunks)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < group_count; i++) rows += groups[i].rows;
    parquet_thrift_i32(thrift, 1, FORMAT_VERSION);
    parquet_metadata_schema(thrift, options);
    parquet_thrift_i64(thrift, 3, (int64_t)rows);
    parquet_thrift_list(thrift, 4, PARQUET_THRIFT_STRUCT, group_count);
    for (uint32_t i = 0; i < group_count; i++)
        parquet_metadata_group(thrift, options, &groups[i],
                               chunks + (size_t)i * options->column_count, i);
    parquet_metadata_pairs(thrift, options);
    parquet_thrift_text(thrift, 6, options->created_by);
    // Without column orders, readers must take the bounds in statistics for undefined.
    parquet_thrift_list(thrift, 7, PARQUET_THRIFT_STRUCT, options->column_count);
    for (uint32_t i = 0; i < options->column_count; i++) {
        parquet_thrift_element_struct(thrift);
        parquet_thrift_empty(thrift, 1); // TYPE_ORDER
        parquet_thrift_end(thrift);
    }
}
