// SPDX-License-Identifier: Apache-2.0
//
// mirror_state: see mirror_state.h.
#include "format/mirror_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { NAME_BYTES = 32, TRAILER_BYTES = 22, MINOR_LAYOUT = 3 };

static const char batch[] = "batch"; // instead of a channel's name

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
    if (state->topics >> c & 1) put(out, "mirrored %s\n", name);
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

static void put_tape(struct text *out, const struct mirror_state_tape *note)
{
    if (note->shard < MIRROR_SHARDS_MAX)
        put(out, "tape %" PRIu32 " %" PRIu32 " %016" PRIx64 "\n", note->tape, note->shard,
            note->layout);
    else
        put(out, "unknown %" PRIu32 " %016" PRIx64 "\n", note->tape, note->layout);
}

size_t mirror_state_write(const struct mirror_state *state, char *text)
{
    struct text out = {text, text + MIRROR_STATE_BYTES_MAX};
    put(&out, "ringtape-mirror 1 3\ntime %" PRId64 "\n", state->time_ns);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (c == CHANNEL_NONE || schema) put_channel(&out, state, c, schema ? schema->name : batch);
    }
    for (uint32_t t = 0; t < state->tape_count; t++) put_tape(&out, &state->tapes[t]);
    for (uint32_t i = 0; i < MIRROR_SHARDS_MAX * MIRROR_STATE_SPARES; i++) {
        const uint32_t shard = i / MIRROR_STATE_SPARES;
        const uint32_t tape = state->spare[shard][i % MIRROR_STATE_SPARES];
        if (tape != 0) put(&out, "spare %" PRIu32 " %" PRIu32 "\n", shard, tape);
    }
    put(&out, "xxh3 %016" PRIx64 "\n", (uint64_t)XXH3_64bits(text, (size_t)(out.at - text)));
    return (size_t)(out.at - text);
}

// ---- reading ----

struct line {
    const char *at;
    const char *end;
    bool good;
};

static void take_word(struct line *line, char out[NAME_BYTES])
{
    uint32_t size = 0;
    while (line->at < line->end && *line->at != ' ' && size < NAME_BYTES - 1)
        out[size++] = *line->at++;
    out[size] = '\0';
    line->good = line->good && size > 0 && (line->at == line->end || *line->at == ' ');
    line->at += line->at < line->end;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static uint64_t take_number(struct line *line, unsigned base)
{
    char word[NAME_BYTES];
    uint64_t value = 0;
    take_word(line, word);
    for (const char *c = word; *c != '\0'; c++) {
        unsigned digit = (unsigned)digit_of(*c);
        line->good = line->good && digit < base && value <= (UINT64_MAX - digit) / base;
        value = value * base + digit;
    }
    return value;
}

static void parse_topic(struct mirror_state *state, struct line *line, enum channel channel)
{
    state->delivered[channel] = take_number(line, 10);
    state->refused[channel] = take_number(line, 10);
}

static void parse_cursor(struct mirror_state *state, struct line *line, enum channel channel)
{
    uint64_t shard = take_number(line, 10);
    uint64_t tape = take_number(line, 10);
    uint64_t rows = take_number(line, 10);
    line->good = line->good && shard < MIRROR_SHARDS_MAX && tape <= UINT32_MAX;
    if (line->good) state->cursor[channel][shard] = (struct mirror_cursor){(uint32_t)tape, rows};
}

static void parse_mirrored(struct mirror_state *state, struct line *line, enum channel channel)
{
    (void)line;
    state->topics |= 1u << channel;
}

struct topic_line {
    const char *word;
    void (*parse)(struct mirror_state *state, struct line *line, enum channel channel);
};

// NULL: not a line of a topic.
static const struct topic_line *topic_line(const char *word)
{
    static const struct topic_line lines[] = {
        {"mirrored", parse_mirrored}, {"topic", parse_topic}, {"cursor", parse_cursor}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strcmp(word, lines[i].word) == 0) return &lines[i];
    }
    return NULL;
}

static void parse_tape(struct mirror_state *state, struct line *line, bool known)
{
    uint64_t tape = take_number(line, 10);
    uint64_t shard = known ? take_number(line, 10) : MIRROR_SHARDS_MAX;
    uint64_t layout = take_number(line, 16);
    uint32_t count = state->tape_count;
    line->good = line->good && tape <= UINT32_MAX &&
                 (shard < MIRROR_SHARDS_MAX || !known) &&
                 count < MIRROR_STATE_TAPES_MAX &&
                 tape > (count > 0 ? state->tapes[count - 1].tape : 0);
    if (line->good)
        state->tapes[state->tape_count++] =
            (struct mirror_state_tape){(uint32_t)tape, (uint32_t)shard, layout};
}

static void parse_spare(struct mirror_state *state, struct line *line)
{
    uint64_t shard = take_number(line, 10);
    uint64_t tape = take_number(line, 10);
    line->good = line->good && shard < MIRROR_SHARDS_MAX && tape <= UINT32_MAX;
    uint32_t at = 0;
    while (line->good && at < MIRROR_STATE_SPARES && state->spare[shard][at] != 0) at++;
    if (line->good && at < MIRROR_STATE_SPARES) state->spare[shard][at] = (uint32_t)tape;
}

// What a later minor version adds is passed over, channels too.
static bool parse_line(struct mirror_state *state, struct line *line)
{
    char word[NAME_BYTES];
    char name[NAME_BYTES];
    take_word(line, word);
    const struct topic_line *of = topic_line(word);
    if (of) {
        take_word(line, name);
        enum channel channel = channel_by_name(name);
        if (channel != CHANNEL_NONE || strcmp(name, batch) == 0) of->parse(state, line, channel);
    } else if (strcmp(word, "tape") == 0 || strcmp(word, "unknown") == 0) {
        parse_tape(state, line, word[0] == 't');
    } else if (strcmp(word, "spare") == 0) {
        parse_spare(state, line);
    } else if (strcmp(word, "time") == 0) {
        state->time_ns = (int64_t)take_number(line, 10);
    }
    return line->good;
}

static int parse_first(struct line *line, uint64_t *minor)
{
    char word[NAME_BYTES];
    take_word(line, word);
    uint64_t major = take_number(line, 10);
    *minor = take_number(line, 10);
    if (!line->good || strcmp(word, "ringtape-mirror") != 0) return -EBADMSG;
    return major == 1 ? 0 : -EPROTONOSUPPORT;
}

static int parse(struct mirror_state *state, const char *text, size_t size)
{
    char word[NAME_BYTES];
    uint64_t minor = 0;
    if (size < TRAILER_BYTES || text[size - 1] != '\n') return -EBADMSG;
    const char *end = text + size - TRAILER_BYTES;
    struct line trailer = {end, text + size - 1, true};
    take_word(&trailer, word);
    uint64_t hash = take_number(&trailer, 16);
    if (!trailer.good || strcmp(word, "xxh3") != 0 ||
        hash != XXH3_64bits(text, (size_t)(end - text)))
        return -EBADMSG;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) return -EBADMSG;
        struct line line = {at, stop, true};
        int result = 0;
        if (at == text) result = parse_first(&line, &minor);
        else if (!parse_line(state, &line)) result = -EBADMSG;
        if (result < 0) return result;
        at = stop + 1;
    }
    for (uint32_t t = 0; t < state->tape_count && minor < MINOR_LAYOUT; t++)
        state->tapes[t].layout = 0;
    return 0;
}

int mirror_state_parse(struct mirror_state *state, const char *text, size_t size)
{
    memset(state, 0, sizeof *state);
    int result = parse(state, text, size);
    if (result < 0) memset(state, 0, sizeof *state);
    return result;
}

// ---- what is needed still ----

uint32_t mirror_state_place(const struct mirror_state *state, uint32_t tape)
{
    uint32_t low = 0;
    uint32_t high = state->tape_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (state->tapes[middle].tape < tape) low = middle + 1;
        else high = middle;
    }
    return low;
}

const struct mirror_state_tape *mirror_state_note(const struct mirror_state *state, uint32_t tape)
{
    uint32_t at = mirror_state_place(state, tape);
    return at < state->tape_count && state->tapes[at].tape == tape ? &state->tapes[at] : NULL;
}

static bool has_cursor(const struct mirror_state *state, int channel)
{
    bool some = false;
    for (int s = 0; s < MIRROR_SHARDS_MAX && !some; s++)
        some = state->cursor[channel][s].tape != 0;
    return some;
}

uint32_t mirror_state_topics(const struct mirror_state *state)
{
    uint32_t topics = state->topics;
    for (int c = 0; c < CHANNEL_COUNT && state->topics == 0; c++) {
        bool known = state->delivered[c] != 0 || state->refused[c] != 0 || has_cursor(state, c);
        topics |= known ? 1u << c : 0;
    }
    return topics;
}

uint64_t mirror_state_reach(const struct mirror_state *state, enum channel channel, uint32_t shard,
                            uint32_t tape)
{
    ensure(shard < MIRROR_SHARDS_MAX && tape != 0);
    const struct mirror_cursor *cursor = &state->cursor[channel][shard];
    if (cursor->tape > tape) return UINT64_MAX;
    return cursor->tape == tape ? cursor->rows : 0;
}

bool mirror_state_past(const struct mirror_state *state, uint32_t topics, uint32_t shard,
                       uint32_t tape)
{
    bool past = true;
    for (int c = 0; c < CHANNEL_COUNT && past; c++)
        past = !(topics >> c & 1) ||
               mirror_state_reach(state, (enum channel)c, shard, tape) == UINT64_MAX;
    return past;
}
