// SPDX-License-Identifier: GPL-3.0-or-later
//
// A request is a file, a range of it, and perhaps one fault, the first whose turn it is.
#include "tools/exchange_sim_archive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_connection.h"

#define SLOW_NS ((int64_t)500000000)
enum { PATH_BYTES = 1024, NO_FAULT = ARCHIVE_FAULTS };

static const char *const fault_names[ARCHIVE_FAULTS] = {
    [ARCHIVE_FAULT_CHECKSUM] = "checksum", [ARCHIVE_FAULT_TRUNCATED] = "truncated",
    [ARCHIVE_FAULT_MISSING] = "missing",   [ARCHIVE_FAULT_LIMIT] = "limit",
    [ARCHIVE_FAULT_ERROR] = "error",       [ARCHIVE_FAULT_CUT] = "cut",
    [ARCHIVE_FAULT_SLOW] = "slow",
};

bool exchange_sim_archive_faults(struct exchange_sim_archive *archive, const char *text)
{
    while (*text != '\0') {
        int fault = 0;
        const char *equals = strchr(text, '=');
        char *end;
        if (equals == NULL)
            return false;
        while (fault < ARCHIVE_FAULTS && (strlen(fault_names[fault]) != (size_t)(equals - text) ||
                                          strncmp(fault_names[fault], text,
                                                  (size_t)(equals - text)) != 0))
            fault++;
        unsigned long const every = strtoul(equals + 1, &end, 10);
        if (fault == ARCHIVE_FAULTS || end == equals + 1 || every == 0 || every > UINT32_MAX ||
            (*end != ',' && *end != '\0'))
            return false;
        archive->every[fault] = (uint32_t)every;
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

// ---- files ----

struct file {
    char *bytes; // NULL: there is none
    size_t size;
    size_t from; // of the range that was asked for
    bool ranged;
    bool checksum;
};

static bool path_is_safe(const char *path, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (path[i] <= ' ' || path[i] > '~' ||
            (path[i] == '.' && i + 1 < size && path[i + 1] == '.'))
            return false;
    return true;
}

static void file_read(struct file *file, const struct exchange_sim_archive *archive,
                      const char *path, uint32_t size)
{
    char name[PATH_BYTES];
    int const written = snprintf(name, sizeof name, "%s%.*s", archive->folder, (int)size, path);
    if (written <= 0 || written >= PATH_BYTES || !path_is_safe(path, size))
        return;
    FILE *opened = fopen(name, "re");
    if (opened == NULL)
        return;
    file->bytes = malloc(ARCHIVE_FILE_BYTES_MAX);
    if (file->bytes != NULL)
        file->size = fread(file->bytes, 1, ARCHIVE_FILE_BYTES_MAX, opened);
    (void)fclose(opened);
}

// "bytes=123-": what libcurl asks to go on.
static void range_read(struct file *file, const struct exchange_sim_connection *c)
{
    struct http_slice range;
    char text[64] = "";
    if (!http_field_find(&c->http, "Range", &range) || range.size >= sizeof text)
        return;
    memcpy(text, range.text, range.size);
    if (strncmp(text, "bytes=", 6) != 0)
        return;
    file->from = (size_t)strtoull(text + 6, NULL, 10);
    file->ranged = true;
}

// ---- faults ----

static bool fault_applies(enum exchange_sim_archive_fault fault, const struct file *file)
{
    bool const zip = !file->checksum && file->bytes != NULL;
    switch (fault) {
    case ARCHIVE_FAULT_CHECKSUM: return file->checksum && file->bytes != NULL;
    case ARCHIVE_FAULT_MISSING: return file->checksum;
    case ARCHIVE_FAULT_TRUNCATED:
    case ARCHIVE_FAULT_CUT: return zip && file->size - file->from > 1;
    default: return true;
    }
}

static int fault_choose(struct exchange_sim_archive *archive, const struct file *file)
{
    int chosen = NO_FAULT;
    for (int f = 0; f < ARCHIVE_FAULTS; f++) {
        if (archive->every[f] == 0 || !fault_applies((enum exchange_sim_archive_fault)f, file))
            continue;
        if (++archive->asked[f] % archive->every[f] == 0 && chosen == NO_FAULT)
            chosen = f;
    }
    return chosen;
}

// ---- answers ----

// `told`: the length that the head tells, of which `size` bytes come.
static void reply(struct exchange_sim_connection *c, uint16_t status, const char *bytes,
                  size_t size, size_t told, const char *extra)
{
    char head[1024];
    bool const head_only = c->http.method.size == 4 && memcmp(c->http.method.text, "HEAD", 4) == 0;
    struct http_response const response = {.status = status,
                                           .content_type = "binary/octet-stream",
                                           .extra = &extra,
                                           .extra_count = extra != NULL,
                                           .content_length = told};
    uint32_t const head_size = http_response_format(&response, head, sizeof head);
    ensure(head_size > 0 && c->body == NULL);
    exchange_sim_connection_write(c, (const uint8_t *)head, head_size);
    c->server->counters.rest++;
    if (size == 0 || head_only)
        return;
    c->body = malloc(size);
    if (c->body == NULL) {
        exchange_sim_connection_drain(c);
        return;
    }
    memcpy(c->body, bytes, size);
    c->body_size = (uint32_t)size;
    c->body_sent = 0;
    c->body_chunked = false;
}

static void reply_file(struct exchange_sim_connection *c, const struct file *file, int fault)
{
    char range[96];
    size_t size = file->size - file->from;
    size_t told = size;
    if (fault == ARCHIVE_FAULT_TRUNCATED)
        told = size = size / 2;
    if (fault == ARCHIVE_FAULT_CUT)
        size /= 2;
    (void)snprintf(range, sizeof range, "Content-Range: bytes %zu-%zu/%zu", file->from,
                   file->size - 1, file->size);
    reply(c, file->ranged ? 206 : 200, file->bytes + file->from, size, told,
          file->ranged ? range : NULL);
    if (fault == ARCHIVE_FAULT_CUT)
        exchange_sim_connection_drain(c);
}

static void answer(struct exchange_sim_connection *c, struct file *file, int fault)
{
    if (fault == ARCHIVE_FAULT_SLOW)
        c->quiet_until_ns = c->server->now_ns + SLOW_NS;
    if (fault == ARCHIVE_FAULT_LIMIT)
        reply(c, 429, NULL, 0, 0, "Retry-After: 1");
    else if (fault == ARCHIVE_FAULT_ERROR)
        reply(c, 503, NULL, 0, 0, NULL);
    else if (fault == ARCHIVE_FAULT_MISSING || file->bytes == NULL)
        reply(c, 404, NULL, 0, 0, NULL);
    else if (file->from > 0 && file->from >= file->size)
        reply(c, 416, NULL, 0, 0, NULL);
    else
        reply_file(c, file, fault);
}

bool exchange_sim_archive_request(struct exchange_sim_archive *archive,
                                  struct exchange_sim_connection *c, const char *path,
                                  uint32_t size)
{
    static const char ending[] = ".CHECKSUM";
    struct file file = {0};
    if (archive->folder == NULL || size < 6 || memcmp(path, "/data/", 6) != 0)
        return false;
    file.checksum = size > sizeof ending - 1 &&
                    memcmp(path + size - (sizeof ending - 1), ending, sizeof ending - 1) == 0;
    file_read(&file, archive, path, size);
    range_read(&file, c);
    int const fault = fault_choose(archive, &file);
    if (fault == ARCHIVE_FAULT_CHECKSUM && file.size > 0)
        file.bytes[0] = file.bytes[0] == '0' ? '1' : '0';
    answer(c, &file, fault);
    free(file.bytes);
    return true;
}
