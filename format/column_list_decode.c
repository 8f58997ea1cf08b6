// SPDX-License-Identifier: Apache-2.0
//
// Reading lists. Nothing in the bytes is trusted; a list in a list is of a kind that has none.
#include "format/column_list_room.h"
#include "format/column_pack.h"
#include "format/ensure.h"

struct list_head {
    uint64_t base;
    uint64_t step;
};

static struct list_head get_head(struct wire_reader *in)
{
    uint64_t base = (uint64_t)wire_unzigzag(wire_get_varint(in));
    return (struct list_head){base, wire_get_varint(in)};
}

static bool decode_constant(struct wire_reader *in, uint32_t needed, uint64_t *out)
{
    uint64_t number = (uint64_t)wire_unzigzag(wire_get_varint(in));
    for (uint32_t i = 0; i < needed; i++)
        out[i] = number;
    return !in->failed;
}

// A list in a list is constant, packed or in bins.
static bool decode_flat(struct list_room *room, unsigned kind, struct wire_reader *in,
                        uint32_t count, uint32_t needed, uint64_t *out)
{
    if (kind == LIST_CONSTANT)
        return decode_constant(in, needed, out);
    if (kind != LIST_PACKED && kind != LIST_BINS)
        return false;
    struct list_head head = get_head(in);
    if (in->failed)
        return false;
    return kind == LIST_PACKED
               ? pack_decode(room->kernels, in, count, needed, head.base, head.step, out)
               : bins_decode(room->bins, in, count, needed, head.base, head.step, out);
}

static bool decode_inner(struct list_room *room, struct wire_reader *in, uint32_t count,
                         uint32_t needed, uint64_t *out)
{
    unsigned kind = wire_get_u8(in);
    return !in->failed && decode_flat(room, kind, in, count, needed, out);
}

static uint32_t count_set(const uint8_t *bitmap, uint32_t bits)
{
    uint32_t set = 0;
    for (uint32_t i = 0; i < bits_bytes(bits); i++)
        set += (uint32_t)__builtin_popcount(bitmap[i]);
    return set;
}

static bool decode_sparse(struct list_room *room, struct wire_reader *in, uint32_t count,
                          uint32_t needed, uint64_t *out)
{
    uint64_t common = (uint64_t)wire_unzigzag(wire_get_varint(in));
    uint64_t others = wire_get_varint(in);
    const uint8_t *bitmap = wire_get(in, bits_bytes(count));
    uint64_t *rest = room->desks[0].others;
    if (!bitmap || others == 0 || others > count ||
        (count % 8 != 0 && bitmap[count / 8] >> (count % 8) != 0) ||
        count_set(bitmap, count) != others)
        return false;
    uint32_t whole = count - needed < 8 ? count : (needed + 7) & ~7u; // in bytes of the bitmap
    if (!decode_inner(room, in, (uint32_t)others, count_set(bitmap, whole), rest))
        return false;
    room->kernels->fill(bitmap, whole, common, rest, out);
    return true;
}

static bool decode_dictionary(struct list_room *room, struct wire_reader *in, uint32_t count,
                              uint32_t needed, uint64_t *out)
{
    uint64_t numbers[LIST_DICTIONARY_MAX];
    uint64_t size = wire_get_varint(in);
    uint64_t bad = 0;
    if (in->failed || size == 0 || size > LIST_DICTIONARY_MAX || size > room->count_max ||
        !decode_inner(room, in, (uint32_t)size, (uint32_t)size, numbers) ||
        !decode_inner(room, in, count, needed, out))
        return false;
    for (uint32_t i = 0; i < needed; i++) {
        bad |= (uint64_t)(out[i] >= size);
        out[i] = numbers[out[i] % LIST_DICTIONARY_MAX];
    }
    return bad == 0;
}

static bool decode_runs(struct list_room *room, struct wire_reader *in, uint32_t count,
                        uint64_t *out)
{
    uint64_t *values = room->desks[0].numbers;
    uint64_t *lengths = room->desks[0].others;
    uint64_t runs = wire_get_varint(in);
    if (in->failed || runs == 0 || runs > count ||
        !decode_inner(room, in, (uint32_t)runs, (uint32_t)runs, values) ||
        !decode_inner(room, in, (uint32_t)runs, (uint32_t)runs, lengths))
        return false;
    uint32_t at = 0;
    for (uint32_t r = 0; r < runs; r++) {
        if (lengths[r] == 0 || lengths[r] > count - at)
            return false;
        for (uint64_t n = 0; n < lengths[r]; n++)
            out[at++] = values[r];
    }
    return at == count;
}

// The ticks are a list of kind 0, 1 or 3, the rests one of kind 0 to 3.
static bool decode_ticks(struct list_room *room, struct wire_reader *in, uint32_t count,
                         uint32_t needed, uint64_t *out)
{
    uint64_t unit = wire_get_varint(in);
    if (in->failed || !decode_inner(room, in, count, needed, out))
        return false;
    unsigned kind = wire_get_u8(in);
    bool good = !in->failed && (kind == LIST_SPARSE
                                    ? decode_sparse(room, in, count, needed, room->rests)
                                    : decode_flat(room, kind, in, count, needed, room->rests));
    if (!good)
        return false;
    for (uint32_t i = 0; i < needed; i++)
        out[i] = unit * out[i] + room->rests[i];
    return true;
}

bool list_decode_first(struct list_room *room, struct wire_reader *in, uint32_t count,
                       uint32_t needed, uint64_t *out)
{
    ensure(count > 0 && count <= room->count_max);
    ensure(needed <= count);
    unsigned kind = wire_get_u8(in);
    if (in->failed)
        return false;
    switch (kind) {
    case LIST_SPARSE:
        return decode_sparse(room, in, count, needed, out);
    case LIST_DICTIONARY:
        return decode_dictionary(room, in, count, needed, out);
    case LIST_RUNS:
        return decode_runs(room, in, count, out);
    case LIST_TICKS:
        return decode_ticks(room, in, count, needed, out);
    default:
        return decode_flat(room, kind, in, count, needed, out);
    }
}

bool list_decode(struct list_room *room, struct wire_reader *in, uint32_t count, uint64_t *out)
{
    return list_decode_first(room, in, count, count, out);
}

const char *list_kind_name(uint8_t kind)
{
    static const char *const names[LIST_KIND_COUNT] = {
        [LIST_CONSTANT] = "constant", [LIST_PACKED] = "packed",
        [LIST_SPARSE] = "sparse",     [LIST_BINS] = "bins",
        [LIST_DICTIONARY] = "dictionary", [LIST_RUNS] = "runs",
        [LIST_TICKS] = "ticks",
    };
    return kind < LIST_KIND_COUNT ? names[kind] : "unknown";
}
