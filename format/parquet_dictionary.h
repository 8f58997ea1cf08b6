// SPDX-License-Identifier: Apache-2.0
//
// parquet_dictionary: the different values of one column of a row group, in order of appearance;
// values → their places.
//
// A hash table with open addressing, as large as its values need: what is looked up most fits in
// the first cache.
//
// Ownership: parquet_dictionary_open() allocates all it will ever need (address space, until it is
// used), parquet_dictionary_close() frees, whatever open returned. Threading: none.
#ifndef RINGTAPE_FORMAT_PARQUET_DICTIONARY_H
#define RINGTAPE_FORMAT_PARQUET_DICTIONARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    // Places then have at most two bytes.
    PARQUET_DICTIONARY_VALUES_MAX = 1 << 16,
    // Longer texts, and more of them, are not worth it.
    PARQUET_DICTIONARY_TEXT_BYTES = 1 << 20,
    PARQUET_DICTIONARY_TEXT_MAX = 256,
};

enum parquet_dictionary_kind { // of values
    PARQUET_DICTIONARY_INT64,
    PARQUET_DICTIONARY_INT128,
    PARQUET_DICTIONARY_TEXT,
};

struct parquet_dictionary {
    enum parquet_dictionary_kind kind;
    int bits;        // of a slot's number
    uint32_t count;  // values
    uint32_t *slots; // [1 << bits] place + 1; 0: free
    union {          // [PARQUET_DICTIONARY_VALUES_MAX] by place
        void *values;
        int64_t *int64;
        __int128 *int128;
        uint32_t *text_end; // in `text`
    };
    uint8_t *text; // [PARQUET_DICTIONARY_TEXT_BYTES]
};

int parquet_dictionary_open(struct parquet_dictionary *dictionary,
                            enum parquet_dictionary_kind kind); // 0 or -ENOMEM; `*dictionary` 0
void parquet_dictionary_close(struct parquet_dictionary *dictionary);
void parquet_dictionary_clear(struct parquet_dictionary *dictionary);

// Places of `count` values → places[]; new values are added. False: the dictionary is full; it
// stays right for what it held before.
bool parquet_dictionary_int64(struct parquet_dictionary *dictionary, const int64_t *values,
                              uint32_t count, uint32_t *places);
bool parquet_dictionary_int128(struct parquet_dictionary *dictionary, const __int128 *values,
                               uint32_t count, uint32_t *places);
// Value i is text[end[i - 1], end[i]), the first from `begin`.
bool parquet_dictionary_texts(struct parquet_dictionary *dictionary, const uint8_t *text,
                              uint32_t begin, const uint32_t *end, uint32_t count,
                              uint32_t *places);

// Bytes of the dictionary page before compression, and the page, PLAIN.
size_t parquet_dictionary_bytes(const struct parquet_dictionary *dictionary);
size_t parquet_dictionary_bytes_max(enum parquet_dictionary_kind kind);
size_t parquet_dictionary_encode(const struct parquet_dictionary *dictionary, uint8_t *out);

#endif
