// SPDX-License-Identifier: GPL-3.0-or-later
//
// The Delta log: commits through crashes before every disk operation, races, checkpoints, what is
// refused. What other readers make of it is judged in tests/peers/delta_test.py.
#include "format/delta.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "delta_disk_memory.h"

static const char table[] = "lake/trade";
static const char created_by[] = "ringtape version 0.0.0 (build test)";
static const char schema[] =
    "{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,"
    "\"metadata\":{}}]}";
static const char *const partition[] = {"exchange", "date", NULL};
static const char *const configuration[][2] = {{"ringtape.channel", "trade"}, {NULL, NULL}};
enum { ROUNDS = 25, KEEP_MS = 1000, RACERS = 4, RACE_COMMITS = 40 };

static struct delta *open_table(const struct delta_disk *disk, const char *path)
{
    struct delta *delta = NULL;
    struct delta_message message = {{0}};
    cr_assert_eq(delta_open(&delta, disk, path, &message), 0, "%s", message.text);
    return delta;
}

static void put_first(struct delta_commit *commit)
{
    const struct delta_metadata metadata = {.id = "6b0f3c3e-0000-4000-8000-000000000000",
                                            .name = "trade",
                                            .schema = schema,
                                            .partition_columns = partition,
                                            .configuration = configuration,
                                            .created_ms = 1};
    delta_put_protocol(commit);
    delta_put_metadata(commit, &metadata);
}

static void put_file(struct delta_commit *commit, const char *path, int64_t from, int64_t to)
{
    const struct delta_add add = {.path = path,
                                  .exchange = "binance",
                                  .date = "2026-11-27",
                                  .store = "00112233445566778899aabbccddeeff",
                                  .tape_from = from,
                                  .tape_to = to,
                                  .bytes = 100,
                                  .time_ms = to,
                                  .data_change = true,
                                  .stats = "{\"numRecords\":7,\"minValues\":{\"s\":\"\\\"\"}}"};
    delta_put_add(commit, &add);
}

static void put_info(struct delta_commit *commit, int64_t time_ms)
{
    const struct delta_info info = {"WRITE", "Append", "ringtape/0", true, time_ms};
    delta_put_info(commit, &info);
}

// The commit that follows what the table knows; 0 or negative errno.
static int commit_next(struct delta *delta, const char *app, uint32_t attempt)
{
    char path[128];
    struct delta_commit commit = {0};
    const int64_t known = delta_txn(delta, app);
    const int64_t next = known < 0 ? 1 : known + 1;
    put_info(&commit, next * 1000);
    if (delta_version(delta) < 0) put_first(&commit);
    delta_put_txn(&commit, app, next, next);
    (void)snprintf(path, sizeof path, "exchange=binance/date=2026-11-27/%s %" PRId64 "-%u.parquet",
                   app, next, attempt);
    put_file(&commit, path, next - 1, next);
    const int error = delta_commit(delta, &commit, NULL);
    delta_commit_free(&commit);
    return error;
}

static uint32_t live_files(const struct delta *delta)
{
    uint32_t count, live = 0;
    const struct delta_file *files = delta_files(delta, &count);
    for (uint32_t i = 0; i < count; i++) live += files[i].live;
    return live;
}

// ---- crashes ----

// Commits and checkpoints until ROUNDS are in; false: the world ended.
static bool work(const struct delta_disk *disk, uint32_t attempt)
{
    struct delta *delta;
    if (delta_open(&delta, disk, table, NULL) != 0) return false;
    bool good = true;
    while (good && delta_txn(delta, "app") < ROUNDS) {
        good = commit_next(delta, "app", attempt) == 0;
        const int64_t now_ms = delta_txn(delta, "app") * 1000;
        good = good && delta_checkpoint(delta, now_ms, KEEP_MS * 12, created_by, NULL) == 0;
    }
    delta_close(delta);
    return good;
}

static void expect_whole(const struct delta_disk *disk, int64_t crash_at)
{
    struct delta *delta = open_table(disk, table);
    cr_expect_eq(delta_txn(delta, "app"), ROUNDS, "crash at %" PRId64, crash_at);
    cr_expect_eq(delta_version(delta), ROUNDS - 1, "crash at %" PRId64, crash_at);
    cr_expect_eq(live_files(delta), ROUNDS, "crash at %" PRId64, crash_at);
    delta_close(delta);
}

Test(delta, a_crash_before_any_operation_loses_nothing_and_doubles_nothing)
{
    bool crashed = true;
    for (int64_t at = 0; crashed; at++) {
        for (uint64_t seed = 0; seed < 4; seed++) {
            struct memory_disk memory = {.crash_at = at, .seed = seed};
            const struct delta_disk disk = memory_disk_of(&memory);
            crashed = !work(&disk, 0);
            memory_disk_recover(&memory);
            cr_assert(work(&disk, 1), "after a crash at %" PRId64, at);
            expect_whole(&disk, at);
            memory_disk_free(&memory);
        }
    }
}

Test(delta, crashes_upon_crashes)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct memory_disk memory = {.crash_at = (int64_t)(seed % 7), .seed = seed};
        const struct delta_disk disk = memory_disk_of(&memory);
        for (uint32_t attempt = 0; !work(&disk, attempt); attempt++) {
            memory_disk_recover(&memory);
            memory.crash_at = memory.operations + (int64_t)((seed * 31 + attempt * 7) % 23);
            cr_assert_lt(attempt, 500);
        }
        memory_disk_recover(&memory);
        expect_whole(&disk, (int64_t)seed);
        memory_disk_free(&memory);
    }
}

// ---- checkpoints ----

static void remove_json(struct memory_disk *memory, int64_t below)
{
    char path[128];
    for (int64_t version = 0; version < below; version++) {
        (void)snprintf(path, sizeof path, "%s/_delta_log/%020" PRId64 ".json", table, version);
        struct memory_name *name = memory_disk_find(memory, path);
        if (name == NULL) continue;
        free(name->bytes);
        name->bytes = NULL;
    }
}

Test(delta, a_checkpoint_holds_everything_before_it)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *delta = open_table(&disk, table);
    for (int i = 0; i < 23; i++) {
        cr_assert_eq(commit_next(delta, "app", 0), 0);
        cr_assert_eq(delta_checkpoint(delta, 0, KEEP_MS, created_by, NULL), 0);
    }
    delta_close(delta);
    remove_json(&memory, 20);
    delta = open_table(&disk, table);
    uint32_t count;
    const struct delta_file *files = delta_files(delta, &count);
    cr_expect_eq(delta_version(delta), 22);
    cr_assert_eq(count, 23);
    cr_expect_str_eq(files[4].path, "exchange=binance/date=2026-11-27/app 5-0.parquet");
    cr_expect_str_eq(files[4].store, "00112233445566778899aabbccddeeff");
    cr_expect_str_eq(files[4].exchange, "binance");
    cr_expect_eq(files[4].tape_from, 4);
    cr_expect_eq(files[4].tape_to, 5);
    cr_expect_eq(files[4].rows, 7);
    cr_expect_eq(files[4].bytes, 100);
    cr_expect_eq(delta_txn(delta, "app"), 23);
    cr_expect_str_eq(delta_configuration(delta, "ringtape.channel"), "trade");
    cr_expect_str_eq(delta_schema(delta), schema);
    cr_expect_str_eq(delta_partition_columns(delta), "exchange,date");
    delta_close(delta);
    memory_disk_free(&memory);
}

Test(delta, a_damaged_checkpoint_is_passed_over)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *delta = open_table(&disk, table);
    for (int i = 0; i < 23; i++) {
        cr_assert_eq(commit_next(delta, "app", 0), 0);
        cr_assert_eq(delta_checkpoint(delta, 0, KEEP_MS, created_by, NULL), 0);
    }
    delta_close(delta);
    struct memory_name *newest =
        memory_disk_find(&memory, "lake/trade/_delta_log/00000000000000000019.checkpoint.parquet");
    cr_assert(newest != NULL);
    newest->bytes[60] ^= 1;
    remove_json(&memory, 9); // as far as the one before reaches
    delta = open_table(&disk, table);
    cr_expect_eq(delta_version(delta), 22);
    cr_expect_eq(live_files(delta), 23);
    delta_close(delta);
    remove_json(&memory, 15); // now commits are missing between them
    struct delta_message message;
    cr_expect_eq(delta_open(&delta, &disk, table, &message), -EBADMSG);
    cr_expect(strstr(message.text, "commit 10 is missing") != NULL, "%s", message.text);
    memory_disk_free(&memory);
}

Test(delta, old_commits_go_when_a_checkpoint_holds_them)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *delta = open_table(&disk, table);
    for (int64_t i = 1; i <= 130; i++) {
        cr_assert_eq(commit_next(delta, "app", 0), 0);
        cr_assert_eq(delta_checkpoint(delta, i * 1000, 35 * 1000, created_by, NULL), 0);
    }
    delta_close(delta);
    cr_expect(!memory_disk_find(&memory, "lake/trade/_delta_log/00000000000000000068.json"));
    cr_expect(memory_disk_find(&memory, "lake/trade/_delta_log/00000000000000000069.json") != NULL);
    cr_expect(memory_disk_find(
                  &memory, "lake/trade/_delta_log/00000000000000000069.checkpoint.parquet") !=
              NULL);
    cr_expect(!memory_disk_find(
        &memory, "lake/trade/_delta_log/00000000000000000059.checkpoint.parquet"));
    delta = open_table(&disk, table);
    cr_expect_eq(live_files(delta), 130);
    delta_close(delta);
    memory_disk_free(&memory);
}

// ---- races ----

Test(delta, who_comes_second_goes_behind_or_learns_of_it)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *a = open_table(&disk, table);
    cr_assert_eq(commit_next(a, "one", 0), 0);
    struct delta *b = open_table(&disk, table);
    cr_assert_eq(commit_next(a, "one", 1), 0);
    cr_expect_eq(commit_next(b, "two", 2), 0); // another application: behind
    cr_expect_eq(delta_version(b), 2);
    cr_expect_eq(commit_next(a, "two", 3), -ECANCELED); // the same one: not any more
    cr_expect_eq(commit_next(a, "two", 3), 0);
    cr_expect_eq(delta_txn(a, "two"), 2);
    delta_close(a);
    delta_close(b);
    memory_disk_free(&memory);
}

static int remove_all(struct delta *delta)
{
    uint32_t count;
    struct delta_commit commit = {0};
    const struct delta_file *files = delta_files(delta, &count);
    for (uint32_t i = 0; i < count; i++)
        if (files[i].live) delta_put_remove(&commit, &files[i], 5, false);
    put_file(&commit, "exchange=binance/date=2026-11-27/merged.parquet", 0, 9);
    const int error = delta_commit(delta, &commit, NULL);
    delta_commit_free(&commit);
    return error;
}

Test(delta, a_file_is_removed_once)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *a = open_table(&disk, table);
    cr_assert_eq(commit_next(a, "app", 0), 0);
    struct delta *b = open_table(&disk, table);
    cr_expect_eq(remove_all(a), 0);
    cr_expect_eq(remove_all(b), -ECANCELED);
    cr_expect_eq(live_files(b), 1);
    delta_close(a);
    delta_close(b);
    memory_disk_free(&memory);
}

static void race(const char *path, int racer)
{
    char app[16];
    (void)snprintf(app, sizeof app, "racer%d", racer);
    struct delta *delta = open_table(&delta_disk_host, path);
    for (int i = 0; i < RACE_COMMITS; i++)
        if (commit_next(delta, app, 0) != 0) _exit(1);
    delta_close(delta);
    _exit(0);
}

Test(delta, processes_race_for_every_version)
{
    char path[] = "/tmp/delta-race-XXXXXX", command[64];
    cr_assert(mkdtemp(path) != NULL);
    struct delta *delta = open_table(&delta_disk_host, path);
    cr_assert_eq(commit_next(delta, "first", 0), 0);
    delta_close(delta);
    for (int racer = 0; racer < RACERS; racer++)
        if (fork() == 0) race(path, racer);
    for (int racer = 0; racer < RACERS; racer++) {
        int status;
        cr_assert(wait(&status) > 0);
        cr_expect_eq(status, 0);
    }
    delta = open_table(&delta_disk_host, path);
    cr_expect_eq(delta_version(delta), RACERS * RACE_COMMITS);
    cr_expect_eq(live_files(delta), RACERS * RACE_COMMITS + 1);
    cr_expect_eq(delta_txn(delta, "racer3"), RACE_COMMITS);
    delta_close(delta);
    (void)snprintf(command, sizeof command, "rm -r %s", path);
    cr_expect_eq(system(command), 0);
}

// ---- what is refused ----

static int open_with(const char *lines, char *text, size_t room)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *delta = NULL;
    struct delta_message message = {{0}};
    (void)disk.write(&memory, "lake/trade/_delta_log/00000000000000000000.json", lines,
                     strlen(lines));
    const int error = delta_open(&delta, &disk, table, &message);
    (void)snprintf(text, room, "%s", message.text);
    if (error == 0) delta_close(delta);
    memory_disk_free(&memory);
    return error;
}

#define METADATA                                                                                   \
    "{\"metaData\":{\"id\":\"x\",\"format\":{\"provider\":\"parquet\",\"options\":{}},"            \
    "\"schemaString\":\"{}\",\"partitionColumns\":[],\"configuration\":{%s}}}\n"
#define PROTOCOL "{\"protocol\":{\"minReaderVersion\":%d,\"minWriterVersion\":%d%s}}\n"

static int open_protocol(int reader, int writer, const char *more, const char *configured,
                         char *text, size_t room)
{
    char lines[1024];
    (void)snprintf(lines, sizeof lines, PROTOCOL METADATA, reader, writer, more, configured);
    return open_with(lines, text, room);
}

Test(delta, what_a_table_asks_for_beyond_is_refused)
{
    char text[DELTA_MESSAGE_BYTES];
    const int refused = -EPROTONOSUPPORT;
    cr_expect_eq(open_protocol(1, 2, "", "", text, sizeof text), 0);
    cr_expect_eq(open_protocol(1, 2, ",\"unheard\":[1,{\"a\":null}]", "", text, sizeof text), 0);
    cr_expect_eq(open_protocol(2, 5, "", "", text, sizeof text), refused);
    cr_expect(strstr(text, "export into another folder") != NULL, "%s", text);
    cr_expect_eq(open_protocol(1, 4, "", "", text, sizeof text), refused);
    const char *features = ",\"readerFeatures\":[\"deletionVectors\"],\"writerFeatures\":[\"x\"]";
    cr_expect_eq(open_protocol(3, 7, features, "", text, sizeof text), refused);
    cr_expect(strstr(text, "'deletionVectors'") != NULL, "%s", text);
    const char *mapping = "\"delta.columnMapping.mode\":\"name\"";
    cr_expect_eq(open_protocol(1, 2, "", mapping, text, sizeof text), refused);
}

Test(delta, a_damaged_log_is_refused)
{
    char text[DELTA_MESSAGE_BYTES];
    cr_expect_eq(open_with("{\"metaData\":{\"id\":\"x\"", text, sizeof text), -EBADMSG);
    cr_expect(strstr(text, "commit 0 is damaged in line 1") != NULL, "%s", text);
    cr_expect_eq(open_with("", text, sizeof text), -EBADMSG);
    cr_expect_eq(open_with("{\"add\":{\"size\":1}}\n", text, sizeof text), -EBADMSG);
    cr_expect_eq(open_with("{\"txn\":{\"appId\":1}}\n", text, sizeof text), -EBADMSG);
    cr_expect_eq(open_with("{\"a\":1}{\"b\":2}\n", text, sizeof text), -EBADMSG);
}

Test(delta, a_log_without_its_beginning_is_refused)
{
    struct memory_disk memory = {.crash_at = -1};
    const struct delta_disk disk = memory_disk_of(&memory);
    struct delta *delta;
    struct delta_message message = {{0}};
    (void)disk.write(&memory, "lake/trade/_delta_log/00000000000000000007.json", "{}", 2);
    cr_expect_eq(delta_open(&delta, &disk, table, &message), -EBADMSG);
    cr_expect(strstr(message.text, "begins at version 7") != NULL, "%s", message.text);
    memory_disk_free(&memory);
}
