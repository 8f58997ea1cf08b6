// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sectors that become something else for good, and what is promised then: nothing wrong is stored,
// and rows are lost only where somebody was told that as many are.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/keep_store.h"
#include "sim_store.h"
#include "tests/simulation/simulation.h"

#define STORE "/data/store"

enum { FILES_MAX = 4096, ROT_TRIES = 200, ROT_PATH_BYTES = 128, TOLD_MAX = 4096 };

struct files {
    uint32_t count;
    char folder[ROT_PATH_BYTES];
    char (*path)[ROT_PATH_BYTES];
};

static void found_file(void *context, const char *name)
{
    struct files *files = context;
    const char *ending = strrchr(name, '.');
    if (ending == NULL || files->count == FILES_MAX ||
        (strcmp(ending, ".tape") != 0 && strcmp(ending, ".segment") != 0))
        return;
    (void)snprintf(files->path[files->count++], ROT_PATH_BYTES, "%.60s/%.60s", files->folder,
                   name);
}

static void list_files(struct life *life, const char *folder, struct files *files)
{
    (void)snprintf(files->folder, sizeof files->folder, "%s", folder);
    (void)io_list(life->peer_io, folder, found_file, files); // it may not be there yet
}

struct days {
    uint32_t count;
    char name[32][16];
};

static void found_day(void *context, const char *name)
{
    struct days *days = context;
    if (days->count < 32) (void)snprintf(days->name[days->count++], 16, "%s", name);
}

void simulation_rot(struct life *life)
{
    struct files files = {.path = calloc(FILES_MAX, ROT_PATH_BYTES)};
    struct days days = {0};
    char folder[ROT_PATH_BYTES];
    cr_assert_not_null(files.path);
    list_files(life, STORE "/tape", &files);
    (void)io_list(life->peer_io, STORE "/segment", found_day, &days);
    // There are ever more segments; a tape is what a sealer has to get past.
    const bool any = files.count == 0 || sim_world_random(life->world, 2) == 0;
    for (uint32_t i = 0; any && i < days.count; i++) {
        (void)snprintf(folder, sizeof folder, STORE "/segment/%s", days.name[i]);
        list_files(life, folder, &files);
    }
    const uint64_t before = life->rots;
    for (int i = 0; i < ROT_TRIES && files.count > 0 && life->rots == before; i++) {
        const char *path = files.path[sim_world_random(life->world, files.count)];
        const int64_t sectors = (sim_disk_size(life->world, path) - 1) / SIM_SECTOR_BYTES + 1;
        const int64_t at = (int64_t)sim_world_random(life->world, (uint64_t)sectors + 1);
        life->rots += at < sectors && sim_disk_rot(life->world, path, at * SIM_SECTOR_BYTES,
                                                   sim_world_random(life->world, 2) == 0);
    }
    free(files.path);
}

struct told { // by tape: a crash before it is sealed has it told once more
    uint64_t tape[TOLD_MAX];
    uint64_t rows[TOLD_MAX];
    uint32_t count;
};

// "00000007.tape: 12 rows lost; ..."
static void told_add(struct told *told, const char *detail)
{
    char *colon;
    const uint64_t tape = strtoull(detail, &colon, 10);
    const char *rows = strchr(colon, ' ');
    cr_assert_not_null(rows, "%s", detail);
    uint32_t i = 0;
    while (i < told->count && told->tape[i] != tape) i++;
    cr_assert_lt(i, TOLD_MAX);
    if (i == told->count) told->tape[told->count++] = tape;
    const uint64_t lost = strtoull(rows, NULL, 10);
    if (lost > told->rows[i]) told->rows[i] = lost;
}

static bool told_block(void *context, const struct catalogue_segment *listed,
                       const struct segment *segment, const struct segment_block *block)
{
    (void)segment;
    if (listed->channel != CHANNEL_STATUS) return true;
    const struct rows *rows = block->rows;
    const int text = channel_schema(CHANNEL_STATUS)->columns[STATUS_DETAIL].text;
    for (uint32_t row = 0; row < rows->count; row++) {
        char detail[256] = "";
        if (rows->value[STATUS_KIND][row] != STATUS_STORE_DAMAGED) continue;
        cr_assert_lt(rows->text_length[text][row], sizeof detail);
        memcpy(detail, rows->text + rows->text_offset[text][row], rows->text_length[text][row]);
        told_add(context, detail);
    }
    return true;
}

uint64_t simulation_rows_told_lost(struct life *life)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct told told = {0};
    uint64_t unreadable = 0, rows = 0;
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "told"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0, "%s", message.text);
    (void)sim_store_walk_around(life->world, STORE, keep_store_catalogue(store), told_block,
                                &told, &unreadable, why);
    keep_store_close(store);
    io_close_loop(io);
    for (uint32_t i = 0; i < told.count; i++) rows += told.rows[i];
    return rows;
}
