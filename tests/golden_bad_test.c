// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: what docs/format.md says a reader must reject is rejected, for the right reason. The files
// of tests/golden/bad were made by hand (tests/peers/golden_maker.py); a list a version names a
// reason for each, in the words of the Python reader, of which the class is compared here.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/catalogue.h"
#include "format/segment.h"
#include "format/tape.h"
#include "tests/tape_fixture.h"

enum { FILE_BYTES_MAX = 4096 };

enum verdict { GOOD, NO_MAGIC, NEWER, HEADER_HASH, PAYLOAD_HASH, OTHER };

struct golden {
    char name[64];
    char reason[64];
    _Alignas(64) uint8_t bytes[FILE_BYTES_MAX];
    size_t size;
};

static bool golden_load(struct golden *golden, const char *folder, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/golden/%s%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    golden->size = fread(golden->bytes, 1, sizeof golden->bytes, file);
    (void)fclose(file);
    return golden->size < sizeof golden->bytes;
}

static enum verdict verdict_wanted(const char *reason)
{
    if (strstr(reason, "version") || strstr(reason, "required") || strstr(reason, "catalogue 2"))
        return NEWER;
    if (strstr(reason, "header hash") || strstr(reason, "header_bytes")) // where the hash is
        return HEADER_HASH;
    if (strstr(reason, "payload hash"))
        return PAYLOAD_HASH;
    return strcmp(reason, "no magic") == 0 ? NO_MAGIC : OTHER;
}

// ---- batches ----

static enum verdict of_tape_error(enum tape_error error)
{
    switch (error) {
    case TAPE_GOOD:
        return GOOD;
    case TAPE_NO_MAGIC:
        return NO_MAGIC;
    case TAPE_NEWER:
        return NEWER;
    case TAPE_BAD_HASH:
        return HEADER_HASH;
    case TAPE_BAD_PAYLOAD:
        return PAYLOAD_HASH;
    default:
        return OTHER;
    }
}

static enum verdict judge_batch(const struct golden *golden, uint32_t *rows)
{
    struct tape_fixture *fixture = fixture_open();
    struct tape_batch batch;
    enum tape_error error = fixture_decode(fixture, golden->bytes, golden->size, &batch);
    for (int c = 0; error == TAPE_GOOD && c < CHANNEL_COUNT; c++)
        *rows += batch.rows[c].count;
    fixture_close(fixture);
    return of_tape_error(error);
}

// ---- segments ----

static enum verdict of_segment_error(enum segment_error error)
{
    switch (error) {
    case SEGMENT_GOOD:
        return GOOD;
    case SEGMENT_NO_MAGIC:
        return NO_MAGIC;
    case SEGMENT_NEWER:
        return NEWER;
    case SEGMENT_BAD_HASH:
        return HEADER_HASH;
    case SEGMENT_BAD_PAYLOAD:
        return PAYLOAD_HASH;
    default:
        return OTHER;
    }
}

// The fault that decides: of a block, if one has any; a changed block also has a changed file hash.
static void note_fault(void *context, enum segment_error error, uint32_t block, uint64_t offset,
                       uint64_t bytes)
{
    enum segment_error *found = context;
    (void)offset;
    (void)bytes;
    if (*found == SEGMENT_GOOD || block != UINT32_MAX)
        *found = error;
}

static enum verdict judge_segment(const struct golden *golden, uint32_t *rows)
{
    struct source source = source_of_memory(golden->bytes, golden->size);
    struct segment *segment;
    enum segment_error error = segment_open(&segment, &source, NULL, 0);
    if (error != SEGMENT_GOOD)
        return of_segment_error(error);
    error = SEGMENT_GOOD;
    (void)segment_verify(segment, note_fault, &error);
    *rows = (uint32_t)segment_index(segment)->header->rows;
    segment_close(segment);
    return of_segment_error(error);
}

static enum verdict judge_catalogue(const struct golden *golden)
{
    static const uint8_t store[LAYOUT_STORE_ID_BYTES];
    struct catalogue catalogue;
    cr_assert_eq(catalogue_init(&catalogue, store), 0);
    int error = catalogue_parse(&catalogue, golden->bytes, golden->size);
    catalogue_free(&catalogue);
    return error == 0 ? GOOD : error == -EPROTONOSUPPORT ? NEWER : OTHER;
}

static enum verdict judge(const struct golden *golden, uint32_t *rows)
{
    *rows = 0;
    if (strstr(golden->name, ".batch"))
        return judge_batch(golden, rows);
    return strstr(golden->name, ".segment") ? judge_segment(golden, rows)
                                            : judge_catalogue(golden);
}

static void expect_rejected(const char *path, uint32_t files_min)
{
    static struct golden golden;
    char line[160];
    uint32_t files = 0;
    uint32_t wrong = 0;
    uint32_t rows;
    FILE *list = fopen(path, "rb");
    cr_assert_not_null(list);
    while (fgets(line, sizeof line, list)) {
        char *bar = strchr(line, '|');
        cr_assert_not_null(bar);
        *bar = 0;
        bar[strcspn(bar + 1, "\n") + 1] = 0;
        (void)snprintf(golden.name, sizeof golden.name, "%s", line);
        cr_assert(golden_load(&golden, "bad/", line), "%s", line);
        enum verdict found = judge(&golden, &rows);
        enum verdict wanted = verdict_wanted(bar + 1);
        if (found != wanted) {
            (void)fprintf(stderr, "%s: %s: verdict %d, wanted %d\n", line, bar + 1, found, wanted);
            wrong++;
        }
        files++;
    }
    (void)fclose(list);
    cr_assert_geq(files, files_min);
    cr_assert_eq(wrong, 0);
}

Test(golden_bad, every_file_is_rejected_for_its_reason)
{
    expect_rejected("tests/golden/bad/1.0.list", 97);
    expect_rejected("tests/golden/bad/1.1.list", 26);
}

Test(golden_bad, the_good_ones_made_the_same_way_are_good)
{
    static const struct {
        const char *name;
        uint32_t rows;
    } good[] = {{"1.0.made.batch", 2}, {"1.0.made.two.batch", 4}, {"1.0.made.segment", 2},
                {"1.0.made.catalogue", 0}, {"1.1.made.segment", 10}};
    static struct golden golden;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t rows;
        (void)snprintf(golden.name, sizeof golden.name, "%s", good[i].name);
        cr_assert(golden_load(&golden, "", good[i].name));
        cr_assert_eq(judge(&golden, &rows), GOOD, "%s", good[i].name);
        cr_assert_eq(rows, good[i].rows);
    }
}

static void expect_values(const struct rows *rows, uint32_t column, int64_t base,
                          const int64_t *wanted)
{
    for (uint32_t r = 0; r < rows->count; r++)
        cr_assert_eq(rows->value[column][r], base + wanted[r], "column %u, row %u", column, r);
}

// The values told in golden_maker.py, of the columns whose lists are the document's examples.
Test(golden_bad, modelled_columns_made_by_hand_have_the_values_told)
{
    static const int64_t day = 1723161600000000000;
    static const int64_t receive_time[] = {1500, 1002, 1263, 1767, 1267,
                                           1297, 1797, 1801, 1329, 1832};
    static const int64_t event_time[] = {7, 3, 5, 266, 270, 270, 300, 300, 304, 332};
    static const int64_t trade_time[] = {0, 2, 263, 267, 267, 297, 297, 301, 329, 332};
    static const int64_t id[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    static const int64_t price[] = {123, 128, 135, 142, 149, 156, 163, 170, 177, 182};
    static const int64_t quantity[] = {1, 1, 1031, 5, 8, 1, 1001, 6, 1, 1};
    static const int64_t side[] = {1, 1, 1, 2, 2, 1, 1, 2, 1, 1};
    static struct golden golden;
    cr_assert(golden_load(&golden, "", "1.1.made.segment"));
    struct source source = source_of_memory(golden.bytes, golden.size);
    struct segment *segment;
    struct segment_block block;
    cr_assert_eq(segment_open(&segment, &source, NULL, 0), SEGMENT_GOOD);
    cr_assert_eq(segment_read(segment, 0, UINT64_MAX, &block), SEGMENT_GOOD);
    cr_assert_eq(block.rows->count, 10);
    expect_values(block.rows, 0, day, receive_time);
    expect_values(block.rows, 3, day, event_time);
    expect_values(block.rows, 4, day, trade_time);
    expect_values(block.rows, 5, 100, id);
    expect_values(block.rows, 6, 600000, price);
    expect_values(block.rows, 7, 0, quantity);
    expect_values(block.rows, 8, 0, side);
    segment_close(segment);
}
