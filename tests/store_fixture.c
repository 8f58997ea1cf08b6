// SPDX-License-Identifier: GPL-3.0-or-later
//
// Plain files, no syncing: nothing crashes here.
#include "tests/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment.h"

static const uint8_t identity[LAYOUT_STORE_ID_BYTES] = "fixture's store";

// ---- files ----

const char *store_fixture_path(const struct store_fixture *fixture, const char *relative)
{
    static char path[512];
    int size = snprintf(path, sizeof path, "%s/%s", fixture->path, relative);
    ensure(size > 0 && (size_t)size < sizeof path);
    return path;
}

static int create(const struct store_fixture *fixture, const char *relative)
{
    int file = open(store_fixture_path(fixture, relative), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
                    0644);
    ensure(file >= 0);
    return file;
}

static void write_at(int file, const void *bytes, size_t size, uint64_t offset)
{
    ensure(pwrite(file, bytes, size, (off_t)offset) == (ssize_t)size);
}

static void write_file(const struct store_fixture *fixture, const char *relative,
                       const void *bytes, size_t size)
{
    int file = create(fixture, relative);
    write_at(file, bytes, size, 0);
    ensure(close(file) == 0);
}

static void make_folder(const struct store_fixture *fixture, const char *relative)
{
    ensure(mkdir(store_fixture_path(fixture, relative), 0755) == 0 || errno == EEXIST);
}

static void remove_file(const struct store_fixture *fixture, const char *relative)
{
    ensure(unlink(store_fixture_path(fixture, relative)) == 0 || errno == ENOENT);
}

static void publish(struct store_fixture *fixture)
{
    char to[512];
    size_t room = catalogue_bytes_max(&fixture->catalogue);
    char *text = malloc(room);
    ensure(text);
    fixture->catalogue.generation++;
    size_t size = catalogue_write(&fixture->catalogue, text, room);
    write_file(fixture, "catalogue.new", text, size);
    (void)snprintf(to, sizeof to, "%s", store_fixture_path(fixture, "catalogue"));
    ensure(rename(store_fixture_path(fixture, "catalogue.new"), to) == 0);
    free(text);
}

void store_fixture_flip(const struct store_fixture *fixture, const char *relative, int64_t offset)
{
    int file = open(store_fixture_path(fixture, relative), O_RDWR | O_CLOEXEC);
    ensure(file >= 0);
    off_t at = offset >= 0 ? (off_t)offset : lseek(file, 0, SEEK_END) + (off_t)offset;
    uint8_t byte;
    ensure(pread(file, &byte, 1, at) == 1);
    byte ^= 0xff;
    write_at(file, &byte, 1, (uint64_t)at);
    ensure(close(file) == 0);
}

int64_t store_fixture_block(const struct store_fixture *fixture, uint32_t number, int block)
{
    static uint8_t bytes[4 << 20];
    const uint64_t magic = LAYOUT_BLOCK_MAGIC;
    struct catalogue_segment entry = {.number = number,
                                      .channel = CHANNEL_TRADE,
                                      .day = catalogue_day_of(STORE_FIXTURE_TIME)};
    char name[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(&entry, "segment", name);
    FILE *file = fopen(store_fixture_path(fixture, name), "rb");
    ensure(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    ensure(fclose(file) == 0);
    size_t from = 0;
    for (int b = 0; b <= block; b++) {
        const uint8_t *found = memmem(bytes + from, size - from, &magic, sizeof magic);
        ensure(found);
        from = (size_t)(found - bytes) + 1;
    }
    return (int64_t)from - 1;
}

// ---- rows ----

const char *store_fixture_symbol(uint64_t id)
{
    static const char *const names[STORE_FIXTURE_SYMBOLS] = {
        "binance:SYM0USDT", "binance:SYM1USDT", "binance:SYM4USDT", "binance:SYM9USDT"};
    return names[id % STORE_FIXTURE_SYMBOLS];
}

void store_fixture_event(struct event *event, uint64_t id)
{
    event_clear(event, CHANNEL_TRADE, (uint32_t)(id % STORE_FIXTURE_SYMBOLS));
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, COLUMN_RECEIVE_TIME, STORE_FIXTURE_TIME + (int64_t)id * 1000000 + 77);
    event_set(event, TRADE_TIME, STORE_FIXTURE_TIME + (int64_t)id * 1000000);
    event_set(event, TRADE_ID, (int64_t)id);
    event_set_decimal(event, TRADE_PRICE, (int64_t)(id * 5 + 1), 1);
    event_set_decimal(event, TRADE_QUANTITY, (int64_t)(id % 997 + 1), 3);
    event_set(event, TRADE_SIDE, (int64_t)(id / 3 % 2));
    if (id % 5 == 0)
        event_set_text(event, TRADE_KIND, "MARKET", 6);
}

// ---- the store ----

struct store_fixture *store_fixture_open(void)
{
    struct store_fixture *fixture = calloc(1, sizeof *fixture);
    const char *folder = getenv("TMPDIR");
    char text[2 * LAYOUT_STORE_ID_BYTES + 2];
    ensure(fixture);
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/store-XXXXXX",
                   folder ? folder : "/tmp");
    ensure(mkdtemp(fixture->path));
    fixture->tape = fixture_open();
    ensure(catalogue_init(&fixture->catalogue, identity) == 0);
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(text + 2 * i, 4, "%02x\n", identity[i]);
    write_file(fixture, "identity", text, 2 * LAYOUT_STORE_ID_BYTES + 1);
    make_folder(fixture, "tape");
    make_folder(fixture, "segment");
    publish(fixture);
    return fixture;
}

void store_fixture_leave(struct store_fixture *fixture)
{
    if (fixture->number != 0) {
        (void)close(fixture->file);
        (void)close(fixture->mark_file);
    }
    fixture_close(fixture->tape);
    catalogue_free(&fixture->catalogue);
    free(fixture);
}

void store_fixture_close(struct store_fixture *fixture)
{
    char command[600];
    (void)snprintf(command, sizeof command, "rm -r '%s'", fixture->path);
    ensure(system(command) == 0);
    store_fixture_leave(fixture);
}

// ---- tapes ----

static void begin_tape(struct store_fixture *fixture)
{
    char name[CATALOGUE_PATH_BYTES_MAX];
    static uint8_t sector[LAYOUT_SECTOR];
    uint32_t number = 1;
    while (fixture->held[number].first != 0)
        number++;
    ensure(number < STORE_FIXTURE_TAPES_MAX);
    struct tape_description what = {
        .salt = 1000 + number, .created_ns = STORE_FIXTURE_TIME, .number = number,
        .writer = "fixture"};
    memcpy(what.store, identity, sizeof identity);
    fixture_clear(fixture->tape);
    tape_header_encode(&what, sector, &fixture->tape->cursor);
    catalogue_tape_path(number, "mark", name);
    fixture->mark_file = create(fixture, name);
    catalogue_tape_path(number, "tape", name);
    fixture->file = create(fixture, name);
    write_at(fixture->file, sector, sizeof sector, 0);
    fixture->number = number;
    fixture->held[number].first = fixture->trades + 1;
    fixture->held[number].last = fixture->trades;
}

void store_fixture_prepare(struct store_fixture *fixture)
{
    char name[CATALOGUE_PATH_BYTES_MAX];
    ensure(fixture->number == 0);
    begin_tape(fixture);
    catalogue_tape_path(fixture->number, "mark", name);
    remove_file(fixture, name);
}

void store_fixture_discard(struct store_fixture *fixture)
{
    char name[CATALOGUE_PATH_BYTES_MAX];
    ensure(fixture->number != 0 && fixture->tape->cursor.durable_sequence == 0);
    catalogue_tape_path(fixture->number, "tape", name);
    remove_file(fixture, name);
    ensure(close(fixture->file) == 0 && close(fixture->mark_file) == 0);
    fixture->number = 0;
}

void store_fixture_append(struct store_fixture *fixture, uint32_t count, bool acknowledged)
{
    static struct event event;
    struct tape_fixture *tape = fixture->tape;
    struct tape_write write;
    ensure(count <= 1000);
    if (fixture->number == 0)
        begin_tape(fixture);
    if (tape->input.count + count > FIXTURE_ROWS_MAX)
        fixture_clear(tape);
    for (uint32_t i = 0; i < count; i++) {
        store_fixture_event(&event, ++fixture->trades);
        ensure(fixture_append(tape, &event));
    }
    ensure(tape_append(tape->encoder, &tape->cursor, &tape->input, tape->buffer,
                       FIXTURE_BUFFER_BYTES, &write) == 0);
    write_at(fixture->file, tape->buffer, write.bytes, write.offset);
    if (acknowledged)
        tape_acknowledge(&tape->cursor, &write);
    if (!write.rewritten || write.batch_bytes > LAYOUT_SECTOR) { // older rows are of another batch
        fixture_clear(tape);
        for (uint64_t id = fixture->trades - count + 1; id <= fixture->trades; id++) {
            store_fixture_event(&event, id);
            ensure(fixture_append(tape, &event));
        }
    }
    tape->input.written = tape->input.count;
    fixture->held[fixture->number].last = fixture->trades;
}

void store_fixture_fail(struct store_fixture *fixture, uint32_t count)
{
    fixture->trades -= count;
    fixture->held[fixture->number].last = fixture->trades;
    ensure(fixture->trades >= fixture->held[fixture->number].first);
    store_fixture_end(fixture);
}

void store_fixture_mark(struct store_fixture *fixture, bool closed)
{
    static uint8_t sector[LAYOUT_SECTOR];
    uint64_t offset = tape_mark_encode(&fixture->tape->cursor, closed, sector);
    write_at(fixture->mark_file, sector, sizeof sector, offset);
}

void store_fixture_end(struct store_fixture *fixture)
{
    if (fixture->number == 0)
        return;
    store_fixture_mark(fixture, true);
    ensure(close(fixture->file) == 0 && close(fixture->mark_file) == 0);
    fixture->number = 0;
}

// ---- segments ----

static void drain(struct segment_writer *writer, int file, uint64_t *offset)
{
    size_t size;
    const void *bytes = segment_writer_output(writer, &size);
    write_at(file, bytes, size, *offset);
    *offset += size;
    segment_writer_taken(writer);
}

static void write_symbol(struct segment_writer *writer, int file, uint64_t *offset, uint64_t symbol,
                         uint64_t first, uint64_t last)
{
    static struct event event;
    const char *name = store_fixture_symbol(symbol);
    struct rows *row = random_rows_new(CHANNEL_TRADE, (struct rows_limits){1, 0, 64});
    while (!segment_writer_symbol(writer, name, (uint32_t)strlen(name), last - first + 1))
        drain(writer, file, offset);
    for (uint64_t id = first; id <= last; id++) {
        if (id % STORE_FIXTURE_SYMBOLS != symbol)
            continue;
        rows_clear(row);
        store_fixture_event(&event, id);
        ensure(rows_append(row, &event));
        while (!segment_writer_append(writer, row, 0, (struct segment_provenance){0}))
            drain(writer, file, offset);
    }
    free(row);
}

static void write_segment(struct store_fixture *fixture, struct catalogue_segment *entry,
                          uint64_t first, uint64_t last)
{
    struct segment_description what = {.salt = 5000 + entry->number,
                                       .created_ns = STORE_FIXTURE_TIME,
                                       .channel = CHANNEL_TRADE,
                                       .day = entry->day,
                                       .number = entry->number,
                                       .writer = "fixture"};
    struct segment_writer *writer;
    char name[CATALOGUE_PATH_BYTES_MAX];
    uint64_t offset = 0;
    size_t size;
    memcpy(what.store, identity, sizeof identity);
    ensure(segment_writer_open(&writer, &what) == 0);
    catalogue_segment_path(entry, "segment", name);
    int file = create(fixture, name);
    for (uint64_t symbol = 0; symbol < STORE_FIXTURE_SYMBOLS; symbol++)
        write_symbol(writer, file, &offset, symbol, first, last);
    while (!segment_writer_finish(writer))
        drain(writer, file, &offset);
    drain(writer, file, &offset);
    ensure(close(file) == 0);
    const void *index = segment_writer_index(writer, &size);
    catalogue_segment_path(entry, "index", name);
    write_file(fixture, name, index, size);
    const struct segment_summary summary = segment_writer_summary(writer);
    entry->rows = summary.rows;
    entry->bytes = summary.bytes;
    entry->time_min = summary.time_min;
    entry->time_max = summary.time_max;
    segment_writer_close(writer);
}

// A new segment of all trades of tapes first ... last.
static void add_segment(struct store_fixture *fixture, uint32_t first, uint32_t last)
{
    struct catalogue_segment entry = {.number = fixture->catalogue.next_segment++,
                                      .channel = CHANNEL_TRADE,
                                      .day = catalogue_day_of(STORE_FIXTURE_TIME),
                                      .tape_first = first,
                                      .tape_last = last};
    make_folder(fixture, "segment/2024-08-08");
    write_segment(fixture, &entry, fixture->held[first].first, fixture->held[last].last);
    ensure(catalogue_add_segment(&fixture->catalogue, &entry));
}

void store_fixture_seal(struct store_fixture *fixture, uint32_t first, uint32_t last, bool remove)
{
    char name[CATALOGUE_PATH_BYTES_MAX];
    ensure(fixture->number == 0 || last < fixture->number);
    add_segment(fixture, first, last);
    if (fixture->catalogue.next_tape <= last)
        fixture->catalogue.next_tape = last + 1;
    for (uint32_t tape = first; tape <= last; tape++)
        ensure(catalogue_seal_tape(&fixture->catalogue, tape));
    publish(fixture);
    for (uint32_t tape = first; tape <= last && remove; tape++) {
        catalogue_tape_path(tape, "tape", name);
        remove_file(fixture, name);
        catalogue_tape_path(tape, "mark", name);
        remove_file(fixture, name);
        ensure(catalogue_forget_tape(&fixture->catalogue, tape));
    }
    if (remove)
        publish(fixture);
}

void store_fixture_merge(struct store_fixture *fixture)
{
    struct catalogue *catalogue = &fixture->catalogue;
    static char names[2 * STORE_FIXTURE_TAPES_MAX][CATALOGUE_PATH_BYTES_MAX];
    uint32_t count = catalogue->segment_count;
    ensure(count > 0 && count <= STORE_FIXTURE_TAPES_MAX);
    uint32_t first = catalogue->segments[0].tape_first;
    uint32_t last = catalogue->segments[count - 1].tape_last;
    for (uint32_t s = 0; s < count; s++) {
        catalogue_segment_path(&catalogue->segments[0], "segment", names[2 * s]);
        catalogue_segment_path(&catalogue->segments[0], "index", names[2 * s + 1]);
        ensure(catalogue_remove_segment(catalogue, catalogue->segments[0].number));
    }
    add_segment(fixture, first, last);
    publish(fixture);
    for (uint32_t n = 0; n < 2 * count; n++)
        remove_file(fixture, names[n]);
}
