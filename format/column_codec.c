// SPDX-License-Identifier: Apache-2.0
//
// A codec is a row of a table. Sizes of the zstd codecs are known only by compressing, so they are
// tried only where the caller expects something of them.
#include "format/column_codec.h"

#include <stdlib.h>
#include <zstd.h>

#include "format/ensure.h"

enum {
    COLUMN_ZSTD_LEVEL = 3,
    // A packed column this small is not worth a try: a zstd frame alone takes about 12 bytes.
    COLUMN_SMALL_BYTES = 24,
    COLUMN_CLOSE = 64, // estimates nearer than this part are settled by encoding both
};

struct column_scratch {
    uint32_t count_max;
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
    uint64_t *quotients; // [count_max] (value - min) / step
    uint64_t *changes;   // [count_max] zigzag of (value - value before) / change_step
    uint8_t *varints;    // [count_max * WIRE_VARINT_BYTES_MAX]
    uint8_t *compressed; // room for the frame of the varints and the head before it
    size_t compressed_size;
    struct modelled_room *modelled;
};

struct column_scratch *column_scratch_open(uint32_t count_max)
{
    struct column_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return NULL;
    size_t varint_bytes = (size_t)count_max * WIRE_VARINT_BYTES_MAX + 8;
    scratch->count_max = count_max;
    scratch->compressed_size = ZSTD_compressBound(varint_bytes) + 64;
    scratch->compress = ZSTD_createCCtx();
    scratch->decompress = ZSTD_createDCtx();
    scratch->quotients = malloc(((size_t)count_max + 1) * sizeof *scratch->quotients);
    scratch->changes = malloc(((size_t)count_max + 1) * sizeof *scratch->changes);
    scratch->varints = malloc(varint_bytes);
    scratch->compressed = malloc(scratch->compressed_size);
    scratch->modelled = modelled_room_open(count_max);
    if (scratch->modelled && scratch->compress && scratch->decompress && scratch->quotients &&
        scratch->changes && scratch->varints && scratch->compressed)
        return scratch;
    column_scratch_close(scratch);
    return NULL;
}

void column_scratch_close(struct column_scratch *scratch)
{
    if (!scratch)
        return;
    (void)ZSTD_freeCCtx(scratch->compress);
    (void)ZSTD_freeDCtx(scratch->decompress);
    free(scratch->quotients);
    free(scratch->changes);
    free(scratch->varints);
    free(scratch->compressed);
    modelled_room_close(scratch->modelled);
    free(scratch);
}

// ---- what a column is like ----

struct column_shape {
    int64_t min;
    uint64_t span; // max - min
    uint64_t step; // greatest common divisor of all values - min; 0: constant
    uint64_t change_step; // of all |differences|; 0: constant
};

static uint64_t column_gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// One more value for a common divisor; once it is 1 it stays so.
static inline uint64_t column_step(uint64_t step, uint64_t value)
{
    if (step == 1 || value == 0)
        return step;
    if (step != 0 && value % step == 0)
        return step;
    return column_gcd(value, step);
}

static int64_t column_delta(const int64_t *values, uint32_t i)
{
    return (int64_t)((uint64_t)values[i] - (uint64_t)values[i - 1]);
}

static uint64_t column_magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static void column_look_values(const int64_t *values, uint32_t count, struct column_shape *shape)
{
    int64_t min = values[0];
    int64_t max = values[0];
    for (uint32_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    shape->min = min;
    shape->span = (uint64_t)max - (uint64_t)min;
    for (uint32_t i = 0; i < count && shape->step != 1; i++)
        shape->step = column_step(shape->step, (uint64_t)values[i] - (uint64_t)min);
}

static void column_look_changes(const int64_t *values, uint32_t count, struct column_shape *shape)
{
    for (uint32_t i = 1; i < count && shape->change_step != 1; i++)
        shape->change_step =
            column_step(shape->change_step, column_magnitude(column_delta(values, i)));
    if (shape->change_step > INT64_MAX)
        shape->change_step = 1;
}

static uint64_t packed_bytes(uint32_t count, unsigned width)
{
    return bits_bytes((uint64_t)count * width);
}

// ---- encoding ----

// Divisions are the dearest part of encoding: once a value, and none where the step is 1.
static void column_divide(struct column_scratch *scratch, const int64_t *values, uint32_t count,
                          const struct column_shape *shape)
{
    ensure(shape->step != 0 && shape->change_step != 0); // it is not constant
    const uint64_t min = (uint64_t)shape->min;
    const int64_t change_step = (int64_t)shape->change_step;
    for (uint32_t i = 0; i < count; i++)
        scratch->quotients[i] = (uint64_t)values[i] - min;
    for (uint32_t i = 0; i < count && shape->step != 1; i++)
        scratch->quotients[i] /= shape->step;
    for (uint32_t i = 1; i < count; i++) {
        int64_t change = column_delta(values, i);
        scratch->changes[i] = wire_zigzag(change_step == 1 ? change : change / change_step);
    }
}

// The varints are in scratch->varints: head and frame go to scratch->compressed. Their bytes, or
// SIZE_MAX when zstd has no answer (it then is not smaller either).
static size_t encode_frame(struct column_scratch *scratch, const uint8_t *varint_end,
                           const uint8_t *head_end)
{
    ensure(head_end - scratch->compressed <= 2 * WIRE_VARINT_BYTES_MAX);
    size_t head = (size_t)(head_end - scratch->compressed);
    size_t varints = (size_t)(varint_end - scratch->varints);
    size_t bytes =
        ZSTD_compressCCtx(scratch->compress, scratch->compressed + head,
                          scratch->compressed_size - head, scratch->varints, varints,
                          COLUMN_ZSTD_LEVEL);
    return ZSTD_isError(bytes) ? SIZE_MAX : head + bytes;
}

static size_t encode_varint_zstd(struct column_scratch *scratch, uint32_t count,
                                 const struct column_shape *shape)
{
    uint8_t *head = wire_put_varint(scratch->compressed, wire_zigzag(shape->min));
    head = wire_put_varint(head, shape->step);
    uint8_t *out = scratch->varints;
    for (uint32_t i = 0; i < count; i++)
        out = wire_put_varint(out, scratch->quotients[i]);
    return encode_frame(scratch, out, head);
}

static size_t encode_delta_zstd(struct column_scratch *scratch, int64_t first, uint32_t count,
                                const struct column_shape *shape)
{
    ensure(shape->change_step > 0 && shape->change_step <= INT64_MAX);
    uint8_t *head = wire_put_varint(scratch->compressed, wire_zigzag(first));
    head = wire_put_varint(head, shape->change_step);
    uint8_t *out = scratch->varints;
    for (uint32_t i = 1; i < count; i++)
        out = wire_put_varint(out, scratch->changes[i]);
    return encode_frame(scratch, out, head);
}

static size_t varint_bytes_of(const uint64_t *values, uint32_t from, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = from; i < count; i++)
        bytes += wire_varint_bytes(values[i]);
    return bytes;
}

// Codecs 4 and 5, in scratch->compressed. Compressing is nine tenths of the work: only the shorter
// of the two inputs is worth it.
static size_t encode_zstd(struct column_scratch *scratch, const int64_t *values, uint32_t count,
                          uint8_t *codec)
{
    struct column_shape shape = {0};
    column_look_values(values, count, &shape);
    column_look_changes(values, count, &shape);
    column_divide(scratch, values, count, &shape);
    bool by_delta = varint_bytes_of(scratch->changes, 1, count) <
                    varint_bytes_of(scratch->quotients, 0, count);
    *codec = by_delta ? COLUMN_CODEC_DELTA_ZSTD : COLUMN_CODEC_VARINT_ZSTD;
    return by_delta ? encode_delta_zstd(scratch, values[0], count, &shape)
                    : encode_varint_zstd(scratch, count, &shape);
}

// What always works.
static const struct model plain_models[] = {
    {.predictor = MODEL_DELTA},
    {.predictor = MODEL_VALUE},
};

static unsigned column_possible(const struct column_coding *coding, uint32_t count)
{
    unsigned possible = 0;
    for (unsigned m = 0; m < coding->model_count; m++)
        possible += model_possible(coding->frame, &coding->models[m], count);
    return possible;
}

// Candidates by what a sample makes of them, the best first; how many are worth a real try.
static unsigned column_rank(struct column_scratch *scratch, const struct column_coding *coding,
                            const int64_t *values, uint32_t count, const struct model *best[2])
{
    uint64_t bits[2] = {UINT64_MAX, UINT64_MAX};
    for (unsigned m = 0; m < coding->model_count; m++) {
        const struct model *model = &coding->models[m];
        if (!model_possible(coding->frame, model, count))
            continue;
        uint64_t found = modelled_estimate(scratch->modelled, coding->frame, model, values, count);
        unsigned place = found < bits[0] ? 0 : found < bits[1] ? 1 : 2;
        if (place == 0) {
            bits[1] = bits[0];
            best[1] = best[0];
        }
        if (place < 2) {
            bits[place] = found;
            best[place] = model;
        }
    }
    bool close = best[1] && bits[1] - bits[0] <= bits[0] / COLUMN_CLOSE;
    return close && coding->level == COLUMN_LEVEL_DENSE ? 2 : 1;
}

static const struct model *column_first(const struct column_coding *coding, uint32_t count)
{
    for (unsigned m = 0; m < coding->model_count; m++)
        if (model_possible(coding->frame, &coding->models[m], count))
            return &coding->models[m];
    return NULL;
}

// With the best of the candidates; returns the byte behind.
static uint8_t *column_encode_best(struct column_scratch *scratch,
                                   const struct column_coding *wanted, const int64_t *values,
                                   uint32_t count, uint8_t *out)
{
    struct column_coding coding = *wanted;
    const struct model *best[2] = {NULL, NULL};
    unsigned tries = 1;
    unsigned possible = column_possible(wanted, count);
    if (possible == 0) {
        coding.models = plain_models;
        coding.model_count = possible = sizeof plain_models / sizeof *plain_models;
    }
    if (possible == 1 || coding.takes_first)
        best[0] = column_first(&coding, count);
    else
        tries = column_rank(scratch, &coding, values, count, best);
    ensure(best[0]);
    uint8_t *end = modelled_encode(scratch->modelled, coding.level, coding.frame, best[0], values,
                                   count, out);
    if (tries == 1)
        return end;
    uint8_t *second = modelled_encode(scratch->modelled, coding.level, coding.frame, best[1],
                                      values, count, end);
    if (second - end >= end - out)
        return end;
    memmove(out, end, (size_t)(second - end));
    return out + (second - end);
}

static bool column_is_constant(const int64_t *values, uint32_t count)
{
    uint64_t difference = 0;
    for (uint32_t i = 1; i < count; i++)
        difference |= (uint64_t)values[i] ^ (uint64_t)values[0];
    return difference == 0;
}

size_t column_encode(struct column_scratch *scratch, const struct column_coding *coding,
                     const int64_t *values, uint32_t count, uint8_t *out, uint8_t *codec)
{
    ensure(count > 0 && count <= scratch->count_max);
    ensure(coding->frame && (coding->models || coding->model_count == 0));
    if (column_is_constant(values, count)) {
        *codec = COLUMN_CODEC_CONSTANT;
        return (size_t)(wire_put_varint(out, wire_zigzag(values[0])) - out);
    }
    size_t best = (size_t)(column_encode_best(scratch, coding, values, count, out) - out);
    *codec = COLUMN_CODEC_MODELLED;
    if (!coding->tries_zstd || best <= COLUMN_SMALL_BYTES)
        return best;
    uint8_t zstd_codec;
    size_t bytes = encode_zstd(scratch, values, count, &zstd_codec);
    if (bytes >= best)
        return best;
    ensure(bytes <= scratch->compressed_size);
    memcpy(out, scratch->compressed, bytes);
    *codec = zstd_codec;
    return bytes;
}

// ---- decoding ----

static bool decode_constant(struct column_scratch *scratch, struct wire_reader *in, int64_t *values,
                            uint32_t count)
{
    (void)scratch;
    int64_t value = wire_unzigzag(wire_get_varint(in));
    for (uint32_t i = 0; i < count; i++)
        values[i] = value;
    return true;
}

static bool decode_plain(struct column_scratch *scratch, struct wire_reader *in, int64_t *values,
                         uint32_t count)
{
    (void)scratch;
    const uint8_t *bytes = wire_get(in, (uint64_t)count * 8);
    if (bytes)
        memcpy(values, bytes, (size_t)count * 8);
    return bytes != NULL;
}

// `count` numbers of a width that stands before them; the rest bits of the last byte are 0.
static bool decode_bits(struct wire_reader *in, uint32_t count, uint64_t *out)
{
    unsigned width = wire_get_u8(in);
    if (width > 64)
        return false;
    size_t size = (size_t)packed_bytes(count, width);
    const uint8_t *bytes = wire_get(in, size);
    if (!bytes)
        return false;
    for (uint32_t i = 0; i < count; i++)
        out[i] = bits_at(bytes, size, (uint64_t)i * width, width);
    unsigned rest = (unsigned)((uint64_t)count * width % 8);
    return rest == 0 || bytes[size - 1] >> rest == 0;
}

static bool decode_packed(struct column_scratch *scratch, struct wire_reader *in, int64_t *values,
                          uint32_t count)
{
    (void)scratch;
    uint64_t base = (uint64_t)wire_unzigzag(wire_get_varint(in));
    uint64_t step = wire_get_varint(in);
    if (!decode_bits(in, count, (uint64_t *)values))
        return false;
    for (uint32_t i = 0; i < count; i++)
        values[i] = (int64_t)(base + step * (uint64_t)values[i]);
    return true;
}

static bool decode_delta_packed(struct column_scratch *scratch, struct wire_reader *in,
                                int64_t *values, uint32_t count)
{
    (void)scratch;
    values[0] = wire_unzigzag(wire_get_varint(in));
    uint64_t base = (uint64_t)wire_unzigzag(wire_get_varint(in));
    uint64_t step = wire_get_varint(in);
    if (!decode_bits(in, count - 1, (uint64_t *)values + 1))
        return false;
    uint64_t value = (uint64_t)values[0];
    for (uint32_t i = 1; i < count; i++) {
        value += base + step * (uint64_t)values[i];
        values[i] = (int64_t)value;
    }
    return true;
}

// One whole frame, neither none nor several. Returns the bytes it holds, or SIZE_MAX.
static size_t unpack_frame(struct column_scratch *scratch, const uint8_t *frame, size_t size,
                           uint8_t *out, size_t room)
{
    if (ZSTD_findFrameCompressedSize(frame, size) != size)
        return SIZE_MAX;
    size_t bytes = ZSTD_decompressDCtx(scratch->decompress, out, room, frame, size);
    return ZSTD_isError(bytes) ? SIZE_MAX : bytes;
}

// The rest of `in` is one frame of varints.
static bool decode_frame(struct column_scratch *scratch, struct wire_reader *in, uint32_t count,
                         struct wire_reader *varints)
{
    size_t left = wire_left(in);
    const uint8_t *frame = wire_get(in, left);
    if (!frame)
        return false;
    size_t bytes = unpack_frame(scratch, frame, left, scratch->varints,
                                (size_t)count * WIRE_VARINT_BYTES_MAX);
    if (bytes == SIZE_MAX)
        return false;
    *varints = wire_reader_of(scratch->varints, bytes);
    return true;
}

static bool decode_varint_zstd(struct column_scratch *scratch, struct wire_reader *in,
                               int64_t *values, uint32_t count)
{
    struct wire_reader varints;
    uint64_t base = (uint64_t)wire_unzigzag(wire_get_varint(in));
    uint64_t step = wire_get_varint(in);
    if (!decode_frame(scratch, in, count, &varints))
        return false;
    for (uint32_t i = 0; i < count; i++)
        values[i] = (int64_t)(base + step * wire_get_varint(&varints));
    return !varints.failed && wire_left(&varints) == 0;
}

static bool decode_delta_zstd(struct column_scratch *scratch, struct wire_reader *in,
                              int64_t *values, uint32_t count)
{
    struct wire_reader varints;
    uint64_t value = (uint64_t)wire_unzigzag(wire_get_varint(in));
    uint64_t step = wire_get_varint(in);
    if (!decode_frame(scratch, in, count, &varints))
        return false;
    values[0] = (int64_t)value;
    for (uint32_t i = 1; i < count; i++) {
        value += step * (uint64_t)wire_unzigzag(wire_get_varint(&varints));
        values[i] = (int64_t)value;
    }
    return !varints.failed && wire_left(&varints) == 0;
}

struct column_codec {
    const char *name;
    bool (*decode)(struct column_scratch *scratch, struct wire_reader *in, int64_t *values,
                   uint32_t count);
};

static const struct column_codec codecs[COLUMN_CODEC_COUNT] = {
    [COLUMN_CODEC_CONSTANT] = {"constant", decode_constant},
    [COLUMN_CODEC_PLAIN] = {"plain", decode_plain},
    [COLUMN_CODEC_PACKED] = {"packed", decode_packed},
    [COLUMN_CODEC_DELTA_PACKED] = {"delta packed", decode_delta_packed},
    [COLUMN_CODEC_VARINT_ZSTD] = {"varint zstd", decode_varint_zstd},
    [COLUMN_CODEC_DELTA_ZSTD] = {"delta zstd", decode_delta_zstd},
    [COLUMN_CODEC_MODELLED] = {"modelled", NULL},
};

enum column_result column_decode_first(struct column_scratch *scratch,
                                       const struct model_frame *frame, uint8_t codec,
                                       const uint8_t *bytes, size_t size, int64_t *values,
                                       uint32_t count, uint32_t needed)
{
    ensure(count > 0 && count <= scratch->count_max);
    if (codec >= COLUMN_CODEC_COUNT)
        return COLUMN_UNKNOWN_CODEC;
    struct wire_reader in = wire_reader_of(bytes, size);
    bool good = codec == COLUMN_CODEC_MODELLED
                    ? modelled_decode_first(scratch->modelled, frame, &in, values, count, needed)
                    : codecs[codec].decode(scratch, &in, values, count);
    return good && !in.failed && wire_left(&in) == 0 ? COLUMN_GOOD : COLUMN_BAD;
}

enum column_result column_decode(struct column_scratch *scratch, const struct model_frame *frame,
                                 uint8_t codec, const uint8_t *bytes, size_t size, int64_t *values,
                                 uint32_t count)
{
    return column_decode_first(scratch, frame, codec, bytes, size, values, count, count);
}

struct modelled_room *column_modelled(struct column_scratch *scratch)
{
    return scratch->modelled;
}

const char *column_codec_name(uint8_t codec)
{
    return codec < COLUMN_CODEC_COUNT ? codecs[codec].name : "unknown";
}

// ---- bytes ----

size_t column_encode_bytes(struct column_scratch *scratch, const uint8_t *bytes, size_t size,
                           uint8_t *out, uint8_t *codec)
{
    *codec = COLUMN_BYTES_PLAIN;
    if (size > COLUMN_SMALL_BYTES) {
        // A frame that does not fit in one byte less than the text is no gain: zstd then gives up.
        size_t packed = ZSTD_compressCCtx(scratch->compress, out, size - 1, bytes, size,
                                          COLUMN_ZSTD_LEVEL);
        if (!ZSTD_isError(packed)) {
            *codec = COLUMN_BYTES_ZSTD;
            return packed;
        }
    }
    if (size != 0)
        memcpy(out, bytes, size);
    return size;
}

enum column_result column_decode_bytes(struct column_scratch *scratch, uint8_t codec,
                                       const uint8_t *bytes, size_t size, uint8_t *out,
                                       size_t out_size)
{
    if (codec == COLUMN_BYTES_PLAIN) {
        if (size != out_size)
            return COLUMN_BAD;
        if (size != 0)
            memcpy(out, bytes, size);
        return COLUMN_GOOD;
    }
    if (codec != COLUMN_BYTES_ZSTD)
        return COLUMN_UNKNOWN_CODEC;
    return unpack_frame(scratch, bytes, size, out, out_size) == out_size ? COLUMN_GOOD : COLUMN_BAD;
}
