// SPDX-License-Identifier: Apache-2.0
//
// export_state: see export_state.h.
#include "format/export_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { TRAILER_BYTES = 22, NAME_BYTES = 32 };

void export_state_name(const char *folder, char out[EXPORT_STATE_NAME_BYTES])
{
    (void)snprintf(out, EXPORT_STATE_NAME_BYTES, "%016" PRIx64,
                   (uint64_t)XXH3_64bits(folder, strlen(folder)));
}

size_t export_state_write(const struct export_state *state, char *out)
{
    size_t size = (size_t)snprintf(out, EXPORT_STATE_BYTES_MAX,
                                   "ringtape-export 1 0\ntime %" PRId64 "\ntables %s\n",
                                   state->time_ns, state->tables);
    ensure(size < EXPORT_STATE_BYTES_MAX - CHANNEL_COUNT * 2 * NAME_BYTES);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema == NULL || (state->channels >> c & 1) == 0) continue;
        size += (size_t)snprintf(out + size, EXPORT_STATE_BYTES_MAX - size,
                                 "channel %s %" PRIu32 "\n", schema->name, state->tape[c]);
    }
    size += (size_t)snprintf(out + size, EXPORT_STATE_BYTES_MAX - size, "xxh3 %016" PRIx64 "\n",
                             (uint64_t)XXH3_64bits(out, size));
    ensure(size < EXPORT_STATE_BYTES_MAX);
    return size;
}

// ---- reading ----

// Is the line `word` and a space? Then what follows, ended by zero, into `rest`.
static bool line_is(const char *line, size_t size, const char *word, char *rest, size_t room)
{
    const size_t length = strlen(word);
    if (size <= length || memcmp(line, word, length) != 0 || line[length] != ' ') return false;
    const size_t left = size - length - 1;
    const size_t kept = left < room - 1 ? left : room - 1;
    memcpy(rest, line + length + 1, kept);
    rest[kept] = 0;
    return true;
}

// Digits alone, up to the end or a space; false: no number.
static bool number(const char *text, char **end, uint64_t most, uint64_t *value)
{
    errno = 0;
    *value = strtoull(text, end, 10);
    return *text >= '0' && *text <= '9' && errno == 0 && *value <= most;
}

static bool take_channel(struct export_state *state, char *rest)
{
    char *space = strchr(rest, ' ');
    char *end;
    uint64_t tape;
    if (space == NULL || !number(space + 1, &end, UINT32_MAX, &tape)) return false;
    *space = 0;
    const enum channel channel = channel_by_name(rest);
    if (channel == CHANNEL_NONE) return true; // of a later version
    state->channels |= 1u << channel;
    state->tape[channel] = (uint32_t)tape;
    return true;
}

// What a later minor version adds is passed over.
static bool take_line(struct export_state *state, const char *line, size_t size)
{
    char rest[EXPORT_STATE_PATH_BYTES];
    char *end;
    uint64_t value;
    if (line_is(line, size, "channel", rest, sizeof rest)) return take_channel(state, rest);
    if (line_is(line, size, "time", rest, sizeof rest)) {
        if (!number(rest, &end, INT64_MAX, &value)) return false;
        state->time_ns = (int64_t)value;
    } else if (line_is(line, size, "tables", rest, sizeof rest)) {
        memcpy(state->tables, rest, strlen(rest) + 1);
    }
    return true;
}

static int check(const char *text, size_t size)
{
    char trailer[TRAILER_BYTES + 1];
    if (size < TRAILER_BYTES || size > EXPORT_STATE_BYTES_MAX) return -EBADMSG;
    const size_t body = size - TRAILER_BYTES;
    (void)snprintf(trailer, sizeof trailer, "xxh3 %016" PRIx64 "\n",
                   (uint64_t)XXH3_64bits(text, body));
    if (memcmp(trailer, text + body, TRAILER_BYTES) != 0) return -EBADMSG;
    static const char first[] = "ringtape-export ";
    if (body < sizeof first + 1 || memcmp(text, first, sizeof first - 1) != 0) return -EBADMSG;
    return memcmp(text + sizeof first - 1, "1 ", 2) == 0 ? 0 : -EPROTONOSUPPORT;
}

int export_state_parse(struct export_state *state, const char *text, size_t size)
{
    memset(state, 0, sizeof *state);
    int error = check(text, size);
    const size_t body = error == 0 ? size - TRAILER_BYTES : 0;
    for (size_t at = 0; at < body && error == 0;) {
        const char *end = memchr(text + at, '\n', body - at);
        const size_t length = end != NULL ? (size_t)(end - text) - at : 0;
        if (end == NULL || !take_line(state, text + at, length)) error = -EBADMSG;
        at += length + 1;
    }
    if (error != 0) memset(state, 0, sizeof *state);
    return error;
}
