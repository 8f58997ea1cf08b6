// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_fetch: files over HTTP, several at once, by libcurl, which is named here alone.
//
// A request is started, pumped, and looked at: it never blocks but in backfill_fetch_wait(). What
// goes to a file is appended to it, and asked for from its size on. Redirects are followed, three
// at most; only http and https; an answer of less than 100 bytes a second for 30 s is cut.
//
// Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_FETCH_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BACKFILL_FETCH_TEXT_BYTES_MAX = 16 << 20, // of an answer kept in memory
    BACKFILL_FETCH_MESSAGE_BYTES = 256,
    BACKFILL_FETCH_HEADER_BYTES = 64,
};

enum backfill_fetch_state { BACKFILL_FETCH_RUNNING, BACKFILL_FETCH_DONE, BACKFILL_FETCH_BROKEN };

// One request; embedded by the caller, who leaves it alone while it runs, and frees `text`.
struct backfill_request {
    enum backfill_fetch_state state;
    long status;          // of HTTP; 0: none came
    int64_t retry_after_s; // told by the server, 0: not
    char used[BACKFILL_FETCH_HEADER_BYTES]; // value of the header asked for
    uint64_t length;      // of the whole, where told
    uint64_t got;         // bytes of it so far
    char message[BACKFILL_FETCH_MESSAGE_BYTES]; // BROKEN
    char *text;           // the answer, where it goes to no file
    size_t text_size;
    bool head;            // set before the start: only the headers are wanted
    int failure;          // errno of the file, 0: none
    bool hopeless;        // BROKEN, and would be again: a certificate or URL that is not right
    // ---- private ----
    void *handle;
    void *headers;
    int file;
    int64_t offset;
    const char *used_header;
    bool started; // bytes came
};

struct backfill_fetch;
// `ca_file`: certificates to be trusted instead of the system's, or NULL. NULL: no memory.
struct backfill_fetch *backfill_fetch_open(const char *ca_file);
void backfill_fetch_close(struct backfill_fetch *fetch);
// `path`: NULL, the answer goes to memory; else it is appended to that file. `header`: to be sent,
// or NULL. `used_header`: of the answer, wanted in request->used, or NULL.
void backfill_fetch_start(struct backfill_fetch *fetch, struct backfill_request *request,
                          const char *url, const char *path, const char *header,
                          const char *used_header);
void backfill_fetch_cancel(struct backfill_fetch *fetch, struct backfill_request *request);
// Moves what can be moved now.
void backfill_fetch_pump(struct backfill_fetch *fetch);
// The same, after waiting for something to happen, at most `timeout_ms`.
void backfill_fetch_wait(struct backfill_fetch *fetch, int timeout_ms);

#endif
