// SPDX-License-Identifier: GPL-3.0-or-later
//
// message: a stored row as a Kafka message: its topic, key, value, identity. Pure: rows in, bytes
// out. docs/kafka.md is the specification for consumers.
//
// Ownership: the caller owns all memory. Threading: pure functions; a coder is constant after its
// init and may be shared.
#ifndef RINGTAPE_PUBLISH_MESSAGE_H
#define RINGTAPE_PUBLISH_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"
#include "format/rows.h"

enum message_format { MESSAGE_JSON, MESSAGE_AVRO, MESSAGE_BATCH, MESSAGE_FORMATS };

enum {
    MESSAGE_VERSION = 1, // of the values' schema; docs/kafka.md "Evolution"
    MESSAGE_IDENTITY_BYTES_MAX = 512,
    MESSAGE_STORE_HEX_BYTES = 33, // and NUL
    MESSAGE_AVRO_MAGIC = 0xc3,    // the first byte, and no first byte of another format
    MESSAGE_AVRO_HEADER_BYTES = 10,
};

// Where a row stands: (tape, row) in its store. What has no identity at its exchange is known by
// this.
struct message_place {
    uint32_t tape;
    uint64_t row;
};

// "json" and back; MESSAGE_FORMATS if there is none of that name.
const char *message_format_name(enum message_format format);
enum message_format message_format_by_name(const char *name);

// Whole batches have a topic as well, in the place of the channel that is none.
#define MESSAGE_BATCHES CHANNEL_NONE

// "trades" for CHANNEL_TRADE: what follows the prefix and its dot. NULL without a topic.
const char *message_topic(enum channel channel);
// "trade" for CHANNEL_TRADE, "tape" for MESSAGE_BATCHES: the header `schema` begins with it.
const char *message_schema(enum channel channel);

// The identity of a row: columns joined by ',' where the channel has an identity, else
// "STORE:TAPE:ROW". Returns the bytes written, at most MESSAGE_IDENTITY_BYTES_MAX; a longer one
// (a text that no exchange sends) is cut.
size_t message_identity(const struct rows *rows, uint32_t row, const char *store,
                        struct message_place place, char *out);

// The identity of a batch: "STORE:TAPE:FIRST:END", its rows of the tape, END not among them.
size_t message_batch_identity(const char *store, struct message_place first, uint64_t end,
                              char *out);

// XXH3-64 over key and identity: names a row in little space.
uint64_t message_identity_hash(const void *key, uint32_t key_size, const void *identity,
                               uint32_t identity_size);

// ---- JSON ----

struct message_json_column {
    uint8_t size;
    char prefix[47]; // `,"name":` and, for what stands in quotes, the first of them
};

struct message_json {
    struct message_json_column column[CHANNEL_COUNT][EVENT_COLUMNS_MAX];
};

void message_json_init(struct message_json *json);
// Room that always suffices for this row.
size_t message_json_bytes_max(const struct rows *rows, uint32_t row, uint32_t symbol_size);
// One object without line break. Returns its size.
size_t message_json_write(const struct message_json *json, const struct rows *rows, uint32_t row,
                          struct event_text symbol, struct message_place place, void *out);
// The row's `time` out of such an object; 0 from anything else.
int64_t message_json_time_ns(const void *value, size_t size);

// ---- Avro ----

struct message_avro {
    uint8_t header[CHANNEL_COUNT][MESSAGE_AVRO_HEADER_BYTES]; // magic and fingerprint
    uint8_t kind[CHANNEL_COUNT][EVENT_COLUMNS_MAX];           // how a column is written
    int64_t power[DECIMAL_SCALE_MAX + 1];                     // of 10
};

void message_avro_init(struct message_avro *avro);
size_t message_avro_bytes_max(const struct rows *rows, uint32_t row, uint32_t symbol_size);
// One object in single-object encoding. Returns its size; 0: the row has a value that the schema
// has no place for, and *why says of which sort. Nothing is rounded, nothing cut.
size_t message_avro_write(const struct message_avro *avro, const struct rows *rows, uint32_t row,
                          struct event_text symbol, struct message_place place, void *out,
                          const char **why);
// As message_json_time_ns().
int64_t message_avro_time_ns(const void *value, size_t size);

// ---- a row in either, or a batch ----

struct message_coder {
    struct message_json json;
    struct message_avro avro;
};

void message_coder_init(struct message_coder *coder);
// Room that suffices for this row in each format.
size_t message_bytes_max(const struct rows *rows, uint32_t row, uint32_t symbol_size);
// As message_avro_write(); JSON has a place for everything.
size_t message_write(const struct message_coder *coder, enum message_format format,
                     const struct rows *rows, uint32_t row, struct event_text symbol,
                     struct message_place place, void *out, const char **why);
// What a value is written in; and the row's `time`, of a batch the latest.
enum message_format message_format_of(const void *value, size_t size);
int64_t message_time_ns(const void *value, size_t size);

#endif
