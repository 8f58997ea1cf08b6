// SPDX-License-Identifier: Apache-2.0
//
// values and levels of one page, per leaf → page (compressed, with header) in the leaf's chunk →
// at the end all chunks, one after the other, and the footer.
#include "format/parquet_nested.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/ensure.h"
#include "format/parquet_crc.h"
#include "format/parquet_encode.h"
#include "format/parquet_thrift.h"

enum {
    LEVEL = 3,
    HEADER_BYTES = 64,
    FOOTER_BYTES = 1 << 16, // of the buffer; the footer may be longer
    ENCODING_PLAIN = 0,
    ENCODING_RLE = 3,
    CODEC_ZSTD = 6,
    FORMAT_VERSION = 1,
};

static const uint8_t magic[4] = {'P', 'A', 'R', '1'};

struct bytes {
    uint8_t *data;
    size_t size;
    size_t room;
};

struct nested_leaf {
    uint32_t node;
    uint32_t group; // top-level group it is in
    uint32_t path[PARQUET_NESTED_DEPTH_MAX]; // nodes from the top to the leaf
    uint32_t depth;
    uint32_t definition_max;
    uint32_t repetition_max;
    bool in_row; // the row being built has an entry
    struct bytes values; // of the page; booleans one byte each
    struct bytes definitions; // uint32_t each
    struct bytes repetitions;
    struct bytes chunk;
    uint64_t entries; // of finished pages
    uint64_t bytes_uncompressed;
    uint64_t offset; // in the file
};

struct parquet_nested {
    const struct parquet_nested_node *nodes;
    uint32_t node_count;
    const char *created_by;
    int (*write)(void *context, const void *bytes, size_t size);
    void *context;
    int error;
    uint64_t offset;
    uint64_t rows;
    uint32_t page_rows;
    uint32_t group; // of the row being built
    uint32_t leaf_count;
    struct nested_leaf leaves[PARQUET_NESTED_LEAVES_MAX];
    struct bytes raw; // a page before compression
    uint8_t footer[FOOTER_BYTES];
    ZSTD_CCtx *zstd;
    struct parquet_crc crc;
};

// ---- memory and output ----

static uint8_t *grow(struct parquet_nested *w, struct bytes *bytes, size_t size)
{
    size_t room = bytes->room < 1024 ? 1024 : bytes->room;
    while (room - bytes->size < size) room *= 2;
    if (room != bytes->room) {
        uint8_t *grown = realloc(bytes->data, room);
        if (grown == NULL) {
            if (w->error == 0) w->error = -ENOMEM;
            return NULL;
        }
        bytes->data = grown;
        bytes->room = room;
    }
    return bytes->data + bytes->size;
}

static void append(struct parquet_nested *w, struct bytes *bytes, const void *data, size_t size)
{
    uint8_t *to = grow(w, bytes, size);
    if (to == NULL) return;
    if (size > 0) memcpy(to, data, size);
    bytes->size += size;
}

static void put(struct parquet_nested *w, const void *bytes, size_t size)
{
    if (w->error != 0) return;
    w->error = w->write(w->context, bytes, size);
    ensure(w->error <= 0);
    w->offset += size;
}

static void put_drain(void *context, const void *bytes, size_t size)
{
    put(context, bytes, size);
}

// ---- schema ----

// Nodes from `node` on that belong to it, leaves noted; returns the node behind them.
static uint32_t note_leaves(struct parquet_nested *w, uint32_t node, struct nested_leaf place)
{
    const struct parquet_nested_node *now = &w->nodes[node];
    ensure(node < w->node_count && place.depth < PARQUET_NESTED_DEPTH_MAX);
    place.path[place.depth++] = node;
    place.definition_max += now->repetition != PARQUET_NESTED_REQUIRED;
    place.repetition_max += now->repetition == PARQUET_NESTED_REPEATED;
    if (now->children == 0) {
        ensure(w->leaf_count < PARQUET_NESTED_LEAVES_MAX && now->type >= PARQUET_NESTED_BOOLEAN);
        place.node = node;
        w->leaves[w->leaf_count++] = place;
        return node + 1;
    }
    uint32_t next = node + 1;
    for (uint32_t i = 0; i < now->children; i++) next = note_leaves(w, next, place);
    return next;
}

int parquet_nested_open(struct parquet_nested **writer, const struct parquet_nested_node *nodes,
                        uint32_t node_count, const char *created_by,
                        int (*write)(void *context, const void *bytes, size_t size), void *context)
{
    ensure(node_count > 0 && node_count <= PARQUET_NESTED_NODES_MAX && write != NULL);
    struct parquet_nested *w = calloc(1, sizeof *w);
    if (w == NULL) return -ENOMEM;
    w->nodes = nodes;
    w->node_count = node_count;
    w->created_by = created_by;
    w->write = write;
    w->context = context;
    struct nested_leaf place = {0};
    for (uint32_t node = 0; node < node_count; place.group++) node = note_leaves(w, node, place);
    w->zstd = ZSTD_createCCtx();
    if (w->zstd == NULL) w->error = -ENOMEM;
    parquet_crc_init(&w->crc);
    put(w, magic, sizeof magic);
    const int error = w->error;
    if (error != 0) parquet_nested_close(w);
    if (error == 0) *writer = w;
    return error;
}

void parquet_nested_close(struct parquet_nested *w)
{
    if (w == NULL) return;
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        free(w->leaves[i].values.data);
        free(w->leaves[i].definitions.data);
        free(w->leaves[i].repetitions.data);
        free(w->leaves[i].chunk.data);
    }
    free(w->raw.data);
    ZSTD_freeCCtx(w->zstd);
    free(w);
}

void parquet_nested_prefix(struct parquet_nested *w, const void *bytes, size_t size)
{
    ensure(w->rows == 0);
    put(w, bytes, size);
}

// ---- pages ----

static void raw_levels(struct parquet_nested *w, const struct bytes *levels, uint32_t most)
{
    const uint32_t count = (uint32_t)(levels->size / sizeof(uint32_t));
    int width = 0;
    while (most >> width != 0) width++;
    if (width == 0) return;
    uint8_t *to = grow(w, &w->raw, 4 + parquet_encode_hybrid_bound(count, width));
    if (to == NULL) return;
    const uint32_t size = (uint32_t)parquet_encode_hybrid(
        (const uint32_t *)(const void *)levels->data, count, width, to + 4);
    memcpy(to, &size, 4);
    w->raw.size += 4 + size;
}

static void raw_values(struct parquet_nested *w, const struct nested_leaf *leaf)
{
    if (w->nodes[leaf->node].type != PARQUET_NESTED_BOOLEAN) {
        append(w, &w->raw, leaf->values.data, leaf->values.size);
        return;
    }
    const uint32_t count = (uint32_t)leaf->values.size;
    uint8_t *to = grow(w, &w->raw, (size_t)count / 8 + 1);
    if (to != NULL) w->raw.size += parquet_encode_booleans(leaf->values.data, count, to);
}

static size_t page_header(uint8_t out[HEADER_BYTES], size_t raw, size_t compressed, uint32_t crc,
                          uint32_t entries)
{
    struct parquet_thrift thrift;
    parquet_thrift_init(&thrift, out, HEADER_BYTES, NULL, NULL);
    parquet_thrift_i32(&thrift, 1, 0); // DATA_PAGE
    parquet_thrift_i32(&thrift, 2, (int32_t)raw);
    parquet_thrift_i32(&thrift, 3, (int32_t)compressed);
    parquet_thrift_i32(&thrift, 4, (int32_t)crc);
    parquet_thrift_struct(&thrift, 5);
    parquet_thrift_i32(&thrift, 1, (int32_t)entries);
    parquet_thrift_i32(&thrift, 2, ENCODING_PLAIN);
    parquet_thrift_i32(&thrift, 3, ENCODING_RLE);
    parquet_thrift_i32(&thrift, 4, ENCODING_RLE);
    parquet_thrift_end(&thrift);
    return parquet_thrift_finish(&thrift);
}

static void leaf_page(struct parquet_nested *w, struct nested_leaf *leaf)
{
    const uint32_t entries = (uint32_t)(leaf->definitions.size / sizeof(uint32_t));
    uint8_t header[HEADER_BYTES];
    w->raw.size = 0;
    raw_levels(w, &leaf->repetitions, leaf->repetition_max);
    raw_levels(w, &leaf->definitions, leaf->definition_max);
    raw_values(w, leaf);
    leaf->repetitions.size = leaf->definitions.size = leaf->values.size = 0;
    const size_t bound = ZSTD_compressBound(w->raw.size);
    if (w->error != 0 || grow(w, &leaf->chunk, HEADER_BYTES + bound) == NULL) return;
    ensure(w->raw.size <= INT32_MAX);
    uint8_t *to = leaf->chunk.data + leaf->chunk.size + HEADER_BYTES;
    const size_t size = ZSTD_compressCCtx(w->zstd, to, bound, w->raw.data, w->raw.size, LEVEL);
    if (ZSTD_isError(size)) {
        w->error = -ENOMEM; // with enough room, memory is all that can be missing
        return;
    }
    const size_t header_size =
        page_header(header, w->raw.size, size, parquet_crc_of(&w->crc, to, size), entries);
    memmove(to - HEADER_BYTES + header_size, to, size);
    memcpy(to - HEADER_BYTES, header, header_size);
    leaf->chunk.size += header_size + size;
    leaf->bytes_uncompressed += header_size + w->raw.size;
    leaf->entries += entries;
}

static void page_end(struct parquet_nested *w)
{
    for (uint32_t i = 0; i < w->leaf_count && w->page_rows > 0; i++) leaf_page(w, &w->leaves[i]);
    w->page_rows = 0;
}

// ---- rows ----

void parquet_nested_row(struct parquet_nested *w, uint32_t group)
{
    w->group = group;
    for (uint32_t i = 0; i < w->leaf_count; i++) w->leaves[i].in_row = false;
}

static struct nested_leaf *entry(struct parquet_nested *w, uint32_t leaf, uint32_t repetition,
                                 uint32_t definition)
{
    ensure(leaf < w->leaf_count);
    struct nested_leaf *found = &w->leaves[leaf];
    ensure(definition <= found->definition_max && repetition <= found->repetition_max);
    ensure((repetition > 0) == found->in_row); // the first of a row, and only it, has 0
    append(w, &found->definitions, &definition, sizeof definition);
    append(w, &found->repetitions, &repetition, sizeof repetition);
    found->in_row = true;
    return found;
}

static struct bytes *value(struct parquet_nested *w, uint32_t leaf, uint32_t repetition,
                           enum parquet_nested_type type)
{
    ensure(leaf < w->leaf_count && w->nodes[w->leaves[leaf].node].type == type);
    return &entry(w, leaf, repetition, w->leaves[leaf].definition_max)->values;
}

void parquet_nested_boolean(struct parquet_nested *w, uint32_t leaf, bool is)
{
    const uint8_t byte = is;
    append(w, value(w, leaf, 0, PARQUET_NESTED_BOOLEAN), &byte, 1);
}

void parquet_nested_int32(struct parquet_nested *w, uint32_t leaf, int32_t number)
{
    append(w, value(w, leaf, 0, PARQUET_NESTED_INT32), &number, sizeof number);
}

void parquet_nested_int64(struct parquet_nested *w, uint32_t leaf, int64_t number)
{
    append(w, value(w, leaf, 0, PARQUET_NESTED_INT64), &number, sizeof number);
}

void parquet_nested_text(struct parquet_nested *w, uint32_t leaf, uint32_t repetition,
                         const void *bytes, size_t size)
{
    const uint32_t length = (uint32_t)size;
    ensure(size <= PARQUET_NESTED_TEXT_BYTES_MAX);
    struct bytes *values = value(w, leaf, repetition, PARQUET_NESTED_STRING);
    append(w, values, &length, sizeof length);
    append(w, values, bytes, size);
}

void parquet_nested_none(struct parquet_nested *w, uint32_t leaf, uint32_t repetition,
                         uint32_t definition)
{
    ensure(leaf < w->leaf_count && definition < w->leaves[leaf].definition_max);
    (void)entry(w, leaf, repetition, definition);
}

void parquet_nested_row_end(struct parquet_nested *w)
{
    bool full = false;
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        const struct nested_leaf *leaf = &w->leaves[i];
        if (!leaf->in_row) (void)entry(w, i, 0, leaf->group == w->group);
        full = full || leaf->values.size >= PARQUET_NESTED_PAGE_BYTES;
    }
    w->rows++;
    w->page_rows++;
    if (full || w->page_rows == PARQUET_NESTED_PAGE_ROWS) page_end(w);
}

// ---- the footer ----

static void footer_logical(struct parquet_thrift *thrift, enum parquet_nested_type type)
{
    if (type != PARQUET_NESTED_STRING && type != PARQUET_NESTED_MAP && type != PARQUET_NESTED_LIST)
        return;
    parquet_thrift_struct(thrift, 10);
    parquet_thrift_empty(thrift, type == PARQUET_NESTED_STRING ? 1
                                 : type == PARQUET_NESTED_MAP  ? 2
                                                               : 3);
    parquet_thrift_end(thrift);
}

static void footer_node(struct parquet_thrift *thrift, const struct parquet_nested_node *node)
{
    static const int8_t physical[] = {
        [PARQUET_NESTED_BOOLEAN] = 0, [PARQUET_NESTED_INT32] = 1, [PARQUET_NESTED_INT64] = 2,
        [PARQUET_NESTED_STRING] = 6};
    static const int8_t converted[] = { // UTF8 0, MAP 1, LIST 3
        [PARQUET_NESTED_GROUP] = -1,   [PARQUET_NESTED_MAP] = 1,    [PARQUET_NESTED_LIST] = 3,
        [PARQUET_NESTED_BOOLEAN] = -1, [PARQUET_NESTED_INT32] = -1, [PARQUET_NESTED_INT64] = -1,
        [PARQUET_NESTED_STRING] = 0};
    parquet_thrift_element_struct(thrift);
    if (node->children == 0) parquet_thrift_i32(thrift, 1, physical[node->type]);
    parquet_thrift_i32(thrift, 3, (int32_t)node->repetition);
    parquet_thrift_text(thrift, 4, node->name);
    if (node->children > 0) parquet_thrift_i32(thrift, 5, node->children);
    if (converted[node->type] >= 0) parquet_thrift_i32(thrift, 6, converted[node->type]);
    footer_logical(thrift, node->type);
    parquet_thrift_end(thrift);
}

static void footer_schema(struct parquet_nested *w, struct parquet_thrift *thrift)
{
    const uint32_t groups = w->leaves[w->leaf_count - 1].group + 1;
    parquet_thrift_list(thrift, 2, PARQUET_THRIFT_STRUCT, w->node_count + 1);
    parquet_thrift_element_struct(thrift);
    parquet_thrift_text(thrift, 4, "schema");
    parquet_thrift_i32(thrift, 5, (int32_t)groups);
    parquet_thrift_end(thrift);
    for (uint32_t i = 0; i < w->node_count; i++) footer_node(thrift, &w->nodes[i]);
}

static void footer_chunk(struct parquet_nested *w, struct parquet_thrift *thrift,
                         const struct nested_leaf *leaf)
{
    static const int8_t physical[] = {
        [PARQUET_NESTED_BOOLEAN] = 0, [PARQUET_NESTED_INT32] = 1, [PARQUET_NESTED_INT64] = 2,
        [PARQUET_NESTED_STRING] = 6};
    parquet_thrift_element_struct(thrift);
    parquet_thrift_i64(thrift, 2, 0);
    parquet_thrift_struct(thrift, 3);
    parquet_thrift_i32(thrift, 1, physical[w->nodes[leaf->node].type]);
    parquet_thrift_list(thrift, 2, PARQUET_THRIFT_I32, 2);
    parquet_thrift_element_i32(thrift, ENCODING_PLAIN);
    parquet_thrift_element_i32(thrift, ENCODING_RLE);
    parquet_thrift_list(thrift, 3, PARQUET_THRIFT_BINARY, leaf->depth);
    for (uint32_t d = 0; d < leaf->depth; d++) {
        const char *name = w->nodes[leaf->path[d]].name;
        parquet_thrift_element_binary(thrift, name, strlen(name));
    }
    parquet_thrift_i32(thrift, 4, CODEC_ZSTD);
    parquet_thrift_i64(thrift, 5, (int64_t)leaf->entries);
    parquet_thrift_i64(thrift, 6, (int64_t)leaf->bytes_uncompressed);
    parquet_thrift_i64(thrift, 7, (int64_t)leaf->chunk.size);
    parquet_thrift_i64(thrift, 9, (int64_t)leaf->offset);
    parquet_thrift_end(thrift);
    parquet_thrift_end(thrift);
}

static void footer_group(struct parquet_nested *w, struct parquet_thrift *thrift)
{
    uint64_t bytes = 0, bytes_uncompressed = 0;
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        bytes += w->leaves[i].chunk.size;
        bytes_uncompressed += w->leaves[i].bytes_uncompressed;
    }
    parquet_thrift_element_struct(thrift);
    parquet_thrift_list(thrift, 1, PARQUET_THRIFT_STRUCT, w->leaf_count);
    for (uint32_t i = 0; i < w->leaf_count; i++) footer_chunk(w, thrift, &w->leaves[i]);
    parquet_thrift_i64(thrift, 2, (int64_t)bytes_uncompressed);
    parquet_thrift_i64(thrift, 3, (int64_t)w->rows);
    parquet_thrift_i64(thrift, 5, (int64_t)w->leaves[0].offset);
    parquet_thrift_i64(thrift, 6, (int64_t)bytes);
    parquet_thrift_i16(thrift, 7, 0);
    parquet_thrift_end(thrift);
}

int parquet_nested_finish(struct parquet_nested *w)
{
    struct parquet_thrift thrift;
    page_end(w);
    for (uint32_t i = 0; i < w->leaf_count; i++) {
        w->leaves[i].offset = w->offset;
        put(w, w->leaves[i].chunk.data, w->leaves[i].chunk.size);
    }
    if (w->error != 0) return w->error;
    parquet_thrift_init(&thrift, w->footer, FOOTER_BYTES, put_drain, w);
    parquet_thrift_i32(&thrift, 1, FORMAT_VERSION);
    footer_schema(w, &thrift);
    parquet_thrift_i64(&thrift, 3, (int64_t)w->rows);
    parquet_thrift_list(&thrift, 4, PARQUET_THRIFT_STRUCT, w->rows > 0);
    if (w->rows > 0) footer_group(w, &thrift);
    parquet_thrift_text(&thrift, 6, w->created_by);
    const uint32_t size = (uint32_t)parquet_thrift_finish(&thrift);
    put(w, &size, sizeof size);
    put(w, magic, sizeof magic);
    return w->error;
}
