// SPDX-License-Identifier: Apache-2.0
//
// column_entropy: table-based asymmetric numeral systems (tANS; Duda, "Asymmetric numeral systems",
// arXiv 1311.2540), four states interleaved, for alphabets of at most 255 symbols whose weights are
// stored by the caller. docs/format.md "Entropy coding" has the tables to the bit.
//
// Nothing in the bits is trusted: any bits decode to some symbols; entropy_decode() says whether
// they end as an encoder ends.
//
// Threading: an entropy_table has one owner at a time.
#ifndef RINGTAPE_FORMAT_COLUMN_ENTROPY_H
#define RINGTAPE_FORMAT_COLUMN_ENTROPY_H

#include <stdbool.h>

#include "format/column_bits.h"

enum {
    ENTROPY_LOG_MIN = 4,
    ENTROPY_LOG_MAX = 12,
    ENTROPY_SYMBOLS_MAX = 255,
    ENTROPY_STATES = 4,
};

struct entropy_state {
    uint16_t base; // the next state is base + `bits` more bits
    uint8_t bits;
    uint8_t symbol;
};

struct entropy_delta { // what a symbol makes of a state
    uint32_t bits;
    int32_t state;
};

struct entropy_table {
    unsigned log;
    struct entropy_state states[1 << ENTROPY_LOG_MAX]; // decoding
    uint16_t next[1 << ENTROPY_LOG_MAX];               // encoding
    struct entropy_delta deltas[ENTROPY_SYMBOLS_MAX];  // encoding
};

// Weights with sum 2^log, each at least 1, as near to counts[] (each at least 1) as can be.
void entropy_weigh(const uint32_t *counts, unsigned symbols, unsigned log, uint16_t *weights);
// The sum of the weights is 2^log and none is 0.
void entropy_table_decoder(struct entropy_table *table, const uint16_t *weights, unsigned symbols,
                           unsigned log);
void entropy_table_encoder(struct entropy_table *table, const uint16_t *weights, unsigned symbols,
                           unsigned log);
static inline size_t entropy_steps(uint32_t count)
{
    return count / ENTROPY_STATES + ENTROPY_STATES;
}
// `steps`: room for entropy_steps(count). Bits of ENTROPY_STATES first states and all symbols.
void entropy_encode(const struct entropy_table *table, const uint8_t *symbols, uint32_t count,
                    uint64_t *steps, struct bits_writer *writer);
bool entropy_decode(const struct entropy_table *table, struct bits_reader *reader, uint8_t *symbols,
                    uint32_t count);

#endif
