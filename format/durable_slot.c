// SPDX-License-Identifier: Apache-2.0
//
// durable_slot: see durable_slot.h.
#include "format/durable_slot.h"

#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

static uint64_t slot_hash(const struct durable_slot *slot)
{
    return XXH3_64bits(slot, offsetof(struct durable_slot, hash));
}

struct durable_slot durable_slot_make(uint32_t tape, uint64_t salt, uint64_t sequence,
                                      uint32_t revision)
{
    ensure(tape != 0 && salt != 0);
    struct durable_slot slot = {
        .salt = salt, .sequence = sequence, .revision = revision, .tape = tape};
    memcpy(slot.magic, DURABLE_SLOT_MAGIC, sizeof slot.magic);
    slot.hash = slot_hash(&slot);
    return slot;
}

void durable_slot_raise(const void *bytes, size_t size, uint64_t salt, uint64_t *sequence,
                        uint32_t *revision)
{
    ensure(salt != 0);
    struct durable_slot slot;
    for (size_t at = 0; size - at >= sizeof slot; at += sizeof slot) {
        memcpy(&slot, (const char *)bytes + at, sizeof slot);
        if (memcmp(slot.magic, DURABLE_SLOT_MAGIC, sizeof slot.magic) != 0 || slot.salt != salt ||
            slot.hash != slot_hash(&slot))
            continue;
        const bool further = slot.sequence > *sequence ||
                             (slot.sequence == *sequence && slot.revision > *revision);
        if (!further)
            continue;
        *sequence = slot.sequence;
        *revision = slot.revision;
    }
}
