// SPDX-License-Identifier: Apache-2.0
//
// mirror_state: see mirror_state.h.
#include "format/mirror_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { LINE_BYTES_MAX = 160, NAME_BYTES = 32, TRAILER_BYTES = 22 };

struct text {
    char *at;
    const char *end;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *out, const char *format, ...)
{
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    int size = vsnprintf(out->at, (size_t)(out->end - out->at), format, arguments);
    __builtin_va_end(arguments);
    ensure(size > 0 && size < out->end - out->at);
    out->at += size;
}

static void put_channel(struct text *out, const struct mirror_state *state, int c, const char *name)
{
    if (state->delivered[c] != 0 || state->refused[c] != 0)
        put(out, "topic %s %" PRIu64 " %" PRIu64 "\n", name, state->delivered[c],
            state->refused[c]);
    for (int s = 0; s < MIRROR_SHARDS_MAX; s++) {
        const struct mirror_cursor *cursor = &state->cursor[c][s];
        if (cursor->tape != 0)
            put(out, "cursor %s %d %" PRIu32 " %" PRIu64 "\n", name, s, cursor->tape,
                cursor->rows);
    }
}

size_t mirror_state_write(const struct mirror_state *state, char *text)
{
    struct text out = {text, text + MIRROR_STATE_BYTES_MAX};
    put(&out, "ringtape-mirror 1 0\ntime %" PRId64 "\n", state->time_ns);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema) put_channel(&out, state, c, schema->name);
    }
    put(&out, "xxh3 %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, (size_t)(out.at - text)));
    return (size_t)(out.at - text);
}

// A topic of a channel that this version does not know is passed over.
static bool parse_topic(struct mirror_state *state, const char *line)
{
    char name[NAME_BYTES];
    uint64_t delivered, refused;
    if (sscanf(line, "topic %31s %" SCNu64 " %" SCNu64, name, &delivered, &refused) != 3)
        return false;
    enum channel channel = channel_by_name(name);
    state->delivered[channel] = delivered;
    state->refused[channel] = refused;
    return true;
}

static bool parse_cursor(struct mirror_state *state, const char *line)
{
    char name[NAME_BYTES];
    uint32_t shard, tape;
    uint64_t rows;
    if (sscanf(line, "cursor %31s %" SCNu32 " %" SCNu32 " %" SCNu64, name, &shard, &tape, &rows) !=
        4)
        return false;
    if (shard >= MIRROR_SHARDS_MAX) return false;
    state->cursor[channel_by_name(name)][shard] = (struct mirror_cursor){tape, rows};
    return true;
}

static bool parse_line(struct mirror_state *state, const char *line)
{
    if (strncmp(line, "topic ", 6) == 0) return parse_topic(state, line);
    if (strncmp(line, "cursor ", 7) == 0) return parse_cursor(state, line);
    if (strncmp(line, "time ", 5) == 0)
        return sscanf(line, "time %" SCNd64, &state->time_ns) == 1;
    return true; // of a later minor version
}

static int parse(struct mirror_state *state, const char *text, size_t size)
{
    uint64_t hash;
    char line[LINE_BYTES_MAX];
    unsigned major, minor;
    const char *end = text + size;
    if (size < TRAILER_BYTES || end[-1] != '\n') return -EBADMSG;
    const char *trailer = end - TRAILER_BYTES;
    memcpy(line, trailer, TRAILER_BYTES);
    line[TRAILER_BYTES] = '\0';
    if (sscanf(line, "xxh3 %" SCNx64, &hash) != 1 ||
        hash != XXH3_64bits(text, (size_t)(trailer - text)))
        return -EBADMSG;
    for (const char *at = text; at < trailer;) {
        const char *stop = memchr(at, '\n', (size_t)(trailer - at));
        if (!stop || stop - at >= LINE_BYTES_MAX) return -EBADMSG;
        memcpy(line, at, (size_t)(stop - at));
        line[stop - at] = '\0';
        if (at == text && sscanf(line, "ringtape-mirror %u %u", &major, &minor) != 2)
            return -EBADMSG;
        if (at == text && major != 1) return -EPROTONOSUPPORT;
        if (at != text && !parse_line(state, line)) return -EBADMSG;
        at = stop + 1;
    }
    return 0;
}

int mirror_state_parse(struct mirror_state *state, const char *text, size_t size)
{
    memset(state, 0, sizeof *state);
    int result = parse(state, text, size);
    if (result < 0) memset(state, 0, sizeof *state);
    return result;
}
