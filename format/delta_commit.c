// SPDX-License-Identifier: Apache-2.0
//
// A commit: its actions as text, and how it becomes the next version.
//
//     temporary file (whole, synced) → link to the version's name → folder synced → temporary gone
//         link says the name is taken: read what came, does ours still hold? → the next version
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/delta_inside.h"
#include "format/ensure.h"

// Another name for each committer: where there are two in spite of the lock, each has his own file.
static void temporary_path(const struct delta *delta, char *out)
{
    char name[96];
    (void)snprintf(name, sizeof name, ".ringtape-commit-%ld-%" PRIxPTR, (long)getpid(),
                   (uintptr_t)delta);
    delta_log_name(delta, name, out);
}

// ---- actions ----

void delta_commit_free(struct delta_commit *commit)
{
    delta_text_free(&commit->text);
    *commit = (struct delta_commit){0};
}

// `,"key":` and the value in quotes.
static void put_text(struct delta_text *text, const char *before, const char *value)
{
    delta_text_bytes(text, before, strlen(before));
    delta_text_quote(text, value);
}

void delta_put_info(struct delta_commit *commit, const struct delta_info *info)
{
    struct delta_text *text = &commit->text;
    delta_text_print(text, "{\"commitInfo\":{\"timestamp\":%" PRId64, info->time_ms);
    put_text(text, ",\"operation\":", info->operation);
    put_text(text, ",\"operationParameters\":{\"mode\":", info->mode);
    put_text(text, "},\"engineInfo\":", info->engine);
    delta_text_print(text, ",\"isBlindAppend\":%s}}\n", info->blind_append ? "true" : "false");
}

void delta_put_protocol(struct delta_commit *commit)
{
    commit->has_metadata = true;
    delta_text_print(&commit->text,
                     "{\"protocol\":{\"minReaderVersion\":%d,\"minWriterVersion\":%d}}\n",
                     DELTA_READER_VERSION, DELTA_WRITER_VERSION);
}

void delta_put_metadata(struct delta_commit *commit, const struct delta_metadata *metadata)
{
    struct delta_text *text = &commit->text;
    commit->has_metadata = true;
    put_text(text, "{\"metaData\":{\"id\":", metadata->id);
    put_text(text, ",\"name\":", metadata->name);
    put_text(text, ",\"format\":{\"provider\":\"parquet\",\"options\":{}},\"schemaString\":",
             metadata->schema);
    delta_text_print(text, ",\"partitionColumns\":[");
    for (uint32_t i = 0; metadata->partition_columns[i] != NULL; i++)
        put_text(text, i > 0 ? "," : "", metadata->partition_columns[i]);
    delta_text_print(text, "],\"configuration\":{");
    for (uint32_t i = 0; metadata->configuration[i][0] != NULL; i++) {
        put_text(text, i > 0 ? "," : "", metadata->configuration[i][0]);
        put_text(text, ":", metadata->configuration[i][1]);
    }
    delta_text_print(text, "},\"createdTime\":%" PRId64 "}}\n", metadata->created_ms);
}

void delta_put_txn(struct delta_commit *commit, const char *app, int64_t version, int64_t time_ms)
{
    const size_t size = strlen(app);
    ensure(size < DELTA_APP_BYTES);
    if (!commit->has_app) memcpy(commit->app, app, size + 1);
    commit->has_app = true;
    put_text(&commit->text, "{\"txn\":{\"appId\":", app);
    delta_text_print(&commit->text, ",\"version\":%" PRId64 ",\"lastUpdated\":%" PRId64 "}}\n",
                     version, time_ms);
}

void delta_encode_path(const char *path, char *out)
{
    static const char plain[] = "-_.~/=!$&'()*+,;:@"; // letters and digits apart
    size_t size = 0;
    for (const char *c = path; *c != 0; c++) {
        ensure(size + 4 < DELTA_PATH_BYTES_MAX);
        const bool stays = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                           (*c >= '0' && *c <= '9') || strchr(plain, *c) != NULL;
        if (stays)
            out[size++] = *c;
        else
            size += (size_t)snprintf(out + size, 4, "%%%02X", (unsigned char)*c);
    }
    out[size] = 0;
}

static void put_partition(struct delta_text *text, const char *exchange, const char *date)
{
    put_text(text, ",\"partitionValues\":{\"exchange\":", exchange);
    put_text(text, ",\"date\":", date);
    delta_text_print(text, "}");
}

void delta_put_add(struct delta_commit *commit, const struct delta_add *add)
{
    struct delta_text *text = &commit->text;
    char path[DELTA_PATH_BYTES_MAX];
    ensure(add->path[0] != '/' && add->bytes > 0 && add->stats != NULL);
    delta_encode_path(add->path, path);
    put_text(text, "{\"add\":{\"path\":", path);
    put_partition(text, add->exchange, add->date);
    delta_text_print(text,
                     ",\"size\":%" PRId64 ",\"modificationTime\":%" PRId64 ",\"dataChange\":%s",
                     add->bytes, add->time_ms, add->data_change ? "true" : "false");
    put_text(text, ",\"stats\":", add->stats);
    put_text(text, ",\"tags\":{\"ringtape.store\":", add->store);
    delta_text_print(text, ",\"ringtape.tapes\":\"%" PRId64 "-%" PRId64 "\"}}}\n", add->tape_from,
                     add->tape_to);
}

void delta_put_remove(struct delta_commit *commit, const struct delta_file *file, int64_t time_ms,
                      bool data_change)
{
    struct delta_text *text = &commit->text;
    char path[DELTA_PATH_BYTES_MAX];
    ensure(file->live);
    delta_encode_path(file->path, path);
    put_text(text, "{\"remove\":{\"path\":", path);
    delta_text_print(text, ",\"deletionTimestamp\":%" PRId64 ",\"dataChange\":%s", time_ms,
                     data_change ? "true" : "false");
    delta_text_print(text, ",\"extendedFileMetadata\":true");
    put_partition(text, file->exchange, file->date);
    delta_text_print(text, ",\"size\":%" PRId64 "}}\n", file->bytes);
}

// ---- a lost race ----

// Are all files that the commit removes still live?
static bool removes_hold(struct delta *delta, const struct delta_commit *commit)
{
    struct delta copy = {.version = -1}; // of the commit alone
    bool hold = delta_take_lines(&copy, commit->text.bytes, commit->text.size, "") == 0;
    for (uint32_t i = 0; i < copy.file_count && hold; i++) {
        if (copy.files[i].live) continue;
        const struct delta_file *now = delta_find_file(delta, copy.files[i].path);
        hold = now != NULL && now->live;
    }
    delta_forget(&copy);
    return hold;
}

// Somebody else has that version: what came is read. 0: the commit holds as it is.
static int look_again(struct delta *delta, const struct delta_commit *commit, int64_t before)
{
    const int64_t version = delta->version;
    int error = delta_catch_up(delta);
    if (error == 0) error = delta_check(delta);
    if (error != 0) return error;
    ensure(delta->version > version); // its name was taken
    if (commit->has_metadata || (commit->has_app && delta_txn(delta, commit->app) != before) ||
        !removes_hold(delta, commit))
        return delta_fail(delta, -ECANCELED, "somebody else committed first");
    return 0;
}

// ---- committing ----

// 0; -EEXIST: the version is taken.
static int publish(struct delta *delta, const char *written)
{
    char path[DELTA_PATH_BYTES_MAX], directory[DELTA_PATH_BYTES_MAX];
    const struct delta_disk *disk = &delta->disk;
    delta_log_path(delta, delta->version + 1, ".json", path);
    delta_log_name(delta, "", directory);
    int error = disk->link(disk->context, written, path);
    if (error == 0) error = disk->sync(disk->context, directory);
    return error;
}

static int commit_text(struct delta *delta, const struct delta_commit *commit, const char *written)
{
    const int64_t before = commit->has_app ? delta_txn(delta, commit->app) : -1;
    for (int race = 0; race < DELTA_RACES_MAX; race++) {
        int error = publish(delta, written);
        if (error == 0) return 0;
        if (error != -EEXIST)
            return delta_fail(delta, error, "the commit cannot be made visible: %s",
                              strerror(-error));
        error = look_again(delta, commit, before);
        if (error != 0) return error;
    }
    return delta_fail(delta, -EBUSY, "others commit all the time; one committer a table");
}

int delta_commit(struct delta *delta, const struct delta_commit *commit,
                 struct delta_message *message)
{
    char written[DELTA_PATH_BYTES_MAX], directory[DELTA_PATH_BYTES_MAX];
    const struct delta_disk *disk = &delta->disk;
    if (commit->text.failed) return -ENOMEM;
    ensure(commit->text.size > 0);
    delta->message = message;
    delta_log_name(delta, "", directory);
    temporary_path(delta, written);
    int error = disk->make(disk->context, directory);
    if (error == 0)
        error = disk->write(disk->context, written, commit->text.bytes, commit->text.size);
    if (error != 0)
        (void)delta_fail(delta, error, "the commit cannot be written: %s", strerror(-error));
    if (error == 0) {
        error = commit_text(delta, commit, written);
        (void)disk->unlink(disk->context, written); // else the next one removes it
    }
    if (error == 0)
        error = delta_take_lines(delta, commit->text.bytes, commit->text.size, "a commit");
    if (error == 0) delta->version++;
    delta->message = NULL;
    return error;
}
