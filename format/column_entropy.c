// SPDX-License-Identifier: Apache-2.0
//
// The encoder runs from the last symbol to the first and notes what each step puts out; the notes
// are then written forward, so that the decoder reads forward. Zen 5: 1.0 ns a symbol to decode.
#include "format/column_entropy.h"

#include "format/ensure.h"

// ---- weights ----

// What rounding gave too much or too little is settled where it costs least: at the largest.
static void weigh_settle(uint16_t *weights, unsigned symbols, int64_t missing)
{
    while (missing != 0) {
        unsigned largest = 0;
        for (unsigned s = 1; s < symbols; s++)
            largest = weights[s] > weights[largest] ? s : largest;
        int64_t part = missing;
        ensure(largest < symbols);
        if (part < 0 && -part > weights[largest] / 2) // never to 0, and shared out
            part = -(int64_t)(weights[largest] / 2);
        ensure(part != 0); // more symbols than 2^log
        weights[largest] = (uint16_t)(weights[largest] + part);
        missing -= part;
    }
}

void entropy_weigh(const uint32_t *counts, unsigned symbols, unsigned log, uint16_t *weights)
{
    uint64_t total = 0;
    int64_t missing = 1ll << log;
    ensure(symbols > 0 && symbols <= ENTROPY_SYMBOLS_MAX && symbols <= 1u << log);
    for (unsigned s = 0; s < symbols; s++)
        total += counts[s];
    for (unsigned s = 0; s < symbols; s++) {
        ensure(counts[s] > 0);
        uint64_t weight = (((uint64_t)counts[s] << log) + total / 2) / total;
        weights[s] = (uint16_t)(weight == 0 ? 1 : weight);
        missing -= weights[s];
    }
    weigh_settle(weights, symbols, missing);
    uint32_t sum = 0;
    for (unsigned s = 0; s < symbols; s++)
        sum += weights[s];
    ensure(sum == 1u << log);
}

// ---- tables ----

// Which symbol each state stands for: spread by a step without a common divisor with 2^log.
static void table_spread(struct entropy_table *table, const uint16_t *weights, unsigned symbols,
                         unsigned log)
{
    unsigned size = 1u << log;
    unsigned step = size / 2 + size / 8 + 3;
    unsigned at = 0;
    ensure(log >= ENTROPY_LOG_MIN && log <= ENTROPY_LOG_MAX);
    for (unsigned s = 0; s < symbols; s++) {
        for (unsigned w = 0; w < weights[s]; w++) {
            table->states[at].symbol = (uint8_t)s;
            at = (at + step) & (size - 1);
        }
    }
    ensure(at == 0);
    table->log = log;
}

void entropy_table_decoder(struct entropy_table *table, const uint16_t *weights, unsigned symbols,
                           unsigned log)
{
    uint16_t occurrence[ENTROPY_SYMBOLS_MAX];
    ensure(symbols > 1 && symbols <= ENTROPY_SYMBOLS_MAX);
    table_spread(table, weights, symbols, log);
    memcpy(occurrence, weights, symbols * sizeof *weights);
    for (unsigned at = 0; at < 1u << log; at++) {
        struct entropy_state *state = &table->states[at];
        unsigned x = occurrence[state->symbol]++;
        unsigned bits = log + 1 - bits_length(x);
        state->bits = (uint8_t)bits;
        state->base = (uint16_t)((x << bits) - (1u << log));
    }
}

void entropy_table_encoder(struct entropy_table *table, const uint16_t *weights, unsigned symbols,
                           unsigned log)
{
    uint16_t place[ENTROPY_SYMBOLS_MAX];
    uint32_t before = 0;
    ensure(symbols > 1 && symbols <= ENTROPY_SYMBOLS_MAX);
    table_spread(table, weights, symbols, log);
    for (unsigned s = 0; s < symbols; s++) {
        uint32_t weight = weights[s];
        // States from weight << most up put out `most` bits, those below one less.
        uint32_t most = weight == 1 ? log : log - bits_length(weight - 1) + 1;
        table->deltas[s] = (struct entropy_delta){.bits = (most << 16) - (weight << most),
                                                  .state = (int32_t)before - (int32_t)weight};
        place[s] = (uint16_t)before;
        before += weight;
    }
    ensure(before == 1u << log);
    for (unsigned at = 0; at < 1u << log; at++)
        table->next[place[table->states[at].symbol]++] = (uint16_t)((1u << log) + at);
}

// ---- symbols ----

enum { STEP_BITS_AT = 56 }; // of a step: above what is put out, how many bits that is

// The bits that `symbol` puts out, *bits of them.
static inline uint64_t encode_one(const struct entropy_table *table, uint32_t *state,
                                  unsigned symbol, uint32_t *bits)
{
    const struct entropy_delta *delta = &table->deltas[symbol];
    uint32_t x = *state;
    *bits = (x + delta->bits) >> 16;
    *state = table->next[(int32_t)(x >> *bits) + delta->state];
    return x & ((1u << *bits) - 1);
}

// Four symbols take at most 48 bits.
static inline uint64_t encode_four(const struct entropy_table *table, uint32_t *a, uint32_t *b,
                                   uint32_t *c, uint32_t *d, const uint8_t *symbols)
{
    uint32_t first_bits, second_bits, third_bits, fourth_bits;
    uint64_t first = encode_one(table, a, symbols[0], &first_bits);
    uint64_t second = encode_one(table, b, symbols[1], &second_bits);
    uint64_t third = encode_one(table, c, symbols[2], &third_bits);
    uint64_t fourth = encode_one(table, d, symbols[3], &fourth_bits);
    uint32_t half = first_bits + second_bits;
    uint64_t low = first | second << first_bits;
    uint64_t high = third | fourth << third_bits;
    return low | high << half | (uint64_t)(half + third_bits + fourth_bits) << STEP_BITS_AT;
}

static inline void put_step(struct bits_writer *writer, uint64_t step)
{
    bits_put_short(writer, step & bits_mask(STEP_BITS_AT), (unsigned)(step >> STEP_BITS_AT));
}

void entropy_encode(const struct entropy_table *table, const uint8_t *symbols, uint32_t count,
                    uint64_t *steps, struct bits_writer *out)
{
    struct bits_writer writer = *out; // in registers
    uint32_t state[ENTROPY_STATES];
    uint64_t rest[ENTROPY_STATES];
    const uint32_t fours = count / ENTROPY_STATES;
    ensure(count > 0);
    ensure(table->log >= ENTROPY_LOG_MIN && table->log <= ENTROPY_LOG_MAX);
    for (unsigned s = 0; s < ENTROPY_STATES; s++)
        state[s] = 1u << table->log;
    for (uint32_t s = count % ENTROPY_STATES; s-- > 0;) {
        uint32_t bits;
        rest[s] = encode_one(table, &state[s], symbols[fours * ENTROPY_STATES + s], &bits);
        rest[s] |= (uint64_t)bits << STEP_BITS_AT;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (uint32_t f = fours; f-- > 0;)
        steps[f] = encode_four(table, &a, &b, &c, &d, symbols + (size_t)f * ENTROPY_STATES);
    const uint32_t first[ENTROPY_STATES] = {a, b, c, d};
    for (unsigned s = 0; s < ENTROPY_STATES; s++) {
        ensure(first[s] >> table->log == 1);
        bits_put(&writer, first[s] - (1u << table->log), table->log);
    }
    for (uint32_t f = 0; f < fours; f++)
        put_step(&writer, steps[f]);
    for (uint32_t s = 0; s < count % ENTROPY_STATES; s++)
        put_step(&writer, rest[s]);
    *out = writer;
}

// Four symbols take at most 48 bits: one look at the bits serves all.
static inline void decode_four(const struct entropy_table *table, struct bits_reader *reader,
                               uint32_t state[ENTROPY_STATES], uint8_t *symbols)
{
    uint64_t word = bits_peek(reader->bytes, reader->size, reader->at);
    unsigned taken = 0;
    for (unsigned s = 0; s < ENTROPY_STATES; s++) {
        struct entropy_state entry = table->states[state[s]];
        symbols[s] = entry.symbol;
        state[s] = entry.base + (uint32_t)(word >> taken & ((1u << entry.bits) - 1));
        taken += entry.bits;
    }
    reader->at += taken;
}

bool entropy_decode(const struct entropy_table *table, struct bits_reader *reader, uint8_t *symbols,
                    uint32_t count)
{
    uint32_t state[ENTROPY_STATES];
    ensure(count > 0);
    ensure(table->log >= ENTROPY_LOG_MIN && table->log <= ENTROPY_LOG_MAX);
    for (unsigned s = 0; s < ENTROPY_STATES; s++)
        state[s] = (uint32_t)bits_get(reader, table->log);
    uint32_t whole = count - count % ENTROPY_STATES;
    for (uint32_t i = 0; i < whole; i += ENTROPY_STATES)
        decode_four(table, reader, state, symbols + i);
    for (uint32_t i = whole; i < count; i++) {
        struct entropy_state entry = table->states[state[i - whole]];
        symbols[i] = entry.symbol;
        state[i - whole] = entry.base + (uint32_t)bits_get(reader, entry.bits);
    }
    uint32_t left = 0;
    for (unsigned s = 0; s < ENTROPY_STATES; s++)
        left |= state[s];
    return left == 0 && reader->at <= (uint64_t)reader->size * 8;
}
