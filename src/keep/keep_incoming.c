// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names in and out; and the look at the start, one handover after the other.
#include "keep/keep_incoming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/keep_store.h"

void keep_incoming_path(const char *store, const char *name, char *out)
{
    int size = snprintf(out, KEEP_FILE_NAME_BYTES_MAX, "%s/incoming%s%s", store, *name ? "/" : "",
                        name);
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX);
}

void keep_incoming_handover_path(const char *store, uint32_t number, const char *ending, char *out)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%08" PRIu32 ".%s", number, ending);
    keep_incoming_path(store, name, out);
}

void keep_incoming_segment_path(const char *store, const struct catalogue_segment *segment,
                                const char *ending, char *out)
{
    char relative[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(segment, ending, relative);
    keep_incoming_path(store, strrchr(relative, '/') + 1, out);
}

// ---- looking ----

struct look {
    struct keep_incoming found;
    bool given;
};

// "00000099.handover"; 0: another name.
static uint32_t handover_number(const char *name)
{
    char *end;
    if (*name < '0' || *name > '9')
        return 0;
    unsigned long number = strtoul(name, &end, 10);
    return strcmp(end, ".handover") == 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

static void found_name(void *context, const char *name)
{
    struct look *look = context;
    uint32_t number = handover_number(name);
    if (number != 0 && (look->found.handover == 0 || number < look->found.handover))
        look->found.handover = number;
    look->found.numbers_wanted |= strcmp(name, "numbers.wanted") == 0;
    look->given |= strcmp(name, "numbers") == 0;
}

struct keep_incoming keep_incoming_look(struct io *io, const char *store)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    struct look look = {0};
    keep_incoming_path(store, "", path);
    if (io_list(io, path, found_name, &look) != 0)
        return (struct keep_incoming){0};
    look.found.numbers_wanted &= !look.given;
    return look.found;
}

uint64_t keep_incoming_life(const char *text, uint32_t size)
{
    static const char word[] = "\ngeneration ";
    char head[KEEP_INCOMING_LIFE_BYTES + 1] = {0};
    memcpy(head, text, size < KEEP_INCOMING_LIFE_BYTES ? size : KEEP_INCOMING_LIFE_BYTES);
    const char *found = strstr(head, word);
    return found ? strtoull(found + sizeof word - 1, NULL, 10) : 0;
}

// ---- at the start ----

struct sparing {
    uint32_t *handovers;
    uint32_t handover_count;
    bool more;
    uint32_t *numbers;
    uint32_t count;
};

static void found_handover(void *context, const char *name)
{
    struct sparing *sparing = context;
    uint32_t number = handover_number(name);
    if (number != 0 && sparing->handover_count < KEEP_INCOMING_HANDOVERS_MAX)
        sparing->handovers[sparing->handover_count++] = number;
    else
        sparing->more |= number != 0;
}

// False: it cannot be read. One that is damaged will be refused, and its segments are nobody's.
static bool load_spared(struct sparing *sparing, struct io *io, const char *store,
                        uint32_t handover, struct file_script *script, char *text,
                        struct catalogue *listed)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    uint32_t size = 0;
    keep_incoming_handover_path(store, handover, "handover", path);
    file_script_begin(script);
    file_script_read(script, path, text, KEEP_INCOMING_BYTES_MAX, &size);
    if (file_script_run_now(script, io) < 0)
        return false;
    if (catalogue_parse(listed, text, size) != 0)
        return true;
    uint32_t *numbers = realloc(sparing->numbers, (sparing->count + listed->segment_count + 1u) *
                                                      sizeof *numbers);
    if (!numbers)
        return false;
    sparing->numbers = numbers;
    for (uint32_t i = 0; i < listed->segment_count; i++)
        numbers[sparing->count++] = listed->segments[i].number;
    return true;
}

static bool load_all(struct sparing *sparing, struct io *io, const char *store,
                     struct file_script *script)
{
    static const uint8_t nobody[LAYOUT_STORE_ID_BYTES];
    struct catalogue listed;
    char *text = malloc(KEEP_INCOMING_BYTES_MAX);
    bool good = text && catalogue_init(&listed, nobody) == 0;
    if (good) {
        for (uint32_t i = 0; i < sparing->handover_count && good; i++)
            good = load_spared(sparing, io, store, sparing->handovers[i], script, text, &listed);
        catalogue_free(&listed);
    }
    free(text);
    return good;
}

uint32_t *keep_incoming_load_numbers(struct io *io, const char *store, struct file_script *script,
                                     uint32_t *count)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    struct sparing sparing = {
        .handovers = malloc(KEEP_INCOMING_HANDOVERS_MAX * sizeof *sparing.handovers)};
    bool good = sparing.handovers != NULL;
    keep_incoming_path(store, "", path);
    int listed = good ? io_list(io, path, found_handover, &sparing) : -ENOMEM;
    if (listed != -ENOENT)
        good = listed == 0 && !sparing.more &&
               (sparing.handover_count == 0 || load_all(&sparing, io, store, script));
    free(sparing.handovers);
    *count = good ? sparing.count : UINT32_MAX;
    if (good && sparing.count > 0)
        return sparing.numbers;
    free(sparing.numbers);
    return NULL;
}
