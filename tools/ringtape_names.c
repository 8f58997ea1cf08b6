// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_names: see ringtape_names.h.
#include "tools/ringtape_names.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { NAMES_SLOTS = 2 * RINGTAPE_NAMES_MAX };

int ringtape_names_open(struct ringtape_names *names)
{
    names->count = 0;
    names->texts = calloc(RINGTAPE_NAMES_MAX, sizeof *names->texts);
    names->slots = calloc(NAMES_SLOTS, sizeof *names->slots);
    if (names->texts != NULL && names->slots != NULL) return 0;
    ringtape_names_close(names);
    return -ENOMEM;
}

void ringtape_names_close(struct ringtape_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) free((void *)(uintptr_t)names->texts[i].bytes);
    free(names->texts);
    free(names->slots);
    names->texts = NULL;
    names->slots = NULL;
    names->count = 0;
}

// The place of the name, or the free one where it belongs.
static uint32_t *names_slot(const struct ringtape_names *names, const struct event_text *name)
{
    uint64_t at = XXH3_64bits(name->bytes, name->size) % NAMES_SLOTS;
    for (;; at = (at + 1) % NAMES_SLOTS) {
        uint32_t *slot = &names->slots[at];
        if (*slot == 0) return slot;
        const struct event_text *known = &names->texts[*slot - 1];
        if (known->size == name->size && memcmp(known->bytes, name->bytes, name->size) == 0)
            return slot;
    }
}

int ringtape_names_add(struct ringtape_names *names, const struct event_text *name,
                       uint32_t *number)
{
    ensure(name->size > 0);
    uint32_t *slot = names_slot(names, name);
    if (*slot == 0) {
        if (names->count == RINGTAPE_NAMES_MAX) return -EFBIG;
        uint8_t *copy = malloc(name->size);
        if (copy == NULL) return -ENOMEM;
        memcpy(copy, name->bytes, name->size);
        names->texts[names->count++] = (struct event_text){copy, name->size};
        *slot = names->count;
    }
    *number = *slot - 1;
    return 0;
}

bool ringtape_names_find(const struct ringtape_names *names, const struct event_text *name,
                         uint32_t *number)
{
    ensure(number != NULL);
    const uint32_t found = *names_slot(names, name);
    if (found == 0) return false;
    *number = found - 1;
    return true;
}
