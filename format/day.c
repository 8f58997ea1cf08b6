// SPDX-License-Identifier: Apache-2.0
//
// day: see day.h.
#include "format/day.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/catalogue.h"
#include "format/ensure.h"

enum { TRAILER_BYTES = 5 + 16 + 1 };

static const char first_line[] = "ringtape-day 1 0\n";

// ---- judging ----

static bool audited(enum channel channel)
{
    return channel == CHANNEL_TRADE || channel == CHANNEL_AGG_TRADE;
}

// Does a hole reach into the day?
static bool note_in_day(const struct ledger_note *note, int32_t day)
{
    const int64_t end_ns = day_end_ns(day);
    return (note->kind == STATUS_HOLE_OPENED || note->kind == STATUS_HOLE_LOST) &&
           note->from_ns < end_ns && (note->to_ns == 0 || note->to_ns >= day_end_ns(day - 1));
}

static bool key_in_day(const struct ledger_key *key, int32_t day)
{
    bool over = key->archived && key->last_ns < day_end_ns(day - 1);
    return !key->gone && !over && key->first_ns < day_end_ns(day);
}

// Was it recorded then? History that was filled in has no audit to wait for.
static bool key_recorded(const struct ledger_key *key, int32_t day)
{
    return key_in_day(key, day) && key->recorded_ns < day_end_ns(day);
}

// Nobody can tell any more what it traded: no reason to wait, but a thing to list.
static bool key_unproven(const struct ledger_key *key, int32_t day)
{
    return key_recorded(key, day) && audited(key->channel) && key->unlisted &&
           key->proven_ns < day_end_ns(day);
}

static void because(struct day_channel *channel, const char *format, const char *symbol)
{
    if (channel->why[0] == '\0')
        (void)snprintf(channel->why, sizeof channel->why, "%s%s", symbol, format);
}

static void judge_keys(const struct day_state *state, struct day_channel *channels)
{
    const struct ledger_whole *ledger = state->ledger;
    for (uint32_t i = 0; i < ledger->key_count; i++) {
        const struct ledger_key *key = &ledger->keys[i];
        struct day_channel *channel = &channels[key->channel];
        if (!key_in_day(key, state->day))
            continue;
        channel->used = true;
        if (key_unproven(key, state->day))
            channel->unproven++;
        else if (audited(key->channel) && key_recorded(key, state->day) &&
                 key->proven_ns < day_end_ns(state->day))
            because(channel, " is not proven to its end yet", key->symbol);
    }
}

static void judge_notes(const struct day_state *state, struct day_channel *channels)
{
    const struct ledger_whole *ledger = state->ledger;
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ledger_note *note = &ledger->notes[n];
        struct day_channel *channel = &channels[ledger->keys[note->key].channel];
        if (!note_in_day(note, state->day))
            continue;
        channel->open += note->kind == STATUS_HOLE_OPENED;
        channel->lost += note->kind == STATUS_HOLE_LOST;
    }
}

// Of channels with a promise: rows that the ledger does not tell of are not proven either.
static void judge_ledger(const struct day_state *state, struct day_channel *channels)
{
    for (int c = CHANNEL_TRADE; c <= CHANNEL_KLINE; c++) {
        struct day_channel *channel = &channels[c];
        bool known = !audited((enum channel)c) || state->rows[c] == 0 || channel->used;
        if (!known || state->ledger->time_ns < day_end_ns(state->day))
            because(channel,
                    "the ledger does not reach to its end yet; a running daemon writes it once a "
                    "minute",
                    "");
    }
}

void day_judge(const struct day_state *state, struct day_channel channels[CHANNEL_COUNT])
{
    bool over = day_over(state->day, state->now_ns);
    memset(channels, 0, CHANNEL_COUNT * sizeof *channels);
    for (int c = 0; c < CHANNEL_COUNT && !over; c++)
        because(&channels[c], "the day is not over for a minute yet", "");
    judge_keys(state, channels);
    judge_notes(state, channels);
    judge_ledger(state, channels);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        bool on_tape = (state->on_tape >> c & 1) != 0;
        channels[c].used = channels[c].used || state->rows[c] > 0 || on_tape;
        if (on_tape)
            because(&channels[c], "rows are not sealed yet", "");
    }
}

// ---- markers ----

void day_marker_name(int32_t day, enum channel channel, char out[DAY_NAME_BYTES_MAX])
{
    char date[11];
    catalogue_day_text(day, date);
    int size = snprintf(out, DAY_NAME_BYTES_MAX, "%s-%s", date, channel_schema(channel)->name);
    ensure(size > 0 && size < DAY_NAME_BYTES_MAX);
}

static void print_note(FILE *out, const struct ledger_key *key, const struct ledger_note *note)
{
    (void)fprintf(out, "hole %s %s ", note->kind == STATUS_HOLE_OPENED ? "open" : "lost",
                  key->symbol);
    if (note->first < 0)
        (void)fprintf(out, "- - ");
    else
        (void)fprintf(out, "%" PRId64 " %" PRId64 " ", note->first, note->last);
    (void)fprintf(out, "%" PRId64 " %" PRId64 " %s\n", note->from_ns, note->to_ns, note->detail);
}

static void print_content(FILE *out, const struct day_state *state, enum channel channel)
{
    const struct ledger_whole *ledger = state->ledger;
    (void)fprintf(out, "rows %" PRIu64 "\n", state->rows[channel]);
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ledger_note *note = &ledger->notes[n];
        const struct ledger_key *key = &ledger->keys[note->key];
        if (key->channel == channel && note_in_day(note, state->day))
            print_note(out, key, note);
    }
    for (uint32_t i = 0; i < ledger->key_count; i++) {
        const struct ledger_key *key = &ledger->keys[i];
        if (key->channel == channel && key_unproven(key, state->day))
            (void)fprintf(out, "unproven %s %" PRId64 " %" PRId64 "\n", key->symbol, key->proven,
                          key->proven_ns);
    }
}

char *day_content(const struct day_state *state, enum channel channel, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        return NULL;
    print_content(out, state, channel);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

// The number behind `name` at *text, which moves behind its line.
static bool take_number(const char **text, const char *end, const char *name, int64_t *value)
{
    const char *line_end = memchr(*text, '\n', (size_t)(end - *text));
    char digits[24];
    char *stop;
    size_t size = strlen(name);
    if (!line_end || (size_t)(line_end - *text) <= size || memcmp(*text, name, size) != 0 ||
        (size_t)(line_end - *text) - size >= sizeof digits)
        return false;
    memcpy(digits, *text + size, (size_t)(line_end - *text) - size);
    digits[(size_t)(line_end - *text) - size] = '\0';
    errno = 0;
    *value = strtoll(digits, &stop, 10);
    *text = line_end + 1;
    return *stop == '\0' && stop != digits && errno == 0 && *value >= 0;
}

static bool line_is(const char *line, const char *end, const char *word)
{
    size_t size = strlen(word);
    return (size_t)(end - line) >= size && memcmp(line, word, size) == 0;
}

static void count_lines(struct day_marker *marker, const char *text, const char *end)
{
    while (text < end) {
        marker->open += line_is(text, end, "hole open ");
        marker->lost += line_is(text, end, "hole lost ");
        marker->unproven += line_is(text, end, "unproven ");
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        text = line_end ? line_end + 1 : end;
    }
}

static const char *parse(const char *text, const char *end, struct day_marker *marker)
{
    int64_t generation;
    int64_t rows;
    if (!line_is(text, end, first_line))
        return NULL;
    text += sizeof first_line - 1;
    if (!take_number(&text, end, "generation ", &generation) || generation == 0 ||
        !take_number(&text, end, "closed ", &marker->closed_ns) ||
        !take_number(&text, end, "changed ", &marker->changed_ns))
        return NULL;
    const char *content = text;
    if (!take_number(&text, end, "rows ", &rows))
        return NULL;
    marker->generation = (uint64_t)generation;
    marker->rows = (uint64_t)rows;
    count_lines(marker, text, end);
    return content;
}

const char *day_marker_parse(const char *text, size_t size, struct day_marker *marker,
                             size_t *content_size)
{
    char trailer[TRAILER_BYTES + 1];
    *marker = (struct day_marker){0};
    if (size <= TRAILER_BYTES)
        return NULL;
    const char *end = text + size - TRAILER_BYTES;
    XXH64_hash_t hash = XXH3_64bits(text, (size_t)(end - text));
    (void)snprintf(trailer, sizeof trailer, "xxh3 %016llx\n", (unsigned long long)hash);
    const char *content = memcmp(end, trailer, TRAILER_BYTES) == 0 ? parse(text, end, marker)
                                                                   : NULL;
    if (content)
        *content_size = (size_t)(end - content);
    else
        *marker = (struct day_marker){0};
    return content;
}

// Text of a stream in memory, its trailer included.
static char *marker_text(const struct day_marker *marker, const char *content, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out)
        return NULL;
    (void)fprintf(out, "%sgeneration %" PRIu64 "\nclosed %" PRId64 "\nchanged %" PRId64 "\n%s",
                  first_line, marker->generation, marker->closed_ns, marker->changed_ns, content);
    bool good = fflush(out) == 0;
    if (good)
        (void)fprintf(out, "xxh3 %016llx\n", (unsigned long long)XXH3_64bits(text, *size));
    if (fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}

char *day_marker_next(struct day_marker *marker, const char *content, int64_t now_ns,
                      size_t *size)
{
    size_t content_size;
    struct day_marker next = {.generation = marker->generation + 1,
                              .closed_ns = marker->generation > 0 ? marker->closed_ns : now_ns,
                              .changed_ns = now_ns};
    char *text = marker_text(&next, content, size);
    if (text)
        ensure(day_marker_parse(text, *size, marker, &content_size) != NULL);
    return text;
}
