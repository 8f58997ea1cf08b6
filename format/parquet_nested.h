// SPDX-License-Identifier: Apache-2.0
//
// parquet_nested: rows of structs, maps and lists → a Parquet file. For checkpoints of a Delta log,
// which need nesting and are small; tables of events go through parquet_writer.
//
// The schema is a list of nodes, depth first as in the file. Each row says which of the top-level
// groups it has; leaves that are given no value in it are null at the level that follows. Every
// leaf is PLAIN, zstd, pages of version 1 with CRC-32, one row group, no statistics.
//
// Ownership: the nodes are the caller's and outlive the writer; everything else is allocated here
// and grows. Threading: none. Bounds: below. Errors: negative errno, final once they came.
// Source: apache/parquet-format (parquet.thrift, LogicalTypes.md); Dremel's levels.
#ifndef RINGTAPE_FORMAT_PARQUET_NESTED_H
#define RINGTAPE_FORMAT_PARQUET_NESTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PARQUET_NESTED_NODES_MAX = 64,
    PARQUET_NESTED_LEAVES_MAX = 40,
    PARQUET_NESTED_DEPTH_MAX = 6,
    PARQUET_NESTED_PAGE_ROWS = 4096,
    PARQUET_NESTED_PAGE_BYTES = 8 << 20, // a page ends early when one leaf has more
    PARQUET_NESTED_TEXT_BYTES_MAX = 64 << 20,
};

enum parquet_nested_type {
    PARQUET_NESTED_GROUP,
    PARQUET_NESTED_MAP,  // holds one repeated group of `key` and `value`
    PARQUET_NESTED_LIST, // holds one repeated group of `element`
    PARQUET_NESTED_BOOLEAN,
    PARQUET_NESTED_INT32,
    PARQUET_NESTED_INT64,
    PARQUET_NESTED_STRING,
};

enum parquet_nested_repetition {
    PARQUET_NESTED_REQUIRED,
    PARQUET_NESTED_OPTIONAL,
    PARQUET_NESTED_REPEATED,
};

struct parquet_nested_node {
    const char *name;
    enum parquet_nested_type type;
    enum parquet_nested_repetition repetition;
    uint8_t children; // 0: a leaf
};

struct parquet_nested;

// `write` takes bytes at the end of the file; 0 or negative errno. 0, -ENOMEM, or what it says.
int parquet_nested_open(struct parquet_nested **writer, const struct parquet_nested_node *nodes,
                        uint32_t node_count, const char *created_by,
                        int (*write)(void *context, const void *bytes, size_t size), void *context);
void parquet_nested_close(struct parquet_nested *writer);

// Bytes of the caller between the first four of the file and its pages: no reader of Parquet looks
// there. Before the first row.
void parquet_nested_prefix(struct parquet_nested *writer, const void *bytes, size_t size);

// Begins a row that has top-level group number `group` (0 for the first) and no other. Leaves are
// numbered in the order of the schema. A value is at its leaf's highest definition level;
// `repetition` is 0 for the first of a row, 1 for further ones of a map or list.
void parquet_nested_row(struct parquet_nested *writer, uint32_t group);
void parquet_nested_boolean(struct parquet_nested *writer, uint32_t leaf, bool value);
void parquet_nested_int32(struct parquet_nested *writer, uint32_t leaf, int32_t value);
void parquet_nested_int64(struct parquet_nested *writer, uint32_t leaf, int64_t value);
void parquet_nested_text(struct parquet_nested *writer, uint32_t leaf, uint32_t repetition,
                         const void *bytes, size_t size);
// No value: the path is there down to `definition` of its optional or repeated nodes.
void parquet_nested_none(struct parquet_nested *writer, uint32_t leaf, uint32_t repetition,
                         uint32_t definition);
void parquet_nested_row_end(struct parquet_nested *writer);

// Writes everything that is left. The file is whole only if this returned 0.
int parquet_nested_finish(struct parquet_nested *writer);

#endif
