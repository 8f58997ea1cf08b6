// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: what recovery makes of one tape (recover_tape) and of a store (recover_store): the longest
// valid prefix, damage told from a torn end, indexes that are gone, things that are not of the
// store. Method: small tapes in memory cut and changed at every sector; stores in a folder, one
// fault a test, recovered elsewhere and in place, read back by row.
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/recover.h"
#include "format/recover_store.h"
#include "tests/store_fixture.h"

// ---- one tape ----

enum { BATCHES = 12, BATCH_ROWS = 300, TAPE_BYTES = 1 << 20 };

struct image {
    struct tape_fixture *fixture;
    uint8_t *bytes; // [TAPE_BYTES]
    uint8_t mark[2 * LAYOUT_SECTOR];
    struct tape_write write[BATCHES];
    uint64_t end;
};

static struct image image_make(bool closed)
{
    struct image image = {.fixture = fixture_open(), .bytes = fixture_aligned(TAPE_BYTES)};
    static uint8_t sector[LAYOUT_SECTOR];
    static struct event event;
    struct tape_fixture *fixture = image.fixture;
    memset(image.bytes, 0, TAPE_BYTES);
    tape_header_encode(&(struct tape_description){.salt = 4711, .number = 1}, image.bytes,
                       &fixture->cursor);
    for (uint32_t b = 0; b < BATCHES; b++) {
        fixture_clear(fixture);
        for (uint32_t r = 0; r < BATCH_ROWS; r++) {
            store_fixture_event(&event, b * BATCH_ROWS + r + 1);
            cr_assert(fixture_append(fixture, &event));
        }
        cr_assert_eq(tape_append(fixture->encoder, &fixture->cursor, &fixture->input,
                                 fixture->buffer, FIXTURE_BUFFER_BYTES, &image.write[b]), 0);
        cr_assert_leq(image.write[b].offset + image.write[b].bytes, TAPE_BYTES);
        memcpy(image.bytes + image.write[b].offset, fixture->buffer, image.write[b].bytes);
        tape_acknowledge(&fixture->cursor, &image.write[b]);
    }
    uint64_t offset = tape_mark_encode(&fixture->cursor, closed, sector);
    memcpy(image.mark + offset, sector, sizeof sector);
    image.end = image.write[BATCHES - 1].offset + image.write[BATCHES - 1].bytes;
    return image;
}

static void image_free(struct image *image)
{
    fixture_close(image->fixture);
    free(image->bytes);
}

static struct recover_report judge(const struct image *image, uint64_t size, bool mark)
{
    struct recover_report report;
    struct source source = source_of_memory(image->bytes, size);
    cr_assert_eq(recover_tape(&source, mark ? image->mark : NULL, mark ? sizeof image->mark : 0,
                              &report), 0);
    return report;
}

// Batches that lie whole in front of `size`.
static uint64_t whole_batches(const struct image *image, uint64_t size)
{
    uint64_t count = 0;
    while (count < BATCHES &&
           image->write[count].offset + image->write[count].batch_bytes <= size)
        count++;
    return count;
}

Test(recover, the_longest_valid_prefix_of_a_cut_tape)
{
    struct image image = image_make(true);
    cr_assert_eq(judge(&image, TAPE_BYTES, true).verdict, RECOVER_CLEAN);
    cr_assert_eq(judge(&image, image.end, false).rows, BATCHES * BATCH_ROWS);
    for (uint64_t size = LAYOUT_SECTOR; size < image.end; size += 512) {
        uint64_t whole = whole_batches(&image, size);
        struct recover_report report = judge(&image, size, false);
        cr_assert_eq(report.batches, whole, "cut at %d", (int)size);
        cr_assert_eq(report.rows, whole * BATCH_ROWS);
        cr_assert_eq(report.rows_lost, 0); // nothing says that there was more
        cr_assert(report.verdict == RECOVER_CLEAN || report.verdict == RECOVER_TORN);
        report = judge(&image, size, true);
        cr_assert_eq(report.batches, whole, "cut at %d, with a mark", (int)size);
        cr_assert_eq(report.rows_lost, (BATCHES - whole) * BATCH_ROWS);
        cr_assert_eq(report.verdict, whole == BATCHES ? RECOVER_CLEAN : RECOVER_DAMAGED);
    }
    image_free(&image);
}

// The same bytes are damage where a mark or a later batch says that they were acknowledged, and a
// torn write where nothing does.
Test(recover, damage_is_told_from_a_torn_end)
{
    struct image image = image_make(false);
    for (uint32_t b = 0; b < BATCHES; b++) {
        uint8_t *byte = image.bytes + image.write[b].offset + image.write[b].batch_bytes - 1;
        bool last = b == BATCHES - 1;
        *byte ^= 0x40;
        struct recover_report report = judge(&image, TAPE_BYTES, false);
        cr_assert_eq(report.verdict, last ? RECOVER_TORN : RECOVER_DAMAGED, "batch %u", b);
        cr_assert_eq(report.batches, BATCHES - 1);
        cr_assert_eq(report.rows_lost, last ? 0 : BATCH_ROWS);
        cr_assert_eq(report.error, last ? TAPE_BAD_PAYLOAD : TAPE_GOOD);
        report = judge(&image, TAPE_BYTES, true);
        cr_assert_eq(report.verdict, RECOVER_DAMAGED, "batch %u, with a mark", b);
        cr_assert_eq(report.rows_lost, BATCH_ROWS);
        cr_assert_eq(report.damage_count, 1);
        cr_assert_eq(report.damages[0].offset, image.write[b].offset);
        *byte ^= 0x40;
    }
    image_free(&image);
}

Test(recover, what_is_no_tape_is_foreign)
{
    struct image image = image_make(true);
    memset(image.bytes, 0xa5, TAPE_BYTES);
    cr_assert_eq(judge(&image, TAPE_BYTES, false).verdict, RECOVER_FOREIGN);
    memset(image.bytes, 0, TAPE_BYTES);
    cr_assert_eq(judge(&image, TAPE_BYTES, false).verdict, RECOVER_FOREIGN);
    cr_assert_eq(judge(&image, 0, false).rows, 0);
    cr_assert_str_eq(recover_verdict_text(RECOVER_FOREIGN), "foreign");
    image_free(&image);
}

// ---- a store ----

enum { TRADES = 9000 };

struct told {
    struct recover_result result;
    char lost[4000]; // "path rows what" a line
    char notes[4000];
    char symbol[64]; // of the last loss
    int64_t time_min;
    int64_t time_max;
};

static struct told told;

static void note_lost(void *context, const struct recover_loss *loss)
{
    size_t used = strlen(told.lost);
    cr_assert_null(context);
    (void)snprintf(told.lost + used, sizeof told.lost - used, "%s %d %s\n", loss->path,
                   (int)loss->rows, loss->what);
    (void)snprintf(told.symbol, sizeof told.symbol, "%.*s", (int)loss->symbol.size,
                   loss->symbol.size > 0 ? (const char *)loss->symbol.bytes : "");
    told.time_min = loss->time_min;
    told.time_max = loss->time_max;
}

static void note_note(void *context, const char *path, const char *what)
{
    size_t used = strlen(told.notes);
    cr_assert_null(context);
    (void)snprintf(told.notes + used, sizeof told.notes - used, "%s %s\n", path, what);
}

// Tapes 1 and 2 sealed (3,000 trades each), tapes 3 and 4 ended (1,500 each).
static struct store_fixture *make_store(void)
{
    struct store_fixture *fixture = store_fixture_open();
    for (uint32_t tape = 1; tape <= 4; tape++) {
        for (int i = 0; i < 3; i++)
            store_fixture_append(fixture, tape <= 2 ? 1000 : 500, true);
        store_fixture_end(fixture);
        if (tape <= 2)
            store_fixture_seal(fixture, tape, tape, true);
    }
    cr_assert_eq(fixture->trades, TRADES);
    return fixture;
}

// How many of the trades are there; none twice or changed.
static uint64_t count_trades(const char *path)
{
    static uint8_t seen[TRADES + 1];
    struct store *store;
    struct store_scan *scan;
    struct store_chunk chunk;
    struct store_query query = store_query_all(CHANNEL_TRADE);
    uint64_t count = 0;
    int result;
    memset(seen, 0, sizeof seen);
    cr_assert_eq(store_open(&store, path, NULL), 0);
    cr_assert_eq(store_scan_open(&scan, store, &query), 0);
    while ((result = store_scan_next(scan, &chunk)) > 0) {
        for (uint32_t i = 0; i < chunk.count; i++) {
            int64_t id = chunk.rows->value[TRADE_ID][chunk.index[i]];
            cr_assert(id > 0 && id <= TRADES && seen[id]++ == 0);
            cr_assert_eq(chunk.rows->value[TRADE_TIME][chunk.index[i]],
                         STORE_FIXTURE_TIME + id * 1000000);
            count++;
        }
    }
    cr_assert_eq(result, 0, "%s", strerror(-result));
    struct store_verify_result whole;
    cr_assert_eq(store_verify(store, NULL, NULL, NULL, &whole), 0);
    cr_assert_eq(whole.damages, 0);
    store_scan_close(scan);
    store_close(store);
    return count;
}

static void recover_to(const struct store_fixture *fixture, const char *to)
{
    const struct recover_options options = {
        .from = fixture->path, .to = to, .lost = note_lost, .note = note_note};
    struct store_message message;
    memset(&told, 0, sizeof told);
    cr_assert_eq(recover_store(&options, &told.result, &message), 0, "%s", message.text);
}

// Elsewhere, then in place: both stores are whole and have `rows` of the trades.
static void expect_rows(struct store_fixture *fixture, uint64_t rows)
{
    char to[300];
    (void)snprintf(to, sizeof to, "%s-recovered", fixture->path);
    recover_to(fixture, to);
    cr_assert_eq(count_trades(to), rows, "%s%s", told.lost, told.notes);
    cr_assert_eq(told.result.rows, rows);
    struct told elsewhere = told;
    recover_to(fixture, NULL);
    cr_assert_eq(count_trades(fixture->path), rows, "%s%s", told.lost, told.notes);
    cr_assert_str_eq(told.lost, elsewhere.lost);
    char command[700];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", to);
    cr_assert_eq(system(command), 0);
    recover_to(fixture, NULL); // all is right now
    cr_assert_str_eq(told.lost, "");
    cr_assert_str_eq(told.notes, "");
    told = elsewhere;
    store_fixture_close(fixture);
}

static const char *segment_path(uint32_t number, const char *ending)
{
    static char path[CATALOGUE_PATH_BYTES_MAX];
    struct catalogue_segment segment = {
        .number = number, .channel = CHANNEL_TRADE, .day = catalogue_day_of(STORE_FIXTURE_TIME)};
    catalogue_segment_path(&segment, ending, path);
    return path;
}

static void remove_file(const struct store_fixture *fixture, const char *relative)
{
    cr_assert_eq(unlink(store_fixture_path(fixture, relative)), 0, "%s", relative);
}

// A folder with something in it takes the place of a file.
static void replace_by_folder(const struct store_fixture *fixture, const char *relative)
{
    char inside[300];
    const char *path = store_fixture_path(fixture, relative);
    (void)unlink(path);
    cr_assert_eq(mkdir(path, 0755), 0);
    (void)snprintf(inside, sizeof inside, "%.250s/something", relative);
    int file = open(store_fixture_path(fixture, inside), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(file, 0);
    cr_assert_eq(close(file), 0);
}

Test(recover, a_whole_store_is_kept_as_it_is)
{
    struct store_fixture *fixture = make_store();
    expect_rows(fixture, TRADES);
    cr_assert_eq(told.result.rewritten, 0);
    cr_assert_eq(told.result.losses, 0);
}

Test(recover, a_deleted_index_costs_nothing)
{
    for (int catalogue = 0; catalogue < 2; catalogue++) {
        struct store_fixture *fixture = make_store();
        remove_file(fixture, segment_path(1, "index"));
        if (catalogue == 0)
            remove_file(fixture, "catalogue");
        expect_rows(fixture, TRADES);
        cr_assert_eq(told.result.losses, 0, "%s", told.lost);
    }
}

// With the catalogue its line tells the rows, without it the index that is left.
Test(recover, a_deleted_segment_is_told_by_the_catalogue_or_its_index)
{
    static const struct {
        bool catalogue;
        bool index;
        const char *lost;
    } cases[] = {
        {true, true, "the file is gone; its index tells of binance:SYM0USDT, binance:SYM1USDT, "
                     "binance:SYM4USDT, binance:SYM9USDT\n"},
        {true, false, "the file is gone\n"},
        {false, true, "the file is gone; its index tells of binance:SYM0USDT, binance:SYM1USDT, "
                      "binance:SYM4USDT, binance:SYM9USDT\n"},
        {false, false, NULL}, // nothing knows of it
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[300] = "";
        struct store_fixture *fixture = make_store();
        remove_file(fixture, segment_path(1, "segment"));
        if (!cases[i].index)
            remove_file(fixture, segment_path(1, "index"));
        if (!cases[i].catalogue)
            remove_file(fixture, "catalogue");
        expect_rows(fixture, TRADES - 3000);
        if (cases[i].lost)
            (void)snprintf(expected, sizeof expected, "%s 3000 %s", segment_path(1, "segment"),
                           cases[i].lost);
        cr_assert_str_eq(told.lost, expected, "case %zu", i);
        if (cases[i].lost) {
            cr_assert_eq(told.time_min, STORE_FIXTURE_TIME + 1 * 1000000);
            cr_assert_eq(told.time_max, STORE_FIXTURE_TIME + 3000 * 1000000ll);
        }
    }
}

// A damaged index without its segment says that something was there, and no more.
Test(recover, a_damaged_index_without_segment_is_told_without_rows)
{
    struct store_fixture *fixture = make_store();
    remove_file(fixture, segment_path(1, "segment"));
    remove_file(fixture, "catalogue");
    store_fixture_flip(fixture, segment_path(1, "index"), 70);
    expect_rows(fixture, TRADES - 3000);
    cr_assert_not_null(strstr(told.lost, "-00000001.segment 0 the file is gone; its index is "
                                         "damaged\n"), "%s", told.lost);
}

// A crash between the two renames that give a new segment its name.
Test(recover, an_index_whose_segment_never_had_its_name_is_no_loss)
{
    char from[512];
    struct store_fixture *fixture = make_store();
    store_fixture_seal(fixture, 3, 3, false);
    (void)snprintf(from, sizeof from, "%s",
                   store_fixture_path(fixture, segment_path(3, "segment")));
    cr_assert_eq(rename(from, store_fixture_path(fixture, segment_path(3, "segment.new"))), 0);
    remove_file(fixture, "catalogue");
    recover_to(fixture, NULL);
    cr_assert_eq(told.result.losses, 0, "%s", told.lost);
    cr_assert_eq(count_trades(fixture->path), TRADES);
    store_fixture_close(fixture);
}

// ---- things that are not of the store ----

Test(recover, a_folder_in_place_of_any_file_costs_that_file_only)
{
    struct {
        const char *path;
        uint64_t rows;   // lost
        const char *lost; // NULL: nothing
    } cases[] = {
        {"tape/00000003.tape", 1500, "tape/00000003.tape 1500 " RECOVER_NOT_A_FILE "\n"},
        {"tape/00000003.mark", 0, NULL},
        {"catalogue", 0, NULL},
        {"identity", 0, NULL},
        {"lock", 0, NULL},
        {NULL, 3000, ".segment 3000 " RECOVER_NOT_A_FILE "; its index tells of "},
        {NULL, 0, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store_fixture *fixture = make_store();
        char path[CATALOGUE_PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%s",
                       cases[i].path ? cases[i].path
                                     : segment_path(2, cases[i].lost ? "segment" : "index"));
        replace_by_folder(fixture, path);
        expect_rows(fixture, TRADES - cases[i].rows);
        cr_assert_eq(told.result.losses, cases[i].lost ? 1 : 0, "%s: %s", path, told.lost);
        if (cases[i].lost)
            cr_assert_not_null(strstr(told.lost, cases[i].lost), "%s", told.lost);
    }
}

// Pipes and links to nowhere: neither read nor waited for.
Test(recover, what_is_neither_file_nor_folder_is_left_out)
{
    for (int pipe = 0; pipe < 2; pipe++) {
        struct store_fixture *fixture = make_store();
        const char *path = store_fixture_path(fixture, "tape/00000004.tape");
        cr_assert_eq(unlink(path), 0);
        cr_assert_eq(pipe ? mkfifo(path, 0644) : symlink("00000004.tape", path), 0);
        expect_rows(fixture, TRADES - 1500);
        cr_assert_str_eq(told.lost, "tape/00000004.tape 1500 " RECOVER_NOT_A_FILE "\n");
    }
}

Test(recover, a_file_in_place_of_a_folder_costs_what_was_in_it)
{
    static const struct {
        const char *path;
        uint64_t rows;
    } cases[] = {{"tape", 3000}, {"segment", 6000}, {"segment/2024-08-08", 6000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[700];
        struct store_fixture *fixture = make_store();
        const char *path = store_fixture_path(fixture, cases[i].path);
        (void)snprintf(command, sizeof command, "rm -rf '%s' && touch '%s'", path, path);
        cr_assert_eq(system(command), 0);
        expect_rows(fixture, TRADES - cases[i].rows);
        cr_assert_not_null(strstr(told.lost, "not a folder"), "%s", told.lost);
    }
}

Test(recover, names_that_are_not_of_the_store_are_passed_over)
{
    static const char *const names[] = {
        "note", "tape/note", "tape/1.tape", "tape/00000009.tape.bak", "segment/note",
        "segment/2024-08-08/trade-1.segment", "segment/2024-08-08/nothing-00000009.segment",
        "segment/2024-08-08/trade-00000009.index.bak"};
    struct store_fixture *fixture = make_store();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        replace_by_folder(fixture, names[i]);
    remove_file(fixture, "catalogue");
    expect_rows(fixture, TRADES);
    cr_assert_eq(told.result.losses, 0, "%s", told.lost);
}

// Whole, but of another store or another number.
Test(recover, a_tape_of_another_number_is_told_and_left_out)
{
    char from[512];
    struct store_fixture *fixture = make_store();
    (void)snprintf(from, sizeof from, "%s", store_fixture_path(fixture, "tape/00000003.tape"));
    cr_assert_eq(link(from, store_fixture_path(fixture, "tape/00000007.tape")), 0);
    expect_rows(fixture, TRADES);
    cr_assert_str_eq(told.lost, "tape/00000007.tape 0 a tape of another number or store\n");
}

// The first `size` bytes of segment 2 lie over those of segment 1: a write that went astray. 0: it
// lies there as a whole.
static struct store_fixture *misplaced_segment(size_t size, bool index)
{
    static uint8_t bytes[1 << 20];
    struct store_fixture *fixture = make_store();
    int from = open(store_fixture_path(fixture, segment_path(2, "segment")), O_RDONLY | O_CLOEXEC);
    int to = open(store_fixture_path(fixture, segment_path(1, "segment")),
                  O_WRONLY | O_CLOEXEC | (size == 0 ? O_TRUNC : 0));
    cr_assert(from >= 0 && to >= 0);
    ssize_t got = read(from, bytes, size == 0 ? sizeof bytes : size);
    cr_assert(size == 0 ? got > 0 : got == (ssize_t)size, "%zd", got);
    cr_assert_eq(pwrite(to, bytes, (size_t)got, 0), got);
    cr_assert_eq(close(from) + close(to), 0);
    if (!index)
        remove_file(fixture, segment_path(1, "index"));
    return fixture;
}

// Only what it covers is lost, as with any other bytes there, and it is told. It has a good block
// header as well, by which the segment must not be taken for the other one.
Test(recover, another_segments_first_sector_costs_what_it_covers)
{
    for (int index = 0; index < 2; index++) {
        struct store_fixture *fixture = misplaced_segment(512, index == 1);
        int64_t block = store_fixture_block(fixture, 1, 0);
        cr_assert(block > 0 && block + LAYOUT_HEADER_BYTES <= 512);
        recover_to(fixture, NULL);
        cr_assert_gt(told.result.rows, TRADES - 3000, "%s", told.lost);
        cr_assert_lt(told.result.rows, TRADES);
        cr_assert_eq(told.result.rows + told.result.rows_lost, TRADES, "%s", told.lost);
        cr_assert_eq(count_trades(fixture->path), told.result.rows);
        store_fixture_close(fixture);
    }
}

Test(recover, another_segment_in_the_place_of_one_brings_no_row_twice)
{
    for (int index = 0; index < 2; index++) {
        expect_rows(misplaced_segment(0, index == 1), TRADES - 3000);
        cr_assert_not_null(strstr(told.lost, "3000 a segment of another number"), "%s", told.lost);
    }
}
