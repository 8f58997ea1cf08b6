// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever is done to the files of a store, recovering it gives a store in which
// verification finds nothing, with only rows that were there, each at most once. The input is a
// list of edits: which file, what (a byte, a cut, the file gone), where. Files lie in memory
// (/dev/shm) where there is such a place.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/recover_store.h"
#include "tests/segment_fixture.h"
#include "tests/tape_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES = 8, SYMBOLS = 3, SEGMENT_ROWS = 700, TAPE_ROWS = 60, IDS = 8192 };
#define DAY_NS (19944ll * 86400 * 1000000000)

struct file {
    const char *path;
    uint8_t *bytes;
    size_t size;
};

static struct store_files {
    char folder[64]; // damaged
    char target[64]; // recovered
    struct file files[FILES];
    uint32_t count;
    int64_t ids;
} all;

// ---- the good store ----

static void keep_file(const char *path, const void *bytes, size_t size)
{
    struct file *file = &all.files[all.count++];
    ensure(all.count <= FILES);
    *file = (struct file){.path = path, .bytes = malloc(size + 1), .size = size};
    ensure(file->bytes);
    memcpy(file->bytes, bytes, size);
}

static void next_trade(struct event *event, uint32_t symbol)
{
    int64_t id = ++all.ids;
    ensure(id < IDS);
    event_clear(event, CHANNEL_TRADE, symbol);
    event_set(event, COLUMN_RECEIVE_TIME, DAY_NS + id * 1000);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, TRADE_TIME, DAY_NS + id * 1000000);
    event_set(event, TRADE_ID, id);
    event_set_decimal(event, TRADE_PRICE, id * 77, 2);
}

static void make_segment(uint32_t number, const char *path, const char *index_path,
                         struct catalogue *catalogue)
{
    static struct event event;
    struct segment_image image = {0};
    struct segment_description what = {.store = "fifteen letters", .salt = 4711 + number,
                                       .channel = CHANNEL_TRADE, .day = 19944, .number = number};
    struct segment_writer *writer;
    ensure(segment_writer_open(&writer, &what) == 0);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        struct rows *rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){1024, 0, 16});
        for (uint32_t r = 0; r < SEGMENT_ROWS; r++) {
            next_trade(&event, 0);
            ensure(rows_append(rows, &event));
        }
        image_symbol(&image, writer, s, rows);
        free(rows);
    }
    image_end(&image, writer);
    keep_file(path, image.bytes, image.size);
    keep_file(index_path, image.index, image.index_size);
    struct catalogue_segment listed = {
        .number = number, .channel = CHANNEL_TRADE, .day = 19944, .tape_first = number,
        .tape_last = number, .rows = image.summary.rows, .bytes = image.summary.bytes,
        .time_min = image.summary.time_min, .time_max = image.summary.time_max};
    ensure(catalogue_add_segment(catalogue, &listed));
    image_free(&image);
}

static void make_tape(const uint8_t *identity)
{
    enum { TAPE_BYTES = 64 << 10 };
    static struct event event;
    static uint8_t bytes[TAPE_BYTES];
    static uint8_t mark[2 * LAYOUT_SECTOR];
    uint8_t sector[LAYOUT_SECTOR];
    struct tape_fixture *fixture = fixture_open();
    struct tape_description what = {.salt = 99, .number = 9};
    memcpy(what.store, identity, sizeof what.store);
    tape_header_encode(&what, bytes, &fixture->cursor);
    for (uint32_t r = 0; r < TAPE_ROWS; r += 10) {
        struct tape_write write;
        fixture_clear(fixture);
        for (uint32_t i = 0; i < 10; i++) {
            next_trade(&event, i % FIXTURE_SYMBOLS);
            ensure(fixture_append(fixture, &event));
        }
        ensure(tape_append(fixture->encoder, &fixture->cursor, &fixture->input, fixture->buffer,
                           FIXTURE_BUFFER_BYTES, &write) == 0);
        memcpy(bytes + write.offset, fixture->buffer, write.bytes);
        tape_acknowledge(&fixture->cursor, &write);
    }
    uint64_t offset = tape_mark_encode(&fixture->cursor, true, sector);
    memcpy(mark + offset, sector, sizeof sector);
    keep_file("tape/00000009.tape", bytes, fixture->cursor.end);
    keep_file("tape/00000009.mark", mark, sizeof mark);
    fixture_close(fixture);
}

static void make_all(void)
{
    static const uint8_t identity[LAYOUT_STORE_ID_BYTES] = "fifteen letters";
    static char text[4096];
    struct catalogue catalogue;
    ensure(catalogue_init(&catalogue, identity) == 0);
    make_segment(1, "segment/2024-08-09/trade-00000001.segment",
                 "segment/2024-08-09/trade-00000001.index", &catalogue);
    make_segment(2, "segment/2024-08-09/trade-00000002.segment",
                 "segment/2024-08-09/trade-00000002.index", &catalogue);
    make_tape(identity);
    catalogue.generation = 1;
    catalogue.next_tape = 10;
    keep_file("catalogue", text, catalogue_write(&catalogue, text, sizeof text));
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", identity[i]);
    text[32] = '\n';
    keep_file("identity", text, 33);
    catalogue_free(&catalogue);
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(all.folder, sizeof all.folder, "%s/store-fuzz-%d", place, (int)getpid());
    (void)snprintf(all.target, sizeof all.target, "%s/store-fuzz-%d.new", place, (int)getpid());
}

// ---- one damaged store ----

static void path_of(const char *folder, const char *relative, char out[160])
{
    ensure(snprintf(out, 160, "%s/%s", folder, relative) < 160);
}

static void make_folder(const char *folder, const char *relative)
{
    char path[160];
    path_of(folder, relative, path);
    ensure(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static void write_file(const char *folder, const struct file *file)
{
    char path[160];
    path_of(folder, file->path, path);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ensure(descriptor >= 0);
    ensure(write(descriptor, file->bytes, file->size) == (ssize_t)file->size);
    ensure(close(descriptor) == 0);
}

static void edit(const uint8_t data[6])
{
    const struct file *file = &all.files[data[0] % all.count];
    uint32_t at = (data[2] | (uint32_t)data[3] << 8 | (uint32_t)data[4] << 16);
    char path[160];
    path_of(all.folder, file->path, path);
    at = file->size > 0 ? at % (uint32_t)file->size : 0;
    if (data[1] % 16 == 0) {
        (void)unlink(path);
    } else if (data[1] % 16 == 1) {
        (void)truncate(path, at);
    } else {
        int descriptor = open(path, O_WRONLY);
        if (descriptor < 0)
            return; // gone
        ensure(pwrite(descriptor, &data[5], 1, at) == 1);
        ensure(close(descriptor) == 0);
    }
}

static void remove_all(const char *folder)
{
    char command[128];
    ensure(snprintf(command, sizeof command, "rm -rf '%s'", folder) < (int)sizeof command);
    ensure(system(command) == 0);
}

static void check_rows(const char *folder)
{
    static uint8_t seen[IDS];
    struct store *store;
    struct store_scan *scan;
    struct store_chunk chunk;
    struct store_verify_result result;
    memset(seen, 0, sizeof seen);
    ensure(store_open(&store, folder, NULL) == 0);
    ensure(store_verify(store, NULL, NULL, NULL, &result) == 0 && result.damages == 0);
    struct store_query query = store_query_all(CHANNEL_TRADE);
    ensure(store_scan_open(&scan, store, &query) == 0);
    while (store_scan_next(scan, &chunk) > 0) {
        for (uint32_t i = 0; i < chunk.count; i++) {
            uint32_t row = chunk.index[i];
            int64_t id = chunk.rows->value[TRADE_ID][row];
            ensure(id > 0 && id <= all.ids && seen[id]++ == 0);
            ensure(chunk.rows->value[TRADE_TIME][row] == DAY_NS + id * 1000000);
        }
    }
    store_scan_close(scan);
    store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recover_result result;
    if (all.count == 0)
        make_all();
    remove_all(all.folder);
    make_folder(all.folder, "");
    make_folder(all.folder, "tape");
    make_folder(all.folder, "segment");
    make_folder(all.folder, "segment/2024-08-09");
    for (uint32_t i = 0; i < all.count; i++)
        write_file(all.folder, &all.files[i]);
    for (size_t at = 0; at + 6 <= size && at < 6 * 40; at += 6)
        edit(data + at);
    struct recover_options options = {.from = all.folder, .to = all.target};
    int error = recover_store(&options, &result, NULL);
    // Nothing of a store is left, or what is left says that it is of another version.
    ensure(error == 0 || error == -ENOENT || error == -EPROTONOSUPPORT);
    if (error == 0)
        check_rows(all.target);
    remove_all(all.target);
    remove_all(all.folder);
    return 0;
}
