// SPDX-License-Identifier: GPL-3.0-or-later
//
// Sectors that become something else for good, and what is promised then: nothing wrong is stored,
// and rows are lost only where somebody was told that as many are.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/tape_reader.h"
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
        const int64_t size = sim_disk_size(life->world, path);
        const int64_t sectors = (size + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
        const int64_t at = (int64_t)sim_world_random(life->world, (uint64_t)sectors + 1);
        life->rots += at < sectors && sim_disk_rot(life->world, path, at * SIM_SECTOR_BYTES,
                                                   sim_world_random(life->world, 2) == 0);
    }
    free(files.path);
}

// Of a tape that was put aside: what its reader misses. A start, or the mirror, has told no more.
static uint64_t tape_rows_lost(struct life *life, const char *path, uint32_t number)
{
    char mark_path[ROT_PATH_BYTES];
    uint8_t mark[2 * LAYOUT_SECTOR];
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    const int64_t size = sim_disk_size(life->world, path);
    uint8_t *bytes = aligned_alloc(64, ((size_t)size + 64) & ~(size_t)63);
    (void)snprintf(mark_path, sizeof mark_path, "%.*s.mark", (int)strlen(path) - 5, path);
    const bool marked = sim_disk_size(life->world, mark_path) >= (int64_t)sizeof mark &&
                        sim_disk_read(life->world, mark_path, mark, sizeof mark, 0) > 0;
    cr_assert(size > 0 && sim_disk_read(life->world, path, bytes, (uint32_t)size, 0) == size);
    const struct source source = source_of_memory(bytes, (uint64_t)size);
    uint64_t rows = 0;
    if (tape_reader_open(&reader, &source, number, marked ? mark : NULL, sizeof mark, &error) ==
        0) {
        while (tape_reader_next(&reader, &item) > 0) continue;
        rows = reader.rows_lost;
        tape_reader_close(&reader);
    }
    free(bytes);
    return rows;
}

struct told { // by tape: a crash before it is sealed has it told once more
    uint64_t tape[TOLD_MAX];
    uint64_t rows[TOLD_MAX];
    uint32_t count;
};

static void told_add(struct told *told, uint64_t tape, uint64_t rows)
{
    uint32_t i = 0;
    while (i < told->count && told->tape[i] != tape) i++;
    cr_assert_lt(i, TOLD_MAX);
    if (i == told->count) told->tape[told->count++] = tape;
    if (rows > told->rows[i]) told->rows[i] = rows;
}

// "00000007.tape: 12 rows lost; ..."
static void told_text(struct told *told, const char *detail)
{
    char *colon;
    const uint64_t tape = strtoull(detail, &colon, 10);
    const char *rows = strchr(colon, ' ');
    cr_assert_not_null(rows, "%s", detail);
    told_add(told, tape, strtoull(rows, NULL, 10));
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
        told_text(context, detail);
    }
    return true;
}

uint32_t simulation_tapes_aside(struct life *life)
{
    struct files files = {.path = calloc(FILES_MAX, ROT_PATH_BYTES)};
    list_files(life, STORE "/quarantine", &files);
    free(files.path);
    return files.count;
}

// Tapes that were put aside, `aside` of them when the life ended. The rows that told of one may
// have rotted themselves, on another tape or in a segment; and of one that only the judge sealed
// nobody could tell. Else it was told.
static void told_aside(struct life *life, struct told *told, uint32_t aside, bool segments_rotted)
{
    struct files files = {.path = calloc(FILES_MAX, ROT_PATH_BYTES)};
    list_files(life, STORE "/quarantine", &files);
    const bool excused = segments_rotted || files.count > 1 || aside == 0;
    for (uint32_t f = 0; f < files.count; f++) {
        const uint32_t tape = (uint32_t)strtoul(strrchr(files.path[f], '/') + 1, NULL, 10);
        const uint32_t before = told->count;
        told_add(told, tape, tape_rows_lost(life, files.path[f], tape));
        cr_assert(excused || told->count == before, "nobody told of tape %u", tape);
    }
    free(files.path);
}

uint64_t simulation_rows_told_lost(struct life *life, uint32_t aside)
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
    told_aside(life, &told, aside, unreadable > 0);
    for (uint32_t i = 0; i < told.count; i++) rows += told.rows[i];
    return rows;
}
