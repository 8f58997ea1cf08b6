// SPDX-License-Identifier: Apache-2.0
//
// delta_schema: columns of a Parquet file as a Delta table tells them: the schema of the table and
// the statistics of a file. Pure functions: text into a buffer of the caller.
//
// Statistics are given for the same columns in every file. Bounds never claim too little, though
// they may be wider than the rows: timestamps are in milliseconds there, so the upper bound is
// rounded up; a decimal of more than 15 digits is rounded away from the rows, because some readers
// take it for a double. Long texts (STRING, BINARY) have no bounds, codes have.
// Source: delta-io/delta, PROTOCOL.md (Schema Serialization Format, Per-file Statistics).
#ifndef RINGTAPE_FORMAT_DELTA_SCHEMA_H
#define RINGTAPE_FORMAT_DELTA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/delta_json.h"
#include "format/parquet_bounds.h"
#include "format/parquet_writer.h"

// schemaString: the columns, then `exchange` (string) and `date` (date), all nullable.
void delta_schema_text(const struct parquet_column *columns, uint32_t count,
                       struct delta_text *out);

// `present` (a schemaString) with the columns it lacks behind its own; *added: how many. 0;
// -EBADMSG: it is no schema; -EEXIST: a column is there with another type, named in `conflict`.
int delta_schema_merge(const char *present, const struct parquet_column *columns, uint32_t count,
                       struct delta_text *out, uint32_t *added, char *conflict, size_t room);

// stats of a file of `rows` rows; bounds[c] and nulls[c] are of columns[c].
void delta_schema_statistics(const struct parquet_column *columns, uint32_t count, uint64_t rows,
                             const struct parquet_bounds *const *bounds, const uint64_t *nulls,
                             struct delta_text *out);

#endif
