// SPDX-License-Identifier: GPL-3.0-or-later
//
// A folder answers at once. Over HTTP (ringtape_backfill_http.c) an answer is waited for.
#include "tools/ringtape_backfill_source.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_backfill_source_inside.h"
#include "tools/ringtape_command.h"

void backfill_item_refuse(struct backfill_item *item, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    free(item->message);
    if (vasprintf(&item->message, format, arguments) < 0) item->message = NULL;
    va_end(arguments);
    item->state = BACKFILL_ITEM_REFUSED;
}

void backfill_source_known(struct backfill_source *source, struct backfill_item *item)
{
    const struct backfill_source_options *options = &source->options;
    item->state = options->is_there != NULL && options->is_there(options->context, item)
                      ? BACKFILL_ITEM_THERE
                      : BACKFILL_ITEM_KNOWN;
}

// ---- a folder ----

// As on the host, without "data/", or just there.
static bool folder_find(const struct backfill_source *source, const struct backfill_item *item,
                        char path[RINGTAPE_PATH_BYTES_MAX])
{
    char relative[BACKFILL_RELATIVE_BYTES_MAX], name[BACKFILL_NAME_BYTES_MAX];
    struct stat status;
    backfill_item_path(source->plan, item, relative);
    backfill_item_name(source->plan, item, name);
    const char *const places[] = {relative, strchr(relative, '/') + 1, strrchr(relative, '/') + 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        (void)snprintf(path, RINGTAPE_PATH_BYTES_MAX, "%.3700s/%s", source->place, places[i]);
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) return true;
    }
    return false;
}

static void folder_checksum(struct backfill_source *source, struct backfill_item *item)
{
    char path[RINGTAPE_PATH_BYTES_MAX], beside[RINGTAPE_PATH_BYTES_MAX + 16];
    char name[BACKFILL_NAME_BYTES_MAX], text[512];
    struct stat status;
    if (!folder_find(source, item, path)) {
        item->state = BACKFILL_ITEM_MISSING;
        return;
    }
    backfill_item_name(source->plan, item, name);
    (void)snprintf(beside, sizeof beside, "%s.CHECKSUM", path);
    FILE *file = fopen(beside, "re");
    if (file == NULL) {
        backfill_item_refuse(item, "%s.zip: no %s.zip.CHECKSUM beside it (%s)", name, name,
                             strerror(errno));
        return;
    }
    const size_t size = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    if (!backfill_checksum_parse(text, size, name, item->sum)) {
        backfill_item_refuse(item, "%s.zip.CHECKSUM: not 'SHA-256  %s.zip'", name, name);
        return;
    }
    item->bytes = stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
    backfill_source_known(source, item);
}

void backfill_source_judge(struct backfill_source *source, struct backfill_item *item,
                           const char *path)
{
    char sum[BACKFILL_SHA256_TEXT_BYTES], name[BACKFILL_NAME_BYTES_MAX];
    backfill_item_name(source->plan, item, name);
    const int error = backfill_sha256(path, sum);
    if (error < 0)
        backfill_item_refuse(item, "%s: %s", path, strerror(-error));
    else if (strcmp(sum, item->sum) != 0)
        backfill_item_refuse(item, "%s.zip: SHA-256 %.16s... expected, found %.16s...", name,
                             item->sum, sum);
    else
        item->state = BACKFILL_ITEM_READY;
}

// ---- symbols of a folder ----

struct names {
    char **text;
    uint32_t count, room;
};

static bool add_name(struct names *names, const char *text, size_t size)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (strlen(names->text[i]) == size && memcmp(names->text[i], text, size) == 0) return true;
    if (names->count == names->room) {
        const uint32_t room = names->room * 2 + 64;
        void *grown = realloc(names->text, room * sizeof names->text[0]);
        if (grown == NULL) return false;
        names->text = grown;
        names->room = room;
    }
    names->text[names->count] = strndup(text, size);
    return names->text[names->count] != NULL && ++names->count > 0;
}

static void names_in_tree(struct names *names, const char *path)
{
    const struct dirent *entry;
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    while ((entry = readdir(folder)) != NULL) {
        const size_t size = strlen(entry->d_name);
        if (entry->d_name[0] != '.' && size <= BACKFILL_SYMBOL_TEXT_MAX)
            (void)add_name(names, entry->d_name, size);
    }
    (void)closedir(folder);
}

// Files side by side: what stands before "-trades-".
static void names_in_files(struct names *names, const struct backfill_plan *plan, const char *path)
{
    char kind[32];
    const struct dirent *entry;
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    (void)snprintf(kind, sizeof kind, "-%.20s-",
                   plan->channel == CHANNEL_TRADE       ? "trades"
                   : plan->channel == CHANNEL_AGG_TRADE ? "aggTrades"
                                                        : plan->interval);
    while ((entry = readdir(folder)) != NULL) {
        const char *found = strstr(entry->d_name, kind);
        const size_t size = found != NULL ? (size_t)(found - entry->d_name) : 0;
        if (size > 0 && size <= BACKFILL_SYMBOL_TEXT_MAX && strstr(found, ".zip") != NULL)
            (void)add_name(names, entry->d_name, size);
    }
    (void)closedir(folder);
}

static int name_order(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

char **backfill_source_symbols(struct backfill_source *source, uint32_t *count)
{
    char relative[BACKFILL_RELATIVE_BYTES_MAX], path[RINGTAPE_PATH_BYTES_MAX];
    struct names names = {0};
    for (int monthly = 0; monthly < 2; monthly++) {
        backfill_plan_folder(source->plan, monthly != 0, relative);
        (void)snprintf(path, sizeof path, "%.3700s/%s", source->place, relative);
        names_in_tree(&names, path);
        (void)snprintf(path, sizeof path, "%.3700s/%s", source->place, strchr(relative, '/') + 1);
        names_in_tree(&names, path);
    }
    names_in_files(&names, source->plan, source->place);
    if (names.count > 0) qsort(names.text, names.count, sizeof names.text[0], name_order);
    *count = names.count;
    return names.text;
}

// ---- life ----

struct backfill_source *backfill_source_open(const struct backfill_source_options *options)
{
    struct backfill_source *source = calloc(1, sizeof *source);
    const char *place = options->place;
    struct stat status;
    if (source == NULL) {
        (void)ringtape_fail("out of memory");
        return NULL;
    }
    source->options = *options;
    source->place = place;
    source->plan = options->plan;
    errno = 0;
    if (strncmp(place, "http://", 7) == 0 || strncmp(place, "https://", 8) == 0) {
        if (backfill_http_open(source)) return source;
    } else if (stat(place, &status) != 0 || !S_ISDIR(status.st_mode)) {
        (void)ringtape_fail("%s: %s", place, errno != 0 ? strerror(errno) : "not a folder");
    } else {
        return source;
    }
    free(source);
    return NULL;
}

void backfill_source_close(struct backfill_source *source)
{
    if (source == NULL) return;
    backfill_http_close(source);
    free(source);
}

void backfill_source_pump(struct backfill_source *source)
{
    if (source->fetch != NULL) backfill_http_pump(source);
}

int backfill_source_checksum(struct backfill_source *source, uint32_t at)
{
    ensure(at < source->plan->count);
    if (source->fetch != NULL) return backfill_http_checksum(source, at);
    struct backfill_item *item = &source->plan->items[at];
    if (item->state == BACKFILL_ITEM_WANTED) folder_checksum(source, item);
    return RINGTAPE_EXIT_OK;
}

int backfill_source_zip(struct backfill_source *source, uint32_t at,
                        char path[RINGTAPE_PATH_BYTES_MAX])
{
    ensure(at < source->plan->count);
    if (source->fetch != NULL) return backfill_http_zip(source, at, path);
    struct backfill_item *item = &source->plan->items[at];
    if (!folder_find(source, item, path))
        item->state = BACKFILL_ITEM_MISSING;
    else
        backfill_source_judge(source, item, path);
    return RINGTAPE_EXIT_OK;
}

void backfill_source_done(struct backfill_source *source, uint32_t at)
{
    if (source->fetch != NULL) backfill_http_done(source, at);
}

void backfill_source_moved(struct backfill_source *source, uint32_t at, uint32_t by)
{
    if (source->fetch != NULL) backfill_http_moved(source, at, by);
}

uint64_t backfill_source_requests(const struct backfill_source *source)
{
    return source->requests;
}
