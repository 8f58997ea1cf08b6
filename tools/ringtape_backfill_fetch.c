// SPDX-License-Identifier: GPL-3.0-or-later
//
// One multi handle; a request is an easy handle while it runs.
#include "tools/ringtape_backfill_fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/version.h"

enum {
    CONNECT_TIMEOUT_S = 15,
    SLOW_BYTES_PER_S = 100,
    SLOW_S = 30,
    REDIRECTS_MAX = 3,
    STATUS_PARTIAL = 206,
};

struct backfill_fetch {
    CURLM *multi;
    const char *ca_file;
};

struct backfill_fetch *backfill_fetch_open(const char *ca_file)
{
    struct backfill_fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(fetch);
        return NULL;
    }
    fetch->ca_file = ca_file;
    fetch->multi = curl_multi_init();
    if (fetch->multi != NULL) return fetch;
    free(fetch);
    return NULL;
}

void backfill_fetch_close(struct backfill_fetch *fetch)
{
    if (fetch == NULL) return;
    (void)curl_multi_cleanup(fetch->multi);
    curl_global_cleanup();
    free(fetch);
}

// ---- what comes ----

static bool good_status(const struct backfill_request *request)
{
    return request->status == 200 || request->status == STATUS_PARTIAL;
}

// The first bytes of a body: a server that does not go on where we were begins anew.
static bool begin_body(struct backfill_request *request)
{
    (void)curl_easy_getinfo(request->handle, CURLINFO_RESPONSE_CODE, &request->status);
    request->started = true;
    if (request->file < 0 || request->status != 200 || request->offset == 0) return true;
    request->offset = 0;
    request->got = 0;
    return ftruncate(request->file, 0) == 0;
}

static bool to_file(struct backfill_request *request, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t done = pwrite(request->file, bytes, size, request->offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            request->failure = done < 0 ? errno : EIO;
            return false;
        }
        bytes += done;
        size -= (size_t)done;
        request->offset += done;
        request->got += (uint64_t)done;
    }
    return true;
}

static bool to_memory(struct backfill_request *request, const char *bytes, size_t size)
{
    if (request->text_size + size > BACKFILL_FETCH_TEXT_BYTES_MAX) return false;
    char *grown = realloc(request->text, request->text_size + size + 1);
    if (grown == NULL) return false;
    memcpy(grown + request->text_size, bytes, size);
    request->text = grown;
    request->text_size += size;
    grown[request->text_size] = 0;
    return true;
}

static size_t body(char *bytes, size_t one, size_t size, void *context)
{
    struct backfill_request *request = context;
    ensure(one == 1);
    if (!request->started && !begin_body(request)) return 0;
    const bool file = request->file >= 0 && good_status(request);
    return (file ? to_file(request, bytes, size) : to_memory(request, bytes, size)) ? size : 0;
}

// The value of header `name` into `out`, if this line is one.
static void header_value(const char *line, size_t size, const char *name, char *out)
{
    const size_t head = strlen(name);
    if (size <= head || line[head] != ':' || strncasecmp(line, name, head) != 0) return;
    size_t at = head + 1;
    while (at < size && isspace((unsigned char)line[at])) at++;
    while (size > at && isspace((unsigned char)line[size - 1])) size--;
    (void)snprintf(out, BACKFILL_FETCH_HEADER_BYTES, "%.*s", (int)(size - at), line + at);
}

static size_t header(char *line, size_t one, size_t size, void *context)
{
    struct backfill_request *request = context;
    char value[BACKFILL_FETCH_HEADER_BYTES] = "";
    header_value(line, one * size, "Retry-After", value);
    if (value[0] != 0) request->retry_after_s = strtoll(value, NULL, 10);
    if (request->used_header != NULL)
        header_value(line, one * size, request->used_header, request->used);
    return one * size;
}

// ---- starting ----

static void broken(struct backfill_request *request, const char *why)
{
    request->state = BACKFILL_FETCH_BROKEN;
    (void)snprintf(request->message, sizeof request->message, "%.200s", why);
}

static bool open_file(struct backfill_request *request, const char *path)
{
    struct stat status;
    request->file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (request->file < 0 || fstat(request->file, &status) != 0) {
        request->failure = errno;
        return false;
    }
    request->offset = status.st_size;
    request->got = (uint64_t)status.st_size;
    return true;
}

static void set_options(const struct backfill_fetch *fetch, struct backfill_request *request,
                        const char *url)
{
    CURL *easy = request->handle;
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "ringtape/" RINGTAPE_VERSION);
    if (fetch->ca_file != NULL) (void)curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file);
    if (request->offset > 0)
        (void)curl_easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)request->offset);
    if (request->headers != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    if (request->head) (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
}

void backfill_fetch_start(struct backfill_fetch *fetch, struct backfill_request *request,
                          const char *url, const char *path, const char *send,
                          const char *used_header)
{
    const bool head = request->head;
    *request = (struct backfill_request){.file = -1, .used_header = used_header, .head = head};
    if (path != NULL && !open_file(request, path)) {
        broken(request, strerror(request->failure));
        return;
    }
    request->handle = curl_easy_init();
    if (send != NULL) request->headers = curl_slist_append(NULL, send);
    if (request->handle == NULL) {
        broken(request, "out of memory");
        return;
    }
    set_options(fetch, request, url);
    if (curl_multi_add_handle(fetch->multi, request->handle) != CURLM_OK)
        broken(request, "out of memory");
}

// ---- ending ----

static void release(struct backfill_fetch *fetch, struct backfill_request *request)
{
    if (request->handle != NULL) {
        (void)curl_multi_remove_handle(fetch->multi, request->handle);
        curl_easy_cleanup(request->handle);
    }
    curl_slist_free_all(request->headers);
    if (request->file >= 0) (void)close(request->file);
    request->handle = request->headers = NULL;
    request->file = -1;
}

void backfill_fetch_cancel(struct backfill_fetch *fetch, struct backfill_request *request)
{
    release(fetch, request);
    free(request->text);
    request->text = NULL;
}

// Does it fail in the same way next time?
static bool is_hopeless(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

static void finish(struct backfill_fetch *fetch, struct backfill_request *request, CURLcode code)
{
    curl_off_t length = -1;
    (void)curl_easy_getinfo(request->handle, CURLINFO_RESPONSE_CODE, &request->status);
    (void)curl_easy_getinfo(request->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (length >= 0) request->length = (uint64_t)length;
    // A range beyond the end: everything is there.
    const bool beyond = request->status == 416 && request->offset > 0;
    if (request->failure != 0)
        broken(request, strerror(request->failure));
    else if (code == CURLE_OK || beyond)
        request->state = BACKFILL_FETCH_DONE;
    else
        broken(request, curl_easy_strerror(code));
    request->hopeless = is_hopeless(code);
    release(fetch, request);
}

void backfill_fetch_pump(struct backfill_fetch *fetch)
{
    int running, left;
    CURLMsg *message;
    (void)curl_multi_perform(fetch->multi, &running);
    while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
        struct backfill_request *request = NULL;
        if (message->msg != CURLMSG_DONE) continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        ensure(request != NULL && request->handle == message->easy_handle);
        finish(fetch, request, message->data.result);
    }
}

void backfill_fetch_wait(struct backfill_fetch *fetch, int timeout_ms)
{
    (void)curl_multi_poll(fetch->multi, NULL, 0, timeout_ms, NULL);
    backfill_fetch_pump(fetch);
}
